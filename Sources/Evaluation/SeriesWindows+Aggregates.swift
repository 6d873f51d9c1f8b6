import VitalModel

/// A feature as a series computes it: its window's position, limits in canonical units, the vital's grid.
package struct SeriesFeature: BitwiseCopyable, Sendable {
  package var kind: FeatureKind
  /// Position among the code's windows; -1 none.
  package var window: Int
  package var first: Double
  package var second: Double
  /// Grid steps are divided (negative exponent) or multiplied by this to become canonical units.
  package var scale: Double
  package var divides: Bool
  /// With fewer samples in the window the newest value stands; 0: never.
  package var leastCount: Int32

  @inline(__always)
  func canonical(_ grid: Double) -> Double { divides ? grid / scale : grid * scale }
}

/// What windows say.
///
/// Asking is `mutating` throughout: a series is some three hundred bytes, and only so is none of them copied.
extension SeriesWindows {
  /// Brings windows and features to `now`; ``changed`` gains a bit for every feature whose value is another.
  @inline(__always)
  package mutating func refresh(now: Int64, plan: PlanLayout.CodePlan) {
    if now == computedAt, !isOutdated { return }
    computedAt = now
    isOutdated = false
    trim(now: now, plan: plan)
    let hasNewValue = lastValue != seenValue
    seenValue = lastValue
    for index in 0..<valueCount {
      let value = value(plan.features[index], now: now, plan: plan)
      // An empty window of a series whose times lag is read as its newest value: that may move unseen by the window.
      if value.bitPattern != values[index].bitPattern || (hasNewValue && value.isNaN) {
        values[index] = value
        changed |= 1 << UInt64(min(index, 63))
      }
    }
  }

  /// The value of one of the plan's features as of the last ``refresh(now:plan:)``.
  package mutating func featureValue(_ index: Int) -> Double { values[index] }

  /// A feature's value in canonical units, NaN unknown, as of the last ``refresh(now:plan:)`` or
  /// ``trim(now:plan:)``. Limits the feature takes from parameters come as `first` and `second`.
  @inline(__always)
  package mutating func value(_ feature: SeriesFeature, now: Int64, plan: PlanLayout.CodePlan) -> Double {
    switch feature.kind {
    case .last: return lastTime == .min ? .nan : feature.canonical(Double(lastValue))
    case .median, .mean, .min, .max, .count: return simple(feature, now: now, plan: plan)
    default: return aggregate(feature, now: now, plan: plan)
    }
  }

  @inline(__always)
  private mutating func simple(_ feature: SeriesFeature, now: Int64, plan: PlanLayout.CodePlan) -> Double {
    let state = windows + feature.window
    if feature.leastCount > 0, state.pointee.count < Int(feature.leastCount) {
      return lastTime == .min ? .nan : feature.canonical(Double(lastValue))
    }
    let grid = plain(feature.kind, state, plan.windows[feature.window], now: now)
    return feature.kind == .count ? grid : feature.canonical(grid)
  }

  /// A simple aggregate of a window in grid steps; NaN where it is empty. The caller has called ``trim(now:plan:)``.
  package mutating func aggregate(_ kind: FeatureKind, window index: Int, now: Int64, plan: PlanLayout.CodePlan)
    -> Double
  {
    plain(kind, windows + index, plan.windows[index], now: now)
  }

  @inline(__always)
  private mutating func plain(
    _ kind: FeatureKind, _ state: UnsafeMutablePointer<WindowState>, _ window: PlanLayout.Window, now: Int64
  ) -> Double {
    if let panes = state.pointee.panes { return SeriesWindows.order(kind, panes.pointee.merged, panes) }
    let count = isOver(window, now: now) ? 0 : state.pointee.count
    if kind == .count { return Double(count) }
    if count == 0 { return .nan }
    switch kind {
    case .mean: return Double(state.pointee.sum) / Double(count)
    case .min: return Double(state.pointee.counted.least)
    case .max: return Double(state.pointee.counted.greatest)
    case .median: return SeriesWindows.median(&state.pointee.counted)
    default: return .nan
    }
  }

  /// A session ends with a gap longer than its own, even before the next sample shows it.
  @inline(__always)
  private func isOver(_ window: PlanLayout.Window, now: Int64) -> Bool {
    window.kind == .session && lastTime != .min && now - lastTime > window.length
  }

  @inline(__always)
  private static func median(_ values: inout CountedValues) -> Double {
    let middle = values.ranked((values.total - 1) / 2)
    return values.total % 2 == 1 ? Double(middle.value) : (Double(middle.value) + Double(middle.next)) / 2
  }

  private static func order(
    _ kind: FeatureKind, _ values: CountedValues, _ panes: UnsafeMutablePointer<PaneRing>
  ) -> Double {
    if kind == .count { return Double(values.total) }
    if values.total == 0 { return .nan }
    switch kind {
    case .min: return Double(values.least)
    case .max: return Double(values.greatest)
    case .median:
      var copy = values
      return median(&copy)
    case .mean:
      var sum: Int64 = 0
      values.each { value, count, _ in sum += Int64(value) * Int64(count) }
      return Double(sum) / Double(values.total)
    default: return .nan
    }
  }

  // MARK: The others

  private mutating func aggregate(_ feature: SeriesFeature, now: Int64, plan: PlanLayout.CodePlan) -> Double {
    switch feature.kind {
    case .age: return lastTime == .min ? .nan : Double(now - lastTime)
    case .last, .stale, .status, .source, .missing: return .nan
    default: break
    }
    let window = plan.windows[feature.window]
    let state = windows + feature.window
    var values = state.pointee.panes.map { $0.pointee.merged } ?? state.pointee.counted
    let count = state.pointee.panes != nil ? Int(values.total) : isOver(window, now: now) ? 0 : state.pointee.count
    switch feature.kind {
    case .countBelow, .countAbove, .crossings: if count == 0 { return 0 }
    default: if count == 0 { return .nan }
    }
    switch feature.kind {
    case .sum: return feature.canonical(Double(exactSum(values, state)))
    case .range: return feature.canonical(Double(values.greatest) - Double(values.least))
    case .quantile: return feature.canonical(SeriesWindows.quantile(&values, share: feature.first))
    case .stddev: return feature.canonical(SeriesWindows.deviation(values))
    case .baseline:
      let median = feature.canonical(SeriesWindows.median(&values))
      return count < SeriesWindows.baselineSamplesMin ? .nan : min(max(median, feature.first), feature.second)
    case .deviation:
      guard count >= SeriesWindows.baselineSamplesMin else { return .nan }
      let median = SeriesWindows.median(&values)
      let spread = feature.canonical(values.medianDeviation(from: median)) * SeriesWindows.madToDeviation
      return (feature.canonical(Double(lastValue)) - feature.canonical(median)) / max(spread, feature.first)
    case .countBelow, .countAbove: return counted(values, feature)
    case .timeBelow, .timeAbove, .fractionBelow, .fractionAbove, .areaBelow, .areaAbove:
      return stood(values, feature, state, window, now: now, standing: plan.registryStaleness)
    default: return ordered(feature, state)
    }
  }

  /// A baseline of fewer samples says nothing about a patient; ours, to be approved by a clinical owner.
  package static let baselineSamplesMin = 20
  /// Median absolute deviation to standard deviation of a normal distribution.
  package static let madToDeviation = 1.4826

  private mutating func exactSum(_ values: CountedValues, _ state: UnsafeMutablePointer<WindowState>) -> Int64 {
    if state.pointee.panes == nil { return state.pointee.sum }
    var sum: Int64 = 0
    values.each { value, count, _ in sum += Int64(value) * Int64(count) }
    return sum
  }

  /// Linear between neighbours (Hyndman and Fan's type 7).
  private static func quantile(_ values: inout CountedValues, share: Double) -> Double {
    let place = share * Double(values.total - 1)
    guard place >= 0, place <= Double(values.total - 1) else { return .nan }
    let rank = Int32(place.rounded(.down))
    let found = values.ranked(rank)
    return Double(found.value) + (place - Double(rank)) * (Double(found.next) - Double(found.value))
  }

  /// Population standard deviation: exact sums, one rounding before the root.
  private static func deviation(_ values: CountedValues) -> Double {
    var sum: Int128 = 0
    var squares: Int128 = 0
    values.each { value, count, _ in
      sum += Int128(value) * Int128(count)
      squares += Int128(value) * Int128(value) * Int128(count)
    }
    let n = Int128(values.total)
    return (Double(n * squares - sum * sum) / (Double(values.total) * Double(values.total))).squareRoot()
  }

  private mutating func counted(_ values: CountedValues, _ feature: SeriesFeature) -> Double {
    var found = 0
    values.each { value, count, _ in
      let canonical = feature.canonical(Double(value))
      if feature.kind == .countBelow ? canonical < feature.first : canonical > feature.first { found += Int(count) }
    }
    return Double(found)
  }

  /// Time and depth beyond a limit: every sample stands until the next, the newest until now.
  private mutating func stood(
    _ values: CountedValues, _ feature: SeriesFeature, _ state: UnsafeMutablePointer<WindowState>,
    _ window: PlanLayout.Window, now: Int64, standing: Int64
  ) -> Double {
    let isBelow = feature.kind == .timeBelow || feature.kind == .fractionBelow || feature.kind == .areaBelow
    let isArea = feature.kind == .areaBelow || feature.kind == .areaAbove
    var all: Int64 = 0
    var beyond: Int64 = 0
    var area = 0.0
    func take(_ value: Int32, _ held: Int64) {
      all += held
      let depth =
        isBelow ? feature.first - feature.canonical(Double(value)) : feature.canonical(Double(value)) - feature.first
      guard depth > 0 else { return }
      beyond += held
      if isArea { area += depth * Double(held) }
    }
    values.each { value, _, held in take(value, held) }
    let until = window.kind == .hopping ? state.pointee.anchor : now
    take(log.value(state.pointee.stop - 1), max(0, min(until - state.pointee.stopTime, standing)))
    switch feature.kind {
    case .timeBelow, .timeAbove: return Double(beyond)
    case .areaBelow, .areaAbove: return area / 60_000
    default: return all == 0 ? .nan : Double(beyond) / Double(all)
    }
  }

  /// Aggregates that look at the order of samples.
  private mutating func ordered(_ feature: SeriesFeature, _ state: UnsafeMutablePointer<WindowState>) -> Double {
    let count = state.pointee.count
    let oldest = log.value(state.pointee.start)
    let newest = log.value(state.pointee.stop - 1)
    let span = Double(state.pointee.stopTime - state.pointee.startTime) / 60_000
    switch feature.kind {
    case .first: return feature.canonical(Double(oldest))
    case .newest: return feature.canonical(Double(newest))
    case .delta: return feature.canonical(Double(newest) - Double(oldest))
    case .rate: return span > 0 ? feature.canonical(Double(newest) - Double(oldest)) / span : .nan
    case .slope: return slope(feature, state)
    case .irregularity:
      guard count >= 2, state.pointee.sum > 0, let sums = state.pointee.sums else { return .nan }
      let successive = (Double(sums.pointee.successive) / Double(count - 1)).squareRoot()
      return successive / (Double(state.pointee.sum) / Double(count))
    case .ewma:
      guard let sums = state.pointee.sums, sums.pointee.weight > 0 else { return .nan }
      return feature.canonical(Double(sums.pointee.weighted) / Double(sums.pointee.weight))
    case .crossings: return crossings(feature, state)
    default: return .nan
    }
  }

  private mutating func slope(_ feature: SeriesFeature, _ state: UnsafeMutablePointer<WindowState>) -> Double {
    guard let sums = state.pointee.sums, state.pointee.count >= 2 else { return .nan }
    let n = Int128(state.pointee.count)
    let below = n * sums.pointee.timeSquared - sums.pointee.time * sums.pointee.time
    guard below > 0 else { return .nan }
    let above = n * sums.pointee.timeValue - sums.pointee.time * Int128(state.pointee.sum)
    return feature.canonical(Double(above)) / Double(below) * 60_000
  }

  /// Walks the window: limits may differ between patients, so nothing is kept for it.
  private mutating func crossings(_ feature: SeriesFeature, _ state: UnsafeMutablePointer<WindowState>) -> Double {
    var found = 0
    var wasBelow = feature.canonical(Double(log.value(state.pointee.start))) < feature.first
    for index in (state.pointee.start + 1)..<max(state.pointee.start + 1, state.pointee.stop) {
      let isBelow = feature.canonical(Double(log.value(index))) < feature.first
      if isBelow != wasBelow { found += 1 }
      wasBelow = isBelow
    }
    return Double(found)
  }
}
