import Testing
import VitalModel

@testable import Delivery

@Suite("Delivery schedule")
struct DeliveryScheduleTests {
  @Test("a receiver down for five minutes gets everything afterwards, in order, under the same ids")
  func outage() {
    let upMs: Int64 = 300_000
    var world = ScheduleSimulator { _, now in now < upMs ? (.broken(.connect), 5) : (accepted, 5) }
    let priorities: [Priority] = [.high, .medium, .low]
    for minute in 0..<5 {
      let base = UInt64(minute * 30)
      let items = (0..<30).map { n in
        item(base + UInt64(n), alert: "a-\(n)", sequence: minute + 1, priorities[n % 3])
      }
      world.accept(items)
      world.run(untilMs: Int64(minute + 1) * 60_000)
    }
    world.run(untilMs: upMs + 70_000)
    #expect(world.schedule.outstanding == 0)
    #expect(Set(world.deliveredKeys).count == 150)
    #expect(world.deliveredKeys.count == 150)
    for n in 0..<30 {
      // High items keep trying through the outage, so one of them finds the receiver back before its elders do; all
      // that follow it, and everything else, keep their order.
      let sequences = world.deliveredKeys.filter { $0 % 30 == UInt64(n) }.dropFirst(n % 3 == 0 ? 1 : 0)
      #expect(Array(sequences) == sequences.sorted(), "alert \(n) out of order")
    }
    let ids = Dictionary(grouping: world.records, by: \.key).mapValues { Set($0.map(\.webhookID)).count }
    #expect(ids.values.allSatisfy { $0 == 1 })
    // Nothing waits out a long tail once the receiver is back: one probe distance and the transfers.
    #expect(world.records.last.map { $0.endMs < upMs + 73_000 } ?? false)
    #expect(world.notices.contains { $0.notice == .recovered(receiver: "a") })
  }

  @Test("after an outage high goes before medium before low, active before ended, older first")
  func orderAfterOutage() {
    var world = ScheduleSimulator([("a", 1)]) { _, now in now < 10_000 ? (failed, 1) : (accepted, 1) }
    for key in 1...5 { world.accept([item(UInt64(100 + key), .medium)]) }
    world.run(untilMs: 10_000)
    world.accept([
      item(1, .high, stillActive: false), item(2, .low), item(3, .medium), item(4, .high), item(5, .high),
      item(6, .medium),
    ])
    world.run(untilMs: 200_000)
    let order = world.deliveredKeys.filter { $0 < 100 }
    #expect(order == [4, 5, 3, 6, 2, 1])
  }

  @Test("high priority is tried again after 1, 2, 5, 10, 20, 30 s and then for ever, within 20 %")
  func highRetryTimes() {
    var world = ScheduleSimulator { _, _ in (failed, 0) }
    world.accept([item(1)])
    world.run(untilMs: 69_000 * 2)
    let times = world.attemptTimes(1)
    let gaps = zip(times.dropFirst(), times).map { $0 - $1 }
    for (gap, nominal) in zip(gaps, [1_000, 2_000, 5_000, 10_000, 20_000, 30_000] as [Int64]) {
      #expect(abs(gap - nominal) <= nominal / 5, "\(gap) for \(nominal)")
    }
    world.run(untilMs: 86_400_000)
    #expect(world.schedule.outstanding == 1)
    let last = world.attemptTimes(1).last ?? 0
    #expect(last > 86_400_000 - 120_000)
  }

  @Test("the same seed gives the same decisions")
  func deterministic() {
    func run() -> [ScheduleSimulator.Record] {
      var world = ScheduleSimulator(seed: 42) { attempt, now in
        (attempt.item.outboxKey + UInt64(now)) % 3 == 0 ? (accepted, 20) : (failed, 30)
      }
      world.accept((0..<60).map { item($0, alert: "a-\($0 % 7)", sequence: Int($0), $0 % 2 == 0 ? .high : .low) })
      world.run(untilMs: 3_600_000)
      return world.records
    }
    #expect(run() == run())
  }

  @Test("only 2xx is success; 302 is a failure and is retried")
  func redirectFails() {
    for status in [302, 301, 307, 400, 401, 500] {
      #expect(!AttemptResult.answered(status: status, retryAfterMs: nil).isDelivered)
    }
    for status in [200, 202, 204, 299] {
      #expect(AttemptResult.answered(status: status, retryAfterMs: nil).isDelivered)
    }
    var world = ScheduleSimulator { attempt, _ in
      (attempt.number == 1 ? .answered(status: 302, retryAfterMs: nil) : accepted, 1)
    }
    world.accept([item(1)])
    world.run(untilMs: 5_000)
    #expect(world.deliveredKeys == [1])
    #expect(world.attemptTimes(1).count == 2)
  }

  @Test("429 with Retry-After pauses the receiver: high at most 60 s, others at most an hour", arguments: [429, 503])
  func retryAfter(status: Int) {
    var world = ScheduleSimulator { attempt, now in
      now == 0 ? (.answered(status: status, retryAfterMs: 86_400_000), 0) : (accepted, 0)
    }
    world.accept([item(1, .medium)])
    world.run(untilMs: 10)
    world.accept([item(2, .high), item(3, .low)])
    world.run(untilMs: 2 * 3_600_000)
    #expect(world.deliveredAt(2) == 60_000)
    // The high item's success ends the pause for all.
    #expect(world.deliveredAt(1).map { $0 <= 60_000 + 6_000 } ?? false)

    var quiet = ScheduleSimulator { _, now in
      now == 0 ? (.answered(status: status, retryAfterMs: 86_400_000), 0) : (accepted, 0)
    }
    quiet.accept([item(1, .medium)])
    quiet.run(untilMs: 2 * 3_600_000)
    #expect(quiet.deliveredAt(1) == 3_600_000)
  }

  @Test("a short Retry-After never shortens the item's own wait, and 429 does not open the breaker")
  func busyIsNotBroken() {
    var world = ScheduleSimulator { _, _ in (.answered(status: 429, retryAfterMs: 1_000), 0) }
    world.accept((1...20).map { item($0, .medium) })
    world.run(untilMs: 60_000)
    #expect(!world.notices.contains { $0.notice == .breakerOpened(receiver: "a") })
    #expect(world.attemptTimes(1).count == 3)
  }

  @Test("410 five times parks the receiver, a probe brings it back", arguments: [404, 410])
  func parking(status: Int) {
    let upMs: Int64 = 1_000_000
    var world = ScheduleSimulator { _, now in
      now < upMs ? (.answered(status: status, retryAfterMs: nil), 1) : (accepted, 1)
    }
    world.accept((1...10).map { item($0, .medium) })
    world.run(untilMs: upMs)
    #expect(world.notices.count { $0.notice == .parked(receiver: "a", status: status) } == 1)
    let whileParked = world.records.filter { $0.atMs > 60_000 }
    #expect((2...4).contains(whileParked.count), "one probe in five minutes, not \(whileParked.count)")
    world.run(untilMs: upMs + 301_000)
    #expect(world.schedule.outstanding == 0)
    #expect(world.notices.contains { $0.notice == .recovered(receiver: "a") })
  }

  @Test("a parked receiver still gets a new high item once, at once, and it is told as undelivered at once")
  func parkedHigh() {
    var world = ScheduleSimulator { _, _ in (.answered(status: 410, retryAfterMs: nil), 1) }
    world.accept((1...6).map { item($0, .medium) })
    world.run(untilMs: 20_000)
    world.accept([item(50)])
    world.run(untilMs: 20_100)
    #expect(world.attemptTimes(50) == [20_000])
    #expect(world.notices.contains { $0.notice == .undelivered(item: item(50), attempts: 1) })
  }

  @Test("a person who repaired a parked receiver need not wait for the probe")
  func retryNow() {
    var world = ScheduleSimulator { _, now in
      now < 100_000 ? (.answered(status: 410, retryAfterMs: nil), 1) : (accepted, 1)
    }
    world.accept((1...10).map { item($0, .medium, stillActive: $0 != 10) })
    world.run(untilMs: 100_000)
    #expect(world.schedule.receiverStates.map(\.condition) == [.parked])
    let known = world.schedule.retryNow(receiver: "a", nowMs: 100_000)
    let unknown = world.schedule.retryNow(receiver: "b", nowMs: 100_000)
    #expect(known && !unknown)
    world.run(untilMs: 100_010)
    // What has ended waits for its digest.
    #expect(world.notices.last?.notice == .digestDue(receiver: "a", underWay: []))
    #expect(Set(world.deliveredKeys) == Set(1...9))
    #expect(world.schedule.outstanding == 1)
    #expect(world.schedule.receiverStates.map(\.condition) == [.healthy])
  }

  @Test("the breaker holds back lesser items, probes one at a time and never delays a high one")
  func breaker() {
    let upMs: Int64 = 120_000
    var world = ScheduleSimulator { _, now in now < upMs ? (failed, 1) : (accepted, 1) }
    world.accept((1...100).map { item($0, .low) })
    world.run(untilMs: 60_000)
    #expect(world.notices.contains { $0.notice == .breakerOpened(receiver: "a") })
    // The first eight were under way together; then the probe at about 30 s.
    #expect(world.records.count <= 10)
    world.accept([item(500)])
    world.run(untilMs: 63_900)
    #expect(world.attemptTimes(500).count == 3)
    #expect(world.attemptTimes(500).first == 60_000)
    world.run(untilMs: upMs + 80_000)
    #expect(world.schedule.outstanding == 0)
  }

  @Test("one item a receiver cannot digest does not keep the breaker open for the others")
  func poison() {
    var world = ScheduleSimulator([("a", 1)]) { attempt, _ in
      attempt.item.outboxKey == 1 ? (.answered(status: 400, retryAfterMs: nil), 1) : (accepted, 1)
    }
    world.accept([item(1, .medium)])
    world.run(untilMs: 4_000_000)
    // Refused for good after a quarter of an hour: a dead letter, tried no more.
    #expect(world.attemptTimes(1).count == 5)
    #expect(world.schedule.outstanding == 0)
    world.accept([item(1, .medium)])
    world.accept((2...50).map { item($0, .medium) })
    world.run(untilMs: 4_070_000)
    #expect(world.deliveredKeys.count == 49)
    #expect(world.schedule.outstanding == 1)
  }

  @Test("a newer transition waits for the older until that has failed once, then overtakes")
  func overtaking() {
    var world = ScheduleSimulator { attempt, _ in
      attempt.item.sequence == 1 && attempt.number == 1 ? (failed, 500) : (accepted, 10)
    }
    world.accept([item(1, alert: "x", sequence: 1), item(2, alert: "x", sequence: 2)])
    world.run(untilMs: 10_000)
    let starts = world.records.sorted { $0.atMs < $1.atMs }
    #expect(starts.map(\.key) == [1, 2, 1])
    #expect(starts[1].atMs == 500)
    #expect(world.deliveredKeys == [2, 1])
    #expect(world.notices.contains { $0.notice == .overtook(receiver: "a", outboxKeys: [1]) })
  }

  @Test("transitions of one alert are sent one after the other, other alerts beside them")
  func orderedPerAlert() {
    var world = ScheduleSimulator { _, _ in (accepted, 100) }
    world.accept((1...4).map { item($0, alert: "x", sequence: Int($0)) } + [item(9, alert: "y")])
    world.run(untilMs: 10_000)
    #expect(world.deliveredAt(9) == 100)
    #expect((1...4).compactMap { world.deliveredAt($0) } == [100, 200, 300, 400])
  }

  @Test("an escalation lends its urgency to the older transition it waits for")
  func inheritance() {
    var world = ScheduleSimulator { attempt, now in now < 50_000 ? (failed, 1) : (accepted, 1) }
    world.accept((1...20).map { item($0, .low) })
    world.run(untilMs: 50_000)
    // The breaker is open: a medium item alone would wait for a probe.
    world.accept([item(100, alert: "x", sequence: 1, .medium)])
    world.run(untilMs: 50_010)
    #expect(world.attemptTimes(100).isEmpty)
    world.accept([item(101, alert: "x", sequence: 2, .high)])
    world.run(untilMs: 50_020)
    #expect(world.deliveredAt(100) == 50_011)
    #expect(world.deliveredAt(101) == 50_012)
  }

  @Test("one slow receiver delays none of fifty fast ones, and keeps to its bound")
  func slowAndFast() {
    let names = (1...50).map { "fast-\($0)" }
    var world = ScheduleSimulator(
      [("slow", 4)] + names.map { ($0, 8) },
      respond: { attempt, _ in attempt.item.receiver == "slow" ? (.broken(.timeout), 10_000) : (accepted, 5) })
    var items: [OutboxItem] = (0..<100).map { item($0, to: "slow", .medium) }
    for (index, name) in names.enumerated() {
      items += (0..<40).map { item(UInt64(1_000 + index * 100) + $0, to: name) }
    }
    world.accept(items)
    world.run(untilMs: 100)
    #expect(world.deliveredKeys.count == 50 * 40)
    #expect(world.records.filter { $0.receiver != "slow" }.allSatisfy { $0.endMs <= 25 })
    #expect(world.inFlightMost["slow"] == 3, "one slot of four is kept for a high item")
    #expect(world.inFlightMost["fast-1"] == 8)
    world.accept([item(999, to: "slow")])
    world.run(untilMs: 10_200)
    #expect(world.attemptTimes(999) == [100])
  }

  @Test("a high item failing three times is told once as undelivered, a medium one never")
  func undelivered() {
    var world = ScheduleSimulator { _, _ in (failed, 1) }
    world.accept([item(1), item(2, .medium)])
    world.run(untilMs: 600_000)
    let told = world.notices.filter { if case .undelivered = $0.notice { true } else { false } }
    #expect(told.count == 1)
    #expect(told.first?.notice == .undelivered(item: item(1), attempts: 3))
    #expect(told.first.map { $0.atMs < 4_000 } ?? false)
  }

  @Test("a high item that hangs without an answer is told as undelivered after 30 s")
  func undeliveredByTime() {
    var world = ScheduleSimulator { _, _ in (.broken(.timeout), 60_000) }
    world.accept([item(1)])
    world.run(untilMs: 31_000)
    #expect(world.notices.map(\.atMs) == [30_000])
  }

  @Test("a memory item is given up after its attempts and goes before everything else")
  func memoryItems() {
    var world = ScheduleSimulator([("a", 1)]) { attempt, _ in attempt.item.alertID == "hb" ? (failed, 1) : (accepted, 1)
    }
    world.accept([item(1), item(1 << 63, alert: "hb", keeping: .memory(attemptsMax: 2))])
    world.run(untilMs: 10_000)
    #expect(world.records.first?.key == 1 << 63)
    #expect(world.attemptTimes(1 << 63).count == 2)
    #expect(world.schedule.outstanding == 0)
  }

  @Test("an item offered twice is held once; one for nobody is told and not held")
  func offeredTwice() {
    var world = ScheduleSimulator { _, _ in (accepted, 10) }
    #expect(world.schedule.accept([item(1), item(1)], nowMs: 0) == 1)
    world.run(untilMs: 5)
    #expect(world.schedule.accept([item(1), item(2, to: "nobody")], nowMs: 5) == 0)
    #expect(world.schedule.takeNotices() == [.noSuchReceiver(item: item(2, to: "nobody"))])
    world.run(untilMs: 100)
    #expect(world.deliveredKeys == [1])
  }

  @Test("a receiver taken out of the configuration lets its items go with a notice; others keep theirs")
  func replacing() {
    var world = ScheduleSimulator([("a", 1), ("b", 1)]) { _, _ in (failed, 100) }
    world.accept([item(1), item(2), item(3, to: "b")])
    world.run(untilMs: 50)
    let released = world.schedule.replaceReceivers([("b", 2), ("c", 2)])
    #expect(released.map(\.outboxKey) == [2])
    world.run(untilMs: 5_000)
    let told = world.notices.filter { if case .noSuchReceiver = $0.notice { true } else { false } }
    #expect(told.count == 2)
    #expect(world.schedule.outstanding == 1)
    #expect(world.schedule.accept([item(7, to: "c")], nowMs: 5_000) == 1)
  }

  @Test("random outages: everything is delivered once the receivers stay up", arguments: 1...20)
  func liveness(seed: UInt64) {
    var random = JitterGenerator(seed: seed)
    let answers: [AttemptResult] = [
      failed, .broken(.timeout), .answered(status: 410, retryAfterMs: nil),
      .answered(status: 429, retryAfterMs: 5_000), .answered(status: 503, retryAfterMs: 100_000), accepted,
    ]
    var plan: [AttemptResult] = []
    for _ in 0..<4_000 { plan.append(answers[Int(random.jittered(1_000) % Int64(answers.count))]) }
    let endMs: Int64 = 1_800_000
    var world = ScheduleSimulator([("a", 4), ("b", 1)], seed: seed) { attempt, now in
      now > endMs ? (accepted, 3) : (plan[Int(now / 7 + Int64(attempt.item.outboxKey)) % plan.count], 40)
    }
    var key: UInt64 = 0
    for second in 0..<300 {
      for receiver in ["a", "b"] {
        key += 1
        let priority = Priority.allCases[Int(key / 3 % 4)]
        world.accept([
          item(
            key, to: receiver, alert: "\(receiver)-\(key / 8)", sequence: Int(key % 8), priority,
            stillActive: key % 5 != 0)
        ])
      }
      world.run(untilMs: Int64(second + 1) * 2_000)
    }
    world.run(untilMs: endMs + 3_700_000)
    #expect(world.schedule.outstanding == 0)
    #expect(world.deliveredKeys.count == Int(key))
    #expect(Set(world.deliveredKeys).count == Int(key))
  }
}
