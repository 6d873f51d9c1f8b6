import Digests
import KeyValueStore
import Testing
import VitalModel

@testable import AlertJournal

@Suite struct QuarantineTests {
  private func item(
    _ reason: QuarantineReason, _ receivedMs: Int64, device: String = "d1", bytes: [UInt8] = [1, 2]
  ) -> QuarantineItem {
    QuarantineItem(
      reason: reason, receivedMs: receivedMs, tenant: "north", device: device, topic: "vigil/north/\(device)/vitals",
      contentType: "application/json", observations: 3, bytes: bytes)
  }

  private func put(_ items: [QuarantineItem], in store: VigilStore) throws -> [QuarantineID] {
    let batch = store.makeBatch()
    let ids = items.map { store.quarantine.put($0, in: batch) }
    try store.write(batch, sync: false)
    return ids
  }

  @Test func itemsAreListedByReasonDeviceAndPlace() throws {
    var open = try OpenStore()
    let ids = try put(
      [
        item(.malformed, 10), item(.oversize, 10, device: "d2"), item(.malformed, 5, device: "d2"),
        item(.malformed, 30),
      ], in: open.store)
    try open.restart()
    defer { open.store.close() }
    let quarantine = open.store.quarantine
    #expect(try quarantine.list(limit: 10).map(\.id) == [ids[2], ids[0], ids[1], ids[3]])
    #expect(try quarantine.list(reason: .malformed, limit: 10).map(\.id) == [ids[2], ids[0], ids[3]])
    #expect(try quarantine.list(reason: .malformed, device: "d2", limit: 10).map(\.id) == [ids[2]])
    #expect(try quarantine.list(from: ids[1], limit: 10).map(\.id) == [ids[1], ids[3]])
    #expect(try quarantine.list(limit: 2).count == 2)
    let counts = try quarantine.counts()
    #expect(counts.map(\.items) == [2, 1, 1] && counts.map(\.observations) == [6, 3, 3])
    #expect(counts.map(\.place.device) == ["d1", "d2", "d2"])
    // Numbers go on after the restart, though the newest time has not the highest number of its own.
    #expect(try put([item(.malformed, 1)], in: open.store) == [QuarantineID(receivedMs: 1, ordinal: 5)])
  }

  @Test func resubmittedItemsAreMarked() throws {
    let open = try OpenStore()
    defer { open.store.close() }
    let id = try put([item(.unassignedDevice, 10)], in: open.store)[0]
    let batch = open.store.makeBatch()
    #expect(try open.store.quarantine.markResubmitted(id, in: batch))
    #expect(try !open.store.quarantine.markResubmitted(QuarantineID(receivedMs: 10, ordinal: 99), in: batch))
    try open.store.write(batch, sync: false)
    let found = try #require(try open.store.quarantine.get(id))
    #expect(found.entry.isResubmitted && found.bytes == [1, 2])
    #expect(found.entry.topic == "vigil/north/d1/vitals" && found.entry.contentType == "application/json")
    #expect(try open.store.quarantine.get(QuarantineID(receivedMs: 0, ordinal: 1)) == nil)
  }

  @Test func ofALargeMessageTheFrontIsKept() throws {
    let open = try OpenStore()
    defer { open.store.close() }
    var random = SplitMix64(state: 1)
    let bytes = random.bytes(QuarantineTable.keptBytesMax + 1000)
    let id = try put([item(.oversize, 10, bytes: bytes)], in: open.store)[0]
    let found = try #require(try open.store.quarantine.get(id))
    #expect(found.bytes == Array(bytes.prefix(QuarantineTable.keptBytesMax)))
    #expect(found.entry.size == bytes.count && found.entry.digest == sha256(bytes))
  }

  @Test func oldItemsAreTrimmed() throws {
    let open = try OpenStore()
    defer { open.store.close() }
    let ids = try put([item(.malformed, 10), item(.malformed, 20)], in: open.store)
    let batch = open.store.makeBatch()
    open.store.quarantine.trim(olderThan: 20, in: batch)
    try open.store.write(batch, sync: false)
    #expect(try open.store.quarantine.list(limit: 10).map(\.id) == [ids[1]])
    #expect(try open.store.quarantine.get(ids[0]) == nil)
  }

  @Test func namesAreReadBack() {
    for id in [QuarantineID(receivedMs: -5, ordinal: 0), QuarantineID(receivedMs: .max, ordinal: .max)] {
      #expect(QuarantineID(text: id.text) == id)
    }
    for text in ["", "-", "5", "5-", "-5", "x-1", "5--1", "5-x"] { #expect(QuarantineID(text: text) == nil) }
  }
}
