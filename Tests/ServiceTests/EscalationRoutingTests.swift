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
    return Routing(try VigilConfiguration.parse(text, file: "v.yaml", secrets: secrets), unreached: unreached)
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
