import Testing
import VitalModel

@Suite struct TimestampTests {
  @Test(arguments: [
    ("1970-01-01T00:00:00Z", Int64(0)), ("1970-01-01T00:00:00.001Z", 1), ("1969-12-31T23:59:59.999Z", -1),
    ("2026-11-20T22:38:00.123Z", 1_795_214_280_123), ("2000-02-29T12:00:00Z", 951_825_600_000),
    ("2024-02-29T00:00:00+02:00", 1_709_157_600_000), ("2024-02-28T22:00:00-00:00", 1_709_157_600_000),
    ("2024-02-28t14:30:00-07:30", 1_709_157_600_000), ("2024-02-28 22:00:00z", 1_709_157_600_000),
    // A leap second counts as the second before it.
    ("2016-12-31T23:59:60Z", 1_483_228_799_000), ("2020-01-01T00:00:00.1239999Z", 1_577_836_800_123),
    ("2020-01-01T00:00:00.5Z", 1_577_836_800_500), ("1900-01-01T00:00:00Z", -2_208_988_800_000),
    ("2200-01-01T00:00:00Z", 7_258_118_400_000),
  ])
  func reads(_ text: String, _ expected: Int64) {
    #expect(Timestamp.parse(text) == expected)
  }

  @Test(arguments: [
    "", "2026-11-20", "2026-11-20T22:38:00", "2026-02-31T00:00:00Z", "2023-02-29T00:00:00Z", "1900-02-29T00:00:00Z",
    "2024-04-31T00:00:00Z", "2024-00-10T00:00:00Z", "2024-13-10T00:00:00Z", "2024-01-00T00:00:00Z",
    "2024-01-32T00:00:00Z", "2024-01-01T24:00:00Z", "2024-01-01T00:60:00Z", "2024-01-01T00:00:61Z",
    "2024-01-01T00:00:00.Z", "2024-01-01T00:00:00+2:00", "2024-01-01T00:00:00+0200", "2024-01-01T00:00:00+24:00",
    "2024-01-01T00:00:00ZZ", "2024-01-01X00:00:00Z", "2024-1-01T00:00:000Z", "1899-12-31T23:59:59Z",
    "2200-01-01T00:00:01Z", "+024-01-01T00:00:00Z", "2024-01-01T00:00:00.1", "２024-01-01T00:00:00Z",
  ])
  func refuses(_ text: String) {
    #expect(Timestamp.parse(text) == nil)
  }

  @Test func everyInstantRoundTrips() {
    var generator = SeededGenerator(seed: 2)
    for _ in 0..<20_000 {
      let instant = Int64.random(in: Timestamp.accepted, using: &generator)
      #expect(Timestamp.parse(Timestamp.format(instant)) == instant)
    }
    #expect(Timestamp.format(1_795_214_280_123) == "2026-11-20T22:38:00.123Z")
    #expect(Timestamp.format(-1) == "1969-12-31T23:59:59.999Z")
  }

  @Test func daysRunOnWithoutGapThroughFourHundredYears() {
    var expected = Timestamp.days(year: 1900, month: 1, day: 1)
    #expect(expected == -25567)
    for year in 1900..<2300 {
      for month in 1...12 {
        let isLeap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
        let length = [31, isLeap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][month - 1]
        #expect(Timestamp.days(year: year, month: month, day: 1) == expected)
        expected += length
      }
    }
  }
}

@Suite struct DurationTextTests {
  @Test(arguments: [
    ("250ms", Int64(250)), ("15s", 15_000), ("10m", 600_000), ("10min", 600_000), ("12h", 43_200_000),
    ("7d", 604_800_000), ("52w", 31_449_600_000), ("0s", 0),
  ])
  func reads(_ text: String, _ expected: Int64) {
    #expect(DurationText.parse(text) == expected)
  }

  @Test(arguments: [
    "", "15", "s", "-1s", "1.5h", "1 s", "1S", "1y", "1sec", "1h30m", "101w0", "5300w", "36526d",
    "99999999999999999999s",
    "9223372036854775807w", "٣s",
  ])
  func refuses(_ text: String) {
    #expect(DurationText.parse(text) == nil)
  }

  @Test func shortestFormRoundTrips() {
    #expect(DurationText.format(15_000) == "15s")
    #expect(DurationText.format(90_000) == "90s")
    #expect(DurationText.format(604_800_000) == "1w")
    #expect(DurationText.format(1) == "1ms")
    #expect(DurationText.format(0) == "0s")
    var generator = SeededGenerator(seed: 3)
    for _ in 0..<5000 {
      let length = Int64.random(in: 0...3_155_760_000_000, using: &generator)
      #expect(DurationText.parse(DurationText.format(length)) == length)
    }
  }
}
