/// A host and port.
package struct NetworkAddress: Hashable, Sendable, CustomStringConvertible {
  /// A name or address, without the brackets of IPv6.
  package var host: String
  package var port: Int

  package init(host: String, port: Int) {
    self.host = host
    self.port = port
  }

  package var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }

  /// Whether nothing sent there leaves the machine.
  package var isLoopback: Bool {
    if host == "localhost" || host == "::1" { return true }
    let parts = host.split(separator: ".", omittingEmptySubsequences: false)
    return parts.count == 4 && parts[0] == "127" && parts.allSatisfy { UInt8($0) != nil }
  }

  /// Whether it is written as an address of a private network (RFC 1918, RFC 6598, link-local); a name may still lead to one.
  package var isPrivateLiteral: Bool {
    if isLoopback { return true }
    let parts = host.split(separator: ".", omittingEmptySubsequences: false).compactMap { UInt8($0) }
    guard parts.count == 4 else {
      let lower = host.lowercased()
      return lower.contains(":") && (lower.hasPrefix("fc") || lower.hasPrefix("fd") || lower.hasPrefix("fe8"))
    }
    switch (parts[0], parts[1]) {
    case (10, _), (192, 168), (169, 254): return true
    case (172, 16...31), (100, 64...127): return true
    default: return false
    }
  }

  /// Reads `host:port`, `[::1]:port` or, with a default, `host` alone; nil if it is neither.
  ///
  /// - Parameter allowsAnyPort: port 0 stands for a free port the system picks; only for listening.
  init?(_ text: some StringProtocol, defaultPort: Int? = nil, allowsAnyPort: Bool = false) {
    var rest = Substring(text)
    var host: Substring
    if rest.first == "[" {
      guard let close = rest.firstIndex(of: "]") else { return nil }
      host = rest[rest.index(after: rest.startIndex)..<close]
      rest = rest[rest.index(after: close)...]
      guard host.contains(":"), host.allSatisfy({ $0.isHexDigit || $0 == ":" || $0 == "." }) else { return nil }
    } else {
      host = rest.prefix { $0 != ":" }
      rest = rest.dropFirst(host.count)
      guard
        host.utf8.allSatisfy({ ($0 | 32 >= 97 && $0 | 32 <= 122) || (45...57).contains($0) && $0 != 47 || $0 == 95 })
      else { return nil }
    }
    guard !host.isEmpty, host.utf8.count <= 255 else { return nil }
    if rest.isEmpty, let defaultPort {
      self.init(host: String(host), port: defaultPort)
      return
    }
    let digits = rest.dropFirst()
    guard rest.first == ":", !digits.isEmpty, digits.utf8.allSatisfy({ (48...57).contains($0) }),
      let port = Int(digits), ((allowsAnyPort ? 0 : 1)...65535).contains(port)
    else { return nil }
    self.init(host: String(host), port: port)
  }
}

/// `mqtt://host[:port]` or, with TLS, `mqtts://host[:port]`.
package struct BrokerAddress: Hashable, Sendable, CustomStringConvertible {
  package var address: NetworkAddress
  package var usesTLS: Bool

  package init(address: NetworkAddress, usesTLS: Bool) {
    self.address = address
    self.usesTLS = usesTLS
  }

  package init?(_ text: String) {
    for (scheme, port) in [("mqtt://", 1883), ("mqtts://", 8883)] where text.hasPrefix(scheme) {
      var rest = text.dropFirst(scheme.count)
      if rest.last == "/" { rest = rest.dropLast() }
      guard let address = NetworkAddress(rest, defaultPort: port) else { return nil }
      self.init(address: address, usesTLS: scheme == "mqtts://")
      return
    }
    return nil
  }

  package var description: String { (usesTLS ? "mqtts://" : "mqtt://") + address.description }
}

/// The address of a webhook: `https://host[:port]/path`, or `http://`.
package struct WebhookURL: Hashable, Sendable, CustomStringConvertible, CustomReflectable {
  /// As written, or what the reference leads to. Only the code that connects reads this.
  package var text: String
  package var address: NetworkAddress
  package var usesTLS: Bool
  /// Where the address is kept if it is a secret: it is then never printed.
  package var reference: SecretReference?

  /// Stands for an address that was refused.
  static let none = WebhookURL(
    text: "", address: NetworkAddress(host: "", port: 0), usesTLS: true, reference: nil)

  private init(text: String, address: NetworkAddress, usesTLS: Bool, reference: SecretReference?) {
    self.text = text
    self.address = address
    self.usesTLS = usesTLS
    self.reference = reference
  }

  /// - Returns: nil if it is no such URL, carries a user or password, or holds spaces or control characters.
  package init?(_ text: String, reference: SecretReference? = nil) {
    for (scheme, port) in [("http://", 80), ("https://", 443)] where text.hasPrefix(scheme) {
      let rest = text.dropFirst(scheme.count)
      let authority = rest.prefix { $0 != "/" && $0 != "?" && $0 != "#" }
      guard text.utf8.count <= 2048, text.utf8.allSatisfy({ $0 > 32 && $0 < 127 }), !rest.contains("#"),
        let address = NetworkAddress(authority, defaultPort: port)
      else { return nil }
      self.init(text: text, address: address, usesTLS: scheme == "https://", reference: reference)
      return
    }
    return nil
  }

  package var description: String { reference.map { "<address \($0)>" } ?? text }
  package var customMirror: Mirror { Mirror(self, children: ["url": description]) }
}
