import Foundation
import Testing

@testable import KeyValueStore

/// A file system of 16 MiB in memory; gone with the value.
private final class SmallDisk {
  let path: String
  /// Held, so that the folder goes only once nothing is mounted in it.
  private let folder: Folder
  private var isMounted = false

  /// Nil when this process may not mount.
  init?() throws {
    folder = try Folder()
    path = folder.entry("disk")
    mkdir(path, 0o700)
    guard mount("tmpfs", path, "tmpfs", 0, "size=16m") == 0 else { return nil }
    isMounted = true
  }

  deinit { if isMounted { umount2(path, Int32(MNT_DETACH)) } }

  static let mayMount = (try? SmallDisk()) != nil
}

@Suite(.enabled(if: SmallDisk.mayMount, "needs the right to mount a small tmpfs")) struct DiskFullTests {
  private let disk: SmallDisk
  private var path: String { disk.path + "/db" }

  init() throws {
    disk = try #require(try SmallDisk())
  }

  /// Writes rows that do not compress until the store refuses; returns how many it took, and the refusal.
  private func fill(_ store: Store, from first: Int, random: inout SplitMix64) throws -> (Int, StoreError) {
    let family = try store.family("journal")
    let batch = WriteBatch(for: store)
    for number in first..<(first + 10_000) {
      batch.clear()
      batch.put(family, key: key(number), value: random.bytes(16 << 10))
      do {
        try store.write(batch, sync: true)
      } catch {
        return (number - first, error)
      }
    }
    throw StoreError.invalid("the disk never filled")
  }

  private func rows(_ store: Store) throws -> Int {
    let iterator = try store.iterator(store.family("journal"))
    try iterator.seekToFirst()
    return try store.keys(iterator).count
  }

  /// A full disk refuses one batch; RocksDB then refuses all, room or no room, until the store is opened again.
  @Test func aFullDiskIsNoSpaceUntilReopened() throws {
    let ballast = disk.path + "/ballast"
    try Data(count: 6 << 20).write(to: URL(fileURLWithPath: ballast))
    let store = try Store.open(path: path, families: testFamilies)
    defer { store.close() }
    var random = SplitMix64(state: 8)
    let (taken, refusal) = try fill(store, from: 0, random: &random)
    #expect(refusal == .noSpace)
    #expect(taken > 50)
    // What was taken can still be read.
    #expect(try rows(store) == taken)

    try FileManager.default.removeItem(atPath: ballast)
    // Room alone does not help: RocksDB stays with its first error.
    #expect(throws: StoreError.noSpace) { try store.put(store.family("journal"), key(90_000), [1], sync: true) }
    #expect(try store.backgroundErrors() == 1)
    try store.reopen()
    #expect(try rows(store) == taken)
    try store.put(store.family("journal"), key(90_001), [1], sync: true)
    #expect(try rows(store) == taken + 1)
    #expect(try store.backgroundErrors() == 0)
  }
}
