import ChunkCoding
import Foundation
import KeyValueStore
import Testing
import VitalModel

@testable import SeriesStore

@Suite struct SealerTests {
  @Test(arguments: 0..<6) func sealedRowsReadBackAsJournaled(seed: Int) throws {
    let scratch = try Scratch()
    let slots = journal(seed: UInt64(seed), count: 3000)
    let sealer = try Sealer(store: scratch.store, policy: plainPolicy(rows: 50))
    for start in stride(from: 0, to: slots.count, by: 100) {
      sealer.append(Array(slots[start..<min(start + 100, slots.count)]))
      try sealer.seal(now: slots[start].ingestTime)
    }
    let last = try sealer.seal(now: 0, limit: .max, all: true)
    #expect(last.waiting == 0 && last.floor == slots[slots.count - 1].payload + 1)
    let reader = try SeriesReader(scratch.store)
    #expect(reader.plan.sealFloor == last.floor)
    #expect(try everything(reader) == model(slots, superseded: true))
    #expect(try everything(reader, superseded: false) == model(slots, superseded: false))
    let stats = try reader.stats(verify: true)
    #expect(stats.samples == slots.count { $0.kind == .sample } && stats.groups == 6)
    #expect(stats.chunks == sealer.stats.sealedChunks && stats.bytes == sealer.stats.sealedBytes)
    #expect(sealer.stats.openRows == 0)
  }

  @Test func readsRanges() throws {
    let scratch = try Scratch()
    let slots = journal(seed: 42, count: 1500)
    let sealer = try Sealer(store: scratch.store, policy: plainPolicy(rows: 40))
    sealer.append(slots)
    try sealer.seal(now: 0, limit: .max, all: true)
    let reader = try SeriesReader(scratch.store)
    let facts = model(slots, superseded: true)
    var generator = SplitMix64(state: 8)
    for _ in 0..<40 {
      let ends = [facts[generator.below(facts.count)].time, facts[generator.below(facts.count)].time].sorted()
      let expected = facts.filter { $0.time >= ends[0] && $0.time < ends[1] }
      #expect(try everything(reader, from: ends[0], to: ends[1]) == expected)
      for group in try reader.groups(patient: 1) {
        let headers = try reader.headers(group, from: ends[0], to: ends[1])
        #expect(headers.allSatisfy { $0.firstTime < ends[1] && $0.lastTime >= ends[0] })
      }
    }
    #expect(try reader.groups(patient: 2).map(\.device) == [0, 1])
    #expect(try reader.groups(patient: 9).isEmpty)
  }

  @Test func stretchesCoverSealedAndOpenRows() throws {
    let scratch = try Scratch()
    let hour: Int64 = 3_600_000
    let slots = [0, 1, 2, 3, 4, 5, 6 + 2 * hour, 7 + 2 * hour].enumerated().map { index, time in
      makeSlot(UInt64(index), time: time, mantissa: 1)
    }
    let sealer = try Sealer(store: scratch.store, policy: plainPolicy(rows: 3))
    sealer.append(Array(slots.prefix(3)))
    try sealer.seal(now: 0, limit: .max, all: true)
    let reader = try SeriesReader(scratch.store)
    var tail = SeriesTail()
    for slot in slots { tail.append(slot, position: slot.payload, plan: reader.plan) }
    let group = SeriesGroup(patient: 1, device: 1)
    let sealed = SeriesStretch(first: 0, last: 2, rows: 3)
    #expect(
      try reader.stretches(group, tail: tail) == [
        sealed, SeriesStretch(first: 3, last: 5, rows: 3),
        SeriesStretch(first: 6 + 2 * hour, last: 7 + 2 * hour, rows: 2),
      ])
    #expect(try reader.stretches(group) == [sealed])
    #expect(try reader.stretches(group, from: 4, to: hour, tail: tail) == [SeriesStretch(first: 4, last: 5, rows: 2)])
  }

  @Test func sealsByRowsAgeAndSpan() throws {
    let scratch = try Scratch()
    let sealer = try Sealer(store: scratch.store, policy: plainPolicy(rows: 3, openMax: 10_000))
    #expect(!sealer.append(makeSlot(0, time: 1000, mantissa: 1), position: 0))
    #expect(!sealer.append(makeSlot(1, time: 2000, mantissa: 2), position: 1))
    #expect(!sealer.append(makeSlot(2, time: 3000, mantissa: 3), position: 2))
    // A cell of the third row joins it; the fourth row fills the chunk.
    #expect(!sealer.append(makeSlot(3, code: 1, time: 3000, mantissa: 3), position: 3))
    #expect(sealer.append(makeSlot(4, time: 4000, mantissa: 4), position: 4))
    let byRows = try sealer.seal(now: 4100)
    #expect(byRows.chunks == 1 && byRows.rows == 3 && byRows.samples == 4 && byRows.floor == 4)
    #expect(try sealer.seal(now: 14_050).chunks == 0)
    let byAge = try sealer.seal(now: 14_051)
    #expect(byAge.chunks == 1 && byAge.rows == 1 && byAge.floor == 5)
    // Wider than a chunk may span: cut in two.
    sealer.append(makeSlot(5, time: 0, mantissa: 5), position: 5)
    sealer.append(makeSlot(6, time: SealPolicy.spanMax + 1, mantissa: 6), position: 6)
    let bySpan = try sealer.seal(now: 60)
    #expect(bySpan.chunks == 2 && bySpan.rows == 2 && bySpan.floor == 7)
  }

  @Test func sealsWhenColumnsRunOut() throws {
    let scratch = try Scratch()
    let sealer = try Sealer(store: scratch.store, policy: plainPolicy())
    let slots = (0..<200).map { makeSlot(UInt64($0), code: UInt16($0 % 70), time: 1000, mantissa: Int64($0)) }
    #expect(sealer.append(slots))
    try sealer.seal(now: 0, all: true)
    #expect(try everything(SeriesReader(scratch.store)) == model(slots, superseded: true))
  }

  @Test func aRoundTakesNoMoreThanItsLimitAndKeepsOrder() throws {
    let scratch = try Scratch()
    let slots = journal(seed: 9, count: 600)
    let sealer = try Sealer(store: scratch.store, policy: plainPolicy(rows: 10))
    sealer.append(slots)
    var rounds = 0
    var outcome = SealOutcome(waiting: 1)
    while outcome.waiting > 0 {
      outcome = try sealer.seal(now: 0, limit: 3, all: true)
      rounds += 1
      // At any moment sealed chunks and memory together are everything, once.
      let tail = sealer.tail()
      #expect(try everything(SeriesReader(scratch.store), tail: tail) == model(slots, superseded: true))
    }
    #expect(rounds > 10)
  }

  @Test func staggerSpreadsDevices() {
    let policy = SealPolicy()
    let rows = (0..<100).map { policy.rowsMax(device: $0, isFirst: true) }
    #expect(rows.allSatisfy { (300...600).contains($0) } && Set(rows).count > 60)
    #expect(policy.rowsMax(device: 5, isFirst: false) == 600)
    #expect((0..<100).allSatisfy { (600_000...750_000).contains(policy.openMax(device: $0)) })
  }

  /// SEMANTICS A6: look-ups see memory and chunks alike, and the newest correction.
  @Test func looksUpAcrossTheSealBoundary() throws {
    let scratch = try Scratch()
    let slots = journal(seed: 77, count: 1200)
    let sealer = try Sealer(store: scratch.store, policy: plainPolicy(rows: 30))
    var seen: [Slot] = []
    for start in stride(from: 0, to: slots.count, by: 300) {
      let part = Array(slots[start..<(start + 300)])
      sealer.append(part)
      seen += part
      if start % 600 == 0 { try sealer.seal(now: 0, limit: 20) }
      for fact in model(seen, superseded: false) {
        let found = try sealer.sample(
          patient: fact.group.patient, device: fact.group.device, code: VitalCode(index: fact.code),
          source: fact.source, time: fact.time)
        #expect(found?.value.mantissa == fact.mantissa && found?.unit == fact.unit && found?.sequence == fact.sequence)
      }
      for patient in UInt32(0)..<3 {
        for code in UInt16(0)..<4 {
          let expected = seen.filter {
            $0.kind == .sample && $0.patient == patient && $0.device == 1 && $0.code.index == code && $0.source == 0
          }.map(\.eventTime).max()
          let code = VitalCode(index: code)
          #expect(try sealer.newestTime(patient: patient, device: 1, code: code, source: 0) == expected)
          let bounded = try sealer.newestTime(
            patient: patient, device: 1, code: code, source: 0, notBefore: expected ?? 0)
          #expect(bounded == expected)
          if let expected {
            #expect(
              try sealer.newestTime(patient: patient, device: 1, code: code, source: 0, notBefore: expected + 1) == nil)
          }
        }
      }
    }
    let none = try sealer.sample(patient: 1, device: 1, code: VitalCode(index: 0), source: 0, time: 123)
    #expect(none == nil)
  }

  @Test func retentionDropsWholeOldChunks() throws {
    let scratch = try Scratch()
    let sealer = try Sealer(store: scratch.store, policy: plainPolicy(rows: 10))
    var slots: [Slot] = []
    for index in 0..<200 {
      let time = Int64(index / 2) * 1000
      slots.append(makeSlot(UInt64(index), patient: UInt32(index % 2), time: time, mantissa: Int64(index)))
    }
    sealer.append(slots)
    try sealer.seal(now: 0, limit: .max, all: true)
    let retention = Retention(sealer)
    func trim(_ time: Int64) throws -> Int {
      try retention.run(now: 0) { _ in RetentionCutoffs(chunks: time, rollups: time, superseded: time) }.chunks
    }
    #expect(try trim(0) == 0)
    // 25,500 lies within the third chunk of each patient, which stays whole.
    #expect(try trim(25_500) == 4)
    #expect(
      try everything(SeriesReader(scratch.store)) == model(slots.filter { $0.eventTime >= 20_000 }, superseded: true))
    #expect(try SeriesReader(scratch.store).stats().chunks == 16)
    #expect(try trim(.max) == 16)
    #expect(try SeriesReader(scratch.store).stats() == SeriesStats())
  }

  @Test func aSecondaryReaderAddsTheJournalTail() throws {
    let scratch = try Scratch()
    let slots = journal(seed: 31, count: 2000)
    let sealer = try Sealer(store: scratch.store, policy: plainPolicy(rows: 25))
    sealer.append(Array(slots[..<1500]))
    try sealer.seal(now: 0, limit: 40)
    let second = try scratch.secondary()
    let reader = try SeriesReader(second)
    // The writer goes on; the reader stays with its moment and takes the rest from the journal.
    sealer.append(Array(slots[1500...]))
    try sealer.seal(now: 0, limit: .max, all: true)
    var tail = SeriesTail()
    for slot in slots where slot.payload >= reader.plan.sealFloor {
      tail.append(slot, position: slot.payload, plan: reader.plan)
    }
    #expect(reader.plan.sealFloor < slots[1500].payload)
    #expect(try everything(reader, tail: tail) == model(slots, superseded: true))
    second.close()
  }

  @Test func readsWhileSealing() async throws {
    let scratch = try Scratch()
    let slots = journal(seed: 51, count: 4000)
    let sealer = try Sealer(store: scratch.store, policy: plainPolicy(rows: 20))
    sealer.append(slots)
    let expected = model(slots, superseded: true)
    let store = scratch.store
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask {
        while try sealer.seal(now: 0, limit: 5, all: true).waiting > 0 {}
      }
      for _ in 0..<2 {
        group.addTask {
          for _ in 0..<5 {
            let tail = sealer.tail()
            #expect(try everything(SeriesReader(store), tail: tail) == expected)
            let fact = expected[expected.count / 2]
            let found = try sealer.sample(
              patient: fact.group.patient, device: fact.group.device, code: VitalCode(index: fact.code),
              source: fact.source, time: fact.time)
            #expect(found != nil)
          }
        }
      }
      try await group.waitForAll()
    }
  }

  @Test func damageIsAnErrorNotAnEnd() throws {
    let scratch = try Scratch()
    let sealer = try Sealer(store: scratch.store, policy: plainPolicy(rows: 5))
    sealer.append((0..<20).map { makeSlot(UInt64($0), time: Int64($0) * 1000, mantissa: 1) })
    try sealer.seal(now: 0, all: true)
    try scratch.damageFirstChunk()
    #expect(throws: SeriesError.chunk(.checksum)) { try everything(SeriesReader(scratch.store)) }
    #expect(throws: SeriesError.chunk(.checksum)) { try SeriesReader(scratch.store).stats() }
  }
}
