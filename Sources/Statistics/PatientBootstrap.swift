/// Random whole numbers from a seed (SplitMix64, Steele, Lea and Flood 2014): integer arithmetic only, so a seed gives the
/// same resamples on every machine.
struct Resampler {
  private var state: UInt64

  init(seed: UInt64) { state = seed }

  /// Another sequence of the same seed: what is drawn for one purpose says nothing of what is drawn for another.
  init(seed: UInt64, purpose: Purpose) {
    var first = Resampler(seed: seed ^ (purpose.rawValue << 56))
    state = UInt64(first.index(below: .max)) &* 2 &+ UInt64(first.index(below: 2))
  }

  enum Purpose: UInt64 {
    case controls = 1
    case rotation = 2
    case folds = 3
    case settings = 4
  }

  /// Uniform in `0..<count`; the bias of the multiplication is below 2^-32 for any count of patients.
  mutating func index(below count: Int) -> Int {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    z ^= z >> 31
    return Int(z.multipliedFullWidth(by: UInt64(count)).high)
  }
}

/// What one patient gives to a ratio: actionable of labelled alerts, or alerts over days.
package struct PatientCluster: Hashable, Sendable {
  package var numerator: Double
  package var denominator: Double
  package init(_ numerator: Double, over denominator: Double) {
    self.numerator = numerator
    self.denominator = denominator
  }
}

/// A figure with its interval and what it rests on.
package struct Estimate: Hashable, Sendable {
  package var value: Double
  /// nil: one patient alone says nothing of others.
  package var interval: Interval?
  /// Patients it rests on.
  package var patients: Int
}

/// Intervals of ratios of sums over patients: alerts of one patient repeat each other, so whole patients are drawn with
/// replacement (CLINICAL.md 4.2; SEMANTICS F3). Below about ten patients they are too narrow.
package enum PatientBootstrap {
  /// Resamples of one interval.
  package static let resamples = 2000

  /// The percentile interval of Σ numerators ÷ Σ denominators, widened to hold the estimate where resampling missed it.
  /// O(resamples × clusters). The order of clusters is part of the input.
  ///
  /// - Returns: nil with fewer than two clusters, or where no resample has a denominator.
  package static func interval(_ clusters: [PatientCluster], seed: UInt64) -> Interval? {
    guard clusters.count > 1 else { return nil }
    var sampler = Resampler(seed: seed)
    var ratios: [Double] = []
    ratios.reserveCapacity(resamples)
    for _ in 0..<resamples {
      var (numerator, denominator) = (0.0, 0.0)
      for _ in clusters.indices {
        let drawn = clusters[sampler.index(below: clusters.count)]
        numerator += drawn.numerator
        denominator += drawn.denominator
      }
      if denominator > 0 { ratios.append(numerator / denominator) }
    }
    guard !ratios.isEmpty, let estimate = ratio(clusters) else { return nil }
    ratios.sort()
    let half = Interval.alpha / 2
    let first = min(ratios.count - 1, Int(half * Double(ratios.count)))
    let last = ratios.count - 1 - first
    return Interval(
      lower: min(estimate, ratios[first]), upper: max(estimate, ratios[last]), method: .patientBootstrap)
  }

  /// A share of labelled alerts (positive predictive value): by patient bootstrap, and where it is 0 or 1 by exact bounds
  /// over patients, not alerts.
  ///
  /// - Returns: nil where nothing is labelled.
  package static func share(_ clusters: [PatientCluster], seed: UInt64) -> Estimate? {
    let used = clusters.filter { $0.denominator > 0 }
    guard let value = ratio(used) else { return nil }
    let interval: Interval?
    if value <= 0 {
      interval = Proportion.clopperPearson(0, of: used.count)
    } else if value >= 1 {
      interval = Proportion.clopperPearson(used.count, of: used.count)
    } else {
      interval = PatientBootstrap.interval(used, seed: seed)
    }
    return Estimate(value: value, interval: interval, patients: used.count)
  }

  /// A rate over patient time; where nothing happened, by the exact bound of a Poisson rate.
  ///
  /// - Returns: nil where there is no time.
  package static func rate(_ clusters: [PatientCluster], seed: UInt64) -> Estimate? {
    guard let value = ratio(clusters) else { return nil }
    let interval =
      value <= 0
      ? PoissonRate.none(in: clusters.reduce(0) { $0 + $1.denominator })
      : PatientBootstrap.interval(clusters, seed: seed)
    return Estimate(value: value, interval: interval, patients: clusters.count)
  }

  private static func ratio(_ clusters: [PatientCluster]) -> Double? {
    var (numerator, denominator) = (0.0, 0.0)
    for cluster in clusters {
      numerator += cluster.numerator
      denominator += cluster.denominator
    }
    return denominator > 0 ? numerator / denominator : nil
  }
}
