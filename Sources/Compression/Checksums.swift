/// Checksums that guard stored bytes against accident. They are no defence against an attacker: see `Digests`.
package enum Checksums {
  /// CRC-32C (Castagnoli, reflected polynomial 0x82F63B78; RFC 3720 appendix B.4), eight bytes a step.
  ///
  /// Pass the result of an earlier call as `continuing` to checksum bytes that come in pieces.
  package static func crc32c(_ bytes: UnsafeRawBufferPointer, continuing earlier: UInt32 = 0) -> UInt32 {
    guard let start = bytes.baseAddress else { return earlier }
    return tables.withUnsafeBufferPointer { table in
      var crc = ~earlier
      var index = 0
      while bytes.count - index >= 8 {
        let word = UInt64(littleEndian: start.loadUnaligned(fromByteOffset: index, as: UInt64.self)) ^ UInt64(crc)
        crc =
          table[7 * 256 + Int(word & 0xFF)] ^ table[6 * 256 + Int((word >> 8) & 0xFF)]
          ^ table[5 * 256 + Int((word >> 16) & 0xFF)] ^ table[4 * 256 + Int((word >> 24) & 0xFF)]
          ^ table[3 * 256 + Int((word >> 32) & 0xFF)] ^ table[2 * 256 + Int((word >> 40) & 0xFF)]
          ^ table[1 * 256 + Int((word >> 48) & 0xFF)] ^ table[Int(word >> 56)]
        index += 8
      }
      while index < bytes.count {
        crc = table[Int((crc ^ UInt32(bytes[index])) & 0xFF)] ^ (crc >> 8)
        index += 1
      }
      return ~crc
    }
  }

  /// CRC-32C of an array.
  package static func crc32c(_ bytes: [UInt8], continuing earlier: UInt32 = 0) -> UInt32 {
    bytes.withUnsafeBytes { crc32c($0, continuing: earlier) }
  }

  /// Table `k` (256 entries each) advances one byte followed by `k` zero bytes.
  private static let tables: [UInt32] = {
    var tables = [UInt32](repeating: 0, count: 8 * 256)
    for byte in 0..<256 {
      var crc = UInt32(byte)
      for _ in 0..<8 { crc = (crc & 1) == 1 ? (crc >> 1) ^ 0x82F6_3B78 : crc >> 1 }
      tables[byte] = crc
    }
    for index in 256..<(8 * 256) {
      let shorter = tables[index - 256]
      tables[index] = tables[Int(shorter & 0xFF)] ^ (shorter >> 8)
    }
    return tables
  }()
}
