import RuleLanguage
import VitalModel
import YAMLText

/// What may be set of a rule: a parameter, one of its keys `for`, `refractory`, `renew`, `clear_for`, `max_hold`, or a bound of a
/// limit that follows the patient, as `adapt.limit.floor`. A parameter of that name comes before the key.
package struct SweepName: Hashable, Sendable, Comparable, CustomStringConvertible {
  package var rule: String
  package var name: String
  package init(rule: String, name: String) {
    self.rule = rule
    self.name = name
  }

  package static func < (a: SweepName, b: SweepName) -> Bool { (a.rule, a.name) < (b.rule, b.name) }
  package var description: String { "\(rule).\(name)" }
}

/// Values by name; empty: the rules as they are. Durations in milliseconds, numbers in the parameter's own unit.
package struct SweepSetting: Hashable, Sendable {
  package var values: [SweepName: DecimalValue]
  package init(_ values: [SweepName: DecimalValue] = [:]) { self.values = values }
}

/// Why there is no such setting: one line.
package struct SweepProblem: Error, Hashable, Sendable, CustomStringConvertible {
  package var description: String
  package init(_ description: String) { self.description = description }
}

/// Something that may be set of a rule, as it is now.
package struct SweepQuantity: Hashable, Sendable {
  package var name: String
  /// Whether it is a key of the rule or of its `adapt`, not a parameter.
  package var isKey: Bool
  package var isDuration: Bool
  /// Milliseconds of a duration, else in ``unit``.
  package var value: DecimalValue
  package var lowest: DecimalValue?
  package var highest: DecimalValue?
  package var unit: String
}

/// Rules that run by themselves, apart from those of every other world: one setting of a sweep.
package struct SweepWorld: Sendable {
  package var plan: RulePlan
  /// Ids of the rules whose alerts count. Alerts of technical rules that only hold others, and the engine's own, do not.
  package var counted: [String]
  package init(plan: RulePlan, counted: [String]) {
    self.plan = plan
    self.counted = counted
  }
}

/// Makes worlds of settings: the texts are read once, then one rule a setting.
package struct SweepRules: Sendable {
  private let variants: RuleVariants

  /// - Parameter set: nil: every rule of the files.
  package init(files: RuleFiles, set: String?) throws(RuleFiles.Failure) {
    let registry = try files.registry()
    do throws(TextProblems) {
      variants = try RuleVariants(
        sources: files.sources, set: set, registry: registry, directory: files.directory)
    } catch {
      throw .wrong(error)
    }
  }

  /// The whole set as it is.
  package var plan: RulePlan { variants.plan }

  /// What may be set of a rule, parameters first; nil: the set has no such rule.
  package func names(of rule: String) -> [SweepQuantity]? {
    guard let definition = plan.rules.first(where: { $0.id == rule }) else { return nil }
    let parameters = definition.parameters.map {
      SweepQuantity(
        name: $0.name, isKey: false, isDuration: $0.unit == "ms", value: $0.value, lowest: $0.lowest,
        highest: $0.highest, unit: $0.unit)
    }
    let keys = RuleVariants.TimeKey.allCases.filter { key in
      (key != .clearFor || definition.clear != nil) && !parameters.contains { $0.name == key.rawValue }
    }
    return parameters
      + keys.map { key in
        let behind = variants.parameter(behind: key, of: rule).flatMap { name in
          definition.parameters.first { $0.name == name }
        }
        return SweepQuantity(
          name: key.rawValue, isKey: true, isDuration: true,
          value: DecimalValue(mantissa: SweepRules.time(key, of: definition)), lowest: behind?.lowest,
          highest: behind?.highest, unit: "ms")
      } + SweepRules.bounds(of: definition)
  }

  private static func time(_ key: RuleVariants.TimeKey, of rule: RuleDefinition) -> Int64 {
    switch key {
    case .hold: rule.hold
    case .refractory: rule.refractory
    case .clearFor: rule.clearFor
    case .maxHold: rule.maxHold
    case .renew: rule.renew
    }
  }

  private static func bounds(of definition: RuleDefinition) -> [SweepQuantity] {
    definition.adaptations.flatMap { adaptation in
      let parameter = definition.parameters[adaptation.parameter]
      return AdaptedBound.Side.allCases.map { side in
        SweepQuantity(
          name: AdaptedBound(parameter: parameter.name, side: side).description, isKey: true, isDuration: false,
          value: side == .floor ? adaptation.floor : adaptation.ceiling, lowest: parameter.lowest,
          highest: parameter.highest, unit: parameter.unit)
      }
    }
  }

  /// Rules with this setting, and the technical rules of the set that may hold them.
  ///
  /// - Parameter rules: ids; those the setting names are among them.
  package func world(
    of rules: [String], _ setting: SweepSetting = SweepSetting()
  ) throws(SweepProblem) -> SweepWorld {
    for name in setting.values.keys.sorted() where !rules.contains(name.rule) {
      throw SweepProblem("\(name): `\(name.rule)` is not among the rules of the sweep")
    }
    var definitions: [RuleDefinition] = []
    for id in rules { definitions.append(try rule(id, setting)) }
    var missing = definitions.flatMap(\.inhibitedBy)
    while let id = missing.popLast() {
      guard !definitions.contains(where: { $0.id == id }), let other = plan.rules.first(where: { $0.id == id })
      else { continue }
      definitions.append(try rule(id, SweepSetting()))
      missing += other.inhibitedBy
    }
    return SweepWorld(plan: variants.plan(of: definitions), counted: rules)
  }

  /// The same rules as the text of a file that runs by itself, one document a rule.
  ///
  /// The title of the rules the setting names says so, lest it keep the old number.
  ///
  /// - Parameter source: appended to the `source` of the rules the setting names.
  package func text(
    of rules: [String], _ setting: SweepSetting, source: String
  ) throws(SweepProblem) -> String {
    let ids = try world(of: rules, setting).plan.rules.map(\.id)
    let others = ids.filter { !rules.contains($0) }
    var documents: [String] = []
    for id in rules + others {
      let own = setting.values.keys.contains { $0.rule == id } ? source : ""
      let values = try values(id, setting)
      do throws(TextProblems) {
        let text = try variants.text(
          id, parameters: values.parameters, times: values.times, bounds: values.bounds, source: own,
          title: title(id, setting), beside: ids)
        documents.append(text ?? "")
      } catch {
        throw problem(id, setting, error)
      }
    }
    return documents.joined(separator: "---\n")
  }

  /// ` (tuned: limit 4, hold 30s)`; empty for a rule the setting does not name.
  private func title(_ id: String, _ setting: SweepSetting) -> String {
    let words = words(id, setting)
    return words.isEmpty ? "" : " (tuned: \(words))"
  }

  /// What a setting says of one rule, as a person would write it.
  private func words(_ id: String, _ setting: SweepSetting) -> String {
    let own = setting.values.filter { $0.key.rule == id }.sorted { $0.key < $1.key }
    let durations = Set((names(of: id) ?? []).filter(\.isDuration).map(\.name))
    return own.map { name, value in
      let time = durations.contains(name.name) ? value.scaled(toExponent: 0) : nil
      return "\(name.name) \(time.map(DurationText.format) ?? value.normalized.description)"
    }.joined(separator: ", ")
  }

  private func rule(_ id: String, _ setting: SweepSetting) throws(SweepProblem) -> RuleDefinition {
    let values = try values(id, setting)
    do throws(TextProblems) {
      let rule = try variants.rule(
        id, parameters: values.parameters, times: values.times, bounds: values.bounds)
      guard let rule else { throw TextProblems([]) }
      return rule
    } catch {
      throw problem(id, setting, error)
    }
  }

  private func problem(_ id: String, _ setting: SweepSetting, _ error: TextProblems) -> SweepProblem {
    SweepProblem("\(id) with \(words(id, setting)): \(error.all.first?.message ?? "not to be read")")
  }

  /// What a setting says of one rule.
  private struct Values {
    var parameters: [String: DecimalValue] = [:]
    var times: [RuleVariants.TimeKey: Int64] = [:]
    var bounds: [AdaptedBound: DecimalValue] = [:]
  }

  private func values(
    _ id: String, _ setting: SweepSetting
  ) throws(SweepProblem) -> Values {
    guard let known = names(of: id) else {
      let ids = plan.rules.map(\.id)
      let hint = Suggestion.nearest(id, among: ids).map { ", did you mean `\($0)`?" } ?? ""
      throw SweepProblem("no rule `\(id)` in the set\(hint)")
    }
    var values = Values()
    for (name, value) in setting.values.sorted(by: { $0.key < $1.key }) where name.rule == id {
      guard let quantity = known.first(where: { $0.name == name.name }) else {
        let hint = Suggestion.nearest(name.name, among: known.map(\.name)).map { ", did you mean `\($0)`?" } ?? ""
        let list = known.map(\.name).joined(separator: " ")
        throw SweepProblem("`\(id)` has no parameter or time `\(name.name)`\(hint) (\(list))")
      }
      if quantity.isKey, let bound = AdaptedBound(name.name) {
        values.bounds[bound] = value
        continue
      }
      guard let key = quantity.isKey ? RuleVariants.TimeKey(rawValue: name.name) : nil else {
        values.parameters[name.name] = value
        continue
      }
      guard let time = value.scaled(toExponent: 0), time >= 0 else {
        throw SweepProblem("\(name): \(value) is no length of time in milliseconds")
      }
      values.times[key] = time
    }
    return values
  }
}
