import Testing
import VitalModel

private func time(_ text: String) throws -> Int64 { try #require(Timestamp.parse(text)) }

@Suite struct RosterTests {
  @Test func assignmentsAreHalfOpen() throws {
    let roster = try Roster(
      patients: [RosterPatient(id: "p-2"), RosterPatient(id: "p-1")],
      assignments: [
        RosterAssignment(device: "d", patient: "p-2", from: 2000, to: nil),
        RosterAssignment(device: "d", patient: "p-1", from: 1000, to: 2000, cadence: ["spo2": 1000]),
      ])
    func who(_ time: Int64) -> String? {
      roster.patient(forDevice: "d", tenant: "demo", at: time).map { roster.patients[$0].id }
    }
    #expect(who(999) == nil)
    #expect(who(1000) == "p-1")
    #expect(who(1999) == "p-1")
    #expect(who(2000) == "p-2")
    #expect(who(Timestamp.accepted.upperBound) == "p-2")
    #expect(roster.patient(forDevice: "other", tenant: "demo", at: 1000) == nil)
    #expect(roster.cadence(forDevice: "d", tenant: "demo", key: "spo2", at: 1500) == 1000)
    #expect(roster.cadence(forDevice: "d", tenant: "demo", key: "spo2", at: 2500) == nil)
  }

  @Test func lookUpAgreesWithAScan() throws {
    var generator = SeededGenerator(seed: 5)
    for _ in 0..<200 {
      var assignments: [RosterAssignment] = []
      for device in ["a", "b", "c"] {
        var from = Int64.random(in: 0...5, using: &generator)
        for patient in 0..<Int.random(in: 0...6, using: &generator) {
          let to = from + Int64.random(in: 1...5, using: &generator)
          assignments.append(RosterAssignment(device: device, patient: "p\(patient)", from: from, to: to))
          from = to + Int64.random(in: 0...3, using: &generator)
        }
      }
      let roster = try Roster(
        patients: (0..<6).map { RosterPatient(id: "p\($0)") }, assignments: assignments.shuffled(using: &generator))
      for device in ["a", "b", "c"] {
        for time in Int64(-1)...60 {
          let expected = assignments.first { $0.device == device && $0.contains(time) }?.patient
          let found = roster.patient(forDevice: device, tenant: "t", at: time).map { roster.patients[$0].id }
          #expect(found == expected)
        }
      }
    }
  }

  @Test func tenantOfADeviceIsHeld() throws {
    let roster = try Roster(
      patients: [RosterPatient(id: "p")], devices: [RosterDevice(id: "d", tenant: "north")],
      assignments: [RosterAssignment(device: "d", patient: "p")])
    #expect(roster.patient(forDevice: "d", tenant: "north", at: 0) == 0)
    #expect(roster.patient(forDevice: "d", tenant: "south", at: 0) == nil)
  }

  @Test func refusesWhatCannotBe() {
    let p = RosterPatient(id: "p")
    #expect(throws: RosterError.repeatedPatient("p")) { try Roster(patients: [p, p]) }
    #expect(throws: RosterError.repeatedDevice("d")) {
      try Roster(patients: [], devices: [RosterDevice(id: "d"), RosterDevice(id: "d", model: "x")])
    }
    #expect(throws: RosterError.unknownPatient("q", device: "d")) {
      try Roster(patients: [p], assignments: [RosterAssignment(device: "d", patient: "q")])
    }
    #expect(throws: RosterError.emptyAssignment(device: "d")) {
      try Roster(patients: [p], assignments: [RosterAssignment(device: "d", patient: "p", from: 5, to: 5)])
    }
    #expect(throws: RosterError.overlap(device: "d")) {
      try Roster(
        patients: [p],
        assignments: [
          RosterAssignment(device: "d", patient: "p", from: 0, to: 10),
          RosterAssignment(device: "d", patient: "p", from: 9),
        ])
    }
    #expect(throws: RosterError.overlap(device: "d")) {
      try Roster(
        patients: [p],
        assignments: [RosterAssignment(device: "d", patient: "p"), RosterAssignment(device: "d", patient: "p")])
    }
  }

  @Test func yearsOfAge() throws {
    let born = RosterPatient(id: "p", birthDay: Timestamp.days(year: 2008, month: 2, day: 29))
    #expect(born.years(at: try time("2024-02-28T23:59:59Z")) == 15)
    #expect(born.years(at: try time("2024-02-29T00:00:00Z")) == 16)
    #expect(born.years(at: try time("2025-02-28T12:00:00Z")) == 16)
    #expect(born.years(at: try time("2025-03-01T00:00:00Z")) == 17)
    #expect(born.years(at: try time("2008-02-28T00:00:00Z")) == nil)
    #expect(RosterPatient(id: "p", age: DecimalValue("83.14")).years(at: 0) == 83)
    #expect(RosterPatient(id: "p", age: DecimalValue("15.99")).years(at: 0) == 15)
    #expect(RosterPatient(id: "p").years(at: 0) == nil)
  }

  @Test func stateFallsBackToAdmitted() {
    let away = RosterPatient(id: "p", state: .offWard, stateUntil: 1000)
    #expect(away.state(at: 999) == .offWard)
    #expect(away.state(at: 1000) == .admitted)
    #expect(RosterPatient(id: "p", state: .discharged).state(at: .max) == .discharged)
  }

  @Test func canonicalTextRoundTripsAndForgetsTheOrderWritten() throws {
    let patients = [
      RosterPatient(
        id: "p-2", birthDay: -7000, sex: .female, unit: "ward \"7\"", bed: "12", flags: ["pregnant", "a"],
        state: .offWard, stateUntil: 1_795_214_280_123),
      RosterPatient(id: "p-1", age: DecimalValue("83.10")),
    ]
    let devices = [RosterDevice(id: "d-2", model: "M", tenant: "t"), RosterDevice(id: "d-1")]
    let assignments = [
      RosterAssignment(device: "d-1", patient: "p-2", from: 0, to: 1000, cadence: ["spo2": 1000, "hr": 250]),
      RosterAssignment(device: "d-1", patient: "p-1", from: 1000),
      RosterAssignment(device: "d-2", patient: "p-1", to: 0),
    ]
    let roster = try Roster(patients: patients, devices: devices, assignments: assignments)
    let same = try Roster(
      patients: patients.reversed(), devices: devices.reversed(), assignments: assignments.reversed())
    #expect(roster.canonicalJSON == same.canonicalJSON)
    let back = try Roster(canonicalJSON: roster.canonicalJSON)
    #expect(back == roster)
    #expect(back.canonicalJSON == roster.canonicalJSON)
    #expect(back.patients[0].age?.description == "83.10")
    #expect(try Roster(canonicalJSON: Roster().canonicalJSON) == Roster())
  }

  @Test(arguments: [
    "", "[]", "{}", #"{"patients":[{}],"devices":[],"assignments":[]}"#,
    #"{"patients":[{"id":"p","state":"gone"}],"devices":[],"assignments":[]}"#,
    #"{"patients":[],"devices":[],"assignments":[{"device":"d","patient":"p","from":"soon"}]}"#,
    #"{"patients":[],"devices":[],"assignments":[{"device":"d","patient":"p"}]}"#,
  ])
  func wrongCanonicalTextIsRefused(_ text: String) {
    #expect(throws: RosterError.self) { try Roster(canonicalJSON: text) }
  }

  private static func setting(_ from: Int64?, _ until: Int64?, patient: String = "p") -> RosterSetting {
    RosterSetting(
      patient: patient,
      setting: ParameterSetting(
        rule: "r", parameter: "limit", value: DecimalValue(mantissa: 88), author: "a", reason: "b", from: from,
        until: until))
  }

  @Test func settingsOfOneParameterNeverOverlap() throws {
    let patients = [RosterPatient(id: "p")]
    func problem(_ settings: [RosterSetting]) -> RosterError? {
      do throws(RosterError) {
        _ = try Roster(patients: patients, settings: settings)
        return nil
      } catch {
        return error
      }
    }
    #expect(problem([Self.setting(10, nil), Self.setting(nil, 10)]) == nil)
    #expect(
      problem([Self.setting(10, nil), Self.setting(nil, 11)]) == .overlappingSettings(rule: "r", parameter: "limit"))
    #expect(problem([Self.setting(10, 10)]) == .emptySetting(rule: "r", parameter: "limit"))
    #expect(problem([Self.setting(nil, nil, patient: "q")]) == .unknownSettingPatient("q"))
  }

  @Test func aJournalWithoutSettingsIsRead() throws {
    let text = #"{"patients":[],"devices":[],"assignments":[]}"#
    #expect(try Roster(canonicalJSON: text) == Roster())
  }

  @Test func completedMonths() {
    func months(_ text: String) -> Int? { DecimalValue(text).map { PatientFacts.completedMonths(ofYears: $0) } }
    #expect(months("0.25") == 3)
    #expect(months("0.58") == 7)
    #expect(months("0.99") == 11)
    #expect(months("5") == 60)
    #expect(PatientFacts.completedMonths(ofYears: DecimalValue(mantissa: .max)) == 12_000)
    var facts = PatientFacts(tenant: "t", patient: "p", birth: 0)
    #expect(facts.ageMonths(at: 2_629_745_999) == 0)
    #expect(facts.ageMonths(at: 2_629_746_000) == 1)
    #expect(facts.ageMonths(at: 31_556_952_000) == 12 && facts.age(at: 31_556_952_000) == 1)
    facts = PatientFacts(tenant: "t", patient: "p", ageYears: 4)
    #expect(facts.ageMonths(at: 0) == 48)
    #expect(PatientFacts(tenant: "t", patient: "p").ageMonths(at: 0) == nil)
  }
}
