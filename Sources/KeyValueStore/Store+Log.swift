import CRocksDB
import Glibc

/// One batch of the store's log, in RocksDB's own bytes: applied to a copy of the store it makes the same change again.
package struct LoggedBatch: Sendable {
  /// Sequence number of its first change.
  package var sequence: UInt64
  /// Changes in it, each of which takes one sequence number.
  package var changes: UInt32
  /// Values as kept, so sealed where the store's guard seals them.
  package var bytes: [UInt8]

  package init(sequence: UInt64, changes: UInt32, bytes: [UInt8]) {
    self.sequence = sequence
    self.changes = changes
    self.bytes = bytes
  }

  /// Sequence number of the change after its last.
  package var next: UInt64 { sequence &+ UInt64(changes) }

  /// What ``WriteBatch/note(_:)`` left in it, in order; nil when the bytes are no whole batch.
  package var notes: [[UInt8]]? { bytes.withUnsafeBytes { BatchWalk($0).notes() } }
}

/// The log of changes and copies made from it: what backups, archives and restoring need.
extension Store {
  /// Sequence number of the newest change.
  package func latestSequence() throws(StoreError) -> UInt64 {
    try withSession { rocksdb_get_latest_sequence_number($0.database) }
  }

  /// The name RocksDB gave this store when it was made: the same for its whole life, another for every other store.
  package var identity: String? { Store.identity(at: path) }

  /// The name of the store in a folder; nil when it has none.
  package static func identity(at path: String) -> String? {
    let descriptor = Glibc.open(path + "/IDENTITY", O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return nil }
    defer { Glibc.close(descriptor) }
    var bytes = [UInt8](repeating: 0, count: 128)
    let count = bytes.withUnsafeMutableBytes { Glibc.read(descriptor, $0.baseAddress, $0.count) }
    guard count > 0 else { return nil }
    let text = String(decoding: bytes[..<count].prefix { $0 > 0x20 && $0 < 0x7F && $0 != 0x2F }, as: UTF8.self)
    return text.isEmpty ? nil : text
  }

  /// Gives the batches of the log from a sequence number on, in order, until `body` returns false or the log ends.
  ///
  /// What was written without sync is given too: call `syncLog()` first and stop at what was the latest then, so that
  /// nothing is copied that a power cut may still undo.
  ///
  /// - Throws: `.logGap` when the log no longer reaches back to `sequence`.
  package func readLog(
    from sequence: UInt64, _ body: (LoggedBatch) throws(StoreError) -> Bool
  ) throws(StoreError) {
    try withSession { (session) throws(StoreError) in
      guard sequence <= rocksdb_get_latest_sequence_number(session.database) else { return }
      var text: UnsafeMutablePointer<CChar>?
      let iterator = rocksdb_get_updates_since(session.database, sequence, nil, &text)
      if let text {
        defer { rocksdb_free(text) }
        throw .logGap(String(cString: text))
      }
      guard let iterator else { throw .logGap("no log") }
      defer { rocksdb_wal_iter_destroy(iterator) }
      var expected = sequence
      while rocksdb_wal_iter_valid(iterator) != 0 {
        let found = Store.current(iterator)
        // What a start leaves in the log to mark its place holds no change.
        if found.changes > 0, found.next > expected {
          guard found.sequence <= expected else { throw .logGap("change \(expected) is not in the log") }
          expected = found.next
          guard try body(found) else { return }
        }
        rocksdb_wal_iter_next(iterator)
      }
      do throws(StoreError) {
        try checked(path: path) { rocksdb_wal_iter_status(iterator, $0) }
      } catch {
        // The writer was in the middle of a record, or began the next file: what follows comes with the next call.
        if expected == sequence { throw error }
      }
    }
  }

  /// Sequence number of the first batch in the log at or after a number; nil when there is none.
  package func firstLogged(atOrAfter sequence: UInt64) throws(StoreError) -> UInt64? {
    try withSession { session in
      var text: UnsafeMutablePointer<CChar>?
      let iterator = rocksdb_get_updates_since(session.database, sequence, nil, &text)
      if let text { rocksdb_free(text) }
      guard let iterator else { return nil }
      defer { rocksdb_wal_iter_destroy(iterator) }
      while rocksdb_wal_iter_valid(iterator) != 0 {
        let found = Store.current(iterator)
        if found.changes > 0, found.next > sequence { return found.sequence }
        rocksdb_wal_iter_next(iterator)
      }
      return nil
    }
  }

  private static func current(_ iterator: OpaquePointer) -> LoggedBatch {
    var sequence: UInt64 = 0
    guard let batch = rocksdb_wal_iter_get_batch(iterator, &sequence) else {
      return LoggedBatch(sequence: 0, changes: 0, bytes: [])
    }
    defer { rocksdb_writebatch_destroy(batch) }
    var size = 0
    let data = rocksdb_writebatch_data(batch, &size)
    let bytes = [UInt8](UnsafeRawBufferPointer(start: data, count: data == nil ? 0 : size))
    return LoggedBatch(sequence: sequence, changes: UInt32(clamping: rocksdb_writebatch_count(batch)), bytes: bytes)
  }

  /// Makes the changes of a logged batch in this store, which must be as the other was when it was written there.
  ///
  /// - Throws: `.corruption` when the bytes are no whole batch; nothing is then written.
  package func apply(_ logged: LoggedBatch, sync: Bool = false) throws(StoreError) {
    guard logged.bytes.withUnsafeBytes({ BatchWalk($0).changes() }) == logged.changes else {
      throw .corruption("a logged batch is not whole")
    }
    try writing { (session) throws(StoreError) in
      let batch = logged.bytes.withUnsafeBytes { rocksdb_writebatch_create_from($0.chars, $0.count) }
      defer { rocksdb_writebatch_destroy(batch) }
      try checked(path: path) { status in
        rocksdb_write(session.database, sync ? session.syncedWrite : session.unsyncedWrite, batch, status)
      }
    }
  }
}

/// Walks the records of a batch in RocksDB's bytes: sequence u64, count u32, then records of a tag and counted parts.
struct BatchWalk {
  private let bytes: UnsafeRawBufferPointer
  private var offset = 12

  init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

  /// Notes in order; nil when the bytes are no whole batch.
  func notes() -> [[UInt8]]? {
    var notes: [[UInt8]] = []
    return walk { tag, part in if tag == Self.note { notes.append([UInt8](part)) } } == nil ? nil : notes
  }

  /// Number of changes; nil when the bytes are no whole batch.
  func changes() -> UInt32? { walk { _, _ in } }

  private static let note: UInt8 = 0x03

  /// Tags of records: how many counted parts follow, and whether a family's number stands before them.
  private static func shape(_ tag: UInt8) -> (parts: Int, hasFamily: Bool, isChange: Bool)? {
    switch tag {
    case 0x01, 0x02: (2, false, true)
    case 0x00, 0x07: (1, false, true)
    case 0x05, 0x06, 0x0E: (2, true, true)
    case 0x04, 0x08: (1, true, true)
    case 0x0F: (2, false, true)
    case note: (1, false, false)
    case 0x0D: (0, false, false)
    default: nil
    }
  }

  private func walk(_ visit: (UInt8, UnsafeRawBufferPointer) -> Void) -> UInt32? {
    guard bytes.count >= 12 else { return nil }
    var walk = self
    var count: UInt32 = 0
    while walk.offset < bytes.count {
      let tag = bytes[walk.offset]
      walk.offset += 1
      guard let shape = Self.shape(tag) else { return nil }
      if shape.hasFamily, walk.varint() == nil { return nil }
      for _ in 0..<shape.parts {
        guard let part = walk.counted() else { return nil }
        visit(tag, part)
      }
      if shape.isChange { count &+= 1 }
    }
    return count == UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt32.self)) ? count : nil
  }

  private mutating func varint() -> UInt32? {
    var value: UInt64 = 0
    for shift in stride(from: UInt64(0), to: 35, by: 7) {
      guard offset < bytes.count else { return nil }
      let byte = bytes[offset]
      offset += 1
      value |= UInt64(byte & 0x7F) << shift
      if byte < 0x80 { return UInt32(exactly: value) }
    }
    return nil
  }

  private mutating func counted() -> UnsafeRawBufferPointer? {
    guard let count = varint(), bytes.count - offset >= Int(count) else { return nil }
    defer { offset += Int(count) }
    return UnsafeRawBufferPointer(rebasing: bytes[offset..<(offset + Int(count))])
  }
}
