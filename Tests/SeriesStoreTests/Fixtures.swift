import ChunkCoding
import Foundation
import KeyValueStore
import VitalModel

@testable import SeriesStore

/// A small seeded generator, so that every run sees the same samples.
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

/// A store in a folder that goes away with the value.
final class Scratch {
  let path = NSTemporaryDirectory() + "series-" + UUID().uuidString
  let store: Store

  init() throws {
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    store = try Store.open(path: path + "/store", families: Scratch.families)
  }

  deinit {
    store.close()
    try? FileManager.default.removeItem(atPath: path)
  }

  static let families = [
    SeriesFamilies.chunks, SeriesFamilies.rollups, FamilySpec(SeriesFamilies.stateName),
    FamilySpec(StatesShelf.familyName),
  ]

  func secondary() throws -> Store {
    try Store.openReadOnlySecondary(path: path + "/store", scratch: path + "/second", families: Scratch.families)
  }
}

/// A policy with no stagger, so that tests can count.
func plainPolicy(rows: Int = 600, openMax: Int64 = 600_000) -> SealPolicy {
  var policy = SealPolicy()
  policy.rowsMax = rows
  policy.openMax = openMax
  policy.isStaggered = false
  return policy
}

func makeSlot(
  _ position: UInt64, patient: UInt32 = 1, device: UInt32 = 1, code: UInt16 = 0, time: Int64, mantissa: Int64,
  unit: UInt8 = 0, source: UInt16 = 0, sequence: Int64? = nil, flags: SampleFlags = []
) -> Slot {
  var slot = Slot()
  slot.kind = .sample
  slot.patient = patient
  slot.device = device
  slot.code = VitalCode(index: code)
  slot.unit = unit
  slot.source = source
  slot.eventTime = time
  slot.ingestTime = time + 50
  slot.mantissa = mantissa
  slot.flags = flags
  if let sequence {
    slot.flags.insert(.hasSequence)
    slot.deviceSequence = sequence
  }
  slot.payload = position
  return slot
}

/// A journal: several patients and devices, several sources, gaps, late rows, corrections, slots of other kinds.
func journal(seed: UInt64, count: Int) -> [Slot] {
  var generator = SplitMix64(state: seed)
  var slots: [Slot] = []
  var time: Int64 = 1_700_000_000_000
  var position: UInt64 = 5
  while slots.count < count {
    time += Int64(generator.below(400))
    position += 1 + UInt64(generator.below(3))
    if generator.chance(2) {
      var clock = Slot()
      clock.kind = .clock
      clock.ingestTime = time
      clock.payload = position
      slots.append(clock)
      continue
    }
    var eventTime = time - time % 1000
    if generator.chance(5) { eventTime -= 1000 * Int64(generator.below(60)) }
    if generator.chance(1) { eventTime -= 86_400_000 * Int64(generator.below(3)) }
    var slot = makeSlot(
      position, patient: UInt32(generator.below(3)), device: UInt32(generator.below(2)),
      code: UInt16(generator.below(3)), time: eventTime, mantissa: Int64(generator.below(200)),
      unit: generator.chance(5) ? 1 : 0, source: generator.chance(10) ? 1 : 0,
      sequence: generator.chance(80) ? Int64(position) : nil)
    slot.ingestTime = time
    slots.append(slot)
  }
  return slots
}

/// One value with its place, as a reader gives it.
struct Fact: Hashable, Comparable, CustomStringConvertible {
  var group: SeriesGroup
  var time: Int64
  var code: UInt16
  var source: UInt16
  var unit: UInt8
  var mantissa: Int64
  var sequence: Int64?
  var isSuperseded = false

  private var rank: [Int64] {
    [Int64(group.patient), Int64(group.device), time, Int64(code), Int64(source)]
  }
  static func < (left: Fact, right: Fact) -> Bool { left.rank.lexicographicallyPrecedes(right.rank) }
  var description: String { "\(rank) unit \(unit) \(mantissa)\(isSuperseded ? " superseded" : "")" }
}

/// What a reader must give for these slots: the plainest possible model. Values of one series and time oldest first.
func model(_ slots: [Slot], superseded: Bool) -> [Fact] {
  var facts: [Fact] = []
  var newest: [Fact: Int] = [:]
  for slot in slots where slot.kind == .sample {
    var fact = Fact(
      group: SeriesGroup(patient: slot.patient, device: slot.device), time: slot.eventTime, code: slot.code.index,
      source: slot.source, unit: 0, mantissa: 0)
    if let before = newest.updateValue(facts.count, forKey: fact) { facts[before].isSuperseded = true }
    fact.unit = slot.unit
    fact.mantissa = slot.mantissa
    fact.sequence = slot.flags.contains(.hasSequence) ? slot.deviceSequence : nil
    facts.append(fact)
  }
  if !superseded { facts.removeAll { $0.isSuperseded } }
  // A stable order: equal ones stay as they came.
  return facts.enumerated().sorted { ($0.element, $0.offset) < ($1.element, $1.offset) }.map(\.element)
}

/// Everything a reader gives, in its order.
func everything(
  _ reader: SeriesReader, superseded: Bool = true, tail: SeriesTail? = nil, from: Int64 = .min, to: Int64 = .max
) throws -> [Fact] {
  var facts: [Fact] = []
  for group in try reader.groups(tail: tail) {
    let cursor = try reader.rows(group, from: from, to: to, superseded: superseded, tail: tail)
    var last = Int64.min
    while let row = try cursor.next() {
      precondition(row.time >= last && !row.cells.isEmpty)
      last = row.time
      for cell in row.cells {
        facts.append(
          Fact(
            group: group, time: row.time, code: cell.column.code.index, source: cell.column.source,
            unit: cell.column.unit, mantissa: cell.cell.mantissa, sequence: cell.cell.deviceSequence,
            isSuperseded: cell.isSuperseded))
      }
    }
  }
  return facts
}

extension Scratch {
  /// Turns a bit in the body of the first chunk.
  func damageFirstChunk() throws {
    let family = try store.family("chunks")
    let iterator = try store.iterator(family)
    defer { iterator.close() }
    guard try iterator.seekToFirst() else { return }
    var value = Array(try iterator.value)
    value[value.count - 6] ^= 1
    let batch = WriteBatch(for: store)
    batch.put(family, key: Array(iterator.key), value: value)
    try store.write(batch, sync: false)
  }
}

/// A ward at one sample of each vital a second: `seconds` long, from `start` ms, of one patient and device.
func steadySlots(
  seed: UInt64, seconds: Int, vitals: Int = 4, start: Int64 = 1_700_006_400_000, position: UInt64 = 1
) -> [Slot] {
  var generator = SplitMix64(state: seed)
  var values = (0..<vitals).map { Int64(60 + $0 * 20) }
  var slots: [Slot] = []
  slots.reserveCapacity(seconds * vitals)
  var place = position
  for second in 0..<seconds {
    for vital in 0..<vitals {
      if generator.chance(30) { values[vital] += generator.chance(50) ? 1 : -1 }
      slots.append(
        makeSlot(
          place, code: UInt16(vital), time: start + Int64(second) * 1000, mantissa: values[vital],
          sequence: Int64(second)))
      place += 1
    }
  }
  return slots
}
