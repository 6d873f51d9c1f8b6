import VitalModel

/// A cohort with all about it that does not depend on a setting: folds, convention, controls and what patients would come to
/// without any alert.
package struct TuningCohort: Sendable {
  package let cohort: EvaluationCohort
  package let folds: PatientFolds
  package let convention: EvaluationConvention
  /// Controls of an event are of its own fold, so that no fold's figure looks at another's patients and both sides are
  /// judged under one setting.
  let matched: MatchedControls
  /// By ``FixedColumn``, then patient.
  private let fixed: [[Double]]
  private let events: ByPatient<Int>

  /// A number of a patient that is the same under every setting.
  enum FixedColumn: Int, CaseIterable, Sendable {
    case one, days, events, withEvent, windowPositives, windowNegatives
    /// The best utility beyond that of no alert at all.
    case utilityBest
  }

  /// - Parameters:
  ///   - seed: of the draw of controls.
  /// - Precondition: folds of this cohort's patients.
  package init(_ cohort: EvaluationCohort, folds: PatientFolds, convention: EvaluationConvention, seed: UInt64) {
    precondition(folds.fold.count == cohort.count, "a fold per patient")
    self.cohort = cohort
    self.folds = folds
    self.convention = convention
    matched = MatchedControls(
      joining: (PatientFolds.heldOut..<folds.count).map { fold in
        let own = cohort.events.indices.filter { folds.fold[cohort.events[$0].patient] == fold }
        return MatchedControls(cohort, events: own, convention, seed: seed) { folds.fold[$0] == fold }
      })
    let events = ByPatient(Array(cohort.events.indices), patients: cohort.count) { cohort.events[$0].patient }
    self.events = events
    var fixed = [[Double]](
      repeating: [Double](repeating: 0, count: cohort.count), count: FixedColumn.allCases.count)
    for patient in cohort.stays.indices {
      func set(_ column: FixedColumn, _ value: Double) { fixed[column.rawValue][patient] = value }
      let stay = cohort.stays[patient]
      let own = events[patient].map { cohort.events[$0] }
      let windows = WindowTally(
        stay, times: [Int64](), events: own, censored: cohort.censored[patient] ?? [], convention)
      set(.one, 1)
      set(.days, stay.days)
      set(.events, Double(own.count))
      set(.withEvent, own.isEmpty ? 0 : 1)
      set(.windowPositives, Double(windows.positives))
      set(.windowNegatives, Double(windows.negatives))
      if let onset = own.first.map({ SepsisUtility.hour(of: $0, in: stay) }) {
        let hours = SepsisUtility.hours(stay)
        set(
          .utilityBest,
          SepsisUtility.bestSum(onset: onset, hours: hours)
            - SepsisUtility.sum(onset: onset, predictions: [Bool](repeating: false, count: hours)))
      }
    }
    self.fixed = fixed
  }

  func values(_ column: FixedColumn) -> [Double] { fixed[column.rawValue] }

  func sum(_ column: FixedColumn, among isIn: [Bool]) -> Double {
    // Days add up as whole milliseconds, so that the order of patients does not matter.
    if column == .days { return cohort.patientDays(of: isIn.indices.filter { isIn[$0] }) }
    return zip(fixed[column.rawValue], isIn).reduce(0) { $1.1 ? $0 + $1.0 : $0 }
  }

  /// Events of some patients that have a matched control among them; the margin is about no others.
  package func eventsWithControls(among isIn: [Bool]) -> Int { matched.restricted(to: isIn).matched.cases.count }

  /// Folds one setting's alerts into counts. O(alerts log alerts + patients).
  ///
  /// - Parameter alerts: in any order; of patients the cohort does not have: passed over.
  package func tally(_ alerts: [EvaluatedAlert]) -> SettingTally {
    let sorted = alerts.filter { cohort.stays.indices.contains($0.patient) }
      .sorted { ($0.patient, $0.time, $0.rule, $0.end ?? .max) < ($1.patient, $1.time, $1.rule, $1.end ?? .max) }
    let column = AlertColumn(sorted, cohort)
    var tally = SettingTally(events: cohort.events.count, controls: matched.controls.count)
    var counts = RowCounts(patients: cohort.count)
    for patient in cohort.stays.indices where !column.times.range(of: patient).isEmpty {
      let own = events[patient].map { cohort.events[$0] }
      counts.worth = [:]
      let row = counts.take(patient, column.times[patient], own, [], cohort, convention, quiet: nil)
      for (index, position) in zip(events[patient], row.credited) { tally.isDetected[index] = position >= 0 }
      let none =
        own.first.map { event in
          let stay = cohort.stays[patient]
          return SepsisUtility.sum(
            onset: SepsisUtility.hour(of: event, in: stay),
            predictions: [Bool](repeating: false, count: SepsisUtility.hours(stay)))
        } ?? 0
      tally.append(patient, utility: counts.utility[patient] - none) { column in
        switch column {
        case .alerts: row.row.alerts
        case .detected: row.row.detected
        case .before: Int(counts.before[patient])
        case .trueAlerts: row.row.trueAlerts
        case .falseAlerts: row.row.isFalse
        case .neutral: counts.worth[.neutral] ?? 0
        case .censored: counts.worth[.censored] ?? 0
        case .windowHits: Int(counts.windowHits[patient])
        case .windowFalse: Int(counts.windowFalse[patient])
        }
      }
    }
    for item in matched.cases {
      for place in item.controls {
        tally.isControlAlerted[place] = column.hasAlert(
          Int(matched.controls[place]), from: item.first, through: item.last)
      }
    }
    return tally
  }
}

extension MatchedControls {
  /// Several draws as one.
  init(joining parts: [MatchedControls]) {
    var (cases, controls): ([Case], [Int32]) = ([], [])
    for part in parts {
      for item in part.cases {
        var moved = item
        moved.controls = item.controls.lowerBound + controls.count..<item.controls.upperBound + controls.count
        cases.append(moved)
      }
      controls += part.controls
    }
    self.cases = cases
    self.controls = controls
    unmatched = parts.reduce(0) { $0 + $1.unmatched }
  }

  /// The events and controls among some patients, with the place each control had here.
  func restricted(to isIn: [Bool]) -> (matched: MatchedControls, places: [Int]) {
    var (cases, controls, places): ([Case], [Int32], [Int]) = ([], [], [])
    for item in self.cases where isIn[item.patient] {
      var kept = item
      let start = controls.count
      for place in item.controls where isIn[Int(self.controls[place])] {
        controls.append(self.controls[place])
        places.append(place)
      }
      guard controls.count > start else { continue }
      kept.controls = start..<controls.count
      cases.append(kept)
    }
    return (MatchedControls(cases: cases, controls: controls, unmatched: unmatched), places)
  }

  private init(cases: [Case], controls: [Int32], unmatched: Int) {
    self.cases = cases
    self.controls = controls
    self.unmatched = unmatched
  }
}

extension MatchedMargin {
  /// Of a tally whose cohort's controls were restricted to some patients.
  init(_ restricted: (matched: MatchedControls, places: [Int]), _ tally: SettingTally, patients: Int) {
    matched = restricted.matched
    isDetected = restricted.matched.cases.map { tally.isDetected[$0.event] }
    hasAlert = restricted.places.map { tally.isControlAlerted[$0] }
    self.patients = patients
  }
}

extension EvaluationCohort {
  /// Some of the patients, numbered anew.
  ///
  /// - Returns: with each one's number here by number before; nil: left out.
  package func restricted(to isIn: [Bool]) -> (cohort: EvaluationCohort, places: [Int?]) {
    var next = 0
    let places = isIn.map { isKept -> Int? in
      guard isKept else { return nil }
      next += 1
      return next - 1
    }
    return (EvaluationCohort(self, places: places), places)
  }

  private init(_ whole: EvaluationCohort, places: [Int?]) {
    func moved(_ events: [CohortEvent]) -> [CohortEvent] {
      events.compactMap { event in
        places[event.patient].map { CohortEvent(patient: $0, onset: event.onset, end: event.end) }
      }
    }
    func kept<Value>(_ values: [Value]) -> [Value] { zip(values, places).compactMap { $1 == nil ? nil : $0 } }
    stays = kept(whole.stays)
    events = moved(whole.events)
    negatives = moved(whole.negatives)
    var censored: [Int: [ClosedRange<Int64>]] = [:]
    for (patient, spans) in whole.censored {
      if let place = places[patient] { censored[place] = spans }
    }
    self.censored = censored
    exclusions = whole.exclusions
    hasEvent = kept(whole.hasEvent)
    kinds = whole.kinds
    groups = whole.groups.map { SubgroupColumn(name: $0.name, values: kept($0.values)) }
  }
}
