import Statistics

/// An evaluation as one self-contained page: no outside request, no script.
package struct EvaluationPage: Sendable {
  private let material: PageMaterial

  /// - Parameters:
  ///   - points: settings tried, if there were several.
  ///   - clock: what the best clock detects at several burdens, for the line of chance.
  ///   - stages: what stages are worth, if the recording was replayed without them.
  ///   - traces: stretches to draw.
  package init(
    report: EvaluationReport, subject: PageSubject = PageSubject(), points: [OperatingPoint] = [],
    clock: [ClockPoint] = [], stages: [StageEffect] = [], traces: [PatientTrace] = []
  ) {
    material = PageMaterial(
      report: report, subject: subject, points: points, clock: clock, stages: stages, traces: traces, isTuning: false)
  }

  /// Equal values give equal text.
  package var html: String {
    let sections = PageSections(material: material)
    return sections.page(
      title: material.subject.title.isEmpty ? "What these rules find, miss and cost" : material.subject.title
    ) { out in
      sections.writeTiles(to: &out)
      sections.writeBody(to: &out)
    }
  }
}

/// The parts evaluations and tunings share, in their order.
struct PageSections {
  let material: PageMaterial
  private var report: EvaluationReport { material.report }
  private var tables: ReportTables { ReportTables(report: report) }

  func page(title: String, _ body: (inout PageText) -> Void) -> String {
    var out = PageText()
    out.raw("<!DOCTYPE html>\n<html lang=\"en-GB\">\n<head>\n<meta charset=\"utf-8\"/>\n")
    out.raw("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n")
    // Whatever stood in a name, the page can fetch nothing.
    let policy = "default-src 'none'; style-src 'unsafe-inline'"
    out.raw("<meta http-equiv=\"Content-Security-Policy\" content=\"\(policy)\"/>\n")
    out.raw("<meta name=\"referrer\" content=\"no-referrer\"/>\n")
    out.words("title", title)
    out.raw("<style>\n\(PageStyle.css)\n</style>\n</head>\n<body>\n")
    out.element("header") {
      $0.words("h1", title)
      $0.words("p", summary, "class=\"quiet\"")
    }
    out.element("main") { body(&$0) }
    out.raw("</body>\n</html>\n")
    return out.text
  }

  private var summary: String {
    let total = report.total
    return (material.subject.recording.isEmpty ? "" : material.subject.recording + ": ")
      + "\(total.patients) patients, \(PageNumbers.number(total.patientDays)) patient-days, \(total.events.count) events "
      + "(\(report.kinds.joined(separator: ", "))) of \(total.events.patients) patients, \(total.alerts.count) alerts."
  }

  /// The four figures to begin with, chance beside them.
  func writeTiles(to out: inout PageText) {
    let total = report.total
    out.element("ul", "class=\"tiles\"") {
      tile("events found", .share, total.events.sensitivity, chance, to: &$0)
      tile("alerts per patient-day", .number, total.alerts.perPatientDay, "of \(total.alerts.count) alerts", to: &$0)
      tile(
        "margin over matched controls", .signed, total.chance.margin,
        total.chance.controlRate.map { "\(FigureStyle.share.text($0)) of controls had an alert; nought is chance" }
          ?? "",
        to: &$0)
      tile(
        "of alerts were true", .share, total.alerts.predictiveValue,
        total.alerts.numberNeeded.map { "\(FigureStyle.number.text($0)) looked at for a true one" } ?? "", to: &$0)
    }
  }

  private var chance: String {
    guard let clock = report.total.chance.clock else { return "" }
    return "a clock at this burden: \(FigureStyle.share.text(clock.sensitivity))"
      + (report.total.chance.rotation.map { ", alerts rotated: \(FigureStyle.share.text($0.mean))" } ?? "")
  }

  private func tile(
    _ name: String, _ style: FigureStyle, _ figure: Figure?, _ note: String, to out: inout PageText
  ) {
    out.element("li") {
      $0.words("b", style.text(figure))
      $0.words("span", name)
      $0.words("div", "95 %: \(style.interval(figure))", "class=\"quiet\"")
      if !note.isEmpty { $0.words("div", note, "class=\"quiet\"") }
    }
  }

  /// Everything from the curves to the method.
  func writeBody(to out: inout PageText) {
    out.section("curves", "What is found, and what it costs") { BurdenCharts(material: material).write(to: &$0) }
    out.section("counts", "When, and of whom") { CountCharts(material: material).write(to: &$0) }
    if !material.stages.isEmpty {
      out.section("stages", "What suppression is worth") { StageChart(material: material).write(to: &$0) }
    }
    if !material.traces.isEmpty {
      out.section("traces", "Cases to look at") { TraceCharts(material: material).write(to: &$0) }
    }
    out.section("confusion", material.isTuning ? "Right and wrong at the chosen setting" : "Right and wrong") {
      tables.writeConfusion(to: &$0)
    }
    out.section("windows", "Window by window") { WindowCharts(material).write(to: &$0) }
    out.section("figures", "All figures") { tables.writeFigures(to: &$0) }
    if !report.rules.isEmpty { out.section("rules", "By rule") { tables.writeRules(to: &$0) } }
    if !report.subgroups.isEmpty { out.section("groups", "By group of patients") { tables.writeGroups(to: &$0) } }
    out.section("method", "How this was found") { MethodBox(material: material).write(to: &$0) }
  }
}
