import VitalModel

/// The plan turned into tables the engine can walk without looking anything up by name.
///
/// This room computes only: windows, expressions and scores over values it is given. It never reads a clock, a file or
/// a socket, and never decides whether anybody is told.
///
/// Everything the hot path reads is in flat tables the layout owns: no reference counts are touched a sample.
// `@unchecked`: the tables are filled in `init`, never written again, and freed with the last reference.
package final class PlanLayout: @unchecked Sendable {
  /// A table owned by the layout: valid as long as it.
  package typealias Table<Element> = UnsafeBufferPointer<Element>

  /// One window every series of a code keeps.
  package struct Window: Sendable, BitwiseCopyable {
    package var length: Int64
    package var isOrdered: Bool
  }

  /// A score component a vital feeds.
  package struct ScoreFeed: Sendable, BitwiseCopyable {
    package var score: Int
    package var component: Int
  }

  /// What the engine needs to know of one vital.
  // `@unchecked`: tables as above.
  package struct CodePlan: @unchecked Sendable, BitwiseCopyable {
    package var windows: Table<Window>
    /// How much event time a series keeps at least, milliseconds.
    package var retention: Int64
    /// Rules judged for each series of this vital.
    package var seriesRules: Table<Int>
    /// Rules judged once a patient that read this vital.
    package var patientRules: Table<Int>
    package var scoreFeeds: Table<ScoreFeed>
    package var registryStaleness: Int64
    package var resolutionExponent: Int
    /// Numbers in unit 0 need no conversion, only rounding.
    package var isPlain: Bool
  }

  /// One rule's programs, compiled.
  // `@unchecked`: tables as above.
  package struct CompiledRule: @unchecked Sendable, BitwiseCopyable {
    package var applies: CompiledProgram?
    package var when: CompiledProgram
    package var clear: CompiledProgram?
    package var bypass: CompiledProgram?
    package var bypassLimit: CompiledProgram?
    package var raises: Table<CompiledRaise>
    package var features: Table<CompiledFeature>
    package var holdLast: Bool
  }

  /// Samples of the last minute stay for the explanation of an alert even where no window needs them.
  package static let evidenceSpan: Int64 = 60_000

  package let plan: RulePlan
  package let codes: Table<CodePlan>
  package let rules: Table<CompiledRule>
  package let scores: Table<CompiledScore>
  /// Rules with `each: series` that look at staleness, and those that look at the sensor's declared state.
  package let staleRules: Table<Int>
  package let statusRules: Table<Int>
  /// Every flag any rule or score asks for; a patient's flags become one bit set over these.
  package let flags: [String]
  /// Rules with conditions that raise a priority.
  package let raisingRules: Table<Int>
  private let memory: TableMemory

  /// - Precondition: the plan was checked by `RuleLanguage`: every index in it is valid.
  package init(plan: RulePlan) {
    self.plan = plan
    let memory = TableMemory()
    let flags = PlanLayout.flags(of: plan)
    var drafts = plan.registry.vitals.map { _ in CodeDraft() }
    for rule in plan.rules { for feature in rule.features { PlanLayout.addWindow(of: feature, to: &drafts) } }
    for (scoreIndex, score) in plan.scores.enumerated() {
      for (componentIndex, component) in score.components.enumerated() {
        for code in component.codes {
          let feature = Feature(kind: .median, code: code, window: .sliding(component.medianWindow))
          if component.medianWindow > 0 { PlanLayout.addWindow(of: feature, to: &drafts) }
          drafts[Int(code.index)].feeds.append(ScoreFeed(score: scoreIndex, component: componentIndex))
        }
      }
    }
    let signal = PlanLayout.assignRules(of: plan, to: &drafts)
    let windows = drafts.map(\.windows)
    self.flags = flags
    self.memory = memory
    staleRules = memory.table(signal.stale)
    statusRules = memory.table(signal.status)
    raisingRules = memory.table(
      plan.rules.indices.filter { plan.rules[$0].mode != .off && !plan.rules[$0].raises.isEmpty })
    rules = memory.table(
      plan.rules.enumerated().map { index, rule in
        let features = rule.features.map { CompiledFeature($0, windows: windows, registry: plan.registry) }
        func compile(_ program: Program) -> CompiledProgram {
          CompiledProgram(program, rule: index, parameters: rule.parameters, flags: flags, memory: memory)
        }
        return CompiledRule(
          applies: rule.applies.map(compile), when: compile(rule.when), clear: rule.clear.map(compile),
          bypass: rule.bypass.map(compile), bypassLimit: rule.bypassLimit.map(compile),
          raises: memory.table(rule.raises.map { CompiledRaise(when: compile($0.when), to: $0.to) }),
          features: memory.table(features), holdLast: rule.holdLast)
      })
    scores = memory.table(
      plan.scores.map { CompiledScore($0, windows: windows, flags: flags, registry: plan.registry, memory: memory) })
    codes = memory.table(
      zip(plan.registry.vitals, drafts).map { vital, draft in
        let first = vital.units.first
        return CodePlan(
          windows: memory.table(draft.windows), retention: draft.retention,
          seriesRules: memory.table(draft.seriesRules), patientRules: memory.table(draft.patientRules),
          scoreFeeds: memory.table(draft.feeds), registryStaleness: vital.staleness,
          resolutionExponent: vital.resolutionExponent,
          isPlain: first.map { $0.numerator == $0.denominator && $0.offset.mantissa == 0 } ?? false)
      })
  }

  /// A code's plan while it is being put together.
  private struct CodeDraft {
    var windows: [Window] = []
    var retention = PlanLayout.evidenceSpan
    var seriesRules: [Int] = []
    var patientRules: [Int] = []
    var feeds: [ScoreFeed] = []
  }

  private static func flags(of plan: RulePlan) -> [String] {
    var flags: [String] = []
    func add(_ flag: String) { if !flags.contains(flag) { flags.append(flag) } }
    for flag in plan.scores.flatMap(\.flags) { add(flag) }
    for rule in plan.rules {
      for other in rule.parameters.flatMap(\.cases) { add(other.flag) }
      for program in rule.programs {
        for case .attribute(.flag(let flag)) in program.instructions { add(flag) }
      }
    }
    return flags
  }

  private static func assignRules(of plan: RulePlan, to drafts: inout [CodeDraft]) -> (stale: [Int], status: [Int]) {
    var stale: [Int] = []
    var status: [Int] = []
    for (index, rule) in plan.rules.enumerated() where rule.mode != .off {
      switch rule.scope {
      case .series(let code): drafts[Int(code.index)].seriesRules.append(index)
      case .everySeries:
        // One that looks at both is kept once.
        if rule.features.contains(where: { $0.kind == .stale }) { stale.append(index) } else { status.append(index) }
      case .patient:
        var read = rule.codes
        if let score = rule.score { read += plan.scores[score].components.flatMap(\.codes) }
        for code in Set(read) { drafts[Int(code.index)].patientRules.append(index) }
      }
    }
    return (stale, status)
  }

  private static func addWindow(of feature: Feature, to codes: inout [CodeDraft]) {
    guard case .sliding(let length) = feature.window, let code = feature.code else { return }
    let index = Int(code.index)
    if let existing = codes[index].windows.firstIndex(where: { $0.length == length }) {
      if feature.kind.needsOrder { codes[index].windows[existing].isOrdered = true }
    } else {
      codes[index].windows.append(Window(length: length, isOrdered: feature.kind.needsOrder))
    }
    codes[index].retention = max(codes[index].retention, length)
  }

  /// A patient's flags as a bit set over ``flags``.
  package func flagBits(_ patientFlags: Set<String>) -> UInt64 {
    var bits: UInt64 = 0
    for (index, flag) in flags.enumerated() where index < 64 && patientFlags.contains(flag) { bits |= 1 << index }
    return bits
  }
}

/// A feature with its window's position.
package struct CompiledFeature: Sendable, BitwiseCopyable {
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
    length = if case .sliding(let length) = feature.window { length } else { 0 }
    status = feature.status ?? .ok
    window = -1
    if feature.kind.isWindowed, let vital = feature.code {
      window = windows[Int(vital.index)].firstIndex { [length] in $0.length == length } ?? -1
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

/// Owns the tables of one layout.
final class TableMemory {
  private var blocks: [UnsafeMutableRawPointer] = []

  func table<Element: BitwiseCopyable>(_ elements: [Element]) -> UnsafeBufferPointer<Element> {
    guard !elements.isEmpty else { return UnsafeBufferPointer(start: nil, count: 0) }
    let copy = UnsafeMutableBufferPointer<Element>.allocate(capacity: elements.count)
    _ = copy.initialize(from: elements)
    if let base = copy.baseAddress { blocks.append(UnsafeMutableRawPointer(base)) }
    return UnsafeBufferPointer(copy)
  }

  deinit { for block in blocks { block.deallocate() } }
}
