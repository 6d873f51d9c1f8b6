import Foundation
import Testing
import VitalModel

@testable import Pipeline

/// SEMANTICS B: time.
@Suite struct EngineTimeTests {
  @Test("B1: in stream time nothing advances a patient past its last sample")
  func streamTimeEndsWithTheLastSample() throws {
    let strip = try Strip(rules: TestRules.low).feed("0..14: spo2=85\nclock 1000")
    #expect(strip.transitions == [])
    strip.feed("15: spo2=85")
    #expect(strip.transitions == ["15 start low medium"])
  }

  @Test("B1: in wall time the clock is journaled ingest time")
  func wallTimeIsIngestTime() throws {
    let strip = try Strip(rules: TestRules.low, options: EngineOptions(clock: .wall))
    strip.feed("2>0: spo2=85\n3>1: spo2=85")
    #expect(strip.engine.nextDeadline == Strip.time("15"))
    strip.feed("clock 15")
    #expect(strip.transitions == ["15 start low medium"])
  }

  @Test("B2: a deadline due at or before a sample's time runs first, with its own due time as now")
  func deadlinesRunFirst() throws {
    let strip = try Strip(rules: TestRules.low).feed("0..10: spo2=85\n20: spo2=97")
    #expect(strip.transitions == ["15 start low medium"])
    #expect(strip.documents[0].durationSeconds == 15)
    let atTheInstant = try Strip(rules: TestRules.low).feed("0..14: spo2=85\n15: spo2=97")
    #expect(atTheInstant.transitions == ["15 start low medium"])
    let before = try Strip(rules: TestRules.low).feed("0..14: spo2=85\n14.999: spo2=97")
    #expect(before.transitions == [])
    #expect(before.ledger == ["14.999 persistence low"])
  }

  @Test("B2: due deadlines of all patients run on a clock entry, by due time and then patient")
  func clockRunsEveryPatient() throws {
    let strip = try Strip(rules: TestRules.low, options: EngineOptions(clock: .wall))
    strip.feed("1: p2.spo2=85\n1: p1.spo2=85\n0.5>0.5: p3.spo2=85\nclock 30")
    #expect(strip.engine.output.transitions.map(\.document.patient) == ["p3", "p2", "p1"])
    #expect(strip.transitions == ["15.5 start low medium", "16 start low medium", "16 start low medium"])
  }

  @Test("B3: for is met when now minus onset reaches the hold, not before")
  func holdIsInclusive() throws {
    let strip = try Strip(rules: TestRules.low).feed("0..15: spo2=85")
    #expect(strip.transitions == ["15 start low medium"])
    #expect(strip.documents[0].onsetTime == Strip.origin)
  }

  @Test("B4: onset and id freeze at start, late samples never rename or withdraw an alert")
  func identityFreezes() throws {
    let strip = try Strip(rules: TestRules.low).feed("0..20: spo2=85")
    let id = strip.documents[0].alertID
    strip.feed("5.5: spo2=97\n21..60: spo2=97")
    #expect(strip.transitions == ["15 start low medium", "31 end low medium"])
    #expect(strip.documents[1].alertID == id)
    #expect(strip.documents[1].onsetTime == strip.documents[0].onsetTime)
    #expect(strip.documents.map(\.sequence) == [1, 2])
  }

  @Test("B4: a late sample inside the lateness is in every window afterwards")
  func lateSamplesEnterWindows() throws {
    let rules = """
      rule: mean
      title: Mean
      source: test
      priority: medium
      when: count(hr, 60s) >= 5 and mean(hr, 60s) > 100
      message: "{value}"
      """
    let strip = try Strip(rules: rules).feed("0: hr=100\n1: hr=100\n3: hr=100\n4: hr=100")
    #expect(strip.transitions == [])
    strip.feed("2: hr=110")
    #expect(strip.transitions == ["4 start mean medium"])
  }

  @Test("B5: after a gap, what is still true at the newest sample pages")
  func gapStillTrue() throws {
    let strip = try Strip(rules: TestRules.low, options: EngineOptions(clock: .wall))
    strip.feed("0..10: spo2=97\n700>100..600: spo2=85\nclock 702")
    #expect(strip.transitions == ["702 start low medium retrospective"])
    #expect(strip.documents[0].onsetTime == Strip.time("100"))
  }

  @Test("B5: a live sample settles the gap at once")
  func liveSampleSettles() throws {
    let strip = try Strip(rules: TestRules.low, options: EngineOptions(clock: .wall))
    strip.feed("0..10: spo2=97\n700>100..600: spo2=85\n700: spo2=85")
    #expect(strip.transitions == ["700 start low medium retrospective"])
  }

  @Test("B5: what began and ended inside the gap becomes one advisory and pages nobody")
  func gapBeganAndEnded() throws {
    let strip = try Strip(rules: TestRules.low, options: EngineOptions(clock: .wall))
    strip.feed("0..10: spo2=97\n700>100..140: spo2=85\n700>141..200: spo2=97\nclock 703")
    #expect(strip.transitions == ["702 start missed-while-offline low retrospective"])
    #expect(strip.documents[0].kind == .advisory)
    #expect(strip.documents[0].message == "began and ended while offline: low 51 s")
    #expect(strip.documents[0].members == ["low"])
    #expect(strip.ledger == ["700 retrospective low"])
  }

  @Test("B5: a short dip inside a back-log is neither told nor reported, however late it is read")
  func shortDipInBacklog() throws {
    let strip = try Strip(rules: TestRules.low, options: EngineOptions(clock: .wall))
    strip.feed("0..10: spo2=97\n700>100..105: spo2=85\nclock 700.5\n701>106..200: spo2=97\nclock 720")
    #expect(strip.transitions == [])
    #expect(strip.ledger == ["701 persistence low"])
  }

  @Test("B5: a back-log of one device is judged in its own time while another is live")
  func backlogBesideLiveDevice() throws {
    let strip = try Strip(rules: TestRules.low, options: EngineOptions(clock: .wall))
    strip.feed("0..10: spo2@b=97\n0..700: hr=70\n700>100..140: spo2@b=85\n700>141..200: spo2@b=97\nclock 703")
    #expect(strip.transitions == ["702 start missed-while-offline low retrospective"])
  }

  @Test("B5: in stream time an out-of-order sample changes windows and tells nothing")
  func streamRetrospective() throws {
    let strip = try Strip(rules: TestRules.low).feed("0..100: spo2=97\n20..50: spo2=70")
    #expect(strip.transitions == [])
  }

  @Test("B5: a deadline found long after it was due is settled, not told as news")
  func lateDeadline() throws {
    let strip = try Strip(rules: TestRules.low, options: EngineOptions(clock: .wall))
    strip.feed("0..5: spo2=85\nclock 300\nclock 302")
    #expect(strip.transitions == ["302 start low medium retrospective"])
  }

  @Test("B7: an empty window uses the newest sample that is not stale")
  func holdLast() throws {
    let rules = """
      rule: high
      title: High
      source: test
      priority: medium
      when: median(hr, 10s) > 130
      clear: median(hr, 10s) <= 125
      bypass: last(hr) > 200
      for: 30s
      max_hold: 120s
      message: "{value}"
      """
    let strip = try Strip(rules: rules).feed("0..100/20: hr=140")
    #expect(strip.transitions == ["30 start high medium"])
  }

  @Test("B7: without hold_last an empty window is unknown and freezes a pending hold")
  func unknownFreezes() throws {
    let rules = """
      rule: high
      title: High
      source: test
      priority: medium
      when: median(hr, 10s) > 130
      clear: median(hr, 10s) <= 125
      bypass: last(hr) > 200
      hold_last: false
      for: 30s
      max_hold: 120s
      message: "{value}"
      """
    let strip = try Strip(rules: rules).feed("0: hr=140 spo2=97\n1..100: spo2=97")
    #expect(strip.transitions.isEmpty)
    #expect(strip.ledger == ["60 stale high"])
  }

  @Test("B7: staleness drops a pending hold with a ledger row, and absence takes over")
  func stalenessDropsTheHold() throws {
    let long = TestRules.low.replacingOccurrences(of: "for: 15s", with: "for: 90s").replacingOccurrences(
      of: "max_hold: 60s", with: "max_hold: 360s")
    let strip = try Strip(rules: long + "\n" + TestRules.noData, options: EngineOptions(clock: .wall))
    strip.feed("0..10: spo2=85\nclock 69\nclock 70")
    #expect(strip.ledger == ["70 stale low"])
    #expect(strip.transitions == ["70 start no-data low"])
  }

  @Test("B7: loss of signal inherits the priority of the alert that signal holds and never ends it")
  func lossInheritsPriority() throws {
    let strip = try Strip(rules: TestRules.low + "\n" + TestRules.noData, options: EngineOptions(clock: .wall))
    strip.feed("0..20: spo2=85 hr=70\nclock 80")
    #expect(
      strip.transitions == [
        "15 start low medium", "80 start no-data medium", "80 update no-data medium",
      ])
    #expect(strip.engine.activeAlerts == 2)
  }

  @Test("B7: a signal lost later with a graver alert raises the technical alert")
  func laterLossRaises() throws {
    let strip = try Strip(rules: TestRules.low + "\n" + TestRules.noData, options: EngineOptions(clock: .wall))
    strip.feed("0..20: spo2=85 hr=70\n21..60: spo2=85\nclock 80\nclock 120")
    #expect(
      strip.transitions == ["15 start low medium", "80 start no-data low", "120 escalate no-data medium"])
  }

  @Test("B7: the observed rhythm lengthens staleness")
  func observedIntervalCounts() throws {
    let strip = try Strip(rules: TestRules.noData, options: EngineOptions(clock: .wall))
    strip.feed("0..300/60: hr=70\nclock 479")
    #expect(strip.transitions == [])
    strip.feed("clock 480")
    #expect(strip.transitions == ["480 start no-data low"])
  }

  @Test("B7: a declared cadence counts before any rhythm was seen")
  func declaredCadenceCounts() throws {
    let roster = try Roster(
      patients: [RosterPatient(id: "p1")], devices: [RosterDevice(id: "a")],
      assignments: [RosterAssignment(device: "a", patient: "p1", cadence: ["hr": 40_000])])
    let strip = try Strip(rules: TestRules.noData, roster: roster, options: EngineOptions(clock: .wall))
    strip.feed("0: hr=70\nclock 119.999")
    #expect(strip.transitions == [])
    strip.feed("clock 120")
    #expect(strip.transitions == ["120 start no-data low"])
  }

  @Test("B7: one unrepeated spot measurement calls nobody when it grows old")
  func spotMeasurement() throws {
    let strip = try Strip(rules: TestRules.noData, options: EngineOptions(clock: .wall)).feed("0: hr=70\nclock 9000")
    #expect(strip.transitions == [])
  }
}
