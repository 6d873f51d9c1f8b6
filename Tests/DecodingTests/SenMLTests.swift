import Testing
import VitalModel

@testable import Decoding

@Suite struct SenMLTests {
  @Test func baseFieldsAreResolvedFirst() {
    let result = decode(
      #"""
      [{"bn":"urn:dev:ow:10e2073a01080063:","bt":1795214280.123,"bu":"beat/min","bver":5,"n":"hr","v":72},
       {"n":"8867-4","v":73,"t":1},
       {"n":"temp","u":"Cel","v":36.6,"t":1},
       {"n":"spo2","u":"/","v":0.97,"t":-60}]
      """#)
    #expect(result.summary == ["hr=72@3", "hr=73@3", "temp=36.6", "spo2=0.97@1"])
    #expect(result.observations.map(\.eventTime) == [0, 1000, 1000, -60_000].map { eventMoment + $0 })
    #expect(result.ends == [0, 2, 3])
    #expect(result.refusals.isEmpty)
  }

  @Test(arguments: [
    (#"[{"n":"a/b:hr","v":72}]"#, "hr=72"), (#"[{"bn":"dev:1/","n":"hr","v":72}]"#, "hr=72"),
    (#"[{"bn":"dev:sp","n":"o2","v":97}]"#, "spo2=97"), (#"[{"bn":"dev/hr","v":72}]"#, "hr=72"),
    (#"[{"n":"temp_f","v":98.6}]"#, "temp=98.6@1"), (#"[{"n":"consciousness","vs":"V"}]"#, "consciousness=2"),
  ])
  func codeIsTheTextBehindTheLastSeparator(_ payload: String, _ expected: String) {
    #expect(decode(payload).summary == [expected])
  }

  @Test func contentTypeDecides() {
    let bare = #"[{"n":"hr","v":72}]"#
    #expect(decode(bare, type: "Application/SenML+JSON; charset=utf-8").summary == ["hr=72"])
    #expect(decode("{}", type: "application/senml+json").reasons == [.malformed])
    #expect(decode(bare, format: .json).reasons == [.malformed])
    #expect(decode(bare, format: .senml).summary == ["hr=72"])
  }

  @Test func baseValueIsAddedExactly() {
    #expect(decode(#"[{"n":"temp","bv":36.1,"v":0.05}]"#).summary == ["temp=36.15"])
    #expect(
      decode(#"[{"n":"temp","bv":0.1,"v":36.2},{"n":"temp","v":36.3,"t":-1}]"#).summary == ["temp=36.3", "temp=36.4"])
    #expect(decode(#"[{"n":"temp","bv":1e18,"v":0.000000000000000001}]"#).reasons == [.malformed])
  }

  @Test func smallTimesAreRelativeToNow() {
    let result = decode(#"[{"n":"hr","v":72,"t":-5.5},{"n":"hr","v":73}]"#, resumed: true)
    #expect(result.observations.map(\.eventTime) == [receiveMoment - 5500, receiveMoment])
    #expect(result.observations.allSatisfy { $0.flags.isSuperset(of: [.timeReceived, .uncertain, .endOfMessage]) })
    #expect(decode(#"[{"n":"hr","v":72,"t":-5.5}]"#, retained: true).reasons == [.timelessRetained])
    #expect(decode(#"[{"n":"hr","v":72,"t":268435456}]"#).observations[0].eventTime == 268_435_456_000)
    #expect(decode(#"[{"n":"hr","v":72,"bt":1e17}]"#).reasons == [.impossibleTime])
  }

  @Test(arguments: [
    #"{"n":"hr","v":72,"new_":1}"#, #"{"n":"hr"}"#, #"{"n":"hr","v":72,"vs":"x"}"#, #"{"n":"hr","v":"72"}"#,
    #"{"n":"hr","vb":true}"#, #"{"n":"hr","vd":"aGk"}"#, #"{"n":"hr","v":72,"v":73}"#, #"{"n":7,"v":72}"#,
    #"{"n":"hr","v":72,"t":"now"}"#, #"{"v":72}"#, #"7"#, #"{"n":"hr","s":72}"#, #"{"code":"hr","value":72}"#,
  ])
  func badRecordIsRefusedAlone(_ record: String) {
    let result = decode(#"[{"n":"spo2","v":97},\#(record),{"n":"spo2","v":98}]"#)
    #expect(result.summary == ["spo2=97", "spo2=98"])
    #expect(result.reasons == [.malformed])
    #expect(result.seen == 3)
    #expect(decode(result.refusals[0]).reasons == [.malformed])
  }

  @Test func versionAboveTenIsRefused() {
    #expect(decode(#"[{"bver":11,"n":"hr","v":72},{"n":"hr","v":73}]"#).reasons == [.malformed, .malformed])
    #expect(decode(#"[{"bver":10,"n":"hr","v":72}]"#).summary == ["hr=72"])
  }

  @Test func unreadableBaseFieldRefusesAllThatDependsOnIt() {
    let result = decode(#"[{"n":"hr","v":72},{"bn":5,"n":"hr","v":73},{"n":"hr","v":74}]"#)
    #expect(result.summary == ["hr=72"])
    #expect(result.reasons == [.malformed])
    #expect(result.seen == 3)
    #expect(decode(#"[{"bn":"a:","bn":"b:","n":"hr","v":73}]"#).reasons == [.malformed])
  }

  @Test func refusedRecordKeepsItsBaseFields() {
    let result = decode(
      #"[{"bn":"dev:","bt":1795214280,"bu":"%"},{"n":"spo2","v":97},{"n":"spo2","v":197,"x":1},{"n":"hr","v":7}]"#)
    #expect(result.summary == ["spo2=97"])
    #expect(result.reasons == [.impossibleValue, .unknownUnit])
    #expect(
      String(decoding: result.refusals[0].raw, as: UTF8.self)
        == #"[{"bn":"dev:","bt":1795214280,"bu":"%"},{"n":"spo2","v":197,"x":1}]"#)
    for refusal in result.refusals { #expect(decode(refusal).reasons == [refusal.reason]) }
  }

  @Test func pressuresOfOneTimeAreCompared() {
    let result = decode(
      #"[{"n":"sbp","v":80},{"n":"dbp","v":80},{"n":"sbp","v":90,"t":-1},{"n":"dbp","v":60,"t":-1},{"n":"hr","v":7}]"#)
    #expect(result.reasons == [.inconsistent, .inconsistent])
    #expect(result.summary == ["sbp=90", "dbp=60", "hr=7"])
    #expect(result.ends == [1, 2])
  }

  @Test func booleanOnlineIsTheDevicesState() {
    let result = decode(#"[{"n":"dev/online","vb":false,"bt":1795214280}]"#)
    #expect(result.state == DeviceState(isOnline: false, text: nil, time: 1_795_214_280_000, timeReceived: false))
    #expect(result.seen == 0)
  }
}
