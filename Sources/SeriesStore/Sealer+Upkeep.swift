import ChunkCoding
import KeyValueStore
import Synchronization
import VitalModel

/// What upkeep did in this process.
package struct UpkeepTotals: Hashable, Sendable {
  /// Chunks that went into merges, and those that came out.
  package var chunksMerged = 0
  package var chunksMade = 0
  /// Bytes of the chunks that came out, keys excluded.
  package var bytesMade = 0
  /// Days whose rollups were made, and their bytes.
  package var daysRolledUp = 0
  package var rollupBytes = 0
  /// Days that could not be merged or rolled up, however often they were tried.
  package var failures = 0

  package init() {}
}

extension SealPolicy {
  /// Chunks with fewer rows are small.
  var smallRows: Int { rowsMax / 2 }
  /// Rows of a merged chunk at most: a little above `rowsMax`, so that one late row does not cut a chunk in two.
  var mergedRowsMax: Int { rowsMax + rowsMax / 4 }
  /// Rows merged in one step at most: bounds memory and what a few late rows can cause to be rewritten.
  var mergeStepRowsMax: Int { rowsMax * 4 }
  /// Small or late chunks of a day that make a merge due.
  static let mergeChunks: UInt32 = 8
  /// Ingest time after which fewer are merged too, ms.
  static let mergeAge: Int64 = 6 * 3_600_000
  /// How long after its end a day is rolled up at the earliest, ms. By device up to four hours are added, so that the
  /// days of all devices do not end at once.
  static let rollupDelay: Int64 = 3_600_000

  /// How long a day that could not be merged or rolled up is left alone, ms.
  static let upkeepRetry: Int64 = 600_000

  /// When a merge is due, ms.
  func mergeDue(_ mark: MergeMark) -> Int64 {
    mark.chunks >= SealPolicy.mergeChunks ? .min : mark.since.addingClamped(SealPolicy.mergeAge)
  }

  /// Event time before which a group's days are over and complete enough to be rolled up for good, ms.
  func completeBefore(_ group: SeriesGroup, now: Int64) -> Int64 {
    // Rolled up no earlier than `rollupDue`: what is late by less is in the figures.
    let today = GroupDay(group: group, time: now)
    let yesterday = GroupDay(group: group, day: today.day - 1)
    return now >= rollupDue(yesterday, since: .min) ? today.start : yesterday.start
  }

  /// When the rollups of a day that was marked at `since` are due, ms.
  func rollupDue(_ day: GroupDay, since: Int64) -> Int64 {
    let spread = isStaggered ? Int64(4 * 3_600_000 * fraction(day.group.device)) : 0
    return max(day.end, since).addingClamped(SealPolicy.rollupDelay + spread)
  }
}

// Upkeep: what happens to chunks after they are sealed. Every step is one atomic write that can be made again, so a crash
// at any point leaves chunks that read the same.
extension Sealer {
  /// Chunks as they are now.
  var range: ChunkRange { ChunkRange(store: store, families: families, codec: codec, snapshot: nil) }

  /// Marks what a new chunk leaves to be done: its day's rollups, a merge, corrections.
  func mark(_ rows: ChunkRows, _ round: inout SealRound, _ marks: UpkeepMarks) {
    let group = SeriesGroup(patient: rows.patient, device: rows.device)
    guard let first = rows.times.first, let last = rows.times.last else { return }
    let newest: Int64?
    if let known = round.changes.newest[group] ?? marks.newest[group] {
      newest = known
    } else if let found = try? newestSealed(group) {
      newest = found.time
    } else {
      // What is there cannot be read: all of this may be late, and so may what follows for as long as a chunk is.
      newest = last.addingClamped(SealPolicy.spanMax)
    }
    round.changes.newest[group] = .some(max(newest ?? .min, last))
    let lateRows = newest.map { $0 == .max ? rows.times.count : rows.firstRow(notBefore: $0 + 1) } ?? 0
    let since = PositionRecord.encode(UInt64(bitPattern: round.now))
    for day in GroupDay.days(group, first: first, last: last) {
      if marks.days[day] == nil, round.changes.days[day] == nil {
        round.changes.days[day] = round.now
        round.batch.put(families.state, key: StateKey.mark(StateKey.rollupPrefix, day), value: since)
      }
      if lateRows > 0 || rows.hasEqualTimes {
        round.batch.put(families.state, key: StateKey.mark(StateKey.correctionPrefix, day), value: since)
      }
    }
    // A few late rows in a full chunk are not worth rewriting its neighbours: readers lay them over.
    guard rows.times.count < policy.smallRows || lateRows * 8 >= rows.times.count else { return }
    let place = GroupDay(group: group, time: first)
    var mark = MergeMark(from: first, to: last, chunks: 1, since: round.now)
    if let known = round.changes.merges[place] ?? marks.merges[place] { mark = known.joined(mark) }
    round.changes.merges[place] = mark
    round.batch.put(families.state, key: StateKey.mark(StateKey.mergePrefix, place), value: mark.bytes)
  }

  /// Event time of a group's newest sealed row, from headers, nil when it has none; of a chunk that cannot be read, the
  /// latest that it may reach to.
  private func newestSealed(_ group: SeriesGroup) throws(SeriesError) -> NewestSealed {
    let prefix = ChunkKey.prefix(group)
    let iterator = try storing { () throws(StoreError) in
      try store.iterator(families.chunks, lower: prefix, upper: keyAfterPrefix(prefix))
    }
    defer { iterator.close() }
    var newest: Int64?
    var isAt = try storing { () throws(StoreError) in try iterator.seekToLast() }
    while isAt {
      let firstTime = try ChunkKey(iterator.key).firstTime
      if let newest, firstTime < newest.subtractingClamped(SealPolicy.spanMax) { break }
      let lastTime = (try? iterator.value).flatMap { try? ChunkHeader($0, checksum: false).lastTime }
      newest = max(newest ?? .min, lastTime ?? firstTime.addingClamped(SealPolicy.spanMax))
      isAt = try storing { () throws(StoreError) in try iterator.previous() }
    }
    return NewestSealed(time: newest)
  }

  /// Runs upkeep alone: no sealing, merging or retention happens meanwhile. For erasing a patient, say.
  package func exclusively<Value: Sendable>(_ body: () -> Value) -> Value { sealing.withLock { _ in body() } }

  /// One step of each kind of upkeep that is due: cheap when none is. From any thread.
  ///
  /// - Parameters:
  ///   - now: ingest time, ms.
  ///   - limit: merges and days rolled up at most.
  /// - Returns: whether more is due.
  package func upkeep(now: Int64, limit: Int = 4) throws(SeriesError) -> Bool {
    let result: Result<Bool, SeriesError> = sealing.withLock { sealing in
      Result { () throws(SeriesError) in
        var isMoreDue = false
        for kind in [UpkeepKind.merge, .rollUp] {
          var steps = 0
          while let due = sealing.marks.nextDue(kind, now: now, policy) {
            guard steps < limit else {
              isMoreDue = true
              break
            }
            steps += 1
            try keepUp(due, now: now, &sealing)
          }
        }
        return isMoreDue
      }
    }
    return try result.get()
  }

  /// One merge or one day rolled up. What can be done for no one day is left for a while, so that it stops no other.
  private func keepUp(_ due: DueMark, now: Int64, _ sealing: inout Sealing) throws(SeriesError) {
    do throws(SeriesError) {
      switch due.kind {
      case .merge: try merge(due.day, &sealing)
      case .rollUp: try rollUp(due.day, &sealing)
      }
    } catch {
      sealing.marks.postpone(due, to: now.addingClamped(SealPolicy.upkeepRetry))
      guard error.isOfOneLog else { throw error }
      sealing.upkeep.failures += 1
    }
  }

  /// What upkeep did so far.
  package var upkeepTotals: UpkeepTotals { sealing.withLock { $0.upkeep } }

  /// Merges all that is marked and rolls up every marked day, due or not: for tests, and before an orderly hand-over.
  package func finishUpkeep() throws(SeriesError) {
    let result: Result<Void, SeriesError> = sealing.withLock { sealing in
      Result { () throws(SeriesError) in
        for day in sealing.marks.merges.keys.sorted() { try merge(day, &sealing) }
        for day in sealing.marks.days.keys.sorted() { try rollUp(day, &sealing) }
      }
    }
    try result.get()
  }
}

/// What is known of a group's sealed rows.
private struct NewestSealed {
  /// Nil: there are none.
  var time: Int64?
}

extension ChunkRows {
  /// Whether two rows stand at one time.
  var hasEqualTimes: Bool { zip(times, times.dropFirst()).contains { $0 == $1 } }
}
