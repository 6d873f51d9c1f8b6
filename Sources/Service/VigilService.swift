import AlertJournal
import Configuration
import Delivery
import Evaluation
import Foundation
import HTTPAPI
import Instrumentation
import KeyValueStore
import MQTTIngress
import Pipeline
import RingBufferModule
import SeriesStore
import Synchronization
import VitalModel
import YAMLText

/// The running service: opens and recovers the store, starts the threads in order, reloads, stops in reverse order.
///
/// It wires rooms together and holds no rule of its own.
package final class VigilService: @unchecked Sendable {
  // Unchecked: made, reloaded and stopped by the one thread that runs the command; the parts it holds are Sendable or
  // owned by their own threads.

  package struct Settings: Sendable {
    package var configuration: VigilConfiguration
    package var configurationPath: String?
    package var version: String
    package var clock: any ServiceClock
    /// How long the first connection to a broker may take before the start counts as failed, milliseconds.
    package var brokerWait: Int64
    /// Where log lines go, whole lines with their newline; called on many threads.
    package var logSink: @Sendable ([UInt8]) -> Void
    package init(
      configuration: VigilConfiguration, configurationPath: String?, version: String,
      clock: any ServiceClock = SystemClock(), brokerWait: Int64 = 60_000,
      logSink: @escaping @Sendable ([UInt8]) -> Void = writeToStandardError
    ) {
      self.configuration = configuration
      self.configurationPath = configurationPath
      self.version = version
      self.clock = clock
      self.brokerWait = brokerWait
      self.logSink = logSink
    }
  }

  package let settings: Settings
  package let log: Log
  package let meters: ServiceMeters
  let store: VigilStore
  let directory: Directory
  let routing: Routing
  let keeper: OutboxKeeper
  let delivery: DeliveryWorker
  let sequencer: Sequencer
  let evaluators: [Evaluator]
  let sealer: SealerThread
  let abandonment = Abandonment()
  let doorbell = Doorbell()
  let rings: [Ring<Slot>]
  let inputs: [Ring<Slot>]
  let configuration: Mutex<VigilConfiguration>
  private(set) var connections: [BrokerConnection] = []
  private var threads: [DedicatedThread] = []
  private var watching: DedicatedThread?
  private var http: HTTPServer?
  private(set) var watch: Monitor?
  private var control: ControlSocket?
  private var archive: (thread: DedicatedThread, body: ArchiveThread)?
  let disk: DiskWatch
  let controlLane: GuardedLane
  /// The deployment in force; held while another is put in its place.
  let rules: Mutex<RuleDeployment>
  private var rosterText: [UInt8]?
  /// Marks of actions under way.
  let claims = Mutex<Set<[UInt8]>>([])
  private(set) var answers: AnswerDesk?
  /// The alerting settings journaled last.
  private var alertingText: [UInt8]?

  /// Where `/metrics` and the health pages are, once started.
  package var httpAddress: String { http?.address.description ?? "" }
  /// How many journal entries the start evaluated again, and how long it took to be ready, milliseconds.
  package let recovered: (entries: UInt64, milliseconds: Int64)

  // MARK: Starting

  /// Opens, recovers, and starts every thread.
  package init(_ settings: Settings) throws(StartFailure) {
    let began = settings.clock.monotonicNanoseconds()
    let configuration = settings.configuration
    self.settings = settings
    log = Log(
      level: LogLevel(name: configuration.logLevel.rawValue) ?? .info, clock: settings.clock, sink: settings.logSink)
    meters = ServiceMeters()
    disk = DiskWatch(meters.registry)
    self.configuration = Mutex(configuration)
    let complaints = ReceiverBuilder.complaints(configuration)
    guard complaints.isEmpty else { throw .badConfiguration(complaints) }
    let files = try VigilService.readRules(configuration)
    let plan = try VigilService.plan(files, configuration)
    let roster = try VigilService.readRoster(configuration, plan)
    let shards = max(1, min(configuration.shards ?? 1, 8))
    let opening = StoreOpening(
      configuration: configuration, files: files, shards: shards, log: log, now: settings.clock.wallMilliseconds())
    let recovered = try opening.open()
    store = recovered.store
    directory = recovered.directory
    routing = Routing(configuration, unreached: meters.unreached)
    keeper = OutboxKeeper(store: store, routing: routing, meters: meters, log: log, clock: settings.clock)
    do {
      delivery = try DeliveryWorker(receivers: try Webhooks.receivers(configuration), journal: keeper)
    } catch {
      throw .badConfiguration(["receivers: \(error)"])
    }
    keeper.attach(delivery)
    keeper.heartbeat = configuration.heartbeat
    do {
      let parts = try VigilService.build(
        recovered, configuration, settings, meters, log, abandonment, doorbell, routing, keeper, shards: shards)
      rings = parts.rings
      inputs = parts.inputs
      sequencer = parts.sequencer
      evaluators = parts.evaluators
      sealer = parts.sealer
      controlLane = GuardedLane(parts.controlLane)
      lanes = parts.lanes
    } catch {
      throw .unavailable("rings could not be made: \(error)")
    }
    rules = Mutex(recovered.rules.deployment)
    rosterText = roster.map { Array($0.canonicalJSON.utf8) }
    let milliseconds = Int64((settings.clock.monotonicNanoseconds() - began) / 1_000_000)
    self.recovered = (recovered.replayed, milliseconds)
    sendInitialControl(recovered, roster)
    try startThreads()
    keeper.begin()
    try startArchive()
    if roster != nil, recovered.rosterText != rosterText { resubmitUnassigned() }
    try startOutside(recovered.registry)
    recovered.rules.tell(log)
    log.info(
      "service", "started",
      [
        "version": LogValue(settings.version), "rules": LogValue(recovered.rules.plan.rules.count),
        "set": LogValue(configuration.ruleSet),
        "recovered_entries": LogValue(recovered.replayed), "recovery_ms": LogValue(milliseconds),
        "http": LogValue(httpAddress),
      ])
  }

  private let lanes: [IngestLane]

  static func readRules(_ configuration: VigilConfiguration) throws(StartFailure) -> RuleFiles {
    do throws(RuleFiles.Failure) {
      return try RuleFiles.read(configuration.rulesPath)
    } catch {
      throw .badConfiguration(error.description.split(separator: "\n").map(String.init))
    }
  }

  static func plan(_ files: RuleFiles, _ configuration: VigilConfiguration) throws(StartFailure) -> RulePlan {
    do throws(RuleFiles.Failure) {
      return try files.plan(set: configuration.ruleSet)
    } catch {
      throw .badConfiguration(error.description.split(separator: "\n").map(String.init))
    }
  }

  static func readRoster(
    _ configuration: VigilConfiguration, _ plan: RulePlan
  ) throws(StartFailure) -> Roster? {
    guard let path = configuration.roster else { return nil }
    guard let text = try? String(contentsOfFile: path, encoding: .utf8) else {
      throw .badConfiguration(["\(path): the roster cannot be read"])
    }
    do {
      return try RosterFile.parseAny(text, file: path, registry: plan.registry, rules: plan.rules)
    } catch {
      throw .badConfiguration("\(error)".split(separator: "\n").map(String.init))
    }
  }

  /// New rules, roster or options go through the journal like everything else.
  private func sendInitialControl(_ recovered: RecoveredStore, _ roster: Roster?) {
    let current = settings.configuration
    let options = JournaledOptions(
      clock: current.clock.rawValue, identity: current.identity.rawValue, lateness: current.lateness)
    if recovered.optionsText == nil, let bytes = try? JSONEncoder().encode(options) {
      sequencer.send(.options(Array(bytes)))
    }
    if recovered.rules.isNew {
      sequencer.send(.rules(recovered.rules.deployment.journaled, PlanLayout(plan: recovered.rules.plan)))
    }
    if let roster, recovered.rosterText != rosterText { sequencer.send(.roster(roster)) }
    alertingText = recovered.alertingText
    takeUpAlerting(current)
  }

  /// Puts the alerting settings in force if they are not those journaled last, and says what is doubtful about them.
  private func takeUpAlerting(_ configuration: VigilConfiguration) {
    for warning in configuration.warnings {
      log.warning("service", "configuration", ["what": LogValue(warning.description)])
    }
    let text = AlertingText.encode(configuration.alerting)
    guard text != alertingText else { return }
    alertingText = text
    sequencer.send(.alerting(configuration.alerting))
  }

  private func startThreads() throws(StartFailure) {
    let sealer = sealer
    try start { sealer.run() }
    for evaluator in evaluators { try start { evaluator.run() } }
    let sequencer = sequencer
    try start { sequencer.run() }
  }

  private func start(_ body: @escaping @Sendable () -> Void) throws(StartFailure) {
    guard let thread = DedicatedThread(body) else { throw .unavailable("no thread to be had") }
    threads.append(thread)
  }

  private func startArchive() throws(StartFailure) {
    StoreCheckpoint.removeLeftover(storePath: store.path)
    guard let path = settings.configuration.archive else { return LogArchive.end(storePath: store.path) }
    let body = ArchiveThread(
      store, set: BackupSet(path), clock: settings.clock, registry: meters.registry, log: log
    ) { [keeper, routing, clock = settings.clock] title, message in
      keeper.sendTechnical(
        to: routing.receiverNames, rule: "archive-stalled", title: title, message: message, subject: "archive",
        now: clock.wallMilliseconds())
    }
    guard let thread = DedicatedThread({ body.run() }) else { throw .unavailable("no thread to be had") }
    archive = (thread, body)
  }

  /// Brokers, pages, control socket, monitor: what the outside sees.
  private func startOutside(_ registry: VitalRegistry) throws(StartFailure) {
    let configuration = settings.configuration
    for (index, broker) in configuration.brokers.enumerated() {
      connections.append(try connect(broker, lane: lanes[index], configuration))
    }
    let monitor = Monitor(self)
    watch = monitor
    let answers = try AnswerDesk(self)
    self.answers = answers
    keeper.attach(answers: answers)
    http = try startHTTP(configuration, monitor, vitals: registry)
    control = try ControlSocket(path: configuration.storePath + "/control.sock", service: self)
    watching = DedicatedThread { monitor.run() }
    guard watching != nil else { throw .unavailable("no thread to be had") }
    for connection in connections { connection.start() }
  }

  private func connect(
    _ broker: VigilConfiguration.Broker, lane: IngestLane, _ configuration: VigilConfiguration
  ) throws(StartFailure) -> BrokerConnection {
    let tls =
      broker.url.usesTLS
      ? TLSOptions(authority: broker.ca, certificate: broker.certificate, key: broker.key) : nil
    var own = BrokerConfiguration(
      host: broker.url.address.host, port: UInt16(clamping: broker.url.address.port), tls: tls,
      clientID: broker.clientID, filters: configuration.subscriptions(of: broker))
    own.protocolVersion = broker.version == .five ? .v5 : .v311
    own.username = broker.username
    own.password = broker.password?.value
    own.sessionExpirySeconds = UInt32(clamping: broker.sessionExpiry / 1000)
    let log = log
    let name = broker.url.description
    do throws(BrokerConfigurationError) {
      return try BrokerConnection(own, sink: lane, jitterSeed: UInt64.random(in: 0 ... .max)) { state in
        let isGood = state.phase == .connected || state.phase == .connecting || state.phase == .stopped
        log.write(
          isGood ? .info : .warning, "mqtt", "broker connection",
          ["broker": LogValue(name), "state": LogValue(state.line)])
      }
    } catch {
      throw .badConfiguration(["brokers: \(error)"])
    }
  }

  private func startHTTP(
    _ configuration: VigilConfiguration, _ monitor: Monitor, vitals: VitalRegistry
  ) throws(StartFailure) -> HTTPServer {
    guard let bind = BindAddress(configuration.listen.description) else {
      throw .badConfiguration(["http.listen: `\(configuration.listen)` is not an address and port"])
    }
    var router = HTTPRouter()
    let registry = meters.registry
    HealthPages.add(
      to: &router, unreadyReasons: { monitor.unreadyReasons() }, metrics: { Array(registry.render().utf8) })
    AlertPages.add(to: &router, self)
    ObservationPages.add(to: &router, self, registry: vitals)
    CallbackPages.add(to: &router, self)
    do throws(HTTPServerError) {
      // A thread for each connection: an action waits for the disk, and must hold up no probe of health.
      return try HTTPServer(.init(bind: bind, connectionsMax: 64, threads: nil), router: router)
    } catch {
      throw .unavailable("http.listen \(bind): \(error)")
    }
  }

  // MARK: Reloading and resubmitting

  /// Reads configuration, rules and roster again (SIGHUP). On any error everything stays as it was.
  package func reload() {
    do throws(StartFailure) {
      let new = try loadAgain()
      let files = try VigilService.readRules(new)
      let plan = try VigilService.plan(files, new)
      let roster = try VigilService.readRoster(new, plan)
      let complaints = ReceiverBuilder.complaints(new)
      guard complaints.isEmpty else { throw .badConfiguration(complaints) }
      let receivers: [Receiver]
      do {
        receivers = try Webhooks.receivers(new)
      } catch {
        throw .badConfiguration(["receivers: \(error)"])
      }
      let keys = directory.registryKeys
      guard Array(plan.registry.vitals.map(\.key).prefix(keys.count)) == keys else {
        throw .badConfiguration(["vitals.yaml lists vitals in another order; a change of order needs a new store"])
      }
      takeUp(files, plan, new)
      if let roster, Array(roster.canonicalJSON.utf8) != rosterText {
        rosterText = Array(roster.canonicalJSON.utf8)
        sequencer.send(.roster(roster))
        resubmitUnassigned()
      }
      takeUpAlerting(new)
      routing.replace(new)
      delivery.replaceReceivers(receivers)
      keeper.heartbeat = new.heartbeat
      if let level = LogLevel(name: new.logLevel.rawValue) { log.level = level }
      configuration.withLock { $0 = new }
      meters.reloads.with("ok").add(1)
      log.info("service", "reloaded", ["rules": LogValue(plan.rules.count), "set": LogValue(new.ruleSet)])
    } catch {
      meters.reloads.with("failed").add(1)
      for line in error.lines {
        log.error("service", "reload failed; the old configuration and rules stay", ["why": LogValue(line)])
      }
    }
  }

  private func loadAgain() throws(StartFailure) -> VigilConfiguration {
    do throws(ConfigurationFiles.Failure) {
      return try ConfigurationFiles.load(
        path: settings.configurationPath, rules: configuration.withLock { $0.rulesPath })
    } catch {
      throw .badConfiguration(error.lines)
    }
  }

  /// Puts quarantined payloads through the whole path again, with the time they were first received.
  ///
  /// - Returns: how many items went through; each is marked once the journal holds what came of it.
  package func resubmit(_ ids: [QuarantineID]) -> Int {
    controlLane.withLane { lane in
      var done: [QuarantineID] = []
      for id in ids {
        guard let found = try? store.quarantine.get(id), !found.entry.isResubmitted else { continue }
        let topic = Array(found.entry.topic.utf8)
        let type = Array(found.entry.contentType.utf8)
        let arrival = Arrivals.resubmitted(found.entry.id.receivedMs)
        topic.withUnsafeBytes { topic in
          found.bytes.withUnsafeBytes { payload in
            type.withUnsafeBytes { type in
              lane.take(topic, payload, contentType: type.isEmpty ? nil : type, arrival)
            }
          }
        }
        done.append(id)
      }
      guard !done.isEmpty, lane.waitUntilDurable() else { return 0 }
      let batch = store.makeBatch()
      for id in done { _ = try? store.quarantine.markResubmitted(id, in: batch) }
      try? store.write(batch, sync: true)
      return done.count
    }
  }

  /// Samples of devices that now have a patient come out of quarantine by themselves (CONTRACT section 2).
  ///
  /// Waits first until the journal thread judges by the new roster, else they would be refused again.
  func resubmitUnassigned() {
    sequencer.waitUntilCommandsTaken()
    let roster = directory.currentRoster.roster
    guard let entries = try? store.quarantine.list(reason: .unassignedDevice, limit: 1_000_000) else { return }
    let known = Set(roster.assignments.map(\.device))
    let ids = entries.filter { !$0.isResubmitted && known.contains($0.device) }.map(\.id)
    guard !ids.isEmpty else { return }
    let count = resubmit(ids)
    log.info("service", "quarantined samples of newly assigned devices resubmitted", ["items": LogValue(count)])
  }

  // MARK: Stopping

  /// Stops in order: sockets, journal, evaluation, sealing, delivery, store. Everything read is stored and acknowledged.
  ///
  /// A disk that takes no more does not keep the process: once commits have stalled, what is not durable is left to the
  /// broker, unacknowledged.
  package func stop() {
    watch?.abandonsWhenStalled()
    control?.stop()
    for connection in connections { connection.stop() }
    for connection in connections { connection.join() }
    sequencer.send(.stop)
    // The journal thread closes the rings; evaluators and the sealer finish what is in them.
    for thread in threads { thread.join() }
    watch?.stop()
    watching?.join()
    delivery.stop(graceMs: 5000)
    keeper.attach(nil)
    keeper.attach(answers: nil)
    answers?.stop()
    http?.stop()
    archive?.body.stop()
    archive?.thread.join()
    log.info("service", "stopped")
    store.close()
  }

  /// Nothing more is acknowledged or written; called by the monitor when the disk fails during a stop.
  func giveUp() {
    guard !abandonment.value else { return }
    log.error("service", "stopping without the disk: what is not stored stays with the broker")
    abandonment.declare()
  }

  /// Ends at once without acknowledging or flushing anything more: for a start that failed half-way.
  package func abandon() {
    abandonment.declare()
    stop()
  }
}
