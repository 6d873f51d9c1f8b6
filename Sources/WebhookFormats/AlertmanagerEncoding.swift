import VitalModel

/// `alertmanager`: the webhook of Prometheus Alertmanager, version "4", for the many receivers that understand it.
///
/// Each alert is a group of its own, so that receivers which key by `groupKey` hear it begin and end; a digest is a group of
/// its own too. The fingerprint follows from the alert's id alone: an alert whose `severity` rises stays the same alert.
enum AlertmanagerEncoding {
  private typealias Pairs = [(name: String, value: String)]

  static func encode(_ webhook: Webhook, _ payload: WebhookPayload) -> EncodedWebhook {
    let alerts = webhook.alerts.map { Labelled($0, webhook, payload) }
    let isFiring = alerts.contains { !$0.isEnded }
    let group: Pairs =
      webhook.type == .digest
      ? [("digest", webhook.webhookID)] : webhook.alerts.prefix(1).map { ("alert_id", $0.alertID) }
    let key = group.map { "\($0.name)=\"\($0.value)\"" }.joined(separator: ",")
    var out = JSONText()
    out.object { out in
      out.field("version", "4")
      out.field("groupKey", "{}:{\(key)}")
      out.field("truncatedAlerts", 0)
      out.field("status", isFiring ? "firing" : "resolved")
      out.field("receiver", webhook.receiver)
      write(group, "groupLabels", to: &out)
      write(common(alerts.map(\.labels)), "commonLabels", to: &out)
      write(common(alerts.map(\.annotations)), "commonAnnotations", to: &out)
      out.field("externalURL", "")
      out.array("alerts") { out in for alert in alerts { alert.write(webhook, to: &out) } }
    }
    return EncodedWebhook(out)
  }

  /// One alert with its labels in the order written.
  private struct Labelled {
    let alert: AlertDocument
    let isEnded: Bool
    var labels: Pairs
    var annotations: Pairs = []

    init(_ alert: AlertDocument, _ webhook: Webhook, _ payload: WebhookPayload) {
      self.alert = alert
      isEnded = webhook.isEnded(alert)
      labels = [
        ("alertname", alert.ruleID), ("alert_id", alert.alertID), ("severity", severity(alert.priority)),
        ("priority", alert.priority.text), ("tenant", alert.tenant),
      ]
      add("unit", alert.locationUnit)
      add("bed", alert.locationBed)
      if alert.simulated { add("simulated", "true") }
      annotations = [("summary", alert.ruleTitle), ("sequence", "\(alert.sequence)"), ("type", webhook.type.rawValue)]
      guard payload == .full else { return }
      add("kind", alert.kind.rawValue)
      add("patient", alert.patient)
      add("device", alert.device)
      add("code", alert.code)
      annotations.append(("description", alert.message))
      if let value = alert.value { annotations.append(("value", "\(value) \(alert.unit ?? "")")) }
      if let acknowledgement = alert.acknowledgement { annotations.append(("acknowledged_by", acknowledgement.by)) }
    }

    private mutating func add(_ name: String, _ value: String?) {
      if let value, !value.isEmpty { labels.append((name, value)) }
    }

    func write(_ webhook: Webhook, to out: inout JSONText) {
      out.object { out in
        out.field("status", isEnded ? "resolved" : "firing")
        AlertmanagerEncoding.write(labels, "labels", to: &out)
        AlertmanagerEncoding.write(annotations, "annotations", to: &out)
        out.field("startsAt", Timestamp.format(alert.onsetTime))
        // Go's zero time: what Alertmanager sends while there is no end.
        out.field("endsAt", isEnded ? Timestamp.format(webhook.timestampMs) : "0001-01-01T00:00:00Z")
        out.field("generatorURL", "")
        out.field("fingerprint", hexadecimal(FNV.hash(alert.alertID)))
      }
    }
  }

  /// The usual words of Prometheus rules.
  private static func severity(_ priority: Priority) -> String {
    switch priority {
    case .high: "critical"
    case .medium: "warning"
    case .low, .info: "info"
    }
  }

  /// 16 digits, as the hash of an alert's labels is written.
  private static func hexadecimal(_ number: UInt64) -> String {
    let digits = String(number, radix: 16)
    return String(repeating: "0", count: 16 - digits.count) + digits
  }

  /// Pairs all of them have, in the order of the first.
  private static func common(_ sets: [Pairs]) -> Pairs {
    guard let first = sets.first else { return [] }
    return first.filter { pair in
      sets.allSatisfy { set in set.contains { $0.name == pair.name && $0.value == pair.value } }
    }
  }

  private static func write(_ pairs: Pairs, _ key: String, to out: inout JSONText) {
    out.object(key) { out in for pair in pairs { out.field(pair.name, pair.value) } }
  }
}

/// The hash of Fowler, Noll and Vo, version 1a, 64 bits: for names that must look unlike each other, not for secrets.
enum FNV {
  static func hash(_ text: String, seed: UInt64 = 0xCBF2_9CE4_8422_2325) -> UInt64 {
    text.utf8.reduce(seed) { ($0 ^ UInt64($1)) &* 0x0000_0100_0000_01B3 }
  }
}
