import VitalModel

/// One stretch of one patient worth looking at, with what happened in it.
package struct TracePick: Hashable, Sendable {
  /// Why it was picked.
  package enum Reason: Hashable, Sendable {
    /// An event no alert counted for, and how long there had been no alert before its onset, milliseconds.
    case missed(quiet: Int64)
    /// The patient with most false alerts of one rule, and how many.
    case falseAlerts(rule: String, count: Int)
  }

  /// One alert of the stretch.
  package struct Told: Hashable, Sendable {
    package var time: Int64
    package var end: Int64?
    /// The rule's id.
    package var rule: String
    package var priority: Priority
    package var worth: Worth
  }

  /// What an alert of the stretch turned out to be.
  package enum Worth: String, Hashable, Sendable, CaseIterable {
    case counted, `repeat`, neutral, `false`
  }

  /// Position in the cohort.
  package var patient: Int
  package var reason: Reason
  /// The onset missed, or the first false alert of the stretch: milliseconds since 1970.
  package var anchor: Int64
  /// Milliseconds since 1970, both included.
  package var range: ClosedRange<Int64>
  /// Onsets in the stretch.
  package var onsets: [Int64]
  /// Alerts that start in the stretch, oldest first.
  package var alerts: [Told]

  package init(
    patient: Int, reason: Reason, anchor: Int64, range: ClosedRange<Int64>, onsets: [Int64], alerts: [Told]
  ) {
    self.patient = patient
    self.reason = reason
    self.anchor = anchor
    self.range = range
    self.onsets = onsets
    self.alerts = alerts
  }
}

/// The events missed worst, and the patients with most false alerts: what to look at when rules are to become better.
package struct TracePicks: Sendable {
  /// Missed events, then false alerts, each the worst first.
  package private(set) var picks: [TracePick] = []

  /// Of each kind, at most.
  package static let eachMax = 6
  private static let hour: Int64 = 3_600_000

  private struct Missed {
    var event: CohortEvent
    var quiet: Int64
  }

  private let cohort: EvaluationCohort
  private let rules: [EvaluatedRule]
  private let convention: EvaluationConvention
  private let alerts: ByPatient<EvaluatedAlert>
  /// As ``alerts``.
  private var worth: [TracePick.Worth] = []
  private var missed: [Missed] = []
  /// How long before and after its anchor a stretch reaches, milliseconds.
  private let before: Int64
  private let after: Int64

  /// Equal input gives equal picks. O(alerts × events of a patient).
  package init(_ input: EvaluationInput, _ convention: EvaluationConvention) {
    cohort = input.cohort
    rules = input.rules
    self.convention = convention
    let known = input.alerts.filter { input.cohort.stays.indices.contains($0.patient) }
    alerts = ByPatient(
      known.sorted { ($0.patient, $0.time, $0.rule) < ($1.patient, $1.time, $1.rule) }, patients: cohort.count
    ) { $0.patient }
    before = min(max(convention.lead, TracePicks.hour), 24 * TracePicks.hour)
    after = min(max(convention.grace, before / 6), 6 * TracePicks.hour)
    judge()
    pickMissed()
    pickFalse()
  }

  private mutating func judge() {
    let events = ByPatient(cohort.events, patients: cohort.count) { $0.patient }
    worth.reserveCapacity(alerts.items.count)
    for patient in cohort.stays.indices {
      let own = events[patient]
      let times = alerts[patient].map(\.time)
      let matching = EventMatching(
        times, own.map { convention.target($0) }, isNeutralInside: convention.isNeutralInside,
        censored: cohort.censored[patient] ?? [])
      worth += matching.worth.map {
        switch $0 {
        case .credited: .counted
        case .repeat: .repeat
        case .neutral, .censored: .neutral
        case .isFalse: .false
        }
      }
      for (event, credited) in zip(own, matching.creditedAlert) where credited < 0 {
        let last = times.last { $0 <= event.onset } ?? cohort.stays[patient].first
        missed.append(Missed(event: event, quiet: event.onset - last))
      }
    }
  }

  private mutating func pickMissed() {
    let worst = missed.sorted {
      ($1.quiet, $0.event.patient, $0.event.onset) < ($0.quiet, $1.event.patient, $1.event.onset)
    }
    for miss in worst.prefix(TracePicks.eachMax) {
      let onset = miss.event.onset
      add(miss.event.patient, .missed(quiet: miss.quiet), anchor: onset, from: onset - before, through: onset + after)
    }
  }

  /// The patient with most false alerts of each rule, noisy rules first; then the second of each.
  private mutating func pickFalse() {
    var counts: [Int: [Int: Int]] = [:]
    for (alert, worth) in zip(alerts.items, worth) where worth == .false {
      counts[alert.rule, default: [:]][alert.patient, default: 0] += 1
    }
    let noisy = counts.map { rule, patients in
      (
        rule: rule, total: patients.values.reduce(0, +),
        patients: patients.sorted { ($1.value, $0.key) < ($0.value, $1.key) }
      )
    }.sorted { ($1.total, $0.rule) < ($0.total, $1.rule) }
    var found = 0
    for rank in 0..<TracePicks.eachMax {
      for rule in noisy where found < TracePicks.eachMax && rank < rule.patients.count {
        let (patient, count) = rule.patients[rank]
        let anchor = busiest(patient, rule: rule.rule)
        let name = rules.indices.contains(rule.rule) ? rules[rule.rule].id : ""
        add(
          patient, .falseAlerts(rule: name, count: count), anchor: anchor, from: anchor - after,
          through: anchor + before)
        found += 1
      }
    }
  }

  /// The first false alert of a rule in the stretch that holds most of them.
  private func busiest(_ patient: Int, rule: Int) -> Int64 {
    let range = alerts.range(of: patient)
    let times = range.filter { worth[$0] == .false && alerts.items[$0].rule == rule }.map { alerts.items[$0].time }
    var best = (count: 0, time: times.first ?? 0)
    var end = 0
    for (start, time) in times.enumerated() {
      while end < times.count, times[end] <= time + before { end += 1 }
      if end - start > best.count { best = (end - start, time) }
    }
    return best.time
  }

  private mutating func add(
    _ patient: Int, _ reason: TracePick.Reason, anchor: Int64, from first: Int64, through last: Int64
  ) {
    let range = first...last
    let onsets = cohort.events.filter { $0.patient == patient && range.contains($0.onset) }.map(\.onset)
    let told = alerts.range(of: patient).filter { range.contains(alerts.items[$0].time) }.map { place in
      let alert = alerts.items[place]
      return TracePick.Told(
        time: alert.time, end: alert.end, rule: rules.indices.contains(alert.rule) ? rules[alert.rule].id : "",
        priority: alert.priority, worth: worth[place])
    }
    picks.append(
      TracePick(patient: patient, reason: reason, anchor: anchor, range: range, onsets: onsets, alerts: told))
  }
}
