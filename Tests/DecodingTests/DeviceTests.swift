import Testing
import VitalModel

@testable import Decoding

@Suite struct DeviceTests {
  @Test(
    arguments: [
      (#"{"online":true}"#, true, nil), (#"{"online":false,"battery":3}"#, false, nil), ("online", true, nil),
      ("OFFLINE\n", false, nil), (#""online""#, true, nil), ("lost connection", false, "lost connection"),
    ] as [(String, Bool, String?)])
  func statusIsRead(_ payload: String, _ isOnline: Bool, _ text: String?) {
    let expected = DeviceState(isOnline: isOnline, text: text, time: receiveMoment, timeReceived: true)
    #expect(decode(payload, .status, retained: true).state == expected)
  }

  @Test func statusMayNameItsTime() {
    let state = decode(#"{"online":true,"time":1795214280123}"#, .status).state
    #expect(state == DeviceState(isOnline: true, text: nil, time: eventMoment, timeReceived: false))
  }

  @Test(arguments: [
    #"{"online":1}"#, "{", "[]", "{}", #"{"online":true,"online":false}"#, #"{"online":true,"time":"x"}"#,
  ])
  func brokenStatusIsRefused(_ payload: String) {
    let result = decode(payload, .status)
    #expect(result.state == nil)
    #expect(result.reasons == [.malformed])
  }

  @Test func clearedRetainedStatusSaysNothing() {
    let result = decode("", .status)
    #expect(result.state == nil)
    #expect(result.refusals.isEmpty)
  }

  @Test func longWillIsCutBetweenCharacters() throws {
    let text = try #require(decode(String(repeating: "ä", count: 5000), .status).state?.text)
    #expect(text == String(repeating: "ä", count: 512))
  }

  @Test func eventIsReadWhole() {
    let decoder = MessageDecoder(registry: registry)
    let payload = #"""
      {"time":1795214280123,"event":"MDC_EVT_ECG_ASYSTOLE","phase":"end","priority":"high","device_alert_id":17,
       "text":"ASYSTOLE \u2665","seq":3,"patient":"p-1","simulated":true}
      """#
    let result = decoder.decoded(Array(payload.utf8), .event)
    #expect(result.refusals.isEmpty)
    let event = result.events[0]
    #expect(event.event == "MDC_EVT_ECG_ASYSTOLE")
    #expect(event.phase == .end)
    #expect(event.priority == .high)
    #expect(event.deviceAlertID == "17")
    #expect(event.text == "ASYSTOLE ♥")
    #expect(event.time == eventMoment)
    #expect(event.flags == [.hasSequence, .simulated])
    #expect(event.sequence == 3)
    #expect(decoder.string(event.patient) == "p-1")
  }

  @Test func eventDefaults() {
    let event = decode(#"{"event":196652,"priority":"crisis"}"#, .event, resumed: true).events[0]
    #expect(event.event == "196652")
    #expect(event.phase == .start)
    #expect(event.priority == nil)
    #expect(event.flags == [.timeReceived, .uncertain])
    #expect(decode("apnoea", .event, format: .text).events.map(\.event) == ["apnoea"])
  }

  @Test(
    arguments: [
      (#"{"phase":"start"}"#, .malformed), (#"{"event":""}"#, .malformed),
      (#"{"event":"a","phase":"maybe"}"#, .malformed),
      (#"{"event":"a","event":"b"}"#, .malformed), (#"{"event":"a","time":1e17}"#, .impossibleTime), ("7", .malformed),
      (#"{"event":"a","time":[]}"#, .malformed),
    ] as [(String, QuarantineReason)])
  func badEventIsRefusedAlone(_ event: String, _ reason: QuarantineReason) {
    let result = decode(#"[{"event":"x"},\#(event),{"event":"y"}]"#, .event)
    #expect(result.events.map(\.event) == ["x", "y"])
    #expect(result.reasons == [reason])
  }

  @Test func timelessRetainedEventIsRefused() {
    #expect(decode(#"{"event":"a"}"#, .event, retained: true).reasons == [.timelessRetained])
    #expect(decode("a", .event, format: .text, retained: true).reasons == [.timelessRetained])
  }

  @Test func waveIsNotRead() {
    let result = decode("anything", .wave)
    #expect(result.refusals.isEmpty)
    #expect(result.seen == 0)
  }

  @Test func bareNumber() throws {
    let hr = try #require(registry.code("hr"))
    let acvpu = try #require(registry.code("consciousness"))
    #expect(decode(" 72.5\n", format: .number(code: hr, unit: 2)).summary == ["hr=72.5@2"])
    #expect(decode("72", format: .number(code: hr)).observations[0].flags == [.timeReceived, .endOfMessage])
    #expect(decode("A", format: .number(code: acvpu)).summary == ["consciousness=0"])
    #expect(decode("72 bpm", format: .number(code: hr)).reasons == [.malformed])
    #expect(decode("", format: .number(code: hr)).reasons == [.malformed])
    #expect(decode("720", format: .number(code: hr)).reasons == [.impossibleValue])
    #expect(decode("72", format: .number(code: hr), retained: true).reasons == [.timelessRetained])
    #expect(decode("72", format: .text).reasons == [.malformed])
  }

  @Test func channelNames() {
    for channel in Channel.allCases {
      #expect(Array(channel.name.utf8).withUnsafeBytes { Channel(name: $0) } == channel)
    }
    #expect(Array("Vitals".utf8).withUnsafeBytes { Channel(name: $0) } == nil)
  }
}
