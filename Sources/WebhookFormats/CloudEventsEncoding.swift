import VitalModel

/// `cloudevents`: CloudEvents 1.0 in structured JSON mode.
///
/// The attributes say what brokers route by and so hold no personal data: the subject is the alert's id.
enum CloudEventsEncoding {
  static func encode(_ webhook: Webhook, _ payload: WebhookPayload) -> EncodedWebhook {
    envelope(
      type: webhook.type, webhookID: webhook.webhookID, tenant: webhook.alerts.first?.tenant ?? "",
      subject: webhook.type == .digest ? nil : webhook.alerts.first?.alertID, timestampMs: webhook.timestampMs,
      data: StandardEncoding.content(webhook, payload))
  }

  static func envelope(
    type: WebhookType, webhookID: String, tenant: String, subject: String?, timestampMs: Int64, data: JSONText
  ) -> EncodedWebhook {
    var out = JSONText()
    out.object {
      $0.field("specversion", "1.0")
      $0.field("id", webhookID)
      $0.field("source", tenant.isEmpty ? "/vigil" : "/vigil/" + tenant.percentEncoded)
      $0.field("type", "vigil." + type.rawValue)
      if let subject { $0.field("subject", subject) }
      $0.field("time", Timestamp.format(timestampMs))
      $0.field("datacontenttype", "application/json")
      $0.raw("data", data.text)
    }
    return EncodedWebhook(out, contentType: "application/cloudevents+json")
  }
}
