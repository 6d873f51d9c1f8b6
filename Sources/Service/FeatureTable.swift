import Evaluation
import Pipeline
import Recordings
import Statistics
import VitalModel

/// What every candidate input of a score was at every message of a recording.
package struct FeatureTable: Sendable {
  /// By row, in the order of the recording: the patient's number in the recording, and event time.
  package fileprivate(set) var patients: [UInt32] = []
  package fileprivate(set) var times: [Int64] = []
  /// Names of patients, by the recording's numbers.
  package fileprivate(set) var names: [String] = []
  /// By candidate, by row: steps of its grid; ``Statistics/ScoreFittingInput/unknown``.
  package fileprivate(set) var values: [[Int32]]

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
/// components will be judged by.
package final class FeatureTableBuilder: RowTaker {
  private let replay: ReplayWorker
  private var position: UInt64 = 1
  private let options: ReplaySession.Options
  private let definitions: [ScoreDefinition]
  private let stays: StayRecorder
  private var table: FeatureTable
  private var numbers: [UInt32?] = []

  package init(_ candidates: ScoreCandidates, registry: VitalRegistry, options: ReplaySession.Options) {
    self.options = options
    definitions = candidates.definitions
    table = FeatureTable(values: [[Int32]](repeating: [], count: candidates.candidates.count))
    stays = StayRecorder(options: options)
    let plan = RulePlan(registry: registry, rules: [], scores: definitions, version: "")
    replay = ReplayWorker(plan: plan, options: options)
  }

  package func take(_ row: RecordedRow, names: RecordingNames) {
    stays.note(row, names: names)
    var none: [ReplayOutput] = []
    replay.take(row, names: names, position: position, &none)
    position += UInt64(row.cells.count) + 1
    note(row, names)
  }

  package func take(_ event: RecordedEvent, names: RecordingNames) {
    let device = event.device.isEmpty ? event.patient : event.device
    let fanned = FannedEvent(
      event: event, patient: names.patients.number(of: event.patient), device: names.devices.number(of: device))
    var none: [ReplayOutput] = []
    replay.take(fanned, names: names, position: position, &none)
    position += 1
  }

  package func note(_ refusal: RecordingRefusal) {}

  /// The table, and who was watched when.
  package func finish() -> (table: FeatureTable, watched: WatchedCohort) { (table, stays.cohort) }

  private func note(_ row: RecordedRow, _ names: RecordingNames) {
    if let from = options.from, row.time < from { return }
    if let to = options.to, row.time >= to { return }
    guard !row.cells.isEmpty, Timestamp.accepted.contains(row.time), let patient = number(row.patient, names) else {
      return
    }
    table.patients.append(row.patient)
    table.times.append(row.time)
    var place = 0
    for (score, definition) in definitions.enumerated() {
      let state = replay.engine.probeScore(score, patient: patient, now: row.time)
      for component in definition.components.indices {
        let isKnown = state.points[component] >= 0 && state.inputs[component] != ScoreState.absentInput
        table.values[place].append(isKnown ? state.inputs[component] : ScoreFittingInput.unknown)
        place += 1
      }
    }
  }

  /// The patient's number in the session's directory; nil: not among those asked for.
  private func number(_ patient: UInt32, _ names: RecordingNames) -> UInt32? {
    while numbers.count <= Int(patient) {
      let name = names.patients[UInt32(numbers.count)]
      let isIncluded = options.patients.isEmpty || options.patients.contains(name)
      table.names.append(name)
      numbers.append(isIncluded ? replay.directory.patient(tenant: options.tenant, patient: name) : nil)
    }
    return numbers[Int(patient)]
  }
}
