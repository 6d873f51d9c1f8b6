import Compression

/// A journal position as a stored value: version, 8 bytes little-endian, CRC-32C; 13 bytes.
package enum PositionRecord {
  private static let version: UInt8 = 1

  /// The stored form.
  package static func encode(_ position: UInt64) -> [UInt8] {
    var writer = ByteWriter(capacity: 13)
    writer.append(version)
    writer.append(littleEndian: position)
    writer.append(littleEndian: Checksums.crc32c(writer.bytes))
    return writer.bytes
  }

  /// - Throws: `.truncated`, `.unknownVersion`, `.checksum`.
  package static func decode(_ bytes: UnsafeRawBufferPointer) throws(ChunkError) -> UInt64 {
    guard bytes.count == 13 else { throw .truncated }
    guard bytes[0] == version else { throw .unknownVersion(bytes[0]) }
    let stored = UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: 9, as: UInt32.self))
    guard Checksums.crc32c(UnsafeRawBufferPointer(rebasing: bytes[..<9])) == stored else { throw .checksum }
    return UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: 1, as: UInt64.self))
  }
}
