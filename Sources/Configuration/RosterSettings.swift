import VitalModel
import YAMLText

/// Reads the list `settings` of `roster.yaml`: a rule's parameter set for one patient, by whom, why and for how long.
struct RosterSettingReader {
  static let keys = ["patient", "rule", "parameter", "value", "author", "reason", "from", "until"]

  /// Ids the roster lists.
  let patients: [String]
  /// The rules in force; nil: names and bounds are not checked.
  let rules: [RuleDefinition]?
  /// Whether a setting of any other rule is a mistake.
  let isOfOneSet: Bool

  func read(_ top: YAMLMapping, _ problems: inout Problems) -> [RosterSetting] {
    var found: [(setting: RosterSetting, node: YAMLNode)] = []
    let known = Set(patients)
    for node in top.list("settings", &problems) ?? [] {
      guard let setting = setting(node, known, &problems) else { continue }
      if let first = found.first(where: { $0.setting.overlaps(setting) }) {
        problems.add(
          node,
          "this setting of `\(setting.setting.parameter)` overlaps the one at line \(first.node.line), column "
            + "\(first.node.column)")
        continue
      }
      found.append((setting, node))
    }
    return found.map(\.setting)
  }

  private func setting(_ node: YAMLNode, _ known: Set<String>, _ problems: inout Problems) -> RosterSetting? {
    let before = problems.all.count
    guard let entry = YAMLMapping(node, of: "a setting", keys: RosterSettingReader.keys, &problems) else { return nil }
    let patient = entry.requiredString("patient", &problems)
    if let patient, !known.contains(patient) {
      problems.add(
        entry.value("patient", &problems) ?? node, "no patient `\(patient)` in the list of patients",
        suggestion: Suggestion.nearest(patient, among: patients))
    }
    let rule = entry.requiredString("rule", &problems)
    let parameter = entry.requiredString("parameter", &problems)
    let value = entry.requiredRead("value", as: "a number or a duration", &problems, RosterSettingReader.quantity)
    let author = written("author", entry, &problems)
    let reason = written("reason", entry, &problems)
    let from = entry.time("from", &problems)
    let until = entry.time("until", &problems)
    if let from, let until, from >= until {
      problems.add(entry.place(of: "until"), "the setting ends before it begins")
    }
    guard let patient, let rule, let parameter, let value, let author, let reason else { return nil }
    if let rules { check(entry, rule: rule, parameter: parameter, value: value, rules, &problems) }
    guard problems.all.count == before else { return nil }
    return RosterSetting(
      patient: patient,
      setting: ParameterSetting(
        rule: rule, parameter: parameter, value: value, author: author, reason: reason, from: from, until: until))
  }

  /// Text with something in it: a setting nobody answers for is none.
  private func written(_ key: String, _ entry: YAMLMapping, _ problems: inout Problems) -> String? {
    guard let text = entry.requiredString(key, &problems) else { return nil }
    if text.allSatisfy(\.isWhitespace) {
      problems.add(entry.value(key, &problems) ?? entry.node, "`\(key)` in a setting is empty")
      return nil
    }
    return text
  }

  private func check(
    _ entry: YAMLMapping, rule id: String, parameter name: String, value: DecimalValue, _ rules: [RuleDefinition],
    _ problems: inout Problems
  ) {
    // Versions of one id may be in force side by side: the setting must fit each.
    let versions = rules.filter { $0.id == id }
    guard !versions.isEmpty else {
      if !isOfOneSet { return }
      problems.add(
        entry.value("rule", &problems) ?? entry.node, "no rule `\(id)` is in force",
        suggestion: Suggestion.nearest(id, among: rules.map(\.id)))
      return
    }
    for rule in versions {
      guard let index = rule.parameterIndex(name) else {
        problems.add(
          entry.value("parameter", &problems) ?? entry.node, "rule `\(id)` has no parameter `\(name)`",
          suggestion: Suggestion.nearest(name, among: rule.parameters.map(\.name)))
        return
      }
      let parameter = rule.parameters[index]
      let place = entry.value("value", &problems) ?? entry.node
      let unit = parameter.unit.isEmpty ? "" : " " + parameter.unit
      guard parameter.lowest != nil, parameter.highest != nil else {
        problems.add(place, "`\(name)` of rule `\(id)` has no bounds (`min`, `max`), so it cannot be set for a patient")
        return
      }
      if let lowest = parameter.lowest, value.double < lowest.double {
        problems.add(place, "`\(name)` \(value) is below its minimum \(lowest)\(unit)")
        return
      }
      if let highest = parameter.highest, value.double > highest.double {
        problems.add(place, "`\(name)` \(value) is above its maximum \(highest)\(unit)")
        return
      }
    }
  }

  /// A decimal, or a duration in milliseconds.
  private static func quantity(_ text: String) -> DecimalValue? {
    DecimalValue(text) ?? DurationText.parse(text).map { DecimalValue(mantissa: $0) }
  }
}
