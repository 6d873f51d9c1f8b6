import VitalModel

/// A postfix program as the tree it came from, so that parts of it can be watched or changed.
struct ProgramTree: Hashable, Sendable {
  var instruction: Instruction
  var children: [ProgramTree] = []

  /// - Returns: nil if the instructions are not one whole expression.
  init?(_ program: Program) {
    var stack: [ProgramTree] = []
    for instruction in program.instructions {
      let count = ProgramTree.arity(instruction)
      guard stack.count >= count else { return nil }
      let node = ProgramTree(instruction, Array(stack.suffix(count)))
      stack.removeLast(count)
      stack.append(node)
    }
    guard stack.count == 1 else { return nil }
    self = stack[0]
  }

  init(_ instruction: Instruction, _ children: [ProgramTree] = []) {
    self.instruction = instruction
    self.children = children
  }

  static func arity(_ instruction: Instruction) -> Int {
    switch instruction {
    case .constant, .parameter, .feature, .score, .scoreComponent, .attribute: 0
    case .negate, .absolute, .not: 1
    case .atLeast(_, let count): count
    default: 2
    }
  }

  /// Back to postfix.
  var instructions: [Instruction] { children.flatMap(\.instructions) + [instruction] }

  var isComparison: Bool {
    switch instruction {
    case .less, .lessOrEqual, .greater, .greaterOrEqual, .equal, .notEqual: true
    default: false
    }
  }

  /// `and`, `or`, `not` and counted conditions: what stands above conditions.
  var isConnective: Bool {
    switch instruction {
    case .and, .or, .not, .atLeast: true
    default: false
    }
  }

  /// The operands of a chain of one connective: `a or b or c` has three.
  var operands: [ProgramTree] {
    guard instruction == .and || instruction == .or else { return children }
    return children.flatMap { $0.instruction == instruction ? $0.operands : [$0] }
  }

  /// A connective over operands again; nil without any.
  static func chain(_ instruction: Instruction, _ operands: [ProgramTree]) -> ProgramTree? {
    guard let first = operands.first else { return nil }
    if case .atLeast(let needed, _) = instruction {
      if operands.count == 1 { return first }
      return ProgramTree(.atLeast(needed: min(needed, operands.count), of: operands.count), operands)
    }
    return operands.dropFirst().reduce(first) { ProgramTree(instruction, [$0, $1]) }
  }

  /// Conditions whose outcomes tests must show: comparisons and facts, and every whole built of several of them.
  var conditions: [ProgramTree] {
    guard isConnective else { return [self] }
    if instruction == .not { return children.flatMap(\.conditions) }
    return operands.flatMap(\.conditions) + [self]
  }

  func contains(_ isWanted: (Instruction) -> Bool) -> Bool {
    isWanted(instruction) || children.contains { $0.contains(isWanted) }
  }

  /// Leaves that read something, in order.
  var inputs: [Instruction] {
    if children.isEmpty {
      switch instruction {
      case .constant, .parameter: return []
      default: return [instruction]
      }
    }
    return children.flatMap(\.inputs)
  }
}

/// Writes parts of programs in the words of the rule language.
struct ProgramWords {
  let rule: RuleDefinition
  let plan: RulePlan

  func text(_ tree: ProgramTree) -> String { text(tree, inside: 0, isTime: false) }

  private static let binding: [Instruction: (symbol: String, level: Int)] = [
    .or: ("or", 1), .and: ("and", 2), .less: ("<", 4), .lessOrEqual: ("<=", 4), .greater: (">", 4),
    .greaterOrEqual: (">=", 4), .equal: ("==", 4), .notEqual: ("!=", 4), .add: ("+", 5), .subtract: ("-", 5),
    .multiply: ("*", 6), .divide: ("/", 6),
  ]

  /// - Parameter isTime: plain numbers are lengths of time.
  private func text(_ tree: ProgramTree, inside level: Int, isTime: Bool) -> String {
    func operand(_ index: Int, _ level: Int) -> String {
      index < tree.children.count ? text(tree.children[index], inside: level, isTime: isTime) : ""
    }
    switch tree.instruction {
    case .not: return wrapped("not " + operand(0, 3), own: 3, inside: level)
    case .negate: return "-" + operand(0, 7)
    case .absolute: return "abs(" + operand(0, 0) + ")"
    case .atLeast(let needed, let count):
      let list = tree.children.indices.map { operand($0, 0) }.joined(separator: ", ")
      if needed == 1 { return "any(\(list))" }
      return needed == count ? "all(\(list))" : "\(needed) of (\(list))"
    case .constant(let number): return isTime ? ProgramWords.time(number) : ProgramWords.number(number)
    case .parameter(let index): return "$" + rule.parameters[index].name
    case .feature(let index): return text(rule.features[index])
    case .score(let index, let field): return "\(plan.scores[index].id)().\(field.rawValue)"
    case .scoreComponent(let index, let component):
      return "\(plan.scores[index].id)().\(plan.scores[index].components[component].name)"
    case .attribute(.age): return "age"
    case .attribute(.ageMonths): return "age_months"
    case .attribute(.flag(let flag)): return "flag(\(flag))"
    case .attribute(.unit(let unit)): return "unit(\(unit))"
    default: return binary(tree, inside: level, isTime: isTime)
    }
  }

  private func binary(_ tree: ProgramTree, inside level: Int, isTime: Bool) -> String {
    guard let (symbol, own) = ProgramWords.binding[tree.instruction], tree.children.count == 2 else { return "?" }
    // A length of time is compared with lengths of time; what multiplies it is a number.
    let isProduct = tree.instruction == .multiply || tree.instruction == .divide
    let isTime = tree.isComparison ? comparesTime(tree) : isTime && !isProduct
    let left = text(tree.children[0], inside: own, isTime: isTime)
    // Operators bind to the left, so that `a - (b - c)` keeps its brackets.
    let right = text(tree.children[1], inside: own == 5 || own == 6 ? own + 1 : own, isTime: isTime)
    return wrapped("\(left) \(symbol) \(right)", own: own, inside: level)
  }

  private func wrapped(_ text: String, own: Int, inside level: Int) -> String { own < level ? "(\(text))" : text }

  private func comparesTime(_ comparison: ProgramTree) -> Bool {
    guard case .feature(let index) = comparison.inputs.first else { return false }
    return ProgramWords.isTime(rule.features[index].kind)
  }

  /// Milliseconds as a duration.
  static func time(_ milliseconds: Double) -> String {
    guard let whole = Int64(exactly: milliseconds) else { return number(milliseconds) }
    return ClockText.format(whole)
  }

  static func isTime(_ kind: FeatureKind) -> Bool { kind == .age || kind == .timeBelow || kind == .timeAbove }

  func text(_ feature: Feature) -> String {
    let key = (feature.code.map { plan.registry[$0].key } ?? "") + (feature.origin.map { "@" + $0 } ?? "")
    let numbers = feature.arguments.map { argument in
      switch argument {
      case .constant(let number): ProgramWords.number(number)
      case .parameter(let index): "$" + rule.parameters[index].name
      }
    }
    let window = ProgramWords.text(feature.window)
    var parts = key.isEmpty ? [] : [key]
    if let status = feature.status { parts.append(status.text) }
    if feature.origin == nil, let source = feature.source { parts.append(source) }
    let isWindowFirst = feature.kind == .baseline || feature.kind == .deviation
    if isWindowFirst, let window { parts.append(window) }
    parts += numbers
    if !isWindowFirst, let window { parts.append(window) }
    return "\(feature.kind.rawValue)(\(parts.joined(separator: ", ")))"
  }

  static func text(_ window: WindowShape) -> String? {
    switch window {
    case .none: nil
    case .sliding(let length): DurationText.format(length)
    case .hopping(let length, let every):
      length == every
        ? "tumbling \(DurationText.format(length))"
        : "\(DurationText.format(length)) every \(DurationText.format(every))"
    case .samples(let count): "\(count) samples"
    case .sinceOnset: "since onset"
    case .session(let gap): "session \(DurationText.format(gap))"
    }
  }

  /// The shortest text of a number, rounded to a millionth: 39.300000000000004 is 39.3.
  static func number(_ value: Double) -> String {
    if value.isNaN { return "?" }
    guard value.magnitude < 1e12 else { return "\(value)" }
    let millionths = DecimalValue(mantissa: Int64((value * 1e6).rounded()), exponent: -6).normalized
    if millionths.exponent > 0, let whole = millionths.scaled(toExponent: 0) { return "\(whole)" }
    return millionths.description
  }
}
