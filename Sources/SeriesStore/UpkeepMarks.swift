import ChunkCoding
import Compression
import KeyValueStore

/// What sealing left to be merged in one day of a group.
struct MergeMark: Hashable, Sendable {
  /// Least and greatest event time of the chunks concerned, ms.
  var from: Int64
  var to: Int64
  /// Small or late chunks since the last merge.
  var chunks: UInt32
  /// Ingest time of the first of them, ms.
  var since: Int64

  private static let version: UInt8 = 1
  private static let byteCount = 33

  var bytes: [UInt8] {
    var writer = ByteWriter(capacity: MergeMark.byteCount)
    writer.append(MergeMark.version)
    writer.append(littleEndian: from)
    writer.append(littleEndian: to)
    writer.append(littleEndian: chunks)
    writer.append(littleEndian: since)
    writer.append(littleEndian: Checksums.crc32c(writer.bytes))
    return writer.bytes
  }

  init(from: Int64, to: Int64, chunks: UInt32, since: Int64) {
    self.from = from
    self.to = to
    self.chunks = chunks
    self.since = since
  }

  init(_ bytes: UnsafeRawBufferPointer) throws(SeriesError) {
    guard bytes.count == MergeMark.byteCount, bytes[0] == MergeMark.version,
      Checksums.crc32c(UnsafeRawBufferPointer(rebasing: bytes[..<29]))
        == UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: 29, as: UInt32.self))
    else { throw .damaged("merge mark") }
    from = Int64(littleEndian: bytes.loadUnaligned(fromByteOffset: 1, as: Int64.self))
    to = Int64(littleEndian: bytes.loadUnaligned(fromByteOffset: 9, as: Int64.self))
    chunks = UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: 17, as: UInt32.self))
    since = Int64(littleEndian: bytes.loadUnaligned(fromByteOffset: 21, as: Int64.self))
    guard from <= to else { throw .damaged("merge mark") }
  }

  /// Both marks as one.
  func joined(_ other: MergeMark) -> MergeMark {
    MergeMark(
      from: min(from, other.from), to: max(to, other.to), chunks: chunks &+ other.chunks,
      since: min(since, other.since))
  }
}

/// Marks as they are on disk, and what is known of each group's newest sealed row.
///
/// Marks are written in the batch of the chunks they speak of, so that no crash leaves one without the other.
struct UpkeepMarks: Sendable {
  var merges: [GroupDay: MergeMark] = [:]
  /// Days whose rollups are missing or old, with the ingest time of the mark.
  var days: [GroupDay: Int64] = [:]
  /// Newest event time in a group's sealed chunks; nil inside: it has none. Absent: not looked up yet.
  var newest: [SeriesGroup: Int64?] = [:]

  mutating func adopt(_ changes: UpkeepMarks) {
    merges.merge(changes.merges) { $1 }
    days.merge(changes.days) { $1 }
    newest.merge(changes.newest) { $1 }
  }

  /// Reads the marks of a store.
  static func read(_ store: Store, _ families: OpenFamilies) throws(SeriesError) -> UpkeepMarks {
    var marks = UpkeepMarks()
    try visit(store, families, StateKey.mergePrefix) { (day, value) throws(SeriesError) in
      marks.merges[day] = try MergeMark(value)
    }
    try visit(store, families, StateKey.rollupPrefix) { (day, value) throws(SeriesError) in
      let since = try decoding { () throws(ChunkError) in try PositionRecord.decode(value) }
      marks.days[day] = Int64(bitPattern: since)
    }
    return marks
  }

  /// Lends every mark under a prefix.
  static func visit(
    _ store: Store, _ families: OpenFamilies, _ prefix: [UInt8], snapshot: Snapshot? = nil,
    _ body: (GroupDay, UnsafeRawBufferPointer) throws(SeriesError) -> Void
  ) throws(SeriesError) {
    let iterator = try storing { () throws(StoreError) in
      try store.iterator(families.state, lower: prefix, upper: keyAfterPrefix(prefix), snapshot: snapshot)
    }
    defer { iterator.close() }
    var isAt = try storing { () throws(StoreError) in try iterator.seekToFirst() }
    while isAt {
      let value = try storing { () throws(StoreError) in try iterator.value }
      try body(try StateKey.day(iterator.key), value)
      isAt = try storing { () throws(StoreError) in try iterator.next() }
    }
  }
}
