import VitalModel
import YAMLText

/// A rule in plain English: what `vigil rules show ID` prints.
enum RuleProse {
  static func text(
    _ read: ReadRule, tests: YAMLNode?, place: String, registry: VitalRegistry, scores: [ScoreDefinition]
  ) -> String {
    let rule = read.definition
    let english = PlainEnglish(rule: rule, registry: registry, scores: scores)
    var lines = ["\(rule.title) (\(rule.id))", ""]
    lines.append("Watches \(watched(rule, english)).")
    lines += conditions(read, english)
    if let applies = rule.applies { lines.append("For \(people(applies)).") }
    switch rule.mode {
    case .live: break
    case .shadow: lines.append("In shadow: what it would say is recorded, nobody is told.")
    case .off: lines.append("Switched off.")
    }
    lines.append("")
    if !rule.parameters.isEmpty {
      lines.append("Settings:")
      lines += rule.parameters.map { "  \(setting($0))" }
    }
    if rule.check == nil { lines.append("Says: \(message(rule))") }
    if !rule.rationale.isEmpty { lines.append("Why: \(rule.rationale)") }
    lines.append("Source: \(rule.source)")
    let names = tests?.elements?.map { $0["name"]?.scalar ?? "without a name" } ?? []
    lines.append(names.isEmpty ? "Tests: none" : "Tests:")
    lines += names.map { "  - \($0)" }
    lines += ["File: \(place)", "Version: \(rule.version)"]
    return lines.joined(separator: "\n") + "\n"
  }

  private static func conditions(_ read: ReadRule, _ english: PlainEnglish) -> [String] {
    let rule = read.definition
    if let check = rule.check { return answers(check, read, english) }
    var lines: [String] = []
    let kind =
      rule.kind == .physiological ? "an alert" : rule.kind == .technical ? "a technical alert" : "an advisory alert"
    if let when = read.conditions.when {
      lines.append("Raises \(kind) of \(rule.priority.text) priority when \(english.condition(when.checked)).")
    }
    if rule.hold > 0 || rule.holdParameter != nil {
      let name = rule.holdParameter.map { " (\(rule.parameters[$0].name))" } ?? ""
      lines.append(
        "This must hold for \(PlainEnglish.duration(rule.hold))\(name); shorter stretches within "
          + "\(PlainEnglish.duration(rule.maxHold)) add up.")
    } else {
      lines.append("It is told at once.")
    }
    lines += holds(read, english)
    if let bypass = read.conditions.bypass {
      let priority = rule.bypassPriority.text
      lines.append("Acts at once, with \(priority) priority, when \(english.condition(bypass.checked)).")
    }
    for (raise, condition) in zip(rule.raises, read.conditions.raises) {
      lines.append("Rises to \(raise.to.text) priority when \(english.condition(condition.checked)).")
    }
    if let clear = read.conditions.clear {
      let hold = rule.clearFor > 0 ? ", for \(PlainEnglish.duration(rule.clearFor))" : ""
      lines.append("Ends when \(english.condition(clear.checked))\(hold).")
    } else {
      lines.append("Ends when this no longer holds.")
    }
    if rule.refractory > 0 {
      lines.append("After its end it stays quiet for \(PlainEnglish.duration(rule.refractory)).")
    }
    return lines
  }

  private static func answers(_ check: AlarmCheck, _ read: ReadRule, _ english: PlainEnglish) -> [String] {
    var lines = ["Judges the device alarms \(list(check.events, "and")), when they start; it never cancels one."]
    if let supported = read.conditions.supported {
      lines.append("Calls one supported when \(english.condition(supported.checked)).")
    }
    if let unsupported = read.conditions.unsupported {
      lines.append("Else calls it unsupported when \(english.condition(unsupported.checked)).")
    }
    return lines + ["Else it is unknown."]
  }

  private static func watched(_ rule: RuleDefinition, _ english: PlainEnglish) -> String {
    if rule.scope == .everySeries { return "every signal by itself" }
    var parts = vitals(rule).map { english.title($0) }
    for score in Set(rule.programs.flatMap(\.instructions).compactMap(\.score)).sorted() {
      parts.append(english.scores[score].title)
    }
    return list(parts, "and")
  }

  /// What it is judged and raised by; what only a gate, a confirmation or a baseline looks at is named there.
  private static func vitals(_ rule: RuleDefinition) -> [VitalCode] {
    let programs =
      [rule.when] + [rule.clear, rule.bypass, rule.check?.supported, rule.check?.unsupported].compactMap { $0 }
      + rule.raises.map(\.when)
    var read: Set<Int> = []
    for case .feature(let index) in programs.flatMap(\.instructions) { read.insert(index) }
    var codes: [VitalCode] = []
    for index in rule.features.indices where read.contains(index) {
      if let code = rule.features[index].code, !codes.contains(code) { codes.append(code) }
    }
    return codes
  }

  static func list(_ parts: [String], _ word: String) -> String {
    guard parts.count > 1, let last = parts.last else { return parts.first ?? "nothing" }
    return parts.dropLast().joined(separator: ", ") + " \(word) " + last
  }

  /// `patients of 16 years or more, not with the flag palliative`.
  private static func people(_ applies: Program) -> String {
    var parts: [String] = []
    var units: [String] = []
    let code = applies.instructions
    for (index, instruction) in code.enumerated() {
      guard case .attribute(let attribute) = instruction else { continue }
      let next = index + 1 < code.count ? code[index + 1] : .and
      switch attribute {
      case .age, .ageMonths:
        guard case .constant(let number) = next, index + 2 < code.count else { continue }
        let word = attribute == .age ? "years" : "months"
        let bound = "\(NumberText.plain(number)) \(word)"
        switch code[index + 2] {
        case .greaterOrEqual: parts.append("of \(bound) or more")
        case .greater: parts.append("over \(bound)")
        case .less: parts.append("under \(bound)")
        default: parts.append("of \(bound) or less")
        }
      case .flag(let flag): parts.append(next == .not ? "without the flag \(flag)" : "with the flag \(flag)")
      case .unit(let unit): units.append(unit)
      }
    }
    if !units.isEmpty { parts.append("in \(list(units, "or"))") }
    return "patients " + parts.joined(separator: ", ")
  }

  private static func setting(_ parameter: RuleParameter) -> String {
    let type: ValueType = parameter.unit == "ms" ? .duration : .quantity(Quantity(text: parameter.unit))
    func number(_ value: DecimalValue) -> String { PlainEnglish.number(value.double, type) }
    var text = "\(parameter.name): \(number(parameter.value))"
    switch (parameter.lowest, parameter.highest) {
    case (.some(let low), .some(let high)) where low.isSameNumber(as: high): text += ", fixed"
    case (.some(let low), .some(let high)): text += ", may be set from \(number(low)) to \(number(high))"
    case (.some(let low), nil): text += ", may be set from \(number(low))"
    case (nil, .some(let high)): text += ", may be set up to \(number(high))"
    case (nil, nil): text += ", without bounds"
    }
    for one in parameter.cases { text += "; \(number(one.value)) for patients with the flag \(one.flag)" }
    return text
  }

  private static func message(_ rule: RuleDefinition) -> String {
    rule.message.map { piece in
      if case .text(let text) = piece { return text }
      return "{\(piece)}"
    }.joined()
  }
}
