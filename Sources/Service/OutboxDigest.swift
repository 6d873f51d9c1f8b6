import AlertJournal
import Delivery
import Digests
import VitalModel

/// One alert a digest tells of.
package struct DigestAlert: Sendable {
  package var alertID: String
  /// Its newest transition; nil where the store no longer knows it.
  package var newest: StoredTransition?

  package init(alertID: String, newest: StoredTransition?) {
    self.alertID = alertID
    self.newest = newest
  }
}

/// What a digest is to say, and to whom.
package struct DigestRequest: Sendable {
  /// The receiver's name.
  package var receiver: String
  /// Takes the place of an alert's id; the webhook's id is this with sequence 1.
  package var digestID: String
  /// At least one, in the order they came.
  package var alerts: [DigestAlert]
  /// The highest of the alerts.
  package var priority: Priority
  /// Milliseconds since 1970.
  package var now: Int64
}

/// Writes a digest in its receiver's format; nil where the receiver is not known any more.
package typealias DigestEncoder = @Sendable (DigestRequest) -> OutboxRow?

/// After an outage, one webhook for all alerts that have ended (SEMANTICS E6).
struct DigestMaker: Sendable {
  struct Outcome: Equatable {
    /// Rows that are in a digest now.
    var covered: [UInt64] = []
    var digests: [QueuedRow] = []
  }

  let store: VigilStore
  let encode: DigestEncoder
  /// Whether a receiver's digest also closes its alerts; where it does not, the end of each goes by itself.
  let closesAlerts: @Sendable (_ receiver: String) -> Bool

  /// The webhook type of a digest.
  static let type = WebhookType.digest.rawValue
  /// Alerts in one digest: a body of whole documents stays below one megabyte, which common servers take. More make a
  /// second one.
  static let alertsMax = 500

  /// Makes a digest of those rows of a receiver whose alerts have ended, and of digests not delivered yet.
  ///
  /// - Parameters:
  ///   - rows: what the receiver is owed, in order, without what is under way.
  ///   - now: milliseconds since 1970.
  /// - Throws: when the store fails; rows in no digest are owed as before.
  func make(receiver: String, of rows: [QueuedRow], now: Int64) throws(JournalError) -> Outcome {
    var ended: [(alert: DigestAlert, orders: [UInt64])] = []
    var lastWords: Set<UInt64> = []
    var places: [String: Int] = [:]
    var alive: Set<String> = []
    var older: [(order: UInt64, alerts: [DigestAlert])] = []
    for entry in rows where entry.row.receiver == receiver && entry.row.type != Canary.type {
      let alertID = entry.row.alertID
      if entry.row.type == WebhookType.resolved.rawValue { lastWords.insert(entry.order) }
      if entry.row.type == Self.type {
        older.append((entry.order, try alerts(store.outbox.members(of: entry.order))))
      } else if let place = places[alertID] {
        ended[place].orders.append(entry.order)
      } else if !alive.contains(alertID) {
        guard let newest = try store.alerts.newest(alertID: alertID), newest.state == .inactive else {
          alive.insert(alertID)
          continue
        }
        places[alertID] = ended.count
        ended.append((DigestAlert(alertID: alertID, newest: newest), [entry.order]))
      }
    }
    if !closesAlerts(receiver) {
      for index in ended.indices { ended[index].orders.removeAll(where: lastWords.contains) }
      ended.removeAll(where: \.orders.isEmpty)
      places = Dictionary(uniqueKeysWithValues: ended.enumerated().map { ($0.element.alert.alertID, $0.offset) })
    }
    return try join(receiver: receiver, ended, older, places: places, now: now)
  }

  /// Older digests go into the new one where it has room, else stay as they are.
  private func join(
    receiver: String, _ ended: [(alert: DigestAlert, orders: [UInt64])],
    _ older: [(order: UInt64, alerts: [DigestAlert])], places: [String: Int], now: Int64
  ) throws(JournalError) -> Outcome {
    var outcome = Outcome()
    guard !ended.isEmpty || older.count > 1 else { return outcome }
    let told = older.flatMap(\.alerts).filter { places[$0.alertID] == nil }
    let merges = told.count + ended.count <= Self.alertsMax
    if merges {
      try write(
        receiver: receiver, told + ended.map(\.alert), older.map(\.order) + ended.flatMap(\.orders), now: now, &outcome)
      return outcome
    }
    for start in stride(from: 0, to: ended.count, by: Self.alertsMax) {
      let part = ended[start..<min(start + Self.alertsMax, ended.count)]
      try write(receiver: receiver, part.map(\.alert), part.flatMap(\.orders), now: now, &outcome)
    }
    return outcome
  }

  private func write(
    receiver: String, _ alerts: [DigestAlert], _ orders: [UInt64], now: Int64, _ outcome: inout Outcome
  ) throws(JournalError) {
    let parts = ["vigil", "digest", receiver, String(now), String(orders.first ?? 0)].joined(separator: "\u{1F}")
    let request = DigestRequest(
      receiver: receiver, digestID: "digest-" + hex(sha256(parts).prefix(16)), alerts: alerts,
      priority: alerts.compactMap(\.newest?.priority).max() ?? .medium, now: now)
    guard let row = encode(request) else { return }
    let digest = try store.outbox.putDigest(row, of: alerts.map(\.alertID), covering: orders, atMs: now)
    guard let digest else { return }
    outcome.covered += orders
    outcome.digests.append(digest)
  }

  private func alerts(_ ids: [String]) throws(JournalError) -> [DigestAlert] {
    var alerts: [DigestAlert] = []
    for id in ids { alerts.append(DigestAlert(alertID: id, newest: try store.alerts.newest(alertID: id))) }
    return alerts
  }
}
