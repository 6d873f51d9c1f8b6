/// A 64-bit hash whose value is part of the disk format: the same bytes give the same number on every machine, in every
/// run, in every version of the program. Partitions are chosen by it, so it may never change.
///
/// FNV-1a (64 bits, offset basis 0xCBF29CE484222325, prime 0x100000001B3) over the bytes, then the 64-bit finaliser of
/// MurmurHash3, because FNV's low bits alone spread badly and partitions use the low bits. Not for use against an
/// attacker: anybody can make two inputs collide.
@usableFromInline package struct StableHasher: Sendable {
  @usableFromInline var state: UInt64 = 0xCBF2_9CE4_8422_2325

  /// A hasher that has seen nothing.
  @inlinable package init() {}

  /// Adds one byte.
  @inlinable package mutating func combine(_ byte: UInt8) {
    state = (state ^ UInt64(byte)) &* 0x100_0000_01B3
  }

  /// Adds bytes as they are; two calls equal one call with both strings joined.
  @inlinable package mutating func combine(_ bytes: UnsafeRawBufferPointer) {
    for byte in bytes { combine(byte) }
  }

  /// Adds an integer as eight bytes, least significant first.
  @inlinable package mutating func combine(_ value: UInt64) {
    for shift in stride(from: UInt64(0), to: 64, by: 8) { combine(UInt8(truncatingIfNeeded: value >> shift)) }
  }

  /// Adds a text as its UTF-8 bytes followed by their count as an integer, so that ("ab", "c") differs from ("a", "bc").
  @inlinable package mutating func combine(field text: String) {
    var count: UInt64 = 0
    for byte in text.utf8 {
      combine(byte)
      count += 1
    }
    combine(count)
  }

  /// The hash of what has been added so far.
  @inlinable package func finalize() -> UInt64 {
    var hash = state
    hash ^= hash >> 33
    hash = hash &* 0xFF51_AFD7_ED55_8CCD
    hash ^= hash >> 33
    hash = hash &* 0xC4CE_B9FE_1A85_EC53
    return hash ^ (hash >> 33)
  }
}

/// The stable hash of a byte string; see `StableHasher`.
@inlinable package func stableHash64(_ bytes: UnsafeRawBufferPointer) -> UInt64 {
  var hasher = StableHasher()
  hasher.combine(bytes)
  return hasher.finalize()
}

/// The stable hash of an array; see `StableHasher`.
@inlinable package func stableHash64(_ bytes: [UInt8]) -> UInt64 { bytes.withUnsafeBytes { stableHash64($0) } }

/// The stable hash of a text's UTF-8 bytes alone; see `StableHasher`.
@inlinable package func stableHash64(_ text: String) -> UInt64 {
  var hasher = StableHasher()
  for byte in text.utf8 { hasher.combine(byte) }
  return hasher.finalize()
}
