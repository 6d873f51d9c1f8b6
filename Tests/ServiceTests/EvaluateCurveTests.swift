import Foundation
import TestSupport
import Testing

/// `vigil evaluate --curve`: one rule under several values of its numbers.
@Suite struct EvaluateCurveTests {
  /// Twenty patients of two hours; each falls for six minutes to a value of its own, every other one before an event.
  private static func write(to folder: TemporaryDirectory) throws -> (recording: String, labels: String) {
    var (text, labels) = ("patient_id,time_s,spo2\n", "patient_id,onset_time_s,label\n")
    for patient in 0..<20 {
      for minute in 0..<120 {
        let isLow = (30..<36).contains(minute)
        text += "p\(patient),\(minute * 60),\(isLow ? 84 + patient / 2 : 97)\n"
      }
      if patient % 2 == 0 { labels += "p\(patient),2700,arrest\n" }
    }
    return (try folder.write(text, to: "in.csv"), try folder.write(labels, to: "labels.csv"))
  }

  @Test func aCurveHasAPointForEachSetting() throws {
    let program = try CommandProgram("evaluate-curve")
    let (recording, labels) = try Self.write(to: program.folder)
    let page = program.folder.file("page.html")
    let options = [
      "evaluate", recording, "--rules", CommandProgram.rules, "--labels", labels, "--lead", "30m", "--rule", "spo2-low",
      "--resamples", "1000",
    ]
    let sweep = ["--curve", "limit=85|88|91", "--report", page, "--json", "-"]
    let outcome = try program.run(options + sweep + ["--threads", "1"])
    #expect(outcome.status == .code(0), "\(outcome.stderr)")
    let curve = try #require(commandJSON(outcome.stdout)["curve"] as? [[String: Any]])
    #expect(curve.compactMap { ($0["values"] as? [String: String])?["limit"] } == ["85", "88", "91"])
    // Falls to 84, 85, 86, ...: two patients each, one of them with the event; a value at the limit is not below it.
    #expect(curve.compactMap { $0["alerts"] as? Int } == [2, 8, 14])
    #expect(curve.compactMap { $0["detected"] as? Int } == [1, 4, 7])
    let shares = curve.compactMap { (($0["sensitivity"] as? [String: Any])?["value"] as? NSNumber)?.doubleValue }
    #expect(shares == [0.1, 0.4, 0.7] && (curve[0]["sensitivity"] as? [String: Any])?["low"] != nil)
    let html = String(decoding: try program.bytes("page.html"), as: UTF8.self)
    #expect(html.contains("limit 88") && html.contains("hull: the best, and mixtures of it"))
    #expect(try program.run(options + sweep + ["--threads", "2"]).stdout == outcome.stdout)
    let text = try program.run(options + ["--curve", "limit=85:91:3"])
    #expect(text.stdout.contains("THE RULE BY ITSELF, AS SET") && text.stdout.contains("limit 91"), "\(text.stderr)")
    for (more, words) in [
      (["--curve", "limt=85:95:1"], "did you mean `limit`?"),
      (["--curve", "limit=70:95:1"], "below the rule's own minimum"),
      (["--curve", "limit=85:95:0.01"], "`--curve` makes 1001 settings"), (["--curve", "limit"], "`--curve` must be"),
    ] {
      let wrong = try program.run(options + more)
      #expect(wrong.status == .code(2) && wrong.stderr.contains(words), "\(wrong.stderr)")
      #expect(wrong.stderr.split(separator: "\n").count == 1)
    }
  }
}
