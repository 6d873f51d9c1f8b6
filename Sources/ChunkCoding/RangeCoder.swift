/// One direction of a binary range coder: the same walk over a model encodes and decodes, so the two cannot drift apart.
///
/// An interval of 32-bit numbers is cut at each bit in proportion to its probability; leading bytes that both ends share
/// are settled. Without carries, so that a byte once written stays.
protocol BitCoder {
  /// Whether `code` ignores the bit it is given and returns the one it finds.
  static var isDecoder: Bool { get }
  /// Codes one bit; `probability` is that of a 1, in 1/65,536, 1...65,535.
  mutating func code(_ bit: UInt32, _ probability: UInt32) -> UInt32
}

/// Writes into memory of a fixed size; what does not fit is dropped and noted.
struct RangeEncoder: BitCoder {
  static var isDecoder: Bool { false }

  private let start: UnsafeMutablePointer<UInt8>
  private let end: UnsafeMutablePointer<UInt8>
  private var next: UnsafeMutablePointer<UInt8>
  private var low: UInt32 = 0
  private var high: UInt32 = .max
  /// Whether more was written than there is room for: the bytes are of no use.
  private(set) var isFull = false

  /// - Parameter room: stays the caller's, and must outlive the coder.
  init(_ room: UnsafeMutableBufferPointer<UInt8>) {
    precondition(room.count > 0, "a range encoder needs room")
    start = room.baseAddress.unsafelyUnwrapped
    next = start
    end = start + room.count
  }

  /// Bytes settled so far.
  var byteCount: Int { next - start }

  @inline(__always)
  mutating func code(_ bit: UInt32, _ probability: UInt32) -> UInt32 {
    let middle = low &+ UInt32(truncatingIfNeeded: (UInt64(high &- low) &* UInt64(probability)) &>> 16)
    if bit != 0 { high = middle } else { low = middle &+ 1 }
    while (low ^ high) & 0xFF00_0000 == 0 {
      put(UInt8(truncatingIfNeeded: high &>> 24))
      low = low &<< 8
      high = (high &<< 8) | 255
    }
    return bit
  }

  @inline(__always)
  private mutating func put(_ byte: UInt8) {
    if next == end {
      isFull = true
      return
    }
    next.pointee = byte
    next += 1
  }

  /// Settles the shortest tail that names the interval, given that readers find zeros behind the end.
  mutating func finish() {
    for count in 0...4 {
      let step = UInt64(1) << (32 - 8 * UInt64(count))
      let tail = (UInt64(low) + step - 1) / step * step
      guard tail <= UInt64(high) else { continue }
      for index in 0..<count { put(UInt8(truncatingIfNeeded: tail >> (24 - 8 * UInt64(index)))) }
      break
    }
    while next > start, (next - 1).pointee == 0 { next -= 1 }
  }
}

/// Reads what ``RangeEncoder`` wrote; behind the end it finds zeros.
struct RangeDecoder: BitCoder {
  static var isDecoder: Bool { true }

  private var next: UnsafePointer<UInt8>
  private let end: UnsafePointer<UInt8>
  private var low: UInt32 = 0
  private var high: UInt32 = .max
  private var window: UInt32 = 0

  /// - Parameters:
  ///   - bytes: must outlive the coder.
  ///   - nothing: where to point when there are none.
  init(_ bytes: UnsafeRawBufferPointer, nothing: UnsafePointer<UInt8>) {
    next = bytes.baseAddress.map { UnsafePointer($0.assumingMemoryBound(to: UInt8.self)) } ?? nothing
    end = next + bytes.count
    for _ in 0..<4 { window = (window << 8) | take() }
  }

  /// Whether every byte was looked at: a writer leaves none over.
  var isAtEnd: Bool { next == end }

  @inline(__always)
  private mutating func take() -> UInt32 {
    if next == end { return 0 }
    defer { next += 1 }
    return UInt32(next.pointee)
  }

  @inline(__always)
  mutating func code(_: UInt32, _ probability: UInt32) -> UInt32 {
    let middle = low &+ UInt32(truncatingIfNeeded: (UInt64(high &- low) &* UInt64(probability)) &>> 16)
    let bit: UInt32 = window <= middle ? 1 : 0
    if bit != 0 { high = middle } else { low = middle &+ 1 }
    while (low ^ high) & 0xFF00_0000 == 0 {
      window = (window &<< 8) | take()
      low = low &<< 8
      high = (high &<< 8) | 255
    }
    return bit
  }
}
