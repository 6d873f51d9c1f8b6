import VitalModel
import YAMLText

/// One rule as its file gives it: read, checked, not yet adapted by a set.
struct RuleReader {
  let registry: VitalRegistry
  let scores: [ScoreDefinition]
  /// Flags patients may carry; nil: any.
  var knownFlags: [String]?

  static let keys = RuleKeys.all.map(\.key)

  /// What a set changes about a rule.
  struct Adaptation: Sendable {
    var parameters: [String: (value: DecimalValue, node: YAMLNode)] = [:]
    /// The set's file: where mistakes in ``parameters`` are.
    var file = ""
    var mode: RuleMode?
    var priority: Priority?
    /// Whole keys in place of the rule's own.
    var replaced: [YAMLNode.Entry] = []
  }

  /// - Returns: nil when something was wrong; the problems say what.
  func read(_ node: YAMLNode, adapted: Adaptation, _ problems: inout Problems) -> ReadRule? {
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
    let isCheck = map.has("checks")
    let own = (isCheck ? nil : map.requiredValue("priority", &problems)).flatMap {
      YAMLMapping.word($0, of: "priority", RuleReader.priorities, &problems)
    }
    rule.priority = adapted.priority ?? own ?? .medium
    rule.holdLast = map.bool("hold_last", &problems) ?? true
    let each = map.word("each", [("series", true)], &problems) ?? false
    let typed = parameters(map, adapted, &problems)
    rule.parameters = typed.map(\.parameter)
    var checker = ExpressionChecker(
      registry: registry, scores: scores, parameters: rule.parameters, parameterTypes: typed.map(\.type),
      eachSeries: each, knownFlags: knownFlags)
    var conditions =
      isCheck
      ? readCheck(map, adapted, &rule, &checker, &problems) : readConditions(map, &rule, &checker, &problems)
    rule.applies = applies(map, &problems)
    readTimes(map, &rule, typed.map(\.type), &problems)
    // After what the rule is judged by, so that its inputs keep their places.
    readHolds(map, &rule, &checker, &conditions, &problems)
    rule.features = checker.features
    // A score only a `raise` looks at does not make it a rule of that score.
    rule.score =
      [rule.when, rule.clear, rule.bypass].compactMap { $0 }.flatMap(\.instructions).compactMap(\.score).first
    rule.scope = scope(rule, each: each)
    if !isCheck {
      rule.message = message(map, rule, &problems)
      checkSafety(map, rule, &problems)
      checkHolds(map, rule, &problems)
    }
    if problems.all.count == before {
      BranchCheck(rule: rule, conditions: conditions, registry: registry, scores: scores).run(&problems)
      checkUse(map, rule, &problems)
    }
    guard problems.all.count == before else { return nil }
    rule.canonicalText = RuleText.canonical(rule, registry: registry, scores: scores)
    return ReadRule(
      definition: rule, conditions: conditions, inhibitors: map.list("inhibited_by", orSingle: true, &problems) ?? [])
  }

  /// A parameter nothing reads is a setting without effect. Those of a template may be there for other rules.
  private func checkUse(_ map: YAMLMapping, _ rule: RuleDefinition, _ problems: inout Problems) {
    var used: Set<Int> = []
    for case .parameter(let index) in rule.programs.flatMap(\.instructions) { used.insert(index) }
    for case .parameter(let index) in rule.features.flatMap(\.arguments) { used.insert(index) }
    for entry in map.mapping("parameters", &problems)?.entries ?? [] {
      guard let name = entry.key.scalar, let index = rule.parameterIndex(name), !used.contains(index),
        !RuleTemplates.isTemplate(line: entry.key.line), !durationParameters(map).contains(name),
        name != "limit" || !rule.message.contains(.limit)
      else { continue }
      problems.add(entry.key, "parameter `\(name)` is used nowhere")
    }
  }

  /// Names behind `for: $hold` and its like.
  private func durationParameters(_ map: YAMLMapping) -> [String] {
    let places = [
      map.node["for"], map.node["max_hold"], map.node["refractory"], map.node["renew"], map.node["clear"]?["for"],
    ]
    return places.compactMap { $0?.scalar }.filter { $0.hasPrefix("$") }.map { String($0.dropFirst()) }
  }

  private func scope(_ rule: RuleDefinition, each: Bool) -> RuleScope {
    if each { return .everySeries }
    let codes = rule.judgedCodes
    return codes.count == 1 && rule.score == nil ? .series(codes[0]) : .patient
  }

  // MARK: Message

  func message(
    _ map: YAMLMapping, _ rule: RuleDefinition, _ problems: inout Problems
  ) -> [MessagePiece] {
    guard let node = map.requiredValue("message", &problems),
      let text = YAMLMapping.text(node, of: "message", &problems)
    else { return [] }
    let names = RuleKeys.placeholders
    var pieces: [MessagePiece] = []
    var rest = text[...]
    while let open = rest.firstIndex(of: "{") {
      if open > rest.startIndex { pieces.append(.text(String(rest[..<open]))) }
      guard let close = rest[open...].firstIndex(of: "}") else {
        problems.add(node, "`{` without `}` in the message")
        return pieces
      }
      let name = String(rest[rest.index(after: open)..<close])
      if let piece = names.first(where: { $0.name == name })?.piece {
        pieces.append(piece)
      } else {
        problems.add(
          node, "unknown placeholder `{\(name)}` in the message",
          suggestion: Suggestion.nearest(name, among: names.map(\.name)).map { "{\($0)}" })
      }
      rest = rest[rest.index(after: close)...]
    }
    if !rest.isEmpty { pieces.append(.text(String(rest))) }
    return pieces
  }
}

/// A rule as read: what runs, and the checked conditions it was made of.
struct ReadRule {
  var definition: RuleDefinition
  var conditions: RuleConditions
  /// Where the ids of ``RuleDefinition/inhibitedBy`` are written, in their order.
  var inhibitors: [YAMLNode] = []
}
