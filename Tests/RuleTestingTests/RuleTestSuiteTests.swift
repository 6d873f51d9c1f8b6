import RuleTesting
import Testing

@Suite struct RuleTestSuiteTests {
  static let right = """
    tests:
      - name: twenty seconds below the limit alert
        series: { spo2: "97x60 85x20 97x120" }
        expect:
          - { at: 75s, start: medium, value: 85, limit: 90, message: "SpO2 85 % for 15 s (limit 90)" }
          - { at: 90s, end: true }
      - name: ten seconds do not
        series: { spo2: "97x60 85x10 97x120" }
        expect: []
        suppressed: [{ at: 70s, stage: persistence }]
      - name: deep at once
        series: { spo2: "97x60 79x5 92x60" }
        expect: [{ at: 60s, start: high, value: 79 }, { at: 75s, end: true }]
      - name: not for children
        patient: { age_months: 30 }
        series: { spo2: "97x60 79x60" }
        expect: []
      - name: lower limit with a chronic disease
        patient: { flags: [copd] }
        series: { spo2: "97x60 88x60 87x20" }
        expect: [{ at: 135s, start: medium, limit: 88 }]

    """

  @Test func whatHappensAsExpectedPasses() throws {
    let report = try Bench.report(Self.right)
    #expect(report.results[0].outcomes.map(\.passed) == [true, true, true, true, true], "\(report.lines)")
    #expect(report.summary == "1 rule, 5 tests, all passed")
    #expect(report.lines.first == "ok     low  5 of 5 passed")
  }

  @Test func whatDiffersIsShownSideBySideWithTheValuesAround() throws {
    let report = try Bench.report(
      """
      tests:
        - name: late
          series: { spo2: "97x10 85x20 97x30" }
          expect: [{ at: 26s, start: medium }, { at: 40s, end: true }]

      """)
    #expect(report.failedCount == 1)
    #expect(
      report.lines == [
        "FAILED low  0 of 1 passed",
        "",
        "FAILED low: late (Rules/low.yaml:16)",
        "  expected            actual",
        "  26s start medium  ≠ 25s start medium",
        "  40s end             40s end",
        "  time  spo2  last(spo2)  applies  when  clear  bypass",
        "  23s   85    85          yes      yes   no     no",
        "  24s   85    85          yes      yes   no     no",
        "  25s   85    85          yes      yes   no     no",
        "  26s   85    85          yes      yes   no     no",
        "  27s   85    85          yes      yes   no     no",
        "  28s   85    85          yes      yes   no     no",
        "",
        "1 rule, 1 test, 1 failed",
      ])
  }

  @Test(arguments: [
    "[{ at: 75s, start: high }, { at: 90s, end: true }]",
    "[{ at: 75s, start: medium, value: 84 }, { at: 90s, end: true }]",
    "[{ at: 75s, start: medium, limit: 91 }, { at: 90s, end: true }]",
    "[{ at: 75s, start: medium, message: x }, { at: 90s, end: true }]",
    "[{ at: 75s, start: medium, unverified: true }, { at: 90s, end: true }]",
    "[{ at: 75s, start: medium }]", "[]",
    "[{ at: 75s, start: medium }, { at: 90s, end: true }, { at: 95s, start: medium }]",
  ])
  func everyPartOfAnExpectationCounts(_ expected: String) throws {
    let report = try Bench.report(
      """
      tests:
        - name: one
          series: { spo2: "97x60 85x20 97x120" }
          expect: \(expected)

      """)
    #expect(report.failedCount == 1)
    #expect(report.lines.contains { $0.contains("≠") })
  }

  @Test func ledgerRowsAreComparedWhereTheTestAsks() throws {
    func failed(_ suppressed: String) throws -> Int {
      try Bench.report(
        """
        tests:
          - name: one
            series: { spo2: "97x60 85x10 97x120" }
            expect: []
            \(suppressed)

        """
      ).failedCount
    }
    #expect(try failed("") == 0)
    #expect(try failed("suppressed: []") == 1)
    #expect(try failed("suppressed: [{ at: 70s, stage: stale }]") == 1)
    #expect(try failed("suppressed: [{ at: 70s, stage: persistence }]") == 0)
  }

  @Test func aRuleInShadowIsTestedAsIfItWereLive() throws {
    let shadow = Bench.low.replacingFirst("priority: medium", with: "priority: medium\nmode: shadow")
    let report = try Bench.report(Self.right, of: shadow)
    #expect(report.failedCount == 0, "\(report.lines)")
  }

  @Test func statesAndQualityOfTheSensorCount() throws {
    let report = try Bench.report(
      """
      tests:
        - name: a probe that is off holds even a bypass value
          series: { spo2: "97x60 60!lead-offx40" }
          expect: []
        - name: a doubtful value at bypass level alerts unverified
          series: { spo2: "97x60 60?0.1x3" }
          expect: [{ at: 60s, start: high, value: 60, unverified: true }]

      """)
    #expect(report.failedCount == 0, "\(report.lines)")
  }

  @Test func otherRulesRunOnlyWhereTheTestNamesThem() throws {
    let two =
      Bench.low + "---\n"
      + Bench.low.replacingFirst("rule: low", with: "rule: other").replacingFirst("for: 15s", with: "for: 5s")
    let report = try Bench.report(
      """
      tests:
        - name: alone
          series: { spo2: "97x10 85x10" }
          expect: [{ at: 15s, start: medium }]
        - name: beside
          with: low
          series: { spo2: "97x10 85x16" }
          expect: [{ at: 15s, start: medium }]

      """, of: two)
    #expect(report.failedCount == 0, "\(report.lines)")
    #expect(report.untested == ["low"])
    #expect(report.summary.hasSuffix("; without tests: low"))
  }

  @Test func aRuleWithoutTestsFailsWhereTestsAreRequired() throws {
    let results = try Bench.results("")
    #expect(RuleTestReport(results).passed)
    let strict = RuleTestReport(results, requiresTests: true)
    #expect(!strict.passed)
    #expect(JUnitText.write(strict).contains("tests=\"1\" failures=\"1\""))
  }

  @Test func reportsAreSafeXML() throws {
    let report = try Bench.report(
      """
      tests:
        - name: "<a> & \\"b\\""
          series: { spo2: "97x10 85x20" }
          expect: [{ at: 25s, start: medium, message: "<&>" }]

      """)
    let xml = JUnitText.write(report)
    #expect(xml.hasPrefix("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"vigil test\" tests=\"1\""))
    #expect(xml.contains("<testsuite name=\"Rules/low.yaml\" tests=\"1\" failures=\"1\" errors=\"0\""))
    #expect(xml.contains("<testcase name=\"&lt;a&gt; &amp; &quot;b&quot;\" classname=\"low\" time=\"0.000\">"))
    #expect(xml.contains("&quot;&lt;&amp;&gt;&quot;") || xml.contains("\"&lt;&amp;&gt;\""))
    #expect(xml.hasSuffix("</testsuites>\n"))
    #expect(report.json.contains("\"failed\":1"))
  }
}

extension String {
  func replacingFirst(_ part: String, with other: String) -> String {
    guard let range = firstRange(of: part) else { return self }
    return self[..<range.lowerBound] + other + self[range.upperBound...]
  }
}
