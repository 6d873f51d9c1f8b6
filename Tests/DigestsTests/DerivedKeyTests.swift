import Testing

@testable import Digests

@Suite struct DerivedKeyTests {
  @Test func hkdfMatchesRFC5869() {
    // RFC 5869, appendix A.1 and A.3.
    let secret = [UInt8](repeating: 0x0B, count: 22)
    let first = hkdfSHA256(
      secret: secret, salt: Array(0x00...0x0C), info: Array(0xF0...0xF9), count: 42)
    #expect(
      hex(first) == "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865")
    let plain = hkdfSHA256(secret: secret, salt: [], info: [], count: 42)
    #expect(
      hex(plain) == "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8")
    // One byte more or less is the same key, longer or shorter.
    #expect(hkdfSHA256(secret: secret, salt: [], info: [], count: 33) == Array(plain.prefix(33)))
  }

  @Test func base64OfURLsIsThereAndBackAndNothingElse() {
    for count in 0..<70 {
      let original = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 37 &+ 251) }
      let text = base64URL(original)
      #expect(!text.contains("=") && !text.contains("+") && !text.contains("/"))
      #expect(bytes(base64URL: text) == original)
    }
    #expect(base64URL([0xFB, 0xFF]) == "-_8")
    for wrong in ["-_8=", "+/8", "-_9", "a", " -_8"] { #expect(bytes(base64URL: wrong) == nil) }
  }
}
