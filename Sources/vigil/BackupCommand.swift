import AlertJournal
import Configuration
import Foundation
import KeyValueStore
import Service
import VitalModel

/// `vigil backup`: a backup of a store, beside a running service or of a store at rest.
enum BackupCommand {
  static let command = Command(
    name: "backup", summary: "add a backup of the store to a backup set, beside a running service or none",
    example: "vigil backup -c vigil.yaml --to /backup/vigil --keep 14",
    flags: StoreAccess.flags + [
      Flag("--to", "DIR", "folder of the backup set (default: store.archive of the configuration)"),
      Flag("--keep", "N", "keep the N newest backups and drop what only older ones need"),
      Flag("--list", "list the backups there are instead of making one"),
      Flag("--json", "facts as JSON"),
    ], positional: "", run: run)

  @Sendable
  static func run(_ arguments: Arguments) throws(CommandFailure) -> Int32 {
    try arguments.expectPositional(0...0, "backup [--store PATH] [--to DIR] [--keep N]")
    let set = BackupSet(try folder(arguments))
    if arguments.has("--list") { return try list(set, arguments) }
    let store = try StoreAccess.path(arguments)
    guard FileManager.default.fileExists(atPath: store + "/CURRENT") else {
      throw CommandFailure(ExitCode.usage, "\(store): no store here; name one with --store PATH or -c vigil.yaml")
    }
    let key = try StoreAccess.masterKey(arguments, store: store)
    let keep = try arguments.int("--keep", in: 1...100_000)
    let bar = ProgressBar(total: 0, label: "MB looked at")
    defer { bar.finish() }
    let made: BackupSet.Made
    do throws(StoreBackup.Failure) {
      made = try StoreBackup.make(store: store, to: set, keep: keep, actor: NSUserName()) {
        () throws(StoreError) in
        try VigilStore.open(path: store, key: key)
      } progress: { done, _ in
        bar.advance(to: done >> 20)
      }
    } catch {
      if case .inUse = error { throw CommandFailure(ExitCode.inUse, error.line) }
      throw CommandFailure(ExitCode.failed, error.line)
    }
    report(made, set, arguments)
    if keep != nil, let held = made.purgeHeld { printError("vigil: \(held)") }
    return ExitCode.ok
  }

  /// `--to`, else the folder the service archives into.
  private static func folder(_ arguments: Arguments) throws(CommandFailure) -> String {
    if let folder = arguments.value("--to") { return folder }
    if let folder = try RunCommand.load(arguments).archive { return folder }
    throw CommandFailure(ExitCode.usage, "backup: name the folder with --to DIR, or set store.archive")
  }

  private static func report(_ made: BackupSet.Made, _ set: BackupSet, _ arguments: Arguments) {
    let facts = made.backup.facts
    guard arguments.has("--json") else {
      let shared = made.backup.files.count - made.filesNew
      printLine(
        "backup \(facts.number) through position \(facts.position)"
          + (facts.ingestTime.map { ", received \(Timestamp.format($0))" } ?? "")
          + ": \(made.backup.files.count) files, \(shared) of them shared; \(made.bytesNew) bytes copied to \(set.path)"
      )
      if !made.purged.isEmpty { printLine("dropped: \(made.purged.map(String.init).joined(separator: ", "))") }
      return
    }
    var out = JSONText()
    out.object { out in
      out.append(made.backup, shared: [])
      out.field("files_copied", made.filesNew)
      out.field("bytes_copied", Int(clamping: made.bytesNew))
      out.array("purged") { out in for number in made.purged { out.rawElement(String(number)) } }
      out.field("purge_held", made.purgeHeld)
    }
    printLine(out.text)
  }

  private static func list(_ set: BackupSet, _ arguments: Arguments) throws(CommandFailure) -> Int32 {
    let listing: BackupSet.Listing
    do throws(BackupError) {
      listing = try set.listing()
    } catch {
      throw CommandFailure(ExitCode.failed, error.description)
    }
    let backups = listing.backups
    for damaged in listing.damaged { printError("vigil: \(damaged)") }
    if arguments.has("--json") {
      for backup in backups {
        var out = JSONText()
        out.object { $0.append(backup, shared: []) }
        printLine(out.text)
      }
      return ExitCode.ok
    }
    guard !backups.isEmpty else {
      printError("no backup in \(set.path)")
      return ExitCode.ok
    }
    let rows = backups.map { backup in
      [
        String(backup.facts.number), Timestamp.format(backup.facts.time),
        backup.facts.ingestTime.map(Timestamp.format) ?? "-", String(backup.facts.position),
        String(backup.files.count), String(backup.byteCount), backup.facts.isSealed ? "yes" : "no",
      ]
    }
    printLine(TextTable.format([["NUMBER", "MADE", "THROUGH", "POSITION", "FILES", "BYTES", "SEALED"]] + rows))
    return ExitCode.ok
  }
}
