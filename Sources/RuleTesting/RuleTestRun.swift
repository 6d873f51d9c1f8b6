import Evaluation
import Pipeline
import VitalModel

/// One transition the engine made.
package struct ObservedTransition: Sendable {
  /// Milliseconds since the first tick.
  package var time: Int64
  package var document: AlertDocument

  /// With what the expectation at its side asks for.
  package func text(like expected: ExpectedTransition?) -> String {
    var text = "\(ClockText.format(time)) \(document.phase.rawValue)"
    if document.phase != .end { text += " \(document.priority.text)" }
    if expected?.value != nil { text += " value \(document.value?.description ?? "none")" }
    if expected?.limit != nil { text += " limit \(document.limit?.description ?? "none")" }
    if document.unverified || expected?.isUnverified != nil {
      text += document.unverified ? " unverified" : " verified"
    }
    if expected?.verification != nil { text += " \(document.verification ?? "none")" }
    if expected?.message != nil { text += " \"\(document.message)\"" }
    return text
  }

  package func meets(_ expected: ExpectedTransition) -> Bool {
    if time != expected.time || document.phase != expected.phase { return false }
    if let priority = expected.priority, priority != document.priority { return false }
    if let value = expected.value, document.value?.isSameNumber(as: value) != true { return false }
    if let limit = expected.limit, document.limit?.isSameNumber(as: limit) != true { return false }
    if let message = expected.message, message != document.message { return false }
    if let isUnverified = expected.isUnverified, isUnverified != document.unverified { return false }
    if let verification = expected.verification, verification != document.verification ?? "none" { return false }
    return true
  }
}

/// What the engine did in one test, of the rule under test only.
package struct Observed: Sendable {
  package var transitions: [ObservedTransition] = []
  package var held: [ExpectedHeld] = []

  package func passes(_ test: RuleTest) -> Bool {
    guard transitions.count == test.expected.count else { return false }
    for (made, expected) in zip(transitions, test.expected) where !made.meets(expected) { return false }
    return test.suppressed.map { $0 == held } ?? true
  }
}

/// A test made ready to run: slots and names, used again for every variant of the rule.
struct RuleTestRun {
  /// The first tick, 2026-01-01T00:00:00Z: hopping windows aligned to the epoch begin at whole minutes, hours and days.
  static let origin: Int64 = 1_767_225_600_000

  let test: RuleTest
  let slots: [Slot]
  let names: TestNames

  init(_ test: RuleTest, registry: VitalRegistry) {
    self.test = test
    names = TestNames(test)
    var slots: [Slot] = []
    for (number, series) in test.series.enumerated() {
      for sample in series.samples {
        var slot = Slot()
        slot.kind = .sample
        slot.status = sample.status
        slot.quality = sample.quality
        slot.code = series.code
        slot.unit = series.unit
        slot.value = sample.value
        slot.device = names.deviceNumber(series.device)
        slot.source = names.sourceNumber(series.source)
        slot.patient = 0
        slot.series = UInt32(number)
        slot.eventTime = RuleTestRun.origin + sample.time
        slot.ingestTime = slot.eventTime
        slots.append(slot)
      }
    }
    // One message a tick, its observations in the order of the series (SEMANTICS A4).
    slots.sort { ($0.eventTime, $0.series) < ($1.eventTime, $1.series) }
    for index in slots.indices {
      slots[index].payload = UInt64(index + 1)
      let isLast = index + 1 == slots.count || slots[index + 1].eventTime != slots[index].eventTime
      if isLast { slots[index].flags.insert(.endOfMessage) }
    }
    self.slots = slots
  }

  func engine(_ layout: PlanLayout) -> Engine {
    Engine(layout: layout, options: EngineOptions(clock: .stream, recordsEvidence: false), names: names)
  }

  /// Runs the whole strip.
  func run(_ layout: PlanLayout, rule: String) -> Observed {
    let engine = engine(layout)
    var told = rule
    if let alarm = test.alarm {
      let time = RuleTestRun.origin + alarm.time
      for slot in slots where slot.eventTime < time { engine.apply(slot) }
      told = sound(alarm, engine)
      for slot in slots where slot.eventTime >= time { engine.apply(slot) }
    } else {
      for slot in slots { engine.apply(slot) }
    }
    engine.finishMessage()
    return RuleTestRun.observed(engine, rule: told)
  }

  /// - Returns: the id of the alert it is told as.
  private func sound(_ alarm: TestAlarm, _ engine: Engine) -> String {
    var slot = Slot()
    slot.patient = 0
    slot.device = names.deviceNumber(test.series.first?.device ?? "monitor")
    slot.eventTime = RuleTestRun.origin + alarm.time
    slot.ingestTime = slot.eventTime
    engine.applyDeviceAlarm(slot, DeviceAlarm(event: alarm.event, hasEnded: false, priority: .high))
    return "device-alarm-" + alarm.event.lowercased()
  }

  static func observed(_ engine: Engine, rule: String) -> Observed {
    var observed = Observed()
    for transition in engine.output.transitions where transition.document.ruleID == rule {
      // A member that joins without raising the priority changes the document only.
      guard transition.isNotified else { continue }
      observed.transitions.append(
        ObservedTransition(
          time: transition.document.detectedTime - origin, document: transition.document))
    }
    for row in engine.output.ledger where row.document.ruleID == rule {
      guard let stage = row.document.suppressed?.stage else { continue }
      observed.held.append(ExpectedHeld(time: row.document.detectedTime - origin, stage: stage))
    }
    return observed
  }
}

/// The one patient of a test and its devices.
final class TestNames: NameSource {
  private var devices: [String] = []
  private var sources: [String] = [""]
  private let facts: PatientFacts

  init(_ test: RuleTest) {
    var facts = PatientFacts(tenant: "test", patient: "p1")
    let patient = test.patient
    facts.ageYears = patient.years
    // Completed months are counted in twelfths of the mean Gregorian year of 365.2425 days, as years are.
    facts.birth = patient.months.map { RuleTestRun.origin - Int64($0) * 2_629_746_000 }
    facts.flags = Set(patient.flags)
    facts.unit = patient.unit
    facts.state = patient.state
    facts.stateUntil = patient.stateUntil.map { RuleTestRun.origin + $0 }
    facts.isListed = patient.isListed
    facts.settings = test.settings
    self.facts = facts
  }

  func deviceNumber(_ name: String) -> UInt32 { UInt32(TestNames.number(name, in: &devices)) }
  func sourceNumber(_ name: String) -> UInt16 { UInt16(TestNames.number(name, in: &sources)) }

  private static func number(_ name: String, in list: inout [String]) -> Int {
    if let index = list.firstIndex(of: name) { return index }
    list.append(name)
    return list.count - 1
  }

  func patientFacts(_ patient: UInt32, roster: Int) -> PatientFacts { facts }
  func deviceName(_ device: UInt32) -> String {
    Int(device) < devices.count ? devices[Int(device)] : "unknown"
  }
  func sourceName(_ source: UInt16) -> String { Int(source) < sources.count ? sources[Int(source)] : "" }
  func cadence(device: UInt32, code: VitalCode, roster: Int, at time: Int64) -> Int64 { 0 }
}
