import VitalModel

/// A part of an expression with its type; what programs, the tree of `--explain-expr` and the branch check are made of.
struct CheckedExpression {
  indirect enum Content {
    case constant(Double)
    case parameter(Int)
    case feature(Int)
    case score(Int, ScoreField)
    case component(Int, Int)
    case attribute(PatientAttribute)
    case unary(Instruction, CheckedExpression)
    case binary(Instruction, CheckedExpression, CheckedExpression)
    case atLeast(Int, [CheckedExpression])
  }

  var content: Content
  var type: ValueType
  /// Where messages about it point, 0-based.
  var column: Int
  /// Its characters in the text.
  var range: Range<Int>

  func emit(into code: inout [Instruction]) {
    switch content {
    case .constant(let value): code.append(.constant(value))
    case .parameter(let index): code.append(.parameter(index))
    case .feature(let index): code.append(.feature(index))
    case .score(let index, let field): code.append(.score(index, field))
    case .component(let index, let component): code.append(.scoreComponent(index, component))
    case .attribute(let attribute): code.append(.attribute(attribute))
    case .unary(let instruction, let inner):
      inner.emit(into: &code)
      code.append(instruction)
    case .binary(let instruction, let left, let right):
      left.emit(into: &code)
      right.emit(into: &code)
      code.append(instruction)
    case .atLeast(let needed, let members):
      for member in members { member.emit(into: &code) }
      code.append(.atLeast(needed: needed, of: members.count))
    }
  }

  var instructions: [Instruction] {
    var code: [Instruction] = []
    emit(into: &code)
    return code
  }

  /// Whether it is the same for one patient whatever is measured.
  var isConstant: Bool {
    switch content {
    case .constant, .parameter: true
    case .unary(let instruction, let inner): instruction != .not && inner.isConstant
    case .binary(let instruction, let left, let right):
      [.add, .subtract, .multiply, .divide].contains(instruction) && left.isConstant && right.isConstant
    default: false
    }
  }

  /// Its number with the parameters' values; nil unless ``isConstant``.
  func constant(_ parameters: [Double]) -> Double? {
    switch content {
    case .constant(let value): return value
    case .parameter(let index): return parameters.indices.contains(index) ? parameters[index] : nil
    case .unary(let instruction, let inner):
      guard let value = inner.constant(parameters) else { return nil }
      switch instruction {
      case .negate: return -value
      case .absolute: return Swift.abs(value)
      default: return nil
      }
    case .binary(let instruction, let left, let right):
      guard let a = left.constant(parameters), let b = right.constant(parameters) else { return nil }
      switch instruction {
      case .add: return a + b
      case .subtract: return a - b
      case .multiply: return a * b
      case .divide: return a / b
      default: return nil
      }
    default: return nil
    }
  }

  /// What the first comparison is against, where that is constant: the `limit` of messages.
  var limit: CheckedExpression? {
    guard case .binary(let instruction, let left, let right) = content else { return nil }
    switch instruction {
    case .and, .or: return left.limit ?? right.limit
    case .less, .lessOrEqual, .greater, .greaterOrEqual, .equal, .notEqual:
      return right.isConstant ? right : left.isConstant ? left : nil
    default: return nil
    }
  }

  /// Its parts, for walks over the whole tree.
  var children: [CheckedExpression] {
    switch content {
    case .unary(_, let inner): [inner]
    case .binary(_, let left, let right): [left, right]
    case .atLeast(_, let members): members
    default: []
    }
  }
}

extension Instruction {
  /// Whether it compares two numbers.
  var isComparison: Bool {
    switch self {
    case .less, .lessOrEqual, .greater, .greaterOrEqual, .equal, .notEqual: true
    default: false
    }
  }
}
