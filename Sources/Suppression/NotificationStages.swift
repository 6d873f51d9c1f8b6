import VitalModel

/// What wants to be told: a rule's finding for one patient, as the stages that may hold it see it.
package struct Claim: Sendable, Equatable {
  package var rule: String
  package var kind: AlertKind
  /// The rule's own priority, and what it would be told with now.
  package var ownPriority: Priority
  package var priority: Priority
  package var isBypass: Bool
  /// Beyond the level people were already told of.
  package var isWorsening: Bool
  /// The engine's clock, milliseconds.
  package var now: Int64

  package init(
    rule: String, kind: AlertKind, ownPriority: Priority, priority: Priority, isBypass: Bool = false,
    isWorsening: Bool = false, now: Int64
  ) {
    self.rule = rule
    self.kind = kind
    self.ownPriority = ownPriority
    self.priority = priority
    self.isBypass = isBypass
    self.isWorsening = isWorsening
    self.now = now
  }

  /// What no stage may mute (SEMANTICS D1): the bypass limit, a higher priority, a worsening.
  package var pierces: Bool { isBypass || isWorsening || priority > ownPriority }
}

/// Why a claim is not told now, and until when at most, milliseconds of engine time.
package struct Hold: Sendable, Equatable {
  package var stage: SuppressionStage
  package var by: String
  package var until: Int64
  package init(stage: SuppressionStage, by: String, until: Int64) {
    self.stage = stage
    self.by = by
    self.until = until
  }
}

/// One reason not to tell. A stage says only what it would hold; that nothing it holds is ever beyond the level already told
/// is decided here, once, for all of them.
package protocol NotificationStage: Sendable {
  static var stage: SuppressionStage { get }
  /// Who or what holds this claim and until when; nil: nothing.
  func holds(_ claim: Claim) -> (by: String, until: Int64)?
}

extension NotificationStage {
  package func verdict(on claim: Claim) -> Hold? {
    guard !claim.pierces, let held = holds(claim), held.until > claim.now else { return nil }
    return Hold(stage: Self.stage, by: held.by, until: held.until)
  }
}

/// Another active technical alert, or the patient's state, explains it: for ``longest`` at most.
package struct InhibitionStage: NotificationStage {
  package static let stage = SuppressionStage.inhibition
  /// The rule or state that explains it, and until when that state lasts; nil: nothing does.
  package var by: String?
  package var lasts: Int64
  /// When this claim was first held here, engine time.
  package var since: Int64
  package var longest: Int64
  package init(by: String?, lasts: Int64, since: Int64, longest: Int64) {
    self.by = by
    self.lasts = lasts
    self.since = since
    self.longest = longest
  }
  package func holds(_ claim: Claim) -> (by: String, until: Int64)? {
    by.map { ($0, min(lasts, since.addingReportingOverflow(longest).partialValue)) }
  }
}

/// The same alert ended a moment ago.
package struct RefractoryStage: NotificationStage {
  package static let stage = SuppressionStage.refractory
  package var until: Int64
  package init(until: Int64) { self.until = until }
  package func holds(_ claim: Claim) -> (by: String, until: Int64)? { ("refractory", until) }
}

/// A person muted it (SEMANTICS D5): never longer than its priority allows.
package struct SilenceStage: NotificationStage {
  package static let stage = SuppressionStage.silence
  package var silences: [Silence]
  package init(_ silences: [Silence]) { self.silences = silences }
  package func holds(_ claim: Claim) -> (by: String, until: Int64)? {
    let inForce = silences.filter { $0.matches(rule: claim.rule, kind: claim.kind) && $0.from <= claim.now }
    let ends = inForce.map {
      ("silence \($0.id) by \($0.author)", min($0.until, $0.from &+ Silence.longest(claim.priority)))
    }
    return ends.max { $0.1 < $1.1 }
  }
}

/// A person ended it although it is still true: it comes back after the re-alarm time.
package struct AcknowledgedStage: NotificationStage {
  package static let stage = SuppressionStage.acknowledged
  package var until: Int64
  package init(until: Int64) { self.until = until }
  package func holds(_ claim: Claim) -> (by: String, until: Int64)? { ("resolved by a person", until) }
}

/// The patient's, or the unit's, low alerts of the day are spent. Medium and high physiological alerts are never held
/// (SEMANTICS D4), and neither are technical ones above low.
package struct BudgetStage: NotificationStage {
  package static let stage = SuppressionStage.budget
  /// When each alert that counts was told, oldest first, and how many a day are allowed; 0: any number.
  package var told: [Int64]
  package var limit: Int
  package var owner: String
  package init(told: [Int64], limit: Int, owner: String) {
    self.told = told
    self.limit = limit
    self.owner = owner
  }
  /// Alerts count for this long, milliseconds.
  package static let day: Int64 = 86_400_000
  package static func counts(_ priority: Priority) -> Bool { priority <= .low }

  package func holds(_ claim: Claim) -> (by: String, until: Int64)? {
    guard limit > 0, BudgetStage.counts(claim.priority) else { return nil }
    let recent = told.filter { $0 > claim.now - BudgetStage.day && $0 <= claim.now }
    guard recent.count >= limit else { return nil }
    return ("\(owner): \(limit) a day", recent[recent.count - limit] + BudgetStage.day)
  }
}

/// The same alert coming and going: from the start that makes too many on, it is one recurrent alert (SEMANTICS D4).
package struct FlapStage: Sendable {
  package var settings: FlapSettings
  /// Earlier starts, milliseconds of engine time.
  package var starts: [Int64]
  package init(settings: FlapSettings, starts: [Int64]) {
    self.settings = settings
    self.starts = starts
  }
  /// Starts that are remembered beside the one being made.
  package static let remembered = 7

  /// How often it has started, this time included, if that makes it recurrent.
  package func recurrence(at now: Int64) -> Int? {
    guard settings.count > 0 else { return nil }
    let count = 1 + starts.count { $0 > now - settings.within }
    return count >= settings.count ? count : nil
  }
}

/// Shortens a hold the deeper the violation ("smart delay"): half at ``halvesAt`` beyond the limit, a third at twice that.
/// The rule's own hold is its cap (CLINICAL: vendors' depth-weighted delays always have a maximum).
package struct SmartDelay: Sendable {
  package var halvesAt: Double
  package init(halvesAt: Double) { self.halvesAt = halvesAt }
  /// - Parameter depth: distance beyond the limit; what is not beyond it, or unknown, shortens nothing.
  package func hold(_ hold: Int64, depth: Double) -> Int64 {
    guard depth > 0, halvesAt > 0 else { return hold }
    return min(hold, Int64((Double(hold) * halvesAt / (halvesAt + depth)).rounded(.up)))
  }
}
