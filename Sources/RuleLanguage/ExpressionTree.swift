import VitalModel

/// The typed tree of a rule's conditions as text, and the memory its windows cost: what `--explain-expr` prints.
enum ExpressionTree {
  /// Bytes of one kept sample, and of one distinct value of an ordered window.
  static let bytesPerSample = 3
  static let bytesPerValue = 12

  static func text(_ rule: ReadRule, registry: VitalRegistry, scores: [ScoreDefinition]) -> String {
    var lines: [String] = []
    let view = View(rule: rule.definition, registry: registry, scores: scores)
    for (key, condition) in rule.conditions.all {
      lines.append("\(key): \(condition.text)")
      view.add(condition.checked, prefix: "  ", branch: "", &lines)
    }
    return (lines + view.memory).joined(separator: "\n") + "\n"
  }

  private struct View {
    let rule: RuleDefinition
    let registry: VitalRegistry
    let scores: [ScoreDefinition]

    func add(_ tree: CheckedExpression, prefix: String, branch: String, _ lines: inout [String]) {
      lines.append("\(prefix)\(branch)\(name(tree)): \(tree.type.text)")
      let children = tree.children
      let inner = prefix + (branch.isEmpty ? "" : branch == "└ " ? "  " : "│ ")
      for (index, child) in children.enumerated() {
        add(child, prefix: inner, branch: index + 1 == children.count ? "└ " : "├ ", &lines)
      }
    }

    private func name(_ tree: CheckedExpression) -> String {
      switch tree.content {
      case .constant(let value):
        return tree.type == .duration ? NumberText.duration(value) : NumberText.plain(value)
      case .parameter(let index):
        let parameter = rule.parameters[index]
        let value = parameter.unit == "ms" ? NumberText.duration(parameter.value.double) : "\(parameter.value)"
        return "$\(parameter.name) = \(value)"
      case .feature(let index): return RuleText.feature(rule.features[index], rule, registry)
      case .score(let index, let field): return "\(scores[index].id)().\(field.rawValue)"
      case .component(let index, let component):
        return "\(scores[index].id)().\(scores[index].components[component].name)"
      case .attribute(let attribute): return RuleText.attribute(attribute)
      case .unary(let instruction, _): return ExpressionTree.symbol(instruction)
      case .binary(let instruction, _, _): return ExpressionTree.symbol(instruction)
      case .atLeast(let needed, let members): return "\(needed) of \(members.count)"
      }
    }

    /// One line a window, each counted once however many aggregates share it.
    var memory: [String] {
      var lines: [String] = []
      var seen: [Feature] = []
      var total = 0
      for feature in rule.features {
        guard let window = ExpressionTree.kept(feature), let code = feature.code else { continue }
        let isSeen = seen.contains {
          $0.code == code && $0.window == feature.window && ($0.kind == .ewma) == (feature.kind == .ewma)
        }
        if isSeen { continue }
        seen.append(feature)
        let vital = registry[code]
        let step = DecimalValue(mantissa: 1, exponent: Int8(vital.resolutionExponent)).double
        let span = ((vital.rejectAbove.double - vital.rejectBelow.double) / step).rounded() + 1
        let distinct = span < Double(window.samples) ? Int(max(span, 1)) : window.samples
        let bytes = window.samples * ExpressionTree.bytesPerSample + distinct * ExpressionTree.bytesPerValue
        total += bytes
        lines.append(
          "  \(vital.key), \(feature.window.ruleText): \(window.samples) samples\(window.note) and at most \(distinct) values, "
            + "\(bytes) bytes")
      }
      if lines.isEmpty { return ["memory: no window is kept"] }
      return ["memory of a patient at 1 sample/s (3 bytes a sample kept, 12 a distinct value): \(total) bytes"] + lines
    }
  }

  /// Samples a window keeps at one a second; nil if it keeps none.
  static func kept(_ feature: Feature) -> (samples: Int, note: String)? {
    if feature.kind == .missing { return nil }
    let factor: Int64 = feature.kind == .ewma ? 8 : 1
    func seconds(_ length: Int64) -> Int { max(1, Int(length * factor / 1000)) }
    switch feature.window {
    case .none: return nil
    case .sliding(let length): return (seconds(length), factor == 8 ? " (eight half-lives)" : "")
    case .hopping(let length, _): return (seconds(length), "")
    case .samples(let count): return (count, "")
    case .sinceOnset: return (seconds(WindowShape.sinceOnsetMax), "")
    case .session: return (3600, " for each hour it lasts")
    }
  }

  static func symbol(_ instruction: Instruction) -> String {
    switch instruction {
    case .add: "+"
    case .subtract, .negate: "-"
    case .multiply: "*"
    case .divide: "/"
    case .absolute: "abs"
    case .not: "not"
    case .and: "and"
    case .or: "or"
    default: ExpressionParser.comparisons.first { $0.instruction == instruction }?.symbol ?? "\(instruction)"
    }
  }
}
