import Glibc
import Statistics

/// Values along one axis of a drawing.
struct AxisScale {
  struct Tick: Hashable {
    var value: Double
    var text: String
  }

  /// The values at its two ends; `high` is above `low`.
  let low: Double
  let high: Double
  let ticks: [Tick]
  /// Whether equal steps are equal standard deviations of a normal distribution.
  let isDeviate: Bool

  /// From nought at the origin, between round numbers, with about so many ticks; `floor` below zero only where values are; of counts no
  /// tick lies between two whole numbers.
  init(
    through values: [Double], floor: Double = 0, steps: Int = 5, isCount: Bool = false,
    text: (Double) -> String = PageNumbers.short
  ) {
    let known = values.filter { $0.isFinite && abs($0) < 1e12 }
    let least = min(floor, known.min() ?? floor)
    var most = max(floor, known.max() ?? floor)
    if most <= least { most = least + 1 }
    let step = max(AxisScale.step(most - least, steps), isCount ? 1 : 0)
    let first = Int((least / step + 1e-9).rounded(.down))
    let last = max(first + 1, Int((most / step - 1e-9).rounded(.up)))
    ticks = (first...last).map { Tick(value: Double($0) * step, text: text(Double($0) * step)) }
    low = Double(first) * step
    high = Double(last) * step
    isDeviate = false
  }

  /// Shares of one, from nothing to all.
  static let share = AxisScale(through: [1], text: { PageNumbers.short($0 * 100) + "\u{A0}%" })

  /// A day, from midnight to midnight.
  static let hours = AxisScale(
    low: 0, high: 24, ticks: stride(from: 0, through: 24, by: 4).map { Tick(value: Double($0), text: "\($0)") })

  private init(low: Double, high: Double, ticks: [Tick]) {
    (self.low, self.high, self.ticks, isDeviate) = (low, high, ticks, false)
  }

  /// Shares on the scale of the normal deviate (Martin et al. 1997, "The DET curve"), from the widest of the marks below the
  /// values to the next above them; nothing and all have no place on it and are left out.
  init(deviate values: [Double]) {
    let known = values.filter { $0 > 0 && $0 < 1 }
    let marks = AxisScale.deviateMarks
    let least = marks.last { $0 <= known.min() ?? 0.01 } ?? marks[0]
    let most = marks.first { $0 >= known.max() ?? 0.5 && $0 > least } ?? marks[marks.count - 1]
    // One mark below where both ends coincide at the top.
    let bottom = least < most ? least : marks[marks.count - 2]
    ticks = marks.filter { bottom <= $0 && $0 <= most }.map {
      Tick(value: $0, text: PageNumbers.short($0 * 100) + "\u{A0}%")
    }
    low = bottom
    high = most
    isDeviate = true
  }

  private static let deviateMarks = [
    0.0001, 0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 0.9, 0.95, 0.98, 0.99, 0.999,
  ]

  /// Times before and after an onset, in steps people count in; milliseconds.
  init(time range: ClosedRange<Int64>, steps: Int = 6) {
    let span = max(1, Double(range.upperBound - range.lowerBound))
    let step =
      AxisScale.timeSteps.first { span / $0 <= Double(steps) }
      ?? AxisScale.step(span / 86_400_000, steps) * 86_400_000
    let first = Int((Double(range.lowerBound) / step).rounded(.up))
    let last = Int((Double(range.upperBound) / step).rounded(.down))
    low = Double(range.lowerBound)
    high = low + span
    isDeviate = false
    ticks =
      first <= last
      ? (first...last).map { Tick(value: Double($0) * step, text: AxisScale.timeText(Double($0) * step, step)) } : []
  }

  private static let timeSteps: [Double] = [
    1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400, 172_800,
  ].map { $0 * 1000 }

  private static func timeText(_ milliseconds: Double, _ step: Double) -> String {
    let sign = milliseconds > 0 ? "+" : ""
    if step >= 86_400_000 { return sign + PageNumbers.short(milliseconds / 86_400_000) + " d" }
    if step >= 3_600_000 { return sign + PageNumbers.short(milliseconds / 3_600_000) + " h" }
    if step >= 60_000 { return sign + PageNumbers.short(milliseconds / 60_000) + " min" }
    return sign + PageNumbers.short(milliseconds / 1000) + " s"
  }

  /// One, two or five times a power of ten, so that a span has at most so many steps.
  static func step(_ span: Double, _ steps: Int) -> Double {
    let rough = span / Double(max(1, steps))
    let power = pow(10, floor(log10(rough)))
    for factor in [1.0, 2, 5] where factor * power >= rough * (1 - 1e-9) { return factor * power }
    return 10 * power
  }

  /// How far along the axis a value lies, nothing to one; those beyond lie at its ends.
  func place(_ value: Double) -> Double {
    guard value.isFinite else { return value > 0 ? 1 : 0 }
    let kept = min(max(value, low), high)
    guard isDeviate else { return (kept - low) / (high - low) }
    let ends = (Normal.quantile(low), Normal.quantile(high))
    return (Normal.quantile(kept) - ends.0) / (ends.1 - ends.0)
  }
}
