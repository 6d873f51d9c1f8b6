import CMosquitto
import Glibc

/// A blocking publisher with a client of its own, for the simulator, playback and probes. Never used to acknowledge.
///
/// The library's thread writes and reconnects; `publish` blocks while `window` messages are unacknowledged. Messages with
/// QoS 1 survive a broken connection for as long as this object lives; those with QoS 0 do not. Any thread may call it.
package final class MQTTPublisher: Sendable {
  /// How one publisher connects. A clean session: nothing is received and nothing is kept for it.
  package struct Options: Sendable {
    /// Host name or numeric address.
    package var host: String
    /// TCP port.
    package var port: UInt16
    /// TLS when set.
    package var tls: TLSOptions?
    /// Unique at the broker; an equal one ends the other connection.
    package var clientID: String
    /// Protocol version; content types need `.v5`.
    package var protocolVersion: MQTTVersion = .v5
    /// Account at the broker.
    package var username: String?
    /// Its password; never logged.
    package var password: String?
    /// Unacknowledged messages at a time, 1...65535.
    package var window: Int = 1000
    /// Seconds between pings, 5...65535.
    package var keepAliveSeconds: UInt16 = 30

    /// Plain TCP without an account.
    package init(host: String, port: UInt16, clientID: String) {
      self.host = host
      self.port = port
      self.clientID = clientID
    }
  }

  private let flight: PublishFlight
  // The library locks every call on a client made by another thread once its own thread runs (`mosquitto_loop_start`).
  nonisolated(unsafe) private let client: OpaquePointer
  private let usesProperties: Bool

  /// Connects and returns when the broker accepted.
  ///
  /// - Throws: `.connect` or `.refused` with the reason, `.timedOut` when there is no answer within `timeout`.
  package init(_ options: Options, timeout: Duration = .seconds(10)) throws(PublisherError) {
    guard (1...65_535).contains(options.window) else { throw .invalid("window \(options.window): expected 1 to 65535") }
    guard Library.ready, let client = mosquitto_new(options.clientID, true, nil) else {
      throw .connect("out of memory")
    }
    self.client = client
    flight = PublishFlight(window: options.window)
    usesProperties = options.protocolVersion == .v5
    mosquitto_user_data_set(client, Unmanaged.passUnretained(flight).toOpaque())
    mosquitto_connect_v5_callback_set(client, publisherConnected)
    mosquitto_disconnect_v5_callback_set(client, publisherDisconnected)
    mosquitto_publish_v5_callback_set(client, publisherAcknowledged)
    mosquitto_log_callback_set(client, publisherLogged)
    try Self.configure(client, options)
    let code = mosquitto_connect(client, options.host, Int32(options.port), Int32(options.keepAliveSeconds))
    guard code == MOSQ_ERR_SUCCESS.code else { throw .connect(Library.failure(code, system: errno)) }
    guard mosquitto_loop_start(client) == MOSQ_ERR_SUCCESS.code else { throw .connect("no thread") }
    do {
      try flight.waitUntilConnected(timeout)
    } catch {
      close()
      throw error
    }
    mosquitto_log_callback_set(client, nil)
  }

  /// Publishes one message; blocks while the window is full.
  ///
  /// - Parameter contentType: MQTT 5 content type; ignored in MQTT 3.1.1, which has none.
  /// - Throws: `.invalid` for a topic with wildcards or a payload over 256 MiB, `.notConnected` for QoS 0 without a
  ///   connection, `.closed` after `disconnect`.
  package func publish(
    topic: String, payload: UnsafeRawBufferPointer, qos: UInt8 = 1, retain: Bool = false, contentType: String? = nil
  ) throws(PublisherError) {
    guard qos <= 2, payload.count <= 268_435_455 else { throw .invalid("qos \(qos), \(payload.count) bytes") }
    var properties: OpaquePointer?
    if let contentType, usesProperties {
      mosquitto_property_add_string(&properties, Int32(MQTT_PROP_CONTENT_TYPE.rawValue), contentType)
    }
    defer { mosquitto_property_free_all(&properties) }
    try flight.send(qos: qos) { mid in
      mosquitto_publish_v5(
        client, &mid, topic, Int32(payload.count), payload.baseAddress, Int32(qos), retain, properties)
    }
  }

  /// Publishes bytes; see the other `publish`.
  package func publish(
    topic: String, payload: [UInt8], qos: UInt8 = 1, retain: Bool = false, contentType: String? = nil
  ) throws(PublisherError) {
    let outcome = payload.withUnsafeBytes { bytes in
      Result { () throws(PublisherError) in
        try publish(topic: topic, payload: bytes, qos: qos, retain: retain, contentType: contentType)
      }
    }
    try outcome.get()
  }

  /// Publishes text in UTF-8; see the other `publish`.
  package func publish(
    topic: String, payload: String, qos: UInt8 = 1, retain: Bool = false, contentType: String? = nil
  ) throws(PublisherError) {
    try publish(topic: topic, payload: Array(payload.utf8), qos: qos, retain: retain, contentType: contentType)
  }

  /// Messages handed over and not acknowledged (QoS 0: not written) yet.
  package var outstanding: Int { flight.outstanding }

  /// Waits until every message was acknowledged.
  ///
  /// - Throws: `.timedOut` with how many were not, `.rejected` when the broker refused some since the last flush.
  package func flush(timeout: Duration = .seconds(30)) throws(PublisherError) {
    try flight.waitUntilEmpty(timeout)
  }

  /// Sends DISCONNECT and ends the library's thread; what is still unacknowledged is dropped, so `flush` first.
  package func disconnect() { close() }

  deinit {
    close()
    mosquitto_destroy(client)
  }

  private func close() {
    guard flight.markClosed() else { return }
    mosquitto_disconnect(client)
    mosquitto_loop_stop(client, false)
  }

  private static func configure(_ client: OpaquePointer, _ options: Options) throws(PublisherError) {
    func check(_ code: Int32, _ what: String) throws(PublisherError) {
      guard code == MOSQ_ERR_SUCCESS.code else { throw .connect("\(what): \(Library.failure(code, system: errno))") }
    }
    try check(mosquitto_int_option(client, MOSQ_OPT_PROTOCOL_VERSION, options.protocolVersion.libraryCode), "version")
    try check(mosquitto_int_option(client, MOSQ_OPT_SEND_MAXIMUM, Int32(options.window)), "window")
    try check(mosquitto_int_option(client, MOSQ_OPT_TCP_NODELAY, 1), "nodelay")
    try check(mosquitto_reconnect_delay_set(client, 1, 5, true), "reconnect delay")
    if let username = options.username {
      try check(mosquitto_username_pw_set(client, username, options.password), "username")
    }
    if let tls = options.tls {
      let systemAuthorities = tls.authority == nil ? "/etc/ssl/certs" : nil
      try check(mosquitto_tls_set(client, tls.authority, systemAuthorities, tls.certificate, tls.key, nil), "tls files")
    }
  }
}

/// Why a publisher could not do what was asked.
package enum PublisherError: Error, Equatable, CustomStringConvertible {
  /// No connection came about: why.
  case connect(String)
  /// The broker said no: why.
  case refused(String)
  /// Time ran out with this many messages unacknowledged.
  case timedOut(outstanding: Int)
  /// The broker refused so many messages; the words are for the last one.
  case rejected(count: Int, reason: String)
  /// QoS 0 needs a connection and there is none.
  case notConnected
  /// `disconnect` was called before.
  case closed
  /// The message cannot be published by anybody.
  case invalid(String)

  package var description: String {
    switch self {
    case .connect(let why): "cannot connect: \(why)"
    case .refused(let why): "refused: \(why)"
    case .timedOut(let outstanding): "timed out with \(outstanding) messages unacknowledged"
    case .rejected(let count, let reason): "\(count) messages rejected: \(reason)"
    case .notConnected: "not connected"
    case .closed: "disconnected already"
    case .invalid(let what): "cannot be published: \(what)"
    }
  }
}

private func flight(_ object: UnsafeMutableRawPointer?) -> PublishFlight? {
  object.map { Unmanaged<PublishFlight>.fromOpaque($0).takeUnretainedValue() }
}

private func publisherConnected(
  _: OpaquePointer?, _ object: UnsafeMutableRawPointer?, _ code: Int32, _ flags: Int32, _: OpaquePointer?
) {
  flight(object)?.connected(code)
}

private func publisherDisconnected(
  _: OpaquePointer?, _ object: UnsafeMutableRawPointer?, _ code: Int32, _: OpaquePointer?
) {
  flight(object)?.disconnected(code)
}

private func publisherAcknowledged(
  _: OpaquePointer?, _ object: UnsafeMutableRawPointer?, _ mid: Int32, _ code: Int32, _: OpaquePointer?
) {
  flight(object)?.acknowledged(mid, code)
}

private func publisherLogged(
  _: OpaquePointer?, _ object: UnsafeMutableRawPointer?, _ level: Int32, _ line: UnsafePointer<CChar>?
) {
  if level == Int32(MOSQ_LOG_ERR), let line { flight(object)?.logged(String(cString: line)) }
}
