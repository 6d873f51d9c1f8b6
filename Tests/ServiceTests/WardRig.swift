import AlertJournal
import Configuration
import Foundation
import HTTPAPI
import Instrumentation
import MQTTIngress
import SeriesStore
import Synchronization
import TestSupport
import Testing
import VitalModel

@testable import Service

/// The system's time and an offset that a test moves: minutes pass without waiting for them.
final class ShiftedClock: ServiceClock {
  private let system = SystemClock()
  private let offset = Atomic<Int64>(0)

  func wallMilliseconds() -> Int64 { system.wallMilliseconds() + offset.load(ordering: .acquiring) }
  func monotonicNanoseconds() -> UInt64 {
    system.monotonicNanoseconds() + UInt64(offset.load(ordering: .acquiring)) * 1_000_000
  }
  func advance(milliseconds: Int64) { offset.add(milliseconds, ordering: .acquiringAndReleasing) }
}

/// Log lines as the service wrote them.
final class LogLines: Sendable {
  private let lines = Mutex<[String]>([])

  func take(_ line: [UInt8]) { lines.withLock { $0.append(String(decoding: line, as: UTF8.self)) } }
  var all: [String] { lines.withLock { $0 } }
  /// Whether one line holds all the words.
  func has(_ words: String...) -> Bool { all.contains { line in words.allSatisfy(line.contains) } }
}

/// One alert as a receiver read it.
struct ToldAlert: Sendable {
  var webhookID: String
  var type: String
  var alertID = ""
  var rule = ""
  var phase = ""
  var priority = ""
  var kind = ""
  var patient = ""
  var message = ""
  /// Where it may be answered; empty: nowhere.
  var callback = ""
  /// The status it was answered with.
  var status: Int

  init(_ webhook: ReceivedWebhook) {
    webhookID = webhook.id
    status = webhook.status
    let body = (try? JSONSerialization.jsonObject(with: Data(webhook.body))) as? [String: Any] ?? [:]
    type = body["type"] as? String ?? ""
    callback = (body["callback"] as? [String: Any])?["url"] as? String ?? ""
    let data = body["data"] as? [String: Any] ?? [:]
    func text(_ key: String) -> String { data[key] as? String ?? "" }
    alertID = text("alert_id")
    rule = (data["rule"] as? [String: Any])?["id"] as? String ?? ""
    phase = text("phase")
    priority = text("priority")
    kind = text("kind")
    patient = text("patient")
    message = text("message")
  }
}

/// A webhook receiver and everything it was sent.
final class Inbox: Sendable {
  private let received = Mutex<[ReceivedWebhook]>([])
  private let receiver = Mutex<WebhookReceiver?>(nil)
  let port: UInt16

  init() throws { port = try freePort() }

  var url: String { "http://127.0.0.1:\(port)/" }

  /// Starts listening; before it connections are refused.
  func open(script: [WebhookReceiver.Behaviour] = []) throws {
    let address = try #require(BindAddress("127.0.0.1:\(port)"))
    let made = try WebhookReceiver(
      bind: address, script: script, verify: { _ in nil },
      onWebhook: { [self] webhook in received.withLock { $0.append(webhook) } })
    receiver.withLock { $0 = made }
  }

  func close() {
    receiver.withLock { receiver in
      receiver?.stop()
      receiver = nil
    }
  }

  var requests: [ToldAlert] { received.withLock { $0 }.map(ToldAlert.init) }
  /// What was accepted, once each.
  var told: [ToldAlert] {
    var seen: Set<String> = []
    return requests.filter { (200..<300).contains($0.status) && seen.insert($0.webhookID).inserted }
  }
  func opened(_ rule: String) -> [ToldAlert] { told.filter { $0.rule == rule && $0.phase == "start" } }
}

/// A ward under test: a real broker, a receiver, a store in a temporary folder and the service between them.
final class Ward {
  struct Options {
    var identity = "device"
    var clock = "wall"
    /// Text of roster.yaml; nil: none.
    var roster: String?
    var scheme = "mqtt"
    /// Further keys of the broker's entry.
    var broker: [String] = []
    /// Further lines of the configuration.
    var lines: [String] = []
    var store: String?
    /// Fields of `store.retain`.
    var retain = ""
    /// Where the store's master key is; nil: it is not encrypted.
    var masterKey: String?
    var rules = RepositoryRoot.path + "/Rules"
    var set = "adult-ward"
    /// Further receivers' entries, and who is told.
    var receivers: [String] = []
    var to = "hook"
  }

  var options: Options
  let folder: TemporaryDirectory
  let broker: Broker
  let inbox: Inbox
  let clock = ShiftedClock()
  let log = LogLines()
  private(set) var service: VigilService?
  private var publisher: MQTTPublisher?
  private var isInboxOpen = false

  init(_ options: Options = Options(), broker: Broker? = nil) throws {
    self.options = options
    folder = try TemporaryDirectory("ward")
    self.broker = try broker ?? Broker()
    inbox = try Inbox()
  }

  deinit {
    stop()
    inbox.close()
  }

  // MARK: The service

  /// Writes `vigil.yaml` and `roster.yaml` as the options say now; a reload reads them.
  func writeFiles() throws {
    var text = ["identity: \(options.identity)", "clock: \(options.clock)", "brokers:"]
    let host = options.scheme == "mqtts" ? "localhost" : "127.0.0.1"
    text.append("  - url: \"\(options.scheme)://\(host):\(broker.port)\"")
    text.append("    client_id: ward")
    text += options.broker.map { "    " + $0 }
    text.append("rules: { path: \"\(options.rules)\", set: \(options.set) }")
    let path = options.store ?? folder.file("store")
    let key = options.masterKey.map { "master_key: \"\($0)\", " } ?? ""
    text.append("store: { path: \"\(path)\", \(key)retain: { \(options.retain) } }")
    text += ["engine: { shards: 2 }", "receivers:"]
    let secret = try folder.write("whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3\n", to: "secret")
    text.append(
      "  - { name: hook, url: \"\(inbox.url)\", secret: \"file:\(secret)\", payload: full, allow_private: true }")
    text += options.receivers + ["routes:", "  - { to: \(options.to) }"]
    if let roster = options.roster {
      text.append("roster: \"\(try folder.write(roster, to: "roster.yaml"))\"")
    }
    _ = try folder.write((text + options.lines).joined(separator: "\n") + "\n", to: "vigil.yaml")
  }

  func settings() throws -> VigilService.Settings {
    try writeFiles()
    var configuration = try ConfigurationFiles.load(path: folder.file("vigil.yaml"))
    configuration.listen.port = 0
    return VigilService.Settings(
      configuration: configuration, configurationPath: folder.file("vigil.yaml"), version: "test", clock: clock,
      logSink: { [log] in log.take($0) })
  }

  /// Starts the service and, unless told otherwise, waits until nothing published is missed any more.
  func start(waiting: Bool = true, inbox opens: Bool = true) throws {
    if opens, !isInboxOpen {
      try inbox.open()
      isInboxOpen = true
    }
    let started = try VigilService(settings())
    service = started
    guard waiting, !eventually(within: 20, { started.connections.allSatisfy { $0.state.subscribed } }) else { return }
    throw SupportError.timedOut("subscription: \(started.connections.map { $0.state.line })")
  }

  func stop() {
    service?.stop()
    service = nil
  }

  func restart() throws {
    stop()
    try start()
  }

  var running: VigilService {
    get throws { try #require(service) }
  }

  // MARK: Devices

  var now: Int64 { clock.wallMilliseconds() }

  func publisherOptions() -> MQTTPublisher.Options {
    MQTTPublisher.Options(host: "127.0.0.1", port: broker.port, clientID: "devices-\(broker.port)")
  }

  func connect(_ options: MQTTPublisher.Options? = nil) throws -> MQTTPublisher {
    if let publisher { return publisher }
    let made = try MQTTPublisher(options ?? publisherOptions())
    publisher = made
    return made
  }

  func disconnect() {
    publisher?.disconnect()
    publisher = nil
  }

  func send(_ device: String, _ payload: String, channel: String = "vitals", retain: Bool = false) throws {
    try connect().publish(topic: "vigil/v1/demo/\(device)/\(channel)", payload: payload, retain: retain)
  }

  func publish(_ topic: String, _ payload: [UInt8]) throws { try connect().publish(topic: topic, payload: payload) }
  /// Waits until the broker has everything.
  func flush() throws { try connect().flush() }

  /// One message with one vital, at a time of its own.
  func send(_ device: String, _ code: String, _ value: String, at time: Int64, seq: Int? = nil) throws {
    try send(device, Ward.message(code, value, at: time, seq: seq))
  }

  static func message(_ code: String, _ value: String, at time: Int64, seq: Int? = nil) -> String {
    let number = seq.map { "\"seq\":\($0)," } ?? ""
    return "{\(number)\"time\":\(time),\"code\":\"\(code)\",\"value\":\(value)}"
  }

  // MARK: What became of it

  /// Figures of `/metrics`, by name with labels.
  var metrics: [String: Double] {
    guard let service else { return [:] }
    return Ward.parse(service.meters.registry.render())
  }

  static func parse(_ text: String) -> [String: Double] {
    var found: [String: Double] = [:]
    for line in text.split(separator: "\n") where !line.hasPrefix("#") {
      guard let space = line.lastIndex(of: " ") else { continue }
      found[String(line[..<space])] = Double(line[line.index(after: space)...])
    }
    return found
  }

  func metric(_ name: String) -> Int { Int(metrics[name] ?? 0) }

  struct Books: Equatable, CustomStringConvertible {
    var samples = 0
    var stored = 0
    var quarantined = 0
    var duplicates = 0
    var isBalanced: Bool { samples == stored + quarantined + duplicates }
    var description: String { "\(samples) = \(stored) stored + \(quarantined) quarantined + \(duplicates) duplicates" }
  }

  /// Counters of this run of the service.
  var books: Books {
    let figures = metrics
    var books = Books()
    books.samples = Int(figures["vigil_samples_total"] ?? 0)
    books.stored = Int(figures["vigil_samples_stored_total"] ?? 0)
    books.duplicates = Int(figures["vigil_samples_duplicate_total"] ?? 0)
    for (name, value) in figures where name.hasPrefix("vigil_quarantined_total{") { books.quarantined += Int(value) }
    return books
  }

  /// Waits until so many observations came in and the journal holds them; returns the books.
  func settle(_ samples: Int, within seconds: Double = 20) throws -> Books {
    guard eventually(within: seconds, { books.samples >= samples && isIdle }) else {
      throw SupportError.timedOut("\(samples) samples; \(books)")
    }
    return books
  }

  /// Whether everything taken in is durable and evaluated.
  var isIdle: Bool {
    guard let service else { return true }
    let figures = metrics
    return service.sequencer.pendingSince.load(ordering: .acquiring) == 0
      && figures["vigil_ring_depth_ingest"] == 0 && figures["vigil_ring_depth_evaluate"] == 0
  }

  func quarantine(_ reason: QuarantineReason? = nil) throws -> [QuarantineEntry] {
    try running.store.quarantine.list(reason: reason, limit: 100_000)
  }

  /// Samples in sealed chunks; stops the service, which seals everything.
  func storedSamples() throws -> Int {
    stop()
    let store = try VigilStore.open(path: options.store ?? folder.file("store"))
    defer { store.close() }
    return try SeriesReader(store.store).stats(verify: true).samples
  }

  /// PUBACKs that the broker got from the service.
  var acknowledged: Int { broker.log.components(separatedBy: "Received PUBACK from ward").count - 1 }
}
