import Evaluation
import VitalModel

/// A message as the engine that keeps the windows took it in. Valid until its next message.
struct FollowedMessage: BitwiseCopyable {
  /// Positions of the series it brought values of, and the features that changed of each.
  var touched: UnsafeMutablePointer<Int>
  var changes: UnsafeMutablePointer<UInt64>
  var count = 0
  /// By score: whether it has another standing since.
  var scores: UnsafeMutablePointer<Bool>
  var stamp: UInt64 = 0
}

/// Rules judged beside an engine's own over the same windows: each plan in an engine of its own, which keeps no windows but
/// looks at the leader's. What the rules of one plan find never touches those of another.
///
/// A patient's state under such a plan exists only while its rules have something to say: until then one blank state stands
/// for all of them. Stream clock only; owned by the leader, used by its thread.
final class Followers {
  private struct World: BitwiseCopyable {
    var state: UnsafeMutablePointer<PatientState>?
    /// Lower bound of the state's deadlines.
    var due: Int64 = .max
  }

  let engines: ContiguousArray<Engine>
  /// Whether rules on one vital look at scores: those are judged before the scores of a message are.
  let needsTwoPasses: Bool
  private let layout: PlanLayout
  @exclusivity(unchecked) private(set) var message: FollowedMessage
  @exclusivity(unchecked) private var capacity = 64
  /// By the leader's place of a patient.
  @exclusivity(unchecked) private var rows: [UnsafeMutablePointer<World>?] = []
  @exclusivity(unchecked) private var earliest: [Int64] = []
  /// What stands for every state that is blank, and the place it was last used for.
  @exclusivity(unchecked) private var blank: UnsafeMutablePointer<PatientState>
  @exclusivity(unchecked) private var blankPlace = -1
  /// The instant the leader's patient had reached when the entry at hand began.
  @exclusivity(unchecked) private var since: Int64 = .min
  @exclusivity(unchecked) private var conditions: FollowedConditions
  @exclusivity(unchecked) private var hasDoubt = false
  @exclusivity(unchecked) private var hasDoubtedPressure = false

  /// - Precondition: the layouts share windows and places of rules with each other.
  init(_ engines: [Engine], layout: PlanLayout) {
    self.engines = ContiguousArray(engines)
    self.layout = layout
    for engine in engines { engine.isFollower = true }
    conditions = FollowedConditions(engines.map(\.layout))
    needsTwoPasses = engines.contains { engine in
      engine.layout.plan.rules.contains { rule in
        rule.scope != .patient && rule.programs.contains { $0.instructions.contains { $0.score != nil } }
      }
    }
    let scores = max(1, layout.plan.scores.count)
    message = FollowedMessage(
      touched: .allocate(capacity: capacity), changes: .allocate(capacity: capacity),
      scores: .allocate(capacity: scores))
    message.scores.initialize(repeating: false, count: scores)
    blank = .allocate(capacity: 1)
    blank.initialize(to: PatientState(number: .max, facts: PatientFacts(tenant: "", patient: ""), layout: layout))
  }

  deinit {
    for row in rows {
      guard let row else { continue }
      for world in 0..<engines.count { row[world].state.map(Followers.release) }
      row.deallocate()
    }
    if blankPlace >= 0 { blank.pointee.freeFollowing() } else { blank.pointee.free() }
    blank.deinitialize(count: 1)
    blank.deallocate()
    message.touched.deallocate()
    message.changes.deallocate()
    message.scores.deallocate()
  }

  private static func release(_ state: UnsafeMutablePointer<PatientState>) {
    state.pointee.freeFollowing()
    state.deinitialize(count: 1)
    state.deallocate()
  }

  // MARK: States

  /// An entry of a patient begins.
  func begin(_ patient: UnsafeMutablePointer<PatientState>) { since = patient.pointee.now }

  /// Runs `body` for every plan with its state of a patient; what it finds in a blank one makes that a state of its own.
  func forEach(
    place: Int, of leader: Engine, _ body: (Engine, UnsafeMutablePointer<PatientState>) -> Void
  ) {
    for world in 0..<engines.count { use(world, place: place, of: leader, body) }
  }

  @inline(__always)
  private func use(
    _ world: Int, place: Int, of leader: Engine, _ body: (Engine, UnsafeMutablePointer<PatientState>) -> Void
  ) {
    while rows.count <= place {
      rows.append(nil)
      earliest.append(.max)
    }
    let engine = engines[world]
    if let row = rows[place], let state = row[world].state {
      state.pointee.follow(leader.patients[place], now: since, layout: layout)
      body(engine, state)
      note(state.pointee.nextDue, world, row, place)
      return
    }
    prepareBlank(place, leader)
    body(engine, blank)
    if blank.pointee.isBlank {
      blank.pointee.nextDue = .max
      return
    }
    let row = rows[place] ?? makeRow(place)
    row[world].state = blank
    note(blank.pointee.nextDue, world, row, place)
    blank = .allocate(capacity: 1)
    blank.initialize(to: PatientState(following: leader.patients[place].pointee, layout: layout))
  }

  private func prepareBlank(_ place: Int, _ leader: Engine) {
    let patient = leader.patients[place]
    if place != blankPlace {
      if blankPlace >= 0 { blank.pointee.freeFollowing() } else { blank.pointee.free() }
      blank.pointee = PatientState(following: patient.pointee, layout: layout)
      blankPlace = place
    }
    blank.pointee.now = since
    blank.pointee.follow(patient, now: since, layout: layout)
  }

  private func makeRow(_ place: Int) -> UnsafeMutablePointer<World> {
    let row = UnsafeMutablePointer<World>.allocate(capacity: engines.count)
    row.initialize(repeating: World(), count: engines.count)
    rows[place] = row
    return row
  }

  @inline(__always)
  private func note(_ due: Int64, _ world: Int, _ row: UnsafeMutablePointer<World>, _ place: Int) {
    row[world].due = due
    earliest[place] = min(earliest[place], due)
  }

  // MARK: Messages

  /// The leader has taken in a message's samples.
  func begin(touched: [Int], changes: [UInt64], stamp: UInt64) {
    if touched.count > capacity {
      message.touched.deallocate()
      message.changes.deallocate()
      capacity = touched.count * 2
      message.touched = .allocate(capacity: capacity)
      message.changes = .allocate(capacity: capacity)
    }
    for index in touched.indices {
      (message.touched + index).initialize(to: touched[index])
      (message.changes + index).initialize(to: changes[index])
    }
    message.count = touched.count
    message.stamp = stamp
    for score in layout.plan.scores.indices { message.scores[score] = false }
  }

  func noteChanged(_ score: Int) { message.scores[score] = true }

  /// Judges rules on one vital before the scores of the message are made.
  func judgeSeries(place: Int, of leader: Engine, _ context: JudgeContext) {
    forEach(place: place, of: leader) { engine, state in
      state.pointee.now = max(state.pointee.now, context.now)
      engine.judgeTouchedSeries(state, message, context)
    }
  }

  /// Judges what is left of a message and ends it.
  func finishMessage(place: Int, of leader: Engine, _ context: JudgeContext) {
    let message = message
    let isDone = needsTwoPasses
    let mayBegin = isDone || hasDoubt || conditions.prepare(leader, place: place, message)
    let row = place < rows.count ? rows[place] : nil
    if !mayBegin, row == nil { return }
    for world in 0..<engines.count {
      if row?[world].state == nil {
        guard mayBegin,
          isDone || hasDoubt || conditions.areReached(world, engines, leader.patients[place], now: context.now)
        else { continue }
      }
      use(world, place: place, of: leader) { engine, state in
        let before = state.pointee.now
        state.pointee.now = max(before, context.now)
        if !isDone { engine.judgeTouchedSeries(state, message, context) }
        engine.finishFollowed(state, message, since: before, context)
      }
      release(world, place, ifMinuteHasPassed: context.now)
    }
    forgetDoubt()
  }

  /// Gives a state back whose rules have nothing to say any more; looked at once a minute, as what they remember is.
  @inline(__always)
  private func release(_ world: Int, _ place: Int, ifMinuteHasPassed now: Int64) {
    guard DecimalFloor.divide(now, 60_000) != DecimalFloor.divide(since, 60_000), let row = rows[place],
      let state = row[world].state, state.pointee.isBlank
    else { return }
    Followers.release(state)
    row[world] = World()
  }

  /// Values too doubtful to judge no longer stand in the way.
  func forgetDoubt() {
    guard hasDoubt else { return }
    for engine in engines { engine.doubted.removeAll(keepingCapacity: true) }
    hasDoubt = false
  }

  func checkBypass(ofDoubtful grid: Int64, place: Int, of leader: Engine, subject: Int, slot: Slot) {
    if leader.isTakingRetrospective { return }
    hasDoubt = true
    forEach(place: place, of: leader) { engine, state in
      engine.takeCircumstances(of: leader)
      engine.checkBypass(ofDoubtful: grid, patient: state, subject: subject, slot: slot)
    }
  }

  // MARK: What is no sample

  func doubtPressure(_ device: UInt32, place: Int, of leader: Engine, _ context: JudgeContext) {
    hasDoubtedPressure = true
    forEach(place: place, of: leader) { engine, state in engine.doubtPressure(device, state, context) }
  }

  func clearPressureDoubt(place: Int, of leader: Engine, _ slot: Slot) {
    guard hasDoubtedPressure, place < rows.count, rows[place] != nil else { return }
    forEach(place: place, of: leader) { engine, state in
      if !state.pointee.alerts.isEmpty { engine.clearPressureDoubt(state, slot) }
    }
  }

  func judgeSilentSeries(place: Int, of leader: Engine, _ index: Int, _ context: JudgeContext) {
    forEach(place: place, of: leader) { engine, state in
      state.pointee.now = max(state.pointee.now, context.now)
      engine.judgeSilentSeries(state, index, context)
    }
  }

  func judgeSilentPatient(place: Int, of leader: Engine, code: Int, _ context: JudgeContext) {
    forEach(place: place, of: leader) { engine, state in
      state.pointee.now = max(state.pointee.now, context.now)
      engine.judgeSilentPatient(state, code: code, context)
      engine.endDeadline(state, context)
    }
  }

  func judgeAbsent(place: Int, of leader: Engine, _ index: Int, _ context: JudgeContext) {
    forEach(place: place, of: leader) { engine, state in
      state.pointee.now = max(state.pointee.now, context.now)
      engine.judgeAbsent(state, index, context)
      engine.endDeadline(state, context)
    }
  }

  // MARK: Deadlines

  /// Runs the plans' own deadlines that come before one of the leader's; all up to `time` where it has none.
  func runDeadlines(
    place: Int, of leader: Engine, before next: (due: Int64, target: Engine.DeadlineTarget)?, upTo time: Int64
  ) {
    guard place < rows.count, let row = rows[place] else { return }
    let last = next.map { $0.due - 1 } ?? time
    while earliest[place] <= last {
      var world = 0
      for other in 1..<engines.count where row[other].due < row[world].due { world = other }
      earliest[place] = row[world].due
      guard row[world].due <= last, let state = row[world].state else { return }
      state.pointee.follow(leader.patients[place], now: since, layout: layout)
      engines[world].runDeadline(state, upTo: last)
      row[world].due = state.pointee.nextDue
      earliest[place] = .min
    }
    guard let next, earliest[place] <= next.due, let series = next.target.signal else { return }
    for world in 0..<engines.count {
      while row[world].due == next.due, let state = row[world].state {
        state.pointee.follow(leader.patients[place], now: since, layout: layout)
        guard let own = engines[world].earliestDeadline(state, isBacklog: false), own.due == next.due,
          case .series(let index, _) = own.target, index < series
        else { break }
        engines[world].run(own, state)
        row[world].due = min(state.pointee.nextDue, next.due)
      }
    }
  }
}

extension Engine {
  /// Has further plans judged over this engine's windows, each in an engine of its own. Before the first entry, and for good:
  /// such an engine is given no other plan.
  ///
  /// - Precondition: the clock is `stream`; the plans share windows with this engine's (``Evaluation/PlanLayout``).
  package func lead(_ engines: [Engine]) {
    precondition(patients.isEmpty && !isWall)
    followers = engines.isEmpty ? nil : Followers(engines, layout: layout)
  }
}

extension Engine.DeadlineTarget {
  /// The series whose silence it is about; nil: it is about no signal.
  fileprivate var signal: Int? {
    switch self {
    case .stale(let series), .absent(let series): series
    default: nil
    }
  }
}
