import VitalModel

/// One word of an expression's text.
enum ExpressionToken: Equatable {
  case number(String)
  case duration(Int64)
  case word(String)
  case parameter(String)
  /// What stands in brackets: a unit such as `mmol/L`.
  case unit(String)
  case symbol(String)
  case end

  var text: String {
    switch self {
    case .number(let text), .word(let text), .symbol(let text): "`\(text)`"
    case .duration(let value): "`\(DurationText.format(value))`"
    case .parameter(let name): "`$\(name)`"
    case .unit(let text): "`[\(text)]`"
    case .end: "end of the expression"
    }
  }
}

/// Text to tokens with their columns, 0-based, in characters.
struct ExpressionScanner {
  struct Item {
    var token: ExpressionToken
    var range: Range<Int>
  }

  private let characters: [Unicode.Scalar]
  private var at = 0
  private var items: [Item] = []
  static let lengthMax = 4000

  static func scan(_ text: String) throws(ExpressionProblem) -> [Item] {
    guard text.utf8.count <= lengthMax else {
      throw ExpressionProblem(0, "expression longer than \(lengthMax) characters")
    }
    var scanner = ExpressionScanner(text)
    while try scanner.next() {}
    scanner.items.append(Item(token: .end, range: scanner.characters.count..<scanner.characters.count))
    return scanner.items
  }

  private init(_ text: String) { characters = Array(text.unicodeScalars) }

  private func isDigit(_ c: Unicode.Scalar) -> Bool { c >= "0" && c <= "9" }
  private func isLetter(_ c: Unicode.Scalar) -> Bool { c >= "a" && c <= "z" || c >= "A" && c <= "Z" || c == "_" }
  private func text(_ range: Range<Int>) -> String {
    var text = String.UnicodeScalarView()
    text.append(contentsOf: characters[range])
    return String(text)
  }

  private mutating func add(_ token: ExpressionToken, from start: Int) {
    items.append(Item(token: token, range: start..<at))
  }

  private mutating func next() throws(ExpressionProblem) -> Bool {
    while at < characters.count, [" ", "\t", "\n", "\r"].contains(characters[at]) { at += 1 }
    guard at < characters.count else { return false }
    let start = at
    let first = characters[at]
    if isFreeWord, first != ")" {
      while at < characters.count,
        isLetter(characters[at]) || isDigit(characters[at]) || "-.:".unicodeScalars.contains(characters[at])
      {
        at += 1
      }
      if at > start {
        add(.word(text(start..<at)), from: start)
        return true
      }
    }
    if isDigit(first) {
      try number(from: start)
    } else if isLetter(first) || first == "$" {
      at += 1
      while at < characters.count,
        isLetter(characters[at]) || isDigit(characters[at]) || isHyphenInWord(start) || isOriginOf(first)
      {
        at += 1
      }
      let word = text(start..<at)
      add(first == "$" ? .parameter(String(word.dropFirst())) : .word(word), from: start)
    } else if first == "[" {
      try unit(from: start)
    } else {
      let two = at + 1 < characters.count ? text(at..<at + 2) : ""
      let symbol = ["<=", ">=", "==", "!="].contains(two) ? two : String(first)
      guard ["<", ">", "<=", ">=", "==", "!=", "+", "-", "*", "/", "(", ")", ",", "."].contains(symbol) else {
        throw ExpressionProblem(start, "unexpected character `\(symbol)`")
      }
      at += symbol.unicodeScalars.count
      add(.symbol(symbol), from: start)
    }
    return true
  }

  /// Names of flags and care units are free text: right behind `flag(` and `unit(` hyphens and digits belong to the word.
  private var isFreeWord: Bool {
    guard items.count >= 2, items[items.count - 1].token == .symbol("("), at < characters.count else { return false }
    let call = items[items.count - 2].token
    return call == .word("flag") && isLetter(characters[at]) || call == .word("unit")
  }

  private mutating func number(from start: Int) throws(ExpressionProblem) {
    while at < characters.count, isDigit(characters[at]) || characters[at] == "." { at += 1 }
    let digits = text(start..<at)
    let end = at
    while at < characters.count, isLetter(characters[at]) { at += 1 }
    guard at > end else { return add(.number(digits), from: start) }
    let whole = text(start..<at)
    guard let duration = DurationText.parse(whole) else {
      throw ExpressionProblem(start, "`\(whole)` is neither a number nor a duration (ms, s, m, h, d, w)")
    }
    add(.duration(duration), from: start)
  }

  /// Units hold brackets themselves: `90 [mm[Hg]]`.
  private mutating func unit(from start: Int) throws(ExpressionProblem) {
    var depth = 0
    while at < characters.count {
      if characters[at] == "[" { depth += 1 }
      if characters[at] == "]" { depth -= 1 }
      at += 1
      if depth == 0 { break }
    }
    guard depth == 0, at - start > 2 else {
      throw ExpressionProblem(start, "a unit is written in brackets behind its number, as in `3.9 [mmol/L]`")
    }
    add(.unit(text(start + 1..<at - 1)), from: start)
  }

  /// `hr@ecg2` is one word: a vital and the source of its series.
  private func isOriginOf(_ first: Unicode.Scalar) -> Bool {
    first != "$" && characters[at] == "@" && at + 1 < characters.count && isLetter(characters[at + 1])
  }

  /// A hyphen belongs to a word when a letter follows without space (`lead-off`), or a digit in a word that has one already
  /// (`spo2-scale-2`); so `$limit-2` stays a difference.
  private func isHyphenInWord(_ start: Int) -> Bool {
    guard characters[at] == "-", at + 1 < characters.count, characters[at - 1] != "-" else { return false }
    let next = characters[at + 1]
    if next >= "a" && next <= "z" || next >= "A" && next <= "Z" { return true }
    return isDigit(next) && characters[start..<at].contains("-")
  }
}
