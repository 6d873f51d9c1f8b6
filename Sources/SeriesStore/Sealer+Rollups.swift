import ChunkCoding
import KeyValueStore

extension Sealer {
  /// Makes the rollups of one day of a group from its chunks, and takes the mark away: one atomic write, the same however
  /// often it is made. Beside a damaged chunk the day is left without rollups: readers then ask the chunks, and are told.
  func rollUp(_ day: GroupDay, _ sealing: inout Sealing) throws(SeriesError) {
    let batch = WriteBatch(for: store)
    let key = RollupKey.bytes(day)
    let kept = try storedRollups(day)
    if kept?.isFinal != true {
      do throws(SeriesError) {
        let rollups = try rollups(of: day)
        if rollups.rows.isEmpty {
          batch.delete(families.rollups, key: key)
        } else {
          let bytes = rollups.bytes(start: day.start)
          batch.put(families.rollups, key: key, value: bytes)
          sealing.upkeep.daysRolledUp += 1
          sealing.upkeep.rollupBytes += bytes.count
        }
      } catch {
        guard case .chunk = error else { throw error }
        batch.delete(families.rollups, key: key)
      }
    }
    batch.delete(families.state, key: StateKey.mark(StateKey.rollupPrefix, day))
    try storing { () throws(StoreError) in try store.write(batch, sync: false) }
    sealing.marks.finish(.rollUp, day)
  }

  /// The day's rollups as kept; nil when there are none, or they cannot be read and so are worth as much.
  func storedRollups(_ day: GroupDay) throws(SeriesError) -> RollupDay? {
    let value: [UInt8]?
    do throws(StoreError) {
      value = try store.get(families.rollups, key: RollupKey.bytes(day))
    } catch {
      guard case .chunk = SeriesError(reading: error) else { throw .store(error) }
      return nil
    }
    return value.flatMap { bytes in bytes.withUnsafeBytes { try? RollupDay($0, start: day.start) } }
  }

  /// The day's rollups by its chunks.
  func rollups(of day: GroupDay) throws(SeriesError) -> RollupDay {
    let feed = try DirectFeed(range, FeedRequest(group: day.group, from: day.start, to: day.end))
    let cursor = try SeriesCursor(feed: feed, from: day.start, to: day.end, superseded: false, live: [])
    defer { cursor.close() }
    var rollups = RollupDay()
    var sum = BucketSum(width: RollupDay.width)
    var row = SeriesRow()
    while try cursor.next(&row) {
      if let done = sum.add(row) { rollups.rows.append(done) }
    }
    if let done = sum.finish() { rollups.rows.append(done) }
    return rollups
  }
}
