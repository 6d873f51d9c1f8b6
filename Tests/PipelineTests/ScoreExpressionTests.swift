import Evaluation
import RuleLanguage
import Testing
import VitalModel

@testable import Pipeline

/// Scores whose components are expressions, through the engine.
@Suite struct ScoreExpressionTests {
  private static func layout(_ components: String, rules: String = "") throws -> PlanLayout {
    let chart = """
      score: fitted
      title: Fitted
      source: test
      components:
      \(components.split(separator: "\n").map { "  " + $0 }.joined(separator: "\n"))
      """
    let sources = [RuleSource(path: "scores/f.yaml", text: chart)]
    guard rules.isEmpty else {
      return PlanLayout(
        plan: try RuleLibrary.plan(
          sources: sources + [RuleSource(path: "r.yaml", text: rules)], set: nil, registry: Shipped.registry))
    }
    let scores = try RuleLibrary.scores(sources: sources, registry: Shipped.registry)
    return PlanLayout(plan: RulePlan(registry: Shipped.registry, rules: [], scores: scores, version: ""))
  }

  private static func points(_ strip: Strip) throws -> [Int] {
    let state = try #require(strip.engine.patients.first).pointee.scores[0]
    return strip.layout.plan.scores[0].components.indices.map { Int(state.points[$0]) }
  }

  private static let many = """
    - { name: breathing, value: "mean(resp, 6h)", bands: [[20, 0], [24, 1], [max, 3]] }
    - { name: shock, value: "hr / sbp", resolution: 0.01, bands: [[0.7, 0], [0.9, 1], [max, 2]] }
    - { name: trend, value: "delta(hr, 12h)", bands: [[-20, 2], [10, 0], [max, 1]] }
    - { name: fever, value: "newest(temp, 24h)", bands: [[37.9, 0], [max, 2]] }
    - { name: age, value: age, bands: [[64, 0], [max, 1]] }
    """

  @Test("each expression is judged over its own window, and unknown until it has a sample there")
  func judged() throws {
    let roster = try Roster(patients: [RosterPatient(id: "p1", age: DecimalValue(mantissa: 70))])
    let strip = Strip(try Self.layout(Self.many), roster: roster)
    strip.feed("0: hr=100")
    #expect(try Self.points(strip) == [-1, -1, 0, -1, 1])
    strip.feed("10: resp=18 sbp=110 temp=38.0")
    // 100 / 110 = 0.909: 0.91.
    #expect(try Self.points(strip) == [0, 2, 0, 2, 1])
    strip.feed("3600: resp=30 hr=111")
    // Mean (18 + 30) / 2 = 24; 111 - 100 = 11.
    #expect(try Self.points(strip) == [1, 2, 1, 2, 1])
    strip.feed("7200: resp=32 hr=79 sbp=110")
    // 80 / 3 = 26.7; 79 / 110 = 0.718; -21.
    #expect(try Self.points(strip) == [3, 1, 2, 2, 1])
  }

  @Test("a score is judged anew when any vital it reads gets a sample: the other windows have slid on")
  func slides() throws {
    let strip = Strip(
      try Self.layout(
        """
        - { name: highest, value: "max(resp, 1h)", bands: [[20, 0], [max, 3]] }
        - { name: heart, inputs: [hr], bands: [[max, 0]] }
        """))
    strip.feed("0: resp=30\n1800: resp=12")
    #expect(try Self.points(strip)[0] == 3)
    strip.feed("3599: hr=70")
    #expect(try Self.points(strip)[0] == 3)
    strip.feed("3600: hr=70")
    #expect(try Self.points(strip)[0] == 0)
  }

  @Test("the newest value of a window stands while the vital is stale, and not a moment longer than the window")
  func newest() throws {
    let strip = Strip(
      try Self.layout(
        """
        - { name: fever, value: "newest(temp, 24h)", bands: [[37.9, 0], [max, 2]] }
        - { name: last, inputs: [temp], bands: [[37.9, 0], [max, 2]] }
        - { name: heart, inputs: [hr], bands: [[max, 0]] }
        """))
    strip.feed("0: temp=39.0 hr=70\n\(23 * 3600): hr=70")
    #expect(try Self.points(strip) == [2, -1, 0])
    strip.feed("\(24 * 3600): hr=70")
    #expect(try Self.points(strip) == [-1, -1, 0])
  }

  private static let absent = """
    - { name: lactate, value: "newest(lactate, 24h)", absent: 0, bands: [[2.0, 0], [max, 2]] }
    - { name: heart, inputs: [hr], absent: 1, bands: [[100, 0], [max, 3]] }
    - { name: pressure, inputs: [sbp], bands: [[90, 2], [max, 0]] }
    """

  @Test("what is absent gives its points, from the first sample of any vital, and is not missing")
  func absentPoints() throws {
    let strip = Strip(try Self.layout(Self.absent))
    strip.feed("0: sbp=120")
    #expect(try Self.points(strip) == [0, 1, 0])
    let state = try #require(strip.engine.patients.first).pointee.scores[0]
    #expect(state.total == 1)
    #expect(state.isComplete)
    strip.feed("60: hr=120 lactate=4")
    #expect(try Self.points(strip) == [2, 3, 0])
    // The heart rate is stale after a minute: absent again, and nothing is lost.
    strip.feed("1200: sbp=120")
    #expect(try Self.points(strip) == [2, 1, 0])
    #expect(try #require(strip.engine.patients.first).pointee.scores[0].hasLostComponent == false)
  }

  private static let rule = """
    rule: fitted
    title: Fitted
    source: test
    priority: medium
    parameters:
      limit: { default: 3, unit: "{score}" }
      margin: { default: 1, unit: "{score}" }
    when: fitted().total >= $limit
    clear: fitted().total < $limit - $margin
    message: "score {total}{missing}"
    """

  @Test("a re-arm margin keeps an alert until the score is that much below the limit")
  func margin() throws {
    let strip = Strip(
      try Self.layout(
        "- { name: heart, value: hr, bands: [[80, 0], [100, 2], [max, 3]] }\n", rules: Self.rule))
    strip.feed("0: hr=120\n10: hr=90\n20: hr=120\n30: hr=70")
    #expect(strip.transitions == ["0 start fitted medium", "30 end fitted medium"])
  }

  @Test("windows that empty because the signal is lost end no alert; a component that says what absence counts does")
  func emptying() throws {
    for (absent, ends) in [("", false), (", absent: 0", true)] {
      let strip = Strip(
        try Self.layout(
          """
          - { name: fast, value: "count(resp, 10m)", resolution: 1\(absent), bands: [[5, 0], [max, 3]] }
          - { name: heart, inputs: [sbp], absent: 0, bands: [[max, 0]] }
          """, rules: Self.rule))
      strip.feed("0..100/10: resp=30 sbp=120\n700: sbp=120")
      #expect(strip.transitions.contains("700 end fitted medium") == ends, "\(absent)")
      strip.feed("710: resp=12")
      #expect(strip.transitions.last == (ends ? "700" : "710") + " end fitted medium")
    }
  }

  @Test("the evidence of an alert says what each expression gave, and what was absent")
  func evidence() throws {
    let strip = Strip(
      try Self.layout(
        """
        - { name: breathing, value: "mean(resp, 6h)", resolution: 0.1, bands: [[20.5, 0], [max, 3]] }
        - { name: lactate, value: "newest(lactate, 24h)", absent: 0, bands: [[2.0, 0], [max, 2]] }
        """, rules: Self.rule))
    strip.feed("0: resp=18\n60: resp=25")
    let evidence = try #require(strip.engine.output.transitions.first?.evidence)
    #expect(
      evidence.contains(
        "{\"name\":\"breathing\",\"points\":3,\"input\":\"mean(resp, 6h)\",\"value\":21.5,\"time\":\"2026-01-01T00:01:00.000Z\",\"age_s\":0}"
      ), "\(evidence)")
    #expect(
      evidence.contains(
        "{\"name\":\"lactate\",\"points\":0,\"input\":\"newest(lactate, 24h)\",\"absent\":true,\"time\":null,\"age_s\":null}"
      ), "\(evidence)")
  }

  @Test("the calculator says what the engine says, where newest values are enough")
  func calculator() throws {
    let layout = try Self.layout(
      """
      - { name: shock, value: "hr / sbp", resolution: 0.01, bands: [[0.7, 0], [0.9, 1], [max, 2]] }
      - { name: fever, value: "newest(temp, 24h)", bands: [[37.9, 0], [max, 2]] }
      - { name: age, value: age, bands: [[64, 0], [max, 1]] }
      - { name: lactate, inputs: [lactate], absent: 0, bands: [[2.0, 0], [max, 2]] }
      """)
    let calculator = ScoreCalculator(layout.plan.scores[0], registry: Shipped.registry)
    func grid(_ key: String, _ text: String) throws -> (VitalCode, Int64) {
      let code = try #require(Shipped.registry.code(key))
      let value = try #require(DecimalValue(text))
      return (code, try #require(Shipped.registry[code].gridValue(value, unitIndex: 0) as Int64?))
    }
    let row = Dictionary(
      uniqueKeysWithValues: [try grid("hr", "88"), try grid("sbp", "110"), try grid("temp", "38.2")])
    let state = calculator.evaluate(row, .init(ageMonths: 70 * 12))
    #expect((0..<4).map { Int(state.points[$0]) } == [1, 2, 1, 0])
    let empty = calculator.evaluate([:])
    #expect((0..<4).map { Int(empty.points[$0]) } == [-1, -1, -1, 0])
  }

  @Test("a checkpoint in the middle of the windows changes nothing of what comes after")
  func survivesRestart() throws {
    let layout = try Self.layout(
      """
      - { name: breathing, value: "mean(resp, 6h)", resolution: 0.1, bands: [[20.5, 0], [max, 3]] }
      - { name: fever, value: "newest(temp, 24h)", bands: [[37.9, 0], [max, 2]] }
      """, rules: Self.rule)
    let first = "0: temp=37.0 resp=12\n1800..7200/1800: resp=18"
    let second = "9000..21600/1800: resp=40\n23400..80000/1800: resp=11"
    let whole = Strip(layout).feed(first).feed(second)
    let broken = Strip(layout).feed(first)
    try broken.restart(options: EngineOptions(clock: .stream))
    broken.feed(second)
    #expect(whole.transitions.count == 2)
    #expect(broken.everything == whole.everything)
  }
}
