import AlertJournal
import Foundation
import KeyValueStore
import Service
import VitalModel

/// `vigil restore`: a new store from a backup set, as the old one was at a moment.
enum RestoreCommand {
  static let command = Command(
    name: "restore", summary: "make a new store from a backup set, as of a moment",
    example: "vigil restore /backup/vigil --to 2026-11-20T22:38:00Z --store var/restored",
    flags: [
      Flag("--to", "TIME|latest", "as of the last entry received by then (default latest)"),
      Flag("--store", "PATH", "where the new store goes; it must not exist"),
      Flag("--archive", "DIR", "backup set with the archived log (default: the same)"),
      Flag("--number", "N", "begin with this backup (default: the newest at or before --to)"),
      Flag("--no-deliver", "put webhooks still owed among the dead letters instead of sending them at the next start"),
      Flag("-c", "FILE", "configuration (default ./vigil.yaml, else defaults)"),
      StoreAccess.masterKeyFlag,
      Flag("--json", "facts as one JSON object"),
    ], positional: "BACKUPDIR", run: run)

  @Sendable
  static func run(_ arguments: Arguments) throws(CommandFailure) -> Int32 {
    try arguments.expectPositional(1...1, "restore BACKUPDIR [--to TIME|latest] --store PATH")
    guard let given = arguments.value("--store") else {
      throw CommandFailure(ExitCode.usage, "restore: `--store PATH` is needed: where the new store goes")
    }
    let path = StoreAccess.folder(given)
    let time = arguments.value("--to") == "latest" ? nil : try arguments.time("--to")
    let restore = StoreRestore(
      BackupSet(arguments.positional[0]), archive: arguments.value("--archive").map { BackupSet($0) })
    let bar = ProgressBar(total: 0, label: "MB restored")
    defer { bar.finish() }
    let outcome: StoreRestore.Outcome
    var held = 0
    var refusal: CommandFailure?
    do {
      for damaged in try restore.set.listing().damaged { printError("vigil: \(damaged)") }
      let backup = try backup(restore, arguments, time)
      if backup.facts.isSealed, try StoreAccess.masterKey(arguments, store: path) == nil {
        printError(
          "vigil: backup \(backup.facts.number) says it is encrypted, and no key is named; if it is, the restore fails")
      }
      var done = 0
      outcome = try restore.restore(backup, to: time, store: path) { bytes in
        done += bytes
        bar.advance(to: done >> 20)
      } finish: { folder, outcome in
        do throws(CommandFailure) {
          held = try finish(outcome, time, folder, try key(outcome, path, arguments), arguments)
        } catch {
          refusal = error
          throw error
        }
      }
    } catch let failure as CommandFailure {
      throw failure
    } catch {
      throw refusal ?? CommandFailure(ExitCode.failed, "restore: \(error)")
    }
    bar.finish()
    report(outcome, held, path, arguments)
    return ExitCode.ok
  }

  private static func backup(
    _ restore: StoreRestore, _ arguments: Arguments, _ time: Int64?
  ) throws -> BackupManifest {
    guard let number = try arguments.int("--number", in: 1...Int.max) else {
      return try restore.backup(atOrBefore: time)
    }
    guard let found = try restore.set.backups().first(where: { $0.facts.number == number }) else {
      throw CommandFailure(ExitCode.usage, "restore: no backup \(number) in \(restore.set.path)")
    }
    if let time, let through = found.facts.ingestTime, through > time {
      throw CommandFailure(ExitCode.usage, "restore: backup \(number) is of a later moment than --to")
    }
    return found
  }

  /// The store says whether it is encrypted; the manifest only what it was thought to be.
  private static func key(
    _ outcome: StoreRestore.Outcome, _ path: String, _ arguments: Arguments
  ) throws(CommandFailure) -> MasterKey? {
    guard outcome.isSealed else { return nil }
    if let key = try StoreAccess.masterKey(arguments, store: path) { return key }
    throw CommandFailure(
      ExitCode.usage, "restore: the backup is encrypted; name its key with --master-key REF or -c vigil.yaml")
  }

  /// Leaves the restore in the new store's audit chain, and holds what it owes when asked to.
  private static func finish(
    _ outcome: StoreRestore.Outcome, _ time: Int64?, _ path: String, _ key: MasterKey?, _ arguments: Arguments
  ) throws(CommandFailure) -> Int {
    do {
      return try record(outcome, time, path, key, arguments)
    } catch {
      throw CommandFailure(ExitCode.failed, "restore: \(error)")
    }
  }

  private static func record(
    _ outcome: StoreRestore.Outcome, _ time: Int64?, _ path: String, _ key: MasterKey?, _ arguments: Arguments
  ) throws -> Int {
    let store = try VigilStore.open(path: path, key: key)
    defer { store.close() }
    let now = Int64(Date().timeIntervalSince1970 * 1000)
    var held = 0
    if arguments.has("--no-deliver") {
      held = try store.outbox.bury(try store.outbox.all().map(\.order), .restored, atMs: now, sync: true).count
    }
    try store.audit.record(
      AuditEntry(
        time: now, actor: NSUserName(), action: "store.restore", subject: "store",
        detail: "backup \(outcome.backup.number) and \(outcome.batches) archived batches, through position "
          + "\(outcome.position), to \(time.map(Timestamp.format) ?? "latest"), \(held) webhooks held"), sync: true)
    return held
  }

  private static func report(_ outcome: StoreRestore.Outcome, _ held: Int, _ path: String, _ arguments: Arguments) {
    let through = outcome.ingestTime.map(Timestamp.format)
    if let shortfall = words(outcome.shortfall) { printError("vigil: \(shortfall)") }
    guard arguments.has("--json") else {
      printLine(
        "restored \(path) from backup \(outcome.backup.number) of store \(outcome.backup.identity) and \(outcome.batches) archived batches: through position "
          + "\(outcome.position)" + (through.map { ", received \($0)" } ?? ""))
      if held > 0 { printLine("\(held) webhooks held: `vigil deliveries dead` lists them") }
      return
    }
    var out = JSONText()
    out.object {
      $0.field("store", path)
      $0.field("backup", outcome.backup.number)
      $0.field("identity", outcome.backup.identity)
      $0.field("archived_batches", outcome.batches)
      $0.field("last_position", Int(clamping: outcome.position))
      $0.field("last_ingest_time", through)
      $0.field("webhooks_held", held)
      $0.field("complete", outcome.shortfall == nil)
      $0.field("shortfall", words(outcome.shortfall))
    }
    printLine(out.text)
  }

  private static func words(_ shortfall: StoreRestore.Shortfall?) -> String? {
    switch shortfall {
    case .end: "the archived log ends before the moment asked for: the store is as of its end"
    case .gap(let from, let to):
      "changes \(from) to \(to - 1) are in no archive: the store is as of the moment before them"
    case .damage(let from):
      "the archived log is damaged from change \(from) on, and later ones had been archived: the store is as of the moment before"
    case .otherHistory:
      "the archived log is of another history of the store than this backup: the store is as of the backup"
    case nil: nil
    }
  }
}
