import Configuration
import Testing
import VitalModel

/// Who is on duty when: local wall times, the two nights a year that are not 24 hours long, and what replaces a shift.
@Suite struct OnCallTests {
  private func time(_ text: String) throws -> Int64 { try #require(Timestamp.parse(text)) }

  /// Days from 07:00 to 19:00 and nights from 19:00 to 07:00.
  private func ward(_ zone: String, day: (Int, Int) = (420, 1140), overrides: [OnCall.Override] = []) throws -> OnCall {
    let all = Set(Weekday.allCases)
    return OnCall(
      people: [
        .init(id: "u-anna", receivers: ["pager-anna"]), .init(id: "u-ben", receivers: ["pager-ben", "desk"]),
        .init(id: "u-cleo", receivers: ["pager-cleo", "desk"]),
      ],
      schedules: [
        .init(
          name: "nurses", clock: try #require(WallClock(zone)),
          shifts: [
            .init(days: all, from: day.0, to: day.1, who: ["u-anna"]),
            .init(days: all, from: day.1, to: day.0, who: ["u-ben"]),
          ], overrides: overrides)
      ],
      roles: [
        .init(role: "charge-nurse", unit: "ward-7", who: ["nurses"]),
        .init(role: "charge-nurse", who: ["u-cleo", "u-ben"]),
      ])
  }

  private func onDuty(_ onCall: OnCall, _ text: String, plus milliseconds: Int64 = 0) throws -> [String] {
    onCall.schedules[0].persons(at: try time(text) + milliseconds)
  }

  @Test func aShiftChangesAtTheVeryMillisecond() throws {
    let ward = try ward("Europe/Berlin")
    #expect(try onDuty(ward, "2026-01-15T19:00:00+01:00", plus: -1) == ["u-anna"])
    #expect(try onDuty(ward, "2026-01-15T19:00:00+01:00") == ["u-ben"])
    #expect(try onDuty(ward, "2026-01-16T07:00:00+01:00", plus: -1) == ["u-ben"])
    #expect(try onDuty(ward, "2026-01-16T07:00:00+01:00") == ["u-anna"])
    #expect(try onDuty(ward, "2026-07-16T07:00:00+02:00") == ["u-anna"])
  }

  /// The night's length in hours: from the last day person's end to the next one's begin.
  @Test(
    "shifts keep to the clock on the wall on the night it changes",
    arguments: [
      ("Europe/Berlin", "2026-03-28T19:00:00+01:00", 11), ("Europe/Berlin", "2026-10-24T19:00:00+02:00", 13),
      ("America/New_York", "2026-03-07T19:00:00-05:00", 11), ("America/New_York", "2026-10-31T19:00:00-04:00", 13),
    ])
  func nightsOfTheChange(_ zone: String, _ evening: String, _ hours: Int64) throws {
    let ward = try ward(zone)
    #expect(try onDuty(ward, evening, plus: -1) == ["u-anna"])
    #expect(try onDuty(ward, evening) == ["u-ben"])
    #expect(try onDuty(ward, evening, plus: hours * 3_600_000 - 1) == ["u-ben"])
    #expect(try onDuty(ward, evening, plus: hours * 3_600_000) == ["u-anna"])
  }

  @Test func aBoundaryInsideTheSkippedHourIsTheFirstInstantAfterIt() throws {
    // 02:00 becomes 03:00 at 01:00Z.
    let berlin = try ward("Europe/Berlin", day: (150, 1140))
    #expect(try onDuty(berlin, "2026-03-29T01:00:00Z", plus: -1) == ["u-ben"])
    #expect(try onDuty(berlin, "2026-03-29T01:00:00Z") == ["u-anna"])
    // 02:00 becomes 03:00 at 07:00Z.
    let newYork = try ward("America/New_York", day: (150, 1140))
    #expect(try onDuty(newYork, "2026-03-08T07:00:00Z", plus: -1) == ["u-ben"])
    #expect(try onDuty(newYork, "2026-03-08T07:00:00Z") == ["u-anna"])
  }

  @Test func insideTheRepeatedHourTheFirstBeginsAndTheLastEnds() throws {
    // 02:30 comes at 00:30Z and at 01:30Z: for that hour both are there.
    let berlin = try ward("Europe/Berlin", day: (150, 1140))
    #expect(try onDuty(berlin, "2026-10-25T00:30:00Z", plus: -1) == ["u-ben"])
    #expect(try onDuty(berlin, "2026-10-25T00:30:00Z") == ["u-anna", "u-ben"])
    #expect(try onDuty(berlin, "2026-10-25T01:30:00Z", plus: -1) == ["u-anna", "u-ben"])
    #expect(try onDuty(berlin, "2026-10-25T01:30:00Z") == ["u-anna"])
    // 01:30 comes at 05:30Z and at 06:30Z.
    let newYork = try ward("America/New_York", day: (90, 1140))
    #expect(try onDuty(newYork, "2026-11-01T05:30:00Z", plus: -1) == ["u-ben"])
    #expect(try onDuty(newYork, "2026-11-01T05:30:00Z") == ["u-anna", "u-ben"])
    #expect(try onDuty(newYork, "2026-11-01T06:30:00Z") == ["u-anna"])
  }

  @Test(
    "shifts that cover the clock leave no instant without anybody",
    arguments: [
      ("Europe/Berlin", "2026-03-29"), ("Europe/Berlin", "2026-10-25"), ("America/New_York", "2026-03-08"),
      ("America/New_York", "2026-11-01"), ("America/Havana", "2026-11-01"), ("Australia/Lord_Howe", "2026-04-04"),
    ])
  func noInstantIsUncovered(_ zone: String, _ change: String) throws {
    let noon = try time(change + "T12:00:00Z")
    for boundary in [0, 30, 90, 150] {
      let schedule = try ward(zone, day: (boundary, 720)).schedules[0]
      for half in -24...24 {
        for edge in [-1, 0] {
          let instant = noon + Int64(half) * 1_800_000 + Int64(edge)
          #expect(!schedule.persons(at: instant).isEmpty, "\(boundary) \(Timestamp.format(instant))")
        }
      }
    }
  }

  @Test func aShiftBelongsToTheDayItBeginsOn() throws {
    let schedule = OnCall.Schedule(
      name: "n", clock: try #require(WallClock("Europe/Berlin")),
      shifts: [
        .init(days: [.fri], from: 1140, to: 420, who: ["a"]), .init(days: [.sat], from: 0, to: 1440, who: ["b"]),
      ])
    #expect(schedule.persons(at: try time("2026-01-16T18:59:00+01:00")).isEmpty)
    #expect(schedule.persons(at: try time("2026-01-16T23:59:00+01:00")) == ["a"])
    #expect(schedule.persons(at: try time("2026-01-17T06:59:00+01:00")) == ["a", "b"])
    #expect(schedule.persons(at: try time("2026-01-17T23:59:59.999+01:00")) == ["b"])
    #expect(schedule.persons(at: try time("2026-01-18T00:00:00+01:00")).isEmpty)
  }

  @Test func anOverrideReplacesTheShiftsWhileItLasts() throws {
    let from = try time("2026-01-15T10:00:00Z")
    let ward = try ward("Europe/Berlin", overrides: [.init(from: from, to: from + 7_200_000, who: ["u-cleo"])])
    func told(_ plus: Int64) -> [String] { ward.receivers(for: "nurses", unit: nil, at: from + plus) }
    #expect(told(-1) == ["pager-anna"])
    #expect(told(0) == ["pager-cleo", "desk"])
    #expect(told(7_199_999) == ["pager-cleo", "desk"])
    #expect(told(7_200_000) == ["pager-anna"])
  }

  @Test func aNameIsItsReceiversInOrderAndOnce() throws {
    let ward = try ward("Europe/Berlin")
    let evening = try time("2026-01-15T20:00:00+01:00")
    func told(_ name: String, _ unit: String? = nil) -> [String] { ward.receivers(for: name, unit: unit, at: evening) }
    #expect(told("u-anna") == ["pager-anna"])
    #expect(told("nurses") == ["pager-ben", "desk"])
    #expect(told("charge-nurse", "ward-7") == ["pager-ben", "desk"])
    #expect(told("charge-nurse", "ward-8") == ["pager-cleo", "desk", "pager-ben"])
    #expect(told("charge-nurse") == ["pager-cleo", "desk", "pager-ben"])
    #expect(told("desk") == ["desk"])
  }
}
