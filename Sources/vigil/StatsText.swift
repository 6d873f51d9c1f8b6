import Statistics
import VitalModel

/// Figures for somebody who runs a ward: narrow tables, each figure with what it rests on.
struct StatsText {
  private let report: FeedbackReport
  private let name: (UInt32) -> String
  private var lines: [String] = []
  /// Rows shown of patients and of what was held; `--json` has all.
  private static let rowsMax = 12

  /// - Parameter by: only this table; nil: every one that names no patient.
  init(_ report: FeedbackReport, by: String?, name: @escaping (UInt32) -> String) {
    self.report = report
    self.name = name
    addHead()
    if by == nil || by == "rule" { addRows("WHAT PEOPLE SAID, BY RULE", report.rules) }
    if by == nil || by == "unit" { addRows("BY UNIT", report.units) }
    if by == nil || by == "week" { addRows("BY WEEK", report.weeks) }
    if by == "patient" { addRows("BY PATIENT", report.byPatient) }
    if by == nil || by == "unit" { addShifts() }
    if by == nil { addAnswers() }
    if by == nil || by == "patient" { addConcentration(naming: by == "patient") }
    if by == nil { addHeld() }
    addNotes()
  }

  var text: String { lines.joined(separator: "\n") }

  // MARK: Head

  private mutating func addHead() {
    let total = report.total
    let (from, to) = (StatsText.minute(report.range.lowerBound), StatsText.minute(report.range.upperBound))
    lines.append("\(from) to \(to) UTC" + (report.isSimulated ? "  (SIMULATED DATA)" : ""))
    lines.append(
      "\(report.patients) patients, \(StatsText.number(report.patientDays)) patient-days, by "
        + (report.watchSource == .samples ? "their samples" : "their first and last alerts"))
    var alerts = "\(total.alerts) alerts of \(total.patients) patients"
    if let burden = total.burden { alerts += ": \(StatsText.rate(burden)) per patient-day" }
    lines.append(alerts)
    lines.append(
      "\(total.notifications) notifications, \(total.realarms) re-alarms, \(total.escalations) escalations")
    var worth = "\(total.acknowledged) acknowledged, \(total.labelled) of them with a class"
    if let value = total.predictiveValue {
      worth += "; PPV \(StatsText.percent(value.value)) (\(StatsText.interval(value)))"
    }
    lines.append(worth + "; unlabelled \(StatsText.percent(total.unlabelledShare))")
  }

  private mutating func section(_ title: String) { lines += ["", title] }

  // MARK: Tables

  private mutating func addRows(_ title: String, _ rows: [FeedbackRow]) {
    guard !rows.isEmpty else { return }
    section(title)
    var head = ["ALERTS", "A DAY", "ACTIONABLE", "PPV", "95 %", "UNLABELLED"]
    switch rows[0].key {
    case .rule: head.insert(contentsOf: ["RULE", "VERSION"], at: 0)
    case .unit: head.insert("UNIT", at: 0)
    case .week: head.insert("WEEK", at: 0)
    default: head.insert("PATIENT", at: 0)
    }
    let body = rows.map { row in
      keys(row.key) + [
        "\(row.alerts)", row.burden.map { StatsText.number($0.value) } ?? "-",
        row.labelled > 0 ? "\(row.actionable) of \(row.labelled)" : "-",
        row.predictiveValue.map { StatsText.percent($0.value) } ?? "-",
        row.predictiveValue.map(StatsText.interval) ?? "-", StatsText.percent(row.unlabelledShare),
      ]
    }
    lines.append(TextTable.format([head] + body, indent: "  "))
  }

  private func keys(_ key: FeedbackKey) -> [String] {
    switch key {
    case .all: ["all"]
    case .rule(let id, let version, _): [id, String(version.drop { $0 != ":" }.dropFirst().prefix(8))]
    case .unit(let unit): [unit ?? "unknown"]
    case .week(let week): [week.text]
    case .patient(let number): [name(number)]
    }
  }

  private mutating func addShifts() {
    guard !report.shifts.isEmpty else { return }
    section("BY NURSE SHIFT OF \(DurationText.format(report.options.shift))")
    let head = ["UNIT", "SHIFTS", "ALERTS", "A SHIFT", "A NURSE", "BUSIEST"]
    let body = report.shifts.map { figures in
      [
        figures.unit ?? "unknown", "\(figures.shifts)", "\(figures.alerts)", StatsText.number(figures.perShift),
        figures.perNurse.map(StatsText.number) ?? "-",
        figures.busiestStart.map { "\(figures.busiest), from \(StatsText.minute($0))" } ?? "-",
      ]
    }
    lines.append(TextTable.format([head] + body, indent: "  "))
    lines.append("  a nurse: with \(report.options.patientsPerNurse) patients (--patients-per-nurse)")
  }

  private mutating func addAnswers() {
    guard report.total.alerts > 0 else { return }
    section("TIME TO AN ANSWER")
    let head = ["PRIORITY", "ALERTS", "ACCEPTED", "MEDIAN", "90 %", "ACKNOWLEDGED", "MEDIAN", "90 %"]
    let body = zip(report.accept, report.acknowledge).map { accept, acknowledge in
      [
        accept.priority?.text ?? "all", "\(accept.alerts)", "\(accept.answered)", StatsText.wait(accept.median),
        StatsText.wait(accept.p90), "\(acknowledge.answered)", StatsText.wait(acknowledge.median),
        StatsText.wait(acknowledge.p90),
      ]
    }
    lines.append(TextTable.format([head] + body, indent: "  "))
  }

  private mutating func addConcentration(naming: Bool) {
    let spread = report.concentration
    guard !spread.ranks.isEmpty else { return }
    section("NOISY PATIENTS")
    lines.append(
      "  the noisiest \(spread.top) of \(spread.patients) patients give \(StatsText.percent(spread.topShare)) of all "
        + "alerts; elsewhere the noisiest tenth gave 57 to 82 %")
    let head = [naming ? "PATIENT" : "RANK", "ALERTS", "SHARE", "TOGETHER"]
    let body = spread.ranks.prefix(StatsText.rowsMax).enumerated().map { index, rank in
      [
        naming ? name(rank.patient) : "\(index + 1)", "\(rank.alerts)", StatsText.percent(rank.share),
        StatsText.percent(rank.cumulative),
      ]
    }
    lines.append(TextTable.format([head] + body, indent: "  "))
    addRest(spread.ranks.count)
    if !naming { lines.append("  who they are: --by patient") }
  }

  private mutating func addHeld() {
    guard !report.held.isEmpty else { return }
    section("HELD, NOT SENT")
    let most = report.held.enumerated().sorted { ($1.element.count, $0.offset) < ($0.element.count, $1.offset) }
    let body = most.prefix(StatsText.rowsMax).map {
      [$0.element.stage.rawValue, $0.element.rule, "\($0.element.count)"]
    }
    lines.append(TextTable.format([["STAGE", "RULE", "CANDIDATES"]] + body, indent: "  "))
    addRest(report.held.count)
  }

  private mutating func addRest(_ count: Int) {
    if count > StatsText.rowsMax { lines.append("  and \(count - StatsText.rowsMax) more; --json has all") }
  }

  private mutating func addNotes() {
    lines += [
      "",
      "PPV: actionable of labelled alerts. Intervals: 95 %, patients resampled (\(PatientBootstrap.resamples) times, seed "
        + "\(report.options.seed));",
      "marked e: exact, by patients; none from one patient alone, and too narrow from fewer than ten.",
    ]
  }

  // MARK: Words

  /// `2026-11-20 22:38`.
  static func minute(_ time: Int64) -> String {
    let text = Timestamp.format(time)
    return text.prefix(10) + " " + text.dropFirst(11).prefix(5)
  }

  /// Two digits behind the point below ten, one below a hundred, none above.
  static func number(_ value: Double) -> String {
    let places = abs(value) < 10 ? 100.0 : abs(value) < 100 ? 10 : 1
    let scaled = Int64((value * places).rounded())
    guard places > 1 else { return "\(scaled)" }
    return DecimalValue(mantissa: scaled, exponent: places > 10 ? -2 : -1).description
  }

  /// Whole per cent; what is not nothing or all is never shown as that.
  static func percent(_ share: Double) -> String {
    let whole = Int((share * 100).rounded())
    if share > 0, whole == 0 { return "<1 %" }
    if share < 1, whole == 100 { return ">99 %" }
    return "\(whole) %"
  }

  private static func rate(_ estimate: Estimate) -> String {
    guard let interval = estimate.interval else { return number(estimate.value) }
    return "\(number(estimate.value)) (\(number(interval.lower))-\(number(interval.upper)))"
  }

  /// `11-35`, exact ones with an `e`.
  private static func interval(_ estimate: Estimate) -> String {
    guard let interval = estimate.interval else { return "one patient" }
    let bounds = "\(Int((interval.lower * 100).rounded()))-\(Int((interval.upper * 100).rounded()))"
    return interval.method == .clopperPearson ? bounds + " e" : bounds
  }

  private static func wait(_ milliseconds: Int64?) -> String {
    guard let milliseconds else { return "-" }
    let seconds = milliseconds / 1000
    if seconds < 120 { return "\(seconds) s" }
    if seconds < 7200 { return "\(seconds / 60) min" }
    return "\(seconds / 3600) h \(seconds / 60 % 60) min"
  }
}
