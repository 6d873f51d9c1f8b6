import VitalModel
import YAMLText

/// Names, types and windows of one rule's expressions checked, and programs made.
struct ExpressionChecker {
  enum Kind: String {
    case number
    case truth = "condition"
  }

  let registry: VitalRegistry
  let scores: [ScoreDefinition]
  let parameters: [RuleParameter]
  /// Rules with `each: series` speak of the series at hand; others must name a vital.
  let eachSeries: Bool
  /// Inputs of the whole rule, shared by its programs.
  var features: [Feature] = []
  private(set) var score: Int?

  /// A week: the longest window (DESIGN section 3: memory is bounded).
  static let windowMax: Int64 = 604_800_000

  init(registry: VitalRegistry, scores: [ScoreDefinition], parameters: [RuleParameter], eachSeries: Bool) {
    self.registry = registry
    self.scores = scores
    self.parameters = parameters
    self.eachSeries = eachSeries
  }

  /// - Returns: the program of a condition, and that of the constant its first comparison is against (for `limit` in
  ///   messages).
  mutating func condition(_ text: String) throws(ExpressionProblem) -> (program: Program, limit: Program?) {
    let tree = try ExpressionParser.parse(text)
    var code: [Instruction] = []
    let kind = try generate(tree, into: &code)
    guard kind == .truth else {
      throw ExpressionProblem(tree.column, "this is a number where a condition is needed: compare it with something")
    }
    guard code.count <= 200 else { throw ExpressionProblem(0, "expression has more than 200 steps") }
    return (Program(instructions: code, text: text), limit(of: tree))
  }

  private mutating func generate(
    _ tree: Expression, into code: inout [Instruction]
  ) throws(ExpressionProblem) -> Kind {
    switch tree {
    case .number(let value, _):
      code.append(.constant(value))
      return .number
    case .parameter(let name, let column):
      guard let index = parameters.firstIndex(where: { $0.name == name }) else {
        throw ExpressionProblem(
          column, "unknown parameter `$\(name)`",
          suggestion: Suggestion.nearest(name, among: parameters.map(\.name)).map { "$" + $0 })
      }
      code.append(.parameter(index))
      return .number
    case .name(let name, let column): return try bareName(name, column, &code)
    case .call(let name, let arguments, let column): return try call(name, arguments, column, &code)
    case .member(let inner, let field, let column): return try member(inner, field, column, &code)
    case .unary(let instruction, let inner, _):
      let wanted: Kind = instruction == .not ? .truth : .number
      try expect(wanted, inner, &code)
      code.append(instruction)
      return wanted
    case .binary(let instruction, let left, let right, let column):
      let isLogic = instruction == .and || instruction == .or
      try expect(isLogic ? .truth : .number, left, &code)
      try expect(isLogic ? .truth : .number, right, &code)
      if instruction != .multiply, instruction != .divide, let a = unit(of: left), let b = unit(of: right), a != b {
        throw ExpressionProblem(column, "different units: `\(a)` and `\(b)`")
      }
      code.append(instruction)
      switch instruction {
      case .add, .subtract, .multiply, .divide: return .number
      default: return .truth
      }
    }
  }

  private mutating func expect(
    _ kind: Kind, _ tree: Expression, _ code: inout [Instruction]
  ) throws(ExpressionProblem) {
    let found = try generate(tree, into: &code)
    guard found == kind else {
      throw ExpressionProblem(tree.column, "this is a \(found.rawValue) where a \(kind.rawValue) is needed")
    }
  }

  private mutating func bareName(
    _ name: String, _ column: Int, _ code: inout [Instruction]
  ) throws(ExpressionProblem) -> Kind {
    if name == "age" {
      code.append(.attribute(.age))
      return .number
    }
    if eachSeries {
      throw ExpressionProblem(column, "`\(name)`: a rule with `each: series` speaks of the series at hand")
    }
    code.append(.feature(feature(Feature(kind: .last, code: try vital(name, column)))))
    return .number
  }

  private mutating func call(
    _ name: String, _ arguments: [Expression.Argument], _ column: Int, _ code: inout [Instruction]
  ) throws(ExpressionProblem) -> Kind {
    if name == "abs" {
      guard arguments.count == 1, case .expression(let inner) = arguments[0] else {
        throw ExpressionProblem(column, "`abs` takes one number")
      }
      try expect(.number, inner, &code)
      code.append(.absolute)
      return .number
    }
    if name == "flag" {
      guard arguments.count == 1, let word = word(arguments[0]) else {
        throw ExpressionProblem(column, "`flag` takes one flag, as in `flag(palliative)`")
      }
      code.append(.attribute(.flag(word.text)))
      return .truth
    }
    guard let kind = FeatureKind(rawValue: name) else { throw unknownFunction(name, column) }
    let feature = try feature(kind, arguments, column)
    code.append(.feature(self.feature(feature)))
    return kind == .stale || kind == .status ? .truth : .number
  }

  private func unknownFunction(_ name: String, _ column: Int) -> ExpressionProblem {
    let known = FeatureKind.allCases.map(\.rawValue) + ["abs", "flag"] + scores.map(\.id)
    return ExpressionProblem(column, "unknown function `\(name)`", suggestion: Suggestion.nearest(name, among: known))
  }

  private func word(_ argument: Expression.Argument) -> (text: String, column: Int)? {
    switch argument {
    case .word(let text, let column): (text, column)
    case .expression(.name(let text, let column)): (text, column)
    default: nil
    }
  }

  private func feature(
    _ kind: FeatureKind, _ arguments: [Expression.Argument], _ column: Int
  ) throws(ExpressionProblem) -> Feature {
    var rest = arguments[...]
    var code: VitalCode?
    if !eachSeries {
      guard let first = rest.popFirst(), let name = word(first) else {
        throw ExpressionProblem(column, "`\(kind.rawValue)` needs a vital first, as in `\(kind.rawValue)(spo2, 10s)`")
      }
      code = try vital(name.text, name.column)
    }
    var window: Int64 = 0
    var status: SampleStatus?
    if kind.isWindowed {
      if eachSeries { throw ExpressionProblem(column, "`\(kind.rawValue)` cannot be used with `each: series`") }
      guard let next = rest.popFirst(), case .duration(let length, let place) = next else {
        throw ExpressionProblem(column, "`\(kind.rawValue)` needs a window, as in `\(kind.rawValue)(spo2, 10s)`")
      }
      guard length > 0, length <= ExpressionChecker.windowMax else {
        throw ExpressionProblem(place, "a window must be longer than 0 and at most 7d")
      }
      window = length
    }
    if kind == .status {
      guard let next = rest.popFirst(), let name = word(next), let found = SampleStatus(text: name.text) else {
        throw ExpressionProblem(
          column, "`status` needs one of \(SampleStatus.allCases.map(\.text).joined(separator: ", "))")
      }
      status = found
    }
    guard rest.isEmpty else { throw ExpressionProblem(column, "`\(kind.rawValue)` has too many arguments") }
    return Feature(kind: kind, code: code, window: window > 0 ? .sliding(window) : .none, status: status)
  }

  private mutating func member(
    _ inner: Expression, _ field: String, _ column: Int, _ code: inout [Instruction]
  ) throws(ExpressionProblem) -> Kind {
    guard case .call(let name, let arguments, let place) = inner, arguments.isEmpty else {
      throw ExpressionProblem(column, "`.\(field)` needs a score before it, as in `news2().total`")
    }
    guard let index = scores.firstIndex(where: { $0.id == name }) else {
      throw ExpressionProblem(
        place, "unknown score `\(name)`", suggestion: Suggestion.nearest(name, among: scores.map(\.id)))
    }
    guard let known = ScoreField(rawValue: field) else {
      let fields = ScoreField.allCases.map(\.rawValue)
      throw ExpressionProblem(
        column, "unknown score field `\(field)` (\(fields.joined(separator: ", ")))",
        suggestion: Suggestion.nearest(field, among: fields))
    }
    if let score, score != index { throw ExpressionProblem(place, "a rule may read one score only") }
    score = index
    code.append(.score(index, known))
    return .number
  }

  private func vital(_ name: String, _ column: Int) throws(ExpressionProblem) -> VitalCode {
    guard let code = registry.code(name) else {
      throw ExpressionProblem(
        column, "unknown vital `\(name)`",
        suggestion: Suggestion.nearest(name, among: registry.vitals.map(\.key)))
    }
    return code
  }

  private mutating func feature(_ feature: Feature) -> Int {
    if let index = features.firstIndex(of: feature) { return index }
    features.append(feature)
    return features.count - 1
  }

  /// The unit of a number, nil where any will do.
  private func unit(of tree: Expression) -> String? {
    switch tree {
    case .parameter(let name, _):
      return parameters.first { $0.name == name && !$0.unit.isEmpty }?.unit
    case .name(let name, _): return registry.code(name).map { registry[$0].unit }
    case .call("abs", let arguments, _):
      guard case .expression(let inner)? = arguments.first else { return nil }
      return unit(of: inner)
    case .call(let name, let arguments, _):
      guard let kind = FeatureKind(rawValue: name), kind != .count, let first = arguments.first else { return nil }
      return word(first).flatMap { registry.code($0.text) }.map { registry[$0].unit }
    case .member(_, let field, _): return field == ScoreField.missing.rawValue ? nil : "{score}"
    case .unary(.negate, let inner, _): return unit(of: inner)
    case .binary(.add, let left, let right, _), .binary(.subtract, let left, let right, _):
      return unit(of: left) ?? unit(of: right)
    default: return nil
    }
  }

  /// What stands on the right of the first comparison, where it is constant for a patient.
  private func limit(of tree: Expression) -> Program? {
    guard case .binary(let instruction, let left, let right, _) = tree else { return nil }
    switch instruction {
    case .and, .or: return limit(of: left) ?? limit(of: right)
    default:
      var code: [Instruction] = []
      guard constant(right, into: &code) else { return nil }
      return Program(instructions: code, text: "")
    }
  }

  private func constant(_ tree: Expression, into code: inout [Instruction]) -> Bool {
    switch tree {
    case .number(let value, _): code.append(.constant(value))
    case .parameter(let name, _):
      guard let index = parameters.firstIndex(where: { $0.name == name }) else { return false }
      code.append(.parameter(index))
    case .unary(.negate, let inner, _):
      guard constant(inner, into: &code) else { return false }
      code.append(.negate)
    case .binary(let instruction, let left, let right, _):
      guard [.add, .subtract, .multiply, .divide].contains(instruction), constant(left, into: &code),
        constant(right, into: &code)
      else { return false }
      code.append(instruction)
    default: return false
    }
    return true
  }
}
