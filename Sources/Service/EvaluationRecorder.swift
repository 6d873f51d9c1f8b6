import Foundation
import Pipeline
import Recordings
import Statistics
import VitalModel

/// What a replay shows an evaluation: when each patient was watched, and what people would have been told.
package final class EvaluationRecorder {
  /// One stretch of a patient's samples.
  private struct Stretch {
    var first: Int64
    var last: Int64
    var rows: Int
  }

  /// One patient's stretches, with the distance most neighbouring samples have, if most have the same (Boyer and Moore
  /// 1991): it needs no list of distances.
  private struct Watched {
    var stretches: [Stretch] = []
    private var candidate: Int64 = 0
    private var votes = 0

    mutating func add(_ time: Int64) {
      guard let last = stretches.last, time - last.last < PatientWatch.awayAfter else {
        stretches.append(Stretch(first: time, last: time, rows: 1))
        return
      }
      let distance = time - last.last
      // Rows of several devices at one time are one sample of the stay.
      guard distance > 0 else { return }
      if votes == 0 { candidate = distance }
      votes += distance == candidate ? 1 : -1
      stretches[stretches.count - 1].last = time
      stretches[stretches.count - 1].rows += 1
    }

    /// Milliseconds; nil: one sample has none. Where no distance is the usual one, the mean.
    var interval: Int64? {
      let steps = stretches.reduce(0) { $0 + $1.rows - 1 }
      guard steps > 0 else { return nil }
      let mean = stretches.reduce(Int64(0)) { $0 + $1.last - $1.first } / Int64(steps)
      return mean / 2 <= candidate && candidate <= 2 * mean ? candidate : mean
    }
  }

  /// One alert, until the cohort is known.
  private struct Told {
    var patient: String
    var time: Int64
    var end: Int64?
    var rule: Int
    var priority: Priority
  }

  private let options: ReplaySession.Options
  /// By the recording's own number of the patient.
  private var watched: [Watched] = []
  private var patientNames: [String] = []
  private var told: [Told] = []
  /// Position in ``told`` of alerts that have not ended.
  private var open: [String: Int] = [:]
  private var rules: [EvaluatedRule] = []
  private var ruleNumbers: [EvaluatedRule: Int] = [:]
  private var notifications = 0
  /// Only alerts of this rule count; nil: all.
  private let onlyRule: String?

  /// - Parameters:
  ///   - options: of the session whose rows and transitions it is shown.
  ///   - onlyRule: the id of the one rule whose alerts count; nil: all.
  package init(options: ReplaySession.Options, onlyRule: String? = nil) {
    self.options = options
    self.onlyRule = onlyRule
  }

  /// Takes a row as it is given to the session, with the same bounds.
  ///
  /// - Parameter names: of the recording's patients.
  package func note(_ row: RecordedRow, names: RecordingNames) {
    if let from = options.from, row.time < from { return }
    if let to = options.to, row.time >= to { return }
    guard Timestamp.accepted.contains(row.time) else { return }
    let patient = Int(row.patient)
    while watched.count <= patient {
      watched.append(Watched())
      patientNames.append(names.patients[UInt32(patientNames.count)])
    }
    watched[patient].add(row.time)
  }

  /// Takes what the session's engine gave.
  package func take(_ transition: Transition) {
    let document = transition.document
    if let onlyRule, document.ruleID != onlyRule { return }
    if transition.isNotified { notifications += 1 }
    if document.phase == .start, transition.isNotified {
      let rule = EvaluatedRule(id: document.ruleID, version: document.ruleVersion)
      let number = ruleNumbers[rule] ?? rules.count
      if number == rules.count {
        rules.append(rule)
        ruleNumbers[rule] = number
      }
      open[document.alertID] = told.count
      told.append(
        Told(
          patient: document.patient, time: document.detectedTime, rule: number, priority: document.priority))
    } else if let place = open[document.alertID] {
      told[place].priority = max(told[place].priority, document.priority)
      guard document.phase == .end else { return }
      told[place].end = document.detectedTime
      open[document.alertID] = nil
    }
  }

  /// Everything for a report, with the names of its patients by position.
  package func input(
    labels: LabelSet, dataDigest: String, rulesVersion: String
  ) -> (input: EvaluationInput, names: [String]) {
    let order = watched.indices.filter { number in
      !watched[number].stretches.isEmpty
        && (options.patients.isEmpty || options.patients.contains(patientNames[number]))
    }.sorted { patientNames[$0] < patientNames[$1] }
    let names = order.map { patientNames[$0] }
    let positions = Dictionary(names.enumerated().map { ($1, $0) }) { first, _ in first }
    let stays = EvaluationRecorder.stays(order.map { watched[$0] })
    let cohort = EvaluationCohort(stays: stays, labels: labels, groups: groups(names, stays)) {
      positions[$0]
    }
    let alerts = told.compactMap { alert -> EvaluatedAlert? in
      guard let patient = positions[alert.patient] else { return nil }
      return EvaluatedAlert(
        patient: patient, time: alert.time, end: alert.end ?? stays[patient].spans.last?.upperBound, rule: alert.rule,
        priority: alert.priority)
    }
    let input = EvaluationInput(
      cohort: cohort, alerts: alerts, rules: rules, notifications: notifications, dataDigest: dataDigest,
      rulesVersion: rulesVersion)
    return (input, names)
  }

  /// Stays as SEMANTICS F1 counts them: last − first sample + one interval, that of the patient, of a single sample that of
  /// the other patients.
  private static func stays(_ watched: [Watched]) -> [WatchedStay] {
    let intervals = watched.map(\.interval)
    let usual = Quantile.nearestRank(0.5, of: intervals.compactMap { $0 }.sorted()) ?? 1000
    return zip(watched, intervals).map { own, interval in
      let step = interval ?? usual
      let spans = own.stretches.map { $0.first..<$0.last + step }
      return WatchedStay(PatientWatch(patient: 0, unit: nil, spans: spans), interval: step)
    }
  }

  /// Age band, sex and unit by the roster; none without one.
  private func groups(_ names: [String], _ stays: [WatchedStay]) -> [SubgroupColumn] {
    guard let roster = options.roster else { return [] }
    let patients = names.map { name in roster.patientIndex(name).map { roster.patients[$0] } }
    let ages = zip(patients, stays).map { patient, stay in
      SubgroupColumn.ageBand(years: patient?.years(at: stay.spans.first?.lowerBound ?? 0).map(Double.init))
    }
    let columns = [
      SubgroupColumn(name: "age", values: ages),
      SubgroupColumn(name: "sex", values: patients.map { $0?.sex?.rawValue }),
      SubgroupColumn(name: "unit", values: patients.map { $0?.unit }),
    ]
    return columns.filter { $0.values.contains { $0 != nil } }
  }
}
