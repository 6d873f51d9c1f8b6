import Foundation
import RuleTesting
import Testing

/// Tests of rules that judge device alarms.
@Suite struct CheckTests {
  private static let rule = """
    rule: fast-check
    title: Checked
    source: test
    checks: { events: [fast], supported: "min(hr, 10s) > 140", unsupported: "max(hr@ecg, 10s) < 100" }
    tests:

    """

  @Test func anAnswerIsExpectedOfAnAlarm() throws {
    let results = try Bench.results(
      """
        - { name: slow, series: { hr@ecg: "80x20" }, alarm: { at: 20s, is: unsupported } }
        - { name: fast, series: { hr: "150x20" }, alarm: { event: FAST, at: 20s, is: supported } }
        - { name: the tick of the alarm comes after it, series: { hr@ecg: "80x20 120" }, alarm: { at: 20s, is: unsupported } }
        - { name: a tick before it counts, series: { hr@ecg: "80x19 120" }, alarm: { at: 20s, is: unknown } }
        - { name: another alarm, series: { hr@ecg: "80x20" }, alarm: { event: slow, at: 20s, is: none } }

      """, of: CheckTests.rule)
    #expect(results.map(\.outcomes.count) == [5])
    #expect(results.flatMap(\.outcomes).filter { !$0.passed }.map(\.name) == [])
  }

  @Test func aWrongAnswerIsShownBesideTheRightOne() throws {
    let results = try Bench.results(
      "  - { name: slow, series: { hr@ecg: \"80x20\" }, alarm: { at: 20s, is: supported } }\n", of: CheckTests.rule)
    let lines = results.flatMap(\.outcomes).flatMap(\.details)
    #expect(lines.contains { $0.contains("20s start supported") && $0.contains("20s start high unsupported") })
    #expect(lines.contains { $0.contains("max(hr@ecg, 10s)") })
  }

  @Test func whatIsWrongIsSaidWithItsPlace() {
    let found = Bench.problems(
      """
      tests:
        - { name: a, series: { hr: "80" }, expect: [] }
        - { name: b, series: { hr: "80" }, alarm: { at: 20, is: supported } }
        - { name: c, series: { hr: "80" }, alarm: { at: 20s, is: suported } }
        - { name: d, series: { hr: "80" }, alarm: { at: 20s, is: unknown }, expect: [] }

      """, of: CheckTests.rule.replacingOccurrences(of: "tests:\n", with: ""))
    #expect(
      found == [
        "Rules/low.yaml:6:5: a test of `fast-check` needs `alarm`",
        "Rules/low.yaml:6:38: `fast-check` opens nothing: say in `alarm` what it must answer",
        "Rules/low.yaml:7:51: `at` must be a time such as `30s`, not `20`",
        "Rules/low.yaml:8:60: `is` must be one of supported, unsupported, unknown, none, not `suported`; did you mean `supported`?",
        "Rules/low.yaml:9:71: `fast-check` opens nothing: say in `alarm` what it must answer",
      ])
  }

  @Test func anAlarmIsForChecksOnly() {
    let found = Bench.problems(
      "tests:\n  - { name: a, series: { spo2: \"97\" }, alarm: { at: 20s, is: unknown }, expect: [] }\n")
    #expect(found == ["Rules/low.yaml:16:40: `alarm` is for rules with `checks`: `low` judges no device alarm"])
  }
}
