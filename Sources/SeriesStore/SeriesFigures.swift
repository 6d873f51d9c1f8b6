import ChunkCoding
import KeyValueStore
import VitalModel

/// What the chunks and rollups of a store amount to: from headers alone, nothing is decoded.
package struct SeriesFigures: Hashable, Sendable {
  /// Samples and the bytes they take, keys excluded.
  package struct Share: Hashable, Sendable {
    package var samples = 0
    package var bytes = 0.0

    package var bytesPerSample: Double? { samples > 0 ? bytes / Double(samples) : nil }
  }

  package var groups = 0
  package var chunks = 0
  /// Chunks with fewer rows than half of what a full one has.
  package var smallChunks = 0
  package var rows = 0
  package var all = Share()
  /// Chunks and what is in them, by the codec's number.
  package private(set) var codecs: [UInt8: CodecShare] = [:]
  /// By vital: a chunk's bytes are shared out evenly among its samples, as they share its times.
  package var vitals: [VitalCode: Share] = [:]
  /// Bytes of chunks by the UTC day their first row lies in.
  package var days: [Int64: Int] = [:]
  /// Days rolled up, and their bytes.
  package var rollupDays = 0
  package var rollupBytes = 0
  /// Event times of the first and last row, ms; nil without rows.
  package var firstTime: Int64?
  package var lastTime: Int64?

  /// What one codec packed.
  package struct CodecShare: Hashable, Sendable {
    package var chunks = 0
    package var share = Share()
  }

  package init() {}

  /// Bytes a day by the newest week with data, the newest day left out as it is still growing; nil with less than two
  /// days.
  package var growthPerDay: Double? {
    guard let newest = days.keys.max() else { return nil }
    let week = days.filter { newest - 7 <= $0.key && $0.key < newest }
    guard let oldest = week.keys.min() else { return nil }
    return Double(week.values.reduce(0, +)) / Double(newest - oldest)
  }

  fileprivate mutating func add(_ header: ChunkHeader, bytes: Int) {
    chunks += 1
    rows += header.rowCount
    if header.rowCount < SealPolicy().smallRows { smallChunks += 1 }
    let cells = header.cellCount
    all.samples += cells
    all.bytes += Double(bytes)
    codecs[header.codec, default: CodecShare()].chunks += 1
    codecs[header.codec, default: CodecShare()].share.samples += cells
    codecs[header.codec, default: CodecShare()].share.bytes += Double(bytes)
    for column in header.columns {
      vitals[column.column.code, default: Share()].samples += column.cellCount
      vitals[column.column.code, default: Share()].bytes += Double(bytes * column.cellCount) / Double(max(1, cells))
    }
    days[header.firstTime.flooredQuotient(by: GroupDay.length), default: 0] += bytes
    firstTime = min(firstTime ?? .max, header.firstTime)
    lastTime = max(lastTime ?? .min, header.lastTime)
  }
}

extension SeriesReader {
  /// Adds up every chunk and rolled-up day. O(chunks + days).
  ///
  /// - Parameter progress: called now and then with the chunks so far.
  package func figures(progress: (Int) -> Void = { _ in }) throws(SeriesError) -> SeriesFigures {
    var figures = SeriesFigures()
    var group: SeriesGroup?
    try visit(families.chunks) { (key, value) throws(SeriesError) in
      let header = try decoding { () throws(ChunkError) in try ChunkHeader(value, checksum: false) }
      let own = try ChunkKey(key).group
      if own != group { figures.groups += 1 }
      group = own
      figures.add(header, bytes: value.count)
      if figures.chunks % 1024 == 0 { progress(figures.chunks) }
    }
    try visit(families.rollups) { (_, value) in
      figures.rollupDays += 1
      figures.rollupBytes += value.count
    }
    return figures
  }

  private func visit(
    _ family: Family, _ body: (UnsafeRawBufferPointer, UnsafeRawBufferPointer) throws(SeriesError) -> Void
  ) throws(SeriesError) {
    let iterator = try storing { () throws(StoreError) in try store.iterator(family, snapshot: snapshot) }
    defer { iterator.close() }
    var isAt = try storing { () throws(StoreError) in try iterator.seekToFirst() }
    while isAt {
      try body(iterator.key, try storing { () throws(StoreError) in try iterator.value })
      isAt = try storing { () throws(StoreError) in try iterator.next() }
    }
  }
}
