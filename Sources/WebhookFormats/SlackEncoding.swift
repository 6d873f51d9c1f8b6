import VitalModel

/// `slack`: an incoming webhook of Slack, as blocks with a plain text for notifications.
enum SlackEncoding {
  /// The longest header and the longest text of a section Slack takes, and the most alerts a digest lists.
  private static let headerMax = 150
  private static let sectionMax = 3000
  private static let listedMax = 20

  static func encode(_ webhook: Webhook, _ alerts: [ThinAlert]) -> EncodedWebhook {
    let headline =
      webhook.type == .digest
      ? webhook.digestHeadline : alerts.first?.headline(webhook.type, limit: headerMax) ?? ""
    var out = JSONText()
    out.object { out in
      out.field("text", escaped(headline))
      out.array("blocks") { out in
        out.object { out in
          out.field("type", "header")
          out.object("text") {
            $0.field("type", "plain_text")
            $0.field("text", headline)
          }
        }
        if webhook.type == .digest {
          section(list(alerts), to: &out)
        } else {
          for alert in alerts.prefix(1) { fields(of: alert, to: &out) }
        }
        context("Vigil · \(Timestamp.format(webhook.timestampMs)) · \(webhook.webhookID)", to: &out)
      }
    }
    return EncodedWebhook(out)
  }

  private static func fields(of alert: ThinAlert, to out: inout JSONText) {
    var pairs = [("Priority", alert.priority.text), ("Rule", alert.ruleID)]
    if let unit = alert.unit { pairs.append(("Unit", unit)) }
    if let bed = alert.bed { pairs.append(("Bed", bed)) }
    pairs.append(("Alert", alert.alertID))
    out.object { out in
      out.field("type", "section")
      out.array("fields") { out in
        for (name, value) in pairs { markdown("*\(name)*\n\(escaped(value.cut(toBytes: 1000)))", to: &out) }
      }
    }
  }

  private static func list(_ alerts: [ThinAlert]) -> String {
    var lines = alerts.prefix(listedMax).map { "• " + escaped("\($0.headline(.digest, limit: 80)) · \($0.alertID)") }
    if alerts.count > listedMax { lines.append("and \(alerts.count - listedMax) more") }
    return lines.isEmpty ? "none" : lines.joined(separator: "\n").cut(toBytes: sectionMax)
  }

  private static func section(_ text: String, to out: inout JSONText) {
    out.object { out in
      out.field("type", "section")
      out.object("text") {
        $0.field("type", "mrkdwn")
        $0.field("text", text)
      }
    }
  }

  private static func context(_ text: String, to out: inout JSONText) {
    out.object { out in
      out.field("type", "context")
      out.array("elements") { markdown(text, to: &$0) }
    }
  }

  private static func markdown(_ text: String, to out: inout JSONText) {
    out.object {
      $0.field("type", "mrkdwn")
      $0.field("text", text)
    }
  }

  /// Slack's three control characters, without which no text can become a link or a mention.
  private static func escaped(_ text: String) -> String {
    text.replacing("&", with: "&amp;").replacing("<", with: "&lt;").replacing(">", with: "&gt;")
  }
}
