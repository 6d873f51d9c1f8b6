import Testing
import VitalModel

@testable import Recordings

@Suite struct TableImportTests {
  // MARK: PhysioNet 2019

  static let header = "HR|O2Sat|Temp|SBP|MAP|DBP|Resp|EtCO2|FiO2|Glucose|Lactate|Age|Gender|ICULOS|SepsisLabel"

  @Test func aSimulatedPatientComesBackFromItsHours() {
    let rows = FixtureRow.ward(of: ["hr"]).filter { $0.patient == FixtureRow.ward[0].patient }.prefix(40)
    var text = TableImportTests.header + "\n"
    for (hour, row) in rows.enumerated() {
      text += "\(row.value)|NaN|NaN|NaN|NaN|NaN|NaN|NaN|NaN|NaN|NaN|70|1|\(hour + 3)|0\n"
    }
    let imported = Imported(text, .psv, name: "a/b/p7.psv")
    let expected = rows.enumerated().map { hour, row in
      "p7,p7,\(Timestamp.format(epoch + Int64(hour) * 3_600_000)),hr,\(row.value),/min,"
    }
    #expect(imported.lines == expected)
    #expect(expected.count == 40)
    #expect(imported.refusals.isEmpty)
  }

  @Test func everyVitalOfTheChallengeHasItsKeyAndUnit() {
    let imported = Imported(
      TableImportTests.header + "\n97|95|36.10|98|75.33|60|19|33|0.5|127|1.80|83.14|0|1|0\n", .psv)
    #expect(
      imported.values == [
        "hr=97 /min", "spo2=95 %", "temp=36.10 Cel", "sbp=98 mm[Hg]", "map=75.33 mm[Hg]", "dbp=60 mm[Hg]",
        "resp=19 /min", "etco2=33 mm[Hg]", "glucose=127 mg/dL", "lactate=1.80 mmol/L",
      ])
    #expect(imported.sink.unknown.isEmpty)
  }

  func labels(_ marks: [Int]) -> [String] {
    var text = "HR|ICULOS|SepsisLabel\n"
    for (hour, mark) in marks.enumerated() { text += "80|\(hour + 1)|\(mark)\n" }
    return Imported(text, .psv).sink.labels.map { "\($0.label) \(($0.onset - epoch) / 3_600_000)" }
  }

  @Test func onsetIsSixHoursBehindASwitchInsideTheRecord() {
    #expect(labels([0, 0, 1, 1]) == ["sepsis_label_on 2", "sepsis_onset 8"])
    #expect(labels([1, 1]) == ["sepsis_label_on 0"])
    #expect(labels([0, 0]) == [])
  }

  @Test func hoursWithGapsKeepTheirPlace() {
    let imported = Imported("HR|ICULOS\n80|5\n81|6\n82|9\n", .psv)
    #expect(
      imported.lines.map { $0.split(separator: ",")[2].prefix(13) } == [
        "2020-01-01T00", "2020-01-01T01", "2020-01-01T04",
      ])
  }

  @Test func peopleAreCollectedOnlyWhenAsked() {
    let text = "HR|Age|Gender|ICULOS\n80|NaN|1|1\n80|70.5|1|2\n"
    var options = ImportOptions()
    #expect(Imported(text, .psv, options: options).sink.people.isEmpty)
    options.wantsPeople = true
    #expect(
      Imported(text, .psv, name: "p.psv", options: options).sink.people == [
        ImportedPerson(patient: "p", ageYears: "70.5", sex: "1", rows: 2)
      ])
  }

  @Test func aSepsisLabelMayHaveDecimals() {
    let imported = Imported("HR|ICULOS|SepsisLabel\n80|1|0.0\n80|2|1.0\n80|3|1.4\n", .psv, name: "p.psv")
    #expect(imported.sink.labels.map(\.label) == ["sepsis_label_on", "sepsis_onset"])
    #expect(Imported("HR|ICULOS|SepsisLabel\n80|1|0.6\n", .psv, name: "p.psv").sink.labels.isEmpty)
  }

  @Test func columnsOfTheMapThatNoFileHasAreKnown() {
    var options = ImportOptions()
    _ = options.columns.add(argument: "HR=hr")
    _ = options.columns.add(argument: "Pulse=pr")
    #expect(Imported("HR|ICULOS\n80|1\n", .psv, name: "p.psv", options: options).sink.columnsMissed == ["pulse"])
  }

  @Test func refusalsSayWhereAndNeverWhat() {
    let imported = Imported("HR|ICULOS\n8x|1\n80|NaN\n80\n1e99|2\n80|3\n", .psv, name: "q.psv")
    #expect(
      imported.refusals == [
        "q.psv:2: HR: malformed", "q.psv:3: ICULOS: malformed", "q.psv:4: row: malformed", "q.psv:5: HR: malformed",
      ])
    #expect(imported.counts.samples == 1)
    #expect(imported.counts.refused == [.malformed: 4])
  }

  @Test func aTableWithoutHoursIsRefusedAsAWhole() {
    #expect(Imported("HR|Temp\n80|36\n", .psv, name: "f").error == .missingColumn(file: "f", name: "ICULOS"))
    #expect(Imported("", .psv, name: "f").error?.description.contains("expected a header such as HR|") == true)
  }

  // MARK: VitalDB

  static let tracks = ["hr": "Solar8000/HR", "spo2": "Solar8000/PLETH_SPO2", "pr": "Solar8000/PLETH_HR"]

  @Test func aSimulatedWardComesBackFromItsTracks() {
    for patient in Set(FixtureRow.ward.map(\.patient)).sorted() {
      let rows = FixtureRow.ward(of: Set(TableImportTests.tracks.keys)).filter { $0.patient == patient }
      var text = "Time," + TableImportTests.tracks.values.sorted().joined(separator: ",") + "\n"
      var expected: [String] = []
      for row in rows {
        let cells = TableImportTests.tracks.sorted { $0.value < $1.value }.map {
          $0.key == row.key ? "\(row.value)" : ""
        }
        text += "\(DecimalValue(mantissa: row.time - epoch, exponent: -3)),\(cells.joined(separator: ","))\n"
        expected.append("\(Timestamp.format(row.time)) \(row.key)=\(row.value) \(row.unit)")
      }
      let imported = Imported(text, .vitalDB, name: "\(patient).csv")
      let found = imported.lines.map { line in
        let cells = line.split(separator: ",", omittingEmptySubsequences: false)
        return "\(cells[2]) \(cells[3])=\(cells[4]) \(cells[5])"
      }
      #expect(found == expected)
      #expect(expected.count > 100)
      #expect(imported.lines.allSatisfy { $0.hasPrefix("\(patient),") })
    }
  }

  @Test func pressuresOfTheLineAreNotThoseOfTheCuff() {
    let imported = Imported(
      "Time,Solar8000/ART_SBP,Solar8000/NIBP_SBP,SNUADC/ECG_II\n0,120,118,0.2\n2,NaN,,0.3\n", .vitalDB)
    #expect(imported.values == ["abp_sys=120 mm[Hg]", "sbp=118 mm[Hg]"])
    #expect(imported.lines.map { $0.split(separator: ",").last } == ["art", "cuff"])
    #expect(imported.sink.unknown == ["SNUADC/ECG_II": 2])
  }

  @Test func aMapOfTheCallersOwnStandsFirst() {
    var options = ImportOptions()
    let isUnderstood = ["Solar8000/BT=temp:[degF]", "MY_HR=hr"].map { options.columns.add(argument: $0) }
    #expect(isUnderstood == [true, true])
    let imported = Imported("time,Solar8000/BT,MY_HR\n1.5,98.60,61\n", .vitalDB, options: options)
    #expect(imported.values == ["temp=98.60 [degF]", "hr=61 /min"])
    options.columns.targets["my_hr"] = .init(key: "hr", unit: "furlong")
    #expect(
      Imported("time,MY_HR\n1,61\n", .vitalDB, options: options).error
        == .badMapping(column: "my_hr", key: "hr", unit: "furlong"))
  }

  @Test func damageNeverTraps() {
    let psv = TableImportTests.header + "\n97|95|36.1|98|75.33|60|19|33|0.5|127|1.8|83.14|0|1|0\n"
    #expect(Imported.survive(Array(psv.utf8), .psv))
    let table = "Time,Solar8000/HR,\"Solar8000/BT\"\r\n0,60,36.5\r\n1e17,61,\n2,-0.0,NaN\n"
    #expect(Imported.survive(Array(table.utf8), .vitalDB))
  }

  @Test func hugeTimesAreRefused() {
    #expect(Imported("HR|ICULOS\n80|1\n80|1e17\n80|-1e17\n", .psv).counts.refused == [.malformed: 2])
    #expect(Imported("Time,Solar8000/HR\n1e15,60\n-1e17,60\n", .vitalDB).counts.refused == [.malformed: 2])
  }
}
