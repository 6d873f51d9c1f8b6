import Foundation
import KeyValueStore
import Pipeline
import Testing
import VitalModel

@testable import AlertJournal

@Suite struct VerificationTests {
  private func filled() throws -> OpenStore {
    let open = try OpenStore()
    var slots = samples(1...20)
    for index in slots.indices { (slots[index].patient, slots[index].device, slots[index].series) = (0, 0, 0) }
    try open.append(
      slots,
      entries: [
        .device(number: 0, tenant: "demo", device: "m"),
        .patient(number: 0, tenant: "demo", patient: "p"),
        .series(number: 0, patient: 0, code: VitalCode(index: 0), device: 0, source: 0),
      ])
    var effects = Effects()
    effects.output.transitions = [transition("a1", patient: 0)]
    effects.outbox = [outboxRow("a1-1")]
    try EffectsWriter(store: open.store, shard: 0).write(effects)
    try open.store.audit.record(AuditEntry(time: 1, actor: "vigil", action: "backup.create", subject: "s"))
    return open
  }

  private func verdict(
    _ open: OpenStore, committed: UInt64? = nil, sealFloor: UInt64? = nil
  ) throws -> StoreVerdict {
    try StoreVerification(open.store, committed: committed, sealFloor: sealFloor) { family, _, value, numbers in
      family == "chunks" && (value.isEmpty || numbers.patients != 1) ? "not a chunk" : nil
    }.run()
  }

  @Test func aSoundStoreHasNoFindings() throws {
    let open = try filled()
    let verdict = try verdict(open, committed: 20)
    #expect(verdict.isSound, "\(verdict.findings)")
    #expect(verdict.positions == 1...20)
    #expect(verdict.journalEntries == 20 && verdict.journalBatches == 1 && verdict.auditEntries == 1)
    #expect(verdict.families["registry"]?.rows ?? 0 >= 3)
  }

  @Test func eachKindOfDamageIsFoundAndNamed() throws {
    let open = try filled()
    let families = open.store.families
    try open.overwrite(families.chunks, [1, 2], with: [])
    try open.overwrite(families.state, [0x03, 9], with: [1, 2, 3, 4, 5, 6])
    try open.append(samples(40...41))
    let found = try verdict(open, committed: 50)
    func has(_ kind: StoreFinding.Kind, _ family: String, _ words: String) -> Bool {
      found.findings.contains { $0.kind == kind && $0.family == family && $0.what.contains(words) }
    }
    #expect(has(.row, "chunks", "not a chunk"))
    #expect(has(.row, "state", "checksum"))
    #expect(has(.gap, "journal", "positions 21 to 39"))
    #expect(has(.reference, "journal", "2 entries"))
    #expect(has(.end, "journal", "9 entries are lost"))
    #expect(found.findingCount == 5, "\(found.findings)")
  }

  @Test func aJournalThatBeginsLateOrOverlapsIsFound() throws {
    let open = try filled()
    let journal = open.store.families.journal
    let key = Journal.key(1)
    let batch = open.store.makeBatch()
    batch.delete(journal, key: key)
    try open.store.write(batch, sync: false)
    var slots = samples(9...14) + samples(15...20)
    for index in slots.indices { (slots[index].patient, slots[index].device, slots[index].series) = (0, 0, 0) }
    try open.append(Array(slots[..<6]))
    try open.append(Array(slots[6...]))
    let late = try verdict(open, sealFloor: 6).findings.map(\.what)
    #expect(late.contains("the journal begins at position 9, but samples from position 6 on are in no chunk yet"))
    #expect(late.contains("the journal begins at position 9, but evaluation must go on from 1"))
    #expect(try verdict(open, sealFloor: 9).findingCount == 1)
    for index in slots.indices { slots[index].payload = slots[index].payload &+ 3 }
    try open.append(Array(slots[6...]))
    #expect(try verdict(open).findings.contains { $0.what == "positions 18 to 20 are there twice" })
  }

  @Test func aChangedAuditEntryIsFound() throws {
    let open = try filled()
    for number in 2...4 {
      try open.store.audit.record(
        AuditEntry(time: Int64(number), actor: "vigil", action: "backup.create", subject: "s"))
    }
    let key: [UInt8] = [0, 0, 0, 0, 0, 0, 0, 3]
    let value = try #require(try open.store.store.get(open.store.families.audit, key: key))
    var changed = value
    changed[36] ^= 1
    reseal(&changed)
    try open.overwrite(open.store.families.audit, key, with: changed)
    let verdict = try verdict(open)
    #expect(verdict.findings.map(\.kind) == [.audit], "\(verdict.findings)")
    #expect(verdict.findings.first?.what.contains("entry 3") == true)
  }

  @Test func whatIsPutAsideIsKeptAndTheRestIsSound() throws {
    let open = try filled()
    try open.overwrite(open.store.families.chunks, [1, 2], with: [])
    try open.overwrite(open.store.families.chunks, [1, 3], with: [7, 7])
    let before = try verdict(open)
    let names = try StoreRepair.putAside(before.findings, of: open.store, actor: "root", now: 5)
    #expect(names == ["chunks-0102"])
    #expect(try BackupFiles.read(open.path + "/damaged/chunks-0102").isEmpty)
    let after = try verdict(open)
    #expect(after.isSound, "\(after.findings)")
    #expect(after.families["chunks"]?.rows == 1)
    var entries: [AuditEntry] = []
    try open.store.audit.read { row in
      entries.append(row.entry)
      return true
    }
    #expect(entries.last?.action == "chunk.quarantine" && entries.last?.subject == "chunks-0102")
  }

  @Test func aStoreIsRebuiltFromTheRowsThatCanBeRead() throws {
    var open = try filled()
    let chunks = open.store.families.chunks
    let batch = open.store.makeBatch()
    for number in UInt16(0)..<2000 {
      let key = withUnsafeBytes(of: number.bigEndian) { [UInt8]($0) }
      batch.put(chunks, key: key, value: [UInt8](repeating: UInt8(truncatingIfNeeded: number), count: 100))
    }
    try open.store.write(batch, sync: true)
    try open.store.store.flush()
    let file = try #require(try open.store.store.tableFiles().first { $0.family == "chunks" })
    open.store.close()
    let path = open.path + "/" + file.name
    var bytes = try BackupFiles.read(path)
    bytes[bytes.count / 3] ^= 4
    try BackupFiles.write(bytes, to: path, in: open.path)

    open.store = try VigilStore.open(path: open.path)
    let damaged = try verdict(open)
    #expect(damaged.findings.map(\.kind) == [.block])
    open.store.close()
    let rebuilt = try StoreRepair.rebuild(open.path, now: 77)
    #expect(rebuilt.holes == 1 && rebuilt.aside == open.path + ".damaged-77")
    #expect(BackupFiles.exists(rebuilt.aside + "/" + file.name))
    open.store = try VigilStore.open(path: open.path)
    let after = try verdict(open)
    #expect(after.isSound, "\(after.findings)")
    #expect(after.positions == 1...20 && after.auditEntries == 1)
    let rows = try #require(after.families["chunks"]?.rows)
    #expect(rows > 1500 && rows < 2000)
  }
}
