import KeyValueStore
import Testing

@testable import AlertJournal

@Suite struct AuditTests {
  private func entry(_ number: Int64) -> AuditEntry {
    AuditEntry(
      time: number * 1000, actor: "nurse-\(number)", action: "keys.rotate", subject: "tenant 0", detail: "\(number)",
      reason: "yearly")
  }

  @Test func entriesComeBackInOrderAndTheirChainHolds() throws {
    let folder = try Folder()
    let store = try VigilStore.open(path: folder.entry("store"))
    for number in 1...5 { try store.audit.record(entry(Int64(number))) }
    store.close()
    let again = try VigilStore.open(path: folder.entry("store"))
    defer { again.close() }
    try again.audit.record(entry(6), sync: false)
    var rows: [AuditTable.Row] = []
    try again.audit.read(from: 2000, to: 6000) { row in
      rows.append(row)
      return true
    }
    #expect(rows.map(\.number) == [2, 3, 4, 5])
    #expect(rows.map(\.entry) == (2...5).map { entry($0) })
    let verdict = try again.audit.verify()
    #expect(verdict.entries == 6 && verdict.brokenAt == nil)
  }

  @Test func anEntryIsWrittenWithTheChangeItSpeaksOf() throws {
    let folder = try Folder()
    let store = try VigilStore.open(path: folder.entry("store"))
    defer { store.close() }
    let batch = store.makeBatch()
    batch.put(store.families.quarantine, key: [9], value: [1])
    try store.audit.record(entry(1), with: batch)
    #expect(try store.store.get(store.families.quarantine, key: [9]) == [1])
    #expect(try store.audit.verify().entries == 1)
  }

  /// A row taken out, put in another's place or cut off at the end: the first two break the chain, the last changes its head.
  @Test func whatIsTakenOutOrMovedShows() throws {
    let folder = try Folder()
    let store = try VigilStore.open(path: folder.entry("store"))
    defer { store.close() }
    for number in 1...4 { try store.audit.record(entry(Int64(number))) }
    let head = try store.audit.verify().head
    func key(_ number: UInt64) -> [UInt8] { withUnsafeBytes(of: number.bigEndian) { [UInt8]($0) } }
    let audit = store.families.audit
    let kept = try (UInt64(1)...4).map { number in
      let value = try store.store.get(audit, key: key(number))
      return try #require(value)
    }

    let swap = store.makeBatch()
    swap.put(audit, key: key(2), value: kept[2])
    swap.put(audit, key: key(3), value: kept[1])
    try store.write(swap, sync: false)
    #expect(try store.audit.verify().brokenAt == 2)

    let remove = store.makeBatch()
    remove.put(audit, key: key(2), value: kept[1])
    remove.delete(audit, key: key(3))
    try store.write(remove, sync: false)
    #expect(try store.audit.verify().brokenAt == 4)

    let cut = store.makeBatch()
    cut.put(audit, key: key(3), value: kept[2])
    cut.delete(audit, key: key(4))
    try store.write(cut, sync: false)
    let verdict = try store.audit.verify()
    #expect(verdict.brokenAt == nil && verdict.head != head)
  }
}
