import Foundation
import RuleLanguage
import TestSupport
import Testing
import VitalModel
import YAMLText

@Suite struct FuzzTests {
  @Test("no rule text traps: valid rules cut, doubled and scribbled on", arguments: [1, 2, 3, 4] as [UInt64])
  func mutations(seed: UInt64) throws {
    var random = SeededGenerator(seed: seed)
    let score = RuleSource(path: "scores/news2.yaml", text: try RuleTexts.shipped("scores/news2.yaml"))
    let texts = [RuleTexts.good, ShowTests.rules, TemplateTests.template + "\n---\n" + TemplateTests.rule].map {
      Array($0.unicodeScalars)
    }
    let words = [
      "(", ")", "[", "]", "$limit", "not ", " and ", " or ", "any(", " of (", " within 5m", "since onset", "-",
      "99999999999",
      "0.000001", "10 samples", "5m every 0s", "<", ">", "<vital>", "{", "}", ":", "\n", "é", "news2().", "-> high",
      "1e9", "7d",
    ].map { Array($0.unicodeScalars) }
    var refused = 0
    for _ in 0..<150 {
      var text = texts[Int.random(in: 0..<texts.count, using: &random)]
      for _ in 0..<Int.random(in: 1...4, using: &random) {
        let at = Int.random(in: 0..<text.count, using: &random)
        let end = min(text.count, at + Int.random(in: 0...12, using: &random))
        switch Int.random(in: 0..<3, using: &random) {
        case 0: text.removeSubrange(at..<end)
        case 1: text.insert(contentsOf: text[at..<end], at: at)
        default:
          text.replaceSubrange(at..<min(end, at + 2), with: words[Int.random(in: 0..<words.count, using: &random)])
        }
        if text.isEmpty { text = texts[0] }
      }
      var view = String.UnicodeScalarView()
      view.append(contentsOf: text)
      let sources = [RuleSource(path: "r.yaml", text: String(view)), score]
      do throws(TextProblems) {
        let registry = RuleTexts.shippedRegistry
        for rule in try RuleLibrary.plan(sources: sources, set: nil, registry: registry).rules {
          _ = try RuleLibrary.prose(rule.id, sources: sources, set: nil, registry: registry)
          _ = try RuleLibrary.expressionTree(rule.id, sources: sources, set: nil, registry: registry)
        }
      } catch {
        refused += 1
        #expect(!error.all.isEmpty && error.all.allSatisfy { !$0.message.isEmpty && !$0.file.isEmpty })
        _ = RuleLibrary.rendered(error, sources: sources)
      }
    }
    #expect(refused > 50)
  }
}
