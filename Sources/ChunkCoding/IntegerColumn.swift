import Compression

// Columns of integers inside a chunk's body. One mode byte: 0 runs of (length - 1, value), 1 plain values; whichever the
// writer finds shorter. All varints.

private let runsMode: UInt8 = 0
private let plainMode: UInt8 = 1

extension ByteWriter {
  /// Appends `count` integers, `value(index)` giving each.
  @inline(__always)
  mutating func append(column count: Int, _ value: (Int) -> UInt64) {
    guard count > 0 else { return }
    var runs = 1
    var previous = value(0)
    for index in 1..<max(1, count) {
      let next = value(index)
      if next != previous { runs += 1 }
      previous = next
    }
    if runs * 2 > count {
      append(plainMode)
      for index in 0..<count { append(varint: value(index)) }
      return
    }
    append(runsMode)
    var start = 0
    while start < count {
      let run = value(start)
      var end = start + 1
      while end < count, value(end) == run { end += 1 }
      append(varint: UInt64(end - start - 1))
      append(varint: run)
      start = end
    }
  }
}

extension ByteReader {
  /// Takes `count` integers, handing each with its index to `body`; runs that pass `count` are refused.
  @inline(__always)
  mutating func column(_ count: Int, _ body: (Int, UInt64) throws(ByteError) -> Void) throws(ByteError) {
    guard count > 0 else { return }
    let mode = try byte()
    guard mode != plainMode else {
      for index in 0..<count { try body(index, try varint()) }
      return
    }
    guard mode == runsMode else { throw .varintTooLarge }
    var start = 0
    while start < count {
      let end = start + 1 + (try self.count(limit: count - start - 1))
      let run = try varint()
      for index in start..<end { try body(index, run) }
      start = end
    }
  }
}
