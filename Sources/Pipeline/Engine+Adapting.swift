import Evaluation
import VitalModel

/// Limits that follow a patient's own baseline: off unless the settings switch them on, only between a floor and a ceiling,
/// and every change is told in the record with its reason.
extension Engine {
  /// Who adapted limits are set by, in evidence and records.
  static let adaptingAuthor = "vigil"

  /// Looks at the adapting limits once an hour of the patient's time.
  func adapt(_ patient: UnsafeMutablePointer<PatientState>, _ context: JudgeContext) {
    guard alerting.isAdaptive else {
      guard !patient.pointee.adapted.isEmpty else { return }
      patient.pointee.adapted = []
      return settleAdapted(patient)
    }
    let hour = DecimalFloor.divide(context.now, 3_600_000)
    guard hour != patient.pointee.adaptedHour else { return }
    patient.pointee.adaptedHour = hour
    var hasChanged = false
    for (rule, definition) in layout.plan.rules.enumerated() where definition.mode != .off {
      for (index, adaptation) in definition.adaptations.enumerated() {
        let changed = follow(patient, rule: rule, adaptation, layout.rules[rule].adaptations[index], context)
        hasChanged = hasChanged || changed
      }
    }
    if hasChanged { settleAdapted(patient) }
  }

  private func settleAdapted(_ patient: UnsafeMutablePointer<PatientState>) {
    patient.pointee.compileSettings(layout)
    noteFactsChanged(patient)
  }

  /// - Returns: whether the limit is another now.
  private func follow(
    _ patient: UnsafeMutablePointer<PatientState>, rule: Int, _ adaptation: LimitAdaptation, _ program: CompiledProgram,
    _ context: JudgeContext
  ) -> Bool {
    let definition = layout.plan.rules[rule]
    let parameter = definition.parameters[adaptation.parameter]
    let reading = ExpressionMachine.Reading(now: context.now, subject: -1, rule: rule, holdLast: true)
    let wanted = machine.value(
      program, features: layout.rules[rule].features, view: patient.view, layout: layout, reading: reading)
    guard abs(wanted) < 1e9 else { return false }
    let bounded = min(max(wanted.rounded(), adaptation.floor.double), adaptation.ceiling.double)
    let value = DecimalValue(mantissa: Int64((bounded * 100).rounded()), exponent: -2).normalized
    let before = patient.pointee.adapted.first { $0.rule == definition.id && $0.parameter == parameter.name }?.value
    let old = before ?? parameter.value(for: patient.pointee.facts.flags)
    guard old.double != value.double else { return false }
    patient.pointee.adapted.removeAll { $0.rule == definition.id && $0.parameter == parameter.name }
    let reason = "follows \(adaptation.to.text), between \(adaptation.floor) and \(adaptation.ceiling)"
    patient.pointee.adapted.append(
      ParameterSetting(
        rule: definition.id, parameter: parameter.name, value: value, author: Engine.adaptingAuthor, reason: reason,
        from: context.now))
    emitAdvisory(
      patient, id: "limit-adapted", title: "Limit adapted",
      message: "\(parameter.name) of \(definition.id): \(old) to \(value); \(reason)", context,
      subject: definition.id + "/" + parameter.name, priority: .info, isNotified: false)
    return true
  }
}
