import Compression
import VitalModel

/// Rows of one message group that are still growing, packed as they arrive: about 2 bytes a value at 1 Hz.
///
/// The row being assembled is kept as it is; it goes to the packed bytes when a cell arrives that cannot join it. Rows
/// stand in the order they came; ``rows()`` puts them in the order of a chunk. Not for use from two threads at once.
package struct RowLog: Sendable {
  package let patient: UInt32
  package let device: UInt32
  /// Positions of the first and last cell.
  package private(set) var firstPosition: UInt64 = 0
  package private(set) var lastPosition: UInt64 = 0
  /// Least and greatest event time, ms.
  package private(set) var earliestTime: Int64 = .max
  package private(set) var newestTime: Int64 = .min
  /// Ingest time of the first cell, ms.
  package private(set) var openedAt: Int64 = 0
  /// Cells so far, those of the row being assembled included.
  package private(set) var cellCount = 0

  private var columns: [Column] = []
  private var bytes: [UInt8] = []
  private var packedRows = 0
  private var pending: [PendingCell] = []
  /// Bit n: the row being assembled has a cell of the series whose first column is n.
  private var pendingSeries: UInt64 = 0
  private var pendingTime: Int64 = 0
  private var last = RowState()
  /// Columns of the row packed last.
  private var shape: [UInt8] = []

  /// One column and what its last cell was, which the next is expressed by.
  private struct Column: Sendable {
    var column: ChunkColumn
    /// The first column of the same series: itself, unless units differ.
    var series: UInt8
    var mantissa: Int64 = 0
    var newestTime: Int64 = .min
    var quality: UInt16 = 0xFFFF
    var flags: UInt16 = 0
    var exponent: Int8 = 0
    var status: UInt8 = 0
  }

  private struct PendingCell: Sendable {
    var cell: ChunkCell
    var column: UInt8
  }

  private struct RowState: Sendable {
    var time: Int64 = 0
    var delta: Int64 = 0
    var delay: Int64 = 0
    var sequence: Int64 = 0
    var step: Int64 = 0
  }

  /// First byte of a packed row.
  private enum Mark {
    static let otherShape: UInt8 = 1
    static let delays: UInt8 = 2
    static let sequenceJump: UInt8 = 4
    static let sequences: UInt8 = 8
    static let cellMarks: UInt8 = 16
  }

  package init(patient: UInt32, device: UInt32) {
    self.patient = patient
    self.device = device
  }

  /// Rows so far, the one being assembled included.
  package var rowCount: Int { packedRows + (pending.isEmpty ? 0 : 1) }
  package var isEmpty: Bool { packedRows == 0 && pending.isEmpty }
  /// Columns so far.
  package var columnCount: Int { columns.count }

  /// About what the log takes in memory.
  package var byteCount: Int {
    bytes.capacity + columns.capacity * MemoryLayout<Column>.stride + pending.capacity
      * MemoryLayout<PendingCell>.stride + shape.capacity + MemoryLayout<RowLog>.stride
  }

  /// Whether a sample of this column and time would begin another row.
  package func beginsRow(_ column: ChunkColumn, time: Int64) -> Bool {
    guard !pending.isEmpty, time == pendingTime else { return true }
    return pending.contains { columns[Int($0.column)].column.isSameSeries(as: column) }
  }

  /// Whether a column is new here and finds no place any more.
  package func isFull(for column: ChunkColumn) -> Bool {
    columns.count == ChunkLimits.columnsMax && !columns.contains { $0.column == column }
  }

  /// The newest event time of a series, nil if it has no cell here. O(columns).
  package func newestTime(code: VitalCode, source: UInt16) -> Int64? {
    var newest: Int64?
    for column in columns where column.column.code == code && column.column.source == source {
      newest = max(newest ?? .min, column.newestTime)
    }
    return newest
  }

  // MARK: Appending

  /// Takes in one sample. Positions ascend from call to call.
  ///
  /// - Precondition: the log is not full for the slot's column.
  package mutating func append(_ slot: Slot, position: UInt64) {
    let index = columnIndex(of: ChunkColumn(code: slot.code, unit: slot.unit, source: slot.source))
    let series = UInt64(1) << UInt64(columns[index].series)
    if !pending.isEmpty, slot.eventTime != pendingTime || pendingSeries & series != 0 { packPending() }
    if isEmpty {
      firstPosition = position
      openedAt = slot.ingestTime
    }
    lastPosition = position
    pendingTime = slot.eventTime
    pendingSeries |= series
    pending.append(PendingCell(cell: ChunkCell(slot), column: UInt8(index)))
    cellCount += 1
    if slot.eventTime > columns[index].newestTime { columns[index].newestTime = slot.eventTime }
    if slot.eventTime > newestTime { newestTime = slot.eventTime }
    if slot.eventTime < earliestTime { earliestTime = slot.eventTime }
  }

  private mutating func columnIndex(of column: ChunkColumn) -> Int {
    // Cells of a message come in the same order each time: the next column is the likely one.
    let guess = pending.isEmpty ? 0 : Int(pending[pending.count - 1].column) + 1
    if guess < columns.count, columns[guess].column == column { return guess }
    var series = UInt8(columns.count)
    for index in columns.indices {
      if columns[index].column == column { return index }
      if series == columns.count, columns[index].column.isSameSeries(as: column) { series = UInt8(index) }
    }
    precondition(columns.count < ChunkLimits.columnsMax, "a row log got more columns than a chunk holds")
    columns.append(Column(column: column, series: series))
    return columns.count - 1
  }

  private mutating func packPending() {
    let head = pending[0].cell
    let delay = head.ingestTime &- pendingTime
    var marks: UInt8 = 0
    if !isShapeKept { marks |= Mark.otherShape }
    var sequence = last.sequence &+ last.step
    if head.sequence != sequence { marks |= Mark.sequenceJump }
    sequence = head.sequence
    for item in pending {
      if item.cell.sequence != sequence { marks |= Mark.sequences }
      if item.cell.ingestTime &- pendingTime != delay { marks |= Mark.delays }
      if changes(item) != 0 { marks |= Mark.cellMarks }
    }
    reserve(16 + pending.count * 48)
    bytes.append(marks)
    if marks & Mark.otherShape != 0 { packShape() }
    let delta = pendingTime &- last.time
    put(delta &- last.delta)
    put(delay &- last.delay)
    if marks & Mark.sequenceJump != 0 { put(sequence &- last.sequence) }
    for item in pending { pack(item, marks: marks, sequence: sequence, delay: delay) }
    last = RowState(
      time: pendingTime, delta: delta, delay: delay, sequence: sequence, step: sequence &- last.sequence)
    packedRows += 1
    pending.removeAll(keepingCapacity: true)
    pendingSeries = 0
  }

  private var isShapeKept: Bool {
    guard shape.count == pending.count else { return false }
    for index in shape.indices where shape[index] != pending[index].column { return false }
    return true
  }

  private mutating func packShape() {
    shape.removeAll(keepingCapacity: true)
    bytes.append(UInt8(pending.count))
    for item in pending {
      bytes.append(item.column)
      shape.append(item.column)
    }
  }

  /// Which marks of a cell differ from those of the column's last one: bits 0 exponent, 1 status, 2 flags, 3 quality.
  private func changes(_ item: PendingCell) -> UInt8 {
    let before = columns[Int(item.column)]
    return (item.cell.exponent != before.exponent ? 1 : 0) | (item.cell.statusRaw != before.status ? 2 : 0)
      | (item.cell.flags.rawValue != before.flags ? 4 : 0) | (item.cell.quality.raw != before.quality ? 8 : 0)
  }

  private mutating func pack(_ item: PendingCell, marks: UInt8, sequence: Int64, delay: Int64) {
    let index = Int(item.column)
    put(item.cell.mantissa &- columns[index].mantissa)
    if marks & Mark.sequences != 0 { put(item.cell.sequence &- sequence) }
    if marks & Mark.delays != 0 { put(item.cell.ingestTime &- pendingTime &- delay) }
    if marks & Mark.cellMarks != 0 {
      let changed = changes(item)
      bytes.append(changed)
      if changed & 1 != 0 { bytes.append(UInt8(bitPattern: item.cell.exponent)) }
      if changed & 2 != 0 { bytes.append(item.cell.statusRaw) }
      if changed & 4 != 0 { put(unsigned: UInt64(item.cell.flags.rawValue)) }
      if changed & 8 != 0 { put(unsigned: UInt64(item.cell.quality.raw)) }
    }
    columns[index].mantissa = item.cell.mantissa
    columns[index].exponent = item.cell.exponent
    columns[index].status = item.cell.statusRaw
    columns[index].flags = item.cell.flags.rawValue
    columns[index].quality = item.cell.quality.raw
  }

  /// Makes room in small steps: doubling would leave a third of the memory of all open logs unused.
  private mutating func reserve(_ more: Int) {
    let needed = bytes.count + more
    if needed > bytes.capacity { bytes.reserveCapacity(max(needed, bytes.count + max(128, bytes.count / 8))) }
  }

  private mutating func put(_ value: Int64) { put(unsigned: zigzagEncode(value)) }

  private mutating func put(unsigned value: UInt64) {
    var rest = value
    while rest >= 0x80 {
      bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
      rest >>= 7
    }
    bytes.append(UInt8(truncatingIfNeeded: rest))
  }

  // MARK: Unpacking

  /// Everything so far as the rows of a chunk: ascending in time, equal times joined to one row where they hold
  /// different series. O(rows log rows).
  package func rows() -> ChunkRows {
    var log = self
    if !log.pending.isEmpty { log.packPending() }
    return log.unpacked()
  }

  /// The newest value of a series at exactly this time. O(rows), building nothing.
  package func newestCell(code: VitalCode, source: UInt16, time: Int64) -> (cell: ChunkCell, unit: UInt8)? {
    guard let newest = newestTime(code: code, source: source), time <= newest, time >= earliestTime else { return nil }
    func isWanted(_ column: UInt8) -> Bool {
      let column = columns[Int(column)].column
      return column.code == code && column.source == source
    }
    var found: (cell: ChunkCell, column: UInt8)?
    if pendingTime == time, let item = pending.first(where: { isWanted($0.column) }) {
      found = (item.cell, item.column)
    } else {
      forEachPackedCell { _, cellTime, column, cell in
        if cellTime == time, isWanted(column) { found = (cell, column) }
      }
    }
    return found.map { ($0.cell, columns[Int($0.column)].column.unit) }
  }

  private func unpacked() -> ChunkRows {
    var arrived = ArrivedRows()
    arrived.reserve(rows: packedRows, cells: cellCount)
    forEachPackedCell { row, time, column, cell in arrived.add(cell, column: column, row: row, time: time) }
    return arrived.chunkRows(of: self, columns: columns.map { ($0.column, $0.series) })
  }

  /// Hands over row number, event time, column and cell of everything packed, in the order it came.
  @inline(__always)
  private func forEachPackedCell(_ body: (Int, Int64, UInt8, ChunkCell) -> Void) {
    bytes.withUnsafeBytes { raw in
      var reader = ByteReader(raw)
      var state = RowState()
      var shape: [UInt8] = []
      var before = columns.map { Column(column: $0.column, series: $0.series) }
      var row = 0
      do throws(ByteError) {
        while !reader.isAtEnd {
          try RowLog.unpackRow(&reader, &state, &shape, &before) { time, column, cell in body(row, time, column, cell) }
          row += 1
        }
      } catch {
        preconditionFailure("a row log cannot read back what it packed")
      }
    }
  }

  @inline(__always)
  private static func unpackRow(
    _ reader: inout ByteReader, _ state: inout RowState, _ shape: inout [UInt8], _ before: inout [Column],
    _ body: (Int64, UInt8, ChunkCell) -> Void
  ) throws(ByteError) {
    let marks = try reader.byte()
    if marks & Mark.otherShape != 0 { shape = Array(try reader.raw(Int(try reader.byte()))) }
    state.delta &+= try reader.zigzag()
    state.time &+= state.delta
    state.delay &+= try reader.zigzag()
    if marks & Mark.sequenceJump != 0 { state.step = try reader.zigzag() }
    state.sequence &+= state.step
    for column in shape {
      let index = Int(column)
      before[index].mantissa &+= try reader.zigzag()
      let sequence = state.sequence &+ (marks & Mark.sequences != 0 ? try reader.zigzag() : 0)
      let delay = state.delay &+ (marks & Mark.delays != 0 ? try reader.zigzag() : 0)
      if marks & Mark.cellMarks != 0 {
        let changed = try reader.byte()
        if changed & 1 != 0 { before[index].exponent = Int8(bitPattern: try reader.byte()) }
        if changed & 2 != 0 { before[index].status = try reader.byte() }
        if changed & 4 != 0 { before[index].flags = UInt16(truncatingIfNeeded: try reader.varint()) }
        if changed & 8 != 0 { before[index].quality = UInt16(truncatingIfNeeded: try reader.varint()) }
      }
      let cell = ChunkCell(
        value: DecimalValue(mantissa: before[index].mantissa, exponent: before[index].exponent), sequence: sequence,
        ingestTime: state.time &+ delay, flags: SampleFlags(rawValue: before[index].flags),
        quality: SampleQuality(raw: before[index].quality), statusRaw: before[index].status)
      body(state.time, column, cell)
    }
  }
}

/// Rows in the order they came, on their way to chunk order.
private struct ArrivedRows {
  private var times: [Int64] = []
  /// Index of each row's first cell.
  private var starts: [Int] = []
  private var cells: [ChunkCell] = []
  private var cellColumns: [UInt8] = []

  mutating func reserve(rows: Int, cells count: Int) {
    times.reserveCapacity(rows)
    starts.reserveCapacity(rows)
    cells.reserveCapacity(count)
    cellColumns.reserveCapacity(count)
  }

  /// Takes the next cell; row numbers ascend without a gap.
  mutating func add(_ cell: ChunkCell, column: UInt8, row: Int, time: Int64) {
    if row == times.count {
      times.append(time)
      starts.append(cells.count)
    }
    cells.append(cell)
    cellColumns.append(column)
  }

  /// The n-th cell of a series at one time goes to the n-th row of that time.
  func chunkRows(of log: RowLog, columns: [(column: ChunkColumn, series: UInt8)]) -> ChunkRows {
    var rows = ChunkRows(
      patient: log.patient, device: log.device, firstPosition: log.firstPosition, lastPosition: log.lastPosition,
      columns: columns.map { ChunkColumnCells($0.column) })
    for index in rows.columns.indices { rows.columns[index].cells.reserveCapacity(times.count) }
    rows.times.reserveCapacity(times.count)
    var order = Array(times.indices)
    if zip(times, times.dropFirst()).contains(where: { $0 > $1 }) {
      order.sort { (times[$0], $0) < (times[$1], $1) }
    }
    var seen = [Int](repeating: 0, count: columns.count)
    var next = 0
    while next < order.count {
      let time = times[order[next]]
      let base = rows.times.count
      for index in seen.indices { seen[index] = 0 }
      while next < order.count, times[order[next]] == time {
        let row = order[next]
        let end = row + 1 < starts.count ? starts[row + 1] : cells.count
        for index in starts[row]..<end {
          let column = Int(cellColumns[index])
          let series = Int(columns[column].series)
          let target = base + seen[series]
          seen[series] += 1
          if target == rows.times.count { rows.times.append(time) }
          rows.columns[column].rows.append(UInt32(target))
          rows.columns[column].cells.append(cells[index])
        }
        next += 1
      }
    }
    rows.columns.removeAll { $0.cells.isEmpty }
    return rows
  }
}
