import VitalModel

/// Writes webhooks in one receiver's format. The same webhook gives the same bytes.
package struct WebhookEncoder: Sendable {
  package let format: WebhookFormat
  /// What is sent: thin for the formats that are always thin, whatever was asked for.
  package let payload: WebhookPayload
  /// Names the codes of vitals in `fhir`; an unknown vital is sent as text.
  private let registry: VitalRegistry

  package init(format: WebhookFormat, payload: WebhookPayload, registry: VitalRegistry) {
    self.format = format
    self.payload = format.isAlwaysThin ? .thin : payload
    self.registry = registry
  }

  /// The finished webhook.
  ///
  /// - Precondition: one alert, unless it is a digest; never a heartbeat (``heartbeat(webhookID:timestampMs:data:)``).
  package func encode(_ webhook: Webhook) -> EncodedWebhook {
    precondition(webhook.type != .heartbeat, "a heartbeat tells of no alert")
    precondition(webhook.type == .digest || webhook.alerts.count == 1, "one alert a webhook")
    switch format {
    case .standard: return StandardEncoding.encode(webhook, payload)
    case .cloudevents: return CloudEventsEncoding.encode(webhook, payload)
    case .alertmanager: return AlertmanagerEncoding.encode(webhook, payload)
    case .pagerduty: return PagerDutyEncoding.encode(webhook, webhook.thinAlerts)
    case .slack: return SlackEncoding.encode(webhook, webhook.thinAlerts)
    case .teams: return TeamsEncoding.encode(webhook, webhook.thinAlerts)
    case .fhir: return FHIREncoding.encode(webhook, payload, registry)
    }
  }

  /// A sign of life. Formats without one (``WebhookFormat/hasHeartbeat``) get the standard form.
  ///
  /// - Parameter data: what the canary's trip says, one JSON object.
  package func heartbeat(webhookID: String, timestampMs: Int64, data: JSONText) -> EncodedWebhook {
    switch format {
    case .cloudevents:
      CloudEventsEncoding.envelope(
        type: .heartbeat, webhookID: webhookID, tenant: "", subject: nil, timestampMs: timestampMs, data: data)
    default: StandardEncoding.envelope(type: .heartbeat, timestampMs: timestampMs, data: data)
    }
  }
}
