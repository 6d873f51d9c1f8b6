import Testing

@testable import Compression

/// A small seeded generator, so that every run sees the same bytes.
struct SplitMix64: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
    return mixed ^ (mixed >> 31)
  }

  mutating func bytes(_ count: Int) -> [UInt8] { (0..<count).map { _ in UInt8(truncatingIfNeeded: next()) } }
}

/// Runs `body` on a reader over an array.
func reading<Value>(_ bytes: [UInt8], _ body: (inout ByteReader) throws -> Value) rethrows -> Value {
  try bytes.withUnsafeBytes { raw in
    var reader = ByteReader(raw)
    return try body(&reader)
  }
}

@Suite struct BytesTests {
  @Test func everyFieldReadsBackInOrder() throws {
    var writer = ByteWriter()
    writer.append(7 as UInt8)
    writer.append(littleEndian: 0x0102_0304 as UInt32)
    writer.append(littleEndian: -2 as Int64)
    writer.append(varint: 300)
    writer.append(zigzag: -150)
    writer.append(counted: "SpO₂")
    writer.append(counted: [1, 2, 3])
    writer.append(raw: [9, 8])
    #expect(Array(writer.bytes[1...4]) == [4, 3, 2, 1])
    try reading(writer.bytes) { (reader) throws in
      #expect(try reader.byte() == 7)
      #expect(try reader.littleEndian(UInt32.self) == 0x0102_0304)
      #expect(try reader.littleEndian(Int64.self) == -2)
      #expect(try reader.varint() == 300)
      #expect(try reader.zigzag() == -150)
      #expect(try reader.countedString() == "SpO₂")
      #expect(try Array(reader.counted()) == [1, 2, 3])
      #expect(try Array(reader.raw(2)) == [9, 8])
      #expect(reader.isAtEnd)
      #expect(throws: ByteError.truncated(needed: 1, left: 0)) { try reader.byte() }
    }
  }

  @Test func varintsRoundTripAtEveryWidth() throws {
    for shift in 0..<64 {
      for value in [UInt64(1) << shift, (UInt64(1) << shift) &- 1, UInt64.max >> shift] {
        var writer = ByteWriter()
        writer.append(varint: value)
        writer.append(zigzag: Int64(bitPattern: value))
        try reading(writer.bytes) { (reader) throws in
          #expect(try reader.varint() == value)
          #expect(try reader.zigzag() == Int64(bitPattern: value))
          #expect(reader.isAtEnd)
        }
      }
    }
  }

  @Test func zigzagKeepsSmallMagnitudesSmall() {
    #expect([0, -1, 1, -2, 2].map(zigzagEncode) == [0, 1, 2, 3, 4])
    #expect(zigzagEncode(.min) == .max)
    #expect(zigzagDecode(.max) == .min)
  }

  @Test func aVarintThatOverflowsIsRefused() {
    let tooLong = [UInt8](repeating: 0xFF, count: 9) + [0x02]
    #expect(throws: ByteError.varintTooLarge) { try reading(tooLong) { try $0.varint() } }
    #expect(throws: ByteError.truncated(needed: 4, left: 3)) { try reading([0x80, 0x80, 0x80]) { try $0.varint() } }
    #expect(throws: ByteError.varintTooLarge) { try reading([0x0B]) { try $0.count(limit: 10) } }
  }

  @Test func aCountBeyondTheEndIsRefusedAndMovesNothing() throws {
    var writer = ByteWriter()
    writer.append(varint: .max)
    try reading(writer.bytes) { (reader) throws in
      #expect(throws: ByteError.truncated(needed: .max, left: 0)) { try reader.counted() }
      #expect(reader.offset == 0)
      #expect(throws: ByteError.truncated(needed: -1, left: 10)) { try reader.raw(-1) }
    }
    try reading([1, 0xFF]) { (reader) throws in
      #expect(throws: ByteError.notUTF8) { try reader.countedString() }
      #expect(reader.offset == 0)
    }
  }

  @Test func garbageNeverTraps() throws {
    var random = SplitMix64(state: 11)
    for _ in 0..<5000 {
      let garbage = random.bytes(Int.random(in: 0...40, using: &random))
      try reading(garbage) { (reader) throws in
        for _ in 0..<20 {
          switch Int.random(in: 0..<6, using: &random) {
          case 0: _ = try? reader.varint()
          case 1: _ = try? reader.zigzag()
          case 2: _ = try? reader.counted()
          case 3: _ = try? reader.countedString()
          case 4: _ = try? reader.littleEndian(UInt16.self)
          default: _ = try? reader.raw(Int(truncatingIfNeeded: random.next()))
          }
          #expect((0...garbage.count).contains(reader.offset))
        }
      }
    }
  }
}

@Suite struct ChecksumTests {
  @Test func matchesThePublishedVectors() {
    // RFC 3720 appendix B.4, and the check value of the Castagnoli polynomial.
    #expect(Checksums.crc32c(Array("123456789".utf8)) == 0xE306_9283)
    #expect(Checksums.crc32c([UInt8](repeating: 0, count: 32)) == 0x8A91_36AA)
    #expect(Checksums.crc32c([UInt8](repeating: 0xFF, count: 32)) == 0x62A8_AB43)
    #expect(Checksums.crc32c(Array(0..<32)) == 0x46DD_794E)
    #expect(Checksums.crc32c([]) == 0)
  }

  @Test func piecesGiveTheWhole() {
    var random = SplitMix64(state: 3)
    let bytes = random.bytes(200)
    let whole = Checksums.crc32c(bytes)
    for split in 0...bytes.count {
      let front = Checksums.crc32c(Array(bytes[..<split]))
      #expect(Checksums.crc32c(Array(bytes[split...]), continuing: front) == whole)
    }
  }
}
