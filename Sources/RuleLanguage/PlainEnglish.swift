import VitalModel

/// Conditions in words a nurse can read aloud.
struct PlainEnglish {
  let rule: RuleDefinition
  let registry: VitalRegistry
  let scores: [ScoreDefinition]

  // MARK: Conditions

  func condition(_ tree: CheckedExpression, isInner: Bool = false) -> String {
    switch tree.content {
    case .unary(.not, let inner): return negated(inner)
    case .binary(.and, _, _):
      let text = operands(tree, .and).map { condition($0, isInner: true) }.joined(separator: " and ")
      return isInner ? "both " + text : text
    case .binary(.or, _, _):
      let text = operands(tree, .or).map { condition($0, isInner: true) }.joined(separator: " or ")
      return isInner ? "either " + text : text
    case .binary(let instruction, let left, let right):
      if left.isConstant, !right.isConstant { return comparison(instruction.mirrored, right, left) }
      return comparison(instruction, left, right)
    case .atLeast(let needed, let members):
      return "at least \(needed) of these hold: " + members.map { condition($0, isInner: true) }.joined(separator: "; ")
    case .feature(let index): return truth(rule.features[index], isNot: false)
    case .attribute(let attribute): return fact(attribute, isNot: false)
    default: return value(tree)
    }
  }

  private func operands(_ tree: CheckedExpression, _ instruction: Instruction) -> [CheckedExpression] {
    guard case .binary(instruction, let left, let right) = tree.content else { return [tree] }
    return operands(left, instruction) + operands(right, instruction)
  }

  private func negated(_ tree: CheckedExpression) -> String {
    switch tree.content {
    case .feature(let index): return truth(rule.features[index], isNot: true)
    case .attribute(let attribute): return fact(attribute, isNot: true)
    case .binary(let instruction, let left, let right) where instruction.isComparison:
      return comparison(instruction, left, right, isNot: true)
    default: return "it is not so that " + condition(tree, isInner: true)
    }
  }

  private func comparison(
    _ instruction: Instruction, _ left: CheckedExpression, _ right: CheckedExpression, isNot: Bool = false
  ) -> String {
    let words: String
    let isLevel = left.type.quantity.map { $0.form == .absolute && !$0.isOne } ?? false
    switch instruction {
    case .less: words = isLevel ? "below " : "less than "
    case .lessOrEqual: words = isLevel ? "at or below " : "at most "
    case .greater: words = isLevel ? "above " : "more than "
    case .greaterOrEqual: words = isLevel ? "at or above " : "at least "
    case .notEqual: words = isNot ? "" : "not "
    default: words = isNot && instruction == .equal ? "not " : ""
    }
    let isEquality = instruction == .equal || instruction == .notEqual
    return "\(value(left)) is \(isNot && !isEquality ? "not " : "")\(words)\(limit(right, for: left))"
  }

  /// The other side of a comparison; constants with their number first.
  private func limit(_ tree: CheckedExpression, for value: CheckedExpression) -> String {
    guard tree.isConstant, let number = tree.constant(rule.parameters.map(\.value.double)) else {
      return self.value(tree)
    }
    if case .feature(let index) = value.content, Aggregate.of(rule.features[index].kind).result == .vital,
      let letters = rule.features[index].code.map({ registry[$0].letters }),
      let letter = letters.first(where: { Double($0.value) == number })
    {
      return letter.text
    }
    let type = value.type == .plain ? tree.type : value.type
    let shown = PlainEnglish.number(number, type)
    if case .constant = tree.content { return shown }
    return "\(shown) (\(arithmetic(tree)))"
  }

  /// Names and signs of a constant: `limit minus 10`.
  private func arithmetic(_ tree: CheckedExpression) -> String {
    switch tree.content {
    case .constant(let value): return PlainEnglish.number(value, tree.type == .duration ? .duration : .plain)
    case .parameter(let index): return rule.parameters[index].name
    case .unary(.negate, let inner): return "minus \(arithmetic(inner))"
    case .binary(let instruction, let left, let right):
      return "\(arithmetic(left)) \(PlainEnglish.word(instruction)) \(arithmetic(right))"
    default: return value(tree)
    }
  }

  // MARK: Values

  func value(_ tree: CheckedExpression) -> String {
    switch tree.content {
    case .constant, .parameter: return limit(tree, for: tree)
    case .feature(let index): return aggregate(rule.features[index])
    case .score(let index, .total): return "the total of \(scores[index].title)"
    case .score(let index, .singleMax): return "the largest single component of \(scores[index].title)"
    case .score(let index, .missing): return "the number of unknown components of \(scores[index].title)"
    case .component(let index, let component):
      return "the \(scores[index].components[component].name) points of \(scores[index].title)"
    case .attribute(let attribute): return fact(attribute, isNot: false)
    case .unary(.absolute, let inner):
      if case .binary(.subtract, let left, let right) = inner.content {
        return "the difference between \(value(left)) and \(value(right))"
      }
      return "the size of \(value(inner))"
    case .unary(.negate, let inner): return "minus \(value(inner))"
    case .binary(let instruction, let left, let right):
      return "\(value(left)) \(PlainEnglish.word(instruction)) \(value(right))"
    default: return condition(tree, isInner: true)
    }
  }

  func title(_ code: VitalCode?) -> String {
    guard let code else { return "value" }
    func short(_ vital: VitalDefinition) -> String { vital.title.prefix { $0 != "(" }.trimmed }
    // What stands in parentheses is in the way aloud, unless it tells two vitals apart.
    let isAlone = registry.vitals.filter { short($0) == short(registry[code]) }.count == 1
    let title = isAlone ? short(registry[code]) : registry[code].title
    let second = title.dropFirst().first
    return second?.isUppercase == true || second?.isNumber == true
      ? title : title.prefix(1).lowercased() + title.dropFirst()
  }

  private func aggregate(_ feature: Feature) -> String {
    let vital = title(feature.code) + (feature.origin.map { " from \($0)" } ?? "")
    let window = PlainEnglish.window(feature.window)
    func argument(_ index: Int, _ type: ValueType? = nil) -> String {
      guard feature.arguments.indices.contains(index) else { return "" }
      let unit = feature.code.map { ValueType.quantity(Quantity(text: registry[$0].unit)) } ?? .plain
      switch feature.arguments[index] {
      case .constant(let value): return PlainEnglish.number(value, type ?? unit)
      case .parameter(let position):
        let parameter = rule.parameters[position]
        return "\(PlainEnglish.number(parameter.value.double, type ?? unit)) (\(parameter.name))"
      }
    }
    switch feature.kind {
    case .last: return "the newest \(vital)"
    case .newest: return "the newest \(vital) \(window)"
    case .first: return "the oldest \(vital) \(window)"
    case .mean, .median, .sum: return "the \(feature.kind.rawValue) of \(vital) \(window)"
    case .quantile: return "the \(argument(0, .plain)) quantile of \(vital) \(window)"
    case .min: return "the lowest \(vital) \(window)"
    case .max: return "the highest \(vital) \(window)"
    case .range: return "the distance from lowest to highest \(vital) \(window)"
    case .count: return "the number of \(vital) samples \(window)"
    case .stddev: return "the standard deviation of \(vital) \(window)"
    case .delta: return "the change of \(vital) \(window)"
    case .rate: return "the change per minute of \(vital) \(window)"
    case .slope: return "the trend of \(vital) \(window)"
    case .ewma: return "the smoothed \(vital) (half-life \(PlainEnglish.duration(feature.window)))"
    case .timeBelow: return "the time \(vital) was below \(argument(0)) \(window)"
    case .timeAbove: return "the time \(vital) was above \(argument(0)) \(window)"
    case .fractionBelow: return "the share of time \(vital) was below \(argument(0)) \(window)"
    case .fractionAbove: return "the share of time \(vital) was above \(argument(0)) \(window)"
    case .areaBelow: return "the burden of \(vital) below \(argument(0)) \(window)"
    case .areaAbove: return "the burden of \(vital) above \(argument(0)) \(window)"
    case .countBelow: return "the number of \(vital) samples below \(argument(0)) \(window)"
    case .countAbove: return "the number of \(vital) samples above \(argument(0)) \(window)"
    case .crossings: return "the number of times \(vital) crossed \(argument(0)) \(window)"
    case .irregularity: return "the irregularity of \(vital) \(window)"
    case .baseline where hasWholeRange(feature): return "the patient's usual \(vital) (median \(window))"
    case .baseline:
      return "the patient's usual \(vital) (median \(window), kept between \(argument(0)) and \(argument(1)))"
    case .deviation: return "the distance of \(vital) from the patient's usual, in robust standard deviations \(window)"
    case .age: return "the time since the newest \(vital)"
    case .missing, .stale, .status, .source: return truth(feature, isNot: false)
    }
  }

  /// A baseline between everything the vital may be has no bounds worth a word.
  private func hasWholeRange(_ feature: Feature) -> Bool {
    guard let code = feature.code else { return false }
    return feature.arguments
      == [registry[code].rejectBelow, registry[code].rejectAbove].map { .constant($0.double) }
  }

  private func truth(_ feature: Feature, isNot: Bool) -> String {
    let vital = feature.code.map { title($0) } ?? "signal"
    let no = isNot ? "not " : ""
    switch feature.kind {
    case .missing: return "\(vital) has \(no)been missing for \(PlainEnglish.duration(feature.window))"
    case .stale: return "the \(vital) is \(isNot ? "current" : "stale")"
    case .status:
      return "the sensor of the \(vital) \(isNot ? "does not report" : "reports") \(feature.status?.text ?? "")"
    case .source: return "\(vital) \(isNot ? "does not come" : "comes") from \(feature.source ?? "")"
    default: return aggregate(feature)
    }
  }

  private func fact(_ attribute: PatientAttribute, isNot: Bool) -> String {
    switch attribute {
    case .age: "the age"
    case .ageMonths: "the age in months"
    case .flag(let flag): "the patient \(isNot ? "does not carry" : "carries") the flag \(flag)"
    case .unit(let unit): "the patient \(isNot ? "does not lie" : "lies") in \(unit)"
    }
  }

  // MARK: Words

  static func word(_ instruction: Instruction) -> String {
    switch instruction {
    case .add: "plus"
    case .subtract: "minus"
    case .multiply: "times"
    default: "divided by"
    }
  }

  static func duration(_ milliseconds: Int64) -> String {
    let text = DurationText.format(milliseconds)
    let digits = text.prefix { $0.isNumber }
    let words = ["ms": "millisecond", "s": "second", "m": "minute", "h": "hour", "d": "day", "w": "week"]
    let word = words[String(text.dropFirst(digits.count))] ?? ""
    return "\(digits) \(word)\(digits == "1" ? "" : "s")"
  }

  private static func duration(_ window: WindowShape) -> String {
    if case .sliding(let length) = window { return duration(length) }
    return window.ruleText
  }

  static func window(_ window: WindowShape) -> String {
    switch window {
    case .none: "now"
    case .sliding(let length): "over the last \(duration(length))"
    case .hopping(let length, let every):
      length == every
        ? "over each whole \(duration(length))" : "over \(duration(length)), taken every \(duration(every))"
    case .samples(let count): "over the newest \(count) samples"
    case .sinceOnset: "since the alert began"
    case .session(let gap): "since the last gap of \(duration(gap))"
    }
  }

  /// `90 %`, `15 seconds`, `39.1 °C`.
  static func number(_ value: Double, _ type: ValueType) -> String {
    switch type {
    case .duration: return NumberText.milliseconds(value).map { duration($0) } ?? "\(NumberText.plain(value)) ms"
    case .quantity(let quantity):
      let unit = unit(quantity.text)
      return NumberText.plain(value) + (unit.isEmpty ? "" : " " + unit)
    case .plain, .truth: return NumberText.plain(value)
    }
  }

  /// A UCUM code as people say it.
  static func unit(_ code: String) -> String {
    let names = [
      "/min": "per minute", "Cel": "°C", "mm[Hg]": "mmHg", "1": "", "a": "years", "mo": "months",
      "{score}": "points",
    ]
    if let name = names[code] { return name }
    return code.hasPrefix("{") && code.hasSuffix("}") ? String(code.dropFirst().dropLast()) : code
  }
}
