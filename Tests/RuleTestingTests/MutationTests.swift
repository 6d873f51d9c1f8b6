import RuleTesting
import Testing

@Suite struct MutationTests {
  private let rule = """
    rule: low
    title: Low
    source: test
    priority: medium
    when: last(spo2) < 90 or last(temp) < 35.0
    message: x

    """

  private func mutants(_ tests: String) throws -> [String] {
    let report = try Bench.report(tests, of: rule, .init(mutation: true))
    return (report.results[0].mutants ?? []).map { "\($0.isKilled ? "killed" : "survived") \($0.text)" }
  }

  @Test func weakTestsLetMutantsLive() throws {
    #expect(
      try mutants(
        """
        tests:
          - name: weak
            series: { spo2: "97x5 80x5", temp: "37x10" }
            expect: [{ at: 5s, start: medium }]

        """) == [
          "survived when: 90 to 91 in `last(spo2) < 90`", "survived when: 90 to 89 in `last(spo2) < 90`",
          "survived when: 35 to 35.1 in `last(temp) < 35`", "survived when: 35 to 34.9 in `last(temp) < 35`",
          "survived when: `last(spo2) < 90` to `last(spo2) <= 90`",
          "survived when: `last(temp) < 35` to `last(temp) <= 35`", "killed when: dropped `last(spo2) < 90`",
          "survived when: dropped `last(temp) < 35`",
        ])
  }

  @Test func sharpTestsKillThemAll() throws {
    let found = try mutants(
      """
      tests:
        - name: saturation
          series: { spo2: "97x5 90x5 89x5 90x5", temp: "37x20" }
          expect: [{ at: 10s, start: medium }, { at: 15s, end: true }]
        - name: temperature
          series: { spo2: "97x20", temp: "37x5 35x5 34.9x5 35x5" }
          expect: [{ at: 10s, start: medium }, { at: 15s, end: true }]

      """)
    #expect(found.count == 8)
    #expect(found.allSatisfy { $0.hasPrefix("killed") }, "\(found)")
  }

  @Test func everyPartOfARuleIsChanged() throws {
    let report = try Bench.report(RuleTestSuiteTests.right, .init(mutation: true))
    let texts = (report.results[0].mutants ?? []).map(\.text)
    for wanted in [
      "applies: 16 to 17 in `age >= 16`", "applies: dropped `not flag(palliative)`", "applies: dropped `age >= 16`",
      "clear: 2 to 3 in `last(spo2) >= $limit + 2`", "bypass: 10 to 9 in `last(spo2) < $limit - 10`",
      "bypass: `last(spo2) < $limit - 10` to `last(spo2) <= $limit - 10`", "dropped `bypass`", "dropped `clear`",
      "parameter `limit`: 90 to 91", "parameter `limit` for copd: 88 to 87", "for: 15s to 16s", "for: 15s to 14s",
      "clear for: 10s to 11s",
    ] {
      #expect(texts.contains(wanted), "\(wanted)")
    }
    #expect(Set(texts).count == texts.count)
  }

  @Test func whatHoldsAnAlertIsChangedToo() throws {
    let held = """
      quality: { gate: [hr > 30, temp < 41] }
      confirm: hr > 100
      inhibited_in: [off-ward, procedure]
      smart_delay: { halves_at: 4 }
      worsening: 5

      """
    let report = try Bench.report("tests: []\n", of: Bench.low + held, .init(mutation: true))
    let texts = (report.results[0].mutants ?? []).map(\.text)
    for wanted in [
      "quality: 30 to 31 in `last(hr) > 30`", "quality: 41 to 40.9 in `last(temp) < 41`",
      "confirm: `last(hr) > 100` to `last(hr) >= 100`", "dropped the gate `hr > 30`", "dropped `confirm`",
      "dropped `inhibited_in: procedure`", "dropped `smart_delay`", "smart_delay: 4 to 5", "dropped `worsening`",
      "worsening: 5 to 4",
    ] {
      #expect(texts.contains(wanted), "\(wanted)")
    }
    #expect(Set(texts).count == texts.count)
  }

  @Test func aScoreBelowTheMinimumIsKnown() throws {
    let report = try Bench.report(
      """
      tests:
        - name: weak
          series: { spo2: "97x5 80x5", temp: "37x10" }
          expect: [{ at: 5s, start: medium }]

      """, of: rule, .init(mutation: true))
    #expect(report.mutation?.killed == 1)
    #expect(report.mutation?.of == 8)
    #expect(report.mutationReaches(12))
    #expect(!report.mutationReaches(13))
    #expect(report.lines.contains("  Rules/low.yaml:5: low when: dropped `last(temp) < 35`"))
  }

  @Test func aRuleWithoutTestsLetsEveryMutantLive() throws {
    let report = try Bench.report("", of: rule, .init(mutation: true))
    #expect(report.mutation?.killed == 0)
    #expect(report.mutation?.of == 8)
  }

  @Test func aRuleWhoseTestsFailIsNotChanged() throws {
    let report = try Bench.report(
      """
      tests:
        - name: wrong
          series: { spo2: "97x5 80x5" }
          expect: []

      """, of: rule, .init(mutation: true))
    #expect(report.results[0].mutants == nil)
    #expect(!report.mutationReaches(0))
  }
}
