import Testing

@testable import RuleTesting

@Suite struct ClockTextTests {
  @Test func timesAreWrittenAsPeopleWriteThem() {
    #expect(ClockText.parse("75s") == 75_000)
    #expect(ClockText.parse("1h30m") == 5_400_000)
    #expect(ClockText.parse("75") == nil)
    #expect(ClockText.parse("") == nil)
    #expect(ClockText.parse("s") == nil)
    #expect(ClockText.format(75_000) == "75s")
    #expect(ClockText.format(5_400_000) == "1h30m")
    #expect(ClockText.format(250) == "250ms")
  }
}
