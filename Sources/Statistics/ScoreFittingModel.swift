import Glibc

/// Step functions of a few inputs added up to the log-odds of an event, before rounding.
struct AdditiveModel {
  struct Item {
    var input: Int
    /// First fine bin of each band.
    var starts: [Int]
    /// By band; none of them below zero, and that of ``reference`` zero.
    var values: [Double]
    /// The band of those who score nothing; unknown values count as in it.
    var reference: Int
    /// By fine bin, the unknown bin's at its place.
    var bandOf: [UInt8]

    init(input: Int, cut: BandCut, bins: Int, trend: ScoreTrend) {
      self.input = input
      starts = cut.starts
      switch trend {
      case .rising: reference = 0
      case .falling: reference = cut.values.count - 1
      case .either: reference = cut.values.indices.min { cut.values[$0] < cut.values[$1] } ?? 0
      }
      let least = cut.values[reference]
      values = cut.values.map { max(0, $0 - least) }
      bandOf = [UInt8](repeating: UInt8(reference), count: 256)
      for bin in 0..<bins { bandOf[bin] = UInt8((starts.lastIndex { $0 <= bin }) ?? 0) }
    }
  }

  let inputs: [ScoreFittingInput]
  let options: ScoreFitting.Options
  let fine: [FineBins]
  /// By input, by row fitted on.
  let bins: [[UInt8]]
  let isPositive: [Bool]
  let weights: [Double]
  private(set) var items: [Item] = []
  private(set) var intercept = 0.0
  /// Log-odds by row.
  private var odds: [Double]
  /// By row: weight × (truth − chance), and weight × chance × (1 − chance).
  private var slopes: [Double]
  private var curves: [Double]

  init(_ rows: BalancedRows, _ inputs: [ScoreFittingInput], _ options: ScoreFitting.Options) {
    self.inputs = inputs
    self.options = options
    let fine = inputs.map { FineBins($0, rows: rows.rows) }
    bins = inputs.indices.map { input in rows.rows.map { fine[input].bin(inputs[input].values[Int($0)]) } }
    self.fine = fine
    isPositive = rows.isPositive
    weights = rows.weights
    odds = [Double](repeating: 0, count: weights.count)
    slopes = odds
    curves = odds
    look()
  }

  /// What the model adds to the log-likelihood of none.
  var gain: Double { AdditiveModel.likelihood(odds, isPositive, weights) + log(2) * weights.reduce(0, +) }

  static func likelihood(_ odds: [Double], _ isPositive: [Bool], _ weights: [Double]) -> Double {
    var total = 0.0
    for row in odds.indices {
      let value = isPositive[row] ? odds[row] : -odds[row]
      total -= weights[row] * (value > 0 ? log1p(exp(-value)) : log1p(exp(value)) - value)
    }
    return total
  }

  // MARK: Choice

  /// Adds the best item until none is worth its price, then tries to replace each.
  mutating func choose() {
    while items.count < options.itemsMax, add() {}
    for _ in 0..<options.replacements { replaceEach() }
  }

  private mutating func replaceEach() {
    for _ in 0..<items.count {
      let (before, gainBefore) = (self, gain)
      items.removeFirst()
      restart()
      refit(rounds: 3)
      guard add(), gain > gainBefore + 0.01 else {
        self = before
        // The next in turn.
        items.append(items.removeFirst())
        continue
      }
    }
  }

  /// - Returns: false where no input is worth an item.
  private mutating func add() -> Bool {
    let terms = BandCut.Terms(
      bandsMax: options.bandsMax, price: options.bandPrice, ridge: options.ridge, shareMin: options.shareMin)
    var best: (gain: Double, input: Int, cut: BandCut)?
    for input in inputs.indices where !items.contains(where: { $0.input == input }) {
      let cut = BandCut(wanted(input), trend: inputs[input].trend, terms)
      if cut.starts.count > 1, cut.gain > best?.gain ?? options.itemPrice { best = (cut.gain, input, cut) }
    }
    guard let best else { return false }
    items.append(
      Item(input: best.input, cut: best.cut, bins: fine[best.input].count, trend: inputs[best.input].trend))
    restart()
    refit(rounds: 6)
    return true
  }

  /// What each fine bin of an input that is no item yet asks for. Unknown values are left out: that something was measured
  /// at all must earn nothing.
  private func wanted(_ input: Int) -> BandCut.Wanted {
    let (slopes, curves) = sums(by: bins[input])
    let count = fine[input].count
    return BandCut.Wanted(slopes: Array(slopes[..<count]), curves: Array(curves[..<count]))
  }

  private func sums(by bins: [UInt8]) -> (sums: [Double], hessians: [Double]) {
    var (sums, hessians) = ([Double](repeating: 0, count: 256), [Double](repeating: 0, count: 256))
    sums.withUnsafeMutableBufferPointer { sums in
      hessians.withUnsafeMutableBufferPointer { hessians in
        for row in bins.indices {
          let bin = Int(bins[row])
          sums[bin] += slopes[row]
          hessians[bin] += curves[row]
        }
      }
    }
    return (sums, hessians)
  }

  // MARK: Fit

  private mutating func restart() {
    for row in odds.indices { odds[row] = intercept }
    for item in items { add(item.values, of: item) }
    look()
  }

  private mutating func add(_ values: [Double], of item: Item) {
    let table = (0..<256).map { values[Int(item.bandOf[$0])] }
    let own = bins[item.input]
    for row in odds.indices { odds[row] += table[Int(own[row])] }
  }

  /// Chances from log-odds.
  private mutating func look() {
    for row in odds.indices {
      let chance = 1 / (1 + exp(-odds[row]))
      slopes[row] = weights[row] * ((isPositive[row] ? 1 : 0) - chance)
      curves[row] = weights[row] * chance * (1 - chance)
    }
  }

  /// Newton steps of one item after the other, in rounds.
  private mutating func refit(rounds: Int) {
    for _ in 0..<rounds {
      var moved = moveIntercept()
      for place in items.indices { moved = max(moved, move(place)) }
      if moved < 1e-3 { return }
    }
  }

  private mutating func moveIntercept() -> Double {
    let curve = curves.reduce(0, +)
    guard curve > 0 else { return 0 }
    let step = slopes.reduce(0, +) / curve
    intercept += step
    for row in odds.indices { odds[row] += step }
    look()
    return abs(step)
  }

  /// - Returns: the longest step.
  private mutating func move(_ place: Int) -> Double {
    let item = items[place]
    let (sums, hessians) = sums(by: bins[item.input])
    var (slope, curve) = (
      [Double](repeating: 0, count: item.values.count), [Double](repeating: 0, count: item.values.count)
    )
    for bin in 0..<256 {
      slope[Int(item.bandOf[bin])] += sums[bin]
      curve[Int(item.bandOf[bin])] += hessians[bin]
    }
    var values = item.values
    for band in values.indices where band != item.reference {
      let step = (slope[band] - options.ridge * values[band]) / (curve[band] + options.ridge)
      values[band] = max(0, values[band] + min(2, max(-2, step)))
    }
    values = AdditiveModel.ordered(values, weights: curve, reference: item.reference)
    let steps = zip(values, item.values).map { $0 - $1 }
    items[place].values = values
    add(steps, of: item)
    look()
    return steps.map(abs).max() ?? 0
  }

  /// Values that never fall away from the band that scores nothing: neighbours against it become their mean (pool
  /// adjacent violators).
  private static func ordered(_ values: [Double], weights: [Double], reference: Int) -> [Double] {
    func rising(_ bands: [Int]) -> [Double] {
      var runs: [(value: Double, weight: Double, count: Int)] = []
      for band in bands {
        runs.append((values[band], weights[band] + 1e-9, 1))
        while runs.count > 1, runs[runs.count - 2].value > runs[runs.count - 1].value {
          let last = runs.removeLast()
          let before = runs[runs.count - 1]
          let weight = before.weight + last.weight
          runs[runs.count - 1] = (
            (before.value * before.weight + last.value * last.weight) / weight, weight, before.count + last.count
          )
        }
      }
      return runs.reduce(into: []) { $0 += [Double](repeating: $1.value, count: $1.count) }
    }
    let below = rising(Array((0..<reference).reversed()))
    let above = rising(Array((reference + 1)..<values.count))
    return below.reversed() + [0] + above
  }
}
