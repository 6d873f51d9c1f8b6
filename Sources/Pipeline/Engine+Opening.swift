import Evaluation
import Suppression
import VitalModel

/// What becomes of a finding: told, joined to an alert already told, or held by a stage (DESIGN section 5, SEMANTICS D).
extension Engine {
  /// Takes a finding through the stages in their order.
  func open(_ patient: UnsafeMutablePointer<PatientState>, _ candidate: Candidate, _ context: JudgeContext) {
    let rule = candidate.rule
    if let index = patient.pointee.alerts.firstIndex(where: { $0.rule == rule }) {
      goOn(patient, alert: index, candidate, context)
      return
    }
    if let joined = joinedAlert(patient, rule: rule) {
      if candidate.isBypass { escalateByBypass(patient, alert: joined, candidate, context) }
      return
    }
    if holdUntold(patient, candidate, context) { return }
    let claim = claim(patient, candidate, context)
    if let hold = firstHold(patient, candidate, claim) { return self.hold(patient, candidate, hold, context) }
    if let outage = outage(patient, of: candidate, context) {
      return self.hold(
        patient, candidate, Hold(stage: .grouping, by: outage, until: context.engineTime + Engine.outageHold), context)
    }
    release(patient, rule: rule)
    if !options.without.contains(.grouping), !candidate.isRenewal, join(patient, candidate, claim, context) { return }
    if let hold = budgetHold(patient, claim) {
      self.hold(patient, candidate, hold, context)
      return askForReview(patient, by: hold.by, context)
    }
    start(patient, candidate, claim, context)
  }

  /// The outage a lost signal belongs to. A signal that holds an alert of more than the loss's own priority is told by itself.
  private func outage(
    _ patient: UnsafeMutablePointer<PatientState>, of candidate: Candidate, _ context: JudgeContext
  ) -> String? {
    guard candidate.subject >= 0, layout.staleRules.contains(candidate.rule) else { return nil }
    let series = patient.pointee.series[candidate.subject]
    guard priorityAtRisk(patient, code: series.code) <= layout.plan.rules[candidate.rule].priority else { return nil }
    return outage(patient, device: series.device, context)
  }

  /// What may not be told at all: a rule on trial, what comes from inside a gap, a time nobody vouches for.
  private func holdUntold(
    _ patient: UnsafeMutablePointer<PatientState>, _ candidate: Candidate, _ context: JudgeContext
  ) -> Bool {
    let definition = layout.plan.rules[candidate.rule]
    var reason: (stage: SuppressionStage, by: String)?
    if definition.mode == .shadow, !options.without.contains(.shadow) {
      reason = (.shadow, "mode")
    } else if context.isRetrospective {
      reason = (.retrospective, "lateness")
    } else if context.isUncertain, definition.kind == .physiological {
      reason = (.quality, "uncertain time")
    }
    guard let reason else { return false }
    hold(patient, candidate, Hold(stage: reason.stage, by: reason.by, until: .max), context)
    return true
  }

  private func claim(
    _ patient: UnsafeMutablePointer<PatientState>, _ candidate: Candidate, _ context: JudgeContext
  ) -> Claim {
    let definition = layout.plan.rules[candidate.rule]
    let worsening = isWorse(
      depth(patient, rule: candidate.rule, subject: candidate.subject, now: context.now),
      than: patient.slot(candidate.rule).toldDepth, patient, rule: candidate.rule, now: context.now)
    return Claim(
      rule: definition.id, kind: definition.kind, ownPriority: definition.priority,
      priority: priority(patient, of: candidate, context), isBypass: candidate.isBypass, isWorsening: worsening,
      now: context.engineTime)
  }

  /// What a candidate is told with: the rule's priority, lifted by bypass and by raising conditions.
  private func priority(
    _ patient: UnsafeMutablePointer<PatientState>, of candidate: Candidate, _ context: JudgeContext
  ) -> Priority {
    let definition = layout.plan.rules[candidate.rule]
    let own = candidate.isBypass ? max(definition.priority, definition.bypassPriority) : definition.priority
    if definition.kind == .technical, candidate.subject >= 0 {
      // Losing a signal is as urgent as what that signal holds (SEMANTICS B7).
      return max(own, priorityAtRisk(patient, code: patient.pointee.series[candidate.subject].code))
    }
    return max(
      own, raisedPriority(patient, rule: candidate.rule, subject: candidate.subject, now: context.now) ?? own)
  }

  /// The first notification stage before grouping that holds a claim, in the order of DESIGN section 5.
  private func firstHold(
    _ patient: UnsafeMutablePointer<PatientState>, _ candidate: Candidate, _ claim: Claim
  ) -> Hold? {
    let slot = patient.slot(candidate.rule)
    func verdict(_ stage: some NotificationStage) -> Hold? {
      options.without.contains(type(of: stage).stage) ? nil : stage.verdict(on: claim)
    }
    return verdict(inhibition(patient, candidate, now: claim.now))
      ?? verdict(RefractoryStage(until: slot.refractoryUntil))
      ?? verdict(SilenceStage(patient.pointee.silences))
      ?? verdict(AcknowledgedStage(until: slot.resolvedUntil))
  }

  /// The last stage: what joined an alert already told costs nothing.
  private func budgetHold(_ patient: UnsafeMutablePointer<PatientState>, _ claim: Claim) -> Hold? {
    if options.without.contains(.budget) { return nil }
    let own = BudgetStage(
      told: patient.pointee.budgetTold, limit: alerting.patientBudget, owner: "the patient's budget")
    return own.verdict(on: claim) ?? unitBudget(of: patient, now: claim.now).verdict(on: claim)
  }

  // MARK: Inhibition

  private func inhibition(
    _ patient: UnsafeMutablePointer<PatientState>, _ candidate: Candidate, now: Int64
  ) -> InhibitionStage {
    let definition = layout.plan.rules[candidate.rule]
    let since = patient.slot(candidate.rule).inhibitedSince
    var stage = InhibitionStage(
      by: nil, lasts: .max, since: since == .max ? now : since, longest: definition.inhibitMax)
    if definition.inhibitedBy.isEmpty, definition.inhibitedIn.isEmpty { return stage }
    if let alert = patient.pointee.alerts.first(where: { explains($0, candidate, patient) }) {
      stage.by = alert.ruleID
    } else if let state = inhibitingState(patient, definition, now: now) {
      stage.by = state.name
      stage.lasts = state.until
    }
    return stage
  }

  /// Whether a technical alert explains what a rule finds. An alert about every series explains only what the very series it
  /// names shows: an electrode off says nothing of the finger. One about a vital of its own, such as perfusion, explains what
  /// the same device measures.
  private func explains(
    _ alert: ActiveAlert, _ candidate: Candidate, _ patient: UnsafeMutablePointer<PatientState>
  ) -> Bool {
    let definition = layout.plan.rules[candidate.rule]
    guard alert.kind == .technical, alert.life.isPresent,
      definition.inhibitedBy.contains(where: { $0 == alert.ruleID || alert.members.contains($0) })
    else { return false }
    let inputs =
      candidate.subject >= 0
      ? [candidate.subject]
      : definition.judgedCodes.map { Int(patient.pointee.preferred[Int($0.index)]) }.filter { $0 >= 0 }
    if alert.rule >= 0, layout.plan.rules[alert.rule].scope == .everySeries {
      // Those it holds on now, not those it was once told of.
      let troubled = layout.plan.rules.indices.filter { definition.inhibitedBy.contains(layout.plan.rules[$0].id) }
        .flatMap { heldSeries(patient, rule: $0) }
      return inputs.contains(where: troubled.contains)
    }
    guard inhibitorHolds(alert, definition, patient) else { return false }
    let devices = alert.sources.compactMap { number -> UInt32? in
      let index = patient.pointee.position(ofSeries: number)
      return index >= 0 ? patient.pointee.series[index].device : nil
    }
    return devices.isEmpty || inputs.contains { devices.contains(patient.pointee.series[$0].device) }
  }

  /// Whether one of the inhibitors an alert stands for holds at present: a member that is over explains nothing.
  private func inhibitorHolds(
    _ alert: ActiveAlert, _ definition: RuleDefinition, _ patient: UnsafeMutablePointer<PatientState>
  ) -> Bool {
    if alert.rule < 0 { return true }
    return layout.plan.rules.indices.contains {
      definition.inhibitedBy.contains(layout.plan.rules[$0].id) && ruleHolds(patient, rule: $0)
    }
  }

  /// A state of the patient that holds a rule: as the roster says, as a device declared, or a flag.
  private func inhibitingState(
    _ patient: UnsafeMutablePointer<PatientState>, _ definition: RuleDefinition, now: Int64
  ) -> (name: String, until: Int64)? {
    let facts = patient.pointee.facts
    for name in definition.inhibitedIn {
      let until = facts.stateUntil ?? .max
      if facts.state != .admitted, facts.state.rawValue == name, now < until { return (name, until) }
      if let declared = patient.pointee.declared.first(where: { $0.name == name && now < $0.until }) {
        return (name, declared.until)
      }
      if facts.flags.contains(name) { return (name, .max) }
    }
    return nil
  }

  /// What an inhibitor held is told now that it is gone, if it still holds.
  func retryInhibited(_ patient: UnsafeMutablePointer<PatientState>, _ context: JudgeContext) {
    retryAll(patient, heldBy: .inhibition, context)
  }

  func retryAll(
    _ patient: UnsafeMutablePointer<PatientState>, heldBy stage: SuppressionStage, _ context: JudgeContext
  ) {
    let number = Engine.stageNumber(stage)
    for rule in layout.plan.rules.indices where patient.slot(rule).heldStage == number {
      retryHeld(patient, rule: rule, context)
    }
  }

  // MARK: Holding

  private func hold(
    _ patient: UnsafeMutablePointer<PatientState>, _ candidate: Candidate, _ hold: Hold, _ context: JudgeContext
  ) {
    let slot = patient.slotPointer(candidate.rule)
    let number = Engine.stageNumber(hold.stage)
    let isNew = slot.pointee.heldStage != number
    slot.pointee.heldStage = number
    slot.pointee.heldUntil = hold.until
    if hold.stage == .inhibition, slot.pointee.inhibitedSince == .max {
      slot.pointee.inhibitedSince = context.engineTime
    }
    if hold.until < .max { schedule(patient, hold.until) }
    // What is muted from the start pierces by worsening from where it was muted (DESIGN invariant 5).
    if slot.pointee.toldDepth.isNaN {
      slot.pointee.toldDepth = depth(patient, rule: candidate.rule, subject: candidate.subject, now: context.now)
    }
    if isNew {
      slot.pointee.heldOnset = candidate.onset
      slot.pointee.heldBypass = candidate.isBypass
      slot.pointee.heldUnverified = candidate.isUnverified
      slot.pointee.subject = Int16(clamping: candidate.subject)
    } else {
      // Another series of the same rule: the first one's identity stays, danger adds up.
      slot.pointee.heldBypass = slot.pointee.heldBypass || candidate.isBypass
    }
    // A deadline found late has no message behind it that would owe the settlement.
    if hold.stage == .retrospective, patient.pointee.settleDue == .max { oweSettlement(patient) }
    // A retrospective candidate is told or reported as missed when the gap is settled: no row of its own yet.
    guard isNew, hold.stage != .retrospective else { return }
    recordHeld(
      patient, rule: candidate.rule, subject: candidate.subject, onset: candidate.onset, stage: hold.stage, by: hold.by,
      until: hold.until == .max ? nil : hold.until, context)
  }

  func release(_ patient: UnsafeMutablePointer<PatientState>, rule: Int) {
    guard let slot = patient.pointee.ruleSlots.peek(rule) else { return }
    slot.pointee.heldStage = -1
    slot.pointee.heldUntil = .max
    slot.pointee.heldBypass = false
    slot.pointee.heldUnverified = false
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
    candidate.isUnverified = slot.heldUnverified
    open(patient, candidate, context)
  }

  // MARK: Joining (one deterioration, one page: SEMANTICS C4, D4)

  /// Makes a candidate a member of an alert already told.
  ///
  /// - Returns: whether it joined.
  private func join(
    _ patient: UnsafeMutablePointer<PatientState>, _ candidate: Candidate, _ claim: Claim, _ context: JudgeContext
  ) -> Bool {
    let definition = layout.plan.rules[candidate.rule]
    guard let index = patient.pointee.alerts.firstIndex(where: { isHost($0, for: candidate, patient, context) }) else {
      return false
    }
    let host = patient.pointee.alerts[index].rule
    let slot = patient.slotPointer(candidate.rule)
    slot.pointee.joinedRule = Int16(host)
    if !patient.pointee.alerts[index].members.contains(definition.id) {
      patient.pointee.alerts[index].members.append(definition.id)
    }
    if candidate.isDoubtful { patient.pointee.alerts[index].isUnverified = true }
    let isHigher = claim.priority > patient.pointee.alerts[index].priority
    if isHigher { lift(patient, alert: index, to: claim.priority) }
    // A new vital, the other limit of one, or a higher priority is told again; what adds nothing is not.
    let isNewVital =
      definition.kind == .physiological && definition.score == nil
      && toldWords(candidate.rule).contains { !patient.pointee.alerts[index].toldCodes.contains($0) }
    guard isHigher || isNewVital || candidate.isBypass else {
      recordHeld(
        patient, rule: candidate.rule, subject: candidate.subject, onset: candidate.onset, stage: .grouping,
        by: patient.pointee.alerts[index].ruleID, until: nil, context)
      slot.pointee.toldDepth = depth(patient, rule: candidate.rule, subject: candidate.subject, now: context.now)
      emit(patient, alert: index, phase: .update, showing: nil, context, isNotified: false)
      return true
    }
    noteTold(patient, alert: index, candidate, context)
    let wasCalling = patient.pointee.alerts[index].life.stage == .told
    live(patient, alert: index, .worsened, context)
    let phase: AlertPhase = isHigher || candidate.isBypass || !wasCalling ? .escalate : .update
    emit(patient, alert: index, phase: phase, showing: candidate, context, isNotified: true)
    return true
  }

  /// Whether an alert takes a candidate in: scores and vitals of one patient at any time, other findings of the same kind
  /// only soon after the alert was told, technical ones only on the same device.
  private func isHost(
    _ alert: ActiveAlert, for candidate: Candidate, _ patient: UnsafeMutablePointer<PatientState>,
    _ context: JudgeContext
  ) -> Bool {
    let definition = layout.plan.rules[candidate.rule]
    guard alert.rule >= 0, alert.kind == definition.kind, alert.life.isPresent else { return false }
    if definition.kind == .physiological, definition.score != nil || alert.isScore { return true }
    guard context.engineTime - alert.detected < alerting.groupingWindow else { return false }
    switch definition.kind {
    case .physiological: return true
    case .technical:
      return candidate.subject >= 0 && patient.pointee.series[candidate.subject].device == alert.device
    case .advisory: return false
    }
  }

  // MARK: Starting

  private func start(
    _ patient: UnsafeMutablePointer<PatientState>, _ candidate: Candidate, _ claim: Claim, _ context: JudgeContext
  ) {
    let definition = layout.plan.rules[candidate.rule]
    let isTechnical = definition.kind == .technical
    let priority = claim.priority
    var code = -1
    var device = UInt32.max
    var sources: [UInt32] = []
    if candidate.subject >= 0 {
      let series = patient.pointee.series[candidate.subject]
      code = series.code
      device = series.device
      sources = [series.series]
    } else {
      sources = inputSeries(patient, rule: candidate.rule, subject: -1).map { patient.pointee.series[$0].series }
    }
    let facts = patient.pointee.facts
    let subject = isTechnical && code >= 0 ? subjectText(code: code, device: device) : ""
    let isRecurrent = !candidate.isRenewal && noteStart(patient, candidate.rule, context.engineTime)
    var alert = ActiveAlert(
      rule: candidate.rule,
      alertID: alertID(facts: facts, rule: definition, subject: subject, onset: candidate.onset),
      ruleID: definition.id, ruleVersion: definition.version, ruleTitle: definition.title, sequence: 0,
      onset: candidate.onset, detected: context.engineTime, priority: priority, kind: definition.kind,
      isScore: definition.score != nil, isBypassed: candidate.isBypass, isUnverified: candidate.isDoubtful,
      isRetrospective: candidate.isRetrospective, code: code, device: device, sources: sources, members: [],
      unit: facts.unit, bed: facts.bed, life: AlertLife(now: context.engineTime, terms: AlertLife.Terms()))
    alert.life = AlertLife(now: context.engineTime, terms: terms(alert), isRecurrent: isRecurrent)
    schedule(patient, min(alert.life.nextDue, renewalDue(alert)))
    patient.pointee.alerts.append(alert)
    patient.slotPointer(candidate.rule).pointee.toldDepth = .nan
    noteTold(patient, alert: patient.pointee.alerts.count - 1, candidate, context)
    countAgainstBudget(patient, priority, context)
    emit(
      patient, alert: patient.pointee.alerts.count - 1, phase: .start, showing: candidate, context, isNotified: true)
  }

  /// Remembers a start; whether it is one too many of the same (SEMANTICS D4).
  private func noteStart(_ patient: UnsafeMutablePointer<PatientState>, _ rule: Int, _ now: Int64) -> Bool {
    let slot = patient.slotPointer(rule)
    let stage = FlapStage(settings: flapSettings(rule), starts: slot.pointee.startTimes)
    slot.pointee.noteStart(now)
    return !options.without.contains(.flap) && stage.recurrence(at: now) != nil
  }

  func flapSettings(_ rule: Int) -> FlapSettings {
    rule >= 0 ? layout.plan.rules[rule].flap ?? alerting.flap : .never
  }

  /// What people are told of with a rule: each vital it judges, and which way is worse. Low and high of one vital are two.
  func toldWords(_ rule: Int) -> [Int] {
    let direction = depths[rule].direction
    return layout.plan.rules[rule].judgedCodes.map { Int($0.index) * 4 + (direction < 0 ? 1 : direction > 0 ? 2 : 0) }
  }

  /// People are being told of a rule's finding as it is now.
  func noteTold(
    _ patient: UnsafeMutablePointer<PatientState>, alert index: Int, _ candidate: Candidate, _ context: JudgeContext
  ) {
    for word in toldWords(candidate.rule) where !patient.pointee.alerts[index].toldCodes.contains(word) {
      patient.pointee.alerts[index].toldCodes.append(word)
    }
    var depth = depth(patient, rule: candidate.rule, subject: candidate.subject, now: context.now)
    // A smoothed value lags behind the one that reached the bypass limit: that limit is what people know.
    if candidate.isBypass {
      depth = Engine.deeper(depth, bypassDistance(patient, rule: candidate.rule, now: context.now))
      depth = Engine.deeper(depth, newestDepth(patient, candidate, now: context.now))
    }
    let slot = patient.slotPointer(candidate.rule)
    if !depth.isNaN {
      slot.pointee.toldDepth = slot.pointee.toldDepth.isNaN ? depth : max(depth, slot.pointee.toldDepth)
    }
  }
}
