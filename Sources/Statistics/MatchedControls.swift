/// For each event some patients without one who were still there at the same hour of their stay: how often they have an
/// alert in the same hours is what an event's own alerts must beat (SEMANTICS F2).
struct MatchedControls: Sendable {
  /// Controls drawn for one event.
  static let perEvent = 20

  /// Positions in ``EvaluationCohort/events`` of the events that have controls, with their places in ``controls``.
  let cases: [Case]
  /// Patients' positions, those of an event together.
  let controls: [Int32]
  /// Events that nobody without an event outstayed.
  let unmatched: Int

  struct Case: Sendable {
    var event: Int
    var patient: Int
    /// First and last instant of the stay at which an alert counts, both included.
    var first: Int64
    var last: Int64
    var controls: Range<Int>
  }

  /// - Parameters:
  ///   - events: positions of the events to match.
  ///   - isMember: whether a patient may be a control at all: those of the same group.
  init(
    _ cohort: EvaluationCohort, events: [Int], _ convention: EvaluationConvention, seed: UInt64,
    isMember: (Int) -> Bool
  ) {
    let pool = (0..<cohort.count).filter { !cohort.hasEvent[$0] && isMember($0) }
      .sorted { (cohort.stays[$1].length, $0) < (cohort.stays[$0].length, $1) }
    var sampler = Resampler(seed: seed, purpose: .controls)
    var (cases, controls): ([Case], [Int32]) = ([], [])
    for event in events {
      let patient = cohort.events[event].patient
      let target = convention.target(cohort.events[event], in: cohort.stays[patient])
      // Longest stays first: those still there are a prefix.
      let present = MatchedControls.prefix(pool, cohort, outlasting: target.onset)
      guard present > 0 else { continue }
      let start = controls.count
      for place in MatchedControls.distinct(min(MatchedControls.perEvent, present), below: present, &sampler) {
        controls.append(Int32(pool[place]))
      }
      cases.append(
        Case(
          event: event, patient: patient, first: target.first, last: target.last, controls: start..<controls.count))
    }
    self.cases = cases
    self.controls = controls
    unmatched = events.count - cases.count
  }

  private static func prefix(_ pool: [Int], _ cohort: EvaluationCohort, outlasting onset: Int64) -> Int {
    var (low, high) = (0, pool.count)
    while low < high {
      let middle = (low + high) / 2
      if cohort.stays[pool[middle]].length > onset { low = middle + 1 } else { high = middle }
    }
    return low
  }

  /// So many different numbers below a bound, each as likely as any other (Floyd 1987), ascending.
  private static func distinct(_ count: Int, below bound: Int, _ sampler: inout Resampler) -> [Int] {
    var chosen: Set<Int> = []
    for last in (bound - count)..<bound {
      let candidate = sampler.index(below: last + 1)
      if !chosen.insert(candidate).inserted { chosen.insert(last) }
    }
    return chosen.sorted()
  }
}

/// Sensitivity less the share of matched controls with an alert in the same hours, cases and controls resampled alike.
struct MatchedMargin: ResampledStatistic {
  let matched: MatchedControls
  /// Per case.
  let isDetected: [Bool]
  /// Per control.
  let hasAlert: [Bool]
  let patients: Int

  init(_ matched: MatchedControls, isDetected: (Int) -> Bool, alerts: AlertColumn, patients: Int) {
    self.matched = matched
    self.isDetected = matched.cases.map { isDetected($0.event) }
    var hasAlert = [Bool](repeating: false, count: matched.controls.count)
    for item in matched.cases {
      for place in item.controls {
        hasAlert[place] = alerts.hasAlert(Int(matched.controls[place]), from: item.first, through: item.last)
      }
    }
    self.hasAlert = hasAlert
    self.patients = patients
  }

  /// Mean over events of the share of their controls with an alert; nil without events.
  var rate: Double? {
    guard !matched.cases.isEmpty else { return nil }
    let sum = matched.cases.reduce(0.0) { sum, item in
      sum + Double(item.controls.count { hasAlert[$0] }) / Double(item.controls.count)
    }
    return sum / Double(matched.cases.count)
  }

  /// Of the events that have controls; nil without any.
  var margin: Double? {
    guard let rate else { return nil }
    return Double(isDetected.count { $0 }) / Double(matched.cases.count) - rate
  }

  // An event none of whose controls was drawn is left out of that draw.
  func value(_ weights: UnsafeBufferPointer<Double>) -> Double? {
    var (sum, events) = (0.0, 0.0)
    for (index, item) in matched.cases.enumerated() {
      let weight = weights[item.patient]
      guard weight > 0 else { continue }
      var (alerted, drawn) = (0.0, 0.0)
      for place in item.controls {
        let control = weights[Int(matched.controls[place])]
        drawn += control
        if hasAlert[place] { alerted += control }
      }
      guard drawn > 0 else { continue }
      sum += weight * ((isDetected[index] ? 1 : 0) - alerted / drawn)
      events += weight
    }
    return events > 0 ? sum / events : nil
  }

  func leavingOut() -> [Double] {
    var (sum, events) = (0.0, 0.0)
    var sumChange = [Double](repeating: 0, count: patients)
    var eventChange = [Double](repeating: 0, count: patients)
    for (index, item) in matched.cases.enumerated() {
      let count = Double(item.controls.count)
      let alerted = Double(item.controls.count { hasAlert[$0] })
      let detected = isDetected[index] ? 1.0 : 0
      let value = detected - alerted / count
      sum += value
      events += 1
      sumChange[item.patient] -= value
      eventChange[item.patient] -= 1
      for place in item.controls {
        let control = Int(matched.controls[place])
        if count > 1 {
          sumChange[control] += detected - (alerted - (hasAlert[place] ? 1 : 0)) / (count - 1) - value
        } else {
          sumChange[control] -= value
          eventChange[control] -= 1
        }
      }
    }
    return (0..<patients).compactMap { patient in
      let left = events + eventChange[patient]
      return left > 0 ? (sum + sumChange[patient]) / left : nil
    }
  }
}
