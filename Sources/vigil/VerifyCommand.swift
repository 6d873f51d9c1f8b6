import AlertJournal
import Foundation
import KeyValueStore
import SeriesStore
import Service
import VitalModel

/// `vigil verify`: everything in a store, or in a backup set, read and held against everything else.
enum VerifyCommand {
  static let command = Command(
    name: "verify", summary: "read a whole store or backup set and check everything in it; exit 0 or 1",
    example: "vigil verify --store var/vigil --json",
    flags: StoreAccess.flags + [
      Flag("--backup", "DIR", "check this backup set, its files and its archived log, instead of a store"),
      Flag(
        "--repair",
        "put what cannot be used aside, in STORE/damaged or beside the store, whose service must not run; or in DIR/damaged"
      ),
      Flag("--json", "the report as one JSON object"),
    ], positional: "", run: run)

  @Sendable
  static func run(_ arguments: Arguments) throws(CommandFailure) -> Int32 {
    try arguments.expectPositional(0...0, "verify [--store PATH] [--repair] [--json]")
    if let folder = arguments.value("--backup") { return try BackupSetCheck.run(BackupSet(folder), arguments) }
    let path = StoreAccess.folder(try StoreAccess.path(arguments))
    guard FileManager.default.fileExists(atPath: path + "/CURRENT") else {
      throw CommandFailure(ExitCode.usage, "\(path): no store here; name one with --store PATH or -c vigil.yaml")
    }
    let key = try StoreAccess.masterKey(arguments, store: path)
    let isRepair = arguments.has("--repair")
    var verdict = try check(path, key, isRepair: isRepair)
    var repairs: [String] = []
    if isRepair, !verdict.isSound {
      repairs = try repair(path, key, verdict)
      verdict = try check(path, key, isRepair: true)
    }
    if arguments.has("--json") {
      printLine(json(verdict, repairs, path))
    } else {
      tell(verdict, repairs, path, canRepair: !arguments.has("--repair"))
    }
    return verdict.isSound ? ExitCode.ok : ExitCode.failed
  }

  // MARK: Checking

  private static func check(
    _ path: String, _ key: MasterKey?, isRepair: Bool
  ) throws(CommandFailure) -> StoreVerdict {
    // Before the opening: a running service moves it on.
    let committed = CommitMarker.read(storePath: path)
    let scratch = try StoreAccess.makeScratch()
    defer { try? FileManager.default.removeItem(atPath: scratch) }
    let store = try StoreAccess.open(path, scratch: scratch, key: key, isForRepair: isRepair)
    defer { store.close() }
    let bar = ProgressBar(total: 0, label: "MB verified")
    defer { bar.finish() }
    var done = 0
    do {
      let chunks = try ChunkCheck(store.store)
      let verification = StoreVerification(store, committed: committed, sealFloor: chunks.sealFloor) {
        family, key, value, numbers in
        switch family {
        case "chunks":
          chunks.complaint(key: key, value: value, patients: numbers.patients, devices: numbers.devices)
        case "rollups":
          chunks.complaint(rollups: key, value: value, patients: numbers.patients, devices: numbers.devices)
        default: nil
        }
      } progress: { bytes in
        done += bytes
        bar.advance(to: done >> 20)
      }
      return try verification.run()
    } catch {
      throw CommandFailure(ExitCode.failed, "\(path): \(error)")
    }
  }

  // MARK: Repairing

  private static func repair(
    _ path: String, _ key: MasterKey?, _ verdict: StoreVerdict
  ) throws(CommandFailure) -> [String] {
    if ControlClient.ask(#"{"command":"ping"}"#, store: path) != nil {
      throw CommandFailure(ExitCode.inUse, "\(path): a service runs on the store; stop it before --repair")
    }
    let now = Int64(Date().timeIntervalSince1970 * 1000)
    var done: [String] = []
    do {
      if verdict.findings.contains(where: { $0.kind == .block }) {
        let rebuilt = try StoreRepair.rebuild(path, now: now)
        done.append("\(rebuilt.rows) rows that can be read copied to a new store; the damaged one is \(rebuilt.aside)")
      }
      let store = try VigilStore.openForRepair(path: path, key: key)
      defer { store.close() }
      for name in try StoreRepair.putAside(verdict.findings, of: store, actor: NSUserName(), now: now) {
        done.append("put aside: \(path)/damaged/\(name)")
      }
      if !done.isEmpty {
        try store.audit.record(
          AuditEntry(
            time: now, actor: NSUserName(), action: "store.repair", subject: "store",
            detail: "\(verdict.findingCount) findings, \(done.count) repairs"), sync: true)
      }
    } catch StoreError.inUse {
      throw CommandFailure(ExitCode.inUse, "\(path): the store is in use; stop the service before --repair")
    } catch {
      throw CommandFailure(ExitCode.failed, "\(path): \(error)")
    }
    return done
  }

  // MARK: Reporting

  private static func tell(_ verdict: StoreVerdict, _ repairs: [String], _ path: String, canRepair: Bool) {
    let rows = verdict.families.sorted { $0.key < $1.key }.map {
      [$0.key, String($0.value.rows), String($0.value.bytes)]
    }
    printLine(TextTable.format([["FAMILY", "ROWS", "BYTES"]] + rows))
    let range = verdict.positions.map { "positions \($0.lowerBound) to \($0.upperBound)" } ?? "empty"
    printLine("\njournal: \(verdict.journalEntries) entries in \(verdict.journalBatches) batches, \(range)")
    printLine("audit: \(verdict.auditEntries) entries, head \(verdict.auditHead)")
    for line in repairs { printLine(line) }
    for finding in verdict.findings {
      printError("vigil: \(path): \(finding.kind.rawValue) in \(finding.family)\(place(finding)): \(finding.what)")
    }
    if verdict.findingCount > verdict.findings.count {
      printError("vigil: \(path): \(verdict.findingCount - verdict.findings.count) more findings")
    }
    guard !verdict.isSound else { return printLine("sound") }
    let advice =
      canRepair
      ? "stop the service and run `vigil verify --repair`, or restore a backup"
      : "what is left needs a backup: `vigil restore`"
    printError("vigil: \(path): \(verdict.findingCount) findings; \(advice)")
  }

  private static func place(_ finding: StoreFinding) -> String {
    finding.key.isEmpty ? "" : " at key \(hexadecimal(finding.key))"
  }

  private static func hexadecimal(_ bytes: [UInt8]) -> String {
    bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
  }

  private static func json(_ verdict: StoreVerdict, _ repairs: [String], _ path: String) -> String {
    var out = JSONText()
    out.object { out in
      out.field("store", path)
      out.field("sound", verdict.isSound)
      out.object("families") { out in
        for (name, counts) in verdict.families.sorted(by: { $0.key < $1.key }) {
          out.object(name) {
            $0.field("rows", counts.rows)
            $0.field("bytes", Int(clamping: counts.bytes))
          }
        }
      }
      out.object("journal") {
        $0.field("batches", verdict.journalBatches)
        $0.field("entries", Int(clamping: verdict.journalEntries))
        $0.field("first", verdict.positions.map { Int(clamping: $0.lowerBound) })
        $0.field("last", verdict.positions.map { Int(clamping: $0.upperBound) })
        $0.field("committed", verdict.committed.map { Int(clamping: $0) })
      }
      out.object("audit") {
        $0.field("entries", Int(clamping: verdict.auditEntries))
        $0.field("head", verdict.auditHead)
      }
      out.field("repairs", repairs)
      out.field("finding_count", verdict.findingCount)
      out.array("findings") { out in
        for finding in verdict.findings {
          var one = JSONText()
          one.object {
            $0.field("kind", finding.kind.rawValue)
            $0.field("family", finding.family)
            $0.field("key", hexadecimal(finding.key))
            $0.field("what", finding.what)
          }
          out.rawElement(one.text)
        }
      }
    }
    return out.text
  }
}
