import VitalModel
import YAMLText

/// What may hold an alert back, how long, and what becomes of it once it is told.
extension RuleReader {
  /// The longest inhibition a rule may ask for, milliseconds (half a day: the longest silence of SEMANTICS D5).
  static let inhibitMaxLimit: Int64 = 43_200_000

  /// Reads the keys from `quality` to `adapt` into the rule. After `when`, `clear`, `bypass` and `raise`, so that the inputs
  /// these add stand behind what the rule is judged by.
  func readHolds(
    _ map: YAMLMapping, _ rule: inout RuleDefinition, _ checker: inout ExpressionChecker,
    _ found: inout RuleConditions, _ problems: inout Problems
  ) {
    readQuality(map, &rule, &checker, &found, &problems)
    if let node = map.value("confirm", &problems) {
      if node.scalar == nil {
        problems.add(
          node, "`confirm` is one condition: a confirmation may not lower the priority or change anything else")
      } else {
        found.confirm = condition(node, .confirm, &checker, &problems)
        rule.confirm = found.confirm?.program
      }
    }
    readInhibition(map, &rule, &problems)
    rule.halvesAt = smartDelay(map, &problems)
    rule.worseningStep = distance(map, "worsening", &problems)
    rule.flap = flap(map, &problems)
    rule.escalation = escalation(map, &problems)
    rule.latches = map.bool("latch", &problems)
    rule.renew = renewal(map, rule, checker.parameterTypes, &problems)
    readAdaptations(map, &rule, &checker, &found, &problems)
  }

  // MARK: Quality and inhibition

  private func readQuality(
    _ map: YAMLMapping, _ rule: inout RuleDefinition, _ checker: inout ExpressionChecker,
    _ found: inout RuleConditions, _ problems: inout Problems
  ) {
    guard let block = map.mapping("quality", keys: RuleKeys.quality.map(\.key), &problems) else { return }
    rule.minimumQuality = block.read("min", as: "a number from 0 to 1", &problems) { text in
      DecimalValue(text).flatMap { (0...1).contains($0.double) ? $0.double : nil }
    }
    for node in block.list("gate", orSingle: true, &problems) ?? [] {
      guard let gate = condition(node, .gate, &checker, &problems) else { continue }
      found.gates.append(gate)
      rule.gates.append(gate.program)
    }
    if block.entries.isEmpty { problems.add(map.place(of: "quality"), "`quality` needs `min` or `gate`") }
  }

  private func readInhibition(_ map: YAMLMapping, _ rule: inout RuleDefinition, _ problems: inout Problems) {
    rule.inhibitedBy = map.strings("inhibited_by", orSingle: true, &problems) ?? []
    let states = AdmissionState.allCases.filter { $0 != .admitted }.map(\.rawValue)
    for node in map.list("inhibited_in", orSingle: true, &problems) ?? [] {
      guard let word = YAMLMapping.text(node, of: "inhibited_in", &problems) else { continue }
      if word == AdmissionState.admitted.rawValue {
        problems.add(node, "`admitted` is every patient of the ward: the alert would always be held")
      } else if let knownFlags, !states.contains(word), !knownFlags.contains(word) {
        problems.add(
          node,
          "`\(word)` is neither a patient's state (\(states.joined(separator: ", "))) nor a flag of \(KnownFlags.path)",
          suggestion: Suggestion.nearest(word, among: states + knownFlags))
      }
      rule.inhibitedIn.append(word)
    }
    guard let text = map.value("inhibit_max", &problems) else { return }
    guard rule.isInhibited else {
      problems.add(
        map.place(of: "inhibit_max"), "`inhibit_max` without `inhibited_by` or `inhibited_in` bounds nothing")
      return
    }
    rule.inhibitMax =
      YAMLMapping.parsed(text, of: "inhibit_max", as: "a duration of 1s to 12h", &problems) { text in
        DurationText.parse(text).flatMap { (1000...RuleReader.inhibitMaxLimit).contains($0) ? $0 : nil }
      } ?? rule.inhibitMax
  }

  // MARK: Depth

  /// A distance above zero; `false`: none.
  private func distance(_ map: YAMLMapping, _ key: String, _ problems: inout Problems) -> DecimalValue? {
    if map.node[key]?.scalar == "false" { return nil }
    return map.read(key, as: "a number above 0, or false", &problems, RuleReader.positive)
  }

  private static func positive(_ text: String) -> DecimalValue? {
    DecimalValue(text).flatMap { $0.double > 0 ? $0 : nil }
  }

  private func smartDelay(_ map: YAMLMapping, _ problems: inout Problems) -> DecimalValue? {
    if map.node["smart_delay"]?.scalar == "false" { return nil }
    guard let block = map.mapping("smart_delay", keys: ["halves_at"], &problems) else { return nil }
    return block.requiredRead("halves_at", as: "a number above 0", &problems, RuleReader.positive)
  }

  // MARK: After the telling

  private func flap(_ map: YAMLMapping, _ problems: inout Problems) -> FlapSettings? {
    guard let node = map.value("flap", &problems) else { return nil }
    if node.scalar == "false" { return .never }
    guard node.scalar == nil else {
      problems.add(node, "`flap` must be `{ count, within, quiet }` or false, not `\(node.scalar ?? "")`")
      return nil
    }
    guard let block = YAMLMapping(node, of: "flap", keys: RuleKeys.flap.map(\.key), &problems) else { return nil }
    func duration(_ key: String, _ problems: inout Problems) -> Int64? {
      block.read(key, as: "a duration of 1s to 24h", &problems) { text in
        DurationText.parse(text).flatMap { (1000...86_400_000).contains($0) ? $0 : nil }
      }
    }
    var settings = FlapSettings()
    settings.count = block.int("count", in: 2...100, &problems) ?? settings.count
    settings.within = duration("within", &problems) ?? settings.within
    settings.quiet = duration("quiet", &problems) ?? settings.quiet
    return settings
  }

  /// As in the ladders of the settings: each `after` counts from the step before, that of the first from the telling.
  private func escalation(_ map: YAMLMapping, _ problems: inout Problems) -> [EscalationStep] {
    guard let node = map.value("escalate", &problems) else { return [] }
    var steps: [EscalationStep] = []
    for element in node.elements ?? [node] {
      guard let step = YAMLMapping(element, of: "a step of `escalate`", keys: ["after", "to"], &problems),
        let to = step.requiredString("to", &problems),
        let after = step.requiredRead("after", as: "a duration longer than 0 such as `60s`", &problems, RuleReader.wait)
      else { continue }
      steps.append(EscalationStep(after: after, to: to))
    }
    return steps
  }

  private static func wait(_ text: String) -> Int64? { DurationText.parse(text).flatMap { $0 > 0 ? $0 : nil } }

  /// How often an alert may be made anew, milliseconds: every hour to once a week.
  static let renewals: ClosedRange<Int64> = 3_600_000...604_800_000

  private func renewal(
    _ map: YAMLMapping, _ rule: RuleDefinition, _ types: [ValueType], _ problems: inout Problems
  ) -> Int64 {
    guard let found = duration(map, "renew", rule, types, &problems) else { return 0 }
    let parameter = found.parameter.map { rule.parameters[$0] }
    let values = [found.value] + [parameter?.lowest, parameter?.highest].compactMap { $0?.scaled(toExponent: 0) }
    for value in values where value != 0 && !RuleReader.renewals.contains(value) {
      problems.add(
        map.place(of: "renew"),
        "`renew` is a duration of 1h to 7d, or 0s for never, not `\(DurationText.format(value))`")
      return 0
    }
    return found.value
  }

  // MARK: Adapted limits

  private func readAdaptations(
    _ map: YAMLMapping, _ rule: inout RuleDefinition, _ checker: inout ExpressionChecker,
    _ found: inout RuleConditions, _ problems: inout Problems
  ) {
    for entry in map.mapping("adapt", &problems)?.entries ?? [] {
      guard let name = entry.key.scalar else { continue }
      guard let index = rule.parameterIndex(name) else {
        problems.add(
          entry.key, "the rule has no parameter `\(name)` to adapt",
          suggestion: Suggestion.nearest(name, among: rule.parameters.map(\.name)))
        continue
      }
      guard checker.parameterTypes[index] != .duration else {
        problems.add(entry.key, "`\(name)` is a duration: only limits adapt to a patient")
        continue
      }
      let keys = RuleKeys.adapt.map(\.key)
      guard let block = YAMLMapping(entry.value, of: "adapt `\(name)`", keys: keys, &problems),
        let text = block.requiredValue("to", &problems),
        let floor = block.requiredRead("floor", as: "a number", &problems, { DecimalValue($0) }),
        let ceiling = block.requiredRead("ceiling", as: "a number", &problems, { DecimalValue($0) }),
        let to = condition(text, .adapt, like: checker.parameterTypes[index], &checker, &problems)
      else { continue }
      found.adaptations.append(to)
      let adaptation = LimitAdaptation(parameter: index, to: to.program, floor: floor, ceiling: ceiling)
      rule.adaptations.append(adaptation)
      checkAdaptation(adaptation, of: rule.parameters[index], block, text, &problems)
    }
  }

  private func checkAdaptation(
    _ adaptation: LimitAdaptation, of parameter: RuleParameter, _ block: YAMLMapping, _ text: YAMLNode,
    _ problems: inout Problems
  ) {
    let (name, floor, ceiling) = (parameter.name, adaptation.floor, adaptation.ceiling)
    if floor.double >= ceiling.double {
      problems.add(block.place(of: "floor"), "the floor \(floor) is not below the ceiling \(ceiling)")
    }
    if let lowest = parameter.lowest, floor.double < lowest.double {
      problems.add(block.place(of: "floor"), "the floor \(floor) is below the minimum of `\(name)`, \(lowest)")
    }
    if let highest = parameter.highest, ceiling.double > highest.double {
      problems.add(block.place(of: "ceiling"), "the ceiling \(ceiling) is above the maximum of `\(name)`, \(highest)")
    }
    var measures = false
    for instruction in adaptation.to.instructions {
      switch instruction {
      case .feature: measures = true
      case .parameter(adaptation.parameter): problems.add(text, "`\(name)` cannot follow itself")
      case .score, .scoreComponent: problems.add(text, "a score may not move the limit of a vital")
      default: break
      }
    }
    if !measures { problems.add(text, "`\(name)` would follow nothing measured: a constant belongs into `default`") }
  }
}
