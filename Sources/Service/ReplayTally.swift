import Digests
import Pipeline
import VitalModel

/// What a replay's engine gave so far: hands every document on and counts as SEMANTICS A7 and D6 say.
struct ReplayTally {
  private(set) var alerts = 0
  private(set) var suppressed = 0
  private(set) var alertsByRule: [String: Int] = [:]
  /// Everything anybody would have been told: starts, escalations, updates, ends.
  private(set) var notifications = 0
  private(set) var suppressedByStage: [SuppressionStage: [String: Int]] = [:]
  private let onTransition: (Transition) -> Void
  private let onLedger: (LedgerRow) -> Void

  init(onTransition: @escaping (Transition) -> Void, onLedger: @escaping (LedgerRow) -> Void) {
    self.onTransition = onTransition
    self.onLedger = onLedger
  }

  /// Takes the engine's output, oldest first.
  mutating func drain(_ engine: Engine) {
    guard !engine.output.isEmpty else { return }
    for transition in engine.output.transitions {
      if transition.isNotified { notifications += 1 }
      if transition.document.phase == .start, transition.isNotified {
        alerts += 1
        alertsByRule[transition.document.ruleID, default: 0] += 1
      }
      onTransition(transition)
    }
    for row in engine.output.ledger {
      suppressed += 1
      if let stage = row.document.suppressed?.stage {
        suppressedByStage[stage, default: [:]][row.document.ruleID, default: 0] += 1
      }
      onLedger(row)
    }
    engine.output.removeAll()
  }

  /// Puts the counts of documents and the state's digest into a summary.
  func complete(_ summary: inout ReplaySession.Summary, engine: Engine, directory: Directory, seconds: Double) {
    summary.patients = engine.patientNumbers.count
    summary.alerts = alerts
    summary.suppressed = suppressed
    summary.alertsByRule = alertsByRule
    summary.notifications = notifications
    summary.suppressedByStage = suppressedByStage
    summary.seconds = seconds
    summary.stateHash = ReplayTally.stateHash(engine, directory)
  }

  /// A digest over every patient's state, in order of first appearance.
  private static func stateHash(_ engine: Engine, _ directory: Directory) -> String {
    var digest = Sha256()
    for number in engine.patientNumbers {
      if let key = directory.patientKey(number) { digest.update(Array("\(key.tenant)\u{1F}\(key.patient)".utf8)) }
      if let state = engine.encodeState(of: number) { digest.update(state.bytes) }
    }
    return "sha256:" + hex(digest.finalize())
  }
}
