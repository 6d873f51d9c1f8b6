import Synchronization

/// Instruments of one name apart by label values.
///
/// At most `cardinality` sets of values exist; a later new set is counted under `other`, so that what comes from
/// outside can never grow the process. Look up once and keep the instrument: the lookup locks, counting does not.
package final class MetricFamily<Instrument: MetricInstrument>: RenderedMetric {
  package static var overflowValue: String { "other" }

  let description: MetricDescription
  private let labels: [String]
  private let cardinality: Int
  private let make: @Sendable () -> Instrument
  private let instruments = Mutex<[[String]: Instrument]>([:])

  init(
    description: MetricDescription, labels: [String], cardinality: Int, make: @escaping @Sendable () -> Instrument
  ) {
    precondition(cardinality >= 1 && Set(labels).count == labels.count, "labels must differ and have room")
    precondition(labels.allSatisfy { isMetricName($0) && $0 != "le" }, "bad label name")
    self.description = description
    self.labels = labels
    self.cardinality = cardinality
    self.make = make
  }

  /// The instrument of these label values, in the order of the names; `other` for every label when there is no room.
  package func with(_ values: String...) -> Instrument { with(values) }

  /// The instrument of these label values, in the order of the names; `other` for every label when there is no room.
  package func with(_ values: [String]) -> Instrument {
    precondition(values.count == labels.count, "\(description.name) has \(labels.count) labels")
    return instruments.withLock { instruments in
      if let known = instruments[values] { return known }
      let overflow = [String](repeating: Self.overflowValue, count: labels.count)
      let key = instruments.count < cardinality || values == overflow ? values : overflow
      if let known = instruments[key] { return known }
      let made = make()
      instruments[key] = made
      return made
    }
  }

  /// Drops the instrument of these label values: what it stood for is gone. Holders may still count on it, unseen.
  package func remove(_ values: [String]) {
    _ = instruments.withLock { $0.removeValue(forKey: values) }
  }

  func render(into text: inout String) {
    let sorted = instruments.withLock { instruments in
      instruments.sorted { $0.key.lexicographicallyPrecedes($1.key) }
    }
    for (values, instrument) in sorted {
      let pairs = zip(labels, values).map { "\($0)=\"\(escapedLabelValue($1))\"" }
      instrument.render(name: description.name, labels: pairs, into: &text)
    }
  }
}

package typealias CounterFamily = MetricFamily<Counter>
package typealias GaugeFamily = MetricFamily<Gauge>
package typealias HistogramFamily = MetricFamily<Histogram>

/// What can stand under a name in the registry.
package protocol MetricInstrument: Sendable {
  /// Appends its lines; `labels` are already `name="value"`.
  func render(name: String, labels: [String], into text: inout String)
}

extension Counter: MetricInstrument {
  package func render(name: String, labels: [String], into text: inout String) {
    text += "\(name)\(braced(labels)) \(value)\n"
  }
}

extension Gauge: MetricInstrument {
  package func render(name: String, labels: [String], into text: inout String) {
    text += "\(name)\(braced(labels)) \(metricNumber(value))\n"
  }
}

extension Histogram: MetricInstrument {
  /// The count is the sum of the buckets as read, so a line never contradicts another of the same rendering.
  package func render(name: String, labels: [String], into text: inout String) {
    var cumulative: Int64 = 0
    for (index, count) in bucketCounts.enumerated() {
      cumulative += count
      let bound = index < bounds.count ? String(bounds[index]) : "+Inf"
      text += "\(name)_bucket\(braced(labels + ["le=\"\(bound)\""])) \(cumulative)\n"
    }
    text += "\(name)_sum\(braced(labels)) \(metricNumber(sum))\n"
    text += "\(name)_count\(braced(labels)) \(cumulative)\n"
  }
}

private func braced(_ labels: [String]) -> String {
  labels.isEmpty ? "" : "{\(labels.joined(separator: ","))}"
}
