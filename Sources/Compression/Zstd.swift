import CZstd

/// Packs byte strings as single zstd frames with one context reused between calls.
///
/// Not for use from two threads at once. Frames carry their content size and a 32-bit checksum of the content.
package final class ZstdCompressor {
  private let context: OpaquePointer

  /// - Parameters:
  ///   - level: 1 (fast) to 19 (small); values outside are clamped by the library.
  ///   - dictionary: bytes that what is packed resembles; whoever unpacks must have the same. Empty: none.
  ///   - hasChecksum: whether frames carry their checksum: not needed inside what is checked anyway.
  /// - Throws: `.outOfMemory`.
  package init(level: Int32 = 3, dictionary: [UInt8] = [], hasChecksum: Bool = true) throws(CompressionError) {
    guard let context = ZSTD_createCCtx() else { throw .outOfMemory }
    self.context = context
    _ = ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, level)
    _ = ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, hasChecksum ? 1 : 0)
    if !dictionary.isEmpty {
      // Copied and digested once, for every frame.
      let status = ZSTD_CCtx_loadDictionary(context, dictionary, dictionary.count)
      if ZSTD_isError(status) != 0 { throw zstdError(status) }
    }
  }

  deinit { ZSTD_freeCCtx(context) }

  /// Packs `bytes` into one frame.
  package func compress(_ bytes: UnsafeRawBufferPointer) throws(CompressionError) -> [UInt8] {
    var failure: CompressionError?
    let bound = ZSTD_compressBound(bytes.count)
    let packed = [UInt8](unsafeUninitializedCapacity: bound) { buffer, count in
      let size = ZSTD_compress2(context, buffer.baseAddress, buffer.count, bytes.baseAddress, bytes.count)
      if ZSTD_isError(size) != 0 { failure = zstdError(size) } else { count = size }
    }
    if let failure { throw failure }
    return packed
  }

  /// Packs an array into one frame.
  package func compress(_ bytes: [UInt8]) throws(CompressionError) -> [UInt8] {
    var result: Result<[UInt8], CompressionError> = .success([])
    bytes.withUnsafeBytes { raw in
      result = Result { () throws(CompressionError) in try compress(raw) }
    }
    return try result.get()
  }
}

/// Unpacks zstd frames with one context reused between calls. Not for use from two threads at once.
package final class ZstdDecompressor {
  private let context: OpaquePointer

  /// - Parameter dictionary: the bytes it was packed with; empty: none.
  /// - Throws: `.outOfMemory`.
  package init(dictionary: [UInt8] = []) throws(CompressionError) {
    guard let context = ZSTD_createDCtx() else { throw .outOfMemory }
    self.context = context
    guard !dictionary.isEmpty else { return }
    let status = ZSTD_DCtx_loadDictionary(context, dictionary, dictionary.count)
    if ZSTD_isError(status) != 0 { throw zstdError(status) }
  }

  deinit { ZSTD_freeDCtx(context) }

  /// Unpacks exactly one frame that states its content size.
  ///
  /// - Parameter limit: the largest result accepted, in bytes; checked against the header before memory is taken.
  /// - Throws: `.tooLarge`, `.truncated`, or `.corrupt` (also for bytes after the frame, or a frame without a size).
  package func decompress(
    _ bytes: UnsafeRawBufferPointer, limit: Int
  ) throws(CompressionError) -> [UInt8] {
    let frame = ZSTD_findFrameCompressedSize(bytes.baseAddress, bytes.count)
    if ZSTD_isError(frame) != 0 { throw zstdError(frame) }
    guard frame == bytes.count else { throw .corrupt("bytes after the frame") }
    let stated = ZSTD_getFrameContentSize(bytes.baseAddress, bytes.count)
    guard stated < contentSizeError else { throw .corrupt("no content size in the frame") }
    guard stated <= UInt64(max(0, limit)) else { throw .tooLarge(limit: limit) }
    var failure: CompressionError?
    let unpacked = [UInt8](unsafeUninitializedCapacity: Int(stated)) { buffer, count in
      let size = ZSTD_decompressDCtx(context, buffer.baseAddress, Int(stated), bytes.baseAddress, bytes.count)
      if ZSTD_isError(size) != 0 { failure = zstdError(size) } else { count = size }
    }
    if let failure { throw failure }
    return unpacked
  }

  /// Unpacks exactly one frame held in an array; see the pointer form.
  package func decompress(_ bytes: [UInt8], limit: Int) throws(CompressionError) -> [UInt8] {
    var result: Result<[UInt8], CompressionError> = .success([])
    bytes.withUnsafeBytes { raw in
      result = Result { () throws(CompressionError) in try decompress(raw, limit: limit) }
    }
    return try result.get()
  }
}

/// `ZSTD_CONTENTSIZE_ERROR`; `ZSTD_CONTENTSIZE_UNKNOWN` is the one value above it. Both are macros Swift cannot import.
private let contentSizeError = UInt64.max - 1

/// The typed form of a zstd error result.
func zstdError(_ code: Int) -> CompressionError {
  switch ZSTD_getErrorCode(code) {
  case ZSTD_error_srcSize_wrong: .truncated
  case ZSTD_error_memory_allocation: .outOfMemory
  default: .corrupt(String(cString: ZSTD_getErrorName(code)).lowercased())
  }
}
