import Testing
import VitalModel

@testable import Simulation

@Suite struct EncodingTests {
  let message = SimulatedMessage(
    tenant: "demo", device: "mon-001", patient: "sim-001", sentAt: wardStart + 7, time: wardStart + 7, sequence: 12,
    content: .vitals([
      .init(
        "spo2", .number(DecimalValue(mantissa: 97)), quality: DecimalValue(mantissa: 96, exponent: -2), source: "pleth"),
      .init("temp", .number(DecimalValue(mantissa: 370, exponent: -1)), unit: "Cel"),
      .init("consciousness", .letter("A")),
      .init("battery", .number(DecimalValue(mantissa: 4)), unit: "%", status: .lowBattery),
    ]))

  @Test func payloadIsNativeJSON() {
    var encoder = MessageEncoder()
    #expect(
      String(decoding: encoder.payload(message), as: UTF8.self)
        == #"{"seq":12,"time":"2026-01-05T22:00:00.007Z","simulated":true,"observations":["#
        + #"{"code":"spo2","value":97,"quality":0.96,"source":"pleth"},{"code":"temp","value":37.0,"unit":"Cel"},"#
        + #"{"code":"consciousness","value":"A"},{"code":"battery","value":4,"unit":"%","status":"low-battery"}]}"#)
    #expect(message.topic == "vigil/v1/demo/mon-001/vitals")
  }

  @Test func jsonLineNamesWhoAndWhere() {
    var encoder = MessageEncoder()
    var status = message
    status.content = .status(online: false)
    status.sequence = nil
    #expect(
      String(decoding: encoder.jsonLine(status), as: UTF8.self)
        == #"{"tenant":"demo","device":"mon-001","patient":"sim-001","channel":"status","#
        + #""time":"2026-01-05T22:00:00.007Z","simulated":true,"online":false}"# + "\n")
  }

  @Test func wideRowHasOneCellPerColumn() throws {
    var encoder = MessageEncoder()
    let bytes = encoder.wideRow(message, start: wardStart)
    let row = String(decoding: try #require(bytes), as: UTF8.self)
    #expect(row == "sim-001,0.007,,,,97,,,,37.0,,,,,A,,4\n")
    #expect(row.split(separator: ",", omittingEmptySubsequences: false).count == MessageEncoder.columns.count + 2)
    #expect(MessageEncoder.wideHeader.hasPrefix("patient_id,time_s,hr,pr,resp,spo2,"))
  }

  @Test func labelsAreCSV() {
    let ward = makeWard([ScenarioPlan(patient: 0, kind: .opioidDepression, start: 100)])
    #expect(ward.labels.map(\.csv) == ["sim-001,1000,2200,opioid_depression\n"])
    #expect(TruthLabel.header == "patient_id,onset_time_s,end_time_s,label\n")
  }

  @Test func timesBefore1970KeepTheirMilliseconds() {
    var encoder = MessageEncoder()
    var old = message
    old.time = -1
    old.content = .status(online: true)
    let text = String(decoding: encoder.payload(old), as: UTF8.self)
    #expect(text.contains("1969-12-31T23:59:59.999Z"))
  }
}
