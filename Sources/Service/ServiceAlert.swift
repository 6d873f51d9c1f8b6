import Digests
import VitalModel

/// Alerts of the service about itself: about no patient, so they name none.
enum ServiceAlert {
  static func document(rule: String, title: String, message: String, subject: String, now: Int64) -> AlertDocument {
    var document = AlertDocument()
    let parts = ["vigil", rule, subject, String(now)].joined(separator: "\u{1F}")
    document.alertID = "a-" + hex(sha256(parts).prefix(16))
    document.ruleID = rule
    document.ruleVersion = "built-in:1"
    document.ruleTitle = title
    document.priority = .high
    document.kind = .technical
    document.onsetTime = now
    document.detectedTime = now
    document.message = message
    return document
  }
}
