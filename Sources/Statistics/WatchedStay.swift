/// One patient's time under watch as one line without gaps: rotation and matched controls compare hours of it.
package struct WatchedStay: Hashable, Sendable {
  /// Milliseconds since 1970, ascending, apart from each other, not empty.
  package let spans: [Range<Int64>]
  /// Watched time before each span, milliseconds.
  private let before: [Int64]
  /// Watched time of all spans, milliseconds.
  package let length: Int64
  /// The mean distance of two samples, milliseconds, at least one.
  package let interval: Int64

  /// - Parameters:
  ///   - watch: where the patient was watched; spans without time are passed over.
  ///   - interval: the mean distance of two samples, milliseconds.
  package init(_ watch: PatientWatch, interval: Int64) {
    spans = watch.spans.filter { !$0.isEmpty }
    var total: Int64 = 0
    before = spans.map { span in
      defer { total += span.upperBound - span.lowerBound }
      return total
    }
    length = total
    self.interval = max(1, interval)
  }

  package var days: Double { Double(length) / 86_400_000 }
  var first: Int64 { spans.first?.lowerBound ?? 0 }
  var end: Int64 { spans.last?.upperBound ?? 0 }

  /// Watched time since the first sample at an instant: below zero before it, beyond ``length`` after the last, and the
  /// time at which watching stopped where nobody watched.
  func offset(of time: Int64) -> Int64 {
    guard let head = spans.first else { return 0 }
    if time < head.lowerBound || spans.count == 1 { return time - head.lowerBound }
    if time >= end { return length + (time - end) }
    var (low, high) = (0, spans.count)
    while high - low > 1 {
      let middle = (low + high) / 2
      if spans[middle].lowerBound <= time { low = middle } else { high = middle }
    }
    return before[low] + min(time, spans[low].upperBound) - spans[low].lowerBound
  }
}

/// A property patients are grouped by: an age band, a sex, a unit.
package struct SubgroupColumn: Hashable, Sendable {
  package var name: String
  /// One per patient; nil: not known.
  package var values: [String?]

  package init(name: String, values: [String?]) {
    self.name = name
    self.values = values
  }

  /// Bands by which alert burden is known to differ: neonate and infant, child, and adults by twenty years or so.
  package static func ageBand(years: Double?) -> String? {
    guard let years, years.isFinite, (0...130).contains(years) else { return nil }
    let bands: [(below: Double, name: String)] = [
      (1, "0"), (12, "1-11"), (18, "12-17"), (45, "18-44"), (65, "45-64"), (80, "65-79"),
    ]
    return bands.first { years < $0.below }?.name ?? "80+"
  }
}
