import Evaluation
import VitalModel

/// What the numerics say about one alarm of a device, and on what grounds.
struct AlarmFinding {
  var answer: Verification
  /// The facts that decided, as one JSON object; nil where evidence is not kept.
  var evidence: String?

  /// What is added to the alarm's own words; an alarm nothing is known about stands as it came.
  var words: String {
    switch answer {
    case .supported: ", supported by the numerics"
    case .unsupported: ", not supported by the numerics: check patient and sensor"
    case .unknown: ""
    }
  }
}

/// Device alarms judged from what is known when they arrive (SEMANTICS C5). An alarm is annotated, never held or cancelled:
/// nothing here returns whether it is told.
extension Engine {
  /// Asks the checks of an alarm in the order of the rules; the first that knows an answer gives it.
  ///
  /// - Parameter event: key or MDC reference id, in any case.
  /// - Returns: nil if no check is for this alarm and this patient.
  /// - Complexity: O(checks), and what their windows cost to read. Samples that come after the alarm change nothing.
  func verify(
    _ patient: UnsafeMutablePointer<PatientState>, event: String, _ context: JudgeContext
  ) -> AlarmFinding? {
    let event = event.lowercased()
    var undecided: AlarmFinding?
    refreshAge(patient, now: context.now)
    for rule in layout.checks {
      guard let check = layout.plan.rules[rule].check, check.events.contains(event),
        concerns(patient, rule: rule, now: context.now)
      else { continue }
      let answer = answer(patient, rule: rule, now: context.now)
      if undecided != nil, answer == .unknown { continue }
      let evidence = options.recordsEvidence ? grounds(patient, rule: rule, event: event, answer, context) : nil
      let finding = AlarmFinding(answer: answer, evidence: evidence)
      if answer != .unknown { return finding }
      undecided = finding
    }
    return undecided
  }

  /// Whether a check is for this patient; what is unknown about them counts as applying (SEMANTICS C3).
  private func concerns(_ patient: UnsafeMutablePointer<PatientState>, rule: Int, now: Int64) -> Bool {
    guard let applies = layout.rules[rule].applies else { return true }
    return truth(applies, patient, rule: rule, now: now) != .no
  }

  private func answer(_ patient: UnsafeMutablePointer<PatientState>, rule: Int, now: Int64) -> Verification {
    let compiled = layout.rules[rule]
    if let supported = compiled.supported, truth(supported, patient, rule: rule, now: now) == .yes { return .supported }
    if let unsupported = compiled.unsupported, truth(unsupported, patient, rule: rule, now: now) == .yes {
      return .unsupported
    }
    return .unknown
  }

  private func truth(
    _ program: CompiledProgram, _ patient: UnsafeMutablePointer<PatientState>, rule: Int, now: Int64
  ) -> Truth {
    machine.truth(
      program, features: layout.rules[rule].features, view: patient.view, layout: layout,
      reading: ExpressionMachine.Reading(now: now, subject: -1, rule: rule, holdLast: false))
  }

  // MARK: Evidence

  private func grounds(
    _ patient: UnsafeMutablePointer<PatientState>, rule: Int, event: String, _ answer: Verification,
    _ context: JudgeContext
  ) -> String {
    let definition = layout.plan.rules[rule]
    var out = JSONText()
    out.object { out in
      out.object("verification") { out in
        out.field("answer", answer.rawValue)
        out.field("device_alarm", event)
        out.field("rule", definition.id)
        out.field("version", definition.version)
        out.field("title", definition.title)
        if answer != .unsupported { out.field("supported", definition.check?.supported.text) }
        if answer != .supported { out.field("unsupported", definition.check?.unsupported.text) }
      }
      writeTerms(definition, patient, now: context.now, to: &out)
      if definition.applies != nil, patient.pointee.age.isNaN { out.field("age", "unknown, counts as applying") }
      out.array("inputs") { out in
        for feature in layout.rules[rule].features { write(feature, patient, rule: rule, now: context.now, to: &out) }
      }
      out.array("samples") { out in
        for index in series(patient, read: rule) {
          writeSamples(patient.pointee.series[index], now: context.now, to: &out)
        }
      }
    }
    return out.text
  }

  private func write(
    _ feature: CompiledFeature, _ patient: UnsafeMutablePointer<PatientState>, rule: Int, now: Int64,
    to out: inout JSONText
  ) {
    let value = machine.feature(
      feature, view: patient.view, layout: layout,
      reading: ExpressionMachine.Reading(now: now, subject: -1, rule: rule, holdLast: false))
    out.object {
      $0.field("input", feature.describe(layout.plan.registry))
      $0.field("value", value.isNaN ? nil : value)
    }
  }

  /// Every series a check looked at, in order of first use.
  private func series(_ patient: UnsafeMutablePointer<PatientState>, read rule: Int) -> [Int] {
    var found: [Int] = []
    for feature in layout.rules[rule].features {
      let index = patient.view.position(of: feature)
      if index >= 0, !found.contains(index) { found.append(index) }
    }
    return found
  }
}
