import AlertJournal
import Foundation
import Pipeline
import RuleLanguage
import Service
import VitalModel

/// `vigil explain`: why an alert was raised, or why a candidate was not told, from stored facts only.
enum ExplainCommand {
  static let command = Command(
    name: "explain", summary: "why an alert was raised, or why a candidate was not sent",
    example: "vigil explain a-5f1c --store var/vigil",
    flags: StoreAccess.flags + [
      Flag("--json", "everything as one JSON object"),
      Flag("--recording", "FILE", repeats: true, "replay this recording, as `replay` does, until the alert comes"),
    ] + RecordedExplanation.flags,
    positional: "ALERT", run: run)

  @Sendable
  static func run(_ arguments: Arguments) throws(CommandFailure) -> Int32 {
    try arguments.expectPositional(1...1, "explain ALERT [--store PATH | --recording FILE] [--json]")
    if arguments.has("--recording") {
      printLine(try RecordedExplanation(arguments).explain(arguments.positional[0]))
      return ExitCode.ok
    }
    for flag in RecordedExplanation.flags.map(\.name) where arguments.has(flag) {
      throw CommandFailure(ExitCode.usage, "explain: `\(flag)` is for a recording: give `--recording FILE`")
    }
    let access = try StoreAccess(arguments)
    let explanation = try access.reading { try AlertSearch(access: access).find(arguments.positional[0]) }
    printLine(arguments.has("--json") ? explanation.json : ExplanationText(explanation).text)
    return ExitCode.ok
  }
}

/// Finds an alert or a held candidate by its id or the beginning of one.
struct AlertSearch {
  let access: StoreAccess
  /// Rows read in one go while looking for an id by its beginning.
  private static let page = 10_000
  /// Stages that held other candidates are shown this far around the alert, milliseconds.
  private static let neighbourhood: Int64 = 600_000
  private static let heldMax = 200

  func find(_ id: String) throws -> AlertExplanation {
    if let found = try alert(id) { return found }
    if let found = try candidate(id) { return found }
    let matches = try idsBeginning(with: id)
    switch matches.count {
    case 0: throw try unknown(id)
    case 1:
      if let found = try alert(matches[0]) { return found }
      if let found = try candidate(matches[0]) { return found }
      throw try unknown(id)
    default:
      let more = matches.count > 3 ? " and \(matches.count - 3) more" : ""
      throw CommandFailure(
        ExitCode.failed,
        "`\(id)` is the beginning of \(matches.count) alerts: \(matches.prefix(3).joined(separator: ", "))\(more)")
    }
  }

  /// A slip of the pen in an id is looked for among the newest alerts.
  private func unknown(_ id: String) throws -> CommandFailure {
    let newest = try access.store.alerts.list(limit: AlertSearch.page, newestFirst: true).map(\.alertID)
    let hint = Arguments.nearest(id, newest).map { ", did you mean `\($0)`?" } ?? ""
    return CommandFailure(ExitCode.failed, "no alert `\(id)` in \(access.path)\(hint)")
  }

  private func alert(_ id: String) throws -> AlertExplanation? {
    let transitions = try access.store.alerts.transitions(alertID: id)
    guard let first = transitions.first else { return nil }
    return AlertExplanation(
      alertID: id, transitions: transitions, candidate: nil,
      held: try held(patient: first.patient, around: first.detectedTime),
      deliveries: try access.store.alerts.deliveries(alertID: id),
      waiting: try access.store.outbox.all().filter { $0.row.alertID == id },
      rule: try rule(FactsText(first.document), position: first.position))
  }

  /// The newest ledger row of a candidate.
  private func candidate(_ id: String) throws -> AlertExplanation? {
    var found: StoredLedgerRow?
    try eachLedgerRow { row in
      guard row.document.contains("\"alert_id\":\"\(id)\"") else { return true }
      found = row
      return false
    }
    guard let found else { return nil }
    return AlertExplanation(
      alertID: id, transitions: [], candidate: found,
      held: try held(patient: found.patient, around: found.detectedTime), deliveries: [], waiting: [],
      rule: try rule(FactsText(found.document), position: found.position))
  }

  private func held(patient: UInt32, around time: Int64) throws -> [StoredLedgerRow] {
    try access.store.ledger.list(
      from: time - AlertSearch.neighbourhood, to: time + AlertSearch.neighbourhood + 1, patient: patient,
      limit: AlertSearch.heldMax)
  }

  /// The rule's text in the rules that were in force at a journal position.
  private func rule(_ facts: FactsText, position: UInt64) throws -> AlertExplanation.RuleText? {
    let id = facts.string("rule", "id") ?? ""
    let version = facts.string("rule", "version") ?? ""
    guard let text = try access.store.registry.latestText(.rules, atOrBefore: position),
      let deployment = RuleDeployment(journaled: text.bytes)
    else { return nil }
    let (sources, set) = deployment.sources(ofRule: id, version: version)
    return RuleDifference.document(ofRule: id, in: sources).map {
      AlertExplanation.RuleText(path: $0.path, set: set, text: $0.text)
    }
  }

  // MARK: By the beginning of an id

  private func idsBeginning(with prefix: String) throws -> [String] {
    guard prefix.count >= 3 else { return [] }
    var ids: Set<String> = []
    var end = Int64.max
    while true {
      let rows = try access.store.alerts.list(to: end, limit: AlertSearch.page, newestFirst: true)
      for row in rows where row.alertID.hasPrefix(prefix) { ids.insert(row.alertID) }
      guard rows.count == AlertSearch.page, let last = rows.last, last.detectedTime + 1 < end else { break }
      end = last.detectedTime + 1
    }
    if !ids.isEmpty { return ids.sorted() }
    try eachLedgerRow { row in
      if row.document.contains("\"alert_id\":\"\(prefix)"), let id = FactsText(row.document).string("alert_id") {
        ids.insert(id)
      }
      return true
    }
    return ids.sorted()
  }

  /// Ledger rows newest first, until `body` says false; rows at the border of two pages may come twice.
  private func eachLedgerRow(_ body: (StoredLedgerRow) -> Bool) throws {
    var end = Int64.max
    var limit = AlertSearch.page
    while true {
      let rows = try access.store.ledger.list(to: end, limit: limit, newestFirst: true)
      for row in rows where !body(row) { return }
      guard rows.count == limit, let last = rows.last else { return }
      // More rows than a page in one millisecond: a larger page gets beyond them.
      if last.detectedTime + 1 < end { end = last.detectedTime + 1 } else { limit *= 2 }
    }
  }
}

/// Everything stored about one alert or one held candidate.
struct AlertExplanation {
  struct RuleText {
    /// Rule file, relative to the rule directory.
    var path: String
    var set: String?
    var text: String
  }

  var alertID: String
  /// By rising sequence; empty for a candidate.
  var transitions: [StoredTransition]
  /// The ledger row of a candidate that was not told.
  var candidate: StoredLedgerRow?
  /// Candidates of the same patient not told within ten minutes of it.
  var held: [StoredLedgerRow]
  var deliveries: [DeliveryAttempt]
  var waiting: [QueuedRow]
  var rule: RuleText?
  /// A recording's alert: it was found by replay and told to nobody.
  var isReplayed = false

  /// The document that opened it, and the newest one.
  var first: FactsText { FactsText(transitions.first?.document ?? candidate?.document ?? "{}") }
  var newest: FactsText { FactsText(transitions.last?.document ?? candidate?.document ?? "{}") }

  /// One sentence: what was seen, against which limit, for how long; for a candidate what held it.
  var why: String {
    let document = first
    let rule = document.string("rule", "id") ?? "unknown"
    var sentence = document.string("message") ?? document.string("rule", "title") ?? "no message"
    if let evidence = transitions.first?.evidence.map(FactsText.init), let when = evidence.string("when") {
      sentence += "; rule \(rule) asks for `\(when)`"
      if let limit = document.text("limit") { sentence += ", limit \(limit)\(unit(document))" }
      if let hold = evidence.string("for") { sentence += ", held for \(hold)" }
    } else {
      sentence += "; rule \(rule)"
      if let limit = document.text("limit") { sentence += ", limit \(limit)\(unit(document))" }
      if let seconds = document.text("duration_s"), seconds != "0" { sentence += ", lasting \(seconds) s" }
    }
    guard candidate != nil else { return sentence }
    let stage = document.string("suppressed", "reason") ?? "unknown"
    let until = document.string("suppressed", "until").map { ", until \($0) at most" } ?? ""
    let by = document.string("suppressed", "by").map { " (\($0)\(until))" } ?? ""
    return "not sent: \(StageWords.meaning[stage] ?? stage)\(by); it would have said: \(sentence)"
  }

  /// Annotations such as `{score}` are no unit to read aloud.
  private func unit(_ document: FactsText) -> String {
    document.string("unit").flatMap { $0.hasPrefix("{") ? nil : " \($0)" } ?? ""
  }

  /// Receivers that have the newest state, and whether anybody took it on.
  var responsible: (reached: [String], failing: [String], text: String) {
    let reached = Set(deliveries.filter(\.isDelivered).map(\.receiver)).sorted()
    let failing = Set(deliveries.map(\.receiver) + waiting.map(\.row.receiver)).subtracting(reached).sorted()
    if isReplayed { return ([], [], "nobody: it is a replay of a recording") }
    if candidate != nil { return ([], [], "nobody was told: it was not sent") }
    var text = reached.isEmpty ? "nobody has been reached" : "told: " + reached.joined(separator: ", ")
    if !failing.isEmpty { text += "; not reached yet: " + failing.joined(separator: ", ") }
    text += newest.hasValue("acknowledgement") ? "; acknowledged" : "; nobody has acknowledged it"
    if let by = newest.string("respond_by") { text += ", an answer is due by \(by)" }
    return (reached, failing, text)
  }

  var json: String {
    var out = JSONText()
    out.object { out in
      out.field("alert_id", alertID)
      out.field("sent", candidate == nil)
      out.field("why", why)
      out.array("transitions") { list in
        for transition in transitions {
          list.object {
            $0.raw("document", transition.document)
            $0.raw("evidence", transition.evidence)
            $0.field("position", String(transition.position))
            $0.field("told", transition.isNotified)
          }
        }
      }
      out.raw("candidate", candidate?.document)
      out.object("rule") {
        $0.field("id", first.string("rule", "id"))
        $0.field("version", first.string("rule", "version"))
        $0.field("file", rule?.path)
        $0.field("set", rule?.set)
        $0.field("text", rule?.text)
      }
      out.array("held") { list in for row in held { list.rawElement(row.document) } }
      out.array("deliveries") { list in for attempt in deliveries { attempt.write(to: &list, isDetailed: true) } }
      let responsible = responsible
      out.object("responsible") {
        $0.field("reached", responsible.reached)
        $0.field("not_reached", responsible.failing)
        $0.field("summary", responsible.text)
      }
    }
    return out.text
  }
}
