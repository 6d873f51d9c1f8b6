import ReportPages
import Statistics

/// The page of `tune --report`.
struct TunePage: FigureWords {
  private let report: TuningReport
  private let judged: JudgedSetting
  private let rule: String

  /// - Parameter rule: the rule file as it is or would be written; empty: none.
  init(_ report: TuningReport, _ judged: JudgedSetting, rule: String) {
    self.report = report
    self.judged = judged
    self.rule = rule
  }

  func write(to target: String, _ maker: EvaluationPageMaker) throws(CommandFailure) {
    let points = report.pointsWithToday
    var page = TuningPage(report: judged.report, points: points, subject: maker.subject(judged.names))
    page.objective = report.input.objective.words
    page.crossValidated = figures(report.crossValidated)
    page.heldOut = report.heldOut.map(figures) ?? []
    let difference = report.difference
    page.comparison = [
      PageFigure("Events detected", difference.sensitivity, .signed, note: "cross-validated less today"),
      PageFigure("Detected before onset", difference.beforeOnset, .signed),
      PageFigure("Alerts per patient-day", difference.burden, .signed),
      PageFigure("Margin over matched controls", difference.margin, .signed),
    ]
    page.flatness = flatness
    page.notes = notes
    page.ruleText = rule
    page.clock = maker.clock(judged.report, judged.input, points)
    page.traces = try maker.traces(judged.report, judged.input, judged.names)
    try EvaluationPageMaker.save(page.html, to: target)
  }

  private func figures(_ figures: TuningFigures) -> [PageFigure] {
    [
      PageFigure("Events detected (\(figures.sums.detected) of \(figures.sums.events))", figures.sensitivity),
      PageFigure("Detected before onset", figures.beforeOnset),
      PageFigure("Alerts per patient-day (\(figures.sums.alerts))", figures.burden, .number),
      PageFigure(
        "Margin over matched controls", figures.shownMargin, .signed, note: unmatchedWords(figures.sums) ?? ""),
      PageFigure("Alerts that were true (PPV)", figures.predictiveValue),
    ]
  }

  private var flatness: [String] {
    guard let flatness = report.flatness else { return [] }
    let ranges = flatness.ranges.map { range in
      "Among them \(range.label) runs from \(range.lowest) to \(range.highest)"
        + (range.isWhole ? ", which is all that was tried." : ".")
    }
    return [
      report.shortfall == nil
        ? "Of \(flatness.count) settings \(flatness.within) reach the target within one standard error "
          + "(\(small(flatness.spread))) of the best."
        : "Of \(flatness.count) settings \(flatness.within) lie within one standard error (\(small(flatness.spread))) of "
          + "the one shown; none reaches the target."
    ] + ranges
  }

  private var notes: [String] {
    let input = report.input
    var notes: [String] = []
    if let shortfall = report.shortfall {
      notes.append("What was sought is not reached: \(shortfall). The setting shown comes nearest.")
    }
    let left = input.cohort.cohort.exclusions.words
    if !left.isEmpty { notes.append("Labels left out: \(left).") }
    let settings = Set(report.folds.map(\.choice.position)).count
    notes.append(
      "\(report.folds.count) folds of whole patients; chosen without each of them: "
        + (settings == 1 ? "the same setting every time." : "\(settings) different settings."))
    for fold in report.folds {
      notes.append(
        "Fold \(fold.name): \(report.points[fold.choice.position].name); \(fold.judged.detected) of "
          + "\(fold.judged.events) events detected in it.")
    }
    for rung in input.rungs { notes.append("\(rung.settings) settings were tried on \(rung.patients) patients.") }
    if let heldOut = report.heldOut {
      notes.append("\(heldOut.sums.patients) patients were held out and judged once: \(input.heldOutDigest).")
    }
    for group in report.groups {
      let figures = group.crossValidated
      notes.append(
        "\(group.column) \(group.value ?? "unknown"): \(interval(figures.sensitivity, share)) of "
          + "\(figures.sums.events) events, \(interval(figures.burden, number)) alerts per patient-day, cross-validated."
      )
    }
    return notes
  }
}
