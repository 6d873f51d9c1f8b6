import AlertJournal
import Digests
import Foundation
import Service
import VitalModel

/// `vigil quarantine`: refused messages looked at, and given back to ingest.
enum QuarantineCommand {
  static let command = Command(
    name: "quarantine", summary: "list and show refused messages; give them back to the running service",
    example: "vigil quarantine list --reason unassigned_device",
    flags: StoreAccess.flags + [
      Flag("--reason", "R", "only this reason"), Flag("--device", "D", "only this device"),
      Flag("--limit", "N", "messages listed at most (default 100; with --json all)"),
      Flag("--all", "resubmit: every message not resubmitted yet"),
      Flag("--json", "JSON lines, with the bytes kept of each message"),
    ], positional: "list|show ID|resubmit ID...", run: run)

  @Sendable
  static func run(_ arguments: Arguments) throws(CommandFailure) -> Int32 {
    let usage = CommandFailure(
      ExitCode.usage, "usage: vigil quarantine list | show ID | resubmit ID... | resubmit --all")
    guard let action = arguments.positional.first else { throw usage }
    let ids = Array(arguments.positional.dropFirst())
    switch action {
    case "list":
      guard ids.isEmpty else { throw usage }
      return try list(arguments)
    case "show":
      guard ids.count == 1 else { throw usage }
      return try show(ids[0], arguments)
    case "resubmit":
      guard ids.isEmpty == arguments.has("--all") else { throw usage }
      return try resubmit(ids, arguments)
    default:
      let hint = Arguments.nearest(action, ["list", "show", "resubmit"]).map { ", did you mean `\($0)`?" } ?? ""
      throw CommandFailure(ExitCode.usage, "quarantine: unknown action `\(action)`\(hint)")
    }
  }

  private static func reason(_ arguments: Arguments) throws(CommandFailure) -> QuarantineReason? {
    guard let text = arguments.value("--reason") else { return nil }
    if let reason = QuarantineReason(rawValue: text) { return reason }
    let known = QuarantineReason.allCases.map(\.rawValue)
    let hint = Arguments.nearest(text, known).map { ", did you mean `\($0)`?" } ?? ""
    throw CommandFailure(ExitCode.usage, "unknown reason `\(text)`\(hint) (\(known.joined(separator: " ")))")
  }

  // MARK: Looking

  private static func list(_ arguments: Arguments) throws(CommandFailure) -> Int32 {
    let reason = try reason(arguments)
    let isJSON = arguments.has("--json")
    let limit = try arguments.int("--limit", in: 1...Int(Int32.max)) ?? (isJSON ? Int(Int32.max) : 100)
    let access = try StoreAccess(arguments)
    let table = access.store.quarantine
    let entries = try access.reading {
      try table.list(reason: reason, device: arguments.value("--device"), limit: limit + 1)
    }
    if isJSON {
      for entry in entries.prefix(limit) {
        let found = try access.reading { try table.get(entry.id) }
        printLine(json(entry, bytes: found?.bytes ?? []))
      }
      return ExitCode.ok
    }
    if entries.isEmpty {
      printError("quarantine is empty")
      return ExitCode.ok
    }
    let rows = entries.prefix(limit).map { entry in
      [
        entry.id.text, Timestamp.format(entry.id.receivedMs), entry.reason.rawValue, "\(entry.tenant)/\(entry.device)",
        String(entry.observations), String(entry.size), entry.isResubmitted ? "yes" : "no",
      ]
    }
    let head = ["ID", "RECEIVED", "REASON", "DEVICE", "OBSERVATIONS", "BYTES", "RESUBMITTED"]
    printLine(TextTable.format([head] + rows))
    if entries.count > limit { printError("more than \(limit) messages; --limit N lists more") }
    return ExitCode.ok
  }

  private static func show(_ text: String, _ arguments: Arguments) throws(CommandFailure) -> Int32 {
    let id = try parse(text)
    let access = try StoreAccess(arguments)
    guard let (entry, bytes) = try access.reading({ try access.store.quarantine.get(id) }) else {
      throw CommandFailure(ExitCode.failed, "no message `\(text)` in quarantine; `vigil quarantine list` shows them")
    }
    if arguments.has("--json") {
      printLine(json(entry, bytes: bytes))
      return ExitCode.ok
    }
    let rows = [
      ["id", entry.id.text], ["received", Timestamp.format(entry.id.receivedMs)], ["reason", entry.reason.rawValue],
      ["device", "\(entry.tenant)/\(entry.device)"], ["topic", entry.topic],
      ["content type", entry.contentType.isEmpty ? "none" : entry.contentType],
      ["observations", String(entry.observations)], ["sha256", hex(entry.digest)],
      ["resubmitted", entry.isResubmitted ? "yes" : "no"],
      ["bytes", entry.size == bytes.count ? "\(entry.size)" : "\(entry.size), of which \(bytes.count) are kept"],
    ]
    printLine(TextTable.format(rows) + "\n")
    printLine(printable(bytes))
    return ExitCode.ok
  }

  /// Text as it is, without what would drive a terminal; other bytes in hexadecimal.
  private static func printable(_ bytes: [UInt8]) -> String {
    guard let text = String(validating: bytes, as: UTF8.self) else { return hex(bytes) }
    let isPlain = text.unicodeScalars.allSatisfy {
      $0 == "\n" || $0 == "\t" || $0.properties.generalCategory != .control
    }
    return isPlain ? text : hex(bytes)
  }

  private static func json(_ entry: QuarantineEntry, bytes: [UInt8]) -> String {
    var out = JSONText()
    out.object {
      $0.field("id", entry.id.text)
      $0.field("received", Timestamp.format(entry.id.receivedMs))
      $0.field("reason", entry.reason.rawValue)
      $0.field("tenant", entry.tenant)
      $0.field("device", entry.device)
      $0.field("topic", entry.topic)
      $0.field("content_type", entry.contentType)
      $0.field("observations", entry.observations)
      $0.field("bytes", entry.size)
      $0.field("kept_bytes", bytes.count)
      $0.field("sha256", hex(entry.digest))
      $0.field("resubmitted", entry.isResubmitted)
      if let text = String(validating: bytes, as: UTF8.self) {
        $0.field("payload", text)
      } else {
        $0.field("payload_base64", Data(bytes).base64EncodedString())
      }
    }
    return out.text
  }

  private static func parse(_ text: String) throws(CommandFailure) -> QuarantineID {
    guard let id = QuarantineID(text: text) else {
      throw CommandFailure(ExitCode.usage, "`\(text)` is no quarantine id; `vigil quarantine list` shows them")
    }
    return id
  }

  // MARK: Giving back

  /// Ids of one request: its line stays well below what the service reads.
  private static let idsPerRequest = 5000

  private struct Reply: Decodable {
    var resubmitted: Int?
    var error: String?
  }

  private static func resubmit(_ texts: [String], _ arguments: Arguments) throws(CommandFailure) -> Int32 {
    let path = try StoreAccess.path(arguments)
    var ids: [QuarantineID] = []
    for text in texts { ids.append(try parse(text)) }
    let reason = try reason(arguments)
    if arguments.has("--all") {
      let access = try StoreAccess(path: path, arguments)
      ids = try access.reading {
        try access.store.quarantine.list(reason: reason, device: arguments.value("--device"), limit: .max)
          .filter { !$0.isResubmitted }.map(\.id)
      }
    }
    guard ControlClient.ask("{\"command\":\"ping\"}", store: path) != nil else {
      throw CommandFailure(
        ExitCode.failed, "no service runs on \(path): start `vigil run`, the only writer of its store, and try again")
    }
    var count = 0
    for start in stride(from: 0, to: ids.count, by: idsPerRequest) {
      count += try ask(ids[start..<min(start + idsPerRequest, ids.count)], store: path)
    }
    if arguments.has("--json") {
      printLine("{\"asked\":\(ids.count),\"resubmitted\":\(count)}")
    } else {
      printLine("resubmitted \(count) of \(ids.count) messages")
    }
    return count == ids.count ? ExitCode.ok : ExitCode.failed
  }

  private static func ask(_ ids: ArraySlice<QuarantineID>, store: String) throws(CommandFailure) -> Int {
    var request = JSONText()
    request.object {
      $0.field("command", "resubmit")
      $0.field("ids", ids.map(\.text))
    }
    guard let line = ControlClient.ask(request.text, store: store) else {
      throw CommandFailure(ExitCode.failed, "the service went away before it answered; try again")
    }
    let reply = try? JSONDecoder().decode(Reply.self, from: Data(line.utf8))
    guard let count = reply?.resubmitted else {
      throw CommandFailure(ExitCode.failed, "the service refused: \(reply?.error ?? "its answer cannot be read")")
    }
    return count
  }
}

/// Columns of text, each as wide as its widest cell.
enum TextTable {
  static func format(_ rows: [[String]], indent: String = "") -> String {
    let columns = rows.map(\.count).max() ?? 0
    let widths = (0..<columns).map { column in rows.compactMap { column < $0.count ? $0[column].count : nil }.max() ?? 0
    }
    return rows.map { row in
      let cells = row.enumerated().map { index, cell in
        index == row.count - 1 ? cell : cell + String(repeating: " ", count: widths[index] - cell.count)
      }
      return indent + cells.joined(separator: "  ")
    }.joined(separator: "\n")
  }
}
