import AlertJournal
import Digests
import Foundation
import KeyValueStore
import Service
import VitalModel

/// What is done with keys while nothing else has the store: sealing it, and erasing a patient.
enum KeysAtRest {
  /// Opens a store for writing, which no service may have.
  static func open(_ path: String, _ arguments: Arguments) throws(CommandFailure) -> VigilStore {
    try present(path)
    let key = try StoreAccess.masterKey(arguments, store: path)
    do throws(StoreError) {
      return try VigilStore.open(path: path, key: key)
    } catch {
      throw failure(path, .store(error))
    }
  }

  private static func present(_ path: String) throws(CommandFailure) {
    guard FileManager.default.fileExists(atPath: path + "/CURRENT") else {
      throw CommandFailure(ExitCode.usage, "\(path): no store here; name one with --store PATH or -c vigil.yaml")
    }
  }

  private static func failure(_ path: String, _ error: JournalError) -> CommandFailure {
    if case .store(.inUse) = error {
      return CommandFailure(
        ExitCode.inUse, "\(path): the service runs on this store; stop it, and start it again after")
    }
    if case .store(.sealed(let line)) = error { return CommandFailure(ExitCode.failed, "\(path): \(line)") }
    return CommandFailure(ExitCode.failed, "\(path): \(error.description)")
  }

  private static func key(_ arguments: Arguments, store path: String) throws(CommandFailure) -> MasterKey {
    guard let key = try StoreAccess.masterKey(arguments, store: path) else {
      throw CommandFailure(
        ExitCode.usage,
        "no master key: name one with `--master-key file:PATH` or `store.master_key` of the configuration")
    }
    return key
  }

  // MARK: Sealing

  static func seal(_ arguments: Arguments) throws(CommandFailure) -> Int32 {
    let path = try StoreAccess.path(arguments)
    try present(path)
    let key = try key(arguments, store: path)
    let bar = ProgressBar(total: 0, label: "rows looked at")
    let report: StoreSealing.Report
    do throws(StoreError) {
      report = try StoreSealing.seal(path: path, key: key) { bar.advance(to: $0) }
      bar.finish()
      let store = try VigilStore.open(path: path, key: key)
      defer { store.close() }
      try asStoreError { () throws(JournalError) in
        try store.audit.record(
          AuditEntry(
            time: Int64(Date().timeIntervalSince1970 * 1000), actor: arguments.value("--by") ?? "vigil",
            action: "keys.seal", subject: "store", detail: "\(report.rows) rows, \(report.damagedFiles) files put aside"
          ))
      }
    } catch {
      bar.finish()
      throw failure(path, .store(error))
    }
    printLine(KeysText.sealed(report, path, arguments.has("--json")))
    return ExitCode.ok
  }

  private static func asStoreError(_ body: () throws(JournalError) -> Void) throws(StoreError) {
    do throws(JournalError) {
      try body()
    } catch {
      if case .store(let error) = error { throw error }
      throw .corruption(error.description)
    }
  }

  // MARK: Erasing

  static func erase(_ id: String, _ arguments: Arguments) throws(CommandFailure) -> Int32 {
    let path = try StoreAccess.path(arguments)
    let (by, reason) = (try ActionSender.user(arguments), try KeysCommand.reason(arguments))
    let key = try key(arguments, store: path)
    guard !reason.contains(id) else {
      throw CommandFailure(ExitCode.usage, "`--reason` holds the patient's id, which would outlive the erasure")
    }
    let now = Int64(Date().timeIntervalSince1970 * 1000)
    let number: UInt32
    do {
      let store = try open(path, arguments)
      defer { store.close() }
      number = try KeysDesk(store: store, now: now).patient(id, tenant: arguments.value("--tenant"))
    } catch let failure as CommandFailure {
      throw failure
    } catch let refusal as KeysRefusal {
      throw CommandFailure(ExitCode.failed, refusal.line)
    } catch {
      throw CommandFailure(ExitCode.failed, "\(path): \(error)")
    }
    let order = PatientErasure.Order(patient: number, actor: by, reason: reason, timeMs: now)
    return try finish(path, arguments) { (progress) throws(JournalError) in
      try PatientErasure.erase(path: path, key: key, order, progress: progress)
    }
  }

  static func resume(_ arguments: Arguments) throws(CommandFailure) -> Int32 {
    let path = try StoreAccess.path(arguments)
    try present(path)
    let key = try key(arguments, store: path)
    return try finish(path, arguments) { (progress) throws(JournalError) in
      try PatientErasure.resume(path: path, key: key, progress: progress)
    }
  }

  private static func finish(
    _ path: String, _ arguments: Arguments,
    _ body: (@escaping (String, Int) -> Void) throws(JournalError) -> PatientErasure.Report?
  ) throws(CommandFailure) -> Int32 {
    let bar = ProgressBar(total: 0, label: "rows looked at")
    let found: PatientErasure.Report?
    do throws(JournalError) {
      found = try body { _, count in bar.advance(to: count) }
      bar.finish()
    } catch {
      bar.finish()
      throw failure(path, error)
    }
    guard let report = found else {
      printLine(arguments.has("--json") ? "{\"ok\":true,\"resumed\":false}" : "no erasure was interrupted")
      return ExitCode.ok
    }
    printLine(KeysText.report(report, backups: backups(arguments, before: report.timeMs), arguments.has("--json")))
    return ExitCode.ok
  }

  /// Times of the backups in `--backups` made before the erasure; nil: none were named.
  private static func backups(_ arguments: Arguments, before timeMs: Int64) -> [String]? {
    guard let folder = arguments.value("--backups") else { return nil }
    guard let data = FileManager.default.contents(atPath: folder + "/backups.json"),
      let root = try? JSONSerialization.jsonObject(with: data)
    else { return nil }
    let list = root as? [[String: Any]] ?? (root as? [String: Any])?["backups"] as? [[String: Any]] ?? []
    return list.compactMap { backup in
      guard let text = backup["time"] as? String, let time = Timestamp.parse(text), time <= timeMs else { return nil }
      return text
    }
  }
}
