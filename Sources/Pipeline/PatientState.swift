import Evaluation
import Suppression
import VitalModel

/// Where one rule stands for one patient, beside its episodes.
struct RuleSlot: BitwiseCopyable {
  /// Its episode held, but the alert may not be told now, for this reason (position in ``SuppressionStage``); -1: none.
  var heldStage: Int8 = -1
  /// The rule whose alert this one joined as a member; -1: none (SEMANTICS C4).
  var joinedRule: Int16 = -1
  /// When a held alert must be looked at again, engine time.
  var heldUntil: Int64 = .max
  /// Onset of the held candidate.
  var heldOnset: Int64 = 0
  var refractoryUntil: Int64 = .min
  /// The held candidate reached its bypass limit.
  var heldBypass = false
  /// The held candidate's signal was doubtful.
  var heldUnverified = false
  /// Position of the series that met the rule first; -1: rules judged once a patient.
  var subject: Int16 = -1
  /// When inhibition first held this episode, engine time; `.max`: it has not.
  var inhibitedSince: Int64 = .max
  /// A person ended the alert although it was still true: it comes back then.
  var resolvedUntil: Int64 = .min
  /// How far beyond its limit the value was when people were last told; NaN: they were not.
  var toldDepth = Double.nan
  /// When its alerts started, oldest first, engine time; `.min`: none.
  var starts: InlineArray<7, Int64> = .init(repeating: .min)

  /// Whether it says nothing a new slot does not.
  var isBlank: Bool {
    heldStage < 0 && joinedRule < 0 && refractoryUntil == .min && !heldBypass && !heldUnverified && heldOnset == 0
      && subject < 0 && heldUntil == .max && inhibitedSince == .max && resolvedUntil == .min && toldDepth.isNaN
      && starts[6] == .min
  }

  var startTimes: [Int64] { (0..<7).map { starts[$0] }.filter { $0 > .min } }

  mutating func noteStart(_ now: Int64) {
    for index in 0..<6 { starts[index] = starts[index + 1] }
    starts[6] = now
  }
}

/// An alert that people have been told of and that has not ended. Identity is frozen at its start (SEMANTICS C1).
struct ActiveAlert {
  var rule: Int
  var alertID: String
  var ruleID: String
  var ruleVersion: String
  var ruleTitle: String
  var sequence: Int
  var onset: Int64
  var detected: Int64
  var priority: Priority
  var kind: AlertKind
  var isScore: Bool
  var isBypassed: Bool
  var isUnverified: Bool
  var isRetrospective: Bool
  var code: Int
  var device: UInt32
  /// Series that have held it, by directory number, in order of joining.
  var sources: [UInt32]
  /// Ids of rules that joined it.
  var members: [String]
  var unit: String?
  var bed: String?
  /// Whether it still holds, who answers for it, what falls due.
  var life: AlertLife
  var acknowledgement: Acknowledgement?
  /// Who accepted or rejected it last.
  var responder: String?
  var responsibility = Responsibility.undefined
  /// Vitals people were told of with it, and which way: see `Engine.toldWords`.
  var toldCodes: [Int] = []
  /// Since when nothing has justified its priority, event time; `.max`: something does.
  var lowerSince: Int64 = .max
  /// Its own rule has ended; members keep it alive.
  var hostClosed = false
  /// Its renewal fell due while its condition was not known to hold: looked at again with each sample. Not kept in
  /// checkpoints; trying once more changes nothing.
  var renewalTried = false
  /// When a raising condition of its own rule last lifted it, engine time.
  var raisedAt: Int64 = .min
  /// A person muted it until then, engine time; `.max`: nobody did.
  var silencedUntil: Int64 = .max
  /// What many patients share, for an alert about all of them: a gateway. Its ``members`` are the patients then.
  var cause = ""
  /// What a condition without a rule file says, for telling it again.
  var message = ""
  /// What the numerics said of a device's alarm when it started; nil: no check was asked.
  var verification: Verification?
  /// Where ``Engine/brief`` has it; -1: nowhere.
  var briefPlace = -1

  /// Takes on what a device's alarm says, and what the numerics said of it.
  mutating func note(_ finding: AlarmFinding?, message: String) {
    self.message = message + (finding?.words ?? "")
    verification = finding?.answer
  }
}

/// Something a device or a person declared about a patient's state, for a time.
struct DeclaredState {
  var name: String
  var until: Int64
}

/// An episode that began and ended while the device was offline.
struct MissedEpisode {
  var ruleID: String
  var onset: Int64
  var end: Int64
}

/// Everything the engine keeps of one patient. Owned by one engine, freed by ``free()``.
struct PatientState {
  var number: UInt32
  var facts: PatientFacts { didSet { isListed = facts.isListed } }
  /// Whether the roster lists the patient; beside ``facts`` for the hot path.
  private(set) var isListed: Bool
  var flagBits: UInt64
  /// Completed years and months; NaN unknown.
  var age: Double
  var ageMonths: Double
  var ageAsOf: Int64 = .min
  /// The evaluation instant reached: highest event time or deadline run.
  var now: Int64 = .min
  /// Highest event time of any observation.
  var newestEvent: Int64 = .min
  /// Lower bound of every deadline of this patient, engine time.
  var nextDue: Int64 = .max
  /// The deadline this patient is filed under in the engine's heap; `.max`: none.
  var filedDue: Int64 = .max
  /// When retrospective openings are settled, and when that was first owed (SEMANTICS B5).
  var settleDue: Int64 = .max
  var settleSince: Int64 = .max
  /// Journal position of the last entry applied, and of the first since the last checkpoint (`.max`: none).
  var position: UInt64 = 0
  var dirtySince: UInt64 = .max
  var isSimulated = false

  /// Of a patient whose windows another engine keeps, that engine's: see `Followers`.
  private(set) var series: UnsafeMutablePointer<SeriesWindows>
  /// Of each series: its own rules' episodes, then the technical ones'.
  var episodes: UnsafeMutablePointer<LazyRow<Episode>>
  var seriesCount = 0
  var seriesCapacity = 4
  let preferred: UnsafeMutablePointer<Int16>
  let vitalCount: Int
  /// Parameters set for this patient, as the plan in force reads them; nil: none.
  private(set) var settings: UnsafeMutablePointer<CompiledSetting>?
  private(set) var settingCount = 0
  let scores: UnsafeMutablePointer<ScoreState>
  /// Of rules judged once a patient, by rule; and where each rule stands.
  var ruleEpisodes: LazyRow<Episode>
  var ruleSlots: LazyRow<RuleSlot>
  var alerts: [ActiveAlert] = []
  var missed: [MissedEpisode] = []
  /// In force or to come, by their ids.
  var silences: [Silence] = []
  /// Limits that follow the patient's baseline, as settings the engine made.
  var adapted: [ParameterSetting] = []
  /// Hour of the patient's time at which they were last looked at.
  var adaptedHour: Int64 = .min
  /// States devices declared, by name.
  var declared: [DeclaredState] = []
  /// When alerts that count against the budget were told, oldest first, engine time; at most the budget's number.
  var budgetTold: [Int64] = []
  /// A review was asked for; not again before this, engine time.
  var reviewedUntil: Int64 = .min

  init(number: UInt32, facts: PatientFacts, layout: PlanLayout) {
    self.number = number
    self.facts = facts
    isListed = facts.isListed
    flagBits = layout.flagBits(facts)
    age = .nan
    ageMonths = .nan
    series = .allocate(capacity: 4)
    episodes = .allocate(capacity: 4)
    vitalCount = layout.codes.count
    preferred = .allocate(capacity: vitalCount)
    preferred.initialize(repeating: -1, count: vitalCount)
    scores = .allocate(capacity: max(1, layout.plan.scores.count))
    scores.initialize(repeating: ScoreState(), count: max(1, layout.plan.scores.count))
    let rules = max(1, layout.plan.rules.count)
    ruleEpisodes = LazyRow(count: rules)
    ruleSlots = LazyRow(count: rules)
    compileSettings(layout)
  }

  /// A patient as another engine's rules see it: the windows, scores and facts of `leader`, nothing found yet.
  init(following leader: PatientState, layout: PlanLayout) {
    number = leader.number
    facts = leader.facts
    isListed = facts.isListed
    flagBits = leader.flagBits
    age = leader.age
    ageMonths = leader.ageMonths
    ageAsOf = leader.ageAsOf
    series = leader.series
    seriesCapacity = leader.seriesCapacity
    episodes = .allocate(capacity: seriesCapacity)
    vitalCount = leader.vitalCount
    preferred = leader.preferred
    scores = leader.scores
    let rules = max(1, layout.plan.rules.count)
    ruleEpisodes = LazyRow(count: rules)
    ruleSlots = LazyRow(count: rules)
    compileSettings(layout)
  }

  /// Brings what it shares to where the leader has it now.
  ///
  /// - Parameter now: the instant the leader had reached when this entry began.
  mutating func follow(_ leader: UnsafeMutablePointer<PatientState>, now: Int64, layout: PlanLayout) {
    self.now = max(self.now, now)
    isSimulated = leader.pointee.isSimulated
    if leader.pointee.ageAsOf > ageAsOf {
      ageAsOf = leader.pointee.ageAsOf
      age = leader.pointee.age
      ageMonths = leader.pointee.ageMonths
    }
    series = leader.pointee.series
    guard seriesCount < leader.pointee.seriesCount else { return }
    if seriesCapacity < leader.pointee.seriesCapacity {
      seriesCapacity = leader.pointee.seriesCapacity
      let grown = UnsafeMutablePointer<LazyRow<Episode>>.allocate(capacity: seriesCapacity)
      grown.moveInitialize(from: episodes, count: seriesCount)
      episodes.deallocate()
      episodes = grown
    }
    while seriesCount < leader.pointee.seriesCount {
      let count = PatientState.episodeCount(layout, code: series[seriesCount].code)
      (episodes + seriesCount).initialize(to: LazyRow(count: max(1, count)))
      seriesCount += 1
    }
  }

  /// Whether it says nothing that a patient whose rules have found nothing does not.
  var isBlank: Bool {
    guard alerts.isEmpty, ruleSlots.isBlank, ruleEpisodes.isBlank, missed.isEmpty, silences.isEmpty, adapted.isEmpty,
      declared.isEmpty, budgetTold.isEmpty, reviewedUntil == .min, adaptedHour == .min
    else { return false }
    return (0..<seriesCount).allSatisfy { episodes[$0].isBlank }
  }

  /// ``free()`` of a patient that follows: what belongs to the leader stays.
  mutating func freeFollowing() {
    for index in 0..<seriesCount { episodes[index].free() }
    episodes.deallocate()
    settings?.deallocate()
    ruleEpisodes.free()
    ruleSlots.free()
  }

  /// After the facts or the plan changed.
  mutating func compileSettings(_ layout: PlanLayout) {
    settings?.deallocate()
    var effective = facts
    // What a person set comes first.
    effective.settings += adapted
    let compiled = effective.settings.isEmpty ? [] : layout.settings(of: effective)
    settingCount = compiled.count
    settings = compiled.isEmpty ? nil : .allocate(capacity: compiled.count)
    for (index, setting) in compiled.enumerated() { settings?.advanced(by: index).initialize(to: setting) }
  }

  mutating func free() {
    for index in 0..<seriesCount {
      series[index].free()
      episodes[index].free()
    }
    series.deallocate()
    episodes.deallocate()
    preferred.deallocate()
    settings?.deallocate()
    scores.deallocate()
    ruleEpisodes.free()
    ruleSlots.free()
    alerts = []
    missed = []
    silences = []
    adapted = []
    declared = []
    budgetTold = []
  }

  /// How many episodes one series of a vital carries: its own rules, then the technical ones.
  static func episodeCount(_ layout: PlanLayout, code: Int) -> Int {
    layout.codes[code].seriesRules.count + layout.staleRules.count + layout.statusRules.count
  }

  /// Adds a series; its position.
  mutating func addSeries(_ windows: SeriesWindows, layout: PlanLayout) -> Int {
    if seriesCount == seriesCapacity {
      let grownSeries = UnsafeMutablePointer<SeriesWindows>.allocate(capacity: seriesCapacity * 2)
      grownSeries.moveInitialize(from: series, count: seriesCount)
      let grownEpisodes = UnsafeMutablePointer<LazyRow<Episode>>.allocate(capacity: seriesCapacity * 2)
      grownEpisodes.moveInitialize(from: episodes, count: seriesCount)
      series.deallocate()
      episodes.deallocate()
      series = grownSeries
      episodes = grownEpisodes
      seriesCapacity *= 2
    }
    (series + seriesCount).initialize(to: windows)
    let count = max(1, PatientState.episodeCount(layout, code: windows.code))
    (episodes + seriesCount).initialize(to: LazyRow(count: count))
    seriesCount += 1
    return seriesCount - 1
  }

  /// Position of a series by directory number, -1 if it is new.
  @inline(__always)
  func position(ofSeries number: UInt32) -> Int {
    for index in 0..<seriesCount where series[index].series == number { return index }
    return -1
  }

  /// Bytes this patient takes, all told.
  func bytes(layout: PlanLayout) -> Int {
    var total = MemoryLayout<PatientState>.stride + vitalCount * 2
    total += max(1, layout.plan.scores.count) * MemoryLayout<ScoreState>.stride
    total += ruleEpisodes.bytes + ruleSlots.bytes
    total += settingCount * MemoryLayout<CompiledSetting>.stride
    total += seriesCapacity * (MemoryLayout<SeriesWindows>.stride + MemoryLayout<LazyRow<Episode>>.stride)
    for index in 0..<seriesCount {
      total += series[index].heapBytes + episodes[index].bytes
    }
    return total
  }
}
