import Decoding
import Evaluation
import Pipeline
import Recordings
import VitalModel

/// What a replay hands on, in the order of the rows.
package enum ReplayOutput: Sendable {
  case told(Transition)
  case held(LedgerRow)
  /// The document of either as one line of JSON, without its end.
  case toldLine([UInt8])
  case heldLine([UInt8])
}

/// The intake and engine of a replay for the patients of one worker.
final class ReplayWorker: RowWorker {
  let intake: Intake
  let engine: Engine
  /// Engines of other rules that are given every entry as well; what they tell stays with them.
  @exclusivity(unchecked) var companions: [Engine] = []
  /// Rows are numbered and admitted, and not evaluated: they were before (``ReplayProgress``).
  @exclusivity(unchecked) var isCatchingUp = false
  @exclusivity(unchecked) private(set) var tally = ReplayTally()
  /// Observations refused, by reason.
  @exclusivity(unchecked) private(set) var refused: [QuarantineReason: Int] = [:]
  let directory: Directory
  private let options: ReplaySession.Options
  private let screen: RowScreen
  /// Numbers of the recording's names in the directory, by the recording's own numbers; `unmet`: not asked for yet.
  @exclusivity(unchecked) private var patientNumbers: [UInt32] = []
  @exclusivity(unchecked) private var deviceNumbers: [UInt32] = []
  @exclusivity(unchecked) private var sourceNumbers: [UInt16] = []
  @exclusivity(unchecked) private var sourceTexts: [SourceText] = []
  /// Numbers of the directory's devices in the recording, and the position of the row that brought each of its series.
  private var deviceOrigins: [UInt32] = []
  @exclusivity(unchecked) private(set) var seriesOrigins: [UInt64] = []

  private static let unmet = UInt32.max
  private static let excluded = UInt32.max - 1

  init(plan: RulePlan, options: ReplaySession.Options) {
    self.options = options
    screen = RowScreen(registry: plan.registry)
    directory = Directory(registry: plan.registry)
    // A roster given to a replay describes patients; a recording says itself whose each row is.
    intake = Intake(directory: directory, options: .init(identity: .payload, clock: .stream), history: nil)
    engine = Engine(layout: PlanLayout(plan: plan), options: options.engine, names: directory)
    if let roster = options.roster { engine.adoptRoster(directory.adopt(roster)) }
  }

  func take(_ row: RecordedRow, names: RecordingNames, position: UInt64, _ outputs: inout [ReplayOutput]) {
    if let from = options.from, row.time < from { return }
    if let to = options.to, row.time >= to { return }
    guard let patient = patient(row.patient, names) else { return }
    let numbers = (patient: patient, device: device(row.device, names))
    var position = position
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
      if hasLast { apply(&last, &position, isLast: false) }
      last = slot
      hasLast = true
    }
    if hasLast { apply(&last, &position, isLast: true) }
    if contradictsItself, !isCatchingUp { noteContradiction(row, numbers, position) }
    intake.committed()
    while seriesOrigins.count < intake.seriesCount { seriesOrigins.append(position) }
    drain(&outputs)
  }

  /// A pressure that contradicts itself is refused and told, after the rest of its message as in the live service
  /// (SEMANTICS A8).
  private func noteContradiction(_ row: RecordedRow, _ numbers: (patient: UInt32, device: UInt32), _ position: UInt64) {
    var slot = Slot()
    slot.kind = .control
    slot.code = ControlCode.inconsistentPressure
    slot.patient = numbers.patient
    slot.device = numbers.device
    slot.eventTime = row.time
    slot.ingestTime = row.time
    slot.payload = position
    engine.applyInconsistentPressure(slot)
    for companion in companions { companion.applyInconsistentPressure(slot) }
  }

  func take(_ event: FannedEvent, names: RecordingNames, position: UInt64, _ outputs: inout [ReplayOutput]) {
    if let from = options.from, event.event.time < from { return }
    if let to = options.to, event.event.time >= to { return }
    guard let patient = patient(event.patient, names) else { return }
    var slot = Slot()
    slot.patient = patient
    slot.device = device(event.device, names)
    slot.eventTime = event.event.time
    slot.ingestTime = event.event.time
    slot.payload = position
    let alarm = DeviceAlarm(event: event.event.event, hasEnded: !event.event.starts, priority: .medium)
    if isCatchingUp { return }
    engine.applyDeviceAlarm(slot, alarm)
    for companion in companions { companion.applyDeviceAlarm(slot, alarm) }
    drain(&outputs)
  }

  /// An engine for other rules over the same rows.
  func companion(_ layout: PlanLayout) -> Engine {
    let companion = Engine(layout: layout, options: options.engine, names: directory)
    if options.roster != nil { companion.adoptRoster(engine.rosterNumber) }
    return companion
  }

  // MARK: Going on later

  /// What reading the same rows again does not give back.
  func part() -> ReplayProgress.Part {
    let states = engine.patientNumbers.compactMap { number in
      engine.encodeState(of: number).map {
        ReplayProgress.Part.State(patient: number, position: $0.position, bytes: $0.bytes)
      }
    }
    return ReplayProgress.Part(tally: tally, states: states)
  }

  /// Ends catching up.
  ///
  /// - Returns: whether every state could be read back.
  func restore(_ part: ReplayProgress.Part) -> Bool {
    isCatchingUp = false
    tally = part.tally
    for state in part.states {
      do throws(Engine.StateError) {
        try engine.restoreState(of: state.patient, position: state.position, bytes: state.bytes)
      } catch {
        return false
      }
    }
    engine.finishRestoring()
    return true
  }

  // MARK: At the end

  /// The patient's name and state, with the numbers given for the directory's; nil: the engine does not know the patient.
  ///
  /// - Parameter patient: the recording's own number.
  func state(of patient: Int, _ numbers: StateNumbers) -> (key: Directory.Patient, bytes: [UInt8])? {
    guard patient < patientNumbers.count, patientNumbers[patient] < ReplayWorker.excluded,
      let state = engine.encodeState(of: patientNumbers[patient], numbers: numbers),
      let key = directory.patientKey(patientNumbers[patient])
    else { return nil }
    return (key, state.bytes)
  }

  /// What one engine for all would have written for the directory's numbers.
  ///
  /// - Parameter series: by the directory's number.
  func numbers(series: [UInt32]) -> StateNumbers { StateNumbers(series: series, devices: deviceOrigins) }

  // MARK: One row

  private func patient(_ number: UInt32, _ names: RecordingNames) -> UInt32? {
    let index = Int(number)
    while patientNumbers.count <= index { patientNumbers.append(ReplayWorker.unmet) }
    if patientNumbers[index] == ReplayWorker.unmet {
      let name = names.patients[number]
      let isIncluded = options.patients.isEmpty || options.patients.contains(name)
      patientNumbers[index] =
        isIncluded ? directory.patient(tenant: options.tenant, patient: name) : ReplayWorker.excluded
    }
    return patientNumbers[index] == ReplayWorker.excluded ? nil : patientNumbers[index]
  }

  private func device(_ number: UInt32, _ names: RecordingNames) -> UInt32 {
    let index = Int(number)
    while deviceNumbers.count <= index { deviceNumbers.append(ReplayWorker.unmet) }
    if deviceNumbers[index] == ReplayWorker.unmet {
      deviceNumbers[index] = directory.device(tenant: options.tenant, device: names.devices[number])
      deviceOrigins.append(number)
    }
    return deviceNumbers[index]
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

  private func apply(_ slot: inout Slot, _ position: inout UInt64, isLast: Bool) {
    slot.payload = position
    position += 1
    if isCatchingUp { return }
    if isLast { slot.flags.insert(.endOfMessage) }
    engine.apply(slot)
    for companion in companions { companion.apply(slot) }
  }

  private func drain(_ outputs: inout [ReplayOutput]) {
    guard !engine.output.isEmpty else { return }
    let wanted = options.wanted
    tally.drain(
      engine,
      onTransition: { transition in
        guard wanted.contains(.told) else { return }
        outputs.append(
          wanted.contains(.lines) ? .toldLine(Array(transition.document.json.utf8)) : .told(transition))
      },
      onLedger: { row in
        guard wanted.contains(.held) else { return }
        outputs.append(wanted.contains(.lines) ? .heldLine(Array(row.document.json.utf8)) : .held(row))
      })
    directory.forgetPending()
  }
}
