import Dispatch
import HTTPAPI
import Synchronization
import TestSupport
import Testing
import VitalModel

@testable import Delivery

/// What goes over the wire, and to whom a connection may lead.
@Suite("Delivery transport", .timeLimit(.minutes(1)))
struct TransportTests {
  private let secretText = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

  private func destination(
    _ name: String, _ url: String, allowPrivate: Bool = true, authority: String? = nil, certificate: String? = nil,
    key: String? = nil, proxy: String? = nil, secrets: [String]? = nil
  ) throws -> Receiver {
    var parsed: [WebhookSecret] = []
    for text in secrets ?? [secretText] { parsed.append(try WebhookSecret(text)) }
    return try Receiver(
      name: name, url: url, secrets: parsed, allowPrivate: allowPrivate, authority: authority,
      certificate: certificate, key: key, proxy: proxy)
  }

  /// What became of the first attempt at each item.
  private func attempt(_ receivers: [Receiver], _ items: [OutboxItem]) async throws -> [AttemptReport] {
    let journal = RecordingJournal()
    let worker = try DeliveryWorker(receivers: receivers, journal: journal)
    var reports: [AttemptReport] = []
    for (index, item) in items.enumerated() {
      _ = worker.enqueue([item])
      reports = await journal.wait { $0.reports.count > index }.reports
    }
    worker.stop(graceMs: 0)
    return reports
  }

  @Test("the body of a 2xx answer is handed back up to 4 KiB, none of a longer one or of a failure")
  func answers() async throws {
    let bodies = Mutex<[(Int, [UInt8])]>([
      (200, Array(#"{"accept":true,"by":"nurse-7"}"#.utf8)), (200, [UInt8](repeating: 65, count: 4096)),
      (200, [UInt8](repeating: 65, count: 4097)), (500, Array("no".utf8)), (204, []),
    ])
    var router = HTTPRouter()
    router.add("POST", "/") { _ in
      let (status, body) = bodies.withLock { $0.removeFirst() }
      return HTTPResponse(status: status, body: body)
    }
    let server = try HTTPServer(.init(), router: router)
    defer { server.stop() }
    let reports = try await attempt(
      [destination("a", "http://\(server.address)/")], (1...5).map { item($0, .medium) })
    #expect(String(decoding: reports[0].answer, as: UTF8.self) == #"{"accept":true,"by":"nurse-7"}"#)
    #expect(reports.map(\.answer.count) == [30, 4096, 0, 0, 0])
    #expect(reports[2].isDelivered)
  }

  private func typed(
    _ key: UInt64, type: String, headers: [OutboxItem.Header] = []
  ) -> OutboxItem {
    OutboxItem(
      outboxKey: key, receiver: "a", webhookID: "x-\(key)", alertID: "x", sequence: Int(key), type: "alert.opened",
      priority: .high, createdMs: 0, body: Array("{}".utf8), contentType: type, headers: headers)
  }

  @Test("content type and further headers arrive; what would break out of its line is never sent")
  func headers() async throws {
    let got = Mutex<[ReceivedWebhook]>([])
    let sink = try WebhookReceiver(verify: { _ in nil }, onWebhook: { webhook in got.withLock { $0.append(webhook) } })
    defer { sink.stop() }
    let items = [
      typed(1, type: "application/cloudevents+json", headers: [.init("X-Kind", "a b")]),
      typed(2, type: "a\r\nevil: 1"), typed(3, type: "text/plain", headers: [.init("X", "a\nb")]),
      typed(4, type: "text/plain", headers: [.init("webhook-id", "other")]),
      typed(5, type: "text/plain", headers: [.init("a:b", "c")]),
    ]
    let reports = try await attempt([destination("a", sink.url)], items)
    #expect(reports.map(\.isDelivered) == [true, false, false, false, false])
    let headers = Dictionary(
      (got.withLock { $0.first }?.headers ?? []).map { ($0.name, $0.value) }, uniquingKeysWith: { first, _ in first })
    #expect(headers["content-type"] == "application/cloudevents+json" && headers["x-kind"] == "a b")
    #expect(got.withLock { $0.count } == 1)
  }

  @Test("a kept connection to a private address serves only those who may have one")
  func keptConnection() async throws {
    let sink = try WebhookReceiver(verify: { _ in nil }, onWebhook: { _ in })
    defer { sink.stop() }
    let receivers = try [destination("a", sink.url), destination("b", sink.url, allowPrivate: false)]
    let reports = try await attempt(
      receivers, [item(1), item(2, to: "b"), item(3)])
    #expect(reports.map(\.result) == [.delivered(status: 204), .broken(.addressRefused), .delivered(status: 204)])
    #expect(sink.counts.requests == 2)
  }

  @Test("a client certificate is shown to a receiver that asks for one", .enabled(if: TLSPeer.isInstalled))
  func clientCertificate() async throws {
    let made = try TestCertificates()
    // TLS 1.2, where a missing certificate ends the handshake itself.
    let options = ["-no_tls1_3", "-Verify", "1", "-verify_return_error", "-CAfile", made.authority]
    let peer = try #require(TLSPeer(options: options))
    defer { peer.stop() }
    let url = "https://127.0.0.1:\(peer.port)/"
    let bare = try await attempt([destination("a", url, authority: peer.certificatePath)], [item(1)])
    #expect(bare.map(\.result) == [.broken(.tls)])
    let shown = try await attempt(
      [
        destination(
          "a", url, authority: peer.certificatePath, certificate: made.client.certificate, key: made.client.key)
      ], [item(1)])
    // Past the handshake, the peer's answer is no HTTP.
    #expect(shown.map(\.result) == [.broken(.other)])
  }

  @Test("HTTP/2: two webhooks share one connection and are under way together", .enabled(if: TLSPeer.isInstalled))
  func multiplexing() async throws {
    let peer = try #require(TLSPeer(options: ["-alpn", "h2"], isScripted: true))
    defer { peer.stop() }
    let journal = RecordingJournal()
    let receiver = try destination("a", "https://127.0.0.1:\(peer.port)/", authority: peer.certificatePath)
    let worker = try DeliveryWorker(receivers: [receiver], journal: journal)
    _ = worker.enqueue([item(1), item(2)])
    let settings = HTTP2Frames.frame(type: 4, flags: 0, stream: 0, [])
    peer.send(settings)
    // Neither is answered before both have come whole.
    #expect(peer.read { HTTP2Frames.endedStreams($0, body: item(1).body) == [1, 3] })
    // `:status: 204` is entry 9 of the static table (RFC 7541).
    let answers = [1, 3].flatMap { HTTP2Frames.frame(type: 1, flags: 5, stream: $0, [0x89]) }
    peer.send(HTTP2Frames.frame(type: 4, flags: 1, stream: 0, []) + answers)
    let record = await journal.wait { $0.reports.count == 2 }
    worker.stop(graceMs: 0)
    #expect(record.reports.map(\.result) == [.delivered(status: 204), .delivered(status: 204)])
    #expect(worker.snapshot().receivers.first?.connections == 1)
  }

  @Test("a proxy is used where one is named: it is asked for a connection, never for a page")
  func proxy() async throws {
    let peer = try ScriptedPeer(answers: ["HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 204 No Content\r\n\r\n"])
    let receiver = try destination(
      "a", "http://receiver.invalid/hook", allowPrivate: false, proxy: "http://127.0.0.1:\(peer.port)")
    let reports = try await attempt([receiver], [item(1)])
    #expect(reports.map(\.result) == [.delivered(status: 204)])
    let requests = peer.requests
    #expect(requests.first?.hasPrefix("CONNECT receiver.invalid:80 HTTP/1.1") == true)
    #expect(requests.first?.contains("webhook-id") == false)
    #expect(requests.last?.hasPrefix("POST /hook HTTP/1.1") == true)
  }

  @Test("fifty fast receivers are done before a slow one has answered at all")
  func fiftyFastOneSlow() async throws {
    let gate = DispatchSemaphore(value: 0)
    let slow = try WebhookReceiver(verify: { _ in nil }, onWebhook: { _ in gate.wait() })
    let fast = try (0..<5).map { _ in try WebhookReceiver(verify: { _ in nil }, onWebhook: { _ in }) }
    let names = (0..<50).map { "fast-\($0)" }
    var receivers = [try destination("slow", slow.url)]
    for (index, name) in names.enumerated() { receivers.append(try destination(name, fast[index % 5].url)) }
    let journal = RecordingJournal()
    let worker = try DeliveryWorker(receivers: receivers, journal: journal)
    var items = (0..<20).map { item($0, to: "slow") }
    for (index, name) in names.enumerated() {
      items += (0..<4).map { item(UInt64(1_000 + index * 10) + $0, to: name) }
    }
    #expect(worker.enqueue(items) == 0)
    let record = await journal.wait { $0.delivered.count == 200 }
    #expect(!record.reports.contains { $0.item.receiver == "slow" })
    // Only now does the slow one answer, and is sent the rest.
    for _ in 0..<20 { gate.signal() }
    _ = await journal.wait { $0.delivered.count == 220 }
    worker.stop(graceMs: 0)
    for sink in fast + [slow] { sink.stop() }
  }

  @Test("a receiver that is away takes no other's room")
  func roomIsPerReceiver() async throws {
    let gate = DispatchSemaphore(value: 0)
    let slow = try WebhookReceiver(verify: { _ in nil }, onWebhook: { _ in gate.wait() })
    let fast = try WebhookReceiver(verify: { _ in nil }, onWebhook: { _ in })
    let journal = RecordingJournal()
    let worker = try DeliveryWorker(
      receivers: [destination("slow", slow.url), destination("fast", fast.url)], journal: journal, owedMax: 8)
    #expect(worker.enqueue((1...30).map { item($0, to: "slow", .medium) }) == 22)
    #expect(worker.enqueue((101...108).map { item($0, to: "fast", .medium) }) == 0)
    _ = await journal.wait { $0.delivered.count == 8 }
    for _ in 1...8 { gate.signal() }
    _ = await journal.wait { $0.delivered.count == 16 && $0.roomCalls == 1 }
    worker.stop(graceMs: 0)
    slow.stop()
    fast.stop()
  }

  @Test("a reload swaps secrets: what is under way ends under the old one, what follows is signed with the new")
  func reloadOfSecrets() async throws {
    let fresh = try WebhookSecret.generate()
    let gate = DispatchSemaphore(value: 0)
    let arrived = DispatchSemaphore(value: 0)
    let old = try WebhookSecret(secretText)
    let new = try WebhookSecret(fresh)
    let sink = try WebhookReceiver(
      verify: { webhook in
        let known = webhook.id == "a-1-1" ? old : new
        do throws(Signature.Refusal) {
          try Signature.verify(
            id: webhook.id, timestamp: webhook.timestamp, signatures: webhook.signature, body: webhook.body,
            secrets: [known], nowSeconds: DeliveryClock.system.wallMs() / 1000)
          return nil
        } catch { return "\(error)" }
      },
      onWebhook: { _ in
        arrived.signal()
        gate.wait()
      })
    let journal = RecordingJournal()
    let worker = try DeliveryWorker(receivers: [destination("a", sink.url)], journal: journal)
    _ = worker.enqueue([item(1)])
    await withCheckedContinuation { done in
      DispatchQueue.global().async {
        arrived.wait()
        done.resume()
      }
    }
    worker.replaceReceivers([try destination("a", sink.url, secrets: [fresh])])
    _ = worker.enqueue([item(2)])
    gate.signal()
    gate.signal()
    let record = await journal.wait { $0.reports.count == 2 }
    worker.stop(graceMs: 0)
    sink.stop()
    #expect(record.reports.map(\.result) == [.delivered(status: 204), .delivered(status: 204)])
    #expect(sink.counts.accepted == 2 && sink.counts.refused == 0)
  }
}
