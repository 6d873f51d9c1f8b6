/// Why a key could not be built or read.
package enum KeyError: Error, Equatable, Sendable {
  /// Fewer bytes are left than the part takes.
  case truncated(needed: Int, left: Int)
  /// A text part is longer than its two-byte count can say: at most 65,535 bytes.
  case partTooLong(bytes: Int)
  /// A text part is not UTF-8.
  case notUTF8
}

/// Builds keys whose unsigned byte order is the order of their parts.
package struct KeyBuilder: Sendable {
  /// The key so far.
  package private(set) var bytes: [UInt8] = []

  /// An empty key.
  package init(capacity: Int = 32) { bytes.reserveCapacity(capacity) }

  /// Starts a new key in the same memory.
  package mutating func clear() { bytes.removeAll(keepingCapacity: true) }

  /// Appends one byte.
  package mutating func append(_ value: UInt8) { bytes.append(value) }

  /// Appends 2 bytes, most significant first.
  package mutating func append(_ value: UInt16) { appendBigEndian(value) }

  /// Appends 4 bytes, most significant first.
  package mutating func append(_ value: UInt32) { appendBigEndian(value) }

  /// Appends 8 bytes, most significant first.
  package mutating func append(_ value: UInt64) { appendBigEndian(value) }

  /// Appends 8 bytes with the sign bit turned over, so that negative numbers sort before positive ones.
  package mutating func append(_ value: Int64) {
    appendBigEndian(UInt64(bitPattern: value) ^ (1 << 63))
  }

  /// Appends a two-byte count of UTF-8 bytes, then those bytes: texts sort by length first, and no text runs into the
  /// next part.
  /// - Throws: `.partTooLong`; the key is then unchanged.
  package mutating func append(_ text: String) throws(KeyError) {
    guard let count = UInt16(exactly: text.utf8.count) else { throw .partTooLong(bytes: text.utf8.count) }
    appendBigEndian(count)
    bytes.append(contentsOf: text.utf8)
  }

  /// Appends a two-byte count, then those bytes, as a text's are.
  /// - Throws: `.partTooLong`; the key is then unchanged.
  package mutating func append(counted part: [UInt8]) throws(KeyError) {
    guard let count = UInt16(exactly: part.count) else { throw .partTooLong(bytes: part.count) }
    appendBigEndian(count)
    bytes.append(contentsOf: part)
  }

  /// Appends bytes as they are: for the last part only, as nothing marks their end.
  package mutating func append(raw part: [UInt8]) { bytes.append(contentsOf: part) }

  private mutating func appendBigEndian<Value: FixedWidthInteger>(_ value: Value) {
    withUnsafeBytes(of: value.bigEndian) { bytes.append(contentsOf: $0) }
  }
}

/// Reads the parts of a key in the order they were appended.
///
/// It borrows the memory it is given. A read that throws leaves the place where it was.
package struct KeyReader {
  private let bytes: UnsafeRawBufferPointer
  private var offset = 0

  /// A reader at the first byte of a key.
  package init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

  /// Bytes not yet read.
  package var left: Int { bytes.count - offset }

  /// Whether every byte has been read.
  package var isAtEnd: Bool { left == 0 }

  /// Takes one byte.
  package mutating func uint8() throws(KeyError) -> UInt8 { try bigEndian() }

  /// Takes 2 bytes, most significant first.
  package mutating func uint16() throws(KeyError) -> UInt16 { try bigEndian() }

  /// Takes 4 bytes, most significant first.
  package mutating func uint32() throws(KeyError) -> UInt32 { try bigEndian() }

  /// Takes 8 bytes, most significant first.
  package mutating func uint64() throws(KeyError) -> UInt64 { try bigEndian() }

  /// Takes the 8 bytes of a signed number.
  package mutating func int64() throws(KeyError) -> Int64 {
    let raised: UInt64 = try bigEndian()
    return Int64(bitPattern: raised ^ (1 << 63))
  }

  /// Takes a counted text.
  package mutating func string() throws(KeyError) -> String {
    let start = offset
    guard let text = String(validating: try counted(), as: UTF8.self) else {
      offset = start
      throw .notUTF8
    }
    return text
  }

  /// Takes counted bytes; they are the key's own memory.
  package mutating func counted() throws(KeyError) -> UnsafeRawBufferPointer {
    let start = offset
    let count = Int(try uint16())
    guard left >= count else {
      let rest = left
      offset = start
      throw .truncated(needed: count, left: rest)
    }
    defer { offset += count }
    return UnsafeRawBufferPointer(rebasing: bytes[offset..<(offset + count)])
  }

  /// Takes all that is left.
  package mutating func rest() -> UnsafeRawBufferPointer {
    defer { offset = bytes.count }
    return UnsafeRawBufferPointer(rebasing: bytes[offset...])
  }

  private mutating func bigEndian<Value: FixedWidthInteger & BitwiseCopyable>() throws(KeyError) -> Value {
    let size = MemoryLayout<Value>.size
    guard left >= size else { throw .truncated(needed: size, left: left) }
    defer { offset += size }
    return Value(bigEndian: bytes.loadUnaligned(fromByteOffset: offset, as: Value.self))
  }
}

/// The smallest key above every key that starts with `prefix`: the upper bound of a scan over that prefix.
///
/// Nil when there is none, as for an empty prefix or one of 0xFF bytes only: the scan is then open-ended.
package func keyAfterPrefix(_ prefix: [UInt8]) -> [UInt8]? {
  guard let last = prefix.lastIndex(where: { $0 != 0xFF }) else { return nil }
  var successor = Array(prefix[...last])
  successor[last] += 1
  return successor
}
