import Testing

@testable import Compression

@Suite struct ZstdTests {
  @Test func framesRoundTripAtManySizes() throws {
    let compressor = try ZstdCompressor(level: 3)
    let decompressor = try ZstdDecompressor()
    var random = SplitMix64(state: 5)
    for size in [0, 1, 2, 100, 4096, 300_000] {
      let noise = random.bytes(size)
      let runs = (0..<size).map { UInt8(truncatingIfNeeded: $0 / 64) }
      for bytes in [noise, runs] {
        let packed = try compressor.compress(bytes)
        #expect(try decompressor.decompress(packed, limit: size) == bytes)
      }
    }
  }

  @Test func theLimitIsCheckedBeforeMemoryIsTaken() throws {
    let packed = try ZstdCompressor().compress([UInt8](repeating: 0, count: 10_000))
    let decompressor = try ZstdDecompressor()
    #expect(throws: CompressionError.tooLarge(limit: 9_999)) { try decompressor.decompress(packed, limit: 9_999) }
    #expect(throws: CompressionError.tooLarge(limit: -1)) { try decompressor.decompress(packed, limit: -1) }
    // A header that states 2^62 bytes: magic, single segment with an 8-byte size, an empty last block.
    let hostile: [UInt8] = [0x28, 0xB5, 0x2F, 0xFD, 0xE0, 0, 0, 0, 0, 0, 0, 0, 0x40, 1, 0, 0]
    #expect(throws: CompressionError.tooLarge(limit: 1 << 20)) {
      try decompressor.decompress(hostile, limit: 1 << 20)
    }
  }

  @Test func cutOrChangedFramesAreRefused() throws {
    var random = SplitMix64(state: 6)
    let bytes = random.bytes(500) + [UInt8](repeating: 4, count: 500)
    let packed = try ZstdCompressor().compress(bytes)
    let decompressor = try ZstdDecompressor()
    for length in 0..<packed.count {
      #expect(throws: CompressionError.self) { try decompressor.decompress(Array(packed[..<length]), limit: 4096) }
    }
    #expect(throws: CompressionError.corrupt("bytes after the frame")) {
      try decompressor.decompress(packed + [0], limit: 4096)
    }
    for index in packed.indices {
      var changed = packed
      changed[index] ^= UInt8.random(in: 1...255, using: &random)
      // A flip may hit a bit without meaning, but never gives other bytes back.
      if let unpacked = try? decompressor.decompress(changed, limit: 4096) { #expect(unpacked == bytes) }
    }
    #expect(try decompressor.decompress(packed, limit: 4096) == bytes)
  }

  @Test func garbageIsRefused() throws {
    let decompressor = try ZstdDecompressor()
    var random = SplitMix64(state: 7)
    for _ in 0..<3000 {
      let garbage = [0x28, 0xB5, 0x2F, 0xFD] + random.bytes(Int.random(in: 0...60, using: &random))
      if let unpacked = try? decompressor.decompress(garbage, limit: 1 << 16) { #expect(unpacked.count <= 1 << 16) }
    }
  }
}
