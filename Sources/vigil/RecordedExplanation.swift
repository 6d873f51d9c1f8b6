import AlertJournal
import Foundation
import Pipeline
import Recordings
import Service
import VitalModel

/// `vigil explain --recording`: an alert's evidence out of the recording it came from.
///
/// The recording is replayed for the alert's patient, and once more for that patient alone with the evidence written down:
/// the same engine gives the same alert again.
struct RecordedExplanation {
  /// What `replay` understands of these it understands too.
  static let flags = ReplayCommand.command.flags.filter {
    [
      "--rules", "--set", "--from", "--to", "--patients", "--threads", "--events", "--roster", "--alerting",
      "--without", "--epoch", "--device", "--map", "--columns", "--tenant",
    ].contains($0.name)
  }

  /// Ids met that begin as the one asked for.
  private final class Search {
    let prefix: String
    /// Patient by alert id.
    var found: [String: String] = [:]
    /// A few others, for a slip of the pen.
    var others: Set<String> = []
    init(_ prefix: String) { self.prefix = prefix }

    func take(_ document: AlertDocument) {
      if document.alertID.hasPrefix(prefix) {
        found[document.alertID] = document.patient
      } else if others.count < 10_000 {
        others.insert(document.alertID)
      }
    }
  }

  /// The alert's transitions and its patient's held candidates.
  private final class Facts {
    let id: String
    var transitions: [Transition] = []
    var held: [LedgerRow] = []
    init(_ id: String) { self.id = id }

    func take(_ output: ReplayOutput) {
      switch output {
      case .told(let transition) where transition.document.alertID == id: transitions.append(transition)
      case .held(let row): held.append(row)
      default: return
      }
    }
  }

  /// Stages that held other candidates are shown this far around the alert, milliseconds.
  private static let neighbourhood: Int64 = 600_000

  private let arguments: Arguments
  private let inputs: RecordingInputs
  private let files: RuleFiles
  private let options: ReplaySession.Options

  init(_ arguments: Arguments) throws(CommandFailure) {
    self.arguments = arguments
    for flag in ["--store", "--master-key"] where arguments.has(flag) {
      throw CommandFailure(ExitCode.usage, "explain: give either `--recording` or `\(flag)`")
    }
    let path = arguments.value("--rules") ?? "Rules"
    let isFile = path.hasSuffix(".yaml") || path.hasSuffix(".yml")
    let set = arguments.value("--set") ?? (isFile ? nil : "adult-ward")
    let plan: RulePlan
    do throws(RuleFiles.Failure) {
      files = try RuleFiles.read(path)
      plan = try files.plan(set: set)
    } catch {
      throw CommandFailure(ExitCode.badConfiguration, error.description)
    }
    inputs = try RecordingInputs(
      arguments, files: files, plan: plan, setName: set ?? "all", paths: arguments.all("--recording"))
    options = try ReplayCommand.options(arguments, inputs.registry, rules: plan.rules)
  }

  /// What `vigil explain` prints, as text with the vitals drawn, or as JSON.
  func explain(_ id: String) throws(CommandFailure) -> String {
    let (id, patient) = try find(id)
    let facts = Facts(id)
    var options = options
    options.engine.recordsEvidence = true
    options.wanted = [.told, .held]
    // Patients that are judged together stay together.
    if !options.joinsPatients, !patient.isEmpty { options.patients = [patient] }
    let session = ReplaySession(plan: inputs.plan, options: options) { facts.take($0) }
    try ReplayCommand.feed(session, inputs, arguments)
    _ = session.finish(seconds: 0)
    let explanation = explanation(facts)
    guard let span = span(facts) else { throw unknown(id, []) }
    let traces = AlertTraces(of: [span], registry: inputs.registry)
    try ReplayCommand.trace(traces, inputs)
    let drawn = traces.traces(of: 0)
    guard !arguments.has("--json") else { return json(explanation, drawn) }
    var text = ExplanationText(explanation).text
    if !drawn.isEmpty { text += "\n\nrecorded around it (^ onset, ] end)" }
    for line in drawn.flatMap({ $0.lines(onset: span.onset, end: span.end) }) { text += "\n   " + line }
    return text
  }

  // MARK: Finding

  private func find(_ id: String) throws(CommandFailure) -> (id: String, patient: String) {
    let search = Search(id)
    var options = options
    options.wanted = [.told, .held]
    let session = ReplaySession(plan: inputs.plan, options: options) { output in
      switch output {
      case .told(let transition): search.take(transition.document)
      case .held(let row): search.take(row.document)
      case .toldLine, .heldLine: return
      }
    }
    try ReplayCommand.feed(session, inputs, arguments)
    _ = session.finish(seconds: 0)
    let matches = search.found.keys.sorted()
    if let patient = search.found[id] { return (id, patient) }
    guard let only = matches.first, id.count >= 3 else { throw unknown(id, search.others) }
    guard matches.count == 1 else {
      let more = matches.count > 3 ? " and \(matches.count - 3) more" : ""
      throw CommandFailure(
        ExitCode.failed,
        "`\(id)` is the beginning of \(matches.count) alerts: \(matches.prefix(3).joined(separator: ", "))\(more)")
    }
    return (only, search.found[only] ?? "")
  }

  private func unknown(_ id: String, _ others: Set<String>) -> CommandFailure {
    let hint = Arguments.nearest(id, others.sorted()).map { ", did you mean `\($0)`?" } ?? ""
    return CommandFailure(
      ExitCode.failed,
      "no alert `\(id)` in \(inputs.paths.joined(separator: ", ")) with rule set \(inputs.setName)\(hint)"
        + " (an id depends on rules, tenant and `--epoch`: give them as the replay had them)")
  }

  // MARK: Telling

  private func span(_ facts: Facts) -> AlertSpan? {
    var spans = AlertSpans()
    for transition in facts.transitions { spans.take(transition.document) }
    if let span = spans.all.first { return span }
    guard let row = facts.held.last(where: { $0.document.alertID == facts.id }) else { return nil }
    var document = row.document
    document.phase = .start
    spans.take(document)
    return spans.all.first
  }

  private func explanation(_ facts: Facts) -> AlertExplanation {
    let transitions = facts.transitions.map { transition in
      StoredTransition(
        alertID: facts.id, sequence: transition.document.sequence, patient: transition.patient,
        position: transition.position, detectedTime: transition.document.detectedTime,
        onsetTime: transition.document.onsetTime, phase: transition.document.phase, state: transition.document.state,
        priority: transition.document.priority, kind: transition.document.kind, isNotified: transition.isNotified,
        document: transition.document.json, evidence: transition.evidence)
    }
    let own = transitions.isEmpty ? facts.held.last { $0.document.alertID == facts.id } : nil
    let document = facts.transitions.first?.document ?? own?.document
    let time = document?.detectedTime ?? 0
    let near = facts.held.filter {
      abs($0.document.detectedTime - time) <= RecordedExplanation.neighbourhood
        && $0.document.patient == document?.patient
    }
    let rule = document.flatMap { RuleDifference.document(ofRule: $0.ruleID, in: files.sources) }
    return AlertExplanation(
      alertID: facts.id, transitions: transitions, candidate: own.map(stored), held: near.map(stored), deliveries: [],
      waiting: [], rule: rule.map { .init(path: $0.path, set: inputs.setName, text: $0.text) }, isReplayed: true)
  }

  private func stored(_ row: LedgerRow) -> StoredLedgerRow {
    StoredLedgerRow(
      detectedTime: row.document.detectedTime, position: row.position, patient: row.patient, ordinal: 0,
      document: row.document.json)
  }

  private func json(_ explanation: AlertExplanation, _ traces: [VitalTrace]) -> String {
    var out = JSONText()
    out.object { out in
      out.raw("explanation", explanation.json)
      out.array("traces") { list in for trace in traces { trace.write(to: &list) } }
    }
    return out.text
  }
}
