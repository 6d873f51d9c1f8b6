import AlertJournal
import Foundation
import Statistics
import VitalModel

/// Stored alerts as figures need them: the transitions of each folded into one record.
package enum AlertHistory {
  /// Every alert people were told of whose start was detected in `start..<end` (milliseconds), by start.
  ///
  /// - Parameter onAlert: told how many have been read.
  /// - Throws: as the table reads. An alert whose documents cannot be read is left out.
  package static func outcomes(
    _ alerts: AlertTable, from start: Int64 = .min, to end: Int64 = .max, onAlert: (Int) -> Void = { _ in }
  ) throws(JournalError) -> [AlertOutcome] {
    var found: [AlertOutcome] = []
    try alerts.forEachAlert(from: start, to: end) { (transitions) throws(JournalError) in
      if let outcome = fold(transitions) { found.append(outcome) }
      onAlert(found.count)
      return true
    }
    return found
  }

  /// Candidates held in `start..<end` (milliseconds), by stage and rule; in no order.
  package static func held(
    _ ledger: LedgerTable, from start: Int64 = .min, to end: Int64 = .max
  ) throws(JournalError) -> [HeldCount] {
    struct Key: Hashable {
      var stage: SuppressionStage
      var rule: String
    }
    var counts: [Key: Int] = [:]
    try ledger.forEach(from: start, to: end) { document in
      // A ledger has millions of rows, and two words are wanted of each.
      guard let rule = word(after: #""rule":{"id":""#, in: document),
        let stage = word(after: #""suppressed":{"reason":""#, in: document).flatMap(SuppressionStage.init(rawValue:))
      else { return }
      counts[Key(stage: stage, rule: rule), default: 0] += 1
    }
    return counts.map { HeldCount(stage: $0.key.stage, rule: $0.key.rule, count: $0.value) }
  }

  /// What stands between a key as our documents write it and the next quote. No text of a document can look like such a
  /// key: quotes in texts are escaped.
  private static func word(after key: String, in document: String) -> String? {
    guard let start = document.range(of: key)?.upperBound else { return nil }
    return String(document[start...].prefix { $0 != "\"" })
  }

  /// One record of an alert's transitions, in order; nil where nobody was told of its start, or its documents are damaged.
  package static func fold(_ transitions: [StoredTransition]) -> AlertOutcome? {
    guard let first = transitions.first, first.phase == .start, first.isNotified,
      let opening = AlertDocument(json: first.document)
    else { return nil }
    var outcome = AlertOutcome(
      alertID: first.alertID, patient: first.patient, rule: opening.ruleID, ruleVersion: opening.ruleVersion,
      ruleTitle: opening.ruleTitle, unit: opening.locationUnit, kind: first.kind, priority: first.priority,
      start: first.detectedTime)
    outcome.isSimulated = opening.simulated
    outcome.notified = 0
    var level = 0
    for transition in transitions {
      guard let document = AlertDocument(json: transition.document) else { continue }
      if transition.isNotified { outcome.notified += 1 }
      outcome.priority = max(outcome.priority, transition.priority)
      outcome.escalations += max(0, document.attemptLevel - level)
      level = document.attemptLevel
      if document.isRealarm { outcome.realarms += 1 }
      note(document, at: transition.detectedTime, in: &outcome)
      // A notice that is over the moment it is given has its start for an end.
      if transition.state == .inactive, outcome.end == nil {
        outcome.end = transition.detectedTime
        outcome.endReason = document.endReason
      }
    }
    return outcome
  }

  private static func note(_ document: AlertDocument, at time: Int64, in outcome: inout AlertOutcome) {
    if outcome.acceptedAt == nil, document.responsibility == .accepted { outcome.acceptedAt = time }
    guard let acknowledgement = document.acknowledgement else { return }
    if outcome.acknowledgedAt == nil { outcome.acknowledgedAt = time }
    if let given = acknowledgement.kind { outcome.judgement = given }
  }
}

extension DeliveryAttempt {
  /// One object of a list of deliveries.
  ///
  /// - Parameter isDetailed: also what the receiver or the network said, which may be long.
  package func write(to list: inout JSONText, isDetailed: Bool) {
    list.object {
      $0.field("sequence", sequence)
      $0.field("receiver", receiver)
      $0.field("attempt", attempt)
      $0.field("time", Timestamp.format(timeMs))
      $0.field("status", status)
      $0.field("delivered", isDelivered)
      if isDetailed { $0.field("detail", detail) }
    }
  }
}
