import RuleLanguage
import TestSupport
import Testing
import VitalModel
import YAMLText

/// A rule file may bring the charts its rules use, so that it runs alone.
struct ScoreInRuleFileTests {
  private let chart = """
    score: pulse_score
    title: Pulse
    source: test
    components:
      - { name: pulse, inputs: [hr], bands: [[100, 0], [max, 2]] }

    """
  private let rule = """
    rule: pulse-alert
    title: Pulse
    source: test
    priority: low
    parameters: { limit: { default: 2, min: 1, max: 2, unit: "{score}" } }
    when: pulse_score().total >= $limit
    message: "pulse {value}"

    """

  private func plan(_ texts: [(String, String)]) throws -> RulePlan {
    try RuleLibrary.plan(
      sources: texts.map { RuleSource(path: $0.0, text: $0.1) }, set: nil, registry: RuleTexts.shippedRegistry)
  }

  @Test func aChartBesideItsRuleIsItsScore() throws {
    let beside = try plan([("tuned.yaml", chart + "---\n" + rule)])
    #expect(beside.scores.map(\.id) == ["pulse_score"])
    #expect(beside.rules.map(\.id) == ["pulse-alert"])
    let apart = try plan([("scores/pulse.yaml", chart), ("tuned.yaml", rule)])
    #expect(beside.rules == apart.rules)
    #expect(beside.version == apart.version)
  }

  @Test func theSameScoreTwiceIsToldWhereTheSecondStands() throws {
    let problems = #expect(throws: TextProblems.self) {
      try plan([("scores/pulse.yaml", chart), ("tuned.yaml", chart + "---\n" + rule)])
    }
    #expect(problems?.all.map(\.description) == ["Rules/tuned.yaml:1:1: a second score `pulse_score`"])
  }

  @Test func textThatIsNoYAMLIsToldOnce() throws {
    let problems = #expect(throws: TextProblems.self) { try plan([("tuned.yaml", "rule: [")]) }
    #expect(problems?.all.count == 1)
  }
}
