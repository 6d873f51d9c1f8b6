import Foundation
import KeyValueStore
import Pipeline
import Synchronization
import Testing

@testable import AlertJournal

@Suite struct KeyRotationTests {
  @Test func aNewMasterKeyOpensEverythingAndTheOldOneNothing() throws {
    var ward = try SealedWard()
    let expected = try SealedWard.contents(ward.store)
    // Readers opened before go on; they have what they need.
    let before = try VigilStore.openReadOnly(
      path: ward.path, scratch: ward.folder.entry("before"), key: SealedWard.master())
    defer { before.close() }
    let service = try #require(KeyService(ward.store))
    let rows = try service.rotateMaster(
      to: SealedWard.master(SealedWard.otherText), actor: "nurse-anna", detail: "file", atMs: 9)
    // The names', the store's, two tenants', four hours'.
    #expect(rows == 8)
    #expect(try SealedWard.contents(before) == expected)
    // A patient new since then, and what is written now.
    try ward.journalBatch(
      401...420, entries: [.patient(number: 3, tenant: "east-wing", patient: "mrn-4714-delta")])
    let after = try SealedWard.contents(ward.store)
    #expect(after.count > expected.count + 20)
    #expect(throws: StoreError.self) {
      try VigilStore.openReadOnly(path: ward.path, scratch: ward.folder.entry("old"), key: SealedWard.master())
    }
    try ward.restart(SealedWard.otherText)
    #expect(try SealedWard.contents(ward.store) == after)
    let actions = try auditActions(ward.store)
    #expect(actions.last == "keys.rotate master by nurse-anna")
    #expect(try ward.store.audit.verify().brokenAt == nil)
  }

  @Test func aTenantsNewKeyWrapsItsPatientsAndNobodyElses() throws {
    var ward = try SealedWard()
    let expected = try SealedWard.contents(ward.store).filter { !$0.hasPrefix("audit") }
    let reader = try VigilStore.openReadOnly(
      path: ward.path, scratch: ward.folder.entry("reader"), key: SealedWard.master())
    defer { reader.close() }
    let service = try #require(KeyService(ward.store))
    #expect(try service.rotateTenant("no-such-wing", actor: "a", atMs: 1) == nil)
    #expect(try service.rotateTenant("north-wing", actor: "a", atMs: 1) == 2)
    #expect(try service.rotateTenant("north-wing", actor: "a", atMs: 1) == 2)
    var status = try service.status()
    #expect(status.tenants.map(\.name) == ["north-wing", "south-wing"])
    #expect(status.tenants.map(\.generation) == [3, 1] && status.tenants.map(\.patients) == [2, 1])
    #expect(try service.rotateTenant(nil, actor: "a", atMs: 1) == 3)
    status = try service.status()
    #expect(status.tenants.map(\.generation) == [4, 2])
    // The keys it had are gone.
    #expect(try #require(ward.store.vault).ring.table.holds(KeyRow.tenant(1, 3)) == false)
    func look(_ store: VigilStore) throws -> [String] {
      try SealedWard.contents(store).filter { !$0.hasPrefix("audit") }
    }
    #expect(try look(reader) == expected)
    try reader.store.catchUp()
    #expect(try look(reader) == expected)
    #expect(try look(ward.store) == expected)
    try ward.restart()
    #expect(try look(ward.store) == expected)
  }

  @Test func theStoresOwnKeyIsReplacedLongBeforeItsNoncesRunOut() throws {
    let ward = try SealedWard()
    let ring = try #require(ward.store.vault).ring
    let before = ring.state.withLock { state in
      state.seals = KeyRing.sealsMax
      return state.storeGeneration
    }
    let batch = ward.store.makeBatch()
    ward.store.registry.put(JournalCounters(), in: batch)
    try ward.store.write(batch, sync: false)
    #expect(ring.state.withLock { $0.storeGeneration } == before + 1)
    #expect(try ward.store.registry.counters() == JournalCounters())
    // Seals are counted on disk in steps, so that a restart does not begin from nothing.
    ward.store.close()
    let store = try VigilStore.open(path: ward.path, key: SealedWard.master())
    defer { store.close() }
    let again = try #require(store.vault).ring.state.withLock { $0.seals }
    #expect(again >= KeyRing.sealsReserved && again <= 2 * KeyRing.sealsReserved)
    #expect(try SealedWard.contents(store).count > 400)
  }

  @Test func holdsAreKept() throws {
    var ward = try SealedWard()
    let batch = ward.store.makeBatch()
    ward.store.holds.hold(1, atMs: 77, in: batch)
    ward.store.holds.hold(2, atMs: 78, in: batch)
    ward.store.holds.release(2, in: batch)
    try ward.store.write(batch, sync: true)
    try ward.restart()
    #expect(try ward.store.holds.all() == [1: 77])
    #expect(try ward.store.holds.isHeld(1) && !ward.store.holds.isHeld(2))
  }
}

func auditActions(_ store: VigilStore) throws -> [String] {
  var found: [String] = []
  try store.audit.read { row in
    found.append("\(row.entry.action) \(row.entry.subject) by \(row.entry.actor)")
    return true
  }
  return found
}

@Suite struct StoreSealingTests {
  @Test func aPlainStoreBecomesAnEncryptedOne() throws {
    var ward = try SealedWard(isSealed: false)
    try ward.store.store.flush()
    let expected = try SealedWard.contents(ward.store)
    ward.store.close()
    let rows = try StoreSealing.seal(path: ward.path, key: try SealedWard.master()).rows
    #expect(rows > 60)
    let left = try SealedWard.found(SealedWard.secrets, in: ward.path)
    #expect(left == [])
    try ward.restart()
    #expect(try SealedWard.contents(ward.store) == expected)
    #expect(try ward.store.outbox.isKnown(receiver: "ward-receiver", webhookID: "webhook-id-1"))
    #expect(try ward.store.actions.silence(SealedWard.silence) != nil)
    ward.store.close()
    #expect(throws: StoreError.sealed("it is sealed already")) {
      try StoreSealing.seal(path: ward.path, key: try SealedWard.master())
    }
    ward.store = try VigilStore.open(path: ward.path, key: SealedWard.master())
  }

  /// Killed at several places: nothing but the same command opens it, and that ends with the same store.
  @Test func aSealingThatWasKilledIsTakenUpAgain() throws {
    let ward = try SealedWard(isSealed: false)
    let expected = try SealedWard.contents(ward.store)
    ward.store.close()
    let key = try SealedWard.master()
    var copies: [String] = []
    _ = try StoreSealing.seal(path: ward.path, key: key) { seen in
      guard [1, 20, 40, 60].contains(seen) else { return }
      let copy = ward.folder.entry("killed-\(seen)")
      copies.append(copy)
      try? FileManager.default.copyItem(atPath: ward.path, toPath: copy)
    }
    #expect(copies.count == 4)
    for copy in copies {
      #expect(throws: StoreError.sealed("its sealing was interrupted: run `vigil keys seal` again to finish it")) {
        try VigilStore.open(path: copy, key: key)
      }
      #expect(throws: StoreError.self) { try VigilStore.open(path: copy) }
      _ = try StoreSealing.seal(path: copy, key: key)
      let left = try SealedWard.found(SealedWard.secrets, in: copy)
      #expect(left == [])
      let store = try VigilStore.open(path: copy, key: key)
      defer { store.close() }
      #expect(try SealedWard.contents(store) == expected)
    }
  }
}
