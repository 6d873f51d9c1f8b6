import AlertJournal
import Delivery
import Foundation
import TestSupport
import Testing
import VitalModel

@testable import Service

/// What is given up on, who hears of it, and how it comes back; heartbeats that come too late.
@Suite struct DeadLetterTests {
  private let nobody = "http://127.0.0.1:1/"

  @Test("a receiver gone for a day: its old rows become dead letters, also over a restart, and the others are told")
  func parkedForADay() throws {
    let inbox = try Inbox()
    try inbox.open()
    defer { inbox.close() }
    let rig = try OutboxRig([("ward", nobody), ("desk", inbox.url)])
    let old = try rig.write("a-1")[0]
    rig.keeper.noticed(.parked(receiver: "ward", status: 410))
    rig.clock.advance(hours: 12)
    try rig.restart()
    rig.keeper.begin()
    rig.keeper.upkeep()
    #expect(try rig.store.outbox.deadLetterCount() == 0)
    let young = try rig.write("a-2")[0]
    rig.clock.advance(hours: 13)
    try rig.deliver()
    rig.keeper.upkeep()
    #expect(try rig.store.outbox.deadLetters().map(\.queued.order) == [old.outboxKey])
    #expect(try rig.store.outbox.deadLetters().map(\.reason) == [.parked])
    #expect(try rig.store.outbox.row(young.outboxKey) != nil, "younger than a day")
    #expect(eventually { inbox.opened("delivery-given-up").count == 1 }, "\(inbox.requests)")
    #expect(rig.log.has("webhooks given up", "parked", "\"high\":1"))
    #expect(rig.metric("vigil_dead_letters") == 1)
    #expect(rig.metric(#"vigil_dead_letters_total{receiver="ward",reason="parked"}"#) == 1)
  }

  @Test("a parked receiver that takes a webhook is parked no longer")
  func unparked() throws {
    let rig = try OutboxRig([("ward", nobody)])
    let item = try rig.write("a-1")[0]
    rig.keeper.noticed(.parked(receiver: "ward", status: 410))
    #expect(try rig.store.outbox.parkedSince(receiver: "ward") == HandClock.start)
    rig.keeper.attempted([AttemptReport(item, .delivered(status: 204))])
    #expect(try rig.store.outbox.parkedSince(receiver: "ward") == nil)
  }

  @Test("a body refused for good is a dead letter with its history; a high one is told to the others; a replay owes it")
  func refusedForGood() throws {
    let inbox = try Inbox()
    try inbox.open()
    defer { inbox.close() }
    let rig = try OutboxRig([("ward", nobody), ("desk", inbox.url)])
    let item = try rig.write("a-1")[0]
    try rig.deliver()
    rig.keeper.attempted([
      AttemptReport(item, .refused(status: 422, retryAfterMs: nil), number: 8, isGivenUp: true)
    ])
    let letter = try #require(try rig.store.outbox.deadLetters().first)
    #expect(letter.reason == .refused && letter.queued.row.body == item.body)
    #expect(try rig.store.alerts.deliveries(alertID: "a-1").map(\.status) == [422])
    #expect(eventually { inbox.opened("delivery-given-up").count == 1 }, "\(inbox.requests)")
    #expect(rig.metric("vigil_dead_letters") == 1)
    // Nobody delivers what is owed again while it is looked at.
    rig.keeper.attach(nil)
    let elsewhere = try rig.keeper.replay([item.outboxKey], receiver: "desk")
    let again = try rig.keeper.replay([item.outboxKey], receiver: "ward")
    #expect(elsewhere == 0 && again == 1)
    #expect(try rig.store.outbox.row(item.outboxKey)?.attempts == 0)
    #expect(rig.metric("vigil_dead_letters") == 0)
  }

  @Test("rows for a receiver that is no longer configured become dead letters after a day")
  func unconfigured() throws {
    let rig = try OutboxRig([("ward", nobody)])
    var effects = Effects()
    effects.outbox = [
      OutboxRow(
        receiver: "gone", webhookID: "w-1", alertID: "w", sequence: 1, type: "alert.opened", priority: .low,
        createdMs: HandClock.start, body: [])
    ]
    _ = try EffectsWriter(store: rig.store, shard: 0).write(effects)
    rig.keeper.upkeep()
    #expect(try rig.store.outbox.deadLetterCount() == 0)
    rig.clock.advance(hours: 24)
    rig.keeper.upkeep()
    #expect(try rig.store.outbox.deadLetters().map(\.reason) == [.unconfigured])
  }

  @Test("a high alert whose last route fails is counted and logged until somebody has it")
  func unreachable() throws {
    let rig = try OutboxRig([("ward", nobody)])
    let item = try rig.write("a-1")[0]
    rig.keeper.noticed(.undelivered(item: item, attempts: 3))
    #expect(rig.metric("vigil_unreachable_high_alerts") == 1)
    #expect(rig.metric("vigil_undelivered_total") == 1)
    #expect(rig.log.has("\"level\":\"error\"", "a high alert reaches nobody", "ward"))
    rig.keeper.attempted([AttemptReport(item, .delivered(status: 204))])
    #expect(rig.metric("vigil_unreachable_high_alerts") == 0)
  }

  @Test("a high alert another receiver has is not unreachable, and one in a delivered digest is reached")
  func reached() throws {
    let rig = try OutboxRig([("ward", nobody), ("desk", nobody)])
    let items = try rig.write("a-1")
    rig.keeper.attempted([AttemptReport(items[1], .delivered(status: 204))])
    rig.keeper.noticed(.undelivered(item: items[0], attempts: 3))
    #expect(rig.metric("vigil_unreachable_high_alerts") == 0)
    let second = try rig.write("a-2")
    for item in second { rig.keeper.noticed(.undelivered(item: item, attempts: 3)) }
    #expect(rig.metric("vigil_unreachable_high_alerts") == 1)
    _ = try rig.write("a-2", 2, .end)
    rig.keeper.noticed(.digestDue(receiver: "ward", underWay: []))
    rig.keeper.makeDigestsDue()
    let digest = try #require(try rig.store.outbox.all().first { $0.row.type == "alert.digest" })
    rig.keeper.attempted([AttemptReport(Webhooks.item(digest, stillActive: false), .delivered(status: 204))])
    #expect(rig.metric("vigil_unreachable_high_alerts") == 0)
  }

  @Test("E5: an undelivered heartbeat gives way to the next and to a restart: none speaks for a later moment")
  func heartbeats() throws {
    let rig = try OutboxRig([("ward", nobody)])
    func beat(_ number: Int) throws -> [OutboxItem] {
      var effects = Effects()
      effects.outbox = [
        OutboxRow(
          receiver: "ward", webhookID: "heartbeat-\(number)-1", alertID: "heartbeat-\(number)", sequence: number,
          type: Canary.type, priority: .info, createdMs: HandClock.start, body: [])
      ]
      return try EffectsWriter(store: rig.store, shard: 0).write(effects)
        .map { Webhooks.item($0, stillActive: false) }
    }
    try rig.deliver()
    let (first, second) = (try beat(1), try beat(2))
    rig.keeper.offer(first)
    rig.keeper.offer(second)
    #expect(try rig.store.outbox.all().map(\.row.sequence) == [2])
    try rig.restart()
    rig.keeper.begin()
    #expect(try rig.store.outbox.count() == 0)
  }

  @Test("vigil deliveries: lists what is owed and given up, shows one, sends it again while nothing runs")
  func command() throws {
    let rig = try OutboxRig([("ward", nobody), ("desk", nobody)])
    let items = try rig.write("a-1")
    _ = try rig.store.outbox.bury([items[0].outboxKey], .refused, atMs: HandClock.start)
    let program = try CommandProgram("deliveries")
    let store = ["--store", rig.folder.file("store")]
    let owed = try program.run(["deliveries", "list", "--json"] + store)
    #expect(owed.status == .code(0), "\(owed.stderr)")
    #expect(commandJSON(owed.stdout)["receiver"] as? String == "desk")
    let dead = try program.run(["deliveries", "dead", "--receiver", "ward"] + store)
    #expect(dead.stdout.contains("a-1-1") && dead.stdout.contains("refused"), "\(dead.stderr)")
    let shown = try program.run(["deliveries", "show", "1", "--json"] + store)
    #expect(commandJSON(shown.stdout)["reason"] as? String == "refused")
    #expect((commandJSON(shown.stdout)["body"] as? String)?.contains("alert.opened") == true)
    let busy = try program.run(["deliveries", "replay", "1"] + store)
    #expect(busy.status == .code(75) && busy.stderr.split(separator: "\n").count == 1, "\(busy.stderr)")
    rig.close()
    let again = try program.run(["deliveries", "replay", "1"] + store)
    #expect(again.status == .code(0) && again.stdout == "1 webhook is owed again\n", "\(again.stderr)")
    let none = try program.run(["deliveries", "replay", "1"] + store)
    #expect(none.status == .code(1))
    let bad = try program.run(["deliveries", "reply"] + store)
    #expect(bad.status == .code(2) && bad.stderr.contains("did you mean `replay`?"))
  }
}
