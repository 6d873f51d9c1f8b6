import ChunkCoding
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
}
