import ChunkCoding
import VitalModel

/// One value of a row, with its column.
package struct SeriesCell: Hashable, Sendable, BitwiseCopyable {
  package var column: ChunkColumn
  package var cell: ChunkCell
  /// A later value of the same series and time stands in the same row.
  package var isSuperseded: Bool
}

/// All values of one patient and device at one event time.
package struct SeriesRow: Hashable, Sendable {
  /// Event time, ms since 1970.
  package var time: Int64 = 0
  /// By code, then source; values of one series oldest first.
  package var cells: [SeriesCell] = []

  package init() {}
}

/// Walks the rows of one group in event time, merging chunks that overlap.
///
/// Not for use from two threads at once. It holds store files: let it go, or `close()` it, when done.
package final class SeriesCursor {
  private let feed: any ChunkFeed
  private let from: Int64
  private let to: Int64
  private let superseded: Bool
  /// Only these vitals; empty: all.
  private let codes: Set<VitalCode>
  /// Chunks under way, by first position: a later one holds later values.
  private var sources: [Source] = []
  /// First event time of the feed's next chunk; nil when there are no more.
  private var nextChunkTime: Int64?

  /// A chunk's rows and how far they are read.
  private struct Source {
    let rows: ChunkRows
    var row: Int
    /// Next cell of each column.
    var cursors: [Int]

    init(_ rows: ChunkRows, from: Int64, codes: Set<VitalCode>) {
      var rows = rows
      if !codes.isEmpty { rows.columns.removeAll { !codes.contains($0.column.code) } }
      self.rows = rows
      row = rows.firstRow(notBefore: from)
      let row = row
      cursors = rows.columns.map { column in column.rows.firstIndex { $0 >= row } ?? column.rows.count }
    }

    var isAtEnd: Bool { row == rows.times.count }
    var time: Int64 { rows.times[row] }

    /// Adds the cells of the row to `cells` and moves on.
    mutating func take(into cells: inout [SeriesCell]) {
      for index in rows.columns.indices {
        let at = cursors[index]
        guard at < rows.columns[index].rows.count, rows.columns[index].rows[at] == row else { continue }
        cells.append(
          SeriesCell(column: rows.columns[index].column, cell: rows.columns[index].cells[at], isSuperseded: false))
        cursors[index] = at + 1
      }
      row += 1
    }
  }

  init(
    feed: any ChunkFeed, from: Int64, to: Int64, superseded: Bool, codes: Set<VitalCode> = [], live: [ChunkRows]
  ) throws(SeriesError) {
    self.feed = feed
    self.from = from
    self.to = to
    self.superseded = superseded
    self.codes = codes
    for rows in live { add(rows) }
    nextChunkTime = try feed.nextTime()
  }

  /// Lets go of the store's files; no more rows come.
  package func close() {
    feed.close()
    nextChunkTime = nil
    sources = []
  }

  /// The next row, nil after the last.
  package func next() throws(SeriesError) -> SeriesRow? {
    var row = SeriesRow()
    return try next(&row) ? row : nil
  }

  /// Puts the next row in `row`, whose memory is used again; false after the last.
  package func next(_ row: inout SeriesRow) throws(SeriesError) -> Bool {
    while true {
      var earliest: Int64?
      for index in sources.indices where sources[index].time <= earliest ?? .max { earliest = sources[index].time }
      if let chunkTime = nextChunkTime, chunkTime <= earliest ?? .max {
        try loadChunk()
        continue
      }
      guard let time = earliest, time < to else {
        close()
        return false
      }
      take(time, into: &row)
      if !row.cells.isEmpty { return true }
    }
  }

  private func take(_ time: Int64, into row: inout SeriesRow) {
    row.time = time
    row.cells.removeAll(keepingCapacity: true)
    var ended = false
    for index in sources.indices {
      while !sources[index].isAtEnd, sources[index].time == time { sources[index].take(into: &row.cells) }
      if sources[index].isAtEnd { ended = true }
    }
    if ended { sources.removeAll { $0.isAtEnd } }
    order(&row.cells)
    for index in row.cells.indices.dropLast()
    where row.cells[index].column.isSameSeries(as: row.cells[index + 1].column) {
      row.cells[index].isSuperseded = true
    }
    if !superseded { row.cells.removeAll { $0.isSuperseded } }
  }

  /// By code and source, keeping the order of equal ones. Insertion: the cells of a row are few and nearly in order.
  private func order(_ cells: inout [SeriesCell]) {
    func rank(_ cell: SeriesCell) -> UInt32 { UInt32(cell.column.code.index) << 16 | UInt32(cell.column.source) }
    for start in cells.indices.dropFirst() {
      var index = start
      while index > 0, rank(cells[index - 1]) > rank(cells[index]) {
        cells.swapAt(index - 1, index)
        index -= 1
      }
    }
  }

  private func loadChunk() throws(SeriesError) {
    if let rows = try feed.take() { add(rows) }
    nextChunkTime = try feed.nextTime()
  }

  private func add(_ rows: ChunkRows) {
    let source = Source(rows, from: from, codes: codes)
    guard !source.isAtEnd else { return }
    let at = sources.firstIndex { $0.rows.firstPosition > rows.firstPosition } ?? sources.count
    sources.insert(source, at: at)
  }
}
