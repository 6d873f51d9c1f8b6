import Foundation
import RuleLanguage
import TestSupport
import Testing

/// What people read of a rule: plain English, the typed tree, the reference page.
@Suite struct ShowTests {
  static let rule = """
    template: slow-fall
    priority: medium
    source: "a rule for tests"
    parameters:
      limit: { default: 88, min: 80, max: 94, unit: "%", when: [{ flag: copd, value: 85 }] }
      hold: { default: 2m, min: 0s, max: 5m }
    when: time_below(<vital>, $limit, 10m) > 2m and not stale(<vital>)
    for: $hold
    max_hold: 20m
    clear: { when: "time_below(<vital>, $limit, 10m) < 30s", for: 60s }
    bypass: { when: "time_below(<vital>, $limit, 10m) > 8m", priority: high }
    message: "{code} low for {duration}"
    ---
    rule: spo2-slow-fall
    title: Saturation low for long
    rationale: "Shows every part of a rule."
    extends: slow-fall
    with: { vital: spo2 }
    applies: { age: ">=3mo <16y", unless: [palliative], units: [ward-7, ward-8] }
    mode: shadow
    raise:
      - any(resp > 24, resp < 8, hr > 110) within 5m -> high
      - 2 of (abs(hr - pr) > 15, consciousness != A, news2().total >= 5) -> high
    tests:
      - { name: two minutes alert, series: { spo2: "97x60" }, expect: [] }
      - { name: a short dip does not, series: { spo2: "97x60" }, expect: [] }
    """

  private func sources() throws -> [RuleSource] {
    try RuleTexts.sources() + [RuleSource(path: "shown.yaml", text: ShowTests.rule)]
  }

  @Test(
    "a rule in plain English and its typed tree",
    arguments: ["spo2-slow-fall", "spo2-low", "spo2-high-on-oxygen", "apnoea", "news2-medium", "lead-off"])
  func shown(id: String) throws {
    let registry = RuleTexts.shippedRegistry
    // Versions hash every registry entry in use; the text around them is what this test keeps.
    let prose = try #require(try RuleLibrary.prose(id, sources: sources(), set: nil, registry: registry))
    let lines = prose.split(separator: "\n", omittingEmptySubsequences: false).filter {
      !$0.hasPrefix("Version: ") && !$0.hasPrefix("File: ") && !$0.hasPrefix("Tests:") && !$0.hasPrefix("  - ")
        || id == "spo2-slow-fall" && !$0.hasPrefix("Version: ")
    }
    try Golden.check(lines.joined(separator: "\n"), Golden.folder + "/Golden/\(id).txt")
    let tree = try #require(try RuleLibrary.expressionTree(id, sources: sources(), set: nil, registry: registry))
    try Golden.check(tree, Golden.folder + "/Golden/\(id).tree.txt")
  }

  @Test("an unknown rule, or one outside the set, is nothing to show")
  func unknown() throws {
    let registry = RuleTexts.shippedRegistry
    #expect(try RuleLibrary.prose("spo2-lo", sources: sources(), set: nil, registry: registry) == nil)
    #expect(try RuleLibrary.prose("spo2-slow-fall", sources: sources(), set: "adult-ward", registry: registry) == nil)
  }

  @Test("the reference page is what the checker's tables say")
  func reference() throws {
    try Golden.check(LanguageReference.markdown, RepositoryRoot.path + "/docs/rules-reference.md")
  }
}
