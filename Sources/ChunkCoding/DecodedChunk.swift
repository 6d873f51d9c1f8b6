import VitalModel

/// A chunk's times and numbers as flat columns, for replays and scans: no marks, and memory that is kept from chunk to chunk.
package struct DecodedChunk {
  /// The numbers of one column.
  package struct Column {
    package internal(set) var column = ChunkColumn(code: VitalCode(index: 0), unit: 0, source: 0)
    /// Cells of the chunk's column, also if it was not asked for.
    package internal(set) var cellCount = 0
    /// Whether the column was asked for; the fields below are empty otherwise.
    package internal(set) var isDecoded = false
    /// Mantissas, one a cell.
    package internal(set) var values: [Int64] = []
    /// The exponent of all cells, if `exponents` is empty.
    package internal(set) var exponent: Int8 = 0
    /// One a cell, where they differ.
    package internal(set) var exponents: [Int8] = []
    /// Row of each cell, ascending; empty where every row has a cell.
    package internal(set) var rows: [UInt32] = []

    /// The number of a cell as received.
    package func value(_ cell: Int) -> DecimalValue {
      DecimalValue(mantissa: values[cell], exponent: exponents.isEmpty ? exponent : exponents[cell])
    }

    /// The row of a cell.
    package func row(_ cell: Int) -> Int { rows.isEmpty ? cell : Int(rows[cell]) }

    mutating func clear(_ summary: ColumnSummary) {
      column = summary.column
      cellCount = summary.cellCount
      isDecoded = false
      exponent = 0
      values.removeAll(keepingCapacity: true)
      exponents.removeAll(keepingCapacity: true)
      rows.removeAll(keepingCapacity: true)
    }
  }

  package internal(set) var header: ChunkHeader?
  /// Event time of each row, ascending.
  package internal(set) var times: [Int64] = []
  /// In the header's order, those not asked for among them.
  package internal(set) var columns: [Column] = []

  package init() {}

  /// Takes on the shape of a chunk, keeping memory.
  mutating func clear(_ header: ChunkHeader) {
    self.header = header
    times.removeAll(keepingCapacity: true)
    while columns.count < header.columns.count { columns.append(Column()) }
    if columns.count > header.columns.count { columns.removeLast(columns.count - header.columns.count) }
    for index in columns.indices { columns[index].clear(header.columns[index]) }
  }

  /// Takes over rows, of the columns asked for.
  mutating func take(_ rows: ChunkRows, only wanted: Set<Int>?) {
    times.append(contentsOf: rows.times)
    for (index, source) in rows.columns.enumerated() where wanted?.contains(index) ?? true {
      columns[index].isDecoded = true
      columns[index].values.append(contentsOf: source.cells.lazy.map(\.mantissa))
      let exponent = source.cells[0].exponent
      columns[index].exponent = exponent
      if !source.cells.allSatisfy({ $0.exponent == exponent }) {
        columns[index].exponents.append(contentsOf: source.cells.lazy.map(\.exponent))
      }
      if source.cells.count < rows.times.count { columns[index].rows.append(contentsOf: source.rows) }
    }
  }
}
