import Recordings

/// Several replays of one recording, read once.
///
/// - Precondition: all of them are of plans with the same vitals, those the reader reads by.
package struct ReplayGroup: RowTaker {
  package let sessions: [ReplaySession]

  package init(_ sessions: [ReplaySession]) { self.sessions = sessions }

  package func take(_ row: RecordedRow, names: RecordingNames) {
    for session in sessions { session.take(row, names: names) }
  }
  package func take(_ event: RecordedEvent, names: RecordingNames) {
    for session in sessions { session.take(event, names: names) }
  }
  package func note(_ refusal: RecordingRefusal) {
    for session in sessions { session.note(refusal) }
  }
}
