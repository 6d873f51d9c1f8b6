import VitalModel

/// When a failed item is tried again.
enum RetryPolicy {
  /// High priority: within 68 s seven attempts, then a long tail that never ends (CONTRACT "Alerts out").
  static let highDelaysMs: [Int64] = [1_000, 2_000, 5_000, 10_000, 20_000, 30_000, 60_000, 120_000, 300_000, 600_000]
  /// All others are gentler on the receiver.
  static let otherDelaysMs: [Int64] = [5_000, 30_000, 120_000, 600_000]
  /// A broken receiver is probed at these distances.
  static let probeDelaysMs: [Int64] = [30_000, 60_000]
  /// A parked receiver is probed this often.
  static let parkedProbeMs: Int64 = 300_000
  /// The longest a receiver's Retry-After is honoured.
  static let retryAfterMaxMs: Int64 = 3_600_000
  /// The same for high priority: a patient does not wait an hour for a busy server.
  static let retryAfterHighMaxMs: Int64 = 60_000
  /// Consecutive failures after which the breaker opens, and consecutive 404/410 after which the receiver is parked.
  static let failuresToOpen = 5
  static let goneToPark = 5
  /// Consecutive refusals of one body (400, 413, 422) after which it is a dead letter: about two minutes of patience for
  /// high items, a quarter of an hour for others.
  static let refusalsToGiveUpHigh = 8
  static let refusalsToGiveUpOther = 5
  /// The longest ended alerts wait for their digest after an outage.
  static let digestWaitMs: Int64 = 60_000
  /// A high item is reported as undelivered after this many failures, or this long after it was accepted.
  static let undeliveredAttempts = 3
  static let undeliveredAfterMs: Int64 = 30_000

  /// The wait after the `attempts`-th failure (1 or more), with ±20 % jitter.
  static func delayMs(
    _ priority: Priority, attempts: Int, using generator: inout JitterGenerator
  ) -> Int64 {
    let delays = priority == .high ? highDelaysMs : otherDelaysMs
    return generator.jittered(delays[min(max(attempts, 1), delays.count) - 1])
  }
}

/// SplitMix64 (Steele, Lea, Flood 2014): small, seeded, the same everywhere.
struct JitterGenerator {
  private var state: UInt64

  init(seed: UInt64) { state = seed }

  private mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }

  /// `ms` plus or minus at most 20 %.
  mutating func jittered(_ ms: Int64) -> Int64 {
    let spread = UInt64(ms * 2 / 5)
    return ms - Int64(spread / 2) + Int64(next() % (spread + 1))
  }
}
