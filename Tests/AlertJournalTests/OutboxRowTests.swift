import Compression
import KeyValueStore
import Testing
import VitalModel

@testable import AlertJournal

/// Rows of the outbox as bytes (docs/formats/outbox.md).
@Suite struct OutboxRowTests {
  /// A row as version 1 wrote it: nothing after the body.
  private func version1(_ row: OutboxRow) -> [UInt8] {
    SealedValue.seal { out in
      out.append(counted: row.receiver)
      out.append(counted: row.webhookID)
      out.append(counted: row.alertID)
      out.append(varint: UInt64(row.sequence))
      out.append(counted: row.type)
      out.append(row.priority.rawValue)
      out.append(littleEndian: row.createdMs)
      out.append(varint: 4)
      out.append(littleEndian: Int64(77))
      out.append(counted: row.body)
    }
  }

  private func rowKey(_ order: UInt64) -> [UInt8] {
    var key = KeyBuilder()
    key.append(UInt8(0x01))
    key.append(order)
    return key.bytes
  }

  @Test func contentTypeAndHeadersOutliveARestart() throws {
    var open = try OpenStore()
    var row = outboxRow("w1")
    row.contentType = "application/fhir+json"
    row.headers = [WebhookHeader("Accept", "application/fhir+json"), WebhookHeader("Prefer", "return=minimal")]
    var effects = Effects()
    effects.outbox = [row, outboxRow("w2")]
    _ = try EffectsWriter(store: open.store, shard: 0).write(effects, sync: false)
    try open.restart()
    defer { open.store.close() }
    #expect(try open.store.outbox.all().map(\.row) == [row, outboxRow("w2")])
    #expect(try open.store.outbox.recordAttempt(1, timeMs: 5, status: 500, isDelivered: false, isFinal: false))
    #expect(try open.store.outbox.all()[0].row == row)
  }

  @Test func rowsOfVersion1AreStillReadAndTried() throws {
    let open = try OpenStore()
    defer { open.store.close() }
    let row = outboxRow("w1")
    try open.overwrite(open.store.families.outbox, rowKey(1), with: version1(row))
    let read = try open.store.outbox.all()
    #expect(read.map(\.row) == [row])
    #expect(read[0].row.contentType == "application/json" && read[0].row.headers.isEmpty)
    #expect(read[0].attempts == 4 && read[0].lastAttemptMs == 77)
    #expect(try open.store.outbox.recordAttempt(1, timeMs: 90, status: 503, isDelivered: false, isFinal: false))
    #expect(try open.store.outbox.all().map(\.attempts) == [5])
    #expect(try open.store.outbox.all().map(\.row) == [row])
  }

  @Test func aRowOfALaterVersionIsRefused() throws {
    let open = try OpenStore()
    defer { open.store.close() }
    try open.overwrite(open.store.families.outbox, rowKey(2), with: SealedValue.seal(version: 3) { $0.append(0) })
    #expect(throws: JournalError.damaged(family: "outbox", position: 2, .laterVersion(3))) {
      try open.store.outbox.all()
    }
  }
}
