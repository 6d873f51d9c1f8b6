import AlertJournal
import Configuration
import Delivery
import Evaluation
import Instrumentation
import Pipeline
import RingBufferModule
import Synchronization
import VitalModel
import WebhookFormats

/// One shard's evaluator: durable entries in, one atomic write of transitions, ledger, state and outbox out, then delivery.
///
/// It never sees an entry before the journal holds it, and never hands anything to delivery before the write that
/// records it has been made.
final class Evaluator: @unchecked Sendable {
  // Unchecked: everything but the atomics belongs to the thread that calls `run()`.

  struct Parts {
    var store: VigilStore
    var engine: Engine
    var directory: Directory
    var texts: EntryTexts
    var deadlines: DeadlineBoard
    var doorbell: Doorbell
    var routing: Routing
    var delivery: any OutboxDelivery
    var clock: any ServiceClock
    var meters: ServiceMeters
    var log: Log
    var abandonment: Abandonment
    var shard: Int
    var shards: Int
    /// The journal's last durable position; everything up to it has been published to this shard.
    var durablePosition: @Sendable () -> UInt64
    var heartbeat: @Sendable () -> VigilConfiguration.Heartbeat?
  }

  private let parts: Parts
  private let engine: Engine
  private let writer: EffectsWriter
  private var effects = Effects()
  private var feedback: FeedbackMeter
  private var consumer: Ring<Slot>.Consumer
  private var canaries: [OutboxRow] = []
  /// Positions reached at earlier seconds: what changed before the oldest of them is due for a checkpoint.
  private var marks: [(time: Int64, position: UInt64)] = []
  private var lastUpkeep: Int64 = 0
  private var lastIdleFloor: Int64 = 0
  let lastPosition: Atomic<UInt64>
  let activeAlerts = Atomic<Int>(0)
  let patientCount = Atomic<Int>(0)

  /// A patient's changed state is stored at the latest this long after the change, milliseconds: the bound on what a
  /// restart must evaluate again.
  static let checkpointAge: Int64 = 30_000
  /// Patient states written in one go, so that a checkpoint never holds up an alert.
  static let checkpointBatch = 256

  init(_ parts: Parts, ring: Ring<Slot>, progress: ShardProgress) throws(RingError) {
    self.parts = parts
    engine = parts.engine
    let store = parts.store
    feedback = FeedbackMeter(parts.meters) { (try? store.alerts.transitions(alertID: $0)) ?? [] }
    writer = EffectsWriter(store: parts.store, shard: parts.shard)
    consumer = try ring.takeConsumer("evaluate")
    effects.progress = progress
    lastPosition = Atomic(parts.engine.position)
  }

  /// The thread's body: until the journal thread closes the ring.
  func run() {
    // What the journal's tail gave at the start waits for no further entry: an alert owed since before a crash goes out
    // now, and no checkpoint may pass it unwritten.
    if !engine.output.isEmpty { commit() }
    publishFigures()
    while !parts.abandonment.value {
      let state = consumer.wait(timeoutNanoseconds: 250_000_000)
      let count = applyBatch()
      upkeep()
      if count == 0, state == .closed { break }
    }
    if !parts.abandonment.value { checkpoint(everything: true) }
  }

  private func applyBatch() -> Int {
    var count = 0
    consumer.withBatch(limit: 4096) { batch in
      count = batch.count
      for index in 0..<batch.count { apply(batch[index]) }
    }
    guard count > 0 else { return 0 }
    if !engine.output.isEmpty || !canaries.isEmpty { commit() }
    consumer.release(count)
    publishFigures()
    return count
  }

  private func publishFigures() {
    lastPosition.store(engine.position, ordering: .releasing)
    if parts.deadlines.set(engine.nextDeadline, shard: parts.shard) { parts.doorbell.ring() }
  }

  func apply(_ slot: Slot) {
    switch slot.kind {
    case .control: EntryApplier.applyControl(slot, to: engine)
    case .payload:
      guard let (text, isLast) = parts.texts.take(at: slot.payload) else { return }
      if case .canary(let number, let sentAt) = text {
        // One that passes every evaluator is home with the last of them.
        if isLast { noteCanary(number: number, sentAt: sentAt) }
        return
      }
      if case .rules = text { checkpointAroundNewRules(slot, text) } else { EntryApplier.apply(text, slot, to: engine) }
    default: engine.apply(slot)
    }
  }

  /// New rules change the layout of every state, and shards come to them at different times. Each shard leaves all its
  /// states complete under the old rules, then writes all of them anew beside those: a restart reads the states of the
  /// rules in force at the lowest floor and finds every shard's.
  private func checkpointAroundNewRules(_ slot: Slot, _ text: EntryText) {
    checkpoint(everything: true)
    EntryApplier.apply(text, slot, to: engine)
    checkpoint(everything: true)
  }

  // MARK: Writing

  private func commit() {
    effects.output = engine.output
    for transition in effects.output.transitions { count(transition) }
    for row in effects.output.ledger {
      parts.meters.suppressed.with(row.document.ruleID, row.document.suppressed?.stage.rawValue ?? "").add(1)
    }
    let now = parts.clock.wallMilliseconds()
    for transition in effects.output.transitions where transition.isNotified {
      let receivers = parts.routing.receivers(for: transition.document, at: now)
      if receivers.isEmpty { parts.meters.unrouted.add(1) }
      effects.outbox += Webhooks.rows(
        transition.document, type: transition.isAnswer ? .acknowledged : nil, to: receivers,
        rights: parts.routing.rights, plan: engine.layout.plan, now: now)
    }
    effects.outbox += canaries
    canaries.removeAll(keepingCapacity: true)
    addChangedStates()
    advanceProgress()
    let active = Set(
      effects.output.transitions.filter { $0.document.state != .inactive }.map(\.document.alertID))
    write { queued in
      let items = queued.map { Webhooks.item($0, stillActive: active.contains($0.row.alertID)) }
      parts.delivery.offer(items)
    }
    engine.output.removeAll()
    activeAlerts.store(engine.activeAlerts, ordering: .relaxed)
  }

  private func count(_ transition: Transition) {
    parts.meters.transitions.add(1)
    feedback.count(transition.document)
    guard transition.document.phase == .start else { return }
    parts.meters.alerts.with(transition.document.ruleID, transition.document.priority.text).add(1)
  }

  /// States of the patients whose alerts changed go into the same write (SEMANTICS E2).
  private func addChangedStates() {
    guard engine.isBetweenMessages else { return }
    var patients: [UInt32] = []
    for transition in effects.output.transitions where !patients.contains(transition.patient) {
      patients.append(transition.patient)
    }
    add(patients)
  }

  private func add(_ patients: [UInt32]) {
    for patient in patients {
      guard let state = engine.encodeState(of: patient) else { continue }
      effects.checkpoints.append(
        PatientCheckpoint(
          patient: patient, position: state.position, rules: engine.rulesPosition, bytes: state.bytes))
    }
    engine.markStored(effects.checkpoints.map(\.patient))
  }

  private func advanceProgress() {
    for partition in 0..<partitionCount where partition % parts.shards == parts.shard {
      effects.progress.applied[partition] = max(effects.progress.applied[partition], engine.position)
    }
    // Never back: while it was idle the floor may have passed the engine's own last position.
    if engine.isBetweenMessages { effects.progress.floor = max(effects.progress.floor, engine.stateFloor) }
  }

  /// Writes until the store takes it: the journal holds the inputs, so waiting loses nothing.
  private func write(_ then: ([QueuedRow]) -> Void) {
    while !parts.abandonment.value {
      do throws(JournalError) {
        let queued = try writer.write(effects)
        effects.removeAll()
        then(queued)
        return
      } catch {
        parts.meters.effectsFailures.add(1)
        parts.log.limited(
          .error, every: 5, "evaluate", "alerts and state could not be written; trying again",
          ["reason": LogValue(error.description)])
        Pause.milliseconds(500)
      }
    }
  }

  // MARK: Upkeep

  private func upkeep() {
    let now = parts.clock.wallMilliseconds()
    guard now - lastUpkeep >= 1000 else { return }
    lastUpkeep = now
    marks.append((now, engine.position))
    while let first = marks.first, now - first.time > Evaluator.checkpointAge {
      checkpoint(before: first.position)
      if engine.dirtyPatients(before: first.position, limit: 1).isEmpty { marks.removeFirst() } else { break }
    }
    if now - lastIdleFloor >= Evaluator.checkpointAge {
      lastIdleFloor = now
      raiseIdleFloor()
    }
    patientCount.store(engine.patientNumbers.count, ordering: .relaxed)
  }

  /// A shard without patients to evaluate follows the journal too, else it would keep all of it from being trimmed.
  private func raiseIdleFloor() {
    // First the position, then the ring: what the position covers has been published, so an empty ring means all applied.
    let position = parts.durablePosition()
    guard position > effects.progress.floor, consumer.available() == 0, engine.isBetweenMessages,
      engine.dirtyPatients(before: .max, limit: 1).isEmpty
    else { return }
    for partition in 0..<partitionCount where partition % parts.shards == parts.shard {
      effects.progress.applied[partition] = position
    }
    effects.progress.floor = position
    write { _ in }
  }

  private func checkpoint(before position: UInt64) {
    guard engine.isBetweenMessages else { return }
    let due = engine.dirtyPatients(before: position, limit: Evaluator.checkpointBatch)
    guard !due.isEmpty else { return }
    add(due)
    advanceProgress()
    parts.meters.checkpoints.add(due.count)
    write { _ in }
  }

  private func checkpoint(everything: Bool) {
    engine.finishMessage()
    if !engine.output.isEmpty { commit() }
    add(engine.patientNumbers)
    advanceProgress()
    parts.meters.checkpoints.add(engine.patientNumbers.count)
    write { _ in }
  }

  // MARK: Heartbeat

  private func noteCanary(number: Int64, sentAt: Int64) {
    guard let heartbeat = parts.heartbeat() else { return }
    let now = parts.clock.wallMilliseconds()
    var data = JSONText()
    data.object {
      $0.field("canary", Int(number))
      $0.field("sent", Timestamp.format(sentAt))
      $0.field("trip_ms", Int(max(0, now - sentAt)))
      // How long a receiver may wait for the next before it rings.
      $0.field("every_s", Double(heartbeat.every) / 1000)
    }
    let id = "heartbeat-\(sentAt)"
    guard let known = parts.routing.receivers(named: [heartbeat.receiver]).first else { return }
    let webhookID = "\(id)-\(number)"
    let encoded = Webhooks.encoder(known, engine.layout.plan.registry)
      .heartbeat(webhookID: webhookID, timestampMs: now, data: data)
    canaries.append(
      OutboxRow(
        receiver: heartbeat.receiver, webhookID: webhookID, alertID: id, sequence: Int(number),
        type: Canary.type, priority: .info, createdMs: now, body: encoded.body,
        contentType: encoded.contentType, headers: encoded.headers))
  }
}

/// Where new outbox rows go once they are durable.
protocol OutboxDelivery: Sendable {
  func offer(_ items: [OutboxItem])
}

/// Entries that are not samples, applied to an engine: live and in recovery alike.
enum EntryApplier {
  static func applyControl(_ slot: Slot, to engine: Engine) {
    switch slot.code {
    case ControlCode.clockOffset: engine.applyClockOffset(slot)
    case ControlCode.inconsistentPressure: engine.applyInconsistentPressure(slot)
    default: engine.apply(slot)
    }
  }

  static func apply(_ text: EntryText, _ slot: Slot, to engine: Engine) {
    switch text {
    case .roster(let number): engine.adoptRoster(number)
    case .rules(let layout): engine.adoptPlan(layout, at: slot)
    case .alarm(let alarm): engine.applyDeviceAlarm(slot, alarm)
    case .action(let action): engine.applyAction(slot, action)
    case .alerting(let settings): engine.adoptAlerting(settings, at: slot)
    case .canary: break
    }
  }
}
