import ChunkCoding
import Compression
import KeyValueStore
import Testing
import VitalModel

@testable import SeriesStore

/// The plainest possible rollups: every value that stands, put into its bucket.
func bruteRollups(_ slots: [Slot], width: Int64) -> [SeriesGroup: [Int64: [String: [Int64]]]] {
  var found: [SeriesGroup: [Int64: [String: [Int64]]]] = [:]
  for fact in model(slots, superseded: false) {
    let bucket = Int64((Double(fact.time) / Double(width)).rounded(.down)) * width
    let name = "\(fact.code)/\(fact.source)/\(fact.unit)"
    found[fact.group, default: [:]][bucket, default: [:]][name, default: []].append(fact.mantissa)
  }
  return found.mapValues { groups in
    groups.mapValues { series in
      series.mapValues { values in
        [Int64(values.count), values.min() ?? 0, values.max() ?? 0, values.reduce(0, +), values[values.count - 1]]
      }
    }
  }
}

/// What a scan gives, in the same form.
func scannedRollups(
  _ reader: SeriesReader, _ scan: SeriesScan, tail: SeriesTail? = nil
) throws -> [SeriesGroup: [Int64: [String: [Int64]]]] {
  var found: [SeriesGroup: [Int64: [String: [Int64]]]] = [:]
  let cursor = try reader.scan(scan, tail: tail)
  defer { cursor.close() }
  var row = ScannedRow()
  while try cursor.next(&row) {
    precondition(found[row.group]?[row.time] == nil && row.samples.isEmpty)
    for var cell in row.rollups {
      cell.rescale(to: 0)
      let name = "\(cell.column.code.index)/\(cell.column.source)/\(cell.column.unit)"
      found[row.group, default: [:]][row.time, default: [:]][name] = [
        cell.count, cell.min, cell.max, cell.sum, cell.last,
      ]
    }
  }
  return found
}

@Suite struct RollupTests {
  private func scan(_ resolution: SeriesResolution, from: Int64 = .min, to: Int64 = .max) -> SeriesScan {
    var scan = SeriesScan()
    (scan.resolution, scan.from, scan.to) = (resolution, from, to)
    return scan
  }

  @Test(arguments: 0..<3) func rollupsAreWhatTheSamplesAddUpTo(seed: Int) throws {
    let scratch = try Scratch()
    var generator = SplitMix64(state: UInt64(seed) &+ 77)
    let slots = journal(seed: UInt64(seed) &+ 300, count: 900)
    var sealer = try Sealer(store: scratch.store, policy: plainPolicy(rows: 25))
    var next = 0
    while next < slots.count {
      let end = min(slots.count, next + 150)
      sealer.append(Array(slots[next..<end]))
      next = end
      try sealer.seal(now: slots[end - 1].ingestTime, limit: 10)
      if generator.chance(50) { _ = try sealer.upkeep(now: .max, limit: 3) }
      if generator.chance(20) {
        sealer = try Sealer(store: scratch.store, policy: plainPolicy(rows: 25))
        let floor = try sealer.restore()
        sealer.append(slots[..<next].filter { $0.payload >= floor })
      }
      let tail = sealer.tail()
      let reader = try SeriesReader(scratch.store)
      // One a step: each is looked at more than once.
      for resolution in [[SeriesResolution.minute, .quarter, .hour][next / 150 % 3]] {
        let expected = bruteRollups(Array(slots[..<next]), width: resolution.width)
        #expect(try scannedRollups(reader, scan(resolution), tail: tail) == expected, "\(resolution), seed \(seed)")
      }
    }
    try sealer.seal(now: 0, limit: .max, all: true)
    try sealer.finishUpkeep()
    #expect(sealer.stats.upkeep.daysRolledUp > 6)
    let reader = try SeriesReader(scratch.store)
    let expected = bruteRollups(slots, width: 3_600_000)
    #expect(try scannedRollups(reader, scan(.hour)) == expected)
    // Whole buckets, whatever the range asked for.
    let times = model(slots, superseded: false).map(\.time).sorted()
    let (from, to) = (times[times.count / 4], times[times.count / 2] + 1)
    let inRange = expected.mapValues { groups in
      groups.filter { $0.key + 3_600_000 > from && $0.key < to }
    }.filter { !$0.value.isEmpty }
    #expect(try scannedRollups(reader, scan(.hour, from: from, to: to)) == inRange)
  }

  @Test func longRangesReadNoChunkOfRolledUpDays() throws {
    let scratch = try Scratch()
    let sealer = try Sealer(store: scratch.store, policy: plainPolicy())
    let slots = steadySlots(seed: 3, seconds: 4000, vitals: 2)
    sealer.append(slots)
    try sealer.seal(now: 0, limit: .max, all: true)
    try sealer.finishUpkeep()
    let expected = try scannedRollups(SeriesReader(scratch.store), scan(.quarter))
    #expect(expected == bruteRollups(slots, width: 900_000))
    // The chunks could not be read, and nobody asks them.
    try scratch.damageFirstChunk()
    #expect(try scannedRollups(SeriesReader(scratch.store), scan(.quarter)) == expected)
    #expect(throws: SeriesError.chunk(.checksum)) { try scannedRollups(SeriesReader(scratch.store), scan(.minute)) }
    // A late sample makes the day stale until it is rolled up again, which the damage prevents.
    sealer.append([makeSlot(90_000, time: slots[0].eventTime, mantissa: 1)])
    try sealer.seal(now: 0, all: true)
    #expect(throws: SeriesError.chunk(.checksum)) { try scannedRollups(SeriesReader(scratch.store), scan(.quarter)) }
  }

  @Test func aDayIsRolledUpSomeTimeAfterItsEnd() throws {
    let scratch = try Scratch()
    let sealer = try Sealer(store: scratch.store, policy: plainPolicy())
    let day = GroupDay.length
    sealer.append([makeSlot(0, time: 5, mantissa: 1)])
    try sealer.seal(now: 1000, all: true)
    _ = try sealer.upkeep(now: day + SealPolicy.rollupDelay - 1)
    #expect(sealer.stats.upkeep.daysRolledUp == 0)
    _ = try sealer.upkeep(now: day + SealPolicy.rollupDelay)
    #expect(sealer.stats.upkeep.daysRolledUp == 1)
    // Late: an hour after it was sealed, as the day is long over.
    sealer.append([makeSlot(1, time: 7, mantissa: 2)])
    try sealer.seal(now: 3 * day, all: true)
    _ = try sealer.upkeep(now: 3 * day + SealPolicy.rollupDelay - 1)
    #expect(sealer.stats.upkeep.daysRolledUp == 1)
    _ = try sealer.upkeep(now: 3 * day + SealPolicy.rollupDelay)
    #expect(sealer.stats.upkeep.daysRolledUp == 2)
    let staggered = SealPolicy()
    let due = Set(
      (UInt32(0)..<50).map { device in
        staggered.rollupDue(GroupDay(group: SeriesGroup(patient: 1, device: device), day: 0), since: 0)
      })
    #expect(due.count > 40 && due.allSatisfy { $0 >= day + 3_600_000 && $0 <= day + 5 * 3_600_000 })
  }

  @Test(arguments: 0..<4) func codingRoundTrips(seed: Int) throws {
    var generator = SplitMix64(state: UInt64(seed) &+ 5)
    for _ in 0..<60 {
      let start = (Int64(generator.below(40_000)) - 20_000) * GroupDay.length
      var day = RollupDay(isFinal: generator.chance(50))
      let extreme = generator.chance(20)
      for bucket in 0..<RollupDay.bucketsMax where generator.chance(70) {
        var cells: [RollupCell] = []
        for code in 0..<(1 + generator.below(4)) where generator.chance(80) {
          let column = ChunkColumn(
            code: VitalCode(index: UInt16(code * 300)), unit: UInt8(generator.below(2)), source: UInt16(code))
          var cell = RollupCell(column, DecimalValue(mantissa: Int64(generator.below(900)), exponent: -1))
          for _ in 0..<generator.below(5) {
            cell.add(DecimalValue(mantissa: Int64(generator.below(900)), exponent: Int8(-generator.below(3))))
          }
          if extreme { cell.min = .min }
          if extreme, generator.chance(50) { (cell.max, cell.sum, cell.last) = (.max, .max, .max) }
          cells.append(extreme ? cell : cell.normalised)
        }
        guard !cells.isEmpty else { continue }
        day.rows.append(
          RollupRow(time: start + Int64(bucket) * RollupDay.width, cells: cells.sorted(by: RollupCell.precedes)))
      }
      if extreme {
        for at in day.rows.indices {
          for cell in day.rows[at].cells.indices {
            day.rows[at].cells[cell].exponent = 0
            day.rows[at].cells[cell].max |= 1
          }
        }
      }
      let bytes = day.bytes(start: start)
      let back = try bytes.withUnsafeBytes { try RollupDay($0, start: start) }
      #expect(back == day, "seed \(seed)")
    }
  }

  /// Damage anywhere is noticed, and no bytes make the reader trap or take much memory.
  @Test func hostileBytesAreRefused() throws {
    var day = RollupDay()
    for bucket in 0..<20 {
      var cell = RollupCell(
        ChunkColumn(code: VitalCode(index: 2), unit: 0, source: 0), DecimalValue(mantissa: 365, exponent: -1))
      cell.add(DecimalValue(mantissa: Int64(360 + bucket), exponent: -1))
      day.rows.append(RollupRow(time: Int64(bucket) * RollupDay.width, cells: [cell.normalised]))
    }
    let bytes = day.bytes(start: 0)
    for index in bytes.indices {
      var wrong = bytes
      wrong[index] ^= 0x10
      #expect(throws: SeriesError.damaged("rollup")) { try wrong.withUnsafeBytes { try RollupDay($0, start: 0) } }
      let cut = Array(bytes[..<index])
      #expect(throws: SeriesError.damaged("rollup")) { try cut.withUnsafeBytes { try RollupDay($0, start: 0) } }
    }
    var generator = SplitMix64(state: 99)
    for _ in 0..<2000 {
      var wrong = Array(bytes.dropLast(4))
      for _ in 0..<(1 + generator.below(4)) { wrong[generator.below(wrong.count)] = UInt8(generator.below(256)) }
      // With a checksum that fits: any outcome but a trap.
      wrong += withUnsafeBytes(of: Checksums.crc32c(wrong).littleEndian) { Array($0) }
      _ = try? wrong.withUnsafeBytes { try RollupDay($0, start: 0) }
    }
  }

  /// Bytes as drawn in `docs/formats/rollups.md`.
  @Test func goldenDay() throws {
    let column = ChunkColumn(code: VitalCode(index: 0), unit: 0, source: 0)
    let start = 19_675 * GroupDay.length
    let first = RollupCell(column: column, exponent: 0, count: 900, min: 70, max: 75, sum: 65_340, last: 72)
    let second = RollupCell(column: column, exponent: 0, count: 900, min: 71, max: 76, sum: 66_150, last: 73)
    let rows = [
      RollupRow(time: start, cells: [first]), RollupRow(time: start + RollupDay.width, cells: [second]),
    ]
    let bytes = RollupDay(rows: rows).bytes(start: start)
    let text = bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined(separator: " ")
    #expect(text == RollupTests.goldenBytes)
    let key = RollupKey.bytes(GroupDay(group: SeriesGroup(patient: 7, device: 9), day: 19_675))
    #expect(key == [0, 0, 0, 7, 0, 0, 0, 9, 0x80, 0, 0, 0, 0, 0, 0x4C, 0xDB])
  }

  private static let goldenBytes =
    "01 00 01 00 00 00 00 00 02 5e 00 09 05 01 00 06 87 10 80 c7 88 dd 6d 34 00 e7 6e ed d0"
}
