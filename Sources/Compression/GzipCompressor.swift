import CZlib

/// Packs byte strings as gzip members (RFC 1952), each complete in itself: one behind another they are one gzip file.
package struct GzipCompressor {
  /// 1 (fast) to 9 (small).
  private let level: Int32

  package init(level: Int32 = 6) { self.level = min(max(level, 1), 9) }

  /// Packs `bytes` (below 2 GiB) into one member. The same bytes give the same member: it holds no time and no name.
  ///
  /// - Throws: `.outOfMemory`, `.tooLarge`.
  package func compress(_ bytes: [UInt8]) throws(CompressionError) -> [UInt8] {
    guard bytes.count < 1 << 31 else { throw .tooLarge(limit: 1 << 31) }
    var stream = z_stream()
    // 15 is the largest window (32 KiB); adding 16 asks for the gzip wrapper.
    let opened = deflateInit2_(
      &stream, level, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size))
    guard opened == Z_OK else { throw .outOfMemory }
    defer { deflateEnd(&stream) }
    let bound = Int(deflateBound(&stream, UInt(bytes.count)))
    var status = Z_OK
    let packed = bytes.withUnsafeBufferPointer { input in
      [UInt8](unsafeUninitializedCapacity: bound) { output, count in
        stream.next_in = UnsafeMutablePointer(mutating: input.baseAddress)
        stream.avail_in = UInt32(input.count)
        stream.next_out = output.baseAddress
        stream.avail_out = UInt32(output.count)
        status = deflate(&stream, Z_FINISH)
        count = output.count - Int(stream.avail_out)
      }
    }
    guard status == Z_STREAM_END else { throw .corrupt("zlib \(status)") }
    return packed
  }
}
