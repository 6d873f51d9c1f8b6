import ChunkCoding
import VitalModel

/// A small seeded generator, so that every run sees the same rows.
struct SplitMix64: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
    return mixed ^ (mixed >> 31)
  }

  mutating func below(_ limit: Int) -> Int { Int(next() % UInt64(limit)) }
  mutating func chance(_ percent: Int) -> Bool { below(100) < percent }
}

/// A sample slot with every field that chunks keep.
func sampleSlot(
  code: UInt16, time: Int64, mantissa: Int64, exponent: Int8 = 0, unit: UInt8 = 0, source: UInt16 = 0,
  ingest: Int64? = nil, sequence: Int64? = nil, quality: UInt16 = 0xFFFF, status: UInt8 = 0, flags: SampleFlags = []
) -> Slot {
  var slot = Slot()
  slot.kind = .sample
  slot.code = VitalCode(index: code)
  slot.unit = unit
  slot.source = source
  slot.eventTime = time
  slot.ingestTime = ingest ?? time + 40
  slot.mantissa = mantissa
  slot.exponent = exponent
  slot.quality = SampleQuality(raw: quality)
  slot.statusRaw = status
  slot.flags = flags
  slot.patient = 7
  slot.device = 9
  if let sequence {
    slot.deviceSequence = sequence
    slot.flags.insert(.hasSequence)
  }
  return slot
}

/// A device's slots: mostly regular messages, with every irregularity now and then.
func randomSlots(_ generator: inout SplitMix64, messages: Int, wild: Bool) -> [Slot] {
  var slots: [Slot] = []
  var time: Int64 = 1_700_000_000_000
  var sequence: Int64 = 100
  var levels: [Int64] = [72, 98, 3660, 16, 120]
  let extremes: [Int64] = [.min, .max, 0, -1, 999_999_999_999_999_999, -999_999_999_999_999_999]
  for _ in 0..<messages {
    time += 1000 + (generator.chance(30) ? Int64(generator.below(20)) - 10 : 0)
    sequence += generator.chance(3) ? Int64(generator.below(50)) - 20 : 1
    var eventTime = time
    if generator.chance(3) { eventTime -= Int64(generator.below(100_000)) }
    if wild, generator.chance(2) { eventTime = extremes[generator.below(extremes.count)] }
    let ingest = time + 30 + Int64(generator.below(40))
    for code in levels.indices where !generator.chance(10) {
      levels[code] += Int64(generator.below(5)) - 2
      var slot = sampleSlot(
        code: UInt16(code), time: eventTime, mantissa: levels[code], exponent: code == 2 ? -2 : 0, ingest: ingest,
        sequence: generator.chance(90) ? sequence : nil, quality: generator.chance(20) ? 9_000 : 0xFFFF)
      if generator.chance(4) { slot.source = UInt16(generator.below(3)) }
      if generator.chance(4) { slot.statusRaw = UInt8(generator.below(6)) }
      if generator.chance(3) { slot.unit = 1 }
      if generator.chance(5) { slot.exponent = Int8(generator.below(5)) - 3 }
      if generator.chance(2) { slot.flags.insert(.corrected) }
      if generator.chance(2) { slot.ingestTime += 3 }
      if wild, generator.chance(5) { slot.mantissa = extremes[generator.below(extremes.count)] }
      if wild, generator.chance(3) { slot.exponent = Int8(truncatingIfNeeded: generator.next()) }
      if wild, generator.chance(3) { slot.deviceSequence = extremes[generator.below(extremes.count)] }
      if wild, generator.chance(3) { slot.ingestTime = extremes[generator.below(extremes.count)] }
      if wild, generator.chance(3) { slot.flags = SampleFlags(rawValue: UInt16(truncatingIfNeeded: generator.next())) }
      slots.append(slot)
    }
  }
  return slots
}

/// The rows of slots in arrival order, through a row log.
func rows(of slots: [Slot], firstPosition: UInt64 = 1000) -> ChunkRows {
  var log = RowLog(patient: 7, device: 9)
  for (index, slot) in slots.enumerated() { log.append(slot, position: firstPosition + UInt64(index)) }
  return log.rows()
}

/// One cell with its place, for comparing without regard to layout.
struct Fact: Hashable {
  var time: Int64
  var column: ChunkColumn
  var cell: ChunkCell
}

extension ChunkRows {
  /// Every cell; of one series and time in row order.
  var facts: [Fact] {
    columns.flatMap { column in
      zip(column.rows, column.cells).map { Fact(time: times[Int($0)], column: column.column, cell: $1) }
    }
  }
}
