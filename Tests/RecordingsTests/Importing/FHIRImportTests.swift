import TabularFormats
import Testing
import VitalModel

@testable import Recordings

@Suite struct FHIRImportTests {
  /// What `export --format fhir-ndjson` writes of simulated rows.
  func exported(_ rows: [FixtureRow]) -> String {
    func places(_ texts: [String]) -> [String] { Set(texts).sorted() }
    let names = ObservationNames(
      tenants: ["demo"], patients: places(rows.map(\.patient)), devices: places(rows.map(\.device)),
      sources: places(rows.map(\.source)), registry: codedRegistry)
    var writer = FHIRObservationWriter(names: names)
    for row in rows {
      guard let code = codedRegistry.code(row.key) else { continue }
      writer.append([
        ObservationRow(
          tenant: 0, patient: Int32(names.patients.firstIndex(of: row.patient) ?? 0),
          device: Int32(names.devices.firstIndex(of: row.device) ?? 0),
          source: row.source.isEmpty ? -1 : Int32(names.sources.firstIndex(of: row.source) ?? 0), code: code,
          time: row.time, ingestTime: row.time, value: row.value)
      ])
    }
    return String(decoding: writer.take(), as: UTF8.self)
  }

  @Test func whatExportWritesImportReadsBack() {
    let rows = FixtureRow.ward
    let imported = Imported(exported(rows), .fhir, block: 1000)
    #expect(imported.lines == rows.map(\.line))
    #expect(rows.count > 500 && Set(rows.map(\.key)).isSuperset(of: ["hr", "spo2", "sbp", "dbp"]))
    #expect(imported.refusals.isEmpty)
    // The other half of a panel with one pressure.
    #expect(imported.counts.omitted[.unknownCode] == nil && imported.counts.omitted[.otherKind] == nil)
  }

  func observation(
    _ value: String, code: String = #"{"system":"http://loinc.org","code":"8867-4"}"#, status: String = "final",
    subject: String = #""subject":{"reference":"Patient/p-1"},"#,
    time: String = #""effectiveDateTime":"2026-01-15T09:30:00+01:00","#
  ) -> String {
    #"{"resourceType":"Observation","status":"\#(status)",\#(subject)\#(time)"code":{"coding":[\#(code)]},\#(value)}"#
      + "\n"
  }

  @Test func anObservationOfAnotherProgramIsRead() {
    let imported = Imported(
      observation(
        #""valueQuantity":{"value":72.50,"unit":"beats/minute","system":"http://unitsofmeasure.org","code":"/min"}"#),
      .fhir)
    #expect(imported.lines == ["p-1,p-1,2026-01-15T08:30:00.000Z,hr,72.50,/min,"])
  }

  @Test func aPressurePanelGivesBothPressures() {
    func part(_ code: String, _ value: Int) -> String {
      #"{"code":{"coding":[{"system":"http://loinc.org","code":"\#(code)"}]},"valueQuantity":{"value":\#(value),"code":"mm[Hg]"}}"#
    }
    let imported = Imported(
      observation(
        #""component":[\#(part("8480-6", 120)),\#(part("8462-4", 80)),\#(part("1-1", 1))]"#,
        code: #"{"system":"http://loinc.org","code":"85354-9"}"#), .fhir)
    #expect(imported.values == ["sbp=120 mm[Hg]", "dbp=80 mm[Hg]"])
    #expect(imported.sink.unknown == ["1-1": 1])
  }

  @Test func aPanelsOwnValueIsReadBesideItsParts() {
    let part =
      #"{"code":{"coding":[{"system":"http://loinc.org","code":"2708-6"}]},"valueQuantity":{"value":97,"code":"%"}}"#
    let imported = Imported(
      observation(#""valueQuantity":{"value":72,"code":"/min"},"component":[\#(part)]"#), .fhir)
    #expect(imported.values == ["hr=72 /min", "spo2=97 %"])
  }

  @Test func aShareOfSaturationKeepsItsUnit() {
    let imported = Imported(
      observation(
        #""valueQuantity":{"value":0.93,"code":"1"}"#, code: #"{"system":"http://loinc.org","code":"2708-6"}"#),
      .fhir)
    #expect(imported.values == ["spo2=0.93 1"])
  }

  @Test func alertnessIsALetter() {
    let code = #"{"system":"http://loinc.org","code":"80288-4"}"#
    let imported = Imported(
      observation(#""valueCodeableConcept":{"text":"v"}"#, code: code)
        + observation(#""valueCodeableConcept":{"coding":[{"code":"U"}]}"#, code: code)
        + observation(#""valueCodeableConcept":{"text":"awake"}"#, code: code), .fhir)
    #expect(imported.values == ["consciousness=V {ACVPU}", "consciousness=U {ACVPU}"])
    #expect(imported.refusals == ["p1.txt:3: consciousness: malformed"])
  }

  @Test(arguments: ["entered-in-error", "cancelled"]) func whatWasWithdrawnIsPassedOver(status: String) {
    let imported = Imported(
      observation(#""valueQuantity":{"value":72,"code":"/min"}"#, status: status), .fhir)
    #expect(imported.lines.isEmpty)
    #expect(imported.counts.omitted == [.withdrawn: 1])
  }

  @Test func nothingIsGuessed() {
    let value = #""valueQuantity":{"value":72,"code":"/min"}"#
    let text =
      observation(#""valueQuantity":{"value":72}"#)
      + observation(#""valueQuantity":{"value":72,"code":"mm[Hg]"}"#)
      + observation(#""valueQuantity":{"value":72,"comparator":"<","code":"/min"}"#)
      + observation(#""valueQuantity":{"value":"72","code":"/min"}"#)
      + observation(#""valueQuantity":{"value":1234567890123456789012,"code":"/min"}"#)
      + observation(value, subject: "") + observation(value, time: "")
      + observation(value, time: #""effectiveDateTime":"2026-01-15","#)
      + observation(#""dataAbsentReason":{"text":"error"}"#)
      + observation(value, code: #"{"system":"urn:other","code":"8867-4"}"#)
      + #"{"resourceType":"Patient","name":[{"family":"Somebody"}]}"# + "\nnot json\n"
    let imported = Imported(text, .fhir, name: "f")
    #expect(imported.lines.isEmpty)
    #expect(
      imported.refusals == [
        "f:1: hr: unknown_unit", "f:2: hr: unknown_unit", "f:3: hr: malformed", "f:4: hr: malformed",
        "f:5: hr: malformed", "f:6: subject: malformed", "f:7: effective: malformed", "f:8: effective: malformed",
        "f:12: resource: malformed",
      ])
    #expect(imported.counts.omitted == [.notMeasured: 1, .unknownCode: 1, .otherKind: 1])
  }

  @Test func bundlesAreReadEntryByEntry() {
    let entry = observation(#""valueQuantity":{"value":72,"code":"/min"}"#).dropLast()
    let imported = Imported(
      #"{"resourceType":"Bundle","entry":[{"resource":\#(entry)},{"resource":\#(entry)},{}]}"#, .fhir)
    #expect(imported.values == ["hr=72 /min", "hr=72 /min"])
  }

  @Test func damageNeverTraps() {
    let text = exported(Array(FixtureRow.ward.prefix(3))) + observation(#""valueQuantity":{"value":7e1,"code":"/min"}"#)
    #expect(Imported.survive(Array(text.utf8), .fhir))
  }
}
