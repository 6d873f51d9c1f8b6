import VitalModel

/// Decoding turns one payload into observations, refusals and what a device says about itself.
///
/// One job: bytes in, decided facts out. It never reads a clock, a file or a socket, never logs, never guesses a unit or a
/// code, and never keeps a part of a payload whose rest was not read to its end. Every byte it does not accept comes back
/// as a ``Refusal`` with its reason.

/// The last level of the topic `vigil/v1/{tenant}/{device}/{channel}`.
package enum Channel: UInt8, Sendable, CaseIterable {
  case vitals
  case status
  case event
  case wave

  /// The word in the topic.
  package var name: String {
    switch self {
    case .vitals: "vitals"
    case .status: "status"
    case .event: "event"
    case .wave: "wave"
    }
  }

  /// - Returns: nil if the bytes are none of the four words.
  package init?(name: UnsafeRawBufferPointer) {
    guard let match = Channel.allCases.first(where: { name.elementsEqual($0.name.utf8) }) else { return nil }
    self = match
  }
}

/// How the bytes of a topic are to be read, as its configuration says.
package enum PayloadFormat: Hashable, Sendable {
  /// Native JSON or SenML, told apart by content type, then by shape.
  case automatic
  case json
  case senml
  /// Plain UTF-8 text: a state on the status channel, an event's key on the event channel; refused for vitals.
  case text
  /// A bare number (or a letter, for vitals sent as letters) of this vital in the unit with this number.
  case number(code: VitalCode, unit: UInt8 = 0)
}

/// What the broker and the connection say about a payload.
package struct Arrival: Hashable, Sendable, BitwiseCopyable {
  /// Receive time, milliseconds since 1970.
  package var receivedAt: Int64
  /// The broker sent it from its retained store: it may be of any age.
  package var retained: Bool
  /// It was queued while the session was away: a payload without a time may be old.
  package var resumedSession: Bool
  /// The MQTT DUP flag.
  package var redelivered: Bool

  package init(receivedAt: Int64, retained: Bool = false, resumedSession: Bool = false, redelivered: Bool = false) {
    self.receivedAt = receivedAt
    self.retained = retained
    self.resumedSession = resumedSession
    self.redelivered = redelivered
  }
}

/// The bounds of one payload; what lies beyond is refused as `oversize` or `malformed`, never cut silently.
package enum DecodingLimits {
  /// Bytes of a payload (SEMANTICS A8).
  package static let payloadBytesMax = 1 << 20
  /// Bytes kept in the refusal of a payload beyond ``payloadBytesMax``.
  package static let oversizeBytesKept = 64 << 10
  /// Observations, accepted or not, of one payload.
  package static let observationCountMax = 10_000
  /// Device events of one payload.
  package static let eventCountMax = 1_000
  /// Nesting of objects and arrays.
  package static let depthMax: UInt32 = 32
  /// Bytes of a number.
  static let numberBytesMax = 64
  /// Bytes of a code, a unit, a SenML name, a date or another short text, escapes included.
  static let shortTextBytesMax = 512
  /// Bytes of a patient identifier.
  static let patientBytesMax = 128
  /// Bytes of free text kept from a device's own alarm.
  static let freeTextBytesMax = 1_024
}
