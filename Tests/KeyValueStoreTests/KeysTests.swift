import Testing

@testable import KeyValueStore

@Suite struct KeysTests {
  private func bytes(_ build: (inout KeyBuilder) throws -> Void) rethrows -> [UInt8] {
    var builder = KeyBuilder()
    try build(&builder)
    return builder.bytes
  }

  @Test func partsReadBack() throws {
    let key = try bytes {
      $0.append(3 as UInt8)
      $0.append(0x0102 as UInt16)
      $0.append(0x0304_0506 as UInt32)
      $0.append(UInt64.max)
      $0.append(Int64.min)
      try $0.append("ward-å")
      $0.append(raw: [7, 7])
    }
    try key.withUnsafeBytes { (raw) throws in
      var reader = KeyReader(raw)
      #expect(try reader.uint8() == 3)
      #expect(try reader.uint16() == 0x0102)
      #expect(try reader.uint32() == 0x0304_0506)
      #expect(try reader.uint64() == .max)
      #expect(try reader.int64() == .min)
      #expect(try reader.string() == "ward-å")
      #expect(Array(reader.rest()) == [7, 7])
      #expect(reader.isAtEnd)
      #expect(throws: KeyError.truncated(needed: 8, left: 0)) { try reader.int64() }
    }
  }

  @Test func byteOrderIsNumberOrder() {
    let numbers: [Int64] = [.min, -5_000_000_000, -256, -1, 0, 1, 255, 256, 5_000_000_000, .max]
    let keys = numbers.map { number in bytes { $0.append(number) } }
    for (left, right) in zip(keys, keys.dropFirst()) { #expect(left.lexicographicallyPrecedes(right)) }
    let unsigned = [0, 1, 255, 256, UInt64.max].map { number in bytes { $0.append(number) } }
    for (left, right) in zip(unsigned, unsigned.dropFirst()) { #expect(left.lexicographicallyPrecedes(right)) }
  }

  @Test func longOrBrokenTextsAreRefused() {
    var builder = KeyBuilder()
    #expect(throws: KeyError.partTooLong(bytes: 65_536)) { try builder.append(String(repeating: "a", count: 65_536)) }
    #expect(builder.bytes.isEmpty)
    ([0, 2, 0xFF, 0xFF] as [UInt8]).withUnsafeBytes { raw in
      var reader = KeyReader(raw)
      #expect(throws: KeyError.notUTF8) { try reader.string() }
      #expect(reader.left == 4)
    }
    ([0, 9, 1] as [UInt8]).withUnsafeBytes { raw in
      var reader = KeyReader(raw)
      #expect(throws: KeyError.truncated(needed: 9, left: 1)) { try reader.string() }
      #expect(reader.left == 3)
    }
  }

  @Test func thePrefixBoundIsTight() {
    #expect(keyAfterPrefix([1, 2]) == [1, 3])
    #expect(keyAfterPrefix([1, 0xFF, 0xFF]) == [2])
    #expect(keyAfterPrefix([0xFF]) == nil)
    #expect(keyAfterPrefix([]) == nil)
  }

  @Test func garbageNeverTraps() {
    var random = SplitMix64(state: 4)
    for _ in 0..<2000 {
      random.bytes(Int.random(in: 0...24, using: &random)).withUnsafeBytes { raw in
        var reader = KeyReader(raw)
        for _ in 0..<6 {
          if Bool.random(using: &random) { _ = try? reader.string() } else { _ = try? reader.uint32() }
          #expect((0...raw.count).contains(reader.left))
        }
      }
    }
  }
}
