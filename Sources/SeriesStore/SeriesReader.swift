import ChunkCoding
import KeyValueStore
import VitalModel

/// How much a store holds.
package struct SeriesStats: Hashable, Sendable {
  package var groups = 0
  package var chunks = 0
  package var rows = 0
  package var samples = 0
  /// Bytes of chunks, keys excluded.
  package var bytes = 0
}

/// Rows close together in time, ms.
package struct SeriesStretch: Hashable, Sendable {
  package var first: Int64
  package var last: Int64
  package var rows: Int
}

/// Reads sealed chunks as of one moment, from a store open for writing or from a secondary reader of it.
///
/// It holds a snapshot: make one for each export or query and let it go. May be used from any thread.
package struct SeriesReader: Sendable {
  /// How far groups are sealed, as of the same moment.
  package let plan: ReadPlan
  let chunks: ChunkRange
  var store: Store { chunks.store }
  var families: OpenFamilies { chunks.families }
  var snapshot: Snapshot? { chunks.snapshot }

  package init(_ store: Store) throws(SeriesError) {
    let snapshot = try storing { () throws(StoreError) in try store.snapshot() }
    let families = try OpenFamilies(store)
    chunks = ChunkRange(store: store, families: families, codec: SealCodec(store), snapshot: snapshot)
    plan = try ReadPlan(store: store, family: families.state, snapshot: snapshot)
  }

  /// Groups with sealed chunks or rows in the tail, ascending; of one patient, or of all.
  ///
  /// - Parameter onDamage: told of chunks that cannot be read, where groups may be missing; nil: damage is an error.
  package func groups(
    patient: UInt32? = nil, tail: SeriesTail? = nil, onDamage: ((SeriesGroup, ChunkError) -> Void)? = nil
  ) throws(SeriesError) -> [SeriesGroup] {
    let walk = GroupWalk(store: store, family: families.chunks, snapshot: snapshot, onDamage: onDamage)
    var groups = Set(try walk.groups(patient: patient))
    for group in tail?.groups ?? [] where patient == nil || group.patient == patient { groups.insert(group) }
    return groups.sorted()
  }

  /// Rows of one group with event times in `from..<to` ms, ascending.
  ///
  /// - Parameters:
  ///   - superseded: also gives values that a correction replaced.
  ///   - codes: only these vitals; chunks without any are not decoded. Empty: all.
  ///   - tail: rows not sealed yet; those sealed by now are left out.
  package func rows(
    _ group: SeriesGroup, from: Int64 = .min, to: Int64 = .max, superseded: Bool = false,
    codes: Set<VitalCode> = [], tail: SeriesTail? = nil
  ) throws(SeriesError) -> SeriesCursor {
    let feed = try DirectFeed(chunks, FeedRequest(group: group, from: from, to: to, codes: codes))
    let live = tail?.rows(group, plan: plan) ?? []
    return try SeriesCursor(feed: feed, from: from, to: to, superseded: superseded, codes: codes, live: live)
  }

  /// Stretches of event time in which a group has rows that may lie in `from..<to`, in no order: one a sealed chunk, from
  /// its header, and of rows not sealed yet those less than an hour apart together.
  package func stretches(
    _ group: SeriesGroup, from: Int64 = .min, to: Int64 = .max, tail: SeriesTail? = nil
  ) throws(SeriesError) -> [SeriesStretch] {
    var found = try headers(group, from: from, to: to).map { header in
      SeriesStretch(first: header.firstTime, last: header.lastTime, rows: header.rowCount)
    }
    for rows in tail?.rows(group, plan: plan) ?? [] {
      let sealed = found.count
      for time in rows.times where from <= time && time < to {
        if found.count > sealed, time - found[found.count - 1].last < 3_600_000 {
          found[found.count - 1].last = max(found[found.count - 1].last, time)
          found[found.count - 1].rows += 1
        } else {
          found.append(SeriesStretch(first: time, last: time, rows: 1))
        }
      }
    }
    return found
  }

  /// Headers of the sealed chunks of a group that may hold times in `from..<to`, by first event time: counts and figures
  /// without decoding. They count superseded values too.
  package func headers(
    _ group: SeriesGroup, from: Int64 = .min, to: Int64 = .max
  ) throws(SeriesError) -> [ChunkHeader] {
    try chunks.headers(group, from: from, to: to)
  }

  /// Counts everything sealed. O(chunks).
  ///
  /// - Parameter verify: also decodes every chunk, so that damage is an error.
  package func stats(verify: Bool = false) throws(SeriesError) -> SeriesStats {
    let iterator = try storing { () throws(StoreError) in try store.iterator(families.chunks, snapshot: snapshot) }
    defer { iterator.close() }
    let decoder = verify ? try chunks.codec.makeDecoder() : nil
    var stats = SeriesStats()
    var last: SeriesGroup?
    var isAt = try storing { () throws(StoreError) in try iterator.seekToFirst() }
    while isAt {
      let key = try ChunkKey(iterator.key)
      let value = try storing { () throws(StoreError) in try iterator.value }
      let header = try decoding { () throws(ChunkError) in try ChunkHeader(value, checksum: true) }
      if let decoder {
        let rows = try decoding { () throws(ChunkError) in try decoder.decode(value) }
        guard rows.patient == key.group.patient, rows.device == key.group.device, rows.times[0] == key.firstTime,
          rows.firstPosition == key.firstPosition
        else { throw .foreignKey }
      }
      if key.group != last { stats.groups += 1 }
      last = key.group
      stats.chunks += 1
      stats.rows += header.rowCount
      stats.samples += header.cellCount
      stats.bytes += value.count
      isAt = try storing { () throws(StoreError) in try iterator.next() }
    }
    return stats
  }
}
