import Testing

@testable import Statistics

/// CLINICAL.md 4.2 to 4.5: every vector, each made by an independent program.
@Suite struct ScoreTests {
  private func isNear(_ a: Double?, _ b: Double, within tolerance: Double = 1e-9) -> Bool {
    a.map { abs($0 - b) < tolerance } ?? false
  }

  @Test func fBetaNetBenefitAndNumberNeeded() {
    #expect(isNear(DetectionScore.fBeta(1, truePositives: 8, falsePositives: 2, falseNegatives: 2), 0.8))
    #expect(isNear(DetectionScore.fBeta(2, truePositives: 8, falsePositives: 8, falseNegatives: 2), 5.0 / 7))
    #expect(isNear(DetectionScore.fBeta(1, truePositives: 8, falsePositives: 8, falseNegatives: 2), 8.0 / 13))
    #expect(DetectionScore.fBeta(1, truePositives: 0, falsePositives: 0, falseNegatives: 0) == nil)
    let benefit = DetectionScore.netBenefit(truePositives: 80, falsePositives: 120, of: 1000, threshold: 0.1)
    #expect(isNear(benefit, 1.0 / 15))
    let always = DetectionScore.netBenefit(truePositives: 100, falsePositives: 900, of: 1000, threshold: 0.1)
    #expect(isNear(always, 0))
    #expect(DetectionScore.netBenefit(truePositives: 1, falsePositives: 0, of: 1, threshold: 1) == nil)
    // Fifty alerts of which three are actionable.
    #expect(isNear(DetectionScore.numberNeededToEvaluate(3.0 / 50), 50.0 / 3))
    #expect(DetectionScore.numberNeededToEvaluate(0) == nil)
  }

  @Test(arguments: [
    (100, 0, 0, 100, 100.0), (90, 10, 10, 90, 75), (95, 40, 5, 60, 70.454_545_454_545_45),
    (0, 0, 50, 50, 16.666_666_666_666_668), (50, 50, 0, 0, 50),
  ])
  func cinc2015(tp: Int, fp: Int, fn: Int, tn: Int, score: Double) {
    let found = DetectionScore.cinc2015(truePositives: tp, falsePositives: fp, falseNegatives: fn, trueNegatives: tn)
    #expect(isNear(found, score), "\(String(describing: found))")
  }

  /// Twenty hours with the label from hour 8, so sepsis at 14, against the official scorer.
  @Test(arguments: [
    ([], -10.0), (Array(0..<20), 7.4), ([8], -9.0), ([2], -10.0), ([0], -10.05), ([1], -10.05), ([17], -8.0),
    ([18], -10.0), (Array(8...17), 5.0), (Array(2...17), 7.5),
  ])
  func utility2019(hours: [Int], utility: Double) {
    let found = SepsisUtility.sum(onset: 14, predictions: (0..<20).map { hours.contains($0) })
    #expect(isNear(found, utility), "\(found)")
  }

  @Test func utility2019WithoutSepsisAndAtItsBest() {
    #expect(isNear(SepsisUtility.bestSum(onset: 14, hours: 20), 7.5))
    #expect(SepsisUtility.sum(onset: nil, predictions: [Bool](repeating: false, count: 10)) == 0)
    #expect(isNear(SepsisUtility.sum(onset: nil, predictions: [Bool](repeating: true, count: 10)), -0.5))
    #expect(SepsisUtility.bestSum(onset: nil, hours: 10) == 0)
  }

  @Test func poissonBoundsAreExact() {
    let twelve = PoissonRate.exact(12, in: 10)
    #expect(isNear(twelve.lower, 0.6201, within: 5e-5) && isNear(twelve.upper, 2.0962, within: 5e-5))
    #expect(twelve.method == .poissonExact)
    #expect(PoissonRate.exact(0, in: 10) == PoissonRate.none(in: 10))
    // Each bound leaves half of alpha in its tail, by plain summation.
    for count in [1, 2, 7, 40, 300] {
      let bounds = PoissonRate.exact(count, in: 1)
      #expect(isNear(1 - tail(below: count, mean: bounds.lower), 0.025, within: 1e-9), "\(count)")
      #expect(isNear(tail(below: count + 1, mean: bounds.upper), 0.025, within: 1e-9), "\(count)")
    }
  }

  /// P(X < count): terms from the largest down would be better, but these are few.
  private func tail(below count: Int, mean: Double) -> Double {
    var (term, sum) = (1.0, 0.0)
    // e^-mean in pieces that do not vanish.
    let pieces = 20
    let piece = 1 / exponential(mean / Double(pieces))
    for index in 0..<count {
      if index > 0 { term *= mean / Double(index) }
      sum += term
    }
    for _ in 0..<pieces { sum *= piece }
    return sum
  }

  private func exponential(_ x: Double) -> Double {
    var (term, sum) = (1.0, 1.0)
    for index in 1..<200 {
      term *= x / Double(index)
      sum += term
    }
    return sum
  }

  /// Against Python's `statistics.NormalDist`.
  @Test func normalQuantilesAreThose() {
    for (share, value) in normalVectors {
      #expect(isNear(Normal.quantile(share), value, within: 1e-9 * max(1, abs(value))), "\(share)")
    }
    for z in stride(from: -8.0, through: 8, by: 0.37) where Normal.cumulative(z) < 1 - 1e-12 {
      #expect(isNear(Normal.quantile(Normal.cumulative(z)), z, within: z < 4 ? 1e-9 : 1e-3), "\(z)")
    }
    #expect(Normal.quantile(0) == -.infinity && Normal.quantile(1) == .infinity)
  }

  @Test func hoursAreThoseOfTheDayInUTC() {
    #expect(
      [epoch, epoch + 23 * hour, epoch + 24 * hour, -1, -24 * hour].map { HourRow.hour(of: $0) } == [0, 23, 0, 23, 0])
  }

  private let normalVectors: [(Double, Double)] = [
    (1e-300, -37.047_096_299_361_2), (1e-10, -6.361_340_902_404_056), (0.001, -3.090_232_306_167_813),
    (0.025, -1.959_963_984_540_053_8), (0.07, -1.475_791_028_179_170_2), (0.3, -0.524_400_512_708_040_7), (0.5, 0),
    (0.925, 1.439_531_470_938_456), (0.9999, 3.719_016_485_455_708_4),
  ]
}
