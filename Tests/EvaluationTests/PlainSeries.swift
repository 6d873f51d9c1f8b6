import VitalModel

/// The plain form of every window and aggregate: all samples in a dictionary, everything computed from the definitions in
/// `FeatureKind` at every question. What the engine keeps must equal it.
struct PlainSeries {
  var samples: [Int64: Int32] = [:]
  /// How long a sample stands at most, milliseconds.
  let standing: Int64
  /// Grid steps are this much in canonical units.
  var step = 1.0

  init(standing: Int64) { self.standing = standing }

  private func inside(_ window: WindowShape, now: Int64, halfLife: Bool) -> [(time: Int64, value: Double)] {
    let all = samples.keys.sorted().filter { $0 <= now }.map { (time: $0, value: Double(samples[$0] ?? 0) * step) }
    switch window {
    case .none, .sinceOnset: return all
    case .sliding(let length):
      let reach = halfLife ? 8 * length : length
      return all.filter { $0.time > now - reach }
    case .hopping(let length, let every):
      let edge = (now >= 0 ? now / every : (now - every + 1) / every) * every
      return all.filter { $0.time >= edge - length && $0.time < edge }
    case .samples(let count): return Array(all.suffix(count))
    case .session(let gap):
      guard let last = all.last, now - last.time <= gap else { return [] }
      var found: [(time: Int64, value: Double)] = []
      for sample in all.reversed() {
        if let next = found.last, next.time - sample.time > gap { break }
        found.append(sample)
      }
      return found.reversed()
    }
  }

  func value(_ feature: Feature, now: Int64) -> Double {
    func number(_ index: Int) -> Double {
      if case .constant(let value) = feature.arguments[index] { return value }
      return .nan
    }
    let list = inside(feature.window, now: now, halfLife: feature.kind == .ewma)
    let values = list.map(\.value)
    let sorted = values.sorted()
    let count = Double(values.count)
    switch feature.kind {
    case .count: return count
    case .countBelow: return Double(values.filter { $0 < number(0) }.count)
    case .countAbove: return Double(values.filter { $0 > number(0) }.count)
    case .crossings:
      return Double(zip(values, values.dropFirst()).filter { ($0 < number(0)) != ($1 < number(0)) }.count)
    default: break
    }
    guard let newest = list.last, let oldest = list.first else { return .nan }
    let minutes = Double(newest.time - oldest.time) / 60_000
    func median(_ sorted: [Double]) -> Double {
      (sorted[(sorted.count - 1) / 2] + sorted[sorted.count / 2]) / 2
    }
    let mean = values.reduce(0, +) / count
    switch feature.kind {
    case .first: return oldest.value
    case .newest: return newest.value
    case .mean: return mean
    case .median: return median(sorted)
    case .quantile:
      let place = number(0) * (count - 1)
      let rank = Int(place)
      return sorted[rank] + (place - Double(rank)) * (sorted[min(rank + 1, sorted.count - 1)] - sorted[rank])
    case .min: return sorted[0]
    case .max: return sorted[sorted.count - 1]
    case .range: return sorted[sorted.count - 1] - sorted[0]
    case .sum: return values.reduce(0, +)
    case .stddev: return (values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / count).squareRoot()
    case .delta: return newest.value - oldest.value
    case .rate: return minutes > 0 ? (newest.value - oldest.value) / minutes : .nan
    case .slope: return slope(list)
    case .irregularity:
      guard values.count >= 2, values.reduce(0, +) > 0 else { return .nan }
      let steps = zip(values, values.dropFirst()).map { ($1 - $0) * ($1 - $0) }
      return (steps.reduce(0, +) / Double(steps.count)).squareRoot() / mean
    case .ewma: return weighted(list, feature)
    case .baseline: return values.count < 20 ? .nan : min(max(median(sorted), number(0)), number(1))
    case .deviation:
      let centre = median(sorted)
      let spread = median(sorted.map { abs($0 - centre) }.sorted()) * 1.4826
      let last = Double(samples[samples.keys.filter { $0 <= now }.max() ?? 0] ?? 0) * step
      return values.count < 20 ? .nan : (last - centre) / max(spread, number(0))
    default: return stood(list, feature, limit: number(0), now: now)
    }
  }

  private func slope(_ list: [(time: Int64, value: Double)]) -> Double {
    guard list.count >= 2 else { return .nan }
    let minutes = list.map { Double($0.time - list[0].time) / 60_000 }
    let meanTime = minutes.reduce(0, +) / Double(list.count)
    let meanValue = list.map(\.value).reduce(0, +) / Double(list.count)
    let above = zip(minutes, list).reduce(0) { $0 + ($1.0 - meanTime) * ($1.1.value - meanValue) }
    return above / minutes.reduce(0) { $0 + ($1 - meanTime) * ($1 - meanTime) }
  }

  /// Integer weights of about a millionth: see the definition of the half-life weights.
  private func weighted(_ list: [(time: Int64, value: Double)], _ feature: Feature) -> Double {
    guard case .sliding(let halfLife) = feature.window, let newest = list.last else { return .nan }
    let reference = newest.time / halfLife - 8
    func power(_ x: Double) -> Double {
      var term = 1.0
      return (1...30).reduce(1.0) { sum, step in
        term *= x * 0.6931471805599453 / Double(step)
        return sum + term
      }
    }
    var above = 0.0
    var below = 0.0
    for sample in list {
      let number = sample.time / halfLife
      let part = Double(sample.time - number * halfLife) / Double(halfLife)
      let weight = (power(part) * 1_048_576).rounded(.down) * Double(1 << (number - reference))
      above += weight * sample.value
      below += weight
    }
    return above / below
  }

  private func stood(
    _ list: [(time: Int64, value: Double)], _ feature: Feature, limit: Double, now: Int64
  ) -> Double {
    var until = now
    if case .hopping(_, let every) = feature.window { until = now / every * every }
    let isBelow = [.timeBelow, .fractionBelow, .areaBelow].contains(feature.kind)
    var all: Int64 = 0
    var beyond: Int64 = 0
    var area = 0.0
    for (index, sample) in list.enumerated() {
      let end = index + 1 < list.count ? list[index + 1].time : until
      let held = min(end - sample.time, standing)
      let depth = isBelow ? limit - sample.value : sample.value - limit
      all += held
      if depth > 0 {
        beyond += held
        area += depth * Double(held)
      }
    }
    switch feature.kind {
    case .timeBelow, .timeAbove: return Double(beyond)
    case .areaBelow, .areaAbove: return area / 60_000
    default: return all == 0 ? .nan : Double(beyond) / Double(all)
    }
  }
}
