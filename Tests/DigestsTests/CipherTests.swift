import Testing

@testable import Digests

private func unhex(_ text: String) -> [UInt8] { bytes(hex: text) ?? [] }

@Suite struct SealingCipherTests {
  /// Test cases 13 to 16 of "The Galois/Counter Mode of Operation" (McGrew, Viega), as NIST published them.
  @Test(arguments: [
    (
      key: String(repeating: "00", count: 32), nonce: String(repeating: "00", count: 12), plain: "", associated: "",
      sealed: "530f8afbc74536b9a963b4f1c4cb738b"
    ),
    (
      key: String(repeating: "00", count: 32), nonce: String(repeating: "00", count: 12),
      plain: String(repeating: "00", count: 16), associated: "",
      sealed: "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919"
    ),
    (
      key: "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308", nonce: "cafebabefacedbaddecaf888",
      plain: "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
        + "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
      associated: "feedfacedeadbeeffeedfacedeadbeefabaddad2",
      sealed: "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
        + "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662"
        + "76fc6ece0f4e1768cddf8853bb2d551b"
    ),
  ])
  func publishedVectors(
    _ vector: (key: String, nonce: String, plain: String, associated: String, sealed: String)
  ) throws {
    let cipher = SealingCipher()
    let key = SecretKey(copying: unhex(vector.key))
    let plain = unhex(vector.plain)
    let sealed = try plain.withUnsafeBytes {
      try cipher.seal($0, key: key, nonce: unhex(vector.nonce), associated: unhex(vector.associated))
    }
    #expect(hex(sealed) == vector.nonce + vector.sealed)
    #expect(try cipher.open(sealed, key: key, associated: unhex(vector.associated)) == plain)
  }

  @Test func everyFlippedBitIsRefused() throws {
    let cipher = SealingCipher()
    let key = try SecretKey(randomCount: 32)
    let sealed = try cipher.seal(Array("spo2 91".utf8), key: key, associated: [1, 2, 3])
    for bit in 0..<(sealed.count * 8) {
      var damaged = sealed
      damaged[bit / 8] ^= 1 << UInt8(bit % 8)
      #expect(try cipher.open(damaged, key: key, associated: [1, 2, 3]) == nil)
    }
    for count in 0..<sealed.count {
      #expect(try cipher.open(Array(sealed[..<count]), key: key, associated: [1, 2, 3]) == nil)
    }
    #expect(try cipher.open(sealed, key: key, associated: [1, 2]) == nil)
    #expect(try cipher.open(sealed, key: SecretKey(randomCount: 32), associated: [1, 2, 3]) == nil)
    #expect(try cipher.open(sealed, key: key, associated: [1, 2, 3]) == Array("spo2 91".utf8))
  }

  @Test func noNonceComesTwice() throws {
    let cipher = SealingCipher()
    let key = try SecretKey(randomCount: 32)
    var seen: Set<[UInt8]> = []
    for _ in 0..<100_000 { seen.insert(Array(try cipher.seal([7], key: key, associated: [])[..<12])) }
    #expect(seen.count == 100_000)
  }

  @Test func aKeyIsNeverPrinted() throws {
    let key = SecretKey(copying: Array("0123456789abcdef0123456789abcdef".utf8))
    var dumped = ""
    dump(key, to: &dumped)
    #expect(!"\(key) \(String(reflecting: key)) \(dumped)".contains("0123"))
  }
}

@Suite struct NameCipherTests {
  /// RFC 5297 A.1.
  @Test func publishedVector() throws {
    let key = SecretKey(copying: unhex("fffefdfcfbfaf9f8f7f6f5f4f3f2f1f0f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff"))
    let cipher = try NameCipher(key: key)
    let associated = unhex("101112131415161718191a1b1c1d1e1f2021222324252627")
    let plain = unhex("112233445566778899aabbccddee")
    let sealed = try cipher.seal(plain, associated: associated)
    #expect(hex(sealed) == "85632d07c6e8f37f950acd320a2ecc9340c02b9690c4dc04daef7f6afe5c")
    #expect(cipher.open(sealed, associated: associated) == plain)
  }

  @Test func equalTextsAndOnlyTheseAreEqual() throws {
    let cipher = try NameCipher(key: SecretKey(randomCount: NameCipher.keyBytes))
    let other = try NameCipher(key: SecretKey(randomCount: NameCipher.keyBytes))
    var seen: Set<[UInt8]> = []
    for text in ["", "a", "alert-1", "alert-2", String(repeating: "x", count: 300)] {
      let plain = Array(text.utf8)
      let sealed = try cipher.seal(plain, associated: [1])
      #expect(try cipher.seal(plain, associated: [1]) == sealed)
      #expect(cipher.open(sealed, associated: [1]) == plain)
      #expect(seen.insert(sealed).inserted)
      guard !text.isEmpty else { continue }
      #expect(cipher.open(sealed, associated: [2]) == nil)
      #expect(other.open(sealed, associated: [1]) == nil)
      for bit in 0..<(sealed.count * 8) {
        var damaged = sealed
        damaged[bit / 8] ^= 1 << UInt8(bit % 8)
        #expect(cipher.open(damaged, associated: [1]) == nil)
      }
    }
  }
}
