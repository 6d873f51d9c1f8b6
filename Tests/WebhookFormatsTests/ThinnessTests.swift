import Testing
import VitalModel

@testable import WebhookFormats

/// SEMANTICS E6: thin is thin, in every format and of every kind.
@Suite struct ThinnessTests {
  private static let types = WebhookType.allCases.filter { $0 != .heartbeat }

  /// The sample with an escaped and a plain form of what must not be seen.
  private func leaks(_ encoded: EncodedWebhook) -> [String] {
    let seen = text(encoded) + encoded.headers.map { "\($0.name): \($0.value)" }.joined(separator: "\n")
    return (secretWords + ["42.42", "note", "msg"]).filter(seen.contains)
  }

  @Test(arguments: WebhookFormat.allCases, types)
  func aThinPayloadHoldsNoPatientDeviceValueOrMessage(_ format: WebhookFormat, _ type: WebhookType) {
    let alerts = type == .digest ? [sampleAlert(), sampleAlert()] : [sampleAlert()]
    let encoded = encode(format, sampleWebhook(type, alerts), payload: .thin)
    #expect(leaks(encoded).isEmpty, "\(text(encoded))")
    #expect(text(encoded).contains("a-00112233445566778899aabbccddeeff"))
  }

  @Test(arguments: [WebhookFormat.slack, .teams, .pagerduty], types)
  func slackTeamsAndPagerDutyAreAlwaysThin(_ format: WebhookFormat, _ type: WebhookType) {
    let webhook = sampleWebhook(type)
    #expect(encode(format, webhook, payload: .full) == encode(format, webhook, payload: .thin))
    #expect(WebhookEncoder(format: format, payload: .full, registry: sampleRegistry).payload == .thin)
  }

  @Test(arguments: [WebhookFormat.standard, .cloudevents, .alertmanager, .fhir])
  func aFullPayloadHoldsPatientAndValue(_ format: WebhookFormat) {
    let seen = text(encode(format))
    for word in ["p-secret-017", "42.42", "msg-secret", "d-secret-9"] {
      #expect(seen.contains(word), "\(format) \(word)")
    }
  }

  @Test(arguments: WebhookFormat.allCases)
  func theSameWebhookGivesTheSameBytes(_ format: WebhookFormat) {
    #expect(encode(format) == encode(format))
  }

  /// Synthetic data says so wherever it is shown (standard and cloudevents, thin, are ids only).
  @Test(arguments: [WebhookFormat.alertmanager, .pagerduty, .slack, .teams, .fhir])
  func whatIsSimulatedSaysSoThinToo(_ format: WebhookFormat) {
    var alert = sampleAlert()
    alert.simulated = true
    let seen = text(encode(format, sampleWebhook(.opened, [alert]), payload: .thin)).lowercased()
    #expect(seen.contains("simulated") && !seen.contains("\"simulated\":false"))
  }

  @Test(arguments: WebhookFormat.allCases, WebhookPayload.allCases)
  func everyFormatTakesEveryKindAndNothingAtAll(_ format: WebhookFormat, _ payload: WebhookPayload) throws {
    var hostile = sampleAlert()
    hostile.ruleTitle = "a\"\\\u{1}<!channel>&\n" + String(repeating: "é", count: 4000)
    hostile.locationUnit = "u\u{7}\"}"
    hostile.tenant = "n/ö rd"
    for alert in [AlertDocument(), sampleAlert(), hostile] {
      for type in Self.types {
        let encoded = encode(format, sampleWebhook(type, [alert]), payload: payload)
        #expect(try !JSONView(encoded).isNull)
        #expect(encoded.contentType.contains("json"))
      }
    }
    _ = try JSONView(encode(format, sampleWebhook(.digest, []), payload: payload))
    let many = sampleWebhook(.digest, Array(repeating: hostile, count: 300))
    if format.isAlwaysThin { #expect(encode(format, many).body.count < 28_000) }
  }
}
