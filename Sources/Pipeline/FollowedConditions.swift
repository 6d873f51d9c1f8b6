import Evaluation
import VitalModel

/// Which of many plans that follow have a condition reached by a message, for patients of whom their rules have found
/// nothing: conditions that are the same in several plans, number for number, are asked once.
struct FollowedConditions {
  /// What decides whether a rule begins to hold.
  private struct Condition: Hashable {
    var when: [Instruction]
    var bypass: [Instruction]?
    var features: [Feature]
    var parameters: [RuleParameter]
    var holdLast: Bool

    init(_ rule: RuleDefinition) {
      when = rule.when.instructions
      bypass = rule.bypass?.instructions
      features = rule.features
      holdLast = rule.holdLast
      var used: Set<Int> = []
      for case .parameter(let index) in when + (bypass ?? []) { used.insert(index) }
      for case .parameter(let index) in features.flatMap(\.arguments) { used.insert(index) }
      parameters = used.sorted().map { rule.parameters[$0] }
    }
  }

  private enum Answer: UInt8 { case unasked, no, yes }

  /// By rule, then by plan: the number of its condition; and the first plan that has each.
  private var numbers: [[Int]] = []
  private var firsts: [[Int]] = []
  private let most: Int
  /// Rules the message at hand may have moved, and for what series; -1: the patient.
  private var asked: [(rule: Int, subject: Int)] = []
  private var answers: [Answer] = []
  private let hasAdaptations: Bool

  init(_ layouts: [PlanLayout]) {
    for rule in layouts.first?.plan.rules.indices ?? 0..<0 {
      var known: [Condition: Int] = [:]
      var own: [Int] = []
      var first: [Int] = []
      for (place, layout) in layouts.enumerated() {
        let condition = Condition(layout.plan.rules[rule])
        let number = known[condition] ?? known.count
        if number == known.count {
          known[condition] = number
          first.append(place)
        }
        own.append(number)
      }
      numbers.append(own)
      firsts.append(first)
    }
    most = firsts.map(\.count).max() ?? 0
    hasAdaptations = layouts.contains { $0.plan.rules.contains { !$0.adaptations.isEmpty } }
  }

  /// Notes what a message may have moved.
  ///
  /// - Returns: whether anything may begin to hold at all.
  mutating func prepare(_ leader: Engine, place: Int, _ message: FollowedMessage) -> Bool {
    let patient = leader.patients[place]
    let layout = leader.layout
    asked.removeAll(keepingCapacity: true)
    isOpen = patient.pointee.settingCount > 0 || hasAdaptations && leader.alerting.isAdaptive
    for index in 0..<message.count {
      let subject = message.touched[index]
      let series = patient.pointee.series + subject
      let plan = layout.codes[series.pointee.code]
      let changed = message.changes[index]
      for offset in 0..<plan.seriesRules.count {
        let mask = plan.seriesMasks[offset]
        if mask == .max || changed & mask != 0 { asked.append((plan.seriesRules[offset], subject)) }
      }
      for offset in 0..<plan.patientRules.count {
        let mask = plan.patientMasks[offset]
        let rule = plan.patientRules[offset]
        if mask == .max || changed & mask != 0 || changed == .max || !layout.rules[rule].windowInputs.isEmpty {
          ask(rule)
        }
      }
      let isMarked = series.pointee.lastStatus != .ok
      if isMarked || series.pointee.isStale, !layout.staleRules.isEmpty || !layout.statusRules.isEmpty {
        isOpen = true
      }
    }
    for score in layout.plan.scores.indices where message.scores[score] {
      for rule in layout.scoreRules[score] { ask(rule) }
    }
    let count = asked.count * most
    while answers.count < count { answers.append(.unasked) }
    for index in 0..<count { answers[index] = .unasked }
    return isOpen || !asked.isEmpty
  }

  /// Whether every plan must look, whatever its conditions say.
  private var isOpen = false

  private mutating func ask(_ rule: Int) {
    if !asked.contains(where: { $0.rule == rule && $0.subject < 0 }) { asked.append((rule, -1)) }
  }

  /// Whether a plan's rules may begin to find something.
  ///
  /// - Parameter patient: the leader's.
  mutating func areReached(
    _ world: Int, _ engines: ContiguousArray<Engine>, _ patient: UnsafeMutablePointer<PatientState>, now: Int64
  ) -> Bool {
    if isOpen { return true }
    for index in asked.indices {
      let (rule, subject) = asked[index]
      let number = numbers[rule][world]
      let place = index * most + number
      if answers[place] == .unasked {
        let isReached = engines[firsts[rule][number]].isReached(patient, rule: rule, subject: subject, now: now)
        answers[place] = isReached ? .yes : .no
      }
      if answers[place] == .yes { return true }
    }
    return false
  }
}
