import VitalModel

/// What people said alerts were worth, and what alerts cost them.
package struct FeedbackReport: Sendable {
  package let range: Range<Int64>
  package let options: FeedbackOptions
  package let watchSource: WatchSource
  /// Σ of all patients, days.
  package let patientDays: Double
  /// Patients watched, whether they had an alert or not.
  package let patients: Int
  /// Whether any alert was about simulated data.
  package let isSimulated: Bool
  package let total: FeedbackRow
  /// By rule id, then version.
  package let rules: [FeedbackRow]
  package let units: [FeedbackRow]
  package let weeks: [FeedbackRow]
  /// By number of alerts, most first; also who had none is counted, in ``concentration`` alone.
  package let byPatient: [FeedbackRow]
  package let shifts: [ShiftFigures]
  package let accept: [ResponseFigures]
  package let acknowledge: [ResponseFigures]
  package let concentration: AlertConcentration
  /// By stage in the engine's order, then rule.
  package let held: [HeldCount]

  /// O(alerts log alerts + resamples × patients × rows).
  package init(_ input: FeedbackInput, _ options: FeedbackOptions = FeedbackOptions()) {
    let ward = FeedbackWard(input, options)
    range = input.range
    self.options = options
    watchSource = input.watchSource
    patientDays = ward.days(of: nil, in: input.range)
    patients = ward.watches.count
    isSimulated = input.outcomes.contains(where: \.isSimulated)
    total = ward.row(.all, input.outcomes)
    rules = ward.rows(input.outcomes) { .rule(id: $0.rule, version: $0.ruleVersion, title: $0.ruleTitle) }
    units = ward.rows(input.outcomes) { .unit($0.unit) }
    weeks = ward.rows(input.outcomes) { .week(ISOWeek(of: $0.start)) }
    byPatient = ward.rows(input.outcomes) { .patient($0.patient) }.sorted { $0.alerts > $1.alerts }
    shifts = ward.shifts(input.outcomes)
    accept = ResponseFigures.all(input.outcomes, \.acceptedAt)
    acknowledge = ResponseFigures.all(input.outcomes, \.acknowledgedAt)
    concentration = AlertConcentration(byPatient, patients: ward.watches.count)
    let order = SuppressionStage.allCases
    held = input.held.sorted { a, b in
      let (first, second) = (order.firstIndex(of: a.stage) ?? 0, order.firstIndex(of: b.stage) ?? 0)
      return (first, a.rule) < (second, b.rule)
    }
  }
}

/// What a row of figures is about.
package enum FeedbackKey: Hashable, Sendable {
  case all
  case rule(id: String, version: String, title: String)
  /// nil: alerts of patients in no known unit.
  case unit(String?)
  case week(ISOWeek)
  case patient(UInt32)

  static func isBefore(_ a: FeedbackKey, _ b: FeedbackKey) -> Bool {
    switch (a, b) {
    case (.rule(let a, let one, _), .rule(let b, let other, _)): (a, one) < (b, other)
    case (.unit(let a), .unit(let b)): (a == nil ? 1 : 0, a ?? "") < (b == nil ? 1 : 0, b ?? "")
    case (.week(let a), .week(let b)): a < b
    case (.patient(let a), .patient(let b)): a < b
    default: false
    }
  }
}

/// Alerts of one rule version, unit, week or patient: what they were worth, and what they cost.
package struct FeedbackRow: Hashable, Sendable {
  package var key: FeedbackKey
  /// Told alerts, counted by their start.
  package var alerts = 0
  /// Patients with at least one of them.
  package var patients = 0
  /// Transitions told: starts, updates, escalations, ends.
  package var notifications = 0
  package var realarms = 0
  package var escalations = 0
  /// Alerts somebody acknowledged, with a class or without.
  package var acknowledged = 0
  package var actionable = 0
  package var notRelevant = 0
  package var isFalse = 0
  /// Days the patients it is about were watched.
  package var patientDays = 0.0
  /// Alerts per patient-day; nil without patient time.
  package var burden: Estimate?
  /// Actionable of labelled alerts; nil where none is labelled.
  package var predictiveValue: Estimate?

  /// Alerts with a class.
  package var labelled: Int { actionable + notRelevant + isFalse }
  /// Share of alerts nobody gave a class.
  package var unlabelledShare: Double { alerts > 0 ? 1 - Double(labelled) / Double(alerts) : 0 }
}

/// Alerts by nurse shift in one unit.
package struct ShiftFigures: Hashable, Sendable {
  /// nil: patients in no known unit.
  package var unit: String?
  /// Shifts in which a patient of the unit was watched or an alert started.
  package var shifts: Int
  package var alerts: Int
  /// Mean of the whole unit.
  package var perShift: Double
  /// Alerts per patient-day × shift ÷ 24 h × patients of a nurse (CLINICAL.md 4.3); nil without patient time.
  package var perNurse: Double?
  package var busiest: Int
  /// Begin of the busiest shift, the first where several are, milliseconds since 1970.
  package var busiestStart: Int64?
}

/// How long alerts waited for an answer.
package struct ResponseFigures: Hashable, Sendable {
  /// The highest the alerts had; nil: all.
  package var priority: Priority?
  package var alerts: Int
  package var answered: Int
  /// Of the answered ones, milliseconds: those nobody answered would make it longer.
  package var median: Int64?
  package var p90: Int64?

  static func all(_ outcomes: [AlertOutcome], _ answer: (AlertOutcome) -> Int64?) -> [ResponseFigures] {
    let priorities: [Priority?] = [nil] + Priority.allCases.reversed()
    return priorities.compactMap { priority in
      let concerned = outcomes.filter { priority == nil || $0.priority == priority }
      guard priority == nil || !concerned.isEmpty else { return nil }
      let waits = concerned.compactMap { outcome in answer(outcome).map { max(0, $0 - outcome.start) } }.sorted()
      return ResponseFigures(
        priority: priority, alerts: concerned.count, answered: waits.count,
        median: Quantile.nearestRank(0.5, of: waits), p90: Quantile.nearestRank(0.9, of: waits))
    }
  }
}

/// How unevenly alerts fall on patients: in hospitals the noisiest tenth of beds gives 57 to 82 % of alarms (CLINICAL.md
/// 3.1).
package struct AlertConcentration: Hashable, Sendable {
  package struct Rank: Hashable, Sendable {
    /// Directory number.
    package var patient: UInt32
    package var alerts: Int
    package var share: Double
    /// Of this and all before it.
    package var cumulative: Double
  }

  /// Patients with alerts, most first.
  package var ranks: [Rank]
  /// A tenth of the patients watched, rounded up.
  package var top: Int
  package var patients: Int
  /// What the ``top`` patients have of all alerts.
  package var topShare: Double

  init(_ rows: [FeedbackRow], patients: Int) {
    let total = rows.reduce(0) { $0 + $1.alerts }
    var seen = 0
    ranks = rows.compactMap { row in
      guard case .patient(let number) = row.key else { return nil }
      seen += row.alerts
      return Rank(
        patient: number, alerts: row.alerts, share: Double(row.alerts) / Double(total),
        cumulative: Double(seen) / Double(total))
    }
    self.patients = max(patients, ranks.count)
    top = (self.patients + 9) / 10
    topShare = ranks.prefix(top).last?.cumulative ?? 0
  }
}
