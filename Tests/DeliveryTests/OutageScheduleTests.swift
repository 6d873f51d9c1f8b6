import Testing
import VitalModel

@testable import Delivery

/// What the schedule does around outages and refusals.
@Suite("Delivery schedule: outage, breaker, refusal")
struct OutageScheduleTests {
  @Test("half-open: one probe at a time after 30 and then every 60 s; a success closes the breaker for all")
  func halfOpen() {
    let upMs: Int64 = 400_000
    var world = ScheduleSimulator([("a", 8)]) { _, now in now < upMs ? (.broken(.connect), 2_000) : (accepted, 1) }
    world.accept((1...40).map { item($0, .medium) })
    world.run(untilMs: upMs - 1)
    #expect(world.schedule.receiverStates.map(\.condition) == [.failing])
    let opened = world.notices.first { $0.notice == .breakerOpened(receiver: "a") }?.atMs ?? 0
    let probes = world.records.map(\.atMs).filter { $0 > opened }.sorted()
    #expect(probes.count >= 4)
    let gaps = zip(probes.dropFirst(), probes).map { $0 - $1 }
    // From the end of one, 2 s after its start, to the next: a minute within 20 %.
    #expect(gaps.dropFirst().allSatisfy { (50_000...74_000).contains($0) }, "\(gaps)")
    world.run(untilMs: upMs + 80_000)
    #expect(world.schedule.outstanding == 0)
    #expect(world.schedule.receiverStates.map(\.condition) == [.healthy])
  }

  @Test("404 or 410 now and then parks nobody: only five in a row do", arguments: [404, 410])
  func goneNowAndThen(status: Int) {
    var world = ScheduleSimulator([("a", 1)]) { attempt, _ in
      (attempt.number % 5 == 0 ? failed : .answered(status: status, retryAfterMs: nil), 1)
    }
    world.accept([item(1)])
    world.run(untilMs: 3_600_000)
    #expect(!world.notices.contains { $0.notice == .parked(receiver: "a", status: status) })
    #expect(world.records.count > 10)
  }

  @Test("Retry-After counts for 429 and 503 alone", arguments: [500, 502, 504, 404])
  func retryAfterElsewhere(status: Int) {
    #expect(AttemptResult.answered(status: status, retryAfterMs: 9_000) == .refused(status: status, retryAfterMs: nil))
  }

  @Test("others than high are tried again after 5, 30, 120 and 600 s, within 20 %")
  func otherRetryTimes() {
    var world = ScheduleSimulator { attempt, now in
      // Another item succeeds between, so that the breaker stays closed.
      attempt.item.outboxKey == 1 ? (failed, 0) : (accepted, 0)
    }
    world.accept([item(1, .medium)])
    for minute in 0..<30 {
      world.accept([item(UInt64(100 + minute))])
      world.run(untilMs: Int64(minute + 1) * 60_000)
    }
    let times = world.attemptTimes(1)
    let gaps = zip(times.dropFirst(), times).map { $0 - $1 }
    for (gap, nominal) in zip(gaps, [5_000, 30_000, 120_000, 600_000] as [Int64]) {
      #expect(abs(gap - nominal) <= nominal / 5, "\(gap) for \(nominal)")
    }
    #expect(gaps.count >= 4)
  }

  @Test(
    "a body refused with 400, 413 or 422 is given up: high after 8 attempts, others after 5",
    arguments: [400, 413, 422])
  func refusedBody(status: Int) {
    var world = ScheduleSimulator { attempt, _ in
      (attempt.item.outboxKey < 10 ? .answered(status: status, retryAfterMs: nil) : accepted, 1)
    }
    world.accept([item(1, .high), item(2, .medium), item(10, .low)])
    world.run(untilMs: 3_600_000)
    #expect(world.attemptTimes(1).count == 8)
    #expect(world.attemptTimes(2).count == 5)
    #expect(world.dispositions[1] == .givenUp && world.dispositions[2] == .givenUp && world.dispositions[10] == .done)
    #expect(world.schedule.outstanding == 0)
    #expect(
      world.notices.contains { if case .undelivered(let item, _) = $0.notice { item.outboxKey == 1 } else { false } })
  }

  @Test("refusals between other failures are not in a row: the item is kept for ever")
  func refusedNowAndThen() {
    var world = ScheduleSimulator { attempt, _ in
      (attempt.number % 4 == 0 ? failed : .answered(status: 400, retryAfterMs: nil), 1)
    }
    world.accept([item(1, .medium)])
    world.run(untilMs: 40_000_000)
    #expect(world.schedule.outstanding == 1)
  }

  @Test("E6: when a receiver is back, active alerts go at once and ended ones wait for their digest")
  func digest() {
    let upMs: Int64 = 600_000
    var world = ScheduleSimulator([("a", 2), ("b", 2)]) { attempt, now in
      attempt.item.receiver == "a" && now < upMs ? (.broken(.connect), 1) : (accepted, 1)
    }
    world.accept((1...20).map { item($0, [.high, .medium][Int($0 % 2)], stillActive: $0 > 10) })
    world.accept([item(50, to: "b", stillActive: false)])
    world.run(untilMs: upMs + 70_000)
    #expect(world.deliveredAt(50) == 1, "a healthy receiver is sent no digest")
    #expect(Set(world.deliveredKeys).subtracting([50]) == Set(11...20))
    let due = world.notices.compactMap { notice -> String? in
      if case .digestDue(let receiver, _) = notice.notice { receiver } else { nil }
    }
    #expect(due == ["a"])
    world.accept([item(99, alert: "digest-1", .high, stillActive: false)])
    #expect(world.schedule.withdraw(receiver: "a", outboxKeys: Array(1...10)) == 10)
    world.schedule.digested(receiver: "a")
    world.run(untilMs: upMs + 80_000)
    #expect(world.deliveredKeys.last == 99)
    #expect(world.schedule.outstanding == 0)
  }

  @Test("when nobody makes the digest, ended alerts go by themselves after a minute")
  func digestNotMade() {
    let upMs: Int64 = 600_000
    var world = ScheduleSimulator([("a", 2)]) { _, now in now < upMs ? (.broken(.connect), 1) : (accepted, 1) }
    world.accept((1...9).map { item($0, .medium, stillActive: $0 < 3) })
    world.run(untilMs: upMs + 200_000)
    #expect(world.schedule.outstanding == 0)
    #expect(Array(world.deliveredKeys.prefix(2)) == [1, 2])
    let back = world.notices.first { $0.notice == .recovered(receiver: "a") }?.atMs ?? 0
    #expect((3...9).allSatisfy { (world.deliveredAt($0) ?? 0) >= back + 60_000 })
  }

  @Test("an item withdrawn while under way is not tried again, and its alert's next one follows")
  func withdrawn() {
    var world = ScheduleSimulator([("a", 1)]) { attempt, _ in
      attempt.item.outboxKey == 1 ? (failed, 1_000) : (accepted, 1)
    }
    world.accept([item(1, alert: "x", sequence: 1), item(2, alert: "x", sequence: 2)])
    world.run(untilMs: 500)
    #expect(world.schedule.withdraw(receiver: "a", outboxKeys: [1, 77]) == 0)
    world.run(untilMs: 60_000)
    #expect(world.attemptTimes(1).count == 1)
    #expect(world.dispositions[1] == .released)
    #expect(world.deliveredKeys == [2])
    #expect(world.schedule.outstanding == 0)
  }
}
