import Testing
import VitalModel

@testable import Decoding

@Suite struct BoundsTests {
  @Test func namesMeanWhatTheRegistrySays() throws {
    let table = NameTable(registry)
    var probes = registry.allNames
    probes += probes.map { $0.uppercased() }
    // A Kelvin sign lower-cases to k; letters may come decomposed.
    probes += ["", "h", "hrr", "steps ", "\u{212A}", "step\u{17F}", "tempe\u{301}rature", "nobody", "150457"]
    for name in probes {
      let expected = registry.lookup(name)
      let found = Array(name.utf8).withUnsafeBytes { table.lookup($0) }
      #expect(found?.code == expected?.code, "\(name)")
      #expect(found.map { Int($0.unit) } == expected?.unit, "\(name)")
    }
  }

  @Test func oversizePayloadKeepsItsBeginning() {
    let decoder = MessageDecoder(registry: registry)
    for channel in Channel.allCases {
      let result = decoder.decoded(Array(repeating: 0x20, count: DecodingLimits.payloadBytesMax + 1), channel)
      #expect(result.reasons == [.oversize])
      #expect(result.refusals[0].raw.count == 64 << 10)
      #expect(result.refusals[0].isWholePayload)
    }
  }

  @Test func payloadOfExactlyOneMebibyteIsRead() {
    let message = Array(#"{"code":"hr","value":72}"#.utf8)
    let padding = Array(repeating: UInt8(0x20), count: DecodingLimits.payloadBytesMax - message.count)
    #expect(MessageDecoder(registry: registry).decoded(message + padding).summary == ["hr=72"])
  }

  @Test func observationsBeyondTheLimitAreOneRefusal() {
    let one = #"{"code":"hr","value":72}"#
    let list = Array(repeating: one, count: 10_007).joined(separator: ",")
    let result = decode(#"{"seq":1,"time":1795214280123,"observations":[\#(list)]}"#)
    #expect(result.observations.count == 10_000)
    #expect(result.ends == [9_999])
    #expect(result.reasons == [.oversize])
    #expect(result.seen == 10_007)
    #expect(decode(result.refusals[0]).observations.count == 7)

    let batch = decode("[\(list)]")
    #expect(batch.observations.count == 10_000)
    #expect(batch.seen == 10_007)
    #expect(decode(batch.refusals[0]).observations.count == 7)

    let record = #"{"n":"hr","v":72}"#
    let pack = decode("[" + Array(repeating: record, count: 10_007).joined(separator: ",") + "]")
    #expect(pack.observations.count == 10_000)
    #expect(pack.seen == 10_007)
    #expect(decode(pack.refusals[0]).observations.count == 7)
  }

  @Test func eventsBeyondTheLimitAreOneRefusal() {
    let list = Array(repeating: #"{"event":"a"}"#, count: 1_003).joined(separator: ",")
    let result = decode("[\(list)]", .event)
    #expect(result.events.count == 1_000)
    #expect(result.reasons == [.oversize])
    #expect(result.refusals[0].observationCount == 3)
  }

  @Test func depthIsBounded() {
    func nested(_ depth: Int) -> String {
      String(repeating: "[", count: depth) + String(repeating: "]", count: depth)
    }
    #expect(decode(#"{"code":"hr","value":72,"x":\#(nested(31))}"#).summary == ["hr=72"])
    #expect(decode(#"{"code":"hr","value":72,"x":\#(nested(32))}"#).reasons == [.malformed])
    #expect(decode(nested(200_000)).reasons == [.malformed])
    #expect(decode(String(repeating: "[", count: 1_000_000)).reasons == [.malformed])
  }

  @Test func oneLongMemberIsNotMultipliedByRefusals() {
    let note = String(repeating: "x", count: 100_000)
    let list = Array(repeating: "1", count: 9_000).joined(separator: ",")
    let result = decode(#"{"note":"\#(note)","observations":[\#(list)]}"#)
    #expect(result.refusals.count == 9_000)
    #expect(result.refusals.allSatisfy { $0.raw.count < 100 })
  }

  @Test func manyPressuresAreComparedInGroups() {
    let list = (0..<9_000).map { $0 % 2 == 0 ? #"{"code":"sbp","value":120}"# : #"{"code":"dbp","value":80}"# }
    #expect(decode(#"{"observations":[\#(list.joined(separator: ","))]}"#).refusals.isEmpty)
  }

  @Test func sourceText() {
    #expect(SourceText("ECG_1-a")?.string == "ecg_1-a")
    #expect(SourceText("abcdefghijklmnopqrstuvwxyz012345")?.string == "abcdefghijklmnopqrstuvwxyz012345")
    #expect(SourceText("ä") == nil)
    #expect(SourceText("") == nil)
    #expect(SourceText().isEmpty)
  }

  @Test func observationFillsItsSlot() {
    let observation = decode(#"{"seq":9,"time":1795214280123,"code":"temp_f","value":98.6,"quality":0.5}"#)
      .observations[0]
    let slot = observation.slot(receivedAt: receiveMoment)
    #expect(slot.kind == .sample)
    #expect(slot.value == DecimalValue(mantissa: 986, exponent: -1))
    #expect(slot.unit == 1)
    #expect(slot.deviceSequence == 9)
    #expect(slot.quality.raw == 5_000)
    #expect(slot.eventTime == eventMoment)
    #expect(slot.ingestTime == receiveMoment)
  }
}
