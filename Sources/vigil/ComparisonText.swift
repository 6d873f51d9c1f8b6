import Service
import VitalModel

/// What two versions of the rules tell, for a terminal.
enum ComparisonText {
  static func table(_ comparison: AlertComparison) -> String {
    var rows = [["RULE", "BEFORE", "AFTER", "GAINED", "LOST"]]
    for count in comparison.counts {
      rows.append([count.rule] + [count.before, count.after, count.gained, count.lost].map { String($0) })
    }
    return TextTable.format(rows)
  }

  static func line(_ mark: String, _ span: AlertSpan) -> String {
    let end = span.end.map(Timestamp.format) ?? "open"
    return "\(mark) \(Timestamp.format(span.onset)) to \(end) \(shown(span.patient)) \(span.rule) "
      + "\(span.priority.text): " + harmless(span.message)
  }

  static func line(moved before: AlertSpan, to after: AlertSpan) -> String {
    var changes: [String] = []
    if before.detected != after.detected {
      let seconds = (after.detected - before.detected) / 1000
      let by = DurationText.format(abs(after.detected - before.detected))
      changes.append(by + (seconds < 0 ? " earlier" : " later"))
    }
    if before.priority != after.priority { changes.append("\(before.priority.text) became \(after.priority.text)") }
    return line("moved", before) + " (" + changes.joined(separator: ", ") + ")"
  }
}
