import VitalModel
import YAMLText

/// A condition of a rule with its place.
struct RuleCondition {
  var checked: CheckedExpression
  var text: String
  var node: YAMLNode

  var program: Program { Program(instructions: checked.instructions, text: text) }

  /// Line and column, 1-based, of a character of a condition's text.
  static func place(_ column: Int, _ node: YAMLNode) -> (line: Int, column: Int) {
    var place = node.column + column
    if case .scalar(_, let style) = node.content, style != .plain { place += 1 }
    return (node.line, place)
  }

  func place(_ part: CheckedExpression) -> (line: Int, column: Int) { RuleCondition.place(part.range.lowerBound, node) }

  /// The characters of a part.
  func source(_ part: CheckedExpression) -> String {
    let scalars = Array(text.unicodeScalars)
    let range = part.range.clamped(to: 0..<scalars.count)
    var view = String.UnicodeScalarView()
    view.append(contentsOf: scalars[range])
    return String(view).split(whereSeparator: \.isWhitespace).joined(separator: " ")
  }
}

/// The checked conditions of one rule.
struct RuleConditions {
  var when: RuleCondition?
  var clear: RuleCondition?
  var bypass: RuleCondition?
  var raises: [RuleCondition] = []
  var supported: RuleCondition?
  var unsupported: RuleCondition?
  var gates: [RuleCondition] = []
  var confirm: RuleCondition?
  /// What adapted parameters follow: numbers, not conditions.
  var adaptations: [RuleCondition] = []

  var all: [(key: String, condition: RuleCondition)] {
    var list: [(String, RuleCondition)] = []
    if let when { list.append(("when", when)) }
    if let clear { list.append(("clear", clear)) }
    if let bypass { list.append(("bypass", bypass)) }
    if let supported { list.append(("supported", supported)) }
    if let unsupported { list.append(("unsupported", unsupported)) }
    list += raises.map { ("raise", $0) } + gates.map { ("gate", $0) }
    if let confirm { list.append(("confirm", confirm)) }
    return list + adaptations.map { ("adapt", $0) }
  }
}

extension RuleReader {
  /// Reads `when`, `clear`, `bypass` and `raise` into the rule.
  func readConditions(
    _ map: YAMLMapping, _ rule: inout RuleDefinition, _ checker: inout ExpressionChecker, _ problems: inout Problems
  ) -> RuleConditions {
    var found = RuleConditions()
    if let node = map.requiredValue("when", &problems), let when = condition(node, .when, &checker, &problems) {
      found.when = when
      rule.when = when.program
    }
    if let node = map.value("clear", &problems) {
      if node.scalar != nil {
        found.clear = condition(node, .clear, &checker, &problems)
      } else if let block = YAMLMapping(node, of: "clear", keys: ["when", "for"], &problems) {
        if let inner = block.requiredValue("when", &problems) {
          found.clear = condition(inner, .clear, &checker, &problems)
        }
        rule.clearFor = duration(block, "for", rule, checker.parameterTypes, &problems)?.value ?? 0
      }
      rule.clear = found.clear?.program
    }
    readBypass(map, &rule, &checker, &found, &problems)
    for node in raises(map, &problems) {
      guard let raise = raise(node, rule, &checker, &problems) else { continue }
      found.raises.append(raise.condition)
      rule.raises.append(PriorityRaise(when: raise.condition.program, to: raise.priority))
    }
    return found
  }

  private func readBypass(
    _ map: YAMLMapping, _ rule: inout RuleDefinition, _ checker: inout ExpressionChecker,
    _ found: inout RuleConditions, _ problems: inout Problems
  ) {
    guard let node = map.value("bypass", &problems) else { return }
    var text = node
    if node.scalar == nil {
      guard let block = YAMLMapping(node, of: "bypass", keys: ["when", "priority"], &problems),
        let inner = block.requiredValue("when", &problems)
      else { return }
      text = inner
      rule.bypassPriority = block.word("priority", RuleReader.priorities, &problems) ?? .high
    }
    guard let bypass = condition(text, .bypass, &checker, &problems) else { return }
    found.bypass = bypass
    rule.bypass = bypass.program
    rule.bypassLimit = bypass.checked.limit.map { Program(instructions: $0.instructions, text: "") }
  }

  static let priorities = Priority.allCases.map { ($0.text, $0) }

  private func raises(_ map: YAMLMapping, _ problems: inout Problems) -> [YAMLNode] {
    guard let node = map.value("raise", &problems) else { return [] }
    return node.elements ?? [node]
  }

  /// `any(resp > 24, hr > 110) within 5m -> high`, or `{ when: ..., to: high }`.
  private func raise(
    _ node: YAMLNode, _ rule: RuleDefinition, _ checker: inout ExpressionChecker, _ problems: inout Problems
  ) -> (condition: RuleCondition, priority: Priority)? {
    var conditionNode = node
    var priority: Priority?
    var place = node
    if let text = node.scalar {
      guard let arrow = text.lastRange(of: "->") else {
        problems.add(node, "`raise` needs `-> PRIORITY` at its end, as in `hr > 110 -> high`")
        return nil
      }
      let word = text[arrow.upperBound...].trimmed
      guard let found = Priority(text: word) else {
        let names = RuleReader.priorities.map(\.0)
        problems.add(
          node, "`raise` must end in one of \(names.joined(separator: ", ")), not `\(word)`",
          suggestion: Suggestion.nearest(word, among: names))
        return nil
      }
      priority = found
      if case .scalar(_, let style) = node.content {
        let body = text[..<arrow.lowerBound]
        let end = body.lastIndex { !$0.isWhitespace }.map { body.index(after: $0) } ?? body.startIndex
        conditionNode.content = .scalar(String(body[..<end]), style)
      }
    } else {
      guard let block = YAMLMapping(node, of: "raise", keys: ["when", "to"], &problems),
        let inner = block.requiredValue("when", &problems), let to = block.requiredValue("to", &problems),
        let found = YAMLMapping.word(to, of: "to", RuleReader.priorities, &problems)
      else { return nil }
      conditionNode = inner
      priority = found
      place = to
    }
    guard let priority, let condition = condition(conditionNode, .raise, &checker, &problems) else { return nil }
    if priority <= rule.priority {
      problems.add(
        place, "a raise to \(priority.text) does not raise a rule of priority \(rule.priority.text)")
      return nil
    }
    return (condition, priority)
  }

  /// - Parameter type: of a number; nil: a condition.
  func condition(
    _ node: YAMLNode, _ place: ExpressionChecker.Place, like type: ValueType? = nil,
    _ checker: inout ExpressionChecker, _ problems: inout Problems
  ) -> RuleCondition? {
    guard let text = YAMLMapping.text(node, of: place.rawValue, &problems) else { return nil }
    do throws(ExpressionProblem) {
      let checked: CheckedExpression
      if let type {
        checked = try checker.number(text, place, like: type)
      } else {
        checked = try checker.condition(text, place)
      }
      return RuleCondition(checked: checked, text: text, node: node)
    } catch {
      let (line, column) = RuleCondition.place(error.column, node)
      problems.add(line: line, column: column, error.message, suggestion: error.suggestion)
      return nil
    }
  }

  /// `{ age: ">=16y", unless: [palliative], units: [ward-7] }` as a condition over what the roster knows.
  func applies(_ map: YAMLMapping, _ problems: inout Problems) -> Program? {
    guard let block = map.mapping("applies", keys: RuleKeys.applies.map(\.key), &problems) else { return nil }
    var code: [Instruction] = []
    var texts: [String] = []
    func join(_ text: String) {
      if !texts.isEmpty { code.append(.and) }
      texts.append(text)
    }
    if let node = block.value("age", &problems),
      let bounds = YAMLMapping.parsed(
        node, of: "age", as: "an age such as `>=16y` or `>=3mo <12mo`", &problems, AgeBound.parse)
    {
      for bound in bounds {
        code += [.attribute(bound.isMonths ? .ageMonths : .age), .constant(Double(bound.number)), bound.instruction]
        join("age \(bound.text)")
      }
      if AgeBound.isEmpty(bounds) { problems.add(node, "no age is \(node.scalar ?? "")") }
    }
    let unless = flags("unless", block, &problems)
    for flag in unless {
      code += [.attribute(.flag(flag)), .not]
      join("not \(flag)")
    }
    for flag in flags("only", block, &problems) {
      if unless.contains(flag) {
        problems.add(block.place(of: "only"), "no patient is left: `\(flag)` is in `only` and in `unless`")
      }
      code.append(.attribute(.flag(flag)))
      join(flag)
    }
    let units = block.strings("units", orSingle: true, &problems) ?? []
    for (index, unit) in units.enumerated() {
      code.append(.attribute(.unit(unit)))
      if index > 0 { code.append(.or) }
    }
    if !units.isEmpty { join("unit " + units.joined(separator: " or ")) }
    return code.isEmpty ? nil : Program(instructions: code, text: texts.joined(separator: " and "))
  }

  private func flags(_ key: String, _ block: YAMLMapping, _ problems: inout Problems) -> [String] {
    (block.list(key, orSingle: true, &problems) ?? []).compactMap { node in
      guard let flag = YAMLMapping.text(node, of: key, &problems) else { return nil }
      KnownFlags.check(flag, node, among: knownFlags, &problems)
      return flag
    }
  }

  // MARK: Times

  func readTimes(
    _ map: YAMLMapping, _ rule: inout RuleDefinition, _ types: [ValueType], _ problems: inout Problems
  ) {
    let hold = duration(map, "for", rule, types, &problems)
    rule.hold = hold?.value ?? 0
    rule.holdParameter = hold?.parameter
    // The default of SEMANTICS D1; a physiological rule must say its own.
    rule.maxHold = duration(map, "max_hold", rule, types, &problems)?.value ?? 4 * rule.hold
    rule.refractory = duration(map, "refractory", rule, types, &problems)?.value ?? 0
  }

  func duration(
    _ map: YAMLMapping, _ key: String, _ rule: RuleDefinition, _ types: [ValueType], _ problems: inout Problems
  ) -> (value: Int64, parameter: Int?)? {
    guard let node = map.value(key, &problems) else { return nil }
    guard let text = YAMLMapping.text(node, of: key, &problems) else { return nil }
    if text.hasPrefix("$") {
      let name = String(text.dropFirst())
      guard let index = rule.parameterIndex(name) else {
        problems.add(
          node, "unknown parameter `\(text)`",
          suggestion: Suggestion.nearest(name, among: rule.parameters.map(\.name)).map { "$" + $0 })
        return nil
      }
      let parameter = rule.parameters[index]
      guard parameter.cases.isEmpty, let value = parameter.value.scaled(toExponent: 0), value >= 0,
        value <= 3_155_760_000_000
      else {
        problems.add(node, "`\(key)` needs one duration: `\(text)` is negative or differs between patients")
        return nil
      }
      if types[index] != .duration {
        problems.add(node, "`\(key)` needs a duration: give `\(name)` as one, as in `15s`")
        return nil
      }
      return (value, index)
    }
    guard let value = DurationText.parse(text) else {
      problems.add(node, "`\(key)` must be a duration such as `15s`, not `\(text)`")
      return nil
    }
    return (value, nil)
  }

  /// What SEMANTICS D3 refuses.
  func checkSafety(_ map: YAMLMapping, _ rule: RuleDefinition, _ problems: inout Problems) {
    let longest = max(rule.hold, rule.holdParameter.flatMap { rule.parameters[$0].highest?.scaled(toExponent: 0) } ?? 0)
    if rule.kind == .physiological, longest > 0 {
      if !map.has("bypass") {
        problems.add(map.place(of: "for"), "a delay needs a `bypass` limit that acts at once")
      }
      if !map.has("max_hold") {
        problems.add(map.place(of: "for"), "a delay needs `max_hold`, the window in which short breaches add up")
      }
    }
    if map.has("max_hold"), rule.maxHold < rule.hold {
      problems.add(map.place(of: "max_hold"), "`max_hold` is shorter than `for`")
    } else if map.has("max_hold"), rule.maxHold < longest {
      problems.add(
        map.place(of: "max_hold"), "`max_hold` is shorter than `for` may be set: \(DurationText.format(longest))")
    }
    if let clear = rule.clear, clear.instructions == rule.when.instructions, !clear.instructions.isEmpty {
      problems.add(map.place(of: "clear"), "`clear` is `when` itself, so the alert could never end")
    }
    if rule.scope == .patient, rule.score == nil, rule.codes.isEmpty, !rule.when.instructions.isEmpty {
      problems.add(map.place(of: "when"), "`when` reads no vital, so nothing would ever make it be judged")
    }
    if rule.scope == .everySeries, !rule.when.instructions.isEmpty, rule.features.isEmpty {
      problems.add(map.place(of: "when"), "a rule with `each: series` needs `stale()` or `status(...)`")
    }
    if rule.bypass != nil, rule.bypassPriority < rule.priority {
      problems.add(map.place(of: "bypass"), "a bypass may raise the priority, never lower it")
    }
    if rule.kind == .technical, rule.score != nil {
      problems.add(map.place(of: "when"), "a technical rule cannot read a score")
    }
  }
}

/// One end of an age range.
struct AgeBound {
  var instruction: Instruction
  var number: Int
  var isMonths: Bool
  var text: String

  /// One or two bounds: `>=16y`, `<3mo`, `>=3mo <12mo`.
  static func parse(_ text: String) -> [AgeBound]? {
    let parts = text.split(separator: " ")
    // `>= 16y` with a space is one bound.
    var words: [String] = []
    for part in parts {
      if let last = words.last, !last.contains(where: \.isNumber) {
        words[words.count - 1] = last + part
      } else {
        words.append(String(part))
      }
    }
    guard words.count == 1 || words.count == 2 else { return nil }
    var bounds: [AgeBound] = []
    for word in words {
      guard let bound = one(word) else { return nil }
      bounds.append(bound)
    }
    return bounds
  }

  private static func one(_ text: String) -> AgeBound? {
    let operators: [(String, Instruction)] = [
      (">=", .greaterOrEqual), ("<=", .lessOrEqual), (">", .greater), ("<", .less),
    ]
    for (symbol, instruction) in operators where text.hasPrefix(symbol) {
      let rest = text.dropFirst(symbol.count)
      let isMonths = rest.hasSuffix("mo")
      guard isMonths || rest.hasSuffix("y"), let number = Int(rest.dropLast(isMonths ? 2 : 1)),
        (0...(isMonths ? 1560 : 130)).contains(number)
      else { return nil }
      return AgeBound(instruction: instruction, number: number, isMonths: isMonths, text: text)
    }
    return nil
  }

  /// Whether no completed month of age satisfies every bound.
  static func isEmpty(_ bounds: [AgeBound]) -> Bool {
    !(0...1600).contains { months in
      bounds.allSatisfy { bound in
        let age = bound.isMonths ? months : months / 12
        switch bound.instruction {
        case .less: return age < bound.number
        case .lessOrEqual: return age <= bound.number
        case .greater: return age > bound.number
        default: return age >= bound.number
        }
      }
    }
  }
}

extension StringProtocol {
  /// Without blanks at both ends.
  var trimmed: String {
    let start = drop { $0.isWhitespace }
    guard let last = start.lastIndex(where: { !$0.isWhitespace }) else { return "" }
    return String(start[...last])
  }

  /// The last place of a short text.
  func lastRange(of text: String) -> Range<Index>? {
    var found: Range<Index>?
    var at = startIndex
    while at < endIndex {
      if self[at...].hasPrefix(text) { found = at..<index(at, offsetBy: text.count) }
      at = index(after: at)
    }
    return found
  }
}
