import Synchronization

/// Every metric of the process by name, rendered in the Prometheus text format.
///
/// Registering is for start-up and takes a lock; what it returns is kept and counted on without one. A bad or repeated
/// name is a mistake of ours, never of outside data, and traps.
package final class MetricRegistry: Sendable {
  private let metrics = Mutex<[String: any RenderedMetric]>([:])

  package init() {}

  /// A counter; `name` ends in `_total`.
  package func counter(_ name: String, _ help: String) -> Counter {
    counterFamily(name, help, labels: []).with()
  }

  /// A gauge; `name` ends in its base unit where it has one.
  package func gauge(_ name: String, _ help: String) -> Gauge { gaugeFamily(name, help, labels: []).with() }

  /// A histogram; `name` ends in its base unit.
  package func histogram(_ name: String, _ help: String, _ buckets: HistogramBuckets) -> Histogram {
    histogramFamily(name, help, buckets, labels: []).with()
  }

  /// A gauge read at each rendering, for a number that somebody else keeps. `read` runs on the rendering thread.
  package func gauge(_ name: String, _ help: String, read: @escaping @Sendable () -> Double) {
    add(PulledMetric(description: .init(name: name, help: help, kind: .gauge), read: read))
  }

  /// A counter read at each rendering; `read` never goes down. `read` runs on the rendering thread.
  package func counter(_ name: String, _ help: String, read: @escaping @Sendable () -> Double) {
    add(PulledMetric(description: .init(name: name, help: help, kind: .counter), read: read))
  }

  /// Counters apart by label values, at most `cardinality` sets of them (see `MetricFamily`).
  package func counterFamily(
    _ name: String, _ help: String, labels: [String], cardinality: Int = 64
  ) -> CounterFamily {
    family(.init(name: name, help: help, kind: .counter), labels, cardinality) { Counter() }
  }

  /// Gauges apart by label values, at most `cardinality` sets of them.
  package func gaugeFamily(_ name: String, _ help: String, labels: [String], cardinality: Int = 64) -> GaugeFamily {
    family(.init(name: name, help: help, kind: .gauge), labels, cardinality) { Gauge() }
  }

  /// Histograms apart by label values, at most `cardinality` sets of them.
  package func histogramFamily(
    _ name: String, _ help: String, _ buckets: HistogramBuckets, labels: [String], cardinality: Int = 64
  ) -> HistogramFamily {
    family(.init(name: name, help: help, kind: .histogram), labels, cardinality) { Histogram(buckets) }
  }

  /// All metrics by name, each with its help and type; media type `text/plain; version=0.0.4`.
  package func render() -> String {
    let sorted = metrics.withLock { $0.values.sorted { $0.description.name < $1.description.name } }
    var text = ""
    for metric in sorted {
      text += "# HELP \(metric.description.name) \(escapedHelp(metric.description.help))\n"
      text += "# TYPE \(metric.description.name) \(metric.description.kind.rawValue)\n"
      metric.render(into: &text)
    }
    return text
  }

  private func family<Instrument>(
    _ description: MetricDescription, _ labels: [String], _ cardinality: Int,
    make: @escaping @Sendable () -> Instrument
  ) -> MetricFamily<Instrument> {
    let family = MetricFamily(description: description, labels: labels, cardinality: cardinality, make: make)
    add(family)
    return family
  }

  private func add(_ metric: any RenderedMetric) {
    let name = metric.description.name
    precondition(isMetricName(name), "bad metric name \(name)")
    precondition(!metric.description.help.isEmpty, "metric \(name) has no help")
    precondition((metric.description.kind == .counter) == name.hasSuffix("_total"), "only counters end in _total")
    let isNew = metrics.withLock { $0.updateValue(metric, forKey: name) == nil }
    precondition(isNew, "metric \(name) registered twice")
  }
}

/// What a metric is called and means.
package struct MetricDescription: Sendable {
  enum Kind: String { case counter, gauge, histogram }

  let name: String
  let help: String
  let kind: Kind
}

protocol RenderedMetric: Sendable {
  var description: MetricDescription { get }
  func render(into text: inout String)
}

/// A number read when rendering.
private struct PulledMetric: RenderedMetric {
  let description: MetricDescription
  let read: @Sendable () -> Double

  func render(into text: inout String) { text += "\(description.name) \(metricNumber(read()))\n" }
}

func isMetricName(_ name: String) -> Bool {
  guard let first = name.utf8.first, !(0x30...0x39).contains(first) else { return false }
  return name.utf8.allSatisfy {
    (0x61...0x7A).contains($0) || (0x30...0x39).contains($0) || $0 == UInt8(ascii: "_")
  }
}

func escapedHelp(_ help: String) -> String {
  var escaped = ""
  for scalar in help.unicodeScalars {
    switch scalar {
    case "\\": escaped += "\\\\"
    case "\n": escaped += "\\n"
    default: escaped.unicodeScalars.append(scalar)
    }
  }
  return escaped
}

func escapedLabelValue(_ value: String) -> String {
  var escaped = ""
  for scalar in value.unicodeScalars {
    switch scalar {
    case "\\": escaped += "\\\\"
    case "\n": escaped += "\\n"
    case "\"": escaped += "\\\""
    default: escaped.unicodeScalars.append(scalar)
    }
  }
  return escaped
}

/// A number as the text format wants it: whole ones without a fraction, and its own words for what is not finite.
func metricNumber(_ value: Double) -> String {
  if value.isNaN { return "NaN" }
  if value.isInfinite { return value < 0 ? "-Inf" : "+Inf" }
  if value == value.rounded(), abs(value) < 1e15 { return String(Int64(value)) }
  return String(value)
}
