/// A count of a setting that is kept per patient.
enum TallyColumn: Int, CaseIterable, Sendable {
  case alerts
  case detected
  /// Detected by an alert before the onset.
  case before
  /// Credited and repeats.
  case trueAlerts
  case falseAlerts
  case neutral
  case censored
  case windowHits
  case windowFalse
}

/// What one setting's alerts came to, patient by patient: columns of counts of those who had an alert, one bit per event and
/// one per matched control. All that is asked of a setting later is arithmetic on them; its alerts are not kept.
package struct SettingTally: Hashable, Sendable {
  /// Patients with an alert, ascending.
  private(set) var patients: [Int32] = []
  /// By ``TallyColumn``, then place in ``patients``.
  private(set) var columns = [[Int32]](repeating: [], count: TallyColumn.allCases.count)
  /// Utility of the PhysioNet Challenge 2019 beyond that of no alert at all, by place in ``patients``.
  private(set) var utility: [Double] = []
  /// By position in ``EvaluationCohort/events``.
  var isDetected: [Bool]
  /// By place in ``MatchedControls/controls``: an alert in the hours of the event it is a control of.
  var isControlAlerted: [Bool]

  init(events: Int, controls: Int) {
    isDetected = [Bool](repeating: false, count: events)
    isControlAlerted = [Bool](repeating: false, count: controls)
  }

  mutating func append(_ patient: Int, utility gained: Double, _ count: (TallyColumn) -> Int) {
    patients.append(Int32(patient))
    for column in TallyColumn.allCases { columns[column.rawValue].append(Int32(clamping: count(column))) }
    utility.append(gained)
  }

  func values(_ column: TallyColumn) -> [Int32] { columns[column.rawValue] }

  /// Σ over some patients.
  func sum(_ column: TallyColumn, among isIn: [Bool]) -> Int {
    var total = 0
    for (patient, value) in zip(patients, columns[column.rawValue]) where isIn[Int(patient)] { total += Int(value) }
    return total
  }

  /// A value per patient of the cohort, zero for those left out.
  func dense(_ column: TallyColumn, among isIn: [Bool]) -> [Double] {
    var dense = [Double](repeating: 0, count: isIn.count)
    for (patient, value) in zip(patients, columns[column.rawValue]) where isIn[Int(patient)] {
      dense[Int(patient)] = Double(value)
    }
    return dense
  }

  func denseUtility(among isIn: [Bool]) -> [Double] {
    var dense = [Double](repeating: 0, count: isIn.count)
    for (patient, value) in zip(patients, utility) where isIn[Int(patient)] { dense[Int(patient)] = value }
    return dense
  }

  /// Each patient's counts under the setting chosen for their fold.
  ///
  /// - Parameters:
  ///   - tallies: one per fold.
  ///   - cohort: patients held out are in none of it.
  static func pooled(_ tallies: [SettingTally], of cohort: TuningCohort) -> SettingTally {
    let fold = cohort.folds.fold
    var pooled = SettingTally(events: cohort.cohort.events.count, controls: cohort.matched.controls.count)
    var next = [Int](repeating: 0, count: tallies.count)
    for patient in fold.indices where fold[patient] >= 0 {
      let own = fold[patient]
      let tally = tallies[own]
      while next[own] < tally.patients.count, tally.patients[next[own]] < patient { next[own] += 1 }
      let place = next[own]
      guard place < tally.patients.count, tally.patients[place] == patient else { continue }
      pooled.append(patient, utility: tally.utility[place]) { Int(tally.columns[$0.rawValue][place]) }
    }
    for (index, event) in cohort.cohort.events.enumerated() where fold[event.patient] >= 0 {
      pooled.isDetected[index] = tallies[fold[event.patient]].isDetected[index]
    }
    for item in cohort.matched.cases where fold[item.patient] >= 0 {
      for place in item.controls {
        pooled.isControlAlerted[place] = tallies[fold[item.patient]].isControlAlerted[place]
      }
    }
    return pooled
  }
}
