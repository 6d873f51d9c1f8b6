/// Room `Digests`: what proves that bytes are the same, or came from somebody who holds a key, and what hides them from
/// everybody else. SHA-256, HMAC, AES-GCM, AES-SIV, base64, hexadecimal, comparison in constant time, random bytes from the
/// system, and one stable non-cryptographic hash. It keeps no keys longer than their owners do, prints no keys, and knows
/// nothing of what the bytes mean. The only importer of OpenSSL.
import COpenSSL

/// Why a digest could not be made or random bytes not be had.
package enum DigestError: Error, Equatable, Sendable {
  /// OpenSSL refused; `code` is its error code.
  case library(code: UInt)
}

/// The SHA-256 digest of `bytes` (FIPS 180-4): always 32 bytes.
package func sha256(_ bytes: UnsafeRawBufferPointer) -> [UInt8] {
  var hasher = Sha256()
  hasher.update(bytes)
  return hasher.finalize()
}

/// The SHA-256 digest of an array: always 32 bytes.
package func sha256(_ bytes: [UInt8]) -> [UInt8] { bytes.withUnsafeBytes { sha256($0) } }

/// The SHA-256 digest of a text's UTF-8 bytes: always 32 bytes.
package func sha256(_ text: String) -> [UInt8] { sha256(Array(text.utf8)) }

/// SHA-256 over bytes that come in pieces.
package struct Sha256: ~Copyable {
  private let context: OpaquePointer

  /// A hasher that has seen nothing.
  package init() {
    // Fails only when memory is exhausted or libcrypto has no SHA-256: neither can be carried on from.
    guard let context = EVP_MD_CTX_new(), EVP_DigestInit_ex(context, EVP_sha256(), nil) == 1 else {
      preconditionFailure("libcrypto cannot start sha-256")
    }
    self.context = context
  }

  deinit { EVP_MD_CTX_free(context) }

  /// Adds bytes behind those already seen.
  package mutating func update(_ bytes: UnsafeRawBufferPointer) {
    guard !bytes.isEmpty else { return }
    let status = EVP_DigestUpdate(context, bytes.baseAddress, bytes.count)
    precondition(status == 1, "libcrypto cannot continue sha-256")
  }

  /// Adds an array behind what has been seen.
  package mutating func update(_ bytes: [UInt8]) { bytes.withUnsafeBytes { update($0) } }

  /// Ends the hash: 32 bytes.
  package consuming func finalize() -> [UInt8] {
    [UInt8](unsafeUninitializedCapacity: 32) { buffer, count in
      let status = EVP_DigestFinal_ex(context, buffer.baseAddress, nil)
      precondition(status == 1, "libcrypto cannot end sha-256")
      count = 32
    }
  }
}

/// HMAC with SHA-256 (RFC 2104): always 32 bytes. Compare results with `constantTimeEquals`.
package func hmacSHA256(key: [UInt8], _ bytes: UnsafeRawBufferPointer) -> [UInt8] {
  [UInt8](unsafeUninitializedCapacity: 32) { buffer, count in
    let mac = HMAC(
      EVP_sha256(), key, Int32(key.count), bytes.baseAddress?.assumingMemoryBound(to: UInt8.self), bytes.count,
      buffer.baseAddress, nil)
    precondition(mac != nil, "libcrypto cannot make an hmac")
    count = 32
  }
}

/// HMAC with SHA-256 of an array: always 32 bytes.
package func hmacSHA256(key: [UInt8], _ bytes: [UInt8]) -> [UInt8] {
  bytes.withUnsafeBytes { hmacSHA256(key: key, $0) }
}

/// A key derived from a secret for one purpose: HKDF with SHA-256 (RFC 5869).
///
/// - Parameter count: bytes wanted, at most 8160.
package func hkdfSHA256(secret: [UInt8], salt: [UInt8], info: [UInt8], count: Int) -> [UInt8] {
  precondition((1...8160).contains(count), "a derived key has 1 to 8160 bytes")
  let extracted = hmacSHA256(key: salt.isEmpty ? [UInt8](repeating: 0, count: 32) : salt, secret)
  var derived: [UInt8] = []
  var block: [UInt8] = []
  var number: UInt8 = 1
  while derived.count < count {
    block = hmacSHA256(key: extracted, block + info + [number])
    derived += block
    number &+= 1
  }
  return Array(derived.prefix(count))
}

/// Whether two secrets are equal, in a time that depends on their lengths only.
package func constantTimeEquals(_ left: [UInt8], _ right: [UInt8]) -> Bool {
  left.count == right.count && CRYPTO_memcmp(left, right, left.count) == 0
}

/// Bytes nobody can foresee, for keys and tokens, from libcrypto's generator.
/// - Throws: `.library` when the generator has no entropy; the caller must not carry on with weaker bytes.
package func secureRandomBytes(count: Int) throws(DigestError) -> [UInt8] {
  guard count > 0 else { return [] }
  guard let size = Int32(exactly: count) else { throw .library(code: 0) }
  var status: Int32 = 0
  let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
    status = RAND_bytes(buffer.baseAddress, size)
    filled = status == 1 ? count : 0
  }
  guard status == 1 else { throw .library(code: ERR_get_error()) }
  return bytes
}
