/// Whether one receiver is worth trying: circuit breaker, parking and the pauses it asks for.
struct ReceiverHealth {
  enum Phase: String {
    /// In order: everything is sent.
    case closed
    /// Failing: only high items by their own schedule, and one probe at a time.
    case open
    /// Gone (404/410): a probe now and then, and the first attempt of a new high item.
    case parked
  }

  enum Change: Equatable {
    case opened
    case parked(status: Int)
    case recovered
    /// It was only paused, and takes webhooks again sooner than it said.
    case resumed
  }

  private(set) var phase: Phase = .closed
  private(set) var failuresInRow = 0
  private var goneInRow = 0
  private var failedWhileOpen = 0
  /// When the next probe is due; meaningful unless closed.
  private(set) var probeAtMs: Int64 = 0
  /// The receiver asked for silence until then (Retry-After), for high and for other items.
  private(set) var pauseHighUntilMs = Int64.min
  private(set) var pauseOtherUntilMs = Int64.min

  func pauseUntilMs(high: Bool) -> Int64 { high ? pauseHighUntilMs : pauseOtherUntilMs }

  mutating func succeeded() -> Change? {
    let before = self
    self = ReceiverHealth()
    guard before.phase == .closed else { return .recovered }
    return before.pauseOtherUntilMs == .min ? nil : .resumed
  }

  mutating func failed(_ result: AttemptResult, nowMs: Int64, using generator: inout JitterGenerator) -> Change? {
    var gone: Int?
    if case .refused(let status, let retryAfter) = result {
      if let retryAfter { pause(retryAfter, nowMs: nowMs) }
      // A receiver that says "too many" is alive: pausing is enough, the breaker is for broken ones.
      if status == 429 {
        if phase != .closed { armProbe(nowMs: nowMs, using: &generator) }
        return nil
      }
      if status == 404 || status == 410 { gone = status }
    }
    failuresInRow += 1
    goneInRow = gone == nil ? 0 : goneInRow + 1
    if let gone, goneInRow >= RetryPolicy.goneToPark, phase != .parked {
      phase = .parked
      armProbe(nowMs: nowMs, using: &generator)
      return .parked(status: gone)
    }
    guard phase == .closed else {
      armProbe(nowMs: nowMs, using: &generator)
      return nil
    }
    guard failuresInRow >= RetryPolicy.failuresToOpen else { return nil }
    phase = .open
    armProbe(nowMs: nowMs, using: &generator)
    return .opened
  }

  private mutating func pause(_ retryAfterMs: Int64, nowMs: Int64) {
    let asked = max(0, retryAfterMs)
    pauseOtherUntilMs = max(pauseOtherUntilMs, nowMs + min(asked, RetryPolicy.retryAfterMaxMs))
    pauseHighUntilMs = max(pauseHighUntilMs, nowMs + min(asked, RetryPolicy.retryAfterHighMaxMs))
  }

  private mutating func armProbe(nowMs: Int64, using generator: inout JitterGenerator) {
    if phase == .parked {
      probeAtMs = nowMs + RetryPolicy.parkedProbeMs
    } else {
      let delays = RetryPolicy.probeDelaysMs
      probeAtMs = nowMs + generator.jittered(delays[min(failedWhileOpen, delays.count - 1)])
      failedWhileOpen += 1
    }
    probeAtMs = max(probeAtMs, pauseHighUntilMs)
  }
}
