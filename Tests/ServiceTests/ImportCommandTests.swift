import Foundation
import TestSupport
import Testing

/// `vigil import` and `vigil label`, as a person would use them.
@Suite struct ImportCommandTests {
  /// An hour a row; `a` falls in its third hour.
  private static func psv(isLow: Bool) -> String {
    "HR|O2Sat|Age|Gender|ICULOS|SepsisLabel\n"
      + (1...6).map { "8\($0)|\(isLow && $0 == 3 ? 70 : 97)|61|1|\($0)|\(isLow && $0 > 3 ? 1 : 0)\n" }.joined()
  }

  private struct Bench {
    let program: CommandProgram
    let recording: String
    let labels: String
    let outcome: CommandProgram.Outcome

    init() throws {
      let program = try CommandProgram("import")
      self.program = program
      let files = try ["a", "b"].map {
        try program.folder.write(ImportCommandTests.psv(isLow: $0 == "a"), to: "\($0).psv")
      }
      let empty = try program.folder.write("", to: "c.psv")
      recording = program.folder.file("out.csv.zst")
      labels = program.folder.file("labels.csv")
      outcome = try program.run(
        ["import", "psv"] + files + [
          empty, "--rules", CommandProgram.rules, "--out", recording, "--labels", labels, "--json",
        ])
    }
  }

  @Test func aFolderOfPatientsBecomesARecordingWithLabels() throws {
    let bench = try Bench()
    // The empty file is named; what the others hold stands.
    #expect(bench.outcome.status == .code(1))
    #expect(bench.outcome.stderr.contains("c.psv: not a file of the 2019 challenge"))
    #expect(bench.outcome.stderr.contains(#""files":3,"unreadable":1,"records":12,"patients":2,"samples":24"#))
    let labels = try String(contentsOfFile: bench.labels, encoding: .utf8)
    #expect(
      labels == "patient_id,onset_time,label\na,2020-01-01T03:00:00.000Z,sepsis_label_on\n"
        + "a,2020-01-01T09:00:00.000Z,sepsis_onset\n")
  }

  @Test func verdictsOfReviewersBecomeLabels() throws {
    let bench = try Bench()
    let alerts = bench.program.folder.file("alerts.jsonl")
    let replayed = try bench.program.run(
      ["replay", bench.recording, "--rules", CommandProgram.rules, "--alerts", alerts])
    #expect(replayed.status == .code(0), "\(replayed.stderr)")
    let sheet = bench.program.folder.file("sheet.csv")
    let exported = try bench.program.run(
      ["label", "export", alerts, "--recording", bench.recording, "--rules", CommandProgram.rules, "--out", sheet])
    #expect(exported.status == .code(0), "\(exported.stderr)")
    let lines = try String(contentsOfFile: sheet, encoding: .utf8).split(separator: "\n").map(String.init)
    #expect(lines.count > 1)
    let sheets = try ["true", "false"].map { verdict in
      try bench.program.folder.write(
        ([lines[0]] + lines.dropFirst().map { $0.dropLast(2) + "\(verdict),," }.map(String.init)).joined(
          separator: "\n"),
        to: "r-\(verdict).csv")
    }
    let one = try bench.program.run(["label", "import", sheets[0], "--alerts", alerts])
    #expect(one.status == .code(0), "\(one.stderr)")
    #expect(one.stdout.split(separator: "\n").dropFirst().allSatisfy { $0.contains(",adjudicated-true,review,") })
    let both = try bench.program.run(["label", "import", sheets[0], sheets[1], "--alerts", alerts])
    #expect(both.stdout.split(separator: "\n").dropFirst().allSatisfy { $0.contains(",adjudicated-unsure,review,") })
    let twin = try bench.program.folder.write(
      try String(contentsOfFile: sheets[1], encoding: .utf8), to: "again/r-true.csv")
    let same = try bench.program.run(["label", "import", sheets[0], twin, "--alerts", alerts])
    #expect(same.status == .code(1) && same.stderr.contains(sheets[0]) && same.stderr.contains(twin))
    let without = try bench.program.run(["label", "import", sheets[0]])
    #expect(without.status == .code(1) && without.stderr.contains("--alerts"))
  }

  @Test func anImportOfNothingReplacesNothing() throws {
    let program = try CommandProgram("import-nothing")
    let empty = try program.folder.write("HR|ICULOS\nNaN|1\n", to: "a.psv")
    let kept = try program.folder.write("kept", to: "out.csv")
    let outcome = try program.run(["import", empty, "--rules", CommandProgram.rules, "--out", kept])
    #expect(outcome.status == .code(1) && outcome.stderr.contains("no sample was imported"))
    #expect(try String(contentsOfFile: kept, encoding: .utf8) == "kept")
  }

  @Test func twoFilesOfOneNameAreNotOnePatient() throws {
    let program = try CommandProgram("import-twins")
    let files = try ["a/p.psv", "b/p.psv"].map { try program.folder.write("HR|ICULOS\n80|1\n", to: $0) }
    let outcome = try program.run(["import"] + files + ["--rules", CommandProgram.rules])
    #expect(outcome.status == .code(1) && files.allSatisfy(outcome.stderr.contains))
  }

  @Test func whatCannotBeToldIsAUsageError() throws {
    let program = try CommandProgram("import-usage")
    let stray = try program.folder.write("hello", to: "stray.txt")
    let zip = try program.folder.write("PK\u{3}\u{4}", to: "export.zip")
    for (words, part) in [
      (["import"], "usage:"), (["import", stray], "--from"), (["import", zip], "unpack it"),
      (["import", "nowhere.psv"], "no such file"), (["label", "export"], "usage:"),
      (["import", "psv", stray, "--map", "x"], "COLUMN=KEY"),
      (["import", "hl7v2", stray, "--labels", "x"], "`--labels` is for psv"),
      (["label", "export", stray, "--before", "1m"], "without `--recording`"),
    ] {
      let outcome = try program.run(words + ["--rules", CommandProgram.rules])
      #expect(outcome.status == .code(2) && outcome.stderr.contains(part), "\(words): \(outcome.stderr)")
    }
  }
}
