/// Writes flatbuffers, the encoding of Arrow's metadata, back to front as every writer of it does: a table can only point at
/// what lies behind it.
///
/// Offsets are counted from the end of the buffer, so that they stay true while the front grows. Format: flatbuffers.dev,
/// "Internals". Only what Arrow's messages need is here: tables, strings, vectors of tables and of pairs of 64-bit numbers.
struct FlatBuilder {
  /// The last byte first.
  private var reversed: [UInt8] = []
  private var alignmentMax = 4

  /// The value of one field of a table.
  enum Value {
    case uint8(UInt8)
    case int16(Int16)
    case int32(Int32)
    case int64(Int64)
    /// A table, string or vector written before.
    case offset(Int)

    var size: Int {
      switch self {
      case .uint8: 1
      case .int16: 2
      case .int32, .offset: 4
      case .int64: 8
      }
    }
  }

  /// Pads so that what follows `count` more bytes begins at a multiple of `alignment`.
  private mutating func align(_ alignment: Int, after count: Int = 0) {
    alignmentMax = max(alignmentMax, alignment)
    while (reversed.count + count) % alignment != 0 { reversed.append(0) }
  }

  private mutating func push(_ value: some FixedWidthInteger) {
    let size = value.bitWidth / 8
    align(size)
    for byte in (0..<size).reversed() { reversed.append(UInt8(truncatingIfNeeded: value >> (8 * byte))) }
  }

  /// A pointer is the distance from itself to what it points at.
  private mutating func push(offset: Int) {
    align(4)
    push(UInt32(reversed.count + 4 - offset))
  }

  mutating func string(_ text: String) -> Int {
    let bytes = Array(text.utf8)
    align(4, after: bytes.count + 1)
    reversed.append(0)
    reversed.append(contentsOf: bytes.reversed())
    push(UInt32(bytes.count))
    return reversed.count
  }

  /// A vector of tables or strings.
  mutating func vector(_ offsets: [Int]) -> Int {
    align(4, after: 4 * offsets.count)
    for offset in offsets.reversed() { push(offset: offset) }
    push(UInt32(offsets.count))
    return reversed.count
  }

  /// A vector of structs of two 64-bit numbers.
  mutating func vector(_ pairs: [(Int64, Int64)]) -> Int {
    align(8, after: 16 * pairs.count)
    for pair in pairs.reversed() {
      push(pair.1)
      push(pair.0)
    }
    push(UInt32(pairs.count))
    return reversed.count
  }

  /// A table; fields are given by their slot, those left out have their default.
  mutating func table(_ fields: [(slot: Int, value: Value)]) -> Int {
    let end = reversed.count
    var places = [Int](repeating: 0, count: (fields.map(\.slot).max() ?? -1) + 1)
    // Wide ones first, so that little is padded. Equal sizes keep the order given.
    for size in [8, 4, 2, 1] {
      for field in fields where field.value.size == size {
        switch field.value {
        case .uint8(let value): push(value)
        case .int16(let value): push(value)
        case .int32(let value): push(value)
        case .int64(let value): push(value)
        case .offset(let value): push(offset: value)
        }
        places[field.slot] = reversed.count
      }
    }
    push(Int32(0))
    let start = reversed.count
    for place in places.reversed() { push(UInt16(place == 0 ? 0 : start - place)) }
    push(UInt16(start - end))
    push(UInt16(4 + 2 * places.count))
    // The table begins with the way back to the list of its fields.
    let back = Int32(reversed.count - start)
    for byte in 0..<4 { reversed[start - 1 - byte] = UInt8(truncatingIfNeeded: back >> (8 * Int32(byte))) }
    return start
  }

  /// The whole, whose length is a multiple of its widest number.
  mutating func finish(root: Int) -> [UInt8] {
    align(alignmentMax, after: 4)
    push(offset: root)
    return reversed.reversed()
  }
}
