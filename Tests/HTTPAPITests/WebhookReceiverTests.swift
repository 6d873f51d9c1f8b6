import Synchronization
import TestSupport
import Testing

@testable import HTTPAPI

@Suite("Built-in webhook receiver", .timeLimit(.minutes(1)))
struct WebhookReceiverTests {
  private func post(_ receiver: WebhookReceiver, _ id: String, signature: String = "good") -> String {
    RawClient.request(
      receiver.address.port, "POST", "/hook", headers: ["webhook-id: \(id)", "Webhook-Signature: \(signature)"],
      body: "{}")
  }

  @Test("believed ones are accepted, repeats recognised, others refused; each is told")
  func accepting() throws {
    let told = Mutex<[ReceivedWebhook]>([])
    let receiver = try WebhookReceiver(
      verify: { $0.signature == "good" ? nil : "no match" },
      onWebhook: { webhook in told.withLock { $0.append(webhook) } })
    #expect(post(receiver, "a-1").httpStatus == 204)
    #expect(post(receiver, "a-1").httpStatus == 204)
    #expect(post(receiver, "a-2", signature: "bad").httpStatus == 401)
    #expect(post(receiver, "a-2").httpStatus == 204)
    receiver.stop()
    let all = told.withLock { $0 }
    #expect(all.map(\.isDuplicate) == [false, true, false, false])
    #expect(all.map(\.refusal) == [nil, nil, "no match", nil])
    #expect(all.map(\.status) == [204, 204, 401, 204])
    #expect(all.map(\.ordinal) == [1, 2, 3, 4])
    #expect(all[0].path == "/hook")
    #expect(receiver.counts == .init(requests: 4, accepted: 2, duplicates: 1, refused: 1, scripted: 0))
  }

  @Test("the script answers the first requests, then all is accepted")
  func script() throws {
    let receiver = try WebhookReceiver(
      script: [
        .status(500), .retryAfter(status: 429, seconds: 7), .redirect(to: "http://127.0.0.1/"), .status(410),
        .slow(ms: 1),
      ], verify: { _ in nil }, onWebhook: { _ in })
    #expect(post(receiver, "a-1").httpStatus == 500)
    #expect(post(receiver, "a-1").contains("Retry-After: 7"))
    #expect(post(receiver, "a-1").contains("Location: http://127.0.0.1/"))
    #expect(post(receiver, "a-1").httpStatus == 410)
    #expect(post(receiver, "a-1").httpStatus == 204)
    receiver.stop()
    #expect(receiver.counts == .init(requests: 5, accepted: 1, duplicates: 0, refused: 0, scripted: 5))
  }

  @Test("only so many ids are remembered, the oldest forgotten first")
  func bounded() throws {
    let receiver = try WebhookReceiver(idsMax: 2, verify: { _ in nil }, onWebhook: { _ in })
    for id in ["a", "b", "c", "b", "a", "c"] { _ = post(receiver, id) }
    receiver.stop()
    // c drove out a; b was still known; a drove out b; c was still known.
    #expect(receiver.counts.accepted == 4)
    #expect(receiver.counts.duplicates == 2)
  }
}
