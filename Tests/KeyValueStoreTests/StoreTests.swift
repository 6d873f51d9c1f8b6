import Foundation
import Testing

@testable import KeyValueStore

/// A small seeded generator, so that every run sees the same bytes.
struct SplitMix64: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
    return mixed ^ (mixed >> 31)
  }

  mutating func bytes(_ count: Int) -> [UInt8] { (0..<count).map { _ in UInt8(truncatingIfNeeded: next()) } }
}

/// A folder that goes away with the value.
final class Folder {
  let path = NSTemporaryDirectory() + "store-" + UUID().uuidString

  init() throws { try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true) }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  func entry(_ name: String) -> String { path + "/" + name }
}

let testFamilies = [
  FamilySpec("journal", compression: .zstd(level: 1), writeBufferBytes: 1 << 20),
  FamilySpec("chunks", compression: .none, bloomBitsPerKey: 10, prefixBytes: 4),
  FamilySpec("audit", compression: .zstdDictionary(level: 3, dictionaryBytes: 4096), blockBytes: 4096),
]

/// Four bytes, most significant first.
func key(_ number: Int) -> [UInt8] {
  var builder = KeyBuilder()
  builder.append(UInt32(number))
  return builder.bytes
}

extension Store {
  func put(_ family: Family, _ key: [UInt8], _ value: [UInt8], sync: Bool = false) throws {
    let batch = WriteBatch(for: self)
    batch.put(family, key: key, value: value)
    try write(batch, sync: sync)
  }

  func keys(_ iterator: StoreIterator) throws -> [[UInt8]] {
    var keys: [[UInt8]] = []
    while iterator.isValid {
      keys.append(Array(iterator.key))
      try iterator.next()
    }
    return keys
  }
}

@Suite struct StoreTests {
  private let folder: Folder
  private var path: String { folder.entry("db") }

  init() throws { folder = try Folder() }

  private func opened() throws -> Store { try Store.open(path: path, families: testFamilies) }

  @Test func whatIsWrittenSurvivesClosing() throws {
    let first = try opened()
    let batch = WriteBatch(for: first)
    for name in ["journal", "chunks", "audit"] {
      batch.put(try first.family(name), key: Array(name.utf8), value: Array(name.utf8) + [1])
    }
    batch.put(try first.family("journal"), key: [9], value: [])
    #expect(batch.count == 4)
    #expect(batch.byteSize > 12)
    try first.write(batch, sync: true)
    first.close()
    first.close()

    let second = try opened()
    defer { second.close() }
    for name in ["journal", "chunks", "audit"] {
      let family = try second.family(name)
      #expect(try second.get(family, key: Array(name.utf8)) == Array(name.utf8) + [1])
      #expect(try second.get(family, key: [0]) == nil)
    }
    #expect(try second.get(second.family("journal"), key: [9]) == [])
    #expect(try second.withValue(second.family("journal"), key: [9]) { $0?.count } == 0)
  }

  @Test func emptyKeysAndValuesAreKeys() throws {
    let store = try opened()
    let family = try store.family("journal")
    try store.put(family, [], [])
    try store.put(family, [1], [2])
    #expect(try store.get(family, key: []) == [])
    let iterator = try store.iterator(family, lower: [], upper: [1])
    #expect(try iterator.seek([]))
    #expect(try iterator.key.isEmpty && iterator.value.isEmpty)
    #expect(try !iterator.next())
    let batch = WriteBatch(for: store)
    batch.delete(family, key: [])
    try store.write(batch, sync: false)
    #expect(try store.get(family, key: []) == nil)
  }

  @Test func aBatchCanBeClearedAndFilledAgain() throws {
    let store = try opened()
    let family = try store.family("journal")
    let batch = WriteBatch(for: store)
    batch.put(family, key: [1], value: [1])
    batch.clear()
    #expect(batch.isEmpty)
    #expect(batch.byteSize == 12)
    try store.write(batch, sync: true)
    #expect(try store.get(family, key: [1]) == nil)
  }

  @Test func laterChangesOfABatchWin() throws {
    let store = try opened()
    let family = try store.family("journal")
    let batch = WriteBatch(for: store)
    for number in 0..<10 { batch.put(family, key: key(number), value: [0]) }
    batch.deleteRange(family, start: key(2), end: key(8))
    batch.put(family, key: key(5), value: [5])
    batch.delete(family, key: key(9))
    // Neither of these may spoil the batch.
    batch.deleteRange(family, start: key(8), end: key(2))
    batch.deleteRange(family, start: key(0), end: key(0))
    try store.write(batch, sync: false)
    let iterator = try store.iterator(family)
    try iterator.seekToFirst()
    #expect(try store.keys(iterator) == [0, 1, 5, 8].map(key))
  }

  @Test func iteratorsKeepToTheirBounds() throws {
    let store = try opened()
    for name in ["journal", "chunks"] {
      let family = try store.family(name)
      let batch = WriteBatch(for: store)
      for number in stride(from: 0, to: 1000, by: 10) { batch.put(family, key: key(number), value: key(number * 2)) }
      try store.write(batch, sync: false)
      try store.flush(family)
      let iterator = try store.iterator(family, lower: key(100), upper: key(200))
      try iterator.seekToFirst()
      #expect(try store.keys(iterator) == stride(from: 100, to: 200, by: 10).map(key))
      #expect(try iterator.seekToLast())
      #expect(try Array(iterator.key) == key(190) && Array(iterator.value) == key(380))
      #expect(try iterator.previous())
      #expect(Array(iterator.key) == key(180))
      #expect(try iterator.seekForPrevious(key(155)))
      #expect(Array(iterator.key) == key(150))
      #expect(try iterator.seek(key(151)))
      #expect(Array(iterator.key) == key(160))
      #expect(try !iterator.seek(key(191)))
      #expect(try !iterator.next() && iterator.key.isEmpty)
      iterator.close()
      iterator.close()
      #expect(throws: StoreError.closed) { try iterator.seekToFirst() }
      #expect(!iterator.isValid)
    }
  }

  @Test func aPrefixScanStaysInItsPrefix() throws {
    let store = try opened()
    let family = try store.family("chunks")
    for patient in 0..<20 {
      for time in 0..<3 { try store.put(family, key(patient) + key(time), [UInt8(patient)]) }
      if patient % 5 == 0 { try store.flush(family) }
    }
    let iterator = try store.iterator(family, withinPrefix: true)
    try iterator.seek(key(7))
    #expect(try store.keys(iterator) == (0..<3).map { key(7) + key($0) })
    let whole = try store.iterator(family)
    try whole.seek(key(19))
    #expect(try store.keys(whole).count == 3)
    try whole.seekToFirst()
    #expect(try store.keys(whole).count == 60)
  }

  @Test func snapshotsSeeTheirMoment() throws {
    let store = try opened()
    let family = try store.family("journal")
    try store.put(family, [1], [1])
    let snapshot = try store.snapshot()
    try store.put(family, [1], [2])
    try store.put(family, [2], [2])
    #expect(try store.get(family, key: [1], snapshot: snapshot) == [1])
    #expect(try store.get(family, key: [2], snapshot: snapshot) == nil)
    let iterator = try store.iterator(family, snapshot: snapshot)
    try iterator.seekToFirst()
    #expect(try Array(iterator.value) == [1])
    #expect(try !iterator.next())
    #expect(try store.get(family, key: [1]) == [2])
  }

  @Test func anIteratorOutlivesClosingSafely() throws {
    let store = try opened()
    let family = try store.family("journal")
    try store.put(family, [1], [1])
    let iterator = try store.iterator(family)
    try iterator.seekToFirst()
    store.close()
    #expect(Array(iterator.key) == [1])
    #expect(throws: StoreError.inUse(path: path)) { try opened() }
    iterator.close()
    let again = try opened()
    #expect(try again.get(again.family("journal"), key: [1]) == [1])
  }

  @Test func aClosedStoreSaysSo() throws {
    let store = try opened()
    let family = try store.family("journal")
    let batch = WriteBatch(for: store)
    store.close()
    batch.put(family, key: [1], value: [1])
    #expect(throws: StoreError.closed) { try store.write(batch, sync: true) }
    #expect(throws: StoreError.closed) { try store.get(family, key: [1]) }
    #expect(throws: StoreError.closed) { try store.reopen() }
    #expect(throws: StoreError.closed) { try store.iterator(family) }
  }

  @Test func reopeningKeepsFamiliesAndBatches() throws {
    let store = try opened()
    let family = try store.family("audit")
    let batch = WriteBatch(for: store)
    batch.put(family, key: [1], value: [1])
    let iterator = try store.iterator(family)
    #expect(throws: StoreError.inUse(path: path)) { try store.reopen() }
    #expect(throws: StoreError.closed) { try store.get(family, key: [1]) }
    let missed = WriteBatch(for: store)
    missed.put(family, key: [2], value: [2])
    iterator.close()
    try store.reopen()
    try store.write(batch, sync: true)
    #expect(try store.get(family, key: [1]) == [1])
    // A batch that missed a change while the store was interrupted is not written half.
    #expect(throws: StoreError.closed) { try store.write(missed, sync: true) }
    missed.clear()
    missed.put(family, key: [2], value: [2])
    try store.write(missed, sync: true)
    #expect(try store.get(family, key: [2]) == [2])
  }

  @Test func familiesOfAnotherVersionAreKept() throws {
    let first = try Store.open(path: path, families: testFamilies + [FamilySpec("later")])
    try first.put(first.family("later"), [1], [1])
    first.close()
    let older = try opened()
    #expect(try older.get(older.family("later"), key: [1]) == [1])
    #expect(throws: StoreError.unknownFamily("never")) { try older.family("never") }
    #expect(try Set(older.familyNames()) == ["journal", "chunks", "audit", "later", "default"])
  }

  @Test func figuresAndCopies() throws {
    let store = try opened()
    let journal = try store.family("journal")
    var random = SplitMix64(state: 2)
    let batch = WriteBatch(for: store)
    for number in 0..<2000 { batch.put(journal, key: key(number), value: random.bytes(100)) }
    try store.write(batch, sync: false)
    try store.syncLog()
    #expect(try store.liveFileBytes() == 0)
    try store.flush()
    #expect(try store.liveFileBytes() > 100_000)
    #expect(try store.liveFileBytes(journal) == store.liveFileBytes())
    #expect(try store.approximateBytes(journal, lower: key(0), upper: key(2000)) > 100_000)
    #expect(try store.integerProperty("rocksdb.estimate-num-keys", of: journal) == 2000)
    #expect(try store.integerProperty("rocksdb.nonsense") == nil)
    #expect(try store.property("rocksdb.stats")?.isEmpty == false)
    #expect(try store.property("rocksdb.nonsense") == nil)
    #expect(try store.backgroundErrors() == 0)

    let copyPath = folder.entry("copy")
    try store.checkpoint(to: copyPath)
    #expect(throws: StoreError.self) { try store.checkpoint(to: copyPath) }
    batch.clear()
    batch.deleteRange(journal, start: key(0), end: key(2000))
    try store.write(batch, sync: false)
    try store.deleteFilesInRange(journal, lower: key(0), upper: key(2000))
    try store.compactRange(journal, rewriteAll: true)
    #expect(try store.liveFileBytes(journal) < 5000)
    let copy = try Store.open(path: copyPath, families: testFamilies)
    #expect(try copy.get(copy.family("journal"), key: key(1999))?.count == 100)
  }

  @Test func aTrainedDictionaryShrinksSmallAlikeValues() throws {
    let plain = FamilySpec("plain", compression: .zstd(level: 3), blockBytes: 1024)
    let trained = FamilySpec(
      "trained", compression: .zstdDictionary(level: 3, dictionaryBytes: 16 << 10), blockBytes: 1024)
    let store = try Store.open(path: path, families: [plain, trained])
    var random = SplitMix64(state: 9)
    let batch = WriteBatch(for: store)
    for number in 0..<5000 {
      let text = #"{"actor":"nurse-\#(random.next() % 50)","action":"acknowledge","alert":\#(random.next() % 100_000)}"#
      for name in ["plain", "trained"] { batch.put(try store.family(name), key: key(number), value: Array(text.utf8)) }
    }
    try store.write(batch, sync: false)
    try store.flush()
    // RocksDB trains only where it writes the last level.
    for name in ["plain", "trained"] { try store.compactRange(store.family(name), rewriteAll: true) }
    #expect(try store.liveFileBytes(store.family("trained")) < store.liveFileBytes(store.family("plain")))
  }
}
