import VitalModel

/// `standard`: the envelope of the Standard Webhooks specification around alert documents.
enum StandardEncoding {
  static func encode(_ webhook: Webhook, _ payload: WebhookPayload) -> EncodedWebhook {
    envelope(type: webhook.type, timestampMs: webhook.timestampMs, data: content(webhook, payload))
  }

  /// `{"type":…,"timestamp":…,"data":…}`.
  static func envelope(type: WebhookType, timestampMs: Int64, data: JSONText) -> EncodedWebhook {
    var out = JSONText()
    out.object {
      $0.field("type", type.rawValue)
      $0.field("timestamp", Timestamp.format(timestampMs))
      $0.raw("data", data.text)
    }
    return EncodedWebhook(out)
  }

  /// The alert document, or for a digest `{"alerts":[…]}`; thin: ids only, nothing says who the patient is or what is wrong.
  static func content(_ webhook: Webhook, _ payload: WebhookPayload) -> JSONText {
    var out = JSONText()
    if webhook.type == .digest {
      out.object { out in
        out.field("count", webhook.alerts.count)
        out.array("alerts") { out in for alert in webhook.alerts { write(alert, payload, to: &out) } }
      }
    } else {
      for alert in webhook.alerts.prefix(1) { write(alert, payload, to: &out) }
    }
    return out
  }

  private static func write(_ alert: AlertDocument, _ payload: WebhookPayload, to out: inout JSONText) {
    switch payload {
    case .full: alert.write(to: &out)
    case .thin:
      out.object {
        $0.field("alert_id", alert.alertID)
        $0.field("sequence", alert.sequence)
      }
    }
  }
}
