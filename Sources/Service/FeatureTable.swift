import Evaluation
import Pipeline
import Recordings
import Statistics
import VitalModel

/// What every candidate input of a score was at every message of a recording.
package struct FeatureTable: Sendable {
  /// By row, by patient and then in the order of the recording: the patient's number in the recording, and event time.
  package fileprivate(set) var patients: [UInt32] = []
  package fileprivate(set) var times: [Int64] = []
  /// Names of patients, by the recording's numbers.
  package let names: [String]
  /// By candidate, by row: steps of its grid; ``Statistics/ScoreFittingInput/unknown``.
  package fileprivate(set) var values: [[Int32]]

  fileprivate init(names: [String], values: [[Int32]]) {
    self.names = names
    self.values = values
  }

  package var count: Int { times.count }

  /// The rows of a cohort as a fit reads them; rows of other patients are left out.
  ///
  /// - Parameter names: of the cohort's patients by position.
  package func rows(
    _ candidates: ScoreCandidates, _ cohort: EvaluationCohort, names cohortNames: [String],
    _ convention: EvaluationConvention
  ) -> ScoreFittingRows {
    let known = Dictionary(cohortNames.enumerated().map { ($1, Int32($0)) }) { first, _ in first }
    let positions = names.map { known[$0] ?? -1 }
    let kept = times.indices.filter { positions[Int(patients[$0])] >= 0 }
    let isWhole = kept.count == count
    let inputs = candidates.candidates.enumerated().map { place, candidate in
      ScoreFittingInput(
        name: candidate.name, trend: candidate.trend,
        values: isWhole ? values[place] : kept.map { values[place][$0] }, edges: candidate.ends)
    }
    return ScoreFittingRows(
      cohort, convention, patients: kept.map { positions[Int(patients[$0])] }, times: kept.map { times[$0] },
      inputs: inputs)
  }
}

/// Fills a ``FeatureTable`` by replaying a recording through the engine: the numbers a score is fitted on are those its
/// components will be judged by. The table is the same for any number of threads.
package final class FeatureTableBuilder: RowTaker {
  private let fan: RowFan<FeatureWorker>
  private let stays: StayRecorder
  private var names: [String] = []

  package init(_ candidates: ScoreCandidates, registry: VitalRegistry, options: ReplaySession.Options) {
    stays = StayRecorder(options: options)
    let plan = RulePlan(registry: registry, rules: [], scores: candidates.definitions, version: "")
    var options = options
    options.engine.recordsDocuments = false
    options.engine.recordsEvidence = false
    fan = RowFan(
      threads: options.joinsPatients ? 1 : options.threads, make: { [options] _ in FeatureWorker(plan, options) },
      sink: { _ in })
  }

  package func take(_ row: RecordedRow, names: RecordingNames) {
    stays.note(row, names: names)
    while self.names.count <= Int(row.patient) { self.names.append(names.patients[UInt32(self.names.count)]) }
    fan.take(row, names: names)
  }

  package func take(_ event: RecordedEvent, names: RecordingNames) { fan.take(event, names: names) }
  package func note(_ refusal: RecordingRefusal) {}

  /// The table, and who was watched when.
  package func finish() -> (table: FeatureTable, watched: WatchedCohort) {
    fan.finish()
    let order = order()
    var table = FeatureTable(names: names, values: [])
    table.patients = order.map { fan.workers[$0.worker].patients[$0.row] }
    table.times = order.map { fan.workers[$0.worker].times[$0.row] }
    for column in fan.workers.first?.values.indices ?? 0..<0 {
      table.values.append(order.map { fan.workers[$0.worker].values[column][$0.row] })
      for worker in fan.workers { worker.values[column] = [] }
    }
    return (table, stays.cohort)
  }

  /// Rows by patient, each patient's in their order: a patient's rows are all with one worker.
  private func order() -> [(worker: Int, row: Int)] {
    var counts = [Int](repeating: 0, count: names.count + 1)
    for worker in fan.workers { for patient in worker.patients { counts[Int(patient) + 1] += 1 } }
    for patient in counts.indices.dropFirst() { counts[patient] += counts[patient - 1] }
    var order = [(worker: Int, row: Int)](repeating: (0, 0), count: counts.last ?? 0)
    for (number, worker) in fan.workers.enumerated() {
      for (row, patient) in worker.patients.enumerated() {
        order[counts[Int(patient)]] = (number, row)
        counts[Int(patient)] += 1
      }
    }
    return order
  }
}

/// The candidate inputs of one worker's patients.
final class FeatureWorker: RowWorker {
  typealias Output = ReplayOutput

  private let replay: ReplayWorker
  private let options: ReplaySession.Options
  private let definitions: [ScoreDefinition]
  /// As in ``FeatureTable``, of this worker's patients.
  private(set) var patients: [UInt32] = []
  private(set) var times: [Int64] = []
  var values: [[Int32]]

  init(_ plan: RulePlan, _ options: ReplaySession.Options) {
    self.options = options
    definitions = plan.scores
    replay = ReplayWorker(plan: plan, options: options)
    values = [[Int32]](repeating: [], count: plan.scores.reduce(0) { $0 + $1.components.count })
  }

  func take(_ row: RecordedRow, names: RecordingNames, position: UInt64, _ outputs: inout [ReplayOutput]) {
    replay.take(row, names: names, position: position, &outputs)
    if let from = options.from, row.time < from { return }
    if let to = options.to, row.time >= to { return }
    let name = names.patients[row.patient]
    guard !row.cells.isEmpty, Timestamp.accepted.contains(row.time),
      options.patients.isEmpty || options.patients.contains(name)
    else { return }
    note(row, replay.directory.patient(tenant: options.tenant, patient: name))
  }

  func take(_ event: FannedEvent, names: RecordingNames, position: UInt64, _ outputs: inout [ReplayOutput]) {
    replay.take(event, names: names, position: position, &outputs)
  }

  private func note(_ row: RecordedRow, _ patient: UInt32) {
    patients.append(row.patient)
    times.append(row.time)
    var place = 0
    for (score, definition) in definitions.enumerated() {
      let state = replay.engine.probeScore(score, patient: patient, now: row.time)
      for component in definition.components.indices {
        let isKnown = state.points[component] >= 0 && state.inputs[component] != ScoreState.absentInput
        values[place].append(isKnown ? state.inputs[component] : ScoreFittingInput.unknown)
        place += 1
      }
    }
  }
}
