import VitalModel

/// `CONDITION within 5m`, as aggregates that say exactly the same: some sample of the last five minutes met it.
struct WithinRewrite {
  let registry: VitalRegistry

  func rewritten(
    _ tree: Expression, within length: Int64, at column: Int
  ) throws(ExpressionProblem) -> Expression {
    var copy = tree
    switch tree.content {
    case .combination(.any, let members):
      var list: [Expression] = []
      for member in members { list.append(try rewritten(member, within: length, at: column)) }
      copy.content = .combination(.any, list)
    case .binary(.or, let left, let right):
      copy.content = .binary(
        .or, try rewritten(left, within: length, at: column), try rewritten(right, within: length, at: column))
    case .binary(let instruction, let left, let right) where instruction.isComparison:
      guard let name = vital(left), right.isConstant || isLetter(right, of: name) else {
        guard let name = vital(right), left.isConstant || isLetter(left, of: name) else { throw refusal(column) }
        return try comparison(instruction.mirrored, name, right, left, tree, length, column)
      }
      return try comparison(instruction, name, left, right, tree, length, column)
    default: throw refusal(column)
    }
    return copy
  }

  private func refusal(_ column: Int) -> ExpressionProblem {
    ExpressionProblem(
      column,
      "`within` takes newest values compared with constants, joined by any or `or`: else name a window, as in `max(hr, 5m) > 110`"
    )
  }

  /// The vital of `hr` or `last(hr)`.
  private func vital(_ tree: Expression) -> String? {
    if case .name(let name) = tree.content, registry.code(name) != nil { return name }
    guard case .call("last", let arguments) = tree.content, arguments.count == 1,
      case .name(let name)? = ExpressionChecker.expression(arguments[0])?.content
    else { return nil }
    return name
  }

  private func isLetter(_ tree: Expression, of vital: String) -> Bool {
    guard case .name(let name) = tree.content, let code = registry.code(vital) else { return false }
    return registry[code].letters.contains { $0.text == name }
  }

  private func comparison(
    _ instruction: Instruction, _ name: String, _ value: Expression, _ constant: Expression, _ tree: Expression,
    _ length: Int64, _ column: Int
  ) throws(ExpressionProblem) -> Expression {
    func aggregate(_ kind: FeatureKind, _ instruction: Instruction) -> Expression {
      let arguments: [Expression.Argument] = [
        .word(name, column: value.range.lowerBound), .window(.sliding(length), column: column),
      ]
      let call = Expression(content: .call(kind.rawValue, arguments), column: value.column, range: value.range)
      return Expression(content: .binary(instruction, call, constant), column: tree.column, range: tree.range)
    }
    switch instruction {
    case .greater, .greaterOrEqual: return aggregate(.max, instruction)
    case .less, .lessOrEqual: return aggregate(.min, instruction)
    case .notEqual:
      let either = Expression.Content.binary(.or, aggregate(.min, .notEqual), aggregate(.max, .notEqual))
      return Expression(content: either, column: tree.column, range: tree.range)
    default: throw refusal(column)
    }
  }
}

extension Instruction {
  /// The same comparison with its sides changed over.
  var mirrored: Instruction {
    switch self {
    case .less: .greater
    case .lessOrEqual: .greaterOrEqual
    case .greater: .less
    case .greaterOrEqual: .lessOrEqual
    default: self
    }
  }
}
