import AlertJournal
import Instrumentation
import KeyValueStore
import Pipeline
import TestSupport
import Testing
import VitalModel

@testable import Service

/// Alerting settings in the journal (SEMANTICS B8): in full, and the same bytes for the same settings.
@Suite struct AlertingTextTests {
  private var settings: AlertingSettings {
    var settings = AlertingSettings()
    settings.latching = [.high, .low, .medium]
    settings.realarm = [.high: 60_000, .low: 120_000]
    settings.ladders = [
      EscalationLadder(
        priorities: [.high, .medium], units: ["ward/7", "w"], steps: [EscalationStep(after: 120_000, to: "nurse")])
    ]
    settings.flap = .never
    settings.groupingWindow = 0
    settings.patientBudget = 3
    settings.unitBudget = 4
    settings.outagePatients = 5
    settings.outageWithin = 6000
    settings.isAdaptive = true
    return settings
  }

  @Test func whatIsWrittenReadsBackAndEqualSettingsAreEqualBytes() throws {
    #expect(AlertingText.decode(AlertingText.encode(settings)) == settings)
    #expect(AlertingText.decode(AlertingText.encode(AlertingSettings())) == AlertingSettings())
    var other = settings
    other.latching = [.medium, .low, .high]
    other.realarm = [.low: 120_000, .high: 60_000]
    #expect(AlertingText.encode(other) == AlertingText.encode(settings))
    #expect(
      String(decoding: AlertingText.encode(AlertingSettings()), as: UTF8.self)
        == #"{"adaptive":false,"budget":{"patient":24,"unit":0},"escalation":[],"#
        + #""flap":{"count":4,"quiet":1800000,"within":7200000},"grouping":600000,"latch":[],"#
        + #""outage":{"patients":3,"within":60000},"realarm":{"high":600000,"medium":1800000}}"#)
  }

  @Test func aSettingTheTextDoesNotHaveIsTheDefault() {
    #expect(AlertingText.decode(Array("{}".utf8)) == AlertingSettings())
    #expect(AlertingText.decode(Array("[]".utf8)) == nil)
  }

  @Test("B8: alerting settings are journaled when they differ, and in force again after a restart")
  func settingsAreJournaledAndRecovered() throws {
    var options = Ward.Options()
    options.lines = ["alerting: { latch: [high], realarm: { high: 2m } }"]
    let ward = try Ward.withOneRule(options)
    try ward.start()
    func journaled() throws -> [AlertingSettings?] {
      try ward.running.store.registry.texts(.alerting).map { AlertingText.decode($0.bytes) }
    }
    #expect(eventually { (try? journaled().count) == 1 })
    let first = try #require(try journaled()[0])
    #expect(first.latching == [.high])
    #expect(first.realarm[.high] == 120_000)
    try ward.running.reload()
    try ward.send("d-1", "hr", "70", at: ward.now)
    _ = try ward.settle(1)
    ward.options.lines = ["alerting: { grouping: off }"]
    try ward.writeFiles()
    try ward.running.reload()
    #expect(eventually { (try? journaled().count) == 2 })
    let second = try #require(try journaled()[1])
    #expect(second.groupingWindow == 0)
    let position = try #require(try ward.running.store.registry.latestText(.alerting)).position
    ward.stop()
    #expect(try recovered(ward) == [second, second])
    // As a kill leaves it: the evaluators had not come to the newest settings.
    try moveProgress(ward, to: position - 1)
    #expect(try recovered(ward) == [second, second])
  }

  private func recovered(_ ward: Ward) throws -> [AlertingSettings] {
    let configuration = try ward.settings().configuration
    let opening = StoreOpening(
      configuration: configuration, files: try VigilService.readRules(configuration), shards: 2,
      log: Log(level: .error, clock: ward.clock, sink: { _ in }), now: ward.now)
    let recovered = try opening.open()
    defer { recovered.store.close() }
    return recovered.engines.map(\.alerting)
  }

  private func moveProgress(_ ward: Ward, to position: UInt64) throws {
    let store = try VigilStore.open(path: ward.folder.file("store"))
    defer { store.close() }
    let batch = store.makeBatch()
    for (shard, stored) in try store.state.progress() {
      var progress = stored
      progress.floor = min(progress.floor, position)
      for partition in 0..<partitionCount { progress.applied[partition] = min(progress.applied[partition], position) }
      store.state.put(progress, shard: shard, in: batch)
    }
    try store.store.write(batch, sync: true)
  }
}
