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
    for parameter in rule.parameters.sorted(by: { $0.name < $1.name }) {
      let cases = parameter.cases.map { " \($0.flag)=\($0.value.normalized)" }.joined()
      lines.append("parameter \(parameter.name) \(parameter.value.normalized)\(cases)")
    }
    var codes = rule.codes
    if let score = rule.score {
      lines.append(scores[score].canonicalText(registry: registry))
      codes += scores[score].codes
    }
    for code in Set(codes).sorted(by: { $0.index < $1.index }) { lines.append("vital \(registry[code].canonicalText)") }
    return lines.joined(separator: "\n")
  }

  private static func scope(_ scope: RuleScope, _ registry: VitalRegistry) -> String {
    switch scope {
    case .series(let code): "series \(registry[code].key)"
    case .everySeries: "every series"
    case .patient: "patient"
    }
  }

  private static func text(
    _ program: Program, _ rule: RuleDefinition, _ registry: VitalRegistry, _ scores: [ScoreDefinition]
  ) -> String {
    program.instructions.map { instruction in
      switch instruction {
      case .feature(let index):
        let feature = rule.features[index]
        let key = feature.code.map { registry[$0].key } ?? "*"
        return "\(feature.kind.rawValue)(\(key),\(feature.window),\(feature.status?.text ?? "-"))"
      case .parameter(let index): return "$\(rule.parameters[index].name)"
      case .score(let index, let field): return "\(scores[index].id).\(field.rawValue)"
      default: return "\(instruction)"
      }
    }.joined(separator: " ")
  }

  private static func piece(_ piece: MessagePiece) -> String {
    if case .text(let text) = piece { return text }
    return "{\(piece)}"
  }
}
