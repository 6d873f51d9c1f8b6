import AlertJournal
import Foundation
import Instrumentation
import KeyValueStore
import VitalModel

/// Makes backups of a store, beside a running service or of a store at rest.
package enum StoreBackup {
  /// Why no backup came to be.
  package enum Failure: Error {
    /// Another process holds the store and answers no request.
    case inUse(String)
    case failed(String)

    package var line: String {
      switch self {
      case .inUse(let line), .failed(let line): line
      }
    }
  }

  /// What the service says of a checkpoint it made.
  struct Reply: Codable {
    var error: String?
    var time: Int64?
    var identity: String?
    var format: UInt32?
    /// Text: it may be more than a JSON number holds exactly.
    var sequence: String?
    var position: String?
    var ingest: Int64?
    var sealed: Bool?

    init(_ checkpoint: StoreCheckpoint) {
      let facts = checkpoint.facts
      time = facts.time
      identity = facts.identity
      format = facts.format
      sequence = String(facts.sequence)
      position = String(facts.position)
      ingest = facts.ingestTime
      sealed = facts.isSealed
    }

    init(error: String) { self.error = error }

    /// - Parameter path: of the store as this process sees it; the service may have been started elsewhere.
    func checkpoint(store path: String) -> StoreCheckpoint? {
      guard let time, let identity, let format, let sequence = sequence.flatMap({ UInt64($0) }),
        let position = position.flatMap({ UInt64($0) }), let sealed
      else { return nil }
      return StoreCheckpoint(
        storePath: path,
        facts: BackupFacts(
          time: time, identity: identity, format: format, sequence: sequence, position: position, ingestTime: ingest,
          isSealed: sealed))
    }
  }

  /// - Parameters:
  ///   - keep: backups that stay in the set; nil: all.
  ///   - actor: who asked, for the audit entry.
  ///   - open: opens the store for writing; called when no service runs on it.
  ///   - progress: told of bytes looked at, and of how many there are.
  package static func make(
    store path: String, to set: BackupSet, keep: Int?, actor: String,
    open: () throws(StoreError) -> VigilStore, progress: (Int, Int) -> Void
  ) throws(Failure) -> BackupSet.Made {
    let lock: BackupLock
    do throws(BackupError) {
      lock = try StoreCheckpoint.lock(storePath: path)
    } catch {
      if case .inUse = error { throw .inUse("\(path): another backup of this store is under way; wait for its end") }
      throw .failed(error.description)
    }
    defer { withExtendedLifetime(lock) {} }
    if let answer = ControlClient.ask(#"{"command":"checkpoint"}"#, store: path) {
      guard let reply = try? JSONDecoder().decode(Reply.self, from: Data(answer.utf8)), reply.error == nil,
        let checkpoint = reply.checkpoint(store: path)
      else { throw .failed("\(path): the service made no checkpoint: \(answer)") }
      defer { checkpoint.remove() }
      let made = try copy(checkpoint, to: set, keep: keep, progress)
      var out = JSONText()
      out.object {
        $0.field("command", "backup-made")
        $0.array("ids") {
          $0.element(actor); $0.element(detail(made))
        }
      }
      _ = ControlClient.ask(out.text, store: path)
      return made
    }
    let store: VigilStore
    do throws(StoreError) {
      store = try open()
    } catch {
      if case .inUse = error {
        throw .inUse("\(path): the store is in use by a vigil that answers no request; try again, or stop it")
      }
      throw .failed("\(path): \(error.description)")
    }
    defer { store.close() }
    let now = Int64(Date().timeIntervalSince1970 * 1000)
    let checkpoint: StoreCheckpoint
    do throws(BackupError) {
      checkpoint = try StoreCheckpoint.make(of: store, now: now)
    } catch {
      throw .failed(error.description)
    }
    defer { checkpoint.remove() }
    let made = try copy(checkpoint, to: set, keep: keep, progress)
    do throws(JournalError) {
      try record(made: detail(made), actor: actor, now: now, in: store)
    } catch {
      throw .failed("\(path): the backup is made, but its audit entry could not be written: \(error)")
    }
    return made
  }

  private static func copy(
    _ checkpoint: StoreCheckpoint, to set: BackupSet, keep: Int?, _ progress: (Int, Int) -> Void
  ) throws(Failure) -> BackupSet.Made {
    var done = 0
    let total = checkpoint.byteCount
    do throws(BackupError) {
      return try set.add(checkpoint, keep: keep) { bytes in
        done += bytes
        progress(done, total)
      }
    } catch {
      throw .failed(error.description)
    }
  }

  private static func detail(_ made: BackupSet.Made) -> String {
    "number \(made.backup.facts.number) through position \(made.backup.facts.position), "
      + "\(made.backup.byteCount) bytes, \(made.bytesNew) copied"
  }

  static func record(
    made detail: String, actor: String, now: Int64, in store: VigilStore
  ) throws(JournalError) {
    try store.audit.record(
      AuditEntry(time: now, actor: actor, action: "backup.create", subject: "store", detail: detail), sync: true)
  }
}

extension VigilService {
  /// A checkpoint for a backup that another process copies, as JSON.
  func checkpointReply() -> String {
    let reply: StoreBackup.Reply
    do throws(BackupError) {
      reply = StoreBackup.Reply(
        try StoreCheckpoint.make(of: store, now: settings.clock.wallMilliseconds()))
    } catch {
      reply = StoreBackup.Reply(error: error.description)
    }
    guard let bytes = try? JSONEncoder().encode(reply) else { return "{\"error\":\"no reply could be made\"}" }
    return String(decoding: bytes, as: UTF8.self)
  }

  /// Notes in the audit chain that a backup was made.
  ///
  /// - Parameter words: who made it, and what it is.
  func noteBackup(_ words: [String]) -> String {
    guard words.count == 2 else { return "{\"error\":\"a backup is noted with its maker and what it is\"}" }
    do throws(JournalError) {
      try StoreBackup.record(
        made: words[1], actor: words[0], now: settings.clock.wallMilliseconds(), in: store)
      return "{\"ok\":true}"
    } catch {
      log.error("backup", "the audit entry could not be written", ["reason": LogValue(error.description)])
      return "{\"error\":\"the audit entry could not be written\"}"
    }
  }
}
