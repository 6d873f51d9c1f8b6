import VitalModel

/// The plan turned into tables the engine can walk without looking anything up by name.
///
/// This room computes only: windows, expressions and scores over values it is given. It never reads a clock, a file or
/// a socket, and never decides whether anybody is told.
package final class PlanLayout: Sendable {
  /// One window every series of a code keeps.
  package struct Window: Sendable {
    package var length: Int64
    package var isOrdered: Bool
  }

  /// What the engine needs to know of one vital.
  package struct CodePlan: Sendable {
    package var windows: [Window] = []
    /// How much event time a series keeps at least, milliseconds.
    package var retention: Int64 = PlanLayout.evidenceSpan
    /// Rules judged for each series of this vital.
    package var seriesRules: [Int] = []
    /// Rules judged once a patient that read this vital.
    package var patientRules: [Int] = []
    /// Score components this vital feeds: (score, component).
    package var scoreComponents: [(score: Int, component: Int)] = []
    package var registryStaleness: Int64 = 60_000
    package var resolutionExponent = 0
  }

  /// One rule's programs, compiled.
  package struct CompiledRule: Sendable {
    package var applies: CompiledProgram?
    package var when: CompiledProgram
    package var clear: CompiledProgram?
    package var bypass: CompiledProgram?
    package var bypassLimit: CompiledProgram?
    package var features: [CompiledFeature]
    package var readsScore: Bool
  }

  /// Samples of the last minute stay for the explanation of an alert even where no window needs them.
  package static let evidenceSpan: Int64 = 60_000

  package let plan: RulePlan
  package let codes: [CodePlan]
  package let rules: [CompiledRule]
  /// Rules with `each: series` that look at staleness, and those that look at the sensor's declared state.
  package let staleRules: [Int]
  package let statusRules: [Int]
  /// Every flag any rule or score asks for; a patient's flags become one bit set over these.
  package let flags: [String]

  /// - Precondition: the plan was checked by `RuleLanguage`: every index in it is valid.
  package init(plan: RulePlan) {
    self.plan = plan
    var codes = plan.registry.vitals.map { vital in
      CodePlan(registryStaleness: vital.staleness, resolutionExponent: vital.resolutionExponent)
    }
    var flags: [String] = []
    for score in plan.scores {
      for component in score.components {
        for variant in component.variants where !flags.contains(variant.flag) { flags.append(variant.flag) }
      }
    }
    for rule in plan.rules {
      for other in rule.parameters.flatMap(\.cases) where !flags.contains(other.flag) { flags.append(other.flag) }
      for program in [rule.applies, rule.when, rule.clear, rule.bypass].compactMap({ $0 }) {
        for case .attribute(.flag(let flag)) in program.instructions where !flags.contains(flag) { flags.append(flag) }
      }
      for feature in rule.features { PlanLayout.addWindow(of: feature, to: &codes) }
    }
    for (scoreIndex, score) in plan.scores.enumerated() {
      for (componentIndex, component) in score.components.enumerated() {
        for code in component.codes {
          let feature = Feature(kind: .median, code: code, window: component.medianWindow)
          if component.medianWindow > 0 { PlanLayout.addWindow(of: feature, to: &codes) }
          codes[Int(code.index)].scoreComponents.append((scoreIndex, componentIndex))
        }
      }
    }
    var stale: [Int] = []
    var status: [Int] = []
    for (index, rule) in plan.rules.enumerated() where rule.mode != .off {
      switch rule.scope {
      case .series(let code): codes[Int(code.index)].seriesRules.append(index)
      case .everySeries:
        // One that looks at both is kept once.
        let readsStale = rule.features.contains { $0.kind == .stale }
        if readsStale { stale.append(index) } else { status.append(index) }
      case .patient:
        var read = rule.codes
        if let score = rule.score { read += plan.scores[score].components.flatMap(\.codes) }
        for code in Set(read) { codes[Int(code.index)].patientRules.append(index) }
      }
    }
    self.flags = flags
    staleRules = stale
    statusRules = status
    let windows = codes.map(\.windows)
    rules = plan.rules.map { rule in
      let features = rule.features.map { CompiledFeature($0, windows: windows, registry: plan.registry) }
      func compile(_ program: Program) -> CompiledProgram {
        CompiledProgram(program, parameters: rule.parameters, flags: flags)
      }
      return CompiledRule(
        applies: rule.applies.map(compile), when: compile(rule.when), clear: rule.clear.map(compile),
        bypass: rule.bypass.map(compile), bypassLimit: rule.bypassLimit.map(compile), features: features,
        readsScore: rule.score != nil)
    }
    self.codes = codes
  }

  private static func addWindow(of feature: Feature, to codes: inout [CodePlan]) {
    guard feature.kind.isWindowed, let code = feature.code else { return }
    let index = Int(code.index)
    if let existing = codes[index].windows.firstIndex(where: { $0.length == feature.window }) {
      if feature.kind.needsOrder { codes[index].windows[existing].isOrdered = true }
    } else {
      codes[index].windows.append(Window(length: feature.window, isOrdered: feature.kind.needsOrder))
    }
    codes[index].retention = max(codes[index].retention, feature.window)
  }

  /// A patient's flags as a bit set over ``flags``.
  package func flagBits(_ patientFlags: Set<String>) -> UInt64 {
    var bits: UInt64 = 0
    for (index, flag) in flags.enumerated() where index < 64 && patientFlags.contains(flag) { bits |= 1 << index }
    return bits
  }
}

/// A feature with its window's position.
package struct CompiledFeature: Sendable {
  package var kind: FeatureKind
  /// Vital number; -1: the series at hand.
  package var code: Int
  package var window: Int
  package var length: Int64
  package var status: SampleStatus
  /// Grid steps are divided (negative exponent) or multiplied by this to become canonical units.
  package var scale: Double
  package var divides: Bool

  init(_ feature: Feature, windows: [[PlanLayout.Window]], registry: VitalRegistry) {
    kind = feature.kind
    code = feature.code.map { Int($0.index) } ?? -1
    length = feature.window
    status = feature.status ?? .ok
    window = -1
    if feature.kind.isWindowed, let vital = feature.code {
      window = windows[Int(vital.index)].firstIndex { $0.length == feature.window } ?? -1
    }
    let exponent = feature.code.map { registry[$0].resolutionExponent } ?? 0
    divides = exponent < 0
    scale = Double(DecimalValue.powerOfTen(abs(exponent)))
  }

  @inlinable
  func canonical(_ grid: Double) -> Double { divides ? grid / scale : grid * scale }

  /// As in the plan, for explanations.
  package func describe(_ registry: VitalRegistry) -> String {
    let key = code < 0 ? "" : registry.vitals[code].key
    switch kind {
    case .status: return "status(\(key.isEmpty ? "" : key + ", ")\(self.status.text))"
    case .stale: return "stale(\(key))"
    case .last: return "last(\(key))"
    default: return "\(kind.rawValue)(\(key), \(DurationText.format(length)))"
    }
  }
}
