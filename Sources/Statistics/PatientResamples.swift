/// Whole patients drawn with replacement, once for all figures of a report: columns of one value per patient are summed in
/// each draw, and figures are ratios of those sums. A thousand draws of twenty thousand patients take well below a second.
struct PatientResamples {
  /// Fewer tell too little of the tails (SEMANTICS F3).
  static let countMin = 1000

  let patients: Int
  let count: Int
  let seed: UInt64
  private var columns: [PatientColumn] = []
  private var statistics: [any ResampledStatistic] = []
  /// By column, then draw.
  private var sums: [Double] = []
  /// By statistic, then draw; not a number where it had no value.
  private var values: [Double] = []
  private var totals: [Double] = []

  /// - Precondition: at least ``countMin`` draws.
  init(patients: Int, count: Int, seed: UInt64) {
    precondition(count >= PatientResamples.countMin, "too few resamples")
    self.patients = patients
    self.count = count
    self.seed = seed
  }

  /// - Returns: the column's number for ``RatioRecipe``.
  mutating func add(_ values: [Double]) -> Int {
    precondition(values.count == patients, "one value per patient")
    columns.append(PatientColumn(values))
    return columns.count - 1
  }

  /// - Returns: the statistic's number.
  mutating func add(_ statistic: any ResampledStatistic) -> Int {
    statistics.append(statistic)
    return statistics.count - 1
  }

  /// Draws, and sums every column in every draw. O(draws × (patients + values kept)).
  mutating func run() {
    var sampler = Resampler(seed: seed)
    var weights = [Double](repeating: 1, count: patients)
    totals = weights.withUnsafeBufferPointer { weights in columns.map { $0.sum(weights) } }
    guard patients > 1 else { return }
    sums = [Double](repeating: 0, count: columns.count * count)
    values = [Double](repeating: .nan, count: statistics.count * count)
    for draw in 0..<count {
      weights.withUnsafeMutableBufferPointer { weights in
        weights.update(repeating: 0)
        for _ in 0..<patients { weights[sampler.index(below: patients)] += 1 }
      }
      weights.withUnsafeBufferPointer { weights in
        for index in columns.indices { sums[index * count + draw] = columns[index].sum(weights) }
        for index in statistics.indices {
          values[index * count + draw] = statistics[index].value(weights) ?? .nan
        }
      }
    }
  }

  /// Of a column over all patients, each once. Only after ``run()``.
  func total(_ column: Int) -> Double { totals[column] }

  /// The value of a sum of columns over all patients.
  private func total(_ terms: [RatioRecipe.Term]) -> Double {
    terms.reduce(0) { $0 + $1.factor * totals[$1.column] }
  }

  /// A ratio with its interval. Only after ``run()``. O(draws × terms + patients).
  ///
  /// - Returns: nil where its denominator is zero.
  func figure(_ recipe: RatioRecipe) -> Figure? {
    let below = total(recipe.denominator)
    guard below > 0 else { return nil }
    let value = total(recipe.numerator) / below
    let denominators = perPatient(recipe.denominator)
    let contributing = denominators.count { $0 != 0 }
    if let exact = exact(recipe.kind, value: value, time: below, patients: contributing) {
      return Figure(value: value, intervals: exact, patients: contributing)
    }
    guard contributing > 1 else { return Figure(value: value, intervals: [], patients: contributing) }
    var draws: [Double] = []
    draws.reserveCapacity(count)
    for draw in 0..<count {
      var (top, bottom) = (0.0, 0.0)
      for term in recipe.numerator { top += term.factor * sums[term.column * count + draw] }
      for term in recipe.denominator { bottom += term.factor * sums[term.column * count + draw] }
      if bottom > 0 { draws.append(top / bottom) }
    }
    let top = total(recipe.numerator)
    let numerators = perPatient(recipe.numerator)
    let without = numerators.indices.compactMap { index in
      below - denominators[index] > 0 ? (top - numerators[index]) / (below - denominators[index]) : nil
    }
    var intervals = BootstrapInterval.both(value, draws: draws, leavingOut: without, bounds: recipe.kind.bounds)
    if recipe.kind == .share, isYesOrNo(recipe, numerators, denominators) {
      let (yes, of) = (Int(top.rounded()), contributing)
      intervals = [Proportion.wilson(yes, of: of), Proportion.clopperPearson(yes, of: of)] + intervals
    }
    return Figure(value: value, intervals: intervals, patients: contributing)
  }

  /// A statistic's interval beside its value. Only after ``run()``.
  func figure(_ statistic: Int, value: Double, patients contributing: Int) -> Figure {
    guard contributing > 1, patients > 1 else { return Figure(value: value, intervals: [], patients: contributing) }
    let draws = values[statistic * count..<(statistic + 1) * count].filter { !$0.isNaN }
    let intervals = BootstrapInterval.both(
      value, draws: draws, leavingOut: statistics[statistic].leavingOut(), bounds: nil)
    return Figure(value: value, intervals: intervals, patients: contributing)
  }

  /// How far a ratio's resampled values lie from their mean: its standard error. Only after ``run()``.
  func spread(_ recipe: RatioRecipe) -> Double? {
    guard patients > 1 else { return nil }
    return PatientResamples.deviation(
      (0..<count).compactMap { draw in
        var (top, bottom) = (0.0, 0.0)
        for term in recipe.numerator { top += term.factor * sums[term.column * count + draw] }
        for term in recipe.denominator { bottom += term.factor * sums[term.column * count + draw] }
        return bottom > 0 ? top / bottom : nil
      })
  }

  /// The same of a statistic.
  func spread(_ statistic: Int) -> Double? {
    guard patients > 1 else { return nil }
    return PatientResamples.deviation(values[statistic * count..<(statistic + 1) * count].filter { !$0.isNaN })
  }

  private static func deviation(_ draws: [Double]) -> Double? {
    guard draws.count > 1 else { return nil }
    let mean = draws.reduce(0, +) / Double(draws.count)
    let squares = draws.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
    return (squares / Double(draws.count - 1)).squareRoot()
  }

  private func perPatient(_ terms: [RatioRecipe.Term]) -> [Double] {
    var result = [Double](repeating: 0, count: patients)
    for term in terms { columns[term.column].add(to: &result, times: term.factor) }
    return result
  }

  /// Resampling says nothing where all are alike: exact bounds over patients, never over alerts.
  private func exact(_ kind: RatioRecipe.Kind, value: Double, time: Double, patients: Int) -> [Interval]? {
    switch kind {
    case .share where value <= 0: [Proportion.clopperPearson(0, of: patients)]
    case .share where value >= 1: [Proportion.clopperPearson(patients, of: patients)]
    case .rate where value <= 0: [PoissonRate.none(in: time)]
    default: nil
    }
  }

  /// Whether every patient gives one answer: only then are answers independent of one another.
  private func isYesOrNo(_ recipe: RatioRecipe, _ numerators: [Double], _ denominators: [Double]) -> Bool {
    zip(numerators, denominators).allSatisfy { pair in
      pair.1 == 0 ? pair.0 == 0 : pair.1 == 1 && (pair.0 == 0 || pair.0 == 1)
    }
  }
}

/// A figure as a ratio of sums over patients.
struct RatioRecipe: Sendable {
  struct Term: Sendable {
    var column: Int
    var factor = 1.0
  }

  /// What its bounds are.
  enum Kind: Sendable {
    /// Between 0 and 1, with exact bounds over patients at both.
    case share
    /// Not below zero, with an exact bound at zero: something over time.
    case rate
    case free

    var bounds: ClosedRange<Double>? {
      switch self {
      case .share: 0...1
      case .rate: 0...Double.greatestFiniteMagnitude
      case .free: nil
      }
    }
  }

  var numerator: [Term]
  var denominator: [Term]
  var kind: Kind

  init(_ numerator: [Term], over denominator: [Term], _ kind: Kind) {
    self.numerator = numerator
    self.denominator = denominator
    self.kind = kind
  }

  init(_ numerator: Int, over denominator: Int, _ kind: Kind) {
    self.init([Term(column: numerator)], over: [Term(column: denominator)], kind)
  }
}

/// A figure of an evaluation: its value, how sure it is in every way that applies, and what it rests on.
package struct Figure: Hashable, Sendable {
  package var value: Double
  /// The one to quote first; none: one patient alone says nothing of others.
  package var intervals: [Interval]
  /// Patients it rests on.
  package var patients: Int

  package init(value: Double, intervals: [Interval], patients: Int) {
    self.value = value
    self.intervals = intervals
    self.patients = patients
  }

  package var interval: Interval? { intervals.first }

  /// The interval of one method, where it applies.
  package func interval(_ method: IntervalMethod) -> Interval? { intervals.first { $0.method == method } }
}

/// Intervals from resampled values.
enum BootstrapInterval {
  /// The corrected one first where it can be had, then percentiles; both widened to the value where resampling missed it.
  static func both(
    _ value: Double, draws: [Double], leavingOut: [Double], bounds: ClosedRange<Double>?
  ) -> [Interval] {
    guard draws.count > 1 else { return [] }
    let sorted = draws.sorted()
    func interval(_ low: Double, _ high: Double, _ method: IntervalMethod) -> Interval {
      func value(_ share: Double) -> Double {
        sorted[min(sorted.count - 1, max(0, Int((share * Double(sorted.count)).rounded(.down))))]
      }
      // The upper rank is the mirror image of the lower one.
      func mirrored(_ share: Double) -> Double {
        sorted[
          sorted.count - 1 - min(sorted.count - 1, max(0, Int(((1 - share) * Double(sorted.count)).rounded(.down))))]
      }
      return clamped(value(low), mirrored(high), method)
    }
    func clamped(_ low: Double, _ high: Double, _ method: IntervalMethod) -> Interval {
      Interval(
        lower: max(bounds?.lowerBound ?? -.infinity, min(value, low)),
        upper: min(bounds?.upperBound ?? .infinity, max(value, high)), method: method)
    }
    let half = Interval.alpha / 2
    let percentiles = interval(half, 1 - half, .patientBootstrap)
    guard let (low, high) = corrected(value, sorted: sorted, leavingOut: leavingOut) else { return [percentiles] }
    return [interval(low, high, .patientBootstrapCorrected), percentiles]
  }

  /// The shares of resampled values between which the corrected interval lies (Efron and Tibshirani 1993, 14.3).
  ///
  /// - Returns: nil where leaving patients out changes nothing, or every value lies on one side.
  private static func corrected(
    _ value: Double, sorted: [Double], leavingOut: [Double]
  ) -> (low: Double, high: Double)? {
    guard leavingOut.count > 1 else { return nil }
    let mean = leavingOut.reduce(0, +) / Double(leavingOut.count)
    var (square, cube) = (0.0, 0.0)
    for other in leavingOut {
      let distance = mean - other
      square += distance * distance
      cube += distance * distance * distance
    }
    guard square > 0 else { return nil }
    let acceleration = cube / (6 * square * square.squareRoot())
    // Values of few patients repeat: those equal to the figure count half.
    let below = sorted.count { $0 < value }
    let equal = sorted.count { $0 == value }
    let bias = Normal.quantile((Double(below) + Double(equal) / 2) / Double(sorted.count))
    guard bias.isFinite else { return nil }
    func share(_ z: Double) -> Double {
      let shifted = bias + z
      let scale = 1 - acceleration * shifted
      return scale > 0 ? Normal.cumulative(bias + shifted / scale) : shifted > 0 ? 1 : 0
    }
    return (share(-Proportion.normalQuantile), share(Proportion.normalQuantile))
  }
}
