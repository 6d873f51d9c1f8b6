/// A mapping under reading: it knows which keys it may have, and everything wrong with it is collected with its place.
///
/// ```swift
/// guard let rule = YAMLMapping(node, of: "rule", keys: ["id", "for"], &problems) else { return nil }
/// let id = rule.requiredString("id", &problems)
/// let hold = rule.read("for", as: "a duration such as 15s", &problems, DurationText.parse)
/// ```
package struct YAMLMapping: Sendable {
  package let node: YAMLNode
  /// What is being read, for messages (`rule`, `receiver ward-7`).
  package var subject: String
  private let index: [String: Int]
  private let list: [YAMLNode.Entry]

  /// - Parameter keys: the allowed ones; any other is a problem with a suggestion. nil: any.
  /// - Returns: nil, with a problem, if the node is not a mapping. Nothing at all counts as an empty mapping.
  package init?(_ node: YAMLNode, of subject: String, keys: [String]? = nil, _ problems: inout Problems) {
    self.node = node
    self.subject = subject
    switch node.content {
    case .mapping(let entries): list = entries
    case .null: list = []
    default:
      problems.add(node, "\(subject) must be a mapping (`key: value` lines), not \(node.kindText)")
      return nil
    }
    var index: [String: Int] = [:]
    for (position, entry) in list.enumerated() {
      let name = entry.key.scalar ?? ""
      index[name] = position
      guard let keys, !keys.contains(name) else { continue }
      problems.add(
        entry.key, "unknown key `\(name)` in \(subject)", suggestion: Suggestion.nearest(name, among: keys))
    }
    self.index = index
  }

  /// Every entry in the order written.
  package var entries: [YAMLNode.Entry] { list }

  package func has(_ key: String) -> Bool { index[key] != nil }

  /// The value of `key`, nil if absent; present without a value is a problem.
  package func value(_ key: String, _ problems: inout Problems) -> YAMLNode? {
    guard let position = index[key] else { return nil }
    let entry = list[position]
    if entry.value.isNull {
      problems.add(entry.key, "`\(key)` in \(subject) has no value")
      return nil
    }
    return entry.value
  }

  /// The place of `key` itself, or of the mapping if absent: where problems about it belong.
  package func place(of key: String) -> YAMLNode { index[key].map { list[$0].key } ?? node }

  package func requiredValue(_ key: String, _ problems: inout Problems) -> YAMLNode? {
    if index[key] == nil { problems.add(node, "\(subject) needs `\(key)`") }
    return value(key, &problems)
  }

  /// The text of `key`, nil if absent or, with a problem, if it is not text.
  package func string(_ key: String, _ problems: inout Problems) -> String? {
    value(key, &problems).flatMap { Self.text($0, of: key, &problems) }
  }

  package func requiredString(_ key: String, _ problems: inout Problems) -> String? {
    requiredValue(key, &problems).flatMap { Self.text($0, of: key, &problems) }
  }

  /// `key` read by `parse`; nil if absent or, with a problem that says `expected`, if `parse` refuses.
  package func read<Value>(
    _ key: String, as expected: String, _ problems: inout Problems, _ parse: (String) -> Value?
  ) -> Value? {
    value(key, &problems).flatMap { Self.parsed($0, of: key, as: expected, &problems, parse) }
  }

  package func requiredRead<Value>(
    _ key: String, as expected: String, _ problems: inout Problems, _ parse: (String) -> Value?
  ) -> Value? {
    requiredValue(key, &problems).flatMap { Self.parsed($0, of: key, as: expected, &problems, parse) }
  }

  /// A whole number in `range`.
  package func int(_ key: String, in range: ClosedRange<Int>, _ problems: inout Problems) -> Int? {
    read(key, as: "a whole number from \(range.lowerBound) to \(range.upperBound)", &problems) { text in
      Int(text).flatMap { range.contains($0) && !text.hasPrefix("+") ? $0 : nil }
    }
  }

  /// `true` or `false`, nothing else: `yes` and `on` mean different things to different readers.
  package func bool(_ key: String, _ problems: inout Problems) -> Bool? {
    read(key, as: "true or false", &problems) { $0 == "true" ? true : $0 == "false" ? false : nil }
  }

  /// One of a few words, with a suggestion for a near miss.
  package func word<Value>(_ key: String, _ words: [(String, Value)], _ problems: inout Problems) -> Value? {
    value(key, &problems).flatMap { Self.word($0, of: key, words, &problems) }
  }

  /// One of an enumeration's raw values.
  package func word<Value: RawRepresentable & CaseIterable>(
    _ key: String, _: Value.Type, _ problems: inout Problems
  ) -> Value? where Value.RawValue == String {
    word(key, Value.allCases.map { ($0.rawValue, $0) }, &problems)
  }

  /// The elements of a list, nil if absent. With `orSingle`, a single text counts as a list of one.
  package func list(_ key: String, orSingle: Bool = false, _ problems: inout Problems) -> [YAMLNode]? {
    guard let node = value(key, &problems) else { return nil }
    if let elements = node.elements { return elements }
    if orSingle, node.scalar != nil { return [node] }
    problems.add(node, "`\(key)` must be a list, not \(node.kindText)")
    return nil
  }

  /// A list of texts, nil if absent.
  package func strings(_ key: String, orSingle: Bool = false, _ problems: inout Problems) -> [String]? {
    guard let elements = list(key, orSingle: orSingle, &problems) else { return nil }
    var texts: [String] = []
    for element in elements {
      if let text = Self.text(element, of: key, &problems) { texts.append(text) }
    }
    return texts
  }

  /// A mapping inside, nil if absent.
  package func mapping(
    _ key: String, of subject: String? = nil, keys: [String]? = nil, _ problems: inout Problems
  ) -> YAMLMapping? {
    guard let node = value(key, &problems) else { return nil }
    return YAMLMapping(node, of: subject ?? key, keys: keys, &problems)
  }

  /// The text of one node, or nil with a problem.
  package static func text(_ node: YAMLNode, of key: String, _ problems: inout Problems) -> String? {
    guard let text = node.scalar else {
      problems.add(node, "`\(key)` must be text, not \(node.kindText)")
      return nil
    }
    return text
  }

  /// One node read by `parse`, or nil with a problem that says `expected`.
  package static func parsed<Value>(
    _ node: YAMLNode, of key: String, as expected: String, _ problems: inout Problems, _ parse: (String) -> Value?
  ) -> Value? {
    guard let text = node.scalar else {
      problems.add(node, "`\(key)` must be \(expected), not \(node.kindText)")
      return nil
    }
    guard let value = parse(text) else {
      problems.add(node, "`\(key)` must be \(expected), not `\(text)`")
      return nil
    }
    return value
  }

  /// One node that is one of a few words, or nil with a problem.
  package static func word<Value>(
    _ node: YAMLNode, of key: String, _ words: [(String, Value)], _ problems: inout Problems
  ) -> Value? {
    let names = words.map(\.0)
    let expected = "one of \(names.joined(separator: ", "))"
    guard let text = node.scalar else {
      problems.add(node, "`\(key)` must be \(expected), not \(node.kindText)")
      return nil
    }
    if let match = words.first(where: { $0.0 == text }) { return match.1 }
    problems.add(
      node, "`\(key)` must be \(expected), not `\(text)`", suggestion: Suggestion.nearest(text, among: names))
    return nil
  }
}
