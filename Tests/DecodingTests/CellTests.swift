import Testing
import VitalModel

@testable import Decoding

@Suite struct CellTests {
  private func add(_ decoder: MessageDecoder, _ name: String, _ text: String, at time: Int64 = eventMoment) {
    guard let vital = Array(name.utf8).withUnsafeBytes({ decoder.vital(named: $0) }) else { return }
    Array(text.utf8).withUnsafeBytes { _ = decoder.addCell($0, code: vital.code, unit: vital.unit, eventTime: time) }
  }

  @Test func rowsAreMessages() {
    let decoder = MessageDecoder(registry: registry)
    decoder.beginCells(arrival: Arrival(receivedAt: receiveMoment))
    add(decoder, "hr", " 72 ")
    add(decoder, "temp_f", "98.60")
    add(decoder, "spo2", "197")
    var start = decoder.endRow(from: 0)
    add(decoder, "sbp", "80")
    add(decoder, "consciousness", "V", at: eventMoment)
    add(decoder, "dbp", "90")
    add(decoder, "hr", "fast")
    start = decoder.endRow(from: start)
    add(decoder, "hr", "72", at: .max)
    #expect(decoder.endRow(from: start) == start)

    #expect(decoder.observations.map(\.value.description) == ["72", "98.60", "2"])
    #expect(decoder.observations.map { $0.flags.contains(.endOfMessage) } == [false, true, true])
    #expect(
      decoder.refusals.map(\.reason)
        == [.impossibleValue, .malformed, .inconsistent, .inconsistent, .impossibleTime])
    #expect(decoder.observationsSeen == 8)
    #expect(
      String(decoding: decoder.refusals[3].raw, as: UTF8.self)
        == #"{"time":"2026-11-20T22:38:00.123Z","code":"dbp","value":90,"unit":"mm[Hg]"}"#)
  }
}
