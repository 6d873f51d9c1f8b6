import Foundation
import RuleLanguage
import Testing
import VitalModel
import YAMLText

@Suite struct ScoreValueTests {
  /// A chart of one component.
  private static func chart(_ component: String) -> String {
    """
    score: s
    title: S
    source: test
    components:
      - name: one
    \(component.split(separator: "\n").map { "    " + $0 }.joined(separator: "\n"))
      - { name: heart, inputs: [hr], bands: [[40, 3], [max, 0]] }
    """
  }

  private static func read(_ component: String) throws -> ScoreDefinition {
    let scores = try RuleLibrary.scores(
      sources: [RuleSource(path: "scores/s.yaml", text: chart(component))], registry: RuleTexts.shippedRegistry)
    return try #require(scores.first)
  }

  private static func problems(_ component: String) -> [String] {
    do {
      _ = try read(component)
      return []
    } catch {
      return (error as? TextProblems)?.all.map(\.description) ?? ["\(error)"]
    }
  }

  @Test(
    "what is wrong with the value of a component is told with its place",
    arguments: [
      ("mean(resp, 6h) > 3", "6:27: this is a condition where a number is needed"),
      ("mean(rsp, 6h)", "6:17: unknown vital `rsp`; did you mean `resp`?"),
      ("men(resp, 6h)", "6:12: unknown function `men`; did you mean `mean`?"),
      ("mean(resp, 8d)", "6:23: a window must be longer than 0 and at most 7d"),
      ("hr - temp", "6:15: different units: `/min` and `Cel`"),
      ("hr + $x", "6:17: a score has no parameters: write the number for `$x`"),
      ("news2().total", "6:12: a score may not read another score"),
      (
        "max(resp, since onset)",
        "6:22: `since onset` is unknown until the alert has begun: use it in `clear` or `raise`"
      ),
      (
        "hr@ecg",
        "6:14: one source of a vital can be named in `checks` only: write `hr`, and every series of it is judged"
      ),
      ("stale(hr)", "6:12: this is a condition where a number is needed"),
      ("3 + 4", "6:12: `3 + 4` is the same for everybody: a component reads a vital or the age"),
      (
        "hr / sbp", "6:5: `hr / sbp` is on no vital's grid: give a `resolution`, a power of ten such as 0.1"
      ),
      (
        "slope(hr, 1h)", "6:5: `slope(hr, 1h)` is on no vital's grid: give a `resolution`, a power of ten such as 0.1"
      ),
    ])
  func mistakes(value: String, says: String) {
    let found = ScoreValueTests.problems("value: \(value)\nbands: [[0, 0], [max, 1]]")
    #expect(found == ["Rules/scores/s.yaml:" + says])
  }

  @Test(
    "keys that do not go with a value are refused",
    arguments: [
      (
        "value: hr\ninputs: [hr]\nbands: [[max, 1]]",
        "7:5: `inputs` beside `value`: the expression says what it reads"
      ),
      (
        "value: hr\nmedian: 5m\nbands: [[max, 1]]", "7:5: `median` beside `value`: the expression says what it reads"
      ),
      (
        "inputs: [hr]\nresolution: 0.1\nbands: [[max, 1]]",
        "7:5: `resolution` is for a `value`: an input has that of its vital"
      ),
      (
        "value: hr\nresolution: 0.5\nbands: [[max, 1]]",
        "7:17: `resolution` must be a power of ten from 0.000001 to 1000, such as 0.1, not `0.5`"
      ),
      (
        "value: \"hr / sbp\"\nresolution: 0.1\nbands: [[0.45, 0], [max, 1]]",
        "8:14: `0.45` is not a value on this vital's grid"
      ),
      ("value: age(temp)\nbands: [[4, 0], [max, 1]]", "7:14: `4` is not a duration such as `4h`"),
      ("inputs: [resp]\nabsent: 11\nbands: [[max, 1]]", "7:13: `absent` must be a whole number from 0 to 10, not `11`"),
    ])
  func wrongKeys(component: String, says: String) {
    #expect(ScoreValueTests.problems(component) == ["Rules/scores/s.yaml:" + says])
  }

  @Test func aChartThatReadsNoVitalIsRefused() {
    let text = """
      score: s
      title: S
      source: test
      components:
        - { name: age, value: age, bands: [[65, 0], [max, 1]] }
      """
    #expect(throws: TextProblems.self) {
      try RuleLibrary.scores(
        sources: [RuleSource(path: "scores/s.yaml", text: text)], registry: RuleTexts.shippedRegistry)
    }
  }

  @Test(
    "bands lie on the vital's own grid, or on that of `resolution`; ends may be negative",
    arguments: [
      ("value: \"delta(temp, 12h)\"\nbands: [[-0.5, 0], [0.4, 1], [max, 3]]", -1, [-5, 4, Int64.max]),
      ("value: \"delta(hr, 12h)\"\nbands: [[-5, 0], [max, 3]]", 0, [-5, Int64.max]),
      ("value: \"mean(hr, 6h)\"\nresolution: 0.1\nbands: [[70.5, 0], [max, 3]]", -1, [705, Int64.max]),
      ("value: \"hr / sbp\"\nresolution: 0.01\nbands: [[0.7, 0], [max, 3]]", -2, [70, Int64.max]),
      ("value: \"mean(hr, 6h) * 10\"\nresolution: 10\nbands: [[700, 0], [max, 3]]", 1, [70, Int64.max]),
      ("value: age\nbands: [[64, 0], [max, 3]]", 0, [64, Int64.max]),
      ("value: age(temp)\nbands: [[4h, 0], [max, 3]]", 0, [14_400_000, Int64.max]),
      ("value: last(consciousness)\nbands: [[A, 0], [max, 3]]", 0, [0, Int64.max]),
    ] as [(String, Int, [Int64])])
  func grids(component: String, exponent: Int, ends: [Int64]) throws {
    let component = try #require(try ScoreValueTests.read(component).components.first)
    #expect(component.expression?.exponent == exponent)
    #expect(component.bands?.bands.map(\.upTo) == ends)
  }

  @Test("a score reads what its expressions read, each vital once")
  func codes() throws {
    let score = try ScoreValueTests.read(
      "value: \"hr / sbp + max(hr, 1h) / sbp\"\nresolution: 0.1\nbands: [[max, 1]]")
    #expect(score.codes.map { RuleTexts.shippedRegistry[$0].key } == ["hr", "sbp"])
    #expect(score.needsHistory?.name == "one")
    #expect(try ScoreValueTests.read("value: \"newest(temp, 24h)\"\nbands: [[max, 1]]").needsHistory == nil)
  }

  @Test("what a component computes is in the text versions hash; how it is written is not")
  func canonicalText() throws {
    func text(_ component: String) throws -> String {
      try ScoreValueTests.read(component).canonicalText(registry: RuleTexts.shippedRegistry)
    }
    let own = try text("value: \"mean(hr, 6h)\"\nbands: [[70, 1], [max, 0]]")
    #expect(try text("value: \" ( mean( hr,360m ) ) \"\nbands: [[70, 1], [max, 0]]") == own)
    var seen: Set = [own]
    for other in [
      "value: \"mean(hr, 5h)\"\nbands: [[70, 1], [max, 0]]", "value: \"max(hr, 6h)\"\nbands: [[70, 1], [max, 0]]",
      "value: \"mean(hr, 6h)\"\nresolution: 0.1\nbands: [[7, 1], [max, 0]]",
      "value: \"mean(hr, 6h)\"\nabsent: 0\nbands: [[70, 1], [max, 0]]",
      "value: \"mean(hr, 6h)\"\nabsent: 1\nbands: [[70, 1], [max, 0]]",
      "value: \"mean(hr, 6h)\"\nbands: [[71, 1], [max, 0]]", "value: \"-mean(hr, 6h)\"\nbands: [[70, 1], [max, 0]]",
    ] {
      #expect(seen.insert(try text(other)).inserted, "\(other)")
    }
  }

  @Test("what is absent may give the most points, and then counts in the range")
  func absentPoints() throws {
    #expect(try ScoreValueTests.read("inputs: [resp]\nabsent: 2\nbands: [[max, 1]]").components[0].pointsMax == 2)
  }

  @Test(
    "numbers go half up to the grid, whatever binary arithmetic leaves",
    arguments: [
      (0.25, -1, 3), (-0.25, -1, -2), (1.005, -2, 101), (0.1 * 3 / 2, -1, 2), (12.4, 0, 12), (-12.5, 0, -12),
      (14.99, 1, 1), (15, 1, 2), (1e300, 0, 1_000_000_000_000_000), (-1e300, -6, -1_000_000_000_000_000),
    ] as [(Double, Int, Int64)])
  func halfUp(value: Double, exponent: Int, steps: Int64) {
    #expect(ScoreExpression.grid(value, exponent: exponent) == steps)
    #expect(ScoreExpression.grid(.nan, exponent: exponent) == nil)
  }
}
