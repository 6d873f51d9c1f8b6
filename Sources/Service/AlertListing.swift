import AlertJournal
import Pipeline
import VitalModel

/// Lists of alerts and silences, for the API and for commands.
package enum AlertListing {
  /// Alerts by their newest transition, newest first.
  ///
  /// - Parameter state: nil: all that have not ended.
  package static func alerts(
    _ store: VigilStore, state: AlertState? = nil, limit: Int
  ) throws(JournalError) -> [StoredTransition] {
    guard state != .inactive else { return try ended(store, limit: limit) }
    let found = try store.alerts.active().filter { state == nil || $0.state == state }
    return Array(found.sorted { ($1.detectedTime, $0.alertID) < ($0.detectedTime, $1.alertID) }.prefix(limit))
  }

  private static func ended(_ store: VigilStore, limit: Int) throws(JournalError) -> [StoredTransition] {
    // The transition that ends an alert is its newest: nothing follows it.
    var found: [StoredTransition] = []
    var end = Int64.max
    while found.count < limit {
      let page = try store.alerts.list(to: end, limit: 4096, newestFirst: true)
      found += page.filter { $0.state == .inactive }
      guard page.count == 4096, let last = page.last, last.detectedTime < end else { break }
      end = last.detectedTime
    }
    return Array(found.prefix(limit))
  }

  /// Silences, newest first.
  ///
  /// - Parameter isAll: also those that are over.
  package static func silences(
    _ store: VigilStore, isAll: Bool, now: Int64, limit: Int
  ) throws(JournalError) -> [StoredSilence] {
    if isAll { return try store.actions.silences(limit: limit) }
    let recent = try store.actions.silences(from: now - Silence.longest(.low), limit: .max)
    return Array(recent.filter { $0.isInForce(at: now) }.prefix(limit))
  }

  /// One silence as the API and `--json` show it.
  package static func json(_ row: StoredSilence, _ directory: Directory, now: Int64) -> String {
    let patient = directory.patientKey(row.patient)
    var out = JSONText()
    out.object {
      $0.field("id", row.silence.id)
      $0.field("tenant", patient?.tenant)
      $0.field("patient", patient?.patient)
      switch row.silence.matcher {
      case .rule(let rule): $0.field("rule", rule)
      case .kind(let kind): $0.field("kind", kind.rawValue)
      }
      $0.field("by", row.silence.author)
      $0.field("reason", row.silence.reason)
      $0.field("from", Timestamp.format(row.silence.from))
      $0.field("until", Timestamp.format(row.silence.until))
      $0.field("in_force", row.isInForce(at: now))
      $0.field("ended_by", row.endedBy)
      $0.field("ended", row.endedAt.map(Timestamp.format))
      $0.field("position", Int(clamping: row.position))
    }
    return out.text
  }
}
