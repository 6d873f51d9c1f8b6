import VitalModel
import YAMLText

/// Names, types, units and windows of one rule's expressions checked, and programs made.
struct ExpressionChecker {
  /// What an expression is for: not everything is known everywhere.
  enum Place: String {
    case when, clear, bypass, raise, gate, confirm, adapt, check
    /// The input of a score's component: a number of what was measured, nothing else.
    case score

    /// `since onset` is unknown until the rule's episode has begun.
    var mayReadEpisode: Bool { self == .clear || self == .raise }
  }

  let registry: VitalRegistry
  let scores: [ScoreDefinition]
  let parameters: [RuleParameter]
  let parameterTypes: [ValueType]
  /// Rules with `each: series` speak of the series at hand; others must name a vital.
  let eachSeries: Bool
  /// Flags patients may carry; nil: any.
  let knownFlags: [String]?
  /// Inputs of the whole rule, shared by its programs.
  var features: [Feature] = []
  var score: Int?
  var place = Place.when

  /// Steps of one program.
  static let stepsMax = 200

  init(
    registry: VitalRegistry, scores: [ScoreDefinition], parameters: [RuleParameter], parameterTypes: [ValueType],
    eachSeries: Bool, knownFlags: [String]? = nil
  ) {
    self.registry = registry
    self.scores = scores
    self.parameters = parameters
    self.parameterTypes = parameterTypes
    self.eachSeries = eachSeries
    self.knownFlags = knownFlags
  }

  mutating func condition(_ text: String, _ place: Place) throws(ExpressionProblem) -> CheckedExpression {
    self.place = place
    let tree = try ExpressionParser.parse(text)
    let checked = try check(tree)
    guard checked.type == .truth else {
      throw ExpressionProblem(tree.column, "this is a number where a condition is needed: compare it with something")
    }
    guard checked.instructions.count <= ExpressionChecker.stepsMax else {
      throw ExpressionProblem(0, "expression has more than \(ExpressionChecker.stepsMax) steps")
    }
    return checked
  }

  /// A number of a given type: what an adapted parameter follows.
  mutating func number(
    _ text: String, _ place: Place, like expected: ValueType
  ) throws(ExpressionProblem) -> CheckedExpression {
    self.place = place
    let tree = try ExpressionParser.parse(text)
    let checked = try number(tree, expected: expected)
    guard checked.instructions.count <= ExpressionChecker.stepsMax else {
      throw ExpressionProblem(0, "expression has more than \(ExpressionChecker.stepsMax) steps")
    }
    _ = try same(checked.type, expected, tree.column)
    return checked
  }

  /// A number of whatever unit: what a score's component is judged by.
  mutating func number(_ text: String, _ place: Place) throws(ExpressionProblem) -> CheckedExpression {
    self.place = place
    let checked = try number(try ExpressionParser.parse(text), expected: nil)
    guard checked.instructions.count <= ExpressionChecker.stepsMax else {
      throw ExpressionProblem(0, "expression has more than \(ExpressionChecker.stepsMax) steps")
    }
    return checked
  }

  // MARK: Parts

  /// - Parameter expected: what the number will be added to or compared with: how a unit in brackets and a letter are read.
  mutating func check(
    _ tree: Expression, expected: ValueType? = nil
  ) throws(ExpressionProblem) -> CheckedExpression {
    func made(_ content: CheckedExpression.Content, _ type: ValueType) -> CheckedExpression {
      CheckedExpression(content: content, type: type, column: tree.column, range: tree.range)
    }
    switch tree.content {
    case .number(let value, let unit):
      guard let unit else { return made(.constant(value.double), .plain) }
      let (number, type) = try converted(value, unit, expected, tree.column)
      return made(.constant(number), type)
    case .duration(let value): return made(.constant(Double(value)), .duration)
    case .parameter(let name):
      let index = try parameter(name, tree.column)
      return made(.parameter(index), parameterTypes[index])
    case .name(let name): return try bareName(name, tree, expected)
    case .call(let name, let arguments): return try call(name, arguments, tree)
    case .member(let inner, let field): return try member(inner, field, tree)
    case .unary(let instruction, let inner):
      if instruction == .not { return made(.unary(.not, try condition(inner)), .truth) }
      let value = try number(inner, expected: expected)
      return made(.unary(instruction, value), value.type)
    case .binary(let instruction, let left, let right):
      if instruction == .and || instruction == .or {
        return made(.binary(instruction, try condition(left), try condition(right)), .truth)
      }
      return try arithmetic(instruction, left, right, tree, expected)
    case .combination(let combination, let members):
      var checked: [CheckedExpression] = []
      for member in members { checked.append(try condition(member)) }
      return CheckedExpression.combined(combination, checked, column: tree.column, range: tree.range)
    case .within(let inner, let length):
      return try check(WithinRewrite(registry: registry).rewritten(inner, within: length, at: tree.column))
    }
  }

  private mutating func condition(_ tree: Expression) throws(ExpressionProblem) -> CheckedExpression {
    let found = try check(tree)
    guard found.type == .truth else {
      throw ExpressionProblem(tree.column, "this is a number where a condition is needed")
    }
    return found
  }

  private mutating func number(
    _ tree: Expression, expected: ValueType?
  ) throws(ExpressionProblem) -> CheckedExpression {
    let found = try check(tree, expected: expected)
    guard found.type != .truth else {
      throw ExpressionProblem(tree.column, "this is a condition where a number is needed")
    }
    return found
  }

  private mutating func arithmetic(
    _ instruction: Instruction, _ left: Expression, _ right: Expression, _ tree: Expression, _ expected: ValueType?
  ) throws(ExpressionProblem) -> CheckedExpression {
    let isSum = instruction == .add || instruction == .subtract
    let isProduct = instruction == .multiply || instruction == .divide
    let context = isSum ? expected : nil
    var a: CheckedExpression
    var b: CheckedExpression
    if left.isConstant, !right.isConstant, !isProduct {
      b = try number(right, expected: context)
      a = try number(left, expected: b.type)
    } else {
      a = try number(left, expected: context)
      let other = a.type == .plain ? context : a.type
      b = try number(right, expected: isProduct ? nil : isSum ? other?.asDifference : other)
    }
    let type = isProduct ? product(instruction, a.type, b.type) : try same(a.type, b.type, tree.column)
    var result = type
    if isSum { result = sum(instruction, a, b, type) }
    if instruction.isComparison { result = .truth }
    return CheckedExpression(
      content: .binary(instruction, a, b), type: result, column: tree.column, range: tree.range)
  }

  /// The common type of two numbers that are added or compared.
  private func same(_ a: ValueType, _ b: ValueType, _ column: Int) throws(ExpressionProblem) -> ValueType {
    switch (a, b) {
    case (.plain, .plain): return .plain
    case (.duration, .plain), (.plain, .duration):
      throw ExpressionProblem(column, "a duration and a bare number: write the number as a duration, as in `30s`")
    case (.plain, let other), (let other, .plain): return other
    case (.duration, .duration): return .duration
    case (.duration, .quantity(let quantity)) where quantity.text == "ms": return a
    case (.quantity(let quantity), .duration) where quantity.text == "ms": return a
    case (.quantity(let x), .quantity(let y)) where x.fits(y, registry): return x.vital == nil ? b : a
    default: throw ExpressionProblem(column, "different units: \(unitText(a)) and \(unitText(b))\(hint(a, b))")
    }
  }

  private func unitText(_ type: ValueType) -> String { type == .duration ? "a duration" : "`\(type.text)`" }

  /// A parameter in another unit of the vital cannot be converted for everybody who sets it.
  private func hint(_ a: ValueType, _ b: ValueType) -> String {
    guard let x = a.quantity, let y = b.quantity else { return "" }
    for (one, other) in [(x, y), (y, x)] where one.vital != nil && other.vital == nil {
      if one.converted(DecimalValue(mantissa: 1), from: other.text, registry) != nil {
        return "; give the parameter in `\(one.text)`"
      }
    }
    return ""
  }

  private func sum(
    _ instruction: Instruction, _ a: CheckedExpression, _ b: CheckedExpression, _ type: ValueType
  ) -> ValueType {
    // A value minus a value is a distance; a value plus or minus a distance is a value.
    if instruction == .subtract, let x = a.type.quantity, let y = b.type.quantity, x.form == .absolute,
      y.form == .absolute, !b.isConstant
    {
      return .quantity(x.asDifference)
    }
    if let x = a.type.quantity { return .quantity(x) }
    return type
  }

  private func product(_ instruction: Instruction, _ a: ValueType, _ b: ValueType) -> ValueType {
    let isQuotient = instruction == .divide
    if b == .plain || b.quantity?.isOne == true { return a == .truth ? .plain : a }
    if a == b, isQuotient { return .quantity(.one) }
    if !isQuotient, a == .plain || a.quantity?.isOne == true { return b }
    let left = a == .plain ? "1" : a == .duration ? "ms" : a.text
    let right = b == .duration ? "ms" : b.text
    return .quantity(Quantity(text: isQuotient ? "\(left)/(\(right))" : "\(left).\(right)", form: .derived))
  }

  // MARK: Constants

  private func converted(
    _ value: DecimalValue, _ unit: String, _ expected: ValueType?, _ column: Int
  ) throws(ExpressionProblem) -> (Double, ValueType) {
    switch expected {
    case .quantity(let quantity):
      if let number = quantity.converted(value, from: unit, registry) { return (number, .quantity(quantity)) }
      if let vital = quantity.vital {
        let units = registry[vital].units.map(\.unit)
        throw ExpressionProblem(
          column, "`\(unit)` is no unit of \(registry[vital].key) (\(quantity.text))",
          suggestion: Suggestion.nearest(unit, among: units))
      }
      return (value.double, .quantity(Quantity(text: unit)))
    case .duration:
      guard unit == "ms" else {
        throw ExpressionProblem(column, "`[\(unit)]` where a duration is needed: write it as in `30s`")
      }
      return (value.double, .duration)
    default: return (value.double, .quantity(Quantity(text: unit)))
    }
  }

  private func parameter(_ name: String, _ column: Int) throws(ExpressionProblem) -> Int {
    if let index = parameters.firstIndex(where: { $0.name == name }) { return index }
    if place == .score { throw ExpressionProblem(column, "a score has no parameters: write the number for `$\(name)`") }
    throw ExpressionProblem(
      column, "unknown parameter `$\(name)`",
      suggestion: Suggestion.nearest(name, among: parameters.map(\.name)).map { "$" + $0 })
  }

  private mutating func bareName(
    _ name: String, _ tree: Expression, _ expected: ValueType?
  ) throws(ExpressionProblem) -> CheckedExpression {
    func made(_ content: CheckedExpression.Content, _ type: ValueType) -> CheckedExpression {
      CheckedExpression(content: content, type: type, column: tree.column, range: tree.range)
    }
    let letters = expected?.quantity?.vital.map { registry[$0].letters } ?? []
    if let letter = letters.first(where: { $0.text == name }) { return made(.constant(Double(letter.value)), .plain) }
    if name == "age" { return made(.attribute(.age), .quantity(Quantity(text: "a"))) }
    if name == "age_months" { return made(.attribute(.ageMonths), .quantity(Quantity(text: "mo"))) }
    if eachSeries {
      throw ExpressionProblem(tree.column, "`\(name)`: a rule with `each: series` speaks of the series at hand")
    }
    if !letters.isEmpty, registry.code(name) == nil {
      throw ExpressionProblem(
        tree.column, "`\(name)` is none of \(letters.map(\.text).joined(separator: ", "))")
    }
    let (code, source) = try vitalOfSource(name, tree.column)
    let feature = Feature(kind: .last, code: code, source: source)
    return made(.feature(index(of: feature)), .quantity(unit(of: code)))
  }

  func unit(of code: VitalCode) -> Quantity { Quantity(text: registry[code].unit, vital: code) }

  func vital(_ name: String, _ column: Int) throws(ExpressionProblem) -> VitalCode {
    if let code = registry.code(name) { return code }
    throw ExpressionProblem(
      column, "unknown vital `\(name)`",
      suggestion: Suggestion.nearest(name, among: registry.vitals.map(\.key) + ["age", "age_months"]))
  }

  mutating func index(of feature: Feature) -> Int {
    if let index = features.firstIndex(of: feature) { return index }
    features.append(feature)
    return features.count - 1
  }

  // MARK: Functions

  /// Functions that are no aggregates; the reference prints the same table.
  static let functions: [(form: String, meaning: String)] = [
    ("abs(NUMBER)", "the number without its sign"),
    ("any(CONDITION, ...)", "at least one holds: the same as joining them with `or`"),
    ("all(CONDITION, ...)", "every one holds: the same as joining them with `and`"),
    ("N of (CONDITION, ...)", "at least N of them hold"),
    ("flag(NAME)", "the patient carries the flag; unknown where the roster does not list the patient"),
    ("unit(NAME)", "the patient lies in that care unit; never unknown"),
    ("age", "completed years; unknown if the roster does not say"),
    ("age_months", "completed months"),
    ("SCORE().total", "sum of the known components of a score"),
    ("SCORE().single_max", "the largest single component known"),
    ("SCORE().missing", "components never seen or stale"),
    ("SCORE().COMPONENT", "points of one component"),
  ]

  private mutating func call(
    _ name: String, _ arguments: [Expression.Argument], _ tree: Expression
  ) throws(ExpressionProblem) -> CheckedExpression {
    func made(_ content: CheckedExpression.Content, _ type: ValueType) -> CheckedExpression {
      CheckedExpression(content: content, type: type, column: tree.column, range: tree.range)
    }
    switch name {
    case "abs":
      guard arguments.count == 1, let inner = ExpressionChecker.expression(arguments[0]) else {
        throw ExpressionProblem(tree.column, "`abs` takes one number")
      }
      let value = try number(inner, expected: nil)
      return made(.unary(.absolute, value), value.type)
    case "flag", "unit":
      guard arguments.count == 1, case .word(let word, let column) = arguments[0] else {
        let example = name == "flag" ? "one flag, as in `flag(palliative)`" : "one care unit, as in `unit(ward-7)`"
        throw ExpressionProblem(tree.column, "`\(name)` takes \(example)")
      }
      if name == "flag", let knownFlags, !knownFlags.contains(word) {
        throw ExpressionProblem(
          column, KnownFlags.unknown(word), suggestion: Suggestion.nearest(word, among: knownFlags))
      }
      return made(.attribute(name == "flag" ? .flag(word) : .unit(word)), .truth)
    default: break
    }
    guard let kind = FeatureKind(rawValue: name) else {
      if scores.contains(where: { $0.id == name }) {
        throw ExpressionProblem(tree.column, "`\(name)()` needs a field, as in `\(name)().total`")
      }
      let known = FeatureKind.allCases.map(\.rawValue) + ["abs", "flag", "unit", "any", "all"] + scores.map(\.id)
      throw ExpressionProblem(
        tree.column, "unknown function `\(name)`", suggestion: Suggestion.nearest(name, among: known))
    }
    let (feature, type) = try aggregate(Aggregate.of(kind), arguments, tree.column)
    return made(.feature(index(of: feature)), type)
  }

  /// An argument read as an expression; nil for windows.
  static func expression(_ argument: Expression.Argument) -> Expression? {
    switch argument {
    case .expression(let tree): tree
    case .word(let word, let column):
      Expression(content: .name(word), column: column, range: column..<column + word.unicodeScalars.count)
    case .window: nil
    }
  }

  private mutating func member(
    _ inner: Expression, _ field: String, _ tree: Expression
  ) throws(ExpressionProblem) -> CheckedExpression {
    guard case .call(let name, let arguments) = inner.content, arguments.isEmpty else {
      throw ExpressionProblem(tree.column, "`.\(field)` needs a score before it, as in `news2().total`")
    }
    if place == .score { throw ExpressionProblem(inner.column, "a score may not read another score") }
    guard let index = scores.firstIndex(where: { $0.id == name }) else {
      throw ExpressionProblem(
        inner.column, "unknown score `\(name)`", suggestion: Suggestion.nearest(name, among: scores.map(\.id)))
    }
    if let score, score != index { throw ExpressionProblem(inner.column, "a rule may read one score only") }
    score = index
    func made(_ content: CheckedExpression.Content, _ type: ValueType) -> CheckedExpression {
      CheckedExpression(content: content, type: type, column: tree.column, range: tree.range)
    }
    let points = ValueType.quantity(Quantity(text: "{score}"))
    if let known = ScoreField(rawValue: field) {
      return made(.score(index, known), known == .missing ? .plain : points)
    }
    if let component = scores[index].components.firstIndex(where: { $0.name == field }) {
      return made(.component(index, component), points)
    }
    let fields = ScoreField.allCases.map(\.rawValue)
    let components = scores[index].components.map(\.name)
    throw ExpressionProblem(
      tree.column,
      "unknown score field `\(field)` (\(fields.joined(separator: ", ")); components \(components.joined(separator: ", ")))",
      suggestion: Suggestion.nearest(field, among: fields + components))
  }
}

extension ValueType {
  fileprivate var asDifference: ValueType {
    guard case .quantity(let quantity) = self else { return self }
    return .quantity(quantity.asDifference)
  }
}

extension CheckedExpression {
  /// `any` and `all` are chains of `or` and `and`; `N of` is a step of its own.
  static func combined(
    _ combination: Expression.Combination, _ members: [CheckedExpression], column: Int, range: Range<Int>
  ) -> CheckedExpression {
    func made(_ content: Content) -> CheckedExpression {
      CheckedExpression(content: content, type: .truth, column: column, range: range)
    }
    switch combination {
    case .atLeast(let needed): return made(.atLeast(needed, members))
    case .any, .all:
      let instruction: Instruction = combination == .any ? .or : .and
      var chain = members[0]
      for member in members.dropFirst() { chain = made(.binary(instruction, chain, member)) }
      return chain
    }
  }
}
