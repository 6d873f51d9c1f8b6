import Foundation
import RuleLanguage
import VitalModel

/// What differs between two versions of the rules, rule by rule.
package struct RuleDifference: Sendable {
  package enum Change: String, Sendable { case added, removed, changed }

  package struct Field: Hashable, Sendable {
    package var name: String
    package var from: String
    package var to: String
  }

  package struct Rule: Sendable {
    package var id: String
    package var variant: String
    package var change: Change
    /// Versions; empty where there is none.
    package var from = ""
    package var to = ""
    package var fields: [Field] = []
    /// The rule's text, changed lines only, with `-` and `+` before them.
    package var lines: [String] = []
  }

  /// One side: a plan with the text of each of its rules.
  package struct Side {
    package var plan: RulePlan
    package var text: (RuleDefinition) -> String?
    package init(plan: RulePlan, text: @escaping (RuleDefinition) -> String?) {
      self.plan = plan
      self.text = text
    }
  }

  package private(set) var rules: [Rule] = []
  /// Vitals of the registry that are new, gone or defined otherwise.
  package private(set) var vitals: [String] = []

  package init(_ old: Side, _ new: Side) {
    func key(_ rule: RuleDefinition) -> String { rule.id + "\u{0}" + rule.variant }
    let before = Dictionary(old.plan.rules.map { (key($0), $0) }, uniquingKeysWith: { first, _ in first })
    let after = Dictionary(new.plan.rules.map { (key($0), $0) }, uniquingKeysWith: { first, _ in first })
    for name in Set(before.keys).union(after.keys).sorted() {
      switch (before[name], after[name]) {
      case (let from?, let to?):
        let fields = RuleDifference.fields(from, to)
        guard from.version != to.version || !fields.isEmpty else { continue }
        var rule = Rule(
          id: to.id, variant: to.variant, change: .changed, from: from.version, to: to.version, fields: fields)
        rule.lines = RuleDifference.lines(old.text(from) ?? "", new.text(to) ?? "")
        rules.append(rule)
      case (let from?, nil):
        rules.append(Rule(id: from.id, variant: from.variant, change: .removed, from: from.version))
      case (nil, let to?):
        var rule = Rule(id: to.id, variant: to.variant, change: .added, to: to.version)
        rule.lines = RuleDifference.lines("", new.text(to) ?? "")
        rules.append(rule)
      case (nil, nil): continue
      }
    }
    let vitalsBefore = Dictionary(
      old.plan.registry.vitals.map { ($0.key, $0.canonicalText) }, uniquingKeysWith: { first, _ in first })
    let vitalsAfter = Dictionary(
      new.plan.registry.vitals.map { ($0.key, $0.canonicalText) }, uniquingKeysWith: { first, _ in first })
    vitals = Set(vitalsBefore.keys).union(vitalsAfter.keys).filter { vitalsBefore[$0] != vitalsAfter[$0] }.sorted()
  }

  package var isEmpty: Bool { rules.isEmpty && vitals.isEmpty }

  private static func fields(_ old: RuleDefinition, _ new: RuleDefinition) -> [Field] {
    var fields: [Field] = []
    func note(_ name: String, _ from: String, _ to: String) {
      if from != to { fields.append(Field(name: name, from: from, to: to)) }
    }
    for name in Set((old.parameters + new.parameters).map(\.name)).sorted() {
      note(
        name, old.parameterIndex(name).map { text(old.parameters[$0]) } ?? "none",
        new.parameterIndex(name).map { text(new.parameters[$0]) } ?? "none")
    }
    note("mode", old.mode.rawValue, new.mode.rawValue)
    note("priority", old.priority.text, new.priority.text)
    note("kind", old.kind.rawValue, new.kind.rawValue)
    note("applies", old.applies?.text ?? "all", new.applies?.text ?? "all")
    note("when", old.when.text, new.when.text)
    note("for", DurationText.format(old.hold), DurationText.format(new.hold))
    note("max_hold", DurationText.format(old.maxHold), DurationText.format(new.maxHold))
    note("clear", old.clear?.text ?? "none", new.clear?.text ?? "none")
    note("clear for", DurationText.format(old.clearFor), DurationText.format(new.clearFor))
    note("bypass", old.bypass?.text ?? "none", new.bypass?.text ?? "none")
    func raises(_ rule: RuleDefinition) -> String {
      rule.raises.isEmpty ? "none" : rule.raises.map { "\($0.when.text) -> \($0.to.text)" }.joined(separator: "; ")
    }
    note("raise", raises(old), raises(new))
    note(
      "checks", old.check?.events.joined(separator: ", ") ?? "none", new.check?.events.joined(separator: ", ") ?? "none"
    )
    note("supported", old.check?.supported.text ?? "none", new.check?.supported.text ?? "none")
    note("unsupported", old.check?.unsupported.text ?? "none", new.check?.unsupported.text ?? "none")
    note("refractory", DurationText.format(old.refractory), DurationText.format(new.refractory))
    let before = old.holdTexts
    let after = new.holdTexts
    for (name, text) in before { note(name, text, after.first { $0.name == name }?.text ?? "none") }
    for (name, text) in after where !before.contains(where: { $0.name == name }) { note(name, "none", text) }
    return fields
  }

  /// A parameter as one line: value, unit, bounds and other values by flag.
  package static func text(_ parameter: RuleParameter) -> String {
    func quantity(_ value: DecimalValue) -> String {
      parameter.unit == "ms" ? DurationText.format(value.scaled(toExponent: 0) ?? 0) : value.description
    }
    var text = quantity(parameter.value)
    if !parameter.unit.isEmpty, parameter.unit != "ms", parameter.unit != "1" { text += " " + parameter.unit }
    if let lowest = parameter.lowest, let highest = parameter.highest {
      text += " (\(quantity(lowest)) to \(quantity(highest)))"
    }
    for other in parameter.cases { text += ", \(quantity(other.value)) with \(other.flag)" }
    return text
  }

  // MARK: Texts

  /// Changed lines only, in their order.
  static func lines(_ old: String, _ new: String) -> [String] {
    let before = old.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
    let after = new.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
    var removed: [Int: String] = [:]
    var inserted: [Int: String] = [:]
    for change in after.difference(from: before) {
      switch change {
      case .remove(let offset, let line, _): removed[offset] = line
      case .insert(let offset, let line, _): inserted[offset] = line
      }
    }
    var lines: [String] = []
    var (from, to) = (0, 0)
    while from < before.count || to < after.count {
      if let line = removed[from] {
        lines.append("-" + line)
        from += 1
      } else if let line = inserted[to] {
        lines.append("+" + line)
        to += 1
      } else {
        from += 1
        to += 1
      }
    }
    return lines.filter { $0.count > 1 }
  }

  /// The document of one rule among rule texts, as written.
  package static func document(ofRule id: String, in sources: [RuleSource]) -> (path: String, text: String)? {
    for source in sources {
      for document in source.text.components(separatedBy: "\n---") {
        let lines = document.split(separator: "\n", omittingEmptySubsequences: true)
        guard lines.contains(where: { $0.trimmingCharacters(in: .whitespaces) == "rule: \(id)" }) else { continue }
        return (source.path, lines.filter { !$0.hasPrefix("---") }.joined(separator: "\n"))
      }
    }
    return nil
  }
}
