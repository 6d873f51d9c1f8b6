import AlertJournal
import Foundation
import Statistics
import VitalModel

/// Stored alerts as figures need them: the transitions of each folded into one record.
package enum AlertHistory {
  /// Every alert people were told of whose start was detected in `start..<end` (milliseconds), by start.
  ///
  /// - Throws: as the table reads. An alert whose documents cannot be read is left out.
  package static func outcomes(
    _ alerts: AlertTable, from start: Int64 = .min, to end: Int64 = .max
  ) throws(JournalError) -> [AlertOutcome] {
    var found: [AlertOutcome] = []
    try alerts.forEachAlert(from: start, to: end) { (transitions) throws(JournalError) in
      if let outcome = fold(transitions) { found.append(outcome) }
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
    let decoder = JSONDecoder()
    try ledger.forEach(from: start, to: end) { document in
      guard let facts = try? decoder.decode(Facts.self, from: Data(document.utf8)),
        let stage = facts.suppressed.flatMap({ SuppressionStage(rawValue: $0.reason) })
      else { return }
      counts[Key(stage: stage, rule: facts.rule.id), default: 0] += 1
    }
    return counts.map { HeldCount(stage: $0.key.stage, rule: $0.key.rule, count: $0.value) }
  }

  /// One record of an alert's transitions, in order; nil where nobody was told of its start, or its documents are damaged.
  package static func fold(_ transitions: [StoredTransition]) -> AlertOutcome? {
    guard let first = transitions.first, first.phase == .start, first.isNotified else { return nil }
    let decoder = JSONDecoder()
    guard let opening = try? decoder.decode(Facts.self, from: Data(first.document.utf8)) else { return nil }
    var outcome = AlertOutcome(
      alertID: first.alertID, patient: first.patient, rule: opening.rule.id, ruleVersion: opening.rule.version,
      ruleTitle: opening.rule.title, unit: opening.location?.unit, kind: first.kind, priority: first.priority,
      start: first.detectedTime)
    outcome.isSimulated = opening.simulated ?? false
    outcome.notified = 0
    var level = 0
    for transition in transitions {
      guard let facts = try? decoder.decode(Facts.self, from: Data(transition.document.utf8)) else { continue }
      if transition.isNotified { outcome.notified += 1 }
      outcome.priority = max(outcome.priority, transition.priority)
      let newLevel = facts.attemptLevel ?? 0
      if newLevel > level { outcome.escalations += newLevel - level }
      level = newLevel
      if facts.realarm ?? false { outcome.realarms += 1 }
      note(facts, at: transition.detectedTime, in: &outcome)
      // A notice that is over the moment it is given has its start for an end.
      if transition.state == .inactive, outcome.end == nil {
        outcome.end = transition.detectedTime
        outcome.endReason = facts.endReason
      }
    }
    return outcome
  }

  /// Level of the ladder and acknowledgement after the last of an alert's transitions.
  static func standing(_ transitions: [StoredTransition]) -> (level: Int, acknowledgement: Acknowledgement?) {
    guard let last = transitions.last,
      let facts = try? JSONDecoder().decode(Facts.self, from: Data(last.document.utf8))
    else { return (0, nil) }
    let given = facts.acknowledgement.map { answer in
      Acknowledgement(
        by: answer.by ?? "", kind: answer.class.flatMap(AcknowledgementClass.init(rawValue:)), note: answer.note,
        time: answer.time.flatMap { Timestamp.parse($0) } ?? 0)
    }
    return (facts.attemptLevel ?? 0, given)
  }

  private static func note(_ facts: Facts, at time: Int64, in outcome: inout AlertOutcome) {
    if outcome.acceptedAt == nil, facts.responsibility?.state == Responsibility.accepted.rawValue {
      outcome.acceptedAt = time
    }
    guard let acknowledgement = facts.acknowledgement else { return }
    if outcome.acknowledgedAt == nil { outcome.acknowledgedAt = time }
    if let given = acknowledgement.class.flatMap(AcknowledgementClass.init(rawValue:)) { outcome.judgement = given }
  }

  /// What is read of a document; keys that older documents lack are optional.
  private struct Facts: Decodable {
    struct Rule: Decodable {
      var id: String
      var version: String
      var title: String
    }
    struct Location: Decodable { var unit: String? }
    struct Answer: Decodable {
      var by: String?
      var `class`: String?
      var note: String?
      var time: String?
    }
    struct Owner: Decodable { var state: String? }
    struct Stage: Decodable { var reason: String }

    var rule: Rule
    var location: Location?
    var attemptLevel: Int?
    var realarm: Bool?
    var responsibility: Owner?
    var acknowledgement: Answer?
    var suppressed: Stage?
    var simulated: Bool?
    var endReason: String?

    enum CodingKeys: String, CodingKey {
      case rule, location, realarm, responsibility, acknowledgement, suppressed, simulated
      case attemptLevel = "attempt_level"
      case endReason = "end_reason"
    }
  }
}
