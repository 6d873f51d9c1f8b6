import Digests

/// A signing secret of a receiver; never printed.
package struct WebhookSecret: Sendable, Equatable, CustomStringConvertible, CustomReflectable {
  fileprivate let key: [UInt8]

  /// Reads `whsec_` followed by the base64 of 24 to 64 bytes (Standard Webhooks, "Signature scheme").
  ///
  /// - Throws: `.badSecret`, which does not repeat the text.
  package init(_ text: String) throws(ReceiverError) {
    guard text.hasPrefix("whsec_"), let key = bytes(base64: String(text.dropFirst(6))) else {
      throw .badSecret
    }
    guard (24...64).contains(key.count) else { throw .badSecret }
    self.key = key
  }

  /// A new secret of 32 random bytes, as text to hand to the receiver once.
  package static func generate() throws(DigestError) -> String { "whsec_" + base64(try secureRandomBytes(count: 32)) }

  package var description: String { "whsec_…" }
  package var customMirror: Mirror { Mirror(self, children: []) }
}

/// The signature of Standard Webhooks: HMAC-SHA256 over `id.timestamp.body`, base64, marked `v1`.
package enum Signature {
  /// Why a received webhook is not believed.
  package enum Refusal: Error, Equatable {
    case malformedTimestamp
    /// Older or newer than the tolerance.
    case timestampOutsideTolerance
    /// No signature given matches any secret.
    case noMatch
  }

  /// One signature, `v1,` and base64.
  ///
  /// - Parameter timestamp: seconds since 1970, at the time of the attempt.
  package static func sign(id: String, timestamp: Int64, body: [UInt8], secret: WebhookSecret) -> String {
    var signed = Array("\(id).\(timestamp).".utf8)
    signed.append(contentsOf: body)
    return "v1," + base64(hmacSHA256(key: secret.key, signed))
  }

  /// The header value: one signature for each secret in force, separated by spaces.
  package static func header(id: String, timestamp: Int64, body: [UInt8], secrets: [WebhookSecret]) -> String {
    secrets.map { sign(id: id, timestamp: timestamp, body: body, secret: $0) }.joined(separator: " ")
  }

  /// Checks a received webhook: any signature by any secret, compared in constant time, within the tolerance.
  ///
  /// - Parameters:
  ///   - timestamp: the `webhook-timestamp` header.
  ///   - nowSeconds: seconds since 1970.
  ///   - toleranceSeconds: how far the timestamp may lie from now, either way.
  package static func verify(
    id: String, timestamp: String, signatures: String, body: [UInt8], secrets: [WebhookSecret], nowSeconds: Int64,
    toleranceSeconds: Int64 = 300
  ) throws(Refusal) {
    // Digits only and short: Int64() also takes a sign, and the difference below must not overflow.
    guard timestamp.utf8.count <= 12, timestamp.utf8.allSatisfy({ (48...57).contains($0) }),
      let seconds = Int64(timestamp)
    else { throw .malformedTimestamp }
    guard abs(nowSeconds - seconds) <= toleranceSeconds else { throw .timestampOutsideTolerance }
    // At most 8, so that a long header cannot buy unbounded work.
    let given = signatures.split(separator: " ").prefix(8).map { Array($0.utf8) }
    var matched = false
    for secret in secrets {
      let expected = Array(sign(id: id, timestamp: seconds, body: body, secret: secret).utf8)
      for candidate in given where constantTimeEquals(candidate, expected) { matched = true }
    }
    guard matched else { throw .noMatch }
  }
}
