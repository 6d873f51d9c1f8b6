import Evaluation
import Pipeline
import VitalModel

/// The places of a rule that hold a condition.
package enum RulePart: Hashable, Sendable {
  case applies, when, clear, bypass
  /// Position in ``RuleDefinition/raises``.
  case raise(Int)
  /// Position in ``RuleDefinition/gates``.
  case gate(Int)
  case confirm
  case supported, unsupported

  /// The key it is written under.
  package var key: String {
    switch self {
    case .applies: "applies"
    case .when: "when"
    case .clear: "clear"
    case .bypass: "bypass"
    case .raise: "raise"
    case .gate: "quality"
    case .confirm: "confirm"
    case .supported, .unsupported: "checks"
    }
  }

  /// Asked when a device alarms, not at every tick.
  var isOfAlarm: Bool { self == .supported || self == .unsupported }

  static func all(of rule: RuleDefinition) -> [RulePart] {
    if rule.check != nil { return [.applies, .supported, .unsupported].filter { $0.program(of: rule) != nil } }
    return [.applies, .when, .clear, .bypass].filter { $0.program(of: rule) != nil }
      + rule.raises.indices.map { .raise($0) }
      + rule.gates.indices.map { .gate($0) } + (rule.confirm == nil ? [] : [.confirm])
  }

  func program(of rule: RuleDefinition) -> Program? {
    switch self {
    case .applies: rule.applies
    case .when: rule.when
    case .clear: rule.clear
    case .bypass: rule.bypass
    case .raise(let index): rule.raises[index].when
    case .gate(let index): rule.gates[index]
    case .confirm: rule.confirm
    case .supported: rule.check?.supported
    case .unsupported: rule.check?.unsupported
    }
  }

  func tree(of rule: RuleDefinition) -> ProgramTree? { program(of: rule).flatMap { ProgramTree($0) } }

  /// The rule with another condition here.
  func changed(_ rule: RuleDefinition, to tree: ProgramTree) -> RuleDefinition {
    var copy = rule
    let program = Program(instructions: tree.instructions, text: self.program(of: rule)?.text ?? "")
    switch self {
    case .applies: copy.applies = program
    case .when: copy.when = program
    case .clear: copy.clear = program
    case .bypass: copy.bypass = program
    case .raise(let index): copy.raises[index].when = program
    case .gate(let index): copy.gates[index] = program
    case .confirm: copy.confirm = program
    case .supported: copy.check?.supported = program
    case .unsupported: copy.check?.unsupported = program
    }
    return copy
  }
}

/// The small plans tests run on: the rule under test, the rules a test names beside it, nothing else.
struct RuleBench {
  let plan: RulePlan
  let file: RuleTestFile
  let rule: RuleDefinition
  let runs: [RuleTestRun]

  init?(plan: RulePlan, file: RuleTestFile) {
    guard let rule = plan.rules.first(where: { $0.id == file.rule }) else { return nil }
    self.plan = plan
    self.file = file
    self.rule = rule
    runs = file.tests.map { RuleTestRun($0, registry: plan.registry) }
  }

  /// - Parameter extra: rules after all others; they are compiled as they are.
  func layout(_ variant: RuleDefinition, beside companions: [String], extra: [RuleDefinition] = []) -> PlanLayout {
    var small = plan
    small.rules = plan.rules.compactMap { other in
      // A rule in shadow is tested as if it were live: its tests say what it would tell.
      var chosen = other
      if other.id == rule.id { chosen = variant } else if !companions.contains(other.id) { return nil }
      chosen.mode = .live
      return chosen
    }
    small.rules += extra
    return PlanLayout(plan: small.keepingUsedScores)
  }

  /// Position of the rule under test in a layout of ``layout(_:beside:extra:)``.
  func index(in layout: PlanLayout) -> Int { layout.plan.rules.firstIndex { $0.id == rule.id } ?? 0 }

  /// Whether every test passes under a variant of the rule; stops at the first that does not.
  func allPass(_ variant: RuleDefinition) -> Bool {
    var layouts: [[String]: PlanLayout] = [:]
    for run in runs {
      let layout = layouts[run.test.companions] ?? layout(variant, beside: run.test.companions)
      layouts[run.test.companions] = layout
      if !run.run(layout, rule: rule.id).passes(run.test) { return false }
    }
    return true
  }
}

/// Watches expressions of a rule while one test runs.
struct RuleProbe {
  /// One expression to watch.
  struct Item {
    var tree: ProgramTree
    var forClear = false
  }

  let bench: RuleBench
  let items: [Item]

  /// Calls `visit` after every tick up to the last sample.
  func run(_ run: RuleTestRun, visit: (Moment) -> Void) {
    let probes = items.enumerated().map { number, item in
      var rule = bench.rule
      rule.id = "probe-\(number)"
      rule.mode = .off
      rule.when = Program(instructions: item.tree.instructions, text: "")
      rule.clear = nil
      rule.bypass = nil
      rule.applies = nil
      rule.raises = []
      rule.gates = []
      rule.confirm = nil
      rule.adaptations = []
      rule.inhibitedBy = []
      rule.inhibitedIn = []
      return rule
    }
    let layout = bench.layout(bench.rule, beside: run.test.companions, extra: probes)
    let engine = run.engine(layout)
    let rule = bench.index(in: layout)
    let alarm = run.test.alarm.map { RuleTestRun.origin + $0.time }
    guard let last = max(run.slots.last?.eventTime ?? .min, alarm ?? .min) as Int64?, last > .min else { return }
    var next = 0
    var time = RuleTestRun.origin
    func moment(held: Bool, atAlarm: Bool) -> Moment {
      Moment(
        engine: engine, rule: rule, firstProbe: layout.plan.rules.count - items.count, items: items, now: time,
        held: held, isAlarm: atAlarm)
    }
    while time <= last {
      if time == alarm {
        engine.passTime(of: 0, upTo: time)
        visit(moment(held: false, atAlarm: true))
      }
      let heldBefore = next > 0 && engine.probeHolds(rule: rule, patient: 0)
      if next < run.slots.count, run.slots[next].eventTime == time {
        while next < run.slots.count, run.slots[next].eventTime == time {
          engine.apply(run.slots[next])
          next += 1
        }
      } else if next > 0 {
        engine.passTime(of: 0, upTo: time)
      }
      if next > 0 {
        visit(moment(held: heldBefore || engine.probeHolds(rule: rule, patient: 0), atAlarm: false))
      }
      time += run.test.tick
    }
  }

  /// One instant of a test.
  struct Moment {
    let engine: Engine
    let rule: Int
    let firstProbe: Int
    let items: [Item]
    let now: Int64
    /// The rule held before or after this tick: its clearing is looked at.
    let held: Bool
    /// The device alarms now, before the samples of this tick: a check is asked.
    let isAlarm: Bool

    var time: Int64 { now - RuleTestRun.origin }
    var applies: Truth { engine.probeApplies(rule: rule, patient: 0, now: now) }
    var subjects: [Int] { engine.probeSubjects(rule: rule, patient: 0) }

    func value(_ item: Int, subject: Int) -> Double {
      engine.probe(
        condition: firstProbe + item, of: rule, patient: 0, subject: subject, now: now,
        forClear: items[item].forClear)
    }
  }
}
