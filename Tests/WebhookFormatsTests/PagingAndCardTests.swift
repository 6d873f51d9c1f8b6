import Testing
import VitalModel

@testable import WebhookFormats

@Suite struct AlertmanagerTests {
  @Test func version4AsAlertmanagerWritesIt() throws {
    let view = try JSONView(encode(.alertmanager))
    #expect(view["version"].text == "4")
    #expect(view["status"].text == "firing")
    #expect(view["receiver"].text == "desk")
    #expect(view["groupKey"].text == #"{}:{alert_id="a-00112233445566778899aabbccddeeff"}"#)
    #expect(view["groupLabels"]["alert_id"].text == "a-00112233445566778899aabbccddeeff")
    #expect(view["truncatedAlerts"].number == 0)
    let alert = view["alerts"][0]
    #expect(alert["status"].text == "firing")
    #expect(alert["labels"]["alertname"].text == "spo2-low")
    #expect(alert["labels"]["severity"].text == "critical")
    #expect(alert["labels"]["patient"].text == "p-secret-017")
    #expect(alert["annotations"]["summary"].text == "Low oxygen saturation")
    #expect(alert["annotations"]["value"].text == "42.42 %")
    #expect(alert["startsAt"].text == "2026-11-20T22:37:16.000Z")
    #expect(alert["endsAt"].text == "0001-01-01T00:00:00Z")
    #expect(alert["fingerprint"].text?.count == 16)
    #expect(view["commonLabels"]["unit"].text == "ward-7")
  }

  @Test func anAlertKeepsItsGroupAndFingerprintWhileItsSeverityRises() throws {
    var alert = sampleAlert()
    alert.priority = .low
    let before = try JSONView(encode(.alertmanager, sampleWebhook(.opened, [alert])))
    alert.priority = .high
    let after = try JSONView(encode(.alertmanager, sampleWebhook(.escalated, [alert])))
    #expect(before["alerts"][0]["fingerprint"].text == after["alerts"][0]["fingerprint"].text)
    #expect(before["groupKey"].text == after["groupKey"].text)
    #expect(before["alerts"][0]["labels"]["severity"].text == "info")
  }

  @Test func whatEndedIsResolvedWithItsTime() throws {
    var other = sampleAlert()
    other.alertID = "a-2"
    other.locationBed = "13"
    for webhook in [sampleWebhook(.resolved), sampleWebhook(.digest, [sampleAlert(), other])] {
      let view = try JSONView(encode(.alertmanager, webhook))
      #expect(view["status"].text == "resolved")
      #expect(view["alerts"].list.allSatisfy { $0["status"].text == "resolved" })
      #expect(view["alerts"][0]["endsAt"].text == "2026-11-20T22:38:00.123Z")
    }
    let digest = try JSONView(encode(.alertmanager, sampleWebhook(.digest, [sampleAlert(), other])))
    #expect(digest["commonLabels"]["unit"].text == "ward-7")
    #expect(digest["commonLabels"]["bed"].isNull)
    #expect(digest["groupKey"].text?.hasPrefix("{}:{digest=") == true)
    let acknowledged = try JSONView(encode(.alertmanager, sampleWebhook(.acknowledged)))
    #expect(acknowledged["status"].text == "firing")
    #expect(acknowledged["alerts"][0]["annotations"]["acknowledged_by"].text == "user-secret")
  }
}

@Suite struct PagerDutyTests {
  @Test func triggerAcknowledgeAndResolveShareTheAlertsId() throws {
    let actions: [(WebhookType, String)] = [
      (.opened, "trigger"), (.updated, "trigger"), (.escalated, "trigger"), (.acknowledged, "acknowledge"),
      (.resolved, "resolve"),
    ]
    for (type, action) in actions {
      let view = try JSONView(encode(.pagerduty, sampleWebhook(type)))
      #expect(view["event_action"].text == action)
      #expect(view["dedup_key"].text == "a-00112233445566778899aabbccddeeff")
      #expect(view["payload"].isNull == (action != "trigger"))
    }
  }

  @Test func aTriggerHasWhatPagerDutyRequires() throws {
    let encoded = encode(.pagerduty)
    #expect(!text(encoded).contains("routing_key"), "a secret is never in an outbox row")
    let payload = try JSONView(encoded)["payload"]
    #expect(payload["summary"].text == "HIGH Low oxygen saturation, ward-7 bed 12")
    #expect(payload["source"].text == "vigil/north")
    #expect(payload["severity"].text == "critical")
    #expect(payload["group"].text == "ward-7")
    #expect(payload["class"].text == "spo2-low")
    #expect(payload["custom_details"]["sequence"].number == 3)
  }

  @Test func prioritiesBecomeSeverities() throws {
    var alert = sampleAlert()
    let severities = try Priority.allCases.reversed().map { priority in
      alert.priority = priority
      return try JSONView(encode(.pagerduty, sampleWebhook(.opened, [alert])))["payload"]["severity"].text
    }
    #expect(severities == ["critical", "error", "warning", "info"])
  }

  @Test func aDigestIsToldAndClosesNothing() throws {
    let view = try JSONView(encode(.pagerduty, sampleWebhook(.digest, [sampleAlert(), sampleAlert()])))
    #expect(view["event_action"].text == "trigger")
    #expect(view["payload"]["severity"].text == "info")
    #expect(view["payload"]["summary"].text == "2 alerts ended while this receiver could not be reached")
    #expect(view["payload"]["custom_details"]["alert_ids"].count == 2)
    #expect(!WebhookFormat.pagerduty.digestClosesAlerts)
    #expect(WebhookFormat.allCases.filter { !$0.digestClosesAlerts } == [.pagerduty])
  }
}

@Suite struct CardTests {
  @Test func slackIsHeaderFieldsAndContext() throws {
    let view = try JSONView(encode(.slack))
    #expect(view["text"].text == "HIGH Low oxygen saturation, ward-7 bed 12")
    #expect(view["blocks"].list.map { $0["type"].text } == ["header", "section", "context"])
    #expect(view["blocks"][0]["text"]["type"].text == "plain_text")
    let fields = view["blocks"][1]["fields"].list.compactMap { $0["text"].text }
    #expect(fields.contains("*Priority*\nhigh"))
    #expect(fields.contains("*Bed*\n12"))
  }

  @Test func slackTextsBecomeNoLinksAndNoMentions() throws {
    var alert = sampleAlert()
    alert.ruleTitle = "<!channel> & <https://x.example|y>"
    alert.locationUnit = "<@U1>"
    let view = try JSONView(encode(.slack, sampleWebhook(.escalated, [alert])))
    #expect(view["text"].text?.contains("<") == false)
    for field in view["blocks"][1]["fields"].list { #expect(field["text"].text?.contains("<") == false) }
    // A plain_text header shows what it is given.
    #expect(view["blocks"][0]["text"]["text"].text?.hasSuffix("(escalated)") == true)
  }

  @Test func slackKeepsToItsLimits() throws {
    var alert = sampleAlert()
    alert.ruleTitle = String(repeating: "ä", count: 500)
    let view = try JSONView(encode(.slack, sampleWebhook(.opened, [alert])))
    #expect(view["blocks"][0]["text"]["text"].text!.utf8.count <= 150)
    let digest = try JSONView(encode(.slack, sampleWebhook(.digest, Array(repeating: alert, count: 50))))
    let list = try #require(digest["blocks"][1]["text"]["text"].text)
    #expect(list.utf8.count <= 3000 && list.hasSuffix("and 30 more"))
  }

  @Test func teamsIsOneAdaptiveCard() throws {
    let view = try JSONView(encode(.teams))
    #expect(view["type"].text == "message")
    let attachment = view["attachments"][0]
    #expect(attachment["contentType"].text == "application/vnd.microsoft.card.adaptive")
    let card = attachment["content"]
    #expect(card["type"].text == "AdaptiveCard")
    #expect(card["version"].text == "1.4")
    #expect(card["body"].list.map { $0["type"].text } == ["TextBlock", "FactSet", "TextBlock"])
    #expect(card["body"][0]["text"].text == "HIGH Low oxygen saturation, ward-7 bed 12")
    #expect(card["body"][0]["color"].text == "Attention")
    #expect(card["body"][1]["facts"][0]["value"].text == "high")
  }

  @Test func teamsListsADigest() throws {
    let view = try JSONView(encode(.teams, sampleWebhook(.digest, Array(repeating: sampleAlert(), count: 25))))
    let lines = view["attachments"][0]["content"]["body"].list.compactMap { $0["text"].text }
    #expect(lines.count == 23)
    #expect(lines[0] == "25 alerts ended while this receiver could not be reached")
    #expect(lines[21] == "and 5 more")
  }
}
