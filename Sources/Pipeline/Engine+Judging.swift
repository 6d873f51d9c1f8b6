import Evaluation
import Suppression
import VitalModel

/// Conditions judged, and what becomes of the answer.
extension Engine {
  /// Runs one rule's conditions for one series (`subject` >= 0) or once for the patient (-1).
  func judge(
    _ patient: UnsafeMutablePointer<PatientState>, rule: Int, subject: Int, offset: Int, _ context: JudgeContext
  ) {
    if !doubted.isEmpty, doubted.contains(where: { $0.rule == rule && $0.subject == subject }) { return }
    let isIdle = subject >= 0 ? patient.isIdle(subject, offset) : patient.isIdle(rule: rule)
    let before = isIdle ? Episode() : subject >= 0 ? patient.episode(subject, offset) : patient.ruleEpisode(rule)
    let judgement = judgement(patient, rule: rule, subject: subject, episode: before, now: context.now)
    if isIdle {
      if !judgement.isReached {
        if smoothed[rule].direction != 0, subject >= 0, judgement.when == .no {
          noteSmoothed(patient, rule: rule, subject: subject, offset: offset, context)
        }
        return
      }
      if !applies(patient, rule: rule, now: context.now) { return }
    }
    let episode = subject >= 0 ? patient.episodePointer(subject, offset) : patient.ruleEpisodePointer(rule)
    let wasHeldForDoubt = patient.slot(rule).heldStage == Engine.stageNumber(.quality)
    var timing = timing(patient, rule: rule, now: context.now)
    let gate = detectionGate(patient, rule: rule, subject: subject, judgement, before, &timing, now: context.now)
    let change = episode.pointee.observe(judgement, now: context.now, timing: timing)
    if episode.pointee.due < .max { schedule(patient, episode.pointee.due) }
    settleChange(change, patient, rule: rule, subject: subject, context, gate: gate)
    guard episode.pointee.holds else { return }
    if wasHeldForDoubt, !context.isUncertain { retryHeld(patient, rule: rule, context) }
    if !patient.pointee.alerts.isEmpty || patient.slot(rule).heldStage >= 0 {
      watchDepth(patient, rule: rule, subject: subject, context)
    }
  }

  func judgement(
    _ patient: UnsafeMutablePointer<PatientState>, rule: Int, subject: Int, episode: Episode, now: Int64
  ) -> Judgement {
    // By its place: a compiled rule is some hundred bytes, and this runs for every rule judged.
    guard let compiled = layout.rules.baseAddress.map({ $0 + rule }) else {
      return Judgement(when: .unknown, clear: .unknown, bypass: .unknown)
    }
    let view = patient.view
    var reading = ExpressionMachine.Reading(now: now, subject: subject, rule: rule, holdLast: compiled.pointee.holdLast)
    if case .idle = episode.phase {} else { reading.onset = episode.onset }
    func run(_ program: CompiledProgram) -> Judgement.Truth {
      switch machine.truth(program, features: compiled.pointee.features, view: view, layout: layout, reading: reading) {
      case .yes: .yes
      case .no: .no
      case .unknown: .unknown
      }
    }
    let when = run(compiled.pointee.when)
    let bypass = compiled.pointee.bypass.map(run) ?? .no
    guard episode.holds else {
      return Judgement(when: when, clear: .unknown, bypass: bypass)
    }
    reading.forClear = true
    let clear: Judgement.Truth
    if let program = compiled.pointee.clear, !options.without.contains(.hysteresis) {
      clear = run(program)
    } else {
      switch run(compiled.pointee.when) {
      case .no: clear = .yes
      case .yes: clear = .no
      case .unknown: clear = .unknown
      }
    }
    return Judgement(when: when, clear: clear, bypass: bypass)
  }

  /// Whether a rule that has found nothing would begin to, as things are.
  func isReached(
    _ patient: UnsafeMutablePointer<PatientState>, rule: Int, subject: Int, now: Int64
  ) -> Bool {
    judgement(patient, rule: rule, subject: subject, episode: Episode(), now: now).isReached
  }

  /// How long a rule's condition must hold for this patient: as a person set it, else as the rule says.
  func hold(_ patient: UnsafeMutablePointer<PatientState>, rule: Int, now: Int64) -> Int64 {
    let definition = layout.plan.rules[rule]
    guard patient.pointee.settingCount > 0, let parameter = definition.holdParameter else { return definition.hold }
    let set = patient.view.setting(rule: rule, parameter: parameter, now: now)
    // Refuses unknown, and what no duration can be.
    return set >= 0 && set < 1e15 ? Int64(set) : definition.hold
  }

  private func timing(_ patient: UnsafeMutablePointer<PatientState>, rule: Int, now: Int64) -> EpisodeTiming {
    var timing = timings[rule]
    guard patient.pointee.settingCount > 0, !options.without.contains(.persistence) else { return timing }
    timing.hold = hold(patient, rule: rule, now: now)
    timing.window = max(timing.window, timing.hold)
    return timing
  }

  /// Whether the rule is for this patient; what is unknown counts as applying (SEMANTICS C3).
  private func applies(_ patient: UnsafeMutablePointer<PatientState>, rule: Int, now: Int64) -> Bool {
    guard let program = layout.rules[rule].applies else { return true }
    refreshAge(patient, now: now)
    let reading = ExpressionMachine.Reading(now: now, subject: -1, rule: rule, holdLast: false)
    return machine.truth(
      program, features: layout.rules[rule].features, view: patient.view, layout: layout, reading: reading)
      != .no
  }

  /// Ages change once a year: looked up once a day of event time.
  func refreshAge(_ patient: UnsafeMutablePointer<PatientState>, now: Int64) {
    guard patient.pointee.ageAsOf == .min || now - patient.pointee.ageAsOf >= 86_400_000 else { return }
    patient.pointee.ageAsOf = now
    let age = patient.pointee.facts.age(at: now).map(Double.init) ?? .nan
    let ageMonths = patient.pointee.facts.ageMonths(at: now).map(Double.init) ?? .nan
    if ageMonths.bitPattern != patient.pointee.ageMonths.bitPattern { noteFactsChanged(patient) }
    patient.pointee.age = age
    patient.pointee.ageMonths = ageMonths
  }

  /// What rules are for may have changed: every rule is judged anew with the next sample.
  func noteFactsChanged(_ patient: UnsafeMutablePointer<PatientState>) {
    for index in 0..<patient.pointee.seriesCount { patient.pointee.series[index].changed = .max }
  }

  /// A value too doubtful to judge still alerts at once where it reaches a bypass limit (SEMANTICS D2): at full priority,
  /// marked unverified. Only a sensor state the device declared may hold it.
  func checkBypass(
    ofDoubtful grid: Int64, patient: UnsafeMutablePointer<PatientState>, subject: Int, slot: Slot
  ) {
    let code = patient.pointee.series[subject].code
    let value = layout.plan.registry.vitals[code].decimal(grid: grid).double
    let now = max(patient.pointee.now, slot.eventTime)
    let context = JudgeContext(
      now: now, engineTime: isWall ? clock : now, isRetrospective: isTakingRetrospective,
      isUncertain: isTakingUncertain)
    // Out of order in stream time: what it would have said then is not true now.
    if context.isRetrospective, !isWall { return }
    var reading = ExpressionMachine.Reading(now: now, subject: subject, rule: -1, holdLast: true)
    reading.override = value
    reading.overridden = subject
    for (offset, rule) in codes[code].seriesRules.enumerated()
    where reachesBypass(patient, rule: rule, reading) {
      doubted.append((rule, subject))
      let episode = patient.episodePointer(subject, offset)
      let change = episode.pointee.observe(Engine.atBypass, now: now, timing: timing(patient, rule: rule, now: now))
      settleChange(change, patient, rule: rule, subject: subject, context, unverified: value)
    }
    // Rules over several inputs read the preferred series only.
    guard Int(patient.pointee.preferred[code]) == subject else { return }
    reading.subject = -1
    for rule in codes[code].patientRules where reachesBypass(patient, rule: rule, reading) {
      doubted.append((rule, -1))
      let change = patient.ruleEpisodePointer(rule).pointee.observe(
        Engine.atBypass, now: now, timing: timing(patient, rule: rule, now: now))
      settleChange(change, patient, rule: rule, subject: -1, context, unverified: value)
    }
  }

  // MARK: Raised priorities

  /// The priority a rule's conditions lift its alert to: the highest of those that hold. Unknown lifts nothing, and so does a
  /// condition that would lower the rule's own priority (SEMANTICS D3).
  func raisedPriority(
    _ patient: UnsafeMutablePointer<PatientState>, rule: Int, subject: Int, now: Int64
  ) -> Priority? {
    let compiled = layout.rules[rule]
    guard !compiled.raises.isEmpty else { return nil }
    let reading = shown(patient, rule: rule, subject: subject, now: now, holdLast: compiled.holdLast)
    let view = patient.view
    var priority = layout.plan.rules[rule].priority
    for raise in compiled.raises where raise.to > priority {
      let truth = machine.truth(
        raise.when, features: compiled.features, view: view, layout: layout, reading: reading)
      if truth == .yes { priority = raise.to }
    }
    return priority > layout.plan.rules[rule].priority ? priority : nil
  }

  /// Lifts the alerts whose raising conditions have come to hold, and tells what was held back at the lower priority
  /// (SEMANTICS D1: refractory yields to a higher priority). Allocates nothing unless something is lifted.
  func checkRaises(_ patient: UnsafeMutablePointer<PatientState>, _ context: JudgeContext) {
    for rule in layout.raisingRules {
      let slot = patient.slot(rule)
      let host = slot.joinedRule >= 0 ? Int(slot.joinedRule) : rule
      let index = patient.pointee.alerts.firstIndex { $0.rule == host }
      guard index != nil || Engine.mutes(slot.heldStage), let subject = holdingSubject(patient, rule: rule),
        let priority = raisedPriority(patient, rule: rule, subject: subject, now: context.now)
      else { continue }
      if let index {
        escalate(patient, alert: index, rule: rule, subject: subject, to: priority, context)
      } else {
        retryHeld(patient, rule: rule, context)
      }
    }
  }

  /// The series that holds a rule, -1 where the rule is judged once a patient; nil if nothing holds it.
  func holdingSubject(_ patient: UnsafeMutablePointer<PatientState>, rule: Int) -> Int? {
    switch layout.plan.rules[rule].scope {
    case .patient: return patient.ruleEpisode(rule).holds ? -1 : nil
    case .series(let vital):
      guard let offset = codes[Int(vital.index)].seriesRules.firstIndex(of: rule) else { return nil }
      for index in 0..<patient.pointee.seriesCount
      where patient.pointee.series[index].code == Int(vital.index) && patient.episode(index, offset).holds {
        return index
      }
      return nil
    case .everySeries: return heldSeries(patient, rule: rule).first
    }
  }

  private static let atBypass = Judgement(when: .yes, clear: .no, bypass: .yes)

  private func reachesBypass(
    _ patient: UnsafeMutablePointer<PatientState>, rule: Int, _ reading: ExpressionMachine.Reading
  ) -> Bool {
    guard let bypass = layout.rules[rule].bypass else { return false }
    var reading = reading
    reading.rule = rule
    let reached = machine.truth(
      bypass, features: layout.rules[rule].features, view: patient.view, layout: layout, reading: reading)
    return reached == .yes && applies(patient, rule: rule, now: reading.now)
  }

  /// Carries out what an episode's change means for the rule's alert.
  func settleChange(
    _ change: EpisodeChange, _ patient: UnsafeMutablePointer<PatientState>, rule: Int, subject: Int,
    _ context: JudgeContext, unverified: Double? = nil, gate: DetectionGate? = nil
  ) {
    switch change {
    case .none, .pending: return
    case .gated(let onset):
      guard let gate else { return }
      recordHeld(
        patient, rule: rule, subject: subject, onset: onset, stage: gate.stage, by: gate.by, until: gate.until, context)
    case .recrossed(let onset):
      recordHeld(
        patient, rule: rule, subject: subject, onset: onset, stage: .hysteresis, by: "clear", until: nil, context)
    case .dropped(let stage, let onset):
      recordHeld(patient, rule: rule, subject: subject, onset: onset, stage: stage, by: "for", until: nil, context)
    case .met(let onset):
      var candidate = Candidate(rule: rule, subject: subject, onset: onset, isBypass: false)
      // It waited as long as it may for a better signal (SEMANTICS D1).
      candidate.isUnverified = gate?.stage == .quality
      open(patient, candidate, context)
    case .bypassed(let onset):
      var candidate = Candidate(rule: rule, subject: subject, onset: onset, isBypass: true, unverified: unverified)
      candidate.isUnverified = gate?.stage == .quality
      open(patient, candidate, context)
    case .closed: closeEpisode(patient, rule: rule, context)
    }
  }

  /// Whether any series of the rule, or the rule itself, still holds.
  func ruleHolds(_ patient: UnsafeMutablePointer<PatientState>, rule: Int) -> Bool {
    if patient.ruleEpisode(rule).holds { return true }
    return heldSeries(patient, rule: rule).contains { _ in true }
  }

  /// Earliest onset among what holds of a rule.
  func heldOnset(_ patient: UnsafeMutablePointer<PatientState>, rule: Int) -> Int64 {
    let own = patient.ruleEpisode(rule)
    var onset = own.holds ? own.onset : Int64.max
    for index in heldSeries(patient, rule: rule) {
      for offset in episodeOffsets(rule: rule, code: patient.pointee.series[index].code) {
        onset = min(onset, patient.episode(index, offset).onset)
      }
    }
    return onset == .max ? patient.pointee.now : onset
  }

  /// Positions of the series whose episode of this rule holds.
  func heldSeries(_ patient: UnsafeMutablePointer<PatientState>, rule: Int) -> [Int] {
    var found: [Int] = []
    for index in 0..<patient.pointee.seriesCount {
      for offset in episodeOffsets(rule: rule, code: patient.pointee.series[index].code)
      where patient.episode(index, offset).holds {
        found.append(index)
      }
    }
    return found
  }

  func episodeOffsets(rule: Int, code: Int) -> [Int] {
    let own = codes[code].seriesRules
    switch layout.plan.rules[rule].scope {
    case .patient: return []
    case .series(let vital):
      return Int(vital.index) == code ? own.firstIndex(of: rule).map { [$0] } ?? [] : []
    case .everySeries:
      if let offset = layout.staleRules.firstIndex(of: rule) { return [own.count + offset] }
      if let offset = layout.statusRules.firstIndex(of: rule) { return [own.count + layout.staleRules.count + offset] }
      return []
    }
  }

  /// One episode of a rule is over: the alert ends when no fresh series holds any more (SEMANTICS A3).
  private func closeEpisode(_ patient: UnsafeMutablePointer<PatientState>, rule: Int, _ context: JudgeContext) {
    let held = heldSeries(patient, rule: rule)
    let isTechnical = layout.plan.rules[rule].kind == .technical
    if isTechnical ? !held.isEmpty : held.contains(where: { !patient.pointee.series[$0].isStale }) {
      forgetOldBypass(patient, rule: rule, held)
      // What one sensor's trouble explained is told once that sensor is well again.
      if isTechnical { retryInhibited(patient, context) }
      return
    }
    // What is left are silent series of a vital that another source now shows to be well.
    for index in held {
      for offset in episodeOffsets(rule: rule, code: patient.pointee.series[index].code) {
        patient.pointee.episodes[index].peek(offset)?.pointee.reset()
      }
    }
    if patient.ruleEpisode(rule).holds { return }
    ruleClosed(patient, rule: rule, context)
  }

  /// The series that reached the bypass limit is well again: the next to reach it is told.
  private func forgetOldBypass(_ patient: UnsafeMutablePointer<PatientState>, rule: Int, _ held: [Int]) {
    guard let index = patient.pointee.alerts.firstIndex(where: { $0.rule == rule }) else { return }
    let isReached = held.contains { series in
      episodeOffsets(rule: rule, code: patient.pointee.series[series].code).contains {
        patient.episode(series, $0).isBypassed
      }
    }
    if !isReached { patient.pointee.alerts[index].isBypassed = false }
  }

  static func stageNumber(_ stage: SuppressionStage) -> Int8 {
    Int8(SuppressionStage.allCases.firstIndex(of: stage) ?? 0)
  }
  static func stage(_ number: Int8) -> SuppressionStage { SuppressionStage.allCases[Int(number)] }
}

/// An episode that wants to be told.
struct Candidate {
  var rule: Int
  var subject: Int
  var onset: Int64
  var isBypass: Bool
  /// The doubtful value that reached the bypass limit.
  var unverified: Double?
  /// It is told late, after a gap (SEMANTICS B5).
  var isRetrospective = false
  /// The signal was doubtful, and it could wait no longer.
  var isUnverified = false
  /// It goes on from an alert that has just ended for being old: a new alert, but nothing that came and went.
  var isRenewal = false
  var isDoubtful: Bool { isUnverified || unverified != nil }

  init(rule: Int, subject: Int, onset: Int64, isBypass: Bool, unverified: Double? = nil) {
    self.rule = rule
    self.subject = subject
    self.onset = onset
    self.isBypass = isBypass
    self.unverified = unverified
  }
}
