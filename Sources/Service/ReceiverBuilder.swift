import Configuration
import Delivery
import VitalModel
import WebhookFormats

/// For commands that speak to receivers without the service.
package enum ReceiverBuilder {
  package static func receivers(_ configuration: VigilConfiguration) throws(ReceiverError) -> [Receiver] {
    try Webhooks.receivers(configuration)
  }

  /// One line for each receiver that cannot be used as configured.
  package static func complaints(_ configuration: VigilConfiguration) -> [String] {
    configuration.receivers.filter { $0.secrets.isEmpty && $0.format.needsSecret }.map { receiver in
      let why = receiver.format == .pagerduty ? "PagerDuty needs its integration key" : "webhooks are always signed"
      return "receivers: `\(receiver.name)` has no secret; \(why) (secret: env:NAME or file:PATH)"
    }
  }

  /// A test webhook for each receiver, in its own format and payload.
  ///
  /// The alert is the same at every call, so that a second test can resolve what a first one opened; its sequence, and with
  /// it the webhook id, is the time in seconds.
  ///
  /// - Parameter registry: names the vital in `fhir`.
  package static func tests(
    _ configuration: VigilConfiguration, type: WebhookType, registry: VitalRegistry, now: Int64
  ) -> [(receiver: String, webhookID: String, encoded: EncodedWebhook)] {
    var document = testDocument(now: now)
    switch type {
    case .opened, .heartbeat: break
    case .updated: document.phase = .update
    case .escalated: document.phase = .escalate
    case .acknowledged:
      document.phase = .update
      document.acknowledgement = Acknowledgement(by: "test-user", kind: .actionable, time: now)
    case .resolved, .digest:
      document.phase = .end
      document.state = .inactive
      document.stillActive = false
      document.endReason = "test"
    }
    let webhookID = OutboxItem.webhookID(alertID: document.alertID, sequence: document.sequence)
    return configuration.receivers.map { receiver in
      let webhook = Webhook(
        type: type, webhookID: webhookID, receiver: receiver.name, timestampMs: now, alerts: [document],
        showsMeasuredValue: true)
      let encoder = Webhooks.encoder(receiver, registry)
      guard type == .heartbeat else { return (receiver.name, webhookID, encoder.encode(webhook)) }
      var data = JSONText()
      data.object { $0.field("test", true) }
      return (
        receiver.name, webhookID, encoder.heartbeat(webhookID: webhookID, timestampMs: now, data: data)
      )
    }
  }

  /// An alert that says of itself that it is a test.
  package static func testDocument(now: Int64) -> AlertDocument {
    var document = ServiceAlert.document(
      rule: "webhook-test", title: "Webhook test", message: "test of this receiver: nothing is wrong (SpO2 87.65 %)",
      subject: "test", now: 0)
    document.sequence = Int(now / 1000)
    document.tenant = "test"
    document.patient = "test-patient"
    document.device = "test-device"
    document.kind = .physiological
    document.priority = .info
    document.onsetTime = now
    document.detectedTime = now
    document.code = "spo2"
    document.value = DecimalValue(mantissa: 8765, exponent: -2)
    document.unit = "%"
    document.limit = DecimalValue(mantissa: 90)
    document.locationUnit = "test"
    document.locationBed = "1"
    document.simulated = true
    return document
  }
}

extension VigilService {
  /// No broker was ever reached within the time allowed at start.
  package var brokerNeverCame: Bool { watch?.brokerNeverCame ?? false }
}
