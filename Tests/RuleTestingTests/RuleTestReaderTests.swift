import RuleTesting
import Testing
import VitalModel

@Suite struct RuleTestReaderTests {
  private func problems(_ tests: String) -> [String] { Bench.problems("tests:\n" + tests) }

  @Test func aRightTestHasNoProblems() {
    #expect(
      problems(
        """
          - name: all keys
            patient: { age: 70, flags: [copd], unit: ward-7, listed: true }
            every: 1s
            series:
              spo2: "97x60 85x20"
              hr@ecg: "80x200"
              hr@pleth/b: "81x200"
            settings: [{ parameter: limit, value: 88, from: 10s, until: 1m }]
            with: [low]
            expect:
              - { at: 75s, start: medium, value: 85, limit: 90, message: "x", unverified: false }
              - { at: 80s, escalate: high }
              - { at: 81s, update: true }
              - { at: 90s, end: true }
            suppressed: [{ at: 30s, stage: persistence }]

        """) == [])
  }

  @Test func whatIsWrongIsSaidWithItsPlace() {
    let found = problems(
      """
        - name: first
          sereis: { spo2: "97" }
          expect: []
        - name: second
          series: { spo: "97", spo2: "97x3 hello" }
          settings: [{ parameter: limt, value: 88 }, { parameter: limit, value: 99 }]
          with: [lwo]
        - name: second
          every: 0s
          series: { spo2: "97" }
          patient: { age: 70, age_months: 3, flag: x }
          expect:
            - { at: 75, start: medium }
            - { at: 75s, start: medim }
            - { at: 75s }
            - { at: 75s, end: high }
            - { at: 60s, end: true, start: low }
          suppressed: [{ at: 1s, stage: persistance }]

      """)
    #expect(
      found == [
        "Rules/low.yaml:16:5: a test of `low` needs `series`",
        "Rules/low.yaml:17:5: unknown key `sereis` in a test of `low`; did you mean `series`?",
        "Rules/low.yaml:19:5: a test of `low` needs `expect` (`expect: []` where nothing may be told)",
        "Rules/low.yaml:20:15: unknown vital `spo`; did you mean `spo2`?",
        "Rules/low.yaml:20:38: `hello` is not a value, such as `97`, `97x60`, `97..85x12`, `-x10` or `@30s`",
        "Rules/low.yaml:21:18: `low` has no parameter `limt`; did you mean `limit`?",
        "Rules/low.yaml:21:68: 99 lies outside the bounds of `limit`: it would be refused",
        "Rules/low.yaml:22:12: no rule `lwo`; did you mean `low`?",
        "Rules/low.yaml:23:5: a second test `second` of `low`, the first is at line 19",
        "Rules/low.yaml:24:12: `every` must be a duration such as `1s`, not `0s`",
        "Rules/low.yaml:26:25: a patient has either `age` or `age_months`",
        "Rules/low.yaml:26:40: unknown key `flag` in patient; did you mean `flags`?",
        "Rules/low.yaml:28:15: `at` must be a time such as `75s`, not `75`",
        "Rules/low.yaml:29:27: `start` must be one of info, low, medium, high, not `medim`; did you mean `medium`?",
        "Rules/low.yaml:30:9: an expected transition needs one of `start`, `escalate`, `de-escalate`, `update` and `end`",
        "Rules/low.yaml:31:25: `end` must be `true`, not `high`",
        "Rules/low.yaml:32:9: an expected transition needs one of `start`, `escalate`, `de-escalate`, `update` and `end`",
        "Rules/low.yaml:33:35: `stage` must be one of quality, smoothing, hysteresis, persistence, confirmation, "
          + "inhibition, refractory, duplicate, flap, silence, acknowledged, grouping, budget, stale, retrospective, "
          + "shadow, not `persistance`; did you mean `persistence`?",
      ])
  }

  @Test func aPatientMayBeOffTheWardForAWhile() throws {
    let suite = try Bench.suite(
      Bench.low + """
        tests:
          - name: away
            patient: { state: off-ward, state_until: 10m }
            series: { spo2: "97x3" }
            expect: [{ at: 2s, de-escalate: medium }]
            suppressed: [{ at: 1s, stage: inhibition }]

        """)
    let patient = try #require(suite.files.first?.tests.first?.patient)
    #expect(patient.state == .offWard && patient.stateUntil == 600_000)
    let found = problems(
      """
        - name: away
          patient: { state: of-ward }
          series: { spo2: "97" }
          expect: []
        - name: until when
          patient: { state_until: 10m }
          series: { spo2: "97" }
          expect: []

      """)
    #expect(
      found == [
        "Rules/low.yaml:17:23: `state` must be one of admitted, off-ward, discharged, not `of-ward`; did you mean `off-ward`?",
        "Rules/low.yaml:21:16: `state_until` needs `state`",
      ])
  }

  @Test func expectationsAreInTheOrderOfTime() {
    let found = problems(
      """
        - name: order
          series: { spo2: "97" }
          expect: [{ at: 75s, start: medium }, { at: 60s, end: true }]

      """)
    #expect(found == ["Rules/low.yaml:18:5: `expect` must be in the order of time: 60s is after 75s"])
  }

  @Test func testsMustBeAListOfTests() {
    #expect(Bench.problems("tests: none\n") == ["Rules/low.yaml:15:8: `tests` must be a list of tests, not text"])
    #expect(Bench.problems("tests: [x]\n").count == 1)
  }
}
