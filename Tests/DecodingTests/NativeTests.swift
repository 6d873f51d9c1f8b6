import Testing
import VitalModel

@testable import Decoding

@Suite struct NativeTests {
  @Test func contractExampleIsReadWhole() {
    let result = decode(
      """
      {"seq":4711,"time":"2026-11-20T22:38:00.123Z",
       "observations":[{"code":"spo2","value":91,"unit":"%","quality":0.93},
                       {"code":"8867-4","value":112},
                       {"code":"MDC_TEMP_CORE","value":101.3,"unit":"[degF]","time":1795214279000},
                       {"code":"consciousness","value":"A"}]}
      """)
    #expect(result.refusals.isEmpty)
    #expect(result.summary == ["spo2=91", "hr=112", "temp=101.3@1", "consciousness=0"])
    #expect(result.observations.map(\.eventTime) == [eventMoment, eventMoment, 1_795_214_279_000, eventMoment])
    #expect(result.observations.allSatisfy { $0.sequence == 4711 && $0.flags.contains(.hasSequence) })
    #expect(result.observations[0].quality == SampleQuality(raw: 9300))
    #expect(result.observations[1].quality == .absent)
    #expect(result.ends == [3])
    #expect(result.seen == 4)
  }

  @Test func shortFormIsOneMessage() {
    let result = decode(#"{"time":1795214280123,"code":"hr","value":72,"source":"ECG","status":"low-battery"}"#)
    #expect(result.summary == ["hr=72"])
    #expect(result.observations[0].eventTime == eventMoment)
    #expect(result.observations[0].source.string == "ecg")
    #expect(result.observations[0].status == .lowBattery)
    #expect(result.observations[0].flags == [.endOfMessage])
  }

  @Test func batchKeepsMessagesApart() {
    let result = decode(
      #"""
      [{"time":1795214280123,"observations":[{"code":"hr","value":72},{"code":"spo2","value":97}]},
       {"time":"nonsense","code":"hr","value":73}, 5, {"time":1795214281123,"code":"hr","value":74}]
      """#)
    #expect(result.summary == ["hr=72", "spo2=97", "hr=74"])
    #expect(result.ends == [1, 2])
    #expect(result.reasons == [.malformed, .malformed])
    #expect(result.seen == 5)
  }

  @Test func endOfMessageIsTheLastAcceptedOne() {
    let result = decode(#"{"observations":[{"code":"hr","value":72},{"code":"nobody","value":1}]}"#)
    #expect(result.ends == [0])
    #expect(result.reasons == [.unknownCode])
  }

  @Test(arguments: ["spo2", "SpO2", "2708-6", "59408-5", "mdc_puls_oxim_sat_o2", "150456"])
  func codeIsAnyName(_ name: String) {
    #expect(decode(#"{"code":"\#(name)","value":97}"#).summary == ["spo2=97"])
  }

  @Test func numericCodeIsAnMDCNumber() {
    #expect(decode(#"{"code":150456,"value":97}"#).summary == ["spo2=97"])
    #expect(decode(#"{"code":1.5e2,"value":97}"#).reasons == [.unknownCode])
  }

  @Test func escapesAreResolvedInKeysAndTexts() {
    #expect(decode(#"{"c\u006fde":"\u0068r","value":72,"unit":"\/min"}"#).summary == ["hr=72"])
    #expect(decode(#"{"code":"hr","c\u006fde":"spo2","value":72}"#).reasons == [.malformed])
  }

  @Test func aliasImpliesItsUnitUnlessOneIsGiven() {
    #expect(decode(#"{"code":"temp_f","value":98.6}"#).summary == ["temp=98.6@1"])
    #expect(decode(#"{"code":"temp_f","value":36.6,"unit":"Cel"}"#).summary == ["temp=36.6"])
    #expect(decode(#"{"code":"TEMPÉRATURE","value":36.6}"#).summary == ["temp=36.6"])
  }

  @Test func unitIsNeverGuessed() {
    #expect(decode(#"{"code":"spo2","value":0.97,"unit":"/"}"#).summary == ["spo2=0.97@1"])
    #expect(decode(#"{"code":"spo2","value":0.97}"#).reasons == [.impossibleValue])
    #expect(decode(#"{"code":"spo2","value":97,"unit":"percent"}"#).reasons == [.unknownUnit])
    #expect(decode(#"{"code":"spo2","value":97,"unit":""}"#).reasons == [.unknownUnit])
    #expect(decode(#"{"code":"hr","value":97,"unit":"BPM"}"#).reasons == [.unknownUnit])
  }

  @Test func numberIsKeptAsReceived() {
    #expect(
      decode(#"{"code":"temp","value":36.60}"#).observations[0].value == DecimalValue(mantissa: 3660, exponent: -2))
    #expect(decode(#"{"code":"glucose","value":1e2}"#).observations[0].value == DecimalValue(mantissa: 1, exponent: 2))
    #expect(decode(#"{"code":"temp","value":36.1234567890123456789}"#).reasons == [.malformed])
  }

  @Test(arguments: [
    #""72""#, "true", "{}", "[72]", #""""#, #""fast""#,
  ])
  func valueOfWrongTypeIsMalformed(_ value: String) {
    #expect(decode(#"{"code":"hr","value":\#(value)}"#).reasons == [.malformed])
  }

  @Test func lettersAreTextsOnly() {
    #expect(decode(#"{"code":"consciousness","value":"U"}"#).summary == ["consciousness=4"])
    #expect(decode(#"{"code":"consciousness","value":"X"}"#).reasons == [.impossibleValue])
    #expect(decode(#"{"code":"consciousness","value":0}"#).reasons == [.malformed])
  }

  @Test func censoredGlucoseIsAnImpossibleValue() {
    #expect(decode(#"{"code":"glucose","value":"LOW"}"#).reasons == [.impossibleValue])
    #expect(decode(#"{"code":"glucose","value":"High"}"#).reasons == [.impossibleValue])
  }

  @Test func rejectLimitsAreInclusiveAndExact() {
    #expect(decode(#"{"code":"spo2","value":100}"#).summary == ["spo2=100"])
    #expect(decode(#"{"code":"spo2","value":100.000000000000001}"#).reasons == [.impossibleValue])
    #expect(decode(#"{"code":"spo2","value":1.00,"unit":"/"}"#).summary == ["spo2=1.00@1"])
    #expect(decode(#"{"code":"spo2","value":1.0000000000000001,"unit":"/"}"#).reasons == [.impossibleValue])
    #expect(decode(#"{"code":"temp","value":114.8,"unit":"[degF]"}"#).summary == ["temp=114.8@1"])
    #expect(decode(#"{"code":"temp","value":114.80000000000001,"unit":"[degF]"}"#).reasons == [.impossibleValue])
    #expect(decode(#"{"code":"temp","value":293.15,"unit":"K"}"#).summary == ["temp=293.15@2"])
    #expect(decode(#"{"code":"temp","value":293.149999999999999,"unit":"K"}"#).reasons == [.impossibleValue])
    #expect(decode(#"{"code":"hr","value":1e18}"#).reasons == [.impossibleValue])
    #expect(decode(#"{"code":"hr","value":-1}"#).reasons == [.impossibleValue])
  }

  @Test func zeroIsAcceptedFromItsSourcesOnly() {
    #expect(decode(#"{"code":"hr","value":0}"#).reasons == [.impossibleValue])
    #expect(decode(#"{"code":"hr","value":0,"source":"pleth"}"#).reasons == [.impossibleValue])
    #expect(decode(#"{"code":"hr","value":0.0,"unit":"Hz","source":"ecg"}"#).summary == ["hr=0.0@4"])
    #expect(decode(#"{"code":"steps","value":0}"#).summary == ["steps=0"])
  }

  @Test(arguments: [
    #""quality":1.1"#, #""quality":-0.1"#, #""quality":1.00001"#, #""quality":"good""#, #""status":"bad""#,
    #""status":1"#, #""source":"a b""#, #""source":"""#, #""source":"abcdefghijklmnopqrstuvwxyz0123456""#,
    #""source":1"#, #""corrected":1"#, #""simulated":"yes""#, #""seq":-1"#, #""seq":1.5"#, #""seq":"1""#,
    #""time":true"#, #""time":"2026-11-20T22:38:00""#, #""time":"yesterday""#, #""time":1795214280123.5"#,
    #""patient":7"#, #""patient":"""#, #""unit":1"#, #""value":1"#, #""code":"spo2""#,
  ])
  func badMemberRefusesOnlyItsObservation(_ member: String) {
    let alone = decode(#"{"code":"hr","value":72,\#(member)}"#)
    #expect(alone.reasons == [.malformed])
    #expect(alone.observations.isEmpty)
    let beside = decode(#"{"observations":[{"code":"hr","value":72,\#(member)},{"code":"spo2","value":97}]}"#)
    #expect(beside.reasons == [.malformed])
    #expect(beside.summary == ["spo2=97"])
    #expect(beside.refusals[0].raw == Array(#"{"observations":[{"code":"hr","value":72,\#(member)}]}"#.utf8))
  }

  @Test func commonMembersHoldForEveryObservation() {
    let result = decode(
      #"""
      {"time":1795214280123,"source":"art","status":"calibrating","quality":1,"simulated":true,"corrected":true,
       "patient":"p-\u0031","note":{"x":[1]},
       "observations":[{"code":"hr","value":72},{"code":"spo2","value":97,"source":"pleth","corrected":false}]}
      """#)
    #expect(result.observations.map(\.source.string) == ["art", "pleth"])
    #expect(result.observations.allSatisfy { $0.status == .calibrating && $0.quality.raw == 10_000 })
    #expect(result.observations[0].flags == [.simulated, .corrected])
    #expect(result.observations[1].flags == [.simulated, .endOfMessage])
    #expect(result.observations.allSatisfy { $0.patient.count == 3 })
  }

  @Test func patientIsReadFromTheMessageOnly() {
    let decoder = MessageDecoder(registry: registry)
    let result = decoder.decoded(Array(#"{"patient":"p-\u00e4","code":"hr","value":72}"#.utf8))
    #expect(decoder.string(result.observations[0].patient) == "p-ä")
    #expect(decode(#"{"patient":"a","observations":[{"patient":"b","code":"hr","value":7}]}"#).reasons == [.malformed])
  }

  @Test func nullCountsAsLeftOutAndANullValueAsEmpty() {
    let result = decode(#"{"time":null,"unit":null,"seq":null,"code":"hr","value":72}"#)
    #expect(result.summary == ["hr=72"])
    let empty = decode(#"{"observations":[{"code":"hr","value":null,"status":"lead-off"},{"code":"hr"}]}"#)
    #expect(empty.empty == 1)
    #expect(empty.reasons == [.malformed])
    #expect(empty.seen == 1)
  }

  @Test(arguments: [
    "", " ", "{", "[", "{]", "nope", "7", #""hr""#, "null", #"{"code":"hr","value":72"#, #"{"code":"hr","value":72}}"#,
    #"{"code":"hr","value":72} 1"#, #"{"code":"hr","value":72,}"#, #"{"code":"hr" "value":72}"#,
    #"{"code":"hr","value":072}"#, #"{"code":"hr","value":72,"x":01}"#, #"{"code":"hr","value":72,"x":nul}"#,
    #"{"code":"hr","value":72,"x":"\q"}"#, #"{"code":"hr","value":72,"x":"\udc00"}"#, #"{"code":"hr","value":NaN}"#,
    "{\"code\":\"hr\",\"value\":72,\"x\":\"\u{1}\"}", #"[{"code":"hr","value":72}"#, "{}",
  ])
  func brokenPayloadIsRefusedWhole(_ payload: String) {
    let result = decode(payload)
    #expect(result.observations.isEmpty)
    #expect(result.reasons == [.malformed])
    #expect(result.refusals[0].raw == Array(payload.utf8))
  }

  @Test func invalidUTF8IsRefused() {
    let payload = Array(#"{"code":"hr","value":72,"x":""#.utf8) + [0xFF, 0x22, 0x7D]
    #expect(MessageDecoder(registry: registry).decoded(payload).reasons == [.malformed])
  }

  @Test func emptyListsAreNoError() {
    for payload in ["[]", #"{"observations":[]}"#, #"[{"time":1795214280123,"observations":[]}]"#] {
      let result = decode(payload)
      #expect(result.seen == 0)
      #expect(result.refusals.isEmpty)
    }
  }

  @Test func refusedObservationDecodesAloneToTheSameRefusal() {
    let result = decode(
      #"""
      {"seq":5,"time":1795214280123,"source":"ecg","unknown":[1,2],"patient":"p",
       "observations":[{"code":"hr","value":72},{"code":"hr","value":720,"extra":{"a":1}},{"code":"x","value":1}]}
      """#)
    #expect(result.reasons == [.impossibleValue, .unknownCode])
    #expect(result.refusals[0].code == registry.code("hr"))
    for refusal in result.refusals {
      let again = decode(refusal)
      #expect(again.reasons == [refusal.reason])
      #expect(again.refusals[0].raw == refusal.raw)
      #expect(again.observations.isEmpty)
    }
  }
}
