import Foundation
import KeyValueStore
import Pipeline
import Testing

@testable import AlertJournal

/// Rows put aside are as well kept as those in the store, and go with their patient.
@Suite struct DamagedFilesTests {
  private func names(_ path: String) throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: path + "/damaged").sorted()
  }

  @Test func sealingAStoreSealsWhatWasPutAside() throws {
    let ward = try SealedWard(isSealed: false)
    ward.store.close()
    let alert = Array(SealedWard.alerts[1].utf8)
    let key = [0x02, 0, UInt8(alert.count)] + alert
    for (family, key) in [
      ("alerts", key), ("outbox", [0x01, 0, 0, 0, 0, 0, 0, 0, 9]), ("alerts", [0x02, 0xFF] + alert),
    ] {
      _ = try DamagedPlace.put(
        Array("row of \(SealedWard.ids[0])".utf8), family: family, key: key, store: ward.path)
    }
    let report = try StoreSealing.seal(path: ward.path, key: try SealedWard.master())
    #expect(report.damagedFiles == 3 && report.strangeKeys == 0)
    #expect(try SealedWard.found([SealedWard.ids[0]], in: ward.path + "/damaged") == [])
    let plain = alert.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    #expect(try names(ward.path).count == 3 && names(ward.path).allSatisfy { !$0.contains(plain) })
    let store = try VigilStore.open(path: ward.path, key: SealedWard.master())
    defer { store.close() }
    let files = DamagedFiles(store: ward.path, vault: try #require(store.vault))
    for name in try files.names() {
      #expect(files.open(name) == Array("row of \(SealedWard.ids[0])".utf8), "\(name)")
    }
  }

  @Test func aRowWithAKeyThatIsNoneIsSealedAndTold() throws {
    let ward = try SealedWard(isSealed: false)
    let batch = ward.store.makeBatch()
    batch.put(ward.store.families.outbox, key: [0x06, 9, 9, 9], value: Array("words in clear".utf8))
    try ward.store.write(batch, sync: true)
    ward.store.close()
    let report = try StoreSealing.seal(path: ward.path, key: try SealedWard.master())
    #expect(report.strangeKeys == 1)
    #expect(try SealedWard.found(["words in clear"], in: ward.path) == [])
    let store = try VigilStore.open(path: ward.path, key: SealedWard.master())
    defer { store.close() }
    let value = try store.store.get(store.families.outbox, key: [0x06, 9, 9, 9])
    #expect(value == Array("words in clear".utf8))
  }

  @Test func whatWasPutAsideGoesWithItsPatient() throws {
    let ward = try SealedWard()
    let families = ward.store.families
    var wanted: [String] = []
    func putAside(_ family: Family, _ lower: [UInt8], isKept: Bool, damage: Bool = false) throws {
      let iterator = try ward.store.store.iterator(family, lower: lower)
      defer { iterator.close() }
      #expect(try iterator.seekToFirst())
      var kept = [UInt8](iterator.keptValue)
      if damage { kept[kept.count - 1] ^= 1 }
      let name = try DamagedPlace.put(kept, family: family.name, key: [UInt8](iterator.key), store: ward.path)
      if isKept { wanted.append(name) }
    }
    try putAside(families.chunks, bigEndian(0), isKept: false)
    try putAside(families.chunks, bigEndian(1), isKept: true)
    try putAside(families.rollups, bigEndian(2), isKept: false, damage: true)
    try putAside(families.journal, Journal.key(101), isKept: false)
    try putAside(families.alerts, [0x01] + bigEndian(0), isKept: false)
    try putAside(families.alerts, [0x01] + bigEndian(2), isKept: true)
    try putAside(families.outbox, OutboxTable.rowKey(1), isKept: false)
    try putAside(families.outbox, OutboxTable.rowKey(2), isKept: true)
    let notes = ["strange", "chunks-zz"]
    for name in notes {
      try Data("left in clear".utf8).write(to: URL(fileURLWithPath: ward.path + "/damaged/" + name))
    }
    try FileManager.default.createDirectory(atPath: ward.path + ".damaged-7", withIntermediateDirectories: true)
    ward.store.close()
    let order = PatientErasure.Order(patient: 0, actor: "a", reason: "on request", timeMs: 9)
    let report = try PatientErasure.erase(path: ward.path, key: SealedWard.master(), order)
    #expect(try names(ward.path) == wanted.sorted())
    #expect(report.damagedFilesRemoved == 5 + notes.count)
    #expect(report.leftovers == [ward.path + ".damaged-7"])
    let store = try VigilStore.open(path: ward.path, key: SealedWard.master())
    defer { store.close() }
    let files = DamagedFiles(store: ward.path, vault: try #require(store.vault))
    for name in wanted { #expect(files.open(name) != nil, "\(name)") }
  }

  @Test func aKeyReadAfterTheMasterKeyWasChangedSaysSo() throws {
    let ward = try SealedWard()
    defer { ward.store.close() }
    let reader = try VigilStore.openReadOnly(
      path: ward.path, scratch: ward.folder.entry("reader"), key: SealedWard.master())
    defer { reader.close() }
    let service = try #require(KeyService(ward.store))
    _ = try service.rotateMaster(to: SealedWard.master(SealedWard.otherText), actor: "a", detail: "", atMs: 1)
    try reader.store.catchUp()
    #expect(
      throws: StoreError.sealed("the master key was changed while this was open: open it again with the new one")
    ) { try reader.store.get(reader.families.journal, key: Journal.key(1)) }
  }
}
