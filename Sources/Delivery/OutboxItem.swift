import VitalModel

/// One webhook owed to one receiver: a durable outbox row, or an item that lives in memory only.
package struct OutboxItem: Sendable, Equatable {
  /// Where the item is kept while it is owed.
  package enum Keeping: Sendable, Equatable {
    /// A durable row: retried until delivered, never dropped.
    case outbox
    /// Memory only: given up after this many attempts (at least 1).
    case memory(attemptsMax: Int)
  }

  /// One further request header. The name is a token, the value printable; others are never sent.
  package struct Header: Sendable, Equatable {
    package let name: String
    package let value: String

    package init(_ name: String, _ value: String) {
      self.name = name
      self.value = value
    }
  }

  /// The position in the global order of the outbox; unique per receiver.
  package let outboxKey: UInt64
  /// The name of the receiver it is owed to.
  package let receiver: String
  /// The idempotency id (`alert_id-sequence`), the same at every attempt; holds no full stop.
  package let webhookID: String
  package let alertID: String
  /// The number of the alert's transition; items of one alert are sent in this order.
  package let sequence: Int
  /// The webhook type, such as `alert.opened`.
  package let type: String
  package let priority: Priority
  /// When the transition was decided, in milliseconds since 1970.
  package let createdMs: Int64
  /// The finished body, in the receiver's format, full or thin as it asked when the row was written.
  package let body: [UInt8]
  /// What the body is, for the request's `Content-Type`.
  package let contentType: String
  /// Headers beside those every webhook has.
  package let headers: [Header]
  /// Whether the alert still holds; those of ended alerts are sent after all others.
  package let stillActive: Bool
  /// Failed attempts before this process started.
  package let priorAttempts: Int
  package let keeping: Keeping

  package init(
    outboxKey: UInt64, receiver: String, webhookID: String, alertID: String, sequence: Int, type: String,
    priority: Priority, createdMs: Int64, body: [UInt8], contentType: String = "application/json",
    headers: [Header] = [], stillActive: Bool = true, priorAttempts: Int = 0, keeping: Keeping = .outbox
  ) {
    self.outboxKey = outboxKey
    self.receiver = receiver
    self.webhookID = webhookID
    self.alertID = alertID
    self.sequence = sequence
    self.type = type
    self.priority = priority
    self.createdMs = createdMs
    self.body = body
    self.contentType = contentType
    self.headers = headers
    self.stillActive = stillActive
    self.priorAttempts = priorAttempts
    self.keeping = keeping
  }

  /// The idempotency id of one transition of one alert.
  package static func webhookID(alertID: String, sequence: Int) -> String { "\(alertID)-\(sequence)" }
}
