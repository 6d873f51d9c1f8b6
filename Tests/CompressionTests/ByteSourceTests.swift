import CZlib
import Foundation
import Testing

@testable import Compression

/// Bytes in memory, given out at most `step` at a time.
private struct MemorySource: ByteSource {
  var bytes: ArraySlice<UInt8>
  let step: Int

  init(_ bytes: [UInt8], step: Int = .max) {
    self.bytes = bytes[...]
    self.step = step
  }

  mutating func read(into buffer: UnsafeMutableRawBufferPointer) -> Int {
    let count = min(step, buffer.count, bytes.count)
    buffer.copyBytes(from: bytes.prefix(count))
    bytes = bytes.dropFirst(count)
    return count
  }
}

/// All that a source gives, read through a buffer of `step` bytes; stops with an error past `limit`.
private func drain(_ source: any ByteSource, step: Int = 1000, limit: Int = 1 << 24) throws -> [UInt8] {
  var source = source
  var all: [UInt8] = []
  var chunk = [UInt8](repeating: 0, count: step)
  while all.count <= limit {
    let count = try chunk.withUnsafeMutableBytes { try source.read(into: $0) }
    if count == 0 { return all }
    all += chunk[..<count]
  }
  throw CompressionError.tooLarge(limit: limit)
}

/// One gzip member, packed by zlib.
private func gzip(_ bytes: [UInt8]) -> [UInt8] {
  var stream = z_stream()
  var input = bytes
  var output = [UInt8](repeating: 0, count: bytes.count + bytes.count / 100 + 100)
  let size = Int32(MemoryLayout<z_stream>.size)
  deflateInit2_(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY, ZLIB_VERSION, size)
  defer { deflateEnd(&stream) }
  return input.withUnsafeMutableBufferPointer { input in
    output.withUnsafeMutableBufferPointer { output in
      stream.next_in = input.baseAddress
      stream.avail_in = UInt32(input.count)
      stream.next_out = output.baseAddress
      stream.avail_out = UInt32(output.count)
      deflate(&stream, Z_FINISH)
      return Array(output[..<Int(stream.total_out)])
    }
  }
}

private enum Packer: CaseIterable {
  case gzip, zstd

  func pack(_ bytes: [UInt8]) throws -> [UInt8] {
    switch self {
    case .gzip: CompressionTests.gzip(bytes)
    case .zstd: try ZstdCompressor().compress(bytes)
    }
  }

  func source(_ packed: some ByteSource) throws -> any ByteSource {
    switch self {
    case .gzip: try GzipSource(packed)
    case .zstd: try ZstdSource(packed)
    }
  }
}

private func sampleBytes(_ count: Int) -> [UInt8] {
  var random = SplitMix64(state: UInt64(count))
  return (0..<count).map {
    $0 % 3 == 0 ? UInt8(truncatingIfNeeded: random.next()) : UInt8(truncatingIfNeeded: $0 / 500)
  }
}

@Suite struct ByteSourceTests {
  @Test(arguments: Packer.allCases) fileprivate func unpacksInPiecesOfAnySize(_ packer: Packer) throws {
    for size in [0, 1, 1000, 70_000] {
      let bytes = sampleBytes(size)
      let packed = try packer.pack(bytes)
      for (inStep, outStep) in [(1, 4096), (4096, 7), (.max, 1000), (.max, 1 << 20)] {
        #expect(try drain(packer.source(MemorySource(packed, step: inStep)), step: outStep) == bytes)
      }
    }
  }

  @Test(arguments: Packer.allCases) fileprivate func unpacksMembersInARow(_ packer: Packer) throws {
    let packed = try packer.pack(sampleBytes(5000)) + packer.pack([]) + packer.pack([1, 2])
    #expect(try drain(packer.source(MemorySource(packed))) == sampleBytes(5000) + [1, 2])
  }

  @Test(arguments: Packer.allCases) fileprivate func aCutAnywhereIsAnErrorAndNotTheEnd(_ packer: Packer) throws {
    let packed = try packer.pack(sampleBytes(600))
    for length in 0..<packed.count {
      #expect(throws: CompressionError.truncated, "cut at \(length)") {
        try drain(packer.source(MemorySource(Array(packed[..<length]), step: 5)))
      }
    }
    // Also in a second member.
    #expect(throws: CompressionError.truncated) {
      try drain(packer.source(MemorySource(packed + packed.dropLast(3))))
    }
  }

  @Test(arguments: Packer.allCases) fileprivate func aChangedByteNeverGivesOtherBytes(_ packer: Packer) throws {
    let bytes = sampleBytes(400)
    let packed = try packer.pack(bytes)
    var random = SplitMix64(state: 21)
    for index in packed.indices {
      var changed = packed
      changed[index] ^= UInt8.random(in: 1...255, using: &random)
      if let unpacked = try? drain(packer.source(MemorySource(changed))) { #expect(unpacked == bytes) }
    }
  }

  @Test(arguments: Packer.allCases) fileprivate func garbageIsAnErrorAndStaysOne(_ packer: Packer) throws {
    var random = SplitMix64(state: 22)
    for _ in 0..<1000 {
      let header = try packer.pack([1, 2, 3]).prefix(Int.random(in: 0...10, using: &random))
      let garbage = header + random.bytes(Int.random(in: 1...80, using: &random))
      var source = try packer.source(MemorySource(Array(garbage)))
      guard (try? drain(source, limit: 1 << 20)) == nil else { continue }
      var byte: [UInt8] = [0]
      #expect(throws: CompressionError.self) { try byte.withUnsafeMutableBytes { try source.read(into: $0) } }
    }
  }

  @Test func zeroPaddingBehindGzipIsPassedOver() throws {
    let padded = gzip([5]) + [UInt8](repeating: 0, count: 512)
    #expect(try drain(GzipSource(MemorySource(padded, step: 100))) == [5])
    #expect(throws: CompressionError.self) { try drain(GzipSource(MemorySource(gzip([5]) + [1, 2, 3]))) }
  }
}

@Suite struct FileOpeningTests {
  private let folder = NSTemporaryDirectory() + "sources-" + UUID().uuidString

  private func file(_ name: String, _ bytes: [UInt8]) throws -> String {
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    let path = folder + "/" + name
    try Data(bytes).write(to: URL(fileURLWithPath: path))
    return path
  }

  @Test func theFirstBytesDecide() throws {
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let bytes = sampleBytes(3000)
    let zstd = try ZstdCompressor().compress(bytes)
    #expect(try drain(openByteSource(path: file("plain.jsonl", bytes))) == bytes)
    #expect(try drain(openByteSource(path: file("a.gz", gzip(bytes)))) == bytes)
    #expect(try drain(openByteSource(path: file("b.zst", zstd))) == bytes)
    #expect(try drain(openByteSource(path: file("unnamed", zstd))) == bytes)
    let skippable: [UInt8] = [0x51, 0x2A, 0x4D, 0x18, 2, 0, 0, 0, 9, 9]
    #expect(try drain(openByteSource(path: file("parallel", skippable + zstd))) == bytes)
    for short in [[], [1], [1, 2, 3]] as [[UInt8]] {
      #expect(try drain(openByteSource(path: file("short", short))) == short)
    }
  }

  @Test func aBrokenPromiseIsAnError() throws {
    defer { try? FileManager.default.removeItem(atPath: folder) }
    #expect(throws: CompressionError.truncated) { try openByteSource(path: file("empty.gz", [])) }
    #expect(throws: CompressionError.corrupt("the name says zstd, the first bytes say plain")) {
      try openByteSource(path: file("not.zst", Array("{\"hr\":1}".utf8)))
    }
    let absent = folder + "/absent"
    #expect(throws: CompressionError.notFound(path: absent)) { try openByteSource(path: absent) }
    #expect(throws: CompressionError.io(path: folder, code: EISDIR)) { try drain(openByteSource(path: folder)) }
  }
}
