import Recordings

/// What rows of a recording are fed to.
package protocol RowTaker {
  func take(_ row: RecordedRow, names: RecordingNames)
  func take(_ event: RecordedEvent, names: RecordingNames)
  /// Counts what the reader could not read.
  func note(_ refusal: RecordingRefusal)
}

extension ReplaySession: RowTaker {}
