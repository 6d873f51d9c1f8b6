import ChunkCoding
import Foundation
import KeyValueStore
import Synchronization
import Testing
import VitalModel

@testable import SeriesStore

/// A guard that keeps values as they are, and refuses those under some keys.
final class FussyGuard: ValueGuard {
  private let refused = Mutex<(open: [[UInt8]], seal: [[UInt8]])>(([], []))

  /// Refuses values of `chunks` under keys with these fronts.
  func refuse(opening: [[UInt8]] = [], sealing: [[UInt8]] = []) {
    refused.withLock { $0 = (opening, sealing) }
  }

  func seal(
    _ value: UnsafeRawBufferPointer, family: String, key: UnsafeRawBufferPointer
  ) throws(StoreError) -> [UInt8] {
    let fronts = refused.withLock { $0.seal }
    if family == SeriesFamilies.chunks.name, fronts.contains(where: { key.starts(with: $0) }) { throw .sealed("test") }
    return Array(value)
  }

  func open(
    _ kept: UnsafeRawBufferPointer, family: String, key: UnsafeRawBufferPointer
  ) throws(StoreError) -> [UInt8] {
    let fronts = refused.withLock { $0.open }
    if family == SeriesFamilies.chunks.name, fronts.contains(where: { key.starts(with: $0) }) { throw .sealed("test") }
    return Array(kept)
  }

  func willWrite(to store: Store) throws(StoreError) {}
}

/// What cannot be read or written of one patient is that patient's alone.
@Suite struct DamageTests {
  private func front(_ patient: UInt32) -> [UInt8] { ChunkKey.prefix(SeriesGroup(patient: patient, device: 1)) }

  @Test func anUnreadableNewestChunkStopsNoSealing() throws {
    let scratch = try Scratch()
    let fussy = FussyGuard()
    scratch.store.use(fussy)
    let slots = (0..<4).map { makeSlot(UInt64($0), patient: 1 + UInt32($0 % 2), time: Int64($0) * 1000, mantissa: 1) }
    let before = try Sealer(store: scratch.store, policy: plainPolicy())
    before.append(Array(slots[..<2]))
    try before.seal(now: 0, all: true)
    fussy.refuse(opening: [front(1)])
    let sealer = try Sealer(store: scratch.store, policy: plainPolicy())
    _ = try sealer.restore()
    sealer.append(Array(slots[2...]))
    let outcome = try sealer.seal(now: 0, all: true)
    #expect(outcome.chunks == 2 && outcome.stuck == 0 && outcome.waiting == 0)
    // What may be late is marked as such.
    let marks = try UpkeepMarks.read(scratch.store, OpenFamilies(scratch.store))
    #expect(marks.merges.keys.sorted() == [1, 2].map { GroupDay(group: SeriesGroup(patient: $0, device: 1), day: 0) })
    fussy.refuse()
    #expect(try everything(SeriesReader(scratch.store)) == model(slots, superseded: true))
  }

  @Test func aLogThatCannotBeSealedWaitsAlone() throws {
    let scratch = try Scratch()
    let fussy = FussyGuard()
    scratch.store.use(fussy)
    fussy.refuse(sealing: [front(1)])
    let sealer = try Sealer(store: scratch.store, policy: plainPolicy(rows: 2))
    let slots = (0..<12).map { makeSlot(UInt64($0), patient: 1 + UInt32($0 % 2), time: Int64($0) * 1000, mantissa: 1) }
    sealer.append(slots)
    let outcome = try sealer.seal(now: 0, all: true)
    #expect(outcome.chunks == 3 && outcome.stuck == 1 && outcome.waiting == 0 && outcome.reason != nil)
    // Nothing of the group counts as sealed: a restart replays it.
    #expect(outcome.floor == 0)
    let again = try Sealer(store: scratch.store, policy: plainPolicy(rows: 2))
    #expect(try again.restore() == 0)
    again.append(slots)
    #expect(try everything(SeriesReader(scratch.store), tail: again.tail()) == model(slots, superseded: true))
    // Left alone for a while, then tried again.
    fussy.refuse()
    #expect(try sealer.seal(now: Sealer.retryAfter - 1, all: true).chunks == 0)
    let later = try sealer.seal(now: Sealer.retryAfter, all: true)
    #expect(later.chunks == 3 && later.stuck == 0 && later.floor == 12)
    #expect(try everything(SeriesReader(scratch.store)) == model(slots, superseded: true))
  }

  /// Three patients with five chunks each, of which the guard does not open one of patient 1.
  private func refusing(_ scratch: Scratch) throws -> (sealer: Sealer, fussy: FussyGuard, slots: [Slot], lost: [Slot]) {
    let fussy = FussyGuard()
    scratch.store.use(fussy)
    let sealer = try Sealer(store: scratch.store, policy: plainPolicy(rows: 4))
    let slots = (0..<60).map { makeSlot(UInt64($0), patient: UInt32($0 % 3), time: Int64($0) * 1000, mantissa: 1) }
    sealer.append(slots)
    try sealer.seal(now: 0, limit: .max, all: true)
    let own = slots.filter { $0.patient == 1 }
    let lost = Array(own[4..<8])
    let key = ChunkKey(
      group: SeriesGroup(patient: 1, device: 1), firstTime: lost[0].eventTime, firstPosition: lost[0].payload)
    fussy.refuse(opening: [key.bytes])
    return (sealer, fussy, slots, lost)
  }

  @Test(arguments: [false, true]) func aChunkThatCannotBeOpenedIsSteppedOver(decodesAhead: Bool) throws {
    let scratch = try Scratch()
    let (_, _, slots, lost) = try refusing(scratch)
    let reader = try SeriesReader(scratch.store)
    let told = Mutex<[SeriesGroup]>([])
    var scan = SeriesScan()
    scan.decodesAhead = decodesAhead
    #expect(throws: SeriesError.chunk(.corrupt("the store's encryption: test"))) { try times(reader, scan) }
    scan.onDamage = { group, _ in told.withLock { $0.append(group) } }
    #expect(try times(reader, scan) == readable(slots, lost))
    #expect(told.withLock { $0 } == [SeriesGroup(patient: 1, device: 1)])
  }

  @Test func othersAreMergedRolledUpAndTrimmed() throws {
    let scratch = try Scratch()
    let (sealer, _, slots, _) = try refusing(scratch)
    #expect(try !sealer.upkeep(now: .max))
    #expect(sealer.stats.upkeep.daysRolledUp == 2)
    let outcome = try Retention(sealer).run(now: .max) { _ in
      RetentionCutoffs(chunks: 30_000, rollups: 0, superseded: .max)
    }
    #expect(outcome.damagedGroups == 1 && outcome.chunks == 4)
    var scan = SeriesScan()
    scan.onDamage = { _, _ in }
    scan.patients = [0, 2]
    let left = slots.filter { $0.patient != 1 && $0.eventTime >= 24_000 }
    #expect(try times(SeriesReader(scratch.store), scan) == readable(left, []))
  }

  private func times(_ reader: SeriesReader, _ scan: SeriesScan) throws -> [String] {
    let cursor = try reader.scan(scan)
    defer { cursor.close() }
    var found: [String] = []
    while let row = try cursor.next() { found.append("\(row.group.patient) \(row.time)") }
    return found
  }

  private func readable(_ slots: [Slot], _ lost: [Slot]) -> [String] {
    let gone = Set(lost.map(\.payload))
    return slots.filter { !gone.contains($0.payload) }.sorted {
      ($0.patient, $0.eventTime) < ($1.patient, $1.eventTime)
    }
    .map { "\($0.patient) \($0.eventTime)" }
  }

  /// RocksDB's iterator ends at a block whose checksum does not fit; what stands behind it is read all the same.
  @Test(arguments: [false, true]) func aDamagedBlockIsSteppedOver(decodesAhead: Bool) throws {
    let scratch = try Scratch()
    let path = scratch.path + "/damaged"
    let slots = (UInt64(0)..<2400).map { number -> Slot in
      makeSlot(number, patient: UInt32(number / 600), time: Int64(number) * 1000, mantissa: Int64(number % 7))
    }
    let family = SeriesFamilies.chunks.name
    let store = try Store.open(path: path, families: Scratch.families)
    let sealer = try Sealer(store: store, policy: plainPolicy(rows: 1))
    sealer.append(slots)
    try sealer.seal(now: 0, limit: .max, all: true)
    try store.flush()
    let table = try #require(try store.tableFiles().first { $0.family == family }?.name)
    store.close()
    let file = URL(fileURLWithPath: path + "/" + table)
    var bytes = try Data(contentsOf: file)
    // In the middle of the data, which comes before filter and index.
    bytes[bytes.count / 3] ^= 0x10
    try bytes.write(to: file)

    let damaged = try Store.open(path: path, families: Scratch.families)
    defer { damaged.close() }
    let reader = try SeriesReader(damaged)
    let told = Mutex<[SeriesGroup]>([])
    var scan = SeriesScan()
    scan.decodesAhead = decodesAhead
    let refused = #expect(throws: SeriesError.self) { try times(reader, scan) }
    #expect(refused?.isDamage == true)
    scan.onDamage = { group, _ in told.withLock { $0.append(group) } }
    let found = try times(reader, scan)
    let all = readable(slots, [])
    // One block of some 16 KiB is gone, from one stretch; nothing else.
    let first = zip(found, all).prefix { $0 == $1 }.count
    let gone = all.count - found.count
    #expect(gone > 0 && gone < 400 && !told.withLock { $0.isEmpty })
    #expect(found == Array(all[..<first] + all[(first + gone)...]))
    // A new chunk of each group is sealed, and what is whole goes when its time is over.
    let again = try Sealer(store: damaged, policy: plainPolicy(rows: 2))
    _ = try again.restore()
    for patient in UInt32(0)..<4 {
      let position = 5000 + UInt64(patient)
      again.append(makeSlot(position, patient: patient, time: 5_000_000, mantissa: 1), position: position)
    }
    #expect(try again.seal(now: 0, all: true).chunks == 4)
    let outcome = try Retention(again).run(now: 0) { _ in
      RetentionCutoffs(chunks: 4_000_000, rollups: 4_000_000, superseded: 0)
    }
    #expect((1...2).contains(outcome.damagedGroups))
    #expect(outcome.chunks == (4 - outcome.damagedGroups) * 600)
  }

  @Test func damagedMarksStopNoStart() throws {
    let scratch = try Scratch()
    let first = try Sealer(store: scratch.store, policy: plainPolicy())
    let slots = (0..<3).map { makeSlot(UInt64($0), time: Int64($0) * 1000, mantissa: 1) }
    for slot in slots {
      first.append(slot, position: slot.payload)
      try first.seal(now: 0, all: true)
    }
    let state = try scratch.store.family(SeriesFamilies.stateName)
    let day = GroupDay(group: SeriesGroup(patient: 1, device: 1), day: 0)
    let batch = WriteBatch(for: scratch.store)
    for prefix in [StateKey.mergePrefix, StateKey.rollupPrefix] {
      batch.put(state, key: StateKey.mark(prefix, day), value: [7])
      batch.put(state, key: prefix + [1, 2, 3], value: [7])
    }
    try scratch.store.write(batch, sync: false)
    let sealer = try Sealer(store: scratch.store, policy: plainPolicy())
    #expect(try sealer.restore() == 3)
    // What a mark no longer says is done at once, for the whole day.
    _ = try sealer.upkeep(now: day.end + SealPolicy.rollupDelay)
    #expect(sealer.stats.upkeep.chunksMerged == 3 && sealer.stats.upkeep.daysRolledUp == 1)
    #expect(try everything(SeriesReader(scratch.store)) == model(slots, superseded: true))
    #expect(try Sealer(store: scratch.store).upkeep(now: .max) == false)
  }

  @Test func dueDaysComeInOrder() {
    var generator = SplitMix64(state: 14)
    var queue = DueQueue()
    var expected: [DueQueue.Entry] = []
    for _ in 0..<200 {
      let day = GroupDay(group: SeriesGroup(patient: UInt32(generator.below(3)), device: 1), day: 0)
      let entry = DueQueue.Entry(time: Int64(generator.below(20)), day: day)
      queue.insert(entry.time, entry.day)
      expected.append(entry)
    }
    expected.sort()
    for entry in expected {
      #expect(queue.first == entry)
      queue.removeFirst()
    }
    #expect(queue.first == nil)
  }
}
