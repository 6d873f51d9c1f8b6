import Compression
import KeyValueStore
import VitalModel

/// Why a row is tried no more by itself.
package enum DeadLetterReason: UInt8, Sendable, CaseIterable {
  /// The receiver kept refusing its body.
  case refused = 1
  /// The receiver was gone for too long.
  case parked = 2
  /// No receiver of this name is configured any more.
  case unconfigured = 3
  /// Owed by a restored store, and held by whoever restored it.
  case restored = 4

  package var text: String {
    switch self {
    case .refused: "refused"
    case .parked: "parked"
    case .unconfigured: "unconfigured"
    case .restored: "restored"
    }
  }
}

/// A row that was given up on: kept until a person replays it or its retention is over.
package struct DeadLetter: Hashable, Sendable {
  package var queued: QueuedRow
  package var reason: DeadLetterReason
  /// When it was given up, milliseconds since 1970.
  package var timeMs: Int64
}

/// Dead letters: rows out of the order of delivery, and since when receivers have been parked.
extension OutboxTable {
  static let deadPrefix: UInt8 = 0x05
  static let parkedPrefix: UInt8 = 0x06

  // MARK: Giving up and replaying

  /// Moves rows to the dead letters, keeping their pairs known; rows that are gone are left out.
  ///
  /// - Returns: what was moved.
  package func bury(
    _ orders: [UInt64], _ reason: DeadLetterReason, atMs timeMs: Int64, sync: Bool = false
  ) throws(JournalError) -> [QueuedRow] {
    try change { () throws(JournalError) in
      let batch = WriteBatch(for: table.store)
      var moved: [QueuedRow] = []
      for order in orders {
        guard let entry = try row(order) else { continue }
        batch.delete(table.family, key: OutboxTable.rowKey(order))
        let value = SealedValue.seal(capacity: entry.row.body.count + 180) { out in
          out.append(reason.rawValue)
          out.append(littleEndian: timeMs)
          OutboxTable.append(entry, to: &out)
        }
        batch.put(table.family, key: OutboxTable.deadKey(order), value: value)
        moved.append(entry)
      }
      if !moved.isEmpty { try storing { () throws(StoreError) in try table.store.write(batch, sync: sync) } }
      return moved
    }
  }

  /// Puts dead letters back among what is owed, as if never tried; unknown orders are left out.
  ///
  /// - Returns: what is owed again, in order.
  package func replay(_ orders: [UInt64], sync: Bool = true) throws(JournalError) -> [QueuedRow] {
    try change { () throws(JournalError) in
      let batch = WriteBatch(for: table.store)
      var moved: [QueuedRow] = []
      for order in Set(orders).sorted() {
        guard var entry = try deadLetter(order)?.queued else { continue }
        (entry.attempts, entry.lastAttemptMs) = (0, 0)
        batch.delete(table.family, key: OutboxTable.deadKey(order))
        batch.put(table.family, key: OutboxTable.rowKey(order), value: OutboxTable.value(entry))
        moved.append(entry)
      }
      if !moved.isEmpty { try storing { () throws(StoreError) in try table.store.write(batch, sync: sync) } }
      return moved
    }
  }

  /// Forgets dead letters given up before a time, milliseconds, leaving their marks: at most 10,000 in one call.
  ///
  /// - Returns: how many were forgotten.
  package func trimDeadLetters(olderThan timeMs: Int64) throws(JournalError) -> Int {
    try change { () throws(JournalError) in
      let batch = WriteBatch(for: table.store)
      var old: [DeadLetter] = []
      try visitDeadLetters { letter in
        if letter.timeMs < timeMs { old.append(letter) }
        return old.count < 10_000
      }
      for letter in old {
        batch.delete(table.family, key: OutboxTable.deadKey(letter.queued.order))
        try settle(letter.queued, at: letter.timeMs, in: batch)
      }
      if !old.isEmpty { try storing { () throws(StoreError) in try table.store.write(batch, sync: false) } }
      return old.count
    }
  }

  // MARK: Reading

  /// Dead letters by order of making, of one receiver or all.
  package func deadLetters(receiver: String? = nil, limit: Int = .max) throws(JournalError) -> [DeadLetter] {
    var found: [DeadLetter] = []
    guard limit > 0 else { return found }
    try visitDeadLetters { letter in
      if receiver == nil || letter.queued.row.receiver == receiver { found.append(letter) }
      return found.count < limit
    }
    return found
  }

  /// One dead letter; nil when there is none of this order.
  package func deadLetter(_ order: UInt64) throws(JournalError) -> DeadLetter? {
    try table.read(OutboxTable.deadKey(order), position: order) { (reader) throws(ByteError) in
      try OutboxTable.deadLetter(order, &reader)
    }
  }

  /// Number of dead letters; reads all their keys.
  package func deadLetterCount() throws(JournalError) -> Int {
    var count = 0
    try table.scan(prefix: [OutboxTable.deadPrefix]) { (_, _) throws(JournalError) in
      count += 1
      return true
    }
    return count
  }

  /// Everything owed and every dead letter that reads.
  func readable() throws(JournalError) -> [QueuedRow] {
    var found: [QueuedRow] = []
    for prefix in [OutboxTable.rowPrefix, OutboxTable.deadPrefix] {
      try table.scan(prefix: [prefix]) { (key, value) throws(JournalError) in
        let order = try? table.parse(key) { (reader) throws(KeyError) in try reader.uint64() }
        guard let order else { return true }
        let row = try? table.open(value, position: order, newest: OutboxTable.rowVersion) {
          (reader) throws(ByteError) in
          prefix == OutboxTable.rowPrefix
            ? try OutboxTable.row(order, &reader) : try OutboxTable.deadLetter(order, &reader)?.queued
        }
        if let row { found.append(row) }
        return true
      }
    }
    return found
  }

  private func visitDeadLetters(_ visit: (DeadLetter) -> Bool) throws(JournalError) {
    try table.scan(prefix: [OutboxTable.deadPrefix]) { (key, value) throws(JournalError) in
      let order = try table.parse(key) { (reader) throws(KeyError) in try reader.uint64() }
      let letter = try table.open(value, position: order) { (reader) throws(ByteError) in
        try OutboxTable.deadLetter(order, &reader)
      }
      return visit(letter)
    }
  }

  private static func deadLetter(_ order: UInt64, _ reader: inout ByteReader) throws(ByteError) -> DeadLetter? {
    guard let reason = DeadLetterReason(rawValue: try reader.byte()) else { return nil }
    let timeMs: Int64 = try reader.littleEndian()
    guard let entry = try row(order, &reader) else { return nil }
    return DeadLetter(queued: entry, reason: reason, timeMs: timeMs)
  }

  static func deadKey(_ order: UInt64) -> [UInt8] {
    var key = KeyBuilder()
    key.append(deadPrefix)
    key.append(order)
    return key.bytes
  }

  // MARK: Parking

  /// Notes that a receiver is parked, unless that is noted already: since when survives a restart.
  package func noteParked(receiver: String, atMs timeMs: Int64) throws(JournalError) {
    _ = try change { () throws(JournalError) in
      guard try parkedSince(receiver: receiver) == nil else { return false }
      try write { batch throws(JournalError) in
        batch.put(
          table.family, key: try parkedKey(receiver),
          value: SealedValue.seal { $0.append(littleEndian: timeMs) })
      }
      return true
    }
  }

  /// Notes that a receiver has taken a webhook.
  package func noteTaken(receiver: String) throws(JournalError) {
    _ = try change { () throws(JournalError) in
      guard try parkedSince(receiver: receiver) != nil else { return false }
      try write { batch throws(JournalError) in
        batch.delete(table.family, key: try parkedKey(receiver))
      }
      return true
    }
  }

  /// Since when a receiver has been parked, milliseconds since 1970; nil when it is not.
  package func parkedSince(receiver: String) throws(JournalError) -> Int64? {
    try table.read(try parkedKey(receiver), position: 0) { (reader) throws(ByteError) in
      try reader.littleEndian(Int64.self)
    }
  }

  private func write(_ fill: (WriteBatch) throws(JournalError) -> Void) throws(JournalError) {
    let batch = WriteBatch(for: table.store)
    try fill(batch)
    try storing { () throws(StoreError) in try table.store.write(batch, sync: false) }
  }

  private func parkedKey(_ receiver: String) throws(JournalError) -> [UInt8] {
    try makeKey { (key) throws(KeyError) in
      key.append(OutboxTable.parkedPrefix)
      try table.append(receiver, to: &key)
    }
  }
}
