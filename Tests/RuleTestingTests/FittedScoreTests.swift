import RuleLanguage
import RuleTesting
import Testing
import VitalModel

/// Tests of a rule on a score made of expressions, as `vigil test` runs them.
@Suite struct FittedScoreTests {
  private static let chart = """
    score: fitted
    title: Fitted
    source: test
    components:
      - { name: fast, value: "mean(hr, 6h)", resolution: 0.1, bands: [[99.9, 0], [max, 2]] }
      - { name: trend, value: "delta(hr, 12h)", absent: 0, bands: [[-50, 2], [10, 0], [max, 1]] }
      - { name: fever, value: "newest(temp, 24h)", absent: 0, bands: [[38.0, 0], [max, 2]] }
    """

  private static let rule = """
    rule: fitted-high
    title: Fitted score
    source: test
    priority: medium
    parameters:
      limit: { default: 3, min: 2, max: 5, unit: "{score}" }
      margin: { default: 1, min: 0, max: 2, unit: "{score}" }
    when: fitted().total >= $limit
    clear: fitted().total < $limit - $margin
    refractory: 4h
    renew: 8h
    message: "score {total}"
    tests:
      - name: a trend adds to a mean, and what is not charted counts nothing
        every: 1h
        series: { hr: "90x3 120x4" }
        expect: [{ at: 4h, start: medium, message: "score 3" }]
      - name: told anew every eight hours while it stays
        every: 1h
        series: { hr: "110x20", temp: "39.0" }
        expect:
          - { at: 0s, start: medium }
          - { at: 8h, end: true }
          - { at: 8h, start: medium }
          - { at: 16h, end: true }
          - { at: 16h, start: medium }
      - name: it ends only the margin below its limit
        every: 1h
        series: { hr: "110x2 70x5", temp: "39.0" }
        expect: [{ at: 0s, start: medium }]

    """

  @Test("strip charts of hours run through the score and the renewals of its alert")
  func strips() throws {
    let sources = [
      RuleSource(path: "scores/fitted.yaml", text: Self.chart), RuleSource(path: "r.yaml", text: Self.rule),
    ]
    let plan = try RuleLibrary.plan(sources: sources, set: nil, registry: Bench.registry)
    let suite = RuleTestSuite(
      plan: plan, files: try RuleTestReader.read(sources: sources, plan: plan, directory: "Rules"))
    let report = RuleTestReport(suite.run(.init()))
    #expect(report.failedCount == 0, "\(report.lines)")
  }
}
