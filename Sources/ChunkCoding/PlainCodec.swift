import Compression
import VitalModel

/// Codec 1: deltas as varints, runs where they are shorter, zstd over the whole body. The fallback and the test oracle.
///
/// Not for use from two threads at once.
package final class PlainCodec: ChunkCodec {
  package static let id: UInt8 = 1

  private let compressor: ZstdCompressor
  private let decompressor: ZstdDecompressor

  /// - Parameter level: zstd level, 1...19.
  package init(level: Int32 = 3) throws(ChunkError) {
    do throws(CompressionError) {
      compressor = try ZstdCompressor(level: level)
      decompressor = try ZstdDecompressor()
    } catch {
      throw .outOfMemory
    }
  }

  /// How the body is kept.
  private enum Packing {
    static let stored: UInt8 = 0
    static let zstd: UInt8 = 1
  }

  // MARK: Encoding

  package func encode(_ rows: ChunkRows) throws(ChunkError) -> [UInt8] {
    try encode(rows, version: ChunkHeader.firstVersion)
  }

  /// Packs the same body behind a header of another version.
  func encode(_ rows: ChunkRows, version: UInt8) throws(ChunkError) -> [UInt8] {
    guard rows.isWellFormed else { throw .notWellFormed }
    var body = ByteWriter(capacity: rows.times.count * (4 + rows.columns.count * 2))
    appendTimes(rows.times, to: &body)
    appendRowMarks(rows, to: &body)
    for column in rows.columns { append(column, rowCount: rows.times.count, to: &body) }

    var chunk = ByteWriter(capacity: body.count + 64 + rows.columns.count * 32)
    ChunkHeader(of: rows, codec: PlainCodec.id, version: version).append(to: &chunk)
    let packed: [UInt8]
    do throws(CompressionError) { packed = try compressor.compress(body.bytes) } catch { throw .outOfMemory }
    if packed.count < body.count {
      chunk.append(Packing.zstd)
      chunk.append(raw: packed)
    } else {
      chunk.append(Packing.stored)
      chunk.append(raw: body.bytes)
    }
    chunk.append(littleEndian: Checksums.crc32c(chunk.bytes))
    return chunk.bytes
  }

  /// Differences of differences; the first time is the header's.
  private func appendTimes(_ times: [Int64], to body: inout ByteWriter) {
    body.append(column: times.count - 1) { index in
      let delta = times[index + 1] &- times[index]
      let before = index == 0 ? 0 : times[index] &- times[index - 1]
      return zigzagEncode(delta &- before)
    }
  }

  /// Device sequence and ingest delay, which the cells of a row share as a rule; the others follow as exceptions.
  private func appendRowMarks(_ rows: ChunkRows, to body: inout ByteWriter) {
    let marks = RowMarks(of: rows)
    body.append(column: rows.times.count) { index in
      zigzagEncode(marks.sequences[index] &- (index == 0 ? 0 : marks.sequences[index - 1]))
    }
    body.append(column: rows.times.count) { index in
      zigzagEncode(marks.delays[index] &- (index == 0 ? 0 : marks.delays[index - 1]))
    }
    marks.appendExceptions(of: rows, to: &body)
  }

  private func append(_ column: ChunkColumnCells, rowCount: Int, to body: inout ByteWriter) {
    let cells = column.cells
    if cells.count < rowCount {
      // Gaps between the rows that have a cell; a full column needs none.
      body.append(column: cells.count) { index in
        UInt64(column.rows[index]) &- (index == 0 ? 0 : UInt64(column.rows[index - 1]) + 1)
      }
    }
    body.append(column: cells.count) { UInt64(UInt8(bitPattern: cells[$0].exponent)) }
    appendNumbers(cells, to: &body)
    body.append(column: cells.count) { UInt64(cells[$0].quality.raw) }
    body.append(column: cells.count) { UInt64(cells[$0].statusRaw) }
    body.append(column: cells.count) { UInt64(cells[$0].flags.rawValue) }
  }

  /// Differences of the numbers in the column's smallest exponent, so that 36.9, 37, 37.1 are steps of 1; differences of
  /// bare mantissas where that does not fit in 64 bits.
  private func appendNumbers(_ cells: [ChunkCell], to body: inout ByteWriter) {
    var numbers: [Int64] = []
    numbers.reserveCapacity(cells.count)
    var exponent = cells[0].exponent
    for cell in cells where cell.exponent < exponent { exponent = cell.exponent }
    for cell in cells {
      guard let number = scaledExactly(cell, to: exponent) else { break }
      numbers.append(number)
    }
    let isScaled = numbers.count == cells.count
    if !isScaled { numbers = cells.map(\.mantissa) }
    body.append(isScaled ? 1 : 0)
    body.append(column: numbers.count) { index in
      zigzagEncode(numbers[index] &- (index == 0 ? 0 : numbers[index - 1]))
    }
  }

  // MARK: Decoding

  package func decode(_ bytes: UnsafeRawBufferPointer) throws(ChunkError) -> ChunkRows {
    let header = try ChunkHeader(bytes, checksum: true)
    guard header.codec == PlainCodec.id else { throw .unknownCodec(header.codec) }
    guard header.byteCount < bytes.count - 4 else { throw .truncated }
    let packing = bytes[header.byteCount]
    let body = UnsafeRawBufferPointer(rebasing: bytes[(header.byteCount + 1)..<(bytes.count - 4)])
    switch packing {
    case Packing.stored:
      return try decode(body: body, header: header)
    case Packing.zstd:
      let unpacked: [UInt8]
      do throws(CompressionError) {
        unpacked = try decompressor.decompress(body, limit: PlainCodec.bodyBytesMax(header))
      } catch {
        throw error == .outOfMemory ? .outOfMemory : .corrupt("body")
      }
      let result: Result<ChunkRows, ChunkError> = unpacked.withUnsafeBytes { raw in
        Result { () throws(ChunkError) in try decode(body: raw, header: header) }
      }
      return try result.get()
    default:
      throw .corrupt("packing")
    }
  }

  /// The largest body the header's counts allow: every varint at its longest, every column at its worst.
  private static func bodyBytesMax(_ header: ChunkHeader) -> Int {
    header.rowCount * 64 + header.cellCount * 96 + header.columns.count * 64 + 64
  }

  private func decode(body: UnsafeRawBufferPointer, header: ChunkHeader) throws(ChunkError) -> ChunkRows {
    var reader = ByteReader(body)
    var rows = ChunkRows(
      patient: header.patient, device: header.device, group: header.group, firstPosition: header.firstPosition,
      lastPosition: header.lastPosition)
    rows.times = try times(header, &reader)
    let marks = try RowMarks(rowCount: header.rowCount, cellCount: header.cellCount, reader: &reader)
    rows.columns.reserveCapacity(header.columns.count)
    for summary in header.columns {
      rows.columns.append(try self.column(summary, rowCount: header.rowCount, &reader))
    }
    marks.apply(to: &rows)
    guard reader.isAtEnd else { throw .corrupt("bytes after the last column") }
    return rows
  }

  private func times(_ header: ChunkHeader, _ reader: inout ByteReader) throws(ChunkError) -> [Int64] {
    var times: [Int64] = []
    times.reserveCapacity(header.rowCount)
    times.append(header.firstTime)
    var delta: Int64 = 0
    var time = header.firstTime
    var ascends = true
    try reading("times") { () throws(ByteError) in
      try reader.column(header.rowCount - 1) { _, value in
        delta &+= zigzagDecode(value)
        let next = time &+ delta
        if next < time { ascends = false }
        time = next
        times.append(next)
      }
    }
    guard ascends, time == header.lastTime else { throw .corrupt("times") }
    return times
  }

  private func column(
    _ summary: ColumnSummary, rowCount: Int, _ reader: inout ByteReader
  ) throws(ChunkError) -> ChunkColumnCells {
    let count = summary.cellCount
    guard count > 0 else { throw .corrupt("column") }
    var column = ChunkColumnCells(summary.column)
    column.rows = try rowNumbers(count, rowCount: rowCount, &reader)
    column.cells = [ChunkCell](repeating: ChunkCell(value: DecimalValue(mantissa: 0)), count: count)
    try column.cells.withUnsafeMutableBufferPointer { cells throws(ChunkError) in
      var smallest = Int8.max
      try reading("exponents") { () throws(ByteError) in
        try reader.column(count) { index, value throws(ByteError) in
          guard let byte = UInt8(exactly: value) else { throw .varintTooLarge }
          cells[index].exponent = Int8(bitPattern: byte)
          smallest = min(smallest, cells[index].exponent)
        }
      }
      try numbers(cells, smallest: smallest, &reader)
      try reading("marks") { () throws(ByteError) in
        try reader.column(count) { index, value throws(ByteError) in
          guard let raw = UInt16(exactly: value) else { throw .varintTooLarge }
          cells[index].quality = SampleQuality(raw: raw)
        }
        try reader.column(count) { index, value throws(ByteError) in
          guard let raw = UInt8(exactly: value) else { throw .varintTooLarge }
          cells[index].statusRaw = raw
        }
        try reader.column(count) { index, value throws(ByteError) in
          guard let raw = UInt16(exactly: value) else { throw .varintTooLarge }
          cells[index].flags = SampleFlags(rawValue: raw)
        }
      }
    }
    return column
  }

  private func rowNumbers(_ count: Int, rowCount: Int, _ reader: inout ByteReader) throws(ChunkError) -> [UInt32] {
    if count == rowCount { return (0..<UInt32(rowCount)).map { $0 } }
    var rows: [UInt32] = []
    rows.reserveCapacity(count)
    var next: UInt64 = 0
    try reading("presence") { () throws(ByteError) in
      try reader.column(count) { _, gap throws(ByteError) in
        guard gap < UInt64(rowCount), next + gap < UInt64(rowCount) else { throw .varintTooLarge }
        rows.append(UInt32(next + gap))
        next += gap + 1
      }
    }
    return rows
  }

  private func numbers(
    _ cells: UnsafeMutableBufferPointer<ChunkCell>, smallest: Int8, _ reader: inout ByteReader
  ) throws(ChunkError) {
    var number: Int64 = 0
    try reading("numbers") { () throws(ByteError) in
      let isScaled = try reader.byte() != 0
      try reader.column(cells.count) { index, value throws(ByteError) in
        number &+= zigzagDecode(value)
        let shift = isScaled ? Int(cells[index].exponent) - Int(smallest) : 0
        guard shift <= 18 else { throw .varintTooLarge }
        if shift == 0 {
          cells[index].mantissa = number
        } else {
          let (quotient, rest) = number.quotientAndRemainder(dividingBy: DecimalValue.powerOfTen(shift))
          guard rest == 0 else { throw .varintTooLarge }
          cells[index].mantissa = quotient
        }
      }
    }
  }
}
