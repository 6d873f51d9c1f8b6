import Foundation
import TestSupport
import Testing

/// Where commands write, and what they must never write over.
@Suite struct OutputFilesTests {
  private struct Bench {
    let program: CommandProgram
    let recording: String
    let labels: String

    init() throws {
      program = try CommandProgram("outputs")
      var rows = "patient_id,time_s,spo2,hr\n"
      for minute in 0..<60 { rows += "p,\(minute * 60),\((20..<30).contains(minute) ? 84 : 97),70\n" }
      recording = try program.folder.write(rows, to: "in.csv")
      labels = try program.folder.write("patient_id,onset_time_s,label\np,2400,arrest\n", to: "labels.csv")
    }

    func file(_ name: String) -> String { program.folder.file(name) }
    func run(_ words: [String]) throws -> CommandProgram.Outcome {
      try program.run([words[0], recording, "--rules", CommandProgram.rules] + words.dropFirst())
    }
    func files() throws -> Set<String> {
      Set(try FileManager.default.contentsOfDirectory(atPath: program.folder.path).filter { !$0.hasPrefix("out-") })
    }
  }

  @Test func noInputIsWrittenOver() throws {
    let bench = try Bench()
    let linked = bench.file("link.csv")
    try FileManager.default.createSymbolicLink(atPath: linked, withDestinationPath: "in.csv")
    let alerts = bench.file("alerts")
    let evaluate = ["evaluate", "--labels", bench.labels]
    let tune = ["tune", "--labels", bench.labels, "--rule", "spo2-low", "--sweep", "limit=85:90:5"]
    for words in [
      ["replay", "--alerts", bench.recording], ["replay", "--suppressed", linked],
      ["replay", "--resume", bench.recording],
      ["replay", "--alerts", alerts, "--suppressed", alerts], ["replay", "--alerts", alerts, "--resume", alerts],
      evaluate + ["--json", bench.labels], evaluate + ["--report", linked],
      evaluate + ["--json", alerts, "--report", alerts], tune + ["--write-rule", bench.labels],
      tune + ["--report", bench.recording], tune + ["--write-rule", CommandProgram.rules + "/vitals.yaml"],
    ] {
      let outcome = try bench.run(words)
      #expect(outcome.status == .code(2) && outcome.stdout.isEmpty, "\(words): \(outcome.stderr)")
      #expect(outcome.stderr.split(separator: "\n").count == 1, "\(words): \(outcome.stderr)")
    }
    #expect(try bench.files() == ["in.csv", "labels.csv", "link.csv"])
    #expect(try bench.program.lines("in.csv").count == 61 && bench.program.lines("labels.csv").count == 2)
  }

  @Test func aWrongPlaceIsSaidAtOnceInALine() throws {
    let bench = try Bench()
    let folder = bench.file("folder")
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false)
    for (path, words) in [(folder, "is a folder"), (bench.file("none/x"), "there is no folder")] {
      for command in [
        ["replay", "--alerts", path], ["replay", "--alerts", bench.file("alerts"), "--resume", path],
        ["evaluate", "--labels", bench.labels, "--json", path],
      ] {
        let outcome = try bench.run(command)
        #expect(outcome.status == .code(1) && outcome.stdout.isEmpty, "\(command): \(outcome.stderr)")
        #expect(outcome.stderr.split(separator: "\n").count == 1 && outcome.stderr.contains(words), "\(outcome.stderr)")
      }
    }
    #expect(try bench.files() == ["in.csv", "labels.csv", "folder"], "no folder is removed, no file begun")
  }

  @Test func aFullDiskEndsAReplay() throws {
    let bench = try Bench()
    let outcome = try bench.run(["replay", "--alerts", "/dev/full"])
    #expect(outcome.status == .code(1) && outcome.stderr == "vigil: /dev/full: cannot be written (no space left)\n")
    let quiet = try bench.run(["replay", "--alerts", "/dev/null", "--suppressed", "/dev/null"])
    #expect(quiet.status == .code(0), "\(quiet.stderr)")
  }
}
