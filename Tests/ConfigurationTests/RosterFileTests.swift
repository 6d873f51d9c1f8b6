import Configuration
import Testing
import VitalModel
import YAMLText

@Suite struct RosterFileTests {
  private func problems(_ text: String) throws -> [String] {
    let registry = try RulesFolder.registry()
    do throws(TextProblems) {
      _ = try RosterFile.parseAny(text, file: "r", registry: registry)
      return []
    } catch {
      return error.all.map(\.description)
    }
  }

  @Test func readsEverything() throws {
    let text = """
      patients:
        - { id: p-017, birth_date: 1950-12-31, sex: female, unit: ward-7, bed: 12, flags: [spo2-scale-2, dnr] }
        - { id: p-018, age: 83.1, state: off-ward, state_until: 2026-11-20T12:00:00+01:00 }
      devices:
        - { id: d-9, model: M540, tenant: north, gateway: gw-1 }
        - { id: d-10 }
      assignments:
        - { device: d-9, patient: p-017, from: 2026-11-20T08:00:00Z, to: 2026-11-20T12:00:00Z }
        - { device: d-9, patient: p-018, from: 2026-11-20T12:00:00Z, cadence: { spo2: 1s, SBP: 15m } }
      """
    let roster = try RosterFile.parse(text, file: "r", registry: try RulesFolder.registry())
    let first = try #require(roster.patientIndex("p-017").map { roster.patients[$0] })
    #expect(first.birthDay == Timestamp.days(year: 1950, month: 12, day: 31))
    #expect(first.bed == "12")
    #expect(first.flags == ["dnr", "spo2-scale-2"])
    let second = try #require(roster.patientIndex("p-018").map { roster.patients[$0] })
    #expect(second.age?.description == "83.1")
    #expect(second.state == .offWard)
    #expect(second.stateUntil.map(Timestamp.format) == "2026-11-20T11:00:00.000Z")
    #expect(roster.gateways(ofPatient: "p-017") == ["d-9": "gw-1"])
    #expect(roster.gateways(ofPatient: "p-018") == ["d-9": "gw-1"])
    let noon = try #require(Timestamp.parse("2026-11-20T12:00:00Z"))
    #expect(roster.patient(forDevice: "d-9", tenant: "north", at: noon) == roster.patientIndex("p-018"))
    #expect(roster.patient(forDevice: "d-9", tenant: "north", at: noon - 1) == roster.patientIndex("p-017"))
    #expect(roster.patient(forDevice: "d-9", tenant: "south", at: noon) == nil)
    #expect(roster.cadence(forDevice: "d-9", tenant: "north", key: "sbp", at: noon) == 900_000)
    #expect(try Roster(canonicalJSON: roster.canonicalJSON) == roster)
  }

  @Test func overlapNamesBothPlaces() throws {
    let text = """
      patients: [{ id: p }, { id: q }]
      assignments:
        - { device: d, patient: p, from: 2026-01-01T00:00:00Z, to: 2026-03-01T00:00:00Z }
        - { device: d, patient: q, from: 2026-04-01T00:00:00Z }
        - { device: d, patient: q, from: 2026-02-01T00:00:00Z, to: 2026-02-02T00:00:00Z }
      """
    #expect(
      try problems(text) == ["r:5:5: this assignment of device `d` overlaps the one at line 3, column 5"])
  }

  @Test func everyMistakeAtOnce() throws {
    let text = """
      patients:
        - { id: p-1, age: 150, sex: femal }
        - { id: p-1 }
        - { id: p-2, birth_date: 1950-02-31, age: 3, flags: [spo2-scale2], state_until: 2026-01-01T00:00:00Z }
      devices: [{ id: d-100 }, { id: a/b }]
      assignments:
        - { device: d-101, patient: p-3 }
        - { device: d-100, patient: p-1, from: 2026-01-02T00:00:00Z, to: 2026-01-01T00:00:00Z }
        - { device: d-100, patient: p-1, cadence: { sp2: 1s, hr: 1 } }
      """
    #expect(
      try problems(text) == [
        "r:2:21: `age` must be a number of years from 0 to 130, not `150`",
        "r:2:31: `sex` must be one of female, male, other, not `femal`; did you mean `female`?",
        "r:3:7: patient `p-1` is given twice, first at line 2",
        "r:4:28: `birth_date` must be a date such as 1950-12-31, not `1950-02-31`",
        "r:4:40: give either `birth_date` or `age`",
        "r:4:56: flag `spo2-scale2` is not known, but nearly; did you mean `spo2-scale-2`?",
        "r:4:70: `state_until` needs `state`",
        "r:5:32: `id` must be an id of 1 to 128 characters without spaces, `/`, `+` or `#`, not `a/b`",
        "r:7:15: no device `d-101` in the list of devices; did you mean `d-100`?",
        "r:7:31: no patient `p-3` in the list of patients; did you mean `p-1`?",
        "r:8:64: the assignment ends before it begins",
        "r:9:47: no vital sign is called `sp2`; did you mean `spo2`?",
        "r:9:60: `hr` must be a duration such as 250ms, 15s, 10m, 12h or 7d from 1ms to 1w, not `1`",
      ])
  }

  @Test func emptyRoster() throws {
    #expect(try RosterFile.parse("", file: "r") == Roster())
    #expect(try problems("patient: []") == ["r:1:1: unknown key `patient` in roster; did you mean `patients`?"])
  }

  @Test func patientsOfADataSet() throws {
    let text = """
      patient_id,subject,age_years,sex,unit,rows
      b_02,s1,83.14,F,"CSRU, east",72
      b_01,s2,,M,,481
      b_03,s3,300,1,MICU,5

      """
    let roster = try RosterFile.parseAny(text, file: "patients.csv")
    #expect(roster.patients.map(\.id) == ["b_01", "b_02", "b_03"])
    #expect(roster.patients.map(\.sex) == [.male, .female, nil])
    #expect(roster.patients.map { $0.age?.description } == [nil, "83.14", nil])
    #expect(roster.patients.map(\.unit) == [nil, "CSRU, east", "MICU"])
    #expect(roster.patient(forDevice: "b_02", tenant: "any", at: 0) == 1)
    let behind = try RosterFile.parseAny("patient_id,gateway\na,gw-1\nb,\n", file: "patients.csv")
    #expect(behind.devices.map(\.gateway) == ["gw-1", nil])
    let windows = try RosterFile.parseAny("patient_id,rows\r\na,1\r\nb,2\r\n", file: "patients.csv")
    #expect(windows.patients.map(\.id) == ["a", "b"])
  }

  @Test func wrongPatientsTables() throws {
    #expect(
      try problems("patient_id,sex\na,F\na,M\nb\n c d,F\n") == [
        "r:3:1: patient `a` is given twice, first at line 2",
        "r:4:1: 1 fields in a table of 2 columns",
        "r:5:1: `patient_id` must be an id without spaces, `/`, `+` or `#`",
      ])
    do throws(TextProblems) {
      _ = try RosterFile.parseCSV("id,sex\n", file: "r")
      Issue.record("accepted")
    } catch {
      #expect(error.description == "r:1:1: no column `patient_id`")
    }
  }

  // MARK: Settings

  private static func rules() -> [RuleDefinition] {
    var rule = RuleDefinition()
    rule.id = "spo2-low"
    rule.parameters = [
      RuleParameter(
        name: "limit", value: DecimalValue(mantissa: 90), lowest: DecimalValue(mantissa: 80),
        highest: DecimalValue(mantissa: 95), unit: "%"),
      RuleParameter(
        name: "hold", value: DecimalValue(mantissa: 15_000), lowest: DecimalValue(mantissa: 0),
        highest: DecimalValue(mantissa: 60_000), unit: ""),
      RuleParameter(
        name: "free", value: DecimalValue(mantissa: 1), lowest: nil, highest: DecimalValue(mantissa: 9), unit: ""),
    ]
    return [rule]
  }

  private func settingProblems(_ fields: String) -> [String] {
    let text = "patients: [{ id: p }]\nsettings:\n  - { \(fields) }\n"
    do throws(TextProblems) {
      _ = try RosterFile.parse(text, file: "r", rules: RosterFileTests.rules())
      return []
    } catch {
      return error.all.map(\.description)
    }
  }

  @Test func readsSettings() throws {
    let text = """
      patients: [{ id: p }, { id: q }]
      settings:
        - patient: p
          rule: spo2-low
          parameter: limit
          value: 88
          author: dr-a
          reason: known COPD
          from: 2026-11-20T08:00:00Z
          until: 2026-11-27T08:00:00Z
        - { patient: p, rule: spo2-low, parameter: limit, value: 86, author: dr-b, reason: worse, from: 2026-11-27T08:00:00Z }
        - { patient: p, rule: spo2-low, parameter: hold, value: 30s, author: dr-a, reason: movement }
      """
    let roster = try RosterFile.parse(text, file: "r", rules: RosterFileTests.rules())
    let settings = roster.settings(ofPatient: "p")
    #expect(settings.map(\.parameter) == ["hold", "limit", "limit"])
    #expect(settings.map(\.value) == [30_000, 88, 86].map { DecimalValue(mantissa: $0) })
    #expect(settings.map(\.author) == ["dr-a", "dr-a", "dr-b"])
    #expect(settings[1].reason == "known COPD")
    let change = try #require(Timestamp.parse("2026-11-27T08:00:00Z"))
    #expect(settings[1].isInForce(at: change - 1) && !settings[1].isInForce(at: change))
    #expect(settings[2].isInForce(at: change))
    #expect(roster.settings(ofPatient: "q").isEmpty)
    let back = try Roster(canonicalJSON: roster.canonicalJSON)
    #expect(back == roster && back.canonicalJSON == roster.canonicalJSON)
  }

  @Test(
    "what is wrong with a setting is told with its place",
    arguments: [
      ("patient: p, rule: spo2-low, parameter: limit, value: 88, author: a, reason: r", []),
      ("patient: p, rule: spo2-low, parameter: limit, value: 88, author: a", ["r:3:5: a setting needs `reason`"]),
      (
        "patient: p, rule: spo2-low, parameter: limit, value: 88, author: \" \", reason: r",
        ["r:3:72: `author` in a setting is empty"]
      ),
      (
        "patient: q, rule: spo2-low, parameter: limit, value: 88, author: a, reason: r",
        ["r:3:16: no patient `q` in the list of patients; did you mean `p`?"]
      ),
      (
        "patient: p, rule: spo2-lov, parameter: limit, value: 88, author: a, reason: r",
        ["r:3:25: no rule `spo2-lov` is in force; did you mean `spo2-low`?"]
      ),
      (
        "patient: p, rule: spo2-low, parameter: limt, value: 88, author: a, reason: r",
        ["r:3:46: rule `spo2-low` has no parameter `limt`; did you mean `limit`?"]
      ),
      (
        "patient: p, rule: spo2-low, parameter: limit, value: 79, author: a, reason: r",
        ["r:3:60: `limit` 79 is below its minimum 80 %"]
      ),
      (
        "patient: p, rule: spo2-low, parameter: hold, value: 2m, author: a, reason: r",
        ["r:3:59: `hold` 120000 is above its maximum 60000"]
      ),
      (
        "patient: p, rule: spo2-low, parameter: free, value: 2, author: a, reason: r",
        ["r:3:59: `free` of rule `spo2-low` has no bounds (`min`, `max`), so it cannot be set for a patient"]
      ),
      (
        "patient: p, rule: spo2-low, parameter: limit, value: low, author: a, reason: r",
        ["r:3:60: `value` must be a number or a duration, not `low`"]
      ),
      (
        "patient: p, rule: spo2-low, parameter: limit, value: 88, author: a, reason: r, from: 2026-01-02T00:00:00Z, "
          + "until: 2026-01-01T00:00:00Z", ["r:3:114: the setting ends before it begins"]
      ),
      (
        "patient: p, rule: spo2-low, parameter: limit, value: 88, author: a, reason: r, untill: 2026-01-01T00:00:00Z",
        ["r:3:86: unknown key `untill` in a setting; did you mean `until`?"]
      ),
    ])
  func wrongSettings(fields: String, says: [String]) { #expect(settingProblems(fields) == says) }

  @Test func overlappingSettingsNameBothPlaces() {
    let one = "{ patient: p, rule: spo2-low, parameter: limit, value: 88, author: a, reason: r }"
    let text = "patients: [{ id: p }]\nsettings:\n  - \(one)\n  - \(one)\n"
    let problems: [String]
    do throws(TextProblems) {
      _ = try RosterFile.parse(text, file: "r")
      problems = []
    } catch {
      problems = error.all.map(\.description)
    }
    #expect(problems == ["r:4:5: this setting of `limit` overlaps the one at line 3, column 5"])
  }
}
