import VitalModel

/// The values of one parameter that would make a rule quieter, nearest first, inside its bounds.
package struct QuieterSteps: Hashable, Sendable {
  /// Position in ``RuleDefinition/parameters``.
  package var parameter: Int
  /// The value in force.
  package var current: DecimalValue
  package var values: [DecimalValue]
  /// Whether the parameter is how long the condition must hold, milliseconds.
  package var isHold: Bool
  /// Whether the rule's bypass limit depends on the parameter and so moves with it.
  package var movesBypass: Bool

  /// At most this many values of one parameter are tried.
  package static let stepsMax = 5

  /// Of a rule's limit (the parameter its first comparison is against) and its hold, those that are parameters with both
  /// bounds and have room left: without bounds, or at them, nothing is suggested.
  ///
  /// - Parameter current: the value in force for a patient of a parameter by its position.
  package static func all(_ rule: RuleDefinition, current: (Int) -> DecimalValue) -> [QuieterSteps] {
    var found: [QuieterSteps] = []
    if let limit = limit(of: rule) {
      found += steps(rule, limit.parameter, current(limit.parameter), rises: limit.rises, isHold: false)
    }
    if let hold = rule.holdParameter { found += steps(rule, hold, current(hold), rises: true, isHold: true) }
    return found
  }

  /// The parameter on the right of the first comparison, and whether more of it means fewer alerts.
  static func limit(of rule: RuleDefinition) -> (parameter: Int, rises: Bool)? {
    guard let right = rule.firstComparison?.right.instructions, right.count == 1, case .parameter(let index) = right[0],
      let comparison = rule.when.instructions.first(where: \.isComparison)
    else { return nil }
    switch comparison {
    case .less, .lessOrEqual: return (index, false)
    case .greater, .greaterOrEqual: return (index, true)
    default: return nil
    }
  }

  private static func steps(
    _ rule: RuleDefinition, _ index: Int, _ current: DecimalValue, rises: Bool, isHold: Bool
  ) -> [QuieterSteps] {
    let parameter = rule.parameters[index]
    guard let lowest = parameter.lowest, let highest = parameter.highest else { return [] }
    // Outside its bounds already, the way back may be the louder one: nothing is suggested.
    guard (lowest.double...max(lowest.double, highest.double)).contains(current.double) else { return [] }
    let values = between(current, rises ? highest : lowest)
    guard !values.isEmpty else { return [] }
    let movesBypass = rule.bypass?.instructions.contains(.parameter(index)) ?? false
    return [
      QuieterSteps(parameter: index, current: current, values: values, isHold: isHold, movesBypass: movesBypass)
    ]
  }

  /// Up to ``stepsMax`` values from one number towards another, by 1, 2 or 5 of a decimal place.
  static func between(_ start: DecimalValue, _ end: DecimalValue) -> [DecimalValue] {
    let exponent = Int(min(start.exponent, end.exponent))
    guard let first = start.scaled(toExponent: exponent), let last = end.scaled(toExponent: exponent) else { return [] }
    let span = abs(last - first)
    let least = (span + Int64(stepsMax) - 1) / Int64(stepsMax)
    guard least > 0 else { return [] }
    var power: Int64 = 1
    while power * 10 <= least { power *= 10 }
    let step = [power, 2 * power, 5 * power, 10 * power].first { $0 >= least } ?? least
    let signed = last > first ? step : -step
    return (1...Int64(stepsMax)).compactMap { count in
      let value = first + count * signed
      return abs(value - first) <= span ? DecimalValue(mantissa: value, exponent: Int8(exponent)) : nil
    }
  }
}
