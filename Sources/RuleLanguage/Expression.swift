import VitalModel

/// A parsed expression before it is checked: shape and places, no meaning.
struct Expression {
  indirect enum Content {
    /// A number, with the unit written in brackets behind it.
    case number(DecimalValue, unit: String?)
    case duration(Int64)
    case parameter(String)
    case name(String)
    case call(String, [Argument])
    case member(Expression, String)
    case unary(Instruction, Expression)
    case binary(Instruction, Expression, Expression)
    /// `any(...)`, `all(...)`, `2 of (...)`.
    case combination(Combination, [Expression])
    /// `CONDITION within 5m`.
    case within(Expression, Int64)
  }
  enum Combination: Equatable {
    case any, all
    case atLeast(Int)
  }
  enum Argument {
    case expression(Expression)
    case window(WindowShape, column: Int)
    case word(String, column: Int)

    var column: Int {
      switch self {
      case .expression(let tree): tree.column
      case .window(_, let column), .word(_, let column): column
      }
    }
  }

  var content: Content
  /// Where messages about it point, 0-based: an operator, or the first character.
  var column: Int
  /// The characters it was written with.
  var range: Range<Int>

  /// Whether it is the same for one patient whatever is measured: numbers, parameters and sums of them.
  var isConstant: Bool {
    switch content {
    case .number, .duration, .parameter: true
    case .unary(.negate, let inner): inner.isConstant
    case .binary(let instruction, let left, let right):
      [.add, .subtract, .multiply, .divide].contains(instruction) && left.isConstant && right.isConstant
    default: false
    }
  }
}

/// What is wrong with an expression, and where inside its text (0-based).
struct ExpressionProblem: Error {
  var column: Int
  var message: String
  var suggestion: String?
  init(_ column: Int, _ message: String, suggestion: String? = nil) {
    self.column = column
    self.message = message
    self.suggestion = suggestion
  }
}
