import AlertJournal
import Foundation
import VitalModel

/// `vigil audit`: who did what to the store, and whether the record of it is whole.
enum AuditCommand {
  static let command = Command(
    name: "audit", summary: "list who changed what in the store, and check that the record is whole",
    example: "vigil audit --store var/vigil --from 2026-11-01T00:00:00Z --verify",
    flags: StoreAccess.flags + [
      Flag("--from", "T", "first time, RFC 3339"), Flag("--to", "T", "end of times, not included"),
      Flag("--action", "NAME,...", repeats: true, "only these actions, such as backup.create"),
      Flag("--verify", "recompute the chain; exit 1 when it does not hold"),
      Flag("--head", "DIGEST", "with --verify: an entry noted elsewhere that must be in the chain"),
      Flag("--json", "JSON lines; with --verify the verdict as the last"),
    ], positional: "", run: run)

  @Sendable
  static func run(_ arguments: Arguments) throws(CommandFailure) -> Int32 {
    try arguments.expectPositional(0...0, "audit [--store PATH] [--from T] [--to T] [--verify]")
    if arguments.has("--head"), !arguments.has("--verify") {
      throw CommandFailure(ExitCode.usage, "audit: `--head` needs `--verify`")
    }
    let (from, to) = (try arguments.time("--from") ?? .min, try arguments.time("--to") ?? .max)
    let actions = Set(arguments.list("--action"))
    let access = try StoreAccess(arguments)
    let isJSON = arguments.has("--json")
    var rows: [[String]] = []
    try access.reading {
      try access.store.audit.read(from: from, to: to) { row in
        guard actions.isEmpty || actions.contains(row.entry.action) else { return true }
        if isJSON { printLine(json(row)) } else { rows.append(cells(row)) }
        return true
      }
    }
    if !isJSON {
      if rows.isEmpty { printError("no audit entries") }
      if !rows.isEmpty {
        printLine(TextTable.format([["NUMBER", "TIME", "ACTOR", "ACTION", "SUBJECT", "DETAIL", "REASON"]] + rows))
      }
    }
    return arguments.has("--verify") ? try verify(access, arguments) : ExitCode.ok
  }

  private static func cells(_ row: AuditTable.Row) -> [String] {
    let entry = row.entry
    return [
      String(row.number), Timestamp.format(entry.time), entry.actor, entry.action, entry.subject, entry.detail,
      entry.reason,
    ]
  }

  private static func json(_ row: AuditTable.Row) -> String {
    var out = JSONText()
    out.object {
      $0.field("number", Int(clamping: row.number))
      $0.field("time", Timestamp.format(row.entry.time))
      $0.field("actor", row.entry.actor)
      $0.field("action", row.entry.action)
      $0.field("subject", row.entry.subject)
      $0.field("detail", row.entry.detail)
      $0.field("reason", row.entry.reason)
      $0.field("digest", hexadecimal(row.digest))
    }
    return out.text
  }

  private static func verify(_ access: StoreAccess, _ arguments: Arguments) throws(CommandFailure) -> Int32 {
    let (verdict, hasHead) = try access.reading {
      let verdict = try access.store.audit.verify()
      guard let head = arguments.value("--head")?.lowercased() else { return (verdict, true) }
      var hasHead = false
      try access.store.audit.read { row in
        hasHead = hexadecimal(row.digest) == head
        return !hasHead
      }
      return (verdict, hasHead)
    }
    let isWhole = verdict.brokenAt == nil && hasHead
    if arguments.has("--json") {
      var out = JSONText()
      out.object {
        $0.field("whole", isWhole)
        $0.field("entries", Int(clamping: verdict.entries))
        $0.field("broken_at", verdict.brokenAt.map { Int(clamping: $0) })
        $0.field("head", hexadecimal(verdict.head))
      }
      printLine(out.text)
    } else if let broken = verdict.brokenAt {
      printError(
        "vigil: \(access.path): audit entry \(broken) does not follow the one before it: the record was changed")
    } else if !hasHead {
      printError("vigil: \(access.path): no audit entry has the digest given: the record was cut off or is another one")
    } else {
      printLine("\(verdict.entries) audit entries, each following the one before; head \(hexadecimal(verdict.head))")
    }
    return isWhole ? ExitCode.ok : ExitCode.failed
  }

  private static func hexadecimal(_ bytes: [UInt8]) -> String {
    bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
  }
}
