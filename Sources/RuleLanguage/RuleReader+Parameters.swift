import VitalModel
import YAMLText

extension RuleReader {
  /// A parameter and what its numbers mean.
  struct TypedParameter {
    var parameter: RuleParameter
    var type: ValueType
  }

  func parameters(
    _ map: YAMLMapping, _ adapted: Adaptation, _ problems: inout Problems
  ) -> [TypedParameter] {
    var list: [TypedParameter] = []
    if let block = map.mapping("parameters", &problems) {
      for entry in block.entries {
        guard let name = entry.key.scalar else { continue }
        if let parameter = parameter(name, entry.value, adapted, &problems) { list.append(parameter) }
      }
    }
    for (name, change) in adapted.parameters.sorted(by: { $0.key < $1.key })
    where !list.contains(where: { $0.parameter.name == name }) {
      problems.add(
        TextProblem(
          file: adapted.file, line: change.node.line, column: change.node.column,
          message: "the rule has no parameter `\(name)`",
          suggestion: Suggestion.nearest(name, among: list.map(\.parameter.name))))
    }
    return list
  }

  private func parameter(
    _ name: String, _ node: YAMLNode, _ adapted: Adaptation, _ problems: inout Problems
  ) -> TypedParameter? {
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
    let isDuration = RuleReader.isDuration(map.value("default", &problems))
    for key in ["min", "max"] {
      guard let node = map.value(key, &problems), node.scalar != nil, RuleReader.isDuration(node) != isDuration else {
        continue
      }
      problems.add(node, "`\(name)` mixes durations and bare numbers: `default` and `\(key)` must be of one kind")
    }
    if isDuration, !unit.isEmpty, unit != "ms" {
      problems.add(map.place(of: "unit"), "`\(name)` is a duration and needs no unit")
    }
    let lowest = number("min", &problems)
    let highest = number("max", &problems)
    if let lowest, let highest, lowest.double > highest.double {
      problems.add(map.place(of: "min"), "`min` \(lowest) is above `max` \(highest)")
    }
    let value = adapted.parameters[name]?.value ?? standard
    if let change = adapted.parameters[name], change.node.scalar != nil,
      RuleReader.isDuration(change.node) != isDuration
    {
      let kind = isDuration ? "a duration such as `15s`" : "a bare number"
      problems.add(
        TextProblem(
          file: adapted.file, line: change.node.line, column: change.node.column, message: "`\(name)` must be \(kind)"))
    }
    if adapted.parameters[name] != nil {
      checkBounds(standard, map.place(of: "default"), problems.file, lowest, highest, name, &problems)
    }
    let place = adapted.parameters[name]?.node ?? map.place(of: "default")
    let file = adapted.parameters[name] == nil ? problems.file : adapted.file
    checkBounds(value, place, file, lowest, highest, name, &problems)
    var cases: [ParameterCase] = []
    for element in map.list("when", &problems) ?? [] {
      guard let one = YAMLMapping(element, of: "a case of `\(name)`", keys: ["flag", "value"], &problems),
        let flag = one.requiredString("flag", &problems), let node = one.requiredValue("value", &problems),
        let other = YAMLMapping.parsed(
          node, of: "value", as: "a number or a duration", &problems, RuleReader.quantity)
      else { continue }
      checkBounds(other, node, problems.file, lowest, highest, name, &problems)
      if let place = one.value("flag", &problems) { KnownFlags.check(flag, place, among: knownFlags, &problems) }
      cases.append(ParameterCase(flag: flag, value: other))
    }
    let parameter = RuleParameter(
      name: name, value: value, lowest: lowest, highest: highest, unit: isDuration ? "ms" : unit, cases: cases)
    let plain = unit.isEmpty ? ValueType.plain : .quantity(Quantity(text: unit))
    return TypedParameter(parameter: parameter, type: isDuration ? .duration : plain)
  }

  private func checkBounds(
    _ value: DecimalValue, _ place: YAMLNode, _ file: String, _ lowest: DecimalValue?, _ highest: DecimalValue?,
    _ name: String, _ problems: inout Problems
  ) {
    func add(_ message: String) {
      problems.add(TextProblem(file: file, line: place.line, column: place.column, message: message))
    }
    if let lowest, value.double < lowest.double { add("`\(name)` \(value) is below its own minimum \(lowest)") }
    if let highest, value.double > highest.double { add("`\(name)` \(value) is above its own maximum \(highest)") }
  }

  static func isDuration(_ node: YAMLNode?) -> Bool {
    guard let text = node?.scalar else { return false }
    return DecimalValue(text) == nil && DurationText.parse(text) != nil
  }

  /// A decimal, or a duration in milliseconds.
  static func quantity(_ text: String) -> DecimalValue? {
    if let value = DecimalValue(text) { return value }
    return DurationText.parse(text).map { DecimalValue(mantissa: $0) }
  }
}
