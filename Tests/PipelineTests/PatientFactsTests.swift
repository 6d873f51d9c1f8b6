import Evaluation
import Testing
import VitalModel

@testable import Pipeline

/// What the roster says of a patient, as rules may ask for it.
@Suite struct PatientFactsTests {
  @Test("E9: state in the stay, its end and the gateways of the patient's devices come from the roster")
  func stateAndGateways() throws {
    let roster = try Roster(
      patients: [RosterPatient(id: "p1", state: .offWard, stateUntil: 5000), RosterPatient(id: "p2")],
      devices: [
        RosterDevice(id: "d1", gateway: "gw-1"), RosterDevice(id: "d2", gateway: "gw-2"), RosterDevice(id: "d3"),
      ],
      assignments: [
        RosterAssignment(device: "d1", patient: "p1"), RosterAssignment(device: "d2", patient: "p1", to: 100),
        RosterAssignment(device: "d2", patient: "p2", from: 100), RosterAssignment(device: "d3", patient: "p2"),
      ])
    let directory = Directory(registry: try Shipped.ward().plan.registry)
    let number = directory.adopt(roster)
    let first = directory.patientFacts(directory.patient(tenant: "t", patient: "p1"), roster: number)
    #expect(first.state == .offWard)
    #expect(first.stateUntil == 5000)
    #expect(first.gateways == ["d1": "gw-1", "d2": "gw-2"])
    let second = directory.patientFacts(directory.patient(tenant: "t", patient: "p2"), roster: number)
    #expect(second.state == .admitted)
    #expect(second.gateways == ["d2": "gw-2"])
    #expect(try Roster(canonicalJSON: roster.canonicalJSON) == roster)
    let unlisted = directory.patientFacts(directory.patient(tenant: "t", patient: "p3"), roster: number)
    #expect(unlisted.state == .admitted && unlisted.gateways.isEmpty)
  }
}
