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
    /// What is archived from here on does not follow what was: restoring past this place needs a newer backup.
    package var hasGap = false
  }

  private let store: VigilStore
  private let set: BackupSet
  /// `journal/IDENTITY` of the set.
  private let root: String
  /// Next sequence number wanted; nil before the first step.
  private var next: UInt64?
  private var descriptor: Int32 = -1
  private var path = ""
  private var written = 0
  private var openedAt: Int64 = 0
  private let lock: BackupLock
  /// The history written now; nil before the first step.
  private var epoch: ArchiveEpoch?
  private var gap: ArchiveGap?
  private var gapLookedAt = Int64.min

  /// A closed segment can be dropped with the backups before it: so none is open for longer, milliseconds.
  private static let segmentAge: Int64 = 3_600_000
  /// How often it is looked for a backup past a gap, milliseconds.
  private static let gapInterval: Int64 = 10_000
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
    for name in (try? BackupFiles.names(folder)) ?? [] where name.hasSuffix(".log") { unlink(folder + "/" + name) }
    StoreCheckpoint.removeLeftover(storePath: storePath)
  }

  /// - Parameter set: the folder of the backup set; made if missing.
  /// - Throws: `.inUse` when another process archives this store here; `.file`.
  package init(_ store: VigilStore, set: BackupSet) throws(BackupError) {
    self.store = store
    self.set = set
    root = set.journal(store.store.identity ?? "store")
    try BackupFiles.makeFolder(root)
    lock = try BackupLock(root)
    try BackupFiles.write(Array((set.path + "\n").utf8), to: LogArchive.markPath(store.path), in: store.path)
  }

  deinit { if descriptor >= 0 { close(descriptor) } }

  /// Whether moments before the next backup cannot be restored: the log has a gap, or began, after the newest one.
  package var needsBackup: Bool { gap != nil }

  static func segments(in folder: String) throws(BackupError) -> [ArchiveSegment] {
    try BackupFiles.names(folder).compactMap { name in
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
    var from = try next ?? begin(latest, now, &step)
    next = from
    lookForBackup(now)
    guard from <= latest else { return step }
    // Through `latest` nothing is archived that a power cut could still take back.
    try store.store.syncLog()
    do {
      try take(&from, through: latest, now, &step)
    } catch StoreError.logGap {
      try note(ArchiveGap(sequence: latest + 1, time: now))
      step.hasGap = true
      closeSegment()
      // From where the log goes on; what was written meanwhile comes with the next step.
      next = try store.store.firstLogged(atOrAfter: from) ?? latest + 1
    }
    return step
  }

  private func note(_ gap: ArchiveGap) throws(BackupError) {
    try gap.write(in: root)
    self.gap = gap
  }

  private func lookForBackup(_ now: Int64) {
    guard let gap, gapLookedAt == .min || now - gapLookedAt >= LogArchive.gapInterval || now < gapLookedAt else {
      return
    }
    gapLookedAt = now
    // A list that cannot be read holds up no archiving: the gap then stays said.
    guard let own = try? ownBackups(), own.contains(where: gap.isPassed) else { return }
    ArchiveGap.remove(in: root)
    self.gap = nil
  }

  private func ownBackups() throws(BackupError) -> [BackupFacts] {
    try set.backups().map(\.facts).filter { $0.identity == store.store.identity }
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
    let folder = epoch?.folder ?? root
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

  // MARK: Beginning

  /// Where an earlier run left off, else behind the newest backup, else the newest change.
  ///
  /// What was archived last is held against the store first: one that lost its end gives its numbers to other changes.
  private func begin(_ latest: UInt64, _ now: Int64, _ step: inout Step) throws -> UInt64 {
    gap = try ArchiveGap.read(in: root)
    let epochs = try ArchiveEpoch.all(in: root)
    guard var current = epochs.last else { return latest + 1 }
    let anchor = try anchor(current)
    if let anchor {
      if try isOurs(anchor, latest) {
        epoch = current
        return anchor.next
      }
      try note(ArchiveGap(sequence: latest + 1, time: now))
      let position = try store.journal.lastHeader()?.last ?? 0
      let isStill = try store.store.latestSequence() == latest
      current = try ArchiveEpoch.begin(after: current, in: root, position: isStill ? position : nil, now: now)
      step.hasGap = true
    } else if gap == nil {
      // Nothing there that the log could be applied to.
      try note(ArchiveGap(sequence: latest + 1, time: now))
    }
    epoch = current
    return latest + 1
  }

  /// What the archive says the store was when it was last archived or backed up.
  private struct Anchor {
    var next: UInt64
    /// The batch archived last.
    var frame: ArchiveFrame?
    /// The journal position reached then and its ingest time; nil when not known.
    var position: UInt64?
    var ingestTime: Int64?
  }

  /// Nil when the epoch holds nothing and no backup of the store belongs to it.
  private func anchor(_ epoch: ArchiveEpoch) throws(BackupError) -> Anchor? {
    var anchor: Anchor?
    for segment in try LogArchive.segments(in: epoch.folder).reversed() {
      var last: ArchiveFrame?
      var note: JournalNote?
      let end = try segment.read { (frame) throws(BackupError) in
        last = frame
        note = frame.note ?? note
        return true
      }
      if anchor == nil { anchor = Anchor(next: end?.next ?? segment.first) }
      if anchor?.frame == nil { anchor?.frame = last }
      guard let note else { continue }
      anchor?.position = note.last
      anchor?.ingestTime = note.ingestTimes.upperBound
      break
    }
    if anchor?.position != nil { return anchor }
    guard let own = try ownBackups().last(where: { $0.time >= epoch.began }) else { return anchor }
    var found = anchor ?? Anchor(next: own.sequence + 1)
    if own.sequence < found.next { (found.position, found.ingestTime) = (own.position, own.ingestTime) }
    return found
  }

  /// Whether the store wrote what the archive holds. A store that cannot say so any more counts as another.
  private func isOurs(_ anchor: Anchor, _ latest: UInt64) throws -> Bool {
    guard anchor.next <= latest + 1 else { return false }
    if let frame = anchor.frame {
      var isSame: Bool?
      do {
        try store.store.readLog(from: frame.logged.sequence) { logged in
          isSame = logged.sequence == frame.logged.sequence && logged.bytes == frame.logged.bytes
          return false
        }
      } catch StoreError.logGap {
        // Its log is gone: the journal says the same, as no position is given out twice.
      }
      if let isSame { return isSame }
    }
    guard let position = anchor.position else { return anchor.frame == nil }
    guard position > 0 else { return true }
    var isSame = false
    try store.journal.readBatches(from: position, upTo: position, onDamage: { _ in }) { _, header in
      isSame = header.last == position && header.ingestTimes.upperBound == anchor.ingestTime
    }
    return isSame
  }
}
