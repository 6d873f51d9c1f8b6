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

  /// - Parameters:
  ///   - options: the engine's clock is `stream`.
  ///   - threads: results are the same for any number.
  ///   - worldsAtOnce: more worlds than this are run in several passes over the recording.
  package init(worlds: [SweepWorld], options: ReplaySession.Options, threads: Int = 1, worldsAtOnce: Int = 256) {
    self.worlds = worlds
    self.options = options
    self.options.threads = threads
    self.options.engine.recordsDocuments = false
    self.options.engine.recordsEvidence = false
    self.worldsAtOnce = max(1, worldsAtOnce)
  }

  /// Runs every world.
  ///
  /// - Parameter feed: gives the whole recording to the taker; called once a pass, each time from its beginning.
  package func run<Failure: Error>(_ feed: (any RowTaker) throws(Failure) -> Void) throws(Failure) -> SweepResult {
    var result = SweepResult(watched: StayRecorder(options: options).cohort)
    var first = 0
    repeat {
      let part = Array(worlds[first..<min(worlds.count, first + worldsAtOnce)])
      let taker = SweepTaker(part.map(SweepPlan.init), options)
      try feed(taker)
      taker.finish()
      if first == 0 { result.watched = taker.stays.cohort }
      taker.write(to: &result)
      first += part.count
    } while first < worlds.count
    return result
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

  /// Everything for a report about one world.
  package func input(
    world: Int, labels: LabelSet, dataDigest: String, rulesVersion: String
  ) -> EvaluationInput {
    EvaluationInput(
      cohort: watched.cohort(labels: labels), alerts: alerts[world], rules: rules[world],
      notifications: notifications[world], dataDigest: dataDigest, rulesVersion: rulesVersion)
  }
}
