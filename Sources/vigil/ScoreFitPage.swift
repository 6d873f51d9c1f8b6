import ReportPages
import RuleLanguage
import Service
import Statistics
import VitalModel

/// The page of `tune --fit-score --report`: the fitted score as a clinician reads it, and what it is worth.
struct ScoreFitPage {
  private let run: ScoreFitRun
  private let result: ScoreFitResult
  private let output: ScoreFitOutput
  private let judged: JudgedSetting

  init(_ run: ScoreFitRun, _ result: ScoreFitResult, _ output: ScoreFitOutput, _ judged: JudgedSetting) {
    self.run = run
    self.result = result
    self.output = output
    self.judged = judged
  }

  func write(to target: String, _ maker: EvaluationPageMaker) throws(CommandFailure) {
    var page = TuningPage(report: judged.report, points: points, subject: maker.subject(judged.names))
    page.objective =
      result.budgets.first.map { ScoreFitChoice.words($0.alertsPerPatientDay, run.targets, output.number) } ?? ""
    page.tried = "\(result.trials) policies of the alert were judged; those chosen for each budget are shown."
    page.crossValidated = result.budgets.flatMap(figures)
    page.score = sheet
    page.ruleText = output.ruleText
    page.notes = [
      "Items, bands, points and policy were found without the patient's fold, in \(run.foldCount) folds of whole patients.",
      "The final score was fitted on \(result.rows) rows of \(result.final.events) patients with an event and all others.",
    ]
    if let shortfall = output.shortfall { page.notes.append("What was sought is not reached: \(shortfall).") }
    if result.exclusions.total > 0 { page.notes.append("Labels left out: \(result.exclusions.words).") }
    page.clock = maker.clock(judged.report, judged.input, points)
    page.traces = try maker.traces(judged.report, judged.input, judged.names)
    try EvaluationPageMaker.save(page.html, to: target)
  }

  /// The policies chosen for the budgets, on the patients they were chosen on.
  private var points: [OperatingPoint] {
    result.budgets.enumerated().map { place, budget in
      let policy = budget.policy
      var point = budget.apparent.point(values: [
        ("limit", "\(policy.limit)"), ("re-arm margin", "\(policy.margin)"),
        ("hold", DurationText.format(policy.hold)), ("quiet", DurationText.format(policy.refractory)),
        ("again", DurationText.format(policy.renew)),
      ])
      point.isChosen = place == 0
      point.isOnFront = true
      return point
    }
  }

  private func figures(_ budget: ScoreFitResult.Budget) -> [PageFigure] {
    let figures = budget.crossValidated
    let note = "at most \(output.number(budget.alertsPerPatientDay)) alerts per patient-day"
    return [
      PageFigure(
        "Events detected (\(figures.sums.detected) of \(figures.sums.events))", figures.sensitivity, note: note),
      PageFigure("Detected before onset", figures.beforeOnset, note: note),
      PageFigure(
        "Margin over matched controls" + (output.unmatchedWords(figures.sums).map { " (\($0))" } ?? ""),
        figures.shownMargin, .signed, note: note),
      PageFigure("Alerts per patient-day (\(figures.sums.alerts))", figures.burden, .number, note: note),
      PageFigure("Alerts that were true (PPV)", figures.predictiveValue, note: note),
    ]
  }

  private var sheet: ScoreSheet {
    let score = output.score
    return ScoreSheet(
      name: score.title,
      items: score.table.map { item in
        ScoreSheet.Item(
          "\(item.name): \(item.value)", bands: item.bands.map { ScoreSheet.Band($0.range, points: $0.points) })
      }, threshold: result.budgets.first.map { "An alert starts at \($0.policy.limit) points or more" } ?? "")
  }
}
