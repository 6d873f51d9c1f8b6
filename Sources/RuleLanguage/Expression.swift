import VitalModel
import YAMLText

/// A parsed expression before it becomes a program: typed, with columns for messages.
indirect enum Expression {
  case number(Double, column: Int)
  case parameter(String, column: Int)
  case name(String, column: Int)
  case call(String, [Argument], column: Int)
  case member(Expression, String, column: Int)
  case unary(Instruction, Expression, column: Int)
  case binary(Instruction, Expression, Expression, column: Int)

  enum Argument {
    case expression(Expression)
    case duration(Int64, column: Int)
    case word(String, column: Int)
  }

  var column: Int {
    switch self {
    case .number(_, let c), .parameter(_, let c), .name(_, let c), .call(_, _, let c), .member(_, _, let c),
      .unary(_, _, let c), .binary(_, _, _, let c):
      c
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

/// Text to expression tree: `or` < `and` < `not` < comparison < `+ -` < `* /` < unary minus.
struct ExpressionParser {
  private enum Token: Equatable {
    case number(String)
    case duration(Int64)
    case word(String)
    case parameter(String)
    case symbol(String)
    case end
  }

  private var tokens: [(token: Token, column: Int)] = []
  private var index = 0
  private var depth = 0
  /// Nesting deeper than this is refused, so that no text can exhaust the stack.
  static let depthMax = 60

  static func parse(_ text: String) throws(ExpressionProblem) -> Expression {
    var parser = ExpressionParser()
    try parser.scan(text)
    let tree = try parser.or()
    let rest = parser.tokens[parser.index]
    guard rest.token == .end else { throw ExpressionProblem(rest.column, "unexpected \(describe(rest.token))") }
    return tree
  }

  private mutating func scan(_ text: String) throws(ExpressionProblem) {
    let bytes = Array(text.utf8)
    guard bytes.count <= 4000 else { throw ExpressionProblem(0, "expression longer than 4000 characters") }
    var at = 0
    func isDigit(_ b: UInt8) -> Bool { b >= 48 && b <= 57 }
    func isLetter(_ b: UInt8) -> Bool { (b | 32 >= 97 && b | 32 <= 122) || b == UInt8(ascii: "_") }
    while at < bytes.count {
      let start = at
      let byte = bytes[at]
      if byte == 32 || byte == 9 || byte == 10 {
        at += 1
      } else if isDigit(byte) {
        while at < bytes.count, isDigit(bytes[at]) || bytes[at] == UInt8(ascii: ".") { at += 1 }
        let number = at
        while at < bytes.count, isLetter(bytes[at]) { at += 1 }
        let digits = String(decoding: bytes[start..<number], as: UTF8.self)
        if at > number {
          let whole = String(decoding: bytes[start..<at], as: UTF8.self)
          guard let duration = DurationText.parse(whole) else {
            throw ExpressionProblem(start, "`\(whole)` is neither a number nor a duration (ms, s, m, h, d, w)")
          }
          tokens.append((.duration(duration), start))
        } else {
          tokens.append((.number(digits), start))
        }
      } else if isLetter(byte) || byte == UInt8(ascii: "$") {
        at += 1
        while at < bytes.count, isLetter(bytes[at]) || isDigit(bytes[at]) || isHyphenInWord(bytes, start, at) {
          at += 1
        }
        let word = String(decoding: bytes[start..<at], as: UTF8.self)
        tokens.append((word.hasPrefix("$") ? .parameter(String(word.dropFirst())) : .word(word), start))
      } else {
        let two = at + 1 < bytes.count ? String(decoding: bytes[at...at + 1], as: UTF8.self) : ""
        let symbol = ["<=", ">=", "==", "!="].contains(two) ? two : String(decoding: [byte], as: UTF8.self)
        guard ["<", ">", "<=", ">=", "==", "!=", "+", "-", "*", "/", "(", ")", ",", "."].contains(symbol) else {
          throw ExpressionProblem(start, "unexpected character `\(symbol)`")
        }
        tokens.append((.symbol(symbol), start))
        at += symbol.utf8.count
      }
    }
    tokens.append((.end, bytes.count))
  }

  /// A hyphen belongs to a word when a letter follows without space (`lead-off`), or a digit in a word that has one already
  /// (`spo2-scale-2`); so `$limit-2` stays a difference.
  private func isHyphenInWord(_ bytes: [UInt8], _ start: Int, _ at: Int) -> Bool {
    guard bytes[at] == UInt8(ascii: "-"), at + 1 < bytes.count, bytes[at - 1] != bytes[at] else { return false }
    let next = bytes[at + 1]
    if next | 32 >= 97 && next | 32 <= 122 { return true }
    return next >= 48 && next <= 57 && bytes[start..<at].contains(UInt8(ascii: "-"))
  }

  private static func describe(_ token: Token) -> String {
    switch token {
    case .number(let text), .word(let text), .symbol(let text): "`\(text)`"
    case .duration(let value): "`\(DurationText.format(value))`"
    case .parameter(let name): "`$\(name)`"
    case .end: "end of the expression"
    }
  }

  private mutating func take(_ symbol: String) -> Bool {
    guard tokens[index].token == .symbol(symbol) else { return false }
    index += 1
    return true
  }

  private mutating func takeWord(_ word: String) -> Int? {
    guard tokens[index].token == .word(word) else { return nil }
    index += 1
    return tokens[index - 1].column
  }

  private mutating func or() throws(ExpressionProblem) -> Expression {
    depth += 1
    defer { depth -= 1 }
    guard depth < ExpressionParser.depthMax else { throw ExpressionProblem(tokens[index].column, "nested too deeply") }
    var left = try and()
    while let column = takeWord("or") { left = .binary(.or, left, try and(), column: column) }
    return left
  }

  private mutating func and() throws(ExpressionProblem) -> Expression {
    var left = try not()
    while let column = takeWord("and") { left = .binary(.and, left, try not(), column: column) }
    return left
  }

  private mutating func not() throws(ExpressionProblem) -> Expression {
    if let column = takeWord("not") {
      depth += 1
      defer { depth -= 1 }
      guard depth < ExpressionParser.depthMax else { throw ExpressionProblem(column, "nested too deeply") }
      return .unary(.not, try not(), column: column)
    }
    return try comparison()
  }

  private mutating func comparison() throws(ExpressionProblem) -> Expression {
    let left = try sum()
    let operators: [(String, Instruction)] = [
      ("<", .less), ("<=", .lessOrEqual), (">", .greater), (">=", .greaterOrEqual), ("==", .equal), ("!=", .notEqual),
    ]
    for (symbol, instruction) in operators {
      let column = tokens[index].column
      if take(symbol) { return .binary(instruction, left, try sum(), column: column) }
    }
    return left
  }

  private mutating func sum() throws(ExpressionProblem) -> Expression {
    var left = try product()
    while true {
      let column = tokens[index].column
      if take("+") {
        left = .binary(.add, left, try product(), column: column)
      } else if take("-") {
        left = .binary(.subtract, left, try product(), column: column)
      } else {
        return left
      }
    }
  }

  private mutating func product() throws(ExpressionProblem) -> Expression {
    var left = try unary()
    while true {
      let column = tokens[index].column
      if take("*") {
        left = .binary(.multiply, left, try unary(), column: column)
      } else if take("/") {
        left = .binary(.divide, left, try unary(), column: column)
      } else {
        return left
      }
    }
  }

  private mutating func unary() throws(ExpressionProblem) -> Expression {
    let column = tokens[index].column
    guard take("-") else { return try postfix() }
    depth += 1
    defer { depth -= 1 }
    guard depth < ExpressionParser.depthMax else { throw ExpressionProblem(column, "nested too deeply") }
    return .unary(.negate, try unary(), column: column)
  }

  private mutating func postfix() throws(ExpressionProblem) -> Expression {
    var value = try primary()
    while take(".") {
      let (token, column) = tokens[index]
      guard case .word(let name) = token else { throw ExpressionProblem(column, "expected a name after `.`") }
      index += 1
      value = .member(value, name, column: column)
    }
    return value
  }

  private mutating func primary() throws(ExpressionProblem) -> Expression {
    let (token, column) = tokens[index]
    index += 1
    switch token {
    case .number(let text):
      guard let value = DecimalValue(text) else { throw ExpressionProblem(column, "`\(text)` is not a number") }
      return .number(value.double, column: column)
    case .parameter(let name): return .parameter(name, column: column)
    case .word(let name):
      guard take("(") else { return .name(name, column: column) }
      return .call(name, try arguments(), column: column)
    case .symbol("("):
      let inner = try or()
      guard take(")") else { throw ExpressionProblem(tokens[index].column, "expected `)`") }
      return inner
    case .duration(let value):
      throw ExpressionProblem(column, "a duration (`\(DurationText.format(value))`) is only allowed as a window")
    case .symbol, .end:
      index -= 1
      throw ExpressionProblem(column, "expected a value, found \(ExpressionParser.describe(token))")
    }
  }

  private mutating func arguments() throws(ExpressionProblem) -> [Expression.Argument] {
    var list: [Expression.Argument] = []
    if take(")") { return list }
    while true {
      let (token, column) = tokens[index]
      if case .duration(let value) = token {
        index += 1
        list.append(.duration(value, column: column))
      } else if case .word(let word) = token, word.contains("-") {
        index += 1
        list.append(.word(word, column: column))
      } else {
        list.append(.expression(try or()))
      }
      if take(")") { return list }
      guard take(",") else { throw ExpressionProblem(tokens[index].column, "expected `,` or `)`") }
    }
  }
}
