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

  init(exponent: Int8, min: Int64, max: Int64, sum: Int64, first: Int64, last: Int64) {
    self.exponent = exponent
    (self.min, self.max, self.sum, self.first, self.last) = (min, max, sum, first, last)
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

/// What ``scaledExactly(_:to:)`` made of a mantissa, undone; nil if it cannot have come of one.
@inline(__always)
func unscaledExactly(_ number: Int64, _ shift: Int) -> Int64? {
  guard shift > 0 else { return number }
  guard shift <= 18 else { return nil }
  let (quotient, rest) = number.quotientAndRemainder(dividingBy: DecimalValue.powerOfTen(shift))
  return rest == 0 ? quotient : nil
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
  /// The version with a field a byte or more.
  package static let firstVersion: UInt8 = 1
  /// The version packed bit by bit.
  package static let formatVersion: UInt8 = 2

  /// As read; of a header of rows, as it will be written.
  package var version = ChunkHeader.formatVersion
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
  package internal(set) var byteCount = 0

  /// Cells over all columns.
  package var cellCount: Int { columns.reduce(0) { $0 + $1.cellCount } }

  init(of rows: ChunkRows, codec: UInt8, version: UInt8) {
    self.init(of: rows, codec: codec, figures: rows.columns.map { ColumnFigures($0.cells) })
    self.version = version
  }

  /// A header of version 2, the columns' figures being known.
  init(of rows: ChunkRows, codec: UInt8, figures: [ColumnFigures?]) {
    self.codec = codec
    patient = rows.patient
    device = rows.device
    group = rows.group
    rowCount = rows.times.count
    firstTime = rows.times.first ?? 0
    lastTime = rows.times.last ?? 0
    firstPosition = rows.firstPosition
    lastPosition = rows.lastPosition
    columns = zip(rows.columns, figures).map { column, figures in
      ColumnSummary(
        column: column.column, cellCount: column.cells.count,
        lastTime: column.rows.last.map { rows.times[Int($0)] } ?? 0, figures: figures)
    }
  }

  /// Reads the front of a chunk.
  ///
  /// - Parameter checksum: also compares the checksum of the whole chunk: O(bytes) instead of O(columns).
  package init(_ bytes: UnsafeRawBufferPointer, checksum: Bool) throws(ChunkError) {
    guard bytes.count >= 6 else { throw .truncated }
    guard (ChunkHeader.firstVersion...ChunkHeader.formatVersion).contains(bytes[0]) else {
      throw .unknownVersion(bytes[0])
    }
    if checksum {
      let content = UnsafeRawBufferPointer(rebasing: bytes[..<(bytes.count - 4)])
      let stored = UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: bytes.count - 4, as: UInt32.self))
      guard Checksums.crc32c(content) == stored else { throw .checksum }
    }
    let content = UnsafeRawBufferPointer(rebasing: bytes[..<(bytes.count - 4)])
    if bytes[0] == ChunkHeader.firstVersion { try self.init(first: content) } else { try self.init(compact: content) }
    guard rowCount > 0, firstTime <= lastTime, firstPosition <= lastPosition, cellCount <= ChunkLimits.cellsMax else {
      throw .corrupt("header")
    }
  }

  private init(first content: UnsafeRawBufferPointer) throws(ChunkError) {
    version = ChunkHeader.firstVersion
    var reader = ByteReader(content)
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
  }

  /// The front of a chunk of version 1 or 2, as `version` says.
  func append(to writer: inout ByteWriter) {
    if version == ChunkHeader.formatVersion {
      writer.append(raw: compactBytes())
      return
    }
    writer.append(version)
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
