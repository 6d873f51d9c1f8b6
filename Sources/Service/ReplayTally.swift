import Digests
import Pipeline
import VitalModel

/// What a replay's engine gave so far, counted as SEMANTICS A7 and D6 say.
struct ReplayTally: Sendable {
  var alerts = 0
  var suppressed = 0
  var alertsByRule: [String: Int] = [:]
  /// Everything anybody would have been told: starts, escalations, updates, ends.
  var notifications = 0
  var suppressedByStage: [SuppressionStage: [String: Int]] = [:]
  /// Takes the engine's output, oldest first.
  mutating func drain(_ engine: Engine, onTransition: (Transition) -> Void, onLedger: (LedgerRow) -> Void) {
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

  /// Adds what the engine of other patients gave.
  mutating func add(_ other: ReplayTally) {
    alerts += other.alerts
    suppressed += other.suppressed
    notifications += other.notifications
    alertsByRule.merge(other.alertsByRule, uniquingKeysWith: +)
    for (stage, held) in other.suppressedByStage {
      suppressedByStage[stage, default: [:]].merge(held, uniquingKeysWith: +)
    }
  }

  /// Puts the counts of documents into a summary.
  func complete(_ summary: inout ReplaySession.Summary) {
    summary.alerts = alerts
    summary.suppressed = suppressed
    summary.alertsByRule = alertsByRule
    summary.notifications = notifications
    summary.suppressedByStage = suppressedByStage
  }
}

/// A digest over every patient's state, in order of first appearance.
struct ReplayStateHash: ~Copyable {
  private var digest = Sha256()

  mutating func add(tenant: String, patient: String, state: [UInt8]?) {
    digest.update(Array("\(tenant)\u{1F}\(patient)".utf8))
    if let state { digest.update(state) }
  }

  consuming func text() -> String { "sha256:" + hex(digest.finalize()) }

  /// Over the patients of one engine.
  static func of(_ engine: Engine, _ directory: Directory) -> String {
    var hash = ReplayStateHash()
    for number in engine.patientNumbers {
      guard let key = directory.patientKey(number) else { continue }
      hash.add(tenant: key.tenant, patient: key.patient, state: engine.encodeState(of: number)?.bytes)
    }
    return hash.text()
  }
}
