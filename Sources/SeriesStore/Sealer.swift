import ChunkCoding
import KeyValueStore
import Synchronization
import VitalModel

/// What one sealing round stored.
package struct SealOutcome: Hashable, Sendable {
  package var chunks = 0
  package var rows = 0
  package var samples = 0
  /// Bytes of the chunks, keys excluded.
  package var bytes = 0
  /// Logs that are full and still wait: call again.
  package var waiting = 0
  /// Logs that could not be packed or sealed: they stay in memory and are tried again in a while.
  package var stuck = 0
  /// Why, of the first of them.
  package var reason: String?
  /// The journal position from which a restart replays.
  package var floor: UInt64 = 0
}

/// What is in memory now and was sealed by this process.
package struct SealerStats: Hashable, Sendable {
  package var openLogs = 0
  package var openRows = 0
  package var openSamples = 0
  package var openBytes = 0
  package var sealedChunks = 0
  package var sealedRows = 0
  package var sealedSamples = 0
  package var sealedBytes = 0
  /// Slots not taken in because they were sealed before (after a restart).
  package var skippedSlots = 0
  /// What upkeep did.
  package var upkeep = UpkeepTotals()
}

/// One sealing round under way.
struct SealRound {
  let batch: WriteBatch
  let encoder: any ChunkCodec
  let now: Int64
  /// Marks in the batch, adopted once it is written.
  var changes = UpkeepMarks()
}

/// Gathers samples by patient and device and seals them into chunks.
///
/// One thread owns it and calls `restore`, `append` and `seal`; look-ups, `tail` and `stats` may come from any thread at
/// any time, and so may upkeep (`Sealer+Upkeep.swift`): merging, rollups and retention rewrite chunks and so exclude each
/// other and sealing. Lock order: sealing, open, and the cache's alone.
package final class Sealer: Sendable {
  let store: Store
  let families: OpenFamilies
  let codec: SealCodec
  let policy: SealPolicy
  private let open: Mutex<OpenChunks>
  let sealing: Mutex<Sealing>
  private let cache: ChunkCache

  struct Sealing: Sendable {
    var totals = SealOutcome()
    var upkeep = UpkeepTotals()
    var marks = UpkeepMarks()
    /// When stuck logs are tried again, ingest time, ms.
    var retryAt = Int64.min
  }

  /// How long a log that could not be sealed is left alone, ms.
  static let retryAfter: Int64 = 60_000

  /// - Parameters:
  ///   - store: open for writing, with the families of ``SeriesFamilies``.
  ///   - names: the registry's key of a code: chunks of vitals the codec has learned are smaller.
  package init(
    store: Store, policy: SealPolicy = SealPolicy(), names: @escaping @Sendable (VitalCode) -> String? = { _ in nil }
  ) throws(SeriesError) {
    self.store = store
    self.policy = policy
    families = try OpenFamilies(store)
    codec = SealCodec(store, names: names)
    open = Mutex(OpenChunks(policy: policy))
    var sealing = Sealing()
    sealing.marks = try UpkeepMarks.read(store, families)
    self.sealing = Mutex(sealing)
    cache = ChunkCache(codec)
  }

  // MARK: The owning thread

  /// Reads how far earlier runs sealed, and forgets what is in memory.
  ///
  /// - Returns: the journal position from which the caller replays through `append`, which skips what is sealed.
  package func restore() throws(SeriesError) -> UInt64 {
    let plan = try ReadPlan(store: store, family: families.state, snapshot: nil)
    open.withLock { $0.restore(floor: plan.sealFloor, sealed: plan.sealed) }
    return plan.sealFloor
  }

  /// Takes in one journaled slot; positions ascend. Slots that are no samples only move the position on.
  ///
  /// - Returns: whether a log is full, so that `seal` has work.
  @discardableResult
  package func append(_ slot: Slot, position: UInt64) -> Bool {
    open.withLock { open in
      open.append(slot, position: position)
      return open.hasWork
    }
  }

  /// Takes in a batch whose slots carry their positions in `payload`: one lock for all.
  ///
  /// - Returns: whether a log is full, so that `seal` has work.
  @discardableResult
  package func append(_ slots: UnsafeBufferPointer<Slot>) -> Bool {
    open.withLock { open in
      for slot in slots { open.append(slot, position: slot.payload) }
      return open.hasWork
    }
  }

  /// Takes in a batch held in an array; see the pointer form.
  @discardableResult
  package func append(_ slots: [Slot]) -> Bool { slots.withUnsafeBufferPointer { append($0) } }

  /// One sealing round: chunks of what is due, the sealed positions and the seal floor, in one atomic write.
  ///
  /// A log that cannot be packed, or whose key cannot be had, stays in memory with the later ones of its group; the others
  /// are sealed all the same. After an error everything is still in memory and the call may be made again. Without `sync` a
  /// power cut may undo the round; the journal then still has it, as the floor falls back with it.
  ///
  /// - Parameters:
  ///   - now: ingest time, ms.
  ///   - limit: logs sealed at most; ``SealOutcome/waiting`` says whether more are due.
  ///   - all: also seals what is not due: before an orderly stop.
  @discardableResult
  package func seal(now: Int64, limit: Int = 256, all: Bool = false, sync: Bool = false) throws(SeriesError)
    -> SealOutcome
  {
    let result: Result<SealOutcome, SeriesError> = sealing.withLock { sealing in
      Result { () throws(SeriesError) in
        let outcome = try sealRound(now: now, limit: limit, all: all, sync: sync, &sealing)
        sealing.totals.chunks += outcome.chunks
        sealing.totals.rows += outcome.rows
        sealing.totals.samples += outcome.samples
        sealing.totals.bytes += outcome.bytes
        return outcome
      }
    }
    return try result.get()
  }

  private func sealRound(
    now: Int64, limit: Int, all: Bool, sync: Bool, _ sealing: inout Sealing
  ) throws(SeriesError) -> SealOutcome {
    let isRetry = now >= sealing.retryAt || now < sealing.retryAt.subtractingClamped(Sealer.retryAfter)
    let logs = open.withLock { open in
      if isRetry { open.releaseStuck() }
      open.closeDue(now: now, all: all)
      return open.next(max(1, limit))
    }
    var outcome = SealOutcome()
    if !logs.isEmpty {
      // Created here: a round is rare, and a codec's memory need not stay between rounds.
      var round = SealRound(batch: WriteBatch(for: store), encoder: try codec.makeEncoder(), now: now)
      do throws(SeriesError) {
        try seal(logs, &round, sync: sync, &sealing, &outcome)
      } catch {
        guard error.isOfOneLog else { throw error }
        try sealOneByOne(logs, &round, sync: sync, &sealing, &outcome)
      }
    }
    (outcome.waiting, outcome.floor) = open.withLock { ($0.waiting.count - $0.stuckLogs, $0.floor(without: [])) }
    return outcome
  }

  /// Seals each log in a write of its own, and leaves those that cannot be.
  private func sealOneByOne(
    _ logs: [RowLog], _ round: inout SealRound, sync: Bool, _ sealing: inout Sealing, _ outcome: inout SealOutcome
  ) throws(SeriesError) {
    var stuck: Set<SeriesGroup> = []
    for log in logs where !stuck.contains(log.group) {
      do throws(SeriesError) {
        try seal([log], &round, sync: sync, &sealing, &outcome)
      } catch {
        guard error.isOfOneLog else { throw error }
        outcome.stuck += 1
        outcome.reason = outcome.reason ?? error.description
        // A later log of the group must not be sealed before this one: the group's sealed position would claim both.
        stuck.insert(log.group)
        sealing.retryAt = round.now.addingClamped(Sealer.retryAfter)
        open.withLock { $0.leave(log.group) }
      }
    }
  }

  /// Writes the chunks of some logs, with what belongs to them, and forgets the logs.
  private func seal(
    _ logs: [RowLog], _ round: inout SealRound, sync: Bool, _ sealing: inout Sealing, _ outcome: inout SealOutcome
  ) throws(SeriesError) {
    round.batch.clear()
    round.changes = UpkeepMarks()
    var made = outcome
    let names = Set(logs.map(\.name))
    let (floor, sealed) = open.withLock { ($0.floor(without: names), $0.sealed) }
    var positions: [SeriesGroup: UInt64] = sealed
    for log in logs {
      positions[log.group] = log.lastPosition
      try put(log, into: &round, sealing.marks, &made)
    }
    for (group, position) in positions {
      // Below the floor nothing is ever replayed: the group's own position has no more to say.
      if position < floor {
        round.batch.delete(families.state, key: StateKey.sealed(group))
      } else if sealed[group] != position {
        round.batch.put(families.state, key: StateKey.sealed(group), value: PositionRecord.encode(position))
      }
    }
    round.batch.put(families.state, key: StateKey.floor, value: PositionRecord.encode(floor))
    try storing { () throws(StoreError) in try store.write(round.batch, sync: sync) }
    open.withLock { $0.forget(names, floor: floor) }
    sealing.marks.adopt(round.changes)
    outcome = made
  }

  private func put(
    _ log: RowLog, into round: inout SealRound, _ marks: UpkeepMarks, _ outcome: inout SealOutcome
  ) throws(SeriesError) {
    for rows in log.rows().split(spanMax: UInt64(SealPolicy.spanMax)) {
      outcome.bytes += try put(rows, encoder: round.encoder, into: round.batch)
      mark(rows, &round, marks)
      outcome.chunks += 1
      outcome.rows += rows.times.count
      outcome.samples += rows.cellCount
    }
  }

  /// Puts one chunk under its key.
  ///
  /// - Returns: its bytes, key excluded.
  func put(_ rows: ChunkRows, encoder: any ChunkCodec, into batch: WriteBatch) throws(SeriesError) -> Int {
    let made = try packed(rows, encoder: encoder)
    batch.put(families.chunks, key: made.key, value: made.value)
    return made.value.count
  }

  /// A chunk and its key.
  func packed(_ rows: ChunkRows, encoder: any ChunkCodec) throws(SeriesError) -> (key: [UInt8], value: [UInt8]) {
    let bytes = try decoding { () throws(ChunkError) in try encoder.encode(rows) }
    let key = ChunkKey(
      group: SeriesGroup(patient: rows.patient, device: rows.device), firstTime: rows.times[0],
      firstPosition: rows.firstPosition)
    return (key.bytes, bytes)
  }

  // MARK: Any thread

  /// The newest event time of a series, in memory or sealed, ms; nil if it has none.
  ///
  /// - Parameter notBefore: an older answer is of no use: bounds how far back chunks are visited.
  package func newestTime(
    patient: UInt32, device: UInt32, code: VitalCode, source: UInt16, notBefore: Int64 = .min
  ) throws(SeriesError) -> Int64? {
    let group = SeriesGroup(patient: patient, device: device)
    // Memory first: what is sealed between the two steps is then seen twice rather than not at all.
    let inMemory = open.withLock { open in
      open.logs(group).compactMap { $0.newestTime(code: code, source: source) }.max()
    }
    let search = ChunkSearch(store: store, families: families, group: group)
    let horizon = max(inMemory ?? .min, notBefore)
    let sealed = try search.newestTime(code: code, source: source, above: horizon)
    guard let newest = sealed ?? inMemory, newest >= notBefore else { return nil }
    return newest
  }

  /// The newest value of a series at exactly this event time, in memory or sealed; nil if there is none.
  package func sample(
    patient: UInt32, device: UInt32, code: VitalCode, source: UInt16, time: Int64
  ) throws(SeriesError) -> (value: DecimalValue, unit: UInt8, sequence: Int64?)? {
    let group = SeriesGroup(patient: patient, device: device)
    // The copies share memory with the logs until the owner appends again, so unpacking needs no lock.
    let logs = open.withLock { $0.logs(group) }
    for log in logs.reversed() {
      if let found = log.newestCell(code: code, source: source, time: time) {
        return (found.cell.value, found.unit, found.cell.deviceSequence)
      }
    }
    let search = ChunkSearch(store: store, families: families, group: group)
    guard let found = try search.newestCell(code: code, source: source, time: time, cache: cache) else { return nil }
    return (found.cell.value, found.unit, found.cell.deviceSequence)
  }

  /// What is in memory, to be read together with the sealed chunks: take it before making the ``SeriesReader``.
  package func tail() -> SeriesTail { open.withLock { SeriesTail(open: $0) } }

  package var stats: SealerStats {
    // One lock after the other: neither waits for the other's holder.
    let (totals, skipped) = open.withLock { ($0.totals, $0.skipped) }
    let (sealed, upkeep) = sealing.withLock { ($0.totals, $0.upkeep) }
    return SealerStats(
      openLogs: totals.logs, openRows: totals.rows, openSamples: totals.cells, openBytes: totals.bytes,
      sealedChunks: sealed.chunks, sealedRows: sealed.rows, sealedSamples: sealed.samples, sealedBytes: sealed.bytes,
      skippedSlots: skipped, upkeep: upkeep)
  }
}
