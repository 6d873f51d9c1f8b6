import VitalModel

/// A resolved rule as text: what its version hashes. Comments, layout and key order do not reach it; the registry
/// entries and scores it uses do (SEMANTICS C1).
enum RuleText {
  static func canonical(_ rule: RuleDefinition, registry: VitalRegistry, scores: [ScoreDefinition]) -> String {
    var lines = [
      "rule \(rule.id)", "title \(rule.title)", "kind \(rule.kind.rawValue)", "priority \(rule.priority.text)",
      "scope \(scope(rule.scope, registry))", "when \(text(rule.when, rule, registry, scores))",
      "for \(rule.hold)", "max_hold \(rule.maxHold)", "clear_for \(rule.clearFor)", "refractory \(rule.refractory)",
      "hold_last \(rule.holdLast)", "message \(rule.message.map(piece).joined())",
    ]
    if let clear = rule.clear { lines.append("clear \(text(clear, rule, registry, scores))") }
    if let bypass = rule.bypass {
      lines.append("bypass \(rule.bypassPriority.text) \(text(bypass, rule, registry, scores))")
    }
    if let applies = rule.applies { lines.append("applies \(text(applies, rule, registry, scores))") }
    if let limit = rule.bypassLimit { lines.append("bypass_limit \(text(limit, rule, registry, scores))") }
    if let check = rule.check {
      lines.append("checks \(check.events.joined(separator: " "))")
      lines.append("supported \(text(check.supported, rule, registry, scores))")
      lines.append("unsupported \(text(check.unsupported, rule, registry, scores))")
    }
    for raise in rule.raises { lines.append("raise \(raise.to.text) \(text(raise.when, rule, registry, scores))") }
    lines += holds(rule, registry, scores)
    if let index = rule.holdParameter { lines.append("for_parameter \(rule.parameters[index].name)") }
    if !rule.variant.isEmpty { lines.append("variant \(rule.variant)") }
    for parameter in rule.parameters.sorted(by: { $0.name < $1.name }) {
      let cases = parameter.cases.map { " \($0.flag)=\($0.value.normalized)" }.joined()
      // Bounds decide which settings of patients are in force.
      let bounds = [parameter.lowest, parameter.highest].map { $0.map { "\($0.normalized)" } ?? "-" }
      lines.append(
        "parameter \(parameter.name) \(parameter.value.normalized) \(bounds.joined(separator: "..")) \(parameter.unit)"
          + cases)
    }
    var codes = rule.codes
    let used = Set(rule.programs.flatMap(\.instructions).compactMap(\.score))
    for score in used.sorted() {
      lines.append(scores[score].canonicalText(registry: registry))
      codes += scores[score].codes
    }
    for code in Set(codes).sorted(by: { $0.index < $1.index }) { lines.append("vital \(registry[code].canonicalText)") }
    return lines.joined(separator: "\n")
  }

  /// Only what the rule says: one without these keys keeps its version.
  private static func holds(
    _ rule: RuleDefinition, _ registry: VitalRegistry, _ scores: [ScoreDefinition]
  ) -> [String] {
    func code(_ program: Program) -> String { text(program, rule, registry, scores) }
    var lines: [String] = []
    if let quality = rule.minimumQuality { lines.append("minimum_quality \(quality)") }
    for gate in rule.gates { lines.append("gate \(code(gate))") }
    if let confirm = rule.confirm { lines.append("confirm \(code(confirm))") }
    if !rule.inhibitedBy.isEmpty { lines.append("inhibited_by \(rule.inhibitedBy.sorted().joined(separator: " "))") }
    if !rule.inhibitedIn.isEmpty { lines.append("inhibited_in \(rule.inhibitedIn.sorted().joined(separator: " "))") }
    if rule.isInhibited { lines.append("inhibit_max \(rule.inhibitMax)") }
    if let depth = rule.halvesAt { lines.append("halves_at \(depth.normalized)") }
    if let step = rule.worseningStep { lines.append("worsening \(step.normalized)") }
    if let flap = rule.flap { lines.append("flap \(flap.count) \(flap.within) \(flap.quiet)") }
    for step in rule.escalation { lines.append("escalate \(step.after) \(step.to)") }
    if let latches = rule.latches { lines.append("latch \(latches)") }
    if rule.renew > 0 { lines.append("renew \(rule.renew)") }
    for one in rule.adaptations {
      let bounds = "\(one.floor.normalized)..\(one.ceiling.normalized)"
      lines.append("adapt \(rule.parameters[one.parameter].name) \(bounds) \(code(one.to))")
    }
    return lines
  }

  private static func scope(_ scope: RuleScope, _ registry: VitalRegistry) -> String {
    switch scope {
    case .series(let code): "series \(registry[code].key)"
    case .everySeries: "every series"
    case .patient: "patient"
    }
  }

  static func text(
    _ program: Program, _ rule: RuleDefinition, _ registry: VitalRegistry, _ scores: [ScoreDefinition]
  ) -> String {
    program.instructions.map { instruction in
      switch instruction {
      case .feature(let index): self.feature(rule.features[index], rule, registry)
      case .parameter(let index): "$\(rule.parameters[index].name)"
      case .score(let index, let field): "\(scores[index].id).\(field.rawValue)"
      case .scoreComponent(let index, let component): "\(scores[index].id).\(scores[index].components[component].name)"
      case .constant(let value): "\(value)"
      case .attribute(let attribute): self.attribute(attribute)
      case .atLeast(let needed, let count): "\(needed) of \(count)"
      default: "\(instruction)"
      }
    }.joined(separator: " ")
  }

  static func feature(_ feature: Feature, _ rule: RuleDefinition, _ registry: VitalRegistry) -> String {
    let numbers = feature.arguments.map { argument in
      switch argument {
      case .constant(let value): NumberText.plain(value)
      case .parameter(let index): "$\(rule.parameters[index].name)"
      }
    }
    let numbersFirst = Aggregate.of(feature.kind).numbersFirst
    let origin = feature.origin.map { "@" + $0 } ?? ""
    var parts = [(feature.code.map { registry[$0].key } ?? "*") + origin]
    if numbersFirst { parts += numbers }
    if feature.window != .none { parts.append(feature.window.ruleText) }
    if !numbersFirst { parts += numbers }
    if let status = feature.status { parts.append(status.text) }
    if feature.origin == nil, let source = feature.source { parts.append(source) }
    return "\(feature.kind.rawValue)(\(parts.joined(separator: ", ")))"
  }

  static func attribute(_ attribute: PatientAttribute) -> String {
    switch attribute {
    case .age: "age"
    case .ageMonths: "age_months"
    case .flag(let flag): "flag(\(flag))"
    case .unit(let unit): "unit(\(unit))"
    }
  }

  private static func piece(_ piece: MessagePiece) -> String {
    if case .text(let text) = piece { return text }
    return "{\(piece)}"
  }
}
