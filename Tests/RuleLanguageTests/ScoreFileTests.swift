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
      (
        "score: s", "score: S-1",
        "Rules/scores/s.yaml:1:1: a score's id is lower-case letters, digits and `_`, beginning with a letter, not `S-1`"
      ),
      (
        "score: s", "score: max",
        "Rules/scores/s.yaml:1:1: `max` is already a function or a vital: give the score another id"
      ),
      ("title: S", "title: S\nrange: [0, 4]", "Rules/scores/s.yaml:3:8: the components add up to 0 to 3, not 0 to 4"),
      (
        "title: S", "title: S\nrange: 3",
        "Rules/scores/s.yaml:3:8: `range` must be `[0, most]`, the totals the chart can give"
      ),
      (
        "title: S", "title: S\ntrigger: [{ class: high, total: 7 }]",
        "Rules/scores/s.yaml:3:11: the last trigger class must have neither `total` nor `single`: all others are in it"
      ),
      (
        "title: S", "title: S\ntrigger: [{ class: a }, { class: b }]",
        "Rules/scores/s.yaml:3:25: `b` can never be reached: everybody is in `a` before it"
      ),
      (
        "title: S", "title: S\ntrigger: [{ class: a, total: 5 }, { class: b, total: 6 }, { class: c }]",
        "Rules/scores/s.yaml:3:35: `b` can never be reached by its total: `a` comes first"
      ),
      (
        "bands: [[40, 3], [max, 0]]", "variants: [{ age: \">3mo\", bands: [[max, 0]] }]",
        "Rules/scores/s.yaml:7:23: `age` must be an age range such as `>=3mo <12mo`, not `>3mo`"
      ),
      (
        "bands: [[40, 3], [max, 0]]", "variants: [{ bands: [[max, 0]] }]",
        "Rules/scores/s.yaml:7:16: a variant needs `flag`, `age` or `on_oxygen`: what it is for"
      ),
      (
        "    inputs: [hr]", "    ratio: [hr]", "Rules/scores/s.yaml:6:12: `ratio` must be two vitals, as in `[hr, sbp]`"
      ),
      (
        "    inputs: [hr]", "    ratio: [hr, sbp]\n    inputs: [hr]",
        "Rules/scores/s.yaml:6:5: give either `ratio` or `inputs`"
      ),
      (
        "[hr]", "[hr, temp]",
        "Rules/scores/s.yaml:6:18: `temp` has another resolution than `hr`: give each input bands of its own"
      ),
      (
        "[hr]", "[{ vital: hr, bands: [[max, 0]] }]",
        "Rules/scores/s.yaml:7:5: `bands` beside inputs with bands of their own: none of it would be used"
      ),
      ("    bands: [[40, 3], [max, 0]]", "    median: 5m", "Rules/scores/s.yaml:5:5: a component needs `bands`"),
      (
        "    inputs: [hr]", "    inputs: [hr]\n    median: 0s",
        "Rules/scores/s.yaml:7:13: `median` must be a duration of 1s to 1h, not `0s`"
      ),
    ])
  func mistakes(replacing: String, by: String, says: String) throws {
    #expect(try ScoreFileTests.problems(replacing, by) == [says])
  }

  @Test func rightChart() throws { #expect(try ScoreFileTests.problems("", "") == []) }

  private static func read(_ text: String) throws -> ScoreDefinition {
    let scores = try RuleLibrary.scores(
      sources: [RuleSource(path: "scores/s.yaml", text: text)], registry: try RuleTexts.registry())
    return try #require(scores.first)
  }

  @Test("ages are completed months, from included, below excluded")
  func ages() throws {
    let text = ScoreFileTests.good.replacingOccurrences(
      of: "    bands: [[40, 3], [max, 0]]",
      with: """
            variants:
              - { age: "<3mo", bands: [[max, 0]] }
              - { age: ">=3mo <1y", bands: [[max, 1]] }
              - { age: ">=1y", flag: x, on_oxygen: true, bands: [[max, 2]] }
        """)
    let variants = try ScoreFileTests.read(text).components[0].variants
    #expect(variants.map(\.monthsFrom) == [nil, 3, 12])
    #expect(variants.map(\.monthsBelow) == [3, 12, nil])
    #expect(variants.map(\.flag) == [nil, nil, "x"])
    #expect(try ScoreFileTests.read(text).components[0].bands == nil)
  }

  @Test("every number of a chart is in the text that versions hash; its classes and words are not")
  func canonicalText() throws {
    let registry = try RuleTexts.registry()
    func text(_ replacing: String, _ by: String) throws -> String {
      try ScoreFileTests.read(ScoreFileTests.good.replacingOccurrences(of: replacing, with: by))
        .canonicalText(registry: registry)
    }
    let own = try text("", "")
    #expect(try text("title: S", "title: T\ntrigger: [{ class: a, total: 2 }, { class: b }]") == own)
    var seen: Set = [own]
    for (replacing, by) in [
      ("[40, 3]", "[41, 3]"), ("[40, 3]", "[40, 2]"), ("[hr]", "[hr, pr]"), ("inputs: [hr]", "ratio: [hr, sbp]"),
      ("inputs: [hr]", "inputs: [hr]\n    median: 5m"), ("inputs: [hr]", "inputs: [o2_flow]\n    oxygen: true"),
      ("    bands: [[40, 3], [max, 0]]", "    variants: [{ age: \"<3mo\", bands: [[max, 0]] }]"),
      ("    bands: [[40, 3], [max, 0]]", "    variants: [{ age: \"<4mo\", bands: [[max, 0]] }]"),
      ("    bands: [[40, 3], [max, 0]]", "    variants: [{ flag: a, bands: [[max, 0]] }]"),
    ] {
      #expect(seen.insert(try text(replacing, by)).inserted, "\(by)")
    }
  }
}
