import Glibc

/// Somewhere bytes come from, in order, once.
package protocol ByteSource {
  /// Fills the front of `buffer` and returns how many bytes were written; 0 means the end, given a non-empty buffer.
  ///
  /// After a throw the source is finished: later calls may throw again and never return more bytes.
  mutating func read(into buffer: UnsafeMutableRawBufferPointer) throws(CompressionError) -> Int
}

/// A file read as it is. The descriptor is closed with the object. Not for use from two threads at once.
package final class FileSource: ByteSource {
  private let descriptor: Int32
  private let path: String
  private let closesDescriptor: Bool
  /// Bytes read ahead to recognise the packing, given out first.
  private var peeked: [UInt8] = []

  /// Opens the file at `path`.
  /// - Throws: `.notFound` or `.io`.
  package init(path: String) throws(CompressionError) {
    descriptor = Glibc.open(path, O_RDONLY | O_CLOEXEC)
    self.path = path
    closesDescriptor = true
    guard descriptor >= 0 else {
      throw errno == ENOENT ? .notFound(path: path) : .io(path: path, code: errno)
    }
  }

  /// Reads from an open descriptor, such as standard input, and leaves it open; `name` is for errors.
  package init(descriptor: Int32, name: String) {
    self.descriptor = descriptor
    path = name
    closesDescriptor = false
  }

  deinit { if closesDescriptor, descriptor >= 0 { Glibc.close(descriptor) } }

  package func read(into buffer: UnsafeMutableRawBufferPointer) throws(CompressionError) -> Int {
    if !peeked.isEmpty {
      let count = min(peeked.count, buffer.count)
      buffer.copyBytes(from: peeked[..<count])
      peeked.removeFirst(count)
      return count
    }
    return try readDescriptor(into: buffer)
  }

  /// The first bytes of the file, at most `count`, which `read` will still give out. Call before the first `read`.
  func peek(_ count: Int) throws(CompressionError) -> [UInt8] {
    while peeked.count < count {
      var chunk = [UInt8](repeating: 0, count: count - peeked.count)
      var outcome: Result<Int, CompressionError> = .success(0)
      chunk.withUnsafeMutableBytes { raw in
        outcome = Result { () throws(CompressionError) in try readDescriptor(into: raw) }
      }
      let size = try outcome.get()
      if size == 0 { break }
      peeked.append(contentsOf: chunk[..<size])
    }
    return peeked
  }

  private func readDescriptor(into buffer: UnsafeMutableRawBufferPointer) throws(CompressionError) -> Int {
    while true {
      let size = Glibc.read(descriptor, buffer.baseAddress, buffer.count)
      if size >= 0 { return size }
      if errno != EINTR { throw .io(path: path, code: errno) }
    }
  }
}

/// How a file's bytes are packed.
package enum Packing: Equatable, Sendable {
  case plain, gzip, zstd

  /// Recognises a packing by a file's first four bytes.
  package static func of(firstBytes: [UInt8]) -> Packing {
    if firstBytes.starts(with: [0x1F, 0x8B]) { return .gzip }
    if firstBytes.starts(with: [0x28, 0xB5, 0x2F, 0xFD]) { return .zstd }
    // A skippable zstd frame, which parallel compressors write first: magic 0x184D2A50 to 0x184D2A5F.
    if firstBytes.count >= 4, firstBytes[0] & 0xF0 == 0x50, firstBytes[1...].starts(with: [0x2A, 0x4D, 0x18]) {
      return .zstd
    }
    return .plain
  }

  /// What a file's name promises; nil when the name promises nothing.
  package static func of(name: String) -> Packing? {
    if name.hasSuffix(".gz") { return .gzip }
    if name.hasSuffix(".zst") || name.hasSuffix(".zstd") { return .zstd }
    return nil
  }
}

/// Opens a file for reading, unpacking gzip or zstd as its first bytes say.
///
/// - Throws: `.notFound`, `.io`; `.truncated` when the name promises packed bytes and the file is too short to be;
///   `.corrupt` when the name promises a packing the bytes do not show.
package func openByteSource(path: String) throws(CompressionError) -> any ByteSource {
  try unpacked(try FileSource(path: path), promised: Packing.of(name: path))
}

/// Reads an open descriptor such as standard input, unpacking as its first bytes say; the descriptor stays open.
package func openByteSource(descriptor: Int32, name: String) throws(CompressionError) -> any ByteSource {
  try unpacked(FileSource(descriptor: descriptor, name: name), promised: nil)
}

private func unpacked(_ file: FileSource, promised: Packing?) throws(CompressionError) -> any ByteSource {
  let first = try file.peek(4)
  let seen = Packing.of(firstBytes: first)
  if let promised, promised != seen {
    if first.count < 4 { throw .truncated }
    throw .corrupt("the name says \(promised), the first bytes say \(seen)")
  }
  switch seen {
  case .plain: return file
  case .gzip: return try GzipSource(file)
  case .zstd: return try ZstdSource(file)
  }
}
