import Foundation

import Testing
import VitalModel
import YAMLText

@testable import RuleLanguage

@Suite struct RuleFileTests {
  @Test("the rules the product ships load without a problem, whole and as a set")
  func shippedRules() throws {
    let registry = try RuleTexts.registry()
    let all = try RuleLibrary.plan(sources: try RuleTexts.sources(), set: nil, registry: registry)
    let ward = try RuleLibrary.plan(sources: try RuleTexts.sources(), set: "adult-ward", registry: registry)
    #expect(all.rules.count >= ward.rules.count)
    #expect(ward.rules.map(\.id).contains("spo2-low"))
    #expect(!ward.rules.map(\.id).contains("spo2-low-scale-2"))
    // Vital rules first, then scores.
    #expect(ward.rules.drop { $0.score == nil }.allSatisfy { $0.score != nil })
    #expect(ward.rules.allSatisfy { $0.version.hasPrefix("sha256:") && $0.version.count == 71 })
    for rule in all.rules where rule.kind == .physiological && rule.hold > 0 {
      #expect(rule.bypass != nil && rule.maxHold >= rule.hold, "\(rule.id)")
    }
  }

  @Test("a right rule is read as written")
  func rightRule() throws {
    let plan = try RuleTexts.plan(RuleTexts.good)
    let rule = plan.rules[0]
    #expect(rule.hold == 15_000 && rule.maxHold == 60_000 && rule.clearFor == 30_000 && rule.refractory == 600_000)
    #expect(rule.scope == .series(try #require(plan.registry.code("spo2"))))
    #expect(rule.bypassPriority == .high && rule.holdLast && rule.mode == .live)
    #expect(rule.limit?.value == DecimalValue(mantissa: 90))
    #expect(rule.features.map(\.kind) == [.median, .last])
    #expect(
      rule.bypassLimit?.instructions == [.parameter(0), .constant(10), .subtract])
    #expect(rule.message == [.text("SpO2 "), .value, .text(" (limit "), .limit, .text(")")])
  }

  struct Wrong: Sendable {
    var replacing = ""
    var by = ""
    var add = ""
    var says: [String]
    init(_ replacing: String, _ by: String, _ says: String...) {
      self.replacing = replacing
      self.by = by
      self.says = says
    }
    init(add: String, _ says: String...) {
      self.add = add
      self.says = says
    }
  }

  static let wrong: [Wrong] = [
    Wrong("rule: low\n", "", "Rules/r.yaml:1:1: a rule needs `rule`"),
    Wrong(
      "rule: low", "rule: Low", "Rules/r.yaml:1:1: a rule's id is lower-case letters, digits and hyphens, not `Low`"),
    Wrong(
      "title: Low", "titel: Low", "Rules/r.yaml:1:1: a rule needs `title`",
      "Rules/r.yaml:2:1: unknown key `titel` in a rule; did you mean `title`?"),
    Wrong(
      "priority: medium", "priority: medum",
      "Rules/r.yaml:4:11: `priority` must be one of info, low, medium, high, not `medum`; did you mean `medium`?"),
    Wrong("median(spo2, 10s) <", "median(spo, 10s) <", "Rules/r.yaml:8:14: unknown vital `spo`; did you mean `spo2`?"),
    Wrong(
      "median(spo2, 10s) <", "medain(spo2, 10s) <",
      "Rules/r.yaml:8:7: unknown function `medain`; did you mean `median`?"),
    Wrong("< $limit\n", "< $limt\n", "Rules/r.yaml:8:27: unknown parameter `$limt`; did you mean `$limit`?"),
    Wrong("for: $hold", "for: $hodl", "Rules/r.yaml:9:6: unknown parameter `$hodl`; did you mean `$hold`?"),
    Wrong("for: $hold", "for: 15", "Rules/r.yaml:9:6: `for` must be a duration such as `15s`, not `15`"),
    Wrong(
      "median(spo2, 10s) <", "median(spo2) <", "Rules/r.yaml:8:7: `median` needs a window, as in `median(spo2, 10s)`"),
    Wrong(
      "median(spo2, 10s) <", "median(spo2, 8d) <", "Rules/r.yaml:8:20: a window must be longer than 0 and at most 7d"),
    Wrong(
      "median(spo2, 10s) <", "median(spo2, 0s) <", "Rules/r.yaml:8:20: a window must be longer than 0 and at most 7d"),
    Wrong("median(spo2, 10s) <", "last(spo2, 10s) <", "Rules/r.yaml:8:7: `last` has too many arguments"),
    Wrong(
      "median(spo2, 10s) <", "median() <", "Rules/r.yaml:8:7: `median` needs a vital first, as in `median(spo2, 10s)`"),
    Wrong(
      "when: median(spo2, 10s) < $limit", "when: median(spo2, 10s)",
      "Rules/r.yaml:8:7: this is a number where a condition is needed: compare it with something"),
    Wrong("< $limit\n", "< $limit and spo2\n", "Rules/r.yaml:8:38: this is a number where a condition is needed"),
    Wrong("< $limit\n", "< ($limit\n", "Rules/r.yaml:8:34: expected `)`"),
    Wrong("< $limit\n", "< $limit $limit\n", "Rules/r.yaml:8:34: unexpected `$limit`"),
    Wrong("< $limit\n", "<\n", "Rules/r.yaml:8:26: expected a value, found end of the expression"),
    Wrong("< $limit\n", "< 90 ? 1\n", "Rules/r.yaml:8:30: unexpected character `?`"),
    Wrong("< $limit\n", "< 90x\n", "Rules/r.yaml:8:27: `90x` is neither a number nor a duration (ms, s, m, h, d, w)"),
    Wrong("< $limit\n", "< 10s\n", "Rules/r.yaml:8:25: different units: `%` and a duration"),
    Wrong("< $limit\n", "< 1.2.3\n", "Rules/r.yaml:8:27: `1.2.3` is not a number"),
    Wrong(
      "unit: \"%\"", "unit: /min", "Rules/r.yaml:8:25: different units: `%` and `/min`",
      "Rules/r.yaml:11:35: different units: `%` and `/min`", "Rules/r.yaml:12:20: different units: `%` and `/min`"),
    Wrong("< $limit\n", "< hr\n", "Rules/r.yaml:8:25: different units: `%` and `/min`"),
    Wrong("default: 90", "default: 96", "Rules/r.yaml:6:12: `limit` 96 is above its own maximum 95"),
    Wrong("default: 90", "default: 79", "Rules/r.yaml:6:12: `limit` 79 is below its own minimum 80"),
    Wrong(
      "min: 80", "min: 99", "Rules/r.yaml:6:12: `limit` 90 is below its own minimum 99",
      "Rules/r.yaml:6:25: `min` 99 is above `max` 95"),
    Wrong("unit: \"%\"", "when: [{ flag: a, value: 70 }]", "Rules/r.yaml:6:68: `limit` 70 is below its own minimum 80"),
    Wrong(
      "unit: \"%\"", "when: [{ flg: a, value: 88 }]", "Rules/r.yaml:6:50: a case of `limit` needs `flag`",
      "Rules/r.yaml:6:52: unknown key `flg` in a case of `limit`; did you mean `flag`?"),
    Wrong(
      "max: 60s }", "max: 60s, when: [{ flag: a, value: 30s }] }",
      "Rules/r.yaml:9:6: `for` needs one duration: `$hold` is negative or differs between patients"),
    Wrong(
      "bypass: last(spo2) < $limit - 10\n", "", "Rules/r.yaml:9:1: a delay needs a `bypass` limit that acts at once"),
    Wrong(
      "max_hold: 60s\n", "", "Rules/r.yaml:9:1: a delay needs `max_hold`, the window in which short breaches add up"),
    Wrong("max_hold: 60s", "max_hold: 5s", "Rules/r.yaml:10:1: `max_hold` is shorter than `for`"),
    Wrong(
      "bypass: last(spo2) < $limit - 10", "bypass: { when: last(spo2) < 80, priority: low }",
      "Rules/r.yaml:12:1: a bypass may raise the priority, never lower it"),
    Wrong(
      "clear: { when: \"median(spo2, 10s) >= $limit + 2\", for: 30s }", "clear: median(spo2, 10s) < $limit",
      "Rules/r.yaml:11:1: `clear` is `when` itself, so the alert could never end"),
    Wrong(
      "{value}", "{valeu}", "Rules/r.yaml:14:10: unknown placeholder `{valeu}` in the message; did you mean `{value}`?"),
    Wrong("{limit})", "{limit)", "Rules/r.yaml:14:10: `{` without `}` in the message"),
    Wrong(
      add: "applies: { age: 16 }", "Rules/r.yaml:15:17: `age` must be an age such as `>=16y` or `>=3mo <12mo`, not `16`"
    ),
    Wrong(
      add: "each: series", "Rules/r.yaml:8:7: `median` cannot be used with `each: series`",
      "Rules/r.yaml:11:17: `median` cannot be used with `each: series`",
      "Rules/r.yaml:12:9: `last` has too many arguments"),
    Wrong(add: "mode: on", "Rules/r.yaml:15:7: `mode` must be one of live, shadow, off, not `on`"),
    Wrong(add: "hold_last: yes", "Rules/r.yaml:15:12: `hold_last` must be true or false, not `yes`"),
    Wrong(
      "median(spo2, 10s) < $limit\n", "news2().totl > 90\n",
      "Rules/r.yaml:8:15: unknown score field `totl` (total, single_max, missing; components respiration, spo2, oxygen, systolic, pulse, "
        + "consciousness, temperature); did you mean `total`?"),
    Wrong(
      "median(spo2, 10s) < $limit\n", "news3().total > 90\n",
      "Rules/r.yaml:8:7: unknown score `news3`; did you mean `news2`?"),
    Wrong(
      "median(spo2, 10s) < $limit\n", "spo2.total > 90\n",
      "Rules/r.yaml:8:12: `.total` needs a score before it, as in `news2().total`"),
    Wrong(
      "median(spo2, 10s) < $limit\n", "status(spo2, gone)\n",
      "Rules/r.yaml:8:7: `status` needs one of ok, lead-off, artifact, searching, calibrating, low-battery"),
    Wrong(
      "median(spo2, 10s) < $limit\n", "flag(1)\n", "Rules/r.yaml:8:7: `flag` takes one flag, as in `flag(palliative)`"),
  ]

  @Test("every mistake is told with its place, exactly", arguments: wrong)
  func mistakes(mistake: Wrong) throws {
    let found = try RuleTexts.problems(mistake.replacing, mistake.by, add: mistake.add)
    #expect(found == mistake.says)
  }

  @Test("a technical rule cannot read a score; a rule for each series must look at the signal")
  func technicalRules() throws {
    let score = """
      rule: t
      title: T
      kind: technical
      source: test
      priority: low
      when: news2().total > 3
      message: t
      """
    #expect(
      throws: TextProblems([
        TextProblem(file: "Rules/r.yaml", line: 6, column: 1, message: "a technical rule cannot read a score")
      ])
    ) { try RuleTexts.plan(score) }
    let each = score.replacingOccurrences(of: "when: news2().total > 3", with: "each: series\nwhen: age > 3")
    #expect(
      throws: TextProblems([
        TextProblem(
          file: "Rules/r.yaml", line: 7, column: 1,
          message: "a rule with `each: series` needs `stale()` or `status(...)`")
      ])
    ) { try RuleTexts.plan(each) }
  }

  @Test("deep nesting and long texts are refused, never a crash")
  func bounds() throws {
    let deep = String(repeating: "(", count: 500) + "spo2" + String(repeating: ")", count: 500) + " < 90"
    #expect(
      try RuleTexts.problems("median(spo2, 10s) < $limit\n", deep + "\n").first?.hasSuffix("nested too deeply") == true)
    let long = (0..<60).map { _ in "spo2 < 90" }.joined(separator: " and ")
    #expect(
      try RuleTexts.problems("median(spo2, 10s) < $limit\n", long + "\n")
        == ["Rules/r.yaml:8:7: expression has more than 200 steps"])
    let huge = String(repeating: "spo2 + ", count: 700) + "1 < 90"
    #expect(
      try RuleTexts.problems("median(spo2, 10s) < $limit\n", huge + "\n")
        == ["Rules/r.yaml:8:7: expression longer than 4000 characters"])
    let nots = String(repeating: "not ", count: 90) + "spo2 < 90"
    #expect(
      try RuleTexts.problems("median(spo2, 10s) < $limit\n", nots + "\n").first?.hasSuffix("nested too deeply") == true)
  }

  @Test("precedence: or, and, not, comparison, sum, product, minus")
  func precedence() throws {
    func code(_ text: String) throws -> [Instruction] {
      try LanguageTests.checked(text).instructions
    }
    let a: [Instruction] = [.feature(0), .constant(1), .less]
    #expect(try code("spo2 < 1 or spo2 < 1 and spo2 < 1") == a + a + a + [.and, .or])
    #expect(try code("(spo2 < 1 or spo2 < 1) and spo2 < 1") == a + a + [.or] + a + [.and])
    #expect(try code("not spo2 < 1 and spo2 < 1") == a + [.not] + a + [.and])
    #expect(
      try code("spo2 - 1 - 2 * 3 < -4") == [
        .feature(0), .constant(1), .subtract, .constant(2), .constant(3), .multiply, .subtract, .constant(4), .negate,
        .less,
      ])
    #expect(
      try code("spo2 / 2 / 3 >= $limit-2").suffix(4) == [.parameter(0), .constant(2), .subtract, .greaterOrEqual])
    #expect(
      try code("abs(spo2 - 5) != 3 and flag(spo2-scale-2)").suffix(2) == [.attribute(.flag("spo2-scale-2")), .and])
    #expect(try code("age < 90 and spo2 == 1").first == .attribute(.age))
  }

  @Test("C1: comments, layout and key order do not change a version; limits, registry entries and scores do")
  func versions() throws {
    func version(_ text: String, _ registry: VitalRegistry? = nil, score: String? = nil) throws -> String {
      let chart = try score ?? RuleTexts.shipped("scores/news2.yaml")
      return try RuleLibrary.plan(
        sources: [
          RuleSource(path: "r.yaml", text: text), RuleSource(path: "scores/news2.yaml", text: chart),
        ], set: nil, registry: registry ?? RuleTexts.registry()
      ).rules[0].version
    }
    let good = RuleTexts.good
    let base = try version(good)
    #expect(
      try version("# a comment\n\n" + good.replacingOccurrences(of: "source: test", with: "source: test  # why"))
        == base)
    #expect(
      try version(
        good.split(separator: "\n").filter { !$0.hasPrefix(" ") && !$0.hasPrefix("parameters") }.reversed().joined(
          separator: "\n")
          + "\nparameters:\n  hold: { max: 60s, default: 15s, min: 0s }\n  limit: { unit: '%', max: 95, min: 80, default: 90 }"
      ) == base)
    #expect(
      try version(
        good.replacingOccurrences(of: "median(spo2, 10s) < $limit\n", with: "median( spo2 ,10s )  <  $limit\n")) == base
    )
    #expect(try version(good.replacingOccurrences(of: "default: 90,", with: "default: 90.0,")) == base)
    #expect(try version(good.replacingOccurrences(of: "default: 90,", with: "default: 91,")) != base)
    #expect(
      try version(good.replacingOccurrences(of: "unit: \"%\"", with: "unit: \"%\", when: [{ flag: a, value: 88 }]"))
        != base)
    #expect(try version(good.replacingOccurrences(of: "for: 30s", with: "for: 31s")) != base)
    #expect(
      try version(
        good,
        RuleTexts.registry {
          $0.replacingOccurrences(
            of: "step_gate: { change: 10, within: 2s }", with: "step_gate: { change: 9, within: 2s }")
        }) != base)
    #expect(
      try version(
        good,
        RuleTexts.registry {
          $0.replacingOccurrences(
            of: "step_gate: { change: 30, within: 5s }", with: "step_gate: { change: 9, within: 2s }")
        }) == base)
    #expect(
      try version(
        good, score: RuleTexts.shipped("scores/news2.yaml").replacingOccurrences(of: "[93, 2]", with: "[93, 3]"))
        == base)
    let score = try RuleTexts.shipped("adult/news2.yaml").components(separatedBy: "---")[0]
    let chart = try RuleTexts.shipped("scores/news2.yaml")
    #expect(try version(score) != version(score, score: chart.replacingOccurrences(of: "[93, 2]", with: "[93, 3]")))
  }
}
