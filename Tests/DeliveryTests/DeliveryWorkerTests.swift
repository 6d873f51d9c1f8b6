import Dispatch
import Glibc
import HTTPAPI
import Synchronization
import Testing
import VitalModel

@testable import Delivery

@Suite("Delivery over real sockets", .timeLimit(.minutes(1)))
struct DeliveryWorkerTests {
  private let secretText = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

  /// A receiver on a free loopback port that believes only our secret, and the list of what it got. It answers nothing
  /// before `gate` is signalled, once for each request.
  private func listen(
    script: [WebhookReceiver.Behaviour] = [], gate: DispatchSemaphore? = nil
  ) throws -> (receiver: WebhookReceiver, got: Inbox) {
    let secret = try WebhookSecret(secretText)
    let got = Inbox()
    let receiver = try WebhookReceiver(
      script: script,
      verify: { webhook in
        do throws(Signature.Refusal) {
          try Signature.verify(
            id: webhook.id, timestamp: webhook.timestamp, signatures: webhook.signature, body: webhook.body,
            secrets: [secret], nowSeconds: DeliveryClock.system.wallMs() / 1000)
          return nil
        } catch { return "\(error)" }
      },
      onWebhook: {
        got.add($0)
        gate?.wait()
      })
    return (receiver, got)
  }

  private func destination(
    _ name: String, _ url: String, allowPrivate: Bool = true, timeoutMs: Int = 10_000, secrets: [String]? = nil
  ) throws -> Receiver {
    var parsed: [WebhookSecret] = []
    for text in secrets ?? [secretText] { parsed.append(try WebhookSecret(text)) }
    return try Receiver(
      name: name, url: url, secrets: parsed, allowPrivate: allowPrivate, timeoutMs: timeoutMs, maxInFlight: 4)
  }

  @Test("a webhook arrives signed, whole, once, and is reported")
  func arrives() async throws {
    let (sink, got) = try listen()
    let journal = RecordingJournal()
    let worker = try DeliveryWorker(receivers: [destination("a", sink.url)], journal: journal)
    #expect(worker.enqueue([item(1)]) == 0)
    let record = await journal.wait { $0.reports.count == 1 }
    worker.stop(graceMs: 1_000)
    #expect(record.reports.first?.result == .delivered(status: 204))
    #expect(record.reports.first?.number == 1)
    #expect(record.reports.first?.nextAttemptMs == nil)
    let webhook = try #require(got.all.first)
    #expect(webhook.refusal == nil)
    #expect(webhook.id == "a-1-1")
    #expect(webhook.body == item(1).body)
    let headers = Dictionary(webhook.headers.map { ($0.name, $0.value) }, uniquingKeysWith: { first, _ in first })
    #expect(headers["content-type"] == "application/json")
    #expect(headers["expect"] == nil)
    #expect(worker.snapshot().receivers.first?.delivered == 1)
    sink.stop()
  }

  @Test("both secrets of a rotation sign, so that a receiver knowing either believes")
  func rotation() async throws {
    let (sink, got) = try listen()
    let journal = RecordingJournal()
    let secrets = [try WebhookSecret.generate(), secretText]
    let worker = try DeliveryWorker(receivers: [destination("a", sink.url, secrets: secrets)], journal: journal)
    _ = worker.enqueue([item(1)])
    _ = await journal.wait { $0.delivered.count == 1 }
    worker.stop(graceMs: 1_000)
    #expect(got.all.first?.signature.split(separator: " ").count == 2)
    sink.stop()
  }

  @Test("failures are retried under the same id: 500, 302, a hanging receiver")
  func failures() async throws {
    let script: [WebhookReceiver.Behaviour] = [
      .status(500), .redirect(to: "http://127.0.0.1:1/"), .slow(ms: 400),
    ]
    let (sink, got) = try listen(script: script)
    let journal = RecordingJournal()
    let worker = try DeliveryWorker(
      receivers: [destination("a", sink.url, timeoutMs: 150)], journal: journal, clock: .hurried())
    _ = worker.enqueue([item(1)])
    let record = await journal.wait { $0.delivered.count == 1 }
    worker.stop(graceMs: 1_000)
    let results = record.reports.map(\.result)
    #expect(
      results == [
        .refused(status: 500, retryAfterMs: nil), .refused(status: 302, retryAfterMs: nil), .broken(.timeout),
        .delivered(status: 204),
      ])
    #expect(record.reports.map(\.number) == [1, 2, 3, 4])
    sink.stop()
    #expect(Set(got.all.map(\.id)) == ["a-1-1"])
    // The one that hung was taken in all the same: the repeat is recognised by its id.
    #expect(sink.counts.accepted == 1)
    #expect(sink.counts.duplicates == 1)
  }

  @Test("Retry-After is read for 429 and is not carried over to the next response of the handle")
  func retryAfter() async throws {
    let (sink, _) = try listen(script: [.retryAfter(status: 429, seconds: 30), .status(503)])
    let journal = RecordingJournal()
    let worker = try DeliveryWorker(receivers: [destination("a", sink.url)], journal: journal, clock: .hurried())
    _ = worker.enqueue([item(1)])
    let record = await journal.wait { $0.delivered.count == 1 }
    worker.stop(graceMs: 1_000)
    sink.stop()
    #expect(record.reports[0].result == .refused(status: 429, retryAfterMs: 30_000))
    #expect(record.reports[1].result == .refused(status: 503, retryAfterMs: nil))
  }

  @Test(
    "a private address is refused unless allowed, whatever name leads to it", arguments: ["127.0.0.1", "localhost"])
  func addressGuard(host: String) async throws {
    let (sink, got) = try listen()
    let journal = RecordingJournal()
    let url = "http://\(host):\(sink.address.port)/"
    let worker = try DeliveryWorker(receivers: [destination("a", url, allowPrivate: false)], journal: journal)
    _ = worker.enqueue([item(1)])
    let record = await journal.wait { $0.reports.count == 1 }
    worker.stop(graceMs: 1_000)
    sink.stop()
    #expect(record.reports.first?.result == .broken(.addressRefused))
    #expect(got.all.isEmpty)
  }

  @Test("nobody listening is a failed attempt with a next one planned")
  func refusedConnection() async throws {
    let held = try HeldPort()
    let url = "http://127.0.0.1:\(held.port)/"
    let journal = RecordingJournal()
    let worker = try DeliveryWorker(receivers: [destination("a", url)], journal: journal)
    _ = worker.enqueue([item(1)])
    let record = await journal.wait { $0.reports.count == 1 }
    worker.stop(graceMs: 0)
    withExtendedLifetime(held) {}
    #expect(record.reports.first?.result == .broken(.connect))
    #expect(record.reports.first?.nextAttemptMs != nil)
  }

  @Test("a thousand items to three receivers arrive once each; one that hangs holds up neither of the others")
  func manyAndOneSlow() async throws {
    let (one, gotOne) = try listen()
    let (two, gotTwo) = try listen()
    let gate = DispatchSemaphore(value: 0)
    let (slow, _) = try listen(gate: gate)
    let journal = RecordingJournal()
    let worker = try DeliveryWorker(
      receivers: [destination("slow", slow.url), destination("one", one.url), destination("two", two.url)],
      journal: journal)
    #expect(worker.enqueue((1...3).map { item($0, to: "slow", .medium) }) == 0)
    for key in 1...500 as ClosedRange<UInt64> {
      _ = worker.enqueue([
        item(1_000 + key, to: "one", alert: "x-\(key / 4)", sequence: Int(key)), item(2_000 + key, to: "two"),
      ])
    }
    let record = await journal.wait { $0.delivered.count { $0.item.receiver != "slow" } == 1_000 }
    #expect(!record.reports.contains { $0.item.receiver == "slow" })
    for _ in 1...3 { gate.signal() }
    worker.stop(graceMs: 30_000)
    #expect(journal.record.delivered.count == 1_003, "those under way were let end")
    for sink in [one, two, slow] { sink.stop() }
    #expect(one.counts.duplicates + two.counts.duplicates == 0)
    #expect(Set(gotOne.all.map(\.id)).count == 500)
    #expect(Set(gotTwo.all.map(\.id)).count == 500)
    for number in 0...125 {
      let order = gotOne.all.filter { $0.id.hasPrefix("x-\(number)-") }.compactMap {
        Int($0.id.split(separator: "-")[2])
      }
      #expect(order == order.sorted())
    }
  }

  @Test("a receiver that sends without end is cut off, and its status counts")
  func endlessResponse() async throws {
    var router = HTTPRouter()
    router.add("POST", "/") { _ in HTTPResponse(status: 200, body: [UInt8](repeating: 65, count: 5_000_000)) }
    let server = try HTTPServer(.init(), router: router)
    let journal = RecordingJournal()
    let worker = try DeliveryWorker(
      receivers: [destination("a", "http://\(server.address)/")], journal: journal)
    _ = worker.enqueue([item(1)])
    let record = await journal.wait { $0.reports.count == 1 }
    worker.stop(graceMs: 0)
    server.stop()
    #expect(record.reports.first?.result == .delivered(status: 200))
  }

  @Test("from memory: sent to every receiver named, given up when its attempts are spent")
  func memory() async throws {
    let (sink, got) = try listen()
    let journal = RecordingJournal()
    let worker = try DeliveryWorker(
      receivers: [destination("a", sink.url), destination("dead", "http://127.0.0.1:1/")], journal: journal)
    let sent = worker.sendNow(
      to: ["a", "dead"], webhookID: "degraded-1", type: "system.degraded", body: Array("{}".utf8), createdMs: 0,
      attemptsMax: 1)
    #expect(sent)
    let record = await journal.wait { $0.reports.count == 2 }
    worker.stop(graceMs: 0)
    sink.stop()
    #expect(got.all.map(\.id) == ["degraded-1"])
    #expect(record.reports.first { $0.item.receiver == "dead" }?.nextAttemptMs == nil)
    #expect(worker.snapshot().abandoned == 1)
  }

  @Test("too many owed are refused, high ones later than others, and room is called out")
  func room() async throws {
    let gate = DispatchSemaphore(value: 0)
    let (sink, _) = try listen(gate: gate)
    let journal = RecordingJournal()
    let worker = try DeliveryWorker(receivers: [destination("a", sink.url)], journal: journal, owedMax: 8)
    let lesser = (1...10).map { item($0, alert: "one", sequence: Int($0), .low) }
    #expect(worker.enqueue(lesser) == 2)
    #expect(worker.enqueue((20...25).map { item($0) }) == 4)
    for _ in 1...10 { gate.signal() }
    _ = await journal.wait { $0.roomCalls == 1 && $0.delivered.count == 10 }
    worker.stop(graceMs: 0)
    #expect(worker.enqueue([item(99)]) == 1, "refused after the stop")
    #expect(worker.snapshot().refusedForRoom == 6)
    sink.stop()
  }

  @Test("new receivers take over while delivery runs")
  func replacing() async throws {
    let (one, _) = try listen()
    let (two, gotTwo) = try listen()
    let journal = RecordingJournal()
    let worker = try DeliveryWorker(receivers: [destination("a", one.url)], journal: journal)
    _ = worker.enqueue([item(1)])
    _ = await journal.wait { $0.delivered.count == 1 }
    worker.replaceReceivers([try destination("a", two.url)])
    _ = worker.enqueue([item(2), item(3, to: "gone")])
    let record = await journal.wait { $0.delivered.count == 2 && !$0.notices.isEmpty }
    worker.stop(graceMs: 0)
    #expect(gotTwo.all.map(\.id) == ["a-2-1"])
    #expect(record.notices == [.noSuchReceiver(item: item(3, to: "gone"))])
    one.stop()
    two.stop()
  }

  @Test("an id that would break out of its header is never sent", arguments: ["a\r\nx: y", "a.b", "å"])
  func badID(alert: String) async throws {
    let (sink, got) = try listen()
    let journal = RecordingJournal()
    let worker = try DeliveryWorker(receivers: [destination("a", sink.url)], journal: journal)
    _ = worker.enqueue([item(1, alert: alert)])
    let record = await journal.wait { $0.reports.count == 1 }
    worker.stop(graceMs: 0)
    sink.stop()
    #expect(record.reports.first?.result == .broken(.other))
    #expect(got.all.isEmpty)
  }

  @Test("connections are kept from one webhook to the next")
  func reuse() async throws {
    let (sink, got) = try listen()
    let journal = RecordingJournal()
    let worker = try DeliveryWorker(receivers: [destination("a", sink.url)], journal: journal)
    for key in 1...20 as ClosedRange<UInt64> {
      _ = worker.enqueue([item(key)])
      _ = await journal.wait { $0.delivered.count == Int(key) }
    }
    worker.stop(graceMs: 0)
    sink.stop()
    #expect(got.all.count == 20)
    #expect(worker.snapshot().receivers.first?.connections == 1)
  }

  /// The result of one attempt at a TLS peer.
  private func attempt(_ host: String, _ peer: TLSPeer, trust: Bool) async throws -> AttemptResult? {
    let journal = RecordingJournal()
    let receiver = try Receiver(
      name: "a", url: "https://\(host):\(peer.port)/", secrets: [WebhookSecret(secretText)], allowPrivate: true,
      authority: trust ? peer.certificatePath : nil)
    let worker = try DeliveryWorker(receivers: [receiver], journal: journal)
    _ = worker.enqueue([item(1)])
    let record = await journal.wait { $0.reports.count == 1 }
    worker.stop(graceMs: 0)
    return record.reports.first?.result
  }

  @Test("a certificate nobody vouches for, or for another name, is refused", .enabled(if: TLSPeer.isInstalled))
  func certificates() async throws {
    let peer = try #require(TLSPeer())
    #expect(try await attempt("127.0.0.1", peer, trust: false) == .broken(.tls))
    #expect(try await attempt("localhost", peer, trust: true) == .broken(.tls))
    // Past the handshake, the peer's answer is no HTTP.
    #expect(try await attempt("127.0.0.1", peer, trust: true) == .broken(.other))
    peer.stop()
  }

  @Test("TLS before 1.2 is refused", .enabled(if: TLSPeer.isInstalled))
  func oldTLS() async throws {
    let peer = try #require(TLSPeer(options: ["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"]))
    #expect(try await attempt("127.0.0.1", peer, trust: true) == .broken(.tls))
    peer.stop()
  }
}

/// What a receiver got, from its own threads.
private final class Inbox: Sendable {
  private let webhooks = Mutex<[ReceivedWebhook]>([])

  func add(_ webhook: ReceivedWebhook) { webhooks.withLock { $0.append(webhook) } }
  var all: [ReceivedWebhook] { webhooks.withLock { $0 } }
}

extension DeliveryClock {
  /// A clock on which every wait is over by the next look, so that tests of retries need not wait; signatures keep
  /// real time.
  fileprivate static func hurried() -> DeliveryClock {
    let clock = HurriedClock()
    return DeliveryClock(steadyMs: { clock.next() }, wallMs: DeliveryClock.system.wallMs)
  }
}

private final class HurriedClock: Sendable {
  private let ms = Atomic<Int64>(0)

  func next() -> Int64 { ms.wrappingAdd(60_000, ordering: .relaxed).newValue }
}

/// A port of the loopback address that is taken and that nobody listens on, so that no other test gets it meanwhile.
private final class HeldPort {
  let port: UInt16
  private let descriptor: Int32

  init() throws {
    descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let descriptor = descriptor
    let status = withUnsafeMutablePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { raw in
        bind(descriptor, raw, length) == 0 ? getsockname(descriptor, raw, &length) : -1
      }
    }
    port = UInt16(bigEndian: address.sin_port)
    try #require(status == 0)
  }

  deinit { close(descriptor) }
}
