import Recordings
import VitalModel

/// What a patient's vitals did around an alert.
package struct VitalTrace: Sendable {
  package var vital: VitalDefinition
  /// Milliseconds since 1970, rising, and values in the vital's own unit.
  package var times: [Int64] = []
  package var values: [Double] = []
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
    var traces: [VitalTrace]
    /// Samples of each vital before the stretch, the newest few.
    var early: [[(time: Int64, value: Double)]]
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
          codes: codes, traces: codes.map { VitalTrace(vital: registry[$0]) }, early: codes.map { _ in [] }))
      byPatient[alert.patient, default: []].append(index)
    }
  }

  /// The vital it names; where that is a score, those it rests on.
  private static func codes(_ alert: AlertSpan, _ registry: VitalRegistry) -> [VitalCode] {
    if let code = alert.code, let known = registry.code(code) { return [known] }
    let keys = alert.sources.compactMap { $0.split(separator: "/").last.map(String.init) }
    return Array(keys.compactMap { registry.code($0) }.prefix(vitalsMax))
  }

  /// Takes a row; a patient's rows come in order of time.
  package func note(_ row: RecordedRow, names: RecordingNames) {
    while byNumber.count <= Int(row.patient) {
      byNumber.append(byPatient[names.patients[UInt32(byNumber.count)]] ?? [])
    }
    for index in byNumber[Int(row.patient)] {
      for cell in row.cells {
        guard let place = wishes[index].codes.firstIndex(of: cell.code), let value = value(of: cell) else { continue }
        add(row.time, value, place, &wishes[index])
      }
    }
  }

  private func value(of cell: RecordedCell) -> Double? {
    let vital = registry[cell.code]
    return vital.gridValue(cell.value, unitIndex: Int(cell.unit)).map { vital.decimal(grid: $0).double }
  }

  private func add(_ time: Int64, _ value: Double, _ place: Int, _ wish: inout Wish) {
    guard time >= wish.from else {
      wish.early[place].append((time, value))
      if wish.early[place].count > AlertTraces.samplesMin { wish.early[place].removeFirst() }
      return
    }
    let count = wish.traces[place].times.count
    let isLate =
      time > wish.to && wish.traces[place].times.lastIndex { $0 < wish.onset } ?? -1 < count - AlertTraces.samplesMin
    guard !isLate, count < AlertTraces.samplesMax else { return }
    wish.traces[place].times.append(time)
    wish.traces[place].values.append(value)
  }

  /// The traces of the alert given at this position; of vitals that were measured at all.
  package func traces(of alert: Int) -> [VitalTrace] {
    let wish = wishes[alert]
    return wish.traces.indices.compactMap { place in
      var trace = wish.traces[place]
      let before = trace.times.prefix { $0 < wish.onset }.count
      let early = wish.early[place].suffix(max(0, AlertTraces.samplesMin - before))
      trace.times = early.map(\.time) + trace.times
      trace.values = early.map(\.value) + trace.values
      return trace.times.isEmpty ? nil : trace
    }
  }
}

extension VitalTrace {
  private static let blocks: [Character] = ["▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"]

  /// A strip of `width` characters and a line below it that points at the onset `^` and the end `]`.
  package func lines(onset: Int64, end: Int64?, width: Int = 60) -> [String] {
    guard let first = times.first, let last = times.last, let low = values.min(), let high = values.max() else {
      return []
    }
    let span = max(1, last - first)
    func column(_ time: Int64) -> Int { Int((time - first) * Int64(width - 1) / span) }
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
