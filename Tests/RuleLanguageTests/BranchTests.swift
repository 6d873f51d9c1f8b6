import Foundation
import RuleLanguage
import Testing
import VitalModel
import YAMLText

/// Limits, branches and conditions against each other: what is refused, and what only looks alike and is right.
@Suite struct BranchTests {
  private func problems(_ when: String, _ more: String = "", kind: String = "physiological") throws -> [String] {
    let text = """
      rule: r
      title: R
      source: test
      kind: \(kind)
      priority: medium
      parameters:
        limit: { default: 90, min: 80, max: 95, unit: "%" }
      when: \(when)
      message: "{limit}"
      \(more)
      """
    do throws(TextProblems) {
      let sources = [
        RuleSource(path: "r.yaml", text: text),
        RuleSource(path: "scores/news2.yaml", text: (try? RuleTexts.shipped("scores/news2.yaml")) ?? ""),
      ]
      _ = try RuleLibrary.plan(sources: sources, set: nil, registry: RuleTexts.shippedRegistry, directory: "")
      return []
    } catch {
      return error.all.map(\.description)
    }
  }

  @Test(
    "what can never matter is refused",
    arguments: [
      ("hr > 350", "8:7: `hr > 350` can never be true: hr lies between 0 and 350 /min"),
      ("hr >= 0", "8:7: `hr >= 0` is always true: hr lies between 0 and 350 /min"),
      ("spo2 < $limit - 89", "8:7: `spo2 < $limit - 89` can never be true: spo2 lies between 1 and 100 %"),
      (
        "spo2 > $limit + 6",
        "8:7: `spo2 > $limit + 6` can never be true with `limit` at 95: spo2 lies between 1 and 100 %"
      ),
      (
        "time_below(spo2, 88, 5m) > 6m",
        "8:7: `time_below(spo2, 88, 5m) > 6m` can never be true: it lies between 0s and 5m"
      ),
      (
        "fraction_below(spo2, 88, 5m) > 20",
        "8:7: `fraction_below(spo2, 88, 5m) > 20` can never be true: it lies between 0 and 1"
      ),
      (
        "count_below(spo2, 88, 10 samples) > 10",
        "8:7: `count_below(spo2, 88, 10 samples) > 10` can never be true: it lies between 0 and 10"
      ),
      ("news2().total > 30", "8:7: `news2().total > 30` can never be true: it lies between 0 and 20"),
      ("hr > 3 and 1 < 2", "8:18: `1 < 2` compares two constants, so it is always the same"),
      ("hr > 120 or hr <= 120", "8:7: `hr > 120 or hr <= 120` is always true"),
      ("not hr > 120 and hr > 130", "8:7: `not hr > 120 and hr > 130` can never be true"),
      ("hr > 120 and hr > 100", "8:20: `hr > 100` changes nothing: `hr > 120` demands more"),
      ("any(hr > 120, spo2 < 85, hr > 125)", "8:32: `hr > 125` is never reached: `hr > 120` already holds"),
      ("flag(a) and hr > 100 or hr > 100", "8:7: `flag(a) and hr > 100` is never reached: `hr > 100` already holds"),
      (
        "news2().total > 6 or news2().total >= 7",
        "8:28: `news2().total >= 7` is never reached: `news2().total > 6` already holds"
      ),
      ("hr > 100 and (spo2 < 85 or spo2 < 80)", "8:34: `spo2 < 80` is never reached: `spo2 < 85` already holds"),
    ])
  func refused(when: String, says: String) throws {
    #expect(try problems(when) == ["r.yaml:" + says])
  }

  @Test(
    "what only looks alike is right",
    arguments: [
      "min(spo2, 5m) < 85 and last(spo2) > 90", "median(spo2, 10s) < 90 and last(spo2) < 92",
      "hr > pr + 15 or hr < pr - 15", "abs(hr - pr) > 15", "hr > 100 and hr < 120", "hr < 40 or hr > 130",
      // Depends on what the parameter is set to.
      "spo2 < 90 or spo2 < $limit", "news2().total >= 5 or news2().single_max >= 3", "hr == 0",
      "range(hr, 10m) == 0", "consciousness == V or consciousness == P",
      "2 of (hr > 110, hr > 130, resp > 24)", "stale(hr) or missing(hr, 5m)", "hr / sbp > 0.9 and hr > 100",
      "flag(a) and hr > 100 or not flag(a) and hr > 120",
    ])
  func accepted(when: String) throws {
    #expect(try problems(when) == [])
  }

  @Test(
    "when, clear and bypass are judged together",
    arguments: [
      (
        "clear: median(spo2, 10s) >= 92",
        "`clear` and `when` both hold at spo2 92 with `limit` at 95: the alert would end and begin again"
      ),
      ("clear: spo2 >= $limit", ""),
      ("clear: median(hr, 10s) > 50 and spo2 > $limit", ""),
      ("clear: min(spo2, 5m) > 95 and max(spo2, 5m) < 90", "`clear` can never be true, so the alert could never end"),
      ("clear: spo2 > $limit + 1 and not stale(spo2)", ""),
      (
        "clear: spo2 > $limit + 1 or missing(spo2, 10m)",
        "a technical condition (`missing`) may not end an active alert: a lost signal is no recovery"
      ),
      (
        "clear: spo2 > $limit + 1 or age(spo2) > 5m",
        "a technical condition (`age`) may not end an active alert: a lost signal is no recovery"
      ),
      ("clear: not flag(a) or spo2 > $limit + 1 and not stale(spo2)", ""),
      (
        "clear: (spo2 > $limit + 1 or stale(spo2)) and hr < 300",
        "a technical condition (`stale`) may not end an active alert: a lost signal is no recovery"
      ),
      ("bypass: last(spo2) < $limit - 10", ""),
      ("bypass: last(spo2) <= $limit", "`bypass` is no further out than `when`, so the delay would never be used"),
      ("bypass: last(spo2) > 98", "`bypass` holds at spo2 99, where `when` does not"),
      ("bypass: hr > 150", ""),
      ("raise: hr > 110", "`raise` needs `-> PRIORITY` at its end, as in `hr > 110 -> high`"),
      (
        "raise: hr > 110 -> hihg",
        "`raise` must end in one of info, low, medium, high, not `hihg`; did you mean `high`?"
      ),
      ("raise: hr > 110 -> low", "a raise to low does not raise a rule of priority medium"),
      ("raise: hr > 400 -> high", "`hr > 400` can never be true: hr lies between 0 and 350 /min"),
      ("raise: max(hr, since onset) > 110 -> high", ""),
    ])
  func together(more: String, says: String) throws {
    let found = try problems("median(spo2, 10s) < $limit", more).map {
      $0.split(separator: ": ", maxSplits: 1).last.map(String.init) ?? ""
    }
    #expect(found == (says.isEmpty ? [] : [says]))
  }

  @Test("of two sources one may be lost, not both")
  func twoSources() throws {
    let one = "(hr > 50 or missing(hr, 1m)) and (pr > 50 or missing(pr, 1m))"
    #expect(
      try problems("hr < 40 or pr < 40", "clear: \(one)").map { $0.contains("technical condition") } == [true])
    #expect(
      try problems("hr < 40 or pr < 40", "clear: \(one) and not (missing(hr, 1m) and missing(pr, 1m))") == [])
  }

  @Test("a pulse that returns may end what its loss began")
  func returned() throws {
    let clear = "clear: hr < 190 or not missing(pr, 4s) and (missing(map, 4s) or map > 60)"
    #expect(try problems("hr > 200 and (missing(pr, 4s) or map < 50)", clear) == [])
    #expect(
      try problems("hr > 200 and not missing(pr, 4s)", "clear: hr < 190 or missing(pr, 4s)").map {
        $0.contains("technical condition")
      } == [true])
  }

  @Test("a signal condition may end a technical alert")
  func technical() throws {
    #expect(try problems("stale(spo2)", "clear: not stale(spo2)", kind: "technical") == [])
  }
}
