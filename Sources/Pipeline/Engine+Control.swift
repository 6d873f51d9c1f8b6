import Evaluation
import Suppression
import VitalModel

/// A device's own alarm, as journaled (SEMANTICS A11).
package struct DeviceAlarm: Sendable, Equatable {
  /// Key or MDC reference id of what the device reports; never its free text.
  package var event: String
  package var hasEnded: Bool
  package var priority: Priority
  package init(event: String, hasEnded: Bool, priority: Priority) {
    self.event = event
    self.hasEnded = hasEnded
    self.priority = priority
  }
}

/// Entries that are not samples: rosters, rules, devices coming and going.
extension Engine {
  /// Puts the directory's roster of this number in force for everything after.
  ///
  /// - Parameter entry: the entry that brings it: what it releases is told at its position.
  package func adoptRoster(_ number: Int, at entry: Slot? = nil) {
    finishMessage()
    if let entry { noteEntry(entry) }
    setRoster(number)
    for patient in patients {
      patient.pointee.facts = names.patientFacts(patient.pointee.number, roster: number)
      patient.pointee.flagBits = layout.flagBits(patient.pointee.facts)
      patient.pointee.compileSettings(layout)
      patient.pointee.ageAsOf = .min
      noteFactsChanged(patient)
      if patient.pointee.dirtySince == .max { markDirty(placeOf(patient.pointee.number), position) }
      for index in 0..<patient.pointee.seriesCount {
        let series = patient.pointee.series[index]
        patient.pointee.series[index].cadence = names.cadence(
          device: series.device, code: VitalCode(index: UInt16(series.code)), roster: number,
          at: max(series.newestTime, 0))
      }
    }
    followCanaries()
    for number in patientNumbers {
      let patient = patients[placeOf(number)]
      // A state read back from after this entry has been through it.
      let isAhead = entry.map { patient.pointee.position >= $0.payload } ?? false
      if patient.pointee.now != .min, !isAhead { retryInhibited(patient, present(patient)) }
    }
    if let first = patients.first { reviewOutages(present(first)) }
  }

  /// A patient's now, for what no sample brings.
  func present(_ patient: UnsafeMutablePointer<PatientState>) -> JudgeContext {
    JudgeContext(
      now: patient.pointee.now, engineTime: isWall ? clock : patient.pointee.now, isRetrospective: false,
      isUncertain: false)
  }

  /// A device said that it is online or offline, or its last will did.
  package func applyStatus(_ slot: Slot) {
    guard let (patient, context) = beginControl(slot) else { return }
    let device = names.deviceName(slot.device)
    let subject = "device/" + device
    if slot.mantissa == 0 {
      let atRisk = patient.pointee.alerts.filter { alert in
        alert.kind == .physiological
          && (alert.device == slot.device
            || alert.sources.contains { number in
              let index = patient.pointee.position(ofSeries: number)
              return index >= 0 && patient.pointee.series[index].device == slot.device
            })
      }
      let priority = max(.low, atRisk.map(\.priority).max() ?? .low)
      raise(
        patient, id: "device-offline", title: "Device offline", kind: .technical, subject: subject,
        device: slot.device, priority: priority, message: "device \(device) is offline", context)
    } else {
      lower(patient, id: "device-offline", device: slot.device, context)
    }
  }

  /// The device's own alarm: routed, never suppressed by our numerics, told with what they say about it (SEMANTICS C5).
  package func applyDeviceAlarm(_ slot: Slot, _ alarm: DeviceAlarm) {
    guard let (patient, context) = beginControl(slot) else { return }
    hear(alarm, from: slot.device, patient, context)
    followers?.forEach(place: placeOf(slot.patient), of: self) { engine, state in
      engine.hear(alarm, from: slot.device, state, context)
    }
  }

  private func hear(
    _ alarm: DeviceAlarm, from device: UInt32, _ patient: UnsafeMutablePointer<PatientState>, _ context: JudgeContext
  ) {
    if declare(alarm, patient, context) { return }
    let id = "device-alarm-" + alarm.event.lowercased()
    if alarm.hasEnded {
      lower(patient, id: id, device: device, context)
    } else {
      raise(
        patient, id: id, title: "Device alarm", kind: .physiological,
        subject: alarm.event + "/" + names.deviceName(device), device: device, priority: alarm.priority,
        message: "device alarm \(alarm.event) from \(names.deviceName(device))", context,
        finding: verify(patient, event: alarm.event, context))
    }
  }

  /// A device's clock correction changed; 0: its clock is right again.
  package func applyClockOffset(_ slot: Slot) {
    guard let (patient, context) = beginControl(slot) else { return }
    let device = names.deviceName(slot.device)
    if slot.mantissa == 0 {
      lower(patient, id: "clock-skew", device: slot.device, context)
    } else {
      let direction = slot.mantissa < 0 ? "ahead" : "behind"
      raise(
        patient, id: "clock-skew", title: "Wrong device clock", kind: .technical, subject: "device/" + device,
        device: slot.device, priority: .low,
        message: "clock of \(device) is \(abs(slot.mantissa) / 1000) s \(direction); times are corrected", context)
    }
  }

  /// The newest pressure of a device contradicts itself (SEMANTICS A8).
  package func applyInconsistentPressure(_ slot: Slot) {
    guard let (patient, context) = beginControl(slot) else { return }
    doubtPressure(slot.device, patient, context)
    followers?.doubtPressure(slot.device, place: placeOf(slot.patient), of: self, context)
  }

  func doubtPressure(
    _ number: UInt32, _ patient: UnsafeMutablePointer<PatientState>, _ context: JudgeContext
  ) {
    let device = names.deviceName(number)
    raise(
      patient, id: "pressure-inconsistent", title: "Blood pressure contradicts itself", kind: .technical,
      subject: "device/" + device, device: number, priority: .low,
      message: "diastolic at or above systolic from \(device): check the cuff or line", context)
  }

  /// A pressure that makes sense came from a device that had contradicted itself.
  func clearPressureDoubt(_ patient: UnsafeMutablePointer<PatientState>, _ slot: Slot) {
    let engineTime = isWall ? clock : max(patient.pointee.now, slot.eventTime)
    let context = JudgeContext(
      now: max(patient.pointee.now, slot.eventTime), engineTime: engineTime, isRetrospective: false,
      isUncertain: false)
    lower(patient, id: "pressure-inconsistent", device: slot.device, context)
  }

  func beginControl(_ slot: Slot) -> (UnsafeMutablePointer<PatientState>, JudgeContext)? {
    finishMessage()
    noteEntry(slot)
    guard slot.patient != .max else { return nil }
    let place = placeOf(slot.patient)
    let patient = patients[place]
    guard slot.payload == 0 || slot.payload > patient.pointee.position else { return nil }
    patient.pointee.position = max(patient.pointee.position, slot.payload)
    if patient.pointee.dirtySince == .max { markDirty(place, slot.payload) }
    let engineTime = isWall ? clock : max(patient.pointee.now, slot.eventTime)
    runDeadlines(place, upTo: engineTime)
    let context = JudgeContext(
      now: max(patient.pointee.now, slot.eventTime), engineTime: engineTime, isRetrospective: false,
      isUncertain: false)
    return (patient, context)
  }

  /// Opens an alert that no rule file describes, once.
  private func raise(
    _ patient: UnsafeMutablePointer<PatientState>, id: String, title: String, kind: AlertKind, subject: String,
    device: UInt32, priority: Priority, message: String, _ context: JudgeContext, finding: AlarmFinding? = nil
  ) {
    if let index = patient.pointee.alerts.firstIndex(where: { $0.ruleID == id && $0.device == device }) {
      if priority > patient.pointee.alerts[index].priority {
        return worsen(patient, builtIn: index, to: priority, message: message, context, finding)
      }
      // A latched one whose cause is back is told again.
      if !patient.pointee.alerts[index].life.isPresent {
        patient.pointee.alerts[index].note(finding, message: message)
      }
      let told = output.transitions.count
      carryOut(live(patient, alert: index, .conditionReturned, context), patient, alert: index, context)
      if output.transitions.count > told { output.transitions[told].evidence = finding?.evidence }
      return
    }
    var rule = RuleDefinition()
    rule.id = id
    rule.version = Engine.builtInVersion
    let facts = patient.pointee.facts
    var alert = ActiveAlert(
      rule: -1, alertID: alertID(facts: facts, rule: rule, subject: subject, onset: context.now), ruleID: id,
      ruleVersion: rule.version, ruleTitle: title, sequence: 1, onset: context.now, detected: context.engineTime,
      priority: priority, kind: kind, isScore: false, isBypassed: false, isUnverified: false, isRetrospective: false,
      code: -1, device: device, sources: [], members: [], unit: facts.unit, bed: facts.bed,
      life: AlertLife(now: context.engineTime, terms: AlertLife.Terms()))
    alert.note(finding, message: message)
    alert.life = AlertLife(now: context.engineTime, terms: terms(alert))
    schedule(patient, alert.life.nextDue)
    patient.pointee.alerts.append(alert)
    emitBuiltIn(patient, alert, phase: .start, message: alert.message, context, evidence: finding?.evidence)
  }

  /// A condition without a rule file has come again, more urgent than people know.
  private func worsen(
    _ patient: UnsafeMutablePointer<PatientState>, builtIn index: Int, to priority: Priority, message: String,
    _ context: JudgeContext, _ finding: AlarmFinding?
  ) {
    lift(patient, alert: index, to: priority)
    patient.pointee.alerts[index].note(finding, message: message)
    live(patient, alert: index, .worsened, context)
    let told = output.transitions.count
    tell(patient, alert: index, phase: .escalate, showing: nil, context)
    if output.transitions.count > told { output.transitions[told].evidence = finding?.evidence }
  }

  private func lower(
    _ patient: UnsafeMutablePointer<PatientState>, id: String, device: UInt32, _ context: JudgeContext
  ) {
    guard
      let index = patient.pointee.alerts.firstIndex(where: { $0.rule < 0 && $0.ruleID == id && $0.device == device })
    else { return }
    let output = live(patient, alert: index, .conditionEnded, context)
    defer { if id == "device-offline", !patient.pointee.facts.gateways.isEmpty { reviewOutages(context) } }
    switch output {
    case .ended(let why): end(patient, alert: index, why, context)
    // It was over already.
    case .nothing: return
    case .noted, .told, .realarmed: tell(patient, alert: index, phase: .update, showing: nil, context)
    }
  }

  /// Version of the alerts the engine raises without a rule file.
  static let builtInVersion = "built-in:1"

  func emitBuiltIn(
    _ patient: UnsafeMutablePointer<PatientState>, _ alert: ActiveAlert, phase: AlertPhase, message: String,
    _ context: JudgeContext, isNotified: Bool = true, note: TransitionNote = TransitionNote(), evidence: String? = nil
  ) {
    guard options.recordsDocuments else { return }
    var document = AlertDocument()
    document.alertID = alert.alertID
    document.sequence = alert.sequence
    document.tenant = patient.pointee.facts.tenant
    document.patient = patient.pointee.facts.patient
    document.device = names.deviceName(alert.device)
    document.ruleID = alert.ruleID
    document.ruleVersion = alert.ruleVersion
    document.ruleTitle = alert.ruleTitle
    document.priority = alert.priority
    document.kind = alert.kind
    document.phase = phase
    document.onsetTime = alert.onset
    document.detectedTime = context.engineTime
    document.durationSeconds = max(0, (context.now - alert.onset) / 1000)
    document.message = message
    document.verification = alert.verification?.rawValue
    document.locationUnit = alert.unit
    document.locationBed = alert.bed
    document.sources = [names.deviceName(alert.device)]
    document.simulated = patient.pointee.isSimulated
    dress(&document, alert, phase: phase, note)
    if !alert.cause.isEmpty {
      document.patient = ""
      document.device = nil
      document.sources = [alert.cause]
      document.patients = alert.members
    }
    output.transitions.append(
      Transition(
        position: position, patient: patient.pointee.number, document: document, evidence: evidence,
        isNotified: isNotified, isAnswer: note.isAnswer))
  }

  // MARK: New rules

  /// Puts another plan in force from this point of the journal on. Windows keep their samples, episodes and alerts of rules
  /// that stay keep their state and identity (SEMANTICS C1); an alert whose rule is gone, off, or judged another way ends
  /// and says so, and what had joined it is told in its own name.
  ///
  /// - Parameter entry: the entry that brings it: alerts that end with it end at its time, on every shard and in replay.
  /// - Precondition: the new registry begins with the vitals of the old one, in their order.
  package func adoptPlan(_ given: PlanLayout, at entry: Slot? = nil) {
    let new = Engine.judged(given, options)
    finishMessage()
    if let entry {
      noteEntry(entry)
      setRulesPosition(entry.payload)
    }
    let old = layout
    let succession = RuleSuccession(from: old.plan, to: new.plan)
    adopt(new)
    // By number: the order in which patients were first seen differs after a restart.
    for number in patientNumbers {
      let place = placeOf(number)
      let pointer = patients[place]
      let mapping = successors(pointer, succession, old: old)
      let orphans = old.plan.rules.indices.filter { rule in
        let host = Int(pointer.slot(rule).joinedRule)
        return host >= 0 && mapping[host] < 0 && mapping[rule] >= 0
      }
      var state = PatientState(number: pointer.pointee.number, facts: pointer.pointee.facts, layout: new)
      carryOver(pointer, to: &state, old: old, mapping: mapping)
      pointer.pointee.free()
      state.compileSettings(new)
      pointer.pointee = state
      for index in 0..<pointer.pointee.seriesCount {
        choosePreferred(pointer, code: pointer.pointee.series[index].code)
        watchAbsenceAnew(pointer, index)
      }
      refreshAge(pointer, now: max(pointer.pointee.now, 0))
      for score in new.plan.scores.indices {
        _ = pointer.pointee.scores[score].update(
          new.scores[score], machine: machine, view: pointer.view, layout: new, now: pointer.pointee.now)
      }
      if pointer.pointee.dirtySince == .max { markDirty(place, position) }
      endWithdrawn(pointer)
      endUnheld(pointer)
      for alert in pointer.pointee.alerts { schedule(pointer, renewalDue(alert)) }
      for rule in orphans { tellOrphan(pointer, rule: mapping[rule]) }
      tellOffTrial(pointer)
      if pointer.pointee.now != .min { retryInhibited(pointer, present(pointer)) }
    }
    fileDeadlines()
  }

  private func carryOver(
    _ from: UnsafeMutablePointer<PatientState>, to state: inout PatientState, old: PlanLayout, mapping: [Int]
  ) {
    state.ageAsOf = .min
    state.now = from.pointee.now
    state.newestEvent = from.pointee.newestEvent
    state.nextDue = from.pointee.nextDue
    state.settleDue = from.pointee.settleDue
    state.settleSince = from.pointee.settleSince
    state.position = from.pointee.position
    state.dirtySince = from.pointee.dirtySince
    state.isSimulated = from.pointee.isSimulated
    state.missed = from.pointee.missed
    state.silences = from.pointee.silences
    state.declared = from.pointee.declared
    state.adapted = from.pointee.adapted
    state.adaptedHour = from.pointee.adaptedHour
    state.budgetTold = from.pointee.budgetTold
    state.reviewedUntil = from.pointee.reviewedUntil
    for index in 0..<from.pointee.seriesCount {
      let source = from.pointee.series[index]
      var series = SeriesWindows(copyingHead: source, plan: layout.codes[source.code])
      series.lastValue = regrid(source.lastValue, code: source.code, from: old)
      let rank = layout.plan.registry.vitals[source.code].sources.firstIndex(of: names.sourceName(source.source))
      series.rank = UInt8(clamping: rank ?? 200)
      for kept in source.neededSamples(plan: old.codes[source.code]) {
        let value = regrid(kept.value, code: source.code, from: old)
        series.restore(time: kept.time, value: value, quality: kept.quality, status: kept.status)
      }
      series.finishRestoring(plan: layout.codes[source.code])
      carryPanes(source, to: &series, old)
      let position = state.addSeries(series, layout: layout)
      carryEpisodes(from.pointee.episodes[index], to: state.episodes + position, code: source.code, old, mapping)
    }
    for (index, score) in old.plan.scores.enumerated() {
      // A chart that kept its rows keeps its standing, what it lost included.
      let target =
        layout.plan.scores.firstIndex(of: score)
        ?? layout.plan.scores.firstIndex { new in
          new.id == score.id && new.components.map(\.name) == score.components.map(\.name)
        }
      if let target { state.scores[target] = from.pointee.scores[index] }
    }
    for (rule, target) in mapping.enumerated() where target >= 0 {
      if let episode = from.pointee.ruleEpisodes.peek(rule) {
        state.ruleEpisodes.pointer(target, blank: Episode()).pointee = episode.pointee
      }
      guard var slot = from.pointee.ruleSlots.peek(rule)?.pointee else { continue }
      if slot.joinedRule >= 0 { slot.joinedRule = Int16(mapping[Int(slot.joinedRule)]) }
      state.ruleSlots.pointer(target, blank: RuleSlot()).pointee = slot
    }
    state.alerts = from.pointee.alerts.map { alert in
      var carried = alert
      if alert.rule >= 0 { carried.rule = mapping[alert.rule] < 0 ? Engine.withdrawn : mapping[alert.rule] }
      return carried
    }
  }

  /// Panes hold what is no longer kept as samples: those of a window that stays are carried over.
  private func carryPanes(_ source: SeriesWindows, to series: inout SeriesWindows, _ old: PlanLayout) {
    let windows = layout.codes[source.code].windows
    for (from, window) in old.codes[source.code].windows.enumerated() where window.kind == .panes {
      guard let to = windows.firstIndex(where: { $0.isSame(window) }) else { continue }
      for record in source.paneRecords(window: from) {
        let value = regrid(record.value, code: source.code, from: old)
        series.restorePane(window: to, number: record.number, value: value, count: record.count)
      }
    }
  }

  private static let withdrawn = -2

  /// A kept value on the new registry's grid.
  private func regrid(_ value: Int32, code: Int, from old: PlanLayout) -> Int32 {
    let exponents = (old.codes[code].resolutionExponent, layout.codes[code].resolutionExponent)
    if exponents.0 == exponents.1 { return value }
    let decimal = DecimalValue(mantissa: Int64(value), exponent: Int8(exponents.0))
    return Int32(clamping: decimal.scaled(toExponent: exponents.1) ?? Int64(value))
  }

  /// A rule whose alert was part of a withdrawn one: nobody would hear of it otherwise.
  private func tellOrphan(_ patient: UnsafeMutablePointer<PatientState>, rule: Int) {
    guard ruleHolds(patient, rule: rule) else { return }
    let subject = heldSeries(patient, rule: rule).first ?? -1
    let context = JudgeContext(
      now: patient.pointee.now, engineTime: isWall ? clock : patient.pointee.now,
      isRetrospective: false, isUncertain: false)
    open(
      patient, Candidate(rule: rule, subject: subject, onset: heldOnset(patient, rule: rule), isBypass: false), context)
  }

  private func carryEpisodes(
    _ from: LazyRow<Episode>, to: UnsafeMutablePointer<LazyRow<Episode>>, code: Int, _ old: PlanLayout,
    _ mapping: [Int]
  ) {
    guard !from.isBlank else { return }
    func order(_ plan: PlanLayout) -> [Int] {
      Array(plan.codes[code].seriesRules) + Array(plan.staleRules) + Array(plan.statusRules)
    }
    let targets = order(layout)
    for (offset, rule) in order(old).enumerated() {
      guard let place = targets.firstIndex(of: mapping[rule]), let episode = from.peek(offset) else { continue }
      to.pointee.pointer(place, blank: Episode()).pointee = episode.pointee
    }
  }

  /// Alerts that only a rule now gone kept alive.
  private func endUnheld(_ patient: UnsafeMutablePointer<PatientState>) {
    for index in patient.pointee.alerts.indices.reversed() {
      let alert = patient.pointee.alerts[index]
      guard alert.rule >= 0, alert.life.isPresent, !ruleHolds(patient, rule: alert.rule) else { continue }
      let isKept = layout.plan.rules.indices.contains {
        Int(patient.slot($0).joinedRule) == alert.rule && ruleHolds(patient, rule: $0)
      }
      if !isKept { leave(patient, alert: index, present(patient)) }
    }
  }

  private func endWithdrawn(_ patient: UnsafeMutablePointer<PatientState>) {
    let context = JudgeContext(
      now: patient.pointee.now, engineTime: isWall ? clock : patient.pointee.now,
      isRetrospective: false, isUncertain: false)
    while let index = patient.pointee.alerts.firstIndex(where: { $0.rule == Engine.withdrawn }) {
      patient.pointee.alerts[index].sequence += 1
      let alert = patient.pointee.alerts.remove(at: index)
      emitBuiltIn(
        patient, alert, phase: .end, message: alert.ruleTitle + ": rule withdrawn", context,
        note: TransitionNote(reason: "rule withdrawn"))
    }
  }
}
