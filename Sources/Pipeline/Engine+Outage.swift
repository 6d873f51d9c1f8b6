import Evaluation
import Suppression
import VitalModel

/// One technical cause across many patients: a gateway that died becomes one alert with the list (SEMANTICS D4).
///
/// The alert is kept with the patient whose loss made it one too many, and names no patient of its own. Whether there is one
/// is read from the patients' own states, so that a restart finds it as it was.
extension Engine {
  static let outageRule = "gateway-outage"
  /// An outage takes in further patients for this long after it was told; a later loss is told by itself, milliseconds.
  static let outageJoin: Int64 = 600_000
  /// A loss that is part of an outage is looked at again after this long, milliseconds.
  static let outageHold: Int64 = 3_600_000

  /// Whether a lost signal is part of an outage told already, or makes it one.
  ///
  /// - Returns: the outage's alert, where the loss need not be told by itself.
  func outage(
    _ patient: UnsafeMutablePointer<PatientState>, device: UInt32, _ context: JudgeContext
  ) -> String? {
    guard alerting.outagePatients > 0, !options.without.contains(.grouping), !patient.pointee.facts.gateways.isEmpty,
      let gateway = patient.pointee.facts.gateways[names.deviceName(device)]
    else { return nil }
    if let (carrier, index) = carrier(of: gateway) {
      let outage = carrier.pointee.alerts[index]
      guard
        outage.members.contains(patient.pointee.facts.patient)
          || context.engineTime - outage.detected < Engine.outageJoin
      else { return nil }
      addPatient(patient.pointee.facts.patient, to: carrier, alert: index, context)
      return carrier.pointee.alerts[index].alertID
    }
    let others = patientNumbers.filter { number in
      number != patient.pointee.number
        && hasLoss(patients[placeOf(number)], behind: gateway, after: context.engineTime - alerting.outageWithin)
    }
    guard others.count + 1 >= alerting.outagePatients else { return nil }
    let ids = others.map { patients[placeOf($0)].pointee.facts.patient } + [patient.pointee.facts.patient]
    return startOutage(patient, gateway: gateway, patients: ids, context)
  }

  /// A patient's signals may be back, or the roster may have moved devices: outages lose the patients that are no longer
  /// lost, and one with fewer than two left is over.
  func reviewOutages(_ context: JudgeContext) {
    for number in patientNumbers {
      let carrier = patients[placeOf(number)]
      while let index = carrier.pointee.alerts.firstIndex(where: { !$0.cause.isEmpty && hasShrunk($0) }) {
        shrink(carrier, alert: index, context)
      }
    }
  }

  private func stillLost(_ alert: ActiveAlert) -> [String] {
    let lost = patientNumbers.map { patients[placeOf($0)] }.filter { isLost($0, behind: alert.cause) }
    return alert.members.filter { id in lost.contains { $0.pointee.facts.patient == id } }
  }

  private func hasShrunk(_ alert: ActiveAlert) -> Bool {
    alert.life.isPresent && stillLost(alert).count < alert.members.count
  }

  private func shrink(
    _ carrier: UnsafeMutablePointer<PatientState>, alert index: Int, _ context: JudgeContext
  ) {
    let gateway = carrier.pointee.alerts[index].cause
    carrier.pointee.alerts[index].members = stillLost(carrier.pointee.alerts[index])
    keepChanged(carrier)
    guard carrier.pointee.alerts[index].members.count < 2 else {
      return tellList(carrier, alert: index, context)
    }
    let output = live(carrier, alert: index, .conditionEnded, context)
    carryOut(output, carrier, alert: index, context)
    if case .noted = output {
      tell(carrier, alert: index, phase: .update, showing: nil, context)
      releaseOutage(of: gateway, context)
    }
  }

  // MARK: Finding

  private func carrier(of gateway: String) -> (UnsafeMutablePointer<PatientState>, Int)? {
    for number in patientNumbers {
      let patient = patients[placeOf(number)]
      let found = patient.pointee.alerts.firstIndex {
        $0.ruleID == Engine.outageRule && $0.cause == gateway && $0.life.isPresent
      }
      if let found { return (patient, found) }
    }
    return nil
  }

  private func isSignalLoss(_ alert: ActiveAlert) -> Bool {
    alert.ruleID == "device-offline" || (alert.rule >= 0 && layout.staleRules.contains(alert.rule))
  }

  private func hasLoss(
    _ patient: UnsafeMutablePointer<PatientState>, behind gateway: String, after time: Int64
  ) -> Bool {
    patient.pointee.alerts.contains { alert in
      isSignalLoss(alert) && alert.life.isPresent && alert.detected > time && alert.device != .max
        && patient.pointee.facts.gateways[names.deviceName(alert.device)] == gateway
    }
  }

  /// Whether any series of a device behind a gateway is still lost.
  private func isLost(_ patient: UnsafeMutablePointer<PatientState>, behind gateway: String) -> Bool {
    for rule in layout.staleRules {
      for index in heldSeries(patient, rule: rule)
      where patient.pointee.facts.gateways[names.deviceName(patient.pointee.series[index].device)] == gateway {
        return true
      }
    }
    return patient.pointee.alerts.contains {
      $0.ruleID == "device-offline" && $0.life.isPresent
        && patient.pointee.facts.gateways[names.deviceName($0.device)] == gateway
    }
  }

  // MARK: Telling

  private func startOutage(
    _ patient: UnsafeMutablePointer<PatientState>, gateway: String, patients ids: [String], _ context: JudgeContext
  ) -> String {
    var rule = RuleDefinition()
    rule.id = Engine.outageRule
    var facts = patient.pointee.facts
    facts.patient = ""
    rule.version = Engine.builtInVersion
    var alert = ActiveAlert(
      rule: -1, alertID: alertID(facts: facts, rule: rule, subject: gateway, onset: context.now),
      ruleID: Engine.outageRule, ruleVersion: rule.version, ruleTitle: "Gateway outage", sequence: 1,
      onset: context.now, detected: context.engineTime, priority: .medium, kind: .technical, isScore: false,
      isBypassed: false, isUnverified: false, isRetrospective: false, code: -1, device: .max, sources: [], members: ids,
      unit: facts.unit, bed: nil, life: AlertLife(now: context.engineTime, terms: AlertLife.Terms()))
    alert.cause = gateway
    alert.message = Engine.outageText(gateway, ids.count)
    alert.life = AlertLife(now: context.engineTime, terms: terms(alert))
    schedule(patient, alert.life.nextDue)
    patient.pointee.alerts.append(alert)
    emitBuiltIn(patient, alert, phase: .start, message: alert.message, context)
    return alert.alertID
  }

  private static func outageText(_ gateway: String, _ count: Int) -> String {
    "signals of \(count) patients behind \(gateway) are lost: look at the patients, then at the gateway"
  }

  private func addPatient(
    _ id: String, to carrier: UnsafeMutablePointer<PatientState>, alert index: Int, _ context: JudgeContext
  ) {
    guard !carrier.pointee.alerts[index].members.contains(id) else { return }
    carrier.pointee.alerts[index].members.append(id)
    tellList(carrier, alert: index, context)
    keepChanged(carrier)
  }

  /// The list changed: the document says so, nobody is paged again.
  private func tellList(
    _ carrier: UnsafeMutablePointer<PatientState>, alert index: Int, _ context: JudgeContext
  ) {
    let count = carrier.pointee.alerts[index].members.count
    carrier.pointee.alerts[index].message = Engine.outageText(carrier.pointee.alerts[index].cause, count)
    carrier.pointee.alerts[index].sequence += 1
    let alert = carrier.pointee.alerts[index]
    emitBuiltIn(carrier, alert, phase: .update, message: alert.message, context, isNotified: false)
  }

  /// What the outage held of patients whose signals are still lost is told by itself.
  func releaseOutage(of gateway: String, _ context: JudgeContext) {
    for number in patientNumbers {
      let patient = patients[placeOf(number)]
      guard patient.pointee.facts.gateways.values.contains(gateway) else { continue }
      retryAll(patient, heldBy: .grouping, context)
      keepChanged(patient)
    }
  }

  /// Another patient's entry changed this patient: a checkpoint is owed.
  private func keepChanged(_ patient: UnsafeMutablePointer<PatientState>) {
    if patient.pointee.dirtySince == .max { markDirty(placeOf(patient.pointee.number), position) }
  }
}
