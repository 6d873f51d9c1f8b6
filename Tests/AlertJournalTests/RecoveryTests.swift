import Compression
import Foundation
import KeyValueStore
import Pipeline
import Testing
import VitalModel

@testable import AlertJournal

@Suite struct RecoveryTests {
  @Test func aNewStoreBeginsAtTheBeginning() throws {
    let open = try OpenStore()
    defer { open.store.close() }
    let plan = try Recovery.plan(open.store)
    #expect(plan.replayFrom == 1 && plan.nextPosition == 1 && plan.lastPosition == 0 && plan.warnings.isEmpty)
    #expect(!plan.isApplied(1, partition: 0))
  }

  @Test func theLowestFloorAndTheHighestAppliedDecide() throws {
    var open = try OpenStore()
    try open.append(samples(1...50))
    for (shard, floor) in [(0, UInt64(20)), (1, 12)] {
      var effects = Effects()
      effects.progress.floor = floor
      for partition in stride(from: shard, to: partitionCount, by: 2) {
        effects.progress.applied[partition] = 30 + floor
      }
      try EffectsWriter(store: open.store, shard: shard).write(effects)
    }
    try open.restart()
    defer { open.store.close() }
    let plan = try Recovery.plan(open.store)
    #expect(plan.floor == 12 && plan.replayFrom == 13 && plan.lastPosition == 50 && plan.nextPosition == 51)
    #expect(plan.isApplied(50, partition: 0) && !plan.isApplied(51, partition: 0))
    #expect(plan.isApplied(42, partition: 1) && !plan.isApplied(43, partition: 1))
    #expect(plan.warnings.isEmpty)
    #expect(plan.lastIngestMs == samples(50...50)[0].ingestTime)
    // One shard from now on: the other's progress must not hold the floor back.
    let batch = open.store.makeBatch()
    open.store.state.adopt(plan, shards: 1, in: batch)
    try open.store.write(batch, sync: true)
    var effects = Effects()
    effects.progress = ShardProgress(applied: plan.applied, floor: 45)
    try EffectsWriter(store: open.store, shard: 0).write(effects)
    #expect(try Recovery.plan(open.store).floor == 45)
  }

  @Test func aJournalThatLostItsEndIsNoticed() throws {
    var open = try OpenStore()
    try open.append(samples(1...50))
    var marker = CommitMarker(storePath: open.path)
    let isWritten = marker.write(60)
    #expect(isWritten)
    try open.restart()
    defer { open.store.close() }
    let plan = try Recovery.plan(open.store)
    #expect(plan.warnings == [.journalEndsEarly(last: 50, committed: 60)])
    #expect(plan.nextPosition == 61, "a position that was given out never means another entry")
    #expect(
      "\(plan.warnings[0])"
        == "the journal ends at position 50, but position 60 was durable: 10 entries are lost")
  }

  /// The log itself cut short on disk, as by a torn sector: what RocksDB drops without a word.
  @Test func aTruncatedLogIsNoticed() throws {
    let open = try OpenStore()
    let folder = try Folder()
    for first: UInt64 in [1, 11, 21] { try open.append(samples(first...(first + 9))) }
    try open.store.store.syncLog()
    let copy = folder.entry("copy")
    // As a crash leaves it: a copy of the files of the open store.
    try FileManager.default.copyItem(atPath: open.path, toPath: copy)
    open.store.close()
    let logs = try FileManager.default.contentsOfDirectory(atPath: copy).filter { $0.hasSuffix(".log") }.sorted()
    let log = copy + "/" + (try #require(logs.last))
    let handle = try #require(FileHandle(forUpdatingAtPath: log))
    try handle.truncate(atOffset: try handle.seekToEnd() - 10)
    try handle.close()
    var marker = CommitMarker(storePath: copy)
    let isWritten = marker.write(30)
    #expect(isWritten)
    let store = try VigilStore.open(path: copy)
    defer { store.close() }
    let plan = try Recovery.plan(store)
    #expect(plan.warnings == [.journalEndsEarly(last: 20, committed: 30)])
    #expect(try positions(store.journal, from: 1) == Array(1...20))
  }

  @Test func stateOrFloorOutsideTheJournalIsNoticed() throws {
    let open = try OpenStore()
    defer { open.store.close() }
    try open.append(samples(40...50))
    var effects = Effects()
    effects.progress.applied[5] = 70
    effects.progress.floor = 30
    try EffectsWriter(store: open.store, shard: 0).write(effects)
    let plan = try Recovery.plan(open.store)
    #expect(
      plan.warnings == [
        .journalEndsBeforeState(last: 50, applied: 70), .journalBeginsLate(first: 40, needed: 31),
      ])
    #expect(plan.nextPosition == 71)
  }

  // MARK: Marker

  @Test func theMarkerIsWrittenOnceASecond() throws {
    let folder = try Folder()
    var marker = CommitMarker(storePath: folder.path)
    #expect(CommitMarker.read(storePath: folder.path) == nil)
    for (position, now, expected) in [(5, 0, 5), (6, 999, 5), (7, 1000, 7), (7, 9000, 7), (6, 9000, 7), (8, 9001, 8)] {
      let isWritten = marker.note(UInt64(position), nowMs: Int64(now))
      #expect(isWritten)
      #expect(CommitMarker.read(storePath: folder.path) == UInt64(expected))
    }
  }

  @Test func aDamagedMarkerCountsAsNone() throws {
    let folder = try Folder()
    var marker = CommitMarker(storePath: folder.path)
    let isWritten = marker.write(77)
    #expect(isWritten)
    let path = CommitMarker.path(folder.path)
    let whole = try Data(contentsOf: URL(fileURLWithPath: path))
    for count in 0...whole.count {
      var bytes = whole.prefix(count)
      if count == whole.count { bytes[count - 7] ^= 1 }
      try bytes.write(to: URL(fileURLWithPath: path))
      #expect(CommitMarker.read(storePath: folder.path) == nil)
    }
    try (whole + [0]).write(to: URL(fileURLWithPath: path))
    #expect(CommitMarker.read(storePath: folder.path) == nil)
  }

  // MARK: Opening

  @Test func aSecondOpenerIsRefused() throws {
    let open = try OpenStore()
    defer { open.store.close() }
    #expect(throws: StoreError.inUse(path: open.path)) { try VigilStore.open(path: open.path) }
  }

  @Test func aStoreOfALaterFormatIsRefused() throws {
    let open = try OpenStore()
    let later = SealedValue.seal { $0.append(littleEndian: UInt32(9)) }
    try open.overwrite(open.store.families.meta, Array("format".utf8), with: later)
    open.store.close()
    let error = StoreError.formatTooNew("store format 9, and this program knows formats up to 2")
    #expect(throws: error) { try VigilStore.open(path: open.path) }
    let folder = try Folder()
    #expect(throws: error) { try VigilStore.openReadOnly(path: open.path, scratch: folder.entry("scratch")) }
  }

  @Test func aDamagedFormatVersionIsCorruption() throws {
    let open = try OpenStore()
    try open.overwrite(open.store.families.meta, Array("format".utf8), with: [1, 0, 0, 0, 0])
    open.store.close()
    #expect(throws: StoreError.self) { try VigilStore.open(path: open.path) }
  }

  @Test func aReaderBesideTheWriterSeesWhatWasWritten() throws {
    let open = try OpenStore()
    let folder = try Folder()
    defer { open.store.close() }
    try open.append(samples(1...9))
    let reader = try VigilStore.openReadOnly(path: open.path, scratch: folder.entry("scratch"))
    defer { reader.close() }
    #expect(try positions(reader.journal, from: 1) == Array(1...9))
    #expect(try Recovery.plan(reader).nextPosition == 10)
  }
}
