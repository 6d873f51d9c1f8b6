import Evaluation
import Suppression
import VitalModel

/// Budgets of alerts, per patient and per care unit. A unit's is read from its patients' own states, so that a restart finds
/// it as it was.
extension Engine {
  // MARK: Budget

  /// The stage of a unit's budget: so many alerts a day for each of its patients.
  func unitBudget(of patient: UnsafeMutablePointer<PatientState>, now: Int64) -> BudgetStage {
    guard alerting.unitBudget > 0, let unit = patient.pointee.facts.unit else {
      return BudgetStage(told: [], limit: 0, owner: "")
    }
    var told: [Int64] = []
    var count = 0
    for other in patients where other.pointee.facts.unit == unit {
      count += 1
      told += other.pointee.budgetTold
    }
    return BudgetStage(told: told.sorted(), limit: alerting.unitBudget * count, owner: "the unit's budget")
  }

  /// Notes that an alert was told, where its priority counts.
  func countAgainstBudget(
    _ patient: UnsafeMutablePointer<PatientState>, _ priority: Priority, _ context: JudgeContext
  ) {
    guard BudgetStage.counts(priority), alerting.patientBudget > 0 || alerting.unitBudget > 0 else { return }
    patient.pointee.budgetTold.removeAll { $0 <= context.engineTime - BudgetStage.day }
    patient.pointee.budgetTold.append(context.engineTime)
  }

  /// A budget is spent: people are asked, once a day, to look at this patient's limits (SEMANTICS D4).
  func askForReview(_ patient: UnsafeMutablePointer<PatientState>, by owner: String, _ context: JudgeContext) {
    guard context.engineTime >= patient.pointee.reviewedUntil else { return }
    patient.pointee.reviewedUntil = context.engineTime + BudgetStage.day
    emitAdvisory(
      patient, id: "burden-review", title: "Alert burden review",
      message: "low alerts are held: \(owner); review limits and rules for this patient", context)
  }

  /// One advisory that is over as soon as it is told.
  func emitAdvisory(
    _ patient: UnsafeMutablePointer<PatientState>, id: String, title: String, message: String, _ context: JudgeContext,
    subject: String = "", priority: Priority = .low, isNotified: Bool = true
  ) {
    guard options.recordsDocuments else { return }
    var rule = RuleDefinition()
    rule.id = id
    rule.version = Engine.builtInVersion
    var document = AlertDocument()
    let facts = patient.pointee.facts
    document.alertID = alertID(facts: facts, rule: rule, subject: subject, onset: context.now)
    document.tenant = facts.tenant
    document.patient = facts.patient
    document.ruleID = id
    document.ruleVersion = rule.version
    document.ruleTitle = title
    document.priority = priority
    document.kind = .advisory
    document.state = .inactive
    document.stillActive = false
    document.onsetTime = context.now
    document.detectedTime = context.engineTime
    document.message = message
    document.simulated = patient.pointee.isSimulated
    document.locationUnit = facts.unit
    document.locationBed = facts.bed
    output.transitions.append(
      Transition(position: position, patient: patient.pointee.number, document: document, isNotified: isNotified))
  }
}
