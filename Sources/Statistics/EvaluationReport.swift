import VitalModel

/// Everything an evaluation is made of.
package struct EvaluationInput: Sendable {
  package var cohort: EvaluationCohort
  /// In any order.
  package var alerts: [EvaluatedAlert]
  /// Rules by the number alerts name them with.
  package var rules: [EvaluatedRule]
  /// Starts, updates, escalations, re-alarms and ends people would have been told.
  package var notifications: Int
  /// What the recording and its labels are, so that a report can be made again.
  package var dataDigest: String
  package var rulesVersion: String

  package init(
    cohort: EvaluationCohort, alerts: [EvaluatedAlert], rules: [EvaluatedRule], notifications: Int = 0,
    dataDigest: String = "", rulesVersion: String = ""
  ) {
    self.cohort = cohort
    self.alerts = alerts
    self.rules = rules
    self.notifications = notifications
    self.dataDigest = dataDigest
    self.rulesVersion = rulesVersion
  }
}

/// What a reader of an evaluation may choose.
package struct EvaluationOptions: Sendable {
  package var convention = EvaluationConvention()
  /// Of resampling, rotation and the draw of controls.
  package var seed: UInt64 = 1
  /// At least ``resamplesMin``.
  package var resamples = 2000
  package var rotations = Rotation.countMin
  /// Of the net benefit: how likely an event must be for an alert to be worth it.
  package var thresholds = [0.05, 0.1, 0.2]
  package static let resamplesMin = PatientResamples.countMin
  package init() {}
}

/// Labels against alerts under one convention, with chance beside every sensitivity. The same input and seed give the same
/// report.
package struct EvaluationReport: Sendable {
  package let options: EvaluationOptions
  package let kinds: [String]
  package let exclusions: LabelExclusions
  package let notifications: Int
  package let dataDigest: String
  package let rulesVersion: String
  package let total: EvaluationRow
  /// By rule id, then version: each alone, as if there were no other rule.
  package let rules: [EvaluationRow]
  /// The highest first; each alone.
  package let priorities: [EvaluationRow]
  /// By column in the order given, then value.
  package let subgroups: [EvaluationRow]
  /// By position.
  package let patients: [PatientRow]
  /// The hours of the day, 0 first.
  package let hours: [HourRow]

  /// O(resamples × (patients + values) × rows).
  package init(_ input: EvaluationInput, _ options: EvaluationOptions = EvaluationOptions()) {
    let cohort = input.cohort
    let alerts = input.alerts.filter { cohort.stays.indices.contains($0.patient) }
      .sorted {
        ($0.patient, $0.time, $0.rule, $0.priority, $0.end ?? .max)
          < ($1.patient, $1.time, $1.rule, $1.priority, $1.end ?? .max)
      }
    var resamples = PatientResamples(patients: cohort.count, count: options.resamples, seed: options.seed)
    let quiet = EvaluationReport.quiet(cohort, options.convention)
    func members(_ resamples: inout PatientResamples, _ isMember: (Int) -> Bool) -> RowMembers {
      RowMembers(cohort, options, quiet: quiet, &resamples, isMember: isMember)
    }
    let everybody = members(&resamples) { _ in true }
    var drafts = [RowDraft(.all, alerts, cohort, everybody, options, &resamples)]
    let order = input.rules.indices.sorted {
      (input.rules[$0].id, input.rules[$0].version) < (input.rules[$1].id, input.rules[$1].version)
    }
    for rule in order {
      let own = alerts.filter { $0.rule == rule }
      drafts.append(RowDraft(.rule(input.rules[rule]), own, cohort, everybody, options, &resamples))
    }
    for priority in Priority.allCases.reversed() {
      let own = alerts.filter { $0.priority == priority }
      guard !own.isEmpty else { continue }
      drafts.append(RowDraft(.priority(priority), own, cohort, everybody, options, &resamples))
    }
    for column in cohort.groups {
      for value in EvaluationReport.values(column) {
        let group = members(&resamples) { column.values[$0] == value }
        let key = EvaluationKey.subgroup(column: column.name, value: value)
        drafts.append(RowDraft(key, alerts, cohort, group, options, &resamples))
      }
    }
    resamples.run()
    let rows = drafts.map { $0.finished(resamples) }
    self.options = options
    kinds = cohort.kinds
    exclusions = cohort.exclusions
    notifications = input.notifications
    dataDigest = input.dataDigest
    rulesVersion = input.rulesVersion
    total = rows[0]
    rules = rows.filter { if case .rule = $0.key { true } else { false } }
    priorities = rows.filter { if case .priority = $0.key { true } else { false } }
    subgroups = rows.filter { if case .subgroup = $0.key { true } else { false } }
    patients = drafts[0].patientRows
    hours = drafts[0].hours
  }

  /// Values of a column, those not known last.
  private static func values(_ column: SubgroupColumn) -> [String?] {
    let known = Set(column.values.compactMap { $0 }).sorted()
    return column.values.contains(nil) ? known + [nil] : known
  }

  private static func quiet(_ cohort: EvaluationCohort, _ convention: EvaluationConvention) -> [WindowTally] {
    let events = ByPatient(cohort.events, patients: cohort.count) { $0.patient }
    return cohort.stays.indices.map { patient in
      WindowTally(
        cohort.stays[patient], times: [Int64](), events: Array(events[patient]),
        censored: cohort.censored[patient] ?? [], convention)
    }
  }
}
