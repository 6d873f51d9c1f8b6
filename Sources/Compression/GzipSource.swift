import CZlib

/// Unpacks a gzip stream (RFC 1952), one member or several in a row, as it is read.
///
/// The end is reported only after the last member's length and CRC have been checked; zero bytes after it, as tape
/// blocks leave, are passed over. Not for use from two threads at once.
package final class GzipSource: ByteSource {
  private var packed: any ByteSource
  private var input: InputWindow
  /// zlib keeps the address of this record inside its state, so it may not move.
  private let stream: UnsafeMutablePointer<z_stream>
  private var phase = Phase.inMember

  private enum Phase {
    /// Inside a member, its header and trailer included.
    case inMember
    /// Behind a trailer; what follows decides between the end and another member.
    case betweenMembers
    case ended
    case failed(CompressionError)
  }

  /// Unpacks what `packed` gives.
  /// - Throws: `.outOfMemory`.
  package init(_ packed: any ByteSource) throws(CompressionError) {
    self.packed = packed
    input = InputWindow(capacity: 64 * 1024)
    stream = .allocate(capacity: 1)
    stream.initialize(to: z_stream())
    // 15 is the largest window (32 KiB); adding 16 asks for the gzip wrapper and refuses others.
    let status = inflateInit2_(stream, 15 + 16, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size))
    guard status == Z_OK else {
      // The deinitialiser runs also now, as every stored property is set; it ends a stream that never began harmlessly.
      throw status == Z_MEM_ERROR ? .outOfMemory : .corrupt("zlib \(status)")
    }
  }

  deinit {
    inflateEnd(stream)
    stream.deinitialize(count: 1)
    stream.deallocate()
  }

  package func read(into buffer: UnsafeMutableRawBufferPointer) throws(CompressionError) -> Int {
    do throws(CompressionError) {
      return try unpack(into: buffer)
    } catch {
      phase = .failed(error)
      throw error
    }
  }

  private func unpack(into buffer: UnsafeMutableRawBufferPointer) throws(CompressionError) -> Int {
    guard !buffer.isEmpty else { return 0 }
    while true {
      switch phase {
      case .failed(let error): throw error
      case .ended: return 0
      case .betweenMembers: try findNextMember()
      case .inMember:
        if input.isEmpty, try !input.refill(from: &packed) { throw .truncated }
        let written = try inflateOnce(into: buffer)
        if written > 0 { return written }
      }
    }
  }

  /// Passes over padding; ends at the end of the input, or starts on the next member.
  private func findNextMember() throws(CompressionError) {
    while true {
      if input.isEmpty, try !input.refill(from: &packed) {
        phase = .ended
        return
      }
      if input.first != 0 { break }
      input.consume(1)
    }
    guard inflateReset(stream) == Z_OK else { throw .corrupt("zlib reset") }
    phase = .inMember
  }

  private func inflateOnce(into buffer: UnsafeMutableRawBufferPointer) throws(CompressionError) -> Int {
    let room = min(buffer.count, 1 << 30)
    let offered = input.count
    stream.pointee.next_out = buffer.baseAddress?.assumingMemoryBound(to: UInt8.self)
    stream.pointee.avail_out = UInt32(room)
    let status = input.withUnread { unread in
      stream.pointee.next_in = UnsafeMutablePointer(mutating: unread.baseAddress)
      stream.pointee.avail_in = UInt32(unread.count)
      return inflate(stream, Z_NO_FLUSH)
    }
    input.consume(offered - Int(stream.pointee.avail_in))
    // Neither pointer is valid past this call.
    stream.pointee.next_in = nil
    stream.pointee.next_out = nil
    switch status {
    case Z_OK, Z_BUF_ERROR: break
    case Z_STREAM_END: phase = .betweenMembers
    case Z_MEM_ERROR: throw .outOfMemory
    default: throw .corrupt("gzip: \(stream.pointee.msg.map { String(cString: $0) } ?? "zlib \(status)")")
    }
    return room - Int(stream.pointee.avail_out)
  }
}
