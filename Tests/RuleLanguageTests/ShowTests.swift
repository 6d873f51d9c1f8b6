import Foundation
import RuleLanguage
import TestSupport
import Testing
import YAMLText

/// What people read of a rule: plain English, the typed tree, the reference page.
@Suite struct ShowTests {
  /// Rules of these tests' own, so that a tuned limit of a shipped rule changes nothing here.
  static let rules = (try? String(contentsOfFile: Golden.folder + "/Golden/rules.yaml", encoding: .utf8)) ?? ""

  private func sources() throws -> [RuleSource] {
    [
      RuleSource(path: "rules.yaml", text: ShowTests.rules),
      RuleSource(path: "scores/news2.yaml", text: try RuleTexts.shipped("scores/news2.yaml")),
      RuleSource(path: "sets/ward.yaml", text: "set: ward\nrules: [spo2-low]"),
    ]
  }

  @Test(
    "a rule in plain English and its typed tree",
    arguments: [
      "spo2-slow-fall", "spo2-low", "spo2-high-on-oxygen", "apnoea", "news2-medium", "lead-off", "spo2-held",
      "asystole-check",
    ])
  func shown(id: String) throws {
    let registry = RuleTexts.shippedRegistry
    // Versions hash every registry entry in use; the text around them is what this test keeps.
    let prose = try #require(try RuleLibrary.prose(id, sources: sources(), set: nil, registry: registry))
    let lines = prose.split(separator: "\n", omittingEmptySubsequences: false).filter { !$0.hasPrefix("Version: ") }
    try Golden.check(lines.joined(separator: "\n"), Golden.folder + "/Golden/\(id).txt")
    let tree = try #require(try RuleLibrary.expressionTree(id, sources: sources(), set: nil, registry: registry))
    try Golden.check(tree, Golden.folder + "/Golden/\(id).tree.txt")
  }

  @Test("an unknown rule, or one outside the set, is nothing to show")
  func unknown() throws {
    let registry = RuleTexts.shippedRegistry
    #expect(try RuleLibrary.prose("spo2-lo", sources: sources(), set: nil, registry: registry) == nil)
    #expect(try RuleLibrary.prose("spo2-slow-fall", sources: sources(), set: "ward", registry: registry) == nil)
  }

  @Test("an expression by itself has a tree too; its mistakes have their column")
  func expression() throws {
    let registry = RuleTexts.shippedRegistry
    let tree = try RuleLibrary.expressionTree(
      ofText: "ewma(hr, 2m) - baseline(hr, 4h, 40, 120)", sources: sources(), registry: registry)
    #expect(
      tree == """
        when: ewma(hr, 2m) - baseline(hr, 4h, 40, 120)
          -: /min
          ├ ewma(hr, 2m): /min
          └ baseline(hr, 4h, 40, 120): /min
        memory of a patient at 1 sample/s (3 bytes a sample kept, 12 a distinct value): 54504 bytes
          hr, 2m: 960 samples (eight half-lives) and at most 351 values, 7092 bytes
          hr, 4h: 14400 samples and at most 351 values, 47412 bytes

        """)
    do throws(TextProblems) {
      _ = try RuleLibrary.expressionTree(ofText: "ewma(hrr, 2m)", sources: [], registry: registry)
      Issue.record("a misspelt vital is accepted")
    } catch {
      #expect(error.description == "expression:1:6: unknown vital `hrr`; did you mean `hr`?")
    }
  }

  @Test("the reference page is what the checker's tables say")
  func reference() throws {
    try Golden.check(LanguageReference.markdown, RepositoryRoot.path + "/docs/rules-reference.md")
  }
}
