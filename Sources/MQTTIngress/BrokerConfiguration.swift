import CMosquitto

/// The MQTT protocol spoken with a broker.
package enum MQTTVersion: Sendable, Equatable {
  /// MQTT 5: session expiry, receive maximum, content type.
  case v5
  /// MQTT 3.1.1: a persistent session lasts as long as the broker likes.
  case v311

  var libraryCode: Int32 {
    switch self {
    case .v5: MQTT_PROTOCOL_V5
    case .v311: MQTT_PROTOCOL_V311
    }
  }
}

/// How a TLS connection is checked; every path is a PEM file.
package struct TLSOptions: Sendable, Equatable {
  /// Certificates trusted to sign the broker's; nil trusts the system's own.
  package var authority: String?
  /// The client's certificate chain; nil presents none.
  package var certificate: String?
  /// The private key of `certificate`; both or neither.
  package var key: String?

  /// The system's authorities and no client certificate unless told otherwise.
  package init(authority: String? = nil, certificate: String? = nil, key: String? = nil) {
    self.authority = authority
    self.certificate = certificate
    self.key = key
  }
}

/// Where a broker listens, from `mqtt://host[:port]` or `mqtts://host[:port]`.
package struct BrokerAddress: Sendable, Equatable {
  /// Host name or numeric address, an IPv6 address without its brackets.
  package let host: String
  /// 1883 for `mqtt`, 8883 for `mqtts` unless the URL names another.
  package let port: UInt16
  /// Whether the scheme was `mqtts`.
  package let usesTLS: Bool

  /// Reads a broker URL.
  ///
  /// - Throws: `.url` with what is wrong; credentials in a URL are refused because URLs end up in logs.
  package init(url: String) throws(BrokerConfigurationError) {
    let (tls, rest) = try Self.scheme(of: url)
    guard !rest.contains("@") else {
      throw .url("user and password do not belong in the url, use username and password")
    }
    let authority = rest.hasSuffix("/") ? rest.dropLast() : rest
    guard !authority.contains(where: { "/?#".contains($0) || $0.isWhitespace }) else {
      throw .url("\(rest): expected host or host:port and nothing after it")
    }
    let (host, port) = try Self.split(authority)
    guard !host.isEmpty else { throw .url("\(url): the host is missing") }
    self.host = String(host)
    self.port = try port.map(Self.number) ?? (tls ? 8883 : 1883)
    usesTLS = tls
  }

  private static func scheme(of url: String) throws(BrokerConfigurationError) -> (Bool, Substring) {
    if url.hasPrefix("mqtt://") { return (false, url.dropFirst(7)) }
    if url.hasPrefix("mqtts://") { return (true, url.dropFirst(8)) }
    throw .url("expected mqtt://host:port or mqtts://host:port")
  }

  private static func split(_ authority: Substring) throws(BrokerConfigurationError) -> (Substring, Substring?) {
    if authority.first == "[" {
      guard let end = authority.firstIndex(of: "]") else { throw .url("\(authority): the bracket is not closed") }
      let host = authority[authority.index(after: authority.startIndex)..<end]
      let rest = authority[authority.index(after: end)...]
      if rest.isEmpty { return (host, nil) }
      guard rest.first == ":" else { throw .url("\(authority): expected :port after the bracket") }
      return (host, rest.dropFirst())
    }
    guard let colon = authority.firstIndex(of: ":") else { return (authority, nil) }
    let port = authority[authority.index(after: colon)...]
    guard !port.contains(":") else { throw .url("\(authority): write an ipv6 address in brackets") }
    return (authority[..<colon], port)
  }

  private static func number(_ text: Substring) throws(BrokerConfigurationError) -> UInt16 {
    guard text.allSatisfy({ ("0"..."9").contains($0) }), let port = UInt16(text), port > 0 else {
      throw .url("port \(text): expected 1 to 65535")
    }
    return port
  }
}

/// One connection to one broker: where, as whom, and what is subscribed.
package struct BrokerConfiguration: Sendable, Equatable {
  /// Host name or numeric address.
  package var host: String
  /// TCP port.
  package var port: UInt16
  /// TLS when set, plain TCP when nil.
  package var tls: TLSOptions?
  /// Names the persistent session: the same after every restart, and no other client's.
  package var clientID: String
  /// Protocol version; the broker must speak it.
  package var protocolVersion: MQTTVersion = .v5
  /// Account at the broker; nil connects without one.
  package var username: String?
  /// Password of `username`; never logged.
  package var password: String?
  /// Topic filters subscribed at QoS 1, `$share/GROUP/...` included.
  package var filters: [String]
  /// Seconds the broker keeps the session while we are away (MQTT 5 only). Default 7 days.
  package var sessionExpirySeconds: UInt32 = 7 * 86_400
  /// Seconds between pings on an idle connection, 5...65535.
  package var keepAliveSeconds: UInt16 = 30
  /// Messages read before durability is awaited, 1...65535, and in MQTT 5 what the broker may send unacknowledged.
  package var receiveMaximum: Int = 4096
  /// Where `online`, `offline` and the last will go, retained; `{client}` stands for the client id. Nil: nowhere.
  package var statusTopic: String? = "vigil/v1/$status/{client}"
  /// Pause before the first reconnect; doubled for each further one.
  package var reconnectFirst: Duration = .seconds(1)
  /// The longest pause between two connection attempts.
  package var reconnectCap: Duration = .seconds(30)
  /// How long a broker may take from TCP connect to CONNACK.
  package var connectTimeout: Duration = .seconds(15)

  /// A connection with every default.
  package init(host: String, port: UInt16, tls: TLSOptions? = nil, clientID: String, filters: [String]) {
    self.host = host
    self.port = port
    self.tls = tls
    self.clientID = clientID
    self.filters = filters
  }

  /// A connection to a broker URL; `mqtts` uses `tls` (or the system's authorities when nil).
  ///
  /// - Throws: `.url`, or `.tls` when TLS files are given for an `mqtt` URL.
  package init(
    url: String, tls: TLSOptions? = nil, clientID: String, filters: [String]
  ) throws(BrokerConfigurationError) {
    let address = try BrokerAddress(url: url)
    guard address.usesTLS || tls == nil else { throw .tls("certificates are set but the url is mqtt://, use mqtts://") }
    self.init(
      host: address.host, port: address.port, tls: address.usesTLS ? tls ?? TLSOptions() : nil, clientID: clientID,
      filters: filters)
  }

  /// The status topic with the client id filled in.
  package var resolvedStatusTopic: String? {
    guard let parts = statusTopic?.split(separator: "{client}", omittingEmptySubsequences: false) else { return nil }
    return parts.joined(separator: clientID)
  }

  /// Checks everything that can be checked without a broker.
  ///
  /// - Throws: the first thing wrong, with the value and what is allowed.
  package func validate() throws(BrokerConfigurationError) {
    guard !host.isEmpty, !host.utf8.contains(0), port > 0 else { throw .url("host and port are needed") }
    guard !clientID.isEmpty, clientID.utf8.count <= 128, !clientID.contains(where: { "+#/\0".contains($0) }) else {
      throw .clientID("client_id \(clientID): expected 1 to 128 bytes without + # /")
    }
    guard keepAliveSeconds >= 5 else { throw .range("keep_alive \(keepAliveSeconds): expected 5 to 65535 seconds") }
    guard (1...65_535).contains(receiveMaximum) else {
      throw .range("receive_maximum \(receiveMaximum): expected 1 to 65535")
    }
    guard password == nil || username != nil else { throw .credentials("a password needs a username") }
    try validateTopics()
    if let tls, (tls.certificate == nil) != (tls.key == nil) {
      throw .tls("certificate and key belong together, one of them is missing")
    }
  }

  private func validateTopics() throws(BrokerConfigurationError) {
    guard !filters.isEmpty else { throw .filter("no topic filter: nothing would be received") }
    for filter in filters {
      do { _ = try TopicFilter(filter) } catch { throw .filter(error.description) }
    }
    if let topic = resolvedStatusTopic {
      guard !topic.utf8.contains(0), mosquitto_pub_topic_check(topic) == MOSQ_ERR_SUCCESS.code else {
        throw .statusTopic("status topic \(topic): + and # are not allowed in it")
      }
    }
  }
}

/// Why a broker configuration cannot be used; each case carries what is wrong and what is allowed.
package enum BrokerConfigurationError: Error, Equatable, CustomStringConvertible {
  /// The broker URL.
  case url(String)
  /// The client id.
  case clientID(String)
  /// A topic filter.
  case filter(String)
  /// The status topic.
  case statusTopic(String)
  /// A number outside its range.
  case range(String)
  /// User name and password.
  case credentials(String)
  /// Certificate options.
  case tls(String)

  package var description: String {
    switch self {
    case .url(let text), .clientID(let text), .filter(let text), .statusTopic(let text), .range(let text),
      .credentials(let text), .tls(let text):
      text
    }
  }
}

extension mosq_err_t {
  /// The value the library's functions return for it.
  var code: Int32 { Int32(rawValue) }
}
