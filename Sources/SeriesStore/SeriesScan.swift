import ChunkCoding
import KeyValueStore
import VitalModel

/// What to read: patients, vitals, a range of event time, and how finely.
package struct SeriesScan: Sendable {
  /// In this order; nil: every group of `patients`, ascending.
  package var groups: [SeriesGroup]?
  /// Nil: all.
  package var patients: Set<UInt32>?
  /// Empty: all.
  package var codes: Set<VitalCode> = []
  /// Event times in `from..<to`, ms. Buckets are whole: they begin with the one `from` lies in and end with the one that
  /// the last time before `to` lies in.
  package var from = Int64.min
  package var to = Int64.max
  package var resolution = SeriesResolution.raw
  /// Also values that a correction replaced; raw only.
  package var superseded = false
  /// Whether a second thread decodes the chunks that come next.
  package var decodesAhead = false
  /// Told of a damaged chunk, which is then stepped over; nil: damage is an error. May be called from another thread.
  package var onDamage: (@Sendable (SeriesGroup, ChunkError) -> Void)?

  package init() {}
}

/// One row of a scan: samples of one event time, or figures of one bucket.
package struct ScannedRow: Hashable, Sendable {
  package var group = SeriesGroup(patient: 0, device: 0)
  /// Event time, or the bucket's start, ms.
  package var time: Int64 = 0
  /// Raw scans: by code, then source; values of one series oldest first.
  package var samples: [SeriesCell] = []
  /// Other scans: by code, source and unit.
  package var rollups: [RollupCell] = []

  package init() {}
}

/// How far a scan is.
package struct ScanProgress: Hashable, Sendable {
  package var groups = 0
  package var groupsTotal = 0
  package var rows = 0
}

/// Walks a scan: group by group, each by event time. The same scan of the same moment gives the same rows, whatever
/// happens to the store meanwhile and however they are stored.
///
/// Not for use from two threads at once. It holds store files: `close()` it when done.
package final class SeriesScanCursor {
  private let reader: SeriesReader
  private let scan: SeriesScan
  private let tail: SeriesTail?
  private let groups: [SeriesGroup]
  private let progress: ((ScanProgress) -> Void)?
  private var ahead: DecodeAhead?
  /// Of walks of our own; nil while another thread decodes.
  private var decoder: ChunkDecoder?
  private var nextGroup = 0
  private var source: Source?
  private var state: ScanProgress

  private enum Source {
    case raw(SeriesCursor)
    case rollups(RollupCursor)
  }

  /// Rows between two calls of `progress`.
  private static let progressRows = 4096

  init(
    _ reader: SeriesReader, _ scan: SeriesScan, tail: SeriesTail?, progress: ((ScanProgress) -> Void)?
  ) throws(SeriesError) {
    self.reader = reader
    self.scan = scan
    self.tail = tail
    self.progress = progress
    if let groups = scan.groups {
      self.groups = groups
    } else if let patients = scan.patients, patients.count <= 16 {
      var groups: [SeriesGroup] = []
      for patient in patients.sorted() {
        groups += try reader.groups(patient: patient, tail: tail, onDamage: scan.onDamage)
      }
      self.groups = groups
    } else {
      groups = try reader.groups(tail: tail, onDamage: scan.onDamage).filter {
        scan.patients?.contains($0.patient) ?? true
      }
    }
    state = ScanProgress(groups: 0, groupsTotal: groups.count)
    // Rollups of long ranges hardly touch chunks; a group a thread would be wasted on them.
    if scan.decodesAhead, scan.resolution == .raw || scan.resolution == .minute {
      let range = scan.bounds
      ahead = DecodeAhead.start(
        reader.chunks, groups.map { scan.request($0, from: range.from, to: range.to) })
    }
  }

  deinit { close() }

  /// The next row, nil after the last.
  package func next() throws(SeriesError) -> ScannedRow? {
    var row = ScannedRow()
    return try next(&row) ? row : nil
  }

  /// Puts the next row in `row`, whose memory is used again; false after the last.
  package func next(_ row: inout ScannedRow) throws(SeriesError) -> Bool {
    while true {
      if source == nil {
        guard nextGroup < groups.count else {
          close()
          return false
        }
        source = try open(nextGroup)
        nextGroup += 1
      }
      if try take(&row) {
        row.group = groups[nextGroup - 1]
        state.rows += 1
        if state.rows % SeriesScanCursor.progressRows == 0 { progress?(state) }
        return true
      }
      source = nil
      state.groups = nextGroup
      progress?(state)
    }
  }

  private func take(_ row: inout ScannedRow) throws(SeriesError) -> Bool {
    switch source {
    case .raw(let cursor)?:
      row.rollups.removeAll(keepingCapacity: true)
      var kept = SeriesRow()
      swap(&kept.cells, &row.samples)
      let isRow = try cursor.next(&kept)
      swap(&kept.cells, &row.samples)
      row.time = kept.time
      return isRow
    case .rollups(let cursor)?:
      row.samples.removeAll(keepingCapacity: true)
      guard let next = try cursor.next() else { return false }
      row.time = next.time
      row.rollups = next.cells
      return true
    case nil: return false
    }
  }

  private func open(_ index: Int) throws(SeriesError) -> Source {
    let group = groups[index]
    let live = tail?.rows(group, plan: reader.plan) ?? []
    if ahead == nil, decoder == nil { decoder = try reader.chunks.codec.makeDecoder() }
    let (ahead, decoder) = (ahead, decoder)
    let (reader, scan) = (reader, scan)
    func cursor(from: Int64, to: Int64) throws(SeriesError) -> SeriesCursor {
      let feed: any ChunkFeed =
        if let ahead { AheadFeed(ahead, request: index) } else {
          try DirectFeed(reader.chunks, scan.request(group, from: from, to: to), decoder: decoder)
        }
      return try SeriesCursor(
        feed: feed, from: from, to: to, superseded: scan.superseded, codes: scan.codes, live: live)
    }
    let bounds = scan.bounds
    guard scan.resolution != .raw else {
      return .raw(try cursor(from: bounds.from, to: bounds.to))
    }
    let days =
      scan.resolution == .minute
      ? [] : try reader.rollupDays(group, from: bounds.from, to: bounds.to, live: live)
    return .rollups(
      RollupCursor(
        days: days, from: bounds.from, to: bounds.to, width: scan.resolution.width, codes: scan.codes, rows: cursor))
  }

  /// Lets go of the store's files; no more rows come.
  package func close() {
    ahead?.stop()
    ahead = nil
    source = nil
    nextGroup = groups.count
  }
}

extension SeriesScan {
  /// The range in whole buckets.
  var bounds: (from: Int64, to: Int64) {
    let width = resolution.width
    guard width > 0 else { return (from, to) }
    let end = to == .max || to == .min ? to : BucketSum.start(of: to - 1, width: width).addingClamped(width)
    return (from == .min ? from : BucketSum.start(of: from, width: width), from >= to ? .min : end)
  }

  func request(_ group: SeriesGroup, from: Int64, to: Int64) -> FeedRequest {
    FeedRequest(group: group, from: from, to: to, codes: codes, onDamage: onDamage)
  }
}

extension SeriesReader {
  /// Begins a scan as of the reader's moment.
  ///
  /// - Parameters:
  ///   - tail: rows not sealed yet; those sealed by now are left out.
  ///   - progress: called now and then by whoever takes rows.
  package func scan(
    _ scan: SeriesScan, tail: SeriesTail? = nil, progress: ((ScanProgress) -> Void)? = nil
  ) throws(SeriesError) -> SeriesScanCursor {
    try SeriesScanCursor(self, scan, tail: tail, progress: progress)
  }

  /// Days of a group that are rolled up and can be relied on: no chunk and no open row came since. None when marks or
  /// rollups cannot be walked: the chunks are asked instead.
  func rollupDays(
    _ group: SeriesGroup, from: Int64, to: Int64, live: [ChunkRows]
  ) throws(SeriesError) -> [(day: GroupDay, rollups: RollupDay)] {
    do throws(SeriesError) {
      return try reliableDays(group, from: from, to: to, live: live)
    } catch {
      switch error {
      case .store(.corruption), .store(.sealed): return []
      default: throw error
      }
    }
  }

  private func reliableDays(
    _ group: SeriesGroup, from: Int64, to: Int64, live: [ChunkRows]
  ) throws(SeriesError) -> [(day: GroupDay, rollups: RollupDay)] {
    var stale: Set<Int64> = []
    for rows in live { for time in rows.times { stale.insert(time.flooredQuotient(by: GroupDay.length)) } }
    try UpkeepMarks.visit(
      store, families, StateKey.rollupPrefix + ChunkKey.prefix(group), snapshot: snapshot
    ) { (day, _) throws(SeriesError) in stale.insert(day.day) }
    let first = GroupDay(group: group, time: from)
    let iterator = try storing { () throws(StoreError) in
      try store.iterator(
        families.rollups, lower: RollupKey.bytes(first), upper: keyAfterPrefix(ChunkKey.prefix(group)),
        snapshot: snapshot)
    }
    defer { iterator.close() }
    var days: [(GroupDay, RollupDay)] = []
    var isAt = try storing { () throws(StoreError) in try iterator.seekToFirst() }
    while isAt {
      let day = try RollupKey.day(iterator.key)
      guard day.start < to else { break }
      // What cannot be read is as good as absent: the chunks are asked instead.
      if let value = try? iterator.value, let rollups = try? RollupDay(value, start: day.start),
        rollups.isFinal || !stale.contains(day.day)
      {
        days.append((day, rollups))
      }
      isAt = try storing { () throws(StoreError) in try iterator.next() }
    }
    return days
  }
}

/// Buckets of one group: from rollups where days have them, from rows in between.
final class RollupCursor {
  private var days: ArraySlice<(day: GroupDay, rollups: RollupDay)>
  private let from: Int64
  private let to: Int64
  private let codes: Set<VitalCode>
  private let makeRows: (Int64, Int64) throws(SeriesError) -> SeriesCursor
  private var sum: BucketSum
  /// Event times before are done.
  private var place: Int64
  private var rows: SeriesCursor?
  private var row = SeriesRow()
  private var ready: ArraySlice<RollupRow> = []
  private var isAtEnd = false

  init(
    days: [(day: GroupDay, rollups: RollupDay)], from: Int64, to: Int64, width: Int64, codes: Set<VitalCode>,
    rows: @escaping (Int64, Int64) throws(SeriesError) -> SeriesCursor
  ) {
    self.days = days[...]
    self.from = from
    self.to = to
    self.codes = codes
    makeRows = rows
    sum = BucketSum(width: width)
    place = from
  }

  /// The next bucket, nil after the last.
  func next() throws(SeriesError) -> RollupRow? {
    while true {
      if let part = ready.popFirst() {
        if let done = sum.add(part) { return done }
        continue
      }
      if let rows {
        if try rows.next(&row) {
          if let done = sum.add(row) { return done }
          continue
        }
        self.rows = nil
      }
      if isAtEnd { return sum.finish() }
      try advance()
    }
  }

  /// Opens the rows before the next day with rollups, or that day.
  private func advance() throws(SeriesError) {
    guard let next = days.first else {
      if place < to || place == .min { rows = try makeRows(place, to) }
      isAtEnd = true
      return
    }
    if place < next.day.start {
      rows = try makeRows(place, min(next.day.start, to))
      place = next.day.start
      return
    }
    days = days.dropFirst()
    ready = next.rollups.rows.filter { from <= $0.time && $0.time < to }.map { wanted($0) }[...]
    place = next.day.end
  }

  private func wanted(_ row: RollupRow) -> RollupRow {
    guard !codes.isEmpty else { return row }
    return RollupRow(time: row.time, cells: row.cells.filter { codes.contains($0.column.code) })
  }
}
