import Evaluation
import Suppression
import VitalModel

/// An alert that is still true after its rule's time is looked at again: it ends, and a new one starts at once.
extension Engine {
  /// When an alert is to be made anew, engine time; `.max`: never. From its start and its rule alone, so that nothing of it
  /// need be kept.
  func renewalDue(_ alert: ActiveAlert) -> Int64 {
    guard alert.rule >= 0, alert.life.isPresent, !alert.hostClosed, layout.plan.rules[alert.rule].renew > 0 else {
      return .max
    }
    return alert.detected + layout.plan.rules[alert.rule].renew
  }

  /// Makes alerts anew whose time came while their condition was not known to hold.
  func renewOverdue(_ patient: UnsafeMutablePointer<PatientState>, _ context: JudgeContext) {
    guard !context.isRetrospective else { return }
    // From the back: what is renewed goes and comes at the end.
    for index in patient.pointee.alerts.indices.reversed()
    where renewalDue(patient.pointee.alerts[index]) <= context.engineTime {
      renew(patient, alert: index, context)
    }
  }

  /// Makes one alert anew, if its own condition is known to hold: what is unknown, or only not yet clear, goes on.
  ///
  /// The same people are told anew, so neither its refractory time holds the new one nor does it count as a return. What
  /// else holds alerts holds it too.
  func renew(_ patient: UnsafeMutablePointer<PatientState>, alert index: Int, _ context: JudgeContext) {
    let host = patient.pointee.alerts[index].rule
    guard var candidate = renewed(patient, rule: host, context) else { return }
    candidate.isRenewal = true
    let members = layout.plan.rules.indices.filter { Int(patient.slot($0).joinedRule) == host }
    end(patient, alert: index, .renewed, context)
    for rule in [host] + members {
      patient.slotPointer(rule).pointee.refractoryUntil = .min
      patient.slotPointer(rule).pointee.toldDepth = .nan
    }
    open(patient, candidate, context)
    for rule in members where ruleHolds(patient, rule: rule) {
      let subject = holdingSubject(patient, rule: rule) ?? -1
      open(patient, Candidate(rule: rule, subject: subject, onset: context.now, isBypass: false), context)
    }
  }

  /// A rule's finding as it is now; nil unless its condition is known to hold somewhere.
  private func renewed(
    _ patient: UnsafeMutablePointer<PatientState>, rule: Int, _ context: JudgeContext
  ) -> Candidate? {
    func candidate(_ subject: Int, _ episode: Episode) -> Candidate? {
      guard episode.holds else { return nil }
      let judgement = judgement(patient, rule: rule, subject: subject, episode: episode, now: context.now)
      guard judgement.isReached else { return nil }
      return Candidate(rule: rule, subject: subject, onset: context.now, isBypass: judgement.bypass == .yes)
    }
    if case .patient = layout.plan.rules[rule].scope { return candidate(-1, patient.ruleEpisode(rule)) }
    for index in 0..<patient.pointee.seriesCount {
      for offset in episodeOffsets(rule: rule, code: patient.pointee.series[index].code) {
        if let found = candidate(index, patient.episode(index, offset)) { return found }
      }
    }
    return nil
  }
}
