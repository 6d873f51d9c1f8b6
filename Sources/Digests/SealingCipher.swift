import COpenSSL
import Synchronization

/// Authenticated encryption: AES-256 in Galois/Counter Mode (NIST SP 800-38D), nonces of 96 bits, tags of 128.
///
/// It holds contexts of libcrypto for reuse and no keys between calls. May be used from any thread.
package final class SealingCipher: Sendable {
  /// Bytes of a key.
  package static let keyBytes = 32
  /// Bytes of a nonce, in front of what is sealed.
  package static let nonceBytes = 12
  /// Bytes of the tag behind it.
  package static let tagBytes = 16
  /// Nonce and tag: what sealing adds.
  package static let overheadBytes = nonceBytes + tagBytes

  private let idle: Mutex<[Contexts]> = Mutex([])
  private let nonces: NonceSource

  /// A cipher that draws its nonces from libcrypto's generator.
  package init() { nonces = NonceSource() }

  /// Seals `plain` under a fresh random nonce: `front | nonce | ciphertext | tag`.
  ///
  /// - Parameters:
  ///   - associated: bound by the tag and not stored.
  ///   - front: put before the nonce as it is; not bound unless it is part of `associated`.
  package func seal(
    _ plain: UnsafeRawBufferPointer, key: SecretKey, associated: [UInt8], front: [UInt8] = []
  ) throws(DigestError) -> [UInt8] {
    try seal(plain, key: key, nonce: try nonces.next(), associated: associated, front: front)
  }

  /// As ``seal(_:key:associated:front:)``, with a nonce given: for published vectors. Never twice with one key.
  func seal(
    _ plain: UnsafeRawBufferPointer, key: SecretKey, nonce: [UInt8], associated: [UInt8], front: [UInt8] = []
  ) throws(DigestError) -> [UInt8] {
    precondition(key.byteCount == Self.keyBytes && nonce.count == Self.nonceBytes, "AES-256-GCM: 32 and 12 bytes")
    guard let count = Int32(exactly: plain.count), let boundCount = Int32(exactly: associated.count) else {
      throw .library(code: 0)
    }
    let contexts = try take()
    defer { give(contexts) }
    let context = contexts.sealing
    let start = front.count + Self.nonceBytes
    var isDone = false
    let sealed = [UInt8](unsafeUninitializedCapacity: start + plain.count + Self.tagBytes) { out, filled in
      guard let base = out.baseAddress else { return }
      for (index, byte) in front.enumerated() { base[index] = byte }
      for (index, byte) in nonce.enumerated() { base[front.count + index] = byte }
      var length: Int32 = 0
      let isReady = key.withBytes { EVP_EncryptInit_ex(context, nil, nil, $0.bound, nonce) == 1 }
      guard isReady, boundCount == 0 || EVP_EncryptUpdate(context, nil, &length, associated, boundCount) == 1,
        count == 0 || EVP_EncryptUpdate(context, base + start, &length, plain.bound, count) == 1,
        EVP_EncryptFinal_ex(context, base + start + plain.count, &length) == 1,
        EVP_CIPHER_CTX_ctrl(
          context, EVP_CTRL_AEAD_GET_TAG, Int32(Self.tagBytes), base + start + plain.count) == 1
      else { return }
      filled = start + plain.count + Self.tagBytes
      isDone = true
    }
    guard isDone else { throw .library(code: ERR_get_error()) }
    return sealed
  }

  /// Opens `nonce | ciphertext | tag`; nil when it was not sealed so, with this key and these associated bytes.
  package func open(
    _ sealed: UnsafeRawBufferPointer, key: SecretKey, associated: [UInt8]
  ) throws(DigestError) -> [UInt8]? {
    precondition(key.byteCount == Self.keyBytes, "AES-256-GCM: a key of 32 bytes")
    let count = sealed.count - Self.overheadBytes
    guard count >= 0, let length32 = Int32(exactly: count), let boundCount = Int32(exactly: associated.count) else {
      return nil
    }
    let contexts = try take()
    defer { give(contexts) }
    let context = contexts.opening
    // The library takes the tag's address as writable memory and only reads it.
    var tag = [UInt8](sealed.suffix(Self.tagBytes))
    let body = UnsafeRawBufferPointer(rebasing: sealed[Self.nonceBytes..<(Self.nonceBytes + count)])
    var isGenuine = false
    let plain = [UInt8](unsafeUninitializedCapacity: max(1, count)) { out, filled in
      guard let base = out.baseAddress else { return }
      var length: Int32 = 0
      let isReady = key.withBytes { EVP_DecryptInit_ex(context, nil, nil, $0.bound, sealed.bound) == 1 }
      guard isReady, boundCount == 0 || EVP_DecryptUpdate(context, nil, &length, associated, boundCount) == 1,
        count == 0 || EVP_DecryptUpdate(context, base, &length, body.bound, length32) == 1,
        EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, Int32(Self.tagBytes), &tag) == 1,
        EVP_DecryptFinal_ex(context, base + count, &length) == 1
      else { return }
      filled = count
      isGenuine = true
    }
    return isGenuine ? plain : nil
  }

  /// As the pointer form, for an array.
  package func open(_ sealed: [UInt8], key: SecretKey, associated: [UInt8]) throws(DigestError) -> [UInt8]? {
    let result: Result<[UInt8]?, DigestError> = sealed.withUnsafeBytes { raw in
      Result { () throws(DigestError) in try open(raw, key: key, associated: associated) }
    }
    return try result.get()
  }

  /// As the pointer form, for an array.
  package func seal(
    _ plain: [UInt8], key: SecretKey, associated: [UInt8], front: [UInt8] = []
  ) throws(DigestError) -> [UInt8] {
    let result: Result<[UInt8], DigestError> = plain.withUnsafeBytes { raw in
      Result { () throws(DigestError) in try seal(raw, key: key, associated: associated, front: front) }
    }
    return try result.get()
  }

  // MARK: Contexts

  /// One context for each direction: turning one around costs as much as making it.
  ///
  /// `@unchecked Sendable`: it has one user at a time, who took it out of `idle`.
  private final class Contexts: @unchecked Sendable {
    let sealing: OpaquePointer
    let opening: OpaquePointer

    init() throws(DigestError) {
      guard let sealing = EVP_CIPHER_CTX_new(), let opening = EVP_CIPHER_CTX_new(),
        EVP_EncryptInit_ex(sealing, EVP_aes_256_gcm(), nil, nil, nil) == 1,
        EVP_DecryptInit_ex(opening, EVP_aes_256_gcm(), nil, nil, nil) == 1
      else { throw .library(code: ERR_get_error()) }
      self.sealing = sealing
      self.opening = opening
    }

    deinit {
      EVP_CIPHER_CTX_free(sealing)
      EVP_CIPHER_CTX_free(opening)
    }
  }

  /// Idle contexts kept at most; each still has the schedule of its last key.
  private static let idleMax = 16

  private func take() throws(DigestError) -> Contexts {
    if let contexts = idle.withLock({ $0.popLast() }) { return contexts }
    return try Contexts()
  }

  private func give(_ contexts: Contexts) {
    idle.withLock { if $0.count < Self.idleMax { $0.append(contexts) } }
  }

  /// Forgets idle contexts and with them the schedules of keys used last: after a key has been destroyed.
  package func forgetKeys() { idle.withLock { $0.removeAll() } }
}

/// Random nonces, drawn from libcrypto's generator in blocks: a call for each would cost more than the sealing.
private final class NonceSource: Sendable {
  private struct Block {
    var bytes: [UInt8] = []
    var offset = 0
  }
  private let block = Mutex(Block())
  private static let blockBytes = SealingCipher.nonceBytes * 340

  func next() throws(DigestError) -> [UInt8] {
    let result: Result<[UInt8], DigestError> = block.withLock { block in
      Result { () throws(DigestError) in
        if block.offset >= block.bytes.count {
          block.bytes = try secureRandomBytes(count: Self.blockBytes)
          block.offset = 0
        }
        let end = block.offset + SealingCipher.nonceBytes
        defer { block.offset = end }
        return Array(block.bytes[block.offset..<end])
      }
    }
    return try result.get()
  }
}

extension UnsafeRawBufferPointer {
  /// The bytes as libcrypto wants them.
  var bound: UnsafePointer<UInt8>? { baseAddress?.assumingMemoryBound(to: UInt8.self) }
}
