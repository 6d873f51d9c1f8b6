import CCurl

/// Why a receiver's settings are refused.
package enum ReceiverError: Error, Equatable, CustomStringConvertible {
  /// Not an absolute `http` or `https` URL with a host, or it carries a user or password.
  case badURL
  /// Not `whsec_` followed by the base64 of 24 to 64 bytes.
  case badSecret
  /// Not 32 letters and digits.
  case badRoutingKey
  /// None, or more than the two a rotation needs.
  case secretCount(Int)
  /// A timeout or concurrency outside its range.
  case outsideRange(String)
  /// A client certificate without its private key, or a key without certificate.
  case halfCertificate
  /// Not `http://host:port` (or https://, socks5h://) without user or password.
  case badProxy
  /// A private address is to be reached through a proxy, where nobody could check it.
  case privateBehindProxy

  package var description: String {
    switch self {
    case .badURL: "`url` must be https://host/path (or http://), without user or password"
    case .badSecret: "`secret` must be `whsec_` and base64 of 24 to 64 bytes"
    case .badRoutingKey: "`secret` must be PagerDuty's integration key, 32 letters and digits"
    case .secretCount(0): "`secret` is missing; webhooks are always signed (secret: env:NAME or file:PATH)"
    case .secretCount(let count): "`secret` takes one key, or two during rotation, not \(count)"
    case .outsideRange(let what): "\(what) is outside its range"
    case .halfCertificate: "`certificate` and `key` belong together: give both or neither"
    case .badProxy: "`proxy` must be http://host:port (or https://, socks5h://), without user or password"
    case .privateBehindProxy: "`url` is a private address: set `allow_private: true` if the proxy may reach it"
    }
  }
}

/// One place alerts are sent to.
package struct Receiver: Sendable, Equatable {
  package let name: String
  package let url: String
  /// The signing secrets in force: one, or two during a rotation, the current one first; none where webhooks are not signed.
  package let secrets: [WebhookSecret]
  /// Put into the body when it is sent (PagerDuty); nil: none.
  package let routingKey: RoutingKey?
  /// Whether private, loopback and link-local addresses may be connected to.
  package let allowPrivate: Bool
  /// Certificates to trust instead of the system's, as a PEM file.
  package let authority: String?
  /// Our own certificate, with its chain, for receivers that ask for one, as a PEM file.
  package let certificate: String?
  /// The private key of `certificate`, as a PEM file.
  package let key: String?
  /// Through which proxy the receiver is reached; nil: none, whatever the environment says.
  package let proxy: String?
  /// The longest one attempt may take, in milliseconds, 1...300,000.
  package let timeoutMs: Int
  /// The most requests under way at once, 1...256.
  package let maxInFlight: Int

  /// - Parameter isSigned: whether a secret must be there: false for those who know us by a routing key or by the address.
  /// - Throws: `ReceiverError`; the configuration is refused.
  package init(
    name: String, url: String, secrets: [WebhookSecret], isSigned: Bool = true, routingKey: RoutingKey? = nil,
    allowPrivate: Bool = false, authority: String? = nil, certificate: String? = nil, key: String? = nil,
    proxy: String? = nil, timeoutMs: Int = 10_000, maxInFlight: Int = 8
  ) throws(ReceiverError) {
    guard let host = Self.host(of: url, schemes: ["http", "https"]) else { throw .badURL }
    guard (certificate == nil) == (key == nil) else { throw .halfCertificate }
    if let proxy {
      guard Self.host(of: proxy, schemes: ["http", "https", "socks5h"]) != nil else { throw .badProxy }
      guard allowPrivate || !AddressGuard.isForbidden(host: host) else { throw .privateBehindProxy }
    }
    guard ((isSigned ? 1 : 0)...2).contains(secrets.count) else { throw .secretCount(secrets.count) }
    guard (1...300_000).contains(timeoutMs) else { throw .outsideRange("timeout \(timeoutMs) ms") }
    guard (1...256).contains(maxInFlight) else { throw .outsideRange("in flight \(maxInFlight)") }
    self.name = name
    self.url = url
    self.secrets = secrets
    self.routingKey = routingKey
    self.allowPrivate = allowPrivate
    self.authority = authority
    self.certificate = certificate
    self.key = key
    self.proxy = proxy
    self.timeoutMs = timeoutMs
    self.maxInFlight = maxInFlight
  }

  /// The host of an acceptable URL, nil for any other. Parsed with libcurl's own parser, so that what is checked is
  /// what will be used.
  private static func host(of url: String, schemes: [String]) -> String? {
    guard let handle = curl_url() else { return nil }
    defer { curl_url_cleanup(handle) }
    // Schemes this libcurl has no transfers for (socks5h) are still URLs.
    let flags = UInt32(CURLU_NON_SUPPORT_SCHEME)
    guard curl_url_set(handle, CURLUPART_URL, url, flags) == CURLUE_OK else { return nil }
    guard let scheme = part(handle, CURLUPART_SCHEME), schemes.contains(scheme) else { return nil }
    guard let host = part(handle, CURLUPART_HOST), !host.isEmpty else { return nil }
    guard part(handle, CURLUPART_USER) == nil, part(handle, CURLUPART_PASSWORD) == nil else { return nil }
    return host
  }

  private static func part(_ handle: OpaquePointer, _ which: CURLUPart) -> String? {
    var text: UnsafeMutablePointer<CChar>?
    guard curl_url_get(handle, which, &text, 0) == CURLUE_OK, let text else { return nil }
    defer { curl_free(text) }
    return String(cString: text)
  }
}
