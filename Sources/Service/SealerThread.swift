import AlertJournal
import Instrumentation
import Pipeline
import RingBufferModule
import SeriesStore
import Synchronization
import VitalModel

/// Durable samples into chunks, on a thread of its own, which also merges and rolls up what it sealed. It never trims the journal and never touches alerts.
final class SealerThread: @unchecked Sendable {
  // Unchecked: everything but the sealer (thread-safe) and the atomics belongs to the thread that calls `run()`.

  final class Source {
    var consumer: Ring<Slot>.Consumer
    init(_ ring: Ring<Slot>) throws(RingError) { consumer = try ring.takeConsumer("seal") }
  }

  let sealer: Sealer
  private let sources: [Source]
  private let store: VigilStore
  private let clock: any ServiceClock
  private let meters: ServiceMeters
  private let log: Log
  private let abandonment: Abandonment
  private let replayThrough: UInt64
  private var isFull = false
  private var lastSeal: Int64 = 0
  private var lastUpkeep: Int64 = 0
  private var hasUpkeepLeft = false
  private var told = UpkeepTotals()
  let isReady = Atomic<Bool>(false)
  /// Rung by whoever waits for history to be current.
  private let hurry = Doorbell()

  /// How long entries are left to gather, nanoseconds. History is nobody's next page: woken for every commit, this thread
  /// would take the processor from the evaluators that were woken by the same one.
  private static let gatherNanoseconds: Int64 = 20_000_000
  private static let batchMax = 8192
  /// Merges and days rolled up in one step: some ten milliseconds, as look-ups wait for this thread.
  private static let upkeepStep = 2

  init(
    sealer: Sealer, rings: [Ring<Slot>], store: VigilStore, replayThrough: UInt64, clock: any ServiceClock,
    meters: ServiceMeters, log: Log, abandonment: Abandonment
  ) throws(RingError) {
    self.sealer = sealer
    var sources: [Source] = []
    for ring in rings { sources.append(try Source(ring)) }
    self.sources = sources
    self.store = store
    self.replayThrough = replayThrough
    self.clock = clock
    self.meters = meters
    self.log = log
    self.abandonment = abandonment
  }

  /// The thread's body: first what the journal holds beyond the sealed chunks, then live entries.
  func run() {
    restore()
    isReady.store(true, ordering: .releasing)
    var isOpen = true
    while !abandonment.value {
      let asked = hurry.count
      let count = takeAll(&isOpen)
      sealIfDue(all: false)
      if count == 0, !isOpen { break }
      if count < SealerThread.batchMax { keepUp() }
      if count < SealerThread.batchMax, isOpen {
        hurry.wait(after: asked, timeoutNanoseconds: SealerThread.gatherNanoseconds)
      }
    }
    if !abandonment.value { sealIfDue(all: true) }
  }

  /// Ends a pause at once: somebody waits until everything published is taken. From any thread.
  func takeNow() { hurry.ring() }

  private func restore() {
    do {
      let floor = try sealer.restore()
      try store.journal.read(
        from: floor, upTo: replayThrough,
        onDamage: { [log] damage in
          log.error("seal", "journal damaged; stepped over", ["what": LogValue(damage.description)])
        }
      ) { record in
        guard case .slot(let slot) = record, slot.kind == .sample else { return }
        if sealer.append(slot, position: slot.payload) { sealIfDue(all: false) }
      }
    } catch {
      log.error("seal", "history could not be rebuilt from the journal", ["reason": LogValue("\(error)")])
    }
  }

  private func takeAll(_ isOpen: inout Bool) -> Int {
    var count = 0
    var open = false
    for (index, source) in sources.enumerated() {
      let state = source.consumer.wait(timeoutNanoseconds: index == 0 ? 250_000_000 : 0)
      if state != .closed { open = true }
      var taken = 0
      source.consumer.withBatch(limit: SealerThread.batchMax) { batch in
        taken = batch.count
        for index in 0..<batch.count where batch[index].kind == .sample {
          if sealer.append(batch[index], position: batch[index].payload) { isFull = true }
        }
      }
      if taken > 0 { source.consumer.release(taken) }
      count += taken
    }
    isOpen = open
    return count
  }

  /// Merging and rollups, a little at a time: at once while more is due, else once a second.
  private func keepUp() {
    let now = clock.wallMilliseconds()
    guard hasUpkeepLeft || now - lastUpkeep >= 1000 else { return }
    lastUpkeep = now
    do throws(SeriesError) {
      hasUpkeepLeft = try sealer.upkeep(now: now, limit: SealerThread.upkeepStep)
    } catch {
      hasUpkeepLeft = false
      log.limited(
        .error, every: 60, "seal", "chunks could not be merged or rolled up; trying again",
        ["reason": LogValue("\(error)")])
    }
    let totals = sealer.upkeepTotals
    if totals.failures > told.failures {
      log.limited(
        .error, every: 60, "seal", "a patient's day could not be merged or rolled up; it is tried again later",
        ["days": LogValue(totals.failures - told.failures)])
    }
    meters.chunksMerged.add(totals.chunksMerged - told.chunksMerged)
    meters.daysRolledUp.add(totals.daysRolledUp - told.daysRolledUp)
    told = totals
  }

  private func sealIfDue(all: Bool) {
    let now = clock.wallMilliseconds()
    guard all || isFull || now - lastSeal >= 1000 else { return }
    lastSeal = now
    isFull = false
    do throws(SeriesError) {
      var waiting = 1
      while waiting > 0, !abandonment.value {
        let outcome = try sealer.seal(now: now, all: all, sync: false)
        meters.chunks.add(outcome.chunks)
        waiting = outcome.waiting
        if let reason = outcome.reason {
          log.limited(
            .error, every: 5, "seal", "some patients' chunks could not be written; they stay open and are tried again",
            ["logs": LogValue(outcome.stuck), "reason": LogValue(reason)])
        }
      }
    } catch {
      log.limited(
        .error, every: 5, "seal", "chunks could not be written; they stay open", ["reason": LogValue("\(error)")])
    }
  }
}

/// What the intake asks of history: open and sealed chunks, once both reflect everything journaled.
final class StoredHistory: SampleHistory {
  private let thread: SealerThread
  private let stages: [SequenceObserver]
  private let abandonment: Abandonment

  /// - Parameter rings: the shards' rings; an answer counts once the sealer has taken everything published in them.
  init(_ thread: SealerThread, rings: [Ring<Slot>], abandonment: Abandonment) throws(RingError) {
    self.thread = thread
    var stages: [SequenceObserver] = []
    for ring in rings { stages.append(try ring.observer(of: "seal")) }
    self.stages = stages
    self.abandonment = abandonment
  }

  /// Rare: after a restart, or for a sample older than its series' newest that memory no longer holds.
  private func waitUntilCurrent() {
    while !abandonment.value, !thread.isReady.load(ordering: .acquiring) || stages.contains(where: { $0.depth > 0 }) {
      thread.takeNow()
      Pause.milliseconds(1)
    }
  }

  func newestTime(_ series: Directory.Series) -> Int64? {
    waitUntilCurrent()
    return
      (try? thread.sealer.newestTime(
        patient: series.patient, device: series.device, code: series.code, source: series.source)) ?? nil
  }

  func sample(_ series: Directory.Series, at time: Int64) -> (value: DecimalValue, unit: UInt8, sequence: Int64?)? {
    waitUntilCurrent()
    return
      (try? thread.sealer.sample(
        patient: series.patient, device: series.device, code: series.code, source: series.source, time: time)) ?? nil
  }
}
