import Recordings
import VitalModel

/// What a patient's vitals did around an alert.
package struct VitalTrace: Sendable {
  package var vital: VitalDefinition
  /// Milliseconds since 1970, ascending, and values in the vital's own unit.
  package var times: [Int64] = []
  package var values: [Double] = []

  package init(vital: VitalDefinition, times: [Int64] = [], values: [Double] = []) {
    self.vital = vital
    self.times = times
    self.values = values
  }
}

/// Collects the vitals around alerts from a recording read once more: what is drawn beside an alert that another version of
/// the rules does not raise, or whose evidence is asked for.
package final class AlertTraces {
  /// One alert's stretch: as long before it as it lasted and half as long after, within bounds; and so many samples at
  /// least on either side, for vitals measured by the hour.
  private struct Wish {
    var onset: Int64
    var from: Int64
    var to: Int64
    var codes: [VitalCode]
    /// By position of the code.
    var parts: [Part]
  }

  private struct Sample: Comparable {
    var time: Int64
    var value: Double

    static func < (a: Sample, b: Sample) -> Bool { (a.time, a.value) < (b.time, b.value) }
  }

  /// One vital's samples.
  private struct Part {
    /// Before the stretch, the newest few, in order.
    var early: [Sample] = []
    /// In the stretch, as they came.
    var within: [Sample] = []
    /// After it, the oldest few, in order.
    var late: [Sample] = []
  }

  static let samplesMin = 12
  static let samplesMax = 20_000
  private static let marginMin: Int64 = 900_000
  private static let marginMax: Int64 = 21_600_000
  /// Vitals drawn of an alert that rests on many.
  private static let vitalsMax = 4

  private let registry: VitalRegistry
  private var wishes: [Wish] = []
  private var byPatient: [String: [Int]] = [:]
  /// Wishes by the recording's own number of the patient.
  private var byNumber: [[Int]] = []

  /// - Parameter registry: the reader's.
  package init(of alerts: [AlertSpan], registry: VitalRegistry) {
    self.registry = registry
    for (index, alert) in alerts.enumerated() {
      let length = (alert.end ?? alert.onset) - alert.onset
      let margin = min(max(length, AlertTraces.marginMin), AlertTraces.marginMax)
      let codes = AlertTraces.codes(alert, registry)
      wishes.append(
        Wish(
          onset: alert.onset, from: alert.onset - margin,
          to: min(alert.onset + length, alert.onset + 4 * margin) + margin / 2,
          codes: codes, parts: codes.map { _ in Part() }))
      byPatient[alert.patient, default: []].append(index)
    }
  }

  /// The vital it names; where that is a score, those it rests on.
  private static func codes(_ alert: AlertSpan, _ registry: VitalRegistry) -> [VitalCode] {
    if let code = alert.code, let known = registry.code(code) { return [known] }
    let keys = alert.sources.compactMap { $0.split(separator: "/").last.map(String.init) }
    return Array(keys.compactMap { registry.code($0) }.prefix(vitalsMax))
  }

  /// Takes a row; rows may come in any order. What the engine would not judge by is passed over.
  package func note(_ row: RecordedRow, names: RecordingNames) {
    while byNumber.count <= Int(row.patient) {
      byNumber.append(byPatient[names.patients[UInt32(byNumber.count)]] ?? [])
    }
    for index in byNumber[Int(row.patient)] {
      for cell in row.cells {
        guard let place = wishes[index].codes.firstIndex(of: cell.code), let value = registry.usableValue(cell) else {
          continue
        }
        add(Sample(time: row.time, value: value), place, &wishes[index])
      }
    }
  }

  private func add(_ sample: Sample, _ place: Int, _ wish: inout Wish) {
    if sample.time < wish.from {
      AlertTraces.insert(sample, into: &wish.parts[place].early)
      if wish.parts[place].early.count > AlertTraces.samplesMin { wish.parts[place].early.removeFirst() }
    } else if sample.time > wish.to {
      AlertTraces.insert(sample, into: &wish.parts[place].late)
      if wish.parts[place].late.count > AlertTraces.samplesMin { wish.parts[place].late.removeLast() }
    } else if wish.parts[place].within.count < AlertTraces.samplesMax {
      wish.parts[place].within.append(sample)
    }
  }

  /// Keeps the few samples of a list in order.
  private static func insert(_ sample: Sample, into samples: inout [Sample]) {
    let place = samples.lastIndex { $0 <= sample }.map { $0 + 1 } ?? 0
    samples.insert(sample, at: place)
  }

  /// The traces of the alert given at this position; of vitals that were measured at all.
  package func traces(of alert: Int) -> [VitalTrace] {
    let wish = wishes[alert]
    return zip(wish.codes, wish.parts).compactMap { code, part in
      let within = part.within.sorted()
      let before = within.prefix { $0.time < wish.onset }.count
      let early = part.early.suffix(max(0, AlertTraces.samplesMin - before))
      let late = part.late.prefix(max(0, AlertTraces.samplesMin - (within.count - before)))
      let samples = early + within + late
      guard !samples.isEmpty else { return nil }
      return VitalTrace(vital: registry[code], times: samples.map(\.time), values: samples.map(\.value))
    }
  }
}

extension VitalTrace {
  private static let blocks: [Character] = ["▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"]

  /// A strip of `width` characters and a line below it that points at the onset `^` and the end `]`.
  package func lines(onset: Int64, end: Int64?, width: Int = 60) -> [String] {
    guard let first = times.min(), let last = times.max(), let low = values.min(), let high = values.max() else {
      return []
    }
    let span = max(1, last - first)
    func column(_ time: Int64) -> Int { min(max(0, Int((time - first) * Int64(width - 1) / span)), width - 1) }
    var sums = [(sum: Double, count: Int)](repeating: (0, 0), count: width)
    for (time, value) in zip(times, values) {
      sums[column(time)].sum += value
      sums[column(time)].count += 1
    }
    let strip = sums.map { cell -> Character in
      guard cell.count > 0 else { return " " }
      let share = high > low ? (cell.sum / Double(cell.count) - low) / (high - low) : 0.5
      return VitalTrace.blocks[min(7, Int(share * 8))]
    }
    var marks = [Character](repeating: " ", count: width)
    if let end, (first...last).contains(end) { marks[column(end)] = "]" }
    if (first...last).contains(onset) { marks[column(onset)] = "^" }
    let range = low == high ? VitalTrace.text(low) : "\(VitalTrace.text(low)) to \(VitalTrace.text(high))"
    return [
      "\(vital.key) \(range)\(vital.unit.hasPrefix("{") ? "" : " " + vital.unit), "
        + "\(Timestamp.format(first)) to \(Timestamp.format(last))",
      String(strip), String(marks).trimmingTrailingSpaces,
    ]
  }

  private static func text(_ value: Double) -> String { Int(exactly: value).map { "\($0)" } ?? "\(value)" }

  /// `{"vital":...,"unit":...,"samples":[[time_ms,value],...]}`
  package func write(to list: inout JSONText) {
    list.object {
      $0.field("vital", vital.key)
      $0.field("unit", vital.unit)
      $0.array("samples") { samples in
        for (time, value) in zip(times, values) { samples.rawElement("[\(time),\(VitalTrace.text(value))]") }
      }
    }
  }
}

extension String {
  fileprivate var trimmingTrailingSpaces: String {
    var text = self
    while text.last == " " { text.removeLast() }
    return text
  }
}
