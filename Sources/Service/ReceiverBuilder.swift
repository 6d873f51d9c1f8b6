import Configuration
import Delivery
import VitalModel

/// For commands that speak to receivers without the service.
package enum ReceiverBuilder {
  package static func receivers(_ configuration: VigilConfiguration) throws(ReceiverError) -> [Receiver] {
    try Webhooks.receivers(configuration)
  }

  /// One line for each receiver that cannot be used as configured.
  package static func complaints(_ configuration: VigilConfiguration) -> [String] {
    configuration.receivers.filter(\.secrets.isEmpty).map {
      "receivers: `\($0.name)` has no secret; webhooks are always signed (secret: env:NAME or file:PATH)"
    }
  }

  /// An alert that says of itself that it is a test.
  package static func testDocument(now: Int64) -> AlertDocument {
    var document = ServiceAlert.document(
      rule: "webhook-test", title: "Webhook test", message: "test of this receiver: nothing is wrong", subject: "test",
      now: now)
    document.priority = .info
    document.simulated = true
    return document
  }
}

extension VigilService {
  /// No broker was ever reached within the time allowed at start.
  package var brokerNeverCame: Bool { watch?.brokerNeverCame ?? false }
}
