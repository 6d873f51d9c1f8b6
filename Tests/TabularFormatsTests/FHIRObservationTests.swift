import Foundation
import Testing
import VitalModel

@testable import TabularFormats

@Suite struct FHIRObservationTests {
  private func lines(_ messages: [[ObservationRow]]) -> [String] {
    var writer = FHIRObservationWriter(names: Examples.names)
    for rows in messages { writer.append(rows) }
    let text = String(decoding: writer.take(), as: UTF8.self)
    #expect(text.isEmpty || text.hasSuffix("\n"))
    let lines = text.split(separator: "\n").map(String.init)
    #expect(lines.count == writer.lines)
    return lines
  }

  private func object(_ rows: [ObservationRow]) throws -> [String: Any] {
    let line = try #require(lines([rows]).first)
    return try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
  }

  @Test func aSampleIsExactlyThisLine() {
    var row = Examples.row("hr", "72.0", unit: 1, source: 0)
    row.quality = SampleQuality(raw: 9300)
    row.flags = [.simulated]
    let expected =
      #"{"resourceType":"Observation","meta":{"security":[{"system":"http://terminology.hl7.org/CodeSystem/v3-ActReason","#
      + #""code":"HTEST","display":"test health data"}],"tag":[{"system":"urn:vigil:tag","code":"simulated","#
      + #""display":"simulated"}]},"identifier":[{"system":"urn:vigil:sample","#
      + #""value":"demo/p-1/d-9/hr/pleth/1767225600123"}],"status":"final","category":[{"coding":[{"system":"#
      + #""http://terminology.hl7.org/CodeSystem/observation-category","code":"vital-signs","display":"Vital Signs"}]}],"#
      + #""code":{"coding":[{"system":"http://loinc.org","code":"8867-4"}],"text":"Heart rate"},"subject":{"type":"#
      + #""Patient","identifier":{"system":"urn:vigil:patient:demo","value":"p-1"}},"effectiveDateTime":"#
      + #""2026-01-01T00:00:00.123Z","issued":"2026-01-01T00:00:00.373Z","valueQuantity":{"value":72.0,"unit":"/min","#
      + #""system":"http://unitsofmeasure.org","code":"/min"},"method":{"text":"pleth"},"device":{"type":"Device","#
      + #""identifier":{"system":"urn:vigil:device","value":"d-9"}},"note":[{"text":"hr: quality 0.93 of 1"}]}"#
    #expect(lines([[row]]) == [expected])
  }

  @Test func noNumberIsRounded() throws {
    for (text, unit, number, code) in [
      ("0.930", UInt8(1), "93.0", "%"), ("1", 1, "100", "%"), ("91", 0, "91", "%"),
      ("0.123456789012345678", 0, "0.123456789012345678", "%"),
    ] {
      let line = try #require(lines([[Examples.row("spo2", text, unit: unit)]]).first)
      #expect(line.contains(#""valueQuantity":{"value":\#(number),"unit":"\#(code)""#), "\(line)")
    }
    // By its UCUM code, whichever name of the unit was sent.
    let line = try #require(lines([[Examples.row("temp", "98.60", unit: 2)]]).first)
    #expect(line.contains(#""value":98.60,"unit":"[degF]","system":"http://unitsofmeasure.org","code":"[degF]""#))
  }

  @Test func bothPressuresAreOnePanel() throws {
    let rows = [
      Examples.row("dbp", "80", source: 1), Examples.row("hr", "72"), Examples.row("sbp", "120", source: 1),
    ]
    let made = lines([rows])
    #expect(made.count == 2)
    let panel = try #require(made.first { $0.contains("85354-9") })
    #expect(panel.contains("demo/p-1/d-9/bp/cuff/1767225600123"))
    let first = try #require(panel.range(of: #""code":"8480-6""#)?.lowerBound)
    let second = try #require(panel.range(of: #""code":"8462-4""#)?.lowerBound)
    #expect(first < second && panel.contains(#""value":120,"#) && panel.contains(#""value":80,"#))
    #expect(!panel.contains("dataAbsentReason"))
    // One alone, or of another source: its own panel, the other part absent.
    let apart = lines([[Examples.row("sbp", "120", source: 1), Examples.row("dbp", "70", source: 0)]])
    #expect(apart.count == 2 && apart.allSatisfy { $0.contains(#""code":"unknown""#) })
  }

  private func identifier(_ line: String) throws -> String {
    let made = try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
    return try #require((made["identifier"] as? [[String: String]])?.first?["value"])
  }

  @Test func pressuresOfSeveralMessagesAreOnePanel() throws {
    let systolic = Examples.row("sbp", "120", source: 1)
    var late = Examples.row("dbp", "80", source: 1)
    late.ingestTime += 60_000
    let alone = try #require(lines([[systolic]]).first)
    let made = lines([[late, systolic]])
    #expect(made.count == 1 && !made[0].contains("dataAbsentReason"))
    #expect(made[0].contains(#""status":"final""#) && made[0].contains(#""issued":"2026-01-01T00:01:00.373Z""#))
    // The panel takes the place of what was handed on before its other half came.
    #expect(try identifier(made[0]) == identifier(alone))
  }

  @Test func aCorrectedPressureStaysInItsPanel() throws {
    var old = Examples.row("sbp", "210", source: 1)
    old.isSuperseded = true
    var new = Examples.row("sbp", "120", source: 1)
    new.ingestTime += 60_000
    new.flags = [.corrected]
    let other = Examples.row("dbp", "80", source: 1)
    let current = lines([[other, new]])
    #expect(current.count == 1 && current[0].contains(#""status":"corrected""#))
    #expect(current[0].contains(#""value":120,"#) && current[0].contains(#""value":80,"#))
    let all = lines([[other, old, new]])
    #expect(all.count == 2 && all.filter { $0 == current[0] }.count == 1)
    let gone = try #require(all.first { $0 != current[0] })
    #expect(gone.contains(#""status":"entered-in-error""#) && gone.contains(#""value":210,"#))
    #expect(!gone.contains(#""value":80,"#))
    #expect(try identifier(gone) == identifier(current[0]) + "/superseded-1767225600373")
  }

  /// Every moment a store can give of two pressures and a pulse with up to three values each, received apart or at once.
  @Test func noTwoLinesHaveOneIdentifier() throws {
    for choice in 0..<512 {
      var rows = [Examples.row("sbp", "119", source: 0)]
      for (place, key) in ["dbp", "hr", "sbp"].enumerated() {
        let bits = choice >> (3 * place)
        let count = bits & 3
        for index in 0..<count {
          var row = Examples.row(key, "\(60 + index)", source: 1)
          if bits & 4 != 0 { row.ingestTime += Int64(index) * 1000 }
          row.isSuperseded = index < count - 1
          if index > 0 { row.flags = [.corrected] }
          rows.append(row)
        }
      }
      let names = try lines([rows]).map(identifier)
      #expect(Set(names).count == names.count, "choice \(choice)")
      // And in force the same ones however often values were corrected.
      let current = try lines([rows.filter { !$0.isSuperseded }]).map(identifier)
      #expect(Set(current) == Set(names.filter { !$0.contains("superseded") }), "choice \(choice)")
    }
  }

  @Test func whatTheSensorCannotHaveMeasuredHasNoValue() throws {
    var row = Examples.row("spo2", "40")
    row.statusRaw = SampleStatus.leadOff.rawValue
    let made = try object([row])
    #expect(made["valueQuantity"] == nil && made["dataAbsentReason"] != nil)
    let note = try #require((made["note"] as? [[String: String]])?.first?["text"])
    #expect(note == "spo2: the device said lead-off and sent 40 %")
  }

  @Test func aCorrectionKeepsTheIdentifierAndTheOldValueLosesIt() throws {
    var old = Examples.row("hr", "172")
    old.isSuperseded = true
    var new = Examples.row("hr", "72")
    new.flags = [.corrected]
    let made = try [object([old]), object([new]), object([Examples.row("hr", "72")])]
    #expect(made.map { $0["status"] as? String } == ["entered-in-error", "corrected", "final"])
    let names = made.map { (($0["identifier"] as? [[String: String]])?.first?["value"]) ?? "" }
    #expect(names[1] == names[2] && names[0] == names[1] + "/superseded-1767225600373")
  }

  @Test func lettersAreConceptsAndOwnVitalsHaveOwnCodes() throws {
    let letter = try object([Examples.row("consciousness", "2")])
    #expect((letter["valueCodeableConcept"] as? [String: String])?["text"] == "V")
    let own = try #require(lines([[Examples.row("own", "1")]]).first)
    #expect(own.contains(#""system":"urn:vigil:vital","code":"own""#))
  }

  @Test func nothingIsNoLine() { #expect(lines([[]]).isEmpty) }
}
