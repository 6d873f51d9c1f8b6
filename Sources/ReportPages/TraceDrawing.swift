import Statistics

/// One stretch drawn: a strip for each vital sign over one axis of time.
struct TraceDrawing {
  private let pick: TracePick
  private let vitals: [TraceVital]
  private let number: Int
  private let time: AxisScale

  private static let (left, right, head, strip) = (64.0, 414.0, 24.0, 52.0)

  /// - Parameter number: of the trace on its page, 1 the first.
  init(_ trace: PatientTrace, number: Int) {
    pick = trace.pick
    let anchor = pick.anchor
    vitals = trace.vitals.compactMap { vital in
      var vital = vital
      vital.samples = vital.samples.filter { trace.pick.range.contains($0.time) && $0.value.isFinite }
        .map { TraceVital.Sample(time: $0.time - anchor, value: $0.value) }
      return vital.samples.isEmpty ? nil : vital
    }.prefix(PatientTrace.vitalsMax).map { $0 }
    self.number = number
    time = AxisScale(time: pick.range.lowerBound - anchor...pick.range.upperBound - anchor)
  }

  var isEmpty: Bool { vitals.isEmpty }

  /// `-2 h 5 min` before the anchor, `+10 min` after it.
  static func offset(_ milliseconds: Int64) -> String {
    (milliseconds > 0 ? "+" : "") + PageNumbers.duration(Double(milliseconds))
  }

  // MARK: Drawing

  func svg(title: String) -> String {
    let id = "trace-\(number)"
    let height = TraceDrawing.head + TraceDrawing.strip * Double(vitals.count) + 40
    var text =
      "<svg class=\"chart\" viewBox=\"0 0 440 \(p(height))\" role=\"img\" aria-labelledby=\"\(id)-t \(id)-d\">\n"
    text += "<title id=\"\(id)-t\">\(PageText.escaped(title))</title>\n"
    text += "<desc id=\"\(id)-d\">\(PageText.escaped(summary))</desc>\n"
    let bottom = TraceDrawing.head + TraceDrawing.strip * Double(vitals.count)
    for tick in time.ticks {
      text += "<path class=\"grid\" d=\"M\(p(across(tick.value))) \(p(TraceDrawing.head))V\(p(bottom))\"/>"
      text += "<text class=\"small\" x=\"\(p(across(tick.value)))\" y=\"\(p(bottom + 17))\" text-anchor=\"middle\">"
      text += "\(PageText.escaped(tick.text))</text>\n"
    }
    for (index, vital) in vitals.enumerated() {
      text += strip(vital, top: TraceDrawing.head + TraceDrawing.strip * Double(index))
    }
    for onset in pick.onsets {
      text += "<path class=\"line \(Ink.other.rawValue) dash\" d=\"M\(p(across(onset))) 4V\(p(bottom))\"/>\n"
    }
    for alert in pick.alerts { text += mark(alert) }
    text += "<text class=\"small\" x=\"\(p(TraceDrawing.right))\" y=\"\(p(bottom + 34))\" text-anchor=\"end\">"
    return text
      + "\(isOnset ? "time from the onset" : "time from the first false alert of the stretch")</text>\n</svg>\n"
  }

  private var isOnset: Bool { if case .missed = pick.reason { true } else { false } }

  private var summary: String {
    let lines = vitals.map { vital in
      let values = vital.samples.map(\.value)
      return
        "\(vital.title) \(PageNumbers.short(values.min() ?? 0)) to \(PageNumbers.short(values.max() ?? 0)) \(vital.unit)"
    }
    return "\(lines.joined(separator: ", ")); \(pick.alerts.count) alerts, \(pick.onsets.count) onsets."
  }

  private func p(_ value: Double) -> String { PageNumbers.place(value) }

  private func across(_ milliseconds: Double) -> Double {
    TraceDrawing.left + time.place(milliseconds) * (TraceDrawing.right - TraceDrawing.left)
  }
  /// Of an instant since 1970.
  private func across(_ instant: Int64) -> Double { across(Double(instant - pick.anchor)) }

  private func mark(_ alert: TracePick.Told) -> String {
    let words = "\(TraceDrawing.offset(alert.time - pick.anchor)) \(alert.rule)"
    let (form, ink): (ChartMark, Ink) =
      switch alert.worth {
      case .counted, .repeat: (.triangle, .main)
      case .neutral: (.circle, .plain)
      case .false: (.cross, .other)
      }
    let drawing = form.path(x: across(alert.time), y: 14, size: 4.5, ink: ink, isHollow: alert.worth == .repeat)
    return "<g><title>\(PageText.escaped(words))</title>\(drawing)</g>\n"
  }

  private func strip(_ vital: TraceVital, top: Double) -> String {
    let values = vital.samples.map(\.value)
    let low = values.min() ?? 0
    let high = values.max() ?? 0
    let margin = high > low ? (high - low) * 0.08 : 1
    let (bottom, ceiling) = (top + TraceDrawing.strip - 6, top + 20)
    func up(_ value: Double) -> Double {
      bottom - (value - low + margin) / (high - low + 2 * margin) * (bottom - ceiling)
    }
    var text =
      "<path class=\"grid\" d=\"M\(p(TraceDrawing.left)) \(p(top + TraceDrawing.strip))H\(p(TraceDrawing.right))\"/>"
    text += "<text x=\"\(p(TraceDrawing.left + 2))\" y=\"\(p(top + 14))\">\(PageText.escaped(vital.title)) "
    text += "<tspan class=\"small\">\(PageText.escaped(vital.unit))</tspan></text>"
    for value in high > low ? [low, high] : [low] {
      text += "<text class=\"small\" x=\"\(p(TraceDrawing.left - 6))\" y=\"\(p(up(value) + 4))\" text-anchor=\"end\">"
      text += "\(PageNumbers.short(value))</text>"
    }
    for run in runs(vital.samples) {
      let points = run.map { "\(p(across(Double($0.time)))) \(p(up($0.value)))" }
      if points.count > 1 {
        text += "<path class=\"line thin \(Ink.main.rawValue)\" d=\"M\(points.joined(separator: "L"))\"/>"
      }
      // Where samples can be told apart each is shown: a line between two charted values was measured by nobody.
      if vital.samples.count <= TraceDrawing.dotsMax || run.count == 1 {
        for sample in run {
          text += ChartMark.circle.path(x: across(Double(sample.time)), y: up(sample.value), size: 1.6, ink: .main)
        }
      }
    }
    return text + "\n"
  }

  private static let dotsMax = 60

  /// Samples without a gap between them: one at least four times as long as most distances are.
  private func runs(_ samples: [TraceVital.Sample]) -> [[TraceVital.Sample]] {
    let distances = zip(samples, samples.dropFirst()).map { $1.time - $0.time }.sorted()
    let gap = max(1, Quantile.nearestRank(0.75, of: distances) ?? 1) * 4
    var runs: [[TraceVital.Sample]] = []
    for sample in samples {
      if let last = runs.last?.last, sample.time - last.time < gap {
        runs[runs.count - 1].append(sample)
      } else {
        runs.append([sample])
      }
    }
    return runs
  }

  // MARK: Numbers

  private static let rowsMax = 24

  var head: [String] { ["Time"] + vitals.map { "\($0.title), \($0.unit)" } }

  /// The stretch in equal parts, each with the lowest and highest value in it.
  var rows: [[String]] {
    let step = max(1, Int64(time.high - time.low) / Int64(TraceDrawing.rowsMax))
    let first = Int64(time.low)
    return (0..<TraceDrawing.rowsMax).compactMap { part in
      let start = first + step * Int64(part)
      let end = part + 1 == TraceDrawing.rowsMax ? Int64.max : start + step
      let cells = vitals.map { vital -> String in
        let values = vital.samples.filter { start <= $0.time && $0.time < end }.map(\.value)
        guard let low = values.min(), let high = values.max() else { return "–" }
        return low == high ? PageNumbers.short(low) : "\(PageNumbers.short(low)) to \(PageNumbers.short(high))"
      }
      return cells.allSatisfy { $0 == "–" } ? nil : [TraceDrawing.offset(start)] + cells
    }
  }
}
