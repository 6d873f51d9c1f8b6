import Testing

@testable import Digests

@Suite struct SigningKeyTests {
  /// RFC 8032 section 7.1, test 2: its seed behind the fixed head of a PKCS #8 file (RFC 8410).
  private static var key: [UInt8] {
    let head = bytes(hex: "302e020100300506032b657004220420") ?? []
    let seed = bytes(hex: "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb") ?? []
    return Array("-----BEGIN PRIVATE KEY-----\n\(base64(head + seed))\n-----END PRIVATE KEY-----\n".utf8)
  }

  @Test func signsAsThePublishedVectorDoes() {
    guard let key = SigningKey(pem: SigningKeyTests.key) else {
      Issue.record("the key cannot be read")
      return
    }
    let publicKey = key.publicKey
    #expect(hex(publicKey) == "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c")
    let signature = key.sign([0x72])
    #expect(
      hex(signature)
        == "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
    )
    #expect(isSignature(signature, of: [0x72], publicKey: publicKey))
  }

  @Test func anythingElseIsNoSignature() {
    guard let key = SigningKey(pem: SigningKeyTests.key) else {
      Issue.record("the key cannot be read")
      return
    }
    let publicKey = key.publicKey
    let signature = key.sign([1, 2, 3])
    #expect(!isSignature(signature, of: [1, 2], publicKey: publicKey))
    #expect(!isSignature(Array(signature.dropLast()), of: [1, 2, 3], publicKey: publicKey))
    #expect(!isSignature(signature, of: [1, 2, 3], publicKey: Array(publicKey.reversed())))
    #expect(!isSignature([], of: [], publicKey: []))
    for place in signature.indices {
      var changed = signature
      changed[place] ^= 1
      #expect(!isSignature(changed, of: [1, 2, 3], publicKey: publicKey))
    }
  }

  @Test(arguments: ["", "nonsense", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"])
  func anythingElseIsNoKey(_ text: String) {
    let isKey = SigningKey(pem: Array(text.utf8)) != nil
    #expect(!isKey && publicKey(pem: Array(text.utf8)) == nil)
  }

  @Test func publicKeysAreRead() throws {
    let head = try #require(bytes(hex: "302a300506032b6570032100"))
    let raw = try #require(bytes(hex: "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"))
    let pem = "-----BEGIN PUBLIC KEY-----\n\(base64(head + raw))\n-----END PUBLIC KEY-----\n"
    #expect(publicKey(pem: Array(pem.utf8)) == raw)
    #expect(publicKey(pem: SigningKeyTests.key) == nil)
  }
}
