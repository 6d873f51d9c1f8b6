import Statistics
import VitalModel

/// A tuning for a terminal: first what was never tuned on, beside it what was.
struct TuneText: FigureWords {
  private let report: TuningReport
  private let evaluation: EvaluationReport
  private var lines: [String] = []
  /// Rows shown of the fronts; `--json` has all.
  private static let rowsMax = 12

  init(_ report: TuningReport, _ evaluation: EvaluationReport) {
    self.report = report
    self.evaluation = evaluation
    addHead()
    addFigures()
    addFolds()
    addHeldOut()
    addChance()
    addFront()
    addFlatness()
    addGroups()
    addNotes()
  }

  var text: String { lines.joined(separator: "\n") }

  private mutating func section(_ title: String) { lines += ["", title] }

  private mutating func table(_ rows: [[String]]) { lines.append(TextTable.format(rows, indent: "  ")) }

  private mutating func addHead() {
    let sums = report.crossValidated.sums
    lines.append(
      "\(sums.patients) patients, \(number(sums.patientDays)) patient-days, \(sums.events) events "
        + "(\(evaluation.kinds.joined(separator: ", ")))"
        + (report.heldOut.map { "; \($0.sums.patients) patients more held out" } ?? ""))
    let left = report.input.cohort.cohort.exclusions.words
    if !left.isEmpty { lines.append("labels left out: \(left)") }
    lines.append("convention: \(report.input.cohort.convention.words)")
    lines.append("sought: \(report.input.objective.words)")
    let input = report.input
    switch input.search {
    case "halving":
      let steps = input.rungs.map { "\($0.settings) on \($0.patients) patients" }.joined(separator: ", ")
      lines.append("tried: \(steps)")
    default:
      lines.append(
        "tried: \(input.tallies.count) settings"
          + (input.grid.count > input.tallies.count ? " of \(input.grid.count), drawn at random" : ""))
    }
    section("CHOSEN: \(report.points[report.choice.final.position].name)")
    if !report.choice.final.meetsTarget {
      lines.append(
        report.choice.final.value == nil
          ? "  nothing can be chosen: \(report.input.objective.lackWords); this one alerts least"
          : "  no setting reaches what was asked; this one comes nearest (\(small(report.choice.final.miss)) short)")
    }
  }

  private mutating func addFigures() {
    let (honest, apparent, today) = (report.crossValidated, report.apparent, report.today)
    func row(
      _ title: String, _ figure: (TuningFigures) -> Figure?, _ difference: Figure?,
      _ text: @escaping (Double) -> String,
      _ change: (Double) -> String
    ) -> [String] {
      [
        title, interval(figure(honest), text), figure(apparent).map { text($0.value) } ?? "-",
        figure(today).map { text($0.value) } ?? "-", interval(difference, change),
      ]
    }
    table([
      ["", "CROSS-VALIDATED (95 %)", "APPARENT", "TODAY", "CROSS-VALIDATED LESS TODAY (95 %)"],
      row("events detected", \.sensitivity, report.difference.sensitivity, share, signed),
      row("  counting only alerts before onset", \.beforeOnset, report.difference.beforeOnset, share, signed),
      row("alerts per patient-day", \.burden, report.difference.burden, number, signed),
      row(marginTitle(honest.sums), \.shownMargin, report.difference.margin, signed, signed),
      row("alerts that were true: PPV", \.predictiveValue, nil, share, signed),
    ])
    lines.append("  apparent: on the patients it was chosen on, which flatters it")
  }

  private mutating func addFolds() {
    section("CHOSEN WITHOUT EACH FOLD, JUDGED ON IT")
    let body = report.folds.map { fold in
      let sums = fold.judged
      return [
        fold.name, report.points[fold.choice.position].name + (fold.choice.meetsTarget ? "" : " (nearest)"),
        "\(sums.detected) of \(sums.events)", sums.burden.map(number) ?? "-",
        sums.isMarginEmpty ? "-" : sums.margin.map(signed) ?? "-",
      ]
    }
    table([["FOLD", "SETTING", "DETECTED", "A DAY", "MARGIN"]] + body)
  }

  private mutating func addHeldOut() {
    guard let heldOut = report.heldOut else { return }
    section("HELD OUT, JUDGED ONCE")
    table([
      row("events detected (\(heldOut.sums.detected) of \(heldOut.sums.events))", heldOut.sensitivity, share),
      row("alerts per patient-day (\(heldOut.sums.alerts))", heldOut.burden, number),
      row(marginTitle(heldOut.sums), heldOut.shownMargin, signed),
      row("alerts that were true: PPV", heldOut.predictiveValue, share),
    ])
    lines.append(
      "  patients \(report.input.heldOutDigest.prefix(19)): tune on them again and this says nothing any more")
  }

  private mutating func addChance() {
    let chance = evaluation.total.chance
    section("THE CHOSEN SETTING BESIDE CHANCE (APPARENT)")
    var rows = [["events detected", evaluation.total.events.sensitivity.map { share($0.value) } ?? "-"]]
    if let rotation = chance.rotation {
      rows.append(["the same alerts, rotated", share(rotation.mean)])
    }
    rows.append(["the best clock at this burden", chance.clock.map { share($0.sensitivity) } ?? "-"])
    rows.append(["matched controls with an alert", chance.controlRate.map(share) ?? "-"])
    table(rows)
  }

  private mutating func addFront() {
    section("NO SETTING TRIED HAS LESS BURDEN AND MORE SENSITIVITY (APPARENT)")
    let shown = TuningFront.thinned(report.frontOfSensitivity, to: TuneText.rowsMax)
    let body = shown.map { place in
      let point = report.points[place]
      return [
        point.name + (point.isChosen ? " (chosen)" : "") + (point.isToday ? " (today)" : ""),
        interval(point.burden, number),
        interval(point.sensitivity, share), interval(point.margin, signed),
      ]
    }
    table([["SETTING", "A DAY", "SENSITIVITY", "MARGIN"]] + body)
    let rest = report.frontOfSensitivity.count - shown.count
    if rest > 0 { lines.append("  and \(rest) more; --json has all") }
  }

  private mutating func addFlatness() {
    guard let flatness = report.flatness else { return }
    section("HOW FLAT IT IS")
    lines.append(
      "  \(flatness.within) of \(flatness.count) settings are within one standard error (\(small(flatness.spread))) of the best"
    )
    for range in flatness.ranges {
      lines.append(
        "  \(range.label): \(range.lowest) to \(range.highest)" + (range.isWhole ? ", all that was tried" : ""))
    }
  }

  private mutating func addGroups() {
    guard !report.groups.isEmpty else { return }
    section("BY GROUP, CROSS-VALIDATED")
    let body = report.groups.map { group in
      let figures = group.crossValidated
      return [
        "\(group.column) \(group.value ?? "unknown")", "\(figures.sums.patients)",
        "\(figures.sums.detected) of \(figures.sums.events)", interval(figures.sensitivity, share),
        interval(figures.burden, number), interval(figures.shownMargin, signed),
        group.today.burden.map { number($0.value) } ?? "-", group.today.sensitivity.map { share($0.value) } ?? "-",
      ]
    }
    table(
      [["", "PATIENTS", "DETECTED", "SENSITIVITY", "A DAY", "MARGIN", "TODAY A DAY", "TODAY SENSITIVITY"]] + body)
  }

  private mutating func addNotes() {
    let input = report.input
    lines += [
      "",
      "bootstrap: whole patients drawn \(input.resamples) times, seed \(input.seed). Controls are drawn within each fold.",
      "data \(input.dataDigest.prefix(19)), rules \(input.rulesVersion.prefix(19))",
    ]
  }
}
