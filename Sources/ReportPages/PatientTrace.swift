import Statistics
import VitalModel

/// One vital sign of a stretch.
package struct TraceVital: Hashable, Sendable {
  package struct Sample: Hashable, Sendable {
    /// Milliseconds since 1970.
    package var time: Int64
    package var value: Double
    package init(time: Int64, value: Double) {
      self.time = time
      self.value = value
    }
  }

  package var title: String
  /// UCUM code.
  package var unit: String
  /// By time; of dense recordings the lowest and highest of each small stretch.
  package var samples: [Sample]

  package init(title: String, unit: String, samples: [Sample]) {
    self.title = title
    self.unit = unit
    self.samples = samples
  }
}

/// A stretch of one patient with the vital signs measured in it.
package struct PatientTrace: Hashable, Sendable {
  package var pick: TracePick
  package var vitals: [TraceVital]

  /// Vital signs drawn of a stretch, at most.
  package static let vitalsMax = 8

  package init(pick: TracePick, vitals: [TraceVital]) {
    self.pick = pick
    self.vitals = vitals
  }
}

/// Traces as small drawings one below the other, with onsets and alerts; time counts from the onset or the first alert, never
/// from a date.
struct TraceCharts {
  let material: PageMaterial

  func write(to out: inout PageText) {
    let numbered = material.traces.enumerated().map { ($0.offset + 1, $0.element) }
    let missed = numbered.filter { if case .missed = $0.1.pick.reason { true } else { false } }
    let wrong = numbered.filter { if case .falseAlerts = $0.1.pick.reason { true } else { false } }
    out.element("ul", "class=\"legend\"") { list in
      for entry in TraceCharts.legend {
        list.raw("<li>\(entry.svg) \(PageText.escaped(entry.words))</li>\n")
      }
    }
    for (title, group) in [
      ("Missed events, longest without an alert first", missed), ("Most frequent false alerts", wrong),
    ]
    where !group.isEmpty {
      out.words("h3", title)
      out.element("div", "class=\"charts\"") { charts in
        for (number, trace) in group { write(trace, number, to: &charts) }
      }
    }
  }

  private static let legend = [
    LegendEntry(.mark(.triangle, .main), "alert that counted for an event, or repeated one that did"),
    LegendEntry(.mark(.cross, .other), "false alert"),
    LegendEntry(.mark(.circle, .plain), "alert neither true nor false"),
    LegendEntry(.line(.other, isDashed: true), "onset of an event"),
  ]

  private func write(_ trace: PatientTrace, _ number: Int, to out: inout PageText) {
    let drawing = TraceDrawing(trace, number: number)
    let name = material.subject.name(trace.pick.patient, of: material.report.patients.count)
    out.element("figure") { figure in
      figure.words("h4", heading(trace.pick, name))
      if drawing.isEmpty {
        figure.paragraph("Nothing was measured in this stretch.")
      } else {
        figure.raw(drawing.svg(title: heading(trace.pick, name)))
      }
      figure.words("figcaption", alerts(trace.pick))
      guard !drawing.isEmpty else { return }
      figure.details("Numbers of this drawing") {
        $0.table(heading(trace.pick, name), head: drawing.head, rows: drawing.rows)
      }
    }
  }

  private func heading(_ pick: TracePick, _ name: String) -> String {
    switch pick.reason {
    case .missed(let quiet): "\(name): no alert for \(PageNumbers.duration(Double(quiet))) before the onset"
    case .falseAlerts(let rule, let count): "\(name): \(count) false alert\(count == 1 ? "" : "s") of \(rule)"
    }
  }

  private func alerts(_ pick: TracePick) -> String {
    guard !pick.alerts.isEmpty else { return "No alert in this stretch." }
    let shown = pick.alerts.prefix(TraceCharts.alertsMax).map { alert in
      let word =
        switch alert.worth {
        case .counted: ""
        case .repeat: " (repeat)"
        case .neutral: " (neither)"
        case .false: " (false)"
        }
      return "\(TraceDrawing.offset(alert.time - pick.anchor)) \(alert.rule), \(alert.priority.text)\(word)"
    }
    let rest = pick.alerts.count - shown.count
    return "Alerts: " + shown.joined(separator: "; ") + (rest > 0 ? "; and \(rest) more" : "") + "."
  }

  /// Alerts named below a drawing.
  private static let alertsMax = 6
}
