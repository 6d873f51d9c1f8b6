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
  package struct Window: Sendable, BitwiseCopyable, Equatable {
    package enum Kind: UInt8, Sendable, BitwiseCopyable { case sliding, hopping, panes, samples, sinceOnset, session }
    /// What must be kept of it beside start and sum.
    package struct Needs: OptionSet, Sendable, BitwiseCopyable {
      package let rawValue: UInt8
      package init(rawValue: UInt8) { self.rawValue = rawValue }
      package static let counted = Needs(rawValue: 1)
      package static let held = Needs(rawValue: 2)
      package static let line = Needs(rawValue: 4)
      package static let successive = Needs(rawValue: 8)
      package static let weighted = Needs(rawValue: 16)
    }
    package var kind: Kind
    /// Milliseconds: its length, or a session's gap.
    package var length: Int64
    /// Hopping: milliseconds between ends. Exponentially weighted: the half-life.
    package var every: Int64
    package var samples: Int
    /// Since onset: the rule whose onset; -1 otherwise.
    package var rule: Int
    package var needs: Needs

    package var isOrdered: Bool { needs.contains(.counted) }
    /// Whether it looks at the same samples, whatever is kept of them.
    package func isSame(_ other: Window) -> Bool {
      kind == other.kind && length == other.length && every == other.every && samples == other.samples
        && rule == other.rule
    }
  }

  /// A score component a vital feeds.
  package struct ScoreFeed: Sendable, BitwiseCopyable {
    package var score: Int
    package var component: Int
  }

  /// One rule's programs, compiled.
  // `@unchecked`: tables as above.
  package struct CompiledRule: @unchecked Sendable, BitwiseCopyable {
    package var applies: CompiledProgram?
    package var when: CompiledProgram
    package var clear: CompiledProgram?
    package var bypass: CompiledProgram?
    package var bypassLimit: CompiledProgram?
    /// What a rule that judges device alarms asks; nil: the rule opens alerts.
    package var supported: CompiledProgram?
    package var unsupported: CompiledProgram?
    /// What the first comparison compares, and with what, for messages.
    package var firstMeasure: CompiledProgram?
    package var firstLimit: CompiledProgram?
    package var raises: Table<CompiledRaise>
    /// What must be true of the signal, and the second sign, for it to open.
    package var gates: Table<CompiledProgram>
    package var confirm: CompiledProgram?
    /// What each adaptation of ``VitalModel/RuleDefinition/adaptations`` follows.
    package var adaptations: Table<CompiledProgram>
    package var parameters: Table<CompiledParameter>
    package var features: Table<CompiledFeature>
    /// Rules judged once a patient: the vitals they read through windows, which slide on without a sample of their own.
    package var windowInputs: Table<WindowInput>
    package var holdLast: Bool
  }

  /// A vital a rule reads through windows, and the bits of those features.
  package struct WindowInput: Sendable, BitwiseCopyable {
    package var code: Int
    package var mask: UInt64
  }

  /// How far back a session's samples are kept, milliseconds: a day.
  package static let sessionSpan: Int64 = 86_400_000
  /// Up to this length a hopping window runs over the samples kept, one in and one out, milliseconds: merging panes at every hop
  /// costs more than a byte a sample does.
  static let hoppingSpan: Int64 = 300_000
  /// A care unit as one of ``flags``.
  static func unitFlag(_ unit: String) -> String { "unit:" + unit }

  /// Samples of the last minute stay for the explanation of an alert even where no window needs them.
  package static let evidenceSpan: Int64 = 60_000

  package let plan: RulePlan
  package let codes: Table<CodePlan>
  package let rules: Table<CompiledRule>
  package let scores: Table<CompiledScore>
  /// For each score the rules that read it.
  package let scoreRules: Table<Table<Int>>
  /// Rules with `each: series` that look at staleness, and those that look at the sensor's declared state.
  package let staleRules: Table<Int>
  package let statusRules: Table<Int>
  /// Every flag any rule or score asks for; a patient's flags become one bit set over these.
  package let flags: [String]
  /// Rules with conditions that raise a priority.
  package let raisingRules: Table<Int>
  /// Rules that judge device alarms, in the order of the plan. Samples never reach them.
  package let checks: Table<Int>
  private let memory: TableMemory

  /// - Precondition: the plan was checked by `RuleLanguage`: every index in it is valid.
  package init(plan: RulePlan) {
    self.plan = plan
    let memory = TableMemory()
    let flags = PlanLayout.flags(of: plan)
    var drafts = plan.registry.vitals.map { CodeDraft($0) }
    let compiledFeatures = plan.rules.enumerated().map { number, rule in
      rule.features.map { CompiledFeature($0, rule: rule, number: number, drafts: &drafts, registry: plan.registry) }
    }
    for (scoreIndex, score) in plan.scores.enumerated() {
      for (componentIndex, component) in score.components.enumerated() {
        for code in component.codes {
          if component.expression == nil {
            _ = drafts[Int(code.index)].position(of: .scoreInput(median: component.medianWindow))
          }
          drafts[Int(code.index)].feeds.append(ScoreFeed(score: scoreIndex, component: componentIndex))
        }
      }
    }
    let scoreFeatures = plan.scores.map { score in
      score.components.map { component in
        (component.expression?.features ?? []).map {
          CompiledFeature($0, rule: -1, isForSamples: true, drafts: &drafts, registry: plan.registry)
        }
      }
    }
    let signal = PlanLayout.assignRules(of: plan, compiledFeatures, to: &drafts)
    self.flags = flags
    self.memory = memory
    raisingRules = memory.table(
      plan.rules.indices.filter { plan.rules[$0].mode != .off && !plan.rules[$0].raises.isEmpty })
    checks = memory.table(plan.rules.indices.filter { plan.rules[$0].mode == .live && plan.rules[$0].check != nil })
    staleRules = memory.table(signal.stale)
    statusRules = memory.table(signal.status)
    rules = memory.table(
      zip(plan.rules, compiledFeatures).map { rule, features in
        func compile(_ program: Program) -> CompiledProgram {
          CompiledProgram(program, flags: flags, memory: memory)
        }
        return CompiledRule(
          applies: rule.applies.map(compile), when: compile(rule.when), clear: rule.clear.map(compile),
          bypass: rule.bypass.map(compile), bypassLimit: rule.bypassLimit.map(compile),
          supported: (rule.check?.supported).map(compile), unsupported: (rule.check?.unsupported).map(compile),
          firstMeasure: rule.firstComparison.map { compile($0.left) },
          firstLimit: rule.firstComparison.map { compile($0.right) },
          raises: memory.table(rule.raises.map { CompiledRaise(when: compile($0.when), to: $0.to) }),
          gates: memory.table(rule.gates.map(compile)), confirm: rule.confirm.map(compile),
          adaptations: memory.table(rule.adaptations.map { compile($0.to) }),
          parameters: memory.table(rule.parameters.map { CompiledParameter($0, flags: flags, memory: memory) }),
          features: memory.table(features), windowInputs: memory.table(PlanLayout.windowInputs(rule, features)),
          holdLast: rule.holdLast)
      })
    scoreRules = memory.table(
      plan.scores.indices.map { score in
        memory.table(plan.rules.indices.filter { plan.rules[$0].mode != .off && plan.rules[$0].score == score })
      })
    scores = memory.table(
      zip(plan.scores, scoreFeatures).map {
        CompiledScore($0, features: $1, drafts: drafts, flags: flags, registry: plan.registry, memory: memory)
      })
    let facts = memory.table(
      zip(plan.registry.vitals, drafts).map { vital, draft in
        let first = vital.units.first
        return CodeFacts(
          windows: memory.table(draft.windows), features: memory.table(draft.features),
          retention: draft.retention, keptCount: draft.keptCount, absences: memory.table(draft.absences.sorted()),
          seriesRules: memory.table(draft.seriesRules), seriesMasks: memory.table(draft.seriesMasks),
          patientRules: memory.table(draft.patientRules), patientMasks: memory.table(draft.patientMasks),
          scoreFeeds: memory.table(draft.feeds), registryStaleness: vital.staleness,
          resolutionExponent: vital.resolutionExponent,
          isPlain: first.map { $0.numerator == $0.denominator && $0.offset.mantissa == 0 } ?? false)
      })
    codes = memory.table(facts.indices.compactMap { index in facts.baseAddress.map { CodePlan($0 + index) } })
  }

  private static func flags(of plan: RulePlan) -> [String] {
    var flags: [String] = []
    func add(_ flag: String) { if !flags.contains(flag) { flags.append(flag) } }
    for flag in plan.scores.flatMap(\.flags) { add(flag) }
    for rule in plan.rules {
      for other in rule.parameters.flatMap(\.cases) { add(other.flag) }
      for program in rule.programs {
        for case .attribute(.flag(let flag)) in program.instructions { add(flag) }
        for case .attribute(.unit(let unit)) in program.instructions { add(unitFlag(unit)) }
      }
    }
    return flags
  }

  private static func assignRules(
    of plan: RulePlan, _ features: [[CompiledFeature]], to drafts: inout [CodeDraft]
  ) -> (stale: [Int], status: [Int]) {
    var stale: [Int] = []
    var status: [Int] = []
    for (index, rule) in plan.rules.enumerated() where rule.mode != .off && rule.check == nil {
      switch rule.scope {
      case .series(let code):
        drafts[Int(code.index)].seriesRules.append(index)
        drafts[Int(code.index)].seriesMasks.append(mask(rule, features[index], of: Int(code.index)))
      case .everySeries:
        // One that looks at both is kept once.
        if rule.features.contains(where: { $0.kind == .stale }) { stale.append(index) } else { status.append(index) }
      case .patient:
        var read = rule.codes
        if let score = rule.score { read += plan.scores[score].components.flatMap(\.codes) }
        for code in Set(read) {
          drafts[Int(code.index)].patientRules.append(index)
          drafts[Int(code.index)].patientMasks.append(mask(rule, features[index], of: Int(code.index)))
        }
      }
    }
    return (stale, status)
  }

  /// The bits of the features a rule is judged by of one vital. Every bit where an answer may change without any of them:
  /// limits that differ between patients. Staleness, sensor state, source and silence are no features: whatever changes
  /// them marks everything as changed.
  private static func mask(_ rule: RuleDefinition, _ features: [CompiledFeature], of code: Int) -> UInt64 {
    var mask: UInt64 = 0
    let programs = [rule.when, rule.clear, rule.bypass].compactMap { $0 }
    for case .feature(let index) in programs.flatMap(\.instructions) {
      let feature = features[index]
      if feature.kind.isTruth { continue }
      if feature.cached < 0 { return .max }
      if feature.code != code { continue }
      mask |= 1 << UInt64(min(feature.cached, 63))
    }
    return mask
  }

  private static func windowInputs(_ rule: RuleDefinition, _ features: [CompiledFeature]) -> [WindowInput] {
    guard rule.scope == .patient, rule.judgedCodes.count > 1 else { return [] }
    return rule.judgedCodes.compactMap { code in
      let isWindowed = features.contains { $0.code == Int(code.index) && $0.kind.isWindowed && !$0.kind.isTruth }
      guard isWindowed else { return nil }
      return WindowInput(code: Int(code.index), mask: mask(rule, features, of: Int(code.index)))
    }
  }

  /// A patient's flags and care unit as a bit set over ``flags``.
  package func flagBits(_ facts: PatientFacts) -> UInt64 {
    var bits: UInt64 = 0
    let unit = facts.unit.map(PlanLayout.unitFlag)
    for (index, flag) in flags.enumerated() where index < 64 && (facts.flags.contains(flag) || flag == unit) {
      bits |= 1 << index
    }
    return bits
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
