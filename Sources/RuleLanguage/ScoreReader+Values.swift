import VitalModel
import YAMLText

/// Components whose number is an expression of the rule language: `value: "mean(resp, 6h)"`.
extension ScoreReader {
  /// Powers of ten a `resolution` may be.
  static let resolutions = -6...3

  func expression(_ map: YAMLMapping, _ node: YAMLNode, _ problems: inout Problems) -> ScoreInput? {
    for key in ["inputs", "ratio", "oxygen", "median"] where map.has(key) {
      problems.add(map.place(of: key), "`\(key)` beside `value`: the expression says what it reads")
      return nil
    }
    guard let text = YAMLMapping.text(node, of: "value", &problems) else { return nil }
    var checker = ExpressionChecker(
      registry: registry, scores: [], parameters: [], parameterTypes: [], eachSeries: false, knownFlags: knownFlags)
    let checked: CheckedExpression
    do throws(ExpressionProblem) {
      checked = try checker.number(text, .score)
    } catch {
      let (line, column) = RuleCondition.place(error.column, node)
      problems.add(line: line, column: column, error.message, suggestion: error.suggestion)
      return nil
    }
    let program = Program(instructions: checked.instructions, text: text)
    guard !checker.features.isEmpty || program.instructions.contains(where: \.isAge) else {
      problems.add(node, "`\(text)` is the same for everybody: a component reads a vital or the age")
      return nil
    }
    guard let exponent = exponent(map, checked, text, &problems) else { return nil }
    var rule = RuleDefinition()
    rule.features = checker.features
    return .expression(
      ScoreExpression(
        program: program, features: checker.features, exponent: exponent,
        canonicalText: RuleText.text(program, rule, registry, [])))
  }

  /// The grid its bands are on: as written, else what the unit of the number suggests.
  private func exponent(
    _ map: YAMLMapping, _ checked: CheckedExpression, _ text: String, _ problems: inout Problems
  ) -> Int? {
    if map.has("resolution") {
      return map.read("resolution", as: "a power of ten from 0.000001 to 1000, such as 0.1", &problems) { text in
        guard let value = DecimalValue(text)?.normalized, value.mantissa == 1 else { return nil }
        return ScoreReader.resolutions.contains(Int(value.exponent)) ? Int(value.exponent) : nil
      }
    }
    switch checked.type {
    case .duration: return 0
    case .quantity(let quantity):
      if case .attribute = checked.content { return 0 }
      if let vital = quantity.vital, quantity.form == .absolute || quantity.form == .difference {
        return registry[vital].resolutionExponent
      }
    case .plain, .truth: break
    }
    problems.add(
      map.place(of: "value"), "`\(text)` is on no vital's grid: give a `resolution`, a power of ten such as 0.1")
    return nil
  }

  /// Letters the bands of an expression are written in, where it is a level of a letter vital.
  func letters(of expression: ScoreExpression) -> [(text: String, value: Int64)] {
    guard let feature = lone(expression), feature.kind.isLevel, let code = feature.code else { return [] }
    return registry[code].letters
  }

  /// Whether they are written as durations.
  func isTime(_ expression: ScoreExpression) -> Bool { lone(expression)?.kind.isOfTime ?? false }

  /// The one aggregate an expression is.
  private func lone(_ expression: ScoreExpression) -> Feature? {
    let code = expression.program.instructions
    guard code.count == 1, case .feature(let index)? = code.first else { return nil }
    return expression.features[index]
  }
}

extension Instruction {
  fileprivate var isAge: Bool { self == .attribute(.age) || self == .attribute(.ageMonths) }
}
