import ChunkCoding
import KeyValueStore
import VitalModel

/// What the chunks and rollups of a store amount to: from headers, and a few chunks for what each vital takes.
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
  /// By vital: the bytes of all chunks, shared out by what the samples of each vital would take alone.
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

  /// Bytes a day by the newest week with data, the newest day left out as it is still growing; of a store with one day, by
  /// the hours it has; nil with less than one.
  package var growthPerDay: Double? {
    guard let newest = days.keys.max() else { return nil }
    let week = days.filter { newest - 7 <= $0.key && $0.key < newest }
    if let oldest = week.keys.min() { return Double(week.values.reduce(0, +)) / Double(newest - oldest) }
    guard let firstTime, let lastTime, lastTime.subtractingClamped(firstTime) >= 3_600_000 else { return nil }
    return all.bytes * Double(GroupDay.length) / Double(lastTime - firstTime)
  }

  /// Shares out all bytes among the vitals.
  ///
  /// - Parameter alone: samples and bytes of each vital in chunks of its own.
  fileprivate mutating func shareOut(_ alone: [VitalCode: Share]) {
    // One that no sampled chunk had takes as much as all together do.
    let common = all.bytesPerSample ?? 0
    func weight(_ code: VitalCode, _ share: Share) -> Double {
      (alone[code]?.bytesPerSample ?? common) * Double(share.samples)
    }
    let total = vitals.reduce(0.0) { $0 + weight($1.key, $1.value) }
    guard total > 0 else { return }
    for (code, share) in vitals { vitals[code]?.bytes = all.bytes * weight(code, share) / total }
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
    figures.shareOut(try aloneShares(of: figures.chunks))
    try visit(families.rollups) { (_, value) in
      figures.rollupDays += 1
      figures.rollupBytes += value.count
    }
    return figures
  }

  /// Chunks looked into for what each vital takes.
  private static let sampledChunks = 64

  /// What the vitals of some chunks, evenly spread, take in chunks of their own.
  private func aloneShares(of count: Int) throws(SeriesError) -> [VitalCode: SeriesFigures.Share] {
    let decoder = try chunks.codec.makeDecoder()
    let encoder = try chunks.codec.makeEncoder()
    let step = max(1, count / SeriesReader.sampledChunks)
    var alone: [VitalCode: SeriesFigures.Share] = [:]
    var number = 0
    try visit(families.chunks) { (_, value) throws(SeriesError) in
      number += 1
      // A damaged chunk tells nothing here; `vigil verify` tells of it.
      guard number % step == 0, let rows = try? decoder.decode(value) else { return }
      for column in rows.columns {
        var single = rows
        single.columns = [column]
        let bytes = try decoding { () throws(ChunkError) in try encoder.encode(single) }
        alone[column.column.code, default: SeriesFigures.Share()].samples += column.cells.count
        alone[column.column.code, default: SeriesFigures.Share()].bytes += Double(bytes.count)
      }
    }
    return alone
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
