import Glibc
import KeyValueStore

/// Copies a store's log into a backup set as it grows, so that the store can be restored to any moment since a backup.
///
/// Owned by one thread. What it has archived survives a power cut, here and in the store.
package final class LogArchive {
  /// What one step did.
  package struct Step: Hashable, Sendable {
    package var batches = 0
    package var bytes = 0
    /// Ingest time of the newest journal entry archived; nil when none was.
    package var ingestTime: Int64?
    /// The log no longer reached back to what was archived last: restoring past this place needs a newer backup.
    package var hasGap = false
  }

  private let store: VigilStore
  private let set: BackupSet
  private let folder: String
  /// Next sequence number wanted; nil before the first step.
  private var next: UInt64?
  private var descriptor: Int32 = -1
  private var path = ""
  private var written = 0
  private var openedAt: Int64 = 0
  private let lock: BackupLock

  /// A closed segment can be dropped with the backups before it: so none is open for longer, milliseconds.
  private static let segmentAge: Int64 = 3_600_000
  /// Bytes gathered before they are written.
  private static let gatherBytes = 4 << 20

  /// How much log a store keeps for an archive that cannot be written.
  static let logKeptMiB: UInt64 = 1024

  private static func markPath(_ storePath: String) -> String { storePath + "/archived" }

  /// Whether a store's log is archived, so that whoever opens it must keep what has not been yet.
  static func isKept(storePath: String) -> Bool { BackupFiles.exists(markPath(storePath)) }

  /// Forgets that a store's log is archived: its service no longer does it.
  package static func end(storePath: String) { unlink(markPath(storePath)) }

  /// Drops what a store kept of its log for an archive: RocksDB leaves it when told to keep no more. It holds keys and values
  /// that have been erased since. Only for who has the store open for writing.
  static func dropKept(storePath: String) {
    let folder = storePath + "/archive"
    for name in BackupFiles.names(folder) where name.hasSuffix(".log") { unlink(folder + "/" + name) }
    StoreCheckpoint.removeLeftover(storePath: storePath)
  }

  /// - Parameter set: the folder of the backup set; made if missing.
  /// - Throws: `.inUse` when another process archives this store here; `.file`.
  package init(_ store: VigilStore, set: BackupSet) throws(BackupError) {
    self.store = store
    self.set = set
    folder = set.journal(store.store.identity ?? "store")
    try BackupFiles.makeFolder(folder)
    lock = try BackupLock(folder)
    try BackupFiles.write(Array((set.path + "\n").utf8), to: LogArchive.markPath(store.path), in: store.path)
  }

  deinit { if descriptor >= 0 { close(descriptor) } }

  static func segments(in folder: String) -> [ArchiveSegment] {
    BackupFiles.names(folder).compactMap { name in
      guard name.hasSuffix(".log"), let first = UInt64(name.dropLast(4)) else { return nil }
      return ArchiveSegment(first: first, path: folder + "/" + name)
    }.sorted { $0.first < $1.first }
  }

  /// Archives what has been written since the last step. An error leaves everything to the next one.
  ///
  /// - Parameter now: milliseconds since 1970.
  package func step(now: Int64) throws(BackupError) -> Step {
    try backing { try archive(now) }
  }

  private func archive(_ now: Int64) throws -> Step {
    var step = Step()
    let latest = try store.store.latestSequence()
    var from = try next ?? beginning(latest)
    if from > latest + 1 {
      // The store lost its end: what it writes next has numbers that are archived already, with another meaning.
      throw BackupError.damaged(
        path: folder, "the log archived here reaches to change \(from - 1), the store only to \(latest)")
    }
    next = from
    guard from <= latest else { return step }
    // Through `latest` nothing is archived that a power cut could still take back.
    try store.store.syncLog()
    do {
      try take(&from, through: latest, now, &step)
    } catch StoreError.logGap {
      step.hasGap = true
      closeSegment()
      // From where the log goes on; what was written meanwhile comes with the next step.
      next = try store.store.firstLogged(atOrAfter: from) ?? latest + 1
    }
    return step
  }

  private func take(_ from: inout UInt64, through latest: UInt64, _ now: Int64, _ step: inout Step) throws {
    var gathered: [UInt8] = []
    var gatheredThrough = from
    var trouble: BackupError?
    try store.store.readLog(from: from) { (logged) throws(StoreError) in
      guard logged.sequence <= latest else { return false }
      let frame = ArchiveFrame(logged)
      gathered += frame.bytes
      gatheredThrough = logged.next
      step.batches += 1
      if let note = frame.note { step.ingestTime = note.ingestTimes.upperBound }
      guard gathered.count >= LogArchive.gatherBytes else { return true }
      do throws(BackupError) {
        try flush(&gathered, gatheredThrough, now, &step)
        return true
      } catch {
        trouble = error
        return false
      }
    }
    if let trouble { throw trouble }
    try flush(&gathered, gatheredThrough, now, &step)
    from = gatheredThrough
  }

  /// Where an earlier run left off, however many backups came since: restores begin with older ones too. Else behind the
  /// newest backup, else the newest change.
  private func beginning(_ latest: UInt64) throws(BackupError) -> UInt64 {
    guard let last = LogArchive.segments(in: folder).last else {
      let own = try set.backups().last { $0.facts.identity == store.store.identity }
      return own.map { $0.facts.sequence + 1 } ?? latest + 1
    }
    return try last.read { (_) throws(BackupError) in true } ?? last.first
  }

  private func flush(
    _ bytes: inout [UInt8], _ through: UInt64, _ now: Int64, _ step: inout Step
  ) throws(BackupError) {
    guard !bytes.isEmpty, let first = next else { return }
    if descriptor >= 0, written >= ArchiveSegment.bytesMax || now - openedAt >= LogArchive.segmentAge { closeSegment() }
    if descriptor < 0 { try openSegment(first, now) }
    guard BackupFiles.writeAll(descriptor, bytes[...]), fdatasync(descriptor) == 0 else {
      let failure = BackupFiles.failure(path)
      // What was half written is behind the last whole frame; the next segment begins with it again.
      closeSegment()
      throw failure
    }
    written += bytes.count
    step.bytes += bytes.count
    next = through
    bytes.removeAll(keepingCapacity: true)
  }

  private func openSegment(_ first: UInt64, _ now: Int64) throws(BackupError) {
    path = folder + "/" + ArchiveSegment.name(first)
    descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else { throw BackupFiles.failure(path) }
    guard BackupFiles.writeAll(descriptor, ArchiveSegment.magic[...]) else {
      let failure = BackupFiles.failure(path)
      closeSegment()
      throw failure
    }
    (written, openedAt) = (ArchiveSegment.magic.count, now)
    try BackupFiles.syncFolder(folder)
  }

  private func closeSegment() {
    if descriptor >= 0 { close(descriptor) }
    descriptor = -1
  }

  // MARK: Reading

  /// Gives archived batches from a sequence number on, in order, until `body` returns false.
  ///
  /// - Returns: where the unbroken log ends, and where it goes on behind a gap; nil for an end that `body` chose.
  static func read(
    folder: String, from sequence: UInt64, _ body: (ArchiveFrame) throws(BackupError) -> Bool
  ) throws(BackupError) -> (next: UInt64, behindGap: UInt64?)? {
    var next = sequence
    let segments = segments(in: folder)
    for (index, segment) in segments.enumerated() {
      if index + 1 < segments.count, segments[index + 1].first <= next { continue }
      guard segment.first <= next else { return (next, segment.first) }
      let end = try segment.read { (frame) throws(BackupError) in
        guard frame.logged.next > next else { return true }
        guard try body(frame) else { return false }
        next = frame.logged.next
        return true
      }
      guard end != nil else { return nil }
    }
    return (next, nil)
  }
}
