/// Decides which webhook is tried when: a pure state machine over what is owed and what came of each attempt.
///
/// Time is handed in (milliseconds of any clock that does not go back) and jitter comes from a seeded generator, so the
/// same calls give the same decisions. Never here: sockets, clocks, threads, disk. Its size is bounded by the caller.
package struct DeliverySchedule {
  /// One attempt to begin now.
  package struct Attempt: Sendable, Equatable {
    package let item: OutboxItem
    /// 1 for the first.
    package let number: Int
  }

  private var lanes: [ReceiverLane] = []
  private var laneIndex: [String: Int] = [:]
  private var generator: JitterGenerator
  private var notices: [DeliveryNotice] = []

  /// - Parameter seed: of the retry jitter.
  package init(receivers: [(name: String, maxInFlight: Int)], seed: UInt64) {
    generator = JitterGenerator(seed: seed)
    _ = replaceReceivers(receivers)
  }

  /// Items held, those in flight included.
  package var outstanding: Int { lanes.reduce(0) { $0 + $1.entries.count } }

  /// Attempts under way.
  package var inFlight: Int { lanes.reduce(0) { $0 + $1.inFlight } }

  /// Takes items in. An item already held is ignored; one for an unknown receiver gives a notice.
  ///
  /// - Returns: how many are newly held.
  package mutating func accept(_ items: [OutboxItem], nowMs: Int64) -> Int {
    items.reduce(0) { $0 + (accept($1, nowMs: nowMs) ? 1 : 0) }
  }

  /// As above, for one. Returns whether it is newly held.
  package mutating func accept(_ item: OutboxItem, nowMs: Int64) -> Bool {
    guard let index = laneIndex[item.receiver] else {
      notices.append(.noSuchReceiver(item: item))
      return false
    }
    return lanes[index].accept(item, nowMs: nowMs)
  }

  /// Lets go of items whose rows have left the outbox: joined in a digest, overtaken, or given up. One under way is
  /// forgotten when its attempt ends.
  ///
  /// - Returns: how many are held no longer.
  package mutating func withdraw(receiver: String, outboxKeys: [UInt64]) -> Int {
    guard let index = laneIndex[receiver] else { return 0 }
    return lanes[index].withdraw(outboxKeys)
  }

  /// The answer to `digestDue`, after what the digest covers was withdrawn and the digest itself handed in; also when
  /// none was made.
  package mutating func digested(receiver: String) {
    guard let index = laneIndex[receiver] else { return }
    lanes[index].endDigest()
  }

  /// The attempts to begin now, each already booked as in flight. Receivers take turns, so that none starves another.
  package mutating func step(nowMs: Int64) -> [Attempt] {
    var attempts: [Attempt] = []
    var active = Array(lanes.indices)
    for index in lanes.indices { lanes[index].watch(nowMs: nowMs) }
    while !active.isEmpty {
      active.removeAll { index in
        guard let entry = lanes[index].nextAttempt(nowMs: nowMs) else { return true }
        attempts.append(Attempt(item: entry.item, number: entry.attempts + 1))
        return false
      }
    }
    return attempts
  }

  /// Books what came of an attempt that `step` gave out.
  ///
  /// - Returns: nil when no such attempt is under way.
  package mutating func finish(
    receiver: String, outboxKey: UInt64, result: AttemptResult, nowMs: Int64
  ) -> AttemptDisposition? {
    guard let index = lanes.firstIndex(where: { $0.name == receiver }) else { return nil }
    let disposition = lanes[index].finish(outboxKey, result, nowMs: nowMs, using: &generator)
    notices.append(contentsOf: lanes[index].takeNotices())
    if lanes[index].isRetired, lanes[index].inFlight == 0 {
      lanes.remove(at: index)
      reindex()
    }
    return disposition
  }

  /// When `step` should be called again if nothing finishes and nothing comes in; nil: no need.
  package mutating func nextWakeMs(nowMs: Int64) -> Int64? {
    var earliest: Int64?
    for index in lanes.indices {
      guard let wake = lanes[index].nextWakeMs(nowMs: nowMs) else { continue }
      earliest = min(earliest ?? wake, wake)
    }
    return earliest
  }

  /// What the service must hear about since the last call.
  package mutating func takeNotices() -> [DeliveryNotice] {
    for index in lanes.indices { notices.append(contentsOf: lanes[index].takeNotices()) }
    defer { notices.removeAll() }
    return notices
  }

  /// Puts a new set of receivers in force. What was owed to a removed one is let go with a notice each, except
  /// attempts under way; a kept one keeps its items and its state.
  ///
  /// - Returns: the items let go.
  package mutating func replaceReceivers(_ receivers: [(name: String, maxInFlight: Int)]) -> [OutboxItem] {
    var released: [OutboxItem] = []
    let kept = Set(receivers.map(\.name))
    for index in lanes.indices where !kept.contains(lanes[index].name) {
      released.append(contentsOf: lanes[index].retire())
      notices.append(contentsOf: lanes[index].takeNotices())
    }
    lanes.removeAll { $0.isRetired && $0.inFlight == 0 }
    for receiver in receivers {
      if let index = lanes.firstIndex(where: { $0.name == receiver.name }) {
        lanes[index].revive(maxInFlight: receiver.maxInFlight)
      } else {
        lanes.append(ReceiverLane(name: receiver.name, maxInFlight: receiver.maxInFlight))
      }
    }
    reindex()
    return released
  }

  /// Makes everything owed to a receiver due now, however it failed before, and unparks it. Returns false for an
  /// unknown name.
  package mutating func retryNow(receiver: String, nowMs: Int64) -> Bool {
    guard let index = laneIndex[receiver] else { return false }
    lanes[index].retryNow(nowMs: nowMs)
    return true
  }

  private mutating func reindex() {
    laneIndex.removeAll(keepingCapacity: true)
    for (index, lane) in lanes.enumerated() where !lane.isRetired { laneIndex[lane.name] = index }
  }

  /// The state of each receiver, by name in order of configuration.
  package var receiverStates: [ReceiverState] {
    lanes.map { lane in
      ReceiverState(
        name: lane.name, condition: ReceiverState.Condition(lane.health.phase), outstanding: lane.entries.count,
        inFlight: lane.inFlight, failuresInRow: lane.health.failuresInRow,
        oldestCreatedMs: lane.entries.values.lazy.map(\.item.createdMs).min())
    }
  }
}

/// The state of one receiver at one moment.
package struct ReceiverState: Sendable, Equatable {
  package enum Condition: String, Sendable {
    case healthy, failing, parked

    init(_ phase: ReceiverHealth.Phase) {
      switch phase {
      case .closed: self = .healthy
      case .open: self = .failing
      case .parked: self = .parked
      }
    }
  }

  package let name: String
  package let condition: Condition
  /// Items owed, those in flight included.
  package let outstanding: Int
  package let inFlight: Int
  package let failuresInRow: Int
  /// When the oldest item owed was written, in milliseconds since 1970; nil when nothing is owed.
  package let oldestCreatedMs: Int64?
}
