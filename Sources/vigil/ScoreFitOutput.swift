import RuleLanguage
import Service
import Statistics
import VitalModel

/// A fitted score for people, for programs and as rule files.
struct ScoreFitOutput: FigureWords {
  private let run: ScoreFitRun
  private let result: ScoreFitResult
  private let digest: String
  let score: FittedScoreText
  /// The final rule at its budget as `vigil evaluate` judges it, on the patients it was made from.
  var chance: EvaluationRow?

  init(_ run: ScoreFitRun, _ result: ScoreFitResult, digest: String) {
    self.run = run
    self.result = result
    self.digest = digest
    score = FittedScoreText(result.final, id: run.id, run.candidates)
  }

  // MARK: Chance

  /// The rule as it would be written, by itself.
  func judged(_ evaluation: EvaluationOptions) throws(CommandFailure) -> JudgedSetting {
    var files = run.files
    files.sources = [RuleSource(path: "\(run.id).yaml", text: ruleText)]
    files.directory = ""
    let world: SweepWorld
    do {
      world = try SweepRules(files: files, set: nil).world(of: [run.id])
    } catch {
      throw CommandFailure(ExitCode.failed, "tune: the fitted rule does not load: \(error)")
    }
    let told = try SettingSweep(worlds: [world], options: run.session, threads: run.threads).run(run.feed)
    let input = told.input(world: 0, labels: run.labels, dataDigest: digest, rulesVersion: world.plan.version)
    return JudgedSetting(input: input, report: EvaluationReport(input, evaluation), names: told.watched.names)
  }

  // MARK: Rule files

  /// One line: what the numbers come from and how good they are on patients they were not chosen on.
  private var provenance: String {
    guard let budget = result.budgets.first else { return "fitted" }
    let figures = budget.crossValidated
    return "fitted and tuned on \(digest), seed \(run.seed), \(run.foldCount)-fold cross-validation by patient; "
      + "events are detected from \(DurationText.format(run.convention.lead)) before to "
      + "\(DurationText.format(run.convention.grace)) after their onset; cross-validated: sensitivity "
      + "\(interval(figures.sensitivity)), before onset \(interval(figures.beforeOnset)), margin over matched controls "
      + "\(interval(figures.margin)) at \(interval(figures.burden)) alerts per patient-day"
  }

  /// Why there is no rule to write; nil: there is one.
  var shortfall: String? { result.budgets.isEmpty ? "no policy was tried" : result.budgets[0].shortfall }

  var scoreText: String { score.score(source: provenance) }

  var ruleText: String {
    guard let budget = result.budgets.first else { return "" }
    let head =
      ["\(score.title): a score fitted from data by `vigil tune --fit-score`, with the rule that alerts by it."]
      + [
        "It runs alone: vigil evaluate RECORDING --labels LABELS --rules THIS-FILE --rule \(run.id)",
        "(without --rule the engine's own technical alerts count too).", "",
      ] + table
      + [
        "", "Limits: it knows what one data set charts, for one outcome. Another hospital charts and treats otherwise:",
        "evaluate it on your own recordings, and let a clinical owner sign it, before anybody is told by it.",
      ]
    return score.source(
      budget.policy, path: "", provenance: provenance,
      rationale: "A rising risk that a person should look at. An alert that stays open is told anew every "
        + "\(DurationText.format(budget.policy.renew)): the same people must look again.", head: head
    ).text
  }

  // MARK: Text

  var text: String {
    var lines = [
      "\(score.title): \(result.final.items.count) items, 0 to \(result.final.most) points",
      "fitted on \(result.final.events) patients with an event, \(result.rows) rows; \(result.trials) policies judged",
      "convention: \(run.convention.words)",
    ]
    if result.exclusions.total > 0 { lines.append("labels left out: \(result.exclusions.words)") }
    lines += [""] + table
    for (place, budget) in result.budgets.enumerated() {
      lines += ["", "AT MOST \(number(budget.alertsPerPatientDay)) ALERTS PER PATIENT-DAY"]
      lines += rows(budget, place == 0 ? chance : nil)
    }
    lines += [
      "",
      "cross-validated: items, bands, points and policy found without the patient's fold; 95 % intervals over patients",
      "apparent: the final score on the patients it was made from; it flatters",
    ]
    return lines.joined(separator: "\n")
  }

  /// Items with their bands and points, one line a band.
  private var table: [String] {
    var rows: [[String]] = []
    for item in score.table {
      for (place, band) in item.bands.enumerated() {
        rows.append([place == 0 ? item.name : "", place == 0 ? item.value : "", band.range, "\(band.points)"])
      }
    }
    return aligned([["ITEM", "VALUE", "BAND", "POINTS"]] + rows) + ["what is not known gives no points"]
  }

  /// - Parameter chance: of the final rule.
  private func rows(_ budget: ScoreFitResult.Budget, _ chance: EvaluationRow?) -> [String] {
    var lines = ["  " + words(budget.policy) + (budget.shortfall.map { " (\($0))" } ?? "")]
    let (found, apparent) = (budget.crossValidated, budget.apparent)
    var rows = [
      ["", "CROSS-VALIDATED", "APPARENT"],
      ["events detected", interval(found.sensitivity), plain(apparent.sensitivity)],
      ["  counting only alerts before onset", interval(found.beforeOnset), plain(apparent.beforeOnset)],
      [marginTitle(found.sums), interval(found.shownMargin), plain(apparent.shownMargin)],
      ["alerts per patient-day", interval(found.burden), plain(apparent.burden)],
      ["alerts that were true: PPV", interval(found.predictiveValue), plain(apparent.predictiveValue)],
    ]
    if let chance = chance?.chance {
      // Chance is that of the final rule: beside the apparent figures, never the others.
      rows.insert(
        contentsOf: [
          ["  the same alerts, rotated", "", chance.rotation.map { number($0.mean) } ?? "-"],
          ["  the best clock at this burden", "", chance.clock.map { number($0.sensitivity) } ?? "-"],
        ], at: 3)
    }
    lines += aligned(rows).map { "  " + $0 }
    return lines
  }

  private func words(_ policy: FittedScoreText.Policy) -> String {
    var parts = ["alerts from \(policy.limit) points"]
    if policy.hold > 0 { parts.append("held for \(DurationText.format(policy.hold))") }
    parts.append("ends below \(policy.limit - policy.margin)")
    if policy.refractory > 0 { parts.append("quiet for \(DurationText.format(policy.refractory)) after") }
    parts.append("told anew every \(DurationText.format(policy.renew)) while it lasts")
    return parts.joined(separator: ", ")
  }

  private func aligned(_ rows: [[String]]) -> [String] {
    let columns = rows.map(\.count).max() ?? 0
    let widths = (0..<columns).map { column in rows.map { column < $0.count ? $0[column].count : 0 }.max() ?? 0 }
    return rows.map { row in
      row.enumerated().map { $1 + String(repeating: " ", count: $0 + 1 < row.count ? widths[$0] - $1.count + 2 : 0) }
        .joined()
    }
  }

  func number(_ value: Double) -> String {
    DecimalValue(mantissa: Int64((value * 1000).rounded()), exponent: -3).normalized.description
  }

  private func plain(_ figure: Figure?) -> String { figure.map { number($0.value) } ?? "-" }

  private func interval(_ figure: Figure?) -> String {
    guard let figure else { return "-" }
    guard let interval = figure.interval else { return number(figure.value) }
    return "\(number(figure.value)) (\(number(interval.lower)) to \(number(interval.upper)))"
  }

  // MARK: JSON

  /// docs/score-fitting.md.
  var json: String {
    var out = JSONText()
    out.object { out in
      out.field("document", "vigil-score-fit")
      out.field("version", 1)
      out.field("score", run.id)
      out.field("title", score.title)
      out.field("convention", run.convention.words)
      result.exclusions.write(to: &out, kinds: result.kinds)
      out.field("data_digest", digest)
      out.field("seed", String(run.seed))
      out.field("folds", run.foldCount)
      out.field("rows", result.rows)
      out.field("events", result.final.events)
      out.field("policies", result.trials)
      write(result.final, to: &out)
      out.array("fold_scores") { out in
        for fold in result.folds { out.object { write(fold, to: &$0) } }
      }
      writeChance(to: &out)
      out.array("budgets") { out in
        for budget in result.budgets { out.object { write(budget, to: &$0) } }
      }
    }
    return out.text
  }

  private func writeChance(to out: inout JSONText) {
    guard let row = chance else { return out.null("chance") }
    out.object("chance") {
      $0.field("sensitivity", row.events.sensitivity?.value)
      $0.field("rotated", row.chance.rotation?.mean)
      $0.field("clock", row.chance.clock?.sensitivity)
      $0.field("control_rate", row.chance.controlRate)
    }
  }

  private func write(_ fit: ScoreFitting, to out: inout JSONText) {
    out.array("items") { out in
      for item in FittedScoreText(fit, id: run.id, run.candidates).table {
        out.object { out in
          out.field("name", item.name)
          out.field("value", item.value)
          out.array("bands") { out in
            for band in item.bands {
              out.object { out in
                out.field("range", band.range)
                out.field("points", band.points)
              }
            }
          }
        }
      }
    }
  }

  private func write(_ budget: ScoreFitResult.Budget, to out: inout JSONText) {
    out.field("per_patient_day", budget.alertsPerPatientDay)
    out.field("keeps_to_budget", budget.shortfall == nil)
    if let shortfall = budget.shortfall { out.field("shortfall", shortfall) }
    out.object("policy") { write(budget.policy, to: &$0) }
    out.object("cross_validated") { write(budget.crossValidated, to: &$0) }
    out.object("apparent") { write(budget.apparent, to: &$0) }
    out.array("fold_policies") { out in
      for policy in budget.folds { out.object { write(policy, to: &$0) } }
    }
  }

  private func write(_ policy: FittedScoreText.Policy, to out: inout JSONText) {
    out.field("limit", policy.limit)
    out.field("margin", policy.margin)
    out.field("hold_ms", Int(policy.hold))
    out.field("refractory_ms", Int(policy.refractory))
    out.field("renew_ms", Int(policy.renew))
  }

  private func write(_ figures: TuningFigures, to out: inout JSONText) {
    out.field("events", figures.sums.events)
    out.field("detected", figures.sums.detected)
    out.field("alerts", figures.sums.alerts)
    out.field("without_controls", figures.sums.unmatched)
    let named = [
      ("sensitivity", figures.sensitivity), ("before_onset", figures.beforeOnset), ("margin", figures.margin),
      ("per_patient_day", figures.burden), ("ppv", figures.predictiveValue),
    ]
    for (name, figure) in named {
      guard let figure else { continue }
      out.object(name) { out in
        out.field("value", figure.value)
        guard let interval = figure.interval else { return }
        out.field("low", interval.lower)
        out.field("high", interval.upper)
        out.field("method", interval.method.rawValue)
      }
    }
  }
}
