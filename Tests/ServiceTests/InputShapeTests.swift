import Digests
import AlertJournal
import Foundation
import Instrumentation
import TestSupport
import Testing
import VitalModel

@testable import Service

/// What devices of all kinds send: sizes, formats, garbage, numbers of devices, repeats.
@Suite struct InputShapeTests {
  @Test func tenMegabytesAreRefusedAndTheNextMessageCounts() throws {
    let ward = try Ward()
    try ward.start()
    try ward.send("d-1", String(repeating: "[", count: 10 << 20))
    try ward.send("d-1", "hr", "72", at: ward.now)
    #expect(try ward.settle(2) == .init(samples: 2, stored: 1, quarantined: 1, duplicates: 0))
    let rows = try ward.quarantine(.oversize)
    #expect(rows.count == 1)
    // A8: the beginning is kept, size and digest are of all of it.
    #expect(rows.first?.size == 10 << 20)
    #expect(rows.first?.digest == sha256(String(repeating: "[", count: 10 << 20)))
  }

  @Test func garbageNeverStopsTheStream() throws {
    let ward = try Ward()
    try ward.start()
    var random = SeededGenerator(printing: 2026, for: "garbage")
    let proper = Array(#"{"seq":1,"time":1795214279000,"observations":[{"code":"hr","value":72,"unit":"/min"}]}"#.utf8)
    for number in 0..<2000 {
      var payload: [UInt8]
      if number % 2 == 0 {
        payload = (0..<Int.random(in: 1...300, using: &random)).map { _ in .random(in: 0...255, using: &random) }
      } else {
        payload = proper
        for _ in 0...2 {
          payload[.random(in: 0..<payload.count, using: &random)] = .random(in: 0...255, using: &random)
        }
      }
      let channel = ["vitals", "vitals", "event", "status"][number % 4]
      try ward.publish("vigil/v1/demo/g-\(number % 7)/\(channel)", payload)
    }
    try ward.send("good", "hr", "72", at: ward.now)
    #expect(eventually { ward.metric(#"vigil_ingest_messages_total{lane="broker-1"}"#) == 2001 && ward.isIdle })
    let books = ward.books
    #expect(books.isBalanced, "\(books)")
    #expect(books.quarantined > 1000 && books.stored >= 1)
    let rows = try ward.quarantine().reduce(0) { $0 + $1.observations }
    #expect(rows == books.quarantined)
  }

  @Test func tenThousandDevicesStayBounded() throws {
    let ward = try Ward()
    try ward.start()
    let now = ward.now
    for number in 0..<10_000 {
      try ward.send(
        "d-\(number)",
        "{\"time\":\(now),\"observations\":[{\"code\":\"hr\",\"value\":72},{\"code\":\"hr\",\"value\":9999}]}")
    }
    let books = try ward.settle(20_000, within: 60)
    #expect(books == .init(samples: 20_000, stored: 10_000, quarantined: 10_000, duplicates: 0))
    #expect(ward.metric("vigil_patients") == 10_000)
    #expect(ward.metric("vigil_devices") == 10_000)
    let byDevice = ward.metrics.filter { $0.key.hasPrefix("vigil_quarantined_by_device_total{") }
    #expect(byDevice.count <= 257)
    #expect(byDevice.values.reduce(0, +) == 10_000)
    #expect(try ward.running.meters.registry.render().utf8.count < 100_000)
    #expect(try ward.storedSamples() == 10_000)
  }

  @Test func senMLAndBareNumbersAndCustomTopics() throws {
    let ward = try Ward()
    ward.options.lines = [
      "topics: [{ filter: ward/+/mon/+/hr, tenant: ward, device: $2, code: hr, format: number }]"
    ]
    try ward.start()
    let seconds = ward.now / 1000
    try ward.send(
      "d-1", #"[{"bn":"urn:dev:ow:1:","bt":\#(seconds),"n":"hr","v":72},{"n":"spo2","u":"/","v":0.97,"t":-1}]"#)
    try ward.publish("ward/7/mon/m-1/hr", Array("73".utf8))
    try ward.publish("ward/7/mon/m-1/hr", Array("seventy".utf8))
    #expect(try ward.settle(4) == .init(samples: 4, stored: 3, quarantined: 1, duplicates: 0))
    let row = try #require(try ward.quarantine().first)
    #expect(row.tenant == "ward" && row.device == "m-1" && row.topic == "ward/7/mon/m-1/hr")
    #expect(try ward.storedSamples() == 3)
  }

  @Test func lastWillRaisesDeviceOfflineAndOnlineEndsIt() throws {
    let ward = try Ward()
    try ward.start()
    try ward.send("d-1", "hr", "72", at: ward.now)
    try ward.send("d-1", "offline", channel: "status")
    #expect(eventually { ward.inbox.opened("device-offline").first?.kind == "technical" }, "\(ward.inbox.requests)")
    try ward.send("d-1", #"{"online":true}"#, channel: "status")
    #expect(eventually { ward.inbox.told.contains { $0.rule == "device-offline" && $0.phase == "end" } })
  }

  @Test func deviceAlarmIsRoutedAsItIs() throws {
    let ward = try Ward()
    try ward.start()
    try ward.send("d-1", "hr", "72", at: ward.now)
    try ward.send(
      "d-1", #"{"time":\#(ward.now),"event":"asystole","phase":"start","priority":"high"}"#, channel: "event")
    #expect(eventually { ward.inbox.opened("device-alarm-asystole").first?.priority == "high" })
  }

  @Test func identicalRedeliveryStoresNothingTwice() throws {
    let ward = try Ward()
    try ward.start()
    let base = ward.now - 20_000
    func round() throws {
      for number in 0..<500 { try ward.send("d-\(number % 5)", "hr", "72", at: base + Int64(number), seq: number) }
    }
    try round()
    try round()
    #expect(try ward.settle(1000) == .init(samples: 1000, stored: 500, quarantined: 0, duplicates: 500))
    try ward.restart()
    try round()
    #expect(try ward.settle(500) == .init(samples: 500, stored: 0, quarantined: 0, duplicates: 500))
    #expect(try ward.storedSamples() == 500)
  }

  @Test func rebootedDeviceLosesNothing() throws {
    let ward = try Ward()
    try ward.start()
    let base = ward.now - 20_000
    for number in 0..<20 { try ward.send("d-1", "hr", "72", at: base + Int64(number) * 100, seq: number) }
    for number in 0..<20 { try ward.send("d-1", "hr", "72", at: base + 5000 + Int64(number) * 100, seq: number) }
    #expect(try ward.settle(40) == .init(samples: 40, stored: 40, quarantined: 0, duplicates: 0))
  }

  @Test func aHigherNumberCorrectsAnEqualOneConflicts() throws {
    let ward = try Ward()
    try ward.start()
    let time = ward.now
    try ward.send("d-1", "hr", "72", at: time, seq: 5)
    try ward.send("d-1", "hr", "74", at: time, seq: 6)
    try ward.send("d-1", "hr", "75", at: time, seq: 6)
    try ward.send("d-1", "hr", "74", at: time, seq: 6)
    #expect(try ward.settle(4) == .init(samples: 4, stored: 2, quarantined: 1, duplicates: 1))
    #expect(ward.metric("vigil_samples_corrected_total") == 1)
    #expect(try ward.quarantine(.duplicateConflict).count == 1)
  }

  @Test func backFillPagesWhatIsStillTrueAndTellsTheRestOnce() throws {
    let ward = try Ward()
    try ward.start()
    let now = ward.now
    // Ten minutes offline: a spell of low saturation that began and ended inside, and a fast heart that still beats fast.
    for second in stride(from: Int64(600), through: 0, by: -5) {
      let spo2 = (300...420).contains(second) ? 82 : 97
      let heart = second <= 120 ? 150 : 80
      try ward.send(
        "d-1",
        "{\"time\":\(now - second * 1000),\"observations\":[{\"code\":\"spo2\",\"value\":\(spo2)},"
          + "{\"code\":\"hr\",\"value\":\(heart)}]}")
    }
    let books = try ward.settle(242)
    #expect(books.stored == 242)
    #expect(eventually { ward.inbox.opened("hr-high").count == 1 }, "\(ward.inbox.requests)")
    #expect(eventually { ward.inbox.opened("missed-while-offline").count == 1 }, "\(ward.inbox.requests)")
    let missed = try #require(ward.inbox.opened("missed-while-offline").first)
    #expect(missed.kind == "advisory" && missed.message.contains("spo2-low"))
    #expect(ward.inbox.opened("spo2-low").isEmpty)
  }
}
