import AlertJournal
import CSystemd
import Configuration
import Foundation
import Instrumentation
import KeyValueStore
import MQTTIngress
import Pipeline
import SeriesStore
import Synchronization
import VitalModel

/// Watches the service from its side: stalled commits, unassigned devices, retention, heartbeat, the supervisor's watchdog.
///
/// Once a second; it never touches a hot path and needs no store to say that the store hangs (SEMANTICS E5).
final class Monitor: @unchecked Sendable {
  // Unchecked: everything but the atomics belongs to the thread that calls `run()`.

  unowned let service: VigilService
  private let isStopping = Atomic<Bool>(false)
  private let isStalled = Atomic<Bool>(false)
  private let abandons = Atomic<Bool>(false)
  private let hasGivenUp = Atomic<Bool>(false)
  private var lastStallNotice: Int64 = .min
  private var lastRetention: Int64
  private var lastHeartbeat: Int64 = 0
  private var heartbeats: Int64 = 0
  private var canary: MQTTPublisher?
  private var toldUnassigned: Set<String> = []
  private let startedAt: Int64
  private var hasNotifiedReady = false
  private var lastDiskCheck: Int64 = .min

  /// Commits that take longer than this are told to everybody, milliseconds.
  static let stallLimit: Int64 = 5000

  init(_ service: VigilService) {
    self.service = service
    startedAt = service.settings.clock.wallMilliseconds()
    lastRetention = startedAt
  }

  func stop() { isStopping.store(true, ordering: .releasing) }

  /// The service is stopping: from now on a stall makes it give up rather than wait for the disk.
  func abandonsWhenStalled() { abandons.store(true, ordering: .releasing) }

  /// No broker was ever reached within the time allowed at start.
  var brokerNeverCame: Bool { hasGivenUp.load(ordering: .acquiring) }

  func run() {
    while !isStopping.load(ordering: .acquiring) {
      step()
      for _ in 0..<10 where !isStopping.load(ordering: .acquiring) { Pause.milliseconds(100) }
    }
    canary?.disconnect()
    sd_notify(0, "STOPPING=1")
  }

  private func step() {
    let now = service.settings.clock.wallMilliseconds()
    checkStall(now)
    if abandons.load(ordering: .acquiring) {
      if isStalled.load(ordering: .relaxed) { service.giveUp() }
      return
    }
    checkBrokers(now)
    service.keeper.upkeep()
    tellUnassigned(now)
    if now - lastRetention > 600_000 {
      lastRetention = now
      trim(now)
    }
    watchDisk(now)
    heartbeat(now)
    if !hasNotifiedReady, unreadyReasons().isEmpty {
      hasNotifiedReady = true
      sd_notify(0, "READY=1")
    }
    if !isStalled.load(ordering: .relaxed) { sd_notify(0, "WATCHDOG=1") }
  }

  // MARK: Stalled commits

  private func checkStall(_ now: Int64) {
    let since = service.sequencer.pendingSince.load(ordering: .relaxed)
    let nowNs = service.settings.clock.monotonicNanoseconds()
    let waited = since == 0 || nowNs < since ? 0 : Int64((nowNs - since) / 1_000_000)
    let stalled = waited >= Monitor.stallLimit
    if !stalled {
      if isStalled.exchange(false, ordering: .relaxed) { service.log.info("monitor", "commits go on again") }
      return
    }
    if !isStalled.exchange(true, ordering: .relaxed) { service.meters.stalls.add(1) }
    guard lastStallNotice == .min || now - lastStallNotice >= 60_000 else { return }
    lastStallNotice = now
    service.log.error("monitor", "monitoring degraded: commits have stalled", ["ms": LogValue(waited)])
    service.keeper.sendTechnical(
      to: service.routing.receiverNames, rule: "monitoring-degraded", title: "Monitoring degraded",
      message: "monitoring degraded, watch the bedside: nothing could be stored for \(waited / 1000) s",
      subject: "commit", now: now)
  }

  /// Why the service cannot do its work now.
  func unreadyReasons() -> [String] {
    var reasons: [String] = []
    if isStalled.load(ordering: .relaxed) { reasons.append("commits have stalled") }
    if !service.sealer.isReady.load(ordering: .acquiring) { reasons.append("history is being rebuilt") }
    for connection in service.connections where !connection.state.subscribed {
      reasons.append(
        "broker \(connection.configuration.host):\(connection.configuration.port) \(connection.state.line)")
    }
    return reasons
  }

  private func checkBrokers(_ now: Int64) {
    guard service.settings.brokerWait > 0, now - startedAt > service.settings.brokerWait else { return }
    if service.connections.contains(where: { $0.state.lastConnectedMilliseconds != nil }) { return }
    hasGivenUp.store(true, ordering: .releasing)
  }

  // MARK: Room on the disk

  /// Says that the disk fills up while there is still time to do something about it.
  private func watchDisk(_ now: Int64) {
    guard lastDiskCheck == .min || now - lastDiskCheck >= DiskWatch.checkInterval else { return }
    lastDiskCheck = now
    guard let room = DiskWatch.Room.of(service.store.path) else { return }
    let warn = service.configuration.withLock { $0.freeWarn }
    guard let level = service.disk.note(room, warn: warn, now: now), level > .fine else { return }
    let percent = Int((room.share * 100).rounded(.down))
    service.log.error(
      "monitor", "the store's disk fills up",
      ["free_bytes": LogValue(Int(clamping: room.bytes)), "free_percent": LogValue(percent)])
    service.keeper.sendTechnical(
      to: service.routing.receiverNames, rule: "disk-low",
      title: level == .nearlyFull ? "Disk nearly full" : "Disk low",
      message: "the store's disk has \(percent) % free: make room, or nothing more will be stored and acknowledged",
      subject: "disk", now: now)
  }

  // MARK: Unassigned devices

  /// A stream nobody is assigned to raises one technical alert a device (SEMANTICS E9).
  private func tellUnassigned(_ now: Int64) {
    let devices = service.sequencer.unassigned.withLock { $0 }
    let new = devices.subtracting(toldUnassigned).sorted()
    guard new.count <= Monitor.unassignedAlertsMax else { return tellUnassigned(new, now) }
    for device in new {
      toldUnassigned.insert(device)
      service.log.warning(
        "monitor", "samples of an unassigned device are kept in quarantine", ["device": LogValue(device)])
      service.keeper.sendTechnical(
        to: service.routing.receiverNames, rule: "device-unassigned", title: "Device without patient",
        message: "device \(device) sends but belongs to nobody: assign it in the roster", subject: device, now: now)
    }
  }

  /// More at once than this are one alert: a roster that is missing or wrong must not flood the receivers.
  static let unassignedAlertsMax = 5

  private func tellUnassigned(_ devices: [String], _ now: Int64) {
    toldUnassigned.formUnion(devices)
    service.log.warning(
      "monitor", "samples of unassigned devices are kept in quarantine", ["devices": LogValue(devices.count)])
    service.keeper.sendTechnical(
      to: service.routing.receiverNames, rule: "device-unassigned", title: "Devices without patient",
      message:
        "\(devices.count) devices send but belong to nobody, \(devices[0]) among them: assign them in the roster",
      subject: "many", now: now)
  }

  // MARK: Heartbeat

  /// Sends the canary on its way; the heartbeat webhook goes out when it has come through (SEMANTICS E5).
  private func heartbeat(_ now: Int64) {
    let configuration = service.configuration.withLock { $0 }
    guard let heartbeat = configuration.heartbeat, now - lastHeartbeat >= heartbeat.every else { return }
    lastHeartbeat = now
    heartbeats += 1
    guard let publisher = canaryPublisher(configuration) else { return }
    let topic = "vigil/v1/\(configuration.tenant)/\(Canary.device)/wave"
    do throws(PublisherError) {
      try publisher.publish(
        topic: topic, payload: Canary.payload(number: heartbeats, sentAt: now), qos: 1, retain: false)
    } catch {
      canary = nil
      service.log.limited(
        .warning, every: 60, "monitor", "canary could not be published; no heartbeat goes out",
        ["reason": LogValue("\(error)")])
    }
  }

  private func canaryPublisher(_ configuration: VigilConfiguration) -> MQTTPublisher? {
    if let canary { return canary }
    guard let broker = configuration.brokers.first else { return nil }
    var options = MQTTPublisher.Options(
      host: broker.url.address.host, port: UInt16(clamping: broker.url.address.port),
      clientID: broker.clientID + "-canary")
    options.username = broker.username
    options.password = broker.password?.value
    if broker.url.usesTLS {
      options.tls = TLSOptions(authority: broker.ca, certificate: broker.certificate, key: broker.key)
    }
    canary = try? MQTTPublisher(options, timeout: .seconds(5))
    return canary
  }
}
