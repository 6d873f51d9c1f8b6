import COpenSSL
import Synchronization

/// Encryption in which equal texts become equal bytes: AES-SIV (RFC 5297), for names that have to be found again.
///
/// What it gives away is which sealed texts are equal, and their lengths; nothing else. May be used from any thread.
///
/// `@unchecked Sendable`: cipher and contexts are used under the lock only, and never change.
package final class NameCipher: @unchecked Sendable {
  /// Bytes of a key: two of 256 bits.
  package static let keyBytes = 64
  /// Bytes sealing adds.
  package static let tagBytes = 16

  private let key: SecretKey
  private let cipher: OpaquePointer
  private let context: OpaquePointer
  private let using = Mutex(())

  /// - Precondition: a key of 64 bytes, or of 32 for AES-128-SIV.
  /// - Throws: `.library` when libcrypto has no AES-SIV.
  package init(key: SecretKey) throws(DigestError) {
    precondition(key.byteCount == Self.keyBytes || key.byteCount == 32, "AES-SIV takes two keys in one")
    let name = key.byteCount == 32 ? "AES-128-SIV" : "AES-256-SIV"
    guard let cipher = EVP_CIPHER_fetch(nil, name, nil) else { throw .library(code: ERR_get_error()) }
    guard let context = EVP_CIPHER_CTX_new() else {
      EVP_CIPHER_free(cipher)
      throw .library(code: ERR_get_error())
    }
    self.key = key
    self.cipher = cipher
    self.context = context
  }

  deinit {
    EVP_CIPHER_CTX_free(context)
    EVP_CIPHER_free(cipher)
  }

  /// `tag | ciphertext`; of no bytes, no bytes.
  package func seal(_ plain: [UInt8], associated: [UInt8]) throws(DigestError) -> [UInt8] {
    guard !plain.isEmpty else { return [] }
    let sealed = using.withLock { _ -> [UInt8]? in
      var length: Int32 = 0
      guard key.withBytes({ EVP_EncryptInit_ex2(context, cipher, $0.bound, nil, nil) == 1 }),
        associated.isEmpty
          || EVP_EncryptUpdate(context, nil, &length, associated, Int32(clamping: associated.count)) == 1
      else { return nil }
      var out = [UInt8](repeating: 0, count: Self.tagBytes + plain.count)
      let isSealed = out.withUnsafeMutableBufferPointer { out in
        guard let base = out.baseAddress else { return false }
        return EVP_EncryptUpdate(context, base + Self.tagBytes, &length, plain, Int32(clamping: plain.count)) == 1
          && EVP_EncryptFinal_ex(context, base + Self.tagBytes, &length) == 1
          && EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, Int32(Self.tagBytes), base) == 1
      }
      return isSealed ? out : nil
    }
    guard let sealed else { throw .library(code: ERR_get_error()) }
    return sealed
  }

  /// What ``seal(_:associated:)`` sealed; nil for anything else.
  package func open(_ sealed: [UInt8], associated: [UInt8]) -> [UInt8]? {
    guard !sealed.isEmpty else { return [] }
    let count = sealed.count - Self.tagBytes
    guard count > 0 else { return nil }
    return using.withLock { _ -> [UInt8]? in
      var length: Int32 = 0
      var tag = Array(sealed[..<Self.tagBytes])
      let body = Array(sealed[Self.tagBytes...])
      guard key.withBytes({ EVP_DecryptInit_ex2(context, cipher, $0.bound, nil, nil) == 1 }),
        EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, Int32(Self.tagBytes), &tag) == 1,
        associated.isEmpty
          || EVP_DecryptUpdate(context, nil, &length, associated, Int32(clamping: associated.count)) == 1
      else { return nil }
      var plain = [UInt8](repeating: 0, count: count)
      guard EVP_DecryptUpdate(context, &plain, &length, body, Int32(clamping: count)) == 1 else {
        // The reason stays in the thread's queue otherwise.
        ERR_clear_error()
        return nil
      }
      return plain
    }
  }
}
