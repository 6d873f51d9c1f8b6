/// The patients of a row with everything that does not depend on alerts: shared by all rows about them.
struct RowMembers {
  let members: [Int]
  let isMember: [Bool]
  /// Positions in ``EvaluationCohort/events``, by patient.
  let events: [Int]
  /// Positions in ``EvaluationCohort/negatives``, by patient.
  let negatives: [Int]
  let matched: MatchedControls
  /// Windows of each member without alerts.
  let quiet: [WindowTally?]

  // Columns, one value per patient of the cohort, zero for others.
  let one: Int
  let days: Int
  let eventCount: Int
  let withEvent: Int
  let negativeCount: Int
  let windowPositives: Int
  let windowNegatives: Int
  let withNegativeWindow: Int
  let utilityNone: Int
  let utilityBest: Int

  init(
    _ cohort: EvaluationCohort, _ options: EvaluationOptions, quiet: [WindowTally], _ resamples: inout PatientResamples,
    isMember: (Int) -> Bool
  ) {
    let flags = (0..<cohort.count).map(isMember)
    self.isMember = flags
    members = flags.indices.filter { flags[$0] }
    events = cohort.events.indices.filter { flags[cohort.events[$0].patient] }
    negatives = cohort.negatives.indices.filter { flags[cohort.negatives[$0].patient] }
    matched = MatchedControls(cohort, events: events, options.convention, seed: options.seed) { flags[$0] }
    self.quiet = flags.indices.map { flags[$0] ? quiet[$0] : nil }

    var eventCount = [Double](repeating: 0, count: cohort.count)
    var negativeCount = eventCount
    var utilityNone = eventCount
    var utilityBest = eventCount
    for index in events { eventCount[cohort.events[index].patient] += 1 }
    for index in negatives { negativeCount[cohort.negatives[index].patient] += 1 }
    var seen = -1
    for index in events where cohort.events[index].patient != seen {
      seen = cohort.events[index].patient
      let stay = cohort.stays[seen]
      let hours = SepsisUtility.hours(stay)
      let onset = SepsisUtility.hour(of: cohort.events[index], in: stay)
      utilityNone[seen] = SepsisUtility.sum(onset: onset, predictions: [Bool](repeating: false, count: hours))
      utilityBest[seen] = SepsisUtility.bestSum(onset: onset, hours: hours)
    }
    func whole(_ value: (Int) -> Double) -> [Double] { flags.indices.map { flags[$0] ? value($0) : 0 } }
    one = resamples.add(whole { _ in 1 })
    days = resamples.add(whole { cohort.stays[$0].days })
    self.eventCount = resamples.add(eventCount)
    withEvent = resamples.add(eventCount.map { $0 > 0 ? 1 : 0 })
    self.negativeCount = resamples.add(negativeCount)
    windowPositives = resamples.add(whole { Double(quiet[$0].positives) })
    windowNegatives = resamples.add(whole { Double(quiet[$0].negatives) })
    withNegativeWindow = resamples.add(whole { quiet[$0].negatives > 0 ? 1 : 0 })
    self.utilityNone = resamples.add(utilityNone)
    self.utilityBest = resamples.add(utilityBest)
  }
}

extension SepsisUtility {
  static let hour: Int64 = 3_600_000

  /// Hours of a stay, one begun counts.
  static func hours(_ stay: WatchedStay) -> Int { Int((stay.length + hour - 1) / hour) }

  /// The hour of a stay in which an event begins.
  static func hour(of event: CohortEvent, in stay: WatchedStay) -> Int { Int(stay.offset(of: event.onset) / hour) }

  /// A prediction an hour: whether an alert is open in it.
  static func predictions(_ alerts: ArraySlice<EvaluatedAlert>, in stay: WatchedStay) -> [Bool] {
    var predictions = [Bool](repeating: false, count: hours(stay))
    for alert in alerts {
      let first = stay.offset(of: alert.time)
      let last = max(first, alert.end.map { stay.offset(of: $0) - 1 } ?? first)
      guard first < stay.length, last >= 0 else { continue }
      for place in Int(max(0, first) / hour)...Int(min(last, stay.length - 1) / hour) { predictions[place] = true }
    }
    return predictions
  }
}
