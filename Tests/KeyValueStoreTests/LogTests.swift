import Foundation
import Testing

@testable import KeyValueStore

@Suite struct LogTests {
  private let folder: Folder
  private var path: String { folder.entry("db") }
  private var options: StoreOptions {
    var options = StoreOptions()
    options.logKeptMiB = 64
    return options
  }

  init() throws { folder = try Folder() }

  private func open(_ name: String = "db") throws -> Store {
    try Store.open(path: folder.entry(name), families: testFamilies, options: options)
  }

  /// Puts, deletes and range deletes over all families, as numbered by `round`.
  private func write(_ rounds: Range<Int>, _ store: Store, _ random: inout SplitMix64) throws {
    for round in rounds {
      let batch = WriteBatch(for: store)
      for name in ["journal", "chunks", "audit"] {
        let family = try store.family(name)
        batch.put(family, key: key(round), value: random.bytes(Int(random.next() % 300)))
        batch.delete(family, key: key(Int(random.next() % 50)))
      }
      batch.deleteRange(try store.family("chunks"), start: key(round / 2), end: key(round / 2 + 2))
      batch.note(key(round))
      try store.write(batch, sync: round % 10 == 0)
    }
  }

  private func rows(_ store: Store) throws -> [String: [[UInt8]]] {
    var found: [String: [[UInt8]]] = [:]
    for name in ["journal", "chunks", "audit"] {
      let iterator = try store.iterator(try store.family(name))
      defer { iterator.close() }
      try iterator.seekToFirst()
      while iterator.isValid {
        found[name, default: []].append([UInt8](iterator.key) + [UInt8](iterator.keptValue))
        try iterator.next()
      }
    }
    return found
  }

  @Test func aCopyFollowsTheLogThroughFlushesAndRestarts() throws {
    var random = SplitMix64(state: 17)
    var store = try open()
    try write(0..<40, store, &random)
    try store.checkpoint(to: folder.entry("copy"))
    try write(40..<80, store, &random)
    try store.flush()
    try write(80..<120, store, &random)
    store.close()
    store = try open()
    try write(120..<150, store, &random)
    try store.syncLog()

    let copy = try open("copy")
    var next = try copy.latestSequence() + 1
    var notes: [[UInt8]] = []
    try store.readLog(from: next) { (logged) throws(StoreError) in
      #expect(logged.sequence == next)
      next = logged.next
      notes += logged.notes ?? []
      try copy.apply(logged)
      return true
    }
    #expect(next == (try store.latestSequence()) + 1)
    #expect(notes == (40..<150).map { key($0) })
    #expect(try copy.latestSequence() == store.latestSequence())
    #expect(try rows(copy) == rows(store))
    #expect(store.identity?.isEmpty == false)
  }

  @Test func aLogThatIsGoneIsAGap() throws {
    var random = SplitMix64(state: 18)
    let store = try Store.open(path: path, families: testFamilies)
    try write(0..<10, store, &random)
    let next = try store.latestSequence() + 1
    try write(10..<20, store, &random)
    try store.flush()
    try write(20..<30, store, &random)
    #expect {
      try store.readLog(from: next) { _ in true }
    } throws: { error in
      if case .logGap? = error as? StoreError { return true }
      return false
    }
    // Where it goes on is known.
    let first = try #require(try store.firstLogged(atOrAfter: next))
    #expect(first > next)
    var count = 0
    try store.readLog(from: first) { _ in
      count += 1
      return true
    }
    #expect(count == 10)
  }

  @Test func bytesThatAreNoBatchAreRefused() throws {
    var random = SplitMix64(state: 19)
    let store = try open()
    try write(0..<1, store, &random)
    var found: [LoggedBatch] = []
    try store.readLog(from: 1) { (logged) throws(StoreError) in
      found.append(logged)
      return true
    }
    let whole = try #require(found.first)
    for count in 0..<whole.bytes.count {
      let cut = LoggedBatch(sequence: 1, changes: whole.changes, bytes: Array(whole.bytes[..<count]))
      // Cut before the note at its end nothing is missing but the note.
      if cut.notes?.isEmpty == true { continue }
      #expect(cut.notes == nil)
      #expect(throws: StoreError.self) { try store.apply(cut) }
    }
    for _ in 0..<2000 {
      var changed = whole
      changed.bytes[Int(random.next() % UInt64(whole.bytes.count))] ^= UInt8(truncatingIfNeeded: random.next() | 1)
      _ = changed.notes
    }
  }

  @Test func readingGoesOnBehindADamagedBlock() throws {
    let store = try open()
    let family = try store.family("chunks")
    let batch = WriteBatch(for: store)
    for number in 0..<4000 { batch.put(family, key: key(number), value: [UInt8](repeating: 7, count: 100)) }
    try store.write(batch, sync: false)
    try store.flush(family)
    let file = try #require(try store.tableFiles().first { $0.family == "chunks" })
    #expect(file.smallest == key(0) && file.largest == key(3999))
    store.close()
    let bytes = try Data(contentsOf: URL(fileURLWithPath: path + "/" + file.name))
    var changed = bytes
    changed[bytes.count / 2] ^= 0x40
    try changed.write(to: URL(fileURLWithPath: path + "/" + file.name))
    let reader = try Store.openReadOnlySecondary(
      path: path, scratch: folder.entry("reader"), families: testFamilies)
    var seen: [[UInt8]] = []
    let stretches = try reader.readThrough(try reader.family("chunks")) { seen.append([UInt8]($0.key)) }
    #expect(stretches.count == 1)
    let hole = try #require(stretches.first)
    #expect(hole.reason.contains(file.name))
    #expect(seen.count > 3500 && seen.count < 4000)
    #expect(seen == seen.sorted { $0.lexicographicallyPrecedes($1) })
    #expect(seen.last == key(3999))
    let after = try #require(hole.after), before = try #require(hole.before)
    #expect(seen.contains(after) && seen.contains(before))
  }
}
