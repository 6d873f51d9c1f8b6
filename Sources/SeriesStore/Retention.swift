import ChunkCoding
import KeyValueStore

/// Drops sealed chunks that are past their time. The journal has a retention of its own, and this never looks at it.
package struct Retention: Sendable {
  private let store: Store
  private let families: OpenFamilies

  /// - Parameter store: open for writing.
  package init(_ store: Store) throws(SeriesError) {
    self.store = store
    families = try OpenFamilies(store)
  }

  /// Chunks deleted in one atomic write.
  private static let batchMax = 1000

  /// Deletes whole chunks whose last event time is before `time` (ms since 1970). May be called from any thread, beside
  /// sealing and reading. O(groups + chunks that begin before `time`).
  ///
  /// - Returns: chunks deleted.
  @discardableResult
  package func trim(olderThan time: Int64) throws(SeriesError) -> Int {
    let iterator = try storing { () throws(StoreError) in try store.iterator(families.chunks) }
    defer { iterator.close() }
    let batch = WriteBatch(for: store)
    var deleted = 0
    var isAt = try storing { () throws(StoreError) in try iterator.seekToFirst() }
    while isAt {
      let key = try ChunkKey(iterator.key)
      if key.firstTime >= time {
        // The rest of this group is younger.
        guard let next = keyAfterPrefix(ChunkKey.prefix(key.group)) else { break }
        isAt = try storing { () throws(StoreError) in try iterator.seek(next) }
        continue
      }
      let value = try storing { () throws(StoreError) in try iterator.value }
      let header = try decoding { () throws(ChunkError) in try ChunkHeader(value, checksum: false) }
      if header.lastTime < time {
        batch.delete(families.chunks, key: iterator.key)
        deleted += 1
        if batch.count >= Retention.batchMax { try flush(batch) }
      }
      isAt = try storing { () throws(StoreError) in try iterator.next() }
    }
    if !batch.isEmpty { try flush(batch) }
    return deleted
  }

  private func flush(_ batch: WriteBatch) throws(SeriesError) {
    try storing { () throws(StoreError) in try store.write(batch, sync: false) }
    batch.clear()
  }
}
