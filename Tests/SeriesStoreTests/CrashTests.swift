import ChunkCoding
import KeyValueStore
import Testing
import VitalModel

@testable import SeriesStore

/// A crash drops what is in memory; the journal and the store stay. After any crash, replay from the floor must leave
/// every sample readable exactly once.
@Suite struct CrashTests {
  @Test(arguments: 0..<8) func crashesAtAnyStepLoseAndDoubleNothing(seed: Int) throws {
    let scratch = try Scratch()
    var generator = SplitMix64(state: UInt64(seed) &+ 1000)
    let slots = journal(seed: UInt64(seed) &+ 500, count: 1500)
    var sealer = try Sealer(store: scratch.store, policy: plainPolicy(rows: 15 + seed, openMax: 20_000))
    var next = 0
    var crashes = 0
    while next < slots.count {
      let end = min(slots.count, next + 1 + generator.below(80))
      sealer.append(Array(slots[next..<end]))
      next = end
      if generator.chance(60) { try sealer.seal(now: slots[end - 1].ingestTime, limit: 1 + generator.below(8)) }
      if generator.chance(30) {
        crashes += 1
        sealer = try Sealer(store: scratch.store, policy: plainPolicy(rows: 10 + generator.below(20)))
        let floor = try sealer.restore()
        #expect(next == slots.count || floor <= slots[next].payload)
        sealer.append(slots[..<next].filter { $0.payload >= floor })
        let tail = sealer.tail()
        #expect(
          try everything(SeriesReader(scratch.store), tail: tail) == model(Array(slots[..<next]), superseded: true))
      }
    }
    try sealer.seal(now: 0, limit: .max, all: true)
    #expect(crashes > 3)
    #expect(try everything(SeriesReader(scratch.store)) == model(slots, superseded: true))
  }

  @Test func replayOfEverythingAddsNothing() throws {
    let scratch = try Scratch()
    let slots = journal(seed: 4, count: 800)
    let sealer = try Sealer(store: scratch.store, policy: plainPolicy(rows: 20))
    sealer.append(slots)
    // The same batch again, as after an unclear error of the caller.
    sealer.append(slots)
    try sealer.seal(now: 0, limit: 7)
    let again = try Sealer(store: scratch.store, policy: plainPolicy(rows: 20))
    _ = try again.restore()
    again.append(slots)
    try again.seal(now: 0, limit: .max, all: true)
    #expect(again.stats.skippedSlots > 0)
    #expect(try everything(SeriesReader(scratch.store)) == model(slots, superseded: true))
  }

  /// A round that was written and whose memory was not dropped, because the process died in between, is written again by
  /// a process that forgot its sealed positions: the keys are the same, so nothing doubles.
  @Test func sealingTheSameRowsAgainWritesTheSameKeys() throws {
    let scratch = try Scratch()
    let slots = journal(seed: 6, count: 400)
    for _ in 0..<2 {
      let sealer = try Sealer(store: scratch.store, policy: plainPolicy(rows: 20))
      sealer.append(slots)
      try sealer.seal(now: 0, limit: .max, all: true)
    }
    #expect(try everything(SeriesReader(scratch.store)) == model(slots, superseded: true))
  }

  @Test func aFreshStoreStartsAtZero() throws {
    let scratch = try Scratch()
    let sealer = try Sealer(store: scratch.store)
    #expect(try sealer.restore() == 0)
    let plan = try SeriesReader(scratch.store).plan
    #expect(plan.sealFloor == 0 && plan.sealedPosition(patient: 1, device: 1) == nil)
    #expect(try sealer.seal(now: 0, all: true) == SealOutcome())
  }

  /// Sealed positions that no replay can ask for any more are removed, so that the state does not grow for ever.
  @Test func keepsNoSealedPositionBelowTheFloor() throws {
    let scratch = try Scratch()
    let sealer = try Sealer(store: scratch.store, policy: plainPolicy(rows: 2))
    // Device 2 holds the floor at 0 while device 1 is sealed.
    sealer.append(makeSlot(0, device: 2, time: 1000, mantissa: 1), position: 0)
    for index in UInt64(1)...5 {
      sealer.append(makeSlot(index, time: Int64(index) * 1000, mantissa: 1), position: index)
    }
    try sealer.seal(now: 0)
    var plan = try SeriesReader(scratch.store).plan
    #expect(plan.sealFloor == 0 && plan.sealedPosition(patient: 1, device: 1) == 4)
    #expect(plan.isSealed(patient: 1, device: 1, position: 4) && !plan.isSealed(patient: 1, device: 1, position: 5))
    #expect(!plan.isSealed(patient: 1, device: 2, position: 0))
    try sealer.seal(now: 0, all: true)
    plan = try SeriesReader(scratch.store).plan
    #expect(plan.sealFloor == 6 && plan.sealedPosition(patient: 1, device: 1) == nil)
    #expect(plan.isSealed(patient: 1, device: 2, position: 0))
  }

  @Test func failedWritesKeepEverythingInMemory() throws {
    let scratch = try Scratch()
    let slots = journal(seed: 12, count: 300)
    let sealer = try Sealer(store: scratch.store, policy: plainPolicy(rows: 10))
    sealer.append(slots)
    scratch.store.close()
    #expect(throws: SeriesError.store(.closed)) { try sealer.seal(now: 0, all: true) }
    #expect(sealer.stats.openSamples == slots.count { $0.kind == .sample } && sealer.stats.sealedChunks == 0)
  }

  /// Keys to the byte, as drawn in `docs/formats/chunk.md`.
  @Test func goldenKeys() throws {
    let group = SeriesGroup(patient: 7, device: 9)
    let key = ChunkKey(group: group, firstTime: 1_700_000_000_000, firstPosition: 300)
    #expect(
      key.bytes == [0, 0, 0, 7, 0, 0, 0, 9, 0x80, 0, 0x01, 0x8B, 0xCF, 0xE5, 0x68, 0, 0, 0, 0, 0, 0, 0, 0x01, 0x2C])
    #expect(try key.bytes.withUnsafeBytes { try ChunkKey($0) } == key)
    #expect(StateKey.floor == [0x53, 0x46])
    #expect(StateKey.sealed(group) == [0x53, 0x47, 0, 0, 0, 7, 0, 0, 0, 9])
    let times: [Int64] = [.min, -5, 0, 5, .max]
    let keys = times.map { ChunkKey(group: group, firstTime: $0, firstPosition: 0).bytes }
    for (left, right) in zip(keys, keys.dropFirst()) { #expect(left.lexicographicallyPrecedes(right)) }
  }
}
