/// Counts of a row, one place per patient of the cohort.
struct RowCounts {
  var detected: [Double]
  /// Detected by an alert before the onset.
  var before: [Double]
  /// Detected with the useful lead.
  var useful: [Double]
  var alerts: [Double]
  /// Credited and repeats.
  var trueAlerts: [Double]
  var falseAlerts: [Double]
  var negativesAlerted: [Double]
  var windowHits: [Double]
  var windowFalse: [Double]
  var utility: [Double]
  /// The patient's own sensitivity, PPV, burden, and share of quiet windows with an alert.
  var meanSensitivity: [Double]
  var meanValue: [Double]
  var meanBurden: [Double]
  var meanWindowFalse: [Double]
  /// Whether the patient has an alert that is true or false.
  var withJudged: [Double]
  var worth: [AlertWorth: Int] = [:]
  var windows = WindowTotals()
  var hours = (0..<24).map { HourRow(hour: $0) }
  /// Milliseconds.
  var leads: [(value: Double, patient: Int)] = []

  /// Sums over patients.
  struct WindowTotals {
    var truePositives = 0
    var falsePositives = 0
    var falseNegatives = 0
    var trueNegatives = 0
    var censored = 0
  }

  init(patients: Int) {
    let zero = [Double](repeating: 0, count: patients)
    (detected, before, useful, alerts, trueAlerts, falseAlerts) = (zero, zero, zero, zero, zero, zero)
    (negativesAlerted, windowHits, windowFalse, utility) = (zero, zero, zero, zero)
    (meanSensitivity, meanValue, meanBurden, meanWindowFalse, withJudged) = (zero, zero, zero, zero, zero)
  }

  /// Takes one patient.
  ///
  /// - Parameter quiet: the patient's windows as they are without any alert.
  /// - Returns: per event the alert credited, −1 missed; and the patient's own counts.
  mutating func take(
    _ patient: Int, _ own: ArraySlice<EvaluatedAlert>, _ events: [CohortEvent], _ negatives: [CohortEvent],
    _ cohort: EvaluationCohort, _ convention: EvaluationConvention, quiet: WindowTally?
  ) -> (credited: [Int], row: PatientRow) {
    let stay = cohort.stays[patient]
    let censored = cohort.censored[patient] ?? []
    let times = own.map(\.time)
    let targets = events.map { convention.target($0) }
    let matching = EventMatching(times, targets, isNeutralInside: convention.isNeutralInside, censored: censored)
    var row = PatientRow(patient: patient, patientDays: stay.days)
    row.events = events.count
    row.alerts = own.count
    for event in events { hours[HourRow.hour(of: event.onset)].events += 1 }
    for (kind, time) in zip(matching.worth, times) {
      hours[HourRow.hour(of: time)].alerts += 1
      if kind == .isFalse { hours[HourRow.hour(of: time)].isFalse += 1 }
      worth[kind, default: 0] += 1
      if kind == .credited || kind == .repeat { row.trueAlerts += 1 }
      if kind == .isFalse { row.isFalse += 1 }
    }
    for (target, position) in zip(targets, matching.creditedAlert) where position >= 0 {
      row.leads.append(target.onset - times[position])
    }
    row.detected = row.leads.count
    take(row, convention)
    before[patient] = Double(RowCounts.beforeOnset(times, targets))
    takeWindows(
      patient,
      times.isEmpty ? quiet : WindowTally(stay, times: times, events: events, censored: censored, convention))
    for negative in negatives {
      let (first, last) = convention.range(onset: negative.onset, end: negative.end)
      if times.contains(where: { first <= $0 && $0 <= last }) { negativesAlerted[patient] += 1 }
    }
    takeUtility(patient, own, events, cohort)
    return (matching.creditedAlert, row)
  }

  private mutating func take(_ row: PatientRow, _ convention: EvaluationConvention) {
    let patient = row.patient
    detected[patient] = Double(row.detected)
    useful[patient] = Double(row.leads.count { $0 >= convention.usefulLead })
    alerts[patient] = Double(row.alerts)
    trueAlerts[patient] = Double(row.trueAlerts)
    falseAlerts[patient] = Double(row.isFalse)
    let judged = row.trueAlerts + row.isFalse
    if row.events > 0 { meanSensitivity[patient] = Double(row.detected) / Double(row.events) }
    if judged > 0 { (meanValue[patient], withJudged[patient]) = (Double(row.trueAlerts) / Double(judged), 1) }
    if row.patientDays > 0 { meanBurden[patient] = Double(row.alerts) / row.patientDays }
    for lead in row.leads { leads.append((Double(lead), patient)) }
  }

  /// Events detected if only alerts before their onset count.
  private static func beforeOnset(_ times: [Int64], _ targets: [EventMatching.Target]) -> Int {
    guard !times.isEmpty, !targets.isEmpty else { return 0 }
    let earlier = targets.map { target -> EventMatching.Target in
      var target = target
      target.last = min(target.last, target.onset - 1)
      return target
    }
    return EventMatching(times, earlier).detected
  }

  private mutating func takeWindows(_ patient: Int, _ tally: WindowTally?) {
    guard let tally else { return }
    windowHits[patient] = Double(tally.truePositives)
    windowFalse[patient] = Double(tally.falsePositives)
    if tally.negatives > 0 { meanWindowFalse[patient] = Double(tally.falsePositives) / Double(tally.negatives) }
    windows.truePositives += tally.truePositives
    windows.falsePositives += tally.falsePositives
    windows.falseNegatives += tally.falseNegatives
    windows.trueNegatives += tally.trueNegatives
    windows.censored += tally.censored
  }

  /// A patient whose events could not be judged has no place in it.
  private mutating func takeUtility(
    _ patient: Int, _ own: ArraySlice<EvaluatedAlert>, _ events: [CohortEvent], _ cohort: EvaluationCohort
  ) {
    guard !events.isEmpty || !own.isEmpty && !cohort.hasEvent[patient] else { return }
    let stay = cohort.stays[patient]
    utility[patient] = SepsisUtility.sum(
      onset: events.first.map { SepsisUtility.hour(of: $0, in: stay) },
      predictions: SepsisUtility.predictions(own, in: stay))
  }
}
