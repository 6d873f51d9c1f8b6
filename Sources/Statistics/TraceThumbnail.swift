import VitalModel

/// The course of one vital around an alert in a few pixels: means of equal stretches of time, gaps kept. Its memory does not
/// grow with the number of samples.
package struct TraceThumbnail: Hashable, Sendable {
  /// Stretches it is cut into.
  package static let bucketCount = 40

  /// Milliseconds since 1970.
  package let range: Range<Int64>
  /// The moment of the alert, milliseconds since 1970.
  package let marked: Int64
  /// Canonical unit; nil: the rule has none.
  package let limit: Double?
  private var sums = Array(repeating: 0.0, count: bucketCount)
  private var counts = Array(repeating: 0, count: bucketCount)

  /// - Precondition: `range` is not empty.
  package init(range: Range<Int64>, marked: Int64, limit: Double? = nil) {
    precondition(!range.isEmpty)
    self.range = range
    self.marked = marked
    self.limit = limit
  }

  /// Takes a sample in the canonical unit; one outside the range is passed over.
  package mutating func add(_ value: Double, at time: Int64) {
    guard range.contains(time), value.isFinite else { return }
    let place = bucket(time)
    sums[place] += value
    counts[place] += 1
  }

  /// Means in order of time; nil where nothing was measured.
  package var means: [Double?] { zip(sums, counts).map { $1 > 0 ? $0 / Double($1) : nil } }

  private func bucket(_ time: Int64) -> Int {
    let width = Double(range.upperBound - range.lowerBound)
    let share = Double(time - range.lowerBound) / width
    return min(TraceThumbnail.bucketCount - 1, max(0, Int(share * Double(TraceThumbnail.bucketCount))))
  }

  /// Eight heights, a dot for a gap, a bar before the stretch of the alert; empty where nothing was measured at all.
  package var sparkline: String {
    let means = means
    guard let low = means.compactMap({ $0 }).min(), let high = means.compactMap({ $0 }).max() else { return "" }
    let heights = Array("▁▂▃▄▅▆▇█")
    var text = ""
    for (place, mean) in means.enumerated() {
      if place == bucket(marked) { text += "|" }
      guard let mean else {
        text += "·"
        continue
      }
      let share = high > low ? (mean - low) / (high - low) : 0.5
      text.append(heights[min(7, max(0, Int(share * 8)))])
    }
    return text
  }

  /// A drawing of 240 by 60 with the limit dashed and the moment of the alert upright, and a text for those who do not see it.
  package var svg: String {
    let (width, height) = (240.0, 60.0)
    let drawn = means.compactMap { $0 } + (limit.map { [$0] } ?? [])
    guard let low = drawn.min(), let high = drawn.max(), means.contains(where: { $0 != nil }) else { return "" }
    let span = high > low ? high - low : 1
    func x(_ place: Double) -> String { number(place / Double(TraceThumbnail.bucketCount) * width) }
    func y(_ value: Double) -> String { number(4 + (high - value) / span * (height - 8)) }
    var path = ""
    var isOpen = false
    for (place, mean) in means.enumerated() {
      guard let mean else {
        isOpen = false
        continue
      }
      // A stretch with neither neighbour would otherwise have no length.
      path += "\(isOpen ? "L" : "M")\(x(Double(place) + 0.25)) \(y(mean))L\(x(Double(place) + 0.75)) \(y(mean))"
      isOpen = true
    }
    let moment = x(Double(bucket(marked)))
    let dashed = limit.map {
      "<path d=\"M0 \(y($0))H240\" stroke=\"#d55e00\" stroke-dasharray=\"4 3\" fill=\"none\"/>"
    }
    return "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 240 60\" width=\"240\" height=\"60\" role=\"img\">"
      + "<title>from \(number(low)) to \(number(high))</title>" + (dashed ?? "")
      + "<path d=\"M\(moment) 0V60\" stroke=\"#999\" fill=\"none\"/>"
      + "<path d=\"\(path)\" stroke=\"#0072b2\" stroke-width=\"2\" stroke-linecap=\"round\" fill=\"none\"/></svg>"
  }

  /// At most one decimal.
  private func number(_ value: Double) -> String {
    let tenths = (value * 10).rounded()
    guard abs(tenths) < 1e15 else { return "0" }
    let whole = Int64(tenths)
    let rest = abs(whole % 10)
    let sign = whole < 0 && whole > -10 ? "-" : ""
    return sign + String(whole / 10) + (rest == 0 ? "" : ".\(rest)")
  }
}
