import Foundation
import TestSupport
import Testing

/// `vigil evaluate STORE`: a store judged as the recording exported from it, but with its own rules and answers.
@Suite struct EvaluateStoreTests {
  private static let start = FeedbackStore.start / 1000

  /// Onsets two minutes into the four deep falls of p-017 and the first fall of p-018; somebody the store never saw.
  private static var labels: String {
    var text = "patient_id,onset_time_s,label\nnobody,5,fall\n"
    let falls = (20..<24).map { ("p-017", $0) } + [("p-018", 0)]
    for (patient, number) in falls {
      text += "\(patient),\(start + Int64(number) * FeedbackStore.every / 1000 + 720),fall\n"
    }
    return text
  }

  private static func number(_ json: [String: Any], _ path: String...) -> Double? {
    var place: Any? = json
    for key in path { place = (place as? [String: Any])?[key] }
    return (place as? NSNumber)?.doubleValue
  }

  @Test func aStoreIsJudgedWithItsOwnRules() throws {
    let store = try FeedbackStore()
    let program = try CommandProgram("evaluate-store")
    let labels = try program.folder.write(Self.labels, to: "labels.csv")
    let options = [
      "--labels", labels, "--epoch", "1970-01-01T00:00:00Z", "--lead", "10m", "--resamples", "1000", "--json", "-",
    ]
    let page = program.folder.file("page.html")
    let own = try program.run(["evaluate", store.path, "--report", page, "--report-ids"] + options)
    #expect(own.status == .code(0), "\(own.stderr)")
    let json = commandJSON(own.stdout)
    #expect(Self.number(json, "events", "n") == 5 && Self.number(json, "events", "detected") == 5)
    #expect(Self.number(json, "labels", "unknown_patient") == 1)
    #expect(Self.number(json, "alerts", "n") == 33 && Self.number(json, "alerts", "false") == 28)
    // Samples every ten seconds: 33 falls' worth of 45 min.
    #expect(Self.number(json, "patients", "patient_days") == 33 * 0.75 / 24)
    // The store's own roster says who lies where.
    let groups = (json["subgroups"] as? [[String: Any]] ?? []).compactMap { $0["value"] as? String }
    #expect(Set(groups) == ["ward-7", "ward-8"])
    let html = String(decoding: try program.bytes("page.html"), as: UTF8.self)
    #expect(html.contains("<title id=\"trace-1-t\">") && html.contains("p-017"))

    // The recording made of it, under the same rules, says the same of everything that needs no roster.
    let csv = program.folder.file("all.csv")
    let exported = try program.run(["export", "--store", store.path, "--output", csv])
    #expect(exported.status == .code(0), "\(exported.stderr)")
    let rules = ["--rules", store.folder.file("rules/adult/low.yaml")]
    let recorded = try program.run(["evaluate", csv] + rules + options)
    #expect(recorded.status == .code(0), "\(recorded.stderr)")
    let other = commandJSON(recorded.stdout)
    for key in ["events", "lead_time_s", "patients", "windows", "per_patient"] {
      #expect(
        NSDictionary(dictionary: [key: json[key] ?? 0]) == NSDictionary(dictionary: [key: other[key] ?? 1]), "\(key)")
    }
    #expect(Self.number(other, "alerts", "n") == 33)
    #expect(json["data_digest"] as? String != other["data_digest"] as? String)
    #expect(try program.run(["evaluate", store.path] + options).stdout == own.stdout, "the same bytes again")
  }

  @Test func onlySomePatientsAndTimesMayBeJudged() throws {
    let store = try FeedbackStore()
    let program = try CommandProgram("evaluate-store-part")
    let labels = try program.folder.write(Self.labels, to: "labels.csv")
    let options = [
      "evaluate", store.path, "--labels", labels, "--epoch", "1970-01-01T00:00:00Z", "--resamples", "1000",
      "--json", "-",
    ]
    let one = try program.run(options + ["--patients", "p-018", "--to", "2026-11-16T00:45:00Z", "--ablate"])
    #expect(one.status == .code(0), "\(one.stderr)")
    let json = commandJSON(one.stdout)
    #expect(Self.number(json, "alerts", "n") == 1 && Self.number(json, "events", "n") == 1)
    #expect(Self.number(json, "patients", "patient_days") == 0.75 / 24)
    for (more, words) in [
      (["--tenant", "other"], "no patient of tenant `other`"), (["--events", "x"], "`--events` is for recordings"),
      (["--rule", "lo"], "did you mean `low`?"),
    ] {
      let outcome = try program.run(options + more)
      #expect(outcome.status == .code(2) && outcome.stderr.contains(words), "\(outcome.stderr)")
    }
  }
}
