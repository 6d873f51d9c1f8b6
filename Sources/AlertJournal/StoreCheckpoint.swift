import Compression
import Glibc
import KeyValueStore

/// A copy of a store at one moment, made of hard links in its own folder, for as long as it takes to copy it elsewhere.
package struct StoreCheckpoint: Sendable {
  /// Where the copy is.
  package let path: String
  package let facts: BackupFacts

  private static let folder = "/checkpoint"

  /// Makes one, in place of any that an interrupted backup left. Costs a flush; writers go on meanwhile.
  ///
  /// - Parameter now: milliseconds since 1970.
  package static func make(of store: VigilStore, now: Int64) throws(BackupError) -> StoreCheckpoint {
    let path = store.path + folder
    remove(storePath: store.path)
    return try backing {
      try store.store.checkpoint(to: path)
      let facts = try facts(of: path, of: store, now: now)
      // The restored store is then held against exactly what is in it.
      var marker = CommitMarker(storePath: path)
      guard marker.write(facts.position) else { throw BackupFiles.failure(path) }
      try addQuarantined(store.path, path)
      return StoreCheckpoint(storePath: store.path, facts: facts)
    }
  }

  /// Damaged chunks put aside stay with the store they came from.
  private static func addQuarantined(_ store: String, _ checkpoint: String) throws(BackupError) {
    let names = try BackupFiles.names(store + DamagedPlace.folder)
    guard !names.isEmpty else { return }
    try BackupFiles.makeFolder(checkpoint + DamagedPlace.folder)
    for name in names {
      let path = DamagedPlace.folder + "/" + name
      guard link(store + path, checkpoint + path) == 0 else { throw BackupFiles.failure(checkpoint + path) }
    }
  }

  private static func facts(of path: String, of store: VigilStore, now: Int64) throws -> BackupFacts {
    let scratch = path + ".scratch"
    defer { BackupFiles.removeTree(scratch) }
    let copy = try store.store.openCheckpoint(path, scratch: scratch)
    defer { copy.close() }
    let journal = Journal(
      table: Table(store: copy, family: try copy.family("journal")), registry: try copy.family("registry"))
    let newest = try journal.lastHeader()
    let keys = Table(store: copy, family: try copy.family("keys"))
    return BackupFacts(
      time: now, identity: store.store.identity ?? "store", format: VigilStore.formatVersion,
      sequence: try copy.latestSequence(), position: newest?.last ?? 0, ingestTime: newest?.ingestTimes.upperBound,
      isSealed: try KeyHeader.read(keys) != nil)
  }

  /// Takes it away again.
  package func remove() {
    BackupFiles.removeTree(path)
  }

  /// Holds a store's checkpoint for one backup at a time; take it before making one.
  ///
  /// - Throws: `.inUse` while another backup copies this store.
  package static func lock(storePath: String) throws(BackupError) -> BackupLock {
    try BackupLock(storePath, name: "backup.lock")
  }

  /// Takes away what an interrupted backup left in a store's folder, unless one is still being copied.
  package static func removeLeftover(storePath: String) {
    guard let lock = try? lock(storePath: storePath) else { return }
    withExtendedLifetime(lock) { remove(storePath: storePath) }
  }

  private static func remove(storePath: String) {
    BackupFiles.removeTree(storePath + folder)
    BackupFiles.removeTree(storePath + folder + ".tmp")
    BackupFiles.removeTree(storePath + folder + ".scratch")
  }

  /// A checkpoint that the service on a store has made, with what it said of it.
  package init(storePath: String, facts: BackupFacts) {
    path = storePath + StoreCheckpoint.folder
    self.facts = facts
  }
}

/// What a journal batch leaves as a note in the log, outside every value: so that the log of an encrypted store can be
/// applied up to a time without its keys.
struct JournalNote: Hashable, Sendable {
  var last: UInt64
  /// Milliseconds since 1970.
  var ingestTimes: ClosedRange<Int64>

  private static let version: UInt8 = 1
  private static let byteCount = 25

  var bytes: [UInt8] {
    var out = ByteWriter(capacity: JournalNote.byteCount)
    out.append(JournalNote.version)
    out.append(littleEndian: last)
    out.append(littleEndian: ingestTimes.lowerBound)
    out.append(littleEndian: ingestTimes.upperBound)
    return out.bytes
  }

  init(_ header: JournalBatchHeader) {
    last = header.last
    ingestTimes = header.ingestTimes
  }

  /// The one of a logged batch; nil when it journals nothing.
  init?(in batch: LoggedBatch) {
    guard let bytes = batch.notes?.last, bytes.count == JournalNote.byteCount, bytes[0] == JournalNote.version else {
      return nil
    }
    func number<Value: FixedWidthInteger & BitwiseCopyable>(_ offset: Int, _ type: Value.Type) -> Value {
      bytes.withUnsafeBytes { Value(littleEndian: $0.loadUnaligned(fromByteOffset: offset, as: type)) }
    }
    let (low, high) = (number(9, Int64.self), number(17, Int64.self))
    guard low <= high else { return nil }
    last = number(1, UInt64.self)
    ingestTimes = low...high
  }
}

extension StoreCheckpoint {
  /// Bytes of its files.
  package var byteCount: Int {
    ((try? BackupFiles.files(below: path)) ?? []).reduce(0) {
      $0 + Int(clamping: BackupFiles.facts(path + "/" + $1)?.bytes ?? 0)
    }
  }
}
