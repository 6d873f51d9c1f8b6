/// A row of figures while patients are yet to be resampled: counts, and the columns its figures are made of.
struct RowDraft {
  private(set) var row: EvaluationRow
  /// Of the row about everything alone.
  private(set) var patientRows: [PatientRow] = []
  private(set) var hours: [HourRow] = []
  private let members: RowMembers
  private let options: EvaluationOptions

  private var detected = 0
  private var patientDetected = 0
  private var before = 0
  private var useful = 0
  private var alerts = 0
  private var trueAlerts = 0
  private var falseAlerts = 0
  private var negativesAlerted = 0
  private var windowHits = 0
  private var windowFalse = 0
  private var utility = 0
  private var meanSensitivity = 0
  private var meanValue = 0
  private var withJudged = 0
  private var meanBurden = 0
  private var meanWindowFalse = 0
  private var leads: [(value: Double, patient: Int)] = []
  private var medianLead = 0
  private var margin: (statistic: Int, value: Double)?
  private var matchedPatients = 0

  /// - Parameters:
  ///   - alerts: by patient, then time; those of other patients are passed over.
  init(
    _ key: EvaluationKey, _ all: [EvaluatedAlert], _ cohort: EvaluationCohort, _ members: RowMembers,
    _ options: EvaluationOptions, _ resamples: inout PatientResamples
  ) {
    row = EvaluationRow(key: key)
    self.members = members
    self.options = options
    let column = AlertColumn(all.filter { members.isMember[$0.patient] }, cohort)
    var counts = RowCounts(patients: cohort.count)
    let events = ByPatient(members.events, patients: cohort.count) { cohort.events[$0].patient }
    let negatives = ByPatient(members.negatives, patients: cohort.count) { cohort.negatives[$0].patient }
    var isDetected = [Bool](repeating: false, count: cohort.events.count)
    for patient in members.members {
      let own = events[patient].map { cohort.events[$0] }
      let result = counts.take(
        patient, column.times[patient], own, negatives[patient].map { cohort.negatives[$0] }, cohort,
        options.convention, quiet: members.quiet[patient])
      for (index, position) in zip(events[patient], result.credited) { isDetected[index] = position >= 0 }
      if key == .all { patientRows.append(result.row) }
    }
    leads = counts.leads.sorted { ($0.value, $0.patient) < ($1.value, $1.patient) }
    hours = counts.hours
    addColumns(counts, &resamples)
    fill(counts, cohort, column)
    addChance(column, cohort, isDetected, &resamples)
  }

  private mutating func addColumns(_ counts: RowCounts, _ resamples: inout PatientResamples) {
    detected = resamples.add(counts.detected)
    patientDetected = resamples.add(counts.detected.map { $0 > 0 ? 1 : 0 })
    before = resamples.add(counts.before)
    useful = resamples.add(counts.useful)
    alerts = resamples.add(counts.alerts)
    trueAlerts = resamples.add(counts.trueAlerts)
    falseAlerts = resamples.add(counts.falseAlerts)
    negativesAlerted = resamples.add(counts.negativesAlerted)
    windowHits = resamples.add(counts.windowHits)
    windowFalse = resamples.add(counts.windowFalse)
    utility = resamples.add(counts.utility)
    meanSensitivity = resamples.add(counts.meanSensitivity)
    meanValue = resamples.add(counts.meanValue)
    withJudged = resamples.add(counts.withJudged)
    meanBurden = resamples.add(counts.meanBurden)
    meanWindowFalse = resamples.add(counts.meanWindowFalse)
    medianLead = resamples.add(ResampledQuantile(values: leads, share: 0.5))
  }

  private mutating func fill(_ counts: RowCounts, _ cohort: EvaluationCohort, _ column: AlertColumn) {
    row.patients = members.members.count
    row.patientDays = cohort.patientDays(of: members.members)
    row.events.count = members.events.count
    row.events.detected = Int(counts.detected.reduce(0, +))
    row.events.patients = Set(members.events.map { cohort.events[$0].patient }).count
    row.events.patientsDetected = counts.detected.count { $0 > 0 }
    row.alerts.count = column.count
    row.alerts.credited = counts.worth[.credited] ?? 0
    row.alerts.repeats = counts.worth[.repeat] ?? 0
    row.alerts.isFalse = counts.worth[.isFalse] ?? 0
    row.alerts.neutral = counts.worth[.neutral] ?? 0
    row.alerts.censored = counts.worth[.censored] ?? 0
    row.windows.truePositives = counts.windows.truePositives
    row.windows.falsePositives = counts.windows.falsePositives
    row.windows.falseNegatives = counts.windows.falseNegatives
    row.windows.trueNegatives = counts.windows.trueNegatives
    row.windows.censored = counts.windows.censored
    row.scores.negatives = members.negatives.count
    row.scores.negativesAlerted = Int(counts.negativesAlerted.reduce(0, +))
    row.scores.isOverMoments = !members.negatives.isEmpty
  }

  private mutating func addChance(
    _ column: AlertColumn, _ cohort: EvaluationCohort, _ isDetected: [Bool], _ resamples: inout PatientResamples
  ) {
    row.chance.rotation = Rotation(
      column, cohort, events: members.events, options.convention, count: options.rotations, seed: options.seed,
      detected: row.events.detected)
    row.chance.clock = ClockPolicy(
      cohort, events: members.events, members: members.members, alerts: column.count, options.convention)
    let matched = members.matched
    row.chance.controls = matched.controls.count
    row.chance.matched = matched.cases.count
    row.chance.unmatched = matched.unmatched
    let margin = MatchedMargin(matched, isDetected: { isDetected[$0] }, alerts: column, patients: cohort.count)
    row.chance.controlRate = margin.rate
    matchedPatients = Set(matched.cases.map(\.patient)).count
    if let value = margin.margin { self.margin = (resamples.add(margin), value) }
  }

  /// The row with its figures, once patients have been resampled.
  func finished(_ resamples: PatientResamples) -> EvaluationRow {
    var row = row
    row.events.sensitivity = resamples.figure(RatioRecipe(detected, over: members.eventCount, .share))
    row.events.patientSensitivity = resamples.figure(RatioRecipe(patientDetected, over: members.withEvent, .share))
    finishAlerts(&row.alerts, resamples)
    if !leads.isEmpty {
      let values = leads.map(\.value)
      let patients = Set(leads.map(\.patient)).count
      let median = Quantile.nearestRank(0.5, of: values) ?? 0
      row.lead = LeadFigures(
        median: resamples.figure(medianLead, value: median, patients: patients),
        p25: Quantile.nearestRank(0.25, of: values) ?? 0, p75: Quantile.nearestRank(0.75, of: values) ?? 0,
        usefulShare: resamples.figure(RatioRecipe(useful, over: detected, .share)))
    }
    row.chance.beforeOnset = resamples.figure(RatioRecipe(before, over: members.eventCount, .share))
    row.chance.margin = margin.map { resamples.figure($0.statistic, value: $0.value, patients: matchedPatients) }
    finishWindows(&row.windows, resamples)
    finishScores(&row.scores, resamples)
    row.average.sensitivity = resamples.figure(RatioRecipe(meanSensitivity, over: members.withEvent, .share))
    row.average.predictiveValue = resamples.figure(RatioRecipe(meanValue, over: withJudged, .share))
    row.average.perPatientDay = resamples.figure(RatioRecipe(meanBurden, over: members.one, .rate))
    let quietShare: [RatioRecipe.Term] = [
      .init(column: members.withNegativeWindow), .init(column: meanWindowFalse, factor: -1),
    ]
    row.average.specificity = resamples.figure(
      RatioRecipe(quietShare, over: [.init(column: members.withNegativeWindow)], .share))
    return row
  }

  private func finishAlerts(_ figures: inout AlertFigures, _ resamples: PatientResamples) {
    figures.perPatientDay = resamples.figure(RatioRecipe(alerts, over: members.days, .rate))
    figures.falsePerPatientDay = resamples.figure(RatioRecipe(falseAlerts, over: members.days, .rate))
    let (hit, wrong) = (RatioRecipe.Term(column: trueAlerts), RatioRecipe.Term(column: falseAlerts))
    let found = RatioRecipe.Term(column: detected)
    figures.predictiveValue = resamples.figure(RatioRecipe([hit], over: [hit, wrong], .share))
    figures.predictiveValueOnce = resamples.figure(RatioRecipe([found], over: [found, wrong], .share))
    figures.numberNeeded = figures.predictiveValue.flatMap { value in
      DetectionScore.numberNeededToEvaluate(value.value).map { needed in
        let intervals = value.intervals.map {
          Interval(lower: 1 / $0.upper, upper: $0.lower > 0 ? 1 / $0.lower : .infinity, method: $0.method)
        }
        return Figure(value: needed, intervals: intervals, patients: value.patients)
      }
    }
  }

  private func finishWindows(_ figures: inout WindowFigures, _ resamples: PatientResamples) {
    let (hit, wrong) = (RatioRecipe.Term(column: windowHits), RatioRecipe.Term(column: windowFalse))
    let (positive, negative) = (
      RatioRecipe.Term(column: members.windowPositives), RatioRecipe.Term(column: members.windowNegatives)
    )
    let quiet = RatioRecipe.Term(column: windowFalse, factor: -1)
    figures.sensitivity = resamples.figure(RatioRecipe([hit], over: [positive], .share))
    figures.specificity = resamples.figure(RatioRecipe([negative, quiet], over: [negative], .share))
    figures.predictiveValue = resamples.figure(RatioRecipe([hit], over: [hit, wrong], .share))
    figures.netBenefit = options.thresholds.compactMap { threshold in
      let odds = threshold / (1 - threshold)
      let cost = RatioRecipe.Term(column: windowFalse, factor: -odds)
      let always = [positive, RatioRecipe.Term(column: members.windowNegatives, factor: -odds)]
      guard let figure = resamples.figure(RatioRecipe([hit, cost], over: [positive, negative], .free)) else {
        return nil
      }
      let count = resamples.total(positive.column) + resamples.total(negative.column)
      let sum = always.reduce(0) { $0 + $1.factor * resamples.total($1.column) }
      return WindowFigures.NetBenefit(threshold: threshold, figure: figure, alertAlways: sum / count)
    }
  }

  private func finishScores(_ scores: inout ScoreFigures, _ resamples: PatientResamples) {
    func term(_ column: Int, _ factor: Double = 1) -> RatioRecipe.Term { .init(column: column, factor: factor) }
    func fBeta(_ beta: Double) -> Figure? {
      guard row.events.count > 0 else { return nil }
      let square = beta * beta
      let whole = [term(detected), term(members.eventCount, square), term(falseAlerts)]
      return resamples.figure(RatioRecipe([term(detected, 1 + square)], over: whole, .free))
    }
    scores.f1 = fBeta(1)
    scores.f2 = fBeta(2)
    let (top, bottom) =
      scores.isOverMoments
      ? (
        [term(detected, 100), term(members.negativeCount, 100), term(negativesAlerted, -100)],
        [term(members.negativeCount), term(members.eventCount, 5), term(detected, -4)]
      )
      : (
        [term(windowHits, 100), term(members.windowNegatives, 100), term(windowFalse, -100)],
        [term(members.windowNegatives), term(members.windowPositives, 5), term(windowHits, -4)]
      )
    scores.cinc2015 = resamples.figure(RatioRecipe(top, over: bottom, .free))
    scores.utility2019 = resamples.figure(
      RatioRecipe(
        [term(utility), term(members.utilityNone, -1)],
        over: [term(members.utilityBest), term(members.utilityNone, -1)], .free))
  }
}
