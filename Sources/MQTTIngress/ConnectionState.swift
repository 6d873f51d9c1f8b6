/// Where a broker connection stands.
package enum ConnectionPhase: String, Sendable, Equatable {
  /// An attempt is under way, or none has been made yet.
  case connecting
  /// The broker accepted us and messages flow.
  case connected
  /// The broker answered and said no: bad password, not authorised.
  case refused
  /// The TLS handshake failed: expired or unknown certificate.
  case tlsFailed = "tls"
  /// No answer: nothing listens, no route, no such name, or the connection broke.
  case unreachable
  /// Ended for good by `stop`, or because the sink gave up.
  case stopped
}

/// A snapshot of one broker connection for metrics and health; counters count since `start`.
package struct ConnectionState: Sendable, Equatable {
  /// Where it stands.
  package internal(set) var phase: ConnectionPhase = .connecting
  /// Why, in a few lower-case words without secrets or patient data; empty when there is nothing to say.
  package internal(set) var reason = ""
  /// Whether the broker still had our session at the last CONNACK.
  package internal(set) var sessionPresent = false
  /// Whether the broker answered our SUBSCRIBE since the last CONNACK: from here on nothing published is missed.
  package internal(set) var subscribed = false
  /// Filters the broker did not grant since the last CONNACK, with its reason.
  package internal(set) var refusedFilters: [String] = []
  /// Connection attempts after the first one that came about.
  package internal(set) var reconnects: UInt64 = 0
  /// Messages handed to the sink.
  package internal(set) var messages: UInt64 = 0
  /// Their payload bytes.
  package internal(set) var bytes: UInt64 = 0
  /// Batches made durable and then acknowledged.
  package internal(set) var batches: UInt64 = 0
  /// Wall clock of the last CONNACK that accepted us, milliseconds since 1970.
  package internal(set) var lastConnectedMilliseconds: Int64?

  /// A connection that has not been tried yet.
  package init() {}

  /// One line for a log, such as `refused: not authorised`.
  package var line: String {
    var text = reason.isEmpty ? phase.rawValue : "\(phase.rawValue): \(reason)"
    for filter in refusedFilters { text += "; subscription refused: \(filter)" }
    return text
  }
}
