import Evaluation
import Pipeline
import Recordings
import Statistics
import VitalModel

/// Many settings of rules over one recording in as few passes as memory allows: every setting is a world of its own, all worlds
/// are run by the one engine, and those that look at the same windows share them.
///
/// The alerts of a world are those a replay with its rules alone gives.
package struct SettingSweep {
  private let worlds: [SweepWorld]
  private var options: ReplaySession.Options
  private let worldsAtOnce: Int
  private let statesAtOnce: Int

  /// - Parameters:
  ///   - options: the engine's clock is `stream`.
  ///   - threads: results are the same for any number.
  ///   - worldsAtOnce: more worlds than this are run in several passes over the recording.
  ///   - statesAtOnce: so are patients, where worlds times patients are more than this: each such pair may take some 1.5 kB.
  package init(
    worlds: [SweepWorld], options: ReplaySession.Options, threads: Int = 1, worldsAtOnce: Int = 256,
    statesAtOnce: Int = 1 << 21
  ) {
    self.worlds = worlds
    self.options = options
    self.options.threads = threads
    self.options.engine.recordsDocuments = false
    self.options.engine.recordsEvidence = false
    self.worldsAtOnce = max(1, worldsAtOnce)
    self.statesAtOnce = max(1, statesAtOnce)
  }

  /// Runs every world.
  ///
  /// - Parameter feed: gives the whole recording to the taker; called once a pass, each time from its beginning.
  package func run<Failure: Error>(_ feed: (any RowTaker) throws(Failure) -> Void) throws(Failure) -> SweepResult {
    var result = SweepResult(watched: StayRecorder(options: options).cohort, worlds: worlds)
    var first = 0
    repeat {
      let plans = worlds[first..<min(worlds.count, first + worldsAtOnce)].map(SweepPlan.init)
      let patientsAtOnce = patientsAtOnce(worlds: plans.count)
      var next: UInt32? = 0
      while let from = next {
        let last = from.addingReportingOverflow(patientsAtOnce - 1)
        let taker = SweepTaker(plans, options, patients: from...(last.overflow ? .max : last.partialValue))
        try feed(taker)
        taker.finish()
        if first == 0, from == 0 { result.watched = taker.stays.cohort }
        taker.write(to: &result, firstWorld: first)
        next = taker.patientAfter
      }
      first += plans.count
    } while first < worlds.count
    result.sort()
    return result
  }

  /// Patients that look at each other, and few enough named ones, are run together.
  private func patientsAtOnce(worlds: Int) -> UInt32 {
    let most = max(1, statesAtOnce / max(1, worlds))
    let isFew = !options.patients.isEmpty && options.patients.count <= most
    return options.joinsPatients || isFew ? .max : UInt32(clamping: most)
  }
}

/// What the worlds of a sweep told.
package struct SweepResult: Sendable {
  /// Who was watched and when.
  package internal(set) var watched: WatchedCohort
  /// By world: by patient, then time, then rule; rules by their position in ``rules``.
  package internal(set) var alerts: [[EvaluatedAlert]] = []
  /// By world: the rules whose alerts count.
  package internal(set) var rules: [[EvaluatedRule]] = []
  /// By world: starts, updates, escalations, re-alarms and ends of those rules' alerts.
  package internal(set) var notifications: [Int] = []

  /// Nothing told yet.
  init(watched: WatchedCohort, worlds: [SweepWorld]) {
    self.watched = watched
    alerts = worlds.map { _ in [] }
    rules = worlds.map { world in
      world.counted.map { id in
        EvaluatedRule(id: id, version: world.plan.rules.first { $0.id == id }?.version ?? "")
      }
    }
    notifications = worlds.map { _ in 0 }
  }

  mutating func sort() {
    for world in alerts.indices {
      alerts[world].sort { ($0.patient, $0.time, $0.rule) < ($1.patient, $1.time, $1.rule) }
    }
  }

  /// Everything for a report about one world.
  package func input(
    world: Int, labels: LabelSet, dataDigest: String, rulesVersion: String
  ) -> EvaluationInput {
    EvaluationInput(
      cohort: watched.cohort(labels: labels), alerts: alerts[world], rules: rules[world],
      notifications: notifications[world], dataDigest: dataDigest, rulesVersion: rulesVersion)
  }
}
