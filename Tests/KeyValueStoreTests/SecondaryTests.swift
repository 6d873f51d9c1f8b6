import Foundation
import Synchronization
import Testing

@testable import KeyValueStore

/// How far a writer has come, and whether it may stop.
private final class Progress: Sendable {
  let written = Mutex(0)
  let isDone = Mutex(false)
}

@Suite struct SecondaryTests {
  private let folder: Folder
  private var path: String { folder.entry("db") }

  init() throws { folder = try Folder() }

  private func openReader(_ name: String = "reader") throws(StoreError) -> Store {
    try Store.openReadOnlySecondary(path: path, scratch: folder.entry(name), families: testFamilies)
  }

  @Test func readsWhatTheWriterHasOnlyInItsLog() throws {
    let writer = try Store.open(path: path, families: testFamilies)
    let journal = try writer.family("journal")
    try writer.put(journal, [1], [1])
    let reader = try openReader()
    let readJournal = try reader.family("journal")
    #expect(try reader.get(readJournal, key: [1]) == [1])

    try writer.put(journal, [2], [2])
    #expect(try reader.get(readJournal, key: [2]) == nil)
    try reader.catchUp()
    #expect(try reader.get(readJournal, key: [2]) == [2])
  }

  @Test func keepsUpThroughFlushesAndCompactions() throws {
    let writer = try Store.open(path: path, families: testFamilies)
    let chunks = try writer.family("chunks")
    let reader = try openReader()
    let readChunks = try reader.family("chunks")
    for round in 0..<20 {
      let batch = WriteBatch(for: writer)
      for number in 0..<50 { batch.put(chunks, key: key(number), value: key(round)) }
      batch.put(chunks, key: key(1000 + round), value: [])
      try writer.write(batch, sync: false)
      if round % 3 == 0 { try writer.flush(chunks) }
      if round % 7 == 6 { try writer.compactRange(chunks) }
      try reader.catchUp()
      #expect(try reader.get(readChunks, key: key(49)) == key(round))
      let iterator = try reader.iterator(readChunks)
      try iterator.seekToFirst()
      #expect(try reader.keys(iterator).count == 51 + round)
    }
  }

  /// RocksDB's own catching up goes on serving the first value here: facebook/rocksdb issue 15051.
  @Test func aFlushedValueIsNotHiddenByAnOlderOneFromTheLog() throws {
    let writer = try Store.open(path: path, families: testFamilies)
    let journal = try writer.family("journal")
    try writer.put(journal, [1], [1])
    try writer.put(journal, [2], [1])
    let reader = try openReader()
    let family = try reader.family("journal")
    #expect(try reader.get(family, key: [1]) == [1])
    let batch = WriteBatch(for: writer)
    batch.put(journal, key: [1], value: [2])
    batch.delete(journal, key: [2])
    try writer.write(batch, sync: false)
    try writer.flush(journal)
    try writer.compactRange(journal, rewriteAll: true)
    try reader.catchUp()
    #expect(try reader.get(family, key: [1]) == [2])
    #expect(try reader.get(family, key: [2]) == nil)
    let iterator = try reader.iterator(family)
    try iterator.seekToFirst()
    #expect(try Array(iterator.value) == [2])
    #expect(try !iterator.next())
  }

  @Test func whatWasReadStandsStillUntilCaughtUp() throws {
    let writer = try Store.open(path: path, families: testFamilies)
    let journal = try writer.family("journal")
    try writer.put(journal, [1], [1])
    try writer.flush()
    let reader = try openReader()
    let family = try reader.family("journal")
    let snapshot = try reader.snapshot()
    let iterator = try reader.iterator(family)
    try writer.put(journal, [1], [2])
    try writer.flush()
    try writer.compactRange(journal, rewriteAll: true)
    try reader.catchUp()
    // The files these read have been deleted by the writer meanwhile.
    #expect(try reader.get(family, key: [1], snapshot: snapshot) == [1])
    #expect(try iterator.seekToFirst() && Array(iterator.value) == [1])
    #expect(try reader.get(family, key: [1]) == [2])
  }

  /// Every opening beside a busy writer sees a gapless front of what was written, never older than the start of opening.
  @Test func openingBesideABusyWriterMissesNothing() async throws {
    let writer = try Store.open(path: path, families: testFamilies)
    let journal = try writer.family("journal")
    let progress = Progress()
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask {
        for number in 0..<20_000 where !progress.isDone.withLock({ $0 }) {
          try writer.put(journal, key(number), [UInt8](repeating: 1, count: 500))
          progress.written.withLock { $0 = number + 1 }
          if number % 200 == 199 { try writer.flush(journal) }
        }
      }
      defer { progress.isDone.withLock { $0 = true } }
      var openings = 0
      while openings < 40 {
        let least = progress.written.withLock { $0 }
        let opening = Result { () throws(StoreError) in try openReader() }
        if case .failure(.busy) = opening { continue }
        let reader = try opening.get()
        let iterator = try reader.iterator(reader.family("journal"))
        try iterator.seekToFirst()
        let keys = try reader.keys(iterator)
        #expect(keys.count >= least)
        #expect(keys == (0..<keys.count).map(key))
        openings += 1
      }
    }
  }

  @Test func readsAStoreNobodyHasOpen() throws {
    let writer = try Store.open(path: path, families: testFamilies)
    try writer.put(writer.family("audit"), [1], [1], sync: true)
    writer.close()
    let reader = try openReader()
    #expect(try reader.get(reader.family("audit"), key: [1]) == [1])
    // A reader keeps nobody from writing, and reads on beside the new writer.
    let again = try Store.open(path: path, families: testFamilies)
    try again.put(again.family("audit"), [2], [2])
    try reader.catchUp()
    #expect(try reader.get(reader.family("audit"), key: [2]) == [2])
  }

  @Test func neverWrites() throws {
    let writer = try Store.open(path: path, families: testFamilies)
    try writer.put(writer.family("audit"), [1], [1])
    let reader = try openReader()
    let family = try reader.family("audit")
    let batch = WriteBatch(for: reader)
    batch.put(family, key: [2], value: [2])
    #expect(reader.isReadOnly && !writer.isReadOnly)
    #expect(throws: StoreError.readOnly) { try reader.write(batch, sync: true) }
    #expect(throws: StoreError.readOnly) { try reader.flush() }
    #expect(throws: StoreError.readOnly) { try reader.compactRange(family) }
    #expect(throws: StoreError.readOnly) { try reader.reopen() }
  }

  @Test func aMissingStoreOrFamilyIsNamed() throws {
    #expect(throws: StoreError.notFound(path: path)) { try openReader() }
    #expect(!FileManager.default.fileExists(atPath: path))
    let writer = try Store.open(path: path, families: Array(testFamilies.prefix(1)))
    defer { writer.close() }
    let reader = try openReader()
    #expect(throws: StoreError.unknownFamily("audit")) { try reader.family("audit") }
    _ = try reader.family("journal")
  }
}
