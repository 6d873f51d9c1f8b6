import VitalModel
import YAMLText

/// What SEMANTICS D1 and D3 refuse of the keys that hold an alert back.
extension RuleReader {
  func checkHolds(_ map: YAMLMapping, _ rule: RuleDefinition, _ problems: inout Problems) {
    checkBounded(map, rule, &problems)
    checkDepth(map, rule, &problems)
    checkScores(map, rule, &problems)
    checkTechnical(map, rule, &problems)
  }

  /// No delay without an end, none of an urgent alert without a limit that passes it.
  private func checkBounded(_ map: YAMLMapping, _ rule: RuleDefinition, _ problems: inout Problems) {
    let isUrgent = rule.kind == .physiological && rule.priority >= .medium
    let doubts = !rule.gates.isEmpty ? "a gate" : rule.minimumQuality != nil ? "a least quality" : nil
    let holding = [("quality", doubts), ("confirm", rule.confirm.map { _ in "a confirmation" })]
    for case (let key, let word?) in holding {
      if rule.maxHold <= 0 {
        problems.add(map.place(of: key), "\(word) holds alerts back: it needs `max_hold`, the longest it may")
      }
      if isUrgent, !map.has("bypass") {
        problems.add(
          map.place(of: key),
          "\(word) that delays an alert of \(rule.priority.text) priority needs a `bypass` limit that acts at once")
      }
    }
    if rule.isInhibited, isUrgent, !map.has("bypass") {
      problems.add(
        map.place(of: rule.inhibitedBy.isEmpty ? "inhibited_in" : "inhibited_by"),
        "an alert of \(rule.priority.text) priority that may be inhibited needs a `bypass` limit that acts at once")
    }
  }

  private func checkDepth(_ map: YAMLMapping, _ rule: RuleDefinition, _ problems: inout Problems) {
    let longest = max(rule.hold, rule.holdParameter.flatMap { rule.parameters[$0].highest?.scaled(toExponent: 0) } ?? 0)
    if rule.halvesAt != nil, longest <= 0 {
      problems.add(map.place(of: "smart_delay"), "`smart_delay` without `for` shortens nothing")
    }
    for (key, isUsed) in [("smart_delay", rule.halvesAt != nil), ("worsening", rule.worseningStep != nil)]
    where isUsed && !rule.when.instructions.isEmpty && !rule.hasDepth {
      problems.add(
        map.place(of: key),
        "`\(key)` needs a depth: `when` must first compare a value with a limit that is the same for a patient, by < or >"
      )
    }
  }

  /// A score says how ill a patient is, never that a vital's alert may wait.
  private func checkScores(_ map: YAMLMapping, _ rule: RuleDefinition, _ problems: inout Problems) {
    if rule.gates.contains(where: \.readsScore) {
      problems.add(map.place(of: "quality"), "a gate is about the signal: a score may not hold back an alert")
    }
    if rule.confirm?.readsScore == true {
      problems.add(map.place(of: "confirm"), "a score may not hold back an alert: confirm by a vital")
    }
  }

  // MARK: Technical rules

  /// Vitals that tell of the patient: a limit on one of them is a physiological rule, whatever it calls itself.
  private static let ofPatients: Set<String> = [
    "hr", "pr", "spo2", "resp", "sbp", "dbp", "map", "abp_sys", "abp_dia", "abp_mean", "temp", "skin_temp", "etco2",
    "glucose", "weight", "rr_interval", "consciousness", "lactate", "pain",
  ]

  /// A technical rule is not held to the checks of a physiological one and may inhibit: it must not be one in disguise.
  private func checkTechnical(_ map: YAMLMapping, _ rule: RuleDefinition, _ problems: inout Problems) {
    guard rule.kind == .technical else { return }
    for (key, program) in [("when", rule.when), ("bypass", rule.bypass ?? Program(instructions: [], text: ""))] {
      guard let code = limited(program, rule) else { continue }
      problems.add(
        map.place(of: key),
        "a technical rule with a limit on \(registry[code].key): how a patient is belongs into a physiological rule")
      return
    }
  }

  /// What stands on the stack while a program is walked.
  private enum Operand {
    case constant
    /// A level of a patient's vital, with or without a constant added; or how long or often it lay beyond one.
    case level(VitalCode)
    case other
  }

  /// The first vital of a patient that is compared with a constant.
  private func limited(_ program: Program, _ rule: RuleDefinition) -> VitalCode? {
    var stack: [Operand] = []
    for instruction in program.instructions {
      let operands = stack.suffix(instruction.operandCount)
      stack.removeLast(operands.count)
      let levels = operands.compactMap { operand -> VitalCode? in
        if case .level(let code) = operand { return code }
        return nil
      }
      let isWithConstants = operands.allSatisfy { operand in
        if case .other = operand { return false }
        return true
      }
      if instruction.isComparison, levels.count == 1, isWithConstants { return levels[0] }
      stack.append(operand(instruction, levels, isWithConstants, rule))
    }
    return nil
  }

  private func operand(
    _ instruction: Instruction, _ levels: [VitalCode], _ isWithConstants: Bool, _ rule: RuleDefinition
  ) -> Operand {
    switch instruction {
    case .constant, .parameter: return .constant
    case .feature(let index):
      guard let code = rule.features[index].code, RuleReader.ofPatients.contains(registry[code].key),
        rule.features[index].kind.isBesideLimit
      else { return .other }
      return .level(code)
    case .add, .subtract, .negate, .absolute, .multiply, .divide:
      guard isWithConstants, levels.count <= 1 else { return .other }
      return levels.first.map { .level($0) } ?? .constant
    default: return .other
    }
  }
}

extension FeatureKind {
  /// Whether it is a level of the vital, or tells how long or how often it lay beyond one.
  fileprivate var isBesideLimit: Bool {
    switch self {
    case .last, .first, .newest, .mean, .median, .quantile, .min, .max, .ewma, .baseline, .timeBelow, .timeAbove,
      .fractionBelow, .fractionAbove, .areaBelow, .areaAbove, .countBelow, .countAbove:
      true
    default: false
    }
  }
}

extension Program {
  fileprivate var readsScore: Bool { instructions.contains { $0.score != nil } }
}

extension RuleDefinition {
  /// Whether how far the value lies beyond the limit is known: the first comparison is an inequality with a constant.
  fileprivate var hasDepth: Bool {
    guard firstComparison != nil, let first = when.instructions.first(where: \.isComparison) else { return false }
    return first != .equal && first != .notEqual
  }
}
