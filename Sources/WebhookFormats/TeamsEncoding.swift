import VitalModel

/// `teams`: a message with one Adaptive Card, as a Microsoft Teams workflow takes it.
enum TeamsEncoding {
  /// Alerts a digest lists; Teams refuses messages of more than 28 KB.
  private static let listedMax = 20

  static func encode(_ webhook: Webhook, _ alerts: [ThinAlert]) -> EncodedWebhook {
    var out = JSONText()
    out.object { out in
      out.field("type", "message")
      out.array("attachments") { out in
        out.object { out in
          out.field("contentType", "application/vnd.microsoft.card.adaptive")
          out.null("contentUrl")
          out.object("content") { card(webhook, alerts, to: &$0) }
        }
      }
    }
    return EncodedWebhook(out)
  }

  private static func card(_ webhook: Webhook, _ alerts: [ThinAlert], to out: inout JSONText) {
    out.field("$schema", "http://adaptivecards.io/schemas/adaptive-card.json")
    out.field("type", "AdaptiveCard")
    out.field("version", "1.4")
    out.array("body") { out in
      if webhook.type == .digest {
        text(webhook.digestHeadline, isTitle: true, priority: .low, to: &out)
        for alert in alerts.prefix(listedMax) {
          text("\(alert.headline(.digest, limit: 200)) · \(alert.alertID)", priority: .low, to: &out)
        }
        if alerts.count > listedMax { text("and \(alerts.count - listedMax) more", priority: .low, to: &out) }
      } else {
        for alert in alerts.prefix(1) {
          text(alert.headline(webhook.type, limit: 300), isTitle: true, priority: alert.priority, to: &out)
          facts(of: alert, to: &out)
        }
      }
      text("Vigil, \(Timestamp.format(webhook.timestampMs))", priority: .low, to: &out)
    }
    out.object("msteams") { $0.field("width", "Full") }
  }

  private static func text(_ text: String, isTitle: Bool = false, priority: Priority, to out: inout JSONText) {
    out.object {
      $0.field("type", "TextBlock")
      $0.field("text", text)
      $0.field("wrap", true)
      guard isTitle else { return }
      $0.field("size", "Medium")
      $0.field("weight", "Bolder")
      $0.field("color", priority == .high ? "Attention" : priority == .medium ? "Warning" : "Default")
    }
  }

  private static func facts(of alert: ThinAlert, to out: inout JSONText) {
    var pairs = [("Priority", alert.priority.text), ("Rule", alert.ruleID)]
    if let unit = alert.unit { pairs.append(("Unit", unit)) }
    if let bed = alert.bed { pairs.append(("Bed", bed)) }
    pairs += [("Alert", alert.alertID), ("Sequence", "\(alert.sequence)")]
    out.object { out in
      out.field("type", "FactSet")
      out.array("facts") { out in
        for (title, value) in pairs {
          out.object {
            $0.field("title", title)
            $0.field("value", value.cut(toBytes: 1000))
          }
        }
      }
    }
  }
}
