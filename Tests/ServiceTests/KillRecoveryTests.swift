import AlertJournal
import KeyValueStore
import TestSupport
import Testing

@testable import Service

/// A store as a crash leaves it: the journal is synced, what evaluation wrote behind it is not there.
@Suite struct KillRecoveryTests {
  @Test("invariant 3, E2: an alert owed since before a crash goes out without further input, under the same id")
  func owedAlertGoesOutAtTheStart() throws {
    var options = Ward.Options()
    options.clock = "stream"
    let ward = try Ward(options)
    try ward.start()
    try ward.send("d-1", "sbp", "120", at: ward.now - 60_000)
    try ward.send("d-1", "sbp", "60", at: ward.now)
    try ward.flush()
    #expect(eventually { ward.inbox.opened("sbp-low").count == 1 })
    let told = ward.inbox.requests.map(\.webhookID)
    ward.stop()
    try ward.forgetEffects()
    try ward.start()
    #expect(eventually { ward.inbox.requests.count == 2 * told.count })
    #expect(ward.inbox.requests.map(\.webhookID).sorted() == (told + told).sorted())
    #expect(try ward.storedSamples() == 2)
  }

  @Test("E2: progress does not go back when a start brings no input")
  func progressStaysWithoutInput() throws {
    var options = Ward.Options()
    options.clock = "stream"
    let ward = try Ward(options)
    try ward.start()
    for number in 0..<50 { try ward.send("d-1", "hr", "72", at: ward.now - 60_000 + Int64(number), seq: number) }
    _ = try ward.settle(50)
    ward.stop()
    let before = try progress(of: ward)
    try ward.restart()
    ward.stop()
    let after = try progress(of: ward)
    #expect(after.count == before.count)
    for (new, old) in zip(after, before) {
      #expect(new.floor >= old.floor)
      #expect(zip(new.applied, old.applied).allSatisfy { $0 >= $1 })
    }
    #expect(before.contains { $0.floor > 0 })
  }

  private func progress(of ward: Ward) throws -> [ShardProgress] {
    let store = try VigilStore.open(path: ward.folder.file("store"))
    defer { store.close() }
    return try store.state.progress().sorted { $0.key < $1.key }.map(\.value)
  }

}

extension Ward {
  /// Takes out patient states, progress, alerts, ledger and outbox; the journal and the sealed chunks stay.
  func forgetEffects() throws {
    let store = try VigilStore.open(path: folder.file("store"))
    defer { store.close() }
    let batch = store.makeBatch()
    batch.deleteRange(store.families.state, start: [0x01], end: [0x03])
    for family in [store.families.alerts, store.families.ledger, store.families.outbox] {
      batch.deleteRange(family, start: [0x00], end: [0xFF])
    }
    try store.store.write(batch, sync: true)
  }
}
