import AlertJournal
import Foundation
import Pipeline
import Service
import VitalModel

/// `vigil silence`: one rule or one kind of alert muted for one patient, for a time (SEMANTICS D5).
enum SilenceCommand {
  static let command = Command(
    name: "silence", summary: "mute one rule or kind of alert for one patient, for a time",
    example: "vigil silence add --patient p-017 --rule spo2-low --for 10m --by u-17 --reason \"physiotherapy\"",
    flags: StoreAccess.flags + [
      Flag("--patient", "P", "add: the patient"), Flag("--tenant", "T", "add: the patient's (default: the configured)"),
      Flag("--rule", "R", "add: this rule"), Flag("--kind", "physiological|technical|advisory", "add: all of a kind"),
      Flag("--for", "TIME", "add: how long; high at most 10m, medium 2h, low 12h"),
      Flag("--by", "USER", "add, end: a user's id"), Flag("--reason", "TEXT", "add: why"),
      Flag("--all", "list: also those that are over"),
      Flag("--limit", "N", "list: silences at most (default 100; with --json all)"), Flag("--json", "facts as JSON"),
    ], positional: "add | list | end SILENCE", run: run)

  @Sendable
  static func run(_ arguments: Arguments) throws(CommandFailure) -> Int32 {
    let usage = CommandFailure(
      ExitCode.usage, "usage: vigil silence add --patient P --rule R --for 10m --by USER --reason TEXT | list | end ID")
    guard let action = arguments.positional.first else { throw usage }
    switch (action, arguments.positional.count) {
    case ("add", 1): return try add(arguments)
    case ("list", 1): return try list(arguments)
    case ("end", 2): return try end(arguments.positional[1], arguments)
    case ("add", _), ("list", _), ("end", _): throw usage
    default:
      let hint = Arguments.nearest(action, ["add", "list", "end"]).map { ", did you mean `\($0)`?" } ?? ""
      throw CommandFailure(ExitCode.usage, "silence: unknown action `\(action)`\(hint)")
    }
  }

  private static func add(_ arguments: Arguments) throws(CommandFailure) -> Int32 {
    for flag in ["--patient", "--for", "--reason"] where arguments.value(flag)?.isEmpty ?? true {
      throw CommandFailure(ExitCode.usage, "silence add: `\(flag)` is needed")
    }
    guard arguments.has("--rule") != arguments.has("--kind") else {
      throw CommandFailure(ExitCode.usage, "silence add: give `--rule R` or `--kind K`, one of them")
    }
    var request = ActionRequest(.silence, by: try ActionSender.user(arguments))
    request.patient = arguments.value("--patient")
    request.tenant = arguments.value("--tenant")
    request.rule = arguments.value("--rule")
    request.alerts = arguments.value("--kind")
    request.duration = try arguments.duration("--for")
    request.reason = arguments.value("--reason")
    let receipt = try ActionSender.send(request, arguments)
    if arguments.has("--json") {
      printLine(receipt.json)
    } else if let silence = receipt.silence {
      printLine("silence \(silence.id) in force until \(Timestamp.format(silence.until))")
    }
    return ExitCode.ok
  }

  private static func end(_ id: String, _ arguments: Arguments) throws(CommandFailure) -> Int32 {
    var request = ActionRequest(.endSilence, by: try ActionSender.user(arguments))
    request.silence = id
    let receipt = try ActionSender.send(request, arguments)
    printLine(
      arguments.has("--json") ? receipt.json : "end of \(id) journaled at position \(receipt.position)")
    return ExitCode.ok
  }

  private static func list(_ arguments: Arguments) throws(CommandFailure) -> Int32 {
    let isJSON = arguments.has("--json")
    let limit = try arguments.int("--limit", in: 1...Int(Int32.max)) ?? (isJSON ? Int(Int32.max) - 1 : 100)
    let now = Int64(Date().timeIntervalSince1970 * 1000)
    let access = try StoreAccess(arguments)
    let found = try access.reading {
      try AlertListing.silences(access.store, isAll: arguments.has("--all"), now: now, limit: limit + 1)
    }
    if isJSON {
      for row in found.prefix(limit) { printLine(AlertListing.json(row, access.directory, now: now)) }
      return ExitCode.ok
    }
    if found.isEmpty {
      printError(arguments.has("--all") ? "no silence was ever set" : "no silence is in force")
      return ExitCode.ok
    }
    let rows = found.prefix(limit).map { row in
      [
        row.silence.id, access.directory.patientKey(row.patient)?.patient ?? "", matcher(row.silence),
        row.silence.author, Timestamp.format(row.silence.until), state(row, now: now), row.silence.reason,
      ]
    }
    printLine(TextTable.format([["SILENCE", "PATIENT", "MUTES", "BY", "UNTIL", "STATE", "REASON"]] + rows))
    if found.count > limit { printError("more than \(limit) silences; --limit N lists more") }
    return ExitCode.ok
  }

  private static func matcher(_ silence: Silence) -> String {
    switch silence.matcher {
    case .rule(let rule): "rule \(rule)"
    case .kind(let kind): "all \(kind.rawValue)"
    }
  }

  private static func state(_ row: StoredSilence, now: Int64) -> String {
    if let by = row.endedBy, let at = row.endedAt { return "ended by \(by) at \(Timestamp.format(at))" }
    return row.isInForce(at: now) ? "in force" : "over"
  }
}
