import Testing
import VitalModel

@testable import Decoding

@Suite struct TimeTests {
  @Test(
    arguments: [
      (#""2026-11-20T22:38:00.123Z""#, eventMoment), (#""2026-11-20T23:38:00.123+01:00""#, eventMoment),
      ("1795214280123", eventMoment), ("1795214280", 1_795_214_280_000), ("1795214280.123", eventMoment),
      ("1795214280.1239", eventMoment), ("1.795214280123e12", eventMoment), ("99999999999.9", nil), ("0", 0),
      ("100000000000", 100_000_000_000), ("-1.5", -1500), ("-0.0001", -1),
    ] as [(String, Int64?)])
  func timeIsRead(_ text: String, _ expected: Int64?) {
    let result = decode(#"{"time":\#(text),"code":"hr","value":72}"#)
    #expect(result.observations.first?.eventTime == expected)
    if expected == nil { #expect(result.reasons == [.impossibleTime]) }
  }

  @Test(arguments: [
    "99999999999999999", "-3000000000", "1e18", #""1850-01-01T00:00:00Z""#, #""9999-12-31T23:59:59Z""#,
  ])
  func impossibleTimeIsTold(_ text: String) {
    #expect(decode(#"{"time":\#(text),"code":"hr","value":72}"#).reasons == [.impossibleTime])
    let long = decode(#"{"time":\#(text),"observations":[{"code":"hr","value":72},{"code":"hr","value":73}]}"#)
    #expect(long.reasons == [.impossibleTime])
    #expect(long.seen == 2)
  }

  @Test func missingTimeIsReceiveTimeMarked() {
    let result = decode(#"{"code":"hr","value":72}"#, redelivered: true)
    #expect(result.observations[0].eventTime == receiveMoment)
    #expect(result.observations[0].flags == [.timeReceived, .endOfMessage, .redelivered])
  }

  @Test func timelessAndRetainedIsRefused() {
    let payload = #"{"observations":[{"code":"hr","value":72},{"code":"spo2","value":97,"time":1795214280123}]}"#
    let result = decode(payload, retained: true)
    #expect(result.summary == ["spo2=97"])
    #expect(result.reasons == [.timelessRetained])
    #expect(decode(result.refusals[0], retained: true).reasons == [.timelessRetained])
    #expect(decode(result.refusals[0]).summary == ["hr=72"])
  }

  @Test func timelessFromAResumedSessionIsUncertain() {
    let flags = decode(#"{"code":"hr","value":72}"#, resumed: true).observations[0].flags
    #expect(flags == [.timeReceived, .uncertain, .endOfMessage])
    let timed = decode(#"{"time":1795214280123,"code":"hr","value":72}"#, resumed: true).observations[0].flags
    #expect(timed == [.endOfMessage])
  }
}
