import Digests

/// What a callback link stands for: one receiver's leave to answer one alert once, until a time (docs/answering.md).
///
/// ```
/// version u8 = 1 | expires i64 ms | sequence u32 | nonce 8 bytes | alert id: count u8, bytes | receiver: count u8, bytes
/// | HMAC-SHA256 of all before, 32 bytes
/// ```
///
/// Numbers are big-endian; the whole as base64 of URLs, without padding.
struct CallbackToken: Equatable {
  static let version: UInt8 = 1
  static let nonceBytes = 8
  /// Longest text looked at.
  static let textMax = 1024
  private static let macBytes = 32

  var alertID: String
  var sequence: UInt32
  var receiver: String
  /// Milliseconds since 1970; not valid from then on.
  var expires: Int64
  var nonce: [UInt8]

  /// Why a text is no token to act on.
  enum Refusal: String, Error {
    /// Not made by this service for a receiver that may answer.
    case forged
    case expired
  }

  /// The key of one receiver's tokens, from a signing secret of it.
  static func key(secret: [UInt8], receiver: String) -> [UInt8] {
    hkdfSHA256(secret: secret, salt: Array("vigil callback 1".utf8), info: Array(receiver.utf8), count: 32)
  }

  /// nil where an id is too long to be written.
  func text(key: [UInt8]) -> String? {
    guard let body else { return nil }
    return base64URL(body + hmacSHA256(key: key, body))
  }

  private var body: [UInt8]? {
    let (alert, name) = (Array(alertID.utf8), Array(receiver.utf8))
    guard alert.count <= 255, name.count <= 255, nonce.count == CallbackToken.nonceBytes else { return nil }
    var out = [CallbackToken.version]
    for shift in stride(from: 56, through: 0, by: -8) { out.append(UInt8(truncatingIfNeeded: expires >> shift)) }
    for shift in stride(from: 24, through: 0, by: -8) { out.append(UInt8(truncatingIfNeeded: sequence >> shift)) }
    return out + nonce + [UInt8(alert.count)] + alert + [UInt8(name.count)] + name
  }

  /// Reads and checks a token.
  ///
  /// - Parameter keys: of a receiver by name, every one in force; none: it may not answer.
  static func open(_ text: String, now: Int64, keys: (String) -> [[UInt8]]) throws(Refusal) -> CallbackToken {
    guard text.utf8.count <= textMax, let all = bytes(base64URL: text), all.count > macBytes else { throw .forged }
    let body = Array(all.dropLast(macBytes))
    guard let token = CallbackToken(body: body) else { throw .forged }
    let mac = Array(all.suffix(macBytes))
    // Every key is tried, so that the time taken does not tell which one fits.
    var isGenuine = false
    for key in keys(token.receiver) where constantTimeEquals(mac, hmacSHA256(key: key, body)) { isGenuine = true }
    guard isGenuine else { throw .forged }
    guard now < token.expires else { throw .expired }
    return token
  }

  init(alertID: String, sequence: UInt32, receiver: String, expires: Int64, nonce: [UInt8]) {
    self.alertID = alertID
    self.sequence = sequence
    self.receiver = receiver
    self.expires = expires
    self.nonce = nonce
  }

  private init?(body: [UInt8]) {
    var rest = body[...]
    func take(_ count: Int) -> [UInt8]? {
      guard rest.count >= count else { return nil }
      defer { rest = rest.dropFirst(count) }
      return Array(rest.prefix(count))
    }
    func text() -> String? {
      guard let count = take(1), let bytes = take(Int(count[0])) else { return nil }
      return String(validating: bytes, as: UTF8.self)
    }
    guard take(1) == [CallbackToken.version], let expires = take(8), let sequence = take(4),
      let nonce = take(CallbackToken.nonceBytes), let alertID = text(), let receiver = text(), rest.isEmpty
    else { return nil }
    self.init(
      alertID: alertID, sequence: sequence.reduce(0) { $0 << 8 | UInt32($1) }, receiver: receiver,
      expires: expires.reduce(0) { $0 << 8 | Int64($1) }, nonce: nonce)
  }
}
