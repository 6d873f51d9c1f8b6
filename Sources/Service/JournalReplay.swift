import AlertJournal
import Configuration
import Evaluation
import Foundation
import Pipeline
import VitalModel

/// A store's own journal through the engine again, on one thread: samples, clock entries, rosters, rules and control
/// entries in the order they were sequenced (SEMANTICS B8).
///
/// Given the same entries and options it writes the very documents the service wrote.
package final class JournalReplay {
  package struct Options {
    package var engine: EngineOptions
    /// First event time, and the end of event times, milliseconds; nil: no bound.
    package var from: Int64?
    package var to: Int64?
    /// Directory numbers; nil: everybody.
    package var patients: Set<UInt32>?
    /// A plan that stays in force in place of the journaled rules; nil: rules as journaled.
    package var plan: RulePlan?
    /// A roster that stays in force in place of the journaled ones; nil: rosters as journaled.
    package var roster: Roster?
    /// Alerting settings that stay in force in place of the journaled ones; nil: as journaled.
    package var alerting: AlertingSettings?
    /// Settings tried on patients, by directory number, in place of those of the rosters.
    package var trials: [UInt32: ParameterSetting] = [:]

    package init(engine: EngineOptions) { self.engine = engine }
  }

  private let directory: Directory
  private let engine: Engine
  private let options: Options
  private var tally = ReplayTally()
  private let onTransition: (Transition) -> Void
  private let onLedger: (LedgerRow) -> Void
  private var samples = 0
  /// Position given to entries that come from chunks and have none.
  private var position: UInt64 = 0
  /// A journaled rule text this program cannot use, said once by the caller.
  package private(set) var refusedRules: String?
  /// Journaled answers and silences not applied, because other rules than the journaled ones are in force.
  package private(set) var ignoredActions = 0

  /// - Parameters:
  ///   - plan: in force until the journal brings rules.
  ///   - directory: holds the names behind the store's numbers.
  package init(
    plan: RulePlan, directory: Directory, options: Options, onTransition: @escaping (Transition) -> Void,
    onLedger: @escaping (LedgerRow) -> Void
  ) {
    self.directory = directory
    self.options = options
    var engineOptions = options.engine
    engineOptions.alerting = options.alerting ?? engineOptions.alerting
    let names: any NameSource =
      options.trials.isEmpty ? directory : TrialNames(directory: directory, trials: options.trials)
    engine = Engine(layout: PlanLayout(plan: options.plan ?? plan), options: engineOptions, names: names)
    self.onTransition = onTransition
    self.onLedger = onLedger
    if let roster = options.roster { engine.adoptRoster(directory.adopt(roster)) }
  }

  /// Clock and lateness a store's journal was evaluated with; nil: the bytes are damaged.
  package static func engineOptions(journaled bytes: [UInt8]) -> EngineOptions? {
    guard let stored = try? JSONDecoder().decode(JournaledOptions.self, from: Data(bytes)),
      let clock = EngineClock(rawValue: stored.clock)
    else { return nil }
    return EngineOptions(clock: clock, lateness: stored.lateness, recordsEvidence: false)
  }

  /// Applies one record of the journal; records come in journal order.
  package func take(_ record: JournalRecord) {
    switch record {
    case .directory: return
    case .slot(let slot): apply(slot)
    case .text(let slot, let kind, let bytes): apply(slot, kind, bytes)
    }
    drain()
  }

  /// Applies one sample of a sealed chunk; a patient's samples come in order of event time.
  package func takeSealed(_ sample: Slot) {
    var slot = sample
    position += 1
    slot.payload = position
    apply(slot)
    drain()
  }

  /// Puts the roster in force that the journal held last, for a replay of chunks.
  package func adoptRoster(journaled bytes: [UInt8], at entry: Slot? = nil) {
    guard options.roster == nil, let roster = try? Roster(canonicalJSON: String(decoding: bytes, as: UTF8.self)) else {
      return
    }
    engine.adoptRoster(directory.adopt(roster), at: entry)
  }

  /// Puts alerting settings in force as the journal holds them: at an entry of its own, or before a replay of chunks.
  package func adoptAlerting(journaled bytes: [UInt8], at slot: Slot? = nil) {
    guard options.alerting == nil, let settings = AlertingText.decode(bytes) else { return }
    engine.adoptAlerting(settings, at: slot)
  }

  /// Ends the replay; every sample of a journal was stored, so that the books balance by themselves.
  package func finish(seconds: Double) -> ReplaySession.Summary {
    engine.finishMessage()
    drain()
    var summary = ReplaySession.Summary()
    summary.samples = samples
    summary.stored = samples
    summary.patients = engine.patientNumbers.count
    summary.seconds = seconds
    summary.stateHash = ReplayStateHash.of(engine, directory)
    tally.complete(&summary)
    return summary
  }

  private func drain() { tally.drain(engine, onTransition: onTransition, onLedger: onLedger) }

  private func isWanted(_ slot: Slot) -> Bool {
    if let from = options.from, slot.eventTime < from { return false }
    if let to = options.to, slot.eventTime >= to { return false }
    guard let patients = options.patients, slot.kind != .clock else { return true }
    return patients.contains(slot.patient)
  }

  private func apply(_ slot: Slot) {
    guard isWanted(slot) else { return }
    if slot.kind == .sample { samples += 1 }
    if slot.kind == .control { EntryApplier.applyControl(slot, to: engine) } else { engine.apply(slot) }
  }

  private func apply(_ slot: Slot, _ kind: JournalTextKind, _ bytes: [UInt8]) {
    switch kind {
    case .roster: adoptRoster(journaled: bytes, at: slot)
    case .rules: adoptRules(slot, bytes)
    case .deviceEvent:
      guard slot.patient != .max, isWanted(slot),
        let alarm = try? JSONDecoder().decode(StoredAlarm.self, from: Data(bytes))
      else { return }
      engine.applyDeviceAlarm(slot, alarm.alarm)
    case .action: apply(action: bytes, slot)
    case .alerting: adoptAlerting(journaled: bytes, at: slot)
    case .wave, .options: break
    }
  }

  /// People answered what the journaled rules raised: under other rules it means nothing (SEMANTICS B8).
  private func apply(action bytes: [UInt8], _ slot: Slot) {
    guard slot.patient != .max, isWanted(slot) else { return }
    guard options.plan == nil else {
      ignoredActions += 1
      return
    }
    guard let action = StoredAction.action(journaled: bytes) else { return }
    engine.applyAction(slot, action)
  }

  private func adoptRules(_ slot: Slot, _ bytes: [UInt8]) {
    guard options.plan == nil else { return }
    guard let deployment = RuleDeployment(journaled: bytes) else {
      refusedRules = "the journaled rules are damaged"
      return
    }
    do throws(RuleFiles.Failure) {
      engine.adoptPlan(PlanLayout(plan: try deployment.plan()), at: slot)
    } catch {
      refusedRules = error.description
    }
  }
}
