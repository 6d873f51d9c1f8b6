import Evaluation
import Foundation
import Testing
import VitalModel

@testable import Pipeline

/// Parameters set for one patient, by a person, for a time.
@Suite struct SettingsTests {
  static func setting(
    _ parameter: String, _ value: Int64, from: Int64? = nil, until: Int64? = nil, rule: String = "low"
  ) -> RosterSetting {
    RosterSetting(
      patient: "p1",
      setting: ParameterSetting(
        rule: rule, parameter: parameter, value: DecimalValue(mantissa: value), author: "dr-a", reason: "known COPD",
        from: from, until: until))
  }

  static func strip(_ layout: PlanLayout, _ settings: [RosterSetting]) throws -> Strip {
    Strip(
      layout, roster: try Roster(patients: [RosterPatient(id: "p1"), RosterPatient(id: "p2")], settings: settings))
  }

  static func layout(_ rules: String = TestRules.low, _ change: (inout RuleDefinition) -> Void = { _ in }) throws
    -> PlanLayout
  {
    var plan = try Shipped.layout(rules).plan
    change(&plan.rules[0])
    return PlanLayout(plan: plan)
  }

  @Test("a setting takes the place of the limit in when, clear, bypass, message and limit; other patients keep theirs")
  func limit() throws {
    let layout = try SettingsTests.layout()
    let set = try SettingsTests.strip(layout, [SettingsTests.setting("limit", 86)])
    set.feed("0..30: spo2=88")
    #expect(set.transitions == [])
    set.feed("31..60: spo2=85\n61..80: spo2=87\n81..100: spo2=88")
    #expect(set.transitions == ["46 start low medium", "91 end low medium"])
    #expect(set.documents[0].limit == DecimalValue(mantissa: 86))
    #expect(set.documents[0].message == "85 15 s 86")
    #expect(set.feed("1000: spo2=77\n1001: spo2=97").transitions.count == 2)
    #expect(set.feed("2000: spo2=75").transitions.last == "2000 start low high")
    #expect(set.documents[2].limit == DecimalValue(mantissa: 76))
    let other = try SettingsTests.strip(layout, [SettingsTests.setting("limit", 86)]).feed("0..30: p2.spo2=88")
    #expect(other.transitions == ["15 start low medium"])
    #expect(!(other.engine.output.transitions[0].evidence ?? "").contains("\"settings\""))
  }

  @Test("a setting holds from its begin up to, not including, its end")
  func period() throws {
    let from = Strip.time("100")
    let until = Strip.time("200")
    let strip = try SettingsTests.strip(
      try SettingsTests.layout { $0.hold = 0 }, [SettingsTests.setting("limit", 82, from: from, until: until)])
    strip.feed("99: spo2=89")
    #expect(strip.transitions == ["99 start low medium"])
    strip.feed("100..120: spo2=89")
    #expect(strip.transitions == ["99 start low medium", "110 end low medium"])
    strip.feed("199: spo2=89\n1000: spo2=89")
    #expect(strip.transitions.last == "1000 start low medium")
  }

  @Test("evidence names each setting in force with author and reason")
  func evidence() throws {
    let until = Strip.time("3600")
    let strip = try SettingsTests.strip(
      try SettingsTests.layout(), [SettingsTests.setting("limit", 86, until: until)])
    let evidence = try #require(strip.feed("0..30: spo2=80").engine.output.transitions[0].evidence)
    #expect(evidence.contains("\"parameters\":{\"limit\":86}"))
    #expect(
      evidence.contains(
        "\"settings\":[{\"parameter\":\"limit\",\"value\":86,\"author\":\"dr-a\",\"reason\":\"known COPD\",\"from\":null,"
          + "\"until\":\"2026-01-01T01:00:00.000Z\"}]"))
  }

  @Test("a setting of the hold changes how long the condition must last")
  func hold() throws {
    let layout = try SettingsTests.layout {
      $0.parameters.append(
        RuleParameter(
          name: "hold", value: DecimalValue(mantissa: 15_000), lowest: DecimalValue(mantissa: 0),
          highest: DecimalValue(mantissa: 600_000), unit: ""))
      $0.holdParameter = 1
    }
    let short = try SettingsTests.strip(layout, [SettingsTests.setting("hold", 5000)]).feed("0..20: spo2=85")
    #expect(short.transitions == ["5 start low medium"])
    let long = try SettingsTests.strip(layout, [SettingsTests.setting("hold", 90_000)]).feed("0..100: spo2=85")
    #expect(long.transitions == ["90 start low medium"])
    #expect(try SettingsTests.strip(layout, []).feed("0..20: spo2=85").transitions == ["15 start low medium"])
  }

  @Test("a new roster puts its settings in force at once, and a new plan keeps them")
  func reload() throws {
    let strip = try SettingsTests.strip(try SettingsTests.layout(), []).feed("0..20: spo2=88")
    #expect(strip.transitions == ["15 start low medium"])
    let roster = try Roster(
      patients: [RosterPatient(id: "p1")], settings: [SettingsTests.setting("limit", 84)])
    strip.engine.adoptRoster(strip.directory.adopt(roster))
    strip.feed("21..40: spo2=88")
    #expect(strip.transitions.last == "31 end low medium")
    strip.engine.adoptPlan(try Shipped.layout(TestRules.noData.dropFirst(4) + "\n---\n" + TestRules.low))
    strip.feed("700..730: spo2=86\n731..760: spo2=83")
    #expect(strip.transitions.last == "746 start low medium")
  }

  @Test("a setting of a rule or parameter the plan does not have changes nothing")
  func strangers() throws {
    let strangers = [SettingsTests.setting("limitt", 86), SettingsTests.setting("limit", 86, rule: "other")]
    let strip = try SettingsTests.strip(try SettingsTests.layout(), strangers).feed("0..30: spo2=88")
    #expect(strip.transitions == ["15 start low medium"])
  }

  @Test("settings and age survive a checkpoint: what comes after is the same")
  func checkpoint() throws {
    let layout = try SettingsTests.layout()
    let roster = try Roster(
      patients: [RosterPatient(id: "p1", age: DecimalValue("0.25"))], settings: [SettingsTests.setting("limit", 86)])
    let whole = Strip(layout, roster: roster).feed("0..10: spo2=85")
    let again = Strip(layout, roster: roster)
    let slots = again.parse("0..10: spo2=85")
    let state = try #require(whole.engine.encodeState(of: 0))
    try again.engine.restoreState(of: 0, position: state.position, bytes: state.bytes)
    again.engine.finishRestoring()
    #expect(again.engine.encodeState(of: 0)?.bytes == state.bytes)
    #expect(again.engine.patients[0].pointee.ageMonths == 3)
    #expect(slots.count == 11)
    #expect(again.feed("11..20: spo2=85").transitions == whole.feed("11..20: spo2=85").transitions)
    #expect(whole.transitions == ["15 start low medium"])
  }
}

/// Conditions that lift an alert's priority (`raise`).
@Suite struct RaiseTests {
  /// SpO2 below 90 for 15 s is medium; with fast breathing it is high.
  private static func layout(
    _ rules: String = TestRules.low, to priority: Priority = .high, _ change: (inout RuleDefinition) -> Void = { _ in }
  ) throws -> PlanLayout {
    var plan = try Shipped.layout(rules).plan
    let resp = try #require(plan.registry.code("resp"))
    plan.rules[0].features.append(Feature(kind: .max, code: resp, window: .sliding(300_000)))
    let feature = plan.rules[0].features.count - 1
    plan.rules[0].raises = [
      PriorityRaise(
        when: Program(instructions: [.feature(feature), .constant(24), .greater], text: "max(resp, 5m) > 24"),
        to: priority)
    ]
    change(&plan.rules[0])
    return PlanLayout(plan: plan)
  }

  @Test("an alert starts at the raised priority where the condition holds already")
  func atStart() throws {
    let strip = Strip(try RaiseTests.layout()).feed("0..20: spo2=85 resp=30")
    #expect(strip.transitions == ["15 start low high"])
    let evidence = try #require(strip.engine.output.transitions[0].evidence)
    #expect(evidence.contains("\"raises\":[{\"when\":\"max(resp, 5m) > 24\",\"to\":\"high\",\"holds\":\"yes\"}]"))
  }

  @Test("a condition that comes to hold later escalates once, whichever vital brings it, and never lowers")
  func later() throws {
    let strip = Strip(try RaiseTests.layout()).feed("0..20: spo2=85 resp=15\n25: resp=30\n26..40: resp=12 spo2=85")
    #expect(strip.transitions == ["15 start low medium", "25 escalate low high"])
    #expect(strip.engine.output.transitions[1].isNotified)
    strip.feed("400..420: resp=12 spo2=85\n421..440: resp=12 spo2=97")
    #expect(strip.transitions.last == "431 end low high")
  }

  @Test("A3: a rule on one vital that other vitals raise is judged for each of its series and shows its value")
  func written() throws {
    let rules = TestRules.low + "\nraise: \"any(resp > 24, resp < 8) within 5m -> high\""
    let layout = try Shipped.layout(rules)
    #expect(layout.plan.rules[0].scope == .series(try #require(layout.plan.registry.code("spo2"))))
    let strip = Strip(layout).feed("0..20: spo2@a=97 spo2@b=85\n25: resp=30")
    #expect(strip.transitions == ["15 start low medium", "25 escalate low high"])
    #expect(strip.documents.map(\.message) == ["85 15 s 90", "85 25 s 90"])
    let held = TestRules.low.replacingOccurrences(of: "for: 15s", with: "for: $hold")
      .replacingOccurrences(of: "parameters:\n", with: "parameters:\n  hold: { default: 15s, min: 0s, max: 60s }\n")
    let set = try SettingsTests.strip(try Shipped.layout(held), [SettingsTests.setting("hold", 30_000)])
    #expect(
      set.feed("0..40: spo2=85 p2.spo2=85").transitions.sorted() == ["15 start low medium", "30 start low medium"])
  }

  @Test("unknown raises nothing, a lower priority lowers nothing, and no stage switched off takes a raise away")
  func nothing() throws {
    #expect(Strip(try RaiseTests.layout()).feed("0..20: spo2=85").transitions == ["15 start low medium"])
    let lower = Strip(try RaiseTests.layout(to: .low)).feed("0..20: spo2=85 resp=30")
    #expect(lower.transitions == ["15 start low medium"])
    let without = EngineOptions(clock: .stream, without: [.confirmation])
    let off = Strip(try RaiseTests.layout(), options: without).feed("0..20: spo2=85 resp=30")
    #expect(off.transitions == ["15 start low high"])
  }

  @Test("the highest priority whose condition holds decides")
  func order() throws {
    let layout = try RaiseTests.layout { rule in
      let first = PriorityRaise(when: Program(instructions: [.constant(1)], text: "always"), to: .medium)
      rule.priority = .low
      rule.raises.insert(first, at: 0)
    }
    #expect(Strip(layout).feed("0..20: spo2=85 resp=30").transitions == ["15 start low high"])
    #expect(Strip(layout).feed("0..20: spo2=85").transitions == ["15 start low medium"])
  }

  @Test("D1: the refractory time yields to a raised priority, at once or later")
  func refractory() throws {
    let strip = Strip(try RaiseTests.layout())
    strip.feed("0..20: spo2=85\n21..40: spo2=97\n41..60: spo2=85")
    #expect(strip.transitions == ["15 start low medium", "31 end low medium"])
    #expect(strip.ledger == ["56 refractory low"])
    strip.feed("61: resp=30")
    #expect(strip.transitions.last == "61 start low high")
    let atOnce = Strip(try RaiseTests.layout())
    atOnce.feed("0..20: spo2=85\n21..40: spo2=97\n41..60: spo2=85 resp=30")
    #expect(atOnce.transitions.last == "56 start low high")
  }

  @Test("C4: a raised member lifts the alert it joined")
  func joined() throws {
    let strip = Strip(try RaiseTests.layout(TestRules.low + "\n" + TestRules.news) { _ in })
    strip.feed("0..30: spo2=85 hr=120 resp=22")
    #expect(strip.transitions == ["0 start news medium", "15 update news medium"])
    strip.feed("31: resp=25")
    #expect(strip.transitions.last == "31 escalate news high")
    #expect(strip.documents.last?.members == ["low"])
  }

  @Test("shadow rules record the priority they would have been told with")
  func shadow() throws {
    let strip = Strip(try RaiseTests.layout { $0.mode = .shadow }).feed("0..20: spo2=85 resp=30")
    #expect(strip.transitions == [])
    #expect(strip.engine.output.ledger.map(\.document.priority) == [.high])
  }

  @Test("C4: evidence gives each component of a score the age of its input")
  func componentAges() throws {
    let strip = try Strip(rules: TestRules.news).feed("0: sbp=85\n40: resp=26")
    let evidence = try #require(strip.engine.output.transitions.first?.evidence)
    #expect(
      evidence.contains("{\"name\":\"systolic\",\"points\":3,\"time\":\"2026-01-01T00:00:00.000Z\",\"age_s\":40}"))
    #expect(
      evidence.contains("{\"name\":\"respiration\",\"points\":3,\"time\":\"2026-01-01T00:00:40.000Z\",\"age_s\":0}"))
    #expect(evidence.contains("{\"name\":\"spo2\",\"points\":null,\"time\":null,\"age_s\":null}"))
    #expect(evidence.contains("\"trigger\":\"medium\""))
    // An equal value that came again is a new input.
    let steady = try Strip(rules: TestRules.news).feed("0..40: hr=70\n40: sbp=85\n42: resp=26")
    let again = try #require(steady.engine.output.transitions.first?.evidence)
    #expect(again.contains("{\"name\":\"pulse\",\"points\":0,\"time\":\"2026-01-01T00:00:40.000Z\",\"age_s\":2}"))
  }
}
