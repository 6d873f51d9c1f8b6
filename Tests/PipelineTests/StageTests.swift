import Evaluation
import Foundation
import Suppression
import TestSupport
import Testing
import VitalModel

@testable import Pipeline

/// SEMANTICS D in the engine: what each stage holds, until when, what the ledger says, and what pierces it.
@Suite struct StageTests {
  private static let hour: Double = 3600

  /// `TestRules.low` with more keys.
  private static func low(_ keys: String = "") -> String { TestRules.low + "\n" + keys }

  private static func strip(
    _ rules: String, without: Set<SuppressionStage> = [], roster: Roster? = nil, clock: EngineClock = .stream,
    _ settings: (inout AlertingSettings) -> Void = { _ in }
  ) throws -> Strip {
    var options = EngineOptions(clock: clock, without: without)
    settings(&options.alerting)
    return try Strip(rules: rules, roster: roster, options: options)
  }

  private static func silence(
    _ id: String = "s1", _ matcher: Silence.Matcher = .rule("low"), from: Double = 0, to: Double = 600
  ) -> AlertAction {
    .silence(
      Silence(
        id: id, matcher: matcher, author: "u-1", reason: "turning", from: Strip.origin + Int64(from * 1000),
        until: Strip.origin + Int64(to * 1000)))
  }

  // MARK: Detection

  @Test("D1: a doubtful signal holds what was found, at most max_hold, and then it is told unverified")
  func qualityGate() throws {
    let rules = Self.low("quality: { gate: [\"perfusion_index >= 0.3\"] }")
    let strip = try Self.strip(rules).feed("0..100: spo2=85 perfusion_index=0.1")
    #expect(strip.transitions == ["60 start low medium unverified"])
    #expect(strip.ledger == ["15 quality low"])
    #expect(strip.engine.output.ledger[0].document.suppressed?.by == "perfusion_index >= 0.3")
    #expect(strip.engine.output.ledger[0].document.suppressed?.until == Strip.origin + 60_000)
    let good = try Self.strip(rules).feed("0..20: spo2=85 perfusion_index=0.1\n21: spo2=85 perfusion_index=1")
    #expect(good.transitions == ["21 start low medium"])
    let off = try Self.strip(rules, without: [.quality]).feed("0..20: spo2=85 perfusion_index=0.1")
    #expect(off.transitions == ["15 start low medium"])
  }

  @Test("D3: missing confirmers count as confirmed: an unknown gate or second sign holds nothing")
  func unknownPasses() throws {
    let gate = try Self.strip(Self.low("quality: { gate: [\"perfusion_index >= 0.3\"] }")).feed("0..20: spo2=85")
    #expect(gate.transitions == ["15 start low medium"])
    let confirm = try Self.strip(Self.low("confirm: hr > 100")).feed("0..20: spo2=85")
    #expect(confirm.transitions == ["15 start low medium"])
  }

  @Test("D1: without its second sign it waits, at most max_hold of breach time added up")
  func confirmation() throws {
    let rules = Self.low("confirm: hr > 100")
    let never = try Self.strip(rules).feed("0..100: spo2=85 hr=70")
    #expect(never.transitions == ["60 start low medium"])
    #expect(never.ledger == ["15 confirmation low"])
    let then = try Self.strip(rules).feed("0..29: spo2=85 hr=70\n30..40: spo2=85 hr=120")
    #expect(then.transitions == ["30 start low medium"])
    // Two stretches of 35 s with a short return to normal between them: 60 s of breach are full at 75.
    let twice = try Self.strip(rules).feed("0..34: spo2=85 hr=70\n35..44: spo2=97 hr=70\n45..100: spo2=85 hr=70")
    #expect(twice.transitions == ["70 start low medium"])
    let off = try Self.strip(rules, without: [.confirmation]).feed("0..20: spo2=85 hr=70")
    #expect(off.transitions == ["15 start low medium"])
  }

  @Test("D2: a doubtful value at bypass level alerts at once at full priority, unverified, whatever gate is shut")
  func bypassPassesGates() throws {
    let rules = Self.low("quality: { gate: [\"perfusion_index >= 0.3\"] }\nconfirm: hr > 100")
    let strip = try Self.strip(rules).feed(
      "0..5: spo2=97 perfusion_index=0.1 hr=70\n6: spo2=75 perfusion_index=0.1 hr=70")
    #expect(strip.transitions == ["6 start low high unverified"])
    #expect(strip.documents[0].message.hasSuffix("unverified: check patient and sensor"))
  }

  @Test("D2: a step gate scales with elapsed time and releases after 3 consistent samples")
  func stepGate() throws {
    let rules = """
      rule: fast
      title: Fast
      source: test
      priority: medium
      when: last(hr) > 130
      max_hold: 10s
      clear: last(hr) <= 125
      bypass: last(hr) > 180
      quality: { min: 0.2 }
      message: "{value}"
      """
    #expect(try Self.strip(rules).feed("0..5: hr=70\n6..20: hr=140").transitions == ["8 start fast medium"])
    #expect(try Self.strip(rules).feed("0..5: hr=100\n6..20: hr=140").transitions == ["6 start fast medium"])
    // A minute later the same change is credible.
    #expect(try Self.strip(rules).feed("0: hr=70\n60: hr=140").transitions == ["60 start fast medium"])
    #expect(try Self.strip(rules).feed("0..5: hr=70\n6: hr=190").transitions == ["6 start fast high unverified"])
    #expect(try Self.strip(rules, without: [.quality]).feed("0..5: hr=70\n6: hr=140").transitions.count == 1)
  }

  @Test("smart delay: the deeper the violation the shorter the wait, the hold is its cap")
  func smartDelay() throws {
    let rules = Self.low("smart_delay: { halves_at: 4 }")
    #expect(try Self.strip(rules).feed("0..30: spo2=89").transitions == ["12 start low medium"])
    #expect(try Self.strip(rules).feed("0..30: spo2=86").transitions == ["7.5 start low medium"])
    #expect(try Self.strip(rules).feed("0..30: spo2=82").transitions == ["5 start low medium"])
    #expect(try Self.strip(rules).feed("0..3: spo2=89\n4..30: spo2=82").transitions == ["5 start low medium"])
  }

  @Test("D6: a return before the clear condition held is hysteresis: one row a return long enough to be found anew")
  func hysteresis() throws {
    let strip = try Self.strip(Self.low()).feed("0..20: spo2=85\n21..25: spo2=91\n26..60: spo2=85\n61..90: spo2=97")
    #expect(strip.transitions == ["15 start low medium", "71 end low medium"])
    #expect(strip.ledger == ["41 hysteresis low"])
    let off = try Self.strip(Self.low(), without: [.hysteresis, .refractory])
      .feed("0..20: spo2=85\n21..25: spo2=91\n26..60: spo2=85")
    #expect(off.transitions.count == 3)
  }

  @Test("--without smoothing: a mean over at most a minute becomes the newest value")
  func smoothing() throws {
    let rules = Self.low().replacingOccurrences(of: "when: last(spo2)", with: "when: median(spo2, 60s)")
    let plan = try Shipped.layout(rules).plan
    let chart = "0..60: spo2=97\n61..80: spo2=85\n81..120: spo2=97"
    #expect(Strip(PlanLayout(plan: plan)).feed(chart).transitions == [])
    // By the engine itself, so that it holds for every kind of input, and for rules that come later.
    #expect(try Self.strip(rules, without: [.smoothing]).feed(chart).transitions.first == "76 start low medium")
    let later = try Self.strip(rules, without: [.smoothing])
    later.engine.adoptPlan(PlanLayout(plan: plan))
    #expect(later.feed(chart).transitions.first == "76 start low medium")
  }

  @Test("D6: what the newest value breaches and the smoothed one does not is smoothing: one row a stretch")
  func smoothingLedger() throws {
    let rules = """
      rule: low
      title: Low
      source: test
      priority: low
      when: median(spo2, 10s) < 90
      message: "{value}"
      """
    let strip = try Self.strip(rules).feed(
      "0..20: spo2=97\n21..23: spo2=85\n24..40: spo2=97\n41..42: spo2=85\n43..60: spo2=97")
    #expect(strip.transitions == [])
    #expect(strip.ledger == ["21 smoothing low", "41 smoothing low"])
  }

  // MARK: Inhibition

  private static let pale = """
    ---
    rule: perfusion
    title: Perfusion low
    kind: technical
    source: test
    priority: low
    when: last(perfusion_index) < 0.3
    message: "perfusion low"
    ---
    rule: lead-off
    title: Lead off
    kind: technical
    source: test
    priority: low
    each: series
    when: status(lead-off)
    message: "lead off"
    """

  @Test("inhibition by a technical alert on the same device, capped, released when that ends")
  func inhibition() throws {
    let rules = Self.low("inhibited_by: [perfusion, lead-off]\ninhibit_max: 5m") + "\n" + Self.pale
    let strip = try Self.strip(rules).feed("0..20: spo2=85 perfusion_index=0.1")
    #expect(strip.transitions == ["0 start perfusion low"])
    #expect(strip.ledger == ["15 inhibition low"])
    #expect(strip.engine.output.ledger[0].document.suppressed?.by == "perfusion")
    strip.feed("21..25: spo2=85 perfusion_index=1")
    #expect(strip.transitions.dropFirst() == ["21 end perfusion low", "21 start low medium"])
    // The cap: five minutes after it was first held it is told.
    let capped = try Self.strip(rules).feed("0..400: spo2=85 perfusion_index=0.1")
    #expect(capped.transitions.last == "315 start low medium")
    let pierced = try Self.strip(rules).feed("0..20: spo2=85 perfusion_index=0.1\n21: spo2=75 perfusion_index=0.1")
    #expect(pierced.transitions.last == "21 start low high")
    let without = try Self.strip(rules, without: [.inhibition]).feed("0..20: spo2=85 perfusion_index=0.1")
    #expect(without.transitions.contains("15 start low medium"))
  }

  @Test(
    "D1: a sensor's own trouble hides nothing another sensor finds",
    arguments: ["hr=70!lead-off", "spo2@b=85!lead-off"])
  func otherSensors(sample: String) throws {
    let rules =
      Self.low("inhibited_by: [perfusion, lead-off]\nquality: { gate: [\"abs(hr - pr) <= 15\"] }") + "\n" + Self.pale
    let other = try Self.strip(rules).feed("0..20: spo2=85 \(sample)")
    #expect(other.transitions.contains("15 start low medium"))
    let elsewhere = try Self.strip(rules).feed("0..20: spo2=85 perfusion_index@b=0.1")
    #expect(elsewhere.transitions.contains("15 start low medium"))
  }

  @Test("D2: a sudden fall beyond the bypass limit is told once, although the smoothed value goes on falling")
  func suddenFall() throws {
    let rules = Self.low("worsening: 5").replacingOccurrences(of: "when: last(spo2)", with: "when: median(spo2, 10s)")
    for value in [79, 75, 60] {
      let strip = try Self.strip(rules).feed("0..20: spo2=97\n21..60: spo2=\(value)")
      #expect(strip.transitions == ["21 start low high"], "\(value)")
    }
  }

  @Test("C2: location at onset, sources, members, level, time to answer, standing and marks through an alert's life")
  func document() throws {
    let roster = try Roster(
      patients: [RosterPatient(id: "p1", unit: "ward-7", bed: "12")], devices: [], assignments: [])
    let strip = try Self.strip(Self.low() + "\n" + Self.fast, roster: roster) {
      $0.ladders = [EscalationLadder(units: ["ward-7"], steps: [EscalationStep(after: 60_000, to: "charge")])]
    }
    strip.feed("0..20: spo2=85 hr=70\n21..80: spo2=85 hr=140\n81..120: spo2=97 hr=70")
    let start = try #require(strip.documents.first)
    #expect(start.locationUnit == "ward-7" && start.locationBed == "12" && start.sources == ["a/spo2"])
    #expect(start.members.isEmpty && start.attemptLevel == 0 && start.respondBy == Strip.origin + 75_000)
    #expect(start.stillActive && !start.unverified && start.verification == nil && !start.simulated)
    let escalated = try #require(strip.documents.first { $0.attemptLevel == 1 })
    #expect(escalated.phase == .escalate && escalated.members == ["fast"] && escalated.escalatedTo == "charge")
    let end = try #require(strip.documents.last)
    #expect(end.phase == .end && !end.stillActive && end.respondBy == nil && end.locationUnit == "ward-7")
  }

  @Test("D1: a raising condition that comes to hold pierces silence and inhibition")
  func raisePierces() throws {
    let rules = Self.low("raise: resp > 24 -> high\ninhibited_in: [procedure]")
    let inhibited = try Self.strip(rules)
    inhibited.alarm(0, "procedure").feed("1..20: spo2=85 resp=12\n21: spo2=85 resp=30")
    #expect(inhibited.transitions == ["21 start low high"])
    let silenced = try Self.strip(rules)
    silenced.act(0, Self.silence()).feed("1..20: spo2=85 resp=12\n21: spo2=85 resp=30")
    #expect(silenced.transitions == ["21 start low high"])
  }

  @Test("D4: the other limit of the same vital is news, and so is what returns while a member kept the alert")
  func otherLimit() throws {
    let slow = Self.fast.replacingOccurrences(of: "fast", with: "slow").replacingOccurrences(
      of: "last(hr) > 130", with: "last(hr) < 40"
    ).replacingOccurrences(of: "last(hr) <= 125", with: "last(hr) >= 45")
    let held = Self.fast.replacingOccurrences(
      of: "clear: last(hr) <= 125", with: "clear: { when: \"last(hr) <= 125\", for: 60s }")
    let rules = (held + "\n" + slow).replacingOccurrences(of: "---\nrule: fast", with: "rule: fast")
    let strip = try Self.strip(rules).feed("0..20: hr=140\n21..30: hr=35")
    #expect(strip.transitions == ["0 start fast medium", "21 update fast medium"])
    #expect(!strip.engine.output.transitions.contains { !$0.isNotified })
    strip.feed("31..99: hr=35\n100..101: hr=140")
    #expect(strip.transitions.last == "100 escalate fast medium", "the first rule had ended and holds again")
  }

  @Test("A11: a device's alarm that comes again more urgent is told")
  func deviceAlarmAgain() throws {
    let strip = try Self.strip(Self.low()).alarm(0, "vtach")
    strip.engine.applyDeviceAlarm(
      strip.control(1, patient: "p1"), DeviceAlarm(event: "vtach", hasEnded: false, priority: .high))
    #expect(strip.transitions == ["0 start device-alarm-vtach medium", "1 escalate device-alarm-vtach high"])
  }

  @Test("D1: what inhibition held is told when the roster says the patient is back")
  func backOnTheWard() throws {
    let away = try Roster(patients: [RosterPatient(id: "p1", state: .offWard)], devices: [], assignments: [])
    let back = try Roster(patients: [RosterPatient(id: "p1")], devices: [], assignments: [])
    let strip = try Self.strip(Self.low("inhibited_in: [off-ward]"), roster: away).feed("0..20: spo2=85")
    #expect(strip.transitions == [])
    strip.engine.adoptRoster(strip.directory.adopt(back))
    #expect(strip.transitions == ["20 start low medium"])
  }

  @Test("inhibition by the patient's state: off-ward until its end, a procedure a device declares, a flag")
  func states() throws {
    let rules = Self.low("inhibited_in: [off-ward, cuff-inflating, procedure]")
    let patient = RosterPatient(
      id: "p1", state: .offWard, stateUntil: Strip.origin + 100_000)
    let roster = try Roster(patients: [patient], devices: [], assignments: [])
    let away = try Self.strip(rules, roster: roster).feed("0..120: spo2=85")
    #expect(away.transitions == ["100 start low medium"])
    #expect(away.ledger == ["15 inhibition low"])
    let cuff = try Self.strip(rules)
    cuff.alarm(0, "cuff-inflating").feed("1..70: spo2=85")
    #expect(cuff.transitions == ["60 start low medium"])
    let ended = try Self.strip(rules)
    ended.alarm(0, "procedure").feed("1..30: spo2=85").alarm(31, "procedure", end: true)
    #expect(ended.transitions == ["31 start low medium"])
    #expect(try Self.strip(rules, roster: roster).feed("0..5: spo2=75").transitions == ["0 start low high"])
  }

  // MARK: Worsening

  @Test("D1, D2: after the bypass a further step of the same distance is told, once each")
  func steps() throws {
    let strip = try Self.strip(Self.low()).feed(
      "0..20: spo2=85\n21..30: spo2=79\n31..40: spo2=70\n41..50: spo2=69\n51: spo2=79\n52: spo2=69")
    #expect(strip.transitions == ["15 start low medium", "21 escalate low high", "41 escalate low high"])
    let own = try Self.strip(Self.low("worsening: 3")).feed("0..20: spo2=88\n21..25: spo2=86\n26..30: spo2=85")
    #expect(own.transitions == ["15 start low medium", "26 escalate low medium"])
  }

  @Test("invariant 5: a muted finding that gets deeper by a step is told, whatever mutes it")
  func worseningPierces() throws {
    let rules = Self.low("worsening: 3")
    let refractory = try Self.strip(rules).feed("0..20: spo2=88\n21..40: spo2=97\n41..60: spo2=87\n61..62: spo2=84")
    #expect(refractory.transitions.last == "61 start low medium")
    #expect(refractory.ledger.contains("56 refractory low"))
    let silenced = try Self.strip(rules)
    silenced.act(0, Self.silence()).feed("1..20: spo2=88\n21: spo2=84")
    #expect(silenced.transitions == ["21 start low medium"])
  }

  @Test("an alert whose priority nothing earns any more goes back after five minutes, and the bypass counts anew")
  func deescalation() throws {
    let strip = try Self.strip(Self.low()).feed("0: spo2=75\n1..400: spo2=85\n401: spo2=75")
    #expect(
      strip.transitions == ["0 start low high", "301 de-escalate low medium", "401 escalate low high"])
  }

  // MARK: Flap and duplicate

  @Test("D4: flapping becomes one latched recurrent alert; its returns are rows, its bypass is told")
  func flap() throws {
    let rules = Self.low("flap: { count: 3, within: 1h, quiet: 10m }").replacingOccurrences(
      of: "refractory: 10m", with: "refractory: 0s")
    var chart = ""
    for start in stride(from: 0, to: 500, by: 100) {
      chart += "\(start)..\(start + 30): spo2=85\n\(start + 31)..\(start + 99): spo2=97\n"
    }
    let strip = try Self.strip(rules).feed(chart)
    let starts = strip.transitions.filter { $0.contains(" start ") }
    #expect(starts == ["15 start low medium", "115 start low medium", "215 start low medium"])
    #expect(strip.documents.filter(\.isRecurrent).first?.message.contains("recurrent") == true)
    #expect(strip.documents.last?.state == .latched)
    #expect(strip.ledger.filter { $0.contains("flap") } == ["315 flap low", "415 flap low"])
    strip.feed("510..512: spo2=75")
    #expect(strip.transitions.last == "510 escalate low high")
    strip.feed("513..1200: spo2=97")
    #expect(strip.transitions.last == "1123 end low high")
    #expect(strip.documents.last?.endReason == "quiet")
    let off = try Self.strip(rules, without: [.flap]).feed(chart)
    #expect(off.transitions.filter { $0.contains(" start ") }.count == 5)
  }

  @Test("D6: a second series of an alert already told is a duplicate")
  func duplicate() throws {
    let strip = try Self.strip(Self.low()).feed("0..30: spo2@a=85 spo2@b=85")
    #expect(strip.transitions == ["15 start low medium"])
    #expect(strip.ledger == ["15 duplicate low"])
  }

  // MARK: People

  @Test("D5: a silenced rule is held until the silence ends, and pierced by bypass")
  func silence() throws {
    let strip = try Self.strip(Self.low(), clock: .wall)
    strip.act(0, Self.silence(to: 300)).feed("1..310: spo2=85")
    #expect(strip.transitions == ["300 start low medium"])
    #expect(strip.ledger == ["16 silence low"])
    #expect(strip.engine.output.ledger[0].document.suppressed?.by == "silence s1 by u-1")
    let pierced = try Self.strip(Self.low(), clock: .wall)
    pierced.act(0, Self.silence()).feed("1..20: spo2=85\n21: spo2=75")
    #expect(pierced.transitions == ["21 start low high"])
    let ended = try Self.strip(Self.low(), clock: .wall)
    ended.act(0, Self.silence()).feed("1..20: spo2=85").act(21, .endSilence(id: "s1", by: "u-2"))
    #expect(ended.transitions == ["21 start low medium"])
  }

  @Test("D5: an active alert that is silenced calls nobody until the silence is over")
  func silencedLadder() throws {
    let strip = try Self.strip(Self.low(), clock: .wall) {
      $0.ladders = [EscalationLadder(steps: [EscalationStep(after: 60_000, to: "charge-nurse")])]
    }
    strip.feed("0..20: spo2=85").act(21, Self.silence(from: 21, to: 321)).feed("22..400: spo2=85")
    #expect(strip.transitions == ["15 start low medium", "321 update low medium", "381 escalate low medium"])
    #expect(strip.documents[1].isRealarm)
    #expect(strip.documents[2].escalatedTo == "charge-nurse")
  }

  @Test("D5: an acknowledged alert re-alarms if still true; a worsening re-alerts; acknowledged is not resolved")
  func acknowledged() throws {
    let strip = try Self.strip(Self.low(), clock: .wall).feed("0..20: spo2=85")
    let word = Acknowledgement(by: "u-1", kind: .actionable, note: "turned", time: Strip.origin + 21_000)
    strip.act(21, .acknowledge(alertID: strip.newestAlert, word)).feed("22..1900: spo2=85")
    #expect(strip.transitions == ["15 start low medium", "21 update low medium", "1821 update low medium"])
    #expect(strip.documents[1].acknowledgement == word && strip.documents[1].stillActive)
    #expect(strip.engine.output.transitions[1].isAnswer)
    #expect(strip.documents[2].isRealarm && strip.documents[2].message.hasPrefix("still: "))
    let worse = try Self.strip(Self.low(), clock: .wall).feed("0..20: spo2=85")
    worse.act(21, .acknowledge(alertID: worse.newestAlert, word)).feed("22: spo2=75")
    #expect(worse.transitions.last == "22 escalate low high")
  }

  @Test("what a person resolved comes back after the re-alarm time if it is still true, as an alert of its own")
  func resolved() throws {
    let strip = try Self.strip(Self.low(), clock: .wall).feed("0..20: spo2=85")
    let first = strip.newestAlert
    strip.act(21, .resolve(alertID: first, by: "u-1", reason: "known"))
    #expect(strip.documents.last?.endReason == "resolved by a person: known")
    strip.feed("22..1900: spo2=85")
    #expect(
      strip.transitions == ["15 start low medium", "21 end low medium", "1821 start low medium"])
    #expect(strip.newestAlert != first)
    #expect(strip.ledger.contains("21 acknowledged low"))
  }

  @Test("a ladder: nobody in time, then the next; rejected, then the next at once; accepted, then nobody")
  func ladder() throws {
    func alert() throws -> Strip {
      try Self.strip(Self.low(), clock: .wall) {
        $0.ladders = [
          EscalationLadder(
            priorities: [.medium],
            steps: [EscalationStep(after: 60_000, to: "charge"), EscalationStep(after: 90_000, to: "rapid-response")])
        ]
      }.feed("0..20: spo2=85")
    }
    let silent = try alert().feed("21..300: spo2=85")
    #expect(silent.transitions == ["15 start low medium", "75 escalate low medium", "165 escalate low medium"])
    #expect(silent.documents.map(\.attemptLevel) == [0, 1, 2])
    #expect(silent.documents.map(\.escalatedTo) == [nil, "charge", "rapid-response"])
    #expect(silent.documents[0].respondBy == Strip.origin + 75_000)
    let refused = try alert()
    refused.act(30, .reject(alertID: refused.newestAlert, by: "u-1"))
    #expect(refused.transitions.last == "30 escalate low medium")
    #expect(refused.documents.last?.responsibility == .rejected)
    let taken = try alert()
    taken.act(30, .accept(alertID: taken.newestAlert, by: "u-1")).feed("31..300: spo2=85")
    #expect(taken.transitions == ["15 start low medium", "30 update low medium"])
    #expect(taken.documents.last?.responder == "u-1" && taken.documents.last?.respondBy == nil)
  }

  @Test("an alert that has ended can be told what it was worth: the record changes, nobody is called")
  func labelled() throws {
    let strip = try Self.strip(Self.low(), clock: .wall).feed("0..20: spo2=85\n21..60: spo2=97")
    let last = try #require(strip.documents.last)
    let word = Acknowledgement(by: "u-1", kind: .isFalse, time: Strip.origin + 70_000)
    strip.act(70, .label(last, word))
    let label = try #require(strip.engine.output.transitions.last)
    #expect(label.document.sequence == last.sequence + 1 && label.document.state == .inactive)
    #expect(label.document.acknowledgement == word && !label.isNotified && label.isAnswer)
    #expect(strip.engine.activeAlerts == 0)
  }

  @Test("latching per priority: over, it stays latched until somebody answers")
  func latching() throws {
    let strip = try Self.strip(Self.low(), clock: .wall) { $0.latching = [.medium] }
    strip.feed("0..20: spo2=85\n21..60: spo2=97")
    #expect(strip.transitions == ["15 start low medium", "31 update low medium"])
    #expect(strip.documents[1].state == .latched && !strip.documents[1].stillActive)
    strip.act(61, .accept(alertID: strip.newestAlert, by: "u-1"))
    #expect(strip.transitions.last == "61 end low medium" && strip.documents.last?.endReason == "answered")
  }

  // MARK: Grouping and budget

  private static let fast = """
    ---
    rule: fast
    title: Fast
    source: test
    priority: medium
    when: last(hr) > 130
    clear: last(hr) <= 125
    message: "{value}"
    """

  @Test("D4: one patient's further alerts join the first, a new vital is told again, the same vital is not")
  func grouping() throws {
    let other = Self.fast.replacingOccurrences(of: "fast", with: "faster").replacingOccurrences(of: "130", with: "135")
    let rules = Self.low() + "\n" + Self.fast + "\n" + other
    let strip = try Self.strip(rules).feed("0..20: spo2=85 hr=70\n21..30: spo2=85 hr=140")
    #expect(strip.transitions.prefix(2) == ["15 start low medium", "21 update low medium"])
    #expect(strip.engine.output.transitions.filter(\.isNotified).count == 2)
    #expect(strip.documents.last?.members == ["fast", "faster"])
    #expect(strip.ledger == ["21 grouping faster"])
    let late = try Self.strip(rules).feed("0..20: spo2=85 hr=70\n21..700: spo2=85 hr=70\n701: spo2=85 hr=140")
    #expect(late.transitions.contains("701 start fast medium"), "after the window it is an alert of its own")
    let off = try Self.strip(rules, without: [.grouping]).feed("0..20: spo2=85 hr=140")
    #expect(off.transitions.filter { $0.contains("start") }.count == 3)
  }

  @Test("D4: the budget holds low alerts only and asks for a review once")
  func budget() throws {
    let rules =
      Self.low().replacingOccurrences(of: "priority: medium", with: "priority: low").replacingOccurrences(
        of: "refractory: 10m", with: "refractory: 0s") + "\nflap: false"
    var chart = ""
    for start in stride(from: 0, to: 500, by: 100) {
      chart += "\(start)..\(start + 30): spo2=85\n\(start + 31)..\(start + 99): spo2=97\n"
    }
    let strip = try Self.strip(rules) { $0.patientBudget = 2 }.feed(chart)
    #expect(
      strip.transitions == [
        "15 start low low", "41 end low low", "115 start low low", "141 end low low", "215 start burden-review low",
      ])
    #expect(strip.ledger.filter { $0.contains("budget") } == ["215 budget low", "315 budget low", "415 budget low"])
    let medium = try Self.strip(rules.replacingOccurrences(of: "priority: low", with: "priority: medium")) {
      $0.patientBudget = 2
    }.feed(chart)
    #expect(medium.transitions.filter { $0.contains("start") }.count == 5)
  }

  @Test("D4: one dead gateway is one technical alert with the list of patients")
  func outage() throws {
    let ids = ["p1", "p2", "p3", "p4"]
    let roster = try Roster(
      patients: ids.map { RosterPatient(id: $0) },
      devices: ids.map { RosterDevice(id: "d-\($0)", gateway: "gw-7") },
      assignments: ids.map { RosterAssignment(device: "d-\($0)", patient: $0) })
    let rules = TestRules.noData.replacingOccurrences(of: "---\n", with: "")
    let options = EngineOptions(clock: .wall)
    let strip = try Strip(rules: rules, roster: roster, options: options)
    strip.feed(
      "0..20: p1.hr@d-p1=70 p2.hr@d-p2=70 p3.hr@d-p3=70 p4.hr@d-p4=70\n".replacingOccurrences(of: "\n", with: ""))
    for second in stride(from: 21, through: 400, by: 20) { strip.feed("clock \(second)") }
    let starts = strip.documents.filter { $0.phase == .start }
    #expect(starts.map(\.ruleID) == ["no-data", "no-data", "gateway-outage"])
    let outage = try #require(strip.documents.last)
    #expect(outage.patient == "" && outage.patients.sorted() == ids && outage.kind == .technical)
    #expect(strip.ledger.filter { $0.contains("grouping") }.count == 2)
    strip.feed("401..430: p1.hr@d-p1=70 p2.hr@d-p2=70 p3.hr@d-p3=70 p4.hr@d-p4=70")
    #expect(strip.documents.contains { $0.ruleID == "gateway-outage" && $0.phase == .end })
    #expect(strip.engine.activeAlerts == 0)
  }

  // MARK: Adapting, and being the same again

  @Test("adaptive limits: off by default, between floor and ceiling, told in the record, never paged")
  func adapting() throws {
    let rules = Self.low("adapt: { limit: { to: \"baseline(spo2, 1h, 80, 100) - 3\", floor: 84, ceiling: 92 } }")
    let chart = "0..7300/10: spo2=89"
    let off = try Self.strip(rules).feed(chart)
    #expect(off.documents.allSatisfy { $0.ruleID == "low" })
    let on = try Self.strip(rules) { $0.isAdaptive = true }.feed(chart)
    let change = try #require(on.engine.output.transitions.first { $0.document.ruleID == "limit-adapted" })
    #expect(!change.isNotified && change.document.message.contains("limit of low: 90 to 86"))
    #expect(on.documents.contains { $0.ruleID == "low" && $0.phase == .end }, "89 is normal for this patient")
  }

  @Test("a checkpoint keeps silences, answers, ladders, depths and starts: what comes after is the same")
  func checkpoint() throws {
    let rules = Self.low("worsening: 3\nflap: { count: 3, within: 1h, quiet: 10m }") + "\n" + Self.fast
    func run(cut: Bool) throws -> String {
      var options = EngineOptions(clock: .stream)
      options.alerting.ladders = [EscalationLadder(steps: [EscalationStep(after: 60_000, to: "charge")])]
      let strip = try Strip(rules: rules, options: options)
      strip.feed("0..20: spo2=85 hr=70\n21..30: spo2=85 hr=140")
      let word = Acknowledgement(by: "u-1", kind: .notRelevant, time: Strip.origin + 31_000)
      strip.act(31, .acknowledge(alertID: strip.newestAlert, word))
      strip.act(32, Self.silence("s2", .kind(.technical), from: 32, to: 900))
      if cut { try strip.restart(options: options) }
      strip.feed("33..2000: spo2=85 hr=140\n2001..2100: spo2=97 hr=70\n2101..2150: spo2=81 hr=70")
      return strip.everything
    }
    #expect(try run(cut: false) == run(cut: true))
  }
}
