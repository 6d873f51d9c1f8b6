import COpenSSL

/// The bytes of a key, overwritten when the last user lets go. It is never printed, compared or copied into a text.
///
/// `@unchecked Sendable`: the memory is written in `init` and in `deinit` only.
package final class SecretKey: @unchecked Sendable, CustomStringConvertible, CustomReflectable {
  private let memory: UnsafeMutableRawBufferPointer

  /// A copy of key bytes held elsewhere; the caller forgets its own.
  package init(copying bytes: UnsafeRawBufferPointer) {
    // One byte at least, so that there is an address.
    memory = .allocate(byteCount: max(1, bytes.count), alignment: 16)
    memory.copyMemory(from: bytes)
    byteCount = bytes.count
  }

  /// A copy of an array's bytes.
  package init(copying bytes: [UInt8]) {
    memory = .allocate(byteCount: max(1, bytes.count), alignment: 16)
    memory.copyBytes(from: bytes)
    byteCount = bytes.count
  }

  /// A key nobody can foresee.
  /// - Throws: `.library` when there is no entropy.
  package init(randomCount count: Int) throws(DigestError) {
    memory = .allocate(byteCount: max(1, count), alignment: 16)
    byteCount = count
    guard RAND_bytes(memory.baseAddress?.assumingMemoryBound(to: UInt8.self), Int32(clamping: count)) == 1 else {
      throw .library(code: ERR_get_error())
    }
  }

  deinit {
    OPENSSL_cleanse(memory.baseAddress, memory.count)
    memory.deallocate()
  }

  /// Bytes of the key.
  package let byteCount: Int

  /// Lends the key; the caller keeps no copy.
  package func withBytes<Value>(_ body: (UnsafeRawBufferPointer) -> Value) -> Value {
    withExtendedLifetime(self) { body(UnsafeRawBufferPointer(rebasing: memory[..<byteCount])) }
  }

  package var description: String { "<key>" }
  package var customMirror: Mirror { Mirror(self, children: [:]) }
}
