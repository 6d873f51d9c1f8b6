import Compression
import Decoding
import Evaluation
import Foundation
import Pipeline
import Recordings
import VitalModel

/// A recording through the very intake and engine the live service runs, at full speed, on one thread.
package final class ReplaySession {
  package struct Options {
    package var engine = EngineOptions(clock: .stream, recordsEvidence: false)
    /// nil: a recording names its patients itself.
    package var roster: Roster?
    package var tenant = "demo"
    package var from: Int64?
    package var to: Int64?
    /// Empty: everybody.
    package var patients: Set<String> = []
    package init() {}
  }

  /// What a replay ends with.
  package struct Summary: Sendable {
    package var patients = 0
    package var samples = 0
    package var stored = 0
    package var quarantined = 0
    package var duplicates = 0
    package var quarantinedByReason: [(reason: String, count: Int)] = []
    package var alerts = 0
    package var suppressed = 0
    package var alertsByRule: [String: Int] = [:]
    /// Starts, escalations, updates and ends anybody would have been told of.
    package var notifications = 0
    /// Ledger rows by stage and rule.
    package var suppressedByStage: [SuppressionStage: [String: Int]] = [:]
    /// Whether ``json`` shows ``suppressedByStage``.
    package var showsStages = false
    package var seconds = 0.0
    package var stateHash = ""

    package var json: String {
      var out = JSONText()
      out.object {
        $0.field("patients", patients)
        $0.field("samples", samples)
        $0.field("stored", stored)
        $0.field("quarantined", quarantined)
        $0.field("duplicates", duplicates)
        $0.field("alerts", alerts)
        $0.field("suppressed", suppressed)
        $0.field("notifications", notifications)
        if showsStages {
          $0.object("stages") { out in
            for stage in SuppressionStage.allCases {
              out.object(stage.rawValue) { out in
                let held = suppressedByStage[stage] ?? [:]
                out.field("held", held.values.reduce(0, +))
                out.object("by_rule") { out in
                  for (rule, count) in held.sorted(by: { $0.key < $1.key }) { out.field(rule, count) }
                }
              }
            }
          }
        }
        $0.object("alerts_by_rule") { out in
          for (rule, count) in alertsByRule.sorted(by: { $0.key < $1.key }) { out.field(rule, count) }
        }
        $0.object("quarantined_by_reason") { out in
          for (reason, count) in quarantinedByReason { out.field(reason, count) }
        }
        $0.field("seconds", (seconds * 1000).rounded() / 1000)
        $0.field("samples_per_second", seconds > 0 ? Int(Double(samples) / seconds) : 0)
        $0.field("state_hash", stateHash)
      }
      return out.text
    }
  }

  package let directory: Directory
  package let intake: Intake
  package let engine: Engine
  private let options: Options
  private let registry: VitalRegistry
  private let screen: RowScreen
  private var position: UInt64 = 0
  private var refused: [QuarantineReason: Int] = [:]
  private var tally: ReplayTally
  /// Numbers of the recording's names in the directory, by the recording's own numbers.
  private var patientNumbers: [UInt32] = []
  private var deviceNumbers: [UInt32] = []
  private var sourceNumbers: [UInt16] = []
  private var sourceTexts: [SourceText] = []
  private var included: [Bool] = []

  package init(
    plan: RulePlan, options: Options, onTransition: @escaping (Transition) -> Void,
    onLedger: @escaping (LedgerRow) -> Void
  ) {
    self.options = options
    registry = plan.registry
    screen = RowScreen(registry: plan.registry)
    directory = Directory(registry: plan.registry)
    // A roster given to a replay describes patients; a recording says itself whose each row is.
    intake = Intake(directory: directory, options: .init(identity: .payload, clock: .stream), history: nil)
    engine = Engine(layout: PlanLayout(plan: plan), options: options.engine, names: directory)
    tally = ReplayTally(onTransition: onTransition, onLedger: onLedger)
    if let roster = options.roster { engine.adoptRoster(directory.adopt(roster)) }
  }

  /// Takes one row through intake and engine.
  package func take(_ row: RecordedRow, names: RecordingNames) {
    if let from = options.from, row.time < from { return }
    if let to = options.to, row.time >= to { return }
    guard let numbers = numbers(of: row, names: names) else { return }
    var last = Slot()
    var hasLast = false
    var contradictsItself = false
    for (index, cell) in row.cells.enumerated() {
      let source = source(cell.source, names: names)
      if let reason = refusal(row, index, cell, source.text) {
        intake.countRefusedBefore(1)
        refused[reason, default: 0] += 1
        if reason == .inconsistent { contradictsItself = true }
        continue
      }
      var slot = slot(row, cell, numbers, source: source.number)
      switch intake.admit(&slot, digest: 0) {
      case .accepted: break
      case .duplicate: continue
      case .refused(let reason):
        refused[reason, default: 0] += 1
        continue
      }
      if hasLast { apply(&last, isLast: false) }
      last = slot
      hasLast = true
    }
    if hasLast { apply(&last, isLast: true) }
    if contradictsItself { noteContradiction(row, numbers) }
    intake.committed()
    drain()
  }

  /// A pressure that contradicts itself is refused and told, after the rest of its message as in the live service
  /// (SEMANTICS A8).
  private func noteContradiction(_ row: RecordedRow, _ numbers: (patient: UInt32, device: UInt32)) {
    var slot = Slot()
    slot.kind = .control
    slot.code = ControlCode.inconsistentPressure
    slot.patient = numbers.patient
    slot.device = numbers.device
    slot.eventTime = row.time
    slot.ingestTime = row.time
    position += 1
    slot.payload = position
    engine.applyInconsistentPressure(slot)
  }

  /// One of the device's own alarms.
  package func take(_ event: RecordedEvent) {
    var slot = Slot()
    slot.patient = directory.patient(tenant: options.tenant, patient: event.patient)
    let device = event.device.isEmpty ? event.patient : event.device
    slot.device = directory.device(tenant: options.tenant, device: device)
    slot.eventTime = event.time
    slot.ingestTime = event.time
    position += 1
    slot.payload = position
    engine.applyDeviceAlarm(slot, DeviceAlarm(event: event.event, hasEnded: !event.starts, priority: .medium))
    drain()
  }

  /// Counts what the reader could not read.
  package func note(_ refusal: RecordingRefusal) {
    guard refusal.reason != .unknownCode else { return }
    intake.countRefusedBefore(refusal.cells)
    refused[refusal.reason, default: 0] += refusal.cells
  }

  /// Nothing advances a patient past its last sample, at the end of input neither (SEMANTICS B1).
  package func finish(seconds: Double) -> Summary {
    engine.finishMessage()
    drain()
    var summary = Summary()
    summary.samples = Int(intake.counts.seen)
    summary.stored = Int(intake.counts.stored)
    summary.quarantined = Int(intake.counts.quarantined)
    summary.duplicates = Int(intake.counts.duplicates)
    summary.quarantinedByReason = QuarantineReason.allCases.compactMap { reason in
      refused[reason].map { (reason.rawValue, $0) }
    }
    tally.complete(&summary, engine: engine, directory: directory, seconds: seconds)
    return summary
  }

  // MARK: One row

  private func numbers(of row: RecordedRow, names: RecordingNames) -> (patient: UInt32, device: UInt32)? {
    while patientNumbers.count <= Int(row.patient) {
      let name = names.patients[UInt32(patientNumbers.count)]
      let isIncluded = options.patients.isEmpty || options.patients.contains(name)
      included.append(isIncluded)
      patientNumbers.append(isIncluded ? directory.patient(tenant: options.tenant, patient: name) : .max)
    }
    guard included[Int(row.patient)] else { return nil }
    while deviceNumbers.count <= Int(row.device) {
      let name = names.devices[UInt32(deviceNumbers.count)]
      deviceNumbers.append(directory.device(tenant: options.tenant, device: name))
    }
    return (patientNumbers[Int(row.patient)], deviceNumbers[Int(row.device)])
  }

  private func source(_ number: UInt16, names: RecordingNames) -> (number: UInt16, text: SourceText) {
    while sourceNumbers.count <= Int(number) {
      let name = names.sources[UInt32(sourceNumbers.count)]
      sourceNumbers.append(directory.source(name))
      sourceTexts.append(SourceText(name) ?? SourceText())
    }
    return (sourceNumbers[Int(number)], sourceTexts[Int(number)])
  }

  private func refusal(
    _ row: RecordedRow, _ index: Int, _ cell: RecordedCell, _ source: SourceText
  ) -> QuarantineReason? {
    guard Timestamp.accepted.contains(row.time) else { return .impossibleTime }
    guard screen.isCredible(cell.value, unit: cell.unit, code: cell.code, source: source) else {
      return .impossibleValue
    }
    for (other, candidate) in row.cells.enumerated() where other != index && candidate.source == cell.source {
      let mine = (cell.code, cell.value, cell.unit)
      let theirs = (candidate.code, candidate.value, candidate.unit)
      let isWrong = screen.isContradiction(mine, theirs) || screen.isContradiction(theirs, mine)
      if isWrong, screen.isCredible(candidate.value, unit: candidate.unit, code: candidate.code, source: source) {
        return .inconsistent
      }
    }
    return nil
  }

  private func slot(
    _ row: RecordedRow, _ cell: RecordedCell, _ numbers: (patient: UInt32, device: UInt32), source: UInt16
  ) -> Slot {
    var slot = row.slot(cell)
    slot.device = numbers.device
    slot.patient = numbers.patient
    slot.source = source
    return slot
  }

  private func apply(_ slot: inout Slot, isLast: Bool) {
    position += 1
    slot.payload = position
    if isLast { slot.flags.insert(.endOfMessage) }
    engine.apply(slot)
  }

  private func drain() { tally.drain(engine) }
}
