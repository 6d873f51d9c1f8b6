import VitalModel

/// Which way an input's points may run over its values.
package enum ScoreTrend: String, Sendable, CaseIterable {
  /// A higher value never gives fewer points.
  case rising
  /// A higher value never gives more points.
  case falling
  /// Both ends may give points, the values between them fewer.
  case either
}

/// One input a fitted score may use: what it was at every row.
package struct ScoreFittingInput: Sendable {
  package var name: String
  package var trend: ScoreTrend
  /// By row: steps of the grid its bands end on, rounded half up; ``unknown`` where it has no value.
  package var values: [Int32]
  /// Where bands may end (included), ascending; nil: at quantiles of the rows fitted on.
  package var edges: [Int32]?

  package static let unknown = Int32.min

  package init(name: String, trend: ScoreTrend, values: [Int32], edges: [Int32]? = nil) {
    self.name = name
    self.trend = trend
    self.values = values
    self.edges = edges
  }
}

/// What a score is fitted on: one row for every message of every patient.
package struct ScoreFittingRows: Sendable {
  package enum Truth: UInt8, Sendable {
    case negative, positive
    /// Nobody can say, or the event is already over.
    case leftOut
  }

  /// By row: the patient's position in the cohort, and whole hours of the stay since the first sample.
  package let patients: [Int32]
  package let hours: [Int32]
  package let truths: [Truth]
  package let inputs: [ScoreFittingInput]

  package var count: Int { patients.count }

  /// - Precondition: arrays of one length.
  package init(patients: [Int32], hours: [Int32], truths: [Truth], inputs: [ScoreFittingInput]) {
    precondition(hours.count == patients.count && truths.count == patients.count, "a value per row")
    precondition(inputs.allSatisfy { $0.values.count == patients.count }, "a value per row")
    self.patients = patients
    self.hours = hours
    self.truths = truths
    self.inputs = inputs
  }

  /// Rows judged as alerts are: positive from lead before an onset to grace after it. What follows is left out, as are
  /// censored stretches and patients whose event cannot be judged; all else is negative.
  ///
  /// - Parameters:
  ///   - patients: by row, positions in the cohort.
  ///   - times: by row, milliseconds since 1970.
  package init(
    _ cohort: EvaluationCohort, _ convention: EvaluationConvention, patients: [Int32], times: [Int64],
    inputs: [ScoreFittingInput]
  ) {
    let events = ByPatient(cohort.events, patients: cohort.count) { $0.patient }
    var truths: [Truth] = []
    var hours: [Int32] = []
    truths.reserveCapacity(times.count)
    hours.reserveCapacity(times.count)
    for (patient, time) in zip(patients, times) {
      let own = Int(patient)
      hours.append(Int32(clamping: max(0, cohort.stays[own].offset(of: time)) / 3_600_000))
      truths.append(
        ScoreFittingRows.truth(
          time, events[own].map { convention.range(onset: $0.onset, end: $0.end) },
          hasUnjudged: cohort.hasEvent[own] && events[own].isEmpty, censored: cohort.censored[own] ?? []))
    }
    self.init(patients: patients, hours: hours, truths: truths, inputs: inputs)
  }

  private static func truth(
    _ time: Int64, _ ranges: [(first: Int64, last: Int64)], hasUnjudged: Bool, censored: [ClosedRange<Int64>]
  ) -> Truth {
    if hasUnjudged || censored.contains(where: { $0.contains(time) }) { return .leftOut }
    if ranges.contains(where: { $0.first <= time && time <= $0.last }) { return .positive }
    return ranges.contains { time > $0.last } ? .leftOut : .negative
  }
}

/// The rows of some patients with their weights, as a fit uses them.
///
/// Every event weighs one, shared by its rows; one with few rows less. The negatives together weigh as much as the positives.
/// A share of their weight, the balance, is spread so that they do so in each hour of the stay, too: with all of it,
/// whatever only tells how long a patient has been there earns nothing (SEMANTICS F3).
struct BalancedRows {
  /// Positions in the rows fitted on, ascending.
  private(set) var rows: [Int32] = []
  private(set) var isPositive: [Bool] = []
  private(set) var weights: [Double] = []
  /// Patients with a positive row.
  private(set) var events = 0

  /// Negative rows a stretch of hours has at least, if there are so many.
  static let negativesMin = 200

  /// - Parameter isMember: whether a patient is fitted on; nothing of any other is looked at.
  init(_ all: ScoreFittingRows, balance: Double, isMember: (Int) -> Bool) {
    let members = Set(all.patients).filter { isMember(Int($0)) }
    let own = all.patients.indices.filter { members.contains(all.patients[$0]) && all.truths[$0] != .leftOut }
    var positives: [Int32: Int] = [:]
    for row in own where all.truths[row] == .positive { positives[all.patients[row], default: 0] += 1 }
    events = positives.count
    let half = Double(positives.values.max() ?? 0) / 2
    func share(_ row: Int) -> Double { 1 / max(half, Double(positives[all.patients[row]] ?? 1)) }

    let last = own.reduce(0) { max($0, Int(all.hours[$1])) }
    var (weightOf, negativesOf) = ([Double](repeating: 0, count: last + 1), [Int](repeating: 0, count: last + 1))
    for row in own {
      let hour = Int(all.hours[row])
      if all.truths[row] == .positive { weightOf[hour] += share(row) } else { negativesOf[hour] += 1 }
    }
    let even = weightOf.reduce(0, +) / Double(max(1, negativesOf.reduce(0, +)))
    let byHour = BalancedRows.negativeWeights(weightOf, negativesOf)
    for row in own {
      let positive = all.truths[row] == .positive
      let other = balance * byHour[Int(all.hours[row])] + (1 - balance) * even
      // Hours without a positive, or with nobody to compare it with, say nothing.
      guard other > 0 else { continue }
      rows.append(Int32(row))
      isPositive.append(positive)
      weights.append(positive ? share(row) : other)
    }
  }

  /// By hour: what one negative row weighs. Late hours with few patients are put together, the last first.
  private static func negativeWeights(_ positives: [Double], _ negatives: [Int]) -> [Double] {
    var weights = [Double](repeating: 0, count: positives.count)
    var (end, weight, count) = (positives.count, 0.0, 0)
    for hour in positives.indices.reversed() {
      weight += positives[hour]
      count += negatives[hour]
      guard count >= negativesMin || hour == 0 else { continue }
      if count > 0 { for other in hour..<end { weights[other] = weight / Double(count) } }
      (end, weight, count) = (hour, 0, 0)
    }
    return weights
  }
}
