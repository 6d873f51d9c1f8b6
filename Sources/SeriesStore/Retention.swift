import ChunkCoding
import KeyValueStore
import Synchronization
import VitalModel

/// Event times before which what is stored of a patient is past its time, ms since 1970.
package struct RetentionCutoffs: Hashable, Sendable {
  package var chunks: Int64
  /// Rollups may outlive chunks; their days then keep the figures they had.
  package var rollups: Int64
  /// Values that a correction replaced.
  package var superseded: Int64

  package init(chunks: Int64, rollups: Int64, superseded: Int64) {
    self.chunks = chunks
    self.rollups = rollups
    self.superseded = superseded
  }
}

/// What a retention run deleted.
package struct RetentionOutcome: Hashable, Sendable {
  package var chunks = 0
  /// Samples in those chunks.
  package var samples = 0
  /// Days of rollups.
  package var rollupDays = 0
  /// Values that a correction had replaced.
  package var superseded = 0
  /// Groups left alone because their patient is under hold.
  package var heldGroups = 0
  /// Groups left alone because a chunk of theirs is damaged.
  package var damagedGroups = 0

  package init() {}
}

/// Drops what is past its time: sealed chunks, rollups, superseded values. The journal has a retention of its own, and this
/// never looks at it.
///
/// It works through the ``Sealer``, so that nothing is merged or rolled up while it is dropped. From any thread.
package struct Retention: Sendable {
  private let sealer: Sealer

  package init(_ sealer: Sealer) { self.sealer = sealer }

  /// Above this many keys of one group at once, a range is deleted rather than each key.
  static let rangeMin = 32

  /// Deletes whole chunks whose last event time is before their cutoff, rolled-up days that end before theirs, and
  /// superseded values of days that end before theirs. Each group is one atomic write, or two. O(groups + what goes).
  ///
  /// - Parameter cutoffs: by patient number; nil: nothing of this patient goes, whatever its age (legal hold).
  package func run(_ cutoffs: (UInt32) -> RetentionCutoffs?) throws(SeriesError) -> RetentionOutcome {
    var outcome = RetentionOutcome()
    for group in try groups() {
      guard let cutoffs = cutoffs(group.patient) else {
        outcome.heldGroups += 1
        continue
      }
      let result: Result<RetentionOutcome, SeriesError> = sealer.sealing.withLock { sealing in
        Result { () throws(SeriesError) in try sealer.trim(group, cutoffs, &sealing) }
      }
      let one: RetentionOutcome
      do throws(SeriesError) {
        one = try result.get()
      } catch {
        // One group's damage must not keep all others beyond their time.
        guard case .chunk = error else { throw error }
        outcome.damagedGroups += 1
        continue
      }
      outcome.chunks += one.chunks
      outcome.samples += one.samples
      outcome.rollupDays += one.rollupDays
      outcome.superseded += one.superseded
    }
    return outcome
  }

  /// Groups with chunks or rollups.
  private func groups() throws(SeriesError) -> [SeriesGroup] {
    var groups = Set<SeriesGroup>()
    for family in [sealer.families.chunks, sealer.families.rollups] {
      let iterator = try storing { () throws(StoreError) in try sealer.store.iterator(family) }
      defer { iterator.close() }
      var isAt = try storing { () throws(StoreError) in try iterator.seekToFirst() }
      while isAt {
        let key = iterator.key
        guard key.count >= 8 else { throw .foreignKey }
        let group = try SeriesGroup(prefix: UnsafeRawBufferPointer(rebasing: key[..<8]))
        groups.insert(group)
        guard let next = keyAfterPrefix(ChunkKey.prefix(group)) else { break }
        isAt = try storing { () throws(StoreError) in try iterator.seek(next) }
      }
    }
    return groups.sorted()
  }
}

extension SeriesGroup {
  /// Reads what ``ChunkKey/prefix(_:)`` made.
  fileprivate init(prefix: UnsafeRawBufferPointer) throws(SeriesError) {
    var reader = KeyReader(prefix)
    do throws(KeyError) {
      self.init(patient: try reader.uint32(), device: try reader.uint32())
    } catch {
      throw .foreignKey
    }
  }
}

extension Sealer {
  /// Trims one group.
  fileprivate func trim(
    _ group: SeriesGroup, _ cutoffs: RetentionCutoffs, _ sealing: inout Sealing
  ) throws(SeriesError) -> RetentionOutcome {
    var outcome = RetentionOutcome()
    let batch = WriteBatch(for: store)
    try trimChunks(group, cutoffs, into: batch, &outcome)
    let finished = batch.isEmpty ? [] : try finalRollups(group, cutoffs, outcome, into: batch)
    try trimRollups(group, before: cutoffs.rollups, into: batch, &outcome)
    if !batch.isEmpty { try storing { () throws(StoreError) in try store.write(batch, sync: false) } }
    for day in finished { sealing.marks.days[day] = nil }
    outcome.superseded = try trimSuperseded(group, before: cutoffs.superseded)
    return outcome
  }

  private func trimChunks(
    _ group: SeriesGroup, _ cutoffs: RetentionCutoffs, into batch: WriteBatch, _ outcome: inout RetentionOutcome
  ) throws(SeriesError) {
    var old: [ChunkKey] = []
    var isUnbroken = true
    var end: ChunkKey?
    try range.headers(group, to: cutoffs.chunks, checksum: false) { (header) throws(SeriesError) in
      let key = ChunkKey(group: group, firstTime: header.firstTime, firstPosition: header.firstPosition)
      if header.lastTime < cutoffs.chunks {
        if end != nil { isUnbroken = false }
        old.append(key)
        outcome.samples += header.cellCount
      } else if end == nil {
        end = key
      }
      return true
    }
    outcome.chunks = old.count
    guard let last = old.last else { return }
    // Range deletions are dear to every later reader of the range: only for many keys at once.
    if isUnbroken, old.count >= Retention.rangeMin {
      batch.deleteRange(families.chunks, start: ChunkKey.prefix(group), end: last.bytes + [0])
    } else {
      for key in old { batch.delete(families.chunks, key: key.bytes) }
    }
  }

  /// Rolls up the days that lose chunks now, for good, where rollups are kept longer.
  private func finalRollups(
    _ group: SeriesGroup, _ cutoffs: RetentionCutoffs, _ outcome: RetentionOutcome, into batch: WriteBatch
  ) throws(SeriesError) -> [GroupDay] {
    guard cutoffs.rollups < cutoffs.chunks else { return [] }
    var days: Set<GroupDay> = []
    try range.headers(group, to: cutoffs.chunks, checksum: false) { (header) throws(SeriesError) in
      guard header.lastTime < cutoffs.chunks else { return true }
      days.formUnion(GroupDay.days(group, first: header.firstTime, last: header.lastTime))
      return true
    }
    var finished: [GroupDay] = []
    for day in days.sorted() where day.end > cutoffs.rollups {
      if try storedRollups(day)?.isFinal == true { continue }
      var rollups = try rollups(of: day)
      guard !rollups.rows.isEmpty else { continue }
      rollups.isFinal = true
      batch.put(families.rollups, key: RollupKey.bytes(day), value: rollups.bytes(start: day.start))
      batch.delete(families.state, key: StateKey.mark(StateKey.rollupPrefix, day))
      finished.append(day)
    }
    return finished
  }

  private func trimRollups(
    _ group: SeriesGroup, before time: Int64, into batch: WriteBatch, _ outcome: inout RetentionOutcome
  ) throws(SeriesError) {
    let prefix = ChunkKey.prefix(group)
    let end = RollupKey.bytes(GroupDay(group: group, time: time))
    let iterator = try storing { () throws(StoreError) in
      try store.iterator(families.rollups, lower: prefix, upper: end)
    }
    defer { iterator.close() }
    var old: [[UInt8]] = []
    var isAt = try storing { () throws(StoreError) in try iterator.seekToFirst() }
    while isAt {
      old.append(Array(iterator.key))
      isAt = try storing { () throws(StoreError) in try iterator.next() }
    }
    outcome.rollupDays = old.count
    if old.count >= Retention.rangeMin {
      batch.deleteRange(families.rollups, start: prefix, end: end)
    } else {
      for key in old { batch.delete(families.rollups, key: key) }
    }
  }

  // MARK: Superseded values

  /// Drops values that a correction replaced, of days that are marked and end by `time`.
  private func trimSuperseded(_ group: SeriesGroup, before time: Int64) throws(SeriesError) -> Int {
    var days: [GroupDay] = []
    try UpkeepMarks.visit(store, families, StateKey.correctionPrefix + ChunkKey.prefix(group)) {
      (day, _) throws(SeriesError) in if day.end <= time { days.append(day) }
    }
    var dropped = 0
    for day in days {
      let batch = WriteBatch(for: store)
      do throws(SeriesError) {
        dropped += try dropSuperseded(day, into: batch)
      } catch {
        // Beside a damaged chunk nobody can say what replaces what: the day stays as it is.
        guard case .chunk = error else { throw error }
        batch.clear()
      }
      batch.delete(families.state, key: StateKey.mark(StateKey.correctionPrefix, day))
      try storing { () throws(StoreError) in try store.write(batch, sync: false) }
    }
    return dropped
  }

  /// One value of a series at one time.
  private struct Instant: Hashable {
    let time: Int64
    let code: UInt16
    let source: UInt16
  }

  /// Rewrites the chunks of a day without the values that a later one replaces. Chunks keep their positions, so their
  /// order stays.
  private func dropSuperseded(_ day: GroupDay, into batch: WriteBatch) throws(SeriesError) -> Int {
    let decoder = try codec.makeDecoder()
    let encoder = try codec.makeEncoder()
    var chunks: [ChunkRows] = []
    for header in try range.headers(day.group, from: day.start, to: day.end) {
      if let rows = try range.rows(header, day.group, decoder: decoder) { chunks.append(rows) }
    }
    // Only times with more than one row can hold two values of a series.
    let times = chunks.flatMap(\.times).filter { day.start <= $0 && $0 < day.end }.sorted()
    let repeated = Set(zip(times, times.dropFirst()).filter { $0 == $1 }.map(\.0))
    guard !repeated.isEmpty else { return 0 }
    var newer: Set<Instant> = []
    var dropped = 0
    // Newest chunk first; of pieces cut at one sealing the order does not matter, as they share no time.
    for rows in chunks.sorted(by: { $0.firstPosition > $1.firstPosition }) {
      let unwanted = CellPlace.superseded(rows, at: repeated) { column, time in
        newer.insert(Instant(time: time, code: column.code.index, source: column.source)).inserted
      }
      guard !unwanted.isEmpty else { continue }
      let (rest, count) = rows.without { _, column, row in unwanted.contains(CellPlace(column: column, row: row)) }
      dropped += count
      let key = ChunkKey(group: day.group, firstTime: rows.times[0], firstPosition: rows.firstPosition)
      batch.delete(families.chunks, key: key.bytes)
      if !rest.times.isEmpty { _ = try put(rest, encoder: encoder, into: batch) }
    }
    return dropped
  }
}

/// The place of one cell in a chunk.
private struct CellPlace: Hashable {
  let column: Int
  let row: UInt32

  /// Cells at these times that are not the newest of their series and time, as `isNewest` says when asked for each cell,
  /// newest row first.
  static func superseded(
    _ rows: ChunkRows, at times: Set<Int64>, _ isNewest: (ChunkColumn, Int64) -> Bool
  ) -> Set<CellPlace> {
    var found: Set<CellPlace> = []
    for row in rows.times.indices.reversed() where times.contains(rows.times[row]) {
      for index in rows.columns.indices where rows.columns[index].cell(row: row) != nil {
        if !isNewest(rows.columns[index].column, rows.times[row]) {
          found.insert(CellPlace(column: index, row: UInt32(row)))
        }
      }
    }
    return found
  }
}
