import Pipeline
import Recordings
import Statistics
import VitalModel

/// What a replay shows an evaluation: when each patient was watched, and what people would have been told.
package final class EvaluationRecorder {
  /// One alert, until the cohort is known.
  private struct Told {
    var patient: String
    var time: Int64
    var end: Int64?
    var rule: Int
    var priority: Priority
  }

  private let stays: StayRecorder
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
    stays = StayRecorder(options: options)
    self.onlyRule = onlyRule
  }

  /// Takes a row as it is given to the session, with the same bounds.
  ///
  /// - Parameter names: of the recording's patients.
  package func note(_ row: RecordedRow, names: RecordingNames) { stays.note(row, names: names) }

  /// Takes a sample of a store as it is given to the replay.
  ///
  /// - Parameter name: of a patient's directory number.
  package func note(_ sample: Slot, name: (UInt32) -> String) {
    stays.note(sample.eventTime, patient: sample.patient, name: name)
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
    let watched = stays.cohort
    let alerts = told.compactMap { alert -> EvaluatedAlert? in
      guard let patient = watched.positions[alert.patient] else { return nil }
      return EvaluatedAlert(
        patient: patient, time: alert.time, end: alert.end ?? watched.end(ofPatient: patient), rule: alert.rule,
        priority: alert.priority)
    }
    let input = EvaluationInput(
      cohort: watched.cohort(labels: labels), alerts: alerts, rules: rules, notifications: notifications,
      dataDigest: dataDigest, rulesVersion: rulesVersion)
    return (input, watched.names)
  }
}
