import Compression
import KeyValueStore
import Synchronization
import VitalModel

/// What is owed to one receiver.
package struct OutboxRow: Hashable, Sendable {
  package var receiver: String
  /// The idempotency id the receiver sees: the same for every try and every re-derivation.
  package var webhookID: String
  package var alertID: String
  package var sequence: Int
  /// The webhook type, such as `alert.opened`.
  package var type: String
  package var priority: Priority
  /// Milliseconds since 1970.
  package var createdMs: Int64
  /// In the receiver's format; without the secrets that are added when it is sent.
  package var body: [UInt8]
  package var contentType: String
  /// At most 16 beside those of every webhook.
  package var headers: [WebhookHeader]

  package init(
    receiver: String, webhookID: String, alertID: String, sequence: Int, type: String, priority: Priority,
    createdMs: Int64, body: [UInt8], contentType: String = "application/json", headers: [WebhookHeader] = []
  ) {
    precondition(headers.count <= 16, "a webhook has few headers of its own")
    self.receiver = receiver
    self.webhookID = webhookID
    self.alertID = alertID
    self.sequence = sequence
    self.type = type
    self.priority = priority
    self.createdMs = createdMs
    self.body = body
    self.contentType = contentType
    self.headers = headers
  }
}

/// A row of the outbox and its place in the order of making.
package struct QueuedRow: Hashable, Sendable {
  package var order: UInt64
  package var row: OutboxRow
  /// Tries so far, and when the last one was (milliseconds since 1970; 0 before the first).
  package var attempts: Int
  package var lastAttemptMs: Int64
}

/// What must still be delivered, in order, and which ids have been.
///
/// One receiver and webhook id is queued once: while queued, and after delivery for as long as the mark is kept, the same
/// pair is not queued again. So keep marks as long as the journal they could be derived from again.
package final class OutboxTable: Sendable {
  let table: Table
  let alerts: AlertTable
  /// The order the next row gets.
  private let nextOrder: Atomic<UInt64>
  /// Held from a change's reading to its writing, so that a try and a removal do not bring each other's row back.
  private let changing = Mutex(())

  private static let nextKey: [UInt8] = [0x00]
  static let rowPrefix: UInt8 = 0x01
  static let indexPrefix: UInt8 = 0x02
  static let markPrefix: UInt8 = 0x03
  /// The version of a row: 2 has content type and headers; rows of version 1 are JSON without.
  static let rowVersion: UInt8 = 2

  init(table: Table, alerts: AlertTable) throws(JournalError) {
    self.table = table
    self.alerts = alerts
    var next: UInt64 =
      try table.read(OutboxTable.nextKey, position: 0) { (reader) throws(ByteError) in
        try reader.littleEndian(UInt64.self)
      } ?? 1
    try table.scan(prefix: [OutboxTable.rowPrefix], isReversed: true) { (key, _) throws(JournalError) in
      let last = try table.parse(key) { (reader) throws(KeyError) in try reader.uint64() }
      next = max(next, last &+ 1)
      return false
    }
    nextOrder = Atomic(next)
  }

  // MARK: Queueing

  /// Puts those of the rows that are neither queued nor delivered yet into a write.
  ///
  /// - Returns: what will be queued once the write has been made, in order.
  func put(_ rows: [OutboxRow], in batch: WriteBatch) throws(JournalError) -> [QueuedRow] {
    var queued: [QueuedRow] = []
    var seen: Set<[UInt8]> = []
    for row in rows {
      let index = try indexKey(row.receiver, row.webhookID)
      guard seen.insert(index).inserted, try !table.holds(index) else { continue }
      let order = nextOrder.wrappingAdd(1, ordering: .relaxed).oldValue
      let entry = QueuedRow(order: order, row: row, attempts: 0, lastAttemptMs: 0)
      batch.put(table.family, key: OutboxTable.rowKey(order), value: OutboxTable.value(entry))
      batch.put(table.family, key: index, value: SealedValue.seal { $0.append(littleEndian: order) })
      queued.append(entry)
    }
    if !queued.isEmpty {
      let next = nextOrder.load(ordering: .relaxed)
      batch.put(table.family, key: OutboxTable.nextKey, value: SealedValue.seal { $0.append(littleEndian: next) })
    }
    return queued
  }

  // MARK: Reading

  /// Everything still owed, or what is wanted of it, in order.
  package func all(where isWanted: (QueuedRow) -> Bool = { _ in true }) throws(JournalError) -> [QueuedRow] {
    var found: [QueuedRow] = []
    try forEach { row in if isWanted(row) { found.append(row) } }
    return found
  }

  /// Lends everything still owed, in order.
  func forEach(_ body: (QueuedRow) throws(JournalError) -> Void) throws(JournalError) {
    try table.scan(prefix: [OutboxTable.rowPrefix]) { (key, value) throws(JournalError) in
      let order = try table.parse(key) { (reader) throws(KeyError) in try reader.uint64() }
      let row = try table.open(value, position: order, newest: OutboxTable.rowVersion) {
        (reader) throws(ByteError) in
        try OutboxTable.row(order, &reader)
      }
      try body(row)
      return true
    }
  }

  /// Number of rows still owed; reads all keys.
  package func count() throws(JournalError) -> Int {
    var count = 0
    try table.scan(prefix: [OutboxTable.rowPrefix]) { (_, _) throws(JournalError) in
      count += 1
      return true
    }
    return count
  }

  /// Whether a receiver's webhook id is queued, or marked as delivered.
  package func isKnown(receiver: String, webhookID: String) throws(JournalError) -> Bool {
    try table.holds(try indexKey(receiver, webhookID))
  }

  /// A row still owed; nil when there is none of this order.
  package func row(_ order: UInt64) throws(JournalError) -> QueuedRow? {
    try table.read(OutboxTable.rowKey(order), position: order, newest: OutboxTable.rowVersion) {
      (reader) throws(ByteError) in
      try OutboxTable.row(order, &reader)
    }
  }

  // MARK: Delivering

  /// Records a try in the alert's history and in the row.
  ///
  /// - Parameter isFinal: the row is settled (delivered or given up) and goes, leaving a mark.
  /// - Returns: false when the row is not in the outbox; nothing is then written.
  @discardableResult
  package func recordAttempt(
    _ order: UInt64, timeMs: Int64, status: Int, isDelivered: Bool, isFinal: Bool, detail: String = "",
    sync: Bool = false
  ) throws(JournalError) -> Bool {
    try change { () throws(JournalError) in
      guard var entry = try row(order) else { return false }
      entry.attempts += 1
      entry.lastAttemptMs = timeMs
      let batch = WriteBatch(for: table.store)
      let attempt = DeliveryAttempt(
        sequence: entry.row.sequence, receiver: entry.row.receiver, attempt: entry.attempts, timeMs: timeMs,
        status: status, isDelivered: isDelivered, detail: detail)
      try alerts.put(attempt, alertID: entry.row.alertID, in: batch)
      if isFinal {
        try settle(entry, at: timeMs, in: batch)
      } else {
        batch.put(table.family, key: OutboxTable.rowKey(order), value: OutboxTable.value(entry))
      }
      try storing { () throws(StoreError) in try table.store.write(batch, sync: sync) }
      return true
    }
  }

  /// Takes a row out, leaving a mark that keeps the same webhook id from being queued again.
  ///
  /// - Returns: false when the row is not in the outbox.
  @discardableResult
  package func remove(_ order: UInt64, atMs timeMs: Int64, sync: Bool = false) throws(JournalError) -> Bool {
    try change { () throws(JournalError) in
      guard let entry = try row(order) else { return false }
      let batch = WriteBatch(for: table.store)
      try settle(entry, at: timeMs, in: batch)
      try storing { () throws(StoreError) in try table.store.write(batch, sync: sync) }
      return true
    }
  }

  /// Runs what reads rows and then changes them, one such change at a time.
  func change<Value: Sendable>(_ body: () throws(JournalError) -> Value) throws(JournalError) -> Value {
    let result = changing.withLock { _ -> Result<Value, JournalError> in
      do throws(JournalError) { return .success(try body()) } catch { return .failure(error) }
    }
    return try result.get()
  }

  func settle(_ entry: QueuedRow, at timeMs: Int64, in batch: WriteBatch) throws(JournalError) {
    let row = entry.row
    batch.delete(table.family, key: OutboxTable.rowKey(entry.order))
    batch.delete(table.family, key: OutboxTable.membersKey(entry.order))
    let mark = try makeKey { (key) throws(KeyError) in
      key.append(OutboxTable.markPrefix)
      key.append(timeMs)
      try table.append(row.receiver, to: &key)
      try table.append(row.webhookID, to: &key)
    }
    batch.put(table.family, key: mark, value: SealedValue.seal { _ in })
    // Order 0: settled.
    batch.put(
      table.family, key: try indexKey(row.receiver, row.webhookID),
      value: SealedValue.seal { $0.append(littleEndian: UInt64(0)) })
  }

  /// Forgets marks of rows settled before a time, milliseconds: at most 100,000 in one call.
  ///
  /// - Returns: how many were forgotten.
  package func trimMarks(olderThan timeMs: Int64) throws(JournalError) -> Int {
    let batch = WriteBatch(for: table.store)
    var count = 0
    var upper = KeyBuilder()
    upper.append(OutboxTable.markPrefix)
    upper.append(timeMs)
    try table.scan(lower: [OutboxTable.markPrefix], upper: upper.bytes) { (key, _) throws(JournalError) in
      let (receiver, webhookID) = try table.parse(key) { (reader) throws(KeyError) in
        _ = try reader.int64()
        return (try table.text(&reader), try table.text(&reader))
      }
      batch.delete(table.family, key: key)
      batch.delete(table.family, key: try indexKey(receiver, webhookID))
      count += 1
      return count < 100_000
    }
    if count > 0 { try storing { () throws(StoreError) in try table.store.write(batch, sync: false) } }
    return count
  }

  // MARK: Keys and values

  static func rowKey(_ order: UInt64) -> [UInt8] {
    var key = KeyBuilder()
    key.append(rowPrefix)
    key.append(order)
    return key.bytes
  }

  func indexKey(_ receiver: String, _ webhookID: String) throws(JournalError) -> [UInt8] {
    try makeKey { (key) throws(KeyError) in
      key.append(OutboxTable.indexPrefix)
      try table.append(receiver, to: &key)
      try table.append(webhookID, to: &key)
    }
  }

  static func value(_ entry: QueuedRow) -> [UInt8] {
    SealedValue.seal(version: rowVersion, capacity: entry.row.body.count + 240) { append(entry, to: &$0) }
  }

  /// The body of a row's value, which dead letters hold too.
  static func append(_ entry: QueuedRow, to out: inout ByteWriter) {
    let row = entry.row
    out.append(counted: row.receiver)
    out.append(counted: row.webhookID)
    out.append(counted: row.alertID)
    out.append(varint: UInt64(clamping: row.sequence))
    out.append(counted: row.type)
    out.append(row.priority.rawValue)
    out.append(littleEndian: row.createdMs)
    out.append(varint: UInt64(clamping: entry.attempts))
    out.append(littleEndian: entry.lastAttemptMs)
    out.append(counted: row.body)
    out.append(counted: row.contentType)
    out.append(varint: UInt64(row.headers.count))
    for header in row.headers {
      out.append(counted: header.name)
      out.append(counted: header.value)
    }
  }

  static func row(_ order: UInt64, _ reader: inout ByteReader) throws(ByteError) -> QueuedRow? {
    let (receiver, webhookID, alertID) = (
      try reader.countedString(), try reader.countedString(), try reader.countedString()
    )
    let sequence = try reader.count(limit: .max)
    let type = try reader.countedString()
    guard let priority = Priority(rawValue: try reader.byte()) else { return nil }
    let created: Int64 = try reader.littleEndian()
    let attempts = try reader.count(limit: .max - 1)
    let lastAttempt: Int64 = try reader.littleEndian()
    var row = OutboxRow(
      receiver: receiver, webhookID: webhookID, alertID: alertID, sequence: sequence, type: type, priority: priority,
      createdMs: created, body: [UInt8](try reader.counted()))
    // Version 1 ends here.
    if !reader.isAtEnd {
      row.contentType = try reader.countedString()
      for _ in 0..<(try reader.count(limit: 16)) {
        row.headers.append(WebhookHeader(try reader.countedString(), try reader.countedString()))
      }
    }
    return QueuedRow(order: order, row: row, attempts: attempts, lastAttemptMs: lastAttempt)
  }
}
