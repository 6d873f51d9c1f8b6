import Recordings
import ReportPages
import Statistics
import VitalModel

/// Collects vital signs of a few stretches while a recording is read once more, for drawings of a report.
///
/// Memory is bounded by stretches × vital signs × ``partsMax``: of dense recordings only the lowest and highest value of
/// each small part is kept.
package final class TraceRecorder {
  private struct Part {
    var lowest: TraceVital.Sample
    var highest: TraceVital.Sample
  }

  private let picks: [TracePick]
  private let registry: VitalRegistry
  private let options: ReplaySession.Options
  /// Stretches by the name of their patient.
  private let stretches: [String: [Int]]
  /// The same by the recording's own number of the patient.
  private var numbered: [[Int]] = []
  /// By stretch, then vital, then part of the stretch.
  private var parts: [[UInt16: [Int: Part]]]

  /// Parts a stretch is cut into: more cannot be told apart in a drawing.
  static let partsMax = 240

  /// - Parameters:
  ///   - names: of the cohort's patients, by position.
  ///   - options: of the session that was evaluated, whose bounds on time hold here too.
  package init(
    _ picks: [TracePick], registry: VitalRegistry, names: [String], options: ReplaySession.Options
  ) {
    self.picks = picks
    self.registry = registry
    self.options = options
    var stretches: [String: [Int]] = [:]
    for (index, pick) in picks.enumerated() where names.indices.contains(pick.patient) {
      stretches[names[pick.patient], default: []].append(index)
    }
    self.stretches = stretches
    parts = Array(repeating: [:], count: picks.count)
  }

  /// Takes a row if it is of a stretch; what the engine would refuse or a device calls invalid is passed over.
  package func note(_ row: RecordedRow, names: RecordingNames) {
    for stretch in wanted(of: row.patient, at: row.time, name: { names.patients[$0] }) {
      for cell in row.cells { add(cell, at: row.time, to: stretch) }
    }
  }

  /// Takes a sample of a store in the same way.
  ///
  /// - Parameter name: of a patient's directory number.
  package func note(_ sample: Slot, name: (UInt32) -> String) {
    var cell = RecordedCell(code: sample.code, unit: sample.unit, value: sample.value)
    cell.statusRaw = sample.status.rawValue
    for stretch in wanted(of: sample.patient, at: sample.eventTime, name: name) {
      add(cell, at: sample.eventTime, to: stretch)
    }
  }

  /// Stretches a moment of a patient is in.
  private func wanted(of patient: UInt32, at time: Int64, name: (UInt32) -> String) -> [Int] {
    while numbered.count <= Int(patient) { numbered.append(stretches[name(UInt32(numbered.count))] ?? []) }
    let own = numbered[Int(patient)]
    guard !own.isEmpty else { return own }
    if let from = options.from, time < from { return [] }
    if let to = options.to, time >= to { return [] }
    return own.filter { picks[$0].range.contains(time) }
  }

  private func add(_ cell: RecordedCell, at time: Int64, to stretch: Int) {
    guard registry[cell.code].letters.isEmpty, let value = registry.usableValue(cell) else { return }
    let sample = TraceVital.Sample(time: time, value: value)
    let range = picks[stretch].range
    let length = max(1, (range.upperBound - range.lowerBound) / Int64(TraceRecorder.partsMax) + 1)
    let place = Int((time - range.lowerBound) / length)
    var part = parts[stretch][cell.code.index, default: [:]][place] ?? Part(lowest: sample, highest: sample)
    if sample.value < part.lowest.value { part.lowest = sample }
    if sample.value > part.highest.value { part.highest = sample }
    parts[stretch][cell.code.index, default: [:]][place] = part
  }

  /// In the order of the picks.
  package var traces: [PatientTrace] {
    zip(picks, parts).map { pick, vitals in
      // Those first in the registry, which lists the usual ones first.
      let kept = vitals.keys.sorted().prefix(PatientTrace.vitalsMax)
      return PatientTrace(
        pick: pick,
        vitals: kept.map { code in
          let vital = registry[VitalCode(index: code)]
          return TraceVital(title: vital.title, unit: vital.unit, samples: TraceRecorder.samples(vitals[code] ?? [:]))
        })
    }
  }

  private static func samples(_ parts: [Int: Part]) -> [TraceVital.Sample] {
    parts.sorted { $0.key < $1.key }.flatMap { _, part in
      let ends = [part.lowest, part.highest].sorted { $0.time < $1.time }
      return ends[0] == ends[1] ? [ends[0]] : ends
    }
  }
}
