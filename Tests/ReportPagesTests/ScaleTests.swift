import Testing

@testable import ReportPages

@Suite struct ScaleTests {
  @Test func ticksAreRoundNumbersThatEncloseTheValues() {
    for (values, texts) in [
      ([0.3, 1.02], ["0", "0.5", "1", "1.5"]), ([7.0], ["0", "2", "4", "6", "8"]),
      ([0.042], ["0", "0.01", "0.02", "0.03", "0.04", "0.05"]),
      ([1234], ["0", "500", "1000", "1500"]), ([], ["0", "0.2", "0.4", "0.6", "0.8", "1"]),
      ([-0.1, 0.2], ["-0.1", "0", "0.1", "0.2"]), ([.nan, .infinity, 3], ["0", "1", "2", "3"]),
    ] as [([Double], [String])] {
      let scale = AxisScale(through: values)
      #expect(scale.ticks.map(\.text) == texts, "\(values)")
      #expect(scale.low <= 0 && scale.high > scale.low)
    }
  }

  @Test func countsHaveNoTickBetweenWholeNumbers() {
    #expect(AxisScale(through: [1.15], isCount: true).ticks.map(\.text) == ["0", "1", "2"])
    #expect(AxisScale(through: [], isCount: true).ticks.map(\.text) == ["0", "1"])
  }

  @Test func placesRunFromEndToEndAndStopThere() {
    let scale = AxisScale(through: [10])
    #expect(scale.place(0) == 0 && scale.place(10) == 1 && scale.place(5) == 0.5)
    #expect(scale.place(-3) == 0 && scale.place(99) == 1 && scale.place(.infinity) == 1 && scale.place(.nan) == 0)
  }

  /// Values of the standard normal distribution: 2.275 % lie below −2, 15.866 % below −1.
  @Test func deviatesAreEvenlySpaced() {
    let scale = AxisScale(deviate: [0.01, 0.95])
    #expect(scale.ticks.map(\.value) == [0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 0.9, 0.95])
    let span = 2.326_347_874_040_841 + 1.644_853_626_951_472
    for (share, deviate) in [
      (0.022_750_131_948_179_2, -2.0), (0.158_655_253_931_457_05, -1), (0.5, 0), (0.841_344_746_068_543, 1),
    ] {
      #expect(abs(scale.place(share) - (deviate + 2.326_347_874_040_841) / span) < 1e-12, "\(share)")
    }
    #expect(scale.place(0) == 0 && scale.place(1) == 1)
  }

  @Test func deviatesHaveTwoEndsWhateverTheValues() {
    for values in [[], [0.5], [0.000_001], [0.999_99], [0.4], [0, 1], [0.999]] as [[Double]] {
      let scale = AxisScale(deviate: values)
      #expect(scale.low < scale.high && scale.ticks.count > 1, "\(values)")
    }
  }

  @Test func timeIsCountedInStepsPeopleUse() {
    let hour: Int64 = 3_600_000
    #expect(
      AxisScale(time: -12 * hour...3 * hour).ticks.map(\.text) == ["-12 h", "-9 h", "-6 h", "-3 h", "0 h", "+3 h"])
    #expect(
      AxisScale(time: -600_000...100_000).ticks.map(\.text) == [
        "-10 min", "-8 min", "-6 min", "-4 min", "-2 min", "0 min",
      ])
    #expect(AxisScale(time: 0...0).ticks.map(\.text) == ["0 s"])
    #expect(AxisScale(time: -400 * 24 * hour...0).ticks.count > 2)
  }

  @Test func numbersAreWrittenTheSameEverywhere() {
    #expect(
      [0.0, -0.04, 0.05, 63.149, 1e16, .nan].map { PageNumbers.fixed($0, 1) } == [
        "0.0", "0.0", "0.1", "63.1", "any", "any",
      ])
    #expect([0.004, 9.994, 12.34, 310.4].map(PageNumbers.number) == ["0.00", "9.99", "12.3", "310"])
    #expect(
      [0, 5000, 65_000, 3_600_000, 15_000_000, -420_000].map(PageNumbers.duration) == [
        "0 s", "5 s", "1 min 5 s", "1 h", "4 h 10 min", "-7 min",
      ])
    #expect(FigureStyle.share.text(0.631) == "63.1\u{A0}%" && FigureStyle.signed.text(0.15) == "+0.150")
    #expect(FigureStyle.signedNumber.text(-0.2) == "-0.20" && FigureStyle.number.text(.infinity) == "any")
    #expect(FigureStyle.share.both(nil) == "–")
    #expect(PageNumbers.place(.nan) == "0" && PageNumbers.place(12.34) == "12.3")
  }
}
