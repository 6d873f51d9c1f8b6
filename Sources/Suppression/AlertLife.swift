import VitalModel

/// What has become of one alert that people were told of: whether its condition still holds, who answers for it, and what
/// falls due next. A pure state machine (IEC 60601-1-8 latching and responsibility, IHE ACM phases); the drawing and the
/// table of every transition are in `docs/alert-life.md`.
///
/// ```
///            accept                acknowledge
///   told ───────────► accepted ──────────────► acknowledged
///    ▲ │ reject, overdue: next of the ladder        │
///    │ └──┐   ◄── worsened, re-alarm, reject ───────┤
///    └────┘                                         │ condition over
///      │ condition over: ended, or latched (told, not present) until somebody answers
///      ▼
///    ended ◄── resolved by a person, from anywhere
/// ```
package struct AlertLife: Sendable, Equatable, BitwiseCopyable {
  package enum Stage: UInt8, Sendable, BitwiseCopyable, CaseIterable {
    /// People were told; nobody has answered.
    case told
    /// Somebody took it on.
    case accepted
    /// Somebody has seen it.
    case acknowledged
    /// Over; nothing changes it any more.
    case ended
  }

  /// What an alert lives by; looked up anew at every input, so that new settings and a new priority count at once.
  package struct Terms: Sendable, Equatable {
    /// Stays after its condition ended until somebody answers.
    package var latches: Bool
    /// How long after an answer an alert that is still true is told again, milliseconds; nil: never.
    package var realarm: Int64?
    /// How long each level of the ladder has to answer before the next is told, milliseconds, level 0 first.
    package var waits: [Int64]
    /// A recurrent alert ends after this long without its condition, milliseconds.
    package var quiet: Int64

    package init(latches: Bool = false, realarm: Int64? = nil, waits: [Int64] = [], quiet: Int64 = 1_800_000) {
      self.latches = latches
      self.realarm = realarm
      self.waits = waits
      self.quiet = quiet
    }
  }

  package enum Input: Sendable, Equatable, CaseIterable {
    case accepted
    case rejected
    case acknowledged
    case resolved
    /// The condition no longer holds anywhere.
    case conditionEnded
    /// It holds again while the alert has not ended.
    case conditionReturned
    /// The bypass limit, a higher priority, a further step or a new vital: beyond the level already told.
    case worsened
    /// A person muted it for a while: nobody else is called meanwhile.
    case silenced
    /// The muting is over, or something else that kept it quiet: told again if still true.
    case recalled
    /// Time passed: whatever is due by now happens.
    case due
  }

  /// Why an alert ended.
  package enum End: String, Sendable, CaseIterable {
    case conditionOver = "condition over"
    /// It was latched, and somebody has answered.
    case answered
    /// A recurrent alert whose condition stayed away.
    case quiet
    case resolved = "resolved by a person"
    /// Still true after its rule's time: it goes on as a new alert.
    case renewed
  }

  package enum Output: Sendable, Equatable {
    /// Nothing anybody need see.
    case nothing
    /// The alert stands otherwise; nobody is paged.
    case noted
    /// Told again with this phase.
    case told(AlertPhase)
    /// Told again because an answered or returning alert is still true.
    case realarmed
    case ended(End)
  }

  package private(set) var stage = Stage.told
  /// Whether its condition holds; an alert that has not ended without it is latched.
  package private(set) var isPresent = true
  /// It came and went so often that it stays until it has been quiet for long (SEMANTICS D4).
  package private(set) var isRecurrent = false
  /// 0: whom the routes name; each further level is one step of the ladder.
  package private(set) var level: UInt8 = 0
  /// When the level now told has had its time, when it is told again, and when a recurrent alert ends; `Int64.max`: never.
  package private(set) var respondBy: Int64 = .max
  package private(set) var realarmAt: Int64 = .max
  package private(set) var quietAt: Int64 = .max
  /// When people were last told, engine time.
  package private(set) var lastTold: Int64

  /// An alert told at `now`, milliseconds of engine time.
  package init(now: Int64, terms: Terms, isRecurrent: Bool = false) {
    lastTold = now
    self.isRecurrent = isRecurrent
    respondBy = AlertLife.end(now, terms.waits.first)
  }

  /// When something is due if nothing happens before; `Int64.max`: never.
  package var nextDue: Int64 { min(respondBy, realarmAt, quietAt) }

  /// What documents show.
  package var state: AlertState {
    if stage == .ended { return .inactive }
    return isPresent ? .active : .latched
  }

  /// Takes in what happened at `now`, which never goes back.
  package mutating func apply(_ input: Input, now: Int64, terms: Terms) -> Output {
    guard stage != .ended else { return .nothing }
    switch input {
    case .accepted: return answer(.accepted, now, terms)
    case .acknowledged: return answer(.acknowledged, now, terms)
    case .rejected: return escalate(now, terms)
    case .resolved: return end(.resolved)
    case .conditionEnded: return leave(now, terms)
    case .conditionReturned: return comeBack(now, terms)
    case .worsened: return worsen(now, terms)
    case .silenced:
      respondBy = .max
      realarmAt = .max
      return .noted
    case .recalled: return recall(now, terms)
    case .due: return runDue(now, terms)
    }
  }

  // MARK: People

  private mutating func answer(_ answered: Stage, _ now: Int64, _ terms: Terms) -> Output {
    if !isPresent, !isRecurrent { return end(.answered) }
    // Who has acknowledged need not be asked again because somebody else takes it on.
    if stage != .acknowledged || answered == .acknowledged { stage = answered }
    respondBy = .max
    realarmAt = AlertLife.end(now, terms.realarm)
    return .noted
  }

  /// Nobody took it on, or somebody gave it back: the next level is told, if there is one.
  private mutating func escalate(_ now: Int64, _ terms: Terms) -> Output {
    stage = .told
    realarmAt = .max
    guard Int(level) < terms.waits.count else {
      // The ladder is at its end: it is climbed anew after the re-alarm time.
      respondBy = .max
      realarmAt = AlertLife.end(now, terms.realarm)
      return .noted
    }
    level += 1
    lastTold = now
    if Int(level) < terms.waits.count {
      respondBy = AlertLife.end(now, terms.waits[Int(level)])
    } else {
      respondBy = .max
      realarmAt = AlertLife.end(now, terms.realarm)
    }
    return .told(.escalate)
  }

  /// Another priority brought another ladder: whoever is being called, it begins at its foot.
  package mutating func restartLadder(terms: Terms) {
    level = 0
    guard stage == .told else { return }
    respondBy = AlertLife.end(lastTold, terms.waits.first)
    if respondBy < .max { realarmAt = .max }
  }

  private mutating func callAnew(_ now: Int64, _ terms: Terms) {
    stage = .told
    level = 0
    lastTold = now
    realarmAt = .max
    respondBy = AlertLife.end(now, terms.waits.first)
  }

  // MARK: The condition

  private mutating func leave(_ now: Int64, _ terms: Terms) -> Output {
    guard isPresent else { return .nothing }
    if isRecurrent {
      isPresent = false
      realarmAt = .max
      quietAt = AlertLife.end(now, terms.quiet)
      return .noted
    }
    guard terms.latches, stage == .told else { return end(.conditionOver) }
    isPresent = false
    return .noted
  }

  private mutating func comeBack(_ now: Int64, _ terms: Terms) -> Output {
    guard !isPresent else { return .nothing }
    isPresent = true
    quietAt = .max
    guard isRecurrent else {
      callAnew(now, terms)
      return .realarmed
    }
    if let realarm = terms.realarm, now - lastTold >= realarm {
      callAnew(now, terms)
      return .realarmed
    }
    if respondBy == .max { realarmAt = AlertLife.end(lastTold, terms.realarm) }
    return .noted
  }

  private mutating func worsen(_ now: Int64, _ terms: Terms) -> Output {
    isPresent = true
    quietAt = .max
    if stage == .told {
      // Who has been called goes on being called; the ladder does not begin again at its foot.
      lastTold = now
      if Int(level) < terms.waits.count {
        respondBy = min(respondBy, AlertLife.end(now, terms.waits[Int(level)]))
        realarmAt = .max
      }
    } else {
      callAnew(now, terms)
    }
    return .told(.escalate)
  }

  // MARK: Time

  private mutating func runDue(_ now: Int64, _ terms: Terms) -> Output {
    if quietAt <= now { return end(.quiet) }
    if respondBy <= now { return escalate(now, terms) }
    guard realarmAt <= now else { return .nothing }
    guard isPresent else {
      realarmAt = .max
      return .nothing
    }
    callAnew(now, terms)
    return .realarmed
  }

  private mutating func recall(_ now: Int64, _ terms: Terms) -> Output {
    guard isPresent else {
      // Latched and unanswered: the ladder goes on where it stood.
      if stage == .told, !isRecurrent, Int(level) < terms.waits.count {
        respondBy = AlertLife.end(now, terms.waits[Int(level)])
      }
      return .noted
    }
    callAnew(now, terms)
    return .realarmed
  }

  private mutating func end(_ why: End) -> Output {
    stage = .ended
    isPresent = false
    respondBy = .max
    realarmAt = .max
    quietAt = .max
    return .ended(why)
  }

  private static func end(_ now: Int64, _ span: Int64?) -> Int64 {
    guard let span else { return .max }
    let (sum, overflow) = now.addingReportingOverflow(span)
    return overflow ? .max : sum
  }

  // MARK: As bytes

  /// Everything it is, as numbers: for checkpoints.
  package var fields: [Int64] {
    [
      Int64(stage.rawValue), isPresent ? 1 : 0, isRecurrent ? 1 : 0, Int64(level), respondBy, realarmAt, quietAt,
      lastTold,
    ]
  }

  /// The life those numbers describe; nil where no life has them.
  package init?(fields: [Int64]) {
    guard fields.count == 8, let stage = UInt8(exactly: fields[0]).flatMap(Stage.init),
      let level = UInt8(exactly: fields[3])
    else { return nil }
    self.stage = stage
    isPresent = fields[1] != 0
    isRecurrent = fields[2] != 0
    self.level = level
    (respondBy, realarmAt, quietAt, lastTold) = (fields[4], fields[5], fields[6], fields[7])
  }
}
