import Testing
import VitalModel

@testable import WebhookFormats

@Suite struct StandardAndCloudEventsTests {
  @Test func standardIsTheEnvelopeAroundTheDocument() {
    let full = encode(.standard)
    #expect(full.contentType == "application/json" && full.headers.isEmpty)
    let expected =
      #"{"type":"alert.opened","timestamp":"2026-11-20T22:38:00.123Z","data":"# + sampleAlert().json + "}"
    #expect(text(full) == expected)
  }

  @Test func thinIsIdsOnly() {
    var alert = sampleAlert()
    alert.alertID = "a-\"1\u{1}"
    let thin = encode(.standard, sampleWebhook(.resolved, [alert]), payload: .thin)
    let expected =
      #"{"type":"alert.resolved","timestamp":"2026-11-20T22:38:00.123Z","#
      + #""data":{"alert_id":"a-\"1\u0001","sequence":3}}"#
    #expect(text(thin) == expected)
  }

  @Test func aDigestIsAListOfAlerts() throws {
    let alerts = [sampleAlert(), sampleAlert()]
    for format in [WebhookFormat.standard, .cloudevents] {
      let thin = try JSONView(encode(format, sampleWebhook(.digest, alerts), payload: .thin))
      #expect(thin["data"]["alerts"].count == 2)
      #expect(thin["data"]["alerts"][1]["sequence"].number == 3)
      let full = try JSONView(encode(format, sampleWebhook(.digest, alerts)))
      #expect(full["data"]["alerts"][0]["patient"].text == "p-secret-017")
    }
  }

  @Test func cloudEventsAttributesHoldNoPersonalData() throws {
    let encoded = encode(.cloudevents, payload: .thin)
    #expect(encoded.contentType == "application/cloudevents+json")
    let expected =
      #"{"specversion":"1.0","id":"a-00112233445566778899aabbccddeeff-3","source":"/vigil/north","#
      + #""type":"vigil.alert.opened","subject":"a-00112233445566778899aabbccddeeff","#
      + #""time":"2026-11-20T22:38:00.123Z","datacontenttype":"application/json","#
      + #""data":{"alert_id":"a-00112233445566778899aabbccddeeff","sequence":3}}"#
    #expect(text(encoded) == expected)
    let full = try JSONView(encode(.cloudevents))
    #expect(full["data"]["value"].number == 42.42)
    for key in ["id", "source", "type", "subject"] { #expect(full[key].text?.contains("secret") == false) }
  }

  @Test func aTenantIsOneSegmentOfTheSource() throws {
    var alert = sampleAlert()
    alert.tenant = "n/ö"
    #expect(try JSONView(encode(.cloudevents, sampleWebhook(.opened, [alert])))["source"].text == "/vigil/n%2F%C3%B6")
    alert.tenant = ""
    #expect(try JSONView(encode(.cloudevents, sampleWebhook(.opened, [alert])))["source"].text == "/vigil")
  }

  @Test func heartbeats() throws {
    var data = JSONText()
    data.object { $0.field("trip_ms", 12) }
    func beat(_ format: WebhookFormat) throws -> JSONView {
      let encoder = WebhookEncoder(format: format, payload: .thin, registry: sampleRegistry)
      return try JSONView(encoder.heartbeat(webhookID: "heartbeat-1-1", timestampMs: 0, data: data))
    }
    #expect(try beat(.standard)["type"].text == "heartbeat")
    #expect(try beat(.standard)["data"]["trip_ms"].number == 12)
    #expect(try beat(.cloudevents)["type"].text == "vigil.heartbeat")
    #expect(try beat(.cloudevents)["source"].text == "/vigil")
    #expect(try beat(.cloudevents)["data"]["trip_ms"].number == 12)
  }

  @Test func aDocumentSaysItsTypeItself() {
    var alert = sampleAlert()
    let types = AlertPhase.allCases.map { phase in
      alert.phase = phase
      return WebhookType(alert).rawValue
    }
    #expect(types == ["alert.opened", "alert.updated", "alert.escalated", "alert.updated", "alert.resolved"])
  }
}
