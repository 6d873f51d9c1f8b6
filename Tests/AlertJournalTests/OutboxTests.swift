import KeyValueStore
import Pipeline
import Testing
import VitalModel

@testable import AlertJournal

/// What becomes of rows that could not be delivered: digests, dead letters, parking.
@Suite struct OutboxTests {
  private func queue(_ rows: [OutboxRow], in store: VigilStore) throws -> [QueuedRow] {
    var effects = Effects()
    effects.outbox = rows
    return try EffectsWriter(store: store, shard: 0).write(effects)
  }

  private func digest(_ id: String = "digest-1", receiver: String = "ward") -> OutboxRow {
    OutboxRow(
      receiver: receiver, webhookID: id + "-1", alertID: id, sequence: 1, type: "alert.digest", priority: .high,
      createdMs: 9_000, body: Array("{}".utf8))
  }

  @Test("E6: a digest takes the place of what it covers in one write, and nothing covered is queued again")
  func digestReplacesRows() throws {
    var open = try OpenStore()
    let rows = (1...4).map { outboxRow("w\($0)", alertID: "a\($0)") }
    let queued = try queue(rows, in: open.store)
    let covered = queued.prefix(3).map(\.order)
    let made = try open.store.outbox.putDigest(digest(), of: ["a1", "a2", "a3"], covering: covered, atMs: 9_000)
    #expect(made?.order == 5)
    try open.restart()
    defer { open.store.close() }
    let outbox = open.store.outbox
    #expect(try outbox.all().map(\.row.webhookID) == ["w4", "digest-1-1"])
    #expect(try outbox.members(of: 5) == ["a1", "a2", "a3"])
    #expect(try outbox.members(of: 4).isEmpty)
    // Derived again after a crash: known, whether covered or owed.
    #expect(try queue(rows, in: open.store).isEmpty)
    let trace = try open.store.alerts.deliveries(alertID: "a1")
    #expect(trace.map(\.detail) == ["joined digest-1-1"] && trace.allSatisfy { !$0.isDelivered })
    // Delivered, it leaves nothing behind but its mark.
    #expect(try outbox.recordAttempt(5, timeMs: 9_100, status: 204, isDelivered: true, isFinal: true))
    #expect(try outbox.members(of: 5).isEmpty)
    #expect(try outbox.isKnown(receiver: "ward", webhookID: "digest-1-1"))
  }

  @Test("a digest of rows that are gone meanwhile, or under a known id, is not written")
  func digestOfNothing() throws {
    let open = try OpenStore()
    defer { open.store.close() }
    let outbox = open.store.outbox
    let queued = try queue([outboxRow("w1"), outboxRow("w2")], in: open.store)
    try outbox.remove(1, atMs: 1_000)
    #expect(try outbox.putDigest(digest(), of: ["a1"], covering: [1, 77], atMs: 9_000) == nil)
    #expect(try outbox.all() == [queued[1]])
    #expect(try outbox.putDigest(digest(), of: ["a1"], covering: [1, 2], atMs: 9_000) != nil)
    let more = try queue([outboxRow("w3")], in: open.store)
    #expect(try outbox.putDigest(digest(), of: ["a1"], covering: more.map(\.order), atMs: 9_500) == nil)
    #expect(try outbox.all().map(\.row.webhookID) == ["digest-1-1", "w3"], "the rows of a refused digest stay owed")
  }

  @Test("a dead letter leaves the outbox, survives a restart, is never queued anew, and comes back whole by a replay")
  func deadLetters() throws {
    var open = try OpenStore()
    let rows = [outboxRow("w1"), outboxRow("w2", receiver: "night"), outboxRow("w3")]
    let queued = try queue(rows, in: open.store)
    try open.store.outbox.recordAttempt(1, timeMs: 2_000, status: 400, isDelivered: false, isFinal: false)
    #expect(try open.store.outbox.bury([1, 2, 99], .refused, atMs: 5_000).map(\.order) == [1, 2])
    try open.restart()
    defer { open.store.close() }
    let outbox = open.store.outbox
    #expect(try outbox.all().map(\.order) == [3])
    #expect(try queue(rows, in: open.store).isEmpty)
    let letters = try outbox.deadLetters()
    #expect(letters.map(\.queued.row) == [rows[0], rows[1]])
    #expect(letters.map(\.queued.attempts) == [1, 0])
    #expect(letters.allSatisfy { $0.reason == .refused && $0.timeMs == 5_000 })
    #expect(try outbox.deadLetters(receiver: "night").map(\.queued.order) == [2])
    #expect(try outbox.deadLetterCount() == 2 && outbox.deadLetters(limit: 1).count == 1)
    #expect(try outbox.replay([1, 1, 50]).map(\.order) == [1])
    #expect(try outbox.all() == [queued[0], queued[2]])
    #expect(try outbox.deadLetter(1) == nil && outbox.deadLetter(2) != nil)
    #expect(try outbox.trimDeadLetters(olderThan: 5_000) == 0)
    #expect(try outbox.trimDeadLetters(olderThan: 5_001) == 1)
    #expect(try outbox.deadLetterCount() == 0)
    #expect(try outbox.isKnown(receiver: "night", webhookID: "w2"), "its mark stays as long as the journal")
    #expect(try outbox.trimMarks(olderThan: 5_001) == 1)
    #expect(try !outbox.isKnown(receiver: "night", webhookID: "w2"))
  }

  @Test("a dead digest keeps its list, for a replay")
  func deadDigest() throws {
    let open = try OpenStore()
    defer { open.store.close() }
    let outbox = open.store.outbox
    _ = try queue([outboxRow("w1")], in: open.store)
    let order = try #require(try outbox.putDigest(digest(), of: ["a1"], covering: [1], atMs: 9_000)?.order)
    _ = try outbox.bury([order], .parked, atMs: 9_500)
    _ = try outbox.replay([order])
    #expect(try outbox.members(of: order) == ["a1"])
  }

  @Test("since when a receiver is parked survives a restart and ends when it takes a webhook")
  func parking() throws {
    var open = try OpenStore()
    try open.store.outbox.noteParked(receiver: "ward", atMs: 1_000)
    try open.store.outbox.noteParked(receiver: "ward", atMs: 2_000)
    try open.restart()
    defer { open.store.close() }
    #expect(try open.store.outbox.parkedSince(receiver: "ward") == 1_000)
    #expect(try open.store.outbox.parkedSince(receiver: "night") == nil)
    try open.store.outbox.noteTaken(receiver: "ward")
    #expect(try open.store.outbox.parkedSince(receiver: "ward") == nil)
  }

  @Test("a damaged dead letter is an error that names it")
  func damage() throws {
    let open = try OpenStore()
    defer { open.store.close() }
    _ = try queue([outboxRow("w1")], in: open.store)
    _ = try open.store.outbox.bury([1], .refused, atMs: 5_000)
    try open.overwrite(open.store.families.outbox, OutboxTable.deadKey(1), with: [1, 2, 3])
    #expect(throws: JournalError.damaged(family: "outbox", position: 1, .tooShort(bytes: 3))) {
      try open.store.outbox.deadLetters()
    }
  }
}
