/// How long to wait before each connection attempt: doubling, jittered, capped. Pure: no clock, no sleep.
///
/// The n-th pause in a row (from 0) is drawn evenly from `b...min(2b, cap)` with `b = min(first * 2^n, cap / 2)`, so that
/// many clients of a broker that restarts do not come back in step, and no pause is shorter than `first`.
package struct ReconnectSchedule: Sendable {
  /// A connection that lived this long ends a row of failures; a shorter one does not, or a broker that accepts and drops
  /// at once would be asked once a second for ever.
  package static let settled: Duration = .seconds(10)

  private let firstNanoseconds: Int64
  private let capNanoseconds: Int64
  private var failures = 0
  private var jitter: JitterGenerator

  /// - Parameters:
  ///   - first: shortest pause, more than zero.
  ///   - cap: longest pause, not below `first`.
  ///   - seed: of the jitter; two clients should not share one.
  package init(first: Duration = .seconds(1), cap: Duration = .seconds(30), seed: UInt64) {
    firstNanoseconds = max(1, first.nanoseconds)
    capNanoseconds = max(firstNanoseconds, cap.nanoseconds)
    jitter = JitterGenerator(state: seed)
  }

  /// The pause before the next attempt.
  ///
  /// - Parameter connectedFor: how long the connection just lost had lasted, nil when none came about.
  package mutating func pause(connectedFor: Duration?) -> Duration {
    if let connectedFor, connectedFor >= Self.settled { failures = 0 }
    let doublings = min(failures, 30)
    failures += failures < 30 ? 1 : 0
    let (product, overflow) = firstNanoseconds.multipliedReportingOverflow(by: 1 << Int64(doublings))
    let low = max(firstNanoseconds, min(overflow ? .max : product, capNanoseconds / 2))
    let high = max(low, min(low.multipliedReportingOverflow(by: 2).partialValue, capNanoseconds))
    return .nanoseconds(Int64.random(in: low...high, using: &jitter))
  }
}

/// SplitMix64 (Steele, Lea, Flood 2014), enough to spread clients apart.
private struct JitterGenerator: RandomNumberGenerator, Sendable {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var bits = state
    bits = (bits ^ (bits >> 30)) &* 0xBF58_476D_1CE4_E5B9
    bits = (bits ^ (bits >> 27)) &* 0x94D0_49BB_1331_11EB
    return bits ^ (bits >> 31)
  }
}

extension Duration {
  /// Whole nanoseconds, held inside Int64 (292 years).
  var nanoseconds: Int64 {
    let (seconds, attoseconds) = components
    let (scaled, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
    return overflow
      ? (seconds < 0 ? .min : .max) : scaled.addingReportingOverflow(attoseconds / 1_000_000_000).partialValue
  }

  /// Whole milliseconds.
  var milliseconds: Int64 { nanoseconds / 1_000_000 }
}
