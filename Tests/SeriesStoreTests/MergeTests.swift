import ChunkCoding
import KeyValueStore
import Testing
import VitalModel

@testable import SeriesStore

/// Merging changes how rows are stored and nothing of what is read.
@Suite struct MergeTests {
  /// Chunks of one group that share a stretch of time have position ranges that do not overlap: what keys promise.
  static func keysKeepTheirPromise(_ store: Store) throws -> Bool {
    let reader = try SeriesReader(store)
    for group in try reader.groups() {
      let headers = try reader.headers(group)
      for (index, left) in headers.enumerated() {
        guard left.lastTime - left.firstTime <= SealPolicy.spanMax else { return false }
        for right in headers[(index + 1)...] {
          let sharesTime = left.firstTime <= right.lastTime && right.firstTime <= left.lastTime
          let sharesPositions =
            left.firstPosition <= right.lastPosition && right.firstPosition <= left.lastPosition
          if sharesTime && sharesPositions { return false }
        }
      }
    }
    return true
  }

  @Test(arguments: 0..<4) func mergedChunksReadAsUnmergedOnes(seed: Int) throws {
    let scratch = try Scratch()
    var generator = SplitMix64(state: UInt64(seed) &+ 9000)
    let slots = journal(seed: UInt64(seed) &+ 700, count: 1200)
    let policy = plainPolicy(rows: 12 + seed * 6, openMax: 20_000)
    var sealer = try Sealer(store: scratch.store, policy: policy)
    var next = 0
    var crashes = 0
    var merged = 0
    while next < slots.count {
      let end = min(slots.count, next + 1 + generator.below(60))
      sealer.append(Array(slots[next..<end]))
      next = end
      if generator.chance(70) { try sealer.seal(now: slots[end - 1].ingestTime, limit: 1 + generator.below(8)) }
      // Everything marked is old by then: one step at a time, so that a crash falls between two steps.
      if generator.chance(50) { _ = try sealer.upkeep(now: .max, limit: 1 + generator.below(2)) }
      if generator.chance(25) {
        crashes += 1
        merged += sealer.stats.upkeep.chunksMerged
        sealer = try Sealer(store: scratch.store, policy: policy)
        let floor = try sealer.restore()
        sealer.append(slots[..<next].filter { $0.payload >= floor })
        let tail = sealer.tail()
        #expect(
          try everything(SeriesReader(scratch.store), tail: tail) == model(Array(slots[..<next]), superseded: true))
      }
    }
    try sealer.seal(now: 0, limit: .max, all: true)
    try sealer.finishUpkeep()
    merged += sealer.stats.upkeep.chunksMerged
    let reader = try SeriesReader(scratch.store)
    #expect(crashes > 1 && merged > 20, "\(crashes) crashes, \(merged) chunks merged")
    #expect(try everything(reader) == model(slots, superseded: true))
    #expect(try everything(reader, superseded: false) == model(slots, superseded: false))
    #expect(try MergeTests.keysKeepTheirPromise(scratch.store))
    #expect(try reader.stats(verify: true).samples == slots.count { $0.kind == .sample })
  }

  @Test func smallChunksOfASlowDeviceBecomeOne() throws {
    let scratch = try Scratch()
    let sealer = try Sealer(store: scratch.store, policy: plainPolicy())
    let minute: Int64 = 60_000
    for index in 0..<80 {
      sealer.append(
        makeSlot(UInt64(index), time: Int64(index) * minute, mantissa: Int64(index)), position: UInt64(index))
      if index % 10 == 9 { try sealer.seal(now: Int64(index) * minute, all: true) }
    }
    #expect(try SeriesReader(scratch.store).stats().chunks == 8)
    #expect(try !sealer.upkeep(now: 80 * minute))
    #expect(try SeriesReader(scratch.store).stats().chunks == 1)
    #expect(sealer.stats.upkeep.chunksMerged == 8 && sealer.stats.upkeep.chunksMade == 1)
    let header = try #require(try SeriesReader(scratch.store).headers(SeriesGroup(patient: 1, device: 1)).first)
    #expect(header.firstPosition == 0 && header.lastPosition == 79 && header.rowCount == 80)
    // Nothing is marked any more.
    #expect(try Sealer(store: scratch.store).stats.upkeep == UpkeepTotals())
    _ = try sealer.upkeep(now: .max)
    #expect(sealer.stats.upkeep.chunksMade == 1)
  }

  @Test func fewSmallChunksWait() throws {
    let scratch = try Scratch()
    let sealer = try Sealer(store: scratch.store, policy: plainPolicy())
    for index in UInt64(0)..<3 {
      sealer.append(makeSlot(index, time: Int64(index) * 1000, mantissa: 1), position: index)
      try sealer.seal(now: 3000, all: true)
    }
    _ = try sealer.upkeep(now: 3000 + SealPolicy.mergeAge - 1)
    #expect(try SeriesReader(scratch.store).stats().chunks == 3)
    _ = try sealer.upkeep(now: 3000 + SealPolicy.mergeAge)
    #expect(try SeriesReader(scratch.store).stats().chunks == 1)
  }

  /// Two chunks cut from one log share their positions. Merging one of them with a later chunk that overlaps the other
  /// would put that later chunk's values on a level with what they replace.
  @Test func aClusterThatWouldLoseTheOrderIsLeft() {
    func header(_ times: ClosedRange<Int64>, _ positions: ClosedRange<UInt64>) throws -> ChunkHeader {
      let rows = ChunkRows(
        patient: 1, device: 1, firstPosition: positions.lowerBound, lastPosition: positions.upperBound,
        times: [times.lowerBound, times.upperBound],
        columns: [
          ChunkColumnCells(
            ChunkColumn(code: VitalCode(index: 0), unit: 0, source: 0), rows: [0, 1],
            cells: [ChunkCell(value: DecimalValue(mantissa: 1)), ChunkCell(value: DecimalValue(mantissa: 2))])
        ])
      let bytes = try PlainCodec().encode(rows)
      return try bytes.withUnsafeBytes { try ChunkHeader($0, checksum: true) }
    }
    #expect(throws: Never.self) {
      let first = try header(0...100, 10...20)
      let second = try header(200...300, 10...20)
      let later = try header(150...250, 21...30)
      var cluster = MergeCluster()
      cluster.add(first)
      cluster.add(later)
      #expect(!cluster.keepsOrder(among: [first, later, second]))
      cluster.add(second)
      #expect(cluster.keepsOrder(among: [first, later, second]))
    }
  }

  /// A look-up that decoded a chunk must not answer from it after other bytes took its key.
  @Test func lookUpsSeeMergedChunks() throws {
    let scratch = try Scratch()
    let sealer = try Sealer(store: scratch.store, policy: plainPolicy())
    let code = VitalCode(index: 0)
    func found(_ time: Int64) throws -> Int64? {
      try sealer.sample(patient: 1, device: 1, code: code, source: 0, time: time)?.value.mantissa
    }
    sealer.append(makeSlot(0, time: 1000, mantissa: 10), position: 0)
    try sealer.seal(now: 0, all: true)
    #expect(try found(1000) == 10)
    sealer.append(makeSlot(1, time: 1000, mantissa: 11), position: 1)
    sealer.append(makeSlot(2, time: 2000, mantissa: 20), position: 2)
    try sealer.seal(now: 0, all: true)
    #expect(try found(1000) == 11)
    try sealer.finishUpkeep()
    #expect(try SeriesReader(scratch.store).stats().chunks == 1)
    #expect(try found(1000) == 11)
    #expect(try found(2000) == 20)
  }

  @Test func damageStopsNoUpkeep() throws {
    let scratch = try Scratch()
    let sealer = try Sealer(store: scratch.store, policy: plainPolicy())
    for index in UInt64(0)..<10 {
      sealer.append(makeSlot(index, time: Int64(index) * 1000, mantissa: 1), position: index)
      try sealer.seal(now: 0, all: true)
    }
    try scratch.damageFirstChunk()
    try sealer.finishUpkeep()
    #expect(try Sealer(store: scratch.store).stats.upkeep == UpkeepTotals())
    #expect(sealer.stats.upkeep.chunksMade == 0 && sealer.stats.upkeep.daysRolledUp == 0)
    #expect(throws: SeriesError.chunk(.checksum)) { try everything(SeriesReader(scratch.store)) }
  }
}
