import Testing
import VitalModel

@testable import Decoding

@Suite struct PlainMessageTests {
  private static let lines = [
    #"{"patient":"p0001","device":"d0001-hr","time":1795214280123,"code":"HR","value":72.5}"#,
    #"{"time":1795214280123,"code":"temp","value":-0.0,"unit":"[degF]","patient":"p 2"}"#,
    #"{ "seq":4711, "code":"2708-6", "value":97.50 , "patient":"p","time":1795214280123, "unit":"%" }"#,
    #"{"code":"temp_f","value":99,"patient":"p","time":1795214280123}"#,
  ]

  @Test func membersAreRead() throws {
    let scanner = PlainMessageScanner(registry: registry)
    let bytes = Array(PlainMessageTests.lines[2].utf8)
    try bytes.withUnsafeBytes { line in
      let message = try #require(scanner.scan(line))
      #expect(message.sequence == 4711)
      #expect(message.time == eventMoment)
      #expect(message.value == DecimalValue(mantissa: 9750, exponent: -2))
      #expect(registry[message.code].key == "spo2")
      #expect(message.patient.elementsEqual("p".utf8))
      #expect(message.device.isEmpty)
    }
  }

  @Test(
    "leaves to the decoder what is not plain",
    arguments: [
      #"{"patient":"p","time":1795214280123,"code":"hr","value":0}"#,
      #"{"patient":"p","time":1795214280,"code":"hr","value":72}"#,
      #"{"patient":"p","time":1795214280123,"code":"hr","value":72,"code":"hr"}"#,
      #"{"patient":"p","time":1795214280123,"code":"hr","value":351}"#,
      #"{"patient":"p","time":1795214280123,"code":"hr","value":072}"#,
      #"{"patient":"p","time":1795214280123,"code":"hr","value":72.}"#,
      #"{"patient":"p","time":1795214280123,"code":"hr","value":7e1}"#,
      #"{"patient":"p","time":1795214280123,"code":"hr","value":72,"quality":1}"#,
      #"{"patient":"\u0070","time":1795214280123,"code":"hr","value":72}"#,
      #"{"patient":"p","time":1795214280123,"code":"hr","value":72} x"#,
      #"{"patient":"p","time":1795214280123,"code":"hr","value":72"#,
      #"{"patient":"p","time":1795214280123,"code":"consciousness","value":1}"#,
      #"{"time":1795214280123,"code":"hr","value":72}"#, "", "{", "{}", "[]",
    ]) func others(_ text: String)
  {
    let scanner = PlainMessageScanner(registry: registry)
    #expect(Array(text.utf8).withUnsafeBytes { scanner.scan($0) == nil })
  }

  @Test("whatever it reads of lines with bytes changed, the decoder reads too") func asTheDecoder() {
    let scanner = PlainMessageScanner(registry: registry)
    let decoder = MessageDecoder(registry: registry)
    let interesting = Array(#"{}[]",:.-+eE0123456789 \/abHRtru"#.utf8) + [0, 9, 10, 0x7F, 0x80, 0xFF]
    var state: UInt64 = 11
    func below(_ limit: Int) -> Int {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return Int(state >> 33) % limit
    }
    var read = 0
    for round in 0..<40_000 {
      var bytes = Array(PlainMessageTests.lines[round % PlainMessageTests.lines.count].utf8)
      for _ in 0..<below(3) {
        let place = below(bytes.count)
        switch below(3) {
        case 0: bytes[place] = interesting[below(interesting.count)]
        case 1: bytes.remove(at: place)
        default: bytes.insert(interesting[below(interesting.count)], at: place)
        }
      }
      let message = bytes.withUnsafeBytes { line in
        scanner.scan(line).map { ($0, String(decoding: $0.patient, as: UTF8.self)) }
      }
      guard let (message, patient) = message else { continue }
      read += 1
      let decoded = decoder.decoded(bytes)
      #expect(decoded.refusals.isEmpty && decoded.observations.count == 1, "\(String(decoding: bytes, as: UTF8.self))")
      guard let observation = decoded.observations.first else { continue }
      #expect(observation.code == message.code && observation.unit == message.unit)
      #expect(observation.value == message.value && observation.eventTime == message.time)
      #expect(observation.flags.contains(.hasSequence) == (message.sequence >= 0))
      if message.sequence >= 0 { #expect(observation.sequence == message.sequence) }
      #expect(observation.status == .ok && observation.quality == .absent && observation.source.isEmpty)
      #expect(decoder.string(observation.patient) == patient)
    }
    #expect(read > 10_000)
  }
}
