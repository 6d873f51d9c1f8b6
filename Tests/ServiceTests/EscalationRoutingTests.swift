import TestSupport
import Pipeline
import Evaluation
import Configuration
import Instrumentation
import Testing
import VitalModel

@testable import Service

/// Whom an escalation reaches: whoever its name stands for when the outbox row is written.
@Suite struct EscalationRoutingTests {
  private let unreached = MetricRegistry().counter("unreached_total", "Escalations nobody was found for.")

  /// Anna by day and Ben by night in ward 7; the night of ward 8 is not covered.
  private func routing(_ zone: String) throws -> Routing {
    Routing(try configuration(zone), unreached: unreached)
  }

  private func configuration(_ zone: String) throws -> VigilConfiguration {
    let names = ["pager-anna", "pager-ben", "desk"]
    let receivers = names.map { "  - { name: \($0), url: \"https://\($0).example/\", secret: env:S }" }
    let text =
      "receivers:\n" + receivers.joined(separator: "\n") + "\n"
        + """
        routes: [{ to: desk }]
        people:
          - { id: u-anna, receivers: [pager-anna] }
          - { id: u-ben, receivers: [pager-ben, desk] }
        schedules:
          - schedule: nurses
            zone: \(zone)
            shifts:
              - { from: "07:00", to: "19:00", who: [u-anna] }
              - { from: "19:00", to: "07:00", who: [u-ben] }
          - { schedule: days, zone: \(zone), shifts: [{ from: "07:00", to: "19:00", who: [u-anna] }] }
        roles:
          - { role: charge-nurse, unit: ward-7, who: [nurses] }
          - { role: charge-nurse, unit: ward-8, who: [days] }
        alerting:
          escalation: [{ steps: [{ after: 2m, to: charge-nurse }, { after: 2m, to: charge-nurse }] }]
        """
    let secrets = SecretSources(
      environment: { _ in "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw" }, file: { _ in nil })
    return try VigilConfiguration.parse(text, file: "v.yaml", secrets: secrets)
  }

  /// What the engine tells of saturation 70 % that stays, one sample a second from `start`, and whom each transition reaches.
  private func unanswered(_ zone: String, from start: String, seconds: Int64) throws -> [String] {
    let configuration = try configuration(zone)
    let plan = try RuleFiles.read(RepositoryRoot.path + "/Rules").plan(set: "adult-ward")
    let directory = Directory(registry: plan.registry)
    var options = EngineOptions(clock: .wall, recordsEvidence: false)
    options.alerting = configuration.alerting
    let engine = Engine(layout: PlanLayout(plan: plan), options: options, names: directory)
    let patient = RosterPatient(id: "p1", unit: "ward-7")
    engine.adoptRoster(directory.adopt(try Roster(patients: [patient], devices: [], assignments: [])))
    let first = try #require(Timestamp.parse(start))
    var slot = Slot()
    slot.kind = .sample
    slot.code = try #require(plan.registry.code("spo2"))
    slot.value = DecimalValue(mantissa: 70)
    slot.flags.insert(.endOfMessage)
    slot.device = directory.device(tenant: "demo", device: "d1")
    slot.patient = directory.patient(tenant: "demo", patient: "p1")
    slot.series = directory.series(patient: slot.patient, code: slot.code, device: slot.device, source: slot.source)
    for second in 0...seconds {
      slot.eventTime = first + second * 1000
      slot.ingestTime = slot.eventTime
      slot.payload = UInt64(second + 1)
      engine.apply(slot)
    }
    engine.finishMessage()
    let routing = Routing(configuration, unreached: unreached)
    return engine.output.transitions.filter { $0.document.ruleID == "spo2-low" && $0.isNotified }.map { transition in
      let names = routing.receivers(for: transition.document, at: transition.document.detectedTime).map(\.name)
      return
        "\(transition.document.phase.rawValue) \(transition.document.attemptLevel): \(names.joined(separator: ", "))"
    }
  }

  @Test(
    "an alert nobody answers climbs the engine's own ladder across a shift change, on the nights the clock changes too",
    arguments: [
      ("Europe/Berlin", "2026-01-16T05:57:00Z"), ("Europe/Berlin", "2026-03-29T04:57:00Z"),
      ("Europe/Berlin", "2026-10-25T05:57:00Z"), ("America/New_York", "2026-11-01T11:57:00Z"),
    ])
  func ladderOverTheNight(zone: String, start: String) throws {
    #expect(
      try unanswered(zone, from: start, seconds: 300) == [
        "start 0: desk", "escalate 1: pager-ben, desk", "escalate 2: pager-anna",
      ])
  }

  private func told(
    _ routing: Routing, level: Int, to name: String? = "charge-nurse", unit: String = "ward-7", at text: String
  )
    throws -> [String]
  {
    var document = AlertDocument()
    document.alertID = "a"
    document.priority = .high
    document.locationUnit = unit
    document.phase = level == 0 ? .start : .escalate
    document.attemptLevel = level
    document.escalatedTo = name
    return routing.receivers(for: document, at: try #require(Timestamp.parse(text))).map(\.name)
  }

  /// The same alert: told by the routes, its first step a minute before the change of shift, its second a minute after.
  @Test(
    "escalation across a shift change reaches who is there then, on nights the clock changes too",
    arguments: [
      ("Europe/Berlin", "2026-01-16T05:59:00Z", "2026-01-16T06:01:00Z"),
      ("Europe/Berlin", "2026-03-29T04:59:00Z", "2026-03-29T05:01:00Z"),
      ("Europe/Berlin", "2026-10-25T05:59:00Z", "2026-10-25T06:01:00Z"),
      ("America/New_York", "2026-03-08T10:59:00Z", "2026-03-08T11:01:00Z"),
      ("America/New_York", "2026-11-01T11:59:00Z", "2026-11-01T12:01:00Z"),
    ])
  func escalationAcrossAShiftChange(_ zone: String, _ before: String, _ after: String) throws {
    let routing = try routing(zone)
    #expect(try told(routing, level: 0, to: nil, at: before) == ["desk"])
    #expect(try told(routing, level: 1, at: before) == ["pager-ben", "desk"])
    #expect(try told(routing, level: 2, at: after) == ["pager-anna"])
    #expect(unreached.value == 0)
  }

  @Test func anEscalationThatFindsNobodyGoesByTheRoutesAndIsCounted() throws {
    let routing = try routing("Europe/Berlin")
    #expect(try told(routing, level: 1, unit: "ward-8", at: "2026-01-15T12:00:00Z") == ["pager-anna"])
    #expect(unreached.value == 0)
    #expect(try told(routing, level: 1, unit: "ward-8", at: "2026-01-15T22:00:00Z") == ["desk"])
    #expect(try told(routing, level: 1, unit: "ward-9", at: "2026-01-15T12:00:00Z") == ["desk"])
    // A name that a reload took away while its alert was open.
    #expect(try told(routing, level: 1, to: "u-gone", at: "2026-01-15T12:00:00Z") == ["desk"])
    #expect(unreached.value == 3)
  }

  @Test func aReceiverIsToldByItsOwnName() throws {
    #expect(try told(try routing("UTC"), level: 1, to: "pager-ben", at: "2026-01-15T12:00:00Z") == ["pager-ben"])
  }
}
