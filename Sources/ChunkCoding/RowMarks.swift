import Compression
import VitalModel

/// Device sequence and ingest delay of each row: those of its first cell.
struct RowMarks {
  struct Exception {
    var ordinal: Int
    var sequence: Int64
    var delay: Int64
  }

  var sequences: [Int64]
  var delays: [Int64]
  /// Cells that differ from their row, by their number over all columns; decoding only.
  var exceptions: [Exception] = []

  init(of rows: ChunkRows) {
    sequences = [Int64](repeating: 0, count: rows.times.count)
    delays = sequences
    var isSet = [Bool](repeating: false, count: rows.times.count)
    for column in rows.columns {
      for (cell, row) in zip(column.cells, column.rows) where !isSet[Int(row)] {
        isSet[Int(row)] = true
        sequences[Int(row)] = cell.sequence
        delays[Int(row)] = cell.ingestTime &- rows.times[Int(row)]
      }
    }
  }

  /// All zero.
  init(rowCount: Int) {
    sequences = [Int64](repeating: 0, count: rowCount)
    delays = sequences
  }

  /// Reads what codec 1 keeps: both as columns of differences, then the exceptions.
  init(rowCount: Int, cellCount: Int, reader: inout ByteReader) throws(ChunkError) {
    do throws(ByteError) {
      sequences = try RowMarks.differences(rowCount, &reader)
      delays = try RowMarks.differences(rowCount, &reader)
    } catch {
      throw ChunkError(error, in: "row marks")
    }
    try readExceptions(cellCount: cellCount, &reader)
  }

  /// Reads what ``appendExceptions(of:to:)`` wrote.
  mutating func readExceptions(cellCount: Int, _ reader: inout ByteReader) throws(ChunkError) {
    do throws(ByteError) {
      let count = try reader.count(limit: min(cellCount, reader.left))
      exceptions.reserveCapacity(count)
      var ordinal = 0
      for _ in 0..<count {
        ordinal += try reader.count(limit: cellCount - ordinal - 1)
        exceptions.append(
          Exception(ordinal: ordinal, sequence: try reader.zigzag(), delay: try reader.zigzag()))
        ordinal += 1
      }
    } catch {
      throw ChunkError(error, in: "row marks")
    }
  }

  /// Writes each cell that differs from its row.
  func appendExceptions(of rows: ChunkRows, to body: inout ByteWriter) {
    var exceptions = ByteWriter()
    var count: UInt64 = 0
    var ordinal = 0
    var last = -1
    for column in rows.columns {
      for (cell, row) in zip(column.cells, column.rows) {
        let sequence = cell.sequence &- sequences[Int(row)]
        let delay = cell.ingestTime &- rows.times[Int(row)] &- delays[Int(row)]
        if sequence != 0 || delay != 0 {
          exceptions.append(varint: UInt64(ordinal - last - 1))
          exceptions.append(zigzag: sequence)
          exceptions.append(zigzag: delay)
          count += 1
          last = ordinal
        }
        ordinal += 1
      }
    }
    body.append(varint: count)
    body.append(raw: exceptions.bytes)
  }

  /// Gives every cell its sequence and ingest time.
  func apply(to rows: inout ChunkRows) {
    var ordinal = 0
    var next = 0
    for column in rows.columns.indices {
      let places = rows.columns[column].rows
      rows.columns[column].cells.withUnsafeMutableBufferPointer { cells in
        for index in cells.indices {
          let row = Int(places[index])
          var sequence = sequences[row]
          var delay = delays[row]
          if next < exceptions.count, exceptions[next].ordinal == ordinal {
            sequence &+= exceptions[next].sequence
            delay &+= exceptions[next].delay
            next += 1
          }
          cells[index].sequence = sequence
          cells[index].ingestTime = rows.times[row] &+ delay
          ordinal += 1
        }
      }
    }
  }

  static func differences(_ count: Int, _ reader: inout ByteReader) throws(ByteError) -> [Int64] {
    var values: [Int64] = []
    values.reserveCapacity(count)
    var value: Int64 = 0
    try reader.column(count) { _, difference in
      value &+= zigzagDecode(difference)
      values.append(value)
    }
    return values
  }
}
