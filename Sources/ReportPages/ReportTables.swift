import Statistics
import VitalModel

/// Tables of an evaluation: all figures, right and wrong answers, rules, priorities and groups.
struct ReportTables {
  let report: EvaluationReport
  /// Rows shown of rules and groups; `--json` has all.
  static let rowsMax = 60

  // MARK: All figures

  func writeFigures(to out: inout PageText) {
    let total = report.total
    let useful = report.options.convention.usefulLead
    var figures = [
      PageFigure(
        "Events detected", total.events.sensitivity, note: "\(total.events.detected) of \(total.events.count)"),
      PageFigure("counting only alerts before the onset", total.chance.beforeOnset),
      PageFigure("mean of patients", total.average.sensitivity),
      PageFigure("Margin over matched controls", total.chance.margin, .signed, note: matched),
      PageFigure("Alerts per patient-day", total.alerts.perPatientDay, .number, note: "\(total.alerts.count) alerts"),
      PageFigure("mean of patients", total.average.perPatientDay, .number),
      PageFigure("false ones", total.alerts.falsePerPatientDay, .number, note: "\(total.alerts.isFalse) alerts"),
      PageFigure("Alerts that were true (PPV)", total.alerts.predictiveValue),
      PageFigure(
        "repeats counted once", total.alerts.predictiveValueOnce, note: "\(total.alerts.repeats) repeats"),
      PageFigure("Alerts looked at for a true one", total.alerts.numberNeeded, .number),
    ]
    if let lead = total.lead {
      figures.append(
        PageFigure(
          "Lead time, median", lead.median, .duration,
          note: "half between \(PageNumbers.duration(lead.p25)) and \(PageNumbers.duration(lead.p75))"))
      figures.append(PageFigure("with at least \(DurationText.format(useful)) of lead", lead.usefulShare))
    }
    figures += [
      PageFigure("F1 over events and false alerts", total.scores.f1, .number),
      PageFigure("F2 over events and false alerts", total.scores.f2, .number),
      PageFigure(
        "CinC 2015 score", total.scores.cinc2015, .number,
        note: "over \(total.scores.isOverMoments ? "labelled moments" : "windows")"),
      PageFigure(
        "PhysioNet 2019 utility", total.scores.utility2019, .number, note: "made for hourly records of sepsis"),
    ]
    figures += total.windows.netBenefit.map { benefit in
      PageFigure(
        "Net benefit of windows at \(FigureStyle.share.text(benefit.threshold))", benefit.figure, .signed,
        note: "alerting always: \(FigureStyle.signed.text(benefit.alertAlways))")
    }
    out.figures("All figures", figures)
  }

  private var matched: String {
    let chance = report.total.chance
    let rate = chance.controlRate.map { FigureStyle.share.text($0) } ?? "–"
    return "\(rate) of \(chance.controls) controls had an alert"
      + (chance.unmatched > 0 ? "; \(chance.unmatched) events have none" : "")
  }

  // MARK: Right and wrong

  func writeConfusion(to out: inout PageText) {
    let (events, alerts, windows) = (report.total.events, report.total.alerts, report.total.windows)
    out.table(
      "Events", head: ["", "Events", "Patients"],
      rows: [
        ["found", "\(events.detected)", "\(events.patientsDetected)"],
        ["missed", "\(events.count - events.detected)", "\(events.patients - events.patientsDetected)"],
      ])
    out.table(
      "Alerts", head: ["", "Alerts"],
      rows: [
        ["true, the first for an event", "\(alerts.credited)"], ["true, a repeat", "\(alerts.repeats)"],
        ["false", "\(alerts.isFalse)"], ["neither: inside an event, too late", "\(alerts.neutral)"],
        ["neither: where nobody can say", "\(alerts.censored)"],
      ])
    out.table(
      "Windows of \(DurationText.format(report.options.convention.window))",
      head: ["", "With an event", "Without"],
      rows: [
        ["with an alert", "\(windows.truePositives)", "\(windows.falsePositives)"],
        ["without an alert", "\(windows.falseNegatives)", "\(windows.trueNegatives)"],
      ])
    out.figures(
      "Rates over windows",
      [
        PageFigure("Sensitivity", windows.sensitivity), PageFigure("Specificity", windows.specificity),
        PageFigure("Predictive value", windows.predictiveValue),
      ])
    if windows.censored > 0 {
      out.paragraph("\(windows.censored) windows touch a stretch nobody can judge and are left out.")
    }
  }

  // MARK: Rows

  func writeRules(to out: inout PageText) {
    out.table(
      "By rule, each as if it were alone", head: ReportTables.head,
      rows: rows(report.rules.sorted { ($1.alerts.count, name($0.key)) < ($0.alerts.count, name($1.key)) }))
    if report.priorities.count > 1 {
      out.table("By priority, each as if it were alone", head: ReportTables.head, rows: rows(report.priorities))
    }
  }

  func writeGroups(to out: inout PageText) {
    out.paragraph("Small groups have wide intervals: a difference within them is not one.")
    out.table("By group of patients", head: ReportTables.head, rows: rows(report.subgroups))
  }

  private static let head = [
    "", "Patients", "Alerts", "A patient-day", "Detected", "Sensitivity", "Controls", "Margin", "PPV", "Lead, median",
  ]

  private func rows(_ rows: [EvaluationRow]) -> [[String]] {
    rows.prefix(ReportTables.rowsMax).map { row in
      [
        name(row.key), "\(row.patients)", "\(row.alerts.count)", FigureStyle.number.both(row.alerts.perPatientDay),
        "\(row.events.detected) of \(row.events.count)", FigureStyle.share.both(row.events.sensitivity),
        row.chance.controlRate.map { FigureStyle.share.text($0) } ?? "–", FigureStyle.signed.both(row.chance.margin),
        FigureStyle.share.both(row.alerts.predictiveValue), FigureStyle.duration.text(row.lead?.median),
      ]
    }
  }

  private func name(_ key: EvaluationKey) -> String {
    switch key {
    case .all: "all"
    case .rule(let rule): rule.id
    case .priority(let priority): priority.text
    case .subgroup(let column, let value): "\(column) \(value ?? "unknown")"
    }
  }
}
