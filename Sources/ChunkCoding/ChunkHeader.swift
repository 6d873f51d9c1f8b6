import Compression
import VitalModel

/// Figures of one column over a chunk, in units of 10^`exponent`.
package struct ColumnFigures: Hashable, Sendable {
  package var exponent: Int8
  package var min: Int64
  package var max: Int64
  package var sum: Int64
  package var first: Int64
  package var last: Int64

  /// - Returns: nil where the values have no common exponent in 64 bits, or their sum does not fit.
  package init?(_ cells: [ChunkCell]) {
    guard let head = cells.first else { return nil }
    var exponent = head.exponent
    for cell in cells where cell.exponent < exponent { exponent = cell.exponent }
    guard let firstValue = scaledExactly(head, to: exponent) else { return nil }
    self.exponent = exponent
    (min, max, sum, first, last) = (firstValue, firstValue, 0, firstValue, firstValue)
    for cell in cells {
      guard let value = scaledExactly(cell, to: exponent) else { return nil }
      let (total, overflow) = sum.addingReportingOverflow(value)
      if overflow { return nil }
      sum = total
      if value < min { min = value }
      if value > max { max = value }
      last = value
    }
  }

  fileprivate init(exponent: Int8, reader: inout ByteReader) throws(ByteError) {
    self.exponent = exponent
    min = try reader.zigzag()
    max = min &+ Int64(bitPattern: try reader.varint())
    sum = try reader.zigzag()
    first = min &+ Int64(bitPattern: try reader.varint())
    last = min &+ Int64(bitPattern: try reader.varint())
  }

  fileprivate func append(to writer: inout ByteWriter) {
    writer.append(UInt8(bitPattern: exponent))
    writer.append(zigzag: min)
    writer.append(varint: UInt64(bitPattern: max &- min))
    writer.append(zigzag: sum)
    writer.append(varint: UInt64(bitPattern: first &- min))
    writer.append(varint: UInt64(bitPattern: last &- min))
  }
}

/// A cell's number in units of 10^`exponent`; nil if that takes more than 64 bits or the exponent lies outside -18...18.
@inline(__always)
func scaledExactly(_ cell: ChunkCell, to exponent: Int8) -> Int64? {
  if cell.exponent == exponent { return (-18...18).contains(exponent) ? cell.mantissa : nil }
  let shift = Int(cell.exponent) - Int(exponent)
  guard (0...18).contains(shift), exponent >= -18, cell.exponent <= 18 else { return nil }
  let (product, overflow) = cell.mantissa.multipliedReportingOverflow(by: DecimalValue.powerOfTen(shift))
  return overflow ? nil : product
}

/// What the header says of one column.
package struct ColumnSummary: Hashable, Sendable {
  package var column: ChunkColumn
  package var cellCount: Int
  /// Event time of the column's last cell, ms.
  package var lastTime: Int64
  /// Nil where the numbers could not be summed up exactly.
  package var figures: ColumnFigures?
}

/// The front of every chunk, readable without its body: `docs/formats/chunk.md`.
package struct ChunkHeader: Hashable, Sendable {
  package static let formatVersion: UInt8 = 1

  package var codec: UInt8
  package var patient: UInt32
  package var device: UInt32
  package var group: UInt16
  package var rowCount: Int
  /// Event times of the first and last row, ms.
  package var firstTime: Int64
  package var lastTime: Int64
  package var firstPosition: UInt64
  package var lastPosition: UInt64
  package var columns: [ColumnSummary]
  /// Bytes before the body.
  package private(set) var byteCount = 0

  /// Cells over all columns.
  package var cellCount: Int { columns.reduce(0) { $0 + $1.cellCount } }

  init(of rows: ChunkRows, codec: UInt8) {
    self.codec = codec
    patient = rows.patient
    device = rows.device
    group = rows.group
    rowCount = rows.times.count
    firstTime = rows.times.first ?? 0
    lastTime = rows.times.last ?? 0
    firstPosition = rows.firstPosition
    lastPosition = rows.lastPosition
    columns = rows.columns.map { column in
      ColumnSummary(
        column: column.column, cellCount: column.cells.count,
        lastTime: column.rows.last.map { rows.times[Int($0)] } ?? 0, figures: ColumnFigures(column.cells))
    }
  }

  /// Reads the front of a chunk.
  ///
  /// - Parameter checksum: also compares the checksum of the whole chunk: O(bytes) instead of O(columns).
  package init(_ bytes: UnsafeRawBufferPointer, checksum: Bool) throws(ChunkError) {
    guard bytes.count >= 6 else { throw .truncated }
    guard bytes[0] == ChunkHeader.formatVersion else { throw .unknownVersion(bytes[0]) }
    if checksum {
      let content = UnsafeRawBufferPointer(rebasing: bytes[..<(bytes.count - 4)])
      let stored = UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: bytes.count - 4, as: UInt32.self))
      guard Checksums.crc32c(content) == stored else { throw .checksum }
    }
    var reader = ByteReader(UnsafeRawBufferPointer(rebasing: bytes[..<(bytes.count - 4)]))
    do throws(ByteError) {
      try reader.skip(1)
      codec = try reader.byte()
      patient = UInt32(try reader.count(limit: Int(UInt32.max)))
      device = UInt32(try reader.count(limit: Int(UInt32.max)))
      group = UInt16(try reader.count(limit: Int(UInt16.max)))
      rowCount = try reader.count(limit: ChunkLimits.rowsMax)
      firstTime = try reader.zigzag()
      lastTime = firstTime &+ Int64(bitPattern: try reader.varint())
      firstPosition = try reader.varint()
      lastPosition = firstPosition &+ (try reader.varint())
      let columnCount = try reader.count(limit: ChunkLimits.columnsMax)
      columns = []
      columns.reserveCapacity(columnCount)
      for _ in 0..<columnCount {
        columns.append(try ColumnSummary(reader: &reader, lastTime: lastTime, rowCount: rowCount))
      }
    } catch {
      throw ChunkError(error, in: "header")
    }
    byteCount = reader.offset
    guard rowCount > 0, firstTime <= lastTime, firstPosition <= lastPosition, cellCount <= ChunkLimits.cellsMax else {
      throw .corrupt("header")
    }
  }

  func append(to writer: inout ByteWriter) {
    writer.append(ChunkHeader.formatVersion)
    writer.append(codec)
    writer.append(varint: UInt64(patient))
    writer.append(varint: UInt64(device))
    writer.append(varint: UInt64(group))
    writer.append(varint: UInt64(rowCount))
    writer.append(zigzag: firstTime)
    writer.append(varint: UInt64(bitPattern: lastTime &- firstTime))
    writer.append(varint: firstPosition)
    writer.append(varint: lastPosition &- firstPosition)
    writer.append(varint: UInt64(columns.count))
    for summary in columns { summary.append(to: &writer, lastTime: lastTime) }
  }
}

extension ColumnSummary {
  fileprivate init(reader: inout ByteReader, lastTime last: Int64, rowCount: Int) throws(ByteError) {
    let code = UInt16(try reader.count(limit: Int(UInt16.max)))
    let unit = try reader.byte()
    let source = UInt16(try reader.count(limit: Int(UInt16.max)))
    column = ChunkColumn(code: VitalCode(index: code), unit: unit, source: source)
    cellCount = try reader.count(limit: rowCount)
    lastTime = last &- Int64(bitPattern: try reader.varint())
    // The exponent's byte doubles as the mark: no decimal has exponent 127.
    let exponent = Int8(bitPattern: try reader.byte())
    figures = exponent == ColumnSummary.noFigures ? nil : try ColumnFigures(exponent: exponent, reader: &reader)
  }

  fileprivate static let noFigures: Int8 = 127

  fileprivate func append(to writer: inout ByteWriter, lastTime last: Int64) {
    writer.append(varint: UInt64(column.code.index))
    writer.append(column.unit)
    writer.append(varint: UInt64(column.source))
    writer.append(varint: UInt64(cellCount))
    writer.append(varint: UInt64(bitPattern: last &- lastTime))
    if let figures { figures.append(to: &writer) } else { writer.append(UInt8(ColumnSummary.noFigures)) }
  }
}
