import COpenSSL

/// An Ed25519 private key (RFC 8032), read from PEM. It is never printed.
package struct SigningKey: ~Copyable {
  private let key: OpaquePointer
  /// The public key: 32 bytes.
  package let publicKey: [UInt8]

  /// Nil for anything but an unencrypted Ed25519 private key, as `openssl genpkey -algorithm ed25519` writes it.
  package init?(pem: [UInt8]) {
    guard let key = pem.withUnsafeBytes({ readKey($0) { PEM_read_bio_PrivateKey($0, nil, noPassword, nil) } }) else {
      return nil
    }
    guard let publicKey = rawPublicKey(key) else {
      EVP_PKEY_free(key)
      return nil
    }
    self.key = key
    self.publicKey = publicKey
  }

  deinit { EVP_PKEY_free(key) }

  /// The signature of `message`: 64 bytes, always the same for the same message.
  package borrowing func sign(_ message: [UInt8]) -> [UInt8] {
    // Fails only when memory is exhausted: the key has been read and is of the right kind.
    guard let context = EVP_MD_CTX_new(), EVP_DigestSignInit(context, nil, nil, nil, key) == 1 else {
      preconditionFailure("libcrypto cannot start a signature")
    }
    defer { EVP_MD_CTX_free(context) }
    return [UInt8](unsafeUninitializedCapacity: 64) { buffer, count in
      count = 64
      let status = EVP_DigestSign(context, buffer.baseAddress, &count, message, message.count)
      precondition(status == 1 && count == 64, "libcrypto cannot sign")
    }
  }
}

/// Whether `signature` is one of `message` by the holder of the private half of an Ed25519 key.
package func isSignature(_ signature: [UInt8], of message: [UInt8], publicKey: [UInt8]) -> Bool {
  guard signature.count == 64, publicKey.count == 32,
    let key = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nil, publicKey, publicKey.count)
  else { return false }
  defer { EVP_PKEY_free(key) }
  guard let context = EVP_MD_CTX_new() else { return false }
  defer { EVP_MD_CTX_free(context) }
  guard EVP_DigestVerifyInit(context, nil, nil, nil, key) == 1 else { return false }
  return EVP_DigestVerify(context, signature, signature.count, message, message.count) == 1
}

/// The 32 bytes of an Ed25519 public key in PEM; nil for anything else.
package func publicKey(pem: [UInt8]) -> [UInt8]? {
  guard let key = pem.withUnsafeBytes({ readKey($0) { PEM_read_bio_PUBKEY($0, nil, noPassword, nil) } }) else {
    return nil
  }
  defer { EVP_PKEY_free(key) }
  return rawPublicKey(key)
}

private func readKey(_ pem: UnsafeRawBufferPointer, _ read: (OpaquePointer) -> OpaquePointer?) -> OpaquePointer? {
  guard let length = Int32(exactly: pem.count), let source = BIO_new_mem_buf(pem.baseAddress, length) else {
    return nil
  }
  defer { BIO_free(source) }
  let key = read(source)
  // A text that is no key leaves its reasons in the thread's queue.
  if key == nil { ERR_clear_error() }
  return key
}

/// A key with a password is refused instead of asking at a terminal.
private let noPassword: @convention(c) (UnsafeMutablePointer<CChar>?, Int32, Int32, UnsafeMutableRawPointer?) -> Int32 =
  { _, _, _, _ in -1 }

private func rawPublicKey(_ key: OpaquePointer) -> [UInt8]? {
  guard EVP_PKEY_get_id(key) == EVP_PKEY_ED25519 else { return nil }
  var count = 32
  let bytes = [UInt8](unsafeUninitializedCapacity: 32) { buffer, filled in
    filled = EVP_PKEY_get_raw_public_key(key, buffer.baseAddress, &count) == 1 ? count : 0
  }
  return bytes.count == 32 ? bytes : nil
}
