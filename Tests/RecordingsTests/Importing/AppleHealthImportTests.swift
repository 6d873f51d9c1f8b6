import Testing
import VitalModel

@testable import Recordings

@Suite struct AppleHealthImportTests {
  static let start = """
    <?xml version="1.0" encoding="UTF-8"?>
    <!DOCTYPE HealthData [
    <!-- Somebody's > export: <Record type="none"/> -->
    <!ELEMENT HealthData (ExportDate,Me,(Record|Correlation)*)>
    <!ATTLIST Record type CDATA #REQUIRED>
    ]>
    <HealthData locale="de_DE">
     <Me HKCharacteristicTypeIdentifierDateOfBirth="1970-01-01"/>

    """

  static let types: [String: (type: String, unit: String)] = [
    "hr": ("HeartRate", "count/min"), "resp": ("RespiratoryRate", "count/min"), "temp": ("BodyTemperature", "degC"),
    "sbp": ("BloodPressureSystolic", "mmHg"), "dbp": ("BloodPressureDiastolic", "mmHg"),
  ]

  static func record(
    _ type: String, _ value: String, _ unit: String, at time: String = "2020-01-01 00:00:00 +0000",
    source: String = "Anna’s Apple&#160;Watch", inside: String? = nil
  ) -> String {
    let tag =
      "<Record type=\"HKQuantityTypeIdentifier\(type)\" sourceName='\(source)' unit=\"\(unit)\" creationDate=\"\(time)\" "
      + "startDate=\"\(time)\"\n  endDate=\"\(time)\" value=\"\(value)\""
    return inside.map { tag + ">\($0)</Record>\n" } ?? tag + "/>\n"
  }

  static func export(_ records: String) -> String { start + records + "</HealthData>\n" }

  @Test func simulatedRowsComeBack() {
    let rows = FixtureRow.ward(of: Set(AppleHealthImportTests.types.keys))
    var text = ""
    for row in rows {
      guard let kind = AppleHealthImportTests.types[row.key] else { continue }
      let time = Timestamp.format(row.time)
      text += AppleHealthImportTests.record(
        kind.type, "\(row.value)", kind.unit, at: "\(time.prefix(10)) \(time.dropFirst(11).prefix(8)) +0000")
    }
    let expected = rows.map { row in
      "apple-health,watch-1,\(Timestamp.format(row.time / 1000 * 1000)),\(row.key),\(row.value),\(row.unit),"
    }
    for block in [13, 100_000] {
      let imported = Imported(AppleHealthImportTests.export(text), .appleHealth, block: block)
      #expect(imported.lines == expected)
      #expect(imported.error == nil && imported.refusals.isEmpty)
    }
    #expect(rows.count > 200)
  }

  func values(_ records: String) -> [String] { Imported(AppleHealthImportTests.export(records), .appleHealth).values }

  @Test func unitsAreThoseOfTheRegistry() {
    #expect(values(AppleHealthImportTests.record("OxygenSaturation", "0.97", "%")) == ["spo2=0.97 1"])
    #expect(values(AppleHealthImportTests.record("BodyTemperature", "98.6", "degF")) == ["temp=98.6 [degF]"])
    #expect(
      values(AppleHealthImportTests.record("BloodGlucose", "5.5", "mmol&lt;180.1558800000541&gt;/L"))
        == ["glucose=5.5 mmol/L"])
    #expect(values(AppleHealthImportTests.record("BodyMass", "150", "lb")) == ["weight=150 [lb_av]"])
  }

  @Test func recordsInsideACorrelationAreNotCountedTwice() {
    let both =
      AppleHealthImportTests.record("BloodPressureSystolic", "120", "mmHg")
      + AppleHealthImportTests.record("BloodPressureDiastolic", "80", "mmHg")
    let correlation = "<Correlation type=\"HKCorrelationTypeIdentifierBloodPressure\">\n\(both)</Correlation>\n"
    #expect(values(both + correlation) == ["sbp=120 mm[Hg]", "dbp=80 mm[Hg]"])
  }

  @Test func offsetsOfTimesCount() {
    let text = AppleHealthImportTests.record("HeartRate", "61.5", "count/min", at: "2026-03-29 03:30:00 +0530")
    let imported = Imported(AppleHealthImportTests.export(text), .appleHealth)
    #expect(imported.lines == ["apple-health,watch-1,2026-03-28T22:00:00.000Z,hr,61.5,/min,"])
  }

  @Test func nobodysNameComesOut() {
    let text = ["Anna’s Apple Watch", "Annas iPhone", "Omron", "Anna’s Apple Watch"].map {
      AppleHealthImportTests.record("HeartRate", "60", "count/min", source: $0)
    }
    let imported = Imported(AppleHealthImportTests.export(text.joined()), .appleHealth)
    #expect(imported.lines.map { $0.split(separator: ",")[1] } == ["watch-1", "phone-2", "app-3", "watch-1"])
    #expect(!imported.lines.joined().contains("Anna"))
  }

  @Test func otherRecordsArePassedOverAndWrongOnesRefused() {
    let text =
      AppleHealthImportTests.record("StepCount", "100", "count")
      + AppleHealthImportTests.record(
        "HeartRate", "60", "count/min", inside: "<MetadataEntry key=\"a>b\" value=\"Record\"/>")
      + AppleHealthImportTests.record("HeartRate", "60", "furlong")
      + AppleHealthImportTests.record("HeartRate", "sixty", "count/min")
      + AppleHealthImportTests.record("HeartRate", "60", "count/min", at: "yesterday")
    let imported = Imported(AppleHealthImportTests.export(text), .appleHealth, name: "e")
    #expect(imported.values == ["hr=60 /min"])
    #expect(imported.counts.omitted == [.otherKind: 1])
    #expect(
      imported.refusals == ["e:13: hr: unknown_unit", "e:15: hr: malformed", "e:17: startDate: malformed"])
  }

  @Test func aFileCutShortKeepsWhatCameBefore() {
    let text =
      AppleHealthImportTests.start + AppleHealthImportTests.record("HeartRate", "60", "count/min") + "<Record type=\"HK"
    let imported = Imported(text, .appleHealth, name: "e")
    #expect(imported.values == ["hr=60 /min"])
    #expect(imported.error?.description.hasSuffix("cut short? read up to line 11") == true)
    let other = Imported("<html></html>", .appleHealth, name: "e").error
    #expect(other?.description == "e: not an export of Apple Health; expected XML with <HealthData>")
  }

  @Test func aTagWithoutEndTakesNoMemory() {
    let long = "<Record type=\"" + String(repeating: "x", count: MarkupScanner.longest + 10) + "\"/>"
    let text = AppleHealthImportTests.export(long + AppleHealthImportTests.record("HeartRate", "60", "count/min"))
    let imported = Imported(text, .appleHealth, name: "e", block: 100_000)
    #expect(imported.counts.refused == [.oversize: 1])
    #expect(imported.values == ["hr=60 /min"])
  }

  @Test func damageNeverTraps() {
    let text = AppleHealthImportTests.export(
      AppleHealthImportTests.record("HeartRate", "60", "count/min", source: "a&#x41;&amp;&bad;&#xFFFFFF;")
        + AppleHealthImportTests.record("BodyMass", "150", "lb"))
    #expect(Imported.survive(Array(text.utf8), .appleHealth, count: 60))
  }
}
