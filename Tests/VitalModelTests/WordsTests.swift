import Foundation
import Testing
import VitalModel

@Suite struct JSONTextTests {
  @Test func escapes() throws {
    var out = JSONText()
    let nasty = "a\"b\\c\n\r\t\u{0}\u{1f}\u{7f}é🫀/"
    out.object { $0.field("k\"", nasty) }
    #expect(out.text == "{\"k\\\"\":\"a\\\"b\\\\c\\n\\r\\t\\u0000\\u001f\u{7f}é🫀/\"}")
    let back = try #require(try JSONSerialization.jsonObject(with: Data(out.bytes)) as? [String: String])
    #expect(back == ["k\"": nasty])
  }

  @Test func commasAndNesting() {
    var out = JSONText()
    out.object { root in
      root.array("empty") { _ in }
      root.object("none") { _ in }
      root.array("list") { list in
        list.element("a")
        list.object { $0.field("n", 1) }
        list.array { $0.element("b") }
        list.rawElement("2")
      }
      root.field("last", true)
    }
    #expect(out.text == #"{"empty":[],"none":{},"list":["a",{"n":1},["b"],2],"last":true}"#)
  }

  @Test func absentValuesAreNull() {
    var out = JSONText()
    out.object {
      $0.field("a", String?.none)
      $0.field("b", Int?.none)
      $0.field("c", Double.nan)
      $0.field("d", Double.infinity)
      $0.field("e", DecimalValue?.none)
    }
    #expect(out.text == #"{"a":null,"b":null,"c":null,"d":null,"e":null}"#)
  }

  @Test func numbersReadBack() throws {
    var generator = SeededGenerator(seed: 4)
    for _ in 0..<5000 {
      let value = Double(bitPattern: generator.next())
      guard value.isFinite, abs(value) < 1e300, abs(value) > 1e-300 else { continue }
      var out = JSONText()
      out.object { $0.field("v", value) }
      let text = out.text.dropFirst(5).dropLast()
      #expect(Double(text) == value)
    }
    var out = JSONText()
    out.object {
      $0.field("whole", 72.0)
      $0.field("decimal", DecimalValue("72.0"))
    }
    #expect(out.text == #"{"whole":72,"decimal":72.0}"#)
  }
}

@Suite struct AlertWordsTests {
  @Test func prioritiesAreOrderedAndNamed() {
    #expect(Priority.allCases.sorted() == [.info, .low, .medium, .high])
    #expect(Priority.allCases.map(\.text) == ["info", "low", "medium", "high"])
    for priority in Priority.allCases { #expect(Priority(text: priority.text) == priority) }
    #expect(Priority(text: "urgent") == nil)
    #expect(Priority.medium.raised == .high)
    #expect(Priority.high.raised == .high)
  }

  @Test func documentKeysStandInTheContractsOrder() throws {
    var alert = AlertDocument()
    alert.alertID = "a-1"
    alert.value = DecimalValue("86")
    alert.suppressed = AlertDocument.Suppressed(stage: .silence, by: "s-1", until: 1000)
    let keys = [
      "alert_id", "sequence", "tenant", "patient", "device", "rule", "priority", "kind", "phase", "state", "onset_time",
      "detected_time", "code", "value", "unit", "limit", "duration_s", "message", "location", "sources", "members",
      "unverified", "verification", "attempt_level", "respond_by", "still_active", "retrospective", "simulated",
      "suppressed", "acknowledgement", "explain",
    ]
    var rest = alert.json[...]
    for key in keys {
      let found = try #require(rest.range(of: "\"\(key)\":"), "\(key) is missing or out of order")
      rest = rest[found.upperBound...]
    }
    #expect(
      alert.json.contains(
        #""suppressed":{"reason":"silence","by":"s-1","until":"1970-01-01T00:00:01.000Z","release":""#))
    #expect(try JSONSerialization.jsonObject(with: Data(alert.json.utf8)) is [String: Any])
  }
}

@Suite struct SampleWordsTests {
  @Test func slotFitsOneCacheLine() {
    #expect(MemoryLayout<Slot>.stride == 64)
  }

  @Test func statusWords() {
    for status in SampleStatus.allCases { #expect(SampleStatus(text: status.text) == status) }
    #expect(SampleStatus(text: "off") == nil)
    #expect(SampleStatus.allCases.filter(\.isSensorOff) == [.leadOff, .searching, .calibrating])
  }

  @Test func qualityIsTenThousandths() throws {
    #expect(SampleQuality(try #require(DecimalValue("0.93")))?.text == "0.93")
    #expect(SampleQuality(try #require(DecimalValue("1")))?.value == 1)
    #expect(SampleQuality(try #require(DecimalValue("0.00004")))?.raw == 0)
    #expect(SampleQuality(try #require(DecimalValue("1.01"))) == nil)
    #expect(SampleQuality(try #require(DecimalValue("-0.1"))) == nil)
    #expect(SampleQuality.absent.value == nil)
    #expect(SampleQuality.absent.text == nil)
  }

  @Test func slotKeepsTheValueAsReceived() throws {
    var slot = Slot()
    slot.value = try #require(DecimalValue("72.0"))
    #expect(slot.value.description == "72.0")
    slot.kind = .clock
    #expect(slot.kind == .clock)
    slot.kindRaw = 200
    #expect(slot.kind == nil)
  }
}
