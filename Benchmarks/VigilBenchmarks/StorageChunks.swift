import ChunkCoding
import VitalModel

/// Rows of the sets cut into chunks, as the sealer would cut them.
struct StorageChunks {
  /// Rows of a chunk at most.
  let rowsMax: Int
  /// With what a message leaves beside its values: the device's own number of it, when it came in, its end. Without: every
  /// mark is that of a message that came at once.
  let areMarked: Bool

  func chunks(_ groups: [StorageGroup]) -> [ChunkRows] {
    groups.enumerated().flatMap { chunks($1, number: $0, of: groups.count) }
  }

  private func chunks(_ group: StorageGroup, number: Int, of groups: Int) -> [ChunkRows] {
    var chunks: [ChunkRows] = []
    var random: UInt64 = 88_172_645_463_325_252 &+ UInt64(number)
    for start in stride(from: 0, to: group.times.count, by: rowsMax) {
      let end = min(start + rowsMax, group.times.count)
      chunks.append(rows(group, start..<end, number: number, of: groups, &random))
    }
    return chunks
  }

  private func rows(
    _ group: StorageGroup, _ range: Range<Int>, number: Int, of groups: Int, _ random: inout UInt64
  ) -> ChunkRows {
    // Positions as if every device of the set sent in turn: a chunk's span is that of the whole ward.
    let width = UInt64(group.columns.count)
    func position(_ row: Int) -> UInt64 { (UInt64(row) * UInt64(groups) + UInt64(number)) * width + 1 }
    var rows = ChunkRows(
      patient: UInt32(number), device: UInt32(number), firstPosition: position(range.lowerBound),
      lastPosition: position(range.upperBound - 1) + width - 1, times: Array(group.times[range]))
    var delays = [Int64](repeating: 0, count: range.count)
    if areMarked {
      for index in delays.indices {
        random ^= random << 13
        random ^= random >> 7
        random ^= random << 17
        delays[index] = 20 + Int64(random % 15)
      }
    }
    for (place, column) in group.columns.enumerated() {
      var cells = ChunkColumnCells(column.column)
      for row in range where column.values[row] != StorageColumn.missing {
        var cell = ChunkCell(value: column.values[row], ingestTime: group.times[row] + delays[row - range.lowerBound])
        if areMarked {
          cell.sequence = Int64(row)
          cell.flags = place == group.columns.count - 1 ? [.hasSequence, .endOfMessage] : .hasSequence
        }
        cells.rows.append(UInt32(row - range.lowerBound))
        cells.cells.append(cell)
      }
      if !cells.cells.isEmpty { rows.columns.append(cells) }
    }
    return rows
  }
}

/// One way to pack chunks, measured beside the others.
protocol StorageCodec: AnyObject {
  var name: String { get }
  func encode(_ rows: ChunkRows) throws -> [UInt8]
  /// Unpacks as far as a reader of values must; what comes of it is ``matches(_:_:)``'s to check.
  func decode(_ bytes: [UInt8]) throws
  /// Whether a chunk unpacks to exactly these rows.
  func matches(_ bytes: [UInt8], _ rows: ChunkRows) throws -> Bool
  /// Bytes of a chunk that are neither stamps nor values: header and checksum.
  func headerBytes(_ bytes: [UInt8]) throws -> Int
  /// Of the chunk encoded last, the bytes of the stamps; nil where it cannot tell.
  var stampBytes: Int? { get }
}

/// A codec of the product, as sealer and readers call it.
final class StorageProductCodec: StorageCodec {
  let name: String
  private let codec: any ChunkCodec
  private let decoder: ChunkDecoder
  private var chunk = DecodedChunk()

  /// - Parameter states: the set it writes with.
  init(_ name: String, _ codec: any ChunkCodec, states: [StartStates] = []) throws {
    self.name = name
    self.codec = codec
    decoder = try ChunkDecoder(states: states)
  }

  func encode(_ rows: ChunkRows) throws -> [UInt8] { try codec.encode(rows) }
  var stampBytes: Int? { (codec as? ModelledCodec)?.sizes.stamps }
  /// Stamps and numbers as flat columns: what a replay reads.
  func decode(_ bytes: [UInt8]) throws { try bytes.withUnsafeBytes { try decoder.decode($0, into: &chunk) } }
  func matches(_ bytes: [UInt8], _ rows: ChunkRows) throws -> Bool { try codec.decode(bytes) == rows }
  func headerBytes(_ bytes: [UInt8]) throws -> Int {
    try bytes.withUnsafeBytes { try ChunkHeader($0, checksum: false).byteCount } + 4
  }
}
