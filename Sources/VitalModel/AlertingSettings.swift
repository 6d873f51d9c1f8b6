/// One step of an escalation ladder: whom to tell when nobody has answered in time.
package struct EscalationStep: Hashable, Sendable {
  /// Counted from the step before, or from the alert's telling, milliseconds.
  package var after: Int64
  /// Name of a person, a role, a schedule or a receiver; who that is at the time is for the shell to say.
  package var to: String
  package init(after: Int64, to: String) {
    self.after = after
    self.to = to
  }
}

/// The steps for alerts of some priorities in some care units; the first ladder that matches an alert is its own.
package struct EscalationLadder: Hashable, Sendable {
  /// Empty: every one.
  package var priorities: [Priority]
  package var units: [String]
  package var steps: [EscalationStep]
  package init(priorities: [Priority] = [], units: [String] = [], steps: [EscalationStep]) {
    self.priorities = priorities
    self.units = units
    self.steps = steps
  }
}

/// When the same alert coming and going counts as flapping (SEMANTICS D4).
package struct FlapSettings: Hashable, Sendable {
  /// Starts within ``within``, the last one included, that make it one recurrent alert; 0: never.
  package var count: Int
  package var within: Int64
  /// The recurrent alert ends after this long without the condition.
  package var quiet: Int64
  package init(count: Int = 4, within: Int64 = 7_200_000, quiet: Int64 = 1_800_000) {
    self.count = count
    self.within = within
    self.quiet = quiet
  }
  package static let never = FlapSettings(count: 0)
}

/// How alerts behave once a rule has found something: the same for every rule. Journaled in full (SEMANTICS B8).
package struct AlertingSettings: Hashable, Sendable {
  /// Alerts of these priorities stay, latched, after their condition ended, until somebody answers (IEC 60601-1-8).
  package var latching: Set<Priority> = []
  /// An accepted or acknowledged alert that is still true is told again after this long, milliseconds (SEMANTICS D5: high
  /// 10 min, medium 30 min); a priority without an entry never.
  package var realarm: [Priority: Int64] = [.high: 600_000, .medium: 1_800_000]
  package var ladders: [EscalationLadder] = []
  package var flap = FlapSettings()
  /// A patient's alert that begins within this time of the one before joins it, milliseconds (SEMANTICS D4); 0: none does.
  package var groupingWindow: Int64 = 600_000
  /// Low and info alerts told of one patient in a day before the rest is held and a review is asked for; 0: no limit. Medium
  /// and high physiological alerts are never held (SEMANTICS D4).
  package var patientBudget = 24
  /// The same for a care unit, per patient of it; 0: no limit.
  package var unitBudget = 0
  /// This many patients behind one gateway losing their signals within ``outageWithin`` become one alert; 0: never.
  package var outagePatients = 3
  package var outageWithin: Int64 = 60_000
  /// Whether rules that say so adapt limits to a patient's baseline.
  package var isAdaptive = false

  package init() {}
}
