import Testing

@testable import Digests

@Suite struct Sha256Tests {
  @Test func matchesThePublishedVectors() {
    // FIPS 180-4 examples.
    #expect(hex(sha256("abc")) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
    #expect(hex(sha256([])) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
    #expect(
      hex(sha256("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"))
        == "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1")
    #expect(
      hex(sha256([UInt8](repeating: UInt8(ascii: "a"), count: 1_000_000)))
        == "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0")
  }

  @Test func piecesGiveTheWhole() {
    let bytes = (0..<200).map { UInt8($0) }
    for split in 0...bytes.count {
      var hasher = Sha256()
      hasher.update(Array(bytes[..<split]))
      hasher.update(Array(bytes[split...]))
      #expect(hasher.finalize() == sha256(bytes))
    }
  }

  @Test func hmacMatchesRFC4231() {
    let cases: [(key: [UInt8], text: [UInt8], mac: String)] = [
      (
        [UInt8](repeating: 0x0B, count: 20), Array("Hi There".utf8),
        "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"
      ),
      (
        Array("Jefe".utf8), Array("what do ya want for nothing?".utf8),
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
      ),
      (
        [UInt8](repeating: 0xAA, count: 20), [UInt8](repeating: 0xDD, count: 50),
        "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"
      ),
      (
        Array(1...25), [UInt8](repeating: 0xCD, count: 50),
        "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b"
      ),
      (
        [UInt8](repeating: 0xAA, count: 131), Array("Test Using Larger Than Block-Size Key - Hash Key First".utf8),
        "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
      ),
      ([], [], "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad"),
    ]
    for vector in cases { #expect(hex(hmacSHA256(key: vector.key, vector.text)) == vector.mac) }
  }

  @Test func equalityLooksAtEveryByte() {
    let mac = sha256("x")
    #expect(constantTimeEquals(mac, sha256("x")))
    #expect(constantTimeEquals([], []))
    #expect(!constantTimeEquals(mac, Array(mac.dropLast())))
    for index in mac.indices {
      var other = mac
      other[index] ^= 1
      #expect(!constantTimeEquals(mac, other))
    }
  }

  @Test func randomBytesDiffer() throws {
    let first = try secureRandomBytes(count: 32)
    #expect(first.count == 32)
    #expect(try secureRandomBytes(count: 32) != first)
    #expect(try secureRandomBytes(count: 0) == [])
  }
}

@Suite struct TextTests {
  @Test func base64MatchesRFC4648() {
    let vectors = [
      "": "", "f": "Zg==", "fo": "Zm8=", "foo": "Zm9v", "foob": "Zm9vYg==", "fooba": "Zm9vYmE=", "foobar": "Zm9vYmFy",
    ]
    for (text, coded) in vectors {
      #expect(base64(Array(text.utf8)) == coded)
      #expect(bytes(base64: coded) == Array(text.utf8))
    }
    #expect(base64([0xFB, 0xFF, 0xFE]) == "+//+")
    let all = (0...255).map { UInt8($0) }
    for count in 0...all.count { #expect(bytes(base64: base64(Array(all[..<count]))) == Array(all[..<count])) }
  }

  @Test(arguments: [
    "Zg", "Zg=", "Zg===", "Zh==", "Zm9=", "Zm9v\n", " Zm9v", "Zm 9", "Z===", "====", "Zg==Zg==", "-__-", "Zm9vé",
    "=Zm9",
  ])
  func base64RefusesWhatItWouldNotWrite(_ text: String) { #expect(bytes(base64: text) == nil) }

  @Test func hexReadsBothCasesAndNothingElse() {
    #expect(hex([0, 0x0F, 0xA5, 0xFF]) == "000fa5ff")
    #expect(bytes(hex: "000fA5Ff") == [0, 0x0F, 0xA5, 0xFF])
    for bad in ["0", "0g", "0x", " 00", "é"] { #expect(bytes(hex: bad) == nil) }
  }
}

@Suite struct StableHashTests {
  /// These values are on disk: a change here moves every patient to another partition.
  @Test func theValuesNeverChange() {
    #expect(stableHash64("") == 0xEFD0_1F60_BA99_2926)
    #expect(stableHash64("a") == 0x82A2_A958_A9BE_CE5B)
    #expect(stableHash64(Array("foobar".utf8)) == 0x2C22_1949_22D1_672B)
    var hasher = StableHasher()
    hasher.combine(field: "ward-a")
    hasher.combine(field: "p1")
    #expect(hasher.finalize() == 0x12A_59D3_54C0_05B2)
  }

  @Test func fieldsDoNotRunTogether() {
    func hash(_ parts: String...) -> UInt64 {
      var hasher = StableHasher()
      for part in parts { hasher.combine(field: part) }
      return hasher.finalize()
    }
    #expect(hash("ab", "c") != hash("a", "bc"))
    #expect(hash("", "a") != hash("a", ""))
  }

  @Test func partitionsFillEvenly() {
    var counts = [Int](repeating: 0, count: 64)
    for patient in 0..<64_000 { counts[Int(stableHash64("patient-\(patient)") % 64)] += 1 }
    // 1000 each on average; a spread of six standard deviations (about 31 each) is far from chance.
    #expect(counts.allSatisfy { (810...1190).contains($0) })
  }
}
