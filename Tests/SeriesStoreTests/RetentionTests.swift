import ChunkCoding
import KeyValueStore
import Testing
import VitalModel

@testable import SeriesStore

@Suite struct RetentionTests {
  private let day = GroupDay.length

  /// Ten days of a row an hour, of patients 0, 1 and 2, sealed day by day.
  private func filled(_ scratch: Scratch) throws -> (Sealer, [Slot]) {
    let sealer = try Sealer(store: scratch.store, policy: plainPolicy())
    var slots: [Slot] = []
    for hour in 0..<240 {
      for patient in UInt32(0)..<3 {
        let position = UInt64(slots.count)
        slots.append(makeSlot(position, patient: patient, time: Int64(hour) * 3_600_000, mantissa: Int64(hour)))
        sealer.append(slots[slots.count - 1], position: position)
      }
      if hour % 6 == 5 { try sealer.seal(now: Int64(hour) * 3_600_000, all: true) }
    }
    try sealer.finishUpkeep()
    return (sealer, slots)
  }

  private func days(_ store: Store, patient: UInt32) throws -> [Int64] {
    let group = SeriesGroup(patient: patient, device: 1)
    return try SeriesReader(store).rollupDays(group, from: .min, to: .max, live: []).map(\.day.day)
  }

  @Test func eachPatientHasCutoffsOfItsOwnAndHoldsKeepAll() throws {
    let scratch = try Scratch()
    let (sealer, slots) = try filled(scratch)
    let outcome = try Retention(sealer).run(now: 100 * day) { patient in
      switch patient {
      case 0: RetentionCutoffs(chunks: 5 * day, rollups: 3 * day, superseded: 0)
      case 1: RetentionCutoffs(chunks: 8 * day, rollups: 8 * day, superseded: 0)
      default: nil
      }
    }
    #expect(outcome.heldGroups == 1 && outcome.samples == 13 * 24)
    #expect(outcome.rollupDays == 11)
    let left = slots.filter { slot in
      slot.patient == 2 || slot.eventTime >= (slot.patient == 0 ? 5 * day : 8 * day)
    }
    let reader = try SeriesReader(scratch.store)
    #expect(try everything(reader) == model(left, superseded: true))
    #expect(try days(scratch.store, patient: 0) == Array(3..<10))
    #expect(try days(scratch.store, patient: 1) == [8, 9])
    #expect(try days(scratch.store, patient: 2) == Array(0..<10))
    // Rollups outlive their chunks and are read as if the chunks were there.
    var scan = SeriesScan()
    (scan.patients, scan.resolution) = ([0], .hour)
    let kept = slots.filter { $0.patient == 0 && $0.eventTime >= 3 * day }
    #expect(try scannedRollups(reader, scan) == bruteRollups(kept, width: 3_600_000))
    // Again: nothing is left to do.
    let again = try Retention(sealer).run(now: 100 * day) { _ in RetentionCutoffs(chunks: 0, rollups: 0, superseded: 0)
    }
    #expect(again == RetentionOutcome())
  }

  /// A sample that comes after its day's chunks are gone does not put its own count in place of the day's.
  @Test func finalDaysStand() throws {
    let scratch = try Scratch()
    let (sealer, slots) = try filled(scratch)
    // Made anew when they are not rolled up yet.
    sealer.append(makeSlot(5000, patient: 0, time: 1, mantissa: 500), position: 5000)
    try sealer.seal(now: 0, all: true)
    _ = try Retention(sealer).run(now: 100 * day) { _ in RetentionCutoffs(chunks: 5 * day, rollups: 0, superseded: 0) }
    let all = slots + [makeSlot(5000, patient: 0, time: 1, mantissa: 500)]
    sealer.append(makeSlot(5001, patient: 0, time: 2 * day + 1, mantissa: 900), position: 5001)
    try sealer.seal(now: 0, all: true)
    try sealer.finishUpkeep()
    var scan = SeriesScan()
    scan.resolution = .quarter
    #expect(try scannedRollups(SeriesReader(scratch.store), scan) == bruteRollups(all, width: 900_000))
  }

  @Test func manyOldChunksGoAsOneRange() throws {
    let scratch = try Scratch()
    let sealer = try Sealer(store: scratch.store, policy: plainPolicy(rows: 2))
    let slots = (0..<200).map { makeSlot(UInt64($0), time: Int64($0) * 1000, mantissa: Int64($0)) }
    sealer.append(slots)
    sealer.append(makeSlot(200, patient: 2, time: 1000, mantissa: 1), position: 200)
    try sealer.seal(now: 0, limit: .max, all: true)
    let outcome = try Retention(sealer).run(now: 100 * day) { patient in
      patient == 1 ? RetentionCutoffs(chunks: 150_000, rollups: 150_000, superseded: 0) : nil
    }
    #expect(outcome.chunks == 75 && outcome.chunks >= Retention.rangeMin)
    let left = slots.filter { $0.eventTime >= 150_000 } + [makeSlot(200, patient: 2, time: 1000, mantissa: 1)]
    #expect(try everything(SeriesReader(scratch.store)) == model(left, superseded: true))
  }

  @Test(arguments: 0..<2) func supersededValuesGoAndNothingElse(seed: Int) throws {
    let scratch = try Scratch()
    let slots = journal(seed: UInt64(seed) &+ 60, count: 1500)
    let sealer = try Sealer(store: scratch.store, policy: plainPolicy(rows: 20))
    for start in stride(from: 0, to: slots.count, by: 300) {
      sealer.append(Array(slots[start..<(start + 300)]))
      try sealer.seal(now: slots[start].ingestTime, limit: .max, all: true)
      if start == 600 { _ = try sealer.upkeep(now: .max, limit: 2) }
    }
    let before = model(slots, superseded: true)
    let replaced = before.count { $0.isSuperseded }
    let none = try Retention(sealer).run(now: 100 * day) { _ in
      RetentionCutoffs(chunks: .min, rollups: .min, superseded: .min)
    }
    #expect(none.superseded == 0)
    let outcome = try Retention(sealer).run(now: 100 * day) { _ in
      RetentionCutoffs(chunks: .min, rollups: .min, superseded: .max)
    }
    #expect(outcome.superseded == replaced && replaced > 50)
    let reader = try SeriesReader(scratch.store)
    #expect(try everything(reader) == model(slots, superseded: false))
    #expect(try reader.stats(verify: true).samples == before.count - replaced)
    try sealer.finishUpkeep()
    #expect(try everything(SeriesReader(scratch.store)) == model(slots, superseded: false))
    #expect(try MergeTests.keysKeepTheirPromise(scratch.store))
  }

  @Test func oneGroupsDamageKeepsNoOther() throws {
    let scratch = try Scratch()
    let (sealer, _) = try filled(scratch)
    let family = try scratch.store.family("chunks")
    let iterator = try scratch.store.iterator(family)
    #expect(try iterator.seekToFirst())
    let batch = WriteBatch(for: scratch.store)
    batch.put(family, key: Array(iterator.key), value: [9, 9, 9, 9, 9, 9, 9])
    iterator.close()
    try scratch.store.write(batch, sync: false)
    let outcome = try Retention(sealer).run(now: 100 * day) { _ in
      RetentionCutoffs(chunks: 5 * day, rollups: 5 * day, superseded: 0)
    }
    #expect(outcome.damagedGroups == 1 && outcome.samples == 2 * 5 * 24)
    // Nor does it keep its own group from being sealed.
    let again = try Sealer(store: scratch.store, policy: plainPolicy())
    again.append(makeSlot(9000, patient: 0, time: 20 * day, mantissa: 1), position: 9000)
    #expect(try again.seal(now: 0, all: true).chunks == 1)
  }

  /// Chunks kept for less than a day: rollups of the day are made from all of it, not from what was there at the time.
  @Test func aDayIsMadeForGoodOnceItIsOver() throws {
    let scratch = try Scratch()
    let sealer = try Sealer(store: scratch.store, policy: plainPolicy())
    let hour: Int64 = 3_600_000
    var slots: [Slot] = []
    for quarter in 0..<Int64(60 * 4) {
      let slot = makeSlot(UInt64(quarter), time: quarter * hour / 4, mantissa: quarter)
      slots.append(slot)
      sealer.append(slot, position: slot.payload)
      guard quarter % 4 == 3 else { continue }
      let now = (quarter / 4 + 1) * hour
      try sealer.seal(now: now, all: true)
      _ = try sealer.upkeep(now: now)
      _ = try Retention(sealer).run(now: now) { _ in
        RetentionCutoffs(chunks: now - 2 * hour, rollups: now - 1000 * hour, superseded: .min)
      }
    }
    let reader = try SeriesReader(scratch.store)
    // Two days are over; of the third everything is there.
    #expect(try reader.stats().samples == 12 * 4)
    var scan = SeriesScan()
    scan.resolution = .hour
    #expect(try scannedRollups(reader, scan) == bruteRollups(slots, width: hour))
  }

  /// What goes is written by the caller, with its account of it; what fails to be written stays.
  @Test func deletionsAreWrittenWithTheirAccount() throws {
    let scratch = try Scratch()
    let (sealer, slots) = try filled(scratch)
    let cutoffs = RetentionCutoffs(chunks: 5 * day, rollups: 3 * day, superseded: .max)
    #expect(throws: SeriesError.damaged("test")) {
      try Retention(sealer).run(
        now: 100 * day, commit: { (_, _, _) throws(SeriesError) in throw .damaged("test") }, { _ in cutoffs })
    }
    #expect(try everything(SeriesReader(scratch.store)) == model(slots, superseded: true))
    var accounted = RetentionOutcome()
    var kinds: [RetentionClass] = []
    let outcome = try Retention(sealer).run(
      now: 100 * day,
      commit: { (kind, part, batch) throws(SeriesError) in
        kinds.append(kind)
        accounted.add(part)
        try storing { () throws(StoreError) in try scratch.store.write(batch, sync: false) }
      }, { _ in cutoffs })
    #expect(accounted == outcome && outcome.samples == 3 * 5 * 24 && outcome.rollupDays == 3 * 3)
    #expect(kinds == [.chunks, .rollups])
  }

  /// The journal keeps what is not sealed, and what comes after the position that states reflect.
  @Test func theJournalIsNeededFromTheLowerFloor() throws {
    let scratch = try Scratch()
    let sealer = try Sealer(store: scratch.store, policy: plainPolicy())
    for position in UInt64(0)..<10 {
      sealer.append(makeSlot(position, time: Int64(position), mantissa: 1), position: position)
    }
    try sealer.seal(now: 0, all: true)
    let plan = try SeriesReader(scratch.store).plan
    #expect(plan.sealFloor == 10)
    #expect(plan.journalFloor(statesReflect: 20) == 10)
    #expect(plan.journalFloor(statesReflect: 9) == 10)
    #expect(plan.journalFloor(statesReflect: 4) == 5)
    #expect(plan.journalFloor(statesReflect: .max) == 10)
  }
}
