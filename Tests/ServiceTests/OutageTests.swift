import AlertJournal
import Delivery
import Foundation
import Synchronization
import Testing
import VitalModel

@testable import Service

/// A receiver away for a day, on a clock moved by hand, through the schedule, the keeper and the store.
@Suite struct OutageTests {
  @Test(
    "invariant 4, E6: after 24 h and a restart in it, active alerts first, the ended in one digest, nothing lost, none twice"
  )
  func dayLongOutage() throws {
    let day = try OutageDay()
    try day.run()
    let ward = day.told.filter { $0.receiver == "ward" }
    let ids = ward.map(\.id)
    #expect(Set(ids).count == ids.count, "nothing twice")
    #expect(ward.allSatisfy { $0.at >= day.backAt })
    let digests = ward.filter { $0.type == "alert.digest" }
    #expect(digests.count == 1)
    #expect(ward.last?.type == "alert.digest", "active alerts first")
    let single = Set(ward.filter { $0.type != "alert.digest" }.map(\.alertID))
    #expect(single == day.active)
    #expect(day.active.count >= 5)
    let digest = try #require(digests.first)
    let listed = try OutageDay.listed(digest.body)
    #expect(Set(listed) == day.ended && listed.count == day.ended.count)
    #expect(day.ended.count >= 20)
    #expect(try day.rig.store.outbox.count() == 0)

    // For the other receiver nothing has changed: all of it, one by one, as it happened.
    let desk = day.told.filter { $0.receiver == "desk" }
    #expect(desk.map(\.id) == day.order)
    #expect(desk.allSatisfy { $0.at == $0.createdAt })

    // Derived again (E2), nothing that was delivered or joined is queued anew.
    for effects in day.rig.written {
      #expect(try EffectsWriter(store: day.rig.store, shard: 0).write(effects).isEmpty)
    }
  }

  @Test("a digest says who, what and when; a thin one ids only")
  func digestBody() throws {
    let rig = try OutboxRig([("ward", "http://127.0.0.1:1/")])
    _ = try rig.write("a-1", 1, .start, .medium)
    _ = try rig.write("a-1", 2, .end, .medium)
    let made = try rig.keeper.digests.make(
      receiver: "ward", of: rig.store.outbox.all(), now: rig.clock.wallMilliseconds())
    let row = try #require(made.digests.first?.row)
    #expect(made.covered == [1, 2])
    #expect(row.type == "alert.digest" && row.priority == .medium && row.webhookID == row.alertID + "-1")
    let text = String(decoding: row.body, as: UTF8.self)
    for part in [
      #""type":"alert.digest""#, #""count":1"#, #""alert_id":"a-1","sequence":2"#, #""priority":"medium""#,
      #""onset_time":"#, #""detected_time":"#, #""patient":"p-a-1""#, #""id":"spo2-low""#, #""phase":"end""#,
    ] { #expect(text.contains(part), "\(text)") }
  }

  @Test("a thin digest says ids only")
  func thinDigestBody() throws {
    let rig = try OutboxRig([("ward", "http://127.0.0.1:1/")], payload: .thin)
    _ = try rig.write("a-1", 1)
    _ = try rig.write("a-1", 2, .end)
    let made = try rig.keeper.digests.make(
      receiver: "ward", of: rig.store.outbox.all(), now: rig.clock.wallMilliseconds())
    let row = try #require(made.digests.first?.row)
    #expect(
      String(decoding: row.body, as: UTF8.self).contains(
        #""data":{"count":1,"alerts":[{"alert_id":"a-1","sequence":2}]}"#))
  }

  @Test("a receiver no longer known gets no digest")
  func noDigest() throws {
    let rig = try OutboxRig([("ward", "http://127.0.0.1:1/")])
    _ = try rig.write("a-1", 1)
    _ = try rig.write("a-1", 2, .end)
    let maker = DigestMaker(store: rig.store, encode: { _ in nil }, closesAlerts: { _ in true })
    let made = try maker.make(receiver: "ward", of: rig.store.outbox.all(), now: rig.clock.wallMilliseconds())
    #expect(made == DigestMaker.Outcome())
    #expect(try rig.store.outbox.count() == 2)
  }

  /// PagerDuty keeps an alert open until it hears of its end.
  @Test("where a digest closes nothing, the end of each alert goes by itself, and what else is owed joins the digest")
  func endsStayOwed() throws {
    let rig = try OutboxRig([("pager", "http://127.0.0.1:1/")], format: .pagerduty)
    _ = try rig.write("a-1", 1)
    _ = try rig.write("a-1", 2, .escalate)
    _ = try rig.write("a-1", 3, .end)
    // Of this one only the end is still owed: it was open before the outage.
    _ = try rig.write("a-2", 2, .end)
    func make() throws -> DigestMaker.Outcome {
      try rig.keeper.digests.make(receiver: "pager", of: rig.store.outbox.all(), now: rig.clock.wallMilliseconds())
    }
    let made = try make()
    #expect(made.covered == [1, 2])
    let digest = try #require(made.digests.first?.row)
    let text = String(decoding: digest.body, as: UTF8.self)
    #expect(text.contains(#""event_action":"trigger""#) && text.contains(#""alert_ids":["a-1"]"#))
    #expect(try rig.store.outbox.all().map(\.row.type) == ["alert.resolved", "alert.resolved", "alert.digest"])
    #expect(try make().covered.isEmpty, "the ends are in no second digest")
  }

  @Test("a receiver that keeps one state for each alert does not hear an older transition after a newer one")
  func overtakenRowsGo() throws {
    for format in [WebhookFormat.pagerduty, .standard] {
      let rig = try OutboxRig([("ward", "http://127.0.0.1:1/")], format: format)
      let first = try rig.write("a-1", 1)
      _ = try rig.write("a-1", 2, .end)
      rig.keeper.noticed(.overtook(receiver: "ward", outboxKeys: first.map(\.outboxKey)))
      #expect(try rig.store.outbox.count() == (format == .pagerduty ? 1 : 2))
      // Derived again, it is not queued anew.
      #expect(try EffectsWriter(store: rig.store, shard: 0).write(rig.written[0]).isEmpty)
    }
  }
}

/// A day: an alert every half hour, most of which end an hour later; `ward` is away all day, `desk` is not.
private final class OutageDay {
  struct Told {
    var receiver: String
    var id: String
    var alertID: String
    var type: String
    var createdAt: Int64
    var at: Int64
    var body: [UInt8]
  }

  let rig: OutboxRig
  let backAt = HandClock.start + 24 * 3_600_000
  private(set) var told: [Told] = []
  private(set) var active: Set<String> = []
  private(set) var ended: Set<String> = []
  /// Webhook ids in the order they were written.
  private(set) var order: [String] = []
  private var schedule: DeliverySchedule
  private var held: [UInt64: String] = [:]
  private var now: Int64 { rig.clock.wallMilliseconds() }

  init() throws {
    rig = try OutboxRig([("ward", "http://127.0.0.1:1/"), ("desk", "http://127.0.0.1:1/")])
    schedule = OutageDay.schedule(seed: 1)
  }

  private static func schedule(seed: UInt64) -> DeliverySchedule {
    DeliverySchedule(receivers: [("ward", 4), ("desk", 4)], seed: seed)
  }

  static func listed(_ body: [UInt8]) throws -> [String] {
    let object = try #require(try JSONSerialization.jsonObject(with: Data(body)) as? [String: Any])
    let alerts = try #require((object["data"] as? [String: Any])?["alerts"] as? [[String: Any]])
    return alerts.compactMap { $0["alert_id"] as? String }
  }

  func run() throws {
    for half in 0..<48 {
      try pass(until: HandClock.start + Int64(half) * 1_800_000)
      if half == 24 { try restart() }
      // Every fifth lasts.
      try write("a-\(half)", 1, .start, [.high, .medium, .low][half % 3])
      active.insert("a-\(half)")
      if half >= 2, (half - 2) % 5 != 0 {
        let alert = "a-\(half - 2)"
        try write(alert, 2, .end, [.high, .medium, .low][(half - 2) % 3])
        active.remove(alert)
        ended.insert(alert)
      }
    }
    try pass(until: backAt + 2 * 3_600_000)
  }

  private func write(_ alert: String, _ sequence: Int, _ phase: AlertPhase, _ priority: Priority) throws {
    let items = try rig.write(alert, sequence, phase, priority)
    order.append(OutboxItem.webhookID(alertID: alert, sequence: sequence))
    accept(items)
  }

  private func accept(_ items: [OutboxItem]) {
    for item in items where schedule.accept(item, nowMs: now) { held[item.outboxKey] = item.receiver }
  }

  /// A kill and a start: only the store is left.
  private func restart() throws {
    try rig.restart()
    schedule = OutageDay.schedule(seed: 2)
    held.removeAll()
    rig.keeper.begin()
    accept(try rig.store.outbox.all().map { try item($0) })
  }

  private func item(_ queued: QueuedRow) throws -> OutboxItem {
    Webhooks.item(queued, stillActive: try rig.store.alerts.newest(alertID: queued.row.alertID)?.state == .active)
  }

  /// Lets time pass as the delivery thread would see it; receivers answer at once.
  private func pass(until end: Int64) throws {
    while true {
      let attempts = schedule.step(nowMs: now)
      for attempt in attempts { finish(attempt) }
      for notice in schedule.takeNotices() { rig.keeper.noticed(notice) }
      if rig.keeper.digestsDue.withLock({ !$0.isEmpty }) { try joinDigest() }
      guard attempts.isEmpty else { continue }
      guard let wake = schedule.nextWakeMs(nowMs: now), wake <= end else { break }
      rig.clock.set(max(now, wake))
    }
    rig.clock.set(end)
  }

  private func finish(_ attempt: DeliverySchedule.Attempt) {
    let item = attempt.item
    let result: AttemptResult =
      item.receiver == "ward" && now < backAt ? .broken(.connect) : .delivered(status: 204)
    _ = schedule.finish(receiver: item.receiver, outboxKey: item.outboxKey, result: result, nowMs: now)
    rig.keeper.attempted([AttemptReport(item, result, number: attempt.number)])
    guard result.isDelivered else { return }
    held[item.outboxKey] = nil
    told.append(
      Told(
        receiver: item.receiver, id: item.webhookID, alertID: item.alertID, type: item.type,
        createdAt: item.createdMs, at: now, body: item.body))
  }

  /// What the worker does with the keeper's digest.
  private func joinDigest() throws {
    rig.keeper.makeDigestsDue()
    let owed = try rig.store.outbox.all()
    let keys = Set(owed.map(\.order))
    accept(try owed.filter { held[$0.order] == nil }.map { try item($0) })
    let gone = held.filter { $0.value == "ward" && !keys.contains($0.key) }.map(\.key)
    _ = schedule.withdraw(receiver: "ward", outboxKeys: gone)
    for key in gone { held[key] = nil }
    schedule.digested(receiver: "ward")
  }
}
