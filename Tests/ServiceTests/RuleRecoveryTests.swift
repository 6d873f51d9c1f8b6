import AlertJournal
import Foundation
import KeyValueStore
import Pipeline
import TestSupport
import Testing
import VitalModel

@testable import Service

/// Deployments in the journal: replayed, and recovered from wherever a crash left the evaluators.
@Suite struct RuleRecoveryTests {
  @Test("B8: replay of a store with deployments writes the service's documents byte for byte")
  func replayWithDeployments() throws {
    let program = try CommandProgram("deploy-replay")
    let ward = try Ward.withOneRule()
    try ward.start()
    func low(_ range: Range<Int>, _ value: String) throws {
      for number in range { try ward.send("d-\(number)", "spo2", value, at: ward.now) }
      try ward.flush()
    }
    try low(0..<8, "79")
    _ = try ward.settle(8)
    try ward.deploy(try ward.rules(limit: 92))
    try low(8..<16, "81")
    _ = try ward.settle(16)
    try ward.deploy(try ward.rules(limit: 94), mode: .shadow)
    try low(16..<24, "83")
    _ = try ward.settle(24)
    // A rule goes away with alerts of it open on both evaluators: they end at the time of the deploy.
    try ward.deploy(try ward.rules(limit: 92), mode: .off, rules: ["low"])
    ward.clock.advance(milliseconds: 3000)
    try low(24..<32, "97")
    _ = try ward.settle(32)
    _ = try ward.rollback(to: 1)
    #expect(eventually { (try? ward.transitions().count) == 32 })
    try low(32..<36, "79")
    _ = try ward.settle(36)
    #expect(eventually { (try? ward.transitions().count) == 36 && (try? ward.held().count) == 8 })
    let told = try ward.running.store.alerts.list(limit: 100_000).map(\.document).sorted()
    let held = try ward.running.store.ledger.list(limit: 100_000).map(\.document).sorted()
    #expect(told.filter { $0.contains("rule withdrawn") }.count == 16)
    ward.stop()
    let outcome = try program.run([
      "replay", ward.folder.file("store"), "--alerts", program.folder.file("alerts"), "--suppressed",
      program.folder.file("held"),
    ])
    #expect(outcome.status == .code(0), "\(outcome.stderr)")
    #expect(try program.lines("alerts").sorted() == told)
    #expect(try program.lines("held").sorted() == held)
  }

  /// One evaluator met the new rules and wrote its states, the other had not come to them: as a kill leaves it.
  @Test(
    "a kill between a deploy and the other evaluator's checkpoint loses neither windows nor holds", arguments: [0, 1])
  func killBetweenDeployAndCheckpoint(_ late: Int) throws {
    let ward = try Ward.withOneRule()
    try ward.start()
    let count = 12
    for number in 0..<count { try ward.send("d-\(number)", "spo2", "85", at: ward.now) }
    try ward.flush()
    _ = try ward.settle(count)
    let onset = ward.now
    let position = try ward.deploy(try ward.rules(limit: 92)).position
    #expect(
      eventually { (try? ward.running.store.state.progress().values.allSatisfy { $0.floor >= position }) == true })
    let directory = try ward.running.directory
    let lateOnes = (0..<UInt32(directory.counts.patients)).filter { directory.partition(ofPatient: $0) % 2 == late }
    #expect(!lateOnes.isEmpty && lateOnes.count < count)
    ward.stop()
    try forgetNewRules(ward, shard: late, patients: lateOnes, position: position)

    try ward.start()
    #expect(!ward.log.has("states damaged"))
    for step in 1...16 {
      ward.clock.advance(milliseconds: 1000)
      for number in 0..<count { try ward.send("d-\(number)", "spo2", "85", at: ward.now, seq: step) }
      try ward.flush()
      _ = try ward.settle(step * count)
    }
    #expect(eventually { ward.inbox.opened("low").count == count })
    let told = try ward.transitions().filter { $0["phase"] as? String == "start" }
    #expect(told.count == count)
    for document in told {
      #expect((Timestamp.parse(document["onset_time"] as? String ?? "") ?? .max) <= onset)
    }
    // The next start finds everything under the new rules.
    try ward.restart()
    #expect(!ward.log.has("states damaged"))
    #expect(ward.inbox.opened("low").count == count)
  }

  /// Takes back what one evaluator wrote under the new rules.
  private func forgetNewRules(_ ward: Ward, shard: Int, patients: [UInt32], position: UInt64) throws {
    let store = try VigilStore.open(path: ward.folder.file("store"))
    defer { store.close() }
    let batch = store.makeBatch()
    for patient in patients {
      var key = KeyBuilder()
      key.append(UInt8(0x03))
      key.append(position)
      key.append(patient)
      batch.delete(store.families.state, key: key.bytes)
    }
    var progress = try #require(try store.state.progress()[UInt8(shard)])
    progress.floor = position - 1
    for partition in 0..<partitionCount { progress.applied[partition] = min(progress.applied[partition], position - 1) }
    store.state.put(progress, shard: UInt8(shard), in: batch)
    try store.store.write(batch, sync: true)
  }

  @Test("rules deployed and rolled back in a store that nothing runs on come into force with the next start")
  func deployedWhileStopped() throws {
    let ward = try Ward.withOneRule()
    try ward.start()
    try ward.send("d-1", "spo2", "85", at: ward.now)
    _ = try ward.settle(1)
    let first = try ward.inForce
    ward.stop()
    let store = ward.folder.file("store")
    var change = RuleChange(files: try ward.rules(limit: 92))
    (change.author, change.reason) = ("ann", "at night")
    let next = try change.deployment(after: first, now: ward.now).deployment
    let position = try #require(try OfflineRules.write(next, store: store, isProduction: false, now: ward.now))
    // Twice is once too often.
    #expect(throws: RuleRefusal.self) {
      try OfflineRules.write(next, store: store, isProduction: false, now: ward.now)
    }
    try ward.start()
    #expect(try ward.inForce == next)
    #expect(UInt64(ward.metric("vigil_journal_position")) >= position)
    #expect(!ward.log.has("recovery warning") && !ward.log.has("states damaged"))
    #expect(try OfflineRules.write(next, store: store, isProduction: false, now: ward.now) == nil)
    try ward.send("d-2", "spo2", "81", at: ward.now)
    #expect(eventually { ward.inbox.opened("low").contains { $0.patient == "d-2" } })
    #expect(try ward.storedSamples() == 2)
  }
}
