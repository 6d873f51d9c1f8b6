import Foundation
import RuleLanguage
import Testing
import VitalModel
import YAMLText

@Suite struct TemplateTests {
  static let template = """
    template: high-limit
    priority: medium
    source: test
    parameters:
      limit: { default: 130, min: 100, max: 180, unit: /min }
    when: median(<vital>, 10s) > $limit
    clear: { when: "median(<vital>, 10s) <= $limit - 5", for: 60s }
    message: "<name> {value}"
    """
  static let rule = """
    rule: hr-high
    title: High heart rate
    extends: high-limit
    with: { vital: hr, name: heart rate }
    parameters: { limit: { default: 140 } }
    clear: { for: 30s }
    """

  private func plan(_ rule: String, more: [RuleSource] = [], set: String? = nil) throws -> RulePlan {
    try RuleTexts.plan(TemplateTests.template + "\n---\n" + rule, set: set, more: more)
  }

  @Test("a template's keys lie below the rule's own; its places are filled")
  func merged() throws {
    let rule = try plan(TemplateTests.rule).rules[0]
    #expect(rule.when.text == "median(hr, 10s) > $limit")
    #expect(rule.limit?.value == DecimalValue(mantissa: 140))
    #expect(rule.limit?.highest == DecimalValue(mantissa: 180))
    #expect(rule.clearFor == 30_000 && rule.clear?.text == "median(hr, 10s) <= $limit - 5")
    #expect(rule.message == [.text("heart rate "), .value])
  }

  @Test("C1: a rule written out has the version of the one that extends; a set's changes lie on top")
  func versions() throws {
    let written = """
      rule: hr-high
      title: High heart rate
      source: other
      priority: medium
      parameters:
        limit: { default: 140, min: 100, max: 180, unit: /min }
      when: median(hr, 10s) > $limit
      clear: { when: "median(hr, 10s) <= $limit - 5", for: 30s }
      message: "heart rate {value}"
      """
    let extended = try plan(TemplateTests.rule)
    #expect(try RuleTexts.plan(written).rules[0].version == extended.rules[0].version)
    let changes = RuleSource(
      path: "sets/s.yaml", text: "set: s\nrules: [{ rule: hr-high, parameters: { limit: 150 }, mode: shadow }]")
    let adapted = try plan(TemplateTests.rule, more: [changes], set: "s").rules[0]
    #expect(adapted.limit?.value == DecimalValue(mantissa: 150) && adapted.mode == .shadow)
    #expect(adapted.version != extended.rules[0].version)
  }

  @Test("every part that changes what a rule does changes its version")
  func behaviour() throws {
    func version(_ replacing: String, _ by: String, add: String = "") throws -> String {
      let text = RuleTexts.good.replacingOccurrences(of: replacing, with: by) + add
      return try RuleTexts.plan(text).rules[0].version
    }
    let versions = [
      try version("", ""), try version("", "", add: "\nraise: hr > 110 -> high"),
      try version("", "", add: "\nraise: hr > 120 -> high"), try version("", "", add: "\napplies: { units: [a] }"),
      try version("", "", add: "\napplies: { units: [b] }"), try version("", "", add: "\napplies: { age: \">=3mo\" }"),
      try version("max: 95,", "max: 94,"), try version("min: 80,", "min: 81,"),
      try version("median(spo2, 10s) < $limit\n", "median(spo2, 10s every 5s) < $limit\n"),
      try version("median(spo2, 10s) < $limit\n", "median(spo2, 10 samples) < $limit\n"),
      try version("median(spo2, 10s) < $limit\n", "quantile(spo2, 0.4, 10s) < $limit\n"),
      try version("median(spo2, 10s) < $limit\n", "quantile(spo2, 0.5, 10s) < $limit\n"),
      try version("bypass: last(spo2)", "bypass: min(spo2, 5s)"),
    ]
    #expect(Set(versions).count == versions.count)
  }

  @Test("documents give the resolved rule, the place of its tests, and a plan with one rule changed")
  func documents() throws {
    let text = TemplateTests.template + "\n---\n" + TemplateTests.rule + "\ntests: [{ name: a, expect: [] }]"
    let registry = RuleTexts.shippedRegistry
    let sources = [RuleSource(path: "a.yaml", text: text)]
    let documents = try RuleLibrary.documents(sources: sources, registry: registry)
    #expect(documents.map(\.id) == ["hr-high"])
    #expect(documents[0].file == "Rules/a.yaml" && documents[0].line == 10 && documents[0].tests?.line == 16)
    #expect(documents[0].node["when"]?.scalar == "median(hr, 10s) > $limit")
    var node = documents[0].node
    let entries = (node.entries ?? []).map { entry in
      var copy = entry
      if entry.key.scalar == "when" {
        copy.value.content = .scalar("median(hr, 10s) > $limit + 1", .plain)
      }
      return copy
    }
    node.content = .mapping(entries)
    let plan = try RuleLibrary.plan(
      sources: sources, set: nil, registry: registry, replacing: ["hr-high": node])
    #expect(plan.rules[0].when.text == "median(hr, 10s) > $limit + 1")
    let found = try #require(
      try RuleLibrary.rule("hr-high", sources: sources, set: nil, registry: registry))
    #expect(found.definition.id == "hr-high" && found.document == documents[0])
  }

  @Test("templates that extend each other in a ring are refused")
  func ring() throws {
    let text = """
      template: a
      extends: b
      ---
      template: b
      extends: a
      ---
      rule: r
      extends: a
      """
    #expect(throws: TextProblems.self) { try RuleTexts.plan(text) }
  }
}
