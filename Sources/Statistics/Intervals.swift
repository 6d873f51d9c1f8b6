/// Room `Statistics`: what acknowledged alerts, patient time and trials of settings add up to, each figure with how many it
/// rests on and how sure it is. It reads no store, asks no clock, draws no number it was not given a seed for, and never
/// names a patient.
import Glibc

/// How an interval was found: figures say so beside it (SEMANTICS F3).
package enum IntervalMethod: String, Sendable, CaseIterable {
  /// Score interval of one proportion of independent trials (Wilson 1927).
  case wilson
  /// Exact bounds of one proportion of independent trials (Clopper and Pearson 1934).
  case clopperPearson = "clopper-pearson"
  /// Percentiles over resamples of whole patients, who repeat themselves (Field and Welsh 2007).
  case patientBootstrap = "patient-bootstrap"
  /// The same resamples, corrected for bias and for a spread that changes with the value (BCa, Efron 1987; acceleration by
  /// leaving out one patient at a time).
  case patientBootstrapCorrected = "patient-bootstrap-bca"
  /// Exact bounds of a count over a time (Garwood 1936).
  case poissonExact = "poisson-exact"
}

/// Two bounds at a confidence of 95 %, and how they were found.
package struct Interval: Hashable, Sendable {
  package var lower: Double
  package var upper: Double
  package var method: IntervalMethod

  package init(lower: Double, upper: Double, method: IntervalMethod) {
    self.lower = lower
    self.upper = upper
    self.method = method
  }

  package func contains(_ value: Double) -> Bool { lower <= value && value <= upper }

  /// The share of all resamples or repetitions left out, both ends together.
  package static let alpha = 0.05
}

/// Intervals of `successes` out of `count` independent trials. They are too narrow for repeated alerts of one patient, where
/// ``PatientBootstrap`` belongs.
package enum Proportion {
  /// The 97.5th percentile of the standard normal distribution.
  static let normalQuantile = 1.959963984540054

  /// Wilson's score interval, without continuity correction.
  ///
  /// - Precondition: `0...count` successes of at least one trial.
  package static func wilson(_ successes: Int, of count: Int) -> Interval {
    precondition(count > 0 && (0...count).contains(successes), "a proportion of at least one trial")
    let n = Double(count)
    let share = Double(successes) / n
    let square = normalQuantile * normalQuantile
    let centre = (share + square / (2 * n)) / (1 + square / n)
    let spread = normalQuantile / (1 + square / n) * (share * (1 - share) / n + square / (4 * n * n)).squareRoot()
    return Interval(
      lower: successes == 0 ? 0 : max(0, centre - spread), upper: successes == count ? 1 : min(1, centre + spread),
      method: .wilson)
  }

  /// Clopper and Pearson's exact interval.
  ///
  /// - Precondition: `0...count` successes of at least one trial.
  package static func clopperPearson(_ successes: Int, of count: Int) -> Interval {
    precondition(count > 0 && (0...count).contains(successes), "a proportion of at least one trial")
    let half = Interval.alpha / 2
    // P(X >= k | p) rises with p: the bounds are where one tail holds half of alpha.
    let lower =
      successes == 0
      ? 0 : root { BetaFunction.regularized(a: Double(successes), b: Double(count - successes + 1), x: $0) - half }
    let upper =
      successes == count
      ? 1
      : root { BetaFunction.regularized(a: Double(successes + 1), b: Double(count - successes), x: $0) - (1 - half) }
    return Interval(lower: lower, upper: upper, method: .clopperPearson)
  }

  /// Where a rising function crosses zero between 0 and 1, to the last bit or nearly so.
  private static func root(_ function: (Double) -> Double) -> Double {
    var (low, high) = (0.0, 1.0)
    for _ in 0..<100 {
      let middle = (low + high) / 2
      if middle == low || middle == high { break }
      if function(middle) < 0 { low = middle } else { high = middle }
    }
    return (low + high) / 2
  }
}

/// Exact bounds of a rate of independent counts. They are too narrow for repeated alerts of one patient, where
/// ``PatientBootstrap`` belongs.
package enum PoissonRate {
  /// Garwood's interval of a count over a time: half of alpha in each tail.
  ///
  /// - Precondition: `count` is not below zero, `time` is above zero.
  package static func exact(_ count: Int, in time: Double) -> Interval {
    precondition(count >= 0 && time > 0, "a rate needs time")
    guard count > 0 else { return none(in: time) }
    let half = Interval.alpha / 2
    // P(X >= k | mean) is P(k, mean), and P(X <= k | mean) is Q(k + 1, mean): both are monotone in the mean.
    let lower = root(Double(count)) { GammaFunction.lower(a: Double(count), x: $0) - half }
    let upper = root(Double(count)) { GammaFunction.lower(a: Double(count + 1), x: $0) - (1 - half) }
    return Interval(lower: lower / time, upper: upper / time, method: .poissonExact)
  }

  /// Where a rising function crosses zero above zero.
  private static func root(_ start: Double, _ function: (Double) -> Double) -> Double {
    var (low, high) = (0.0, start)
    while function(high) < 0 { (low, high) = (high, 2 * high) }
    for _ in 0..<200 {
      let middle = (low + high) / 2
      if middle == low || middle == high { break }
      if function(middle) < 0 { low = middle } else { high = middle }
    }
    return (low + high) / 2
  }

  /// No event in `time`: the rate is below −ln(α/2) ÷ time.
  ///
  /// - Precondition: `time` is above zero.
  package static func none(in time: Double) -> Interval {
    precondition(time > 0, "a rate needs time")
    return Interval(lower: 0, upper: -log(Interval.alpha / 2) / time, method: .poissonExact)
  }
}

/// The regularized incomplete beta function.
enum BetaFunction {
  /// I_x(a, b) for a, b > 0 and x in 0...1, by the continued fraction of DLMF 8.17.22 with Lentz's evaluation.
  static func regularized(a: Double, b: Double, x: Double) -> Double {
    if x <= 0 { return 0 }
    if x >= 1 { return 1 }
    let front = exp(logGamma(a + b) - logGamma(a) - logGamma(b) + a * log(x) + b * log1p(-x))
    // The fraction converges fast below the mean; above it the mirror image does.
    if x > (a + 1) / (a + b + 2) { return 1 - front * fraction(a: b, b: a, x: 1 - x) / b }
    return front * fraction(a: a, b: b, x: x) / a
  }

  private static let termsMax = 10_000
  private static let tiny = 1e-300

  private static func fraction(a: Double, b: Double, x: Double) -> Double {
    var c = 1.0
    var d = inverse(1 - (a + b) * x / (a + 1))
    var value = d
    for index in 1...termsMax {
      let m = Double(index)
      let even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
      d = inverse(1 + even * d)
      c = away(1 + even / c)
      value *= d * c
      let odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
      d = inverse(1 + odd * d)
      c = away(1 + odd / c)
      let step = d * c
      value *= step
      if abs(step - 1) < 1e-15 { break }
    }
    return value
  }

  private static func away(_ value: Double) -> Double { abs(value) < tiny ? tiny : value }
  private static func inverse(_ value: Double) -> Double { 1 / away(value) }

  /// ln Γ(x) for x > 0: shifted up to where Stirling's series (DLMF 5.11.1) is exact to a double.
  static func logGamma(_ x: Double) -> Double {
    var (x, shift) = (x, 0.0)
    while x < 15 {
      shift -= log(x)
      x += 1
    }
    let square = x * x
    let series = (1.0 / 12 - (1.0 / 360 - (1.0 / 1260 - 1.0 / 1680 / square) / square) / square) / x
    return shift + (x - 0.5) * log(x) - x + 0.918_938_533_204_672_7 + series
  }
}
