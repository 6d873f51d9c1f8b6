import AlertJournal
import Configuration
import Delivery
import Pipeline
import Synchronization
import VitalModel

/// Which receivers hear of what, and in which form. Replaced whole by a reload.
final class Routing: Sendable {
  struct Table: Sendable {
    var routes: [VigilConfiguration.Route]
    var receivers: [VigilConfiguration.Receiver]
    var rights: AnswerRights

    init(_ configuration: VigilConfiguration) {
      routes = configuration.routes
      receivers = configuration.receivers
      rights = AnswerRights(configuration)
    }
  }

  private let table: Mutex<Table>

  init(_ configuration: VigilConfiguration) { table = Mutex(Table(configuration)) }

  func replace(_ configuration: VigilConfiguration) { table.withLock { $0 = Table(configuration) } }

  /// Who may answer what is sent.
  var rights: AnswerRights { table.withLock { $0.rights } }

  var receiverNames: [String] { table.withLock { $0.receivers.map(\.name) } }

  /// Receivers of a document, each once, in the order of the routes. Without routes everybody hears everything.
  func receivers(for document: AlertDocument) -> [VigilConfiguration.Receiver] {
    table.withLock { table in
      if table.routes.isEmpty { return table.receivers }
      var found: [VigilConfiguration.Receiver] = []
      for route in table.routes where route.match.accepts(document) {
        for name in route.receivers where !found.contains(where: { $0.name == name }) {
          if let receiver = table.receivers.first(where: { $0.name == name }) { found.append(receiver) }
        }
      }
      return found
    }
  }
}

/// Transitions as outbox rows.
enum Webhooks {
  /// The webhook type of a transition.
  static func type(_ document: AlertDocument) -> String {
    switch document.phase {
    case .start: "alert.opened"
    case .update, .deEscalate: "alert.updated"
    case .escalate: "alert.escalated"
    case .end: "alert.resolved"
    }
  }

  /// One row a receiver; the body is written once, as the receiver is to get it at every attempt.
  static func rows(
    _ document: AlertDocument, to receivers: [VigilConfiguration.Receiver], _ rights: AnswerRights, now: Int64
  ) -> [OutboxRow] {
    let type = type(document)
    let webhookID = OutboxItem.webhookID(alertID: document.alertID, sequence: document.sequence)
    var full: [UInt8]?
    return receivers.map { receiver in
      let body: [UInt8]
      if receiver.payload == .thin {
        body = WebhookBody.thin(
          type: type, timestampMs: now, alertID: document.alertID, sequence: document.sequence)
      } else if let full {
        body = full
      } else {
        body = WebhookBody.standard(type: type, timestampMs: now, data: Array(document.json.utf8))
        full = body
      }
      return OutboxRow(
        receiver: receiver.name, webhookID: webhookID, alertID: document.alertID, sequence: document.sequence,
        type: type, priority: document.priority, createdMs: now,
        body: rights.body(body, to: receiver.name, document, now: now))
    }
  }

  /// A durable row as delivery takes it.
  static func item(_ queued: QueuedRow, stillActive: Bool) -> OutboxItem {
    OutboxItem(
      outboxKey: queued.order, receiver: queued.row.receiver, webhookID: queued.row.webhookID,
      alertID: queued.row.alertID, sequence: queued.row.sequence, type: queued.row.type, priority: queued.row.priority,
      createdMs: queued.row.createdMs, body: queued.row.body, stillActive: stillActive,
      priorAttempts: queued.attempts)
  }

  static func receivers(_ configuration: VigilConfiguration) throws(ReceiverError) -> [Receiver] {
    var list: [Receiver] = []
    for receiver in configuration.receivers {
      var secrets: [WebhookSecret] = []
      for secret in receiver.secrets { secrets.append(try WebhookSecret(secret.value)) }
      list.append(
        try Receiver(
          name: receiver.name, url: receiver.url.text, secrets: secrets, format: .standard,
          payload: receiver.payload == .thin ? .thin : .full, allowPrivate: receiver.allowPrivate))
    }
    return list
  }
}
