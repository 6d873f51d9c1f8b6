import VitalModel

/// What a setting is sought for (CLINICAL.md 4.3).
package enum TuningObjective: Hashable, Sendable {
  /// The fewest alerts per patient-day whose patient-bootstrap lower bound of sensitivity is at least this.
  case leastBurden(sensitivity: Double)
  /// The greatest margin over matched controls at no more alerts per patient-day.
  case greatestMargin(burden: Double)
  /// The greatest F-beta over events and false alerts.
  case fBeta(Double)
  /// The least cost per patient-day, where a missed event costs so many false alerts.
  case cost(ratio: Double)
  /// The greatest normalised utility of the PhysioNet Challenge 2019.
  case utility
  /// The greatest net benefit over windows at a threshold probability.
  case netBenefit(threshold: Double)

  package var name: String {
    switch self {
    case .leastBurden: "least-burden"
    case .greatestMargin: "greatest-margin"
    case .fBeta: "fbeta"
    case .cost: "cost"
    case .utility: "utility"
    case .netBenefit: "net-benefit"
    }
  }

  package static let names = ["least-burden", "greatest-margin", "fbeta", "cost", "utility", "net-benefit"]

  package var words: String {
    switch self {
    case .leastBurden(let sensitivity):
      "least burden with a lower bound of sensitivity of at least \(TuningObjective.percent(sensitivity))"
    case .greatestMargin(let burden):
      "greatest margin over matched controls with at most \(TuningObjective.text(burden)) alerts per patient-day"
    case .fBeta(let beta): "greatest F\(TuningObjective.text(beta)) over events and false alerts"
    case .cost(let ratio): "least cost, a missed event costing \(TuningObjective.text(ratio)) false alerts"
    case .utility: "greatest PhysioNet 2019 utility"
    case .netBenefit(let threshold):
      "greatest net benefit over windows at a threshold of \(TuningObjective.percent(threshold))"
    }
  }

  static func percent(_ share: Double) -> String { text(share * 100) + " %" }

  /// With at most four digits behind the point.
  static func text(_ value: Double) -> String {
    guard value.isFinite, abs(value) < 1e12 else { return "\(value)" }
    return DecimalValue(mantissa: Int64((value * 10_000).rounded()), exponent: -4).normalized.description
  }

  /// What is made as great as can be; nil where the counts do not have it.
  package func value(_ sums: TuningSums) -> Double? {
    switch self {
    case .leastBurden: return sums.burden.map { -$0 }
    case .greatestMargin: return sums.margin
    case .fBeta(let beta):
      return DetectionScore.fBeta(
        beta, truePositives: sums.detected, falsePositives: sums.falseAlerts,
        falseNegatives: sums.events - sums.detected)
    case .cost(let ratio):
      guard sums.patientDays > 0 else { return nil }
      return -(ratio * Double(sums.events - sums.detected) + Double(sums.falseAlerts)) / sums.patientDays
    case .utility: return sums.utilityBest > 0 ? sums.utilityGained / sums.utilityBest : nil
    case .netBenefit(let threshold):
      return DetectionScore.netBenefit(
        truePositives: sums.windows.truePositives, falsePositives: sums.windows.falsePositives,
        of: sums.windows.total, threshold: threshold)
    }
  }

  /// Why ``value(_:)`` is nil, in words.
  package var lackWords: String {
    switch self {
    case .leastBurden, .cost: "nobody was watched for any time"
    case .greatestMargin: "no event has a matched control"
    case .fBeta: "there is neither an event nor an alert"
    case .utility: "no event has hours in which an alert is worth anything"
    case .netBenefit: "there are no windows"
    }
  }

  /// Whether ``value(_:)`` is shown without its sign: less is better.
  package var isLess: Bool {
    switch self {
    case .leastBurden, .cost: true
    default: false
    }
  }
}

extension OperatingPoint.WindowCounts {
  package var total: Int { truePositives + falsePositives + falseNegatives + trueNegatives }
}

/// One setting's counts over some patients.
package struct TuningSums: Hashable, Sendable {
  package var patients = 0
  package var patientDays = 0.0
  package var events = 0
  package var detected = 0
  package var beforeOnset = 0
  package var alerts = 0
  package var trueAlerts = 0
  package var falseAlerts = 0
  package var neutral = 0
  package var censored = 0
  package var windows = OperatingPoint.WindowCounts()
  /// Beyond that of no alert at all, and the best there could be.
  package var utilityGained = 0.0
  package var utilityBest = 0.0
  /// Events that have a matched control; ``margin`` is about no others.
  package var matched = 0
  /// nil without any.
  package var margin: Double?
  package var controlRate: Double?

  package var burden: Double? { patientDays > 0 ? Double(alerts) / patientDays : nil }
  package var sensitivity: Double? { events > 0 ? Double(detected) / Double(events) : nil }
  package var sensitivityBefore: Double? { events > 0 ? Double(beforeOnset) / Double(events) : nil }
  package var predictiveValue: Double? {
    trueAlerts + falseAlerts > 0 ? Double(trueAlerts) / Double(trueAlerts + falseAlerts) : nil
  }

  /// Events nobody could be compared with.
  package var unmatched: Int { events - matched }
  /// Whether neither an event with controls was found nor a control had an alert: a margin of nothing says nothing.
  package var isMarginEmpty: Bool { margin == 0 && controlRate == 0 }

  package init() {}
}

/// Some patients of a cohort with what is the same of them under every setting: made once, asked for every setting.
package struct TuningMask: Sendable {
  let isIn: [Bool]
  private let fixed: TuningSums
  private let windowPositives: Int
  private let windowNegatives: Int

  package init(_ cohort: TuningCohort, _ isIn: [Bool]) {
    precondition(isIn.count == cohort.cohort.count, "a flag per patient")
    self.isIn = isIn
    var sums = TuningSums()
    sums.patients = isIn.count { $0 }
    sums.patientDays = cohort.sum(.days, among: isIn)
    sums.events = Int(cohort.sum(.events, among: isIn))
    sums.utilityBest = cohort.sum(.utilityBest, among: isIn)
    fixed = sums
    windowPositives = Int(cohort.sum(.windowPositives, among: isIn))
    windowNegatives = Int(cohort.sum(.windowNegatives, among: isIn))
  }

  /// O(patients with an alert + events × controls).
  package func sums(_ tally: SettingTally, of cohort: TuningCohort) -> TuningSums {
    var sums = fixed
    sums.detected = tally.sum(.detected, among: isIn)
    sums.beforeOnset = tally.sum(.before, among: isIn)
    sums.alerts = tally.sum(.alerts, among: isIn)
    sums.trueAlerts = tally.sum(.trueAlerts, among: isIn)
    sums.falseAlerts = tally.sum(.falseAlerts, among: isIn)
    sums.neutral = tally.sum(.neutral, among: isIn)
    sums.censored = tally.sum(.censored, among: isIn)
    sums.windows.truePositives = tally.sum(.windowHits, among: isIn)
    sums.windows.falsePositives = tally.sum(.windowFalse, among: isIn)
    sums.windows.falseNegatives = windowPositives - sums.windows.truePositives
    sums.windows.trueNegatives = windowNegatives - sums.windows.falsePositives
    for (patient, value) in zip(tally.patients, tally.utility) where isIn[Int(patient)] { sums.utilityGained += value }
    (sums.matched, sums.margin, sums.controlRate) = margin(tally, cohort.matched)
    return sums
  }

  private func margin(
    _ tally: SettingTally, _ matched: MatchedControls
  ) -> (events: Int, margin: Double?, rate: Double?) {
    var (detected, rate, events) = (0.0, 0.0, 0.0)
    for item in matched.cases where isIn[item.patient] {
      var (alerted, drawn) = (0.0, 0.0)
      for place in item.controls where isIn[Int(matched.controls[place])] {
        drawn += 1
        if tally.isControlAlerted[place] { alerted += 1 }
      }
      guard drawn > 0 else { continue }
      rate += alerted / drawn
      if tally.isDetected[item.event] { detected += 1 }
      events += 1
    }
    return events > 0 ? (Int(events), (detected - rate) / events, rate / events) : (0, nil, nil)
  }
}
