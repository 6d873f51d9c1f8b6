import Compression

// Rice codes: a number's low `parameter` bits as they are, the rest as so many ones and a zero. Numbers whose rest passes
// `unaryMax` follow that many ones as 64 bits. Bits fill bytes from the lowest.

/// The rest of a number that is no longer counted out in ones.
private let unaryMax: UInt64 = 24
/// The largest parameter.
private let parameterMax: UInt8 = 48

/// Writes Rice codes.
struct BitWriter {
  private var bytes: [UInt8] = []
  private var pending: UInt64 = 0
  private var pendingBits: UInt64 = 0

  /// The parameter under which these numbers take the fewest bits.
  static func bestParameter(_ values: [UInt64]) -> UInt8 {
    var best: (parameter: UInt8, bits: UInt64) = (0, .max)
    for parameter in 0...parameterMax {
      var bits: UInt64 = 0
      for value in values { bits += length(value, parameter) }
      if bits < best.bits { best = (parameter, bits) }
    }
    return best.parameter
  }

  private static func length(_ value: UInt64, _ parameter: UInt8) -> UInt64 {
    let rest = value >> UInt64(parameter)
    return rest < unaryMax ? rest + 1 + UInt64(parameter) : unaryMax + 64
  }

  mutating func append(_ value: UInt64, parameter: UInt8) {
    let rest = value >> UInt64(parameter)
    guard rest < unaryMax else {
      put((1 << unaryMax) - 1, count: unaryMax)
      put(value & 0xFFFF_FFFF, count: 32)
      put(value >> 32, count: 32)
      return
    }
    put((1 << rest) - 1, count: rest + 1)
    let low = value & ((1 << UInt64(parameter)) - 1)
    put(low & 0xFF_FFFF, count: min(24, UInt64(parameter)))
    if parameter > 24 { put(low >> 24, count: UInt64(parameter) - 24) }
  }

  /// Appends at most 32 bits, the lowest first.
  private mutating func put(_ bits: UInt64, count: UInt64) {
    pending |= bits << pendingBits
    pendingBits += count
    while pendingBits >= 8 {
      bytes.append(UInt8(truncatingIfNeeded: pending))
      pending >>= 8
      pendingBits -= 8
    }
  }

  /// The bytes, the last filled up with zeros.
  mutating func finish() -> [UInt8] {
    if pendingBits > 0 { put(0, count: 8 - pendingBits) }
    return bytes
  }
}

/// Reads Rice codes; never beyond the bytes it was lent.
struct BitReader {
  private let bytes: UnsafeRawBufferPointer
  private var bit = 0

  init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

  mutating func take(parameter: UInt8) throws(ByteError) -> UInt64 {
    guard parameter <= parameterMax else { throw .varintTooLarge }
    var rest: UInt64 = 0
    while rest < unaryMax, try next() == 1 { rest += 1 }
    guard rest < unaryMax else { return try number(64) }
    return rest << UInt64(parameter) | (try number(Int(parameter)))
  }

  private mutating func number(_ count: Int) throws(ByteError) -> UInt64 {
    var value: UInt64 = 0
    for place in 0..<count { value |= try next() << UInt64(place) }
    return value
  }

  private mutating func next() throws(ByteError) -> UInt64 {
    guard bit >> 3 < bytes.count else { throw .truncated(needed: 1, left: 0) }
    defer { bit += 1 }
    return UInt64(bytes[bit >> 3] >> UInt8(bit & 7)) & 1
  }
}
