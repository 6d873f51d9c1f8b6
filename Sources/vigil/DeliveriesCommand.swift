import AlertJournal
import Foundation
import KeyValueStore
import Service
import VitalModel

/// `vigil deliveries`: webhooks owed and webhooks given up on, looked at and put back.
enum DeliveriesCommand {
  static let command = Command(
    name: "deliveries", summary: "list webhooks owed to receivers and those given up on; send these again",
    example: "vigil deliveries dead --receiver ward-7",
    flags: StoreAccess.flags + [
      Flag("--receiver", "NAME", "only this receiver"),
      Flag("--limit", "N", "webhooks listed at most (default 100; with --json all)"),
      Flag("--all", "replay: every dead letter, or every one of --receiver"),
      Flag("--json", "JSON lines; with show also the body"),
    ], positional: "list|dead|show ID|replay ID...", run: run)

  /// A webhook owed, or given up on.
  private struct Line {
    var queued: QueuedRow
    var dead: DeadLetter?
  }

  @Sendable
  static func run(_ arguments: Arguments) throws(CommandFailure) -> Int32 {
    let usage = CommandFailure(
      ExitCode.usage, "usage: vigil deliveries list | dead | show ID | replay ID... | replay --all")
    guard let action = arguments.positional.first else { throw usage }
    let ids = Array(arguments.positional.dropFirst())
    switch action {
    case "list", "dead":
      guard ids.isEmpty else { throw usage }
      return try list(isDead: action == "dead", arguments)
    case "show":
      guard ids.count == 1 else { throw usage }
      return try show(ids[0], arguments)
    case "replay":
      guard ids.isEmpty == arguments.has("--all") else { throw usage }
      return try replay(ids, arguments)
    default:
      let hint = Arguments.nearest(action, ["list", "dead", "show", "replay"]).map { ", did you mean `\($0)`?" } ?? ""
      throw CommandFailure(ExitCode.usage, "deliveries: unknown action `\(action)`\(hint)")
    }
  }

  // MARK: Looking

  private static func list(isDead: Bool, _ arguments: Arguments) throws(CommandFailure) -> Int32 {
    let isJSON = arguments.has("--json")
    let limit = try arguments.int("--limit", in: 1...Int(Int32.max)) ?? (isJSON ? Int(Int32.max) : 100)
    let receiver = arguments.value("--receiver")
    let access = try StoreAccess(arguments)
    let outbox = access.store.outbox
    let lines = try access.reading { () throws -> [Line] in
      guard isDead else {
        return try outbox.all { receiver == nil || $0.row.receiver == receiver }.map { Line(queued: $0) }
      }
      return try outbox.deadLetters(receiver: receiver).map { Line(queued: $0.queued, dead: $0) }
    }
    if isJSON {
      for line in lines.prefix(limit) { printLine(json(line)) }
      return ExitCode.ok
    }
    if lines.isEmpty {
      printError(isDead ? "no dead letters" : "nothing is owed")
      return ExitCode.ok
    }
    let head = [
      "ID", "CREATED", "RECEIVER", "PRIORITY", "TYPE", "WEBHOOK", "ATTEMPTS", isDead ? "GIVEN UP" : "LAST ATTEMPT",
      isDead ? "REASON" : "",
    ]
    printLine(TextTable.format([head] + lines.prefix(limit).map(cells)))
    if lines.count > limit { printError("\(lines.count) webhooks; --limit N lists more than \(limit)") }
    return ExitCode.ok
  }

  private static func cells(_ line: Line) -> [String] {
    let entry = line.queued
    let last = line.dead?.timeMs ?? entry.lastAttemptMs
    return [
      String(entry.order), Timestamp.format(entry.row.createdMs), entry.row.receiver, entry.row.priority.text,
      entry.row.type, entry.row.webhookID, String(entry.attempts), last == 0 ? "none" : Timestamp.format(last),
      line.dead?.reason.text ?? "",
    ]
  }

  private static func show(_ text: String, _ arguments: Arguments) throws(CommandFailure) -> Int32 {
    let order = try parse(text)
    let access = try StoreAccess(arguments)
    let outbox = access.store.outbox
    let found = try access.reading { () throws -> Line? in
      if let entry = try outbox.row(order) { return Line(queued: entry) }
      return try outbox.deadLetter(order).map { Line(queued: $0.queued, dead: $0) }
    }
    guard let found else {
      throw CommandFailure(
        ExitCode.failed, "no webhook `\(text)` is owed or given up; `vigil deliveries list` and `dead` show them")
    }
    let row = found.queued.row
    let attempts = try access.reading {
      try access.store.alerts.deliveries(alertID: row.alertID)
        .filter { $0.receiver == row.receiver && $0.sequence == row.sequence }
    }
    if arguments.has("--json") {
      printLine(json(found, attempts: attempts))
      return ExitCode.ok
    }
    var rows = [
      ["id", String(found.queued.order)], ["receiver", row.receiver], ["webhook", row.webhookID],
      ["alert", row.alertID], ["type", row.type], ["priority", row.priority.text],
      ["created", Timestamp.format(row.createdMs)], ["attempts", String(found.queued.attempts)],
    ]
    if let dead = found.dead { rows.append(["given up", "\(Timestamp.format(dead.timeMs)), \(dead.reason.text)"]) }
    printLine(TextTable.format(rows) + "\n")
    if !attempts.isEmpty {
      let tries = attempts.map { [Timestamp.format($0.timeMs), outcome($0), $0.detail] }
      printLine(TextTable.format([["ATTEMPT", "STATUS", "DETAIL"]] + tries) + "\n")
    }
    printLine(printable(row.body))
    return ExitCode.ok
  }

  private static func outcome(_ attempt: DeliveryAttempt) -> String {
    attempt.status == 0 ? "no answer" : String(attempt.status)
  }

  /// Text as it is, unless something in it would drive a terminal.
  private static func printable(_ bytes: [UInt8]) -> String {
    let text = String(decoding: bytes, as: UTF8.self)
    let isPlain = text.unicodeScalars.allSatisfy {
      $0 == "\n" || $0 == "\t" || $0.properties.generalCategory != .control
    }
    return isPlain ? text : "\(bytes.count) bytes that are no plain text; --json has them"
  }

  private static func json(_ line: Line, attempts: [DeliveryAttempt]? = nil) -> String {
    let (entry, row) = (line.queued, line.queued.row)
    var out = JSONText()
    out.object {
      $0.field("id", Int(clamping: entry.order))
      $0.field("receiver", row.receiver)
      $0.field("webhook_id", row.webhookID)
      $0.field("alert_id", row.alertID)
      $0.field("sequence", row.sequence)
      $0.field("type", row.type)
      $0.field("priority", row.priority.text)
      $0.field("created", Timestamp.format(row.createdMs))
      $0.field("attempts", entry.attempts)
      $0.field("last_attempt", entry.lastAttemptMs == 0 ? nil : Timestamp.format(entry.lastAttemptMs))
      $0.field("given_up", line.dead.map { Timestamp.format($0.timeMs) })
      $0.field("reason", line.dead?.reason.text)
      $0.field("bytes", row.body.count)
      guard let attempts else { return }
      $0.array("history") { out in for attempt in attempts { write(attempt, to: &out) } }
      $0.field("body", String(decoding: row.body, as: UTF8.self))
    }
    return out.text
  }

  private static func write(_ attempt: DeliveryAttempt, to out: inout JSONText) {
    out.object {
      $0.field("attempt", attempt.attempt)
      $0.field("time", Timestamp.format(attempt.timeMs))
      $0.field("status", attempt.status)
      $0.field("delivered", attempt.isDelivered)
      $0.field("detail", attempt.detail)
    }
  }

  private static func parse(_ text: String) throws(CommandFailure) -> UInt64 {
    guard let order = UInt64(text) else {
      throw CommandFailure(
        ExitCode.usage, "`\(text)` is no id of a delivery; `vigil deliveries list` and `dead` show them")
    }
    return order
  }

  // MARK: Sending again

  private struct Reply: Decodable {
    var replayed: Int?
    var error: String?
  }

  /// Through the running service, the store's only writer; into the store itself when nothing runs.
  private static func replay(_ texts: [String], _ arguments: Arguments) throws(CommandFailure) -> Int32 {
    let path = try StoreAccess.path(arguments)
    var orders: [UInt64]?
    if !arguments.has("--all") {
      var given: [UInt64] = []
      for text in texts { given.append(try parse(text)) }
      orders = given
    }
    let receiver = arguments.value("--receiver")
    let count: Int
    var note = ""
    if let answer = ControlClient.ask(request(orders, receiver), store: path) {
      let reply = try? JSONDecoder().decode(Reply.self, from: Data(answer.utf8))
      guard let replayed = reply?.replayed else {
        throw CommandFailure(ExitCode.failed, "\(path): \(reply?.error ?? "the service did not answer; try again")")
      }
      count = replayed
      if let receiver { note = "; \(receiver) is being tried now" }
    } else {
      count = try replayAtRest(orders, receiver, path: path, key: StoreAccess.masterKey(arguments, store: path))
    }
    if arguments.has("--json") {
      printLine("{\"replayed\":\(count)}")
    } else {
      printLine("\(count) \(count == 1 ? "webhook is" : "webhooks are") owed again\(note)")
    }
    return count == 0 && orders != nil ? ExitCode.failed : ExitCode.ok
  }

  private static func request(_ orders: [UInt64]?, _ receiver: String?) -> String {
    var out = JSONText()
    out.object {
      $0.field("command", "deliveries-replay")
      if let orders { $0.field("ids", orders.map { String($0) }) }
      if let receiver { $0.field("receiver", receiver) }
    }
    return out.text
  }

  private static func replayAtRest(
    _ orders: [UInt64]?, _ receiver: String?, path: String, key: MasterKey?
  ) throws(CommandFailure) -> Int {
    guard FileManager.default.fileExists(atPath: path + "/CURRENT") else {
      throw CommandFailure(ExitCode.usage, "\(path): no store here; name one with --store PATH or -c vigil.yaml")
    }
    do {
      let store = try VigilStore.open(path: path, key: key)
      defer { store.close() }
      let letters = try store.outbox.deadLetters(receiver: receiver).map(\.queued.order)
      let wanted = orders.map(Set.init)
      return try store.outbox.replay(letters.filter { wanted?.contains($0) ?? true }).count
    } catch let error as StoreError {
      var code = ExitCode.failed
      if case .inUse = error { code = ExitCode.inUse }
      throw CommandFailure(code, "\(path): \(error.description)")
    } catch {
      throw CommandFailure(ExitCode.failed, "\(path): \(error)")
    }
  }
}
