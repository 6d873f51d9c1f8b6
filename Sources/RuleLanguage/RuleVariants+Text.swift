import VitalModel
import YAMLText

extension RuleVariants {
  /// One rule with some of its numbers set, as the text of a rule document that stands alone: templates are written out, what
  /// the set changes is in it, and tests, which belong to the numbers they were written for, are left out.
  ///
  /// - Parameters:
  ///   - parameters: in the parameter's own unit; durations in milliseconds.
  ///   - times: milliseconds.
  ///   - bounds: of limits that follow the patient, in the parameter's unit.
  ///   - source: appended to the rule's `source`; empty: nothing.
  ///   - title: appended to the rule's `title`.
  ///   - beside: ids of the rules it will stand beside: no other may inhibit it.
  /// - Returns: nil if the set has no such rule.
  package func text(
    _ id: String, parameters: [String: DecimalValue] = [:], times: [TimeKey: Int64] = [:],
    bounds: [AdaptedBound: DecimalValue] = [:], source: String = "", title: String = "",
    beside: [String]
  ) throws(TextProblems) -> String? {
    let changed = try adapted(id, parameters: parameters, times: times, bounds: bounds)
    guard let (document, adaptation) = changed else { return nil }
    let entries = RuleTemplates.replacing(adaptation.replaced, in: document.node).entries ?? []
    func plain(_ text: String) -> YAMLNode { YAMLNode(.scalar(text, .plain), line: 0, column: 0) }
    func entry(_ key: String, _ value: YAMLNode) -> YAMLNode.Entry { .init(key: plain(key), value: value) }
    var written: [YAMLNode.Entry] = []
    for own in entries {
      switch own.key.scalar {
      case "tests": continue
      case "source" where !source.isEmpty:
        let text = (own.value.scalar ?? "") + (own.value.scalar?.isEmpty == false ? "; " : "") + source
        written.append(entry("source", YAMLNode(.scalar(text, .quoted), line: 0, column: 0)))
      case "title" where !title.isEmpty:
        written.append(entry("title", YAMLNode(.scalar((own.value.scalar ?? "") + title, .quoted), line: 0, column: 0)))
      case "parameters":
        let others = entries.filter { $0.key.scalar != "parameters" && $0.key.scalar != "tests" }.map(\.value)
        let kept = RuleVariants.parameters(own.value, adaptation, others)
        if kept.entries?.isEmpty == false { written.append(entry("parameters", kept)) }
      case "inhibited_by":
        let ids = own.value.elements ?? [own.value]
        let kept = ids.filter { beside.contains($0.scalar ?? "") }
        if !kept.isEmpty { written.append(entry("inhibited_by", YAMLNode(.sequence(kept), line: 0, column: 0))) }
      case "mode" where adaptation.mode != nil, "priority" where adaptation.priority != nil: continue
      default: written.append(own)
      }
    }
    if let mode = adaptation.mode { written.append(entry("mode", plain(mode.rawValue))) }
    if let priority = adaptation.priority { written.append(entry("priority", plain(priority.text))) }
    return YAMLWriter.text(YAMLNode(.mapping(written), line: 0, column: 0))
  }

  /// With other defaults, and without what a template offers and this rule does not use.
  private static func parameters(
    _ node: YAMLNode, _ adaptation: RuleReader.Adaptation, _ others: [YAMLNode]
  ) -> YAMLNode {
    var copy = node
    copy.content = .mapping(
      (node.entries ?? []).compactMap { entry in
        guard let name = entry.key.scalar else { return nil }
        guard !RuleTemplates.isTemplate(line: entry.key.line) || others.contains(where: { names($0, name) }) else {
          return nil
        }
        guard let change = adaptation.parameters[name] else { return entry }
        var parameter = entry
        parameter.value.content = .mapping(
          (entry.value.entries ?? []).map { own in
            guard own.key.scalar == "default" else { return own }
            return YAMLNode.Entry(key: own.key, value: change.node)
          })
        return parameter
      })
    return copy
  }

  /// Whether a text below a node uses a parameter.
  private static func names(_ node: YAMLNode, _ parameter: String) -> Bool {
    switch node.content {
    case .null: false
    case .scalar(let text, _):
      text.contains("$" + parameter) || parameter == "limit" && text.contains("{limit}")
    case .sequence(let elements): elements.contains { names($0, parameter) }
    case .mapping(let entries): entries.contains { names($0.value, parameter) }
    }
  }
}
