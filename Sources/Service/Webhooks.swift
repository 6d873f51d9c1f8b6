import AlertJournal
import Configuration
import Delivery
import Pipeline
import VitalModel
import WebhookFormats

/// Transitions as outbox rows.
enum Webhooks {
  /// One row a receiver; the body is written once, in the receiver's format, as it is to get it at every attempt.
  ///
  /// - Parameters:
  ///   - type: what the transition is; nil: what its document says by itself.
  ///   - rights: who is sent a link to answer with; nil: nobody.
  ///   - plan: the rules in force; names the vitals, and says whose values are measurements.
  static func rows(
    _ document: AlertDocument, type: WebhookType? = nil, to receivers: [VigilConfiguration.Receiver],
    rights: AnswerRights? = nil, plan: RulePlan, now: Int64
  ) -> [OutboxRow] {
    let type = type ?? WebhookType(document)
    let webhookID = OutboxItem.webhookID(alertID: document.alertID, sequence: document.sequence)
    let isMeasured = plan.rules.first { $0.id == document.ruleID }?.showsMeasuredValue ?? false
    return receivers.map { receiver in
      let webhook = Webhook(
        type: type, webhookID: webhookID, receiver: receiver.name, timestampMs: now, alerts: [document],
        showsMeasuredValue: isMeasured)
      let encoded = encoder(receiver, plan.registry).encode(webhook)
      return OutboxRow(
        receiver: receiver.name, webhookID: webhookID, alertID: document.alertID, sequence: document.sequence,
        type: type.rawValue, priority: document.priority, createdMs: now,
        body: rights?.body(encoded.body, to: receiver, document, now: now) ?? encoded.body,
        contentType: encoded.contentType,
        headers: encoded.headers)
    }
  }

  /// One row for several alerts that ended while a receiver could not be reached (SEMANTICS E6). An alert the store no
  /// longer knows is told by its id.
  static func digest(_ request: DigestRequest, to receiver: VigilConfiguration.Receiver) -> OutboxRow {
    let documents = request.alerts.map { alert in
      if let known = alert.newest.flatMap({ AlertDocument(json: $0.document) }) { return known }
      var unknown = AlertDocument()
      unknown.alertID = alert.alertID
      (unknown.phase, unknown.state, unknown.stillActive) = (.end, .inactive, false)
      return unknown
    }
    let webhookID = OutboxItem.webhookID(alertID: request.digestID, sequence: 1)
    let encoded = encoder(receiver, VitalRegistry([])).encode(
      Webhook(
        type: .digest, webhookID: webhookID, receiver: receiver.name, timestampMs: request.now, alerts: documents))
    return OutboxRow(
      receiver: receiver.name, webhookID: webhookID, alertID: request.digestID, sequence: 1, type: DigestMaker.type,
      priority: request.priority, createdMs: request.now, body: encoded.body, contentType: encoded.contentType,
      headers: encoded.headers)
  }

  /// What writes a receiver's format.
  static func encoder(_ receiver: VigilConfiguration.Receiver, _ registry: VitalRegistry) -> WebhookEncoder {
    WebhookEncoder(format: receiver.format, payload: receiver.payload, registry: registry)
  }

  /// A durable row as delivery takes it.
  static func item(_ queued: QueuedRow, stillActive: Bool) -> OutboxItem {
    OutboxItem(
      outboxKey: queued.order, receiver: queued.row.receiver, webhookID: queued.row.webhookID,
      alertID: queued.row.alertID, sequence: queued.row.sequence, type: queued.row.type, priority: queued.row.priority,
      createdMs: queued.row.createdMs, body: queued.row.body, contentType: queued.row.contentType,
      headers: queued.row.headers.map { OutboxItem.Header($0.name, $0.value) }, stillActive: stillActive,
      priorAttempts: queued.attempts)
  }

  static func receivers(_ configuration: VigilConfiguration) throws(ReceiverError) -> [Receiver] {
    var list: [Receiver] = []
    for receiver in configuration.receivers { list.append(try self.receiver(receiver)) }
    return list
  }

  private static func receiver(_ receiver: VigilConfiguration.Receiver) throws(ReceiverError) -> Receiver {
    var secrets: [WebhookSecret] = []
    if receiver.format.isSigned {
      for secret in receiver.secrets { secrets.append(try WebhookSecret(secret.value)) }
    }
    var routingKey: RoutingKey?
    if receiver.format == .pagerduty, let secret = receiver.secrets.first { routingKey = try RoutingKey(secret.value) }
    return try Receiver(
      name: receiver.name, url: receiver.url.text, secrets: secrets, isSigned: receiver.format.isSigned,
      routingKey: routingKey, allowPrivate: receiver.allowPrivate, authority: receiver.authority,
      certificate: receiver.certificate, key: receiver.key, proxy: receiver.proxy)
  }
}
