import ChunkCoding
import KeyValueStore
import Synchronization
import Testing
import VitalModel

@testable import SeriesStore

/// Everything a raw scan gives, in its order.
private func scanned(_ reader: SeriesReader, _ scan: SeriesScan, tail: SeriesTail? = nil) throws -> [Fact] {
  let cursor = try reader.scan(scan, tail: tail)
  defer { cursor.close() }
  var facts: [Fact] = []
  var row = ScannedRow()
  while try cursor.next(&row) {
    for cell in row.samples {
      facts.append(
        Fact(
          group: row.group, time: row.time, code: cell.column.code.index, source: cell.column.source,
          unit: cell.column.unit, mantissa: cell.cell.mantissa, sequence: cell.cell.deviceSequence,
          isSuperseded: cell.isSuperseded))
    }
  }
  return facts
}

@Suite struct ScanTests {
  @Test(arguments: 0..<3) func aScanGivesWhatTheJournalHeld(seed: Int) throws {
    let scratch = try Scratch()
    let slots = journal(seed: UInt64(seed) &+ 40, count: 900)
    let sealer = try Sealer(store: scratch.store, policy: plainPolicy(rows: 30))
    sealer.append(slots)
    try sealer.seal(now: 0, limit: 40)
    _ = try sealer.upkeep(now: .max, limit: 3)
    let tail = sealer.tail()
    let reader = try SeriesReader(scratch.store)
    var generator = SplitMix64(state: UInt64(seed))
    let all = model(slots, superseded: true)
    for round in 0..<12 {
      var scan = SeriesScan()
      scan.superseded = generator.chance(50)
      scan.decodesAhead = round % 2 == 0
      if generator.chance(60) { scan.codes = [VitalCode(index: UInt16(generator.below(3)))] }
      if generator.chance(50) { scan.patients = [UInt32(generator.below(4)), 1] }
      if generator.chance(60) {
        let ends = [all[generator.below(all.count)].time, all[generator.below(all.count)].time].sorted()
        (scan.from, scan.to) = (ends[0], ends[1])
      }
      let expected = model(slots, superseded: scan.superseded).filter { fact in
        (scan.codes.isEmpty || scan.codes.contains(VitalCode(index: fact.code)))
          && (scan.patients?.contains(fact.group.patient) ?? true) && scan.from <= fact.time && fact.time < scan.to
      }
      #expect(try scanned(reader, scan, tail: tail) == expected, "seed \(seed), round \(round)")
    }
  }

  /// The thread that decodes ahead gives chunks in the scan's order, and ends when the scan is left early.
  @Test func decodingAheadKeepsTheOrder() throws {
    let scratch = try Scratch()
    let slots = journal(seed: 8, count: 1200)
    let sealer = try Sealer(store: scratch.store, policy: plainPolicy(rows: 5))
    sealer.append(slots)
    try sealer.seal(now: 0, limit: .max, all: true)
    let reader = try SeriesReader(scratch.store)
    var scan = SeriesScan()
    scan.groups = try reader.groups().reversed()
    let direct = try scanned(reader, scan)
    #expect(Set(direct.map(\.group)).count == 6 && direct[0].group.patient == 2)
    scan.decodesAhead = true
    for _ in 0..<3 { #expect(try scanned(reader, scan) == direct) }
    for rows in [0, 1, 7, 200] {
      let cursor = try reader.scan(scan)
      for _ in 0..<rows { #expect(try cursor.next() != nil) }
      cursor.close()
      #expect(try cursor.next() == nil)
    }
    // Left behind without being closed.
    _ = try reader.scan(scan).next()
  }

  @Test func aScanTellsHowFarItIs() throws {
    let scratch = try Scratch()
    let slots = journal(seed: 8, count: 600)
    let sealer = try Sealer(store: scratch.store, policy: plainPolicy(rows: 20))
    sealer.append(slots)
    let tail = sealer.tail()
    var seen: [ScanProgress] = []
    let cursor = try SeriesReader(scratch.store).scan(SeriesScan(), tail: tail) { seen.append($0) }
    var rows = 0
    while try cursor.next() != nil { rows += 1 }
    #expect(seen.map(\.groups) == [1, 2, 3, 4, 5, 6] && seen.allSatisfy { $0.groupsTotal == 6 })
    #expect(seen.last?.rows == rows && rows > 100)
  }

  @Test func damageIsSteppedOverWhenAsked() throws {
    let scratch = try Scratch()
    let sealer = try Sealer(store: scratch.store, policy: plainPolicy(rows: 5))
    sealer.append((0..<20).map { makeSlot(UInt64($0), time: Int64($0) * 1000, mantissa: 1) })
    try sealer.seal(now: 0, all: true)
    try scratch.damageFirstChunk()
    let reader = try SeriesReader(scratch.store)
    for ahead in [false, true] {
      var scan = SeriesScan()
      scan.decodesAhead = ahead
      #expect(throws: SeriesError.chunk(.checksum)) { try scanned(reader, scan) }
      let told = Mutex<[ChunkError]>([])
      scan.onDamage = { group, error in
        if group == SeriesGroup(patient: 1, device: 1) { told.withLock { $0.append(error) } }
      }
      #expect(try scanned(reader, scan).map(\.time) == (5..<20).map { Int64($0) * 1000 })
      #expect(told.withLock { $0 } == [.checksum])
    }
  }

  /// Readers beside sealing, merging, rolling up and retention see one moment each.
  @Test func scansStandStillWhileTheStoreMoves() async throws {
    let scratch = try Scratch()
    let slots = journal(seed: 52, count: 1200)
    let sealer = try Sealer(store: scratch.store, policy: plainPolicy(rows: 15))
    sealer.append(slots)
    let expected = model(slots, superseded: true)
    let hours = bruteRollups(slots, width: 3_600_000)
    let store = scratch.store
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask {
        while try sealer.seal(now: 0, limit: 5, all: true).waiting > 0 { _ = try sealer.upkeep(now: .max, limit: 1) }
        try sealer.finishUpkeep()
      }
      for ahead in [false, true] {
        group.addTask {
          for _ in 0..<3 {
            let tail = sealer.tail()
            let reader = try SeriesReader(store)
            var scan = SeriesScan()
            (scan.superseded, scan.decodesAhead) = (true, ahead)
            #expect(try scanned(reader, scan, tail: tail) == expected)
            scan.resolution = .hour
            #expect(try scannedRollups(reader, scan, tail: tail) == hours)
          }
        }
      }
      try await group.waitForAll()
    }
  }

  @Test func theResolutionFollowsTheRange() {
    let hour: Int64 = 3_600_000
    #expect(SeriesResolution.automatic(from: 0, to: hour / 2) == .raw)
    #expect(SeriesResolution.automatic(from: 0, to: 24 * hour) == .minute)
    #expect(SeriesResolution.automatic(from: 0, to: 14 * 24 * hour) == .quarter)
    #expect(SeriesResolution.automatic(from: 0, to: 60 * 24 * hour) == .hour)
    #expect(SeriesResolution.automatic(from: 0, to: 900 * 24 * hour) == .hour)
    #expect(SeriesResolution.automatic(from: .min, to: .max) == .hour)
    #expect(SeriesResolution.automatic(from: 0, to: 24 * hour, points: 100_000) == .raw)
  }

  @Test func aSecondaryReaderScans() throws {
    let scratch = try Scratch()
    let slots = journal(seed: 31, count: 900)
    let sealer = try Sealer(store: scratch.store, policy: plainPolicy(rows: 25))
    sealer.append(slots)
    try sealer.seal(now: 0, limit: .max, all: true)
    let second = try scratch.secondary()
    let reader = try SeriesReader(second)
    // Upkeep rewrites what the other process is about to read.
    try sealer.finishUpkeep()
    try scratch.store.flush()
    var scan = SeriesScan()
    (scan.superseded, scan.decodesAhead) = (true, true)
    #expect(try scanned(reader, scan) == model(slots, superseded: true))
    second.close()
  }
}
