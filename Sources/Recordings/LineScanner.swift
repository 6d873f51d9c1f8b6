import Compression
import Glibc

/// Lines of a byte source, read in blocks. The line given out is valid until the next call.
final class LineScanner {
  enum Line {
    /// Without its line feed and a carriage return before it.
    case text(UnsafeRawBufferPointer)
    /// Longer than ``longest``: its first bytes; the rest was passed over.
    case oversize(UnsafeRawBufferPointer)
  }

  /// SEMANTICS A8: no message is larger than 1 MiB.
  static let longest = 1 << 20

  /// Number of the line given out last, from 1.
  @exclusivity(unchecked) private(set) var number = 0
  @exclusivity(unchecked) private var source: any ByteSource
  /// Holds one longest line and one block.
  private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: longest + (1 << 18), alignment: 16)
  @exclusivity(unchecked) private var start = 0
  @exclusivity(unchecked) private var end = 0
  @exclusivity(unchecked) private var previousStart = 0
  @exclusivity(unchecked) private var atEnd = false

  init(_ source: any ByteSource) { self.source = source }

  deinit { buffer.deallocate() }

  /// The next line; a last line without line feed counts; nil at the end.
  func next() throws(CompressionError) -> Line? {
    var searched = start
    while true {
      if let feed = find(from: searched) { return take(to: feed, past: feed + 1) }
      if atEnd { return start < end ? take(to: end, past: end) : nil }
      if end - start > LineScanner.longest { return try passOver() }
      searched = end - start
      compact()
      try fill()
    }
  }

  /// Gives the line given out last once more. Only directly after ``next()``.
  func unread() {
    start = previousStart
    number -= 1
  }

  private func find(from index: Int) -> Int? {
    guard index < end, let base = buffer.baseAddress, let hit = memchr(base + index, 10, end - index) else {
      return nil
    }
    return UnsafeRawPointer(hit) - UnsafeRawPointer(base)
  }

  private func take(to feed: Int, past: Int) -> Line {
    number += 1
    previousStart = start
    let stop = feed > start && buffer[feed - 1] == 13 ? feed - 1 : feed
    let line = UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(buffer)[start..<stop])
    start = past
    return line.count > LineScanner.longest ? .oversize(UnsafeRawBufferPointer(rebasing: line[..<256])) : .text(line)
  }

  private func compact() {
    if start > 0, let base = buffer.baseAddress { memmove(base, base + start, end - start) }
    end -= start
    start = 0
  }

  private func fill() throws(CompressionError) {
    // Blocks that stay in the processor's cache until their lines are read.
    let until = min(buffer.count, end + (1 << 17))
    let count = try source.read(into: UnsafeMutableRawBufferPointer(rebasing: buffer[end..<until]))
    end += count
    atEnd = count == 0
  }

  private func passOver() throws(CompressionError) -> Line {
    number += 1
    compact()
    // The first bytes stay in front; later blocks overwrite what follows them.
    let kept = 256
    while !atEnd {
      end = kept
      try fill()
      if let feed = find(from: kept) {
        start = feed + 1
        return .oversize(UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(buffer)[..<kept]))
      }
    }
    start = end
    return .oversize(UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(buffer)[..<kept]))
  }
}

/// The fields of one CSV line (RFC 4180; a line feed within quotes is not supported). Valid until the next split.
final class FieldSplitter {
  /// More columns than any recording has.
  static let most = 4096

  private(set) var count = 0
  private let fields = UnsafeMutablePointer<UnsafeRawBufferPointer>.allocate(capacity: most)
  /// Unquoted copies of the quoted fields of this line.
  private var scratch = UnsafeMutableRawBufferPointer.allocate(byteCount: 1024, alignment: 1)

  init() {}

  deinit {
    fields.deallocate()
    scratch.deallocate()
  }

  subscript(index: Int) -> UnsafeRawBufferPointer { fields[index] }

  /// Returns false if quotes do not match or there are more than ``most`` fields.
  func split(_ line: UnsafeRawBufferPointer) -> Bool {
    count = 0
    guard let base = line.baseAddress else {
      fields[0] = line
      count = 1
      return true
    }
    if memchr(base, 0x22, line.count) != nil { return splitQuoted(line) }
    var start = 0
    var index = 0
    let total = line.count
    while index < total {
      if base.load(fromByteOffset: index, as: UInt8.self) == 0x2C {
        guard count < FieldSplitter.most - 1 else { return false }
        fields[count] = UnsafeRawBufferPointer(start: base + start, count: index - start)
        count += 1
        start = index + 1
      }
      index += 1
    }
    fields[count] = UnsafeRawBufferPointer(start: base + start, count: total - start)
    count += 1
    return true
  }

  private func splitQuoted(_ line: UnsafeRawBufferPointer) -> Bool {
    if scratch.count < line.count {
      scratch.deallocate()
      scratch = .allocate(byteCount: line.count, alignment: 1)
    }
    var used = 0
    var index = 0
    while true {
      guard count < FieldSplitter.most else { return false }
      let start = used
      if index < line.count, line[index] == 0x22 {
        index += 1
        while true {
          guard index < line.count else { return false }
          let isQuote = line[index] == 0x22
          if isQuote, index + 1 >= line.count || line[index + 1] != 0x22 { break }
          scratch[used] = line[index]
          used += 1
          index += isQuote ? 2 : 1
        }
        index += 1
        guard index == line.count || line[index] == 0x2C else { return false }
      } else {
        while index < line.count, line[index] != 0x2C {
          guard line[index] != 0x22 else { return false }
          scratch[used] = line[index]
          used += 1
          index += 1
        }
      }
      fields[count] = UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(scratch)[start..<used])
      count += 1
      if index == line.count { return true }
      index += 1
    }
  }
}
