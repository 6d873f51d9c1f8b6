import Evaluation
import Suppression
import VitalModel

/// The life of an alert: opened, joined, escalated, ended, or held with a reason.
extension Engine {
  /// Tells a candidate, joins it to an alert already told, or holds it.
  func open(_ patient: UnsafeMutablePointer<PatientState>, _ candidate: Candidate, _ context: JudgeContext) {
    let rule = candidate.rule
    if let index = patient.pointee.alerts.firstIndex(where: { $0.rule == rule }) {
      addSource(patient, alert: index, candidate, context)
      if candidate.isBypass { escalateByBypass(patient, alert: index, candidate, context) }
      return
    }
    if let joined = joinedAlert(patient, rule: rule) {
      if candidate.isBypass { escalateByBypass(patient, alert: joined, candidate, context) }
      return
    }
    let definition = layout.plan.rules[rule]
    if definition.mode == .shadow {
      hold(patient, candidate, .shadow, by: "mode", until: .max, context)
      return
    }
    if context.isRetrospective {
      hold(patient, candidate, .retrospective, by: "lateness", until: .max, context)
      return
    }
    if context.isUncertain, definition.kind == .physiological {
      hold(patient, candidate, .quality, by: "uncertain time", until: .max, context)
      return
    }
    let slot = patient.slotPointer(rule)
    // The refractory time yields to bypass and to a priority above the rule's own (SEMANTICS D1).
    if context.engineTime < slot.pointee.refractoryUntil, !candidate.isBypass, !options.without.contains(.refractory),
      raisedPriority(patient, rule: rule, subject: candidate.subject, now: context.now) == nil
    {
      hold(patient, candidate, .refractory, by: "refractory", until: slot.pointee.refractoryUntil, context)
      return
    }
    release(patient, rule: rule)
    if !options.without.contains(.grouping), join(patient, candidate, context) { return }
    start(patient, candidate, context)
  }

  private func joinedAlert(_ patient: UnsafeMutablePointer<PatientState>, rule: Int) -> Int? {
    let target = patient.slot(rule).joinedRule
    guard target >= 0 else { return nil }
    return patient.pointee.alerts.firstIndex { $0.rule == Int(target) }
  }

  /// What a candidate is told with: the rule's priority, lifted by bypass and by raising conditions.
  func priority(
    _ patient: UnsafeMutablePointer<PatientState>, of candidate: Candidate, _ context: JudgeContext
  ) -> Priority {
    let definition = layout.plan.rules[candidate.rule]
    let own = candidate.isBypass ? max(definition.priority, definition.bypassPriority) : definition.priority
    return max(
      own, raisedPriority(patient, rule: candidate.rule, subject: candidate.subject, now: context.now) ?? own)
  }

  // MARK: Holding

  private func hold(
    _ patient: UnsafeMutablePointer<PatientState>, _ candidate: Candidate, _ stage: SuppressionStage, by: String,
    until: Int64, _ context: JudgeContext
  ) {
    let slot = patient.slotPointer(candidate.rule)
    let number = Engine.stageNumber(stage)
    let isNew = slot.pointee.heldStage != number
    slot.pointee.heldStage = number
    slot.pointee.heldUntil = until
    if until < .max { schedule(patient, until) }
    if isNew {
      slot.pointee.heldOnset = candidate.onset
      slot.pointee.heldBypass = candidate.isBypass
      slot.pointee.subject = Int16(clamping: candidate.subject)
    } else {
      // Another series of the same rule: the first one's identity stays, danger adds up.
      slot.pointee.heldBypass = slot.pointee.heldBypass || candidate.isBypass
    }
    // A deadline found late has no message behind it that would owe the settlement.
    if stage == .retrospective, patient.pointee.settleDue == .max { oweSettlement(patient) }
    // A retrospective candidate is told or reported as missed when the gap is settled: no row of its own yet.
    guard isNew, stage != .retrospective else { return }
    recordHeld(
      patient, rule: candidate.rule, subject: candidate.subject, onset: candidate.onset, stage: stage, by: by,
      until: until == .max ? nil : until, context)
  }

  private func release(_ patient: UnsafeMutablePointer<PatientState>, rule: Int) {
    guard let slot = patient.pointee.ruleSlots.peek(rule) else { return }
    slot.pointee.heldStage = -1
    slot.pointee.heldUntil = .max
    slot.pointee.heldBypass = false
  }

  /// What held a candidate may be over: it is told if it still holds.
  func retryHeld(_ patient: UnsafeMutablePointer<PatientState>, rule: Int, _ context: JudgeContext) {
    let slot = patient.slot(rule)
    guard slot.heldStage >= 0 else { return }
    // Bounded by design: what is released here is told, held anew with its reason, or over.
    let wasRetrospective = Engine.stage(slot.heldStage) == .retrospective
    release(patient, rule: rule)
    guard ruleHolds(patient, rule: rule) else { return }
    var candidate = Candidate(
      rule: rule, subject: Int(slot.subject), onset: slot.heldOnset, isBypass: slot.heldBypass)
    candidate.isRetrospective = wasRetrospective
    open(patient, candidate, context)
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

  // MARK: Joining (one deterioration, one page: SEMANTICS C4)

  /// Makes a score candidate a member of an active vital alert, or a vital candidate a member of an active score alert.
  ///
  /// - Returns: whether it joined.
  private func join(
    _ patient: UnsafeMutablePointer<PatientState>, _ candidate: Candidate, _ context: JudgeContext
  ) -> Bool {
    let definition = layout.plan.rules[candidate.rule]
    guard definition.kind == .physiological else { return false }
    let isScore = definition.score != nil
    guard
      let index = patient.pointee.alerts.firstIndex(where: {
        $0.rule >= 0 && $0.kind == .physiological && (isScore || $0.isScore)
      })
    else { return false }
    let priority = priority(patient, of: candidate, context)
    let host = patient.pointee.alerts[index].rule
    patient.slotPointer(candidate.rule).pointee.joinedRule = Int16(host)
    if !patient.pointee.alerts[index].members.contains(definition.id) {
      patient.pointee.alerts[index].members.append(definition.id)
    }
    if candidate.unverified != nil { patient.pointee.alerts[index].isUnverified = true }
    let isHigher = priority > patient.pointee.alerts[index].priority
    if isHigher { patient.pointee.alerts[index].priority = priority }
    // A new vital or a higher priority is told again; a score that adds nothing is not.
    if isHigher || !isScore {
      emit(
        patient, alert: index, phase: isHigher ? .escalate : .update, showing: candidate, context, isNotified: true)
    } else {
      recordHeld(
        patient, rule: candidate.rule, subject: candidate.subject, onset: candidate.onset, stage: .grouping,
        by: patient.pointee.alerts[index].ruleID, until: nil, context)
      emit(patient, alert: index, phase: .update, showing: nil, context, isNotified: false)
    }
    return true
  }

  // MARK: Transitions

  private func start(
    _ patient: UnsafeMutablePointer<PatientState>, _ candidate: Candidate, _ context: JudgeContext
  ) {
    let definition = layout.plan.rules[candidate.rule]
    let isTechnical = definition.kind == .technical
    var priority = priority(patient, of: candidate, context)
    var code = -1
    var device = UInt32.max
    var sources: [UInt32] = []
    if candidate.subject >= 0 {
      let series = patient.pointee.series[candidate.subject]
      code = series.code
      device = series.device
      sources = [series.series]
      if isTechnical { priority = max(priority, priorityAtRisk(patient, code: code)) }
    } else {
      sources = inputSeries(patient, rule: candidate.rule, subject: -1).map { patient.pointee.series[$0].series }
    }
    let facts = patient.pointee.facts
    let subject = isTechnical && code >= 0 ? subjectText(code: code, device: device) : ""
    let alert = ActiveAlert(
      rule: candidate.rule,
      alertID: alertID(facts: facts, rule: definition, subject: subject, onset: candidate.onset),
      ruleID: definition.id, ruleVersion: definition.version, ruleTitle: definition.title, sequence: 0,
      onset: candidate.onset, detected: context.engineTime, priority: priority, kind: definition.kind,
      isScore: definition.score != nil, isBypassed: candidate.isBypass, isUnverified: candidate.unverified != nil,
      isRetrospective: candidate.isRetrospective, code: code, device: device, sources: sources, members: [],
      unit: facts.unit, bed: facts.bed)
    patient.pointee.alerts.append(alert)
    emit(
      patient, alert: patient.pointee.alerts.count - 1, phase: .start, showing: candidate, context, isNotified: true)
  }

  /// Loss of a signal inherits the priority of the alert that signal holds (SEMANTICS B7).
  private func priorityAtRisk(_ patient: UnsafeMutablePointer<PatientState>, code: Int) -> Priority {
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

  /// Another series holds an alert already told. Losing the signal of a vital with an alert of its own raises a technical
  /// alert to that priority.
  private func addSource(
    _ patient: UnsafeMutablePointer<PatientState>, alert index: Int, _ candidate: Candidate, _ context: JudgeContext
  ) {
    guard candidate.subject >= 0 else { return }
    let series = patient.pointee.series[candidate.subject]
    if patient.pointee.alerts[index].sources.contains(series.series) { return }
    patient.pointee.alerts[index].sources.append(series.series)
    guard patient.pointee.alerts[index].kind == .technical else { return }
    let priority = priorityAtRisk(patient, code: series.code)
    let isHigher = priority > patient.pointee.alerts[index].priority
    if isHigher { patient.pointee.alerts[index].priority = priority }
    emit(
      patient, alert: index, phase: isHigher ? .escalate : .update, showing: candidate, context, isNotified: isHigher)
  }

  /// The bypass limit was crossed while people already know: once an episode they are told again, higher.
  private func escalateByBypass(
    _ patient: UnsafeMutablePointer<PatientState>, alert index: Int, _ candidate: Candidate, _ context: JudgeContext
  ) {
    let isOwn = patient.pointee.alerts[index].rule == candidate.rule
    if isOwn, patient.pointee.alerts[index].isBypassed { return }
    let definition = layout.plan.rules[candidate.rule]
    if isOwn { patient.pointee.alerts[index].isBypassed = true }
    if candidate.unverified != nil { patient.pointee.alerts[index].isUnverified = true }
    patient.pointee.alerts[index].priority = max(patient.pointee.alerts[index].priority, definition.bypassPriority)
    emit(patient, alert: index, phase: .escalate, showing: candidate, context, isNotified: true)
  }

  /// A raising condition came to hold while people already know: they are told again, higher. Never lowers.
  func escalate(
    _ patient: UnsafeMutablePointer<PatientState>, alert index: Int, rule: Int, subject: Int, to priority: Priority,
    _ context: JudgeContext
  ) {
    guard priority > patient.pointee.alerts[index].priority else { return }
    patient.pointee.alerts[index].priority = priority
    let isOwn = patient.pointee.alerts[index].rule == rule
    let shown = Candidate(
      rule: rule, subject: subject,
      onset: isOwn ? patient.pointee.alerts[index].onset : heldOnset(patient, rule: rule), isBypass: false)
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
    var host = rule
    if slot.pointee.joinedRule >= 0 {
      host = Int(slot.pointee.joinedRule)
      slot.pointee.joinedRule = -1
    }
    guard let index = patient.pointee.alerts.firstIndex(where: { $0.rule == host }) else { return }
    if ruleHolds(patient, rule: host) { return }
    for other in layout.plan.rules.indices
    where Int(patient.slot(other).joinedRule) == host && ruleHolds(patient, rule: other) {
      return
    }
    end(patient, alert: index, context)
  }

  func end(_ patient: UnsafeMutablePointer<PatientState>, alert index: Int, _ context: JudgeContext) {
    let host = patient.pointee.alerts[index].rule
    emit(patient, alert: index, phase: .end, showing: nil, context, isNotified: true)
    patient.pointee.alerts.remove(at: index)
    guard host >= 0 else { return }
    patient.slotPointer(host).pointee.refractoryUntil = context.engineTime + layout.plan.rules[host].refractory
    for other in layout.plan.rules.indices where Int(patient.slot(other).joinedRule) == host {
      patient.slotPointer(other).pointee.joinedRule = -1
      patient.slotPointer(other).pointee.refractoryUntil = context.engineTime + layout.plan.rules[other].refractory
    }
  }
}
