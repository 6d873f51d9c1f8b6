import Digests
import Foundation
import KeyValueStore
import Pipeline
import VitalModel

@testable import AlertJournal

/// A store that is written to as a service does, with the digest of everything in it after each write.
final class WrittenStore {
  let folder: Folder
  var store: VigilStore
  var random: SplitMix64
  /// After each write: what it journaled, and the digest of all rows as kept.
  private(set) var writes: [(ingest: Int64?, digest: String)] = []
  private(set) var position: UInt64 = 0
  private(set) var now: Int64 = 1_795_000_000_000
  var set: BackupSet { BackupSet(folder.entry("set")) }

  init(seed: UInt64) throws {
    folder = try Folder()
    random = SplitMix64(state: seed)
    store = try VigilStore.open(path: folder.entry("store"), keepsLog: true)
  }

  func restart() throws {
    store.close()
    store = try VigilStore.open(path: folder.entry("store"), keepsLog: true)
  }

  /// Closes the store and keeps a copy of it as it is now.
  func copy(_ name: String) throws {
    store.close()
    try FileManager.default.copyItem(atPath: folder.entry("store"), toPath: folder.entry(name))
    store = try VigilStore.open(path: folder.entry("store"), keepsLog: true)
  }

  /// The store loses everything written since a copy was made, but what the file beside it says was durable.
  func loseEnd(_ copy: String) throws {
    store.close()
    let manager = FileManager.default
    try manager.removeItem(atPath: folder.entry("store"))
    try manager.copyItem(atPath: folder.entry(copy), toPath: folder.entry("store"))
    store = try VigilStore.open(path: folder.entry("store"), keepsLog: true)
    writes.removeAll()
    // No position is given out twice.
    position += 1000
    now += 1000
  }

  func write(_ count: Int) throws {
    for _ in 0..<count {
      let batch = store.makeBatch()
      var ingest: Int64?
      if random.one(in: 3) {
        // What evaluation, sealing and retention write between the journal's batches.
        let effects = [store.families.alerts, store.families.chunks, store.families.outbox, store.families.state]
        for _ in 0...(random.next() % 3) {
          let family = effects[Int(random.next() % UInt64(effects.count))]
          let key: [UInt8] = [0xF0, UInt8(random.next() % 40)]
          if random.one(in: 4) {
            batch.delete(family, key: key)
          } else {
            batch.put(family, key: key, value: random.bytes(60))
          }
        }
      } else {
        now += Int64(random.next() % 900)
        ingest = now
        var encoder = JournalBatchEncoder()
        let size = 1 + random.next() % 4
        for slot in samples((position + 1)...(position + size), ingestMs: now) { encoder.append(slot) }
        position += size
        try store.journal.append(encoder.finish(partitions: 1), to: batch)
      }
      try store.write(batch, sync: random.one(in: 2))
      writes.append((ingest, try contents(store.store)))
    }
  }

  /// The digest the store had when the newest journal batch was of at most this time.
  func digest(at time: Int64) -> String? {
    let end = writes.firstIndex { ($0.ingest ?? .min) > time } ?? writes.count
    return end == 0 ? nil : writes[end - 1].digest
  }

  @discardableResult
  func backup(keep: Int? = nil) throws -> BackupSet.Made {
    let checkpoint = try StoreCheckpoint.make(of: store, now: now)
    defer { checkpoint.remove() }
    return try set.add(checkpoint, keep: keep)
  }

  func restored(to time: Int64?, _ name: String) throws -> (StoreRestore.Outcome, String) {
    let restore = StoreRestore(set)
    let path = folder.entry(name)
    let outcome = try restore.restore(try restore.backup(atOrBefore: time), to: time, store: path)
    let store = try VigilStore.open(path: path)
    defer {
      store.close()
      BackupFiles.removeTree(path)
    }
    return (outcome, try contents(store.store))
  }
}

/// Everything in a store as kept, but what a start writes by itself.
func contents(_ store: Store) throws -> String {
  var hasher = Sha256()
  for name in try store.familyNames().sorted() {
    let iterator = try store.iterator(try store.family(name))
    defer { iterator.close() }
    try iterator.seekToFirst()
    while iterator.isValid {
      hasher.update(Array(name.utf8) + [UInt8](iterator.key))
      hasher.update(iterator.keptValue)
      try iterator.next()
    }
  }
  return hex(hasher.finalize())
}
