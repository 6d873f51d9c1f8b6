import AlertJournal
import Service
import VitalModel

/// `vigil alert`: active alerts looked at and answered.
enum AlertCommand {
  static let command = Command(
    name: "alert", summary: "list active alerts; accept, reject, acknowledge or resolve one",
    example: "vigil alert acknowledge a-5f1c0d... --by u-17 --class actionable --note \"repositioned the probe\"",
    flags: StoreAccess.flags + [
      Flag("--by", "USER", "who answers: a user's id"),
      Flag("--class", "actionable|not-relevant|false", "acknowledge: what the alert was worth"),
      Flag("--note", "TEXT", "acknowledge: for the record"),
      Flag("--reason", "TEXT", "resolve: why it is over"),
      Flag("--state", "active|latched|inactive", "list: only this state (default: all that have not ended)"),
      Flag("--limit", "N", "list: alerts at most (default 100; with --json all)"),
      Flag("--json", "facts as JSON"),
    ], positional: "list | show|accept|reject|acknowledge|resolve ALERT", run: run)

  private static let answers: [ActionRequest.Verb] = [.accept, .reject, .acknowledge, .resolve]

  @Sendable
  static func run(_ arguments: Arguments) throws(CommandFailure) -> Int32 {
    let usage = CommandFailure(ExitCode.usage, "usage: vigil alert list | show|accept|reject|acknowledge|resolve ALERT")
    guard let action = arguments.positional.first else { throw usage }
    let ids = Array(arguments.positional.dropFirst())
    if action == "list" {
      guard ids.isEmpty else { throw usage }
      return try list(arguments)
    }
    if action == "show" {
      guard ids.count == 1 else { throw usage }
      return try show(ids[0], arguments)
    }
    guard let verb = answers.first(where: { $0.rawValue == action }) else {
      let words = ["list", "show"] + answers.map(\.rawValue)
      let hint = Arguments.nearest(action, words).map { ", did you mean `\($0)`?" } ?? ""
      throw CommandFailure(ExitCode.usage, "alert: unknown action `\(action)`\(hint)")
    }
    guard ids.count == 1 else { throw usage }
    return try answer(verb, ids[0], arguments)
  }

  // MARK: Looking

  private static func list(_ arguments: Arguments) throws(CommandFailure) -> Int32 {
    let isJSON = arguments.has("--json")
    let limit = try arguments.int("--limit", in: 1...Int(Int32.max)) ?? (isJSON ? Int(Int32.max) - 1 : 100)
    let state = try arguments.value("--state", as: "active, latched or inactive", AlertState.init(rawValue:))
    let access = try StoreAccess(arguments)
    let found = try access.reading { try AlertListing.alerts(access.store, state: state, limit: limit + 1) }
    if isJSON {
      for alert in found.prefix(limit) { printLine(alert.document) }
      return ExitCode.ok
    }
    if found.isEmpty {
      printError("no alert is \(state?.rawValue ?? "active")")
      return ExitCode.ok
    }
    let rows = found.prefix(limit).map { alert in
      let facts = FactsText(alert.document)
      return [
        alert.alertID, Timestamp.format(alert.onsetTime), alert.priority.text, alert.state.rawValue,
        facts.string("rule", "id") ?? "", facts.string("patient") ?? "", AlertCommand.answered(facts),
      ]
    }
    printLine(TextTable.format([["ALERT", "ONSET", "PRIORITY", "STATE", "RULE", "PATIENT", "ANSWERED"]] + rows))
    if found.count > limit { printError("more than \(limit) alerts; --limit N lists more") }
    return ExitCode.ok
  }

  /// Who answered it and how.
  private static func answered(_ facts: FactsText) -> String {
    var words: [String] = []
    if let state = facts.string("responsibility", "state"), state != Responsibility.undefined.rawValue {
      words.append("\(state) by \(facts.string("responsibility", "by") ?? "?")")
    }
    if let by = facts.string("acknowledgement", "by") { words.append("acknowledged by \(by)") }
    return words.isEmpty ? "-" : words.joined(separator: ", ")
  }

  private static func show(_ id: String, _ arguments: Arguments) throws(CommandFailure) -> Int32 {
    let access = try StoreAccess(arguments)
    let transitions = try access.reading { try access.store.alerts.transitions(alertID: id) }
    guard let newest = transitions.last else {
      throw CommandFailure(ExitCode.failed, "no alert `\(id)` in \(access.path); `vigil alert list` shows those active")
    }
    if arguments.has("--json") {
      printLine(newest.document)
      return ExitCode.ok
    }
    let facts = FactsText(newest.document)
    let rows = [
      ["alert", id], ["patient", facts.string("patient") ?? ""],
      ["rule", "\(facts.string("rule", "id") ?? "") (\(facts.string("rule", "title") ?? ""))"],
      ["priority", newest.priority.text], ["state", newest.state.rawValue],
      ["onset", Timestamp.format(newest.onsetTime)], ["message", facts.string("message") ?? ""],
      ["answered", answered(facts)],
    ]
    printLine(TextTable.format(rows) + "\n")
    let steps = transitions.map { step in
      [
        String(step.sequence), Timestamp.format(step.detectedTime), step.phase.rawValue, step.priority.text,
        step.state.rawValue, FactsText(step.document).string("message") ?? "",
      ]
    }
    printLine(TextTable.format([["SEQUENCE", "TIME", "PHASE", "PRIORITY", "STATE", "MESSAGE"]] + steps))
    printLine("\n`vigil explain \(id)` says why it was raised")
    return ExitCode.ok
  }

  // MARK: Answering

  private static func answer(
    _ verb: ActionRequest.Verb, _ id: String, _ arguments: Arguments
  ) throws(CommandFailure) -> Int32 {
    let allowed: [ActionRequest.Verb: [String]] = [.acknowledge: ["--class", "--note"], .resolve: ["--reason"]]
    for flag in ["--class", "--note", "--reason"]
    where arguments.has(flag) && allowed[verb]?.contains(flag) != true {
      throw CommandFailure(ExitCode.usage, "alert \(verb.rawValue): `\(flag)` is not for this")
    }
    var request = ActionRequest(verb, alert: id, by: try ActionSender.user(arguments))
    request.kind = arguments.value("--class")
    request.note = arguments.value("--note")
    request.reason = arguments.value("--reason")
    let receipt = try ActionSender.send(request, arguments)
    if arguments.has("--json") {
      printLine(receipt.json)
    } else {
      printLine("\(verb.rawValue) of \(id) journaled at position \(receipt.position)")
    }
    return ExitCode.ok
  }
}
