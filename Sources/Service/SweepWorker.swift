import Evaluation
import Pipeline
import Recordings
import Statistics
import VitalModel

/// A world and its tables.
struct SweepPlan: Sendable {
  let world: SweepWorld
  let layout: PlanLayout

  init(_ world: SweepWorld) {
    self.world = world
    layout = PlanLayout(plan: world.plan)
  }
}

/// Watches the rows of a recording and hands them to the workers of a sweep.
final class SweepTaker: RowTaker {
  let stays: StayRecorder
  private let plans: [SweepPlan]
  private let fan: RowFan<SweepWorker>

  init(_ plans: [SweepPlan], _ options: ReplaySession.Options) {
    stays = StayRecorder(options: options)
    self.plans = plans
    fan = RowFan(
      threads: options.joinsPatients ? 1 : options.threads, make: { _ in SweepWorker(plans, options) }, sink: { _ in })
  }

  func take(_ row: RecordedRow, names: RecordingNames) {
    stays.note(row, names: names)
    fan.take(row, names: names)
  }

  func take(_ event: RecordedEvent, names: RecordingNames) { fan.take(event, names: names) }
  func note(_ refusal: RecordingRefusal) {}
  func finish() { fan.finish() }

  /// What the worlds told, with patients by their position among those watched. After ``finish()``.
  func write(to result: inout SweepResult) {
    for (number, plan) in plans.enumerated() {
      let world = plan.world
      let places = world.plan.rules.map { world.counted.firstIndex(of: $0.id) }
      var alerts: [EvaluatedAlert] = []
      var notifications = 0
      for worker in fan.workers {
        let brief = worker.engines[number].brief
        for alert in brief.alerts {
          guard let rule = places[Int(alert.rule)],
            let patient = worker.name(ofPatient: alert.patient).flatMap({ result.watched.positions[$0] })
          else { continue }
          let end = alert.end < .max ? alert.end : result.watched.end(ofPatient: patient)
          alerts.append(
            EvaluatedAlert(patient: patient, time: alert.time, end: end, rule: rule, priority: alert.priority))
        }
        for (rule, count) in brief.notifications.enumerated() where places[rule] != nil { notifications += count }
      }
      alerts.sort { ($0.patient, $0.time, $0.rule) < ($1.patient, $1.time, $1.rule) }
      result.alerts.append(alerts)
      result.notifications.append(notifications)
      result.rules.append(
        world.counted.map { id in
          EvaluatedRule(id: id, version: world.plan.rules.first { $0.id == id }?.version ?? "")
        })
    }
  }
}

/// Every world over the patients of one worker: one intake, whose rows all engines are given. Worlds that look at the same
/// windows share those of the first of them.
final class SweepWorker: RowWorker {
  /// By world.
  let engines: [Engine]
  private let replay: ReplayWorker

  /// - Precondition: there is a world.
  init(_ plans: [SweepPlan], _ options: ReplaySession.Options) {
    let replay = ReplayWorker(plan: plans[0].world.plan, options: options)
    self.replay = replay
    engines = [replay.engine] + plans.dropFirst().map { replay.companion($0.layout) }
    // What one patient's alerts do to another's would be asked of patients a follower does not have; nor does a follower
    // move its limits with the patient.
    let isAdapting =
      options.engine.alerting.isAdaptive && plans.contains { $0.world.plan.rules.contains { !$0.adaptations.isEmpty } }
    let isAlone = options.joinsPatients || isAdapting
    var leaders: [(engine: Engine, followers: [Engine])] = []
    for engine in engines {
      let leader =
        isAlone ? nil : leaders.firstIndex { $0.engine.layout.sharesWindows(with: engine.layout) }
      if let leader { leaders[leader].followers.append(engine) } else { leaders.append((engine, [])) }
    }
    for leader in leaders { leader.engine.lead(leader.followers) }
    replay.companions = leaders.dropFirst().map(\.engine)
  }

  func take(_ row: RecordedRow, names: RecordingNames, position: UInt64, _ outputs: inout [Never]) {
    var none: [ReplayOutput] = []
    replay.take(row, names: names, position: position, &none)
  }

  func take(_ event: FannedEvent, names: RecordingNames, position: UInt64, _ outputs: inout [Never]) {
    var none: [ReplayOutput] = []
    replay.take(event, names: names, position: position, &none)
  }

  func name(ofPatient number: UInt32) -> String? { replay.directory.patientKey(number)?.patient }
}
