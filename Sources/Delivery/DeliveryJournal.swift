/// One finished attempt.
package struct AttemptReport: Sendable, Equatable {
  package let item: OutboxItem
  /// 1 for the first.
  package let number: Int
  package let result: AttemptResult
  /// When it began, in milliseconds since 1970.
  package let startedMs: Int64
  /// From the start to the end of the response, in microseconds.
  package let latencyMicros: Int64
  /// When it will be tried again, in milliseconds since 1970; nil when delivered or let go.
  package let nextAttemptMs: Int64?
  /// The body of a 2xx answer, for receivers that accept an alert in it; empty when there was none, when it was longer
  /// than 4 KiB, or when the attempt failed.
  package let answer: [UInt8]
  /// The receiver has refused this body so often that it is tried no more: its outbox row is a dead letter.
  package let isGivenUp: Bool

  package init(
    item: OutboxItem, number: Int, result: AttemptResult, startedMs: Int64, latencyMicros: Int64,
    nextAttemptMs: Int64?, answer: [UInt8] = [], isGivenUp: Bool = false
  ) {
    self.item = item
    self.number = number
    self.result = result
    self.startedMs = startedMs
    self.latencyMicros = latencyMicros
    self.nextAttemptMs = nextAttemptMs
    self.answer = answer
    self.isGivenUp = isGivenUp
  }

  /// Whether nothing more is owed: an outbox row is to be deleted.
  package var isDelivered: Bool { result.isDelivered }
}

/// Keeps the record of delivery. All calls come from the delivery thread, one at a time; they hold up delivery while
/// they run, so they hand the work on or keep it short.
package protocol DeliveryJournal: AnyObject, Sendable {
  /// The attempts that finished together: delete the rows delivered, record the others, in one write.
  func attempted(_ reports: [AttemptReport])
  /// Something the service must act on.
  func noticed(_ notice: DeliveryNotice)
  /// Items were refused for want of room, and there is room again: offer what the outbox still holds.
  func roomAvailable()
}

/// Where delivery gets the time from.
package struct DeliveryClock: Sendable {
  /// Milliseconds of a clock that never goes back; for waiting.
  package let steadyMs: @Sendable () -> Int64
  /// Milliseconds since 1970; for signatures and reports.
  package let wallMs: @Sendable () -> Int64

  package init(steadyMs: @escaping @Sendable () -> Int64, wallMs: @escaping @Sendable () -> Int64) {
    self.steadyMs = steadyMs
    self.wallMs = wallMs
  }
}

/// Counts and states of delivery at one moment, at most about one second old.
package struct DeliverySnapshot: Sendable, Equatable {
  /// One receiver's counts since the start, and its state.
  package struct Line: Sendable, Equatable {
    package var state: ReceiverState
    package var delivered: UInt64 = 0
    package var failed: UInt64 = 0
    /// Connections opened; far fewer than attempts when the receiver keeps them open.
    package var connections: UInt64 = 0
    /// Attempts per upper bound of `latencyBoundsMicros`, one more for all above.
    package var latencyCounts = [UInt64](repeating: 0, count: latencyBoundsMicros.count + 1)
    package var latencySumMicros: UInt64 = 0
  }

  /// Upper bounds of the latency histogram, in microseconds.
  package static let latencyBoundsMicros: [Int64] = [
    500, 1_000, 2_000, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000, 5_000_000,
    10_000_000,
  ]

  package var receivers: [Line] = []
  /// Items refused because too many were owed already; they stay in the outbox.
  package var refusedForRoom: UInt64 = 0
  /// High items reported as undelivered.
  package var undelivered: UInt64 = 0
  /// Memory-only items given up.
  package var abandoned: UInt64 = 0
  /// Outbox items whose body a receiver has refused for good.
  package var givenUp: UInt64 = 0

  package init() {}
}
