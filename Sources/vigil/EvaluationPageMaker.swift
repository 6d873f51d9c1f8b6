import Foundation
import Recordings
import ReportPages
import Service
import Statistics
import VitalModel

/// Writes the page of `evaluate --report`: reads the recording once more for the few stretches it draws.
struct EvaluationPageMaker {
  let source: any EvaluationSource
  let arguments: Arguments

  func write(
    _ report: EvaluationReport, _ input: EvaluationInput, _ names: [String], points: [OperatingPoint] = [],
    stages: [StageEffect], to target: String
  ) throws(CommandFailure) {
    let page = EvaluationPage(
      report: report, subject: subject(names), points: points, clock: clock(report, input, points), stages: stages,
      traces: try traces(report, input, names))
    try EvaluationPageMaker.save(page.html, to: target)
  }

  /// What the page says of its recording; patients are named only if asked for.
  func subject(_ names: [String]) -> PageSubject {
    let files = source.paths.map { URL(fileURLWithPath: $0).lastPathComponent }
    var subject = PageSubject()
    subject.recording = files.count > 3 ? "\(files.count) files" : files.joined(separator: ", ")
    subject.program = "vigil \(Program.version)"
    if arguments.has("--report-ids") {
      subject.patientName = { position in names.indices.contains(position) ? names[position] : "" }
    }
    return subject
  }

  /// As far as the drawing goes.
  func clock(_ report: EvaluationReport, _ input: EvaluationInput, _ points: [OperatingPoint]) -> [ClockPoint] {
    let burdens = points.filter { $0.isOnFront || $0.isChosen || $0.isToday }.compactMap(\.burden?.value)
    let most = 2 * max(burdens.max() ?? 0, report.total.alerts.perPatientDay?.value ?? 0)
    guard most > 0 else { return [] }
    let steps = (0...EvaluationPageMaker.clockSteps).map { Double($0) / Double(EvaluationPageMaker.clockSteps) }
    return ClockPolicy.curve(input.cohort, report.options.convention, burdens: steps.map { $0 * most })
  }

  private static let clockSteps = 16

  func traces(
    _ report: EvaluationReport, _ input: EvaluationInput, _ names: [String]
  ) throws(CommandFailure) -> [PatientTrace] {
    let picks = TracePicks(input, report.options.convention).picks
    guard !picks.isEmpty else { return [] }
    let recorder = TraceRecorder(picks, registry: source.registry, names: names, options: source.session)
    try source.draw(recorder)
    return recorder.traces
  }

  static func save(_ html: String, to target: String) throws(CommandFailure) {
    try OutputFile.write(html, to: target)
  }
}
