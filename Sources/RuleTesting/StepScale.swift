import VitalModel

/// How far a number of a rule is moved to make another rule of it: the smallest change somebody would call one.
struct StepScale {
  private enum Kind {
    /// A whole amount: resolution of a vital, a count, a year, a point.
    case fixed(Double)
    /// Milliseconds.
    case time(Double)
    /// Last digit written, at most a tenth where `isShare`: ratios, shares, spreads.
    case written(isShare: Bool)
    /// The smaller of the vital's resolution and the last digit written: changes per minute.
    case perMinute(Double)
  }
  private let kind: Kind

  /// What a comparison compares, by the first thing it reads.
  init(comparison: ProgramTree, rule: RuleDefinition, registry: VitalRegistry, tick: Int64) {
    let isRatio = comparison.contains { $0 == .divide } && comparison.inputs.count > 1
    kind =
      isRatio
      ? .written(isShare: true)
      : comparison.inputs.first.map { StepScale.kind($0, rule, registry, tick) } ?? .written(isShare: false)
  }

  /// What a parameter is compared with; nil if it is used nowhere but as `for`, which is changed as such.
  init?(parameter index: Int, rule: RuleDefinition, registry: VitalRegistry, tick: Int64) {
    for part in RulePart.all(of: rule) {
      guard let tree = part.tree(of: rule) else { continue }
      if let comparison = StepScale.comparison(using: index, in: tree) {
        self.init(comparison: comparison, rule: rule, registry: registry, tick: tick)
        return
      }
    }
    guard let feature = rule.features.first(where: { $0.arguments.contains(.parameter(index)) }) else { return nil }
    let value = rule.parameters[index].value.double
    self.init(.fixed(StepScale.step(argument: feature, value: value, registry: registry)))
  }

  private init(_ kind: Kind) { self.kind = kind }

  private static func comparison(using index: Int, in tree: ProgramTree) -> ProgramTree? {
    if tree.isComparison { return tree.contains { $0 == .parameter(index) } ? tree : nil }
    for child in tree.children {
      if let found = comparison(using: index, in: child) { return found }
    }
    return nil
  }

  private static func kind(
    _ input: Instruction, _ rule: RuleDefinition, _ registry: VitalRegistry, _ tick: Int64
  ) -> Kind {
    guard case .feature(let index) = input else { return .fixed(1) }
    let feature = rule.features[index]
    switch feature.kind {
    case .count, .countBelow, .countAbove, .crossings: return .fixed(1)
    case .age, .timeBelow, .timeAbove: return .time(Double(tick))
    case .fractionBelow, .fractionAbove, .irregularity: return .written(isShare: true)
    case .deviation: return .written(isShare: false)
    case .rate, .slope: return .perMinute(resolution(feature, registry))
    default: return .fixed(resolution(feature, registry))
    }
  }

  private static func resolution(_ feature: Feature, _ registry: VitalRegistry) -> Double {
    guard let code = feature.code else { return 1 }
    return DecimalValue(mantissa: 1, exponent: Int8(registry[code].resolutionExponent)).double
  }

  /// How far a number inside an aggregate is moved.
  static func step(argument feature: Feature, value: Double, registry: VitalRegistry) -> Double {
    feature.kind == .quantile ? written(value) : resolution(feature, registry)
  }

  func step(_ value: Double) -> Double {
    switch kind {
    case .fixed(let step), .time(let step): step
    case .written(let isShare): isShare ? min(0.1, StepScale.written(value)) : StepScale.written(value)
    case .perMinute(let resolution): min(resolution, StepScale.written(value))
    }
  }

  /// One in the last digit a number needs: 0.01 for 1.25, 1 for 30.
  static func written(_ value: Double) -> Double {
    for places in 0...6 {
      let scaled = value * Double(DecimalValue.powerOfTen(places))
      if abs(scaled - scaled.rounded()) < 1e-6 { return DecimalValue(mantissa: 1, exponent: Int8(-places)).double }
    }
    return 0.000001
  }

  func text(_ value: Double) -> String {
    if case .time = kind { return ProgramWords.time(value) }
    return ProgramWords.number(value)
  }

  /// A number moved, rounded as the text of a rule would have it.
  static func moved(_ value: Double, by step: Double) -> Double { decimal(value + step)?.double ?? value + step }

  /// To the nearest millionth; nil where that is no decimal.
  static func decimal(_ value: Double) -> DecimalValue? {
    guard value.magnitude < 1e12 else { return nil }
    return DecimalValue(mantissa: Int64((value * 1e6).rounded()), exponent: -6).normalized
  }
}
