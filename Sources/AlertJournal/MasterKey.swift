import Digests

/// The key above all others of a store: 32 bytes that are never kept in it.
package struct MasterKey: Sendable {
  let key: SecretKey

  /// Reads 32 bytes written as 64 hexadecimal digits or as base64, with line ends behind them at most; nil for anything
  /// else.
  package init?(text: String) {
    let trimmed = text.utf8.reversed().drop { $0 == 0x0A || $0 == 0x0D }.reversed()
    let plain = String(decoding: Array(trimmed), as: UTF8.self)
    guard let bytes = bytes(hex: plain) ?? bytes(base64: plain), bytes.count == SealingCipher.keyBytes else {
      return nil
    }
    key = SecretKey(copying: bytes)
  }

  /// A new key, and the text to keep it as.
  package static func make() throws(DigestError) -> String { hex(try secureRandomBytes(count: SealingCipher.keyBytes)) }
}
