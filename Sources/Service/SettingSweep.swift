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
  private let options: ReplaySession.Options
  private let worldsAtOnce: Int

  /// - Parameters:
  ///   - options: the engine's clock is `stream`.
  ///   - threads: results are the same for any number.
  ///   - worldsAtOnce: more worlds than this are run in several passes over the recording.
  package init(worlds: [SweepWorld], options: ReplaySession.Options, threads: Int = 1, worldsAtOnce: Int = 256) {
    self.worlds = worlds
    self.options = options
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
      let taker = SweepTaker(part, options)
      try feed(taker)
      taker.finish()
      if first == 0 { result.watched = taker.stays.cohort }
      taker.worker.write(to: &result)
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

/// What a recording is fed to.
package protocol RowTaker: AnyObject {
  func take(_ row: RecordedRow, names: RecordingNames)
  func take(_ event: RecordedEvent)
  func note(_ refusal: RecordingRefusal)
}

extension ReplaySession: RowTaker {}

/// Watches the rows of a recording and hands them to the worlds.
final class SweepTaker: RowTaker {
  let stays: StayRecorder
  let worker: SweepWorker

  init(_ worlds: [SweepWorld], _ options: ReplaySession.Options) {
    stays = StayRecorder(options: options)
    worker = SweepWorker(worlds, options)
  }

  func take(_ row: RecordedRow, names: RecordingNames) {
    stays.note(row, names: names)
    worker.session.take(row, names: names)
  }

  func take(_ event: RecordedEvent) { worker.session.take(event) }
  func note(_ refusal: RecordingRefusal) {}
  func finish() { worker.session.finishMessages() }
}

/// Every world over some patients of a recording: one session whose rows all engines are given.
final class SweepWorker {
  let session: ReplaySession
  private let worlds: [SweepWorld]
  /// By world.
  private let engines: [Engine]

  /// - Precondition: there is a world.
  init(_ worlds: [SweepWorld], _ options: ReplaySession.Options) {
    self.worlds = worlds
    var options = options
    options.engine.recordsDocuments = false
    options.engine.recordsEvidence = false
    session = ReplaySession(plan: worlds[0].plan, options: options, onTransition: { _ in }, onLedger: { _ in })
    let session = session
    engines = [session.engine] + worlds.dropFirst().map { session.companion(PlanLayout(plan: $0.plan)) }
    var leaders: [(engine: Engine, followers: [Engine])] = []
    for engine in engines {
      let place =
        SweepWorker.isSeparable(options)
        ? leaders.firstIndex { $0.engine.layout.sharesWindows(with: engine.layout) } : nil
      if let place { leaders[place].followers.append(engine) } else { leaders.append((engine, [])) }
    }
    for leader in leaders { leader.engine.lead(leader.followers) }
    session.accompany(leaders.dropFirst().map(\.engine))
  }

  /// Whether what one patient's alerts do never depends on another patient.
  static func isSeparable(_ options: ReplaySession.Options) -> Bool {
    options.engine.alerting.unitBudget == 0 && !(options.roster?.hasGateways ?? false)
  }

  /// What the worlds told, with patients by their position among those watched.
  func write(to result: inout SweepResult) {
    for (world, engine) in zip(worlds, engines) {
      let places = world.plan.rules.map { world.counted.firstIndex(of: $0.id) }
      var alerts: [EvaluatedAlert] = []
      for alert in engine.brief.alerts {
        guard let rule = places[Int(alert.rule)], let key = session.directory.patientKey(alert.patient),
          let patient = result.watched.positions[key.patient]
        else { continue }
        alerts.append(
          EvaluatedAlert(
            patient: patient, time: alert.time,
            end: alert.end < .max ? alert.end : result.watched.end(ofPatient: patient), rule: rule,
            priority: alert.priority))
      }
      alerts.sort { ($0.patient, $0.time, $0.rule) < ($1.patient, $1.time, $1.rule) }
      result.alerts.append(alerts)
      result.rules.append(
        world.counted.map { id in
          EvaluatedRule(id: id, version: world.plan.rules.first { $0.id == id }?.version ?? "")
        })
      result.notifications.append(
        engine.brief.notifications.enumerated().reduce(0) { $0 + (places[$1.offset] == nil ? 0 : $1.element) })
    }
  }
}
