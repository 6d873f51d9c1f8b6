import VitalModel

/// All that a thin payload may say of an alert: ids, priority, the place of the bed, the rule's title (SEMANTICS E6).
///
/// Encoders for outside services are given these and never a document, so that no slip of theirs can send a patient, a
/// device, a value or a message.
struct ThinAlert: Sendable, Equatable {
  var alertID: String
  var sequence: Int
  var tenant: String
  var ruleID: String
  var ruleTitle: String
  var priority: Priority
  var unit: String?
  var bed: String?
  var isEnded: Bool
  /// A safety label: what is simulated says so everywhere.
  var isSimulated: Bool

  init(_ document: AlertDocument, isEnded: Bool) {
    alertID = document.alertID
    sequence = document.sequence
    tenant = document.tenant
    ruleID = document.ruleID
    ruleTitle = document.ruleTitle
    priority = document.priority
    unit = document.locationUnit
    bed = document.locationBed
    self.isEnded = isEnded
    isSimulated = document.simulated
  }

  /// `ward-7 bed 12`; nil without a unit and a bed.
  var place: String? {
    let parts = [unit, bed.map { "bed \($0)" }].compactMap { $0 }
    return parts.isEmpty ? nil : parts.joined(separator: " ")
  }

  /// `[SIMULATED] HIGH Low oxygen saturation, ward-7 bed 12`, in at most `limit` bytes.
  func headline(_ type: WebhookType, limit: Int) -> String {
    var text = isSimulated ? "[SIMULATED] " : ""
    text += "\(priority.text.uppercased()) \(ruleTitle)"
    if let place { text += ", \(place)" }
    switch type {
    case .opened, .digest, .heartbeat: break
    case .updated: text += " (updated)"
    case .escalated: text += " (escalated)"
    case .acknowledged: text += " (acknowledged)"
    case .resolved: text += " (resolved)"
    }
    return text.cut(toBytes: limit)
  }
}

extension Webhook {
  /// The alerts as an outside service may see them.
  var thinAlerts: [ThinAlert] { alerts.map { ThinAlert($0, isEnded: isEnded($0)) } }

  /// `3 alerts ended while this receiver could not be reached`, marked where any is simulated.
  var digestHeadline: String {
    let mark = alerts.contains { $0.simulated } ? "[SIMULATED] " : ""
    let count = alerts.count == 1 ? "1 alert" : "\(alerts.count) alerts"
    return "\(mark)\(count) ended while this receiver could not be reached"
  }
}

extension String {
  /// The text, or as many whole characters as fit into so many bytes of UTF-8 with `…` behind them.
  func cut(toBytes limit: Int) -> String {
    guard utf8.count > limit else { return self }
    var kept = ""
    var bytes = 0
    for character in self {
      bytes += character.utf8.count
      if bytes > limit - 3 { break }
      kept.append(character)
    }
    return kept + "…"
  }
}
