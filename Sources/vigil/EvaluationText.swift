import ReportPages
import Statistics
import VitalModel

/// An evaluation for a terminal: every figure with its interval and how that was found, chance beside every sensitivity.
struct EvaluationText: FigureWords {
  private let report: EvaluationReport
  private var lines: [String] = []
  /// Rows shown of rules and patients; `--json` has all.
  private static let rowsMax = 15

  init(
    _ report: EvaluationReport, by: String?, stages: [StageEffect]? = nil, curve: SettingCurve? = nil,
    name: (Int) -> String
  ) {
    self.report = report
    addHead()
    addTotal()
    addChance()
    addWindows()
    addRows(
      "BY RULE, EACH ALONE", report.rules.sorted { ($1.alerts.count, key($0.key)) < ($0.alerts.count, key($1.key)) })
    if report.priorities.count > 1 { addRows("BY PRIORITY", report.priorities) }
    addRows("BY GROUP", report.subgroups)
    addStages(stages)
    addCurve(curve)
    if by == "patient" { addPatients(name) }
    if by == "hour" { addHours() }
    addNotes()
  }

  var text: String { lines.joined(separator: "\n") }

  // MARK: Head

  private mutating func addHead() {
    let total = report.total
    lines.append("\(total.patients) patients, \(number(total.patientDays)) patient-days")
    var events =
      "\(total.events.count) events (\(report.kinds.joined(separator: ", "))) of \(total.events.patients) patients"
    let reasons = report.exclusions.words
    if !reasons.isEmpty { events += "; left out: " + reasons }
    lines.append(events)
    lines.append("convention: \(report.options.convention.words)")
  }

  private mutating func section(_ title: String) { lines += ["", title] }

  private mutating func addTotal() {
    let total = report.total
    section("FOUND AND COST")
    var rows = [["", "VALUE", "95 %", "BY"]]
    rows.append(
      row("events detected (\(total.events.detected) of \(total.events.count))", total.events.sensitivity, share))
    rows.append(row("  counting only alerts before onset", total.chance.beforeOnset, share))
    rows.append(row("  mean of patients", total.average.sensitivity, share))
    rows.append(row("alerts per patient-day (\(total.alerts.count))", total.alerts.perPatientDay, number))
    rows.append(row("  mean of patients", total.average.perPatientDay, number))
    rows.append(row("  false ones (\(total.alerts.isFalse))", total.alerts.falsePerPatientDay, number))
    rows.append(row("alerts that were true: PPV", total.alerts.predictiveValue, share))
    rows.append(row("  repeats (\(total.alerts.repeats)) counted once", total.alerts.predictiveValueOnce, share))
    rows.append(row("  mean of patients", total.average.predictiveValue, share))
    rows.append(row("alerts looked at for a true one", total.alerts.numberNeeded, number))
    if let lead = total.lead {
      rows.append(row("lead time, median", lead.median, time))
      rows.append(["  quarter to three quarters", "\(time(lead.p25)) to \(time(lead.p75))"])
      let useful = DurationText.format(report.options.convention.usefulLead)
      rows.append(row("  at least \(useful)", lead.usefulShare, share))
    }
    rows.append(row("F1", total.scores.f1, number))
    rows.append(row("F2", total.scores.f2, number))
    let basis = total.scores.isOverMoments ? "labelled moments" : "windows"
    rows.append(row("CinC 2015 score, over \(basis)", total.scores.cinc2015, number))
    rows.append(row("PhysioNet 2019 utility", total.scores.utility2019, number))
    lines.append(TextTable.format(rows, indent: "  "))
    lines.append("  notifications (starts, updates, escalations, ends): \(report.notifications)")
  }

  private mutating func addChance() {
    let chance = report.total.chance
    guard report.total.events.count > 0 else { return }
    section("BESIDE CHANCE")
    var rows: [[String]] = []
    if let rotation = chance.rotation {
      rows.append([
        "the same alerts, rotated", share(rotation.mean), "\(share(rotation.low))-\(share(rotation.high))",
        "\(rotation.count) rotations",
      ])
    }
    rows.append(["the best clock at this burden", chance.clock.map { share($0.sensitivity) } ?? "-"])
    let controls = "\(chance.controls) controls"
    rows.append(["matched controls with an alert", chance.controlRate.map(share) ?? "-", "", controls])
    rows.append(row("margin over matched controls", chance.margin, signed))
    lines.append(TextTable.format(rows, indent: "  "))
    if chance.unmatched > 0 { lines.append("  \(chance.unmatched) events have no control: nobody stayed as long") }
  }

  private mutating func addWindows() {
    let windows = report.total.windows
    section("WINDOWS OF \(DurationText.format(report.options.convention.window))")
    lines.append(
      "  TP \(windows.truePositives)  FP \(windows.falsePositives)  FN \(windows.falseNegatives)  TN "
        + "\(windows.trueNegatives)" + (windows.censored > 0 ? "  censored \(windows.censored)" : ""))
    var rows = [
      row("sensitivity", windows.sensitivity, share), row("specificity", windows.specificity, share),
      row("PPV", windows.predictiveValue, share),
    ]
    for benefit in windows.netBenefit {
      let title = "net benefit at \(StatsText.percent(benefit.threshold)) (always: \(small(benefit.alertAlways)))"
      rows.append(row(title, benefit.figure, small))
    }
    lines.append(TextTable.format(rows, indent: "  "))
    lines.append("  specificity grows with quiet time and shrinks with longer windows: compare it only with itself")
  }

  // MARK: Tables

  private mutating func addCurve(_ curve: SettingCurve?) {
    guard let curve else { return }
    section("THE RULE BY ITSELF, AS SET")
    var rows = [["SETTING", "ALERTS A DAY", "DETECTED", "SENSITIVITY", "95 %", "MARGIN", "95 %"]]
    for point in curve.points {
      func words(_ figure: Figure?, _ style: (Double) -> String) -> [String] {
        [
          figure.map { style($0.value) } ?? "-",
          figure?.interval.map { "\(style($0.lower)) to \(style($0.upper))" } ?? "",
        ]
      }
      rows.append(
        [point.name, words(point.burden, number)[0], "\(point.detected) of \(point.events)"]
          + words(point.sensitivity, share) + words(point.margin, signed))
    }
    lines.append(TextTable.format(rows, indent: "  "))
  }

  private mutating func addRows(_ title: String, _ rows: [EvaluationRow]) {
    guard !rows.isEmpty else { return }
    section(title)
    let head = ["", "ALERTS", "A DAY", "DETECTED", "SENSITIVITY", "CONTROLS", "MARGIN", "PPV", "LEAD"]
    let body = rows.prefix(EvaluationText.rowsMax).map { row in
      [
        key(row.key), "\(row.alerts.count)", row.alerts.perPatientDay.map { number($0.value) } ?? "-",
        "\(row.events.detected) of \(row.events.count)", interval(row.events.sensitivity, share),
        row.chance.controlRate.map(share) ?? "-", interval(row.chance.margin, signed),
        interval(row.alerts.predictiveValue, share), row.lead.map { time($0.median.value) } ?? "-",
      ]
    }
    lines.append(TextTable.format([head] + body, indent: "  "))
    addRest(rows.count)
  }

  private func key(_ key: EvaluationKey) -> String {
    switch key {
    case .all: "all"
    case .rule(let rule): rule.id
    case .priority(let priority): priority.text
    case .subgroup(let column, let value): "\(column) \(value ?? "unknown")"
    }
  }

  private mutating func addPatients(_ name: (Int) -> String) {
    section("BY PATIENT, MOST ALERTS FIRST")
    let sorted = report.patients.sorted { ($1.alerts, $0.patient) < ($0.alerts, $1.patient) }
    let body = sorted.prefix(EvaluationText.rowsMax).map { row in
      [
        name(row.patient), "\(row.alerts)", number(row.patientDays), "\(row.detected) of \(row.events)",
        "\(row.trueAlerts)", "\(row.isFalse)",
      ]
    }
    lines.append(TextTable.format([["PATIENT", "ALERTS", "DAYS", "DETECTED", "TRUE", "FALSE"]] + body, indent: "  "))
    addRest(sorted.count)
  }

  /// - Parameter stages: nil: nobody asked.
  private mutating func addStages(_ stages: [StageEffect]?) {
    guard let stages else { return }
    section("WITHOUT ONE STAGE")
    guard !stages.isEmpty else { return lines.append("  no stage held anything") }
    let body = stages.map { stage in
      [
        stage.stage, "\(stage.heldRows)", "\(stage.alerts)", number(stage.burden), "\(stage.detected)",
        stage.sensitivity.map(share) ?? "-",
      ]
    }
    lines.append(TextTable.format([["", "HELD", "ALERTS", "A DAY", "DETECTED", "SENSITIVITY"]] + body, indent: "  "))
  }

  private mutating func addHours() {
    section("BY HOUR OF THE DAY, UTC")
    let body = report.hours.map { ["\($0.hour)", "\($0.alerts)", "\($0.isFalse)", "\($0.events)"] }
    lines.append(TextTable.format([["HOUR", "ALERTS", "FALSE", "ONSETS"]] + body, indent: "  "))
  }

  private mutating func addRest(_ count: Int) {
    if count > EvaluationText.rowsMax { lines.append("  and \(count - EvaluationText.rowsMax) more; --json has all") }
  }

  private mutating func addNotes() {
    lines += [
      "",
      "bootstrap: whole patients drawn \(report.options.resamples) times, seed \(report.options.seed); bca: corrected for "
        + "bias and skewness;",
      "wilson, exact: over patients who each give one answer. Clock: chosen on these very events, which flatters it.",
      "data \(report.dataDigest.prefix(19)), rules \(report.rulesVersion.prefix(19))",
    ]
  }
}
