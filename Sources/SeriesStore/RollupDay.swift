import ChunkCoding
import Compression
import VitalModel

/// The quarter hours of one UTC day of a group, as kept in the family `rollups`: `docs/formats/rollups.md`.
struct RollupDay: Hashable, Sendable {
  /// Chunks of the day have been dropped: these figures cannot be made anew and stand as they are.
  var isFinal = false
  /// By time; none is empty.
  var rows: [RollupRow] = []

  static let width = SeriesResolution.quarter.width
  static let bucketsMax = Int(GroupDay.length / width)
  static let version: UInt8 = 1
  /// Columns of a day at most: a chunk has up to 64, and a day many chunks.
  static let columnsMax = 4096

  /// Figures of one column over the day, in one unit.
  private struct Column {
    var column: ChunkColumn
    var exponent: Int8
    /// Buckets of the day, ascending, and what they hold.
    var buckets: [Int] = []
    var cells: [RollupCell] = []
  }

  // MARK: Bytes

  /// - Parameter start: first event time of the day.
  func bytes(start: Int64) -> [UInt8] {
    let columns = columns(start: start)
    var writer = ByteWriter(capacity: 32 + rows.count * 8)
    writer.append(RollupDay.version)
    writer.append(isFinal ? 1 : 0)
    writer.append(varint: UInt64(columns.count))
    var bits = BitWriter()
    for column in columns {
      writer.append(varint: UInt64(column.column.code.index))
      writer.append(column.column.unit)
      writer.append(varint: UInt64(column.column.source))
      writer.append(UInt8(bitPattern: column.exponent))
      RollupDay.appendPresence(column.buckets, to: &writer)
      for figures in RollupDay.figures(column.cells) {
        let parameter = BitWriter.bestParameter(figures)
        writer.append(parameter)
        for value in figures { bits.append(value, parameter: parameter) }
      }
    }
    writer.append(raw: bits.finish())
    writer.append(littleEndian: Checksums.crc32c(writer.bytes))
    return writer.bytes
  }

  private func columns(start: Int64) -> [Column] {
    var columns: [Column] = []
    for row in rows {
      let bucket = Int((row.time &- start) / RollupDay.width)
      for cell in row.cells {
        let index: Int
        if let known = columns.firstIndex(where: { $0.column == cell.column }) {
          index = known
        } else {
          columns.append(Column(column: cell.column, exponent: cell.exponent))
          index = columns.count - 1
        }
        columns[index].exponent = min(columns[index].exponent, cell.exponent)
        columns[index].buckets.append(bucket)
        columns[index].cells.append(cell)
      }
    }
    for index in columns.indices {
      for at in columns[index].cells.indices { columns[index].cells[at].rescale(to: columns[index].exponent) }
    }
    return columns
  }

  /// Runs of buckets without and with figures, in turn, until the day is full.
  private static func appendPresence(_ buckets: [Int], to writer: inout ByteWriter) {
    var next = 0
    var at = 0
    while next < bucketsMax {
      let gapEnd = at < buckets.count ? buckets[at] : bucketsMax
      writer.append(varint: UInt64(gapEnd - next))
      var end = gapEnd
      while at < buckets.count, buckets[at] == end {
        end += 1
        at += 1
      }
      writer.append(varint: UInt64(end - gapEnd))
      next = end
    }
  }

  /// Five rows of numbers that are small where a vital sign is steady: the count and the least value beside those of the
  /// bucket before, the range, the last above the least, and the sum beside that of values amid the range.
  private static func figures(_ cells: [RollupCell]) -> [[UInt64]] {
    var figures = [[UInt64]](repeating: [], count: 5)
    var count: Int64 = 0
    var least: Int64 = 0
    for cell in cells {
      let range = cell.max &- cell.min
      figures[0].append(zigzagEncode(cell.count &- count))
      figures[1].append(zigzagEncode(cell.min &- least))
      figures[2].append(UInt64(bitPattern: range))
      figures[3].append(UInt64(bitPattern: cell.last &- cell.min))
      figures[4].append(zigzagEncode(cell.sum &- middleSum(cell.count, cell.min, range)))
      count = cell.count
      least = cell.min
    }
    return figures
  }

  /// What values evenly spread over the range would sum up to; wraps where that takes more than 64 bits.
  private static func middleSum(_ count: Int64, _ min: Int64, _ range: Int64) -> Int64 {
    count &* min &+ ((count &* range) >> 1)
  }

  // MARK: Reading

  init(isFinal: Bool = false, rows: [RollupRow] = []) {
    self.isFinal = isFinal
    self.rows = rows
  }

  init(_ bytes: UnsafeRawBufferPointer, start: Int64) throws(SeriesError) {
    do throws(ByteError) {
      try self.init(checking: bytes, start: start)
    } catch {
      throw .damaged("rollup")
    }
  }

  private init(checking bytes: UnsafeRawBufferPointer, start: Int64) throws(ByteError) {
    guard bytes.count >= 7, bytes[0] == RollupDay.version, bytes[1] <= 1 else { throw .varintTooLarge }
    let content = UnsafeRawBufferPointer(rebasing: bytes[..<(bytes.count - 4)])
    let stored = UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: bytes.count - 4, as: UInt32.self))
    guard Checksums.crc32c(content) == stored else { throw .varintTooLarge }
    var reader = ByteReader(content)
    try reader.skip(1)
    isFinal = try reader.byte() == 1
    let count = try reader.count(limit: RollupDay.columnsMax)
    var columns: [(column: Column, parameters: [UInt8])] = []
    for _ in 0..<count {
      let code = UInt16(try reader.count(limit: Int(UInt16.max)))
      let unit = try reader.byte()
      let source = UInt16(try reader.count(limit: Int(UInt16.max)))
      let exponent = Int8(bitPattern: try reader.byte())
      guard RollupCell.exponents.contains(exponent) else { throw .varintTooLarge }
      var column = Column(
        column: ChunkColumn(code: VitalCode(index: code), unit: unit, source: source), exponent: exponent)
      column.buckets = try RollupDay.presence(&reader)
      columns.append((column, Array(try reader.raw(5))))
    }
    var bits = BitReader(UnsafeRawBufferPointer(rebasing: content[reader.offset...]))
    var cells = [[RollupCell]](repeating: [], count: RollupDay.bucketsMax)
    for (column, parameters) in columns {
      let figures = try parameters.map { (parameter) throws(ByteError) in
        try (0..<column.buckets.count).map { (_) throws(ByteError) in try bits.take(parameter: parameter) }
      }
      for (bucket, cell) in zip(column.buckets, RollupDay.cells(column, figures)) { cells[bucket].append(cell) }
    }
    for (bucket, cells) in cells.enumerated() where !cells.isEmpty {
      rows.append(
        RollupRow(
          time: start &+ Int64(bucket) * RollupDay.width,
          cells: cells.map(\.normalised).sorted(by: RollupCell.precedes)))
    }
  }

  private static func presence(_ reader: inout ByteReader) throws(ByteError) -> [Int] {
    var buckets: [Int] = []
    var next = 0
    while next < bucketsMax {
      next += try reader.count(limit: bucketsMax - next)
      let run = try reader.count(limit: bucketsMax - next)
      buckets += next..<(next + run)
      next += run
      // Two empty runs at once would make no way.
      if run == 0, next < bucketsMax { throw .varintTooLarge }
    }
    return buckets
  }

  private static func cells(_ column: Column, _ figures: [[UInt64]]) -> [RollupCell] {
    var count: Int64 = 0
    var least: Int64 = 0
    return column.buckets.indices.map { at in
      count &+= zigzagDecode(figures[0][at])
      least &+= zigzagDecode(figures[1][at])
      let range = Int64(bitPattern: figures[2][at])
      return RollupCell(
        column: column.column, exponent: column.exponent, count: count, min: least, max: least &+ range,
        sum: zigzagDecode(figures[4][at]) &+ middleSum(count, least, range),
        last: least &+ Int64(bitPattern: figures[3][at]))
    }
  }
}
