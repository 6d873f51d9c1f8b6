import AlertJournal
import Configuration
import Foundation
import SeriesStore
import TestSupport
import Testing
import VitalModel

@testable import Service

/// The service over its life: heartbeat, second starts, reloads, retention, and what it says about itself.
@Suite struct WardLifeTests {
  // MARK: Heartbeat

  @Test(arguments: ["device", "roster"])
  func heartbeatReportsTheCanarysTripAndStopsWithTheBroker(_ identity: String) throws {
    let ward = try Ward()
    ward.options.identity = identity
    ward.options.lines = ["heartbeat: { receiver: hook, every: 10s }"]
    try ward.start()
    func heartbeats() -> [ToldAlert] { ward.inbox.told.filter { $0.type == "heartbeat" } }
    #expect(eventually { heartbeats().count == 1 }, "\(ward.inbox.requests)")
    ward.clock.advance(milliseconds: 11_000)
    #expect(eventually { heartbeats().count == 2 })
    ward.broker.stop()
    let before = ward.metric("vigil_journal_position")
    ward.clock.advance(milliseconds: 11_000)
    ward.clock.advance(milliseconds: 11_000)
    #expect(eventually { ward.log.has("broker connection", "unreachable") })
    #expect(heartbeats().count == 2)
    try ward.broker.start()
    ward.clock.advance(milliseconds: 11_000)
    #expect(eventually(within: 30) { heartbeats().count >= 3 })
    #expect(ward.metric("vigil_journal_position") > before)
    // One trip is one heartbeat, however many evaluators it passed.
    let ids = ward.inbox.requests.filter { $0.type == "heartbeat" }.map(\.webhookID)
    #expect(ids.count == Set(ids).count)
  }

  // MARK: Starting twice, starting otherwise

  private func failure(_ settings: VigilService.Settings) -> StartFailure? {
    do throws(StartFailure) {
      let service = try VigilService(settings)
      service.stop()
      return nil
    } catch {
      return error
    }
  }

  @Test func aSecondServiceOnTheStoreIsRefusedInOneLine() throws {
    let ward = try Ward()
    try ward.start()
    let refusal = try #require(failure(try ward.settings()))
    guard case .inUse(let line) = refusal else {
      Issue.record("refused as \(refusal)")
      return
    }
    #expect(line.contains("in use by another vigil") && line.contains(ward.folder.path))
    try ward.send("d-1", "hr", "72", at: ward.now)
    #expect(try ward.settle(1).stored == 1)
  }

  @Test(arguments: ["clock", "identity"]) func anotherClockOrIdentityIsRefused(_ changed: String) throws {
    let ward = try Ward()
    try ward.start()
    try ward.send("d-1", "hr", "72", at: ward.now)
    _ = try ward.settle(1)
    ward.stop()
    let before = ward.options
    if changed == "clock" { ward.options.clock = "stream" } else { ward.options.identity = "payload" }
    let refusal = try #require(failure(try ward.settings()))
    guard case .badConfiguration(let lines) = refusal else {
      Issue.record("refused as \(refusal)")
      return
    }
    #expect(lines.count == 1 && lines[0].contains("was made with clock: wall, identity: device"))
    ward.options = before
    try ward.start()
  }

  @Test func aReceiverWithoutASecretIsRefusedInOneLine() throws {
    let ward = try Ward()
    ward.options.receivers = ["  - { name: desk, url: \"https://desk.example/\" }"]
    let refusal = try #require(failure(try ward.settings()))
    guard case .badConfiguration(let lines) = refusal else {
      Issue.record("refused as \(refusal)")
      return
    }
    #expect(lines.count == 1 && lines[0].contains("`desk` has no secret"), "\(lines)")
  }

  @Test func writingCommandsComeThroughAPrivateSocket() throws {
    let ward = try Ward()
    try ward.start()
    let store = ward.folder.file("store")
    var facts = stat()
    #expect(stat(store + "/control.sock", &facts) == 0 && facts.st_mode & 0o777 == 0o600)
    #expect(ControlClient.ask(#"{"command":"ping"}"#, store: store) == #"{"ok":true}"#)
    #expect(ControlClient.ask("nonsense", store: store)?.contains("error") == true)
    try ward.send("d-1", "{\"time\":")
    _ = try ward.settle(1)
    let row = try #require(try ward.quarantine(.malformed).first)
    let request = "{\"command\":\"resubmit\",\"ids\":[\"\(row.id.text)\"]}"
    #expect(ControlClient.ask(request, store: store) == #"{"ok":true,"resubmitted":1}"#)
    #expect(ControlClient.ask(#"{"command":"reload"}"#, store: store) == #"{"ok":true}"#)
    #expect(ward.metric(#"vigil_reloads_total{outcome="ok"}"#) == 1)
    ward.stop()
    #expect(ControlClient.ask(#"{"command":"ping"}"#, store: store) == nil)
  }

  // MARK: Reloading

  /// A copy of the shipped rules that the test may change.
  private func copyRules(_ ward: Ward) throws {
    let path = ward.folder.file("rules")
    try FileManager.default.copyItem(atPath: RepositoryRoot.path + "/Rules", toPath: path)
    ward.options.rules = path
  }

  private func edit(_ ward: Ward, _ file: String, _ old: String, _ new: String) throws {
    let path = ward.options.rules + "/" + file
    let text = try String(contentsOfFile: path, encoding: .utf8)
    try #require(text.contains(old))
    try text.replacingOccurrences(of: old, with: new).write(toFile: path, atomically: true, encoding: .utf8)
  }

  @Test func badRulesLeaveTheOldOnesInForce() throws {
    let ward = try Ward()
    try copyRules(ward)
    try ward.start()
    try edit(ward, "adult/oxygen.yaml", "when: median(spo2, 10s) < $limit", "when: median(spo3, 10s) < $limit")
    try ward.running.reload()
    #expect(ward.metric(#"vigil_reloads_total{outcome="failed"}"#) == 1)
    #expect(ward.log.has("reload failed; the old configuration and rules stay", "oxygen.yaml:"))
    try ward.send("d-1", "spo2", "70", at: ward.now)
    #expect(eventually { ward.inbox.opened("spo2-low").count == 1 })
  }

  @Test func aBadConfigurationLeavesTheOldOneInForce() throws {
    let ward = try Ward()
    try ward.start()
    ward.options.lines = ["recievers: []"]
    try ward.writeFiles()
    try ward.running.reload()
    #expect(ward.metric(#"vigil_reloads_total{outcome="failed"}"#) == 1)
    #expect(ward.log.has("reload failed", "recievers"))
    try ward.send("d-1", "spo2", "70", at: ward.now)
    #expect(eventually { ward.inbox.opened("spo2-low").count == 1 })
  }

  @Test func newRulesKeepTheIdOfAnOpenAlert() throws {
    // Each rule tells for itself: NEWS2 joins the heart rate's alert and keeps that open, not this one.
    var options = Ward.Options()
    options.lines = ["alerting: { grouping: off }"]
    let ward = try Ward(options)
    try copyRules(ward)
    try ward.start()
    try ward.send("d-1", "hr", "190", at: ward.now)
    try ward.send("d-1", "spo2", "70", at: ward.now)
    #expect(eventually { ward.inbox.opened("spo2-low").count == 1 })
    let id = try #require(ward.inbox.opened("spo2-low").first).alertID
    try edit(ward, "adult/oxygen.yaml", "limit: { default: 90", "limit: { default: 92")
    try ward.running.reload()
    #expect(ward.metric(#"vigil_reloads_total{outcome="ok"}"#) == 1)
    // Recovery under the new rules: the alert ends under the id it began with.
    for step in 1...45 {
      ward.clock.advance(milliseconds: 1000)
      try ward.send("d-1", "spo2", "98", at: ward.now, seq: step)
      try ward.flush()
      _ = try ward.settle(2 + step)
    }
    #expect(eventually { ward.inbox.told.contains { $0.alertID == id && $0.phase == "end" } }, "\(ward.inbox.told)")
    #expect(ward.inbox.opened("spo2-low").count == 1)
    // Ninety-one is low by the new rules only.
    try ward.send("d-2", "spo2", "81", at: ward.now)
    #expect(eventually { ward.inbox.opened("spo2-low").contains { $0.patient == "d-2" } })
    try ward.restart()
    #expect(!ward.log.has("states damaged"))
  }

  // MARK: Retention

  @Test(arguments: ["age", "size"]) func journalIsTrimmedOnlyBehindWhatIsNeeded(_ by: String) throws {
    let ward = try Ward()
    if by == "size" { ward.options.retain = "journal_bytes: 1048576" }
    try ward.start()
    let base = ward.now - 20_000
    func sendAll() throws {
      for number in 0..<200 { try ward.send("d-\(number % 3)", "hr", "72", at: base + Int64(number)) }
    }
    var random = SeededGenerator(printing: 12, for: "retention")
    for number in 1...4 {
      let wave = (0..<(64 << 10)).map { _ in UInt64.random(in: 0 ... .max, using: &random) }
      try ward.publish("vigil/v1/demo/d-1/wave", wave.withUnsafeBytes { Array($0) })
      #expect(eventually { ward.acknowledged == number })
    }
    try sendAll()
    try ward.send("d-1", "spo2", "70", at: base)
    _ = try ward.settle(201)
    #expect(eventually { ward.inbox.opened("spo2-low").count == 1 && ward.metric("vigil_journal_position") >= 206 })
    let later = ward.now + (by == "age" ? 8 * 86_400_000 : 0)

    // Whatever its age or size, what is not in chunks and states yet stays.
    var journal = try ward.running.store.journal
    let before = try #require(try journal.firstPosition())
    let last = try #require(try journal.lastPosition())
    try #require(try ward.running.watch).trim(later)
    let floor = try ward.running.store.state.progress().values.map(\.floor).min() ?? 0
    #expect(try #require(try journal.firstPosition()) <= floor + 1)
    #expect(try journal.lastPosition() == last)

    // A stop puts everything into chunks and states.
    try ward.restart()
    journal = try ward.running.store.journal
    try #require(try ward.running.watch).trim(later)
    #expect(ward.log.has("journal trimmed"))
    #expect(try journal.firstPosition() ?? .max > before)
    #expect(try journal.byteSize() < 1 << 21)
    try ward.restart()
    let id = try #require(ward.inbox.opened("spo2-low").first).alertID
    #expect(try ward.running.store.alerts.newest(alertID: id)?.state == .active)
    // What went from the journal is still known from the chunks: nothing is stored twice.
    try sendAll()
    #expect(try ward.settle(200) == .init(samples: 200, stored: 0, quarantined: 0, duplicates: 200))
    #expect(try ward.storedSamples() == 201)
  }

  @Test func whatRetentionDeletesIsAudited() throws {
    let ward = try Ward()
    ward.options.retain = "chunks: 2h, rollups: 48h, journal: 1h, tenants: { other: { chunks: 1h } }"
    try ward.start()
    let base = ward.now - 20_000
    for number in 0..<30 { try ward.send("d-1", "hr", "72", at: base + Int64(number)) }
    _ = try ward.settle(30)
    try ward.restart()
    let hour: Int64 = 3_600_000
    let store = try ward.running.store
    func entries(_ action: String) throws -> [String] {
      var found: [String] = []
      try store.audit.read { row in
        if row.entry.action == action { found.append(row.entry.detail) }
        return true
      }
      return found
    }
    try #require(try ward.running.watch).trim(ward.now + hour)
    #expect(try entries("retention.chunks").isEmpty)
    // Rollups are kept longer, so chunks stay until their day is over.
    try #require(try ward.running.watch).trim(ward.now + 30 * hour)
    #expect(try entries("retention.chunks") == ["chunks 1, samples 30"])
    try #require(try ward.running.watch).trim(ward.now + 90 * hour)
    #expect(try entries("retention.rollups") == ["days 1"])
    #expect(try store.audit.verify().brokenAt == nil)
    #expect(ward.metric(#"vigil_retention_deleted_total{class="chunks"}"#) == 1)
  }

  /// One patient keeps one of two evaluators busy; the other must not hold the journal back for ever.
  @Test func anIdleEvaluatorDoesNotKeepTheJournal() throws {
    let ward = try Ward()
    try ward.start()
    func floor() throws -> UInt64 { try ward.running.store.state.progress().values.map(\.floor).min() ?? 0 }
    try ward.send("d-1", "hr", "72", at: ward.now)
    _ = try ward.settle(1)
    try ward.restart()
    for number in 0..<100 { try ward.send("d-1", "hr", "72", at: ward.now - 500 + Int64(number)) }
    _ = try ward.settle(100)
    let position = UInt64(ward.metric("vigil_journal_position"))
    #expect(position > 100)
    #expect(
      eventually {
        ward.clock.advance(milliseconds: 5000)
        return (try? floor()) ?? 0 >= position
      }, "\(position)")
    try ward.restart()
    try ward.send("d-1", "hr", "73", at: ward.now)
    #expect(try ward.settle(1).stored == 1)
    #expect(try ward.storedSamples() == 102)
  }

  /// What does not say whose it is stays whole while anybody is under hold, whatever its age.
  @Test func aHoldKeepsTheJournalTooUntilItEnds() throws {
    let ward = try Ward()
    try ward.start()
    for number in 0..<20 {
      try ward.send("d-1", "hr", "72", at: ward.now - 500 + Int64(number))
      _ = try ward.settle(number + 1)
    }
    try ward.restart()
    let store = try ward.running.store
    let first = try #require(try store.journal.firstPosition())
    let later = ward.now + 800 * 86_400_000
    let batch = store.makeBatch()
    store.holds.hold(0, atMs: ward.now, in: batch)
    try store.write(batch, sync: false)
    try #require(try ward.running.watch).trim(later)
    #expect(try store.journal.firstPosition() == first && SeriesReader(store.store).stats().samples == 20)
    store.holds.release(0, in: batch)
    try store.write(batch, sync: false)
    try #require(try ward.running.watch).trim(later)
    #expect(try store.journal.firstPosition() ?? 0 > first && SeriesReader(store.store).stats().samples == 0)
  }

  // MARK: What it says about itself

  @Test func pagesAreReadyAndPromtoolAcceptsTheMetrics() throws {
    let ward = try Ward()
    try ward.start()
    for number in 0..<50 { try ward.send("d-1", "hr", "72", at: ward.now - 100 + Int64(number)) }
    try ward.send("d-1", "nonsense")
    try ward.send("d-1", "spo2", "70", at: ward.now)
    _ = try ward.settle(52)
    #expect(eventually { ward.inbox.opened("spo2-low").count == 1 })
    let address = try ward.running.httpAddress
    func get(_ path: String) throws -> String {
      try ChildProcess.run("curl", ["--silent", "--fail", "http://\(address)\(path)"], in: ward.folder)
    }
    #expect(eventually { (try? get("/readyz")) != nil })
    let metrics = try ward.folder.write(try get("/metrics"), to: "metrics.txt")
    try ChildProcess.run("sh", ["-c", "promtool check metrics < \(metrics)"], in: ward.folder)
    let figures = Ward.parse(try get("/metrics"))
    for name in [
      "vigil_samples_total", "vigil_samples_stored_total", "vigil_ring_depth_ingest", "vigil_ring_depth_evaluate",
      "vigil_journal_commit_seconds_count", "vigil_store_bytes", "vigil_series",
      #"vigil_alerts_total{rule="spo2-low",priority="high"}"#, #"vigil_quarantined_total{reason="malformed"}"#,
      #"vigil_delivery_attempts_total{receiver="hook",outcome="delivered"}"#,
    ] {
      #expect(figures[name] != nil, "\(name)")
    }
    ward.broker.stop()
    #expect(eventually { (try? get("/readyz")) == nil })
    #expect(try get("/healthz").isEmpty == false)
  }

  @Test func logsNameNoPatient() throws {
    let ward = try Ward()
    let patient = "zz-recognisable-patient"
    ward.options.identity = "roster"
    ward.options.roster = """
      patients: [{ id: \(patient), age: 60, unit: ward-7, bed: 12 }]
      devices: [{ id: d-1 }]
      assignments: [{ device: d-1, patient: \(patient) }]
      """
    ward.options.lines = ["log: { level: debug }"]
    try ward.start(inbox: false)
    try ward.send("d-1", "spo2", "70", at: ward.now)
    try ward.send("d-1", "{\"patient\":\"\(patient)\"")
    try ward.send("d-1", "{\"patient\":\"\(patient)\",\"code\":\"\(patient)\",\"value\":1}")
    try ward.send("d-1", "offline", channel: "status")
    try ward.send("d-2", "hr", "71", at: ward.now)
    #expect(eventually { ward.log.has("webhook not delivered") })
    try ward.running.reload()
    try ward.restart()
    let arrived = eventually { ward.inbox.told.contains { $0.patient == patient } }
    #expect(arrived)
    ward.stop()
    #expect(ward.log.all.count > 5)
    #expect(!ward.log.has(patient))
    for line in ward.log.all {
      #expect((try? JSONSerialization.jsonObject(with: Data(line.utf8))) is [String: Any], "\(line)")
      #expect(line.hasSuffix("\n") && line.utf8.filter { $0 == 10 }.count == 1)
    }
  }
}
