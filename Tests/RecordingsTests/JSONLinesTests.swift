import Testing
import VitalModel

@testable import Recordings

@Suite struct JSONLinesTests {
  @Test(arguments: [1, 9, 4096]) func linesAreMessages(block: Int) {
    let reading = Reading(
      #"""
      {"tenant":"icu","device":"d1","patient":"p1","channel":"vitals","seq":1,"time":"2026-01-01T00:00:00Z","observations":[{"code":"hr","value":72,"source":"ecg"},{"code":"temp","value":98.6,"unit":"[degF]"}]}
      {"time":1767225601000,"code":"hr","value":80,"device":"d2"}
      """#, block: block)
    #expect(
      reading.rows == ["p1 d1 00:00:00.000: hr=72@ecg temp=98.6 [degF]", "d2 d2 00:00:01.000: hr=80"])
    #expect(reading.counts.samples == 3)
    #expect(reading.counts.lines == 2)
  }

  @Test func observationsOfOtherTimesAreOtherRows() {
    let reading = Reading(
      #"{"patient":"p","device":"d","time":"2026-01-01T00:00:10Z","observations":[{"code":"hr","value":72},"#
        + #"{"code":"spo2","value":97,"time":"2026-01-01T00:00:05Z"},{"code":"resp","value":15}]}"#)
    #expect(reading.rows == ["p d 00:00:05.000: spo2=97", "p d 00:00:10.000: hr=72 resp=15"])
  }

  @Test func whatCannotBeReadIsRefused() {
    let reading = Reading(
      #"""
      {"patient":"p","device":"d","time":"2026-01-01T00:00:00Z","observations":[{"code":"hr","value":"x"},{"code":"zzz","value":1},{"code":"spo2","value":97}]}
      {"patient":"p","device":"d","code":"hr","value":72}
      {"time":1767225601000,"code":"hr","value":80}
      {"patient":"p","device":"d","channel":"music","time":1767225601000,"code":"hr","value":80}
      {"patient":"p","device":"d"
      """#)
    #expect(reading.rows == ["p d 00:00:00.000: spo2=97"])
    #expect(reading.refusals.map(\.line) == [1, 1, 2, 3, 4, 5])
    #expect(
      reading.refusals.map(\.reason) == [.malformed, .unknownCode, .malformed, .malformed, .malformed, .malformed])
    #expect(reading.refusals.map(\.column) == ["hr", nil, "time", "patient", "channel", nil])
  }

  @Test func deviceEventsAreReported() {
    var options = RecordingOptions()
    var events: [RecordedEvent] = []
    options.onEvent = { events.append($0) }
    let reading = Reading(
      #"{"patient":"p","device":"d","channel":"event","time":1767225601000,"event":"asystole","phase":"end"}"#
        + "\n" + #"{"device":"d","channel":"status","time":1767225601000,"online":true}"#, options: options)
    #expect(reading.rows.isEmpty)
    #expect(reading.refusals.isEmpty)
    #expect(
      events == [RecordedEvent(patient: "p", device: "d", time: 1_767_225_601_000, event: "asystole", starts: false)])
  }

  @Test func headOfALine() {
    func head(_ text: String) -> LineHead { Array(text.utf8).withUnsafeBytes { LineHead($0) } }
    let line = #"{ "a":{"patient":"no","b":[1,{"c":"]}"}]}, "patient":"Z\u00fcrich \"1\"","device":"d" ,"x":"\\"}"#
    #expect(head(line).patient == "Zürich \"1\"")
    #expect(head(line).device == "d")
    #expect(head(#"{"ingest_time": 17 ,"tenant":null}"#).ingestTime == "17")
    for text in ["", "{", "[1]", #"{"patient"#, #"{"patient":"#, #"{"patient":"x"#, #"{"patient":"\"#] {
      #expect(head(text).patient == nil)
    }
  }
}
