import VitalModel

@testable import Statistics

/// A stay of whole hours from the epoch, one sample an hour.
func stay(_ hours: Int, from start: Int64 = epoch) -> WatchedStay {
  WatchedStay(
    PatientWatch(patient: 0, unit: nil, spans: [start..<start + Int64(hours) * hour]), interval: hour)
}

/// Patients by position, their events already known.
func cohort(
  _ stays: [WatchedStay], _ events: [CohortEvent], negatives: [CohortEvent] = [], censored: [(Int, Int64, Int64)] = [],
  groups: [SubgroupColumn] = []
) -> EvaluationCohort {
  func rows(_ events: [CohortEvent], _ label: String) -> [LabelRow] {
    events.map { LabelRow(line: 0, patient: "\($0.patient)", onset: $0.onset, end: $0.end, label: label) }
  }
  let off = censored.map { LabelRow(line: 0, patient: "\($0.0)", onset: $0.1, end: $0.2, label: "off") }
  // One that is never in the recording keeps the kind known where there are no events.
  let absent = [LabelRow(line: 0, patient: "absent", onset: 0, label: "event")]
  var selection = LabelSelection()
  selection.labels = ["event"]
  if !negatives.isEmpty { selection.negative = ["quiet"] }
  if !off.isEmpty { selection.censor = ["off"] }
  let table = LabelTable(file: "labels.csv", rows: rows(events, "event") + absent + rows(negatives, "quiet") + off)
  guard let labels = try? LabelSet(table, selection) else { preconditionFailure("labels of a test") }
  return EvaluationCohort(stays: stays, labels: labels, groups: groups) { Int($0) }
}

func report(
  _ cohort: EvaluationCohort, _ alerts: [EvaluatedAlert], _ convention: EvaluationConvention, seed: UInt64 = 1,
  rules: [EvaluatedRule] = []
) -> EvaluationReport {
  var options = EvaluationOptions()
  options.convention = convention
  options.seed = seed
  options.resamples = EvaluationOptions.resamplesMin
  return EvaluationReport(EvaluationInput(cohort: cohort, alerts: alerts, rules: rules), options)
}

/// A ward in which alerts have something to do with events, from a seed.
struct RandomWard {
  var cohort: EvaluationCohort
  var alerts: [EvaluatedAlert]
  var convention = EvaluationConvention()

  init(seed: UInt64, patients: Int = 60, burden: Int = 30) {
    var sampler = Resampler(seed: seed)
    let stays = (0..<patients).map { _ in stay(12 + sampler.index(below: 60)) }
    var events: [CohortEvent] = []
    var alerts: [EvaluatedAlert] = []
    for patient in 0..<patients {
      let hours = Int(stays[patient].length / hour)
      if sampler.index(below: 3) == 0 {
        let onset = epoch + Int64(sampler.index(below: hours)) * hour
        events.append(CohortEvent(patient: patient, onset: onset))
        if sampler.index(below: 2) == 0, onset - 2 * hour >= epoch {
          alerts.append(EvaluatedAlert(patient: patient, time: onset - 2 * hour, rule: 1, priority: .high))
        }
      }
      for place in 0..<hours where sampler.index(below: burden) == 0 {
        alerts.append(EvaluatedAlert(patient: patient, time: epoch + Int64(place) * hour))
      }
    }
    cohort = StatisticsTests.cohort(stays, events)
    self.alerts = alerts
    convention.lead = 6 * hour
    convention.grace = hour
  }
}
