import VitalModel
import YAMLText

/// Limits that cannot be, branches that are never reached, and conditions of one rule that contradict each other.
struct BranchCheck {
  let rule: RuleDefinition
  let conditions: RuleConditions
  let registry: VitalRegistry
  let scores: [ScoreDefinition]

  func run(_ problems: inout Problems) {
    let before = problems.all.count
    for (_, condition) in conditions.all { _ = walk(condition.checked, condition, &problems) }
    guard problems.all.count == before else { return }
    checkSteady(&problems)
    checkRefusals(&problems)
  }

  /// Values of the parameters: all defaults, then each parameter at each other value it can have.
  var assignments: [(values: [Double], note: String)] {
    let defaults = rule.parameters.map(\.value.double)
    var list: [(values: [Double], note: String)] = [(defaults, "")]
    for (index, parameter) in rule.parameters.enumerated() {
      for (value, note) in ParameterValues.possible(parameter).dropFirst() {
        var values = defaults
        values[index] = value
        list.append((values, note))
      }
    }
    return list
  }

  func cases(_ parameters: [Double], isSteady: Bool) -> BranchCases {
    BranchCases(rule: rule, registry: registry, scores: scores, parameters: parameters, isSteady: isSteady)
  }

  func add(
    _ part: CheckedExpression, _ condition: RuleCondition, _ message: String, _ problems: inout Problems
  ) {
    let (line, column) = condition.place(part)
    problems.add(line: line, column: column, message)
  }

  // MARK: One condition

  /// - Returns: whether something was wrong inside.
  private func walk(_ tree: CheckedExpression, _ condition: RuleCondition, _ problems: inout Problems) -> Bool {
    guard tree.type == .truth else { return false }
    switch tree.content {
    case .binary(let instruction, let left, let right) where instruction.isComparison:
      return comparison(tree, left, right, condition, &problems)
    case .binary(let instruction, _, _):
      let operands = chain(tree, instruction)
      var isWrong = false
      for operand in operands where walk(operand, condition, &problems) { isWrong = true }
      return isWrong || self.chain(tree, instruction, operands, condition, &problems)
    default:
      var isWrong = false
      for child in tree.children where walk(child, condition, &problems) { isWrong = true }
      return isWrong
    }
  }

  /// Operands of a chain of one operator, in the order written.
  private func chain(_ tree: CheckedExpression, _ instruction: Instruction) -> [CheckedExpression] {
    guard case .binary(instruction, let left, let right) = tree.content else { return [tree] }
    return chain(left, instruction) + chain(right, instruction)
  }

  private func comparison(
    _ tree: CheckedExpression, _ left: CheckedExpression, _ right: CheckedExpression, _ condition: RuleCondition,
    _ problems: inout Problems
  ) -> Bool {
    let text = condition.source(tree)
    if left.isConstant, right.isConstant {
      add(tree, condition, "`\(text)` compares two constants, so it is always the same", &problems)
      return true
    }
    for (values, note) in assignments {
      var cases = cases(values, isSteady: false)
      let formula = cases.formula(tree)
      let holds = cases.first { formula.holds($0) } != nil
      let fails = cases.first { !formula.holds($0) } != nil
      if holds && fails { continue }
      guard let variable = cases.variables.first else { continue }
      let what = holds ? "is always true" : "can never be true"
      add(tree, condition, "`\(text)` \(what)\(note): \(range(variable, cases))", &problems)
      return true
    }
    return false
  }

  /// `hr lies between 0 and 350 /min`.
  private func range(_ variable: BranchVariable, _ cases: BranchCases) -> String {
    let bounds = cases.bounds(of: variable)
    var name = "it"
    var unit = ""
    var isDuration = false
    if case .feature(let feature) = variable, let code = feature.code {
      if feature.kind.isLevel || feature.kind == .baseline {
        name = registry[code].key
        unit = " " + registry[code].unit
      }
      isDuration = Aggregate.of(feature.kind).result == .duration
    }
    func number(_ value: Double) -> String {
      isDuration ? NumberText.duration(value) : NumberText.plain(value)
    }
    switch (bounds.low, bounds.high) {
    case (.some(let low), .some(let high)): return "\(name) lies between \(number(low)) and \(number(high))\(unit)"
    case (.some(let low), nil): return "\(name) is never below \(number(low))\(unit)"
    default: return "\(name) has no other value"
    }
  }

  /// An operand that changes nothing, and a chain that is always the same, whatever the parameters are set to.
  private func chain(
    _ tree: CheckedExpression, _ instruction: Instruction, _ operands: [CheckedExpression],
    _ condition: RuleCondition, _ problems: inout Problems
  ) -> Bool {
    let isOr = instruction == .or
    var constant = true
    var idle = Set(operands.indices)
    var covering: [Int: Set<Int>] = [:]
    for index in operands.indices { covering[index] = Set(operands.indices).subtracting([index]) }
    for (values, _) in assignments {
      var cases = cases(values, isSteady: false)
      let formulas = operands.map { cases.formula($0) }
      guard cases.isComplete else { return false }
      func truth(_ values: [Double], without index: Int? = nil) -> Bool {
        let others = formulas.indices.filter { $0 != index }
        return isOr ? others.contains { formulas[$0].holds(values) } : others.allSatisfy { formulas[$0].holds(values) }
      }
      if cases.first(where: { truth($0) != isOr }) != nil { constant = false }
      for index in idle where cases.first(where: { truth($0) != truth($0, without: index) }) != nil {
        idle.remove(index)
      }
      for index in operands.indices {
        for other in covering[index] ?? []
        where cases.first(where: { formulas[index].holds($0) == isOr && formulas[other].holds($0) != isOr }) != nil {
          covering[index]?.remove(other)
        }
      }
    }
    if constant {
      let what = isOr ? "is always true" : "can never be true"
      add(tree, condition, "`\(condition.source(tree))` \(what)", &problems)
      return true
    }
    guard let index = idle.max() else { return false }
    let text = condition.source(operands[index])
    let other = covering[index]?.min().map { "`\(condition.source(operands[$0]))`" } ?? "the rest"
    let message =
      isOr ? "`\(text)` is never reached: \(other) already holds" : "`\(text)` changes nothing: \(other) demands more"
    add(operands[index], condition, message, &problems)
    return true
  }

  // MARK: Conditions against each other, for a signal that does not move

  private func checkSteady(_ problems: inout Problems) {
    guard let when = conditions.when else { return }
    if let clear = conditions.clear { checkClear(clear, when, &problems) }
    if let bypass = conditions.bypass { checkBypass(bypass, when, &problems) }
  }

  private func checkClear(_ clear: RuleCondition, _ when: RuleCondition, _ problems: inout Problems) {
    for (values, note) in assignments {
      var cases = cases(values, isSteady: true)
      let opens = cases.formula(when.checked)
      let known = cases.variables.count
      let ends = cases.formula(clear.checked)
      guard cases.isComplete else { return }
      if cases.first(where: { ends.holds($0) }) == nil {
        add(clear.checked, clear, "`clear` can never be true\(note), so the alert could never end", &problems)
        return
      }
      // With more inputs than `when`, both may hold for reasons that have nothing to do with each other.
      guard cases.variables.count == known else { continue }
      guard let both = cases.first(where: { opens.holds($0) && ends.holds($0) }) else { continue }
      add(
        clear.checked, clear,
        "`clear` and `when` both hold\(witness(both, cases))\(note): the alert would end and begin again", &problems)
      return
    }
  }

  private func checkBypass(_ bypass: RuleCondition, _ when: RuleCondition, _ problems: inout Problems) {
    for (values, note) in assignments {
      var cases = cases(values, isSteady: true)
      let opens = cases.formula(when.checked)
      let known = cases.variables.count
      let jumps = cases.formula(bypass.checked)
      guard cases.isComplete, cases.variables.count == known else { return }
      if cases.first(where: { opens.holds($0) }) != nil,
        cases.first(where: { opens.holds($0) && !jumps.holds($0) }) == nil
      {
        add(
          bypass.checked, bypass,
          "`bypass` is no further out than `when`\(note), so the delay would never be used", &problems)
        return
      }
      if known == 1, let early = cases.first(where: { jumps.holds($0) && !opens.holds($0) }) {
        add(
          bypass.checked, bypass, "`bypass` holds\(witness(early, cases))\(note), where `when` does not", &problems)
        return
      }
    }
  }

  /// ` at spo2 89`: the vitals of a case.
  private func witness(_ values: [Double], _ cases: BranchCases) -> String {
    var parts: [String] = []
    for (variable, value) in zip(cases.variables, values) {
      switch variable {
      case .level(let code): parts.append("\(registry[code].key) \(NumberText.plain(value))")
      case .score(let index, let field):
        parts.append("\(scores[index].id)().\(field.rawValue) \(NumberText.plain(value))")
      default: break
      }
    }
    return parts.isEmpty ? "" : " at " + parts.joined(separator: ", ")
  }

  // MARK: SEMANTICS D3

  private func checkRefusals(_ problems: inout Problems) {
    guard let when = conditions.when else { return }
    checkHolding(when, &problems)
    guard rule.kind == .physiological else { return }
    if let clear = conditions.clear {
      checkTechnicalEnd(clear, when, &problems)
    } else {
      checkImpliedEnd(when, &problems)
    }
    checkScoreHoldsBack(when, &problems)
  }

  /// A technical condition must not end an active alert: with some signals lost, the vitals `when` reads must still have a
  /// say. A rule that watches two sources may go on with one of them.
  private func checkTechnicalEnd(_ clear: RuleCondition, _ when: RuleCondition, _ problems: inout Problems) {
    var cases = cases(rule.parameters.map(\.value.double), isSteady: false)
    let ends = cases.formula(clear.checked)
    let watched = codes(when.checked.instructions)
    let opening = lossesThatOpen(when)
    let technical = cases.variables.map { variable -> Bool? in
      guard case .feature(let feature) = variable else { return nil }
      return feature.technicalIsHigh
    }
    guard cases.isComplete, technical.contains(where: { $0 != nil }) else { return }
    // What the vitals of `when` may be is left open; signals and everything else are given.
    let given = cases.variables.indices.filter { index in
      technical[index] != nil || codes(of: cases.variables[index]).isDisjoint(with: watched)
    }
    var holds: [[Double]: Bool] = [:]
    _ = cases.first { values in
      holds[given.map { values[$0] }, default: true] =
        holds[given.map { values[$0] }, default: true] && ends.holds(values)
      return false
    }
    func isLost(_ index: Int, _ value: Double) -> Bool { technical[index].map { (value != 0) == $0 } ?? false }
    let sorted = holds.filter(\.value).keys.sorted { $0.lexicographicallyPrecedes($1) }
    for key in sorted {
      guard let place = given.indices.first(where: { isLost(given[$0], key[$0]) }) else { continue }
      // A signal whose loss opens the alert shows by its return that the alert may end.
      if given.indices.contains(where: { opening.contains(cases.variables[given[$0]]) && !isLost(given[$0], key[$0]) })
      {
        continue
      }
      let well = given.indices.map { technical[given[$0]].map { $0 ? 0.0 : 1.0 } ?? key[$0] }
      guard holds[well] != true, case .feature(let feature) = cases.variables[given[place]] else { continue }
      add(
        clear.checked, clear,
        "a technical condition (`\(feature.kind.rawValue)`) may not end an active alert: a lost signal is no recovery",
        &problems)
      return
    }
  }

  /// Without a `clear` an alert ends when `when` is no longer true: a signal whose loss can do that must not be in it.
  private func checkImpliedEnd(_ when: RuleCondition, _ problems: inout Problems) {
    var cases = cases(rule.parameters.map(\.value.double), isSteady: false)
    _ = cases.formula(when.checked)
    let opening = lossesThatOpen(when)
    for variable in cases.variables {
      guard case .feature(let feature) = variable, feature.technicalIsHigh != nil, !opening.contains(variable) else {
        continue
      }
      add(
        when.checked, when,
        "without a `clear` the loss of a signal (`\(feature.kind.rawValue)`) would end the alert: write when it ends",
        &problems)
      return
    }
  }

  /// Signals of `when` whose loss can make it true.
  private func lossesThatOpen(_ when: RuleCondition) -> Set<BranchVariable> {
    var cases = cases(rule.parameters.map(\.value.double), isSteady: false)
    let opens = cases.formula(when.checked)
    var found: Set<BranchVariable> = []
    for (index, variable) in cases.variables.enumerated() {
      guard case .feature(let feature) = variable, let isHigh = feature.technicalIsHigh else { continue }
      let opened = cases.first { values in
        guard (values[index] != 0) == isHigh, opens.holds(values) else { return false }
        var well = values
        well[index] = isHigh ? 0 : 1
        return !opens.holds(well)
      }
      if opened != nil { found.insert(variable) }
    }
    return found
  }

  private func codes(_ instructions: [Instruction]) -> Set<VitalCode> {
    var codes: Set<VitalCode> = []
    for case .feature(let index) in instructions { if let code = rule.features[index].code { codes.insert(code) } }
    return codes
  }

  private func codes(of variable: BranchVariable) -> Set<VitalCode> {
    switch variable {
    case .level(let code): [code]
    case .feature(let feature): feature.code.map { [$0] } ?? []
    case .composite(let instructions): codes(instructions)
    case .score, .component, .attribute: []
    }
  }

  /// A score must not inhibit a vital's alert.
  private func checkScoreHoldsBack(_ when: RuleCondition, _ problems: inout Problems) {
    guard rule.score != nil, !rule.features.isEmpty else { return }
    var cases = cases(rule.parameters.map(\.value.double), isSteady: false)
    let opens = cases.formula(when.checked)
    for (index, variable) in cases.variables.enumerated() {
      switch variable {
      case .score, .component: break
      default: continue
      }
      let high = cases.bounds(of: variable).high ?? 0
      let found = cases.first { values in
        guard opens.holds(values), values[index] < high else { return false }
        var other = values
        other[index] = high
        return !opens.holds(other)
      }
      guard found != nil else { continue }
      add(when.checked, when, "a high score may not hold back the alert of a vital", &problems)
      return
    }
  }
}

extension Feature {
  /// For features of the signal itself: whether a high value means trouble; nil for values of the patient.
  var technicalIsHigh: Bool? {
    switch kind {
    case .stale, .missing, .age: true
    case .status: status != .ok
    default: nil
    }
  }
}
