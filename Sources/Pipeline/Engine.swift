import Evaluation
import Suppression
import VitalModel

/// The deterministic evaluator of one shard: journal entries in, alert transitions and ledger rows out.
///
/// Its output is a pure function of the entries applied, the plan and the options. It never reads a clock, draws a random
/// number, iterates a hash table or touches a file; live service, replay and recovery call this same code. Owned by one
/// thread.
// The run-time exclusivity check is off for the state below: it took a tenth of every sample. One thread owns an engine, and
// no property is handed out inout while a method that touches it runs.
package final class Engine {
  @exclusivity(unchecked) package private(set) var layout: PlanLayout
  /// The layout's tables of vitals; beside it for the hot path, which then touches no reference count.
  @exclusivity(unchecked) private(set) var codes: PlanLayout.Table<PlanLayout.CodePlan>
  package let options: EngineOptions
  /// ``EngineOptions/clock`` is the wall's; beside it for the hot path.
  let isWall: Bool
  let names: any NameSource
  let machine = ExpressionMachine()
  /// What happened since the caller last took it.
  @exclusivity(unchecked) package var output = EngineOutput()
  /// What was told, where the options ask for no documents.
  @exclusivity(unchecked) package internal(set) var brief = BriefRecord()
  /// Further rules judged over this engine's windows; nil: none.
  @exclusivity(unchecked) var followers: Followers?
  /// Whether the windows it judges are another engine's, whose deadlines about signals are not its own.
  @exclusivity(unchecked) var isFollower = false

  @exclusivity(unchecked) var patients: [UnsafeMutablePointer<PatientState>] = []
  /// Directory number → position in ``patients``; -1 none.
  @exclusivity(unchecked) var places: [Int32] = []
  /// Patients with a checkpoint owed, in the order they first changed, with the position of that change. A patient stored
  /// before its turn leaves its entry behind; the position tells such an entry from the patient's next one.
  @exclusivity(unchecked) var dirtyQueue: [(place: Int32, since: UInt64)] = []
  @exclusivity(unchecked) var dirtyHead = 0
  @exclusivity(unchecked) var deadlines = DeadlineHeap()
  @exclusivity(unchecked) var timings: [EpisodeTiming] = []
  /// By rule: how deep it goes, and whether anything beside its hold may delay it.
  @exclusivity(unchecked) var depths: [DepthPlan] = []
  @exclusivity(unchecked) var hasDetectionStages: [Bool] = []
  @exclusivity(unchecked) var smoothed: [SmoothedPlan] = []

  /// How alerts behave, at this point of the journal.
  @exclusivity(unchecked) package internal(set) var alerting: AlertingSettings
  /// Position of the rules in force; 0: those it was made with. States can be read under the same rules only.
  @exclusivity(unchecked) package private(set) var rulesPosition: UInt64 = 0
  /// Which of the directory's rosters is in force at this point of the journal.
  @exclusivity(unchecked) package private(set) var rosterNumber = 0
  /// Highest journal position applied and highest ingest time seen.
  @exclusivity(unchecked) package private(set) var position: UInt64 = 0
  @exclusivity(unchecked) package private(set) var clock: Int64 = .min
  /// Observations applied, and those too doubtful to judge.
  @exclusivity(unchecked) package private(set) var sampleCount: UInt64 = 0
  @exclusivity(unchecked) package private(set) var unusableCount: UInt64 = 0

  /// The message being taken in: observations of one patient at one time (SEMANTICS A4).
  @exclusivity(unchecked) private var groupPlace = -1
  @exclusivity(unchecked) private var groupPatient: UInt32 = .max
  @exclusivity(unchecked) private var groupTime: Int64 = 0
  @exclusivity(unchecked) private var groupIsRetrospective = false
  @exclusivity(unchecked) private var groupIsUncertain = false
  @exclusivity(unchecked) var touched: [Int] = []
  /// For each of them, the features that changed.
  @exclusivity(unchecked) private var touchedChanges: [UInt64] = []
  /// Episodes a doubtful value of this message brought to their bypass limit: the good values beside it do not clear them.
  @exclusivity(unchecked) var doubted: [(rule: Int, subject: Int)] = []
  @exclusivity(unchecked) private var ruleStamp: [UInt64] = []
  @exclusivity(unchecked) private var seenStamp: [UInt64] = []
  @exclusivity(unchecked) private var scoreStamp: [UInt64] = []
  @exclusivity(unchecked) private var stamp: UInt64 = 0
  private let minimumQuality: UInt16
  /// Numbers of the vitals that are pressures of one pair or another.
  private let pressureCodes: [Int]

  package init(layout given: PlanLayout, options: EngineOptions, names: any NameSource) {
    let layout = Engine.judged(given, options)
    self.layout = layout
    codes = layout.codes
    self.options = options
    alerting = options.alerting
    isWall = if case .wall = options.clock { true } else { false }
    self.names = names
    minimumQuality = UInt16(layout.plan.minimumQuality * 10_000)
    pressureCodes = ["sbp", "dbp", "abp_sys", "abp_dia"].compactMap {
      layout.plan.registry.code($0).map { Int($0.index) }
    }
    touched.reserveCapacity(64)
    adopt(layout)
  }

  /// The layout rules are judged by: an ablation of smoothing runs rules without it, whoever brings them.
  static func judged(_ layout: PlanLayout, _ options: EngineOptions) -> PlanLayout {
    options.without.contains(.smoothing) ? PlanLayout(plan: layout.plan.withoutSmoothing()) : layout
  }

  deinit {
    for patient in patients {
      patient.pointee.free()
      patient.deinitialize(count: 1)
      patient.deallocate()
    }
  }

  func adopt(_ layout: PlanLayout) {
    self.layout = layout
    codes = layout.codes
    ruleStamp = Array(repeating: 0, count: layout.plan.rules.count)
    seenStamp = ruleStamp
    scoreStamp = Array(repeating: 0, count: layout.plan.scores.count)
    timings = layout.plan.rules.map { rule in
      let hold = options.without.contains(.persistence) ? 0 : rule.hold
      let clearFor = options.without.contains(.hysteresis) ? 0 : rule.clearFor
      var timing = EpisodeTiming(hold: hold, window: max(rule.maxHold, hold), clearFor: clearFor)
      if !rule.gates.isEmpty || rule.confirm != nil || rule.minimumQuality != nil {
        timing.cap = max(rule.maxHold, stepCap(rule))
      }
      return timing
    }
    depths = layout.plan.rules.map(Engine.depthPlan)
    hasDetectionStages = layout.plan.rules.indices.map { timings[$0].cap > 0 || !depths[$0].halvesAt.isNaN }
    smoothed = layout.plan.rules.indices.map(smoothedPlan)
  }

  /// Notes where in the journal the plan in force stands.
  package func setRulesPosition(_ position: UInt64) { rulesPosition = position }

  /// Continues after a checkpoint: entries up to `position` are already in the patients' states.
  package func resume(at position: UInt64, clock: Int64) {
    self.position = position
    self.clock = clock
  }

  /// Applies one journal entry. Entries come in journal order; ``finishMessage()`` ends a run of them.
  package func apply(_ slot: Slot) {
    // A message ends under its own clock and position, not under those of the entry that shows it has ended: so nothing
    // depends on where a batch was cut.
    if groupPlace >= 0, slot.kind != .sample || groupPatient != slot.patient || groupTime != slot.eventTime {
      finishMessage()
    }
    noteEntry(slot)
    switch slot.kind {
    case .sample: take(slot)
    case .clock: if isWall { runDeadlines(upTo: slot.ingestTime) }
    case .deviceStatus: applyStatus(slot)
    case .payload, .control, nil: return
    }
  }

  /// Notes position and time of an entry that is not a sample.
  func noteEntry(_ slot: Slot) {
    position = max(position, slot.payload)
    clock = max(clock, slot.ingestTime)
  }

  func setRoster(_ number: Int) { rosterNumber = number }

  var isInMessage: Bool { groupPlace >= 0 }
  var isTakingRetrospective: Bool { groupIsRetrospective }
  var isTakingUncertain: Bool { groupIsUncertain }

  /// Takes over how the message at hand came to the engine it follows.
  func takeCircumstances(of leader: Engine) {
    groupIsRetrospective = leader.groupIsRetrospective
    groupIsUncertain = leader.groupIsUncertain
  }

  // MARK: Samples

  private func take(_ slot: Slot) {
    let place = placeOf(slot.patient)
    let patient = patients[place]
    if slot.payload <= patient.pointee.position, slot.payload != 0 { return }
    if groupPlace < 0 { beginMessage(slot, place: place) }
    sampleCount &+= 1
    insert(slot, into: patient)
    if slot.flags.contains(.endOfMessage) { finishMessage() }
    patient.pointee.position = max(patient.pointee.position, slot.payload)
    if patient.pointee.dirtySince == .max { markDirty(place, slot.payload) }
  }

  func markDirty(_ place: Int, _ position: UInt64) {
    patients[place].pointee.dirtySince = position
    dirtyQueue.append((Int32(place), position))
  }

  private func beginMessage(_ slot: Slot, place: Int) {
    let patient = patients[place]
    groupPlace = place
    groupPatient = slot.patient
    groupTime = slot.eventTime
    groupIsUncertain = slot.flags.contains(.uncertain)
    let reference = isWall ? clock : patient.pointee.newestEvent
    groupIsRetrospective =
      reference != .min && slot.eventTime < reference - options.lateness
      && !options.without.contains(.retrospective)
    // A back-log is taken in as of its own time: a hold it began must not run out because we read it late.
    let isBacklog = isWall && groupIsRetrospective
    runDeadlines(place, upTo: isWall && !isBacklog ? clock : slot.eventTime, isBacklog: isBacklog)
    refreshAge(patient, now: slot.eventTime)
    patient.pointee.newestEvent = max(patient.pointee.newestEvent, slot.eventTime)
    if slot.flags.contains(.simulated) { patient.pointee.isSimulated = true }
  }

  /// Places a patient, made on its first entry.
  func placeOf(_ number: UInt32) -> Int {
    let index = Int(number)
    if index < places.count, places[index] >= 0 { return Int(places[index]) }
    while places.count <= index { places.append(-1) }
    let pointer = UnsafeMutablePointer<PatientState>.allocate(capacity: 1)
    pointer.initialize(
      to: PatientState(number: number, facts: names.patientFacts(number, roster: rosterNumber), layout: layout))
    patients.append(pointer)
    places[index] = Int32(patients.count - 1)
    return patients.count - 1
  }

  private func insert(_ slot: Slot, into patient: UnsafeMutablePointer<PatientState>) {
    var index = patient.pointee.position(ofSeries: slot.series)
    if index < 0 { index = addSeries(slot, to: patient) }
    let series = patient.pointee.series + index
    let code = series.pointee.code
    let plan = codes[code]
    if slot.eventTime >= series.pointee.newestTime {
      series.pointee.newestTime = slot.eventTime
      if series.pointee.lastStatus.rawValue != slot.status.rawValue { series.pointee.changed = .max }
      series.pointee.lastStatus = slot.status
      series.pointee.lastQuality = slot.quality
    }
    if touched.last != index { touched.append(index) }
    let converted =
      plan.isPlain && slot.unit == 0
      ? slot.value.scaled(toExponent: plan.resolutionExponent)
      : layout.plan.registry.vitals[code].gridValue(slot.value, unitIndex: Int(slot.unit))
    guard let grid = converted, let value = Int32(exactly: grid) else {
      unusableCount &+= 1
      return
    }
    let isDoubtful =
      slot.status != .ok && slot.status != .lowBattery
      || (slot.quality != .absent && slot.quality.raw < minimumQuality && !options.without.contains(.quality))
    if isDoubtful {
      unusableCount &+= 1
      if series.pointee.doubtfulCount < .max { series.pointee.doubtfulCount += 1 }
      hear(patient, index, wasUsable: false)
      if !slot.status.isSensorOff {
        checkBypass(ofDoubtful: grid, patient: patient, subject: index, slot: slot)
        followers?.checkBypass(ofDoubtful: grid, place: groupPlace, of: self, subject: index, slot: slot)
      }
      return
    }
    if pressureCodes.contains(code) {
      if !patient.pointee.alerts.isEmpty { clearPressureDoubt(patient, slot) }
      followers?.clearPressureDoubt(place: groupPlace, of: self, slot)
    }
    let insertion = series.pointee.insert(
      time: slot.eventTime, value: value, quality: slot.quality, status: slot.status, plan: plan)
    // An old sample that arrives late does not make a silent signal fresh.
    if case .newest = insertion { hear(patient, index, wasUsable: true) }
  }

  /// Notes that a series spoke. Its staleness is watched from the first observation on, usable or not.
  private func hear(_ patient: UnsafeMutablePointer<PatientState>, _ index: Int, wasUsable: Bool) {
    let series = patient.pointee.series + index
    guard wasUsable || series.pointee.heardAt == .min else { return }
    let isFirst = series.pointee.count <= 1
    let before = series.pointee.heardAt
    series.pointee.heardAt = isWall ? clock : max(groupTime, patient.pointee.now)
    if let shortest = codes[series.pointee.code].absences.first, series.pointee.heardAt &- before >= shortest {
      series.pointee.changed = .max
    }
    if wasUsable, series.pointee.absenceDue == .max { watchAbsence(patient, index) }
    if wasUsable, isFirst || series.pointee.isStale || series.pointee.staleDue == .max {
      revive(patient, index)
    } else if series.pointee.staleDue == .max, !series.pointee.isStale {
      scheduleStaleness(patient, index)
    }
  }

  private func addSeries(_ slot: Slot, to patient: UnsafeMutablePointer<PatientState>) -> Int {
    let code = Int(slot.code.index)
    var series = SeriesWindows(
      series: slot.series, device: slot.device, code: code, source: slot.source, plan: codes[code])
    let source = names.sourceName(slot.source)
    let rank = layout.plan.registry.vitals[code].sources.firstIndex(of: source)
    series.rank = UInt8(clamping: rank ?? 200)
    series.cadence = names.cadence(
      device: slot.device, code: slot.code, roster: rosterNumber, at: slot.eventTime)
    let position = patient.pointee.addSeries(series, layout: layout)
    choosePreferred(patient, code: code)
    return position
  }

  /// A usable sample after none or after silence: fresh again, and staleness is watched.
  private func revive(_ patient: UnsafeMutablePointer<PatientState>, _ index: Int) {
    let series = patient.pointee.series + index
    series.pointee.isStale = false
    series.pointee.changed = .max
    scheduleStaleness(patient, index)
    choosePreferred(patient, code: series.pointee.code)
  }

  func scheduleStaleness(_ patient: UnsafeMutablePointer<PatientState>, _ index: Int) {
    let series = patient.pointee.series + index
    let registry = codes[series.pointee.code].registryStaleness
    series.pointee.staleDue = series.pointee.heardAt + series.pointee.staleness(registry: registry)
    schedule(patient, series.pointee.staleDue)
  }

  /// The series a rule with several inputs reads for a vital: fresh before stale, then source preference, then device id
  /// (SEMANTICS A3).
  func choosePreferred(_ patient: UnsafeMutablePointer<PatientState>, code: Int) {
    var best = -1
    for index in 0..<patient.pointee.seriesCount where patient.pointee.series[index].code == code {
      if best < 0 || isPreferred(patient, index, over: best) { best = index }
    }
    patient.pointee.preferred[code] = Int16(clamping: best)
  }

  private func isPreferred(_ patient: UnsafeMutablePointer<PatientState>, _ a: Int, over b: Int) -> Bool {
    let first = patient.pointee.series[a]
    let second = patient.pointee.series[b]
    let isFresh = (!first.isStale && first.lastTime != .min, !second.isStale && second.lastTime != .min)
    if isFresh.0 != isFresh.1 { return isFresh.0 }
    if first.rank != second.rank { return first.rank < second.rank }
    let names = (names.deviceName(first.device), names.deviceName(second.device))
    if names.0 != names.1 { return names.0 < names.1 }
    return self.names.sourceName(first.source) < self.names.sourceName(second.source)
  }

  /// Ends the message being taken in: rules run once over what it brought.
  package func finishMessage() {
    guard groupPlace >= 0 else { return }
    let place = groupPlace
    let patient = patients[place]
    groupPlace = -1
    defer {
      touched.removeAll(keepingCapacity: true)
      touchedChanges.removeAll(keepingCapacity: true)
      doubted.removeAll(keepingCapacity: true)
    }
    let before = patient.pointee.now
    patient.pointee.now = max(before, groupTime)
    // In stream time a retrospective sample is out of order: windows have it, nothing new can be true at "now".
    if groupIsRetrospective, !isWall {
      followers?.forgetDoubt()
      return
    }
    let context = JudgeContext(
      now: patient.pointee.now, engineTime: isWall ? clock : patient.pointee.now,
      isRetrospective: groupIsRetrospective, isUncertain: groupIsUncertain)
    judgeTouched(patient, place: place, context)
    passMinute(patient, since: before, context)
    if context.isRetrospective {
      oweSettlement(patient)
    } else if patient.pointee.settleDue != .max {
      settle(patient, context)
    }
  }

  /// What is looked at once a minute of a patient's time.
  private func passMinute(
    _ patient: UnsafeMutablePointer<PatientState>, since before: Int64, _ context: JudgeContext
  ) {
    guard DecimalFloor.divide(patient.pointee.now, 60_000) != DecimalFloor.divide(before, 60_000) else { return }
    if alerting.isAdaptive || !patient.pointee.adapted.isEmpty { adapt(patient, context) }
    tidy(patient, context)
  }

  private func judgeTouched(
    _ patient: UnsafeMutablePointer<PatientState>, place: Int, _ context: JudgeContext
  ) {
    stamp &+= 1
    for index in touched {
      let code = patient.pointee.series[index].code
      var local = context
      // A back-log is judged as of its own newest sample, so that what happened inside the gap is seen as it was.
      if context.isRetrospective, patient.pointee.series[index].lastTime != .min {
        local.now = max(patient.pointee.series[index].lastTime, groupTime)
      }
      let changed = takeChanges(patient, index, now: local.now)
      touchedChanges.append(changed)
      judgeSeriesRules(patient, subject: index, code: code, changed: seenChanges(patient, changed), local)
      judgeTechnical(patient, subject: index, context)
    }
    guard let followers else { return judgeTouchedPatientRules(patient, context, ofScores: nil) }
    followers.begin(touched: touched, changes: touchedChanges, stamp: stamp)
    if followers.needsTwoPasses { followers.judgeSeries(place: place, of: self, context) }
    judgeTouchedPatientRules(patient, context, ofScores: nil)
    followers.finishMessage(place: place, of: self, context)
  }

  /// Judges the rules on a series' own vital.
  private func judgeSeriesRules(
    _ patient: UnsafeMutablePointer<PatientState>, subject index: Int, code: Int, changed: UInt64,
    _ context: JudgeContext
  ) {
    let own = codes[code].seriesRules
    for offset in 0..<own.count {
      // Nothing it reads is another than when it was last judged, and it did not hold then. What is computed only when
      // asked for may change without any change here.
      let mask = codes[code].seriesMasks[offset]
      if mask != .max, changed & mask == 0, patient.isIdle(index, offset) {
        if smoothed[own[offset]].direction != 0 {
          noteSmoothed(patient, rule: own[offset], subject: index, offset: offset, context)
        }
        continue
      }
      judge(patient, rule: own[offset], subject: index, offset: offset, context)
    }
  }

  /// Judges the series of a message whose samples the engine it follows has taken in.
  func judgeTouchedSeries(
    _ patient: UnsafeMutablePointer<PatientState>, _ message: FollowedMessage, _ context: JudgeContext
  ) {
    for place in 0..<message.count {
      let index = message.touched[place]
      let code = patient.pointee.series[index].code
      judgeSeriesRules(
        patient, subject: index, code: code, changed: seenChanges(patient, message.changes[place]), context)
      judgeTechnical(patient, subject: index, context)
    }
  }

  /// Ends a message whose samples the engine it follows has taken in.
  func finishFollowed(
    _ patient: UnsafeMutablePointer<PatientState>, _ message: FollowedMessage, since before: Int64,
    _ context: JudgeContext
  ) {
    stamp = message.stamp
    judgeTouchedPatientRules(patient, context, ofScores: message)
    passMinute(patient, since: before, context)
  }

  /// Gives back the memory of episodes and standings that say nothing any more; once a minute of a patient's time.
  private func tidy(_ patient: UnsafeMutablePointer<PatientState>, _ context: JudgeContext) {
    // A hold set for this patient may add up over a longer window than the rule's.
    guard patient.pointee.settingCount == 0 else { return }
    for index in 0..<patient.pointee.seriesCount {
      let code = patient.pointee.series[index].code
      let row = patient.pointee.episodes + index
      for offset in 0..<Int(row.pointee.count) {
        guard let episode = row.pointee.peek(offset) else { continue }
        episode.pointee.forget(now: context.now, window: timings[ruleIndex(code: code, offset: offset)].memory)
        if episode.pointee.isBlank { row.pointee.clear(offset) }
      }
    }
    for rule in layout.plan.rules.indices {
      if let episode = patient.pointee.ruleEpisodes.peek(rule) {
        episode.pointee.forget(now: context.now, window: timings[rule].memory)
        if episode.pointee.isBlank { patient.pointee.ruleEpisodes.clear(rule) }
      }
      guard let slot = patient.pointee.ruleSlots.peek(rule) else { continue }
      let isSpoken =
        slot.pointee.heldStage >= 0 || slot.pointee.joinedRule >= 0
        || slot.pointee.refractoryUntil > context.engineTime || slot.pointee.inhibitedSince < .max
        || slot.pointee.resolvedUntil > context.engineTime
        || slot.pointee.starts[6] > context.engineTime - flapSettings(rule).within
      if !isSpoken, !patient.pointee.alerts.contains(where: { $0.rule == rule }) {
        patient.pointee.ruleSlots.clear(rule)
      }
    }
  }

  /// The features of a series that changed since its rules were last judged; all of them where more than values may have.
  @inline(__always)
  private func takeChanges(_ patient: UnsafeMutablePointer<PatientState>, _ index: Int, now: Int64) -> UInt64 {
    let series = patient.pointee.series + index
    series.pointee.refresh(now: now, plan: codes[series.pointee.code])
    let changed = series.pointee.changed
    series.pointee.changed = 0
    series.pointee.taken = changed
    series.pointee.takenFor = stamp
    return changed
  }

  /// The changes as rules see them: where values of this message were doubtful, or a person set limits, nothing is known
  /// to be as it was.
  @inline(__always)
  private func seenChanges(_ patient: UnsafeMutablePointer<PatientState>, _ changed: UInt64) -> UInt64 {
    doubted.isEmpty && patient.view.settingCount == 0 ? changed : .max
  }

  /// - Parameter followed: a message that the engine it follows took in, scores included; nil: its own.
  private func judgeTouchedPatientRules(
    _ patient: UnsafeMutablePointer<PatientState>, _ context: JudgeContext, ofScores followed: FollowedMessage?
  ) {
    for place in 0..<(followed?.count ?? touched.count) {
      let index = followed?.touched[place] ?? touched[place]
      let plan = codes[patient.pointee.series[index].code]
      let changed = seenChanges(patient, followed?.changes[place] ?? touchedChanges[place])
      // Whatever changed here: the medians of a score's other inputs slide on with time.
      for feed in plan.scoreFeeds { scoreStamp[feed.score] = stamp }
      for offset in 0..<plan.patientRules.count {
        let rule = plan.patientRules[offset]
        let mask = plan.patientMasks[offset]
        if ruleStamp[rule] == stamp { continue }
        if changed & mask != 0 || mask == .max || changed == .max {
          ruleStamp[rule] = stamp
        } else if seenStamp[rule] != stamp {
          // The same for every vital of the message: asked once.
          seenStamp[rule] = stamp
          if !patient.isIdle(rule: rule) || haveWindowsMoved(patient, rule: rule, now: context.now) {
            ruleStamp[rule] = stamp
          }
        }
      }
    }
    for score in 0..<scoreStamp.count where scoreStamp[score] == stamp {
      guard followed?.scores[score] ?? updateScore(patient, score, now: context.now) else { continue }
      followers?.noteChanged(score)
      for rule in layout.scoreRules[score] { ruleStamp[rule] = stamp }
    }
    for rule in 0..<ruleStamp.count where ruleStamp[rule] == stamp {
      judge(patient, rule: rule, subject: -1, offset: 0, context)
    }
    if !layout.raisingRules.isEmpty { checkRaises(patient, context) }
    if !patient.pointee.alerts.isEmpty {
      lowerPriorities(patient, context)
      renewOverdue(patient, context)
    }
  }

  /// Whether windows a rule reads of any vital have another value at `now`, with or without a sample in this message.
  @inline(__always)
  private func haveWindowsMoved(_ patient: UnsafeMutablePointer<PatientState>, rule: Int, now: Int64) -> Bool {
    for input in layout.rules[rule].windowInputs {
      let position = Int(patient.pointee.preferred[input.code])
      guard position >= 0 else { continue }
      let series = patient.pointee.series + position
      series.pointee.refresh(now: now, plan: codes[input.code])
      let taken = series.pointee.takenFor == stamp ? series.pointee.taken : 0
      if (series.pointee.changed | taken) & input.mask != 0 { return true }
    }
    return false
  }

  func updateScores(_ patient: UnsafeMutablePointer<PatientState>, code: Int, now: Int64) {
    for feed in codes[code].scoreFeeds { _ = updateScore(patient, feed.score, now: now) }
  }

  private func updateScore(_ patient: UnsafeMutablePointer<PatientState>, _ score: Int, now: Int64) -> Bool {
    (patient.pointee.scores + score).pointee.update(
      layout.scores[score], machine: machine, view: patient.view, layout: layout, now: now)
  }

  /// Rules about the signal itself, looked at only where they could change.
  func judgeTechnical(_ patient: UnsafeMutablePointer<PatientState>, subject: Int, _ context: JudgeContext) {
    let base = codes[patient.pointee.series[subject].code].seriesRules.count
    let isMissing = patient.pointee.series[subject].isStale && patient.pointee.series[subject].hasRhythm
    let isMarked = patient.pointee.series[subject].lastStatus.rawValue != SampleStatus.ok.rawValue
    for (offset, rule) in layout.staleRules.enumerated() {
      if isMissing || isMarked || !patient.isIdle(subject, base + offset) {
        judge(patient, rule: rule, subject: subject, offset: base + offset, context)
      }
    }
    let statusBase = base + layout.staleRules.count
    for (offset, rule) in layout.statusRules.enumerated() {
      if isMarked || !patient.isIdle(subject, statusBase + offset) {
        judge(patient, rule: rule, subject: subject, offset: statusBase + offset, context)
      }
    }
  }

  // MARK: Figures

  /// Bytes held by all patients, and how many there are.
  package var footprint: (patients: Int, bytes: Int) {
    (patients.count, patients.reduce(0) { $0 + $1.pointee.bytes(layout: layout) })
  }

  /// Alerts open now, all patients.
  package var activeAlerts: Int { patients.reduce(0) { $0 + $1.pointee.alerts.count } }
}

/// The circumstances under which conditions are judged.
struct JudgeContext {
  /// Evaluation instant, event time.
  var now: Int64
  /// The engine's clock: detection time of what is found.
  var engineTime: Int64
  var isRetrospective: Bool
  var isUncertain: Bool
}
