import Evaluation
import Suppression
import VitalModel

/// What is watched while an alert is open or muted: how deep the violation goes, and whether its priority is still earned.
extension Engine {
  /// How a rule's depth is measured: its first comparison, and which way is worse.
  struct DepthPlan {
    /// 1: higher is worse; -1: lower is; 0: it has no depth.
    var direction = 0.0
    /// Beyond what was told by this much is worse; NaN: the distance from limit to bypass limit.
    var step = Double.nan
    /// Depth at which the hold is half; NaN: the hold does not depend on it.
    var halvesAt = Double.nan
  }

  static func depthPlan(_ rule: RuleDefinition) -> DepthPlan {
    var plan = DepthPlan()
    if rule.firstComparison != nil, let comparison = rule.when.instructions.first(where: \.isComparison) {
      switch comparison {
      case .less, .lessOrEqual: plan.direction = -1
      case .greater, .greaterOrEqual: plan.direction = 1
      default: plan.direction = 0
      }
    }
    plan.step = rule.worseningStep?.double ?? .nan
    plan.halvesAt = rule.halvesAt?.double ?? .nan
    return plan
  }

  /// How far a rule's value is beyond its limit now, in the unit of what it compares; NaN: unknown, or it has no depth.
  func depth(
    _ patient: UnsafeMutablePointer<PatientState>, rule: Int, subject: Int, now: Int64
  ) -> Double {
    let plan = depths[rule]
    guard plan.direction != 0, let base = layout.rules.baseAddress else { return .nan }
    let compiled = base + rule
    guard let measure = compiled.pointee.firstMeasure, let limit = compiled.pointee.firstLimit else { return .nan }
    let reading = shown(patient, rule: rule, subject: subject, now: now, holdLast: compiled.pointee.holdLast)
    func value(_ program: CompiledProgram) -> Double {
      machine.value(
        program, features: compiled.pointee.features, view: patient.view, layout: layout, reading: reading)
    }
    return (value(measure) - value(limit)) * plan.direction
  }

  /// Whether a depth is a worsening step beyond the one people know.
  func isWorse(
    _ depth: Double, than told: Double, _ patient: UnsafeMutablePointer<PatientState>, rule: Int, now: Int64
  ) -> Bool {
    guard !depth.isNaN, !told.isNaN, depth > told else { return false }
    let step = depths[rule].step.isNaN ? bypassDistance(patient, rule: rule, now: now) : depths[rule].step
    return step > 0 && depth >= told + step
  }

  /// How deep the newest value alone lies, where a rule on one vital compares that vital; NaN otherwise.
  func newestDepth(
    _ patient: UnsafeMutablePointer<PatientState>, _ candidate: Candidate, now: Int64
  ) -> Double {
    guard candidate.subject >= 0, let limit = layout.rules[candidate.rule].firstLimit,
      layout.plan.rules[candidate.rule].firstComparedVital != nil
    else { return .nan }
    let series = patient.pointee.series[candidate.subject]
    let value =
      candidate.unverified
      ?? layout.plan.registry.vitals[series.code].decimal(grid: Int64(series.lastValue)).double
    let reading = ExpressionMachine.Reading(now: now, subject: -1, rule: candidate.rule, holdLast: false)
    let edge = machine.value(
      limit, features: layout.rules[candidate.rule].features, view: patient.view, layout: layout, reading: reading)
    return (value - edge) * depths[candidate.rule].direction
  }

  /// The deeper of two depths; one that is unknown does not count.
  static func deeper(_ a: Double, _ b: Double) -> Double { a.isNaN ? b : b.isNaN ? a : max(a, b) }

  /// From limit to bypass limit; NaN where one of them is not constant for a patient.
  func bypassDistance(
    _ patient: UnsafeMutablePointer<PatientState>, rule: Int, now: Int64
  ) -> Double {
    let compiled = layout.rules[rule]
    guard let limit = compiled.firstLimit, let bypass = compiled.bypassLimit else { return .nan }
    let reading = ExpressionMachine.Reading(now: now, subject: -1, rule: rule, holdLast: false)
    func value(_ program: CompiledProgram) -> Double {
      machine.value(program, features: compiled.features, view: patient.view, layout: layout, reading: reading)
    }
    return (value(bypass) - value(limit)) * depths[rule].direction
  }

  /// A rule holds and was told or muted: a further step beyond what was told is told at once, whoever has answered and
  /// whatever mutes it (SEMANTICS D1, D2). Runs only where an alert is open or something is held.
  func watchDepth(
    _ patient: UnsafeMutablePointer<PatientState>, rule: Int, subject: Int, _ context: JudgeContext
  ) {
    guard depths[rule].direction != 0, !context.isRetrospective, let slot = patient.pointee.ruleSlots.peek(rule) else {
      return
    }
    let depth = depth(patient, rule: rule, subject: subject, now: context.now)
    guard !slot.pointee.toldDepth.isNaN else {
      // Known from here on: it was unknown when people were told.
      slot.pointee.toldDepth = depth
      return
    }
    guard isWorse(depth, than: slot.pointee.toldDepth, patient, rule: rule, now: context.now) else { return }
    let host = slot.pointee.joinedRule >= 0 ? Int(slot.pointee.joinedRule) : rule
    guard let index = patient.pointee.alerts.firstIndex(where: { $0.rule == host }) else {
      if Engine.mutes(slot.pointee.heldStage) { retryHeld(patient, rule: rule, context) }
      return
    }
    let isOwn = host == rule
    let shown = Candidate(
      rule: rule, subject: subject,
      onset: isOwn ? patient.pointee.alerts[index].onset : heldOnset(patient, rule: rule), isBypass: false)
    if isOwn, shutGate(patient, rule: rule, subject: subject, now: context.now) == nil {
      // The signal is good by now: what is told is no longer doubtful.
      patient.pointee.alerts[index].isUnverified = false
    }
    noteTold(patient, alert: index, shown, context)
    live(patient, alert: index, .worsened, context)
    emit(patient, alert: index, phase: .escalate, showing: shown, context, isNotified: true)
  }

  /// Whether a held stage is one that mutes: a worsening pierces it.
  static func mutes(_ stage: Int8) -> Bool {
    guard stage >= 0 else { return false }
    switch Engine.stage(stage) {
    case .inhibition, .refractory, .silence, .acknowledged, .grouping, .budget, .flap: return true
    case .quality, .smoothing, .hysteresis, .persistence, .confirmation, .duplicate, .stale, .retrospective, .shadow:
      return false
    }
  }

  // MARK: De-escalation

  /// An alert whose priority nothing has earned for this long goes back to what its conditions say, milliseconds.
  static let deescalateAfter: Int64 = 300_000

  /// Takes back priorities that bypass or raising conditions gave and that nothing has justified for a while. What lifted
  /// them counts anew afterwards: it is told again.
  func lowerPriorities(_ patient: UnsafeMutablePointer<PatientState>, _ context: JudgeContext) {
    for index in patient.pointee.alerts.indices where patient.pointee.alerts[index].rule >= 0 {
      let alert = patient.pointee.alerts[index]
      guard alert.kind == .physiological, alert.life.isPresent,
        alert.priority > layout.plan.rules[alert.rule].priority
      else { continue }
      let earned = earnedPriority(patient, alert, now: context.now)
      guard earned < alert.priority else {
        patient.pointee.alerts[index].lowerSince = .max
        continue
      }
      if alert.lowerSince == .max { patient.pointee.alerts[index].lowerSince = context.now }
      guard context.now - patient.pointee.alerts[index].lowerSince >= Engine.deescalateAfter else { continue }
      patient.pointee.alerts[index].lowerSince = .max
      lift(patient, alert: index, to: earned)
      patient.pointee.alerts[index].isBypassed = false
      forgetBypass(patient, alert.rule)
      emit(patient, alert: index, phase: .deEscalate, showing: nil, context, isNotified: true)
    }
  }

  /// The highest priority that a rule of the alert, its own or a member, has now.
  private func earnedPriority(
    _ patient: UnsafeMutablePointer<PatientState>, _ alert: ActiveAlert, now: Int64
  ) -> Priority {
    var earned = Priority.info
    for rule in layout.plan.rules.indices
    where rule == alert.rule || Int(patient.slot(rule).joinedRule) == alert.rule {
      guard let subject = holdingSubject(patient, rule: rule) else { continue }
      let definition = layout.plan.rules[rule]
      let raised = raisedPriority(patient, rule: rule, subject: subject, now: now) ?? definition.priority
      earned = max(
        earned, isAtBypass(patient, rule: rule, subject: subject, now: now) ? definition.bypassPriority : raised)
      earned = max(earned, raised)
    }
    return earned
  }

  /// Whether the bypass limit is reached now, or nobody can tell.
  private func isAtBypass(
    _ patient: UnsafeMutablePointer<PatientState>, rule: Int, subject: Int, now: Int64
  ) -> Bool {
    guard let bypass = layout.rules[rule].bypass else { return false }
    let reading = shown(patient, rule: rule, subject: subject, now: now, holdLast: true)
    return machine.truth(
      bypass, features: layout.rules[rule].features, view: patient.view, layout: layout, reading: reading) != .no
  }

  private func forgetBypass(_ patient: UnsafeMutablePointer<PatientState>, _ host: Int) {
    for rule in layout.plan.rules.indices where rule == host || Int(patient.slot(rule).joinedRule) == host {
      patient.pointee.ruleEpisodes.peek(rule)?.pointee.isBypassed = false
      patient.pointee.ruleSlots.peek(rule)?.pointee.toldDepth = .nan
      for index in 0..<patient.pointee.seriesCount {
        for offset in episodeOffsets(rule: rule, code: patient.pointee.series[index].code) {
          patient.pointee.episodes[index].peek(offset)?.pointee.isBypassed = false
        }
      }
      guard let subject = holdingSubject(patient, rule: rule) else { continue }
      patient.slotPointer(rule).pointee.toldDepth = depth(
        patient, rule: rule, subject: subject, now: patient.pointee.now)
    }
  }
}
