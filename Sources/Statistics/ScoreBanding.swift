/// An input's values in fine bins, of which bands are made.
struct FineBins {
  /// The last value of each bin but the last, ascending.
  let edges: [Int32]

  /// Where bins end unless edges are given: dense towards the ends, where points are.
  static let shares = [
    0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 0.975, 0.99,
  ]
  static let unknown: UInt8 = 255

  var count: Int { edges.count + 1 }

  /// - Parameter rows: those whose values place the edges.
  init(_ input: ScoreFittingInput, rows: [Int32]) {
    if let given = input.edges {
      edges = Array(given.prefix(FineBins.shares.count * 2))
      return
    }
    let known = rows.map { input.values[Int($0)] }.filter { $0 != ScoreFittingInput.unknown }.sorted()
    var found: [Int32] = []
    for share in FineBins.shares {
      guard let value = Quantile.nearestRank(share, of: known), value > found.last ?? .min, value < known.last ?? .min
      else { continue }
      found.append(value)
    }
    edges = found
  }

  func bin(_ value: Int32) -> UInt8 {
    if value == ScoreFittingInput.unknown { return FineBins.unknown }
    var (low, high) = (0, edges.count)
    while low < high {
      let middle = (low + high) / 2
      if value > edges[middle] { low = middle + 1 } else { high = middle }
    }
    return UInt8(low)
  }
}

/// Fine bins put together into a few bands, so that a step function over them explains most and runs as the trend says.
struct BandCut {
  /// First bin of each band, ascending, the first 0.
  private(set) var starts: [Int] = [0]
  /// Each band's coefficient.
  private(set) var values: [Double] = [0]
  /// What the bands explain beyond one constant, less the price of the bands.
  private(set) var gain = 0.0

  /// By bin: Σ of the log-likelihood's slope, and Σ of its curvature.
  struct Wanted {
    var slopes: [Double]
    var curves: [Double]
  }

  struct Terms {
    var bandsMax: Int
    /// What each band after the first must earn.
    var price: Double
    var ridge: Double
    /// The least share of the curvature a band has.
    var shareMin: Double
  }

  /// One way to end: the last band, and the best there is up to it.
  private struct Step {
    var worth = -Double.infinity
    /// The band before it began here, and whether the way had turned by then.
    var before = -1
    var hadTurned = false
  }

  /// The best cut by dynamic programming over the last band and whether the points have turned upwards.
  /// O(bands × bins³).
  init(_ wanted: Wanted, trend: ScoreTrend, _ terms: Terms) {
    let bins = wanted.slopes.count
    let bands = BandValues(wanted, terms)
    guard bins > 1, bands.worth(0, bins) > -.infinity else { return }
    // steps[turned][start][end] of the band that is last.
    let none = [[Step]](repeating: [Step](repeating: Step(), count: bins + 1), count: bins)
    var levels = [[none, none]]
    for end in 1...bins { levels[0][trend == .rising ? 1 : 0][0][end].worth = bands.worth(0, end) }
    for level in 1..<max(1, min(terms.bandsMax, bins)) {
      var next = [none, none]
      for turned in 0...1 {
        for start in 0..<bins {
          for end in (start + 1)..<bins where levels[level - 1][turned][start][end].worth > -.infinity {
            let so = levels[level - 1][turned][start][end].worth
            for to in (end + 1)...bins {
              let isUp = bands.value(end, to) > bands.value(start, end)
              // Once points rise they do not fall again; where they may only fall they never rise.
              if isUp ? trend == .falling : turned == 1 { continue }
              let worth = so + bands.worth(end, to)
              let place = isUp ? 1 : turned
              if worth > next[place][end][to].worth {
                next[place][end][to] = Step(worth: worth, before: start, hadTurned: turned == 1)
              }
            }
          }
        }
      }
      levels.append(next)
    }
    take(levels, bands, bins: bins, price: terms.price)
  }

  private mutating func take(_ levels: [[[[Step]]]], _ bands: BandValues, bins: Int, price: Double) {
    let least = bands.worth(0, bins)
    for level in levels.indices.dropFirst() {
      for turned in 0...1 {
        for start in 0..<bins {
          let found = (levels[level][turned][start][bins].worth - least) / 2 - price * Double(level)
          guard found > gain else { continue }
          gain = found
          starts = BandCut.way(levels, level: level, turned: turned, start: start, end: bins)
        }
      }
    }
    values = starts.indices.map { bands.value(starts[$0], $0 + 1 < starts.count ? starts[$0 + 1] : bins) }
  }

  private static func way(_ levels: [[[[Step]]]], level: Int, turned: Int, start: Int, end: Int) -> [Int] {
    var (starts, turned, start, end) = ([start], turned, start, end)
    for level in stride(from: level, to: 0, by: -1) {
      let step = levels[level][turned][start][end]
      (end, start, turned) = (start, step.before, step.hadTurned ? 1 : 0)
      starts.append(start)
    }
    return starts.reversed()
  }

  /// Of any run of bins: the coefficient that fits it best, and twice the log-likelihood that adds.
  private struct BandValues {
    private let slopes: [Double]
    private let curves: [Double]
    private let ridge: Double
    private let curveMin: Double

    init(_ wanted: Wanted, _ terms: Terms) {
      (slopes, curves) = (BandValues.running(wanted.slopes), BandValues.running(wanted.curves))
      ridge = terms.ridge
      curveMin = terms.shareMin * (curves.last ?? 0)
    }

    private static func running(_ values: [Double]) -> [Double] {
      values.reduce(into: [0]) { $0.append($0[$0.count - 1] + $1) }
    }

    func value(_ from: Int, _ to: Int) -> Double { (slopes[to] - slopes[from]) / (curves[to] - curves[from] + ridge) }

    func worth(_ from: Int, _ to: Int) -> Double {
      let (slope, curve) = (slopes[to] - slopes[from], curves[to] - curves[from])
      return curve > 0 && curve >= curveMin ? slope * slope / (curve + ridge) : -.infinity
    }
  }
}
