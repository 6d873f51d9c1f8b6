import Foundation
import KeyValueStore
import Pipeline
import Testing
import VitalModel

@testable import AlertJournal

@Suite struct VaultTests {
  @Test func anEncryptedStoreHoldsWhatAPlainOneDoes() throws {
    let plain = try SealedWard(isSealed: false)
    var sealed = try SealedWard()
    let expected = try SealedWard.contents(plain.store)
    #expect(expected.count > 450)
    #expect(try SealedWard.contents(sealed.store) == expected)
    try sealed.restart()
    #expect(try SealedWard.contents(sealed.store) == expected)
    #expect(sealed.store.isEncrypted && !plain.store.isEncrypted)
    let reader = try VigilStore.openReadOnly(
      path: sealed.path, scratch: sealed.folder.entry("scratch"), key: SealedWard.master())
    defer { reader.close() }
    #expect(try SealedWard.contents(reader) == expected)
  }

  @Test func noFileHoldsATextInClear() throws {
    let plain = try SealedWard(isSealed: false)
    // What is looked for can be found: in the log at once, in files after a flush.
    let exposed = Set(try SealedWard.found(SealedWard.secrets, in: plain.path).map { $0.split(separator: " in ")[0] })
    #expect(exposed.count == Set(SealedWard.secrets).count)
    let sealed = try SealedWard()
    #expect(try SealedWard.found(SealedWard.secrets, in: sealed.path) == [])
    try sealed.store.store.flush()
    for name in try sealed.store.store.familyNames() {
      try sealed.store.store.compactRange(try sealed.store.store.family(name), rewriteAll: true)
    }
    #expect(try SealedWard.found(SealedWard.secrets, in: sealed.path) == [])
    sealed.store.close()
    #expect(try SealedWard.found(SealedWard.secrets, in: sealed.path) == [])
  }

  @Test func whatWasWrittenIsReadableAfterAKill() throws {
    let ward = try SealedWard()
    // As a kill leaves it: the files as they are, without a close.
    let copy = ward.folder.entry("copy")
    try FileManager.default.copyItem(atPath: ward.path, toPath: copy)
    let store = try VigilStore.open(path: copy, key: SealedWard.master())
    defer { store.close() }
    #expect(try SealedWard.contents(store) == SealedWard.contents(ward.store))
  }

  @Test func keysAndStoresThatDoNotFitSaySoInOneLine() throws {
    func refusal(_ body: () throws -> VigilStore) -> String {
      do {
        try body().close()
        return "opened"
      } catch {
        return "\(error)"
      }
    }
    let sealed = try SealedWard()
    sealed.store.close()
    let plain = try SealedWard(isSealed: false)
    plain.store.close()
    let wrong = try SealedWard.master(SealedWard.otherText)
    let lines = [
      refusal { try VigilStore.open(path: sealed.path) },
      refusal { try VigilStore.open(path: sealed.path, key: wrong) },
      refusal { try VigilStore.open(path: plain.path, key: wrong) },
      refusal { try VigilStore.openReadOnly(path: sealed.path, scratch: sealed.folder.entry("s")) },
    ]
    #expect(lines[0].contains("the store is encrypted: name its key") && lines[3] == lines[0])
    #expect(lines[1].contains("the master key is not the one this store is encrypted under"))
    #expect(lines[2].contains("the store is not encrypted: stop the service and run `vigil keys seal`"))
    #expect(lines.allSatisfy { !$0.contains("\n") })
  }

  @Test func masterKeysAreReadStrictly() throws {
    let text = try MasterKey.make()
    #expect(MasterKey(text: text) != nil && MasterKey(text: text + "\r\n") != nil)
    #expect(MasterKey(text: "WlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlo=") != nil)
    for wrong in ["", "5a", text + "00", String(text.dropLast()) + "g", " " + text, "password"] {
      #expect(MasterKey(text: wrong) == nil, "\(wrong.count) characters")
    }
  }

  // MARK: Values that are not where or what they were

  private func kept(_ store: VigilStore, _ family: Family) throws -> [(key: [UInt8], value: [UInt8])] {
    let iterator = try store.store.iterator(family)
    defer { iterator.close() }
    var rows: [(key: [UInt8], value: [UInt8])] = []
    var isAt = try iterator.seekToFirst()
    while isAt {
      rows.append(([UInt8](iterator.key), [UInt8](iterator.keptValue)))
      isAt = try iterator.next()
    }
    return rows
  }

  @Test func aValueOpensOnlyWhereItWasWritten() throws {
    let ward = try SealedWard()
    let vault = try #require(ward.store.vault)
    func opens(_ value: [UInt8], _ family: String, _ key: [UInt8]) -> Bool {
      let result = value.withUnsafeBytes { value in
        key.withUnsafeBytes { key in try? vault.open(value, family: family, key: key) }
      }
      return result != nil
    }
    var rows: [(family: String, key: [UInt8], value: [UInt8])] = []
    for family in [ward.store.families.chunks, ward.store.families.rollups, ward.store.families.alerts] {
      rows += try kept(ward.store, family).map { (family.name, $0.key, $0.value) }
    }
    for row in rows {
      #expect(opens(row.value, row.family, row.key))
      // Same key in another family, and every other row's place.
      #expect(!opens(row.value, row.family == "chunks" ? "rollups" : "chunks", row.key))
      for other in rows where other.family != row.family || other.key != row.key {
        #expect(!opens(row.value, other.family, other.key))
      }
    }
  }

  @Test func noChangedBitOpensAndNothingTraps() throws {
    let ward = try SealedWard()
    let vault = try #require(ward.store.vault)
    let key = bigEndian(1) + bigEndian(1) + [UInt8](repeating: 0, count: 16)
    let value = try #require(try kept(ward.store, ward.store.families.chunks).first { $0.key == key }).value
    func open(_ value: [UInt8]) -> [UInt8]? {
      value.withUnsafeBytes { value in
        key.withUnsafeBytes { key in try? vault.open(value, family: "chunks", key: key) }
      }
    }
    #expect(open(value) == Array("CHUNK-OF-VALUES 1".utf8))
    for bit in 0..<(value.count * 8) {
      var changed = value
      changed[bit / 8] ^= 1 << UInt8(bit % 8)
      #expect(open(changed) == nil, "bit \(bit)")
    }
    for count in 0..<value.count { #expect(open(Array(value[..<count])) == nil) }
    var random = SplitMix64(state: 20_261_121)
    for _ in 0..<20_000 {
      var bytes = random.bytes(Int(random.next() % 80))
      // Half of them get past the first look.
      if random.one(in: 2), bytes.count > 2 { (bytes[0], bytes[1]) = (0xE1, UInt8(random.next() % 4) | 0x10) }
      #expect(open(bytes) == nil, "seed 20261121")
    }
  }

  @Test func aPlainValueInAnEncryptedStoreIsRefused() throws {
    let ward = try SealedWard()
    let key = bigEndian(1) + bigEndian(1) + [UInt8](repeating: 0, count: 16)
    let batch = ward.store.makeBatch()
    key.withUnsafeBytes { key in
      Array("CHUNK-OF-VALUES 9".utf8).withUnsafeBytes {
        batch.putAsKept(ward.store.families.chunks, key: key, value: $0)
      }
    }
    try ward.store.write(batch, sync: false)
    let refusal = StoreError.sealed("a value of family chunks is not sealed, in a store that is")
    #expect(throws: refusal) { try ward.store.store.get(ward.store.families.chunks, key: key) }
  }

  @Test func oneDamagedBatchDoesNotHideTheOthers() throws {
    let ward = try SealedWard()
    let rows = try kept(ward.store, ward.store.families.journal)
    let batch = ward.store.makeBatch()
    rows[3].key.withUnsafeBytes { key in
      Array(rows[4].value).withUnsafeBytes { batch.putAsKept(ward.store.families.journal, key: key, value: $0) }
    }
    try ward.store.write(batch, sync: false)
    var damage: [JournalError] = []
    var count = 0
    try ward.store.journal.read(from: 0, onDamage: { damage.append($0) }) { _ in count += 1 }
    #expect(damage == [.damaged(family: "journal", position: 61, .tooShort(bytes: 0))])
    #expect("\(damage[0])".contains("sealed and not to be opened"))
    #expect(count > 350)
  }

  // MARK: Names in keys

  @Test func keysOfRowsCarryIntegersAndNothingToRead() throws {
    let ward = try SealedWard()
    for name in try ward.store.store.familyNames() where name != "meta" && name != "default" {
      for (key, _) in try kept(ward.store, try ward.store.store.family(name)) {
        let data = Data(key)
        for text in SealedWard.secrets { #expect(data.range(of: Data(text.utf8)) == nil) }
      }
    }
    #expect(try ward.store.actions.silence(SealedWard.silence)?.silence.reason == "physiotherapy")
    #expect(try ward.store.actions.silences(limit: 1).map(\.silence.id) == ["s-019a1f3c9e58a1b2c3d4"])
    #expect(try ward.store.outbox.isKnown(receiver: "ward-receiver", webhookID: "webhook-id-1"))
    #expect(try ward.store.alerts.transitions(alertID: SealedWard.alerts[0]).count == 2)
  }

  // MARK: Keys of hours

  @Test func trimmingDestroysTheKeysOfItsHours() throws {
    var ward = try SealedWard()
    let vault = try #require(ward.store.vault)
    let rows = try kept(ward.store, ward.store.families.journal)
    #expect(try vault.ring.hourRows().count == 4)
    let trimmed = try ward.store.journal.trim(olderThan: SealedWard.firstIngest + 2 * 3_600_000, keepFrom: 1000)
    #expect(trimmed.firstPosition == 181)
    #expect(try vault.ring.hourRows().map(\.first) == [101, 201, 301])
    let old = rows[0]
    #expect(throws: StoreError.self) {
      try old.value.withUnsafeBytes { value in
        try old.key.withUnsafeBytes { try vault.open(value, family: "journal", key: $0) }
      }
    }
    // What is still there reads, now and after a restart, and the hour goes on under the key it has.
    #expect(try SealedWard.positions(ward.store, from: 181) == Array(181...400))
    try ward.restart()
    let before = try #require(ward.store.vault).ring.hourRows().count
    var late = SealedWard.slot(401)
    late.ingestTime = SealedWard.firstIngest + 3 * 3_600_000 + 500
    try OpenStore.append([late], to: ward.store)
    #expect(try #require(ward.store.vault).ring.hourRows().count == before)
    #expect(try SealedWard.positions(ward.store, from: 181) == Array(181...401))
  }

  @Test func aClockThatGoesBackGetsAKeyOfItsOwn() throws {
    let ward = try SealedWard(fill: false)
    let vault = try #require(ward.store.vault)
    func batch(_ position: UInt64, hour: Int64) throws {
      var slot = SealedWard.slot(position)
      slot.ingestTime = hour * 3_600_000
      var encoder = JournalBatchEncoder()
      encoder.append(slot)
      let batch = ward.store.makeBatch()
      try ward.store.journal.append(encoder.finish(partitions: 1), to: batch)
      try ward.store.write(batch, sync: false)
    }
    for (position, hour) in [10, 11, 10, 10, 12].enumerated() { try batch(UInt64(position) + 1, hour: Int64(hour)) }
    let rows = try vault.ring.hourRows()
    #expect(rows.map(\.number) == [10, 10, 11, 12] && rows.map(\.generation) == [1, 2, 1, 1])
    // The hour that came back outlives the hour it went back from.
    #expect(try vault.ring.retireHours(before: 3) == 2)
    #expect(try SealedWard.positions(ward.store, from: 3) == [3, 4, 5])
    #expect(try vault.ring.hourRows().map(\.first).sorted() == [3, 5])
  }
}
