import Foundation
import RuleLanguage
import Testing
import VitalModel
import YAMLText

@Suite struct ScoreFileTests {
  static let good = """
    score: s
    title: S
    source: test
    components:
      - name: heart
        inputs: [hr]
        bands: [[40, 3], [max, 0]]
    """

  static func problems(_ replacing: String, _ by: String) throws -> [String] {
    let text = good.replacingOccurrences(of: replacing, with: by)
    do {
      _ = try RuleLibrary.plan(
        sources: [RuleSource(path: "scores/s.yaml", text: text)], set: nil, registry: try RuleTexts.registry())
      return []
    } catch let problems as TextProblems {
      return problems.all.map(\.description)
    }
  }

  @Test(
    "what is wrong with a chart is told with its place",
    arguments: [
      ("[hr]", "[hrr]", "Rules/scores/s.yaml:6:14: unknown vital `hrr`; did you mean `hr`?"),
      (
        "[max, 0]", "[200, 0]",
        "Rules/scores/s.yaml:7:22: the last band must end at `max`, so that no value falls between bands"
      ),
      ("[40, 3]", "[40.5, 3]", "Rules/scores/s.yaml:7:14: `40.5` is not a value on this vital's grid"),
      ("[40, 3]", "[40, 3], [30, 2]", "Rules/scores/s.yaml:7:23: bands must ascend"),
      ("[40, 3]", "[40, 11]", "Rules/scores/s.yaml:7:13: a band is [up to and including, points 0 to 10]"),
      (
        "bands: [[40, 3], [max, 0]]", "bands: 3",
        "Rules/scores/s.yaml:7:12: `bands` must be a list of [up to and including, points]"
      ),
      ("title: S\n", "", "Rules/scores/s.yaml:1:1: a score needs `title`"),
    ])
  func mistakes(replacing: String, by: String, says: String) throws {
    #expect(try ScoreFileTests.problems(replacing, by) == [says])
  }

  @Test func rightChart() throws { #expect(try ScoreFileTests.problems("", "") == []) }
}
