import Foundation
import TestSupport
import Testing

/// A ward through a real broker and the running service, and everything that reads its store beside it and after it.
@Suite(.serialized) struct CommandStoreTests {
  @Test func commandsReadTheStoreOfARunningService() throws {
    let program = try CommandProgram("store")
    let broker = try Broker()
    defer { broker.stop() }
    let service = try startService(program, broker)
    let made = try program.run([
      "simulate", "--mqtt", "mqtt://127.0.0.1:\(broker.port)", "--speed", "max", "--for", "6m", "--pace", "20",
      "--spot-pace", "20", "--patients", "4", "--seed", "7", "--start", "2026-01-01T00:00:00Z", "--scenario",
      "opioid_depression,atrial_fibrillation", "--json",
    ])
    #expect(made.status == .code(0), "\(made.stderr)")
    let samples = try #require(commandJSON(made.stdout)["samples"] as? Int)
    try ChildProcess.run(
      "mosquitto_pub", ["-p", "\(broker.port)", "-q", "1", "-t", "vigil/v1/demo/mon-001/vitals", "-m", "{bad"],
      in: program.folder)
    try #require(eventually(within: 60) { exported(program) == samples })

    try checkExplanations(program)
    try checkQuarantine(program)
    try checkDeliveries(program)
    let beside = try replay(program, "beside")
    let recording = try program.bytes("all.csv")
    service.kill(SIGTERM)
    #expect(service.wait(seconds: 30) == .code(0))

    // Stopped, sealed and read again: the same samples, the same documents.
    #expect(exported(program) == samples)
    #expect(try program.bytes("all.csv") == recording)
    let after = try replay(program, "after")
    #expect(try program.bytes("beside.alerts") == program.bytes("after.alerts"))
    #expect(try program.bytes("beside.held") == program.bytes("after.held"))
    #expect(beside["state_hash"] as? String == after["state_hash"] as? String)
    #expect(after["samples"] as? Int == samples)
    let refused = try program.run(["quarantine", "resubmit", "1-1", "--store", program.folder.file("store")])
    #expect(refused.status == .code(1))
    #expect(refused.stderr.contains("no service runs"))
  }

  private func startService(_ program: CommandProgram, _ broker: Broker) throws -> ChildProcess {
    let roster = program.folder.file("roster.yaml")
    let ward = try program.run([
      "simulate", "--output", program.folder.file("none.jsonl"), "--for", "1s", "--patients", "4", "--seed", "7",
      "--scenario", "opioid_depression,atrial_fibrillation", "--roster", roster,
    ])
    #expect(ward.status == .code(0))
    let configuration = try program.folder.write(
      """
      clock: stream
      roster: \(roster)
      brokers:
        - { url: "mqtt://127.0.0.1:\(broker.port)", client_id: store-test }
      rules: { path: \(CommandProgram.rules) }
      store: { path: \(program.folder.file("store")) }
      http: { listen: "127.0.0.1:\(try freePort())" }

      """, to: "vigil.yaml")
    let service = try program.start(["run", "-c", configuration], environment: ["SWIFT_BACKTRACE": "enable=no"])
    let isUp = eventually(within: 60) {
      service.exitStatus != nil || (service.stderr + service.stdout).contains("\"connected\"")
    }
    try #require(isUp && service.exitStatus == nil, "\(service.stderr)")
    return service
  }

  /// Samples in an export of the whole store; -1 while there is none to read.
  private func exported(_ program: CommandProgram) -> Int {
    let arguments = [
      "export", "--store", program.folder.file("store"), "--output", program.folder.file("all.csv"), "--json",
    ]
    guard let outcome = try? program.run(arguments), outcome.status == .code(0) else { return -1 }
    return commandJSON(outcome.stderr)["samples"] as? Int ?? -1
  }

  private func replay(_ program: CommandProgram, _ name: String) throws -> [String: Any] {
    let outcome = try program.run([
      "replay", program.folder.file("store"), "--alerts", program.folder.file(name + ".alerts"), "--suppressed",
      program.folder.file(name + ".held"), "--json",
    ])
    #expect(outcome.status == .code(0), "\(outcome.stderr)")
    return commandJSON(outcome.stdout)
  }

  /// What a replay writes is what the service stored, document by document.
  private func checkExplanations(_ program: CommandProgram) throws {
    let store = ["--store", program.folder.file("store")]
    _ = try replay(program, "first")
    let documents = try program.lines("first.alerts")
    #expect(!documents.isEmpty)
    let byID = Dictionary(grouping: documents) { commandJSON($0)["alert_id"] as? String ?? "" }
    for (id, replayed) in byID.sorted(by: { $0.key < $1.key }).prefix(6) {
      let outcome = try program.run(["explain", id, "--json"] + store)
      #expect(outcome.status == .code(0), "\(outcome.stderr)")
      let stored = (commandJSON(outcome.stdout)["transitions"] as? [[String: Any]] ?? []).compactMap { $0["document"] }
      let expected = replayed.map { commandJSON($0) }
      #expect(NSArray(array: stored) == NSArray(array: expected))
    }
    let low = try #require(documents.first { $0.contains("\"id\":\"spo2-low\"") })
    let id = try #require(commandJSON(low)["alert_id"] as? String)
    let text = try program.run(["explain", String(id.prefix(14))] + store)
    #expect(text.status == .code(0))
    #expect(text.stdout.contains("median(spo2, 10s) < $limit"))
    #expect(text.stdout.contains("adult/oxygen.yaml"))
    let unknown = try program.run(["explain", "a-nothing"] + store)
    #expect(unknown.status == .code(1))
    #expect(unknown.stderr.split(separator: "\n").count == 1)
    if let held = try program.lines("first.held").first, let id = commandJSON(held)["alert_id"] as? String,
      byID[id] == nil
    {
      #expect(try program.run(["explain", id] + store).stdout.contains("why: not sent"))
    }
  }

  /// The running service is asked: it alone writes the store.
  private func checkDeliveries(_ program: CommandProgram) throws {
    let store = ["--store", program.folder.file("store")]
    let all = try program.run(["deliveries", "replay", "--all", "--json"] + store)
    #expect(all.status == .code(0) && commandJSON(all.stdout)["replayed"] as? Int == 0, "\(all.stderr)")
    #expect(try program.run(["deliveries", "replay", "77"] + store).status == .code(1))
  }

  /// Figures of a store while it is written; all of them, and nobody named.
  private func checkStats(_ program: CommandProgram) throws {
    let outcome = try program.run(["stats", "--store", program.folder.file("store"), "--json"])
    #expect(outcome.status == .code(0), "\(outcome.stderr)")
    let figures = commandJSON(outcome.stdout)
    #expect((figures["total"] as? [String: Any])?["alerts"] as? Int ?? 0 > 0)
    let watched = try #require(figures["patient_days"] as? [String: Any])
    #expect(watched["patients"] as? Int == 4 && watched["source"] as? String == "samples")
    #expect(figures["simulated"] as? Bool == true && !outcome.stdout.contains("mon-001"))
  }

  private func checkQuarantine(_ program: CommandProgram) throws {
    let store = ["--store", program.folder.file("store")]
    func rows() throws -> [[String: Any]] {
      try program.run(["quarantine", "list", "--json"] + store).stdout.split(separator: "\n").map { commandJSON($0) }
    }
    try #require(eventually(within: 20) { (try? rows().isEmpty) == false })
    let row = try #require(try rows().first)
    #expect(row["reason"] as? String == "malformed")
    #expect(row["payload"] as? String == "{bad")
    let id = try #require(row["id"] as? String)
    #expect(try program.run(["quarantine", "show", id] + store).stdout.contains("{bad"))
    let done = try program.run(["quarantine", "resubmit", id] + store)
    #expect(done.status == .code(0))
    #expect(done.stdout.contains("resubmitted 1 of 1"))
    #expect(try rows().contains { $0["id"] as? String == id && $0["resubmitted"] as? Bool == true })
  }
}
