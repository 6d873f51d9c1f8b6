import VitalModel

/// One webhook before it has a shape: what is told, to whom, under which id. The one job of this room is to turn it into
/// the bytes of a receiver's format. It opens no socket, reads no clock, holds no secret, and decides neither who is told
/// nor when.
package struct Webhook: Sendable, Equatable {
  package var type: WebhookType
  /// The idempotency id, the same at every attempt; holds no full stop.
  package var webhookID: String
  /// The receiver's name in the configuration.
  package var receiver: String
  /// When the transition was decided, in milliseconds since 1970.
  package var timestampMs: Int64
  /// One alert; for a digest any number of them, all ended.
  package var alerts: [AlertDocument]
  /// Whether the alerts' values are the vital sign itself (``RuleDefinition/showsMeasuredValue``): only then does `fhir`
  /// send them as observations.
  package var showsMeasuredValue: Bool

  package init(
    type: WebhookType, webhookID: String, receiver: String, timestampMs: Int64, alerts: [AlertDocument],
    showsMeasuredValue: Bool = false
  ) {
    self.type = type
    self.webhookID = webhookID
    self.receiver = receiver
    self.timestampMs = timestampMs
    self.alerts = alerts
    self.showsMeasuredValue = showsMeasuredValue
  }

  /// Whether this alert is over for the receiver.
  func isEnded(_ alert: AlertDocument) -> Bool { type == .resolved || type == .digest || alert.phase == .end }
}

/// What goes over the wire, but for the signature and the secrets that are added when it is sent.
package struct EncodedWebhook: Sendable, Equatable {
  package var body: [UInt8]
  package var contentType: String
  package var headers: [WebhookHeader]

  package init(body: [UInt8], contentType: String = "application/json", headers: [WebhookHeader] = []) {
    self.body = body
    self.contentType = contentType
    self.headers = headers
  }

  init(_ json: JSONText, contentType: String = "application/json", headers: [WebhookHeader] = []) {
    self.init(body: json.bytes, contentType: contentType, headers: headers)
  }
}
