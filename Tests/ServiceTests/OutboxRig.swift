import AlertJournal
import Configuration
import Delivery
import Foundation
import Instrumentation
import Pipeline
import Synchronization
import TestSupport
import Testing
import VitalModel

@testable import Service

/// A clock moved by hand.
final class HandClock: ServiceClock {
  static let start: Int64 = 1_795_000_000_000
  private let ms = Atomic<Int64>(HandClock.start)

  func wallMilliseconds() -> Int64 { ms.load(ordering: .relaxed) }
  func monotonicNanoseconds() -> UInt64 { UInt64(wallMilliseconds()) * 1_000_000 }
  func set(_ time: Int64) { ms.store(time, ordering: .relaxed) }
  func advance(hours: Int64) { ms.add(hours * 3_600_000, ordering: .relaxed) }
}

/// An outbox with its keeper, without broker, journal or rules; restarted at will.
final class OutboxRig {
  let folder: TemporaryDirectory
  let configuration: VigilConfiguration
  let clock = HandClock()
  let log = LogLines()
  private(set) var store: VigilStore
  private(set) var keeper: OutboxKeeper
  private(set) var worker: DeliveryWorker?
  private var position: UInt64 = 0

  /// - Parameters:
  ///   - receivers: names and URLs.
  ///   - payload: what a receiver gets, where its format leaves a choice.
  init(
    _ receivers: [(name: String, url: String)], format: WebhookFormat = .standard, payload: WebhookPayload = .full
  ) throws {
    folder = try TemporaryDirectory("outbox")
    var configuration = VigilConfiguration()
    let secret = Secret(reference: .file("secret"), value: "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3")
    for receiver in receivers {
      var made = VigilConfiguration.Receiver(
        name: receiver.name, url: try #require(WebhookURL(receiver.url)), format: format)
      (made.secrets, made.payload, made.allowPrivate) = ([secret], payload, true)
      configuration.receivers.append(made)
    }
    self.configuration = configuration
    store = try VigilStore.open(path: folder.file("store"))
    keeper = OutboxRig.keeper(store, configuration, clock, log)
  }

  deinit { close() }

  /// Stops delivery and closes the store, for others to open.
  func close() {
    worker?.stop(graceMs: 0)
    store.close()
  }

  private static func keeper(
    _ store: VigilStore, _ configuration: VigilConfiguration, _ clock: HandClock, _ log: LogLines
  ) -> OutboxKeeper {
    OutboxKeeper(
      store: store, routing: Routing(configuration), meters: ServiceMeters(),
      log: Log(clock: clock, sink: { log.take($0) }), clock: clock)
  }

  /// Another process on the same store.
  func restart() throws {
    keeper.attach(nil)
    worker?.stop(graceMs: 0)
    worker = nil
    store.close()
    store = try VigilStore.open(path: folder.file("store"))
    keeper = OutboxRig.keeper(store, configuration, clock, log)
  }

  /// Attaches a real delivery thread, for what goes to a receiver that listens.
  func deliver() throws {
    let made = try DeliveryWorker(receivers: try Webhooks.receivers(configuration), journal: keeper)
    worker = made
    keeper.attach(made)
  }

  func metric(_ name: String) -> Int { Int(Ward.parse(keeper.meters.registry.render())[name] ?? 0) }

  /// One transition as an evaluator writes it: to every receiver.
  func write(
    _ alertID: String, _ sequence: Int = 1, _ phase: AlertPhase = .start, _ priority: Priority = .high
  ) throws -> [OutboxItem] {
    position += 1
    var document = AlertDocument()
    document.alertID = alertID
    document.sequence = sequence
    document.phase = phase
    document.state = phase == .end ? .inactive : .active
    document.stillActive = phase != .end
    document.priority = priority
    document.patient = "p-" + alertID
    document.ruleID = "spo2-low"
    document.detectedTime = clock.wallMilliseconds()
    document.onsetTime = document.detectedTime - 15_000
    var effects = Effects()
    effects.output.transitions = [Transition(position: position, patient: 1, document: document)]
    effects.outbox = Webhooks.rows(
      document, to: configuration.receivers,
      plan: RulePlan(registry: VitalRegistry([]), rules: [], scores: [], version: ""),
      now: clock.wallMilliseconds())
    written.append(effects)
    let queued = try EffectsWriter(store: store, shard: 0).write(effects)
    return queued.map { Webhooks.item($0, stillActive: document.stillActive) }
  }

  /// Everything written so far, to be derived again.
  private(set) var written: [Effects] = []
}

extension AttemptReport {
  /// A finished attempt with what a test cares about.
  init(_ item: OutboxItem, _ result: AttemptResult, number: Int = 1, isGivenUp: Bool = false) {
    self.init(
      item: item, number: number, result: result, startedMs: HandClock.start, latencyMicros: 1, nextAttemptMs: nil,
      isGivenUp: isGivenUp)
  }
}
