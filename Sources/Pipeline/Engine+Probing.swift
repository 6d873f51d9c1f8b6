import Evaluation
import Suppression
import VitalModel

/// What conditions say between two entries, without judging anything: for tests of rules, which show window values and
/// count the outcomes their conditions had. Nothing here runs unless it is asked, and nothing changes an alert.
extension Engine {
  /// Runs a patient's deadlines due up to a time before its next entry, as that entry would (SEMANTICS B2).
  ///
  /// - Precondition: the next entry's event time is not before `time`, and the clock is `stream`.
  package func passTime(of patient: UInt32, upTo time: Int64) {
    finishMessage()
    runDeadlines(placeOf(patient), upTo: time)
  }

  /// The series a rule is judged for, by position; -1 stands for the patient.
  package func probeSubjects(rule: Int, patient: UInt32) -> [Int] {
    let state = patients[placeOf(patient)]
    switch layout.plan.rules[rule].scope {
    case .patient: return [-1]
    case .everySeries: return Array(0..<state.pointee.seriesCount)
    case .series(let code):
      return (0..<state.pointee.seriesCount).filter { state.pointee.series[$0].code == Int(code.index) }
    }
  }

  /// Directory number of the series at a position.
  package func probeSeries(_ position: Int, patient: UInt32) -> UInt32 {
    patients[placeOf(patient)].pointee.series[position].series
  }

  /// Whether a rule's condition has held long enough to be told, told or not.
  package func probeHolds(rule: Int, patient: UInt32) -> Bool { ruleHolds(patients[placeOf(patient)], rule: rule) }

  /// Whether the rule is for this patient at a time.
  package func probeApplies(rule: Int, patient: UInt32, now: Int64) -> Truth {
    guard let program = layout.rules[rule].applies else { return .yes }
    let reading = ExpressionMachine.Reading(now: now, subject: -1, rule: rule, holdLast: false)
    return Truth(probe(program, rule: rule, patient: patient, reading))
  }

  /// The number the `when` of `condition`, a rule with the features of `rule`, gives as `rule` would see it; NaN unknown.
  ///
  /// - Parameter forClear: as a condition of clearing: a score that lost a component is unknown.
  package func probe(
    condition: Int, of rule: Int, patient: UInt32, subject: Int, now: Int64, forClear: Bool = false
  ) -> Double {
    let state = patients[placeOf(patient)]
    var reading = ExpressionMachine.Reading(
      now: now, subject: subject, rule: rule, holdLast: layout.rules[rule].holdLast)
    reading.onset = probeOnset(state, rule: rule, subject: subject)
    reading.forClear = forClear
    return probe(layout.rules[condition].when, rule: rule, patient: patient, reading)
  }

  /// A score as it would be judged at a time, whether or not one of its vitals spoke.
  package func probeScore(_ score: Int, patient: UInt32, now: Int64) -> ScoreState {
    let state = patients[placeOf(patient)]
    refreshAge(state, now: now)
    var judged = state.pointee.scores[score]
    _ = judged.update(layout.scores[score], machine: machine, view: state.view, layout: layout, now: now)
    return judged
  }

  /// Where the running episode of a rule began; `.max`: there is none.
  private func probeOnset(_ state: UnsafeMutablePointer<PatientState>, rule: Int, subject: Int) -> Int64 {
    if subject < 0 {
      let episode = state.ruleEpisode(rule)
      return episode.phase == .idle ? .max : episode.onset
    }
    for offset in episodeOffsets(rule: rule, code: state.pointee.series[subject].code) {
      let episode = state.episode(subject, offset)
      return episode.phase == .idle ? .max : episode.onset
    }
    return .max
  }

  private func probe(
    _ program: CompiledProgram, rule: Int, patient: UInt32, _ reading: ExpressionMachine.Reading
  ) -> Double {
    let state = patients[placeOf(patient)]
    refreshAge(state, now: reading.now)
    return machine.value(
      program, features: layout.rules[rule].features, view: state.view, layout: layout, reading: reading)
  }
}
