import Evaluation
import Suppression
import VitalModel

/// Which rule of a new plan takes over episodes and alerts from which rule of the old one: by id, scope and variant.
///
/// Where versions of one id run side by side (a canary), the one that is for the patient takes over.
struct RuleSuccession {
  /// By old rule: the new rules that may take over; empty: it is withdrawn.
  let candidates: [[Int]]
  /// The same for every patient: at most one candidate each, none of them wanted twice.
  let isPlain: Bool

  /// Variant of a version on trial that tells nobody, beside the one that does.
  static let trial = RuleDefinition.trialVariant

  init(from old: RulePlan, to new: RulePlan) {
    candidates = old.rules.map { rule in
      let successors = new.rules.indices.filter { index in
        let other = new.rules[index]
        return other.id == rule.id && other.scope == rule.scope && other.mode != .off
      }
      let isTrial = rule.variant == RuleSuccession.trial
      let same = successors.filter { (new.rules[$0].variant == RuleSuccession.trial) == isTrial }
      if !same.isEmpty || !isTrial { return same }
      // A rule that was only on trial comes into force with what it has seen.
      let hadOther = old.rules.contains { $0.id == rule.id && $0.variant != RuleSuccession.trial }
      return hadOther ? [] : successors
    }
    let all = candidates.flatMap { $0 }
    isPlain = candidates.allSatisfy { $0.count <= 1 } && Set(all).count == all.count
  }
}

extension RuleDefinition {
  /// ``variant`` of a version on trial: it tells nobody.
  package static let trialVariant = "shadow"
  /// ``variant`` of a version that is in force in some care units only.
  package static let canaryVariant = "canary"
}

extension Engine {
  /// New rule by old rule for one patient, -1 where there is none.
  func successors(
    _ patient: UnsafeMutablePointer<PatientState>, _ succession: RuleSuccession, old: PlanLayout
  ) -> [Int] {
    if succession.isPlain { return succession.candidates.map { $0.first ?? -1 } }
    let now = max(patient.pointee.now, 0)
    var mapping = succession.candidates.map { candidates in
      candidates.count > 1
        ? candidates.first { isFor(patient.pointee.facts, rule: $0, of: layout, now: now) } ?? candidates[0]
        : candidates.first ?? -1
    }
    for target in Set(mapping) where target >= 0 {
      let rivals = mapping.indices.filter { mapping[$0] == target }
      guard rivals.count > 1 else { continue }
      // One alert a patient and rule: what people were told goes on, else what is for this patient.
      let heir =
        rivals.first { rule in patient.pointee.alerts.contains { $0.rule == rule } }
        ?? rivals.first { isStanding(patient, rule: $0, in: old) }
        ?? rivals.first { isFor(patient.pointee.facts, rule: $0, of: old, now: now) } ?? rivals[0]
      for rival in rivals where rival != heir { mapping[rival] = -1 }
    }
    return mapping
  }

  /// Whether an episode of the rule has begun for the patient; its states are those of `layout`.
  private func isStanding(
    _ patient: UnsafeMutablePointer<PatientState>, rule: Int, in layout: PlanLayout
  ) -> Bool {
    if !patient.isIdle(rule: rule) { return true }
    return (0..<patient.pointee.seriesCount).contains { index in
      let own = layout.codes[patient.pointee.series[index].code].seriesRules
      return own.indices.contains { own[$0] == rule && !patient.isIdle(index, $0) }
    }
  }

  /// Moves what stands of a rule to the version that is for the patient, where versions are in force by care unit and
  /// patients may have been moved: one alert a patient and rule.
  func followCanaries() {
    guard layout.plan.rules.contains(where: { $0.variant == RuleDefinition.canaryVariant }) else { return }
    adoptPlan(layout)
  }

  /// Whether a rule of a layout is for a patient, by the roster's facts alone.
  private func isFor(_ facts: PatientFacts, rule: Int, of layout: PlanLayout, now: Int64) -> Bool {
    guard let program = layout.rules[rule].applies else { return true }
    var state = PatientState(number: .max, facts: facts, layout: layout)
    defer { state.free() }
    state.age = facts.age(at: now).map(Double.init) ?? .nan
    state.ageMonths = facts.ageMonths(at: now).map(Double.init) ?? .nan
    let reading = ExpressionMachine.Reading(now: now, subject: -1, rule: rule, holdLast: false)
    return machine.truth(
      program, features: layout.rules[rule].features, view: withUnsafeMutablePointer(to: &state) { $0.view },
      layout: layout, reading: reading) != .no
  }

  /// What was held because its rule was on trial is told once the rule is in force, if it still holds.
  func tellOffTrial(_ patient: UnsafeMutablePointer<PatientState>) {
    let shadow = Engine.stageNumber(.shadow)
    let context = JudgeContext(
      now: patient.pointee.now, engineTime: isWall ? clock : patient.pointee.now,
      isRetrospective: false, isUncertain: false)
    for rule in layout.plan.rules.indices
    where patient.slot(rule).heldStage == shadow && layout.plan.rules[rule].mode == .live {
      retryHeld(patient, rule: rule, context)
    }
  }
}
