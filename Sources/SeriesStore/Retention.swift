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

/// A class of what is stored, each with a time of its own.
package enum RetentionClass: String, Hashable, Sendable, CaseIterable {
  case chunks
  case rollups
  case superseded
}

/// Drops what is past its time: sealed chunks, rollups, superseded values. The journal has a retention of its own, and this
/// never looks at it.
///
/// It works through the ``Sealer``, so that nothing is merged or rolled up while it is dropped. From any thread.
package struct Retention: Sendable {
  private let sealer: Sealer

  package init(_ sealer: Sealer) { self.sealer = sealer }

  /// Writes deletions of one class, together with whatever accounts for them; the outcome says what goes with this batch.
  package typealias Commit = (RetentionClass, RetentionOutcome, WriteBatch) throws(SeriesError) -> Void

  /// Above this many keys of one group at once, a range is deleted rather than each key.
  static let rangeMin = 32
  /// Groups whose deletions share a batch at most, and its bytes: sealing waits while one is gathered.
  static let groupsMax = 64
  static let batchBytesMax = 4 << 20

  /// Deletes whole chunks whose last event time is before their cutoff, rolled-up days that end before theirs, and
  /// superseded values of days that end before theirs. O(groups + what goes).
  ///
  /// Where rollups are kept longer than chunks, chunks stay until their days are over, however short their time: the
  /// figures of a day are made once, from all of it.
  ///
  /// - Parameters:
  ///   - now: ingest time, ms.
  ///   - commit: writes a batch. What was committed before an error is gone, and accounted for.
  ///   - cutoffs: by patient number, asked just before a group is looked at; nil: nothing of this patient goes, whatever
  ///     its age (legal hold).
  package func run(
    now: Int64, commit: Commit, _ cutoffs: (UInt32) -> RetentionCutoffs?
  ) throws(SeriesError) -> RetentionOutcome {
    let groups = try groups()
    var outcome = RetentionOutcome()
    for start in stride(from: 0, to: groups.count, by: Retention.groupsMax) {
      let some = groups[start..<min(groups.count, start + Retention.groupsMax)]
      // One lock from looking to writing: what is merged in between would be dropped under its old keys.
      let result: Result<RetentionOutcome, SeriesError> = sealer.sealing.withLock { sealing in
        Result { () throws(SeriesError) in
          try sealer.trim(some, now: now, commit, &sealing.marks, cutoffs)
        }
      }
      outcome.add(try result.get())
    }
    return outcome
  }

  /// As the other form, with deletions written as they are.
  package func run(
    now: Int64, _ cutoffs: (UInt32) -> RetentionCutoffs?
  ) throws(SeriesError) -> RetentionOutcome {
    let store = sealer.store
    return try run(
      now: now,
      commit: { (_, _, batch) throws(SeriesError) in
        try storing { () throws(StoreError) in try store.write(batch, sync: false) }
      }, cutoffs)
  }

  /// Groups with chunks or rollups.
  private func groups() throws(SeriesError) -> [SeriesGroup] {
    var groups = Set<SeriesGroup>()
    for family in [sealer.families.chunks, sealer.families.rollups] {
      // A group within a stretch that cannot be read stays as it is; `vigil verify` tells of the stretch.
      groups.formUnion(try GroupWalk(store: sealer.store, family: family, onDamage: { _, _ in }).groups())
    }
    return groups.sorted()
  }
}

extension RetentionOutcome {
  mutating func add(_ other: RetentionOutcome) {
    chunks += other.chunks
    samples += other.samples
    rollupDays += other.rollupDays
    superseded += other.superseded
    heldGroups += other.heldGroups
    damagedGroups += other.damagedGroups
  }
}

/// What a group's trimming changes: put into a batch as a whole, or not at all.
private struct GroupTrim {
  var outcome = RetentionOutcome()
  var deletions: [(family: Family, key: [UInt8])] = []
  var ranges: [(family: Family, start: [UInt8], end: [UInt8])] = []
  var puts: [(family: Family, key: [UInt8], value: [UInt8])] = []
  /// Days whose rollups are made for good.
  var finished: [GroupDay] = []
  var isEmpty: Bool { deletions.isEmpty && ranges.isEmpty && puts.isEmpty }

  func apply(to batch: WriteBatch) {
    // Deletions first: a chunk that is made anew may take the key of one that goes.
    for (family, start, end) in ranges { batch.deleteRange(family, start: start, end: end) }
    for (family, key) in deletions { batch.delete(family, key: key) }
    for (family, key, value) in puts { batch.put(family, key: key, value: value) }
  }
}

extension Sealer {
  /// Trims some groups, class by class.
  fileprivate func trim(
    _ groups: ArraySlice<SeriesGroup>, now: Int64, _ commit: Retention.Commit, _ marks: inout UpkeepMarks,
    _ cutoffs: (UInt32) -> RetentionCutoffs?
  ) throws(SeriesError) -> RetentionOutcome {
    var total = RetentionOutcome()
    var due: [(group: SeriesGroup, cutoffs: RetentionCutoffs)] = []
    for group in groups {
      if let cutoffs = cutoffs(group.patient) { due.append((group, cutoffs)) } else { total.heldGroups += 1 }
    }
    for kind in RetentionClass.allCases {
      var gathered = GatheredTrims(kind: kind, batch: WriteBatch(for: store))
      var later: [(group: SeriesGroup, days: ArraySlice<GroupDay>)] = []
      var whole: [(group: SeriesGroup, cutoffs: RetentionCutoffs)] = []
      for (group, cutoffs) in due {
        do throws(SeriesError) {
          switch kind {
          case .chunks: gathered.add(try trimChunks(group, cutoffs, now: now))
          case .rollups: gathered.add(try trimRollups(group, before: cutoffs.rollups))
          case .superseded:
            let days = try correctedDays(group, before: cutoffs.superseded)
            if !days.isEmpty { later.append((group, days[...])) }
          }
          whole.append((group, cutoffs))
        } catch {
          // One group's damage must not keep all others beyond their time.
          guard error.isDamage else { throw error }
          total.damagedGroups += 1
        }
        if gathered.batch.byteSize > Retention.batchBytesMax { try gathered.flush(commit, &marks, &total) }
      }
      // One day of each group at a time: days that follow each other share chunks, so the second needs the first written.
      while !later.isEmpty {
        for index in later.indices {
          guard let day = later[index].days.popFirst() else { continue }
          gathered.add(try withoutSuperseded(day))
          if gathered.batch.byteSize > Retention.batchBytesMax { try gathered.flush(commit, &marks, &total) }
        }
        later.removeAll { $0.days.isEmpty }
        try gathered.flush(commit, &marks, &total)
      }
      try gathered.flush(commit, &marks, &total)
      due = whole
    }
    return total
  }

  private func trimChunks(
    _ group: SeriesGroup, _ cutoffs: RetentionCutoffs, now: Int64
  ) throws(SeriesError) -> GroupTrim {
    var trim = GroupTrim()
    let keepsRollups = cutoffs.rollups < cutoffs.chunks
    let cutoff = keepsRollups ? min(cutoffs.chunks, policy.completeBefore(group, now: now)) : cutoffs.chunks
    var old: [ChunkKey] = []
    var days: Set<GroupDay> = []
    var isUnbroken = true
    var isStaying = false
    try range.headers(group, to: cutoff, checksum: false) { (header) throws(SeriesError) in
      if header.lastTime < cutoff {
        if isStaying { isUnbroken = false }
        old.append(ChunkKey(group: group, firstTime: header.firstTime, firstPosition: header.firstPosition))
        days.formUnion(GroupDay.days(group, first: header.firstTime, last: header.lastTime))
        trim.outcome.samples += header.cellCount
      } else {
        isStaying = true
      }
      return true
    }
    trim.outcome.chunks = old.count
    guard let last = old.last else { return trim }
    // Range deletions are dear to every later reader of the range: only for many keys at once.
    if isUnbroken, old.count >= Retention.rangeMin {
      trim.ranges.append((families.chunks, ChunkKey.prefix(group), last.bytes + [0]))
    } else {
      trim.deletions = old.map { (families.chunks, $0.bytes) }
    }
    if keepsRollups {
      for day in days.sorted() where day.end > cutoffs.rollups { try makeFinal(day, &trim) }
    }
    return trim
  }

  /// Rolls up a day that loses chunks now, for good.
  private func makeFinal(_ day: GroupDay, _ trim: inout GroupTrim) throws(SeriesError) {
    if try storedRollups(day)?.isFinal == true { return }
    var rollups = try rollups(of: day)
    guard !rollups.rows.isEmpty else { return }
    rollups.isFinal = true
    trim.puts.append((families.rollups, RollupKey.bytes(day), rollups.bytes(start: day.start)))
    trim.deletions.append((families.state, StateKey.mark(StateKey.rollupPrefix, day)))
    trim.finished.append(day)
  }

  private func trimRollups(_ group: SeriesGroup, before time: Int64) throws(SeriesError) -> GroupTrim {
    var trim = GroupTrim()
    let prefix = ChunkKey.prefix(group)
    let end = RollupKey.bytes(GroupDay(group: group, time: time))
    let iterator = try storing { () throws(StoreError) in
      try store.iterator(families.rollups, lower: prefix, upper: end)
    }
    defer { iterator.close() }
    var isAt = try reading { () throws(StoreError) in try iterator.seekToFirst() }
    while isAt {
      trim.deletions.append((families.rollups, Array(iterator.key)))
      isAt = try reading { () throws(StoreError) in try iterator.next() }
    }
    trim.outcome.rollupDays = trim.deletions.count
    if trim.deletions.count >= Retention.rangeMin {
      trim.deletions = []
      trim.ranges = [(families.rollups, prefix, end)]
    }
    return trim
  }

  // MARK: Superseded values

  /// Days of a group that are marked as corrected and end by `time`.
  private func correctedDays(_ group: SeriesGroup, before time: Int64) throws(SeriesError) -> [GroupDay] {
    var days: [GroupDay] = []
    try UpkeepMarks.visit(
      store, families, StateKey.correctionPrefix + ChunkKey.prefix(group), stepsOver: true
    ) { (day, _) throws(SeriesError) in if day.end <= time { days.append(day) } }
    return days
  }

  /// Drops the values of a marked day that a correction replaced, and the mark.
  private func withoutSuperseded(_ day: GroupDay) throws(SeriesError) -> GroupTrim {
    var trim = GroupTrim()
    do throws(SeriesError) {
      try dropSuperseded(day, &trim)
    } catch {
      // Beside a damaged chunk nobody can say what replaces what: the day stays as it is.
      guard error.isDamage else { throw error }
      trim = GroupTrim()
    }
    trim.deletions.append((families.state, StateKey.mark(StateKey.correctionPrefix, day)))
    return trim
  }

  /// One value of a series at one time.
  private struct Instant: Hashable {
    let time: Int64
    let code: UInt16
    let source: UInt16
  }

  /// Rewrites the chunks of a day without the values that a later one replaces. Chunks keep their positions, so their
  /// order stays.
  private func dropSuperseded(_ day: GroupDay, _ trim: inout GroupTrim) throws(SeriesError) {
    let decoder = try codec.makeDecoder()
    var chunks: [ChunkRows] = []
    for header in try range.headers(day.group, from: day.start, to: day.end) {
      if let rows = try range.rows(header, day.group, decoder: decoder) { chunks.append(rows) }
    }
    // Only times with more than one row can hold two values of a series.
    let times = chunks.flatMap(\.times).filter { day.start <= $0 && $0 < day.end }.sorted()
    let repeated = Set(zip(times, times.dropFirst()).filter { $0 == $1 }.map(\.0))
    guard !repeated.isEmpty else { return }
    let encoder = try codec.makeEncoder()
    var newer: Set<Instant> = []
    // Newest chunk first; of pieces cut at one sealing the order does not matter, as they share no time.
    for rows in chunks.sorted(by: { $0.firstPosition > $1.firstPosition }) {
      let unwanted = CellPlace.superseded(rows, at: repeated) { column, time in
        newer.insert(Instant(time: time, code: column.code.index, source: column.source)).inserted
      }
      guard !unwanted.isEmpty else { continue }
      let (rest, count) = rows.without { _, column, row in unwanted.contains(CellPlace(column: column, row: row)) }
      trim.outcome.superseded += count
      let key = ChunkKey(group: day.group, firstTime: rows.times[0], firstPosition: rows.firstPosition)
      trim.deletions.append((families.chunks, key.bytes))
      if !rest.times.isEmpty {
        let made = try packed(rest, encoder: encoder)
        trim.puts.append((families.chunks, made.key, made.value))
      }
    }
  }
}

/// Trims of one class that share a batch.
private struct GatheredTrims {
  let kind: RetentionClass
  let batch: WriteBatch
  private var trims: [GroupTrim] = []

  init(kind: RetentionClass, batch: WriteBatch) {
    self.kind = kind
    self.batch = batch
  }

  mutating func add(_ trim: GroupTrim) {
    guard !trim.isEmpty else { return }
    trim.apply(to: batch)
    trims.append(trim)
  }

  /// Writes what is gathered; where the guard refuses a value, each trim alone, and leaves those with such values.
  mutating func flush(
    _ commit: Retention.Commit, _ marks: inout UpkeepMarks, _ total: inout RetentionOutcome
  ) throws(SeriesError) {
    defer {
      batch.clear()
      trims = []
    }
    guard !trims.isEmpty else { return }
    do throws(SeriesError) {
      try write(trims, commit, &marks, &total)
    } catch {
      guard case .store(.sealed) = error else { throw error }
      for trim in trims {
        batch.clear()
        trim.apply(to: batch)
        do throws(SeriesError) {
          try write([trim], commit, &marks, &total)
        } catch {
          guard case .store(.sealed) = error else { throw error }
          total.damagedGroups += 1
        }
      }
    }
  }

  private func write(
    _ trims: [GroupTrim], _ commit: Retention.Commit, _ marks: inout UpkeepMarks, _ total: inout RetentionOutcome
  ) throws(SeriesError) {
    let outcome = trims.reduce(into: RetentionOutcome()) { $0.add($1.outcome) }
    try commit(kind, outcome, batch)
    for day in trims.flatMap(\.finished) { marks.finish(.rollUp, day) }
    total.add(outcome)
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
