import Foundation
import Testing

@testable import KeyValueStore

@Suite struct TroubleTests {
  private let folder: Folder
  private var path: String { folder.entry("db") }

  init() throws { folder = try Folder() }

  @Test func aSecondOpeningIsInUse() throws {
    let store = try Store.open(path: path, families: testFamilies)
    #expect(throws: StoreError.inUse(path: path)) { try Store.open(path: path, families: testFamilies) }
    store.close()
    try Store.open(path: path, families: testFamilies).close()
  }

  @Test func statusTextsOfRocksDBAreTyped() {
    func typed(_ text: String) -> StoreError { StoreError(status: text, path: "/p") }
    #expect(typed("IO error: While lock file: /p/LOCK: Resource temporarily unavailable") == .inUse(path: "/p"))
    #expect(
      typed("IO error: lock hold by current process, acquire time 1 acquiring thread 2: /p/LOCK: No locks available")
        == .inUse(path: "/p"))
    #expect(
      typed("IO error: No space left on device: While appending to file: /p/4.log: No space left on device") == .noSpace
    )
    #expect(typed("Invalid argument: /p: does not exist (create_if_missing is false)") == .notFound(path: "/p"))
    let footer = "Corruption: Unknown Footer version. Maybe this file was created with newer version of RocksDB?"
    #expect(typed(footer) == .formatTooNew(footer))
    let checksum = "Corruption: block checksum mismatch"
    #expect(typed(checksum) == .corruption(checksum))
    let other = "IO error: While fsync: /p/4.log: Input/output error"
    #expect(typed(other) == .io(other))
  }

  @Test func nothingIsCreatedUnlessAllowed() throws {
    var options = StoreOptions()
    options.createIfMissing = false
    #expect(throws: StoreError.notFound(path: path)) {
      try Store.open(path: path, families: testFamilies, options: options)
    }
    #expect(!FileManager.default.fileExists(atPath: path))
    try Store.open(path: path, families: testFamilies).close()
    try Store.open(path: path, families: testFamilies, options: options).close()
  }

  @Test func aNewStoreIsClosedToOtherUsers() throws {
    try Store.open(path: path, families: testFamilies).close()
    let mode = try #require(FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int)
    #expect(mode == 0o700)
  }

  @Test func aChangedByteOnDiskIsCorruption() throws {
    let store = try Store.open(path: path, families: testFamilies)
    let chunks = try store.family("chunks")
    var random = SplitMix64(state: 1)
    let batch = WriteBatch(for: store)
    for number in 0..<2000 { batch.put(chunks, key: key(number), value: random.bytes(64)) }
    try store.write(batch, sync: true)
    try store.flush()
    store.close()
    let table = try #require(
      FileManager.default.contentsOfDirectory(atPath: path).filter { $0.hasSuffix(".sst") }.sorted().last)
    let tablePath = path + "/" + table
    var bytes = try Data(contentsOf: URL(fileURLWithPath: tablePath))
    bytes[1000] ^= 0x10
    try bytes.write(to: URL(fileURLWithPath: tablePath))

    let damaged = try Store.open(path: path, families: testFamilies)
    let family = try damaged.family("chunks")
    let iterator = try damaged.iterator(family)
    #expect {
      try iterator.seekToFirst()
      while iterator.isValid { try iterator.next() }
    } throws: { error in
      if case StoreError.corruption = error { true } else { false }
    }
  }

  @Test(.enabled(if: access(LockHolder.interpreter, X_OK) == 0, "needs python3 to hold a lock from another process"))
  func anotherProcessHoldingTheLockIsInUse() throws {
    try Store.open(path: path, families: testFamilies).close()
    let holder = try LockHolder(path + "/LOCK")
    defer { holder.end() }
    #expect(throws: StoreError.inUse(path: path)) { try Store.open(path: path, families: testFamilies) }
    // Reading beside it is allowed.
    try Store.openReadOnlySecondary(path: path, scratch: folder.entry("reader"), families: testFamilies).close()
  }
}
