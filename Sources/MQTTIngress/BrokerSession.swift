import CMosquitto
import Glibc

/// One connection attempt: a library client and what its callbacks noted. Belongs to the owner thread.
///
/// Every attempt has a fresh client, so that no acknowledgement, half-read packet or TLS state of a lost connection can
/// reach the next one, and renewed certificate files are read. Nothing here acknowledges: packets are only queued
/// (`mosquitto_threaded_set`) until `write` is called.
final class BrokerSession {
  /// A batch ends at this many payload bytes too.
  static let batchBytesMax = 16 * 1024 * 1024

  private let configuration: BrokerConfiguration
  private let sink: any MessageSink
  private let client: OpaquePointer

  /// The CONNACK accepted us.
  private(set) var accepted = false
  /// The CONNACK's words when it did not.
  private(set) var refusal: String?
  private(set) var sessionPresent = false
  private(set) var subscribed = false
  /// Filters the SUBACK did not grant, with the reason.
  private(set) var refusedFilters: [String] = []
  /// The reason of a DISCONNECT from the broker.
  private(set) var farewell: String?
  /// The first error line the library logged, TLS trouble as a rule.
  private(set) var loggedError: String?
  /// OpenSSL's verdict on the broker's certificate, 0 when it had no objection.
  private var certificateVerdict = 0
  private(set) var drain = SessionDrain()

  /// Messages handed to the sink whose durability nobody awaited yet: while there are any, nothing may be written.
  private(set) var unsettled = 0
  private(set) var batchMessages = 0
  private(set) var batchBytes = 0
  private var received: UInt64 = 0
  /// Counts callbacks: no change during a read means that nothing more was waiting.
  private var progress = 0
  private var nextIsDuplicate = false
  private var logging = false

  /// - Throws: `SessionError` when a certificate file or an option is not usable.
  init(_ configuration: BrokerConfiguration, sink: any MessageSink) throws(SessionError) {
    guard Library.ready, let client = mosquitto_new(configuration.clientID, false, nil) else {
      throw SessionError(reason: "out of memory", isTLS: false)
    }
    self.configuration = configuration
    self.sink = sink
    self.client = client
    // From here on packets are queued, never written by the library on its own: the gate depends on it.
    mosquitto_threaded_set(client, true)
    mosquitto_user_data_set(client, Unmanaged.passUnretained(self).toOpaque())
    try configure()
    setCallbacks()
  }

  deinit { mosquitto_destroy(client) }

  var socket: Int32 { mosquitto_socket(client) }
  var wantsWrite: Bool { mosquitto_want_write(client) }
  var isBatchFull: Bool { batchMessages >= configuration.receiveMaximum || batchBytes >= Self.batchBytesMax }

  // MARK: - Set-up

  private func configure() throws(SessionError) {
    func check(_ code: Int32, _ what: String) throws(SessionError) {
      guard code == MOSQ_ERR_SUCCESS.code else {
        throw SessionError(reason: "\(what): \(Library.failure(code, system: 0))", isTLS: false)
      }
    }
    try check(
      mosquitto_int_option(client, MOSQ_OPT_PROTOCOL_VERSION, configuration.protocolVersion.libraryCode), "version")
    try check(
      mosquitto_int_option(client, MOSQ_OPT_RECEIVE_MAXIMUM, Int32(configuration.receiveMaximum)), "receive maximum")
    try check(mosquitto_int_option(client, MOSQ_OPT_TCP_NODELAY, 1), "nodelay")
    if let username = configuration.username {
      try check(mosquitto_username_pw_set(client, username, configuration.password), "username")
    }
    if let topic = configuration.resolvedStatusTopic {
      let offline = BrokerSession.offline
      try check(mosquitto_will_set(client, topic, Int32(offline.utf8.count), offline, 1, true), "last will")
    }
    try configureTLS()
  }

  private func configureTLS() throws(SessionError) {
    guard let tls = configuration.tls else { return }
    for path in [tls.authority, tls.certificate, tls.key].compactMap(\.self) where access(path, R_OK) != 0 {
      throw SessionError(reason: "cannot read \(path): \(Library.systemText(errno))", isTLS: true)
    }
    let systemAuthorities = tls.authority == nil ? "/etc/ssl/certs" : nil
    let code = mosquitto_tls_set(client, tls.authority, systemAuthorities, tls.certificate, tls.key, nil)
    guard code == MOSQ_ERR_SUCCESS.code else {
      throw SessionError(reason: Library.failure(code, system: errno), isTLS: true)
    }
  }

  private func setCallbacks() {
    mosquitto_connect_v5_callback_set(client, connectAnswered)
    mosquitto_disconnect_v5_callback_set(client, disconnected)
    mosquitto_subscribe_v5_callback_set(client, subscribeAnswered)
    mosquitto_publish_v5_callback_set(client, publishAnswered)
    mosquitto_message_v5_callback_set(client, messageArrived)
    mosquitto_log_callback_set(client, lineLogged)
    logging = true
  }

  // MARK: - What the owner thread does

  /// Begins to connect without waiting. Returns a library code; at most 0 is success.
  func connect(_ route: BrokerRoute) -> Int32 {
    if configuration.protocolVersion == .v5 {
      // The call that connects without blocking takes no properties. This one keeps them before it looks at the host,
      // and refuses the missing host; what it kept is sent with every later CONNECT of this client.
      var properties: OpaquePointer?
      mosquitto_property_add_int32(
        &properties, Int32(MQTT_PROP_SESSION_EXPIRY_INTERVAL.rawValue), configuration.sessionExpirySeconds)
      mosquitto_connect_bind_v5(client, nil, 0, Int32(configuration.keepAliveSeconds), nil, properties)
      mosquitto_property_free_all(&properties)
    }
    return mosquitto_connect_bind_async(
      client, route.host, Int32(configuration.port), Int32(configuration.keepAliveSeconds), route.bindAddress)
  }

  /// Reads until nothing is waiting or the batch is full; the callbacks hand messages to the sink.
  ///
  /// Returns a library code and errno as it was then.
  func readBatch() -> (code: Int32, system: Int32) {
    batchMessages = 0
    batchBytes = 0
    while true {
      let before = progress
      let code = mosquitto_loop_read(client, 1)
      let system = errno
      guard code == MOSQ_ERR_SUCCESS.code else { return (code, system) }
      guard progress != before, !isBatchFull else { return (code, 0) }
    }
  }

  /// Everything handed over is durable, or given up: either way the gate's count starts again.
  func settled() { unsettled = 0 }

  /// Writes what is queued, acknowledgements included. Returns a library code and errno.
  func write() -> (code: Int32, system: Int32) {
    precondition(unsettled == 0, "a message would be acknowledged before it is durable")
    let code = mosquitto_loop_write(client, 1)
    return (code, errno)
  }

  /// Queues a ping when one is due. Returns a library code.
  func keepAlive() -> Int32 { mosquitto_loop_misc(client) }

  /// Queues SUBSCRIBE for every filter at QoS 1; granted filters that exist already do not bring retained messages again.
  func subscribe() -> Int32 {
    let filters = configuration.filters.map { strdup($0) }
    defer { filters.forEach { free($0) } }
    let options = Int32(MQTT_SUB_OPT_SEND_RETAIN_NEW.rawValue)
    return mosquitto_subscribe_multiple(client, nil, Int32(filters.count), filters, 1, options, nil)
  }

  static let online = "online"
  static let offline = "offline"

  /// Queues a retained status message at QoS 1.
  func announce(_ text: String) {
    guard let topic = configuration.resolvedStatusTopic else { return }
    mosquitto_publish(client, nil, topic, Int32(text.utf8.count), text, 1, true)
  }

  /// Queues DISCONNECT; the socket is closed when it has been written.
  func disconnect() { mosquitto_disconnect(client) }

  /// Notes that nothing more was waiting after this batch.
  func noteEmptied() { drain.emptied(afterReading: batchMessages) }

  /// Notes that the line was quiet for `SessionDrain.quietMilliseconds`.
  func noteQuiet() { drain.fellQuiet() }

  /// Stops the library from formatting a log line per packet once nothing in them is of use.
  func quietLogWhenIdle() {
    guard logging, accepted, !drain.isActive else { return }
    mosquitto_log_callback_set(client, nil)
    logging = false
  }

  /// Why the TLS handshake failed, nil when TLS was not the trouble.
  func tlsFailure(_ code: Int32, system: Int32) -> String? {
    guard configuration.tls != nil, !accepted else { return nil }
    guard loggedError != nil || code == MOSQ_ERR_TLS.code else {
      // A broker that misses our certificate resets the connection; its alert may be gone by the time we look.
      guard system == EPROTO || system == ECONNRESET else { return nil }
      return "broken off by the broker, which may require another client certificate"
    }
    // The library's own finding (the host name) comes before OpenSSL's consequence of it.
    if let loggedError, loggedError.hasPrefix("Error: ") { return Library.tlsText(loggedError) }
    if certificateVerdict != 0, let text = X509_verify_cert_error_string(certificateVerdict) {
      return String(cString: text)
    }
    return loggedError.map(Library.tlsText) ?? "handshake failed"
  }

  // MARK: - Called by the library, on the owner thread, inside readBatch, write and keepAlive

  fileprivate func handleConnect(_ code: Int32, sessionPresent present: Bool) {
    progress += 1
    guard code == 0 else {
      refusal = Library.refusal(code)
      return
    }
    accepted = true
    sessionPresent = present
    drain.accepted(sessionPresent: present)
  }

  fileprivate func handleSubscribe(_ granted: UnsafeBufferPointer<Int32>) {
    progress += 1
    subscribed = true
    drain.subscribeAnswered()
    for (filter, code) in zip(configuration.filters, granted) where code >= 0x80 {
      let reason = code == 0x80 ? "refused by the broker" : Library.reason(code)
      refusedFilters.append("\(filter) (\(reason))")
    }
  }

  fileprivate func handlePublish() { progress += 1 }

  fileprivate func handleDisconnect(_ code: Int32) {
    progress += 1
    if code > 0x7F { farewell = Library.reason(code) }
  }

  fileprivate func handleMessage(_ message: mosquitto_message, _ properties: OpaquePointer?) {
    progress += 1
    guard let topic = message.topic else { return }
    let payload = UnsafeRawBufferPointer(start: message.payload, count: Int(message.payloadlen))
    var contentType: UnsafeMutablePointer<CChar>?
    if properties != nil {
      mosquitto_property_read_string(properties, Int32(MQTT_PROP_CONTENT_TYPE.rawValue), &contentType, false)
    }
    defer { free(contentType) }
    unsettled += 1
    batchMessages += 1
    batchBytes += payload.count
    sink.receive(
      InboundMessage(
        topic: UnsafeRawBufferPointer(start: topic, count: strlen(topic)),
        payload: payload,
        qos: UInt8(truncatingIfNeeded: message.qos),
        retained: message.retain,
        duplicate: nextIsDuplicate,
        contentType: contentType.map { UnsafeRawBufferPointer(start: $0, count: strlen($0)) },
        resumedSession: drain.isActive && message.qos > 0,
        sessionPresent: sessionPresent,
        sinceConnect: received))
    received += 1
    nextIsDuplicate = false
  }

  /// The message structure has no DUP flag; the library's own line about the packet, written just before the message
  /// callback, has: `Client ID received PUBLISH (d1, ...`.
  fileprivate func handleLog(_ level: Int32, _ line: UnsafePointer<CChar>) {
    if level == Int32(MOSQ_LOG_ERR) {
      if loggedError == nil { loggedError = String(cString: line) }
      // Asked here because the library may free its TLS state before the failing call returns.
      if certificateVerdict == 0, let ssl = mosquitto_ssl_get(client) {
        certificateVerdict = SSL_get_verify_result(ssl)
      }
      return
    }
    guard accepted else { return }
    let head = 7 + configuration.clientID.utf8.count
    guard strlen(line) > head + 21, strncmp(line + head, " received PUBLISH (d", 20) == 0 else { return }
    nextIsDuplicate = line[head + 20] == 49
  }
}

/// A client that could not be set up.
struct SessionError: Error {
  let reason: String
  let isTLS: Bool
}

// The callbacks: free functions, so that no isolation is inferred for them.

private func session(_ object: UnsafeMutableRawPointer?) -> BrokerSession? {
  object.map { Unmanaged<BrokerSession>.fromOpaque($0).takeUnretainedValue() }
}

/// After a packet the library goes on reading only while errno is not EAGAIN: whatever the sink left there would decide.
/// Over TLS it would otherwise read on for as long as there is buffered data, past the end of the batch.
private func letLibraryRead(_ session: BrokerSession?) {
  errno = session?.isBatchFull == true ? EAGAIN : 0
}

private func connectAnswered(
  _: OpaquePointer?, _ object: UnsafeMutableRawPointer?, _ code: Int32, _ flags: Int32, _: OpaquePointer?
) {
  session(object)?.handleConnect(code, sessionPresent: flags & 1 == 1)
  letLibraryRead(session(object))
}

private func disconnected(_: OpaquePointer?, _ object: UnsafeMutableRawPointer?, _ code: Int32, _: OpaquePointer?) {
  let before = errno
  session(object)?.handleDisconnect(code)
  errno = before
}

private func subscribeAnswered(
  _: OpaquePointer?, _ object: UnsafeMutableRawPointer?, _ mid: Int32, _ count: Int32,
  _ granted: UnsafePointer<Int32>?, _: OpaquePointer?
) {
  session(object)?.handleSubscribe(UnsafeBufferPointer(start: granted, count: Int(count)))
  letLibraryRead(session(object))
}

private func publishAnswered(
  _: OpaquePointer?, _ object: UnsafeMutableRawPointer?, _ mid: Int32, _ code: Int32, _: OpaquePointer?
) {
  session(object)?.handlePublish()
  letLibraryRead(session(object))
}

private func messageArrived(
  _: OpaquePointer?, _ object: UnsafeMutableRawPointer?, _ message: UnsafePointer<mosquitto_message>?,
  _ properties: OpaquePointer?
) {
  guard let message else { return }
  let receiver = session(object)
  receiver?.handleMessage(message.pointee, properties)
  letLibraryRead(receiver)
}

private func lineLogged(
  _: OpaquePointer?, _ object: UnsafeMutableRawPointer?, _ level: Int32, _ line: UnsafePointer<CChar>?
) {
  let before = errno
  if let line { session(object)?.handleLog(level, line) }
  errno = before
}
