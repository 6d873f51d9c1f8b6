import ChunkCoding
import KeyValueStore
import VitalModel

/// Chunks of one group as of one moment.
struct ChunkRange: Sendable {
  let store: Store
  let families: OpenFamilies
  let codec: SealCodec
  /// Nil: as the store is now.
  var snapshot: Snapshot?

  /// An iterator at no key over the chunks of a group that may reach `from`.
  func iterator(_ group: SeriesGroup, from: Int64) throws(SeriesError) -> StoreIterator {
    let lower = ChunkKey(
      group: group, firstTime: from.subtractingClamped(SealPolicy.spanMax), firstPosition: 0)
    return try storing { () throws(StoreError) in
      try store.iterator(
        families.chunks, lower: lower.bytes, upper: keyAfterPrefix(ChunkKey.prefix(group)), snapshot: snapshot)
    }
  }

  /// Lends the header of every chunk that may hold times in `from..<to`, by first event time, until `visit` returns
  /// false.
  ///
  /// - Parameter checksum: also compares the checksums.
  func headers(
    _ group: SeriesGroup, from: Int64 = .min, to: Int64 = .max, checksum: Bool = true,
    _ visit: (ChunkHeader) throws(SeriesError) -> Bool
  ) throws(SeriesError) {
    let iterator = try iterator(group, from: from)
    defer { iterator.close() }
    var isAt = try reading { () throws(StoreError) in try iterator.seekToFirst() }
    while isAt {
      guard try ChunkKey(iterator.key).firstTime < to else { break }
      let value = try reading { () throws(StoreError) in try iterator.value }
      let header = try decoding { () throws(ChunkError) in try ChunkHeader(value, checksum: checksum) }
      if header.lastTime >= from { guard try visit(header) else { break } }
      isAt = try reading { () throws(StoreError) in try iterator.next() }
    }
  }

  /// Headers of the chunks that may hold times in `from..<to`, by first event time.
  func headers(
    _ group: SeriesGroup, from: Int64, to: Int64, checksum: Bool = true
  ) throws(SeriesError) -> [ChunkHeader] {
    var found: [ChunkHeader] = []
    try headers(group, from: from, to: to, checksum: checksum) { (header) throws(SeriesError) in
      found.append(header)
      return true
    }
    return found
  }

  /// The rows of one chunk; nil when it is not there.
  func rows(
    _ header: ChunkHeader, _ group: SeriesGroup, decoder: ChunkDecoder
  ) throws(SeriesError) -> ChunkRows? {
    let key = ChunkKey(group: group, firstTime: header.firstTime, firstPosition: header.firstPosition).bytes
    let value = try reading { () throws(StoreError) in
      try store.get(families.chunks, key: key, snapshot: snapshot)
    }
    guard let value else { return nil }
    let result: Result<ChunkRows, ChunkError> = value.withUnsafeBytes { raw in
      Result { () throws(ChunkError) in try decoder.decode(raw) }
    }
    return try decoding { () throws(ChunkError) in try result.get() }
  }
}

extension ChunkRange {
  /// The first chunk behind a damaged stretch that a walk may go on with; nil when there is none.
  ///
  /// - Parameter place: where the walk stood before the damage; nil: at its beginning.
  fileprivate func keyPastDamage(_ request: FeedRequest, behind place: ChunkKey?) throws(SeriesError) -> ChunkKey? {
    let start = ChunkKey(
      group: request.group, firstTime: request.from.subtractingClamped(SealPolicy.spanMax), firstPosition: 0)
    let end = ChunkKey(group: request.group, firstTime: request.to, firstPosition: 0)
    let found = try storing { () throws(StoreError) in
      try store.keyPastDamage(
        families.chunks, behind: (place ?? start).bytes, before: end.bytes, snapshot: snapshot)
    }
    return try found.map { (bytes) throws(SeriesError) in try ChunkKey(copy: bytes) }
  }
}

/// Which chunks of a group a walk needs, and what it does about damage.
struct FeedRequest: Sendable {
  var group: SeriesGroup
  var from: Int64
  var to: Int64
  /// Only chunks with one of these; empty: all.
  var codes: Set<VitalCode> = []
  /// Told of a damaged chunk, which is then stepped over; nil: damage ends the walk.
  var onDamage: (@Sendable (SeriesGroup, ChunkError) -> Void)?

  /// Whether a chunk has something for the walk.
  func wants(_ header: ChunkHeader) -> Bool {
    guard header.lastTime >= from, header.firstTime < to else { return false }
    return codes.isEmpty || header.columns.contains { codes.contains($0.column.code) }
  }
}

/// Decoded chunks of one group by first event time.
///
/// Not for use from two threads at once.
protocol ChunkFeed: AnyObject {
  /// First event time of the next chunk, nil after the last.
  func nextTime() throws(SeriesError) -> Int64?
  /// The next chunk's rows, nil after the last.
  func take() throws(SeriesError) -> ChunkRows?
  /// Lets go of the store's files.
  func close()
}

/// Chunks read and decoded when asked for.
final class DirectFeed: ChunkFeed {
  private let range: ChunkRange
  private var iterator: StoreIterator
  /// Made for the first chunk: many walks find none.
  private var decoder: ChunkDecoder?
  private let request: FeedRequest
  private var isStarted = false
  /// The next wanted chunk's first time; the iterator stands at it.
  private var next: Int64?
  /// The chunk the iterator came to last.
  private var place: ChunkKey?

  /// - Parameter decoder: used again by walks that follow each other; nil: one of its own.
  init(_ range: ChunkRange, _ request: FeedRequest, decoder: ChunkDecoder? = nil) throws(SeriesError) {
    iterator = try range.iterator(request.group, from: request.from)
    self.range = range
    self.decoder = decoder
    self.request = request
  }

  func nextTime() throws(SeriesError) -> Int64? {
    if !isStarted {
      isStarted = true
      try settle(try move { (iterator) throws(StoreError) in try iterator.seekToFirst() })
    }
    return next
  }

  func take() throws(SeriesError) -> ChunkRows? {
    while try nextTime() != nil {
      let decoder = if let decoder { decoder } else { try range.codec.makeDecoder() }
      self.decoder = decoder
      let decoded: Result<ChunkRows, SeriesError> = Result { () throws(SeriesError) in
        let value = try reading { () throws(StoreError) in try iterator.value }
        return try decoding { () throws(ChunkError) in try decoder.decode(value) }
      }
      try settle(try move { (iterator) throws(StoreError) in try iterator.next() })
      switch decoded {
      case .success(let rows): return rows
      case .failure(let error): try step(over: error)
      }
    }
    return nil
  }

  /// Moves on to the first wanted chunk.
  private func settle(_ arrived: Bool) throws(SeriesError) {
    var isAt = arrived
    next = nil
    while isAt {
      let key = try ChunkKey(iterator.key)
      place = key
      // Chunks that begin at or after the end of the range have nothing for it.
      guard key.firstTime < request.to else { return }
      do throws(SeriesError) {
        let value = try reading { () throws(StoreError) in try iterator.value }
        if request.wants(try decoding { () throws(ChunkError) in try ChunkHeader(value, checksum: false) }) {
          next = key.firstTime
          return
        }
      } catch {
        try step(over: error)
      }
      isAt = try move { (iterator) throws(StoreError) in try iterator.next() }
    }
  }

  /// Moves the iterator; past a stretch that cannot be read where damage is stepped over.
  private func move(_ step: (StoreIterator) throws(StoreError) -> Bool) throws(SeriesError) -> Bool {
    var failure: SeriesError
    do throws(StoreError) { return try step(iterator) } catch { failure = SeriesError(reading: error) }
    while true {
      try self.step(over: failure)
      guard let key = try range.keyPastDamage(request, behind: place) else { return false }
      place = key
      iterator.close()
      iterator = try range.iterator(request.group, from: request.from)
      do throws(StoreError) { return try iterator.seek(key.bytes) } catch { failure = SeriesError(reading: error) }
    }
  }

  private func step(over error: SeriesError) throws(SeriesError) {
    guard let onDamage = request.onDamage, case .chunk(let damage) = error else { throw error }
    onDamage(request.group, damage)
  }

  func close() {
    iterator.close()
    isStarted = true
    next = nil
  }
}
