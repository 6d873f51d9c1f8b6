import VitalModel

/// One small change of a rule that its tests should notice.
package struct Mutant: Sendable {
  /// What the tests made of it.
  package struct Result: Sendable {
    package var text: String
    package var line: Int
    package var isKilled: Bool
  }

  var rule: RuleDefinition
  /// What was changed, in words.
  var text: String
  /// Where it is written.
  var line: Int
}

/// Changes a rule in every small way that would make it another rule.
struct Mutation {
  let bench: RuleBench
  var rule: RuleDefinition { bench.rule }
  var words: ProgramWords { ProgramWords(rule: rule, plan: bench.plan) }

  /// Every mutant tried on the tests of the rule. Without tests all survive.
  var results: [Mutant.Result] {
    mutants.map { mutant in
      Mutant.Result(text: mutant.text, line: mutant.line, isKilled: !bench.allPass(mutant.rule))
    }
  }

  /// The shortest tick of the tests; one second where there are none.
  var tick: Int64 { bench.file.tests.map(\.tick).min() ?? 1000 }

  var mutants: [Mutant] {
    var all: [Mutant] = []
    for part in RulePart.all(of: rule) {
      guard let tree = part.tree(of: rule) else { continue }
      for (changed, text) in numbers(tree) + counts(tree) + strictness(tree, in: part) + droppedOperands(tree)
      where changed != tree {
        all.append(Mutant(rule: part.changed(rule, to: changed), text: "\(part.key): \(text)", line: line(part.key)))
      }
    }
    return all + droppedParts + droppedHolds + depths + parameters + durations + features
  }

  func line(_ key: String) -> Int { bench.file.keyLines[key] ?? bench.file.line }

  // MARK: Conditions

  /// Applies `change` at every node and gives each whole tree that results.
  private func everywhere(
    _ tree: ProgramTree, _ change: (ProgramTree) -> [(ProgramTree, String)]
  ) -> [(ProgramTree, String)] {
    var all = change(tree)
    for (index, child) in tree.children.enumerated() {
      for (changed, text) in everywhere(child, change) {
        var copy = tree
        copy.children[index] = changed
        all.append((copy, text))
      }
    }
    return all
  }

  /// Each number a comparison holds, a step up and down.
  private func numbers(_ tree: ProgramTree) -> [(ProgramTree, String)] {
    everywhere(tree) { node in
      guard node.isComparison else { return [] }
      let scale = StepScale(comparison: node, rule: rule, registry: bench.plan.registry, tick: tick)
      return shifted(node, scale, inProduct: false).map { changed, from, to in
        (changed, "\(from) to \(to) in `\(words.text(node))`")
      }
    }
  }

  private func shifted(
    _ node: ProgramTree, _ scale: StepScale, inProduct: Bool
  ) -> [(ProgramTree, String, String)] {
    if case .constant(let value) = node.instruction {
      let step = inProduct ? StepScale.written(value) : scale.step(value)
      return [step, -step].map { step in
        let other = StepScale.moved(value, by: step)
        let texts = inProduct ? [value, other].map(ProgramWords.number) : [value, other].map(scale.text)
        return (ProgramTree(.constant(other)), texts[0], texts[1])
      }
    }
    let isProduct = node.instruction == .multiply || node.instruction == .divide
    return node.children.enumerated().flatMap { index, child in
      shifted(child, scale, inProduct: inProduct || isProduct).map { changed, from, to in
        var copy = node
        copy.children[index] = changed
        return (copy, from, to)
      }
    }
  }

  /// `2 of (a, b, c)` to one more and one fewer.
  private func counts(_ tree: ProgramTree) -> [(ProgramTree, String)] {
    everywhere(tree) { node in
      guard case .atLeast(let needed, let count) = node.instruction else { return [] }
      return [needed + 1, needed - 1].filter { (1...count).contains($0) }.map { other in
        let changed = ProgramTree(.atLeast(needed: other, of: count), node.children)
        return (changed, "`\(words.text(node))` to `\(words.text(changed))`")
      }
    }
  }

  private func strictness(_ tree: ProgramTree, in part: RulePart) -> [(ProgramTree, String)] {
    let when = RulePart.when.tree(of: rule)
    let opposite: [Instruction: Instruction] = [
      .less: .greaterOrEqual, .lessOrEqual: .greater, .greater: .lessOrEqual, .greaterOrEqual: .less,
    ]
    let other: [Instruction: Instruction] = [
      .less: .lessOrEqual, .lessOrEqual: .less, .greater: .greaterOrEqual, .greaterOrEqual: .greater,
    ]
    return everywhere(tree) { node in
      guard let instruction = other[node.instruction], let reverse = opposite[node.instruction] else { return [] }
      // What holds an alert open is not cleared: at the limit of `when` itself a looser `clear` is the same rule.
      if part == .clear, when == ProgramTree(reverse, node.children) { return [] }
      let changed = ProgramTree(instruction, node.children)
      return [(changed, "`\(words.text(node))` to `\(words.text(changed))`")]
    }
  }

  private func droppedOperands(_ tree: ProgramTree) -> [(ProgramTree, String)] {
    func dropped(_ node: ProgramTree, above: Instruction?) -> [(ProgramTree, String)] {
      var all: [(ProgramTree, String)] = []
      // The inner nodes of a chain are part of it.
      if node.isConnective, node.instruction != .not, node.instruction != above {
        let operands = node.operands
        for index in operands.indices {
          var rest = operands
          rest.remove(at: index)
          guard let changed = ProgramTree.chain(node.instruction, rest) else { continue }
          all.append((changed, "dropped `\(words.text(operands[index]))`"))
        }
      }
      for (index, child) in node.children.enumerated() {
        for (changed, text) in dropped(child, above: node.instruction) {
          var copy = node
          copy.children[index] = changed
          all.append((copy, text))
        }
      }
      return all
    }
    return dropped(tree, above: nil)
  }

  // MARK: Parts

  private var droppedParts: [Mutant] {
    var all: [Mutant] = []
    func add(_ key: String, _ text: String, _ change: (inout RuleDefinition) -> Void) {
      var copy = rule
      change(&copy)
      all.append(Mutant(rule: copy, text: text, line: line(key)))
    }
    for index in rule.raises.indices {
      add("raise", "dropped the raise `\(rule.raises[index].when.text)`") { $0.raises.remove(at: index) }
    }
    if rule.bypass != nil {
      add("bypass", "dropped `bypass`") {
        $0.bypass = nil
        $0.bypassLimit = nil
      }
    }
    if rule.clear != nil {
      add("clear", "dropped `clear`") {
        $0.clear = nil
        $0.clearFor = 0
      }
    }
    // One with several clauses loses them one by one.
    if let applies = RulePart.applies.tree(of: rule), applies.instruction != .and {
      add("applies", "dropped `applies: \(words.text(applies))`") { $0.applies = nil }
    }
    return all
  }

  /// One mutant for each thing that may hold the alert, without it.
  private var droppedHolds: [Mutant] {
    var all: [Mutant] = []
    func add(_ key: String, _ text: String, _ change: (inout RuleDefinition) -> Void) {
      var copy = rule
      change(&copy)
      all.append(Mutant(rule: copy, text: text, line: line(key)))
    }
    for index in rule.gates.indices {
      add("quality", "dropped the gate `\(rule.gates[index].text)`") { $0.gates.remove(at: index) }
    }
    if rule.confirm != nil { add("confirm", "dropped `confirm`") { $0.confirm = nil } }
    for (index, id) in rule.inhibitedBy.enumerated() {
      add("inhibited_by", "dropped `inhibited_by: \(id)`") { $0.inhibitedBy.remove(at: index) }
    }
    for (index, state) in rule.inhibitedIn.enumerated() {
      add("inhibited_in", "dropped `inhibited_in: \(state)`") { $0.inhibitedIn.remove(at: index) }
    }
    if rule.halvesAt != nil { add("smart_delay", "dropped `smart_delay`") { $0.halvesAt = nil } }
    if rule.worseningStep != nil { add("worsening", "dropped `worsening`") { $0.worseningStep = nil } }
    return all
  }

  /// The distances beyond the limit, a step of the compared vital more and less.
  private var depths: [Mutant] {
    let vital = rule.firstComparedVital
    let exponent = Int8(vital.map { bench.plan.registry[$0].resolutionExponent } ?? 0)
    let step = DecimalValue(mantissa: 1, exponent: exponent).double
    var all: [Mutant] = []
    func add(_ key: String, _ place: WritableKeyPath<RuleDefinition, DecimalValue?>) {
      guard let value = rule[keyPath: place] else { return }
      for other in [value.double + step, value.double - step] where other > 0 {
        guard let decimal = StepScale.decimal(other) else { continue }
        var copy = rule
        copy[keyPath: place] = decimal
        let texts = [value.double, other].map(ProgramWords.number)
        all.append(Mutant(rule: copy, text: "\(key): \(texts[0]) to \(texts[1])", line: line(key)))
      }
    }
    add("smart_delay", \.halvesAt)
    add("worsening", \.worseningStep)
    return all
  }

  // MARK: Parameters, durations, aggregates

  private var parameters: [Mutant] {
    var all: [Mutant] = []
    for (index, parameter) in rule.parameters.enumerated() {
      guard let scale = StepScale(parameter: index, rule: rule, registry: bench.plan.registry, tick: tick) else {
        continue
      }
      let cases: [(Int?, DecimalValue)] = parameter.cases.enumerated().map { ($0.offset, $0.element.value) }
      let values: [(Int?, DecimalValue)] = [(nil, parameter.value)] + cases
      for (number, value) in values {
        let step = scale.step(value.double)
        for other in [value.double + step, value.double - step] {
          guard let decimal = StepScale.decimal(other) else { continue }
          var copy = rule
          if let number {
            copy.parameters[index].cases[number].value = decimal
          } else {
            copy.parameters[index].value = decimal
          }
          let whose = number.map { " for \(parameter.cases[$0].flag)" } ?? ""
          all.append(
            Mutant(
              rule: copy,
              text: "parameter `\(parameter.name)`\(whose): \(scale.text(value.double)) to \(scale.text(other))",
              line: line("parameters")))
        }
      }
    }
    return all
  }

  private var durations: [Mutant] {
    var all: [Mutant] = []
    if rule.hold > 0 {
      for hold in [rule.hold + tick, rule.hold - tick] where hold >= 0 {
        var copy = rule
        copy.hold = hold
        if let index = rule.holdParameter { copy.parameters[index].value = DecimalValue(mantissa: hold) }
        all.append(Mutant(rule: copy, text: "for: \(text(rule.hold)) to \(text(hold))", line: line("for")))
      }
    }
    if rule.clear != nil, rule.clearFor > 0 {
      for hold in [rule.clearFor + tick, rule.clearFor - tick] where hold >= 0 {
        var copy = rule
        copy.clearFor = hold
        all.append(Mutant(rule: copy, text: "clear for: \(text(rule.clearFor)) to \(text(hold))", line: line("clear")))
      }
    }
    return all
  }

  private func text(_ milliseconds: Int64) -> String { DurationText.format(milliseconds) }

  private var features: [Mutant] {
    var all: [Mutant] = []
    for (index, feature) in rule.features.enumerated() {
      var variants: [Feature] = windows(feature.window).map {
        var copy = feature
        copy.window = $0
        return copy
      }
      for (position, argument) in feature.arguments.enumerated() {
        guard case .constant(let value) = argument else { continue }
        let step = StepScale.step(argument: feature, value: value, registry: bench.plan.registry)
        for other in [step, -step].map({ StepScale.moved(value, by: $0) })
        where feature.kind != .quantile || (0...1).contains(other) {
          var copy = feature
          copy.arguments[position] = .constant(other)
          variants.append(copy)
        }
      }
      for variant in variants {
        var copy = rule
        copy.features[index] = variant
        all.append(
          Mutant(
            rule: copy, text: "`\(words.text(feature))` to `\(words.text(variant))`", line: line(key(ofFeature: index)))
        )
      }
    }
    return all
  }

  /// The part that reads a feature first.
  private func key(ofFeature index: Int) -> String {
    let reader = RulePart.all(of: rule).filter { $0 != .applies }.first { part in
      part.program(of: rule)?.instructions.contains(.feature(index)) ?? false
    }
    return reader?.key ?? "when"
  }

  /// A window one tick, pane or sample longer and shorter.
  private func windows(_ window: WindowShape) -> [WindowShape] {
    switch window {
    case .none, .sinceOnset: []
    case .sliding(let length): [length + tick, length - tick].filter { $0 > 0 }.map { .sliding($0) }
    case .hopping(let length, let every):
      length == every
        ? [length + tick, length - tick].filter { $0 > 0 }.map { .hopping(length: $0, every: $0) }
        : [length + every, length - every].filter { $0 > 0 }.map { .hopping(length: $0, every: every) }
    case .samples(let count): [count + 1, count - 1].filter { $0 > 0 }.map { .samples($0) }
    case .session(let gap): [gap + tick, gap - tick].filter { $0 > 0 }.map { .session(gap: $0) }
    }
  }
}
