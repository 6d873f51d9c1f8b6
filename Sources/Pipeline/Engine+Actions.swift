import Evaluation
import Suppression
import VitalModel

/// What people do about alerts, and how alerts behave: journaled entries like everything else.
extension Engine {
  /// A person answered an alert, or set or ended a silence. What concerns no alert of this patient changes nothing.
  package func applyAction(_ slot: Slot, _ action: AlertAction) {
    guard let (patient, context) = beginAction(slot) else { return }
    switch action {
    case .accept(let id, let by): respond(patient, id, .accepted, by: by, context)
    case .reject(let id, let by): respond(patient, id, .rejected, by: by, context)
    case .acknowledge(let id, let word): acknowledge(patient, id, word, context)
    case .label(let document, let word): label(patient, document, word, context)
    case .resolve(let id, let by, let reason): resolve(patient, id, by: by, reason: reason, context)
    case .silence(let silence): begin(shifted(silence, by: context.engineTime - slot.eventTime), patient, context)
    case .endSilence(let id, let by): endSilence(patient, id, by: by, context)
    }
  }

  /// In stream time a person acts at the patient's own now: nothing advances a patient past its last sample (SEMANTICS B1),
  /// and today's clock says nothing of a recording's.
  private func beginAction(_ slot: Slot) -> (UnsafeMutablePointer<PatientState>, JudgeContext)? {
    guard !isWall, slot.patient != .max else { return beginControl(slot) }
    finishMessage()
    var own = slot
    let now = patients[placeOf(slot.patient)].pointee.now
    if now != .min { own.eventTime = now }
    return beginControl(own)
  }

  private func shifted(_ silence: Silence, by shift: Int64) -> Silence {
    var own = silence
    own.from &+= shift
    own.until &+= shift
    return own
  }

  /// Puts other alerting settings in force from this point of the journal on.
  package func adoptAlerting(_ settings: AlertingSettings, at entry: Slot? = nil) {
    finishMessage()
    if let entry { noteEntry(entry) }
    alerting = settings
  }

  // MARK: Answers

  private func respond(
    _ patient: UnsafeMutablePointer<PatientState>, _ id: String, _ responsibility: Responsibility, by: String,
    _ context: JudgeContext
  ) {
    guard let index = patient.pointee.alerts.firstIndex(where: { $0.alertID == id }) else { return }
    patient.pointee.alerts[index].responsibility = responsibility
    patient.pointee.alerts[index].responder = by
    note(
      live(patient, alert: index, responsibility == .accepted ? .accepted : .rejected, context), patient, index, context
    )
  }

  private func acknowledge(
    _ patient: UnsafeMutablePointer<PatientState>, _ id: String, _ word: Acknowledgement, _ context: JudgeContext
  ) {
    guard let index = patient.pointee.alerts.firstIndex(where: { $0.alertID == id }) else { return }
    patient.pointee.alerts[index].acknowledgement = word
    note(
      live(patient, alert: index, .acknowledged, context), patient, index, context,
      TransitionNote(isAnswer: true))
  }

  /// An answer that changes who is called is told as that; any other is an update everybody may see.
  private func note(
    _ output: AlertLife.Output, _ patient: UnsafeMutablePointer<PatientState>, _ index: Int, _ context: JudgeContext,
    _ note: TransitionNote = TransitionNote()
  ) {
    guard case .noted = output else { return carryOut(output, patient, alert: index, context) }
    tell(patient, alert: index, phase: .update, showing: nil, context, note: note)
  }

  /// The record of an alert that has ended says what it was worth; everything it needs is in the entry.
  private func label(
    _ patient: UnsafeMutablePointer<PatientState>, _ last: AlertDocument, _ word: Acknowledgement,
    _ context: JudgeContext
  ) {
    var document = last
    document.sequence &+= 1
    document.phase = .update
    document.state = .inactive
    document.stillActive = false
    document.acknowledgement = word
    document.detectedTime = context.engineTime
    output.transitions.append(
      Transition(
        position: position, patient: patient.pointee.number, document: document, isNotified: false, isAnswer: true))
  }

  // MARK: Ended by a person

  /// What a person ended comes back after the re-alarm time if it is still true; a priority without one after half an hour.
  private static let comesBackAfter: Int64 = 1_800_000

  private func resolve(
    _ patient: UnsafeMutablePointer<PatientState>, _ id: String, by: String, reason: String, _ context: JudgeContext
  ) {
    guard let index = patient.pointee.alerts.firstIndex(where: { $0.alertID == id }) else { return }
    let alert = patient.pointee.alerts[index]
    patient.pointee.alerts[index].responder = by
    let rules =
      alert.rule < 0
      ? [] : layout.plan.rules.indices.filter { $0 == alert.rule || Int(patient.slot($0).joinedRule) == alert.rule }
    guard case .ended(let why) = live(patient, alert: index, .resolved, context) else { return }
    end(patient, alert: index, why, context, reason: reason)
    let back = context.engineTime + (alerting.realarm[alert.priority] ?? Engine.comesBackAfter)
    for rule in rules where ruleHolds(patient, rule: rule) {
      let slot = patient.slotPointer(rule)
      // One reason is enough: the person's.
      slot.pointee.refractoryUntil = .min
      slot.pointee.resolvedUntil = back
      slot.pointee.toldDepth = .nan
      let subject = holdingSubject(patient, rule: rule) ?? -1
      open(patient, Candidate(rule: rule, subject: subject, onset: context.now, isBypass: false), context)
    }
  }

  // MARK: Silences

  private func begin(
    _ silence: Silence, _ patient: UnsafeMutablePointer<PatientState>, _ context: JudgeContext
  ) {
    patient.pointee.silences.removeAll { $0.until <= context.engineTime || $0.id == silence.id }
    patient.pointee.silences.append(silence)
    guard !options.without.contains(.silence) else { return }
    for index in patient.pointee.alerts.indices {
      let alert = patient.pointee.alerts[index]
      guard silence.matches(rule: alert.ruleID, kind: alert.kind) else { continue }
      let until = min(silence.until, silence.from + Silence.longest(alert.priority))
      guard until > context.engineTime else { continue }
      patient.pointee.alerts[index].silencedUntil = until
      schedule(patient, until)
      live(patient, alert: index, .silenced, context)
      guard alert.rule >= 0 else { continue }
      recordHeld(
        patient, rule: alert.rule, subject: holdingSubject(patient, rule: alert.rule) ?? -1, onset: alert.onset,
        stage: .silence, by: "silence \(silence.id) by \(silence.author)", until: until, context)
    }
  }

  private func endSilence(
    _ patient: UnsafeMutablePointer<PatientState>, _ id: String, by: String, _ context: JudgeContext
  ) {
    guard let silence = patient.pointee.silences.first(where: { $0.id == id }) else { return }
    patient.pointee.silences.removeAll { $0.id == id }
    for index in patient.pointee.alerts.indices.reversed() {
      let alert = patient.pointee.alerts[index]
      guard alert.silencedUntil < .max, silence.matches(rule: alert.ruleID, kind: alert.kind) else { continue }
      patient.pointee.alerts[index].silencedUntil = .max
      carryOut(live(patient, alert: index, .recalled, context), patient, alert: index, context)
    }
    retryAll(patient, heldBy: .silence, context)
  }
}
