import Evaluation
import Suppression
import VitalModel

/// What an alert lives by once it has been told: terms, deadlines, answers, being told again.
extension Engine {
  /// What an alert lives by now: its rule's own words where it has them, else the settings.
  func terms(_ alert: ActiveAlert) -> AlertLife.Terms {
    // By its place: a rule is some fifty references.
    let own = alert.rule >= 0 ? layout.plan.rules[alert.rule].latches : nil
    let latches = alert.kind != .advisory && (own ?? alerting.latching.contains(alert.priority))
    return AlertLife.Terms(
      latches: latches, realarm: alerting.realarm[alert.priority], waits: ladder(alert).map(\.after),
      quiet: flapSettings(alert.rule).quiet)
  }

  /// The steps of an alert's ladder.
  func ladder(_ alert: ActiveAlert) -> [EscalationStep] {
    if alert.rule >= 0, !layout.plan.rules[alert.rule].escalation.isEmpty {
      return layout.plan.rules[alert.rule].escalation
    }
    let own = alerting.ladders.first { ladder in
      (ladder.priorities.isEmpty || ladder.priorities.contains(alert.priority))
        && (ladder.units.isEmpty || alert.unit.map(ladder.units.contains) == true)
    }
    return own?.steps ?? []
  }

  /// Puts what happened to an alert's life, and files what falls due next.
  @discardableResult
  func live(
    _ patient: UnsafeMutablePointer<PatientState>, alert index: Int, _ input: AlertLife.Input, _ context: JudgeContext
  ) -> AlertLife.Output {
    let terms = terms(patient.pointee.alerts[index])
    // What is worse than what was muted is no longer muted (SEMANTICS D1).
    if input == .worsened { patient.pointee.alerts[index].silencedUntil = .max }
    let output = patient.pointee.alerts[index].life.apply(input, now: context.engineTime, terms: terms)
    // Who answered answered for less than this.
    if input == .worsened { patient.pointee.alerts[index].responsibility = .undefined }
    let due = patient.pointee.alerts[index].life.nextDue
    if due < .max { schedule(patient, due) }
    return output
  }

  /// Gives an alert another priority. One with another ladder is climbed from its foot.
  func lift(_ patient: UnsafeMutablePointer<PatientState>, alert index: Int, to priority: Priority) {
    let before = ladder(patient.pointee.alerts[index])
    patient.pointee.alerts[index].priority = priority
    guard ladder(patient.pointee.alerts[index]) != before else { return }
    let terms = terms(patient.pointee.alerts[index])
    patient.pointee.alerts[index].life.restartLadder(terms: terms)
    schedule(patient, patient.pointee.alerts[index].life.nextDue)
  }

  /// Something of an alert is due: nobody answered in time, it is still true after an answer, or it has been quiet.
  func runLife(_ patient: UnsafeMutablePointer<PatientState>, alert index: Int, _ context: JudgeContext) {
    carryOut(live(patient, alert: index, .due, context), patient, alert: index, context)
  }

  /// Tells what became of an alert's life, where it concerns anybody.
  func carryOut(
    _ output: AlertLife.Output, _ patient: UnsafeMutablePointer<PatientState>, alert index: Int,
    _ context: JudgeContext
  ) {
    switch output {
    case .nothing, .noted: return
    case .told(let phase):
      var note = TransitionNote()
      let level = Int(patient.pointee.alerts[index].life.level)
      let steps = ladder(patient.pointee.alerts[index])
      if level > 0, level <= steps.count { note.escalatedTo = steps[level - 1].to }
      tell(patient, alert: index, phase: phase, showing: nil, context, note: note)
    case .realarmed: tellAgain(patient, alert: index, showing: nil, context)
    case .ended(let why): end(patient, alert: index, why, context)
    }
  }

  /// Told again because it is still, or again, true: what had been answered needs a new answer.
  func tellAgain(
    _ patient: UnsafeMutablePointer<PatientState>, alert index: Int, showing candidate: Candidate?,
    _ context: JudgeContext
  ) {
    patient.pointee.alerts[index].responsibility = .undefined
    // Told again is told anew: the bypass limit counts once more (SEMANTICS D2).
    if let candidate { noteTold(patient, alert: index, candidate, context) }
    tell(patient, alert: index, phase: .update, showing: candidate, context, note: TransitionNote(isRealarm: true))
  }

  /// Emits a transition people are told of, whatever made the alert.
  func tell(
    _ patient: UnsafeMutablePointer<PatientState>, alert index: Int, phase: AlertPhase, showing candidate: Candidate?,
    _ context: JudgeContext, note: TransitionNote = TransitionNote()
  ) {
    guard patient.pointee.alerts[index].rule >= 0 else {
      patient.pointee.alerts[index].sequence += 1
      let alert = patient.pointee.alerts[index]
      return emitBuiltIn(patient, alert, phase: phase, message: alert.message, context, note: note)
    }
    emit(patient, alert: index, phase: phase, showing: candidate, context, isNotified: true, note: note)
  }

  /// Ends an alert that no rule file describes.
  func endBuiltIn(
    _ patient: UnsafeMutablePointer<PatientState>, alert index: Int, _ note: TransitionNote, _ context: JudgeContext
  ) {
    patient.pointee.alerts[index].sequence += 1
    let alert = patient.pointee.alerts.remove(at: index)
    emitBuiltIn(patient, alert, phase: .end, message: alert.ruleTitle + ": over", context, note: note)
  }

  /// What a document says of its alert's life.
  func dress(_ document: inout AlertDocument, _ alert: ActiveAlert, phase: AlertPhase, _ note: TransitionNote) {
    let isOver = phase == .end
    document.state = isOver ? .inactive : alert.life.state
    document.stillActive = !isOver && alert.life.isPresent
    document.attemptLevel = Int(alert.life.level)
    document.respondBy = isOver || alert.life.respondBy == .max ? nil : alert.life.respondBy
    document.acknowledgement = alert.acknowledgement
    document.responsibility = alert.responsibility
    document.responder = alert.responder
    document.isRecurrent = alert.life.isRecurrent
    document.isRealarm = note.isRealarm
    document.endReason =
      note.end.map { end in note.reason.map { "\(end.rawValue): \($0)" } ?? end.rawValue } ?? note.reason
    document.escalatedTo = note.escalatedTo
    document.calledSteps = ladder(alert).prefix(Int(alert.life.level)).map(\.to)
    if alert.life.isRecurrent, phase == .start { document.message += "; recurrent: came and went" }
    if note.isRealarm { document.message = "still: " + document.message }
  }
}

/// What sets one transition of an alert apart, beside its phase.
struct TransitionNote {
  var isRealarm = false
  var isAnswer = false
  var end: AlertLife.End?
  /// Why it ended, where a person or a new rule set ended it.
  var reason: String?
  var escalatedTo: String?

  init(isRealarm: Bool = false, isAnswer: Bool = false, end: AlertLife.End? = nil, reason: String? = nil) {
    self.isRealarm = isRealarm
    self.isAnswer = isAnswer
    self.end = end
    self.reason = reason
  }
}
