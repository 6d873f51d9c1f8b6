import VitalModel
import YAMLText

/// One rule as its file gives it: read, checked, not yet adapted by a set.
struct RuleReader {
  let registry: VitalRegistry
  let scores: [ScoreDefinition]

  static let keys = [
    "rule", "title", "source", "rationale", "applies", "kind", "priority", "mode", "each", "parameters", "when", "for",
    "clear", "bypass", "max_hold", "refractory", "hold_last", "message", "tests",
  ]

  /// What a set changes about a rule.
  struct Adaptation {
    var parameters: [String: (value: DecimalValue, node: YAMLNode)] = [:]
    /// The set's file: where mistakes in ``parameters`` are.
    var file = ""
    var mode: RuleMode?
    var priority: Priority?
  }

  /// - Returns: nil when something was wrong; the problems say what.
  func read(_ node: YAMLNode, adapted: Adaptation, _ problems: inout Problems) -> RuleDefinition? {
    let before = problems.all.count
    guard let map = YAMLMapping(node, of: "a rule", keys: RuleReader.keys, &problems) else { return nil }
    var rule = RuleDefinition()
    rule.id = map.requiredString("rule", &problems) ?? ""
    if !rule.id.isEmpty, !rule.id.allSatisfy({ $0.isASCII && ($0.isLowercase || $0.isNumber || $0 == "-") }) {
      problems.add(map.place(of: "rule"), "a rule's id is lower-case letters, digits and hyphens, not `\(rule.id)`")
    }
    rule.title = map.requiredString("title", &problems) ?? ""
    rule.source = map.requiredString("source", &problems) ?? ""
    rule.rationale = map.string("rationale", &problems) ?? ""
    rule.kind = map.word("kind", AlertKind.self, &problems) ?? .physiological
    rule.mode = adapted.mode ?? map.word("mode", RuleMode.self, &problems) ?? .live
    let priorities = Priority.allCases.map { ($0.text, $0) }
    let own = map.requiredValue("priority", &problems).flatMap {
      YAMLMapping.word($0, of: "priority", priorities, &problems)
    }
    rule.priority = adapted.priority ?? own ?? .medium
    rule.holdLast = map.bool("hold_last", &problems) ?? true
    let each = map.word("each", [("series", true)], &problems) ?? false
    rule.parameters = parameters(map, adapted, &problems)
    var checker = ExpressionChecker(
      registry: registry, scores: scores, parameters: rule.parameters, eachSeries: each)
    readConditions(map, &rule, &checker, &problems)
    rule.applies = applies(map, &problems)
    readTimes(map, &rule, &problems)
    rule.features = checker.features
    rule.score = checker.score
    rule.scope = scope(rule, each: each)
    rule.message = message(map, rule, &problems)
    checkSafety(map, rule, &problems)
    guard problems.all.count == before else { return nil }
    rule.canonicalText = RuleText.canonical(rule, registry: registry, scores: scores)
    return rule
  }

  private func scope(_ rule: RuleDefinition, each: Bool) -> RuleScope {
    if each { return .everySeries }
    let codes = rule.codes
    return codes.count == 1 && rule.score == nil ? .series(codes[0]) : .patient
  }

  // MARK: Parameters

  private func parameters(
    _ map: YAMLMapping, _ adapted: Adaptation, _ problems: inout Problems
  ) -> [RuleParameter] {
    var list: [RuleParameter] = []
    if let block = map.mapping("parameters", &problems) {
      for entry in block.entries {
        guard let name = entry.key.scalar else { continue }
        if let parameter = parameter(name, entry.value, adapted, &problems) { list.append(parameter) }
      }
    }
    for (name, change) in adapted.parameters.sorted(by: { $0.key < $1.key })
    where !list.contains(where: { $0.name == name }) {
      problems.add(
        TextProblem(
          file: adapted.file, line: change.node.line, column: change.node.column,
          message: "the rule has no parameter `\(name)`",
          suggestion: Suggestion.nearest(name, among: list.map(\.name))))
    }
    return list
  }

  private func parameter(
    _ name: String, _ node: YAMLNode, _ adapted: Adaptation, _ problems: inout Problems
  ) -> RuleParameter? {
    let keys = ["default", "min", "max", "unit", "when"]
    guard let map = YAMLMapping(node, of: "parameter `\(name)`", keys: keys, &problems) else { return nil }
    let unit = map.string("unit", &problems) ?? ""
    func number(_ key: String, _ problems: inout Problems) -> DecimalValue? {
      guard let value = map.value(key, &problems) else { return nil }
      return YAMLMapping.parsed(value, of: key, as: "a number or a duration", &problems, RuleReader.quantity)
    }
    guard map.requiredValue("default", &problems) != nil, let standard = number("default", &problems) else {
      return nil
    }
    let lowest = number("min", &problems)
    let highest = number("max", &problems)
    if let lowest, let highest, lowest.double > highest.double {
      problems.add(map.place(of: "min"), "`min` \(lowest) is above `max` \(highest)")
    }
    let value = adapted.parameters[name]?.value ?? standard
    let place = adapted.parameters[name]?.node ?? map.place(of: "default")
    func checkBounds(_ value: DecimalValue, _ place: YAMLNode, _ file: String, _ problems: inout Problems) {
      func add(_ message: String) {
        problems.add(TextProblem(file: file, line: place.line, column: place.column, message: message))
      }
      if let lowest, value.double < lowest.double { add("`\(name)` \(value) is below its own minimum \(lowest)") }
      if let highest, value.double > highest.double { add("`\(name)` \(value) is above its own maximum \(highest)") }
    }
    checkBounds(value, place, adapted.parameters[name] == nil ? problems.file : adapted.file, &problems)
    var cases: [ParameterCase] = []
    for element in map.list("when", &problems) ?? [] {
      guard let one = YAMLMapping(element, of: "a case of `\(name)`", keys: ["flag", "value"], &problems),
        let flag = one.requiredString("flag", &problems), let node = one.requiredValue("value", &problems),
        let other = YAMLMapping.parsed(
          node, of: "value", as: "a number or a duration", &problems, RuleReader.quantity)
      else { continue }
      checkBounds(other, node, problems.file, &problems)
      cases.append(ParameterCase(flag: flag, value: other))
    }
    return RuleParameter(
      name: name, value: value, lowest: lowest, highest: highest, unit: unit, cases: cases)
  }

  /// A decimal, or a duration in milliseconds.
  static func quantity(_ text: String) -> DecimalValue? {
    if let value = DecimalValue(text) { return value }
    return DurationText.parse(text).map { DecimalValue(mantissa: $0) }
  }

  // MARK: Conditions

  private func readConditions(
    _ map: YAMLMapping, _ rule: inout RuleDefinition, _ checker: inout ExpressionChecker, _ problems: inout Problems
  ) {
    if let node = map.requiredValue("when", &problems) {
      rule.when = condition(node, "when", &checker, &problems)?.program ?? rule.when
    }
    if let node = map.value("clear", &problems) {
      if node.scalar != nil {
        rule.clear = condition(node, "clear", &checker, &problems)?.program
      } else if let block = YAMLMapping(node, of: "clear", keys: ["when", "for"], &problems) {
        if let inner = block.requiredValue("when", &problems) {
          rule.clear = condition(inner, "clear", &checker, &problems)?.program
        }
        rule.clearFor = duration(block, "for", rule, &problems) ?? 0
      }
    }
    guard let node = map.value("bypass", &problems) else { return }
    var text = node
    if node.scalar == nil {
      guard let block = YAMLMapping(node, of: "bypass", keys: ["when", "priority"], &problems) else { return }
      guard let inner = block.requiredValue("when", &problems) else { return }
      text = inner
      let priorities = Priority.allCases.map { ($0.text, $0) }
      rule.bypassPriority = block.word("priority", priorities, &problems) ?? .high
    }
    if let found = condition(text, "bypass", &checker, &problems) {
      rule.bypass = found.program
      rule.bypassLimit = found.limit
    }
  }

  private func condition(
    _ node: YAMLNode, _ key: String, _ checker: inout ExpressionChecker, _ problems: inout Problems
  ) -> (program: Program, limit: Program?)? {
    guard let text = YAMLMapping.text(node, of: key, &problems) else { return nil }
    do throws(ExpressionProblem) {
      return try checker.condition(text)
    } catch {
      var column = node.column + error.column
      if case .scalar(_, let style) = node.content, style != .plain { column += 1 }
      problems.add(line: node.line, column: column, error.message, suggestion: error.suggestion)
      return nil
    }
  }

  /// `{ age: ">=16y", unless: [palliative] }` as a condition over what the roster knows.
  private func applies(_ map: YAMLMapping, _ problems: inout Problems) -> Program? {
    guard let block = map.mapping("applies", keys: ["age", "unless", "only"], &problems) else { return nil }
    var code: [Instruction] = []
    var texts: [String] = []
    func join(_ text: String) {
      if !texts.isEmpty { code.append(.and) }
      texts.append(text)
    }
    if let node = block.value("age", &problems) {
      let parsed = YAMLMapping.parsed(node, of: "age", as: "an age such as `>=16y`", &problems, RuleReader.age)
      if let (instruction, years) = parsed {
        code += [.attribute(.age), .constant(Double(years)), instruction]
        join("age \(node.scalar ?? "")")
      }
    }
    for flag in block.strings("unless", orSingle: true, &problems) ?? [] {
      code += [.attribute(.flag(flag)), .not]
      join("not \(flag)")
    }
    for flag in block.strings("only", orSingle: true, &problems) ?? [] {
      code.append(.attribute(.flag(flag)))
      join(flag)
    }
    return code.isEmpty ? nil : Program(instructions: code, text: texts.joined(separator: " and "))
  }

  static func age(_ text: String) -> (Instruction, Int)? {
    let operators: [(String, Instruction)] = [
      (">=", .greaterOrEqual), ("<=", .lessOrEqual), (">", .greater), ("<", .less),
    ]
    for (symbol, instruction) in operators where text.hasPrefix(symbol) {
      let rest = text.dropFirst(symbol.count).drop { $0 == " " }
      guard rest.hasSuffix("y"), let years = Int(rest.dropLast()), (0...130).contains(years) else { return nil }
      return (instruction, years)
    }
    return nil
  }

  // MARK: Times and message

  private func readTimes(_ map: YAMLMapping, _ rule: inout RuleDefinition, _ problems: inout Problems) {
    rule.hold = duration(map, "for", rule, &problems) ?? 0
    // The default of SEMANTICS D1; a physiological rule must say its own.
    rule.maxHold = duration(map, "max_hold", rule, &problems) ?? 4 * rule.hold
    rule.refractory = duration(map, "refractory", rule, &problems) ?? 0
  }

  private func duration(
    _ map: YAMLMapping, _ key: String, _ rule: RuleDefinition, _ problems: inout Problems
  ) -> Int64? {
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
      guard parameter.cases.isEmpty, let value = parameter.value.scaled(toExponent: 0), value >= 0 else {
        problems.add(node, "`\(key)` needs one duration: `\(text)` is negative or differs between patients")
        return nil
      }
      return value
    }
    guard let value = DurationText.parse(text) else {
      problems.add(node, "`\(key)` must be a duration such as `15s`, not `\(text)`")
      return nil
    }
    return value
  }

  private func message(
    _ map: YAMLMapping, _ rule: RuleDefinition, _ problems: inout Problems
  ) -> [MessagePiece] {
    guard let node = map.requiredValue("message", &problems),
      let text = YAMLMapping.text(node, of: "message", &problems)
    else { return [] }
    let names: [(String, MessagePiece)] = [
      ("value", .value), ("limit", .limit), ("duration", .duration), ("trend", .trend), ("code", .code),
      ("device", .device), ("missing", .missing), ("total", .total), ("unit", .unit),
    ]
    var pieces: [MessagePiece] = []
    var rest = text[...]
    while let open = rest.firstIndex(of: "{") {
      if open > rest.startIndex { pieces.append(.text(String(rest[..<open]))) }
      guard let close = rest[open...].firstIndex(of: "}") else {
        problems.add(node, "`{` without `}` in the message")
        return pieces
      }
      let name = String(rest[rest.index(after: open)..<close])
      if let piece = names.first(where: { $0.0 == name })?.1 {
        pieces.append(piece)
      } else {
        problems.add(
          node, "unknown placeholder `{\(name)}` in the message",
          suggestion: Suggestion.nearest(name, among: names.map(\.0)).map { "{\($0)}" })
      }
      rest = rest[rest.index(after: close)...]
    }
    if !rest.isEmpty { pieces.append(.text(String(rest))) }
    return pieces
  }

  /// What SEMANTICS D3 refuses.
  private func checkSafety(_ map: YAMLMapping, _ rule: RuleDefinition, _ problems: inout Problems) {
    if rule.kind == .physiological, rule.hold > 0 {
      if !map.has("bypass") {
        problems.add(map.place(of: "for"), "a delay needs a `bypass` limit that acts at once")
      }
      if !map.has("max_hold") {
        problems.add(map.place(of: "for"), "a delay needs `max_hold`, the window in which short breaches add up")
      }
    }
    if map.has("max_hold"), rule.maxHold < rule.hold {
      problems.add(map.place(of: "max_hold"), "`max_hold` is shorter than `for`")
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
