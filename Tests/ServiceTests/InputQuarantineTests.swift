import AlertJournal
import TestSupport
import Testing
import VitalModel

@testable import Service

/// Payloads of every reason, through a real broker: each lands in quarantine with its reason, what is good is stored.
@Suite struct InputQuarantineTests {
  static let roster = """
    patients: [{ id: p-1, age: 60 }]
    devices: [{ id: d-1 }, { id: d-2 }]
    assignments: [{ device: d-1, patient: p-1 }]
    """
  static let rosterOfBoth = """
    patients: [{ id: p-1, age: 60 }, { id: p-2, age: 70 }]
    devices: [{ id: d-1 }, { id: d-2 }]
    assignments: [{ device: d-1, patient: p-1 }, { device: d-2, patient: p-2 }]
    """

  private func ward() throws -> Ward {
    var options = Ward.Options()
    options.identity = "roster"
    options.roster = Self.roster
    options.broker = ["filters: [\"vigil/v1/+/+/+\", \"other/#\"]"]
    return try Ward(options)
  }

  @Test("invariant 4: nothing is dropped in silence: every refusal is in quarantine with its reason, and books balance")
  func everyReasonThroughARealBroker() throws {
    let ward = try ward()
    // Retained before the service is there: what a subscriber gets is of unknown age.
    try ward.send("d-1", #"{"code":"hr","value":61}"#, retain: true)
    try ward.flush()
    try ward.start()
    let now = ward.now
    func observations(_ list: String, _ time: Int64) -> String { "{\"time\":\(time),\"observations\":[\(list)]}" }
    let good = #"{"code":"resp","value":16}"#
    try ward.send("d-1", "{\"time\":")
    try ward.send("d-1", observations(good + #",{"code":"nonsense","value":1}"#, now - 9000))
    try ward.send("d-1", observations(good + #",{"code":"spo2","value":97,"unit":"mm[Hg]"}"#, now - 8000))
    try ward.send("d-1", observations(good + #",{"code":"hr","value":9999}"#, now - 7000))
    try ward.send("d-1", observations(good + #",{"code":"sbp","value":80},{"code":"dbp","value":120}"#, now - 6000))
    try ward.send("d-1", "hr", "70", at: now + 600_000)
    try ward.send("d-2", "hr", "71", at: now)
    try ward.send("d-1", String(repeating: " ", count: 3 << 19))
    try ward.send("d-1", "temp", "37.0", at: now - 5000)
    try ward.send("d-1", "temp", "37.5", at: now - 5000)
    try ward.publish("other/place", Array("7".utf8))
    try ward.send("d-1", #"{"time":"1600-01-01T00:00:00Z","code":"hr","value":72}"#)

    let expected: [QuarantineReason: Int] = [
      .malformed: 1, .unknownCode: 1, .unknownUnit: 1, .impossibleValue: 1, .inconsistent: 2, .futureTime: 1,
      .unassignedDevice: 1, .oversize: 1, .duplicateConflict: 1, .unknownTopic: 1, .impossibleTime: 1,
      .timelessRetained: 1,
    ]
    let quarantined = expected.values.reduce(0, +)
    let books = try ward.settle(quarantined + 5)
    #expect(books == .init(samples: quarantined + 5, stored: 5, quarantined: quarantined, duplicates: 0))
    for (reason, count) in expected {
      let rows = try ward.quarantine(reason)
      #expect(rows.reduce(0) { $0 + $1.observations } == count, "\(reason)")
      #expect(rows.allSatisfy { !$0.topic.isEmpty })
      #expect(ward.metric("vigil_quarantined_total{reason=\"\(reason.rawValue)\"}") == count, "\(reason)")
    }
    let kept = try #require(try ward.running.store.quarantine.get(try ward.quarantine(.oversize)[0].id))
    #expect(kept.bytes.count == QuarantineTable.keptBytesMax)
    #expect(eventually { ward.inbox.opened("device-unassigned").count == 1 })
    #expect(try ward.storedSamples() == 5)
  }

  @Test func resubmissionGoesTheWholeWayOnce() throws {
    let ward = try ward()
    try ward.start()
    try ward.send("d-1", "{\"time\":")
    _ = try ward.settle(1)
    let row = try #require(try ward.quarantine(.malformed).first)
    #expect(try ward.running.resubmit([row.id]) == 1)
    #expect(try ward.running.resubmit([row.id]) == 0)
    let rows = try ward.quarantine(.malformed)
    #expect(rows.map(\.isResubmitted) == [true, false])
    #expect(ward.books == .init(samples: 2, stored: 0, quarantined: 2, duplicates: 0))
  }

  @Test func anAssignmentBringsSamplesBackByItself() throws {
    let ward = try ward()
    try ward.start()
    let now = ward.now
    for number in 0..<50 { try ward.send("d-2", "hr", "71", at: now - 9000 + Int64(number)) }
    try ward.send("d-2", "spo2", "70", at: now)
    let before = try ward.settle(51)
    #expect(before.quarantined == 51 && before.stored == 0)
    ward.options.roster = Self.rosterOfBoth
    try ward.writeFiles()
    try ward.running.reload()
    #expect(eventually { ward.books.stored == 51 }, "\(ward.books)")
    #expect(ward.books.isBalanced)
    #expect(try ward.quarantine(.unassignedDevice).allSatisfy(\.isResubmitted))
    #expect(eventually { ward.inbox.opened("spo2-low").contains { $0.patient == "p-2" } })
  }

  @Test func anAssignmentMadeWhileStoppedBringsSamplesBackAtStart() throws {
    let ward = try ward()
    try ward.start()
    for number in 0..<5 { try ward.send("d-2", "hr", "71", at: ward.now - 9000 + Int64(number)) }
    _ = try ward.settle(5)
    ward.options.roster = Self.rosterOfBoth
    try ward.restart()
    #expect(eventually { ward.books.stored == 5 }, "\(ward.books)")
  }

  @Test func anAlarmOfAnUnassignedDeviceIsKept() throws {
    let ward = try ward()
    try ward.start()
    try ward.send(
      "d-2", #"{"time":\#(ward.now),"event":"asystole","phase":"start","priority":"high"}"#, channel: "event")
    #expect(eventually { (try? ward.quarantine(.unassignedDevice).count) == 1 })
    ward.options.roster = Self.rosterOfBoth
    try ward.writeFiles()
    try ward.running.reload()
    #expect(eventually { ward.inbox.told.contains { $0.rule == "device-alarm-asystole" && $0.patient == "p-2" } })
    #expect(ward.books.isBalanced)
  }

  @Test func oversizeWaveIsQuarantinedAndNotStoredToo() throws {
    let ward = try ward()
    try ward.start()
    try ward.send("d-1", String(repeating: "w", count: 3 << 19), channel: "wave")
    _ = try ward.settle(1)
    #expect(try ward.quarantine(.oversize).count == 1)
    #expect(!ward.log.has("text entry refused"))
    // Options, rules, roster and alerting settings of the start.
    #expect(ward.metric("vigil_journal_position") <= 4)
  }

  @Test func aMissingRosterDoesNotFloodTheReceivers() throws {
    let ward = try ward()
    try ward.start()
    for number in 0..<500 { try ward.send("x-\(number)", "hr", "72", at: ward.now) }
    #expect(try ward.settle(500).quarantined == 500)
    #expect(eventually { ward.inbox.opened("device-unassigned").contains { $0.message.contains("devices send") } })
    #expect(ward.inbox.opened("device-unassigned").count < 50)
    #expect(ward.log.has("samples of unassigned devices are kept in quarantine"))
  }
}
