import Glibc

/// Coefficients made whole points, and the points improved one at a time.
struct WholePoints {
  private struct Row {
    var input: Int
    var reference: Int
    /// By band: the last fine bin of it.
    var ends: [Int]
    var points: [Int]
    /// By row fitted on.
    var bands: [UInt8]
  }

  /// Weight of positives and negatives by total.
  private struct Tally {
    var positive: [Double]
    var negative: [Double]
  }

  private var rows: [Row]
  private let fine: [FineBins]
  private let isPositive: [Bool]
  private let weights: [Double]
  private let pointsMax: Int
  /// Log-likelihood the points add to none.
  private(set) var gain = 0.0

  /// The points of the unit that loses least of the coefficients.
  init(_ model: AdditiveModel, pointsMax: Int) {
    fine = model.fine
    isPositive = model.isPositive
    weights = model.weights
    self.pointsMax = pointsMax
    rows = model.items.map { item in
      Row(
        input: item.input, reference: item.reference,
        ends: item.starts.indices.map { $0 + 1 < item.starts.count ? item.starts[$0 + 1] - 1 : .max },
        points: [Int](repeating: 0, count: item.values.count),
        bands: model.bins[item.input].map { item.bandOf[Int($0)] })
    }
    let highest = model.items.flatMap(\.values).max() ?? 0
    guard highest > 0 else { return }
    var best: (gain: Double, points: [[Int]])?
    for halves in stride(from: 4, through: 4 * pointsMax, by: 1) {
      let unit = 4 * highest / Double(halves)
      let points = model.items.map { item in item.values.map { min(pointsMax, Int(($0 / unit).rounded())) } }
      for place in rows.indices { rows[place].points = points[place] }
      let found = WholePoints.gain(tally())
      if found > (best?.gain ?? 0) + 1e-9 { best = (found, points) }
    }
    for place in rows.indices { rows[place].points = best?.points[place] ?? rows[place].points }
    gain = best?.gain ?? 0
  }

  /// Moves single bands by one point while that helps.
  mutating func improve() {
    for _ in 0..<200 {
      let whole = tally()
      let parts = partTallies()
      var best: (gain: Double, place: Int, band: Int, step: Int)?
      for place in rows.indices {
        for band in rows[place].points.indices where band != rows[place].reference {
          for step in [1, -1] where isAllowed(place, band, step) {
            let found = WholePoints.gain(WholePoints.moved(whole, parts[place][band], by: step))
            if found > best?.gain ?? gain + 1e-3 { best = (found, place, band, step) }
          }
        }
      }
      guard let best else { return }
      rows[best.place].points[best.band] += best.step
      gain = best.gain
    }
  }

  /// A single band of one point is worth two: between none and the most a score gives there must be a limit to alert from.
  mutating func widen() {
    guard most == 1, pointsMax > 1 else { return }
    for place in rows.indices { rows[place].points = rows[place].points.map { $0 * 2 } }
  }

  /// Bands of equal points together; items without points left out.
  var items: [ScoreFitting.Item] {
    rows.compactMap { row in
      var bands: [(upTo: Int32, points: Int)] = []
      for (band, points) in row.points.enumerated() {
        let upTo = row.ends[band] == .max ? Int32.max : fine[row.input].edges[row.ends[band]]
        if bands.last?.points == points { bands[bands.count - 1].upTo = upTo } else { bands.append((upTo, points)) }
      }
      return bands.count > 1 ? ScoreFitting.Item(input: row.input, bands: bands) : nil
    }
  }

  private func isAllowed(_ place: Int, _ band: Int, _ step: Int) -> Bool {
    var points = rows[place].points
    points[band] += step
    guard (0...pointsMax).contains(points[band]) else { return false }
    // Never fewer points further away from the band that scores nothing.
    let reference = rows[place].reference
    let (below, above) = (points[...reference], points[reference...])
    return zip(below, below.dropFirst()).allSatisfy { $0 >= $1 }
      && zip(above, above.dropFirst()).allSatisfy { $0 <= $1 }
  }

  // MARK: Tallies

  private var most: Int { rows.reduce(0) { $0 + ($1.points.max() ?? 0) } }

  private func totals() -> [Int] {
    var totals = [Int](repeating: 0, count: weights.count)
    for row in rows { for index in totals.indices { totals[index] += row.points[Int(row.bands[index])] } }
    return totals
  }

  private func tally() -> Tally {
    var tally = Tally(
      positive: [Double](repeating: 0, count: most + 3), negative: [Double](repeating: 0, count: most + 3))
    for (index, total) in totals().enumerated() {
      // One place below the least total, for a step down.
      if isPositive[index] {
        tally.positive[total + 1] += weights[index]
      } else {
        tally.negative[total + 1] += weights[index]
      }
    }
    return tally
  }

  /// By item and band: the tally of the rows in it.
  private func partTallies() -> [[Tally]] {
    let totals = totals()
    let empty = Tally(
      positive: [Double](repeating: 0, count: most + 3), negative: [Double](repeating: 0, count: most + 3))
    return rows.map { row in
      var parts = [Tally](repeating: empty, count: row.points.count)
      for index in totals.indices {
        let band = Int(row.bands[index])
        if isPositive[index] {
          parts[band].positive[totals[index] + 1] += weights[index]
        } else {
          parts[band].negative[totals[index] + 1] += weights[index]
        }
      }
      return parts
    }
  }

  private static func moved(_ whole: Tally, _ part: Tally, by step: Int) -> Tally {
    var moved = whole
    for place in part.positive.indices where part.positive[place] != 0 || part.negative[place] != 0 {
      moved.positive[place] -= part.positive[place]
      moved.negative[place] -= part.negative[place]
      moved.positive[place + step] += part.positive[place]
      moved.negative[place + step] += part.negative[place]
    }
    return moved
  }

  /// What the best straight line of log-odds over totals adds to none.
  private static func gain(_ tally: Tally) -> Double {
    var (level, slope) = (0.0, 0.1)
    let whole = tally.positive.reduce(0, +) + tally.negative.reduce(0, +)
    guard whole > 0 else { return 0 }
    func likelihood(_ level: Double, _ slope: Double) -> Double {
      var total = 0.0
      for place in tally.positive.indices {
        let odds = level + slope * Double(place)
        total -= tally.positive[place] * softplus(-odds) + tally.negative[place] * softplus(odds)
      }
      return total
    }
    level = -slope * mean(tally)
    for _ in 0..<12 {
      var (a, b, aa, ab, bb) = (0.0, 0.0, 1e-9, 0.0, 1e-9)
      for place in tally.positive.indices {
        let x = Double(place)
        let chance = 1 / (1 + exp(-(level + slope * x)))
        let all = tally.positive[place] + tally.negative[place]
        let rest = tally.positive[place] - all * chance
        let curve = all * chance * (1 - chance)
        a += rest
        b += rest * x
        aa += curve
        ab += curve * x
        bb += curve * x * x
      }
      let determinant = aa * bb - ab * ab
      guard determinant > 1e-12 else { break }
      let steps = ((bb * a - ab * b) / determinant, (aa * b - ab * a) / determinant)
      level += steps.0
      slope += steps.1
      if abs(steps.0) + abs(steps.1) < 1e-7 { break }
    }
    return likelihood(level, slope) + log(2) * whole
  }

  private static func mean(_ tally: Tally) -> Double {
    var (sum, weight) = (0.0, 0.0)
    for place in tally.positive.indices {
      let all = tally.positive[place] + tally.negative[place]
      sum += all * Double(place)
      weight += all
    }
    return weight > 0 ? sum / weight : 0
  }

  private static func softplus(_ value: Double) -> Double {
    value > 0 ? value + log1p(exp(-value)) : log1p(exp(value))
  }
}
