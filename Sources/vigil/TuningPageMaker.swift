import ReportPages
import Statistics
import VitalModel

/// Writes the page of `tune --report`: what was searched, what was chosen, and the chosen setting in full.
extension EvaluationPageMaker {
  /// - Parameters:
  ///   - report: of the chosen setting, on the patients of `input`.
  ///   - names: of those patients, by position.
  func write(
    _ tuning: TuningReport, _ report: EvaluationReport, _ input: EvaluationInput, _ names: [String],
    to target: String
  ) throws(CommandFailure) {
    let points = tuning.pointsWithToday
    var page = TuningPage(report: report, points: points, subject: subject(names))
    page.objective = tuning.input.objective.words
    page.crossValidated = figures(tuning.crossValidated)
    page.heldOut = tuning.heldOut.map(figures) ?? []
    let difference = tuning.difference
    page.comparison = [
      PageFigure("Events detected", difference.sensitivity, .signed),
      PageFigure("counting only alerts before the onset", difference.beforeOnset, .signed),
      PageFigure("Alerts per patient-day", difference.burden, .signedNumber),
      PageFigure("Margin over matched controls", difference.margin, .signed),
    ]
    page.groups = tuning.groups.map { group in
      let sums = group.crossValidated.sums
      var row = TuningPage.Group(
        "\(group.column) \(group.value ?? "unknown")", patients: sums.patients, events: sums.events,
        detected: sums.detected)
      row.sensitivity = group.crossValidated.sensitivity
      row.burden = group.crossValidated.burden
      row.margin = group.crossValidated.margin
      return row
    }
    page.flatness = flatness(tuning.flatness)
    page.notes = notes(tuning)
    page.clock = clock(report, input, points)
    page.traces = try traces(report, input, names)
    try EvaluationPageMaker.save(page.html, to: target)
  }

  private func figures(_ figures: TuningFigures) -> [PageFigure] {
    let sums = figures.sums
    return [
      PageFigure("Events detected", figures.sensitivity, note: "\(sums.detected) of \(sums.events)"),
      PageFigure("counting only alerts before the onset", figures.beforeOnset),
      PageFigure("Alerts per patient-day", figures.burden, .number, note: "\(sums.alerts) alerts"),
      PageFigure("Margin over matched controls", figures.margin, .signed),
      PageFigure("Alerts that were true (PPV)", figures.predictiveValue),
    ]
  }

  private func flatness(_ flatness: TuningFlatness?) -> [String] {
    guard let flatness else { return [] }
    let head = "\(flatness.within) of \(flatness.count) settings are within one standard error of the best."
    return [head]
      + flatness.ranges.map { range in
        "Among them \(range.label) is \(range.lowest) to \(range.highest)"
          + (range.isWhole ? ": all that was tried." : ".")
      }
  }

  private func notes(_ tuning: TuningReport) -> [String] {
    var notes: [String] = []
    if !tuning.choice.final.meetsTarget {
      notes.append("No setting reaches what was sought; the one shown comes nearest.")
    }
    notes += tuning.folds.map { fold in
      let sums = fold.judged
      return "Without fold \(fold.name) the choice is \(tuning.points[fold.choice.position].name); in it that detects "
        + "\(sums.detected) of \(sums.events) events."
    }
    notes += tuning.input.rungs.map { "Tried \($0.settings) settings on \($0.patients) patients." }
    if !tuning.input.heldOutDigest.isEmpty {
      notes.append(
        "Held out: patients \(tuning.input.heldOutDigest). Tune on them again and this says nothing any more.")
    }
    return notes
  }
}
