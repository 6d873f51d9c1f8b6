import Foundation
import TestSupport
import Testing

/// `vigil tune`, as a person would use it (CONTRACT section 6).
@Suite struct TuneCommandTests {
  /// Two hours, a sample a minute, of 24 patients: every third falls to 84 and has the event ten minutes later, every second
  /// falls to 88 for nothing.
  private static var recording: String {
    var text = "patient_id,time_s,spo2,hr\n"
    for patient in 0..<24 {
      for minute in 0..<120 {
        let isEvent = patient % 3 == 0 && (30..<36).contains(minute)
        let isLoose = patient % 2 == 0 && (80..<86).contains(minute)
        text += "p\(patient),\(minute * 60),\(isEvent ? 84 : isLoose ? 88 : 97),\(70 + minute % 3)\n"
      }
    }
    return text
  }

  private static let labels =
    "patient_id,onset_time_s,label\n" + stride(from: 0, to: 24, by: 3).map { "p\($0),2400,arrest\n" }.joined()

  private struct Bench {
    let program: CommandProgram
    let recording: String
    let labels: String

    init() throws {
      program = try CommandProgram("tune")
      recording = try program.folder.write(TuneCommandTests.recording, to: "in.csv")
      labels = try program.folder.write(TuneCommandTests.labels, to: "labels.csv")
    }

    func run(
      _ options: [String], command: String = "tune", rules: String = CommandProgram.rules
    ) throws -> CommandProgram.Outcome {
      try program.run(
        [command, recording, "--labels", labels, "--lead", "30m", "--resamples", "1000", "--rules", rules] + options)
    }
  }

  private static func number(_ json: [String: Any], _ path: String...) -> Double? {
    var place: Any? = json
    for key in path { place = (place as? [String: Any])?[key] }
    return (place as? NSNumber)?.doubleValue
  }

  private static let sweep = ["--rule", "spo2-low", "--sweep", "limit=82:92:2,hold=0s|18s", "--folds", "2"]

  /// The limit between the falls that matter and those that do not is found, and written as a rule that does what was said.
  @Test func theRuleWrittenDoesWhatWasSaid() throws {
    let bench = try Bench()
    let file = bench.program.folder.file("tuned.yaml")
    let outcome = try bench.run(
      TuneCommandTests.sweep + ["--budget", "9/patient-day", "--json", "-", "--write-rule", file])
    #expect(outcome.status == .code(0), "\(outcome.stderr)")
    let json = commandJSON(outcome.stdout)
    let values = (json["chosen"] as? [String: Any])?["values"] as? [String: String]
    #expect(values == ["limit": "86", "hold": "0s"])
    #expect(TuneCommandTests.number(json, "apparent", "events", "detected") == 8)
    #expect(TuneCommandTests.number(json, "apparent", "alerts", "false") == 0)
    #expect(TuneCommandTests.number(json, "cross_validated", "events", "sensitivity", "value") == 1)
    #expect(TuneCommandTests.number(json, "today", "alerts", "false") == 12)
    // Two hours of each of 24 patients are 2 patient-days.
    #expect(TuneCommandTests.number(json, "difference", "per_patient_day", "value") == -6)
    let settings = json["settings"] as? [String: Any]
    #expect((settings?["per_patient_day"] as? [Any])?.count == 12)

    let text = String(decoding: try bench.program.bytes("tuned.yaml"), as: UTF8.self)
    #expect(text.contains("(tuned: hold 0s, limit 86)"))
    #expect(text.contains("--rules THIS-FILE --rule spo2-low"))
    #expect(text.contains("limit: { default: 86, min: 80, max: 95") && text.contains("tuned on sha256:"))
    #expect(text.contains("cross-validated over 2 folds") && !text.contains("tests:"))
    let folder = bench.program.folder.file("rules")
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    for name in ["vitals.yaml", "flags.yaml"] {
      try FileManager.default.copyItem(atPath: CommandProgram.rules + "/" + name, toPath: folder + "/" + name)
    }
    try FileManager.default.copyItem(atPath: file, toPath: folder + "/tuned.yaml")
    try FileManager.default.createDirectory(atPath: folder + "/sets", withIntermediateDirectories: true)
    try Data("set: tuned\ntitle: Tuned\nrules: [spo2-low]\n".utf8).write(
      to: URL(fileURLWithPath: folder + "/sets/tuned.yaml"))
    let again = try bench.run(
      ["--set", "tuned", "--rule", "spo2-low", "--json", "-"], command: "evaluate", rules: folder)
    #expect(again.status == .code(0), "\(again.stderr)")
    let evaluated = commandJSON(again.stdout)
    let own = try #require(json["evaluation"] as? [String: Any])
    for key in ["patients", "events", "alerts", "lead_time_s", "chance", "windows", "scores", "per_hour"] {
      let (first, second) = (own[key] as? NSObject, evaluated[key] as? NSObject)
      #expect(first == second, "\(key): \(first.debugDescription) is not \(second.debugDescription)")
    }
    #expect(
      try bench.run(TuneCommandTests.sweep + ["--budget", "9/patient-day", "--json", "-"]).stdout == outcome.stdout)
  }

  @Test func aPersonReadsTables() throws {
    let bench = try Bench()
    let outcome = try bench.run(
      TuneCommandTests.sweep + ["--target-sensitivity", "0.5", "--holdout", "0.25", "--threads", "1"])
    #expect(outcome.status == .code(0), "\(outcome.stderr)")
    for words in [
      "18 patients, 1.50 patient-days, 6 events (arrest); 6 patients more held out", "tried: 12 settings",
      "CHOSEN: limit ",
      "CROSS-VALIDATED (95 %)", "CHOSEN WITHOUT EACH FOLD, JUDGED ON IT", "HELD OUT, JUDGED ONCE",
      "the best clock at this burden", "NO SETTING TRIED HAS LESS BURDEN", "HOW FLAT IT IS",
    ] { #expect(outcome.stdout.contains(words), "\(words) in\n\(outcome.stdout)") }
  }

  /// Where nothing reaches the target the nearest is shown, and no rule is written.
  @Test func whatIsNotReachedIsNotWritten() throws {
    let bench = try Bench()
    let file = bench.program.folder.file("tuned.yaml")
    let options = ["--rule", "spo2-low", "--sweep", "limit=80|81", "--folds", "2", "--target-sensitivity", "0.99"]
    let shown = try bench.run(options)
    #expect(shown.status == .code(0) && shown.stdout.contains("no setting reaches what was asked"))
    let refused = try bench.run(options + ["--write-rule", file])
    #expect(refused.status == .code(1) && refused.stderr.contains("is not written"))
    #expect(!FileManager.default.fileExists(atPath: file))
  }

  @Test func searchesThatTryLessFindTheSame() throws {
    let bench = try Bench()
    let sweep = ["--rule", "spo2-low", "--sweep", "limit=80:95:1,hold=0s|18s", "--folds", "2"]
    for search in [["--search", "halving"], ["--search", "random", "--trials", "30"]] {
      let outcome = try bench.run(sweep + ["--objective", "fbeta", "--json", "-"] + search)
      #expect(outcome.status == .code(0), "\(outcome.stderr)")
      let json = commandJSON(outcome.stdout)
      #expect(TuneCommandTests.number(json, "apparent", "objective", "value") == 1, "\(search)")
    }
  }

  @Test func whatIsMissingOrWrongIsSaidInALine() throws {
    let bench = try Bench()
    for (options, words) in [
      ([], "`--rule ID[,ID]` is missing"),
      (["--rule", "spo2-lo"], "no rule `spo2-lo` among those in use, did you mean `spo2-low`?"),
      (
        ["--rule", "spo2-low"], "`--sweep NAME=from:to:step` is missing; all of it at once is too much: limit 80 to 95"
      ),
      (["--rule", "spo2-low", "--sweep", "limt=85:95:1"], "did you mean `limit`?"),
      (["--rule", "spo2-low", "--sweep", "limit=70:95:5"], "`limit` 70 is below the rule's own minimum 80"),
      (["--rule", "spo2-low", "--sweep", "limit=85:95"], "a range is from:to:step"),
      (["--rule", "spo2-low", "--sweep", "hold=1:5:1"], "it is a duration: write `0s:60s:5s`"),
      (["--rule", "spo2-low", "--sweep", "limit=90s"], "it is a number without a unit of time"),
      (["--rule", "spo2-low,hr-high", "--sweep", "limit=90"], "with several rules write `spo2-low.limit`"),
      (["--rule", "spo2-low", "--sweep", "limit=90,limit=91"], "names `limit` twice"),
      (["--rule", "spo2-low", "--sweep", "limit=90", "--budget", "many"], "`--budget` must be alerts per patient-day"),
      (["--rule", "spo2-low", "--sweep", "limit=90", "--beta", "2"], "`--beta` is for `--objective fbeta`"),
      (["--rule", "spo2-low", "--sweep", "limit=90", "--fold-by", "unit"], "there is no `--roster` that says"),
      (["--rule", "spo2-low", "--sweep", "limit=90", "--items", "3"], "`--items` is for `--fit-score`"),
      (["--rule", "spo2-low", "--sweep", "limit=80:95:0.002"], "7501 settings are too many to try on everybody"),
    ] as [([String], String)] {
      let outcome = try bench.run(options)
      #expect(outcome.status == .code(2) && outcome.stderr.contains(words), "\(options): \(outcome.stderr)")
      #expect(outcome.stderr.split(separator: "\n").count == 1 && outcome.stdout.isEmpty)
    }
    let few = try bench.run(["--rule", "spo2-low", "--sweep", "limit=90", "--folds", "9"])
    #expect(few.status == .code(1) && few.stderr.contains("8 patients with an event"))
  }
}
