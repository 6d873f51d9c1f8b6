/// Room `Compression`: bytes in, bytes out. Plain integer and varint coding, checksums, zstd and gzip, and sources that
/// read a file whichever way it is packed. It gives bytes no meaning: no vital signs, no keys, no store, no clock, no
/// threads. Every length read from outside is checked before it is used; nothing read from outside traps.

/// Why bytes could not be read as asked.
@usableFromInline package enum ByteError: Error, Equatable, Sendable {
  /// Fewer bytes are left than the field takes.
  case truncated(needed: Int, left: Int)
  /// A varint runs past ten bytes, or does not fit the type asked for.
  case varintTooLarge
  /// Bytes that should be UTF-8 are not.
  case notUTF8
}

/// Appends integers and bytes to a growing buffer; fixed-width integers are little-endian.
@usableFromInline package struct ByteWriter: Sendable {
  /// What has been written so far.
  @usableFromInline package var bytes: [UInt8]

  /// An empty writer with room for `capacity` bytes.
  @inlinable package init(capacity: Int = 0) {
    bytes = []
    bytes.reserveCapacity(capacity)
  }

  /// Bytes written so far.
  @inlinable package var count: Int { bytes.count }

  /// Forgets what was written and keeps the memory.
  @inlinable package mutating func clear() { bytes.removeAll(keepingCapacity: true) }

  /// Appends one byte.
  @inlinable package mutating func append(_ value: UInt8) { bytes.append(value) }

  /// Appends a fixed-width integer, least significant byte first.
  @inlinable package mutating func append<Value: FixedWidthInteger>(littleEndian value: Value) {
    withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
  }

  /// Appends 7 bits a byte, least significant first, high bit set on all but the last: 1 to 10 bytes (LEB128).
  @inlinable package mutating func append(varint value: UInt64) {
    var rest = value
    while rest >= 0x80 {
      bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
      rest >>= 7
    }
    bytes.append(UInt8(truncatingIfNeeded: rest))
  }

  /// Appends a signed integer as the varint of its zigzag form, so that small magnitudes stay short.
  @inlinable package mutating func append(zigzag value: Int64) { append(varint: zigzagEncode(value)) }

  /// Appends bytes as they are, without their count.
  @inlinable package mutating func append(raw source: UnsafeRawBufferPointer) { bytes.append(contentsOf: source) }

  /// Appends bytes as they are, without their count.
  @inlinable package mutating func append(raw source: [UInt8]) { bytes.append(contentsOf: source) }

  /// Appends the count as a varint, then the bytes.
  @inlinable package mutating func append(counted source: UnsafeRawBufferPointer) {
    append(varint: UInt64(source.count))
    bytes.append(contentsOf: source)
  }

  /// Appends the count as a varint, then the bytes.
  @inlinable package mutating func append(counted source: [UInt8]) {
    append(varint: UInt64(source.count))
    bytes.append(contentsOf: source)
  }

  /// Appends the count of UTF-8 bytes as a varint, then those bytes.
  @inlinable package mutating func append(counted text: String) {
    append(varint: UInt64(text.utf8.count))
    bytes.append(contentsOf: text.utf8)
  }
}

/// Reads what `ByteWriter` wrote, checking every step against the end.
///
/// It borrows the memory it is given: use it only inside the closure that lends the pointer. A read that throws leaves
/// the offset where it was.
@usableFromInline package struct ByteReader {
  /// All the bytes, read and unread.
  @usableFromInline package let bytes: UnsafeRawBufferPointer
  /// Index of the next unread byte; always within `0...bytes.count`.
  @usableFromInline package private(set) var offset: Int

  /// A reader at the first byte.
  @inlinable package init(_ bytes: UnsafeRawBufferPointer) {
    self.bytes = bytes
    offset = 0
  }

  /// Bytes not yet read.
  @inlinable package var left: Int { bytes.count - offset }

  /// True when every byte has been read.
  @inlinable package var isAtEnd: Bool { offset == bytes.count }

  /// Takes one byte.
  @inlinable package mutating func byte() throws(ByteError) -> UInt8 {
    guard offset < bytes.count else { throw .truncated(needed: 1, left: 0) }
    defer { offset += 1 }
    return bytes[offset]
  }

  /// Takes a little-endian integer of the given type's width.
  @inlinable package mutating func littleEndian<Value: FixedWidthInteger & BitwiseCopyable>(
    _ type: Value.Type = Value.self
  ) throws(ByteError) -> Value {
    let size = MemoryLayout<Value>.size
    guard left >= size else { throw .truncated(needed: size, left: left) }
    defer { offset += size }
    return Value(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: Value.self))
  }

  /// Takes a varint of at most 64 bits. A longer form than needed is accepted; one that overflows is not.
  @inlinable package mutating func varint() throws(ByteError) -> UInt64 {
    var value: UInt64 = 0
    var shift: UInt64 = 0
    var index = offset
    while index < bytes.count {
      let byte = bytes[index]
      index += 1
      // The tenth byte holds bit 63 alone.
      if shift == 63, byte > 1 { throw .varintTooLarge }
      value |= UInt64(byte & 0x7F) << shift
      if byte < 0x80 {
        offset = index
        return value
      }
      shift += 7
    }
    throw .truncated(needed: left + 1, left: left)
  }

  /// Takes a varint that must lie within `0...limit`: for counts that size memory.
  @inlinable package mutating func count(limit: Int) throws(ByteError) -> Int {
    let start = offset
    let value = try varint()
    guard value <= UInt64(max(0, limit)) else {
      offset = start
      throw .varintTooLarge
    }
    return Int(value)
  }

  /// Takes a signed integer in zigzag form.
  @inlinable package mutating func zigzag() throws(ByteError) -> Int64 { zigzagDecode(try varint()) }

  /// Takes `count` bytes without copying; the result lives as long as the memory lent to the reader.
  @inlinable package mutating func raw(_ count: Int) throws(ByteError) -> UnsafeRawBufferPointer {
    guard count >= 0, left >= count else { throw .truncated(needed: count, left: left) }
    defer { offset += count }
    return UnsafeRawBufferPointer(rebasing: bytes[offset..<(offset + count)])
  }

  /// Takes a varint count, then that many bytes, without copying.
  @inlinable package mutating func counted() throws(ByteError) -> UnsafeRawBufferPointer {
    let start = offset
    let size = try varint()
    guard size <= UInt64(left) else {
      let rest = left
      offset = start
      throw .truncated(needed: Int(clamping: size), left: rest)
    }
    return try raw(Int(size))
  }

  /// Takes a varint count, then that many bytes of valid UTF-8.
  @inlinable package mutating func countedString() throws(ByteError) -> String {
    let start = offset
    let utf8 = try counted()
    guard let text = String(validating: utf8, as: UTF8.self) else {
      offset = start
      throw .notUTF8
    }
    return text
  }

  /// Steps over `count` bytes.
  @inlinable package mutating func skip(_ count: Int) throws(ByteError) { _ = try raw(count) }
}

/// Maps 0, -1, 1, -2, 2 … to 0, 1, 2, 3, 4 …
@inlinable package func zigzagEncode(_ value: Int64) -> UInt64 {
  UInt64(bitPattern: (value << 1) ^ (value >> 63))
}

/// The inverse of `zigzagEncode`.
@inlinable package func zigzagDecode(_ value: UInt64) -> Int64 {
  Int64(bitPattern: value >> 1) ^ -Int64(bitPattern: value & 1)
}
