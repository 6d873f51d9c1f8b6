/// Appends numbers bit by bit, the most significant first: for headers, where a byte a field is too much.
struct BitWriter {
  private(set) var bytes: [UInt8] = []
  private var pending: UInt64 = 0
  private var pendingCount = 0

  init(_ bytes: [UInt8] = []) { self.bytes = bytes }

  /// Appends the lower `count` bits, 0...64.
  mutating func append(_ value: UInt64, bits count: Int) {
    if count > 32 {
      append(value >> 32, bits: count - 32)
      append(value & 0xFFFF_FFFF, bits: 32)
      return
    }
    pending = pending << UInt64(count) | (value & ((1 << UInt64(count)) - 1))
    pendingCount += count
    while pendingCount >= 8 {
      pendingCount -= 8
      bytes.append(UInt8(truncatingIfNeeded: pending >> UInt64(pendingCount)))
    }
  }

  mutating func append(_ flag: Bool) { append(flag ? 1 : 0, bits: 1) }

  /// Appends a number in Exp-Golomb form of order `order` (1...62): short when it has about that many bits.
  mutating func append(golomb value: UInt64, order: Int) {
    let high = (value >> UInt64(order)) + 1
    let width = high.bitWidth - high.leadingZeroBitCount
    append(0, bits: width - 1)
    append(high, bits: width)
    append(value, bits: order)
  }

  mutating func append(golomb value: Int64, order: Int) { append(golomb: zigzag(value), order: order) }

  /// Fills the last byte with zeros.
  mutating func align() {
    if pendingCount > 0 { append(0, bits: 8 - pendingCount) }
  }

  private func zigzag(_ value: Int64) -> UInt64 { UInt64(bitPattern: value << 1 ^ value >> 63) }
}

/// Reads what ``BitWriter`` wrote.
struct BitReader {
  private let bytes: UnsafeRawBufferPointer
  /// Bits read so far.
  private var position: Int

  init(_ bytes: UnsafeRawBufferPointer, from byte: Int = 0) {
    self.bytes = bytes
    position = byte * 8
  }

  /// Index of the first byte that was not touched.
  var byteOffset: Int { (position + 7) / 8 }

  /// Takes 0...64 bits.
  mutating func bits(_ count: Int) throws(ChunkError) -> UInt64 {
    guard count <= bytes.count * 8 - position else { throw .truncated }
    var value: UInt64 = 0
    var left = count
    while left > 0 {
      let free = 8 - position % 8
      let take = min(free, left)
      let byte = UInt64(bytes[position / 8]) >> UInt64(free - take)
      value = value << UInt64(take) | (byte & ((1 << UInt64(take)) - 1))
      position += take
      left -= take
    }
    return value
  }

  mutating func flag() throws(ChunkError) -> Bool { try bits(1) != 0 }

  /// Takes a number in Exp-Golomb form.
  mutating func golomb(order: Int) throws(ChunkError) -> UInt64 {
    var width = 1
    while try bits(1) == 0 {
      width += 1
      guard width <= 65 - order else { throw .corrupt("a number's width") }
    }
    let high = 1 << UInt64(width - 1) | (try bits(width - 1))
    return (high - 1) << UInt64(order) | (try bits(order))
  }

  /// Takes a number that must lie within `0...limit`.
  mutating func golomb(order: Int, limit: Int) throws(ChunkError) -> Int {
    let value = try golomb(order: order)
    guard value <= UInt64(limit) else { throw .corrupt("a number out of range") }
    return Int(value)
  }

  /// Takes a signed number.
  mutating func signedGolomb(order: Int) throws(ChunkError) -> Int64 {
    let value = try golomb(order: order)
    return Int64(bitPattern: value >> 1) ^ -Int64(bitPattern: value & 1)
  }
}
