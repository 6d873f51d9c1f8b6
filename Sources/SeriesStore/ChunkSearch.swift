import ChunkCoding
import KeyValueStore
import Synchronization
import VitalModel

/// The last few chunks decoded for look-ups, so that several questions to one chunk unpack it once.
final class ChunkCache: Sendable {
  /// Chunks kept: a look-up concerns one device at a time, and its neighbours in time.
  static let chunksMax = 16

  /// Which bytes were decoded: merging may put other bytes under a key, with another checksum.
  private struct Name: Equatable {
    let key: ChunkKey
    let checksum: UInt32
    let byteCount: Int

    init(_ key: ChunkKey, _ bytes: [UInt8]) {
      self.key = key
      checksum = bytes.suffix(4).reduce(0) { $0 << 8 | UInt32($1) }
      byteCount = bytes.count
    }
  }

  /// The decoder is the lock's alone, made for the first chunk.
  private struct State {
    var decoder: ChunkDecoder?
    var chunks: [(name: Name, rows: ChunkRows)] = []
  }

  private let codec: SealCodec
  private let state = Mutex(State())

  init(_ codec: SealCodec) { self.codec = codec }

  /// The rows of a chunk.
  func rows(_ key: ChunkKey, _ bytes: UnsafeRawBufferPointer) throws(SeriesError) -> ChunkRows {
    let copy = Array(bytes)
    let name = Name(key, copy)
    let result: Result<ChunkRows, SeriesError> = state.withLock { state in
      if let at = state.chunks.firstIndex(where: { $0.name == name }) {
        let kept = state.chunks.remove(at: at)
        state.chunks.append(kept)
        return .success(kept.rows)
      }
      return Result { () throws(SeriesError) in
        let decoder = if let decoder = state.decoder { decoder } else { try codec.makeDecoder() }
        state.decoder = decoder
        let decoded: Result<ChunkRows, ChunkError> = copy.withUnsafeBytes { raw in
          Result { () throws(ChunkError) in try decoder.decode(raw) }
        }
        let rows = try decoding { () throws(ChunkError) in try decoded.get() }
        if state.chunks.count == ChunkCache.chunksMax { state.chunks.removeFirst() }
        state.chunks.append((name, rows))
        return rows
      }
    }
    return try result.get()
  }
}

/// Look-ups in the sealed chunks of one group.
struct ChunkSearch {
  let store: Store
  let families: OpenFamilies
  let group: SeriesGroup

  private func iterator() throws(SeriesError) -> StoreIterator {
    let prefix = ChunkKey.prefix(group)
    return try storing { () throws(StoreError) in
      try store.iterator(families.chunks, lower: prefix, upper: keyAfterPrefix(prefix))
    }
  }

  /// The newest event time of a series above `floor`, from headers alone.
  func newestTime(code: VitalCode, source: UInt16, above floor: Int64) throws(SeriesError) -> Int64? {
    let iterator = try iterator()
    defer { iterator.close() }
    var newest: Int64?
    var isAt = try storing { () throws(StoreError) in try iterator.seekToLast() }
    while isAt {
      let key = try ChunkKey(iterator.key)
      // A chunk spans at most `spanMax`, so nothing before this one reaches the best so far.
      let bound = newest ?? floor
      if bound != .min, key.firstTime < bound.subtractingClamped(SealPolicy.spanMax) { break }
      let value = try storing { () throws(StoreError) in try iterator.value }
      let header = try decoding { () throws(ChunkError) in try ChunkHeader(value, checksum: true) }
      for column in header.columns where column.column.code == code && column.column.source == source {
        if column.lastTime > bound || newest == nil && column.lastTime >= floor {
          newest = max(newest ?? .min, column.lastTime)
        }
      }
      isAt = try storing { () throws(StoreError) in try iterator.previous() }
    }
    return newest
  }

  /// The newest value of a series at exactly this time.
  func newestCell(
    code: VitalCode, source: UInt16, time: Int64, cache: ChunkCache
  ) throws(SeriesError) -> (cell: ChunkCell, unit: UInt8)? {
    let iterator = try iterator()
    defer { iterator.close() }
    var found: (position: UInt64, cell: ChunkCell, unit: UInt8)?
    let from = ChunkKey(group: group, firstTime: time, firstPosition: .max).bytes
    var isAt = try storing { () throws(StoreError) in try iterator.seekForPrevious(from) }
    while isAt {
      let key = try ChunkKey(iterator.key)
      if key.firstTime < time.subtractingClamped(SealPolicy.spanMax) { break }
      let value = try storing { () throws(StoreError) in try iterator.value }
      let header = try decoding { () throws(ChunkError) in try ChunkHeader(value, checksum: false) }
      let mayHold = header.columns.contains {
        $0.column.code == code && $0.column.source == source && $0.lastTime >= time
      }
      if mayHold, found.map({ key.firstPosition > $0.position }) ?? true {
        let rows = try cache.rows(key, value)
        if let cell = rows.newestCell(code: code, source: source, time: time) {
          found = (key.firstPosition, cell.cell, cell.unit)
        }
      }
      isAt = try storing { () throws(StoreError) in try iterator.previous() }
    }
    return found.map { ($0.cell, $0.unit) }
  }
}
