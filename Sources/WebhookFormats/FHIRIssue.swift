import VitalModel

/// The alert as a DetectedIssue. It has no field for a place; that is in the Communication's text.
struct FHIRIssue {
  private let alert: AlertDocument
  private let webhook: Webhook
  private let payload: WebhookPayload
  /// The Observation of the same Bundle; nil: none.
  private let observation: String?

  init(_ alert: AlertDocument, _ webhook: Webhook, _ payload: WebhookPayload, observation: String?) {
    self.alert = alert
    self.webhook = webhook
    self.payload = payload
    self.observation = observation
  }

  func write(to out: inout JSONText) {
    out.field("resourceType", "DetectedIssue")
    FHIRWords.meta(isSimulated: alert.simulated, to: &out)
    FHIRWords.identifier(FHIRWords.System.alert, alert.alertID, to: &out)
    out.field("status", webhook.isEnded(alert) ? "final" : "preliminary")
    out.object("code") { out in
      out.array("coding") { out in
        out.object { FHIRWords.coding(FHIRWords.System.rule, alert.ruleID, alert.ruleTitle, to: &$0) }
      }
      out.field("text", alert.ruleTitle)
    }
    out.field("severity", severity)
    if payload == .full {
      FHIREncoding.patient("patient", alert, to: &out)
      out.field("identifiedDateTime", Timestamp.format(alert.onsetTime))
      if let observation {
        out.array("implicated") { out in out.object { $0.field("reference", observation) } }
        out.array("evidence") { out in
          out.object { out in
            out.array("detail") { out in out.object { $0.field("reference", observation) } }
          }
        }
      }
      if !alert.message.isEmpty { out.field("detail", alert.message) }
    }
    mitigation(to: &out)
  }

  private var severity: String {
    switch alert.priority {
    case .high: "high"
    case .medium: "moderate"
    case .low, .info: "low"
    }
  }

  /// What a person did about it. Who it was goes with a full payload only.
  private func mitigation(to out: inout JSONText) {
    guard let acknowledgement = alert.acknowledgement else { return }
    out.array("mitigation") { out in
      out.object { out in
        out.object("action") { $0.field("text", "acknowledged") }
        out.field("date", Timestamp.format(acknowledgement.time))
        if payload == .full {
          FHIRWords.reference(
            "author", "Practitioner", FHIRWords.System.user, acknowledgement.by, to: &out)
        }
      }
    }
  }
}
