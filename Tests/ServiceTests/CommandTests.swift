import Foundation
import TestSupport
import Testing

@Suite struct CommandTests {
  private static let ward = ["--for", "8m", "--pace", "20", "--spot-pace", "20", "--patients", "6", "--seed", "7"]
  private static let scenarios = ["--scenario", "opioid_depression,atrial_fibrillation,haemorrhage"]

  @Test func theSameSeedGivesTheSameBytes() throws {
    let program = try CommandProgram("simulate")
    for name in ["a", "b"] {
      let outcome = try program.run(
        ["simulate", "--output", program.folder.file(name + ".jsonl"), "--labels", program.folder.file(name + ".csv")]
          + CommandTests.ward)
      #expect(outcome.status == .code(0))
      #expect(outcome.stderr.contains("synthetic data"))
    }
    #expect(try program.bytes("a.jsonl") == program.bytes("b.jsonl"))
    #expect(try program.bytes("a.csv") == program.bytes("b.csv"))
    #expect(try program.lines("a.csv")[0] == "patient_id,onset_time_s,end_time_s,label")
    let other = try program.run(
      ["simulate", "--output", program.folder.file("c.jsonl"), "--for", "8m", "--patients", "6", "--seed", "8"])
    #expect(other.status == .code(0))
    #expect(try program.bytes("a.jsonl") != program.bytes("c.jsonl"))
  }

  @Test func replaysOfOneWardAreIdenticalAndBalance() throws {
    let program = try CommandProgram("replay")
    let recording = program.folder.file("ward.jsonl")
    let roster = program.folder.file("roster.yaml")
    let made = try program.run(
      ["simulate", "--output", recording, "--roster", roster] + CommandTests.ward + CommandTests.scenarios)
    #expect(made.status == .code(0))
    var summaries: [[String: Any]] = []
    for name in ["one", "two"] {
      let outcome = try program.run([
        "replay", recording, "--rules", CommandProgram.rules, "--set", "adult-ward", "--roster", roster, "--alerts",
        program.folder.file(name + ".alerts"), "--suppressed", program.folder.file(name + ".held"), "--json",
      ])
      #expect(outcome.status == .code(0), "\(outcome.stderr)")
      summaries.append(commandJSON(outcome.stdout.split(separator: "\n").last ?? ""))
    }
    #expect(try program.bytes("one.alerts") == program.bytes("two.alerts"))
    #expect(try program.bytes("one.held") == program.bytes("two.held"))
    #expect(summaries[0]["state_hash"] as? String == summaries[1]["state_hash"] as? String)
    let counts = summaries[0].compactMapValues { $0 as? Int }
    #expect(counts["samples"] == counts["stored"]! + counts["quarantined"]! + counts["duplicates"]!)
    #expect(counts["samples"]! > 10_000)
    let byRule = try #require(summaries[0]["alerts_by_rule"] as? [String: Int])
    #expect(byRule["spo2-low", default: 0] > 0)
    #expect(byRule["hr-high", default: 0] > 0)
    #expect(byRule.values.reduce(0, +) == counts["alerts"])
  }

  @Test func anUnknownOptionNamesTheNearestOne() throws {
    let program = try CommandProgram("usage")
    let outcome = try program.run(["replay", "x.csv", "--alertz", "f"])
    #expect(outcome.status == .code(2))
    #expect(outcome.stderr.contains("unknown option `--alertz`, did you mean `--alerts`?"))
    #expect(try program.run(["simulat"]).stderr.contains("did you mean `simulate`?"))
    let scenario = try program.run(["simulate", "--output", "-", "--scenario", "sepsiss"])
    #expect(scenario.status == .code(2))
    #expect(scenario.stderr.contains("did you mean `sepsis`?"))
    #expect(scenario.stdout.isEmpty)
  }

  @Test func checkTellsGoodConfigurationFromBad() throws {
    let program = try CommandProgram("check")
    let good = try program.folder.write("clock: stream\n", to: "good.yaml")
    let bad = try program.folder.write("clok: stream\n", to: "bad.yaml")
    #expect(try program.run(["check", "-c", good, CommandProgram.rules]).status == .code(0))
    let outcome = try program.run(["check", "-c", bad, CommandProgram.rules])
    #expect(outcome.status == .code(78))
    #expect(outcome.stderr.contains("bad.yaml:1:1"))
    #expect(outcome.stderr.contains("did you mean `clock`"))
  }

  @Test func aLadderWithoutCoverIsAWarningAndAWrongOneAnError() throws {
    let program = try CommandProgram("cover")
    let ward = try Ward.withOneRule()
    defer { ward.stop() }
    let rules = ward.options.rules
    let people = """
      receivers: [{ name: pager, url: "https://a.example", secret: "file:\(try program.folder.write("whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3", to: "key"))" }]
      people: [{ id: u-anna, receivers: [pager] }]
      schedules: [{ schedule: days, zone: UTC, shifts: [{ from: "07:00", to: "19:00", who: u-anna }] }]

      """
    let ladder = "alerting: { escalation: [{ steps: [{ after: 2m, to: days }] }] }\n"
    let good = try program.folder.write(people + ladder, to: "good.yaml")
    let outcome = try program.run(["check", "-c", good, rules])
    #expect(outcome.status == .code(0))
    #expect(
      outcome.stderr.hasPrefix("vigil: warning: \(good):4:53: `days` has nobody on duty from mon 00:00 to mon 07:00"))
    #expect(outcome.stderr.split(separator: "\n").count == 1)
    let bad = try program.folder.write("alerting: { realarm: { high: 1h } }\n", to: "bad.yaml")
    let recording = try program.folder.write("patient_id,time_s,spo2\np,0,97\n", to: "r.csv")
    let replay = ["replay", recording, "--rules", rules, "--alerts", program.folder.file("alerts")]
    #expect(try program.run(replay + ["-c", good]).status == .code(0))
    let refused = try program.run(replay + ["--alerting", bad])
    #expect(refused.status == .code(78))
    #expect(refused.stderr.contains("bad.yaml:1:30: `high` must be"))
    #expect(try program.run(replay + ["--alerting", bad, "-c", good]).status == .code(2))
  }

  @Test func versionIsOneObject() throws {
    let program = try CommandProgram("version")
    let outcome = try program.run(["version", "--json"])
    #expect(outcome.status == .code(0))
    #expect(commandJSON(outcome.stdout)["contract"] as? String == "v1")
  }

  @Test(arguments: [["export"], ["explain", "a-1"], ["quarantine", "list"], ["quarantine", "resubmit", "--all"]])
  func aMissingStoreIsOneLine(command: [String]) throws {
    let program = try CommandProgram("missing")
    let outcome = try program.run(command + ["--store", program.folder.file("nothing")])
    #expect(outcome.status == .code(2))
    #expect(outcome.stderr.split(separator: "\n").count == 1)
    #expect(outcome.stderr.contains("no store here"))
  }
}
