import AlertJournal
import Instrumentation
import Statistics
import VitalModel

/// Counts what becomes of alerts from their transitions: answers, re-alarms, steps up the ladder, time until somebody took
/// one on. Owned by one evaluator's thread.
///
/// What a transition changed shows only beside the one before it: alerts not ended are remembered, and after a restart
/// looked up in the store once each.
struct FeedbackMeter {
  private struct Life {
    /// Engine clock at its start, milliseconds.
    var start: Int64
    var level = 0
    var isAccepted = false
    var acknowledgement: Acknowledgement?
  }

  private let meters: ServiceMeters
  /// Finds the stored transitions of an alert that was open before this process was.
  private let stored: (String) -> [StoredTransition]
  /// By alert id; gone with the alert's end.
  private var lives: [String: Life] = [:]

  /// Alerts remembered, one process over; one past it is measured from the store.
  static let livesMax = 100_000

  init(_ meters: ServiceMeters, stored: @escaping (String) -> [StoredTransition]) {
    self.meters = meters
    self.stored = stored
  }

  /// Takes in one transition, in the order they happened.
  mutating func count(_ document: AlertDocument) {
    var life = lives[document.alertID] ?? Life(start: document.detectedTime)
    if lives[document.alertID] == nil, document.phase != .start { recall(document, &life) }
    if document.attemptLevel > life.level {
      for level in life.level + 1...document.attemptLevel { meters.escalations.with(String(level)).add(1) }
    }
    life.level = document.attemptLevel
    if document.isRealarm { meters.realarms.add(1) }
    if document.responsibility == .accepted, !life.isAccepted {
      life.isAccepted = true
      let waited = Double(max(0, document.detectedTime - life.start)) / 1000
      meters.timeToAccept.with(document.priority.text).observe(waited)
    }
    if let given = document.acknowledgement, given != life.acknowledgement {
      life.acknowledgement = given
      meters.acknowledgements.with(document.ruleID, given.kind?.rawValue ?? "none").add(1)
    }
    lives[document.alertID] = document.state == .inactive || lives.count >= FeedbackMeter.livesMax ? nil : life
  }

  /// What is known of an alert from before this process.
  private func recall(_ document: AlertDocument, _ life: inout Life) {
    let before = stored(document.alertID).filter { $0.sequence < document.sequence }
    guard let outcome = AlertHistory.fold(before) else { return }
    life.start = outcome.start
    life.isAccepted = outcome.acceptedAt != nil
    guard let newest = before.last.flatMap({ AlertDocument(json: $0.document) }) else { return }
    (life.level, life.acknowledgement) = (newest.attemptLevel, newest.acknowledgement)
  }
}
