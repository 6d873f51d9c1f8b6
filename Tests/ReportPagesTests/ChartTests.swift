import Foundation
import Statistics
import Testing

@testable import ReportPages

/// Where things lie in drawings.
@Suite struct ChartTests {
  private func chart() -> Chart {
    Chart(id: "c", title: "t", summary: "s", x: AxisScale(through: [2]), "x", y: .share, "y")
  }

  @Test func pointsLieWhereTheirValuesSay() {
    var chart = chart()
    #expect(chart.across(0) == Chart.left && chart.across(2) == Chart.right)
    #expect(chart.up(0) == Chart.bottom && chart.up(1) == Chart.top && chart.up(0.5) == (Chart.top + Chart.bottom) / 2)
    chart.line([(0, 0), (1, 0.5), (2, 1)], .main)
    #expect(chart.svg.contains("d=\"M68 268L241 141L414 14\""))
    chart.band([(0, 0, 0.5), (2, 0.5, 1)], .main)
    #expect(chart.svg.contains("d=\"M68 141L414 14L414 141L68 268Z\""))
    chart.whisker(x: 1, low: 0.25, high: 0.75, .other)
    #expect(chart.svg.contains("d=\"M241 204.5L241 77.5\""))
    chart.bar(from: 0, to: 1, height: 0.5, .main)
    #expect(chart.svg.contains("x=\"68\" y=\"141\" width=\"173\" height=\"127\""))
    chart.mark(.circle, x: 2, y: 1, .main)
    #expect(chart.svg.contains("cx=\"414\" cy=\"14\""))
  }

  @Test func formsDifferEvenWithoutColour() {
    let forms = [ChartMark.circle, .square, .diamond, .triangle, .cross].map {
      $0.path(x: 10, y: 10, size: 4, ink: .main)
    }
    #expect(Set(forms).count == 5)
  }

  @Test func theHullLeavesOutWhatAMixtureBeats() {
    let hull = WindowCharts.hull([(0.1, 0.6), (0.3, 0.5), (0.5, 0.9), (0.3, 0.7)])
    #expect(hull.map(\.x) == [0, 0.1, 0.5, 1] && hull.map(\.y) == [0, 0.6, 0.9, 1])
    #expect(WindowCharts.hull([]).map(\.y) == [0, 1])
    // On or below chance nothing is left but chance.
    #expect(WindowCharts.hull([(0.5, 0.4)]).map(\.y) == [0, 1])
  }

  /// CLINICAL 4.1: two windows found, three false, nineteen quiet.
  @Test func ratesOfWindows() throws {
    var counts = OperatingPoint.WindowCounts()
    #expect(WindowRates(counts) == nil)
    (counts.truePositives, counts.falsePositives, counts.trueNegatives) = (2, 3, 19)
    let rates = try #require(WindowRates(counts))
    #expect(rates.truePositiveRate == 1 && rates.falsePositiveRate == 3.0 / 22 && rates.precision == 0.4)
    (counts.truePositives, counts.falseNegatives, counts.falsePositives) = (0, 2, 0)
    #expect(try #require(WindowRates(counts)).precision == nil)
  }

  @Test func precisionAndRecallKeepWhatNothingBeats() {
    func rates(_ found: Int, _ wrong: Int) -> WindowRates? {
      var counts = OperatingPoint.WindowCounts()
      (counts.truePositives, counts.falseNegatives) = (found, 10 - found)
      (counts.falsePositives, counts.trueNegatives) = (wrong, 100 - wrong)
      return WindowRates(counts)
    }
    let line = WindowCharts.staircase([rates(2, 2), rates(5, 5), rates(5, 15), rates(8, 24)].compactMap { $0 })
    #expect(line.map(\.x) == [0.5, 0.8] && line.map(\.y) == [0.5, 0.25])
  }

  @Test func aCloudIsThinnedButNeverItsFront() throws {
    let points = SampleWard.points(3000)
    let material = PageMaterial(
      report: try #require(SampleWard.report), subject: PageSubject(), points: points, clock: [], stages: [],
      traces: [],
      isTuning: true)
    let drawn = BurdenCharts(material: material).drawn(\.sensitivity)
    let marked = points.filter { $0.isOnFront || $0.isChosen || $0.isToday }
    #expect(drawn.count == marked.count + BurdenCharts.othersMax)
    #expect(Set(marked.map(\.name)).isSubset(of: drawn.map(\.name)))
    let burdens = drawn.compactMap(\.burden?.value)
    #expect(burdens == burdens.sorted())
  }

  @Test func anEvaluationIsOnePointWithItsWindows() throws {
    let row = try #require(SampleWard.report).total
    let point = OperatingPoint(row)
    #expect(point.isChosen && point.detected == row.events.detected && point.alerts == row.alerts.count)
    #expect(point.windows.trueNegatives == row.windows.trueNegatives && point.margin == row.chance.margin)
  }
}

/// Counts behind drawings.
@Suite struct CountTests {
  @Test func leadTimesFallIntoStepsThatHoldThemAll() throws {
    let minute: Int64 = 60_000
    let bins = try #require(CountCharts.LeadBins([-minute, 0, minute, 59 * minute, 60 * minute]))
    #expect(bins.step == 5 * minute && bins.start == -5 * minute)
    #expect(bins.counts.count == 14 && bins.counts[0] == 1 && bins.counts[1] == 2 && bins.counts[13] == 1)
    #expect(bins.counts.reduce(0, +) == 5)
    #expect(CountCharts.LeadBins([]) == nil)
    let one = try #require(CountCharts.LeadBins([42]))
    #expect(one.counts == [1])
    let long = try #require(CountCharts.LeadBins([0, 400 * 86_400_000]))
    #expect(long.counts.count <= CountCharts.LeadBins.countMax)
  }

  @Test func theNoisyTenthHasItsShare() {
    let rows = (0..<20).map { patient in
      let alerts = patient < 2 ? 30 : patient < 12 ? 4 : 0
      return (alerts: alerts, isFalse: alerts / 2)
    }
    let tenths = CountCharts.tenths(rows)
    #expect(tenths.count == 10 && tenths[0].patients == 2 && tenths[0].alerts == 60 && tenths[0].share == 0.6)
    #expect(tenths.reduce(0) { $0 + $1.alerts } == 100 && tenths.reduce(0) { $0 + $1.isFalse } == 50)
    #expect(CountCharts.tenths([]).isEmpty)
    #expect(CountCharts.tenths(Array(rows.prefix(3))).reduce(0) { $0 + $1.patients } == 3)
  }
}

/// Colours that can be read and told apart.
@Suite struct PaletteTests {
  /// Relative luminance as WCAG 2.2 defines it.
  private func luminance(_ colour: String) -> Double {
    let digits = UInt32(colour.dropFirst(), radix: 16) ?? 0
    let parts = [16, 8, 0].map { shift -> Double in
      let part = Double((digits >> UInt32(shift)) & 255) / 255
      return part <= 0.040_45 ? part / 12.92 : pow((part + 0.055) / 1.055, 2.4)
    }
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]
  }

  private func contrast(_ a: String, _ b: String) -> Double {
    let pair = [luminance(a), luminance(b)].sorted()
    return (pair[1] + 0.05) / (pair[0] + 0.05)
  }

  @Test func contrastIsThatOfLevelAA() throws {
    #expect(abs(contrast("#ffffff", "#000000") - 21) < 1e-9)
    for palette in [Palette.light, .dark] {
      for ground in [palette.page, palette.panel] {
        #expect(contrast(palette.text, ground) >= 4.5 && contrast(palette.quiet, ground) >= 4.5)
        for ink in Ink.allCases {
          #expect(contrast(try #require(palette.inks[ink]), ground) >= 3, "\(ink) on \(ground)")
        }
      }
    }
  }
}
