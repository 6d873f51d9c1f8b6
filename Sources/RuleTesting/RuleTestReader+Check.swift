import VitalModel
import YAMLText

/// Tests of rules with `checks`: a strip chart, the device's alarm, and what the numerics must say about it.
extension RuleTestReader {
  /// Whether a rule judges device alarms instead of opening alerts.
  func isCheck(_ rule: String) -> Bool { plan.rules.contains { $0.id == rule && $0.check != nil } }

  /// `alarm: { event: asystole, at: 30s, is: unsupported }`; the event is the rule's first one unless given.
  func checkTest(
    _ node: YAMLNode, _ map: YAMLMapping, name: String, rule: String, tick: Int64, _ problems: inout Problems
  ) -> RuleTest? {
    for key in ["expect", "suppressed"] where map.has(key) {
      problems.add(map.place(of: key), "`\(rule)` opens nothing: say in `alarm` what it must answer")
    }
    let answers = Verification.allCases.map { ($0.rawValue, $0.rawValue) } + [("none", "none")]
    guard map.requiredValue("alarm", &problems) != nil,
      let block = map.mapping("alarm", keys: ["event", "at", "is"], &problems),
      let time = block.requiredRead("at", as: "a time such as `30s`", &problems, ClockText.parse),
      let answer = block.requiredValue("is", &problems).flatMap({
        YAMLMapping.word($0, of: "is", answers, &problems)
      })
    else { return nil }
    let first = plan.rules.first { $0.id == rule }?.check?.events.first
    let event = block.string("event", &problems) ?? first ?? ""
    return RuleTest(
      name: name, line: node.line, column: node.column, patient: patient(map, &problems), tick: tick,
      series: series(map, tick: tick, &problems), settings: settings(map, rule: rule, &problems),
      alarm: TestAlarm(event: event, time: time), companions: companions(map, rule: rule, &problems),
      expected: [ExpectedTransition(time: time, phase: .start, verification: answer)], suppressed: nil)
  }
}
