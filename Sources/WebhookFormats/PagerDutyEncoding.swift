import VitalModel

/// `pagerduty`: PagerDuty Events API v2.
///
/// The alert's id is the `dedup_key`: an alert is one PagerDuty alert from its opening to its end. The `routing_key` is a
/// secret and is put in when the webhook is sent, so that no outbox row holds it.
enum PagerDutyEncoding {
  /// The longest `summary` PagerDuty takes.
  private static let summaryBytesMax = 1024
  /// Alerts a digest lists; PagerDuty refuses bodies of more than 512 KB.
  private static let listedMax = 100

  static func encode(_ webhook: Webhook, _ alerts: [ThinAlert]) -> EncodedWebhook {
    var out = JSONText()
    out.object { out in
      switch webhook.type {
      case .acknowledged: write("acknowledge", alerts, to: &out)
      case .resolved: write("resolve", alerts, to: &out)
      case .opened, .updated, .escalated, .digest, .heartbeat:
        out.field("event_action", "trigger")
        out.field("dedup_key", webhook.type == .digest ? webhook.webhookID : alerts.first?.alertID ?? "")
        out.field("client", "Vigil")
        out.object("payload") { out in
          if webhook.type == .digest {
            digest(webhook, alerts, to: &out)
          } else {
            for alert in alerts.prefix(1) { describe(alert, webhook, to: &out) }
          }
        }
      }
    }
    return EncodedWebhook(out)
  }

  private static func write(_ action: String, _ alerts: [ThinAlert], to out: inout JSONText) {
    out.field("event_action", action)
    out.field("dedup_key", alerts.first?.alertID ?? "")
  }

  private static func describe(_ alert: ThinAlert, _ webhook: Webhook, to out: inout JSONText) {
    out.field("summary", alert.headline(webhook.type, limit: summaryBytesMax))
    out.field("source", source(alert))
    out.field("severity", severity(alert.priority))
    out.field("timestamp", Timestamp.format(webhook.timestampMs))
    if let unit = alert.unit { out.field("group", unit) }
    out.field("class", alert.ruleID)
    out.object("custom_details") {
      $0.field("alert_id", alert.alertID)
      $0.field("sequence", alert.sequence)
      $0.field("priority", alert.priority.text)
      $0.field("unit", alert.unit)
      $0.field("bed", alert.bed)
      $0.field("simulated", alert.isSimulated)
    }
  }

  private static func digest(_ webhook: Webhook, _ alerts: [ThinAlert], to out: inout JSONText) {
    out.field("summary", webhook.digestHeadline)
    out.field("source", alerts.first.map(source) ?? "vigil")
    out.field("severity", "info")
    out.field("timestamp", Timestamp.format(webhook.timestampMs))
    out.object("custom_details") { out in
      out.field("count", alerts.count)
      out.field("alert_ids", alerts.prefix(listedMax).map(\.alertID))
    }
  }

  private static func source(_ alert: ThinAlert) -> String { alert.tenant.isEmpty ? "vigil" : "vigil/" + alert.tenant }

  private static func severity(_ priority: Priority) -> String {
    switch priority {
    case .high: "critical"
    case .medium: "error"
    case .low: "warning"
    case .info: "info"
    }
  }
}
