import AlertJournal
import Configuration
import Evaluation
import Foundation
import Instrumentation
import KeyValueStore
import Pipeline
import VitalModel

/// Why the service does not start; each case has its exit code (CONTRACT section 3, SEMANTICS E8).
package enum StartFailure: Error {
  /// 78
  case badConfiguration([String])
  /// 75
  case inUse(String)
  /// 69
  case unavailable(String)

  package var lines: [String] {
    switch self {
    case .badConfiguration(let lines): lines
    case .inUse(let line), .unavailable(let line): [line]
    }
  }
}

/// Engine options as journaled: a store is evaluated under one clock and one identity for its whole life.
struct JournaledOptions: Codable, Equatable {
  var clock: String
  var identity: String
  var lateness: Int64
}

/// A store opened and brought to where it was: names, rosters, rules, patient states, and the journal's tail evaluated
/// again.
struct RecoveredStore {
  var store: VigilStore
  var directory: Directory
  var intake: Intake
  var engines: [Engine]
  var registry: VitalRegistry
  /// Progress by shard, to go on from.
  var progress: [ShardProgress]
  var nextPosition: UInt64
  var counters: JournalCounters
  /// Outputs the tail gave that had not been written before the crash, by shard.
  var owed: [EngineOutput]
  /// Texts in force at the end of the journal, as bytes.
  var rosterText: [UInt8]?
  var optionsText: [UInt8]?
  var alertingText: [UInt8]?
  /// The rules the service goes on with: those the journal ends with, or rule files that are newer.
  var rules: RulesAtStart
  /// Journal entries evaluated again, and how long the whole recovery took.
  var replayed: UInt64
}

/// Opening a store and recovering from it. Runs before any thread of the service does.
struct StoreOpening {
  var configuration: VigilConfiguration
  var files: RuleFiles
  var shards: Int
  var log: Log
  var now: Int64

  func open() throws(StartFailure) -> RecoveredStore {
    let store = try openStore()
    do {
      return try recover(store)
    } catch let error as StartFailure {
      store.close()
      throw error
    } catch {
      store.close()
      throw .unavailable("\(configuration.storePath): \(error)")
    }
  }

  private func openStore() throws(StartFailure) -> VigilStore {
    let path = configuration.storePath
    let parent = URL(fileURLWithPath: path).deletingLastPathComponent().path
    do {
      try FileManager.default.createDirectory(atPath: parent, withIntermediateDirectories: true)
    } catch {
      throw .unavailable("\(parent): cannot be made; choose another store.path")
    }
    let key: MasterKey?
    do throws(MasterKeySource.Failure) {
      key = try MasterKeySource.load(configuration.masterKey)
    } catch {
      throw .badConfiguration([error.line])
    }
    do throws(StoreError) {
      return try VigilStore.open(
        path: path, key: key, memory: StoreMemory(bytes: configuration.storeMemory),
        keepsLog: configuration.archive != nil)
    } catch {
      if case .inUse = error {
        throw .inUse("\(path): the store is in use by another vigil; stop it or choose another store.path")
      }
      if case .sealed = error { throw .badConfiguration(["\(path): \(error.description)"]) }
      throw .unavailable("\(path): \(error.description)")
    }
  }

  private func recover(_ store: VigilStore) throws -> RecoveredStore {
    let recovery = try Recovery.plan(store)
    for warning in recovery.warnings {
      log.error("store", "recovery warning", ["what": LogValue(warning.description)])
    }
    let rules = try RulesAtStart(files, configuration, store, now: now)
    let plan = rules.plan
    let directory = Directory(registry: plan.registry)
    try store.registry.restore(into: directory)
    let rulesAtFloor = try store.registry.latestText(.rules, atOrBefore: recovery.floor)
    let layout = try layout(of: rulesAtFloor, otherwise: plan)
    let rulesPosition = rulesAtFloor?.position ?? 0
    try moveOldStates(store, rulesPosition)
    try checkRegistry(plan, against: store)
    let options = EngineOptions(clock: configuration.clock == .wall ? .wall : .stream, lateness: configuration.lateness)
    let identity = IdentityMode(rawValue: configuration.identity.rawValue) ?? .roster
    let intake = Intake(directory: directory, options: .init(identity: identity, clock: options.clock), history: nil)
    let engines = (0..<shards).map { _ in Engine(layout: layout, options: options, names: directory) }
    for engine in engines { engine.setRulesPosition(rulesPosition) }
    var recovered = RecoveredStore(
      store: store, directory: directory, intake: intake, engines: engines, registry: plan.registry,
      progress: progress(recovery, try store.state.progress()), nextPosition: recovery.nextPosition,
      counters: try store.registry.counters(), owed: engines.map { _ in EngineOutput() },
      rosterText: try store.registry.latestText(.roster, atOrBefore: .max)?.bytes,
      optionsText: try store.registry.latestText(.options, atOrBefore: .max)?.bytes,
      alertingText: try store.registry.latestText(.alerting, atOrBefore: .max)?.bytes, rules: rules, replayed: 0)
    try checkOptions(recovered.optionsText)
    if let roster = try store.registry.latestText(.roster, atOrBefore: recovery.floor) {
      adoptRoster(roster.bytes, at: nil, &recovered)
    }
    if let alerting = try store.registry.latestText(.alerting, atOrBefore: recovery.floor) {
      adoptAlerting(alerting.bytes, at: nil, recovered)
    }
    try restoreStates(&recovered)
    try takeUp(before: recovery, recovered)
    try replayTail(recovery, &recovered)
    return recovered
  }

  private func progress(_ recovery: RecoveryPlan, _ stored: [UInt8: ShardProgress]) -> [ShardProgress] {
    (0..<shards).map { shard in
      var applied = Array(repeating: UInt64(0), count: partitionCount)
      for partition in 0..<partitionCount where partition % shards == shard {
        applied[partition] = recovery.applied[partition]
      }
      return ShardProgress(applied: applied, floor: recovery.floor)
    }
  }

  private func layout(of text: JournaledText?, otherwise plan: RulePlan) throws(StartFailure) -> PlanLayout {
    guard let text, let deployment = RuleDeployment(journaled: text.bytes) else { return PlanLayout(plan: plan) }
    return PlanLayout(plan: try RulesAtStart.plan(of: deployment))
  }

  private func moveOldStates(_ store: VigilStore, _ rules: UInt64) throws {
    let batch = store.makeBatch()
    try store.state.moveOld(toRules: rules, in: batch)
    try store.write(batch, sync: true)
  }

  /// Slots carry vitals by number, so a store's vitals keep their order for its whole life.
  private func checkRegistry(_ plan: RulePlan, against store: VigilStore) throws {
    guard let newest = try store.registry.latestText(.rules, atOrBefore: .max),
      let before = try? RuleDeployment(journaled: newest.bytes)?.baseFiles.registry()
    else { return }
    let old = before.vitals.map(\.key)
    let new = plan.registry.vitals.map(\.key)
    guard new.count >= old.count, Array(new.prefix(old.count)) == old else {
      throw StartFailure.badConfiguration([
        "vitals.yaml lists vitals in another order than the store \(configuration.storePath): put new vitals at the end"
      ])
    }
  }

  private func checkOptions(_ bytes: [UInt8]?) throws(StartFailure) {
    guard let bytes, let stored = try? JSONDecoder().decode(JournaledOptions.self, from: Data(bytes)) else { return }
    let current = JournaledOptions(
      clock: configuration.clock.rawValue, identity: configuration.identity.rawValue, lateness: configuration.lateness)
    guard stored == current else {
      throw .badConfiguration([
        "the store \(configuration.storePath) was made with clock: \(stored.clock), identity: \(stored.identity), "
          + "lateness \(stored.lateness) ms; keep them or choose another store.path"
      ])
    }
  }

  private func adoptRoster(_ bytes: [UInt8], at slot: Slot?, _ recovered: inout RecoveredStore) {
    guard let roster = try? Roster(canonicalJSON: String(decoding: bytes, as: UTF8.self)) else { return }
    let number = recovered.directory.adopt(roster)
    recovered.intake.rosterNumber = number
    for engine in recovered.engines { engine.adoptRoster(number, at: slot) }
  }

  private func adoptAlerting(_ bytes: [UInt8], at slot: Slot?, _ recovered: RecoveredStore) {
    guard let settings = AlertingText.decode(bytes) else {
      log.error("store", "journaled alerting settings damaged; those before stay in force")
      return
    }
    for engine in recovered.engines { engine.adoptAlerting(settings, at: slot) }
  }

  private func engine(_ recovered: RecoveredStore, patient: UInt32) -> (index: Int, partition: Int) {
    let partition = recovered.directory.partition(ofPatient: patient)
    return (partition % shards, partition)
  }

  private func restoreStates(_ recovered: inout RecoveredStore) throws {
    var damaged = 0
    let current = recovered
    try recovered.store.state.load(
      rules: current.engines[0].rulesPosition, onDamage: { _ in damaged += 1 }
    ) { checkpoint in
      let target = current.engines[engine(current, patient: checkpoint.patient).index]
      do throws(Engine.StateError) {
        try target.restoreState(of: checkpoint.patient, position: checkpoint.position, bytes: checkpoint.bytes)
      } catch {
        damaged += 1
      }
    }
    if damaged > 0 {
      log.error("store", "patient states damaged; their windows start empty", ["patients": LogValue(damaged)])
    }
    for engine in recovered.engines { engine.finishRestoring() }
  }

  /// Entries before the tail that are looked at again: more than a broker can have had under way to us unacknowledged.
  private static let lookBack: UInt64 = 65_536

  /// What no patient's state holds, from the entries just before the tail: where the engines stand, so that progress never
  /// goes back, and which timeless messages were taken in, so that their redelivery is known (SEMANTICS A6).
  private func takeUp(before recovery: RecoveryPlan, _ recovered: RecoveredStore) throws {
    let floor = recovery.floor
    guard floor > 0 else { return }
    let first = try recovered.store.journal.firstPosition() ?? .max
    let from = max(first, floor > StoreOpening.lookBack ? floor - StoreOpening.lookBack : 1)
    var clock = Int64.min
    if from <= floor {
      try recovered.store.journal.read(from: from, upTo: floor, onDamage: told) { record in
        guard case .slot(let slot) = record else { return }
        clock = max(clock, slot.ingestTime)
        if slot.kind == .sample, slot.flags.contains(.timeReceived) { recovered.intake.remember(slot) }
      }
    }
    for engine in recovered.engines { engine.resume(at: floor, clock: clock) }
  }

  /// A damaged batch does not keep a ward unwatched: it is said, and stepped over.
  private func told(_ damage: JournalError) {
    log.error("store", "journal damaged; stepped over", ["what": LogValue(damage.description)])
  }

  // MARK: The tail

  /// Evaluates again what the checkpoints do not cover; what was written before the crash is discarded (SEMANTICS E2).
  private func replayTail(_ recovery: RecoveryPlan, _ recovered: inout RecoveredStore) throws {
    var state = recovered
    var count: UInt64 = 0
    try recovered.store.journal.read(from: recovery.replayFrom, onDamage: told) { record in
      count += 1
      switch record {
      case .directory: break
      case .slot(let slot):
        if slot.kind == .sample { state.intake.remember(slot) }
        apply(slot, &state)
      case .text(let slot, let kind, let bytes): apply(slot, kind, bytes, &state)
      }
      collect(recovery, &state)
    }
    for engine in state.engines { engine.finishMessage() }
    collect(recovery, &state)
    recovered = state
    recovered.replayed = count
  }

  private func apply(_ slot: Slot, _ state: inout RecoveredStore) {
    if slot.kind == .clock || slot.patient == .max {
      for engine in state.engines { engine.apply(slot) }
      return
    }
    let target = state.engines[engine(state, patient: slot.patient).index]
    if slot.kind == .control { EntryApplier.applyControl(slot, to: target) } else { target.apply(slot) }
  }

  private func apply(_ slot: Slot, _ kind: JournalTextKind, _ bytes: [UInt8], _ state: inout RecoveredStore) {
    switch kind {
    case .roster: adoptRoster(bytes, at: slot, &state)
    case .rules:
      guard let plan = try? RuleDeployment(journaled: bytes)?.plan() else { return }
      let layout = PlanLayout(plan: plan)
      for engine in state.engines { engine.adoptPlan(layout, at: slot) }
    case .deviceEvent:
      guard let alarm = try? JSONDecoder().decode(StoredAlarm.self, from: Data(bytes)), slot.patient != .max else {
        return
      }
      state.engines[engine(state, patient: slot.patient).index].applyDeviceAlarm(slot, alarm.alarm)
    case .action:
      guard slot.patient != .max, let action = StoredAction.action(journaled: bytes) else { return }
      state.engines[engine(state, patient: slot.patient).index].applyAction(slot, action)
    case .alerting: adoptAlerting(bytes, at: slot, state)
    case .wave, .options: break
    }
  }

  private func collect(_ recovery: RecoveryPlan, _ state: inout RecoveredStore) {
    for (index, engine) in state.engines.enumerated() where !engine.output.isEmpty {
      let output = engine.output
      state.owed[index].transitions += output.transitions.filter {
        !recovery.isApplied($0.position, partition: state.directory.partition(ofPatient: $0.patient))
      }
      state.owed[index].ledger += output.ledger.filter {
        !recovery.isApplied($0.position, partition: state.directory.partition(ofPatient: $0.patient))
      }
      engine.output.removeAll()
    }
  }
}
