/// The shape of what a receiver is sent.
package enum WebhookFormat: String, Sendable, CaseIterable {
  /// Standard Webhooks: type, time and the alert document.
  case standard
  /// CloudEvents 1.0, structured JSON.
  case cloudevents
  /// Prometheus Alertmanager's webhook, version 4.
  case alertmanager
  /// PagerDuty Events API v2.
  case pagerduty
  /// A Slack incoming webhook, with blocks.
  case slack
  /// A Microsoft Teams workflow, with an Adaptive Card.
  case teams
  /// A FHIR R4 transaction Bundle.
  case fhir

  /// Whether its receivers are outside services that never get a patient or a value, whatever is agreed (SEMANTICS E6).
  package var isAlwaysThin: Bool { self == .slack || self == .teams || self == .pagerduty }

  /// Whether its webhooks carry a Standard Webhooks signature. The others know us by a secret of their own: PagerDuty by a
  /// routing key, Slack and Teams by the address.
  package var isSigned: Bool { !isAlwaysThin }

  /// Whether a receiver of this format must have a secret.
  package var needsSecret: Bool { isSigned || self == .pagerduty }

  /// Whether a heartbeat has a form in it.
  package var hasHeartbeat: Bool { self == .standard || self == .cloudevents }

  /// Whether its receivers keep one state for each alert, so that an older transition must not follow a newer.
  package var keepsLastState: Bool { self == .pagerduty || self == .alertmanager || self == .fhir }

  /// Whether a digest also closes the alerts it lists at the receiver. Where it does not, the last webhook of each of them
  /// is still owed.
  package var digestClosesAlerts: Bool { self != .pagerduty }
}

/// How much a receiver is sent: the whole alert document, or ids only.
package enum WebhookPayload: String, Sendable, CaseIterable { case full, thin }

/// What a webhook tells of (CONTRACT section 4).
package enum WebhookType: String, Sendable, CaseIterable {
  case opened = "alert.opened"
  case updated = "alert.updated"
  case escalated = "alert.escalated"
  case acknowledged = "alert.acknowledged"
  case resolved = "alert.resolved"
  /// Several alerts that have ended, told at once after an outage (SEMANTICS E6).
  case digest = "alert.digest"
  /// No alert: Vigil is alive (SEMANTICS E5).
  case heartbeat

  /// What a transition's document says by itself. An acknowledgement is an update that only its transition tells apart.
  package init(_ document: AlertDocument) {
    switch document.phase {
    case .start: self = .opened
    case .update, .deEscalate: self = .updated
    case .escalate: self = .escalated
    case .end: self = .resolved
    }
  }
}

/// One request header beside those of every webhook.
package struct WebhookHeader: Hashable, Sendable {
  /// A token.
  package var name: String
  /// Printable ASCII.
  package var value: String

  package init(_ name: String, _ value: String) {
    self.name = name
    self.value = value
  }
}
