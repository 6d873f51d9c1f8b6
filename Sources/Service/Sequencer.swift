import AlertJournal
import Digests
import Evaluation
import Foundation
import Instrumentation
import KeyValueStore
import Pipeline
import RingBufferModule
import Synchronization
import VitalModel

/// What a person or the service itself asks of the journal thread.
enum ControlCommand: Sendable {
  case roster(Roster)
  /// A deployment as journaled, and its plan.
  case rules([UInt8], PlanLayout)
  case alerting(AlertingSettings)
  /// Engine options as JSON, journaled for replays.
  case options([UInt8])
  /// What a person does about one patient's alerts; its position is told to the ticket.
  case action(CheckedAction, ActionMark?, ActionTicket)
  case stop
}

/// Where an action stands in the order, once it has a place: written by the journal thread, read by who waits.
final class ActionTicket: Sendable {
  /// 0: not taken yet.
  let position = Atomic<UInt64>(0)
}

/// The one thread that gives everything its order: it drains every input, admits or refuses each observation, writes one
/// synced batch, and only then lets the inputs acknowledge and the evaluators look (DESIGN invariants 1 and 2).
///
/// It never evaluates a rule and never drops an entry: when the disk refuses a batch it writes the same batch again until
/// the disk takes it, and meanwhile nothing is acknowledged.
final class Sequencer: @unchecked Sendable {
  // Unchecked: everything but the command queue and the atomics belongs to the thread that calls `run()`.

  /// Slots between the journal and one evaluator.
  static let shardCapacity = 131_072

  /// One input ring, as the journal thread sees it.
  final class Lane {
    var consumer: Ring<Slot>.Consumer
    /// Slots taken and not yet durable.
    var pendingRelease = 0
    init(_ ring: Ring<Slot>) throws(RingError) { consumer = try ring.takeConsumer("journal") }
  }

  /// One evaluator's ring, as the journal thread sees it: it fills it, and its own stage holds the others back until what
  /// it filled in is durable.
  final class Shard {
    var producer: Ring<Slot>.Producer
    var durable: Ring<Slot>.Consumer
    init(_ ring: Ring<Slot>) throws(RingError) {
      producer = ring.takeProducer()
      durable = try ring.takeConsumer("journal")
    }
  }

  struct Parts {
    var store: VigilStore
    var directory: Directory
    var intake: Intake
    var registry: VitalRegistry
    var lanes: [Lane]
    var shards: [Shard]
    var texts: EntryTexts
    var deadlines: DeadlineBoard
    var doorbell: Doorbell
    var clock: any ServiceClock
    var meters: ServiceMeters
    var log: Log
    var abandonment: Abandonment
    var commitMax: Int
    var usesWallClock: Bool
  }

  private var parts: Parts
  private var position: UInt64
  private var encoder = JournalBatchEncoder()
  private let batch: WriteBatch
  private var counters: JournalCounters
  private var marker: CommitMarker
  private var partitions: UInt64 = 0
  private var partitionOfPatient: [Int8] = []
  private var lastClock: Int64 = .min
  private var newestIngest: Int64 = .min
  private let commands = Mutex<[ControlCommand]>([])
  /// Commands that have their place in the order, and those ever sent.
  private let commandsTaken = Atomic<Int>(0)
  private let commandsSent = Atomic<Int>(0)
  private var isStopping = false
  /// Monotonic nanoseconds since which something waits to be committed; 0: nothing.
  let pendingSince = Atomic<UInt64>(0)
  let lastPosition: Atomic<UInt64>
  /// Where the rules last taken stand; 0: none since the start.
  private let rulesPosition = Atomic<UInt64>(0)
  /// The thread is done: nothing sent from now on is taken.
  private let hasEnded = Atomic<Bool>(false)
  /// Devices whose samples nobody is assigned to, told once each.
  let unassigned = Mutex<Set<String>>([])

  init(_ parts: Parts, nextPosition: UInt64, counters: JournalCounters) {
    self.parts = parts
    position = nextPosition - 1
    lastPosition = Atomic(nextPosition - 1)
    self.counters = counters
    batch = parts.store.makeBatch()
    marker = CommitMarker(storePath: parts.store.path)
  }

  func send(_ command: ControlCommand) {
    commands.withLock {
      $0.append(command)
      commandsSent.add(1, ordering: .relaxed)
    }
    parts.doorbell.ring()
  }

  /// Blocks until every command sent before has its place in the order: what is taken in from then on is judged by it.
  func waitUntilCommandsTaken() {
    let wanted = commandsSent.load(ordering: .relaxed)
    while commandsTaken.load(ordering: .acquiring) < wanted, !parts.abandonment.value { Pause.milliseconds(1) }
  }

  /// Blocks until the rules sent before are durable; their position, nil when the service gives up.
  func waitUntilRulesDurable() -> UInt64? {
    waitUntilCommandsTaken()
    let wanted = rulesPosition.load(ordering: .relaxed)
    while lastPosition.load(ordering: .acquiring) < wanted {
      if parts.abandonment.value { return nil }
      Pause.milliseconds(1)
    }
    return wanted
  }

  /// Blocks until an action sent before is durable; its position, nil when that is not known within so many milliseconds.
  ///
  /// The wait is real time, whatever the service's clock says: a caller must not hang on a disk.
  func wait(for ticket: ActionTicket, milliseconds: Int) -> UInt64? {
    for _ in 0..<max(1, milliseconds) {
      // Read before the position: what was taken before the end shows in it.
      let isOver = hasEnded.load(ordering: .acquiring) || parts.abandonment.value
      let position = ticket.position.load(ordering: .acquiring)
      if position > 0, lastPosition.load(ordering: .acquiring) >= position { return position }
      if isOver { return nil }
      Pause.milliseconds(1)
    }
    return nil
  }

  /// The thread's body: until told to stop and every input is drained, or abandoned.
  func run() {
    while !parts.abandonment.value {
      let seen = parts.doorbell.count
      takeCommands()
      writeClockEntry()
      let drained = drainLanes()
      if drained || !encoder.isEmpty || encoder.count > 0 {
        guard commit() else { break }
        continue
      }
      if isStopping { break }
      parts.doorbell.wait(after: seen, timeoutNanoseconds: waitNanoseconds())
    }
    hasEnded.store(true, ordering: .releasing)
    for shard in parts.shards { shard.producer.close() }
    _ = marker.write(position)
  }

  /// Until the next deadline, at most a second, at least a millisecond.
  private func waitNanoseconds() -> Int64 {
    guard parts.usesWallClock else { return 1_000_000_000 }
    let due = parts.deadlines.earliest
    if due == .max || due <= lastClock { return 1_000_000_000 }
    return min(max(due - parts.clock.wallMilliseconds(), 1), 1000) * 1_000_000
  }

  // MARK: Draining

  /// - Returns: whether any lane had something.
  private func drainLanes() -> Bool {
    var any = false
    for lane in parts.lanes {
      let available = lane.consumer.available()
      guard available > 0 else { continue }
      if pendingSince.load(ordering: .relaxed) == 0 {
        pendingSince.store(parts.clock.monotonicNanoseconds(), ordering: .relaxed)
      }
      any = true
      // Room is only ever waited for with nothing staged: what waits in the rings unpublished would never make any.
      if encoder.count > 0, !hasRoom { return true }
      drain(lane, limit: parts.commitMax)
    }
    return any
  }

  /// Takes whole messages up to about `limit` slots; inputs publish whole payloads only.
  private func drain(_ lane: Lane, limit: Int) {
    let shards = parts.shards
    for shard in shards { waitForRoom(shard, limit + IngestLane.payloadSlotsMax) }
    var count = 0
    var held: Slot?
    let room = limit + IngestLane.payloadSlotsMax
    lane.consumer.withBatch(limit: room) { batch in
      while count < batch.count {
        let slot = batch[count]
        if count >= limit, held == nil, !isInsideMessage { break }
        count += 1
        take(slot, held: &held)
      }
    }
    if var last = held { emitSample(&last, isLast: true) }
    isInsideMessage = false
    lane.pendingRelease = count
  }

  private var isInsideMessage = false

  private var hasRoom: Bool {
    let wanted = parts.commitMax + IngestLane.payloadSlotsMax
    for shard in parts.shards where shard.producer.claim(wanted) < wanted { return false }
    return true
  }

  private func waitForRoom(_ shard: Shard, _ count: Int) {
    while shard.producer.claim(count) < count, !parts.abandonment.value {
      _ = shard.producer.waitForRoom(count, timeoutNanoseconds: 200_000_000)
    }
  }

  private func take(_ slot: Slot, held: inout Slot?) {
    switch slot.kind {
    case .sample:
      isInsideMessage = !slot.flags.contains(.endOfMessage)
      takeSample(slot, held: &held)
    case .deviceStatus:
      var own = slot
      own.patient = parts.intake.owner(of: slot) ?? .max
      if own.patient != .max { emit(&own) }
    case .control:
      var own = slot
      if own.patient == .max { own.patient = parts.intake.owner(of: slot) ?? .max }
      if own.patient != .max { emit(&own) }
    case .payload:
      guard let item = HeavyItem.take(slot.payload) else { return }
      takeHeavy(item, slot)
    case .clock, nil: return
    }
  }

  private func takeSample(_ slot: Slot, held: inout Slot?) {
    var own = slot
    let endsMessage = own.flags.contains(.endOfMessage)
    own.flags.remove(.endOfMessage)
    counters.received &+= 1
    parts.meters.samples.add(1)
    let digest = UInt64(bitPattern: own.deviceSequence)
    let admission = parts.intake.admit(&own, digest: digest)
    switch admission {
    case .accepted:
      counters.stored &+= 1
      parts.meters.stored.add(1)
      if own.flags.contains(.corrected) { parts.meters.corrections.add(1) }
      if var earlier = held { emitSample(&earlier, isLast: false) }
      held = own
    case .duplicate:
      counters.duplicates &+= 1
      parts.meters.duplicates.add(1)
    case .refused(let reason): quarantine(slot, reason)
    }
    if endsMessage, var last = held {
      emitSample(&last, isLast: true)
      held = nil
    }
    if !parts.intake.skewChanges.isEmpty { tellSkew(own) }
  }

  private func emitSample(_ slot: inout Slot, isLast: Bool) {
    if isLast { slot.flags.insert(.endOfMessage) }
    emit(&slot)
  }

  /// Gives an entry its position, journals it and hands it to its patient's evaluator.
  private func emit(_ slot: inout Slot) {
    position += 1
    slot.payload = position
    // One clock for every shard and replay: two inputs, or a wall clock set back, never make journal time go back.
    newestIngest = max(newestIngest, slot.ingestTime)
    slot.ingestTime = newestIngest
    encoder.append(slot)
    let partition = partition(slot.patient)
    partitions |= 1 << UInt64(partition)
    parts.shards[partition % parts.shards.count].producer.stage(slot)
  }

  private func partition(_ patient: UInt32) -> Int {
    while partitionOfPatient.count <= Int(patient) {
      partitionOfPatient.append(Int8(parts.directory.partition(ofPatient: UInt32(partitionOfPatient.count))))
    }
    return Int(partitionOfPatient[Int(patient)])
  }

  /// Journals an entry without text that concerns every patient.
  private func broadcast(_ slot: inout Slot) {
    position += 1
    slot.payload = position
    newestIngest = max(newestIngest, slot.ingestTime)
    slot.ingestTime = newestIngest
    encoder.append(slot)
    for shard in parts.shards { shard.producer.stage(slot) }
  }

  /// Journals a text and hands it to the evaluators of one patient (`slot.patient` known) or of all.
  private func emit(_ slot: inout Slot, _ kind: JournalTextKind, _ bytes: [UInt8], _ meaning: EntryText?) {
    slot.kind = .payload
    slot.code = VitalCode(index: UInt16(kind.rawValue))
    slot.payload = position + 1
    newestIngest = max(newestIngest, slot.ingestTime)
    slot.ingestTime = newestIngest
    do throws(JournalError) {
      try encoder.append(slot, kind: kind, text: bytes)
    } catch {
      parts.log.error("journal", "text entry refused", ["kind": LogValue(Int(kind.rawValue))])
      return
    }
    position += 1
    if slot.patient != .max { partitions |= 1 << UInt64(partition(slot.patient)) }
    guard let meaning else { return }
    let targets =
      slot.patient == .max
      ? parts.shards : [parts.shards[partition(slot.patient) % parts.shards.count]]
    parts.texts.put(meaning, at: position, readers: targets.count)
    for shard in targets { shard.producer.stage(slot) }
  }

  private func tellSkew(_ sample: Slot) {
    for change in parts.intake.skewChanges {
      var slot = Slot()
      slot.kind = .control
      slot.code = ControlCode.clockOffset
      slot.device = change.device
      slot.mantissa = change.milliseconds
      slot.eventTime = sample.eventTime
      slot.ingestTime = sample.ingestTime
      slot.patient = parts.intake.owner(of: slot) ?? .max
      if slot.patient != .max { emit(&slot) }
    }
    parts.intake.skewChanges.removeAll()
  }

  // MARK: What is not a sample

  private func takeHeavy(_ item: HeavyItem, _ slot: Slot) {
    var own = slot
    own.payload = 0
    switch item.content {
    case .quarantine(let reason, let observations):
      counters.received &+= UInt64(observations)
      parts.meters.samples.add(observations)
      count(reason, observations, device: item.device)
      _ = parts.store.quarantine.put(
        QuarantineItem(
          reason: reason, receivedMs: item.receivedAt, tenant: item.tenant, device: item.device, topic: item.topic,
          contentType: item.contentType, observations: observations, bytes: item.bytes), in: batch)
    case .event(let alarm):
      own.patient = own.patient == .max ? parts.intake.owner(of: own) ?? .max : own.patient
      guard own.patient != .max else { return quarantine(alarm, item, own) }
      let bytes = (try? JSONEncoder().encode(StoredAlarm(alarm))).map(Array.init) ?? []
      emit(&own, .deviceEvent, bytes, .alarm(alarm))
    case .wave:
      own.patient = parts.intake.owner(of: own) ?? .max
      emit(&own, .wave, item.bytes, Canary.meaning(item).map { .canary(number: $0.number, sentAt: $0.sentAt) })
    }
  }

  private func count(_ reason: QuarantineReason, _ observations: Int, device: String) {
    counters[reason] &+= UInt64(observations)
    parts.meters.quarantined.with(reason.rawValue).add(observations)
    parts.meters.quarantinedByDevice.with(device, reason.rawValue).add(observations)
  }

  /// An observation the intake refused goes to quarantine as a native message of its own.
  private func quarantine(_ slot: Slot, _ reason: QuarantineReason) {
    guard let device = parts.directory.deviceKey(slot.device) else { return }
    count(reason, 1, device: device.device)
    if reason == .unassignedDevice {
      unassigned.withLock { if $0.count < 10_000 { $0.insert(device.tenant + "/" + device.device) } }
    }
    let source = parts.directory.sourceName(slot.source)
    let bytes = NativeMessage.encode(slot, registry: parts.registry, source: source)
    _ = parts.store.quarantine.put(
      QuarantineItem(
        reason: reason, receivedMs: slot.ingestTime, tenant: device.tenant, device: device.device,
        topic: "vigil/v1/\(device.tenant)/\(device.device)/vitals", contentType: "application/json", observations: 1,
        bytes: bytes), in: batch)
  }

  /// A device's alarm that belongs to nobody yet is kept like its samples are.
  private func quarantine(_ alarm: DeviceAlarm, _ item: HeavyItem, _ slot: Slot) {
    counters.received &+= 1
    parts.meters.samples.add(1)
    count(.unassignedDevice, 1, device: item.device)
    unassigned.withLock { if $0.count < 10_000 { $0.insert(item.tenant + "/" + item.device) } }
    _ = parts.store.quarantine.put(
      QuarantineItem(
        reason: .unassignedDevice, receivedMs: item.receivedAt, tenant: item.tenant, device: item.device,
        topic: item.topic, contentType: "application/json", observations: 1,
        bytes: NativeMessage.encode(alarm, at: slot.eventTime)), in: batch)
  }

  // MARK: Clock and commands

  /// A clock entry when some deadline is due and none was written since (SEMANTICS B2).
  private func writeClockEntry() {
    guard parts.usesWallClock else { return }
    let due = parts.deadlines.earliest
    let now = parts.clock.wallMilliseconds()
    guard due <= now, due > lastClock else { return }
    lastClock = now
    for shard in parts.shards { waitForRoom(shard, 1) }
    var slot = Slot()
    slot.kind = .clock
    slot.eventTime = now
    slot.ingestTime = now
    broadcast(&slot)
    parts.meters.clockEntries.add(1)
  }

  private func takeCommands() {
    let list = commands.withLock { commands in
      defer { commands.removeAll() }
      return commands
    }
    for command in list {
      for shard in parts.shards { waitForRoom(shard, 1) }
      var slot = Slot()
      slot.eventTime = parts.clock.wallMilliseconds()
      slot.ingestTime = slot.eventTime
      switch command {
      case .stop: isStopping = true
      case .options(let bytes): emit(&slot, .options, bytes, nil)
      case .roster(let roster):
        let number = parts.directory.adopt(roster)
        parts.intake.rosterNumber = number
        emit(&slot, .roster, Array(roster.canonicalJSON.utf8), .roster(number))
      case .alerting(let settings): emit(&slot, .alerting, AlertingText.encode(settings), .alerting(settings))
      case .rules(let bytes, let layout):
        emit(&slot, .rules, bytes, .rules(layout))
        rulesPosition.store(position, ordering: .relaxed)
      case .action(let checked, let mark, let ticket): emit(&slot, checked, mark, ticket)
      }
      commandsTaken.add(1, ordering: .releasing)
    }
  }

  /// Journals an action, with what it leaves in the same write, and hands it to its patient's evaluator.
  private func emit(_ slot: inout Slot, _ checked: CheckedAction, _ mark: ActionMark?, _ ticket: ActionTicket) {
    slot.patient = checked.patient
    let before = position
    emit(&slot, .action, StoredAction(checked.action).bytes, .action(checked.action))
    guard position > before else { return }
    do throws(JournalError) {
      try parts.store.actions.put(
        checked.action, patient: checked.patient, position: position, time: slot.eventTime, mark: mark, in: batch)
    } catch {
      parts.log.error("journal", "what an action leaves could not be stored", ["reason": LogValue(error.description)])
    }
    ticket.position.store(position, ordering: .releasing)
  }

  // MARK: Committing

  /// Writes what was drained, syncs, then lets inputs acknowledge and evaluators look.
  ///
  /// - Returns: false when the service is giving up; nothing of the batch may then be acknowledged.
  private func commit() -> Bool {
    let entries = parts.directory.takePending()
    for entry in entries { encoder.append(entry) }
    do throws(JournalError) {
      if !encoder.isEmpty {
        let encoded = encoder.finish(partitions: partitions)
        try parts.store.journal.append(encoded, to: batch)
        parts.meters.batchEntries.observe(Double(encoded.header.records))
      } else if !entries.isEmpty {
        // Names without a slot yet wait for the next batch that has one.
        encoder.clear()
        parts.directory.giveBack(entries)
      }
    } catch {
      parts.log.error("journal", "batch could not be built", ["reason": LogValue("\(error)")])
      return false
    }
    if !batch.isEmpty {
      parts.store.registry.put(counters, in: batch)
      guard writeUntilDurable() else { return false }
    }
    for shard in parts.shards {
      shard.producer.publish()
      let staged = shard.durable.available()
      if staged > 0 { shard.durable.release(staged) }
    }
    for lane in parts.lanes where lane.pendingRelease > 0 {
      lane.consumer.release(lane.pendingRelease)
      lane.pendingRelease = 0
    }
    batch.clear()
    parts.intake.committed()
    partitions = 0
    lastPosition.store(position, ordering: .releasing)
    pendingSince.store(0, ordering: .relaxed)
    _ = marker.note(position, nowMs: parts.clock.wallMilliseconds())
    return true
  }

  private func writeUntilDurable() -> Bool {
    var attempt = 0
    while true {
      let start = parts.clock.monotonicNanoseconds()
      do throws(StoreError) {
        try parts.store.write(batch, sync: true)
        parts.meters.commits.add(1)
        parts.meters.commitSeconds.observe(nanoseconds: parts.clock.monotonicNanoseconds() - start)
        if attempt > 0 { parts.log.info("journal", "disk takes writes again", ["attempts": LogValue(attempt)]) }
        return true
      } catch {
        attempt += 1
        parts.meters.commitFailures.add(1)
        parts.log.limited(
          .error, every: 5, "journal", "commit failed; nothing is acknowledged until the disk takes it",
          ["reason": LogValue(error.description)])
        if parts.abandonment.value { return false }
        Pause.milliseconds(min(1000, 100 * attempt))
        try? parts.store.store.reopen()
      }
    }
  }
}
