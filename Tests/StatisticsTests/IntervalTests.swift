import Statistics
import Testing

/// SEMANTICS F3: every interval names its method, and finds what an independent program (statsmodels 0.15.0) finds.
@Suite struct IntervalTests {
  private struct Vector {
    var k: Int
    var n: Int
    var wilson: (Double, Double)
    var exact: (Double, Double)
  }

  /// CLINICAL.md 4.2.
  private static let vectors = [
    Vector(k: 0, n: 10, wilson: (0.000000, 0.277533), exact: (0.000000, 0.308497)),
    Vector(k: 10, n: 10, wilson: (0.722467, 1.000000), exact: (0.691503, 1.000000)),
    Vector(k: 3, n: 50, wilson: (0.020615, 0.162171), exact: (0.012549, 0.165482)),
    Vector(k: 47, n: 50, wilson: (0.837829, 0.979385), exact: (0.834518, 0.987451)),
    Vector(k: 95, n: 100, wilson: (0.888250, 0.978456), exact: (0.887165, 0.983568)),
    Vector(k: 188, n: 200, wilson: (0.898068, 0.965348), exact: (0.897538, 0.968616)),
    Vector(k: 1, n: 1000, wilson: (0.000177, 0.005643), exact: (0.000025, 0.005559)),
    Vector(k: 1, n: 1, wilson: (0.206549, 1.000000), exact: (0.025000, 1.000000)),
  ]

  @Test func wilsonAndClopperPearsonGiveTheVectors() {
    for vector in Self.vectors {
      let wilson = Proportion.wilson(vector.k, of: vector.n)
      let exact = Proportion.clopperPearson(vector.k, of: vector.n)
      #expect(abs(wilson.lower - vector.wilson.0) < 1e-6, "\(vector.k)/\(vector.n)")
      #expect(abs(wilson.upper - vector.wilson.1) < 1e-6, "\(vector.k)/\(vector.n)")
      #expect(abs(exact.lower - vector.exact.0) < 1e-6, "\(vector.k)/\(vector.n)")
      #expect(abs(exact.upper - vector.exact.1) < 1e-6, "\(vector.k)/\(vector.n)")
      #expect(wilson.method == .wilson && exact.method == .clopperPearson)
    }
    #expect(abs(PoissonRate.none(in: 10).upper - 0.3689) < 1e-4)
    #expect(PoissonRate.none(in: 10).method == .poissonExact)
  }

  @Test func everyIntervalHoldsItsEstimate() {
    for n in [1, 2, 3, 7, 20, 1000] {
      for k in Set([0, 1, n / 3, n / 2, n - 1, n]) where k <= n {
        let share = Double(k) / Double(n)
        #expect(Proportion.wilson(k, of: n).contains(share))
        #expect(Proportion.clopperPearson(k, of: n).contains(share))
      }
    }
    // SplitMix64 over generated wards: few and many patients, few and many labels.
    var state: UInt64 = 7
    func next(_ bound: UInt64) -> Int {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return Int((state >> 33) % bound)
    }
    for seed in 0..<20 {
      let clusters = (0..<1 + next(12)).map { _ -> PatientCluster in
        let labelled = next(9)
        return PatientCluster(Double(labelled > 0 ? next(UInt64(labelled) + 1) : 0), over: Double(labelled))
      }
      guard let estimate = PatientBootstrap.share(clusters, seed: UInt64(seed)) else { continue }
      if let interval = estimate.interval {
        #expect(interval.contains(estimate.value))
        #expect(0 <= interval.lower && interval.upper <= 1)
        let isExact = estimate.value == 0 || estimate.value == 1
        #expect(interval.method == (isExact ? .clopperPearson : .patientBootstrap))
      } else {
        #expect(estimate.patients == 1)
      }
    }
  }

  @Test func resamplingIsByPatientAndDeterministic() throws {
    // One noisy patient with all the false ones: independent alerts would be far surer than four patients are.
    let clusters = [
      PatientCluster(0, over: 40), PatientCluster(5, over: 5), PatientCluster(4, over: 5), PatientCluster(5, over: 6),
    ]
    let first = try #require(PatientBootstrap.interval(clusters, seed: 1))
    #expect(PatientBootstrap.interval(clusters, seed: 1) == first)
    #expect(PatientBootstrap.interval(clusters, seed: 2) != nil)
    let naive = Proportion.wilson(14, of: 56)
    #expect(first.upper - first.lower > 2 * (naive.upper - naive.lower))
    #expect(first.contains(0.25))
    #expect(PatientBootstrap.interval([PatientCluster(1, over: 2)], seed: 1) == nil)
  }

  @Test func boundsAtZeroAndOneAreOverPatients() throws {
    let none = try #require(PatientBootstrap.share((0..<10).map { _ in PatientCluster(0, over: 30) }, seed: 1))
    #expect(none.value == 0 && none.interval == Proportion.clopperPearson(0, of: 10))
    let all = try #require(PatientBootstrap.share([PatientCluster(3, over: 3)], seed: 1))
    #expect(all.interval == Proportion.clopperPearson(1, of: 1) && all.patients == 1)
    #expect(PatientBootstrap.share([PatientCluster(0, over: 0)], seed: 1) == nil)
    let quiet = try #require(PatientBootstrap.rate([PatientCluster(0, over: 10)], seed: 1))
    #expect(quiet.interval == PoissonRate.none(in: 10))
  }

  @Test func ranksAreValuesThatWereSeen() {
    #expect(Quantile.nearestRank(0.5, of: [Int]()) == nil)
    #expect(Quantile.nearestRank(0.5, of: [3]) == 3)
    #expect(Quantile.nearestRank(0.5, of: [1, 2, 3, 4]) == 2)
    #expect(Quantile.nearestRank(0.9, of: Array(1...10)) == 9)
    #expect(Quantile.nearestRank(1, of: Array(1...10)) == 10)
  }
}
