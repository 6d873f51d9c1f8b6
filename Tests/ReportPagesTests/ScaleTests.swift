import Testing

@testable import ReportPages

@Suite struct ScaleTests {
  @Test func ticksAreRoundNumbersThatEncloseTheValues() {
    let scale = AxisScale(through: [0.3, 1.02])
    #expect(scale.low == 0 && scale.high >= 1.02)
    #expect(scale.ticks.map(\.text) == ["0", "0.5", "1", "1.5"])
  }
}
