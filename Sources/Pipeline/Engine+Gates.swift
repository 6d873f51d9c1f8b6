import Evaluation
import Suppression
import VitalModel

/// What delays a finding before it counts as one: depth-weighted holds, doubtful signals, missing second signs.
extension Engine {
  /// Why a finding may have to wait although its condition has held: a doubtful signal, or no second sign.
  struct DetectionGate {
    var stage: SuppressionStage
    var by: String
    var until: Int64
  }

  /// Shortens the hold by depth and lengthens it where a gate is shut; looked at only before an episode opens.
  func detectionGate(
    _ patient: UnsafeMutablePointer<PatientState>, rule: Int, subject: Int, _ judgement: Judgement, _ before: Episode,
    _ timing: inout EpisodeTiming, now: Int64
  ) -> DetectionGate? {
    guard hasDetectionStages[rule], !before.holds, judgement.isReached else { return nil }
    if !depths[rule].halvesAt.isNaN, timing.hold > 0, !options.without.contains(.persistence) {
      let depth = depth(patient, rule: rule, subject: subject, now: now)
      timing.hold = SmartDelay(halvesAt: depths[rule].halvesAt).hold(timing.hold, depth: depth)
    }
    guard timing.cap > 0, let shut = shutGate(patient, rule: rule, subject: subject, now: now) else { return nil }
    timing.isGated = true
    let onset = before.phase == .idle ? now : before.onset
    return DetectionGate(stage: shut.stage, by: shut.by, until: onset + timing.cap)
  }

  /// The first condition on the signal, or the second sign, that is known not to hold; what is unknown passes
  /// (SEMANTICS D3).
  func shutGate(
    _ patient: UnsafeMutablePointer<PatientState>, rule: Int, subject: Int, now: Int64
  ) -> (stage: SuppressionStage, by: String)? {
    let compiled = layout.rules[rule]
    let definition = layout.plan.rules[rule]
    let reading = shown(patient, rule: rule, subject: subject, now: now, holdLast: compiled.holdLast)
    func isFalse(_ program: CompiledProgram) -> Bool {
      machine.truth(program, features: compiled.features, view: patient.view, layout: layout, reading: reading) == .no
    }
    if !options.without.contains(.quality) {
      if let least = definition.minimumQuality, subject >= 0 {
        let quality = patient.pointee.series[subject].lastQuality
        if quality != .absent, quality.raw < UInt16(least * 10_000) { return (.quality, "quality below \(least)") }
      }
      if subject >= 0, hasQualityBlock(definition), let step = incredibleStep(patient, subject) {
        return (.quality, step)
      }
      for (index, gate) in compiled.gates.enumerated() where isFalse(gate) {
        return (.quality, definition.gates[index].text)
      }
    }
    if !options.without.contains(.confirmation), let confirm = compiled.confirm, isFalse(confirm) {
      return (.confirmation, definition.confirm?.text ?? "")
    }
    return nil
  }

  private func hasQualityBlock(_ rule: RuleDefinition) -> Bool { !rule.gates.isEmpty || rule.minimumQuality != nil }

  /// Samples that must agree with each other before a step counts as real (SEMANTICS D2).
  static let consistentSamples = 3

  /// The step gate of a series' vital, if fewer than three samples agree since a change faster than a body can make; the
  /// change allowed grows with the time between two samples. nil: nothing is wrong, or there is no gate.
  private func incredibleStep(_ patient: UnsafeMutablePointer<PatientState>, _ subject: Int) -> String? {
    let series = patient.pointee.series[subject]
    let vital = layout.plan.registry.vitals[series.code]
    guard let gate = vital.stepGate else { return nil }
    let newest = series.newest(Engine.consistentSamples + 1)
    guard newest.count > 1 else { return nil }
    for index in 1..<newest.count where index < Engine.consistentSamples {
      let (later, earlier) = (newest[index - 1], newest[index])
      let elapsed = Double(later.time - earlier.time) / Double(max(1, gate.within))
      let allowed = gate.change.double * max(1, elapsed)
      let change = vital.decimal(grid: Int64(later.value)).double - vital.decimal(grid: Int64(earlier.value)).double
      if abs(change) > allowed { return "step of more than \(gate.change) in \(DurationText.format(gate.within))" }
    }
    return nil
  }

  /// The longest a step gate holds by itself: three samples at the gate's own pace, milliseconds.
  func stepCap(_ rule: RuleDefinition) -> Int64 {
    guard hasQualityBlock(rule), case .series(let code) = rule.scope else { return 0 }
    let gate = layout.plan.registry[code].stepGate
    return gate.map { $0.within * Int64(Engine.consistentSamples) } ?? 0
  }

  // MARK: Smoothing

  /// A rule on one vital that judges a smoothed value: which way is worse, and the limit where it is the same for everybody.
  struct SmoothedPlan {
    /// 0: the rule does not smooth.
    var direction = 0.0
    var limit = 0.0
    /// From grid steps to the canonical unit.
    var scale = 1.0
  }

  func smoothedPlan(_ rule: Int) -> SmoothedPlan {
    let definition = layout.plan.rules[rule]
    var plan = SmoothedPlan()
    guard case .series(let code) = definition.scope, !options.without.contains(.smoothing),
      definition.kind == .physiological,
      let left = definition.firstComparison?.left.instructions, left.count == 1, case .feature(let index) = left[0],
      case .sliding(let length) = definition.features[index].window, length <= RulePlan.smoothingSpan,
      [FeatureKind.mean, .median, .ewma].contains(definition.features[index].kind),
      definition.parameters.allSatisfy({ $0.cases.isEmpty }), let limit = layout.rules[rule].firstLimit
    else { return plan }
    var nobody = PatientState(number: .max, facts: PatientFacts(tenant: "", patient: ""), layout: layout)
    defer { nobody.free() }
    let reading = ExpressionMachine.Reading(now: 0, subject: -1, rule: rule, holdLast: false)
    plan.limit = machine.value(
      limit, features: layout.rules[rule].features, view: withUnsafeMutablePointer(to: &nobody) { $0.view },
      layout: layout, reading: reading)
    plan.scale = layout.plan.registry[code].decimal(grid: 1).double
    plan.direction = plan.limit.isNaN ? 0 : depths[rule].direction
    return plan
  }

  /// The newest value breaches the limit, the smoothed one does not: once it has for as long as the rule asks, smoothing has
  /// held what would have been told.
  @inline(__always)
  func noteSmoothed(
    _ patient: UnsafeMutablePointer<PatientState>, rule: Int, subject: Int, offset: Int, _ context: JudgeContext
  ) {
    guard options.recordsDocuments else { return }
    let plan = smoothed[rule]
    let raw = Double(patient.pointee.series[subject].lastValue) * plan.scale
    let breaches = (raw - plan.limit) * plan.direction > 0
    guard breaches || patient.pointee.episodes[subject].peek(offset) != nil else { return }
    recordSmoothed(patient, rule: rule, subject: subject, offset: offset, breaches: breaches, context)
  }

  private func recordSmoothed(
    _ patient: UnsafeMutablePointer<PatientState>, rule: Int, subject: Int, offset: Int, breaches: Bool,
    _ context: JudgeContext
  ) {
    guard patient.pointee.settingCount == 0 else { return }
    let episode = patient.episodePointer(subject, offset)
    guard let onset = episode.pointee.observeRaw(breaches: breaches, now: context.now, hold: timings[rule].hold) else {
      return
    }
    recordHeld(
      patient, rule: rule, subject: subject, onset: onset, stage: .smoothing, by: layout.plan.rules[rule].when.text,
      until: nil, context)
  }
}
