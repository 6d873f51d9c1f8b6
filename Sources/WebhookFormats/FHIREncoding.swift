import VitalModel

/// `fhir`: a FHIR R4 transaction Bundle of what was measured (Observation), the alert (DetectedIssue) and the telling of it
/// (Communication).
///
/// R4 has no resource for a monitor's alert: DetectedIssue, made for issues between clinical actions, is the nearest that
/// carries identifier, severity, evidence and what was done; R6 brings DeviceAlert. Every resource has an identifier. What is
/// told once is created under `If-None-Exist`; the alert is created by its opening and updated under its identifier by what
/// follows, so that a webhook sent twice changes nothing. A thin Bundle names no patient and has no Observation.
enum FHIREncoding {
  static func encode(_ webhook: Webhook, _ payload: WebhookPayload, _ registry: VitalRegistry) -> EncodedWebhook {
    var out = JSONText()
    out.object { out in
      out.field("resourceType", "Bundle")
      out.field("type", "transaction")
      out.field("timestamp", Timestamp.format(webhook.timestampMs))
      out.array("entry") { out in
        for alert in webhook.alerts {
          let observation = FHIRObservation(alert, webhook, payload, registry)
          if let observation {
            entry(observation.fullURL, .create("Observation", FHIRWords.System.webhook, webhook.webhookID), to: &out) {
              observation.write(to: &$0)
            }
          }
          let change: Request =
            webhook.type == .opened
            ? .create("DetectedIssue", FHIRWords.System.alert, alert.alertID)
            : .update("DetectedIssue", FHIRWords.System.alert, alert.alertID)
          entry(fullURL("issue", alert.alertID), change, to: &out) {
            FHIRIssue(alert, webhook, payload, observation: observation?.fullURL).write(to: &$0)
          }
        }
        let telling = Request.create("Communication", FHIRWords.System.webhook, webhook.webhookID)
        entry(fullURL("telling", webhook.webhookID), telling, to: &out) { communication(webhook, payload, to: &$0) }
      }
    }
    return EncodedWebhook(
      out, contentType: "application/fhir+json",
      headers: [WebhookHeader("Accept", "application/fhir+json"), WebhookHeader("Prefer", "return=minimal")])
  }

  // MARK: Entries

  /// What the server is to do with a resource.
  private enum Request {
    case create(String, String, String)
    case update(String, String, String)
  }

  private static func entry(
    _ fullURL: String, _ request: Request, to out: inout JSONText, _ resource: (inout JSONText) -> Void
  ) {
    out.object { out in
      out.field("fullUrl", fullURL)
      out.object("resource", resource)
      out.object("request") { out in
        switch request {
        case .create(let type, let system, let value):
          out.field("method", "POST")
          out.field("url", type)
          out.field("ifNoneExist", query(system, value))
        case .update(let type, let system, let value):
          out.field("method", "PUT")
          out.field("url", "\(type)?\(query(system, value))")
        }
      }
    }
  }

  private static func query(_ system: String, _ value: String) -> String {
    "identifier=\(system)|\(value.percentEncoded)"
  }

  /// A UUID of version 8 (RFC 9562): the same thing has the same one in every Bundle.
  static func fullURL(_ kind: String, _ name: String) -> String {
    let text = kind + "\u{1F}" + name
    let high = FNV.hash(text) & ~0xF000 | 0x8000
    let low = FNV.hash(text, seed: high) & ~(0xC0 << 56) | (0x80 << 56)
    let digits = [high, low].map { word in
      let text = String(word, radix: 16)
      return String(repeating: "0", count: 16 - text.count) + text
    }.joined()
    var out = "urn:uuid:"
    for (index, digit) in digits.enumerated() {
      if [8, 12, 16, 20].contains(index) { out.append("-") }
      out.append(digit)
    }
    return out
  }

  // MARK: Communication

  /// That somebody was told, when, and of what.
  private static func communication(_ webhook: Webhook, _ payload: WebhookPayload, to out: inout JSONText) {
    out.field("resourceType", "Communication")
    FHIRWords.meta(isSimulated: webhook.alerts.contains { $0.simulated }, to: &out)
    FHIRWords.identifier(FHIRWords.System.webhook, webhook.webhookID, to: &out)
    out.field("status", "completed")
    FHIRWords.concepts("category", FHIRWords.System.communicationCategory, "alert", "Alert", to: &out)
    out.field("priority", priority(webhook.alerts.map(\.priority).max() ?? .info))
    if payload == .full, webhook.type != .digest, let alert = webhook.alerts.first {
      patient("subject", alert, to: &out)
    }
    if !webhook.alerts.isEmpty {
      out.array("about") { out in
        for alert in webhook.alerts { out.object { $0.field("reference", fullURL("issue", alert.alertID)) } }
      }
    }
    out.field("sent", Timestamp.format(webhook.timestampMs))
    let texts = [webhook.headline] + (payload == .full ? webhook.alerts.map(\.message).filter { !$0.isEmpty } : [])
    out.array("payload") { out in
      for text in texts { out.object { $0.field("contentString", text) } }
    }
  }

  /// FHIR's request-priority.
  private static func priority(_ priority: Priority) -> String {
    switch priority {
    case .high: "stat"
    case .medium: "urgent"
    case .low, .info: "routine"
    }
  }

  // MARK: Parts

  /// A patient by identifier: we know no server's Patient resources.
  static func patient(_ key: String, _ alert: AlertDocument, to out: inout JSONText) {
    guard !alert.patient.isEmpty else { return }
    FHIRWords.reference(key, "Patient", FHIRWords.System.patient(alert.tenant), alert.patient, to: &out)
  }
}

extension Webhook {
  /// What happened in one line, fit for a thin payload.
  var headline: String {
    type == .digest ? digestHeadline : thinAlerts.first?.headline(type, limit: 1000) ?? ""
  }
}
