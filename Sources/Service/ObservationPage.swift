import ChunkCoding
import SeriesStore
import VitalModel

/// Samples of one patient as of one moment, by event time, then device.
struct ObservationPage: Sendable {
  private(set) var rows: [(group: SeriesGroup, row: SeriesRow)] = []
  private(set) var samples = 0
  /// Nil: this page is the last.
  private(set) var next: ObservationCursor?

  private struct Source {
    let group: SeriesGroup
    let cursor: SeriesCursor
    var row: SeriesRow
  }

  /// - Parameters:
  ///   - sealer: of the running service.
  ///   - rowsMax: rows looked at.
  init(
    _ query: ObservationQuery, _ sealer: Sealer, _ makeReader: () throws -> SeriesReader,
    rowsMax: Int = ObservationQuery.rowsMax
  ) throws {
    var sources: [Source] = []
    do {
      // Memory first: what is sealed between the two steps is left out of it by the reader.
      let tail = sealer.tail()
      let reader = try makeReader()
      let from = max(query.from, query.after?.time ?? .min)
      for group in try reader.groups(patient: query.patient, tail: tail) {
        let cursor = try reader.rows(
          group, from: from, to: query.to, superseded: query.withSuperseded, tail: tail)
        if let row = try cursor.next() { sources.append(Source(group: group, cursor: cursor, row: row)) }
      }
      // The tail goes here: as long as it is held, the sealer copies what it changes.
    }
    var last: ObservationCursor?
    var looked = 0
    while var at = sources.indices.first {
      // Of equal times the first source, which has the lower device number.
      for index in sources.indices where sources[index].row.time < sources[at].row.time { at = index }
      let place = ObservationCursor(time: sources[at].row.time, device: sources[at].group.device)
      if !ObservationPage.isPast(query.after, place) {
        let row = ObservationPage.chosen(sources[at].row, query.codes)
        // A page ends between rows, so one row of more than `limit` samples is a page of its own.
        if looked >= rowsMax || samples > 0 && samples + row.cells.count > query.limit {
          next = last
          return
        }
        looked += 1
        if !row.cells.isEmpty {
          rows.append((sources[at].group, row))
          samples += row.cells.count
        }
        last = place
      }
      if let row = try sources[at].cursor.next() { sources[at].row = row } else { sources.remove(at: at) }
    }
  }

  /// Whether an earlier page gave it already.
  private static func isPast(_ after: ObservationCursor?, _ place: ObservationCursor) -> Bool {
    guard let after else { return false }
    return (place.time, place.device) <= (after.time, after.device)
  }

  private static func chosen(_ row: SeriesRow, _ codes: Set<VitalCode>) -> SeriesRow {
    guard !codes.isEmpty else { return row }
    var row = row
    row.cells.removeAll { !codes.contains($0.column.code) }
    return row
  }
}
