import AlertJournal
import Foundation
import Pipeline
import Recordings
import Service
import VitalModel

/// What another version of the rules would tell: by replay, and by what trials have left in the ledger.
extension RulesCommand {
  /// Alerts of one replay, and how long patients were observed in it.
  private struct Told {
    var spans: [AlertSpan]
    var patientDays: Double

    var perPatientDay: Double? { patientDays > 0 ? Double(spans.count) / patientDays : nil }
  }

  static func compare(
    _ a: String, _ b: String, _ inputs: [String], _ arguments: Arguments
  ) throws(CommandFailure) -> Int32 {
    let found = try versions([a, b], arguments)
    let isStore = inputs.count == 1 && StoreReplay.isStore(inputs[0])
    var told: [Told] = []
    for version in found {
      told.append(
        isStore
          ? try replay(store: inputs[0], version, arguments) : try replay(recordings: inputs, version, arguments))
    }
    let comparison = AlertComparison(before: told[0].spans, after: told[1].spans)
    if arguments.has("--json") {
      printJSON(comparison, told, found)
    } else {
      printText(comparison, told, found)
    }
    return ExitCode.ok
  }

  private static func replay(
    recordings paths: [String], _ version: Version, _ arguments: Arguments
  ) throws(CommandFailure) -> Told {
    let inputs = try RecordingInputs(
      arguments, files: version.files, plan: version.plan, setName: version.name, paths: paths)
    let options = try ReplayCommand.options(arguments, inputs.registry, rules: inputs.plan.rules)
    var spans = AlertSpans()
    let stays = StayRecorder(options: options)
    let session = ReplaySession(plan: inputs.plan, options: options) {
      if case .told(let transition) = $0 { spans.take(transition.document) }
    }
    try ReplayCommand.feed(session, inputs, arguments) { stays.note($0, names: $1) }
    _ = session.finish(seconds: 0)
    return Told(spans: spans.all, patientDays: stays.cohort.patientDays)
  }

  private static func replay(
    store path: String, _ version: Version, _ arguments: Arguments
  ) throws(CommandFailure) -> Told {
    let access = try StoreAccess(path: path, arguments)
    let old = access.registry.vitals.map(\.key)
    guard Array(version.plan.registry.vitals.map(\.key).prefix(old.count)) == old else {
      throw CommandFailure(
        ExitCode.badConfiguration, "\(version.name): vitals.yaml lists vitals in another order than \(path) does")
    }
    let options = try StoreReplay.options(arguments, access, plan: version.plan)
    var spans = AlertSpans()
    var observed = ObservedTime()
    let replay = JournalReplay(
      plan: version.plan, directory: access.directory, options: options, onTransition: { spans.take($0.document) },
      onLedger: { _ in })
    try StoreReplay.feed(replay, access, arguments, options) { slot in
      if let from = options.from, slot.eventTime < from { return }
      if let to = options.to, slot.eventTime >= to { return }
      if let patients = options.patients, !patients.contains(slot.patient) { return }
      observed.note(patient: slot.patient, at: slot.eventTime)
    }
    _ = replay.finish(seconds: 0)
    return Told(spans: spans.all, patientDays: observed.patientDays)
  }

  private static func rate(_ value: Double?) -> String { value.map { String(format: "%.2f", $0) } ?? "-" }

  private static func printText(_ comparison: AlertComparison, _ told: [Told], _ found: [Version]) {
    for (side, name) in zip(told, found.map(\.name)) {
      printLine("\(name): \(side.spans.count) alerts, \(rate(side.perPatientDay)) a patient-day")
    }
    printLine(ComparisonText.table(comparison))
    for (mark, spans) in [("gained", comparison.gained), ("lost", comparison.lost)] {
      for span in spans { printLine(ComparisonText.line(mark, span)) }
    }
  }

  private static func printJSON(_ comparison: AlertComparison, _ told: [Told], _ found: [Version]) {
    for (change, spans) in [("gained", comparison.gained), ("lost", comparison.lost)] {
      for span in spans {
        var out = JSONText()
        out.object {
          $0.field("change", change)
          $0.field("patient", span.patient)
          $0.field("rule", span.rule)
          $0.field("version", span.version)
          $0.field("priority", span.priority.text)
          $0.field("onset", Timestamp.format(span.onset))
          $0.field("end", span.end.map(Timestamp.format))
          $0.field("message", span.message)
        }
        printLine(out.text)
      }
    }
    var out = JSONText()
    out.object { out in
      for (name, index) in [("before", 0), ("after", 1)] {
        out.object(name) {
          $0.field("version", found[index].plan.version)
          $0.field("alerts", told[index].spans.count)
          $0.field("alerts_per_patient_day", told[index].perPatientDay)
        }
      }
      out.field("gained", comparison.gained.count)
      out.field("lost", comparison.lost.count)
      out.array("rules") { out in
        for count in comparison.counts {
          out.object {
            $0.field("rule", count.rule)
            $0.field("before", count.before)
            $0.field("after", count.after)
            $0.field("gained", count.gained)
            $0.field("lost", count.lost)
          }
        }
      }
    }
    printLine(out.text)
  }

  // MARK: shadow

  /// What rules on trial would have told, from the ledger.
  static func shadow(_ arguments: Arguments) throws(CommandFailure) -> Int32 {
    let access = try StoreAccess(arguments)
    let from = try arguments.time("--from") ?? .min
    let to = try arguments.time("--to") ?? .max
    let rows = try access.reading { try access.store.ledger.list(from: from, to: to, limit: .max) }
    var counts: [String: Int] = [:]
    for row in rows {
      let facts = FactsText(row.document)
      guard facts.string("suppressed", "reason") == SuppressionStage.shadow.rawValue else { continue }
      if arguments.has("--json") {
        printLine(row.document)
        continue
      }
      let rule = facts.string("rule", "id") ?? ""
      counts[rule, default: 0] += 1
      printLine(
        "\(Timestamp.format(row.detectedTime)) \(facts.string("patient") ?? "") \(rule) "
          + "\(RuleDeployment.short(facts.string("rule", "version") ?? "")): \(facts.string("message") ?? "")")
    }
    guard !arguments.has("--json") else { return ExitCode.ok }
    if counts.isEmpty { printError("no rule on trial would have told anything") }
    for (rule, count) in counts.sorted(by: { $0.key < $1.key }) { printError("\(rule): \(count)") }
    return ExitCode.ok
  }
}
