import VitalModel

/// What a rule's conditions say at one instant.
package struct Judgement: Sendable, Equatable {
  package enum Truth: UInt8, Sendable { case no, yes, unknown }
  package var when: Truth
  package var clear: Truth
  package var bypass: Truth

  /// Whether the condition or its bypass limit is reached.
  package var isReached: Bool {
    if case .yes = when { return true }
    if case .yes = bypass { return true }
    return false
  }

  @inlinable
  package init(when: Truth, clear: Truth, bypass: Truth) {
    self.when = when
    self.clear = clear
    self.bypass = bypass
  }
}

/// How long a rule waits, milliseconds of event time.
package struct EpisodeTiming: Sendable, Equatable {
  /// The condition must have held this long.
  package var hold: Int64
  /// Rolling window over which breach time adds up to `hold`: short returns to normal do not start it anew
  /// (SEMANTICS D1).
  package var window: Int64
  /// The clear condition must have held this long.
  package var clearFor: Int64
  /// The signal is doubtful or a second sign is missing: what has held long enough waits on, ``cap`` at most.
  package var isGated = false
  /// Breach time, added up over four times as long, after which a gated episode opens all the same (SEMANTICS D1); 0: no
  /// gate holds it.
  package var cap: Int64 = 0

  @inlinable
  package init(hold: Int64, window: Int64, clearFor: Int64) {
    self.hold = hold
    self.window = window
    self.clearFor = clearFor
  }

  /// How far back breaches may still count.
  package var memory: Int64 { max(window, capWindow) }
  var capWindow: Int64 { cap * 4 }
}

/// What one observation of a condition changed.
package enum EpisodeChange: Sendable, Equatable {
  case none
  /// The condition began to hold; nothing is told yet.
  case pending
  /// It held too briefly, or the input went stale: a ledger row with this stage. The onset it had.
  case dropped(SuppressionStage, onset: Int64)
  /// It has held long enough.
  case met(onset: Int64)
  /// The bypass limit was reached: at once, ignoring every delay. Told once an episode.
  case bypassed(onset: Int64)
  /// It has held long enough, but the signal is doubtful or a second sign is missing. Told once an episode.
  case gated(onset: Int64)
  /// Open already, it had gone and came back before it cleared, for long enough to be found anew: what hysteresis holds.
  case recrossed(onset: Int64)
  /// The clear condition has held long enough.
  case closed
}

/// One stretch of one rule holding for one series or patient: persistence, hysteresis, bypass.
///
/// A pure state machine; every stage it applies is bounded (SEMANTICS D1, D2). It never decides whether anybody is told:
/// that is for the alert it belongs to.
///
/// ```
///            when                 held long enough            clear
///   idle ──────────► pending ───────────────────────► open ─────────► clearing
///    ▲  ◄────────────   │                              ▲  ◄───────────   │ clear held long enough
///    │   not when       │ bypass                       │   not clear      │
///    └──────────────────┴──────────────────────────────┴──────────────────┘
/// ```
package struct Episode: Sendable, BitwiseCopyable {
  package enum Phase: UInt8, Sendable, BitwiseCopyable {
    /// The condition does not hold.
    case idle
    /// It holds, not yet long enough.
    case pending
    /// It has held long enough and has not cleared.
    case open
    /// The clear condition holds, not yet long enough.
    case clearing
  }

  package var phase: Phase = .idle
  /// The bypass limit was reached in this episode.
  package var isBypassed = false
  /// The condition is unknown at present: the hold does not run on. Once open: it does not hold at present.
  package var isFrozen = false
  /// ``EpisodeChange/gated(onset:)`` was given; once open: the condition has come back and may be found anew.
  package var isNoted = false
  /// Where the pending or open stretch began.
  package var onset: Int64 = 0
  /// Where the running stretch of breach began, open or not; meaningless while frozen or idle.
  package var segmentStart: Int64 = 0
  package var clearOnset: Int64 = 0
  /// While idle: where the newest values began to breach what the smoothed one does not; 0: they do not.
  package var rawOnset: Int64 {
    get { clearOnset }
    set { clearOnset = newValue }
  }
  /// When it must be looked at again if no sample comes before; `Int64.max`: never.
  package var due: Int64 = .max
  /// Finished stretches of breach that still count, oldest first; unused ones have equal ends.
  package var segments: InlineArray<4, Segment> = .init(repeating: Segment(start: 0, end: 0))

  package struct Segment: Sendable, BitwiseCopyable {
    package var start: Int64
    package var end: Int64
    package init(start: Int64, end: Int64) {
      self.start = start
      self.end = end
    }
  }

  package init() {}

  /// Idle, and no earlier breach counts.
  package var isBlank: Bool {
    guard case .idle = phase, rawOnset == 0 else { return false }
    return (0..<4).allSatisfy { segments[$0].end == segments[$0].start }
  }

  /// The smoothed value does not breach the limit; takes in whether the newest one does.
  ///
  /// - Returns: where the stretch began, once it has lasted as long as the rule asks: what smoothing holds. Once a stretch.
  package mutating func observeRaw(breaches: Bool, now: Int64, hold: Int64) -> Int64? {
    guard case .idle = phase else { return nil }
    guard breaches else {
      rawOnset = 0
      isNoted = false
      return nil
    }
    if rawOnset == 0 { rawOnset = now }
    guard !isNoted, now - rawOnset >= hold else { return nil }
    isNoted = true
    return rawOnset
  }

  /// Forgets earlier breaches of an idle episode once all of them have left the window they add up in.
  package mutating func forget(now: Int64, window: Int64) {
    guard case .idle = phase, segments[3].end <= now - window else { return }
    reset()
  }

  package var holds: Bool {
    switch phase {
    case .open, .clearing: true
    case .idle, .pending: false
    }
  }

  /// Takes in what the conditions say at `now`; `now` never goes back.
  package mutating func observe(_ judgement: Judgement, now: Int64, timing: EpisodeTiming) -> EpisodeChange {
    if phase == .idle, judgement.when != .yes, judgement.bypass != .yes { return .none }
    let change = step(judgement, now: now, timing: timing)
    due = nextDue(timing: timing, now: now)
    return change
  }

  private mutating func step(_ judgement: Judgement, now: Int64, timing: EpisodeTiming) -> EpisodeChange {
    switch phase {
    case .idle:
      begin(at: now)
      return pendingStep(judgement, now: now, timing: timing, isFirst: true)
    case .pending: return pendingStep(judgement, now: now, timing: timing, isFirst: false)
    case .open, .clearing: return openStep(judgement, now: now, timing: timing)
    }
  }

  private mutating func begin(at now: Int64) {
    phase = .pending
    isBypassed = false
    isFrozen = false
    isNoted = false
    clearOnset = 0
    onset = now
    segmentStart = now
  }

  private mutating func pendingStep(
    _ judgement: Judgement, now: Int64, timing: EpisodeTiming, isFirst: Bool
  ) -> EpisodeChange {
    if judgement.bypass == .yes {
      becomeOpen(judgement)
      isBypassed = true
      return .bypassed(onset: onset)
    }
    switch judgement.when {
    case .unknown:
      freeze(now)
      return .none
    case .no:
      freeze(now)
      phase = .idle
      defer { isNoted = false }
      return isNoted ? .none : .dropped(.persistence, onset: onset)
    case .yes:
      if isFrozen {
        isFrozen = false
        segmentStart = now
      }
      let breach = breachTime(now: now, window: timing.window)
      guard breach.total >= timing.hold else { return isFirst ? .pending : .none }
      if timing.isGated, breachTime(now: now, window: timing.capWindow).total < timing.cap {
        guard !isNoted else { return .none }
        isNoted = true
        return .gated(onset: min(onset, breach.earliest))
      }
      becomeOpen(judgement)
      onset = min(onset, breach.earliest)
      return .met(onset: onset)
    }
  }

  private mutating func becomeOpen(_ judgement: Judgement) {
    phase = .open
    isFrozen = judgement.when != .yes
    isNoted = false
  }

  private mutating func openStep(_ judgement: Judgement, now: Int64, timing: EpisodeTiming) -> EpisodeChange {
    if judgement.bypass == .yes {
      phase = .open
      if !isBypassed {
        isBypassed = true
        return .bypassed(onset: onset)
      }
      return .none
    }
    guard judgement.clear == .yes, judgement.when != .yes else {
      phase = .open
      return recross(judgement, now: now, timing: timing)
    }
    isFrozen = true
    if phase == .open {
      phase = .clearing
      clearOnset = now
    }
    guard now - clearOnset >= timing.clearFor else { return .none }
    reset()
    return .closed
  }

  private mutating func recross(_ judgement: Judgement, now: Int64, timing: EpisodeTiming) -> EpisodeChange {
    switch judgement.when {
    case .unknown: return .none
    case .no:
      isFrozen = true
      isNoted = false
      return .none
    case .yes:
      if isFrozen {
        isFrozen = false
        isNoted = true
        segmentStart = now
      }
      guard isNoted, now - segmentStart >= timing.hold else { return .none }
      isNoted = false
      return .recrossed(onset: segmentStart)
    }
  }

  /// The input went stale. A pending hold is dropped; what is open stays open: loss of signal never ends an alert.
  package mutating func loseSignal(now: Int64) -> EpisodeChange {
    switch phase {
    case .idle: return .none
    case .pending:
      let began = onset
      reset()
      return .dropped(.stale, onset: began)
    case .open: return .none
    case .clearing:
      phase = .open
      due = .max
      return .none
    }
  }

  /// Back to idle with no memory of earlier breaches.
  package mutating func reset() { self = Episode() }

  private mutating func freeze(_ now: Int64) {
    guard !isFrozen else { return }
    isFrozen = true
    guard now > segmentStart else { return }
    if segments[0].end > segments[0].start {
      // Full: the two oldest become one of equal length that ends with the younger, so breach time is never lost.
      let length = (segments[0].end - segments[0].start) + (segments[1].end - segments[1].start)
      segments[1] = Segment(start: segments[1].end - length, end: segments[1].end)
    }
    segments[0] = segments[1]
    segments[1] = segments[2]
    segments[2] = segments[3]
    segments[3] = Segment(start: segmentStart, end: now)
  }

  /// Breach time inside `(now - window, now]`, and where the earliest counted stretch began.
  private func breachTime(now: Int64, window: Int64) -> (total: Int64, earliest: Int64) {
    let from = now - window
    var total = isFrozen ? 0 : now - max(segmentStart, from)
    var earliest = isFrozen ? now : segmentStart
    for index in 0..<4 {
      let segment = segments[index]
      let length = segment.end - max(segment.start, from)
      guard length > 0 else { continue }
      total += length
      earliest = min(earliest, segment.start)
    }
    return (total, earliest)
  }

  private func nextDue(timing: EpisodeTiming, now: Int64) -> Int64 {
    switch phase {
    case .idle, .open: return .max
    case .pending:
      if isFrozen { return .max }
      let met = metTime(hold: timing.hold, window: timing.window, now: now)
      guard timing.isGated, met <= now else { return max(now + 1, met) }
      return max(now + 1, metTime(hold: timing.cap, window: timing.capWindow, now: now))
    case .clearing: return clearOnset + timing.clearFor
    }
  }

  /// When the breach will have lasted long enough if it goes on. While an old stretch leaves the window as fast as the
  /// running one grows, nothing is gained: that time is stepped over.
  private func metTime(hold: Int64, window: Int64, now: Int64) -> Int64 {
    var missing = hold - breachTime(now: now, window: window).total
    var at = now
    for index in 0..<4 {
      let from = at - window
      let segment = segments[index]
      guard missing > 0, segment.end > segment.start, segment.end > from else { continue }
      let growing = max(0, segment.start - from)
      if growing >= missing { break }
      missing -= growing
      at += growing + segment.end - max(segment.start, from)
    }
    return at + max(0, missing)
  }
}
