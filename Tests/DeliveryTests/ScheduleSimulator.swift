import VitalModel

@testable import Delivery

/// Runs a schedule against simulated receivers on a simulated clock.
struct ScheduleSimulator {
  /// One attempt as it happened.
  struct Record: Equatable {
    let atMs: Int64
    let endMs: Int64
    let receiver: String
    let key: UInt64
    let webhookID: String
    let number: Int
    let result: AttemptResult
  }

  private struct Running {
    let attempt: DeliverySchedule.Attempt
    let startMs: Int64
    let endMs: Int64
    let result: AttemptResult
  }

  var schedule: DeliverySchedule
  var nowMs: Int64 = 0
  var records: [Record] = []
  var notices: [(atMs: Int64, notice: DeliveryNotice)] = []
  /// The most attempts seen under way at once, per receiver.
  var inFlightMost: [String: Int] = [:]
  /// What became of each item at its last attempt.
  var dispositions: [UInt64: AttemptDisposition] = [:]
  private var running: [Running] = []
  /// What a receiver answers to an attempt that begins now, and how long it takes.
  let respond: (DeliverySchedule.Attempt, Int64) -> (AttemptResult, Int64)

  init(
    _ receivers: [(name: String, maxInFlight: Int)] = [("a", 8)], seed: UInt64 = 7,
    respond: @escaping (DeliverySchedule.Attempt, Int64) -> (AttemptResult, Int64)
  ) {
    schedule = DeliverySchedule(receivers: receivers, seed: seed)
    self.respond = respond
  }

  mutating func accept(_ items: [OutboxItem]) { _ = schedule.accept(items, nowMs: nowMs) }

  /// Runs until `untilMs`, or until nothing is left to happen. A schedule that wakes without advancing fails here.
  mutating func run(untilMs: Int64) {
    var idleTurns = 0
    while idleTurns < 1_000 {
      begin()
      let wake = schedule.nextWakeMs(nowMs: nowMs)
      guard let next = [wake, running.map(\.endMs).min()].compactMap({ $0 }).min(), next <= untilMs else { break }
      idleTurns = next > nowMs ? 0 : idleTurns + 1
      nowMs = max(nowMs, next)
      end()
    }
    precondition(idleTurns < 1_000, "the schedule spins at \(nowMs) ms")
    nowMs = untilMs
  }

  private mutating func begin() {
    for attempt in schedule.step(nowMs: nowMs) {
      let (result, tookMs) = respond(attempt, nowMs)
      running.append(Running(attempt: attempt, startMs: nowMs, endMs: nowMs + tookMs, result: result))
      let count = running.count { $0.attempt.item.receiver == attempt.item.receiver }
      inFlightMost[attempt.item.receiver] = max(inFlightMost[attempt.item.receiver] ?? 0, count)
    }
    for notice in schedule.takeNotices() { notices.append((nowMs, notice)) }
  }

  private mutating func end() {
    let ended = running.filter { $0.endMs <= nowMs }
    running.removeAll { $0.endMs <= nowMs }
    for one in ended {
      let item = one.attempt.item
      dispositions[item.outboxKey] = schedule.finish(
        receiver: item.receiver, outboxKey: item.outboxKey, result: one.result, nowMs: nowMs)
      records.append(
        Record(
          atMs: one.startMs, endMs: one.endMs, receiver: item.receiver, key: item.outboxKey,
          webhookID: item.webhookID, number: one.attempt.number, result: one.result))
    }
    for notice in schedule.takeNotices() { notices.append((nowMs, notice)) }
  }

  /// The keys delivered, in order.
  var deliveredKeys: [UInt64] { records.filter(\.result.isDelivered).map(\.key) }

  /// When attempts at one item began.
  func attemptTimes(_ key: UInt64) -> [Int64] { records.filter { $0.key == key }.map(\.atMs) }

  func deliveredAt(_ key: UInt64) -> Int64? { records.first { $0.key == key && $0.result.isDelivered }?.endMs }
}

/// An item with the fields a test does not care about filled in.
func item(
  _ key: UInt64, to receiver: String = "a", alert: String? = nil, sequence: Int = 1,
  _ priority: Priority = .high, stillActive: Bool = true, keeping: OutboxItem.Keeping = .outbox
) -> OutboxItem {
  let alertID = alert ?? "a-\(key)"
  return OutboxItem(
    outboxKey: key, receiver: receiver, webhookID: OutboxItem.webhookID(alertID: alertID, sequence: sequence),
    alertID: alertID, sequence: sequence, type: "alert.opened", priority: priority, createdMs: 0,
    body: Array("{}".utf8), stillActive: stillActive, keeping: keeping)
}

let accepted = AttemptResult.delivered(status: 204)
let failed = AttemptResult.refused(status: 500, retryAfterMs: nil)
