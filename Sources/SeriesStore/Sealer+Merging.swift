import ChunkCoding
import KeyValueStore

/// Chunks that become one, or few.
struct MergeCluster {
  private(set) var headers: [ChunkHeader] = []
  private(set) var rows = 0
  private(set) var firstTime = Int64.max
  private(set) var lastTime = Int64.min
  private(set) var firstPosition = UInt64.max
  private(set) var lastPosition: UInt64 = 0

  mutating func add(_ header: ChunkHeader) {
    headers.append(header)
    rows += header.rowCount
    firstTime = min(firstTime, header.firstTime)
    lastTime = max(lastTime, header.lastTime)
    firstPosition = min(firstPosition, header.firstPosition)
    lastPosition = max(lastPosition, header.lastPosition)
  }

  /// Whether a chunk that begins no earlier belongs here: it overlaps, or one of both is small and they fit one chunk.
  func wants(_ header: ChunkHeader, _ policy: SealPolicy) -> Bool {
    guard !headers.isEmpty else { return true }
    let span = UInt64(bitPattern: max(lastTime, header.lastTime) &- firstTime)
    let together = rows + header.rowCount
    if header.firstTime <= lastTime {
      return together <= policy.mergeStepRowsMax && span <= 2 * UInt64(SealPolicy.spanMax)
    }
    let isSmall = rows < policy.smallRows || header.rowCount < policy.smallRows
    return isSmall && together <= policy.mergedRowsMax && span <= UInt64(SealPolicy.spanMax)
  }

  /// Whether merging keeps the promise of keys: a chunk outside that overlaps in time is older than all of these, or newer
  /// than all of these. Otherwise the merged chunk would stand on the wrong side of it.
  func keepsOrder(among others: [ChunkHeader]) -> Bool {
    let own = Set(headers.map { ChunkPlace($0) })
    return others.allSatisfy { other in
      own.contains(ChunkPlace(other)) || other.lastTime < firstTime || other.firstTime > lastTime
        || other.firstPosition > lastPosition || other.lastPosition < firstPosition
    }
  }
}

/// Where a chunk of a group stands.
private struct ChunkPlace: Hashable {
  let time: Int64
  let position: UInt64

  init(_ header: ChunkHeader) {
    time = header.firstTime
    position = header.firstPosition
  }
}

extension Sealer {
  /// Merges what is marked in one day of a group. Each merge is one atomic write; the mark goes after the last. Beside a
  /// damaged chunk nothing is merged: readers tell of it.
  func merge(_ day: GroupDay, _ sealing: inout Sealing) throws(SeriesError) {
    guard let mark = sealing.marks.merges[day] else { return }
    do throws(SeriesError) {
      try merge(mark, day, &sealing)
    } catch {
      guard case .chunk = error else { throw error }
    }
    let batch = WriteBatch(for: store)
    batch.delete(families.state, key: StateKey.mark(StateKey.mergePrefix, day))
    try storing { () throws(StoreError) in try store.write(batch, sync: false) }
    sealing.marks.finish(.merge, day)
  }

  private func merge(_ mark: MergeMark, _ day: GroupDay, _ sealing: inout Sealing) throws(SeriesError) {
    let from = mark.from.subtractingClamped(SealPolicy.spanMax)
    let to = mark.to.addingClamped(SealPolicy.spanMax)
    let headers = try range.headers(day.group, from: from, to: to)
    var clusters: [MergeCluster] = []
    var cluster = MergeCluster()
    // What reaches beyond the range looked at may overlap chunks that were not seen.
    for header in headers where header.firstTime >= from && header.lastTime < to {
      if !cluster.wants(header, policy) {
        clusters.append(cluster)
        cluster = MergeCluster()
      }
      cluster.add(header)
    }
    clusters.append(cluster)
    let mergeable = clusters.filter { $0.headers.count > 1 && $0.keepsOrder(among: headers) }
    guard !mergeable.isEmpty else { return }
    let encoder = try codec.makeEncoder()
    let decoder = try codec.makeDecoder()
    let batch = WriteBatch(for: store)
    for cluster in mergeable {
      let made = try merge(cluster, day.group, encoder: encoder, decoder: decoder, into: batch)
      try storing { () throws(StoreError) in try store.write(batch, sync: false) }
      batch.clear()
      sealing.upkeep.chunksMerged += made.count == 0 ? 0 : cluster.headers.count
      sealing.upkeep.chunksMade += made.count
      sealing.upkeep.bytesMade += made.bytes
    }
  }

  /// Puts the merged chunks of a cluster into `batch`, and takes out what they replace; nothing where they do not fit.
  private func merge(
    _ cluster: MergeCluster, _ group: SeriesGroup, encoder: any ChunkCodec, decoder: ChunkDecoder,
    into batch: WriteBatch
  ) throws(SeriesError) -> (count: Int, bytes: Int) {
    var sources: [ChunkRows] = []
    for header in cluster.headers {
      let key = ChunkKey(group: group, firstTime: header.firstTime, firstPosition: header.firstPosition).bytes
      guard let rows = try range.rows(header, group, decoder: decoder) else { continue }
      sources.append(rows)
      batch.delete(families.chunks, key: key)
    }
    sources.sort { ($0.firstPosition, $0.times[0]) < ($1.firstPosition, $1.times[0]) }
    guard sources.count == cluster.headers.count else {
      batch.clear()
      return (0, 0)
    }
    let pieces = ChunkRows(merging: sources).pieces(rowsMax: policy.mergedRowsMax, spanMax: SealPolicy.spanMax)
    // More columns than a chunk holds, or as many chunks as before: leave them.
    guard pieces.count < sources.count || sources.hasOverlap, pieces.allSatisfy(\.isWellFormed) else {
      batch.clear()
      return (0, 0)
    }
    var bytes = 0
    // After the deletions: a merged chunk may take the key of one that it replaces.
    for piece in pieces { bytes += try put(piece, encoder: encoder, into: batch) }
    return (pieces.count, bytes)
  }
}

extension [ChunkRows] {
  /// Whether two of them share a stretch of time.
  fileprivate var hasOverlap: Bool {
    let spans = map { ($0.times[0], $0.times[$0.times.count - 1]) }.sorted { $0.0 < $1.0 }
    var reach = Int64.min
    for (first, last) in spans {
      if first <= reach, reach != .min { return true }
      reach = Swift.max(reach, last)
    }
    return false
  }
}
