import Evaluation
import Suppression
import VitalModel

/// The life of an alert: opened, joined, escalated, ended, or held with a reason.
extension Engine {
  func joinedAlert(_ patient: UnsafeMutablePointer<PatientState>, rule: Int) -> Int? {
    let target = patient.slot(rule).joinedRule
    guard target >= 0 else { return nil }
    return patient.pointee.alerts.firstIndex { $0.rule == Int(target) }
  }

  /// After a gap: what is still true is told, what began and ended inside becomes one advisory (SEMANTICS B5).
  func settle(_ patient: UnsafeMutablePointer<PatientState>, _ context: JudgeContext) {
    patient.pointee.settleDue = .max
    patient.pointee.settleSince = .max
    let retrospective = Engine.stageNumber(.retrospective)
    for rule in layout.plan.rules.indices where patient.slot(rule).heldStage == retrospective {
      retryHeld(patient, rule: rule, context)
    }
    guard !patient.pointee.missed.isEmpty else { return }
    let missed = patient.pointee.missed
    patient.pointee.missed = []
    emitMissed(patient, missed, context)
  }

  // MARK: Transitions

  /// Loss of a signal inherits the priority of the alert that signal holds (SEMANTICS B7).
  func priorityAtRisk(_ patient: UnsafeMutablePointer<PatientState>, code: Int) -> Priority {
    var priority = Priority.info
    for alert in patient.pointee.alerts where alert.rule >= 0 && alert.kind == .physiological {
      let joined = layout.plan.rules.indices.filter { Int(patient.slot($0).joinedRule) == alert.rule }
      if ([alert.rule] + joined).contains(where: { isHeld(patient, rule: $0, byCode: code) }) {
        priority = max(priority, alert.priority)
      }
    }
    return priority
  }

  /// Whether a rule's standing rests on a vital: it reads it, or its score counts points for it.
  private func isHeld(_ patient: UnsafeMutablePointer<PatientState>, rule: Int, byCode code: Int) -> Bool {
    let definition = layout.plan.rules[rule]
    if definition.codes.contains(where: { Int($0.index) == code }) { return true }
    guard let score = definition.score else { return false }
    for (index, component) in layout.plan.scores[score].components.enumerated()
    where patient.pointee.scores[score].points[index] > 0 && component.codes.contains(where: { Int($0.index) == code })
    {
      return true
    }
    return false
  }

  /// A rule whose alert is open has found something again: another series, the bypass limit, or a return of what had gone.
  func goOn(
    _ patient: UnsafeMutablePointer<PatientState>, alert index: Int, _ candidate: Candidate, _ context: JudgeContext
  ) {
    let hadGone = !patient.pointee.alerts[index].life.isPresent
    if hadGone { comeBack(patient, alert: index, candidate, context) }
    if patient.pointee.alerts[index].hostClosed {
      patient.pointee.alerts[index].hostClosed = false
      if !candidate.isBypass { return tellReturn(patient, alert: index, candidate, context) }
    }
    let wasTold = addSource(patient, alert: index, candidate, context)
    if candidate.isBypass {
      escalateByBypass(patient, alert: index, candidate, context)
    } else if !hadGone, !wasTold, !options.without.contains(.duplicate) {
      recordHeld(
        patient, rule: candidate.rule, subject: candidate.subject, onset: candidate.onset, stage: .duplicate,
        by: patient.pointee.alerts[index].alertID, until: nil, context)
    }
  }

  /// A rule that had ended while its members kept the alert alive holds again: told like a new vital, unless it ended a
  /// moment ago.
  private func tellReturn(
    _ patient: UnsafeMutablePointer<PatientState>, alert index: Int, _ candidate: Candidate, _ context: JudgeContext
  ) {
    let until = patient.slot(candidate.rule).refractoryUntil
    guard context.engineTime >= until || options.without.contains(.refractory) else {
      return recordHeld(
        patient, rule: candidate.rule, subject: candidate.subject, onset: candidate.onset, stage: .refractory,
        by: "refractory", until: until, context)
    }
    noteTold(patient, alert: index, candidate, context)
    live(patient, alert: index, .worsened, context)
    emit(patient, alert: index, phase: .escalate, showing: candidate, context, isNotified: true)
  }

  /// The condition of a latched or recurrent alert holds again.
  private func comeBack(
    _ patient: UnsafeMutablePointer<PatientState>, alert index: Int, _ candidate: Candidate, _ context: JudgeContext
  ) {
    let isRecurrent = patient.pointee.alerts[index].life.isRecurrent
    let output = live(patient, alert: index, .conditionReturned, context)
    guard case .realarmed = output else {
      if isRecurrent, !candidate.isBypass {
        recordHeld(
          patient, rule: candidate.rule, subject: candidate.subject, onset: candidate.onset, stage: .flap,
          by: patient.pointee.alerts[index].alertID, until: nil, context)
      }
      return
    }
    tellAgain(patient, alert: index, showing: candidate, context)
  }

  /// Another series holds an alert already told. Losing the signal of a vital with an alert of its own raises a technical
  /// alert to that priority.
  ///
  /// - Returns: whether anybody was told.
  private func addSource(
    _ patient: UnsafeMutablePointer<PatientState>, alert index: Int, _ candidate: Candidate, _ context: JudgeContext
  ) -> Bool {
    guard candidate.subject >= 0 else { return false }
    let series = patient.pointee.series[candidate.subject]
    if patient.pointee.alerts[index].sources.contains(series.series) { return false }
    patient.pointee.alerts[index].sources.append(series.series)
    let isTold = options.without.contains(.duplicate)
    guard patient.pointee.alerts[index].kind == .technical else {
      if isTold { emit(patient, alert: index, phase: .update, showing: candidate, context, isNotified: true) }
      return isTold
    }
    let priority = priorityAtRisk(patient, code: series.code)
    let isHigher = priority > patient.pointee.alerts[index].priority
    if isHigher {
      lift(patient, alert: index, to: priority)
      live(patient, alert: index, .worsened, context)
    }
    emit(
      patient, alert: index, phase: isHigher ? .escalate : .update, showing: candidate, context,
      isNotified: isHigher || isTold)
    return isHigher || isTold
  }

  /// The bypass limit was crossed while people already know: once an episode they are told again, higher.
  func escalateByBypass(
    _ patient: UnsafeMutablePointer<PatientState>, alert index: Int, _ candidate: Candidate, _ context: JudgeContext
  ) {
    let isOwn = patient.pointee.alerts[index].rule == candidate.rule
    if isOwn, patient.pointee.alerts[index].isBypassed { return }
    let definition = layout.plan.rules[candidate.rule]
    if isOwn { patient.pointee.alerts[index].isBypassed = true }
    if candidate.isDoubtful { patient.pointee.alerts[index].isUnverified = true }
    let isHigher = definition.bypassPriority > patient.pointee.alerts[index].priority
    // A raising condition told the same a moment ago.
    let isToldNow = isOwn && !isHigher && patient.pointee.alerts[index].raisedAt == context.engineTime
    if isHigher { lift(patient, alert: index, to: definition.bypassPriority) }
    noteTold(patient, alert: index, candidate, context)
    live(patient, alert: index, .worsened, context)
    if isToldNow { return }
    emit(patient, alert: index, phase: .escalate, showing: candidate, context, isNotified: true)
  }

  /// A raising condition came to hold while people already know: they are told again, higher. Never lowers.
  func escalate(
    _ patient: UnsafeMutablePointer<PatientState>, alert index: Int, rule: Int, subject: Int, to priority: Priority,
    _ context: JudgeContext
  ) {
    guard priority > patient.pointee.alerts[index].priority else { return }
    lift(patient, alert: index, to: priority)
    let isOwn = patient.pointee.alerts[index].rule == rule
    if isOwn { patient.pointee.alerts[index].raisedAt = context.engineTime }
    let shown = Candidate(
      rule: rule, subject: subject,
      onset: isOwn ? patient.pointee.alerts[index].onset : heldOnset(patient, rule: rule), isBypass: false)
    noteTold(patient, alert: index, shown, context)
    live(patient, alert: index, .worsened, context)
    emit(patient, alert: index, phase: .escalate, showing: shown, context, isNotified: true)
  }

  /// A rule no longer holds anywhere: its alert ends, unless a member still holds; a held candidate is over.
  func ruleClosed(_ patient: UnsafeMutablePointer<PatientState>, rule: Int, _ context: JudgeContext) {
    let slot = patient.slotPointer(rule)
    let retrospective = Engine.stageNumber(.retrospective)
    if slot.pointee.heldStage == retrospective {
      let definition = layout.plan.rules[rule]
      let missed = MissedEpisode(ruleID: definition.id, onset: slot.pointee.heldOnset, end: context.now)
      patient.pointee.missed.append(missed)
      recordHeld(
        patient, rule: rule, subject: Int(slot.pointee.subject), onset: slot.pointee.heldOnset, stage: .retrospective,
        by: "lateness", until: nil, context)
    }
    release(patient, rule: rule)
    slot.pointee.inhibitedSince = .max
    slot.pointee.resolvedUntil = .min
    defer {
      if layout.staleRules.contains(rule), !patient.pointee.facts.gateways.isEmpty { reviewOutages(context) }
    }
    var host = rule
    if slot.pointee.joinedRule >= 0 {
      host = Int(slot.pointee.joinedRule)
      slot.pointee.joinedRule = -1
    }
    guard let index = patient.pointee.alerts.firstIndex(where: { $0.rule == host }) else { return }
    let isAlive =
      ruleHolds(patient, rule: host)
      || layout.plan.rules.indices.contains {
        Int(patient.slot($0).joinedRule) == host && ruleHolds(patient, rule: $0)
      }
    guard isAlive else { return leave(patient, alert: index, context) }
    // Others keep the alert: what this rule finds next is news again, though not at once.
    let words = toldWords(rule)
    patient.pointee.alerts[index].toldCodes.removeAll(where: words.contains)
    slot.pointee.refractoryUntil = context.engineTime + layout.plan.rules[rule].refractory
    slot.pointee.toldDepth = .nan
    if host == rule {
      patient.pointee.alerts[index].hostClosed = true
      patient.pointee.alerts[index].isBypassed = false
    }
  }

  /// Nothing of an alert holds any more: it ends, or stays latched.
  func leave(_ patient: UnsafeMutablePointer<PatientState>, alert index: Int, _ context: JudgeContext) {
    let output = live(patient, alert: index, .conditionEnded, context)
    if case .ended(let why) = output { return end(patient, alert: index, why, context) }
    // The next bypass is another episode's: it is told.
    patient.pointee.alerts[index].isBypassed = false
    let isRecurrent = patient.pointee.alerts[index].life.isRecurrent
    emit(patient, alert: index, phase: .update, showing: nil, context, isNotified: !isRecurrent)
    if patient.pointee.alerts[index].kind == .technical { retryInhibited(patient, context) }
  }

  func end(
    _ patient: UnsafeMutablePointer<PatientState>, alert index: Int, _ why: AlertLife.End, _ context: JudgeContext,
    reason: String? = nil
  ) {
    let host = patient.pointee.alerts[index].rule
    let note = TransitionNote(end: why, reason: reason)
    if host < 0 {
      let cause = patient.pointee.alerts[index].cause
      endBuiltIn(patient, alert: index, note, context)
      if !cause.isEmpty { releaseOutage(of: cause, context) }
      return retryInhibited(patient, context)
    }
    emit(patient, alert: index, phase: .end, showing: nil, context, isNotified: true, note: note)
    let isTechnical = patient.pointee.alerts[index].kind == .technical
    patient.pointee.alerts.remove(at: index)
    patient.slotPointer(host).pointee.refractoryUntil = context.engineTime + layout.plan.rules[host].refractory
    for other in layout.plan.rules.indices where Int(patient.slot(other).joinedRule) == host {
      patient.slotPointer(other).pointee.joinedRule = -1
      patient.slotPointer(other).pointee.refractoryUntil = context.engineTime + layout.plan.rules[other].refractory
    }
    if isTechnical { retryInhibited(patient, context) }
  }
}
