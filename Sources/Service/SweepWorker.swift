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

/// Watches the rows of a recording and hands those of some of its patients to the workers of a sweep.
final class SweepTaker: RowTaker {
  let stays: StayRecorder
  /// The first patient beyond those it hands on; nil: there is none.
  private(set) var patientAfter: UInt32?
  private let patients: ClosedRange<UInt32>
  private let plans: [SweepPlan]
  private let fan: RowFan<SweepWorker>

  /// - Parameter patients: by the recording's own numbers. Stays are noted of everybody, in the pass that has the first.
  init(_ plans: [SweepPlan], _ options: ReplaySession.Options, patients: ClosedRange<UInt32>) {
    stays = StayRecorder(options: options)
    self.patients = patients
    self.plans = plans
    fan = RowFan(
      threads: options.joinsPatients ? 1 : options.threads, make: { _ in SweepWorker(plans, options) }, sink: { _ in })
  }

  func take(_ row: RecordedRow, names: RecordingNames) {
    if patients.lowerBound == 0 { stays.note(row, names: names) }
    if isTaken(row.patient) { fan.take(row, names: names) }
  }

  func take(_ event: RecordedEvent, names: RecordingNames) {
    if isTaken(names.patients.number(of: event.patient)) { fan.take(event, names: names) }
  }

  func note(_ refusal: RecordingRefusal) {}
  func finish() { fan.finish() }

  private func isTaken(_ patient: UInt32) -> Bool {
    if patient > patients.upperBound { patientAfter = patients.upperBound + 1 }
    return patients.contains(patient)
  }

  /// What the worlds told, with patients by their position among those watched. After ``finish()``.
  func write(to result: inout SweepResult, firstWorld: Int) {
    let positions = result.watched.positions
    for (number, plan) in plans.enumerated() {
      let world = plan.world
      let places = world.plan.rules.map { world.counted.firstIndex(of: $0.id) }
      for worker in fan.workers {
        let brief = worker.engines[number].brief
        for alert in brief.alerts {
          guard let rule = places[Int(alert.rule)],
            let patient = worker.name(ofPatient: alert.patient).flatMap({ positions[$0] })
          else { continue }
          let end = alert.end < .max ? alert.end : result.watched.end(ofPatient: patient)
          result.alerts[firstWorld + number].append(
            EvaluatedAlert(patient: patient, time: alert.time, end: end, rule: rule, priority: alert.priority))
        }
        for (rule, count) in brief.notifications.enumerated() where places[rule] != nil {
          result.notifications[firstWorld + number] += count
        }
      }
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
