import AlertJournal
import Configuration
import Delivery
import Foundation
import Testing
import VitalModel
import WebhookFormats

@testable import Service

/// From transition to outbox row, each receiver in its own format.
@Suite struct WebhookRowsTests {
  private static let signing = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3"
  private static let routing = "0123456789abcdef0123456789abcdef"
  private static let plan = RulePlan(registry: VitalRegistry([]), rules: [], scores: [], version: "")

  private func configuration() throws -> VigilConfiguration {
    var lines = ["receivers:"]
    for format in WebhookFormat.allCases {
      let secret = format.isSigned ? ", secret: env:S" : format == .pagerduty ? ", secret: env:P" : ""
      let payload = format.isAlwaysThin ? "" : ", payload: full"
      lines.append(
        "  - { name: \(format.rawValue), url: \"https://a.example/\", format: \(format.rawValue)\(secret)\(payload) }")
    }
    let secrets = SecretSources(
      environment: { $0 == "P" ? WebhookRowsTests.routing : WebhookRowsTests.signing }, file: { _ in nil })
    return try VigilConfiguration.parse(lines.joined(separator: "\n"), file: "v.yaml", secrets: secrets)
  }

  private func document() -> AlertDocument {
    var document = ReceiverBuilder.testDocument(now: 1_795_000_000_000)
    document.members = ["news2-medium"]
    document.sources = ["d-1/pleth"]
    document.patients = ["p-1", "p-2"]
    document.limit = DecimalValue("90.5")
    document.value = DecimalValue("-0.125")
    document.suppressed = AlertDocument.Suppressed(stage: .silence, by: "s-1", until: 1_795_000_001_000)
    document.acknowledgement = Acknowledgement(by: "u-1", kind: .notRelevant, note: "n\"ote", time: 1_795_000_002_000)
    (document.responsibility, document.responder) = (.accepted, "u-2")
    (document.phase, document.state, document.stillActive) = (.deEscalate, .latched, false)
    (document.attemptLevel, document.respondBy) = (2, 1_795_000_003_000)
    (document.escalatedTo, document.isRecurrent, document.isRealarm) = ("team", true, true)
    (document.endReason, document.verification, document.unverified) = ("done", "supported", true)
    (document.retrospective, document.durationSeconds, document.kind) = (true, 15, .advisory)
    return document
  }

  @Test func aStoredDocumentIsReadBackWhole() {
    for document in [
      document(), AlertDocument(), ServiceAlert.document(rule: "r", title: "t", message: "m", subject: "s", now: 5),
    ] {
      #expect(AlertDocument(json: document.json)?.json == document.json)
    }
    #expect(AlertDocument(json: document().json) == document())
    #expect(AlertDocument(json: "{}") == nil && AlertDocument(json: "x") == nil)
    #expect(AlertDocument(json: #"{"alert_id":"a"}"#)?.alertID == "a")
  }

  @Test func eachReceiverGetsItsOwnFormatUnderOneWebhookID() throws {
    let rows = Webhooks.rows(
      document(), type: .acknowledged, to: try configuration().receivers, plan: Self.plan, now: 1_795_000_004_000)
    #expect(rows.map(\.receiver) == WebhookFormat.allCases.map(\.rawValue))
    #expect(Set(rows.map(\.webhookID)).count == 1 && rows.allSatisfy { $0.type == "alert.acknowledged" })
    let types = Dictionary(uniqueKeysWithValues: rows.map { ($0.receiver, $0.contentType) })
    #expect(types["cloudevents"] == "application/cloudevents+json" && types["fhir"] == "application/fhir+json")
    #expect(types["standard"] == "application/json")
    for row in rows {
      let text = String(decoding: row.body, as: UTF8.self)
      #expect(!text.contains(Self.routing) && !text.contains("whsec_"), "no secret in an outbox row")
      let isThin = ["pagerduty", "slack", "teams"].contains(row.receiver)
      #expect(text.contains("test-patient") == !isThin, "\(row.receiver)")
    }
  }

  @Test func withoutATypeTheDocumentSaysIt() throws {
    let rows = Webhooks.rows(document(), to: try configuration().receivers, plan: Self.plan, now: 0)
    #expect(rows.allSatisfy { $0.type == "alert.updated" })
  }

  @Test func deliverysReceiversHaveWhatTheirFormatNeeds() throws {
    let receivers = try ReceiverBuilder.receivers(try configuration())
    for (receiver, format) in zip(receivers, WebhookFormat.allCases) {
      #expect(receiver.secrets.count == (format.isSigned ? 1 : 0))
      #expect((receiver.routingKey != nil) == (format == .pagerduty))
    }
    #expect(ReceiverBuilder.complaints(try configuration()).isEmpty)
    var bare = try configuration()
    for index in bare.receivers.indices { bare.receivers[index].secrets = [] }
    let complaints = ReceiverBuilder.complaints(bare)
    #expect(complaints.count == 5)
    #expect(complaints.contains { $0.contains("`pagerduty` has no secret; PagerDuty needs its integration key") })
  }

  @Test func aTestKeepsItsAlertAndChangesItsWebhookID() throws {
    let configuration = try configuration()
    func test(_ type: WebhookType, _ now: Int64) -> (id: String, body: String) {
      let all = ReceiverBuilder.tests(configuration, type: type, registry: VitalRegistry([]), now: now)
      let pager = all[WebhookFormat.allCases.firstIndex(of: .pagerduty)!]
      return (pager.webhookID, String(decoding: pager.encoded.body, as: UTF8.self))
    }
    let (opened, resolved) = (test(.opened, 1_795_000_000_000), test(.resolved, 1_795_000_005_000))
    #expect(opened.id != resolved.id)
    let key = try #require(opened.body.firstMatch(of: /"dedup_key":"[^"]+"/)?.output)
    #expect(resolved.body.contains(key) && resolved.body.contains(#""event_action":"resolve""#))
  }
}
