import Foundation
import RuleLanguage
import Testing
import VitalModel

@Suite struct SetTests {
  private func set(_ text: String) -> [RuleSource] { [RuleSource(path: "sets/s.yaml", text: text)] }

  @Test("a set chooses rules and may change parameters, mode and priority")
  func adapts() throws {
    let text = """
      set: s
      rules:
        - rule: low
          parameters: { limit: 88, hold: 20s }
          mode: shadow
          priority: low
      """
    let more = RuleTexts.good.replacingOccurrences(of: "rule: low", with: "rule: other")
    let plan = try RuleTexts.plan(RuleTexts.good + "\n---\n" + more, set: "s", more: set(text))
    #expect(plan.rules.map(\.id) == ["low"])
    #expect(plan.rules[0].limit?.value == DecimalValue(mantissa: 88))
    #expect(plan.rules[0].hold == 20_000)
    #expect(plan.rules[0].mode == .shadow && plan.rules[0].priority == .low)
    let plain = try RuleTexts.plan(RuleTexts.good)
    #expect(plan.rules[0].version != plain.rules[0].version)
    #expect(plan.version != plain.version)
  }

  @Test("a mode changes the plan's version, not the rule's")
  func modeIsNotTheRule() throws {
    let plain = try RuleTexts.plan(RuleTexts.good)
    let shadow = try RuleTexts.plan(RuleTexts.good + "\nmode: shadow")
    #expect(plain.rules[0].version == shadow.rules[0].version)
    #expect(plain.version != shadow.version)
  }

  @Test(
    "what is wrong with a set is told with its place",
    arguments: [
      ("set: s\nrules: [lwo]", "Rules/sets/s.yaml:2:9: no rule `lwo`; did you mean `low`?"),
      ("set: s\nrules: [low, low]", "Rules/sets/s.yaml:2:14: `low` is in the set twice"),
      ("set: s\nrule: [low]", "Rules/sets/s.yaml:2:1: unknown key `rule` in a rule set; did you mean `rules`?"),
      (
        "set: s\nrules: [{ rule: low, parameters: { limt: 88 } }]",
        "Rules/sets/s.yaml:2:42: the rule has no parameter `limt`; did you mean `limit`?"
      ),
      (
        "set: s\nrules: [{ rule: low, parameters: { limit: 70 } }]",
        "Rules/sets/s.yaml:2:43: `limit` 70 is below its own minimum 80"
      ),
      (
        "set: t\nrules: [low]", "Rules/sets:1:1: no rule set `s` (sets: t); did you mean `t`?"
      ),
    ])
  func mistakes(text: String, says: String) throws {
    let found = try RuleTexts.problems(more: set(text), set: "s")
    #expect(found == [says])
  }

  @Test("a second rule or score of one name is refused and says where the first is")
  func repeated() throws {
    #expect(
      try RuleTexts.problems(add: "---\n" + RuleTexts.good)
        == ["Rules/r.yaml:16:7: a second rule `low`; the first is in Rules/r.yaml:1"])
  }

  @Test("more patient flags than fit are refused")
  func flags() throws {
    let rules = (0..<70).map { index in
      RuleTexts.good.replacingOccurrences(of: "rule: low", with: "rule: low-\(index)")
        + "\napplies: { unless: [f\(index)] }"
    }
    #expect(throws: (any Error).self) { try RuleTexts.plan(rules.joined(separator: "\n---\n")) }
  }
}
