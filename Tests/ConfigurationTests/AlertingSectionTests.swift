import Configuration
import Testing
import VitalModel
import YAMLText

/// The sections `alerting`, `people`, `schedules` and `roles`: what they mean, and every mistake with its place.
@Suite struct AlertingSectionTests {
  private static let receivers = """
    receivers:
      - { name: pager-anna, url: "https://a.example" }
      - { name: pager-ben, url: "https://b.example" }

    """
  private static let people = """
    people:
      - { id: u-anna, receivers: [pager-anna] }
      - { id: u-ben, receivers: pager-ben }
    schedules:
      - schedule: ward-7-nurses
        zone: Europe/Berlin
        shifts:
          - { from: "07:00", to: "19:00", who: [u-anna] }
          - { days: [mon..fri], from: "19:00", to: "07:00", who: [u-ben] }
          - { days: [sat, sun], from: "19:00", to: "07:00", who: u-anna }
        overrides:
          - { from: 2026-12-24T12:00:00+01:00, to: 2026-12-25T12:00:00+01:00, who: [u-ben] }
    roles:
      - { role: charge-nurse, unit: ward-7, who: [ward-7-nurses] }

    """

  private func read(_ text: String, after lines: String = Self.receivers) -> (VigilConfiguration?, [String]) {
    let sources = SecretSources(environment: { _ in nil }, file: { _ in nil })
    do throws(TextProblems) {
      return (try VigilConfiguration.parse(lines + text, file: "v", secrets: sources), [])
    } catch {
      return (nil, error.all.map(\.description))
    }
  }

  private func settings(_ text: String) throws -> AlertingSettings {
    let (configuration, problems) = read(text, after: Self.receivers + Self.people)
    return try #require(configuration, "\(problems)").alerting
  }

  /// Problems of a text alone, without receivers or people before it: lines count from its own first.
  private func problems(_ text: String) -> [String] { read(text, after: "").1 }

  @Test func withoutTheSectionEverythingIsTheDefault() throws {
    #expect(try settings("") == AlertingSettings())
  }

  @Test func everyKey() throws {
    let (configuration, problems) = read(
      """
      alerting:
        latch: [high]
        realarm: { high: 5m, low: 1h }
        flap: { count: 3, within: 1h, quiet: 10m }
        grouping: 5m
        budget: { patient: 12, unit: 40 }
        outage: { patients: 5, within: 30s }
        adaptive: true
        escalation:
          - match: { priority: [high], unit: [ward-7] }
            steps:
              - { after: 2m, to: charge-nurse }
              - { after: 3m, to: u-ben }
          - steps: [{ after: 10m, to: pager-anna }]
      """, after: Self.receivers + Self.people)
    let read = try #require(configuration, "\(problems)")
    var wanted = AlertingSettings()
    wanted.latching = [.high]
    wanted.realarm = [.high: 300_000, .medium: 1_800_000, .low: 3_600_000]
    wanted.flap = FlapSettings(count: 3, within: 3_600_000, quiet: 600_000)
    wanted.groupingWindow = 300_000
    wanted.patientBudget = 12
    wanted.unitBudget = 40
    wanted.outagePatients = 5
    wanted.outageWithin = 30_000
    wanted.isAdaptive = true
    wanted.ladders = [
      EscalationLadder(
        priorities: [.high], units: ["ward-7"],
        steps: [EscalationStep(after: 120_000, to: "charge-nurse"), EscalationStep(after: 180_000, to: "u-ben")]),
      EscalationLadder(steps: [EscalationStep(after: 600_000, to: "pager-anna")]),
    ]
    #expect(read.alerting == wanted)
    #expect(read.warnings.isEmpty)
    #expect(read.onCall.people.map(\.receivers) == [["pager-anna"], ["pager-ben"]])
    let shifts = try #require(read.onCall.schedules.first?.shifts)
    #expect(shifts.map(\.days.count) == [7, 5, 2])
    #expect(shifts.map(\.from) == [420, 1140, 1140])
    #expect(read.onCall.schedules[0].overrides.map(\.who) == [["u-ben"]])
  }

  @Test func whatIsOffIsOff() throws {
    let off = try settings("alerting: { flap: off, outage: off, grouping: off, realarm: { low: off } }\n")
    #expect(off.flap == .never)
    #expect(off.outagePatients == 0)
    #expect(off.groupingWindow == 0)
    #expect(off.realarm == AlertingSettings().realarm)
  }

  @Test("D5: what was accepted stays quiet no longer than a silence of its priority may")
  func realarmStaysInsideTheLimitsOfASilence() {
    #expect(
      problems("alerting: { realarm: { high: 11m, medium: 30s, low: 13h } }\n") == [
        "v:1:30: `high` must be a duration such as 250ms, 15s, 10m, 12h or 7d from 1m to 10m, not `11m`",
        "v:1:43: `medium` must be a duration such as 250ms, 15s, 10m, 12h or 7d from 1m to 2h, not `30s`",
        "v:1:53: `low` must be a duration such as 250ms, 15s, 10m, 12h or 7d from 1m to 12h, not `13h`",
      ])
    #expect(
      problems("alerting: { realarm: { high: off } }\n") == [
        "v:1:30: `high` cannot be off: an accepted alert that is still true is told again (at most after 10m)"
      ])
  }

  @Test func unknownNamesAreNamedWithTheirPlace() {
    let text = """
      receivers: [{ name: pager, url: "https://a.example" }]
      people:
        - { id: u-anna, receivers: [pagr] }
        - { id: u-ben, receivers: [pager] }
      schedules:
        - { schedule: nights, zone: Europe/Berln, shifts: [{ from: 19:00, to: 07:00, who: [u-bem] }] }
        - { schedule: days, zone: CET, shifts: [{ days: [mno], from: 07:60, to: 19:00, who: [pager] }] }
      roles:
        - { role: nurse, who: [night] }
      alerting:
        escalation:
          - { steps: [{ after: 1m, to: nurs }] }
      """
    #expect(
      problems(text) == [
        "v:3:31: no receiver is called `pagr`; did you mean `pager`?",
        "v:6:31: no time zone is called `Europe/Berln`: give a region and city such as Europe/Berlin, or UTC; did you "
          + "mean `Europe/Berlin`?",
        "v:6:86: no person is called `u-bem`; did you mean `u-ben`?",
        "v:7:29: no time zone is called `CET`: give a region and city such as Europe/Berlin, or UTC",
        "v:7:52: `days` must be a day such as mon, or several such as mon..fri (mon, tue, wed, thu, fri, sat, sun), not "
          + "`mno`",
        "v:7:64: `from` must be a time of day from 00:00 to 23:59, not `07:60`",
        "v:7:88: no person is called `pager`",
        "v:9:26: no schedule or person is called `night`; did you mean `nights`?",
        "v:12:34: no person, role, schedule or receiver is called `nurs`; did you mean `nurse`?",
      ])
  }

  @Test func whatCannotBeMeantIsRefused() {
    let text = """
      receivers: [{ name: pager, url: "https://a.example" }]
      people:
        - { id: pager, receivers: [pager] }
        - { id: u-ben, receivers: [] }
        - { id: u-anna, receivers: [pager] }
        - { id: u-anna, receivers: [pager] }
      schedules:
        - schedule: nights
          zone: UTC
          shifts: [{ from: 07:00, to: 07:00, who: [u-anna] }]
          overrides:
            - { from: 2026-01-02T00:00:00Z, to: 2026-01-01T00:00:00Z, who: [u-anna] }
            - { from: 2026-01-01T00:00:00Z, to: 2026-01-03T00:00:00Z, who: [u-anna] }
            - { from: 2026-01-02T00:00:00Z, to: 2026-01-04T00:00:00Z, who: [u-anna] }
      roles:
        - { role: nurse, unit: w1, who: [u-anna] }
        - { role: nurse, unit: w1, who: [u-anna] }
      alerting:
        flap: { count: 1 }
        escalation:
          - { match: { priority: high }, steps: [{ after: 0s, to: u-anna }] }
          - { match: { priority: [high], unit: w1 }, steps: [] }
          - { match: { priority: low, unit: [w1, w2] }, steps: [{ after: 1m, to: nurse }] }
          - { match: { unit: [] }, steps: [{ to: nurse }] }
      """
    #expect(
      problems(text) == [
        "v:3:7: `pager` is already a receiver, at line 1: an escalation could mean either",
        "v:4:18: `receivers` is an empty list: nobody would be told",
        "v:6:7: person `u-anna` is given twice, first at line 5",
        "v:10:29: a shift of no length: a whole day is from 00:00 to 24:00, or two shifts that meet",
        "v:12:39: the override ends before it begins",
        "v:14:9: this override overlaps the one at line 13: who is on duty would be a guess",
        "v:17:7: role `nurse` of unit `w1` is given twice, first at line 16",
        "v:19:18: `count` must be a whole number from 2 to 100, not `1`",
        "v:21:53: `after` must be a duration such as 250ms, 15s, 10m, 12h or 7d from 1s to 1d, not `0s`",
        "v:22:7: no alert comes to this ladder: the one at line 21 takes all of them first",
        "v:22:48: a ladder without steps reaches nobody",
        "v:23:76: this step reaches nobody: role `nurse` has no entry for unit `w2`",
        "v:24:18: `unit` is an empty list: leave the key out to match everything",
        "v:24:38: step needs `after`",
      ])
  }

  @Test("hours of a ladder without anybody on duty are a warning, with the first of them")
  func gapsInCoverAreTold() throws {
    func warnings(_ days: String, _ second: String = "") throws -> [String] {
      let (configuration, problems) = read(
        """
        people: [{ id: a, receivers: [pager-anna] }]
        schedules:
          - { schedule: s, zone: Europe/Berlin, shifts: [{ days: \(days), from: 07:00, to: 19:00, who: a }\(second)] }
        roles: [{ role: r, unit: w, who: s }, { role: q, who: [s, a] }]
        alerting:
          escalation: [{ steps: [{ after: 1m, to: r }, { after: 1m, to: s }, { after: 1m, to: q }] }]
        """)
      return try #require(configuration, "\(problems)").warnings.map(\.description)
    }
    let night = ", { from: 19:00, to: 07:00, who: a }"
    let some = "v:9:43: role `r` has entries for some units only: alerts of others go by the routes instead"
    #expect(try warnings("[mon..sun]", night) == [some])
    #expect(
      try warnings("[mon..fri]", night) == [
        some,
        "v:9:43: `r` of unit `w` has nobody on duty from sat 07:00 to sat 19:00 (Europe/Berlin): an escalation then goes "
          + "by the routes instead",
        "v:9:65: `s` has nobody on duty from sat 07:00 to sat 19:00 (Europe/Berlin): an escalation then goes by the "
          + "routes instead",
      ])
    #expect(try warnings("[mon..sun]").last?.contains("from mon 00:00 to mon 07:00") == true)
  }

  @Test func schedulesOfTwoZonesAreHeldTogetherOverAYear() throws {
    func warnings(_ end: String, _ morning: String) throws -> [String] {
      let (configuration, problems) = read(
        """
        people: [{ id: a, receivers: [pager-anna] }]
        schedules:
          - { schedule: east, zone: Europe/Berlin, shifts: [{ from: 07:00, to: "\(end)", who: a }] }
          - { schedule: west, zone: America/New_York, shifts: [{ from: 13:00, to: "\(morning)", who: a }] }
        roles: [{ role: r, who: [east, west] }]
        alerting: { escalation: [{ steps: [{ after: 1m, to: r }] }] }
        """)
      return try #require(configuration, "\(problems)").warnings.map(\.description)
    }
    // 07:00 in Berlin is 01:00 in New York but for the weeks in which only New York has summer time.
    #expect(try warnings("19:00", "02:00").isEmpty)
    #expect(try warnings("19:00", "01:00").first?.contains("from mon 06:00 to mon 07:00 (Europe/Berlin)") == true)
    #expect(try warnings("18:00", "02:00").first?.contains("from mon 18:00 to mon 19:00 (Europe/Berlin)") == true)
  }

  @Test func aReplayTakesTheSectionAloneAndNoSecret() throws {
    let section = "latch: high\nescalation: [{ steps: [{ after: 1m, to: whoever }] }]\n"
    let alone = try AlertingFile.parse(section, file: "a", isConfiguration: false)
    #expect(alone.latching == [.high])
    let lines = section.split(separator: "\n").map { "  " + $0 }.joined(separator: "\n")
    let whole = "receivers: [{ name: x, secret: env:NOT_SET }]\nalerting:\n" + lines + "\n"
    #expect(try AlertingFile.parse(whole, file: "v", isConfiguration: true) == alone)
    #expect(try AlertingFile.parse("tenant: x\n", file: "v", isConfiguration: true) == AlertingSettings())
    #expect(throws: TextProblems.self) { try AlertingFile.parse("tenant: x\n", file: "a", isConfiguration: false) }
  }
}
