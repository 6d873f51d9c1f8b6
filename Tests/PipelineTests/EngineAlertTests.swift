import Foundation
import Testing
import VitalModel

@testable import Pipeline

/// SEMANTICS A3, A4, A10, A11, C and D: alerts and what holds them.
@Suite struct EngineAlertTests {
  private static let two = """
    rule: high
    title: High
    source: test
    priority: medium
    when: last(hr) > 130
    clear: last(hr) <= 125
    message: "{value}"
    """

  // MARK: A

  @Test("A3: any good series may open the alert; it names its sources and ends when none holds")
  func seriesAreJudgedSeparately() throws {
    let strip = try Strip(rules: EngineAlertTests.two)
    strip.feed("0: hr@a=70 hr@b=140\n1: hr@a=140\n2: hr@b=70\n3: hr@a=70")
    #expect(strip.transitions == ["0 start high medium", "3 end high medium"])
    #expect(strip.documents[0].sources == ["b/hr"])
    #expect(strip.documents[1].sources == ["b/hr", "a/hr"])
  }

  @Test("A3: a silent series does not keep an alert open once another source shows the vital well")
  func silentSeries() throws {
    let strip = try Strip(rules: EngineAlertTests.two)
    strip.feed("0: hr@a=140 hr@b=140\n1..100: hr@b=140\n101: hr@b=70")
    #expect(strip.transitions == ["0 start high medium", "101 end high medium"])
  }

  @Test("A3: rules with several inputs read one preferred series per code and say which")
  func preferredSeries() throws {
    let rules = """
      rule: shock
      title: Shock index
      source: test
      priority: medium
      when: hr / sbp > 1
      message: "shock"
      """
    let strip = try Strip(rules: rules).feed("0: hr@b=140 hr@a=70 sbp@c=100\n1: hr@a=120")
    #expect(strip.transitions == ["1 start shock medium"])
    #expect(strip.documents[0].sources == ["a/hr", "c/sbp"])
  }

  @Test("A4: observations of one message at one time are applied together, then rules run once")
  func messagesAreWhole() throws {
    let rules = """
      rule: pair
      title: Pair
      source: test
      priority: medium
      when: abs(hr - pr) > 30
      message: "pair"
      """
    #expect(try Strip(rules: rules).feed("0: hr=70 pr=70\n1: hr=140 pr=140").transitions == [])
    #expect(
      try Strip(rules: rules).feed("0: hr=70 pr=70\n1: hr=140\n1: pr=140").transitions == [
        "1 start pair medium", "1 end pair medium",
      ])
  }

  @Test("A5: evaluation rounds half up to the registry's resolution")
  func rounding() throws {
    #expect(try Strip(rules: EngineAlertTests.two).feed("0: hr=130.4").transitions == [])
    #expect(try Strip(rules: EngineAlertTests.two).feed("0: hr=130.5").transitions.count == 1)
  }

  @Test("A10: a sample of uncertain time never opens a paging alert alone")
  func uncertainTime() throws {
    let strip = try Strip(rules: EngineAlertTests.two).feed("0: hr=140~\n1: hr=141~")
    #expect(strip.transitions == [])
    #expect(strip.ledger == ["0 quality high"])
    strip.feed("2: hr=140")
    #expect(strip.transitions == ["2 start high medium"])
  }

  @Test("A11: a device going offline is a technical alert at the priority of what it holds")
  func deviceOffline() throws {
    let strip = try Strip(rules: EngineAlertTests.two).feed("0: hr=140")
    var slot = Slot()
    slot.kind = .deviceStatus
    slot.device = strip.directory.device(tenant: "demo", device: "a")
    slot.patient = strip.directory.patient(tenant: "demo", patient: "p1")
    slot.eventTime = Strip.time("5")
    slot.ingestTime = slot.eventTime
    strip.engine.apply(slot)
    strip.engine.apply(slot)
    slot.mantissa = 1
    slot.eventTime += 1000
    strip.engine.apply(slot)
    #expect(
      strip.transitions == ["0 start high medium", "5 start device-offline medium", "6 end device-offline medium"])
  }

  @Test("A11: the device's own alarm is routed and never suppressed by our numerics")
  func deviceAlarm() throws {
    let strip = try Strip(rules: TestRules.low + "\n" + TestRules.news).feed("0: hr=70 spo2=99")
    var slot = Slot()
    slot.kind = .payload
    slot.device = strip.directory.device(tenant: "demo", device: "a")
    slot.patient = strip.directory.patient(tenant: "demo", patient: "p1")
    slot.eventTime = Strip.time("5")
    strip.engine.applyDeviceAlarm(slot, DeviceAlarm(event: "ASYSTOLE", hasEnded: false, priority: .high))
    // A score does not hide inside an alarm no rule file describes.
    strip.feed("6: hr=140 resp=30 spo2=85 sbp=85 temp=37 consciousness=0 o2_flow=0")
    slot.eventTime = Strip.time("9")
    strip.engine.applyDeviceAlarm(slot, DeviceAlarm(event: "ASYSTOLE", hasEnded: true, priority: .high))
    #expect(
      strip.transitions == [
        "5 start device-alarm-asystole high", "6 start news medium", "9 end device-alarm-asystole high",
      ])
  }

  // MARK: C

  @Test(
    "C1: the id is a function of tenant, patient, rule, version, subject and onset; technical rules name code and device"
  )
  func identifiers() throws {
    let a = try Strip(rules: EngineAlertTests.two).feed("0: hr=140").documents[0]
    let b = try Strip(rules: EngineAlertTests.two).feed("0: hr@z=150").documents[0]
    let c = try Strip(rules: EngineAlertTests.two).feed("1: hr=140").documents[0]
    let d = try Strip(rules: EngineAlertTests.two).feed("0: p2.hr=140").documents[0]
    #expect(a.alertID == b.alertID)
    #expect(Set([a.alertID, c.alertID, d.alertID]).count == 3)
    #expect(a.alertID.count == 34 && a.alertID.hasPrefix("a-"))
    let wall = EngineOptions(clock: .wall)
    let e = try Strip(rules: TestRules.noData, options: wall).feed("0..5: hr@a=70\nclock 65").documents[0]
    let f = try Strip(rules: TestRules.noData, options: wall).feed("0..5: hr@b=70\nclock 65").documents[0]
    #expect(e.alertID != f.alertID)
  }

  @Test("C1: an open alert keeps its id and version through reloads")
  func identityThroughReload() throws {
    let strip = try Strip(rules: TestRules.low).feed("0..20: spo2=85")
    let changed = TestRules.low.replacingOccurrences(of: "default: 90", with: "default: 91")
    strip.engine.adoptPlan(try Shipped.layout(changed + "\n" + TestRules.noData))
    strip.feed("21..40: spo2=97")
    #expect(strip.transitions == ["15 start low medium", "31 end low medium"])
    #expect(strip.documents[1].alertID == strip.documents[0].alertID)
    #expect(strip.documents[1].ruleVersion == strip.documents[0].ruleVersion)
  }

  @Test("C1: a pending hold goes on through a reload that changes something else")
  func holdThroughReload() throws {
    let strip = try Strip(rules: TestRules.low).feed("0..10: spo2=85")
    strip.engine.adoptPlan(try Shipped.layout(EngineAlertTests.two + "\n---\n" + TestRules.low))
    strip.feed("11..16: spo2=85")
    #expect(strip.transitions == ["15 start low medium"])
  }

  @Test("C1: an alert whose rule is withdrawn ends and says so, and what had joined it is told itself")
  func withdrawnRule() throws {
    let strip = try Strip(rules: TestRules.low + "\n" + TestRules.news)
    strip.feed("0..20: spo2=85 hr=120 resp=26")
    #expect(strip.transitions == ["0 start news medium", "15 update news medium"])
    strip.engine.adoptPlan(try Shipped.layout(TestRules.low))
    #expect(Array(strip.transitions.dropFirst(2)) == ["20 end news medium", "20 start low medium"])
    #expect(strip.documents[2].message == "NEWS2: rule withdrawn")
  }

  @Test("C3: an unknown attribute counts as applying")
  func unknownAttributeApplies() throws {
    let rules = TestRules.low + "\napplies: { age: \">=16y\", unless: [palliative] }"
    func start(_ patients: [RosterPatient]) throws -> Int {
      try Strip(rules: rules, roster: try Roster(patients: patients)).feed("0..20: spo2=85").transitions.count
    }
    #expect(try start([]) == 1)
    #expect(try start([RosterPatient(id: "p1")]) == 1)
    #expect(try start([RosterPatient(id: "p1", age: DecimalValue(mantissa: 15))]) == 0)
    #expect(try start([RosterPatient(id: "p1", age: DecimalValue(mantissa: 16))]) == 1)
    #expect(try start([RosterPatient(id: "p1", flags: ["palliative"])]) == 0)
    let evidence = try Strip(rules: rules).feed("0..20: spo2=85").engine.output.transitions[0].evidence ?? ""
    #expect(evidence.contains("\"age\":\"unknown, counts as applying\""))
  }

  @Test("C3: spo2-scale-2 switches spo2-low to below 88, and an unlisted patient keeps 90")
  func scaleTwo() throws {
    let layout = try Shipped.ward()
    let listed = try Roster(patients: [RosterPatient(id: "p1", flags: ["spo2-scale-2"])])
    #expect(Strip(layout, roster: listed).feed("0..60: spo2=89").transitions == [])
    let low = Strip(layout, roster: listed).feed("0..30: spo2=87")
    #expect(low.transitions == ["15 start spo2-low medium"])
    #expect(low.documents[0].limit == DecimalValue(mantissa: 88))
    #expect(low.documents[0].message.contains("(limit 88)"))
    let deep = Strip(layout, roster: listed).feed("0: spo2=77")
    #expect(deep.transitions == ["0 start spo2-low high", "0 update spo2-low high"])
    #expect(deep.documents[1].members == ["news2-single"])
    #expect(deep.documents[0].limit == DecimalValue(mantissa: 78))
    let unlisted = Strip(layout).feed("0..30: spo2=89")
    #expect(unlisted.transitions == ["0 start news2-single low", "15 escalate news2-single medium"])
    #expect(unlisted.documents[1].limit == DecimalValue(mantissa: 90))
  }

  @Test("C3: spo2-scale-2 enables spo2-high-on-oxygen, and nothing else does")
  func highOnOxygen() throws {
    let layout = try Shipped.ward()
    let listed = try Roster(patients: [RosterPatient(id: "p1", flags: ["spo2-scale-2"])])
    let feed = "0..30: spo2=97 o2_flow=2"
    #expect(Strip(layout, roster: listed).feed(feed).transitions.contains { $0.contains("spo2-high-on-oxygen") })
    #expect(!Strip(layout).feed(feed).transitions.contains { $0.contains("spo2-high-on-oxygen") })
    #expect(
      !Strip(layout, roster: listed).feed("0..30: spo2=97 o2_flow=0").transitions.contains {
        $0.contains("spo2-high-on-oxygen")
      })
  }

  @Test("C3: NEWS2 is off in pregnancy")
  func pregnancy() throws {
    let roster = try Roster(patients: [RosterPatient(id: "p1", flags: ["pregnant"])])
    let strip = Strip(try Shipped.ward(), roster: roster).feed("0..30: resp=26 temp=39.5 consciousness=0 sbp=112")
    #expect(!strip.transitions.contains { $0.contains("news2") })
  }

  @Test("C4: a score joins an active vital alert as a member and raises its priority only if its own is higher")
  func scoreJoinsVital() throws {
    let rules =
      EngineAlertTests.two + "\n"
      + TestRules.news.replacingOccurrences(of: "limit: { default: 5", with: "limit: { default: 4")
    let strip = try Strip(rules: rules).feed("0: hr=140\n1: resp=26")
    #expect(strip.transitions == ["0 start high medium", "1 update high medium"])
    #expect(strip.engine.output.transitions.map(\.isNotified) == [true, false])
    #expect(strip.documents[1].members == ["news"])
    #expect(strip.ledger == ["1 grouping news"])
    let graver = try Strip(
      rules: rules.replacingOccurrences(
        of: "source: test\npriority: medium\nparameters", with: "source: test\npriority: high\nparameters"))
    graver.feed("0: hr=140\n1: resp=26")
    #expect(graver.transitions == ["0 start high medium", "1 escalate high high"])
    #expect(graver.engine.output.transitions.map(\.isNotified) == [true, true])
  }

  @Test("C4: a vital joins an active score alert and is told again; the alert ends when nothing holds")
  func vitalJoinsScore() throws {
    let strip = try Strip(rules: TestRules.low + "\n" + TestRules.news)
    strip.feed("0..20: spo2=85 hr=120 resp=26\n21..100: spo2=97 hr=70 resp=15")
    #expect(
      strip.transitions.prefix(2) == ["0 start news medium", "15 update news medium"])
    #expect(strip.engine.output.transitions[1].isNotified)
    #expect(strip.documents[1].members == ["low"])
    #expect(strip.engine.activeAlerts == 0 || strip.transitions.count == 2)
    strip.feed("101..500: spo2=97 hr=70 resp=15")
    #expect(strip.transitions.last?.contains("end news medium") == true)
    #expect(strip.engine.activeAlerts == 0)
  }

  @Test("C4: a bypass pierces although its rule joined another alert or is held")
  func bypassWhileJoined() throws {
    let strip = try Strip(rules: TestRules.low + "\n" + TestRules.news)
    strip.feed("0..20: spo2=85 hr=120 resp=26\n21: spo2=75")
    #expect(
      strip.transitions == ["0 start news medium", "15 update news medium", "21 escalate news high"])
    let held = try Strip(rules: TestRules.low)
    held.feed("0..20: spo2=85\n21..40: spo2=97\n41..60: spo2=85\n61: spo2=75")
    #expect(held.transitions == ["15 start low medium", "31 end low medium", "61 start low high"])
    #expect(held.ledger == ["56 refractory low"])
  }

  @Test("C4: an incomplete score prints its lower bound and what is missing")
  func incompleteScore() throws {
    let strip = try Strip(rules: TestRules.news).feed("0: hr=135 resp=26")
    #expect(strip.documents[0].message == "NEWS2 ≥ 6, missing spo2, oxygen, systolic, consciousness, temperature")
  }

  @Test("C4: a score with a lost component does not seem to improve")
  func lostComponentNeverClears() throws {
    let strip = try Strip(rules: TestRules.news).feed("0: hr=135 resp=26\n1..400: resp=26")
    #expect(strip.transitions == ["0 start news medium"])
  }

  // MARK: D

  @Test("D1: repeated 14 s desaturations meet a 15 s hold")
  func repeatedDips() throws {
    let strip = try Strip(rules: TestRules.low).feed("0..13: spo2=85\n14..19: spo2=97\n20..33: spo2=85")
    #expect(strip.ledger == ["14 persistence low"])
    #expect(strip.transitions == ["21 start low medium"])
    #expect(strip.documents[0].onsetTime == Strip.origin)
  }

  @Test("D2: bypass opens at once, once per episode")
  func bypassOnce() throws {
    let strip = try Strip(rules: TestRules.low).feed("0: spo2=97\n1..10: spo2=75\n11..14: spo2=85\n15..20: spo2=75")
    #expect(strip.transitions == ["1 start low high"])
    #expect(strip.documents[0].limit == DecimalValue(mantissa: 80))
  }

  @Test("D2: bypass escalates an open alert at once")
  func bypassEscalates() throws {
    let strip = try Strip(rules: TestRules.low).feed("0..20: spo2=85\n21..30: spo2=75")
    #expect(strip.transitions == ["15 start low medium", "21 escalate low high"])
  }

  @Test("D2: a doubtful value at bypass level alerts at once at full priority, unverified")
  func unverified() throws {
    for doubtful in ["spo2=70?0.1", "spo2=70!artifact"] {
      let strip = try Strip(rules: TestRules.low).feed("0: spo2=97\n1: \(doubtful)")
      #expect(strip.transitions == ["1 start low high unverified"])
      #expect(strip.documents[0].message.hasSuffix("; unverified: check patient and sensor"))
      #expect(strip.documents[0].value == DecimalValue(mantissa: 70))
    }
    #expect(try Strip(rules: TestRules.low).feed("0..60: spo2=85?0.1").transitions == [])
  }

  @Test("D2: only a device-declared sensor state may hold a bypass value")
  func sensorState() throws {
    for state in ["lead-off", "searching", "calibrating"] {
      #expect(try Strip(rules: TestRules.low).feed("0: spo2=97\n1..20: spo2=70!\(state)").transitions == [])
    }
    #expect(try Strip(rules: TestRules.low).feed("0: spo2=70!low-battery").transitions == ["0 start low high"])
  }

  @Test("D2: a doubtful bypass value of a rule over several inputs alerts too")
  func unverifiedOverSeveralInputs() throws {
    let rules = """
      rule: both
      title: Both
      source: test
      priority: medium
      when: spo2 < 90 and hr > 110
      bypass: spo2 < 80 and hr > 110
      message: "both"
      """
    let strip = try Strip(rules: rules).feed("0: spo2=97 hr=120\n1: spo2=70?0.1")
    #expect(strip.transitions == ["1 start both high unverified"])
  }

  @Test("D6: refractory holds with one row; still true when it expires, it opens")
  func refractory() throws {
    let strip = try Strip(rules: TestRules.low)
    strip.feed("0..20: spo2=85\n21..40: spo2=97\n41..700: spo2=85")
    #expect(strip.transitions == ["15 start low medium", "31 end low medium", "631 start low medium"])
    #expect(strip.ledger == ["56 refractory low"])
    #expect(strip.engine.output.ledger[0].document.suppressed?.until == Strip.time("631"))
  }

  @Test("D6: what refractory held and is over by then is never told")
  func refractoryOver() throws {
    let strip = try Strip(rules: TestRules.low)
    strip.feed("0..20: spo2=85\n21..40: spo2=97\n41..60: spo2=85\n61..700: spo2=97")
    #expect(strip.transitions == ["15 start low medium", "31 end low medium"])
  }

  @Test("D6: a shadow rule leaves one ledger row per candidate and tells nobody")
  func shadow() throws {
    let strip = try Strip(rules: TestRules.low + "\nmode: shadow").feed("0..30: spo2=85\n31..60: spo2=97\n61: spo2=70")
    #expect(strip.transitions == [])
    #expect(strip.ledger == ["15 shadow low", "61 shadow low"])
    #expect(strip.engine.output.ledger[0].document.ruleMode == "shadow")
  }

  @Test("D6: stages are switched off by name")
  func without() throws {
    func run(_ stage: SuppressionStage, _ text: String) throws -> [String] {
      try Strip(rules: TestRules.low, options: EngineOptions(clock: .stream, without: [stage])).feed(text).transitions
    }
    #expect(try run(.persistence, "0: spo2=85") == ["0 start low medium"])
    #expect(try run(.hysteresis, "0..20: spo2=85\n21: spo2=97") == ["15 start low medium", "21 end low medium"])
    #expect(try run(.quality, "0..20: spo2=85?0.1") == ["15 start low medium"])
    #expect(
      try run(.refractory, "0..20: spo2=85\n21..40: spo2=97\n41..60: spo2=85").last == "56 start low medium")
  }

  @Test("invariant 5: no muting stage mutes a bypass", arguments: ["", "\nrefractory: 100h"])
  func nothingMutesBypass(extra: String) throws {
    let rules = TestRules.low.replacingOccurrences(of: "\nrefractory: 10m", with: extra)
    let strip = try Strip(rules: rules).feed("0..20: spo2=85\n21..40: spo2=97\n41: spo2=79")
    #expect(strip.transitions.last == "41 start low high")
  }

  @Test("invariant 6: stale is never normal: silence neither clears an alert nor counts in a score")
  func staleIsNeverNormal() throws {
    let strip = try Strip(
      rules: TestRules.low + "\n" + TestRules.noData + "\n" + TestRules.news, options: EngineOptions(clock: .wall))
    strip.feed("0..20: spo2=85 hr=135 resp=26\nclock 80\nclock 110\nclock 1000\nclock 5000")
    #expect(!strip.transitions.contains { $0.contains("end") })
    #expect(strip.transitions.contains { $0.hasPrefix("80 start no-data") })
  }
}
