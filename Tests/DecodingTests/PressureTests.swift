import Testing
import VitalModel

@testable import Decoding

@Suite struct PressureTests {
  @Test func diastolicAtOrAboveSystolicRefusesBoth() {
    let result = decode(
      #"""
      {"time":1795214280123,"observations":[{"code":"sbp","value":80},{"code":"hr","value":72},
       {"code":"dbp","value":80.0},{"code":"spo2","value":97}]}
      """#)
    #expect(result.summary == ["hr=72", "spo2=97"])
    #expect(result.reasons == [.inconsistent, .inconsistent])
    #expect(result.ends == [1])
    #expect(result.seen == 4)
    #expect(result.pressures.count == 1)
    #expect(result.pressures[0].systolic == registry.code("sbp"))
    #expect(result.pressures[0].diastolic == registry.code("dbp"))
    #expect(result.pressures[0].eventTime == eventMoment)
    #expect(decode(result.refusals[0]).summary == ["sbp=80"])
  }

  @Test func endOfMessageMovesWhenTheLastOnesAreRefused() {
    let result = decode(
      #"{"observations":[{"code":"hr","value":72},{"code":"abp_dia","value":120},{"code":"abp_sys","value":80}]}"#)
    #expect(result.summary == ["hr=72"])
    #expect(result.ends == [0])
    #expect(result.reasons == [.inconsistent, .inconsistent])
  }

  @Test func unitsAreComparedExactly() {
    // 80 mm[Hg] = 80 x 101.325 / 760 kPa = 10.6657894...
    let above = #"{"observations":[{"code":"sbp","value":80},{"code":"dbp","value":10.66578948,"unit":"kPa"}]}"#
    let below = #"{"observations":[{"code":"sbp","value":80},{"code":"dbp","value":10.66578947,"unit":"kPa"}]}"#
    #expect(decode(above).reasons == [.inconsistent, .inconsistent])
    #expect(decode(below).refusals.isEmpty)
  }

  @Test func onlyOneTimeSourceAndKindIsCompared() {
    let result = decode(
      #"""
      {"observations":[{"code":"sbp","value":80,"time":1795214280000},{"code":"dbp","value":90,"time":1795214281000},
       {"code":"sbp","value":80,"source":"cuff"},{"code":"dbp","value":90,"source":"art"},{"code":"abp_dia","value":95}]}
      """#)
    #expect(result.observations.count == 5)
    #expect(result.refusals.isEmpty)
  }

  @Test func messagesOfABatchAreApart() {
    #expect(decode(#"[{"code":"sbp","value":80},{"code":"dbp","value":90}]"#).refusals.isEmpty)
  }

  @Test func everyContradictingOneOfAGroupIsRefused() {
    let result = decode(
      #"{"observations":[{"code":"sbp","value":120},{"code":"sbp","value":70},{"code":"dbp","value":80}]}"#)
    #expect(result.summary == ["sbp=120"])
    #expect(result.seen == 3)
  }
}
