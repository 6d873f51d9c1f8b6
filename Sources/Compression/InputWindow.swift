/// Packed bytes read ahead of a decompressor: a fixed buffer with the unread part in its middle.
struct InputWindow {
  private var storage: [UInt8]
  private var unread: Range<Int> = 0..<0

  /// An empty window that reads up to `capacity` bytes at a time.
  init(capacity: Int) { storage = [UInt8](repeating: 0, count: capacity) }

  var isEmpty: Bool { unread.isEmpty }
  var count: Int { unread.count }
  /// The next byte; nil when empty.
  var first: UInt8? { unread.isEmpty ? nil : storage[unread.lowerBound] }

  /// Replaces the (fully consumed) content by the next bytes of `source`; false at its end.
  mutating func refill(from source: inout any ByteSource) throws(CompressionError) -> Bool {
    var outcome: Result<Int, CompressionError> = .success(0)
    storage.withUnsafeMutableBytes { raw in
      outcome = Result { () throws(CompressionError) in try source.read(into: raw) }
    }
    unread = 0..<(try outcome.get())
    return !unread.isEmpty
  }

  /// Lends the unread bytes.
  func withUnread<Value>(_ body: (UnsafeBufferPointer<UInt8>) -> Value) -> Value {
    storage.withUnsafeBufferPointer { body(UnsafeBufferPointer(rebasing: $0[unread])) }
  }

  /// Marks the first `count` unread bytes as read.
  mutating func consume(_ count: Int) { unread = (unread.lowerBound + count)..<unread.upperBound }
}
