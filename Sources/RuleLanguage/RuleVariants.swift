import VitalModel
import YAMLText

/// The rules of one set, each of which can be read anew with other numbers: every check a file's own numbers pass is made,
/// and the version is that of the rule so written. The texts are read once.
package struct RuleVariants: Sendable {
  /// A key of a rule that is a length of time.
  package enum TimeKey: String, Sendable, CaseIterable {
    case hold = "for"
    case refractory
    case clearFor = "clear_for"
    case maxHold = "max_hold"
    case renew
  }

  /// The set as it is.
  package let plan: RulePlan
  let loaded: RuleLibrary.Loaded
  private let choice: [String: RuleReader.Adaptation]?

  /// - Parameter set: nil: every rule of the sources.
  /// - Throws: every problem of the texts.
  package init(
    sources: [RuleSource], set: String?, registry: VitalRegistry, directory: String = "Rules"
  ) throws(TextProblems) {
    plan = try RuleLibrary.plan(sources: sources, set: set, registry: registry, directory: directory)
    var loaded = RuleLibrary.load(sources, registry, directory)
    choice = RuleLibrary.chosen(loaded.sources, set: set, documents: loaded.documents, directory, &loaded.found)
    guard loaded.found.isEmpty else { throw TextProblems(loaded.found) }
    self.loaded = loaded
  }

  /// One rule with some of its numbers set.
  ///
  /// - Parameters:
  ///   - parameters: in the parameter's own unit; durations in milliseconds.
  ///   - times: milliseconds.
  ///   - bounds: of limits that follow the patient, in the parameter's unit.
  /// - Returns: nil if the set has no such rule.
  /// - Throws: why the rule cannot be so: a value outside its bounds, a hold that can never be reached, ...
  package func rule(
    _ id: String, parameters: [String: DecimalValue] = [:], times: [TimeKey: Int64] = [:],
    bounds: [AdaptedBound: DecimalValue] = [:]
  ) throws(TextProblems) -> RuleDefinition? {
    let changed = try adapted(id, parameters: parameters, times: times, bounds: bounds)
    guard let (document, adaptation) = changed else { return nil }
    var loaded = loaded
    let rule = loaded.read(document, adaptation, plan.registry)
    guard let rule, loaded.found.isEmpty else { throw TextProblems(loaded.found) }
    return rule.definition
  }

  /// A rule's document with what the set and these numbers change about it.
  func adapted(
    _ id: String, parameters: [String: DecimalValue], times: [TimeKey: Int64], bounds: [AdaptedBound: DecimalValue]
  ) throws(TextProblems) -> (document: RuleLibrary.Document, adaptation: RuleReader.Adaptation)? {
    guard var document = loaded.documents.first(where: { $0.id == id }),
      plan.rules.contains(where: { $0.id == id })
    else { return nil }
    var adaptation = choice?[id] ?? RuleReader.Adaptation()
    for (name, value) in parameters { set(name, value, of: document, in: &adaptation) }
    for (key, time) in times.sorted(by: { $0.key.rawValue < $1.key.rawValue }) {
      if let parameter = parameter(behind: key, of: document) {
        set(parameter, DecimalValue(mantissa: time), of: document, in: &adaptation)
      } else if let entry = entry(key, time, of: document) {
        document.node = RuleTemplates.replacing([entry], in: document.node)
      } else {
        throw wrong("the rule has no `clear`: no clear_for", document)
      }
    }
    for (bound, value) in bounds.sorted(by: { $0.key < $1.key }) {
      guard let entry = entry(bound, value, of: document) else {
        throw wrong("the rule has no `adapt` of `\(bound.parameter)`: no \(bound)", document)
      }
      document.node = RuleTemplates.replacing([entry], in: document.node)
    }
    return (document, adaptation)
  }

  private func wrong(_ message: String, _ document: RuleLibrary.Document) -> TextProblems {
    TextProblems([
      TextProblem(
        file: document.file, line: document.node.line, column: document.node.column, message: message)
    ])
  }

  /// A plan of some rules read here, in the order of every plan.
  package func plan(of rules: [RuleDefinition]) -> RulePlan {
    RuleLibrary.assembled(rules, scores: loaded.scores, registry: plan.registry)
  }

  /// The parameter a rule takes one of its times from, as in `for: $hold`.
  package func parameter(behind key: TimeKey, of id: String) -> String? {
    loaded.documents.first { $0.id == id }.flatMap { parameter(behind: key, of: $0) }
  }

  private func parameter(behind key: TimeKey, of document: RuleLibrary.Document) -> String? {
    let text = (key == .clearFor ? document.node["clear"]?["for"] : document.node[key.rawValue])?.scalar
    return text.flatMap { $0.hasPrefix("$") ? String($0.dropFirst()) : nil }
  }

  private func set(
    _ name: String, _ value: DecimalValue, of document: RuleLibrary.Document,
    in adaptation: inout RuleReader.Adaptation
  ) {
    let standard = document.node["parameters"]?[name]?["default"]
    let text = RuleReader.isDuration(standard) ? value.scaled(toExponent: 0).map(DurationText.format) : nil
    adaptation.parameters[name] = (value, RuleVariants.scalar(text ?? value.description, at: document.node))
  }

  private func entry(_ key: TimeKey, _ time: Int64, of document: RuleLibrary.Document) -> YAMLNode.Entry? {
    let place = document.node
    let value = RuleVariants.scalar(DurationText.format(time), at: place)
    guard key == .clearFor else {
      return YAMLNode.Entry(key: RuleVariants.scalar(key.rawValue, at: place), value: value)
    }
    guard let clear = document.node["clear"] else { return nil }
    let others =
      clear.entries?.filter { $0.key.scalar != "for" }
      ?? [YAMLNode.Entry(key: RuleVariants.scalar("when", at: place), value: clear)]
    let own = YAMLNode.Entry(key: RuleVariants.scalar("for", at: place), value: value)
    return YAMLNode.Entry(
      key: RuleVariants.scalar("clear", at: place),
      value: YAMLNode(.mapping(others + [own]), line: clear.line, column: clear.column))
  }

  /// The whole `adapt` with one bound changed.
  private func entry(
    _ bound: AdaptedBound, _ value: DecimalValue, of document: RuleLibrary.Document
  ) -> YAMLNode.Entry? {
    let (parameter, side) = (bound.parameter, bound.side.rawValue)
    guard let adapt = document.node["adapt"], let block = adapt[parameter], block[side] != nil else { return nil }
    let text = RuleVariants.scalar(value.description, at: document.node)
    let key = RuleVariants.scalar("adapt", at: document.node)
    return YAMLNode.Entry(key: key, value: adapt.setting(parameter, to: block.setting(side, to: text)))
  }

  private static func scalar(_ text: String, at place: YAMLNode) -> YAMLNode {
    YAMLNode(.scalar(text, .plain), line: place.line, column: place.column)
  }
}

extension YAMLNode {
  /// A mapping with another value at one of its keys.
  fileprivate func setting(_ key: String, to value: YAMLNode) -> YAMLNode {
    var copy = self
    copy.content = .mapping(
      (entries ?? []).map { $0.key.scalar == key ? Entry(key: $0.key, value: value) : $0 })
    return copy
  }
}
