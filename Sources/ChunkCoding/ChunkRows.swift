/// Room `ChunkCoding`: rows of one message group to bytes and back, without loss. It computes only: no store, no keys, no
/// clock, no files, no threads. It never rounds a number, never drops a mark, and no bytes from outside make it trap or
/// take memory beyond ``ChunkLimits``.
import VitalModel

/// Bounds of one chunk; a decoder refuses more before it takes memory for it.
package enum ChunkLimits {
  /// Rows in a chunk.
  package static let rowsMax = 65_536
  /// Value columns in a chunk.
  package static let columnsMax = 64
  /// Cells in a chunk, over all columns.
  package static let cellsMax = 1 << 20
}

/// What a value column holds: one code of one source in one unit. Patient and device are the chunk's.
package struct ChunkColumn: Hashable, Sendable, BitwiseCopyable {
  package var code: VitalCode
  /// Directory number of the source text; 0: none given.
  package var source: UInt16
  /// Position in `VitalDefinition.units`.
  package var unit: UInt8

  @inlinable
  package init(code: VitalCode, unit: UInt8, source: UInt16) {
    self.code = code
    self.source = source
    self.unit = unit
  }

  /// Whether both belong to one series: the unit is how a value was sent, not whose it is.
  @inlinable
  package func isSameSeries(as other: ChunkColumn) -> Bool { code == other.code && source == other.source }
}

/// One value with all its marks, exactly as received: 32 bytes in memory.
package struct ChunkCell: Hashable, Sendable, BitwiseCopyable {
  package var mantissa: Int64
  /// The device's own number of the message; meaningful with `SampleFlags.hasSequence`, kept in any case.
  package var sequence: Int64
  /// Milliseconds since 1970.
  package var ingestTime: Int64
  package var flags: SampleFlags
  package var quality: SampleQuality
  package var exponent: Int8
  package var statusRaw: UInt8

  @inlinable
  package init(
    value: DecimalValue, sequence: Int64 = 0, ingestTime: Int64 = 0, flags: SampleFlags = [],
    quality: SampleQuality = .absent, statusRaw: UInt8 = 0
  ) {
    mantissa = value.mantissa
    exponent = value.exponent
    self.sequence = sequence
    self.ingestTime = ingestTime
    self.flags = flags
    self.quality = quality
    self.statusRaw = statusRaw
  }

  /// The cell of a sample slot.
  @inlinable
  package init(_ slot: Slot) {
    self.init(
      value: slot.value, sequence: slot.deviceSequence, ingestTime: slot.ingestTime, flags: slot.flags,
      quality: slot.quality, statusRaw: slot.statusRaw)
  }

  /// The number as received.
  @inlinable package var value: DecimalValue { DecimalValue(mantissa: mantissa, exponent: exponent) }

  /// The device sequence, nil when the message carried none.
  @inlinable package var deviceSequence: Int64? { flags.contains(.hasSequence) ? sequence : nil }
}

/// The cells of one column, in row order.
package struct ChunkColumnCells: Hashable, Sendable {
  package var column: ChunkColumn
  /// Row of each cell, strictly ascending.
  package var rows: [UInt32] = []
  /// As many as `rows`.
  package var cells: [ChunkCell] = []

  package init(_ column: ChunkColumn, rows: [UInt32] = [], cells: [ChunkCell] = []) {
    self.column = column
    self.rows = rows
    self.cells = cells
  }

  /// The cell of a row, nil when it has none here. O(log cells).
  package func cell(row: Int) -> ChunkCell? {
    var low = 0
    var high = rows.count
    while low < high {
      let middle = (low + high) / 2
      if rows[middle] < row { low = middle + 1 } else { high = middle }
    }
    return low < rows.count && rows[low] == row ? cells[low] : nil
  }
}

/// The contents of one chunk: one time column shared by all value columns.
///
/// Rows ascend in event time. Rows of equal time hold successive values of a series, the newest last: a correction stands
/// in a later row than what it corrects, and no row has two cells of one series.
package struct ChunkRows: Hashable, Sendable {
  /// Directory numbers.
  package var patient: UInt32
  package var device: UInt32
  /// Which of a device's message groups; 0 where a device has one.
  package var group: UInt16
  /// Journal positions of the earliest and latest slot the rows were made of.
  package var firstPosition: UInt64
  package var lastPosition: UInt64
  /// Event time of each row in ms since 1970, ascending.
  package var times: [Int64]
  package var columns: [ChunkColumnCells]

  package init(
    patient: UInt32, device: UInt32, group: UInt16 = 0, firstPosition: UInt64 = 0, lastPosition: UInt64 = 0,
    times: [Int64] = [], columns: [ChunkColumnCells] = []
  ) {
    self.patient = patient
    self.device = device
    self.group = group
    self.firstPosition = firstPosition
    self.lastPosition = lastPosition
    self.times = times
    self.columns = columns
  }

  /// Cells over all columns.
  package var cellCount: Int { columns.reduce(0) { $0 + $1.cells.count } }

  /// The first row at or after a time; `times.count` when there is none. O(log rows).
  package func firstRow(notBefore time: Int64) -> Int {
    var low = 0
    var high = times.count
    while low < high {
      let middle = (low + high) / 2
      if times[middle] < time { low = middle + 1 } else { high = middle }
    }
    return low
  }

  /// The newest value of a series at exactly this time, with its unit.
  package func newestCell(code: VitalCode, source: UInt16, time: Int64) -> (cell: ChunkCell, unit: UInt8)? {
    let first = firstRow(notBefore: time)
    var row = first
    while row < times.count, times[row] == time { row += 1 }
    while row > first {
      row -= 1
      for column in columns where column.column.code == code && column.column.source == source {
        if let cell = column.cell(row: row) { return (cell, column.column.unit) }
      }
    }
    return nil
  }

  /// The rows cut into pieces, each spanning at most `spanMax` ms of event time; rows of equal time stay together.
  package func split(spanMax: UInt64) -> [ChunkRows] {
    guard let first = times.first, let last = times.last else { return [] }
    if UInt64(bitPattern: last &- first) <= spanMax { return [self] }
    var starts: [Int] = []
    var start = 0
    for row in times.indices where UInt64(bitPattern: times[row] &- times[start]) > spanMax {
      starts.append(row)
      start = row
    }
    return cut(before: starts)
  }

  /// The rows cut before each of these row numbers, which ascend, lie within the rows and are not 0.
  package func cut(before starts: [Int]) -> [ChunkRows] {
    var pieces: [ChunkRows] = []
    var cursors = [Int](repeating: 0, count: columns.count)
    var start = 0
    for end in starts + [times.count] {
      var piece = ChunkRows(
        patient: patient, device: device, group: group, firstPosition: firstPosition, lastPosition: lastPosition,
        times: Array(times[start..<end]))
      for (index, column) in columns.enumerated() {
        let from = cursors[index]
        var to = from
        while to < column.rows.count, column.rows[to] < end { to += 1 }
        cursors[index] = to
        guard to > from else { continue }
        piece.columns.append(
          ChunkColumnCells(
            column.column, rows: column.rows[from..<to].map { $0 - UInt32(start) },
            cells: Array(column.cells[from..<to])))
      }
      pieces.append(piece)
      start = end
    }
    return pieces
  }

  /// Whether the rows keep the promises of this type and the bounds of ``ChunkLimits``.
  package var isWellFormed: Bool {
    guard !times.isEmpty, times.count <= ChunkLimits.rowsMax, columns.count <= ChunkLimits.columnsMax,
      cellCount <= ChunkLimits.cellsMax, firstPosition <= lastPosition
    else { return false }
    for index in times.indices.dropFirst() where times[index] < times[index - 1] { return false }
    for column in columns {
      guard column.rows.count == column.cells.count, let last = column.rows.last, last < times.count else {
        return false
      }
      for index in column.rows.indices.dropFirst() where column.rows[index] <= column.rows[index - 1] { return false }
    }
    return true
  }
}
