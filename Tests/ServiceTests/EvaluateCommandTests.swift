import Foundation
import TestSupport
import Testing

/// `vigil evaluate`, as a person would use it (CONTRACT section 6, SEMANTICS F).
@Suite struct EvaluateCommandTests {
  /// Two hours a minute: `dip` falls and has the event ten minutes later, `loose` falls for nothing, `well` never does.
  private static var recording: String {
    var text = "patient_id,time_s,spo2,hr\n"
    for patient in ["dip", "loose", "well"] {
      for minute in 0..<120 {
        let isLow = patient != "well" && (30..<36).contains(minute)
        text += "\(patient),\(minute * 60),\(isLow ? 84 : 97),\(70 + minute % 3)\n"
      }
    }
    return text
  }

  private struct Bench {
    let program: CommandProgram
    let recording: String
    let labels: String

    init(labels text: String = "patient_id,onset_time_s,label\ndip,2400,arrest\nnobody,5,arrest\nwell,9000,arrest\n")
      throws
    {
      program = try CommandProgram("evaluate")
      recording = try program.folder.write(EvaluateCommandTests.recording, to: "in.csv")
      labels = try program.folder.write(text, to: "labels.csv")
    }

    func run(_ options: [String], labelled: Bool = true) throws -> CommandProgram.Outcome {
      try program.run(
        ["evaluate", recording, "--rules", CommandProgram.rules] + (labelled ? ["--labels", labels] : []) + options)
    }
  }

  @Test func alertsAreHeldAgainstLabels() throws {
    let bench = try Bench()
    let options = ["--rule", "spo2-low", "--lead", "30m", "--resamples", "1000"]
    let outcome = try bench.run(options + ["--json", "-"])
    #expect(outcome.status == .code(0), "\(outcome.stderr)")
    let json = commandJSON(outcome.stdout)
    func number(_ path: String...) -> Double? {
      var place: Any? = json
      for key in path { place = (place as? [String: Any])?[key] }
      return (place as? NSNumber)?.doubleValue
    }
    #expect(number("events", "n") == 1 && number("events", "detected") == 1)
    #expect(number("labels", "unknown_patient") == 1 && number("labels", "after_record") == 1)
    #expect(number("alerts", "n") == 2 && number("alerts", "false") == 1 && number("alerts", "ppv", "value") == 0.5)
    // Alerts come within a minute of the fall, the event ten minutes after it.
    #expect((540...600).contains(number("lead_time_s", "median") ?? 0))
    #expect(number("patients", "patient_days") == 3 * 2.0 / 24)
    // `well` has a label of its own, if outside the record: the only control is `loose`, who alerted too.
    #expect(number("chance", "matched", "controls") == 1 && number("chance", "matched", "margin", "value") == 0)
    #expect((json["per_patient"] as? [Any])?.count == 3)
    #expect((json["data_digest"] as? String)?.hasPrefix("sha256:") == true)
    #expect(try bench.run(options + ["--json", "-"]).stdout == outcome.stdout, "the same bytes again")
  }

  /// Records last one interval beyond their last sample, that of others where there is one sample alone; a day without a
  /// sample is no patient time.
  @Test func patientDaysAreThoseOfSamples() throws {
    let program = try CommandProgram("evaluate-days")
    let recording = try program.folder.write(
      "patient_id,time_s,hr\ngap,0,70\ngap,3600,71\ngap,118800,72\nonce,0,70\n", to: "in.csv")
    let labels = try program.folder.write("patient_id,onset_time_s,label\ngap,122000,fall\n", to: "labels.csv")
    let outcome = try program.run(
      ["evaluate", recording, "--rules", CommandProgram.rules, "--labels", labels, "--json", "-"])
    #expect(outcome.status == .code(0), "\(outcome.stderr)")
    let patients = commandJSON(outcome.stdout)["patients"] as? [String: Any]
    #expect((patients?["patient_days"] as? NSNumber)?.doubleValue == 4.0 / 24)
    #expect((patients?["with_event"] as? NSNumber)?.intValue == 1)
  }

  @Test func aPersonReadsTables() throws {
    let bench = try Bench()
    let file = bench.program.folder.file("out.json")
    let outcome = try bench.run(["--lead", "30m", "--resamples", "1000", "--by", "patient", "--json", file])
    #expect(outcome.status == .code(0), "\(outcome.stderr)")
    for words in [
      "3 patients, 0.25 patient-days", "left out: 1 of nobody in the recording, 1 after the record",
      "convention: an event is detected by an alert that starts between 30m before its onset and its onset",
      "FOUND AND COST", "BESIDE CHANCE", "margin over matched controls", "BY RULE, EACH ALONE", "spo2-low",
      "BY PATIENT",
    ] { #expect(outcome.stdout.contains(words), "\(words) in\n\(outcome.stdout)") }
    #expect(commandJSON(String(decoding: try bench.program.bytes("out.json"), as: UTF8.self))["version"] as? Int == 1)
  }

  /// One file with drawings; nobody is named on it unless asked for, and stages are compared if asked for.
  @Test func aPageShowsWhatTablesSay() throws {
    let bench = try Bench()
    let file = bench.program.folder.file("out.html")
    let options = ["--rule", "spo2-low", "--lead", "30m", "--resamples", "1000", "--report", file]
    let outcome = try bench.run(options + ["--ablate"])
    #expect(outcome.status == .code(0), "\(outcome.stderr)")
    #expect(outcome.stdout.contains("WITHOUT ONE STAGE\n  no stage held anything"))
    let page = String(decoding: try bench.program.bytes("out.html"), as: UTF8.self)
    for words in [
      "<title id=\"burden-t\">", "<title id=\"trace-1-t\">", "patient 2 of 3: 1 false alert of spo2-low",
      "in.csv", "vigil 0.1.0",
    ] { #expect(page.contains(words), "\(words)") }
    #expect(!page.contains("What suppression is worth"))
    // Of all rules two fall together, and one joins the other.
    let all = try bench.run(["--lead", "30m", "--resamples", "1000", "--report", file, "--ablate"])
    #expect(all.stdout.contains("grouping  2     4"), "\(all.stdout)")
    #expect(String(decoding: try bench.program.bytes("out.html"), as: UTF8.self).contains("without grouping"))
    #expect(!page.contains("loose") && !page.contains("http:") && !page.contains("<script"))
    let named = try bench.run(options + ["--report-ids", "--json", "-"])
    #expect(named.status == .code(0) && commandJSON(named.stdout)["version"] as? Int == 1, "\(named.stderr)")
    #expect(String(decoding: try bench.program.bytes("out.html"), as: UTF8.self).contains("loose: 1 false alert"))
  }

  @Test func whatIsMissingOrWrongIsSaidInALine() throws {
    let bench = try Bench(labels: "patient_id,onset_time_s,label\ndip,2400,arrest\ndip,2400,fall\n")
    for (options, labelled, code, words) in [
      ([], false, Int32(2), "`--labels FILE` is missing"),
      ([], true, 1, "it mixes kinds: choose with --label (arrest, fall)"),
      (["--label", "arrest", "--rule", "spo2-lo"], true, 2, "did you mean `spo2-low`?"),
      (["--label", "arrest", "--window", "1s"], true, 2, "`--window` must be a duration from 1m on"),
      (["--label", "arrest", "--resamples", "10"], true, 2, "`--resamples` must be"),
      (["--label", "arrest", "--report-ids"], true, 2, "`--report-ids` is for the page"),
    ] as [([String], Bool, Int32, String)] {
      let outcome = try bench.run(options, labelled: labelled)
      #expect(outcome.status == .code(code) && outcome.stderr.contains(words), "\(options): \(outcome.stderr)")
      #expect(outcome.stderr.split(separator: "\n").count == 1 && outcome.stdout.isEmpty)
    }
  }
}
