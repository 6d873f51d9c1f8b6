import Foundation
import TestSupport
import Testing
import VitalModel

@testable import Service

/// `vigil replay --compare`, `--ablate` and `vigil explain --recording`, as a person would use them.
@Suite struct ReplayQuestionsTests {
  /// Two hours a minute: `low` falls to 91 for long, `deep` to 84, `well` never.
  private static var recording: String {
    var text = "patient_id,time_s,spo2,hr\n"
    for (patient, bottom) in [("low", 91), ("deep", 84), ("well", 97)] {
      for minute in 0..<120 {
        let value = (30..<60).contains(minute) ? bottom : 97
        text += "\(patient),\(minute * 60),\(value),\(70 + minute % 3)\n"
      }
    }
    return text
  }

  private static func rule(limit: Int) -> String {
    """
    rule: desaturation
    title: Low oxygen saturation
    kind: physiological
    priority: high
    parameters:
      limit: { default: \(limit), min: 70, max: 99 }
    when: last(spo2) < $limit
    for: 2m
    max_hold: 5m
    bypass: last(spo2) < $limit - 20
    clear: last(spo2) >= $limit
    message: "oxygen saturation {value} % (limit {limit})"
    rationale: a rule of this test
    source: none
    """
  }

  private struct Bench {
    let program: CommandProgram
    let recording: String
    let strict: String
    let loose: String

    init() throws {
      program = try CommandProgram("questions")
      recording = try program.folder.write(ReplayQuestionsTests.recording, to: "in.csv")
      strict = try program.folder.write(ReplayQuestionsTests.rule(limit: 92), to: "strict.yaml")
      loose = try program.folder.write(ReplayQuestionsTests.rule(limit: 88), to: "loose.yaml")
    }

    func run(_ arguments: [String]) throws -> CommandProgram.Outcome { try program.run(arguments) }
  }

  @Test func twoSetsOfRulesShowWhatOneLosesWithItsTrace() throws {
    let bench = try Bench()
    let command = ["replay", bench.recording, "--rules", bench.strict, "--compare", bench.loose]
    let text = try bench.run(command)
    #expect(text.status == .code(0), "\(text.stderr)")
    let lines = text.stdout.split(separator: "\n").map(String.init)
    let place = try #require(lines.firstIndex { $0.hasPrefix("lost ") })
    #expect(lines[place].contains(" low desaturation high: oxygen saturation 91 % (limit 92)"))
    #expect(lines[place + 1].contains("spo2 91 to 97 %"))
    #expect(lines[place + 2].contains("▁▁▁▁") && lines[place + 2].contains("██"))
    #expect(lines[place + 3].contains("^") && lines[place + 3].contains("]"))
    #expect(!lines.contains { $0.hasPrefix("gained ") || $0.contains(" well ") })
    let json = commandJSON(try bench.run(command + ["--json"]).stdout)
    let changes = try #require(json["changes"] as? [[String: Any]])
    #expect(changes.map { $0["change"] as? String } == ["lost"])
    let trace = try #require((changes[0]["traces"] as? [[String: Any]])?.first)
    #expect(trace["vital"] as? String == "spo2" && (trace["samples"] as? [[Double]])?.contains { $0[1] == 91 } == true)
    let back = try bench.run(["replay", bench.recording, "--rules", bench.loose, "--compare", bench.strict])
    #expect(back.stdout.contains("gained ") && !back.stdout.contains("lost "))
  }

  /// Rows and columns in another order are the same recording, drawings and all.
  @Test func aShuffledRecordingAnswersTheSame() throws {
    let bench = try Bench()
    let lines = ReplayQuestionsTests.recording.split(separator: "\n").dropFirst().map { line in
      let cells = line.split(separator: ",")
      return [cells[3], cells[2], cells[1], cells[0]].joined(separator: ",")
    }
    // 7 and the number of rows have no common factor.
    let turned = lines.indices.map { lines[$0 * 7 % lines.count] }
    let shuffled = try bench.program.folder.write(
      "hr,spo2,time_s,patient_id\n" + turned.joined(separator: "\n") + "\n", to: "shuffled.csv")
    let permuted = try bench.program.folder.write(
      "hr,spo2,time_s,patient_id\n" + lines.joined(separator: "\n") + "\n", to: "permuted.csv")
    let question = ["--rules", bench.strict, "--compare", bench.loose, "--json"]
    let answer = try bench.run(["replay", bench.recording] + question)
    #expect(answer.status == .code(0) && answer.stdout.contains(#""traces":[{"#), "\(answer.stderr)")
    for path in [shuffled, permuted] { #expect(try bench.run(["replay", path] + question).stdout == answer.stdout) }
    let whole = ["--rules", CommandProgram.rules]
    let told = try bench.run(["replay", bench.recording] + whole).stdout
    #expect(told.split(separator: "\n").count > 3)
    #expect(try bench.run(["replay", permuted] + whole).stdout == told)
    let sorted = try bench.run(["replay", shuffled] + whole).stdout
    #expect(sorted.split(separator: "\n").sorted() == told.split(separator: "\n").sorted())
    let id = try #require(commandJSON(told.split(separator: "\n").first ?? "")["alert_id"] as? String)
    let explained = try [bench.recording, shuffled].map {
      try bench.run(["explain", "--recording", $0, id] + whole)
    }
    #expect(explained[0].status == .code(0) && explained[0].stdout == explained[1].stdout)
  }

  @Test func ratesAreOfThePatientsReplayed() throws {
    let bench = try Bench()
    let question = ["replay", bench.recording, "--rules", bench.strict, "--json", "--patients", "low"]
    for words in [["--compare", bench.loose], ["--ablate"]] {
      let json = commandJSON(try bench.run(question + words).stdout)
      #expect(json["patient_days"] as? Double == 2.0 / 24)
    }
  }

  @Test func optionsThatSayNothingAreRefused() throws {
    let bench = try Bench()
    for words in [
      ["--compare-set", "adult-icu"], ["--resume-rows", "5"], ["--compare", bench.loose, "--resume", "x"],
      ["--ablate", "--resume", "x"], ["--ablate", "--stage-report"],
    ] {
      let outcome = try bench.run(["replay", bench.recording, "--rules", bench.strict] + words)
      #expect(outcome.status == .code(2) && outcome.stderr.split(separator: "\n").count == 1, "\(words)")
    }
  }

  @Test func aStageIsWorthTheAlertsItHolds() throws {
    let bench = try Bench()
    let outcome = try bench.run(["replay", bench.recording, "--rules", CommandProgram.rules, "--ablate", "--json"])
    #expect(outcome.status == .code(0), "\(outcome.stderr)")
    let json = commandJSON(outcome.stdout)
    let base = try #require((json["baseline"] as? [String: Any])?["alerts"] as? Int)
    let stages = try #require(json["stages"] as? [[String: Any]])
    #expect(!stages.isEmpty && stages.allSatisfy { ($0["held"] as? Int ?? 0) > 0 })
    for stage in stages {
      let name = try #require(stage["stage"] as? String)
      let plain = commandJSON(
        try bench.run(["replay", bench.recording, "--rules", CommandProgram.rules, "--without", name, "--json"]).stdout
          .split(separator: "\n").last ?? "")
      #expect((stage["without"] as? [String: Any])?["alerts"] as? Int == plain["alerts"] as? Int, "\(name) of \(base)")
    }
  }

  @Test func anAlertsEvidenceIsRedrawnFromItsRecording() throws {
    let bench = try Bench()
    let rules = ["--rules", bench.strict]
    let replay = try bench.run(["replay", bench.recording] + rules)
    let document = commandJSON(replay.stdout.split(separator: "\n").first ?? "")
    let id = try #require(document["alert_id"] as? String)
    let text = try bench.run(["explain", "--recording", bench.recording, String(id.prefix(9))] + rules)
    #expect(text.status == .code(0), "\(text.stderr)")
    for part in [id, "asks for `last(spo2) < $limit`", "parameter", "recorded around it", "spo2 91 to 97 %", "▁▁▁"] {
      #expect(text.stdout.contains(part), "\(part)")
    }
    let json = commandJSON(try bench.run(["explain", "--recording", bench.recording, id, "--json"] + rules).stdout)
    let transitions = (json["explanation"] as? [String: Any])?["transitions"] as? [[String: Any]]
    #expect(transitions?.first?["evidence"] is [String: Any])
    let missing = try bench.run(["explain", "--recording", bench.recording, "a-0000"] + rules)
    #expect(missing.status == .code(1) && missing.stderr.split(separator: "\n").count == 1)
    #expect(missing.stderr.contains("no alert `a-0000` in"))
  }

  @Test func progressOfAnotherReplayIsRefused() throws {
    let bench = try Bench()
    let progress = bench.program.folder.file("progress")
    let outputs = ["--alerts", bench.program.folder.file("alerts"), "--resume", progress]
    let command = ["replay", bench.recording, "--rules", bench.strict]
    let printed = try bench.run(command + ["--resume", progress])
    #expect(printed.status == .code(2) && printed.stderr.contains("needs `--alerts FILE`"))
    let whole = try bench.run(command + outputs + ["--resume-rows", "50", "--json"])
    #expect(whole.status == .code(0), "\(whole.stderr)")
    #expect(!FileManager.default.fileExists(atPath: progress), "a replay that is through leaves none")
    _ = try bench.program.folder.write("rubbish", to: "progress")
    let damaged = try bench.run(command + outputs)
    #expect(damaged.status == .code(1) && damaged.stderr.contains("damaged"))
    let plan = try RuleFiles.read(bench.strict).plan(set: nil)
    let other = ReplaySession(plan: plan, options: .init()) { _ in }.progress(identity: "sha256:other")
    try Data(other.bytes).write(to: URL(fileURLWithPath: progress))
    let strange = try bench.run(command + outputs)
    #expect(strange.status == .code(1) && strange.stderr.contains("is of another replay"))
    #expect(try bench.program.lines("alerts").count > 2, "outputs are left alone")
  }
}
