import AlertJournal
import Configuration
import Foundation
import KeyValueStore
import Pipeline
import RuleLanguage
import Synchronization
import TestSupport
import Testing
import VitalModel

@testable import Service

extension Ward {
  /// A ward whose only rule is one of low saturation at ninety.
  static func withOneRule(_ options: Options = Options()) throws -> Ward {
    let ward = try Ward(options)
    ward.options.rules = try ward.rules(limit: 90).directory
    return ward
  }

  /// A rule directory of its own with this limit.
  func rules(limit: Int) throws -> RuleFiles {
    let path = folder.file("rules-\(limit)")
    if !FileManager.default.fileExists(atPath: path) {
      for name in ["", "/adult", "/sets"] {
        try FileManager.default.createDirectory(atPath: path + name, withIntermediateDirectories: true)
      }
      try FileManager.default.copyItem(
        atPath: RepositoryRoot.path + "/Rules/vitals.yaml", toPath: path + "/vitals.yaml")
      _ = try folder.write(
        Ward.low.replacingOccurrences(of: "LIMIT", with: "\(limit)"), to: "rules-\(limit)/adult/low.yaml")
      _ = try folder.write(
        "set: adult-ward\ntitle: One rule\nrationale: a test\nrules: [low]\n", to: "rules-\(limit)/sets/ward.yaml")
    }
    return try RuleFiles.read(path)
  }

  private static let low = """
    rule: low
    title: Low saturation
    source: a test
    rationale: a test
    priority: medium
    parameters:
      limit: { default: LIMIT, min: 80, max: 95, unit: "%" }
    when: median(spo2, 10s) < $limit
    for: 15s
    max_hold: 60s
    clear: { when: "median(spo2, 10s) >= $limit + 2", for: 10s }
    bypass: last(spo2) < $limit - 10
    message: "SpO2 {value} %"

    """

  var inForce: RuleDeployment {
    get throws { try running.rules.withLock { $0 } }
  }

  @discardableResult
  func deploy(
    _ files: RuleFiles, mode: RuleMode = .live, units: [String] = [], rules: [String] = []
  ) throws -> (deployment: RuleDeployment, position: UInt64) {
    var change = RuleChange(files: files)
    (change.mode, change.units, change.rules) = (mode, units, rules)
    (change.author, change.reason) = ("ann", "a test")
    let next = try change.deployment(after: try inForce, now: now).deployment
    return (next, try running.deploy(next))
  }

  func rollback(to number: Int? = nil) throws -> RuleDeployment {
    let history = try RuleHistory.read(try running.store)
    let next = try RuleChange.rollback(
      history, to: number, author: "ann", approver: nil, reason: "back", now: now
    ).deployment
    _ = try running.deploy(next)
    return next
  }

  /// Version of the saturation rule in a deployment.
  func version(_ deployment: RuleDeployment, variant: String = "") throws -> String {
    try #require(try deployment.plan().rules.first { $0.id == "low" && $0.variant == variant }).version
  }

  /// Documents of every transition the store holds.
  func transitions() throws -> [[String: Any]] {
    try running.store.alerts.list(limit: 100_000).map { commandJSON($0.document) }
  }

  func held() throws -> [[String: Any]] {
    try running.store.ledger.list(limit: 100_000).map { commandJSON($0.document) }
  }
}

private func rule(_ document: [String: Any], _ field: String) -> String {
  (document["rule"] as? [String: Any])?[field] as? String ?? ""
}

/// Versions of the rules put in force, taken back and tried while a ward of two evaluators runs.
@Suite struct RuleDeployTests {
  /// Every patient sends one value that is a danger by the new limit only. Whether it alerts must depend on nothing but
  /// which side of one journal position it lies.
  @Test("a deploy is atomic across evaluators: one journal position divides old from new for every patient")
  func oneJournalPosition() throws {
    let ward = try Ward.withOneRule()
    try ward.start()
    let files = try ward.rules(limit: 92)
    let count = 120
    func send(_ range: Range<Int>) throws {
      for number in range { try ward.send("d-\(number)", "spo2", "81", at: ward.now) }
    }
    try send(0..<40)
    try ward.flush()
    _ = try ward.settle(20)
    try send(40..<80)
    let deployed = try ward.deploy(files)
    try send(80..<count)
    try ward.flush()
    _ = try ward.settle(count)
    let position = deployed.position
    var after: Set<String> = []
    var shards: [Bool: Set<Int>] = [:]
    let directory = try ward.running.directory
    try ward.running.store.journal.read(from: 1) { record in
      guard case .slot(let slot) = record, slot.kind == .sample, let key = directory.patientKey(slot.patient) else {
        return
      }
      if slot.payload > position { after.insert(key.patient) }
      shards[slot.payload > position, default: []].insert(directory.partition(ofPatient: slot.patient) % 2)
    }
    #expect(shards == [false: [0, 1], true: [0, 1]])
    func dangers() throws -> [[String: Any]] { try ward.transitions().filter { $0["priority"] as? String == "high" } }
    #expect(eventually { (try? dangers().count) == after.count })
    let told = try dangers()
    #expect(Set(told.compactMap { $0["patient"] as? String }) == after)
    let version = try ward.version(deployed.deployment)
    #expect(told.allSatisfy { $0["phase"] as? String == "start" && rule($0, "version") == version })
    // Every patient's state is stored under the new rules, and both evaluators have passed them.
    var stored = 0
    try ward.running.store.state.load(rules: position) { _ in stored += 1 }
    #expect(stored >= count - after.count)
    #expect(
      eventually { (try? ward.running.store.state.progress().values.allSatisfy { $0.floor >= position }) == true })
    let history = try RuleHistory.readWithPositions(try ward.running.store)
    #expect(history.map(\.deployment.number) == [1, 2] && history.last?.position == position)
    #expect(history.map(\.deployment.author) == ["files", "ann"])
  }

  @Test("a pending hold goes on through a deploy; a rollback is one step, and an open alert keeps id and version (C1)")
  func rollbackKeepsAnOpenAlert() throws {
    let ward = try Ward.withOneRule()
    try ward.start()
    let first = try ward.inForce
    try ward.send("d-1", "spo2", "85", at: ward.now)
    _ = try ward.settle(1)
    let onset = ward.now
    let second = try ward.deploy(try ward.rules(limit: 92)).deployment
    for step in 1...16 {
      ward.clock.advance(milliseconds: 1000)
      try ward.send("d-1", "spo2", "85", at: ward.now, seq: step)
      try ward.flush()
      _ = try ward.settle(1 + step)
    }
    #expect(eventually { ward.inbox.opened("low").count == 1 })
    let start = try #require(try ward.transitions().first)
    let began = Timestamp.parse(start["onset_time"] as? String ?? "") ?? 0
    #expect(began <= onset, "held since before the deploy")
    #expect(rule(start, "version") == (try ward.version(second)))

    let back = try ward.rollback()
    #expect(back.version == first.version && back.number == 3 && back.restores == 1 && back.previous == second.version)
    for step in 1...45 {
      ward.clock.advance(milliseconds: 1000)
      try ward.send("d-1", "spo2", "98", at: ward.now, seq: 100 + step)
      try ward.flush()
      _ = try ward.settle(17 + step)
    }
    #expect(eventually { (try? ward.transitions().contains { $0["phase"] as? String == "end" }) == true })
    let end = try #require(try ward.transitions().last)
    #expect(end["alert_id"] as? String == start["alert_id"] as? String)
    #expect(rule(end, "version") == rule(start, "version"))
    // The old limit is in force again: its bypass is at eighty, not eighty-two.
    try ward.send("d-2", "spo2", "81", at: ward.now)
    try ward.send("d-3", "spo2", "79", at: ward.now)
    #expect(eventually { ward.inbox.opened("low").contains { $0.patient == "d-3" } })
    #expect(!ward.inbox.opened("low").contains { $0.patient == "d-2" })
    // One more step back goes before what the first one put back.
    #expect(throws: RuleRefusal.self) { try ward.rollback() }
    #expect(try ward.rollback(to: 2).version == second.version)
  }

  @Test("a rule on trial leaves its alerts in the ledger only, and tells what still holds once it is in force")
  func shadowAlertsAreInTheLedgerOnly() throws {
    let ward = try Ward.withOneRule()
    try ward.start()
    let files = try ward.rules(limit: 92)
    let trial = try ward.deploy(files, mode: .shadow).deployment
    #expect(trial.modeText == "live+shadow" && trial.layers.map(\.rules) == [["low"]])
    try ward.send("d-1", "spo2", "81", at: ward.now)
    try ward.send("d-2", "spo2", "79", at: ward.now)
    _ = try ward.settle(2)
    #expect(eventually { ward.inbox.opened("low").count == 1 })
    #expect(eventually { (try? ward.held().count) == 2 })
    let shadow = try ward.version(trial, variant: "shadow")
    let held = try ward.held()
    #expect(held.allSatisfy { rule($0, "version") == shadow && rule($0, "mode") == "shadow" })
    #expect(Set(held.compactMap { $0["patient"] as? String }) == ["d-1", "d-2"])
    #expect(ward.inbox.told.allSatisfy { $0.patient == "d-2" })
    #expect(try ward.transitions().allSatisfy { rule($0, "version") != shadow })
    #expect(shadow != (try ward.version(trial)))
    // Nothing to do twice; live, the trial ends.
    #expect(throws: RuleRefusal.self) { try ward.deploy(files, mode: .shadow) }
    let live = try ward.deploy(files, rules: ["low"]).deployment
    #expect(live.layers.count == 1 && live.modeText == "live")
    #expect(try ward.version(live) == shadow)
    try ward.send("d-3", "spo2", "81", at: ward.now)
    #expect(eventually { ward.inbox.opened("low").contains { $0.patient == "d-3" } })
  }

  @Test("a canary is in force in its units only, the old version everywhere else")
  func canaryByUnit() throws {
    let ward = try Ward.withOneRule()
    ward.options.roster = """
      patients:
        - { id: p-7, age: 50, unit: ward-7 }
        - { id: p-8, age: 50, unit: ward-8 }
      assignments:
        - { device: d-7, patient: p-7, from: 2020-01-01T00:00:00Z }
        - { device: d-8, patient: p-8, from: 2020-01-01T00:00:00Z }

      """
    ward.options.identity = "roster"
    try ward.start()
    let canary = try ward.deploy(try ward.rules(limit: 92), units: ["ward-7"]).deployment
    #expect(canary.modeText == "live+canary")
    try ward.send("d-8", "spo2", "81", at: ward.now)
    try ward.send("d-7", "spo2", "81", at: ward.now)
    _ = try ward.settle(2)
    #expect(eventually { ward.inbox.opened("low").count == 1 }, "\(ward.inbox.told)")
    #expect(ward.inbox.opened("low").first?.patient == "p-7")
    #expect(
      rule(try #require(try ward.transitions().first), "version") == (try ward.version(canary, variant: "canary")))
    try ward.send("d-8", "spo2", "79", at: ward.now)
    #expect(eventually { ward.inbox.opened("low").count == 2 })
    #expect(rule(try #require(try ward.transitions().last), "version") == (try ward.version(canary)))
    // Taken back, the alert of the canary goes on under the old rule and ends by it, once.
    _ = try ward.rollback()
    for step in 1...45 {
      ward.clock.advance(milliseconds: 1000)
      try ward.send("d-7", "spo2", "98", at: ward.now, seq: step)
      try ward.flush()
      _ = try ward.settle(3 + step)
    }
    #expect(eventually { (try? ward.transitions().contains { $0["phase"] as? String == "end" }) == true })
    let ends = try ward.transitions().filter { $0["phase"] as? String == "end" }
    #expect(ends.count == 1 && !((ends.first?["message"] as? String ?? "").contains("withdrawn")), "\(ends)")
  }

  @Test("wrong rules are refused in one line, and the old ones stay")
  func wrongRulesAreRefused() throws {
    let ward = try Ward.withOneRule()
    try ward.start()
    let before = try ward.inForce
    var broken = try ward.rules(limit: 92)
    broken.sources.append(RuleSource(path: "adult/wrong.yaml", text: "rule: wrong\nwhen: spo3 < 90\n"))
    #expect(throws: RuleRefusal.self) { try ward.deploy(broken) }
    // What the command would not send the service refuses too.
    var next = RuleDeployment(files: broken, set: "adult-ward")
    (next.number, next.previous, next.author, next.reason) = (2, before.version, "ann", "why")
    #expect(throws: RuleRefusal.self) { try ward.running.deploy(next) }
    var change = RuleChange(files: try ward.rules(limit: 92))
    (change.author, change.reason) = ("ann", "why")
    var good = try change.deployment(after: before, now: ward.now).deployment
    good.version = before.version
    let store = ward.folder.file("store")
    func send(_ deployment: RuleDeployment) -> String {
      let text = Data(deployment.journaled).base64EncodedString()
      return ControlClient.ask("{\"command\":\"rules-deploy\",\"deployment\":\"\(text)\"}", store: store) ?? ""
    }
    #expect(send(good).contains("the version does not fit the texts"))
    var stale = try change.deployment(after: before, now: ward.now).deployment
    stale.number = 7
    #expect(send(stale).contains("the rules changed meanwhile"))
    var nameless = stale
    (nameless.number, nameless.author) = (2, "")
    #expect(send(nameless).contains("need an author"))
    #expect(
      ControlClient.ask(#"{"command":"rules-deploy","deployment":"x"}"#, store: store)?.contains("no deployment")
        == true)
    #expect(try ward.inForce == before)
    #expect(try RuleHistory.read(try ward.running.store).count == 1)
    try ward.send("d-1", "spo2", "79", at: ward.now)
    #expect(eventually { ward.inbox.opened("low").count == 1 })
  }

  @Test("the newest change wins: a deploy stays through restarts until the rule files change")
  func filesAndDeployments() throws {
    let ward = try Ward.withOneRule()
    try ward.start()
    let deployed = try ward.deploy(try ward.rules(limit: 92)).deployment
    try ward.restart()
    #expect(try ward.inForce == deployed)
    #expect(ward.log.has("rules of the store stay in force", "\"number\":2"))
    try ward.running.reload()
    #expect(try ward.inForce == deployed)
    #expect(ward.log.has("rule files unchanged; the rules deployed stay in force"))
    try ward.send("d-1", "spo2", "81", at: ward.now)
    #expect(eventually { ward.inbox.opened("low").count == 1 })
    // A changed file is the newest change.
    let path = ward.options.rules + "/adult/low.yaml"
    let text = try String(contentsOfFile: path, encoding: .utf8)
    try (text + "# looked at\n").write(toFile: path, atomically: true, encoding: .utf8)
    try ward.running.reload()
    #expect(
      try ward.inForce.number == 3 && ward.inForce.author == "reload" && ward.inForce.previous == deployed.version)
    try (text + "# looked at twice\n").write(toFile: path, atomically: true, encoding: .utf8)
    try ward.restart()
    #expect(try ward.inForce.number == 4 && ward.inForce.author == "files")
    #expect(ward.log.has("rule files taken up", "\"number\":4"))
    try ward.restart()
    #expect(try ward.inForce.number == 4)
  }

  @Test("states under older rules go once every evaluator is past the change, and the next start needs none of them")
  func oldStatesGo() throws {
    let ward = try Ward.withOneRule()
    try ward.start()
    for number in 0..<8 { try ward.send("d-\(number)", "spo2", "85", at: ward.now) }
    _ = try ward.settle(8)
    let positions = [
      try ward.deploy(try ward.rules(limit: 92)).position, try ward.deploy(try ward.rules(limit: 93)).position,
    ]
    func count(_ rules: UInt64) throws -> Int {
      var found = 0
      try ward.running.store.state.load(rules: rules) { _ in found += 1 }
      return found
    }
    let newest = positions[1]
    #expect(eventually { (try? ward.running.store.state.progress().values.allSatisfy { $0.floor >= newest }) == true })
    #expect(try count(positions[0]) == 8 && count(newest) == 8)
    try #require(try ward.running.watch).trim(ward.now)
    #expect(try count(positions[0]) == 0 && count(newest) == 8)
    try ward.restart()
    #expect(!ward.log.has("states damaged"))
    for step in 1...16 {
      ward.clock.advance(milliseconds: 1000)
      for number in 0..<8 { try ward.send("d-\(number)", "spo2", "85", at: ward.now, seq: step) }
      try ward.flush()
      _ = try ward.settle(step * 8)
    }
    #expect(eventually { ward.inbox.opened("low").count == 8 })
  }

  @Test("in production files alone change nothing, and a deploy needs a second person and a signature")
  func production() throws {
    let ward = try Ward.withOneRule()
    try ward.start()
    let before = try ward.inForce
    ward.stop()
    let path = ward.options.rules + "/adult/low.yaml"
    let text = try String(contentsOfFile: path, encoding: .utf8)
    try text.replacingOccurrences(of: "default: 90", with: "default: 88").write(
      toFile: path, atomically: true, encoding: .utf8)
    var settings = try ward.settings()
    settings.configuration.profile = .production
    let service = try VigilService(settings)
    defer { service.stop() }
    #expect(service.rules.withLock { $0 } == before)
    #expect(ward.log.has("rule files changed; in production they come into force by `vigil rules deploy`"))
    var change = RuleChange(files: try ward.rules(limit: 92))
    (change.author, change.approver, change.reason) = ("ann", "bob", "why")
    let next = try change.deployment(after: before, now: ward.now).deployment
    #expect(throws: RuleRefusal("production needs a signature: --key FILE")) { try service.deploy(next) }
    #expect(service.rules.withLock { $0 } == before)
  }
}
