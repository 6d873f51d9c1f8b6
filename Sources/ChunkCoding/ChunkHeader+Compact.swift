import VitalModel

// The header of version 2: fields of bits, each relative to what was said before. See `docs/formats/chunk.md`.

/// Orders of the Exp-Golomb fields: about the bits a usual value takes.
private enum Order {
  static let patient = 6
  static let device = 6
  static let group = 1
  static let rows = 9
  static let time = 41
  static let span = 18
  static let position = 16
  static let positions = 11
  static let columns = 2
  static let code = 2
  static let source = 4
  static let missingCells = 5
  static let lag = 12
  static let first = 7
  static let spread = 2
}

extension ChunkHeader {
  init(compact content: UnsafeRawBufferPointer) throws(ChunkError) {
    guard content.count >= 2 else { throw .truncated }
    version = content[0]
    codec = content[1]
    var reader = BitReader(content, from: 2)
    patient = UInt32(try reader.golomb(order: Order.patient, limit: Int(UInt32.max)))
    device = UInt32(try reader.golomb(order: Order.device, limit: Int(UInt32.max)))
    group = UInt16(try reader.golomb(order: Order.group, limit: Int(UInt16.max)))
    rowCount = try reader.golomb(order: Order.rows, limit: ChunkLimits.rowsMax - 1) + 1
    firstTime = try reader.signedGolomb(order: Order.time)
    lastTime = firstTime &+ Int64(bitPattern: try reader.golomb(order: Order.span))
    firstPosition = try reader.golomb(order: Order.position)
    lastPosition = firstPosition &+ (try reader.golomb(order: Order.positions))
    let columnCount = try reader.golomb(order: Order.columns, limit: ChunkLimits.columnsMax)
    columns = []
    columns.reserveCapacity(columnCount)
    for _ in 0..<columnCount {
      columns.append(try ColumnSummary(&reader, after: columns.last, lastTime: lastTime, rowCount: rowCount))
    }
    byteCount = reader.byteOffset
  }

  func compactBytes() -> [UInt8] {
    var writer = BitWriter([version, codec])
    writer.append(golomb: UInt64(patient), order: Order.patient)
    writer.append(golomb: UInt64(device), order: Order.device)
    writer.append(golomb: UInt64(group), order: Order.group)
    writer.append(golomb: UInt64(rowCount - 1), order: Order.rows)
    writer.append(golomb: firstTime, order: Order.time)
    writer.append(golomb: UInt64(bitPattern: lastTime &- firstTime), order: Order.span)
    writer.append(golomb: firstPosition, order: Order.position)
    writer.append(golomb: lastPosition &- firstPosition, order: Order.positions)
    writer.append(golomb: UInt64(columns.count), order: Order.columns)
    var before: ColumnSummary?
    for summary in columns {
      summary.append(to: &writer, after: before, lastTime: lastTime, rowCount: rowCount)
      before = summary
    }
    writer.align()
    return writer.bytes
  }
}

extension ColumnSummary {
  /// What a column's code is coded against: the code after the one before.
  private static func expectedCode(after before: ColumnSummary?) -> Int64 {
    before.map { Int64($0.column.code.index) + 1 } ?? 0
  }

  fileprivate init(
    _ reader: inout BitReader, after before: ColumnSummary?, lastTime last: Int64, rowCount: Int
  ) throws(ChunkError) {
    let code = ColumnSummary.expectedCode(after: before) &+ (try reader.signedGolomb(order: Order.code))
    guard let index = UInt16(exactly: code) else { throw .corrupt("a column's code") }
    let unit = try reader.flag() ? UInt8(try reader.bits(8)) : 0
    let source =
      try reader.flag()
      ? UInt16(try reader.golomb(order: Order.source, limit: Int(UInt16.max))) : before?.column.source ?? 0
    column = ChunkColumn(code: VitalCode(index: index), unit: unit, source: source)
    let missing = try reader.flag() ? try reader.golomb(order: Order.missingCells, limit: rowCount - 1) + 1 : 0
    cellCount = rowCount - missing
    guard cellCount > 0 else { throw .corrupt("a column without cells") }
    lastTime = try reader.flag() ? last &- Int64(bitPattern: try reader.golomb(order: Order.lag)) : last
    figures = try reader.flag() ? nil : try ColumnFigures(&reader, after: before?.figures, cellCount: cellCount)
  }

  fileprivate func append(
    to writer: inout BitWriter, after before: ColumnSummary?, lastTime last: Int64, rowCount: Int
  ) {
    let code = Int64(column.code.index) - ColumnSummary.expectedCode(after: before)
    writer.append(golomb: code, order: Order.code)
    writer.append(column.unit != 0)
    if column.unit != 0 { writer.append(UInt64(column.unit), bits: 8) }
    let isOtherSource = column.source != before?.column.source ?? 0
    writer.append(isOtherSource)
    if isOtherSource { writer.append(golomb: UInt64(column.source), order: Order.source) }
    writer.append(cellCount < rowCount)
    if cellCount < rowCount { writer.append(golomb: UInt64(rowCount - cellCount - 1), order: Order.missingCells) }
    writer.append(lastTime != last)
    if lastTime != last { writer.append(golomb: UInt64(bitPattern: last &- lastTime), order: Order.lag) }
    writer.append(figures == nil)
    figures?.append(to: &writer, after: before?.figures, cellCount: cellCount)
  }
}

extension ColumnFigures {
  fileprivate init(_ reader: inout BitReader, after before: ColumnFigures?, cellCount: Int) throws(ChunkError) {
    exponent = try reader.flag() ? Int8(truncatingIfNeeded: try reader.bits(8)) : before?.exponent ?? 0
    first = try reader.signedGolomb(order: Order.first)
    min = first &- Int64(bitPattern: try reader.golomb(order: Order.spread))
    max = first &+ Int64(bitPattern: try reader.golomb(order: Order.spread))
    guard min <= first, first <= max else { throw .corrupt("a column's figures") }
    let spread = UInt64(bitPattern: max &- min)
    let aboveMin = try reader.bits(ColumnFigures.width(spread))
    guard aboveMin <= spread else { throw .corrupt("a column's figures") }
    last = min &+ Int64(bitPattern: aboveMin)
    let least = Int64(cellCount) &* min
    guard let width = ColumnFigures.sumWidth(spread: spread, cellCount: cellCount) else {
      sum = Int64(bitPattern: try reader.bits(64))
      return
    }
    sum = least &+ Int64(bitPattern: try reader.bits(width))
  }

  fileprivate func append(to writer: inout BitWriter, after before: ColumnFigures?, cellCount: Int) {
    let isOtherExponent = exponent != before?.exponent ?? 0
    writer.append(isOtherExponent)
    if isOtherExponent { writer.append(UInt64(UInt8(bitPattern: exponent)), bits: 8) }
    writer.append(golomb: first, order: Order.first)
    writer.append(golomb: UInt64(bitPattern: first &- min), order: Order.spread)
    writer.append(golomb: UInt64(bitPattern: max &- first), order: Order.spread)
    let spread = UInt64(bitPattern: max &- min)
    writer.append(UInt64(bitPattern: last &- min), bits: ColumnFigures.width(spread))
    if let width = ColumnFigures.sumWidth(spread: spread, cellCount: cellCount) {
      writer.append(UInt64(bitPattern: sum &- Int64(cellCount) &* min), bits: width)
    } else {
      writer.append(UInt64(bitPattern: sum), bits: 64)
    }
  }

  /// Bits a number of 0...`limit` takes.
  private static func width(_ limit: UInt64) -> Int { limit.bitWidth - limit.leadingZeroBitCount }

  /// Bits the sum takes above the least it can be; nil where that needs more than 64.
  private static func sumWidth(spread: UInt64, cellCount: Int) -> Int? {
    let (most, overflow) = spread.multipliedReportingOverflow(by: UInt64(cellCount))
    return overflow ? nil : width(most)
  }
}
