import Evaluation
import Suppression
import VitalModel

/// What falls due between samples: staleness, holds, clears, refractory times, settlements (SEMANTICS B2).
extension Engine {
  func schedule(_ patient: UnsafeMutablePointer<PatientState>, _ due: Int64) {
    guard due < patient.pointee.nextDue else { return }
    patient.pointee.nextDue = due
    guard isWall, due < patient.pointee.filedDue else { return }
    patient.pointee.filedDue = due
    deadlines.push(due: due, patient: patient.pointee.number)
  }

  /// The earliest instant at which some patient's deadline may be due, engine time; nil: none. Wall clock only.
  package var nextDeadline: Int64? {
    refreshHeap()
    return deadlines.earliest
  }

  /// Drops outdated entries from the top of the heap, so that its earliest is some patient's lower bound.
  func refreshHeap() {
    while let top = deadlines.top {
      let patient = patients[placeOf(top.patient)]
      if patient.pointee.filedDue == top.due {
        if patient.pointee.nextDue <= top.due { return }
        patient.pointee.filedDue = .max
        _ = deadlines.pop()
        file(patient)
      } else {
        _ = deadlines.pop()
      }
    }
  }

  /// Enters a patient's next deadline in the heap, if it is not there yet.
  func file(_ patient: UnsafeMutablePointer<PatientState>) {
    let next = patient.pointee.nextDue
    guard next < patient.pointee.filedDue else { return }
    patient.pointee.filedDue = next
    deadlines.push(due: next, patient: patient.pointee.number)
  }

  /// Runs the due deadlines of every patient, by due time and then patient number.
  func runDeadlines(upTo time: Int64) {
    // Patients whose restored state is ahead of this entry: it has run for them already.
    var ahead: [Int] = []
    while true {
      refreshHeap()
      guard let top = deadlines.top, top.due <= time else { break }
      _ = deadlines.pop()
      let place = placeOf(top.patient)
      let patient = patients[place]
      patient.pointee.filedDue = .max
      guard position > patient.pointee.position || position == 0 else {
        ahead.append(place)
        continue
      }
      runDeadlines(place, upTo: time)
      patient.pointee.position = max(patient.pointee.position, position)
      if patient.pointee.dirtySince == .max { markDirty(place, position) }
      file(patient)
    }
    for place in ahead { file(patients[place]) }
  }

  /// Puts every restored patient's next deadline back into the heap.
  func fileDeadlines() {
    deadlines = DeadlineHeap()
    for patient in patients where isWall && patient.pointee.nextDue < .max {
      patient.pointee.filedDue = patient.pointee.nextDue
      deadlines.push(due: patient.pointee.nextDue, patient: patient.pointee.number)
    }
  }

  /// Runs one patient's deadlines due at or before `time`, each with its own due time as "now" (SEMANTICS B2).
  ///
  /// - Parameter isBacklog: on behalf of a retrospective message, as of its own time.
  func runDeadlines(_ place: Int, upTo time: Int64, isBacklog: Bool = false) {
    if let followers { return runDeadlines(place, upTo: time, with: followers) }
    let patient = patients[place]
    while patient.pointee.nextDue <= time {
      guard let next = earliestDeadline(patient, isBacklog: isBacklog) else {
        patient.pointee.nextDue = .max
        return
      }
      guard next.due <= time else {
        patient.pointee.nextDue = .max
        schedule(patient, next.due)
        return
      }
      run(next, patient)
    }
  }

  /// Runs one patient's deadlines with those of the plans that follow, in the order of their due times.
  private func runDeadlines(_ place: Int, upTo time: Int64, with followers: Followers) {
    let patient = patients[place]
    followers.begin(patient)
    while true {
      var next = patient.pointee.nextDue <= time ? earliestDeadline(patient, isBacklog: false) : nil
      if patient.pointee.nextDue <= time, next.map({ $0.due > time }) ?? true {
        patient.pointee.nextDue = next?.due ?? .max
        next = nil
      }
      followers.runDeadlines(place: place, of: self, before: next, upTo: time)
      guard let next else { return }
      run(next, patient)
    }
  }

  /// Runs the earliest deadline of a patient that follows, if it is due; else notes when it is.
  func runDeadline(_ patient: UnsafeMutablePointer<PatientState>, upTo time: Int64) {
    guard let next = earliestDeadline(patient, isBacklog: false) else {
      patient.pointee.nextDue = .max
      return
    }
    guard next.due <= time else {
      patient.pointee.nextDue = next.due
      return
    }
    run(next, patient)
  }

  enum DeadlineTarget {
    case stale(series: Int)
    case absent(series: Int)
    case series(series: Int, offset: Int)
    case patientRule(Int)
    case held(rule: Int)
    case life(alert: Int)
    case unmuted(alert: Int)
    case renewal(alert: Int)
    case settle
  }

  /// Linear over the patient's few dozen deadlines: it runs about once a minute a patient.
  ///
  /// While a back-log is being taken in, holds wait for its settlement: their own samples move them.
  func earliestDeadline(
    _ patient: UnsafeMutablePointer<PatientState>, isBacklog: Bool
  ) -> (due: Int64, target: DeadlineTarget)? {
    let notBefore = isBacklog || patient.pointee.settleDue == .max ? Int64.min : patient.pointee.settleDue
    var due = Int64.max
    var target = DeadlineTarget.settle
    func consider(_ candidate: Int64, _ what: @autoclosure () -> DeadlineTarget) {
      if candidate < due {
        due = candidate
        target = what()
      }
    }
    consider(patient.pointee.settleDue, .settle)
    for index in 0..<patient.pointee.seriesCount {
      if !isFollower {
        consider(patient.pointee.series[index].staleDue, .stale(series: index))
        consider(patient.pointee.series[index].absenceDue, .absent(series: index))
      }
      let row = patient.pointee.episodes[index]
      for offset in 0..<Int(row.count) {
        guard let episode = row.peek(offset) else { continue }
        consider(max(notBefore, episode.pointee.due), .series(series: index, offset: offset))
      }
    }
    for rule in layout.plan.rules.indices {
      if let episode = patient.pointee.ruleEpisodes.peek(rule) {
        consider(max(notBefore, episode.pointee.due), .patientRule(rule))
      }
      if let slot = patient.pointee.ruleSlots.peek(rule), slot.pointee.heldStage >= 0 {
        consider(slot.pointee.heldUntil, .held(rule: rule))
      }
    }
    for (index, alert) in patient.pointee.alerts.enumerated() {
      consider(alert.life.nextDue, .life(alert: index))
      consider(alert.silencedUntil, .unmuted(alert: index))
      if !alert.renewalTried { consider(renewalDue(alert), .renewal(alert: index)) }
    }
    return due == .max ? nil : (due, target)
  }

  func run(_ deadline: (due: Int64, target: DeadlineTarget), _ patient: UnsafeMutablePointer<PatientState>) {
    var context = JudgeContext(
      now: deadline.due, engineTime: deadline.due, isRetrospective: false, isUncertain: false)
    // What should have been found long ago (we were not running, or it came with a back-log) is settled, not told at
    // once: what is still true is told then (SEMANTICS B5).
    let isLate =
      isWall && deadline.due < clock - options.lateness && !options.without.contains(.retrospective)
    switch deadline.target {
    case .series, .patientRule: context.isRetrospective = isLate
    case .stale, .absent, .held, .life, .unmuted, .renewal, .settle: break
    }
    if !isLate {
      patient.pointee.now = max(patient.pointee.now, deadline.due)
      context.now = patient.pointee.now
    }
    if isLate { context.engineTime = clock }
    switch deadline.target {
    case .stale(let series): checkStaleness(patient, series, context)
    case .absent(let series): checkAbsence(patient, series, context)
    case .series(let series, let offset):
      patient.episodePointer(series, offset).pointee.due = .max
      let rule = ruleIndex(code: patient.pointee.series[series].code, offset: offset)
      judge(patient, rule: rule, subject: series, offset: offset, context)
    case .patientRule(let rule):
      patient.ruleEpisodePointer(rule).pointee.due = .max
      judge(patient, rule: rule, subject: -1, offset: 0, context)
    case .held(let rule): retryHeld(patient, rule: rule, context)
    case .life(let alert): runLife(patient, alert: alert, context)
    case .unmuted(let alert):
      patient.pointee.alerts[alert].silencedUntil = .max
      carryOut(live(patient, alert: alert, .recalled, context), patient, alert: alert, context)
    case .renewal(let alert):
      patient.pointee.alerts[alert].renewalTried = true
      renew(patient, alert: alert, context)
    case .settle: settle(patient, context)
    }
    endDeadline(patient, context)
  }

  /// What is looked at after every deadline.
  func endDeadline(_ patient: UnsafeMutablePointer<PatientState>, _ context: JudgeContext) {
    if !layout.raisingRules.isEmpty { checkRaises(patient, context) }
  }

  func ruleIndex(code: Int, offset: Int) -> Int {
    let own = codes[code].seriesRules
    if offset < own.count { return own[offset] }
    let rest = offset - own.count
    return rest < layout.staleRules.count ? layout.staleRules[rest] : layout.statusRules[rest - layout.staleRules.count]
  }

  func checkStaleness(
    _ patient: UnsafeMutablePointer<PatientState>, _ index: Int, _ context: JudgeContext
  ) {
    let series = patient.pointee.series + index
    let registry = codes[series.pointee.code].registryStaleness
    let due = series.pointee.heardAt + series.pointee.staleness(registry: registry)
    if due > context.engineTime {
      series.pointee.staleDue = due
      schedule(patient, due)
      return
    }
    series.pointee.isStale = true
    series.pointee.changed = .max
    series.pointee.staleDue = .max
    let code = series.pointee.code
    choosePreferred(patient, code: code)
    judgeSilentSeries(patient, index, context)
    followers?.judgeSilentSeries(place: placeOf(patient.pointee.number), of: self, index, context)
    updateScores(patient, code: code, now: context.now)
    judgeSilentPatient(patient, code: code, context)
    followers?.judgeSilentPatient(place: placeOf(patient.pointee.number), of: self, code: code, context)
  }

  /// A series is silent: its own rules and those about the signal look at it.
  func judgeSilentSeries(
    _ patient: UnsafeMutablePointer<PatientState>, _ index: Int, _ context: JudgeContext
  ) {
    let code = patient.pointee.series[index].code
    for (offset, rule) in codes[code].seriesRules.enumerated() {
      if let episode = patient.pointee.episodes[index].peek(offset), !options.without.contains(.stale) {
        let change = episode.pointee.loseSignal(now: context.now)
        settleChange(change, patient, rule: rule, subject: index, context)
      }
      // Silence itself may be what the rule waits for.
      judge(patient, rule: rule, subject: index, offset: offset, context)
    }
    judgeTechnical(patient, subject: index, context)
  }

  /// A series of a vital is silent: rules over several inputs look at what is left.
  func judgeSilentPatient(
    _ patient: UnsafeMutablePointer<PatientState>, code: Int, _ context: JudgeContext
  ) {
    for rule in codes[code].patientRules {
      judge(patient, rule: rule, subject: -1, offset: 0, context)
      guard let episode = patient.pointee.ruleEpisodes.peek(rule) else { continue }
      if episode.pointee.phase == .pending, episode.pointee.isFrozen {
        settleChange(episode.pointee.loseSignal(now: context.now), patient, rule: rule, subject: -1, context)
      }
    }
  }

  /// Has rules that ask for missing samples looked at when the shortest silence they ask for will have lasted.
  func watchAbsence(_ patient: UnsafeMutablePointer<PatientState>, _ index: Int) {
    let series = patient.pointee.series + index
    guard let shortest = codes[series.pointee.code].absences.first else { return }
    series.pointee.absenceDue = series.pointee.heardAt + shortest
    schedule(patient, series.pointee.absenceDue)
  }

  /// Under new rules the silences asked for are others; one that has lasted long enough already is due at once.
  func watchAbsenceAnew(_ patient: UnsafeMutablePointer<PatientState>, _ index: Int) {
    let series = patient.pointee.series + index
    series.pointee.absenceDue = .max
    guard series.pointee.lastTime != .min, series.pointee.heardAt != .min else { return }
    watchAbsence(patient, index)
  }

  private func checkAbsence(
    _ patient: UnsafeMutablePointer<PatientState>, _ index: Int, _ context: JudgeContext
  ) {
    let series = patient.pointee.series + index
    let plan = codes[series.pointee.code]
    let silence = context.now - series.pointee.heardAt
    // Samples came since it was filed: the next silence may be a shorter one again.
    let next = plan.absences.first { $0 > silence }
    series.pointee.absenceDue = next.map { series.pointee.heardAt + $0 } ?? .max
    if next != nil { schedule(patient, series.pointee.absenceDue) }
    guard let shortest = plan.absences.first, silence >= shortest else { return }
    judgeAbsent(patient, index, context)
    followers?.judgeAbsent(place: placeOf(patient.pointee.number), of: self, index, context)
  }

  func judgeAbsent(_ patient: UnsafeMutablePointer<PatientState>, _ index: Int, _ context: JudgeContext) {
    let plan = codes[patient.pointee.series[index].code]
    for (offset, rule) in plan.seriesRules.enumerated() {
      judge(patient, rule: rule, subject: index, offset: offset, context)
    }
    for rule in plan.patientRules { judge(patient, rule: rule, subject: -1, offset: 0, context) }
  }

  /// After a burst of retrospective samples, what is still true is told shortly after the last of them.
  func oweSettlement(_ patient: UnsafeMutablePointer<PatientState>) {
    patient.pointee.settleSince = min(patient.pointee.settleSince, clock)
    let due = min(clock + Engine.settleAfter, patient.pointee.settleSince + Engine.settleAtMost)
    patient.pointee.settleDue = max(due, clock)
    schedule(patient, patient.pointee.settleDue)
  }

  /// A burst counts as over after this silence, and is settled at the latest after the second figure, milliseconds.
  static let settleAfter: Int64 = 2000
  static let settleAtMost: Int64 = 10_000
}
