import CZstd

/// Unpacks a zstd stream (RFC 8878), one frame or several in a row, as it is read.
///
/// The end is reported only at the end of a whole frame. Frames that need a window above 128 MiB are refused. Not for
/// use from two threads at once.
package final class ZstdSource: ByteSource {
  private var packed: any ByteSource
  private var input: InputWindow
  private let context: OpaquePointer
  private var failure: CompressionError?
  /// True between frames, where the input may end.
  private var isAtFrameBoundary = false
  /// True when the last call filled the caller's buffer, so that more may be waiting inside the context.
  private var mayHoldOutput = false

  /// Unpacks what `packed` gives.
  /// - Throws: `.outOfMemory`.
  package init(_ packed: any ByteSource) throws(CompressionError) {
    guard let context = ZSTD_createDCtx() else { throw .outOfMemory }
    self.context = context
    self.packed = packed
    input = InputWindow(capacity: ZSTD_DStreamInSize())
    _ = ZSTD_DCtx_setParameter(context, ZSTD_d_windowLogMax, 27)
  }

  deinit { ZSTD_freeDCtx(context) }

  package func read(into buffer: UnsafeMutableRawBufferPointer) throws(CompressionError) -> Int {
    if let failure { throw failure }
    guard !buffer.isEmpty else { return 0 }
    do throws(CompressionError) {
      while true {
        if input.isEmpty, !mayHoldOutput, try !input.refill(from: &packed) {
          if isAtFrameBoundary { return 0 }
          throw .truncated
        }
        let written = try decompressOnce(into: buffer)
        if written > 0 { return written }
      }
    } catch {
      failure = error
      throw error
    }
  }

  private func decompressOnce(into buffer: UnsafeMutableRawBufferPointer) throws(CompressionError) -> Int {
    var output = ZSTD_outBuffer(dst: buffer.baseAddress, size: buffer.count, pos: 0)
    let (status, consumed) = input.withUnread { unread in
      var source = ZSTD_inBuffer(src: unread.baseAddress, size: unread.count, pos: 0)
      return (ZSTD_decompressStream(context, &output, &source), source.pos)
    }
    if ZSTD_isError(status) != 0 { throw zstdError(status) }
    input.consume(consumed)
    // Zero means a frame has been read and given out whole. A call that did nothing at all says nothing new.
    if consumed > 0 || output.pos > 0 { isAtFrameBoundary = status == 0 }
    mayHoldOutput = output.pos == output.size && status != 0
    return output.pos
  }
}
