import AlertJournal
import HTTPAPI
import TestSupport
import Testing

@testable import Service

/// Receivers that are away, broken, busy, elsewhere or slow.
@Suite struct FaultReceiverTests {
  /// A device's own alarm: one message, one page of high priority.
  private func ring(_ ward: Ward, _ device: String) throws {
    let payload = #"{"time":\#(ward.now),"event":"asystole","phase":"start","priority":"high"}"#
    try ward.send(device, payload, channel: "event")
  }
  private let rule = "device-alarm-asystole"

  @Test func aReceiverThatIsAwayGetsEverythingLaterAlsoAfterARestart() throws {
    let ward = try Ward()
    try ward.start(inbox: false)
    for number in 0..<3 { try ring(ward, "d-\(number)") }
    #expect(eventually { ward.log.has("webhook not delivered", "hook") })
    let outbox = try ward.running.store.outbox
    #expect(eventually { (try? outbox.count()) ?? 0 >= 3 })
    let owed = Set(try outbox.all().map(\.row.webhookID))
    #expect(owed.count >= 3)
    ward.stop()
    try ward.start()
    let service = try ward.running
    #expect(eventually { (try? service.store.outbox.count()) == 0 })
    #expect(owed.isSubset(of: Set(ward.inbox.told.map(\.webhookID))))
    #expect(Set(ward.inbox.opened(rule).map(\.patient)) == ["d-0", "d-1", "d-2"])
    #expect(Set(ward.inbox.told.map(\.webhookID)).count == ward.inbox.requests.count)
    #expect(eventually { ward.metric(#"vigil_delivery_attempts_total{receiver="hook",outcome="delivered"}"#) >= 3 })
  }

  @Test func errorsPausesRedirectsAndSlowAnswersLoseNothing() throws {
    let ward = try Ward()
    let elsewhere = try Inbox()
    try elsewhere.open()
    let script: [WebhookReceiver.Behaviour] = [
      .status(500), .retryAfter(status: 429, seconds: 1), .redirect(to: elsewhere.url), .slow(ms: 500),
    ]
    try ward.inbox.open(script: script)
    try ward.start(inbox: false)
    try ring(ward, "d-1")
    #expect(eventually(within: 40) { ward.inbox.opened(rule).count == 1 }, "\(ward.inbox.requests)")
    #expect(ward.inbox.requests.prefix(4).map(\.status) == [500, 429, 302, 204])
    let ids = Set(ward.inbox.requests.prefix(4).map(\.webhookID))
    #expect(ids == [try #require(ward.inbox.opened(rule).first).webhookID])
    #expect(elsewhere.requests.isEmpty)
    #expect(ward.log.has("webhook not delivered", "500"))
    let service = try ward.running
    #expect(eventually { (try? service.store.outbox.count()) == 0 })
    elsewhere.close()
  }

  @Test func aDeadReceiverIsToldToTheOthers() throws {
    let ward = try Ward()
    let second = try Inbox()
    try second.open()
    let secret = try ward.folder.write("whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3\n", to: "second")
    ward.options.receivers = [
      "  - { name: desk, url: \"\(second.url)\", secret: \"file:\(secret)\", payload: full, allow_private: true }"
    ]
    ward.options.to = "[hook, desk]"
    try ward.start(inbox: false)
    try ring(ward, "d-1")
    #expect(eventually { second.opened(rule).count == 1 })
    #expect(eventually(within: 60) { !second.opened("delivery-failed").isEmpty }, "\(second.requests)")
    #expect(ward.log.has("high alert not delivered", "hook"))
    second.close()
  }
}
