import Foundation
import Pipeline
import Recordings
import Service
import VitalModel

/// `vigil replay --compare`: two sets of rules over the same rows, read once.
extension ReplayCommand {
  /// Changed alerts drawn with their vitals; `--json` and the table have all.
  private static let tracesMax = 200

  /// What one set of rules told.
  private final class Told {
    var spans = AlertSpans()
  }

  static func compare(_ other: String, _ arguments: Arguments) throws(CommandFailure) -> Int32 {
    for flag in ["--mqtt", "--alerts", "--suppressed", "--ablate", "--stage-report", "--resume"]
    where arguments.has(flag) {
      throw CommandFailure(ExitCode.usage, "replay: `--compare` and `\(flag)` do not go together")
    }
    let inputs = try RecordingInputs(arguments)
    let second = try plan(comparedWith: other, arguments)
    guard second.plan.registry.vitals == inputs.registry.vitals else {
      throw CommandFailure(
        ExitCode.badConfiguration, "\(other): vitals.yaml differs, so that the rows would read otherwise")
    }
    let first = try options(arguments, inputs.registry, rules: inputs.plan.rules)
    var sides: [(told: Told, session: ReplaySession)] = []
    for plan in [inputs.plan, second.plan] {
      let told = Told()
      let session = ReplaySession(plan: plan, options: try options(arguments, inputs.registry, rules: plan.rules)) {
        if case .told(let transition) = $0 { told.spans.take(transition.document) }
      }
      sides.append((told, session))
    }
    let stays = StayRecorder(options: first)
    try feed(ReplayGroup(sides.map(\.session)), inputs, arguments) { stays.note($0, names: $1) }
    let summaries = sides.map { $0.session.finish(seconds: 0) }
    let comparison = AlertComparison(before: sides[0].told.spans.all, after: sides[1].told.spans.all)
    let changes = Changes(comparison)
    let drawn = changes.spans.prefix(tracesMax)
    let traces = AlertTraces(of: Array(drawn), registry: inputs.registry)
    if !drawn.isEmpty { try trace(traces, inputs) }
    let names = [inputs.setName, second.name]
    let days = stays.cohort.patientDays
    if arguments.has("--json") {
      printLine(json(changes, comparison, summaries, [inputs.plan, second.plan], names, days, traces, drawn.count))
    } else {
      printText(changes, comparison, summaries, names, days, traces, drawn.count)
    }
    return ExitCode.ok
  }

  /// Rules named by a directory, a file, or the name of a set in the directory of the first ones.
  private static func plan(
    comparedWith other: String, _ arguments: Arguments
  ) throws(CommandFailure) -> (plan: RulePlan, name: String) {
    let isPath = FileManager.default.fileExists(atPath: other)
    let isFile = other.hasSuffix(".yaml") || other.hasSuffix(".yml")
    let path = isPath || isFile ? other : arguments.value("--rules") ?? "Rules"
    let set =
      isPath || isFile
      ? arguments.value("--compare-set") ?? (isFile ? nil : arguments.value("--set") ?? "adult-ward") : other
    do throws(RuleFiles.Failure) {
      return (try RuleFiles.read(path).plan(set: set), isPath || isFile ? other : set ?? other)
    } catch {
      throw CommandFailure(ExitCode.badConfiguration, error.description)
    }
  }

  /// Reads the recording once more for the vitals around alerts, as the file has it: in any order.
  static func trace(_ traces: AlertTraces, _ inputs: RecordingInputs) throws(CommandFailure) {
    let reader = inputs.reader { _ in }
    try inputs.forEach(reader) { row in
      traces.note(row, names: reader.names)
      return true
    }
  }

  /// Changed alerts in one list, for numbering.
  private struct Changes {
    var marks: [String] = []
    /// What is shown of each: of a moved one as the second rules tell it.
    var spans: [AlertSpan] = []
    var lines: [String] = []

    init(_ comparison: AlertComparison) {
      for (mark, spans) in [("gained", comparison.gained), ("lost", comparison.lost)] {
        for span in spans { add(mark, span, ComparisonText.line(mark, span)) }
      }
      for (before, after) in comparison.moved { add("moved", after, ComparisonText.line(moved: before, to: after)) }
    }

    private mutating func add(_ mark: String, _ span: AlertSpan, _ line: String) {
      marks.append(mark)
      spans.append(span)
      lines.append(line)
    }
  }

  private static func rate(_ count: Int, _ days: Double) -> Double? { days > 0 ? Double(count) / days : nil }

  private static func printText(
    _ changes: Changes, _ comparison: AlertComparison, _ summaries: [ReplaySession.Summary], _ names: [String],
    _ days: Double, _ traces: AlertTraces, _ drawn: Int
  ) {
    for (summary, name) in zip(summaries, names) {
      let rate = rate(summary.alerts, days).map { String(format: "%.2f", $0) } ?? "-"
      printLine("\(name): \(summary.alerts) alerts, \(rate) a patient-day, \(summary.suppressed) held")
    }
    printLine(ComparisonText.table(comparison))
    for (index, line) in changes.lines.enumerated() {
      printLine(line)
      guard index < drawn else { continue }
      for trace in traces.traces(of: index) {
        let span = changes.spans[index]
        for text in trace.lines(onset: span.onset, end: span.end) { printLine("    " + text) }
      }
    }
    if changes.lines.count > drawn {
      printError("vigil: vitals drawn of the first \(drawn) of \(changes.lines.count) changed alerts")
    }
  }

  private static func json(
    _ changes: Changes, _ comparison: AlertComparison, _ summaries: [ReplaySession.Summary], _ plans: [RulePlan],
    _ names: [String], _ days: Double, _ traces: AlertTraces, _ drawn: Int
  ) -> String {
    var out = JSONText()
    out.object { out in
      for (index, key) in ["before", "after"].enumerated() {
        out.object(key) {
          $0.field("rules", names[index])
          $0.field("version", plans[index].version)
          $0.field("alerts", summaries[index].alerts)
          $0.field("suppressed", summaries[index].suppressed)
          $0.field("alerts_per_patient_day", rate(summaries[index].alerts, days))
        }
      }
      out.field("patient_days", days)
      out.array("rules") { list in
        for count in comparison.counts {
          list.object {
            $0.field("rule", count.rule)
            $0.field("before", count.before)
            $0.field("after", count.after)
            $0.field("gained", count.gained)
            $0.field("lost", count.lost)
          }
        }
      }
      out.array("changes") { list in
        for (index, span) in changes.spans.enumerated() {
          list.object {
            $0.field("change", changes.marks[index])
            $0.field("patient", span.patient)
            $0.field("rule", span.rule)
            $0.field("version", span.version)
            $0.field("priority", span.priority.text)
            $0.field("onset", Timestamp.format(span.onset))
            $0.field("detected", Timestamp.format(span.detected))
            $0.field("end", span.end.map(Timestamp.format))
            $0.field("message", span.message)
            if index < drawn {
              $0.array("traces") { list in for trace in traces.traces(of: index) { trace.write(to: &list) } }
            }
          }
        }
      }
    }
    return out.text
  }
}
