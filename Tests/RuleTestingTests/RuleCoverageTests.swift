import RuleTesting
import Testing

@Suite struct RuleCoverageTests {
  private let rule = """
    rule: low
    title: Low
    source: test
    priority: medium
    when: (last(spo2) < 90 or last(hr) > 130) and not last(temp) > 38.5
    clear: last(spo2) >= 92 and last(hr) <= 130
    message: x

    """

  private func uncovered(_ tests: String) throws -> [String] {
    try Bench.report(tests, of: rule, .init(coverage: true)).results.flatMap {
      $0.coverage?.uncovered.map(\.words) ?? []
    }
  }

  @Test func outcomesNobodySawAreNamed() throws {
    let found = try uncovered(
      """
      tests:
        - name: one
          series: { spo2: "97x5 85x5", hr: "80x10", temp: "37x10" }
          expect: [{ at: 5s, start: medium }]

      """)
    #expect(
      found == [
        "when: `last(hr) > 130` was never yes", "when: `last(temp) > 38.5` was never yes",
        "clear: `last(spo2) >= 92` was never yes", "clear: `last(hr) <= 130` was never no",
        "clear: `last(spo2) >= 92 and last(hr) <= 130` was never yes",
      ])
  }

  @Test func whatWasSeenBothWaysIsCovered() throws {
    let report = try Bench.report(
      """
      tests:
        - name: one
          series: { spo2: "97x5 85x5 92x5", hr: "80x10 131x2 80x3", temp: "37x12 39x3" }
          expect: [{ at: 5s, start: medium }, { at: 12s, end: true }]

      """, of: rule, .init(coverage: true))
    #expect(report.results[0].coverage?.uncovered.map(\.words) == [])
    #expect(report.summary.contains("coverage 100 %"))
  }

  @Test func aClearNobodyWaitedForDoesNotCount() throws {
    let found = try uncovered(
      """
      tests:
        - name: one
          series: { spo2: "97x5", hr: "80x5", temp: "37x5" }
          expect: []

      """)
    #expect(found.contains("clear: `last(spo2) >= 92` was neither yes nor no"))
  }

  /// Silence is found at a deadline between two samples.
  @Test func silenceBetweenSamplesIsSeen() throws {
    let report = try Bench.report(
      """
      tests:
        - name: silence
          series: { spo2: "97x10 @100s 97x20" }
          expect: [{ at: 69s, start: low }, { at: 110s, end: true }]

      """,
      of: """
        rule: silent
        title: Silent
        kind: technical
        source: test
        priority: low
        each: series
        when: stale()
        clear: { when: "not stale()", for: 10s }
        message: x

        """, .init(coverage: true))
    #expect(report.failedCount == 0, "\(report.lines)")
    #expect(report.results[0].coverage?.uncovered.map(\.words) == [])
  }
}
