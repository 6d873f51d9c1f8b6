/// A message as the broker sent it, borrowed: the bytes are valid only while `MessageSink.receive` runs.
package struct InboundMessage: ~Copyable {
  /// Topic, UTF-8, not empty.
  package let topic: UnsafeRawBufferPointer
  /// Payload, possibly empty.
  package let payload: UnsafeRawBufferPointer
  /// 0 or 1; what the broker granted, not what the device published with.
  package let qos: UInt8
  /// Kept by the broker from before we subscribed: its age is unknown.
  package let retained: Bool
  /// Sent to this session before (MQTT DUP). Brokers redeliver only when a session resumes; it is watched only then.
  package let duplicate: Bool
  /// MQTT 5 content type, nil when absent or in MQTT 3.1.1.
  package let contentType: UnsafeRawBufferPointer?
  /// Came with QoS 1 out of the backlog of a resumed session: without a time of its own its age is unknown.
  package let resumedSession: Bool
  /// The CONNACK of this connection said that the broker still had our session.
  package let sessionPresent: Bool
  /// How many messages came before it on this connection.
  package let sinceConnect: UInt64

  /// A message over borrowed bytes; for a sink's own tests everything but topic and payload has a default.
  package init(
    topic: UnsafeRawBufferPointer, payload: UnsafeRawBufferPointer, qos: UInt8 = 1, retained: Bool = false,
    duplicate: Bool = false, contentType: UnsafeRawBufferPointer? = nil, resumedSession: Bool = false,
    sessionPresent: Bool = false, sinceConnect: UInt64 = 0
  ) {
    self.topic = topic
    self.payload = payload
    self.qos = qos
    self.retained = retained
    self.duplicate = duplicate
    self.contentType = contentType
    self.resumedSession = resumedSession
    self.sessionPresent = sessionPresent
    self.sinceConnect = sinceConnect
  }
}

/// Takes messages off a connection and says when they are safe.
///
/// Both methods are called on the connection's own thread only, never at once, and may block: the socket is then
/// not read, which is the back pressure towards the broker.
package protocol MessageSink: AnyObject {
  /// Copies or decodes one message; nothing of it may be kept by reference.
  func receive(_ message: borrowing InboundMessage)

  /// Blocks until every message received so far is durable.
  ///
  /// False when that cannot be promised any more: the connection then ends without acknowledging, and the broker
  /// delivers everything unacknowledged again to the next connection of this session.
  func waitUntilDurable() -> Bool
}
