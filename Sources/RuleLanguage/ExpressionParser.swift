import VitalModel
import YAMLText

/// Text to expression tree: `or` < `and` < `not` < comparison and `within` < `+ -` < `* /` < unary minus < postfix.
struct ExpressionParser {
  private let items: [ExpressionScanner.Item]
  private var index = 0
  private var depth = 0
  /// A chain of operators is a tree as deep as it is long; a program that long is refused anyway.
  private var operators = 0
  /// Nesting deeper than this is refused, so that no text can exhaust the stack.
  static let depthMax = 60
  /// Words only the language uses; no vital, flag or parameter is meant by them.
  static let words = ["and", "or", "not", "within", "of", "every", "tumbling", "samples", "since", "onset", "session"]

  private init(items: [ExpressionScanner.Item]) { self.items = items }

  static func parse(_ text: String) throws(ExpressionProblem) -> Expression {
    var parser = ExpressionParser(items: try ExpressionScanner.scan(text))
    let tree = try parser.or()
    guard parser.token == .end else {
      var suggestion: String?
      if case .word(let word) = parser.token { suggestion = Suggestion.nearest(word, among: ["and", "or", "within"]) }
      throw ExpressionProblem(parser.column, "unexpected \(parser.token.text)", suggestion: suggestion)
    }
    return tree
  }

  // MARK: Tokens

  private var token: ExpressionToken { items[index].token }
  private var column: Int { items[index].range.lowerBound }
  /// End of the token before the current one.
  private var end: Int { items[max(index - 1, 0)].range.upperBound }

  private mutating func take(_ symbol: String) -> Bool {
    guard token == .symbol(symbol) else { return false }
    index += 1
    return true
  }

  private mutating func takeWord(_ word: String) -> Int? {
    guard token == .word(word) else { return nil }
    index += 1
    return items[index - 1].range.lowerBound
  }

  private mutating func takeDuration(after word: String) throws(ExpressionProblem) -> Int64 {
    guard case .duration(let value) = token else {
      throw ExpressionProblem(column, "`\(word)` needs a duration, as in `\(word) 5m`")
    }
    index += 1
    return value
  }

  private mutating func binary(
    _ instruction: Instruction, _ left: Expression, _ right: Expression, _ column: Int
  ) throws(ExpressionProblem) -> Expression {
    operators += 1
    guard operators <= ExpressionChecker.stepsMax else {
      throw ExpressionProblem(0, "expression has more than \(ExpressionChecker.stepsMax) steps")
    }
    return Expression(
      content: .binary(instruction, left, right), column: column, range: left.range.lowerBound..<right.range.upperBound)
  }

  private func checkDepth() throws(ExpressionProblem) {
    guard depth < ExpressionParser.depthMax else { throw ExpressionProblem(column, "nested too deeply") }
  }

  // MARK: Conditions

  private mutating func or() throws(ExpressionProblem) -> Expression {
    depth += 1
    defer { depth -= 1 }
    try checkDepth()
    var left = try and()
    while let column = takeWord("or") { left = try binary(.or, left, try and(), column) }
    return left
  }

  private mutating func and() throws(ExpressionProblem) -> Expression {
    var left = try not()
    while let column = takeWord("and") { left = try binary(.and, left, try not(), column) }
    return left
  }

  private mutating func not() throws(ExpressionProblem) -> Expression {
    guard let column = takeWord("not") else { return try comparison() }
    depth += 1
    defer { depth -= 1 }
    try checkDepth()
    let inner = try not()
    return Expression(content: .unary(.not, inner), column: column, range: column..<inner.range.upperBound)
  }

  static let comparisons: [(symbol: String, instruction: Instruction)] = [
    ("<", .less), ("<=", .lessOrEqual), (">", .greater), (">=", .greaterOrEqual), ("==", .equal), ("!=", .notEqual),
  ]

  private mutating func comparison() throws(ExpressionProblem) -> Expression {
    var left = try sum()
    for (symbol, instruction) in ExpressionParser.comparisons {
      let column = column
      guard take(symbol) else { continue }
      left = try binary(instruction, left, try sum(), column)
      break
    }
    if let column = takeWord("within") {
      let length = try takeDuration(after: "within")
      left = Expression(content: .within(left, length), column: column, range: left.range.lowerBound..<end)
    }
    return left
  }

  // MARK: Numbers

  private mutating func sum() throws(ExpressionProblem) -> Expression {
    var left = try product()
    while true {
      let column = column
      if take("+") {
        left = try binary(.add, left, try product(), column)
      } else if take("-") {
        left = try binary(.subtract, left, try product(), column)
      } else {
        return left
      }
    }
  }

  private mutating func product() throws(ExpressionProblem) -> Expression {
    var left = try unary()
    while true {
      let column = column
      if take("*") {
        left = try binary(.multiply, left, try unary(), column)
      } else if take("/") {
        left = try binary(.divide, left, try unary(), column)
      } else {
        return left
      }
    }
  }

  private mutating func unary() throws(ExpressionProblem) -> Expression {
    let column = column
    guard take("-") else { return try postfix() }
    depth += 1
    defer { depth -= 1 }
    try checkDepth()
    let inner = try unary()
    return Expression(content: .unary(.negate, inner), column: column, range: column..<inner.range.upperBound)
  }

  private mutating func postfix() throws(ExpressionProblem) -> Expression {
    var value = try primary()
    while take(".") {
      let column = column
      guard case .word(let name) = token else { throw ExpressionProblem(column, "expected a name after `.`") }
      index += 1
      value = Expression(content: .member(value, name), column: column, range: value.range.lowerBound..<end)
    }
    return value
  }

  private mutating func primary() throws(ExpressionProblem) -> Expression {
    let start = column
    let first = token
    index += 1
    func made(_ content: Expression.Content) -> Expression {
      Expression(content: content, column: start, range: start..<end)
    }
    switch first {
    case .number(let text):
      if token == .word("of") { return try atLeast(text, start) }
      guard let value = DecimalValue(text) else { throw ExpressionProblem(start, "`\(text)` is not a number") }
      guard case .unit(let unit) = token else { return made(.number(value, unit: nil)) }
      index += 1
      return made(.number(value, unit: unit))
    case .duration(let value): return made(.duration(value))
    case .parameter(let name): return made(.parameter(name))
    case .word(let name):
      guard take("(") else { return made(.name(name)) }
      if name == "any" || name == "all" {
        let members = try members("`\(name)`", start)
        return made(.combination(name == "any" ? .any : .all, members))
      }
      let arguments = try arguments()
      return made(.call(name, arguments))
    case .symbol("("):
      var inner = try or()
      guard take(")") else { throw ExpressionProblem(column, "expected `)`") }
      inner.range = start..<end
      return inner
    case .symbol, .unit, .end:
      index -= 1
      throw ExpressionProblem(start, "expected a value, found \(first.text)")
    }
  }

  /// `2 of (a, b, c)`.
  private mutating func atLeast(_ text: String, _ start: Int) throws(ExpressionProblem) -> Expression {
    index += 1
    guard take("(") else { throw ExpressionProblem(column, "expected `(` after `of`, as in `2 of (a, b, c)`") }
    let members = try members("`of`", start)
    guard let needed = Int(text), needed >= 1, needed <= members.count else {
      throw ExpressionProblem(
        start, "`\(text) of` \(members.count) conditions: the number must be from 1 to \(members.count)")
    }
    return Expression(content: .combination(.atLeast(needed), members), column: start, range: start..<end)
  }

  private mutating func members(_ what: String, _ start: Int) throws(ExpressionProblem) -> [Expression] {
    var list: [Expression] = []
    repeat { list.append(try or()) } while take(",")
    guard take(")") else { throw ExpressionProblem(column, "expected `,` or `)`") }
    guard list.count >= 2 else { throw ExpressionProblem(start, "\(what) needs at least two conditions") }
    return list
  }

  // MARK: Arguments

  private mutating func arguments() throws(ExpressionProblem) -> [Expression.Argument] {
    var list: [Expression.Argument] = []
    if take(")") { return list }
    while true {
      list.append(try argument())
      if take(")") { return list }
      guard take(",") else {
        var suggestion: String?
        if case .word(let word) = token { suggestion = Suggestion.nearest(word, among: ["every", "samples", "onset"]) }
        throw ExpressionProblem(column, "expected `,` or `)`", suggestion: suggestion)
      }
    }
  }

  private mutating func argument() throws(ExpressionProblem) -> Expression.Argument {
    let start = column
    let following = index + 1 < items.count ? items[index + 1].token : .end
    switch token {
    case .duration(let length) where [.symbol(","), .symbol(")"), .end].contains(following):
      index += 1
      return .window(.sliding(length), column: start)
    case .duration(let length):
      guard following == .word("every") else { break }
      index += 2
      return .window(.hopping(length: length, every: try takeDuration(after: "every")), column: start)
    case .number(let text) where following == .word("samples"):
      guard let count = Int(text) else { throw ExpressionProblem(start, "`\(text) samples` is no whole number") }
      index += 2
      return .window(.samples(count), column: start)
    case .word("tumbling"):
      index += 1
      let length = try takeDuration(after: "tumbling")
      return .window(.hopping(length: length, every: length), column: start)
    case .word("session"):
      index += 1
      return .window(.session(gap: try takeDuration(after: "session")), column: start)
    case .word("since"):
      index += 1
      guard takeWord("onset") != nil else { throw ExpressionProblem(column, "expected `onset` after `since`") }
      return .window(.sinceOnset, column: start)
    case .word(let word) where word.contains("-") || [.symbol(","), .symbol(")")].contains(following):
      index += 1
      return .word(word, column: start)
    default: break
    }
    return .expression(try or())
  }
}
