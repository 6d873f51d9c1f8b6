import AlertJournal
import ChunkCoding
import Pipeline
import SeriesStore
import VitalModel

/// All samples a store holds, sealed or not yet, as of the moment it was opened.
struct StoredSeries {
  private let reader: SeriesReader
  private let tail: SeriesTail

  /// Sealed chunks of that moment, and from the journal what no chunk holds yet.
  init(_ access: StoreAccess) throws(CommandFailure) {
    (reader, tail) = try access.reading {
      let reader = try SeriesReader(access.store.store)
      var tail = SeriesTail()
      try access.store.journal.read(
        from: reader.plan.sealFloor, onDamage: { printError("vigil: \($0.description); stepped over") }
      ) { record in
        if case .slot(let slot) = record { tail.append(slot, position: slot.payload, plan: reader.plan) }
      }
      return (reader, tail)
    }
  }

  /// Rows or buckets of patients, vitals and a range of event time: `docs/storage.md`.
  ///
  /// - Parameter progress: called now and then by whoever takes rows.
  func scan(_ scan: SeriesScan, progress: ((ScanProgress) -> Void)? = nil) throws -> SeriesScanCursor {
    try reader.scan(scan, tail: tail, progress: progress)
  }

  /// Every patient and device with samples, by patient number.
  func groups() throws -> [SeriesGroup] { try reader.groups(tail: tail) }

  /// When a group has rows in `from..<to`, without unpacking any sealed ones.
  func stretches(_ group: SeriesGroup, from: Int64, to: Int64) throws -> [SeriesStretch] {
    try reader.stretches(group, from: from, to: to, tail: tail)
  }

  /// Rows of one group with event times in `from..<to`, ascending.
  func rows(_ group: SeriesGroup, from: Int64?, to: Int64?, superseded: Bool = false) throws -> SeriesCursor {
    try reader.rows(group, from: from ?? .min, to: to ?? .max, superseded: superseded, tail: tail)
  }
}

/// One patient's rows of all devices in the order a recording becomes a journal: event time, then device id
/// (SEMANTICS B8).
struct PatientRows {
  private struct Source {
    let device: UInt32
    let cursor: SeriesCursor
    var row: SeriesRow
  }
  private var sources: [Source] = []

  /// - Parameter groups: the patient's groups, by device id.
  init(_ groups: [SeriesGroup], _ series: StoredSeries, from: Int64?, to: Int64?) throws {
    for group in groups {
      let cursor = try series.rows(group, from: from, to: to)
      if let row = try cursor.next() { sources.append(Source(device: group.device, cursor: cursor, row: row)) }
    }
  }

  /// The next row and its device; nil after the last.
  mutating func next() throws -> (device: UInt32, row: SeriesRow)? {
    // Strictly earlier only: of equal times the first source, which has the lower device id, comes first.
    guard var first = sources.indices.first else { return nil }
    for index in sources.indices where sources[index].row.time < sources[first].row.time { first = index }
    let found = (sources[first].device, sources[first].row)
    if let row = try sources[first].cursor.next() { sources[first].row = row } else { sources.remove(at: first) }
    return found
  }
}
