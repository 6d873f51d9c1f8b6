import Foundation
import RuleLanguage
import Testing
import YAMLText

@Suite struct WrongTests {
  static let names: [String] = {
    let files = (try? FileManager.default.contentsOfDirectory(atPath: Golden.folder + "/Wrong")) ?? []
    return files.filter { $0.hasSuffix(".yaml") }.sorted()
  }()

  @Test("there are at least 25 wrong rule files")
  func count() { #expect(WrongTests.names.count >= 25) }

  @Test("each wrong rule file gives its exact message, with place and caret", arguments: names)
  func message(name: String) throws {
    let path = Golden.folder + "/Wrong/" + name
    let sources = [
      RuleSource(path: name, text: try String(contentsOfFile: path, encoding: .utf8)),
      RuleSource(path: "scores/news2.yaml", text: try RuleTexts.shipped("scores/news2.yaml")),
    ]
    do throws(TextProblems) {
      _ = try RuleLibrary.plan(sources: sources, set: nil, registry: RuleTexts.shippedRegistry, directory: "")
      Issue.record("\(name) is accepted")
    } catch {
      let text = RuleLibrary.rendered(error, sources: sources, directory: "") + "\n"
      try Golden.check(text, path.replacingOccurrences(of: ".yaml", with: ".txt"))
    }
  }
}
