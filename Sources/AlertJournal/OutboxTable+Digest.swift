import Compression
import KeyValueStore
import VitalModel

/// Many rows of one receiver told in one: what ended while it was away (SEMANTICS E6).
extension OutboxTable {
  static let membersPrefix: UInt8 = 0x04

  /// Puts a digest in the place of the rows it covers, in one write: the digest in, the others out with their marks, so
  /// that none of them is queued again when it is derived again.
  ///
  /// - Parameters:
  ///   - row: the digest.
  ///   - alerts: ids of the alerts it tells of.
  ///   - orders: what it covers; rows that are gone meanwhile are left out.
  /// - Returns: the digest as queued; nil when nothing was left to cover or the digest's id is known, and then nothing
  ///   has been written.
  package func putDigest(
    _ row: OutboxRow, of alerts: [String], covering orders: [UInt64], atMs timeMs: Int64, sync: Bool = true
  ) throws(JournalError) -> QueuedRow? {
    try change { () throws(JournalError) in
      var covered: [QueuedRow] = []
      for order in orders {
        if let entry = try self.row(order) { covered.append(entry) }
      }
      guard !covered.isEmpty else { return nil }
      let batch = WriteBatch(for: table.store)
      guard let digest = try put([row], in: batch).first else { return nil }
      for entry in covered { try join(entry, digest, atMs: timeMs, in: batch) }
      let members = SealedValue.seal(capacity: alerts.count * 40) { out in
        out.append(varint: UInt64(clamping: alerts.count))
        for alert in alerts { out.append(counted: alert) }
      }
      batch.put(table.family, key: OutboxTable.membersKey(digest.order), value: members)
      try storing { () throws(StoreError) in try table.store.write(batch, sync: sync) }
      return digest
    }
  }

  /// Takes a covered row out and leaves a trace in its alert's history.
  private func join(
    _ entry: QueuedRow, _ digest: QueuedRow, atMs timeMs: Int64, in batch: WriteBatch
  ) throws(JournalError) {
    let attempt = DeliveryAttempt(
      sequence: entry.row.sequence, receiver: entry.row.receiver, attempt: entry.attempts + 1, timeMs: timeMs,
      status: 0, isDelivered: false, detail: "joined \(digest.row.webhookID)")
    try alerts.put(attempt, alertID: entry.row.alertID, in: batch)
    try settle(entry, at: timeMs, in: batch)
  }

  /// Ids of the alerts a digest still owed tells of; empty for any other row.
  package func members(of order: UInt64) throws(JournalError) -> [String] {
    try table.read(OutboxTable.membersKey(order), position: order) { (reader) throws(ByteError) in
      let count = try reader.count(limit: 1 << 20)
      var members: [String] = []
      members.reserveCapacity(count)
      for _ in 0..<count { members.append(try reader.countedString()) }
      return members
    } ?? []
  }

  static func membersKey(_ order: UInt64) -> [UInt8] {
    var key = KeyBuilder()
    key.append(membersPrefix)
    key.append(order)
    return key.bytes
  }
}
