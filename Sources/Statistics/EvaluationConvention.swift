import VitalModel

/// When an alert counts for an event: two conventions give two headline figures from one recording, so a report names its
/// own (CLINICAL.md 4.1; SEMANTICS F1).
package struct EvaluationConvention: Hashable, Sendable {
  /// Until when an alert still counts.
  package enum Closing: String, Sendable, CaseIterable {
    /// Until the onset plus the grace.
    case onset
    /// Until the end of the event plus the grace; a moment ends at its onset.
    case end
  }

  /// Which windows of fixed length hold an event.
  package enum WindowTruth: String, Sendable, CaseIterable {
    /// Those the event itself reaches into.
    case event
    /// Those in which an alert would count for it.
    case match
  }

  /// How long before the onset an alert counts, milliseconds.
  package var lead: Int64 = 43_200_000
  /// How long after the onset, or the end, it still counts, milliseconds.
  package var grace: Int64 = 0
  package var closing = Closing.onset
  /// Whether alerts within the event's own stretch, but too late to count, are neither true nor false.
  package var isNeutralInside = false
  /// The lead that leaves time to act, milliseconds.
  package var usefulLead: Int64 = 0
  /// Length of a window, milliseconds, at least ``windowMin``; windows are counted from a patient's first sample.
  package var window: Int64 = 3_600_000
  package var windowTruth = WindowTruth.event

  /// A minute: shorter windows say nothing more and cost memory.
  package static let windowMin: Int64 = 60_000

  package init() {}

  /// Of an event, the first and the last instant at which an alert counts, both included.
  func range(onset: Int64, end: Int64?) -> (first: Int64, last: Int64) {
    (onset - lead, (closing == .end ? end ?? onset : onset) + grace)
  }

  /// In plain words, for the head of every report.
  package var words: String {
    let text = DurationText.format
    let close =
      switch (closing, grace) {
      case (.onset, 0): "its onset"
      case (.onset, _): "\(text(grace)) after its onset"
      case (.end, 0): "its end"
      case (.end, _): "\(text(grace)) after its end"
      }
    let inside =
      isNeutralInside
      ? "alerts inside an event but too late for it are neutral" : "alerts too late for an event are false"
    let truth = windowTruth == .event ? "the event reaches into them" : "an alert in them would count"
    return
      "an event is detected by an alert that starts between \(text(lead)) before its onset and \(close); one alert "
      + "counts for one event; further alerts there are repeats; \(inside); windows of \(text(window)) are positive where "
      + truth
  }
}
