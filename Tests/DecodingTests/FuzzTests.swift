import Testing
import VitalModel

@testable import Decoding

/// A strict reading of RFC 8259, written for clarity: what the token reader is measured against.
private struct StrictJSON {
  let bytes: [UInt8]
  var position = 0

  static func accepts(_ bytes: [UInt8]) -> Bool {
    guard String(validating: bytes, as: UTF8.self) != nil else { return false }
    var json = StrictJSON(bytes: bytes)
    json.space()
    guard json.peek == UInt8(ascii: "{") || json.peek == UInt8(ascii: "["), json.value(1) else { return false }
    json.space()
    return json.position == bytes.count
  }

  private var peek: UInt8? { position < bytes.count ? bytes[position] : nil }

  private mutating func space() {
    while let byte = peek, byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 { position += 1 }
  }
  private mutating func take(_ character: Unicode.Scalar) -> Bool {
    guard peek == UInt8(ascii: character) else { return false }
    position += 1
    return true
  }
  private mutating func word(_ text: String) -> Bool { text.unicodeScalars.allSatisfy { take($0) } }

  private mutating func value(_ depth: UInt32) -> Bool {
    switch peek {
    case UInt8(ascii: "{"): return depth <= DecodingLimits.depthMax && container("}", depth, keyed: true)
    case UInt8(ascii: "["): return depth <= DecodingLimits.depthMax && container("]", depth, keyed: false)
    case UInt8(ascii: "\""): return string()
    case UInt8(ascii: "t"): return word("true")
    case UInt8(ascii: "f"): return word("false")
    case UInt8(ascii: "n"): return word("null")
    default: return number()
    }
  }

  private mutating func container(_ close: Unicode.Scalar, _ depth: UInt32, keyed: Bool) -> Bool {
    position += 1
    space()
    if take(close) { return true }
    while true {
      space()
      if keyed {
        guard string() else { return false }
        space()
        guard take(":") else { return false }
        space()
      }
      guard value(depth + 1) else { return false }
      space()
      if take(close) { return true }
      guard take(",") else { return false }
    }
  }

  private mutating func string() -> Bool {
    guard take("\"") else { return false }
    while let byte = peek {
      position += 1
      if byte == UInt8(ascii: "\"") { return true }
      if byte < 0x20 { return false }
      if byte == UInt8(ascii: "\\"), !escape() { return false }
    }
    return false
  }

  private mutating func escape() -> Bool {
    guard let byte = peek else { return false }
    position += 1
    guard byte == UInt8(ascii: "u") else { return Array("\"\\/bfnrt".utf8).contains(byte) }
    guard let first = unit() else { return false }
    if (0xDC00..<0xE000).contains(first) { return false }
    guard (0xD800..<0xDC00).contains(first) else { return true }
    guard take("\\"), take("u"), let second = unit() else { return false }
    return (0xDC00..<0xE000).contains(second)
  }

  private mutating func unit() -> Int? {
    var value = 0
    for _ in 0..<4 {
      guard let byte = peek, let digit = Character(Unicode.Scalar(byte)).hexDigitValue, byte < 0x80 else { return nil }
      value = value * 16 + digit
      position += 1
    }
    return value
  }

  private mutating func digits() -> Int {
    let start = position
    while let byte = peek, byte >= 48, byte <= 57 { position += 1 }
    return position - start
  }

  private mutating func number() -> Bool {
    _ = take("-")
    let start = position
    let whole = digits()
    if whole == 0 || (whole > 1 && bytes[start] == 48) { return false }
    if take("."), digits() == 0 { return false }
    if take("e") || take("E") {
      if !take("+") { _ = take("-") }
      if digits() == 0 { return false }
    }
    return true
  }
}

@Suite struct FuzzTests {
  private static let seeds: [[UInt8]] = [
    #"{"seq":4711,"time":"2026-11-20T22:38:00.123Z","observations":[{"code":"spo2","value":91,"unit":"%","quality":0.93},{"code":"8867-4","value":112},{"code":"consciousness","value":"A"}]}"#,
    #"[{"time":1795214280123,"code":"hr","value":72.5,"source":"ecg"}, {"time":1795214281,"code":150456,"value":1e2}]"#,
    #"{"patient":"p-\u00e4\ud83d\ude00","observations":[{"code":"sbp","value":120},{"code":"dbp","value":80},{"code":"t\u0065mp_f","value":98.6,"x":[1,{"y":null}]}]}"#,
    #"[{"bn":"urn:dev:1:","bt":1795214280.5,"bu":"/min","bver":5,"n":"hr","v":72},{"n":"temp","u":"Cel","bv":0.1,"v":36,"t":1},{"n":"consciousness","vs":"V"}]"#,
    #"[{"time":"2026-11-20T22:38:00Z","event":"MDC_EVT_LEAD_OFF","phase":"start","priority":"low","text":"a\"b\\c"}]"#,
    #"{"online":true,"time":1795214280123}"#,
  ].map { Array($0.utf8) }

  private static let alphabet = Array(#"{}[]",:\0123456789.-+eE tfnulasrv_"#.utf8)

  private func mutated(_ generator: inout SeededGenerator) -> [UInt8] {
    var bytes = FuzzTests.seeds.randomElement(using: &generator) ?? []
    for _ in 0..<Int.random(in: 0...4, using: &generator) where !bytes.isEmpty {
      let index = Int.random(in: 0..<bytes.count, using: &generator)
      let letter = FuzzTests.alphabet.randomElement(using: &generator) ?? 0
      switch Int.random(in: 0..<7, using: &generator) {
      case 0: bytes[index] = UInt8.random(in: 0...255, using: &generator)
      case 1: bytes[index] = letter
      case 2: bytes.insert(letter, at: index)
      case 3: bytes.remove(at: index)
      case 4: bytes.removeSubrange(index..<min(bytes.count, index + Int.random(in: 1...20, using: &generator)))
      case 5:
        let end = min(bytes.count, index + Int.random(in: 1...30, using: &generator))
        bytes.insert(contentsOf: bytes[index..<end], at: Int.random(in: 0...bytes.count, using: &generator))
      default: bytes = Array(bytes[..<index])
      }
    }
    return bytes
  }

  private func check(_ decoder: MessageDecoder, _ again: MessageDecoder, _ payload: [UInt8], _ channel: Channel) {
    let retained = payload.count % 5 == 0
    let arrival = Arrival(receivedAt: receiveMoment, retained: retained)
    payload.withUnsafeBytes { decoder.decode($0, channel: channel, arrival: arrival) }
    for refusal in decoder.refusals where refusal.reason != .inconsistent {
      refusal.raw.withUnsafeBytes { again.decode($0, channel: channel, arrival: arrival) }
      if !again.observations.isEmpty || again.refusals.map(\.reason) != [refusal.reason] {
        Issue.record("\(String(decoding: payload, as: UTF8.self)) -> \(String(decoding: refusal.raw, as: UTF8.self))")
      }
    }
    for observation in decoder.observations where !Timestamp.accepted.contains(observation.eventTime) {
      Issue.record("time outside the accepted years: \(observation.eventTime)")
    }
  }

  @Test func mutatedPayloadsNeverTrapAndRefusalsStandAlone() {
    var generator = SeededGenerator(state: 20_261_120)
    let decoder = MessageDecoder(registry: registry)
    let again = MessageDecoder(registry: registry)
    for round in 0..<200_000 {
      let channel: Channel = round % 8 == 6 ? .status : round % 8 == 7 ? .event : .vitals
      check(decoder, again, mutated(&generator), channel)
    }
  }

  @Test func randomBytesNeverTrap() {
    var generator = SeededGenerator(state: 7)
    let decoder = MessageDecoder(registry: registry)
    let again = MessageDecoder(registry: registry)
    for round in 0..<20_000 {
      let count = Int.random(in: 0...200, using: &generator)
      let fromAlphabet = round % 2 == 0
      let payload = (0..<count).map { _ in
        fromAlphabet
          ? FuzzTests.alphabet.randomElement(using: &generator) ?? 0 : UInt8.random(in: 0...255, using: &generator)
      }
      check(decoder, again, payload, Channel(rawValue: UInt8(round % 4)) ?? .vitals)
    }
  }

  @Test func readerAcceptsExactlyStrictJSON() {
    var generator = SeededGenerator(state: 8259)
    let reader = JSONReader()
    var accepted = 0
    for _ in 0..<100_000 {
      let payload = mutated(&generator)
      let isRead = payload.withUnsafeBytes { reader.read($0) } != nil
      if isRead { accepted += 1 }
      if isRead != StrictJSON.accepts(payload) {
        Issue.record("\(isRead ? "accepted" : "refused"): \(String(decoding: payload, as: UTF8.self))")
      }
    }
    // The corpus must hold plenty of both.
    #expect(accepted > 20_000 && accepted < 80_000)
  }

  @Test func tokensSpanExactlyTheirText() {
    let payload = Array(#" [ {"a" : "x\"y" , "b":[ ] , "c" : { } } ,-1.5e3, true ] "#.utf8)
    let reader = JSONReader()
    payload.withUnsafeBytes { bytes in
      guard let tape = reader.read(bytes) else {
        Issue.record("refused")
        return
      }
      var texts: [String] = []
      var index = 1
      while index < tape.next(0) {
        texts.append(String(decoding: tape.raw(index), as: UTF8.self))
        index += 1
      }
      #expect(
        texts == [
          #"{"a" : "x\"y" , "b":[ ] , "c" : { } }"#, #""a""#, #""x\"y""#, #""b""#, "[ ]", #""c""#, "{ }", "-1.5e3",
          "true",
        ])
      #expect(String(decoding: tape.rawRest(from: 8, of: 0), as: UTF8.self) == "-1.5e3, true ]")
    }
  }
}
