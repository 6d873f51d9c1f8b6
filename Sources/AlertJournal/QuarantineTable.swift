import Compression
import Digests
import KeyValueStore
import Synchronization
import VitalModel

/// Name of one quarantined message: when it came and its number.
package struct QuarantineID: Hashable, Sendable {
  /// Milliseconds since 1970.
  package var receivedMs: Int64
  package var ordinal: UInt64
  package init(receivedMs: Int64, ordinal: UInt64) {
    self.receivedMs = receivedMs
    self.ordinal = ordinal
  }
  /// `MILLISECONDS-NUMBER`.
  package var text: String { "\(receivedMs)-\(ordinal)" }
  /// - Returns: nil for anything but what ``text`` writes.
  package init?(text: String) {
    guard let dash = text.lastIndex(of: "-"), let received = Int64(text[..<dash]),
      let ordinal = UInt64(text[text.index(after: dash)...])
    else { return nil }
    self.init(receivedMs: received, ordinal: ordinal)
  }
}

/// One refused message.
package struct QuarantineItem: Hashable, Sendable {
  package var reason: QuarantineReason
  package var receivedMs: Int64
  package var tenant: String
  package var device: String
  package var topic: String
  package var contentType: String
  /// Observations in it, as far as they could be counted.
  package var observations: Int
  /// The message as received.
  package var bytes: [UInt8]

  package init(
    reason: QuarantineReason, receivedMs: Int64, tenant: String, device: String, topic: String, contentType: String,
    observations: Int, bytes: [UInt8]
  ) {
    self.reason = reason
    self.receivedMs = receivedMs
    self.tenant = tenant
    self.device = device
    self.topic = topic
    self.contentType = contentType
    self.observations = observations
    self.bytes = bytes
  }
}

/// One quarantined message as listed: all but its bytes.
package struct QuarantineEntry: Hashable, Sendable {
  package var id: QuarantineID
  package var reason: QuarantineReason
  package var tenant: String
  package var device: String
  package var topic: String
  package var contentType: String
  package var observations: Int
  /// Bytes received, of which at most ``QuarantineTable/keptBytesMax`` are kept.
  package var size: Int
  /// SHA-256 of all bytes received.
  package var digest: [UInt8]
  package var isResubmitted: Bool
}

/// Refused messages, kept for inspection: a small row each, and the bytes apart so that listing does not read them.
package final class QuarantineTable: Sendable {
  /// Bytes kept of one message.
  package static let keptBytesMax = 64 << 10

  private let table: Table
  private let nextOrdinal: Atomic<UInt64>

  private static let nextKey: [UInt8] = [0x00]
  private static let entryPrefix: UInt8 = 0x01
  private static let bytesPrefix: UInt8 = 0x02

  init(table: Table) throws(JournalError) {
    self.table = table
    var next: UInt64 =
      try table.read(QuarantineTable.nextKey, position: 0) { (reader) throws(ByteError) in
        try reader.littleEndian(UInt64.self)
      } ?? 1
    try table.scan(prefix: [QuarantineTable.entryPrefix], isReversed: true) { (key, _) throws(JournalError) in
      next = max(next, try QuarantineTable.id(table, key).ordinal &+ 1)
      return false
    }
    nextOrdinal = Atomic(next)
  }

  // MARK: Writing

  /// Puts a message into a write; its name once the write has been made.
  @discardableResult
  package func put(_ item: QuarantineItem, in batch: WriteBatch) -> QuarantineID {
    let ordinal = nextOrdinal.wrappingAdd(1, ordering: .relaxed).oldValue
    let id = QuarantineID(receivedMs: item.receivedMs, ordinal: ordinal)
    let entry = QuarantineEntry(
      id: id, reason: item.reason, tenant: item.tenant, device: item.device, topic: item.topic,
      contentType: item.contentType, observations: item.observations, size: item.bytes.count,
      digest: sha256(item.bytes), isResubmitted: false)
    put(entry, in: batch)
    let kept = Array(item.bytes.prefix(QuarantineTable.keptBytesMax))
    batch.put(
      table.family, key: QuarantineTable.key(QuarantineTable.bytesPrefix, id),
      value: SealedValue.seal(capacity: kept.count + 4) { $0.append(counted: kept) })
    let next = nextOrdinal.load(ordering: .relaxed)
    batch.put(table.family, key: QuarantineTable.nextKey, value: SealedValue.seal { $0.append(littleEndian: next) })
    return id
  }

  /// Puts the mark that a message was given back to ingest into a write; false when there is no such message.
  package func markResubmitted(_ id: QuarantineID, in batch: WriteBatch) throws(JournalError) -> Bool {
    guard var entry = try entry(id) else { return false }
    entry.isResubmitted = true
    put(entry, in: batch)
    return true
  }

  /// Messages received before a time, milliseconds.
  package func count(olderThan timeMs: Int64) throws(JournalError) -> Int {
    var count = 0
    try scan(from: nil) { entry in
      guard entry.id.receivedMs < timeMs else { return false }
      count += 1
      return true
    }
    return count
  }

  /// Drops messages received before a time, milliseconds.
  package func trim(olderThan timeMs: Int64, in batch: WriteBatch) {
    let end = QuarantineID(receivedMs: timeMs, ordinal: 0)
    for prefix in [QuarantineTable.entryPrefix, QuarantineTable.bytesPrefix] {
      batch.deleteRange(table.family, start: [prefix], end: QuarantineTable.key(prefix, end))
    }
  }

  /// Drops one message.
  func delete(_ id: QuarantineID, in batch: WriteBatch) {
    for prefix in [QuarantineTable.entryPrefix, QuarantineTable.bytesPrefix] {
      batch.delete(table.family, key: QuarantineTable.key(prefix, id))
    }
  }

  private func put(_ entry: QuarantineEntry, in batch: WriteBatch) {
    let value = SealedValue.seal(capacity: 160) { out in
      out.append(counted: entry.reason.rawValue)
      out.append(counted: entry.tenant)
      out.append(counted: entry.device)
      out.append(counted: entry.topic)
      out.append(counted: entry.contentType)
      out.append(varint: UInt64(clamping: entry.observations))
      out.append(varint: UInt64(clamping: entry.size))
      out.append(counted: entry.digest)
      out.append(entry.isResubmitted ? 1 : 0)
    }
    batch.put(table.family, key: QuarantineTable.key(QuarantineTable.entryPrefix, entry.id), value: value)
  }

  // MARK: Reading

  /// Messages from a name on, in order of receiving, of one reason and device or of all.
  package func list(
    reason: QuarantineReason? = nil, device: String? = nil, from start: QuarantineID? = nil, limit: Int
  ) throws(JournalError) -> [QuarantineEntry] {
    var found: [QuarantineEntry] = []
    guard limit > 0 else { return found }
    try scan(from: start) { entry in
      if reason == nil || entry.reason == reason, device == nil || entry.device == device { found.append(entry) }
      return found.count < limit
    }
    return found
  }

  /// All messages whose rows read, without their bytes.
  func readable() throws(JournalError) -> [QuarantineEntry] {
    var found: [QuarantineEntry] = []
    try table.scan(prefix: [QuarantineTable.entryPrefix]) { (key, value) throws(JournalError) in
      guard let id = try? QuarantineTable.id(table, key) else { return true }
      let entry = try? table.open(value, position: id.ordinal) { (reader) throws(ByteError) in
        try QuarantineTable.entry(id, &reader)
      }
      if let entry { found.append(entry) }
      return true
    }
    return found
  }

  /// One message with the bytes kept of it; nil when there is none of this name.
  package func get(_ id: QuarantineID) throws(JournalError) -> (entry: QuarantineEntry, bytes: [UInt8])? {
    guard let entry = try entry(id) else { return nil }
    let key = QuarantineTable.key(QuarantineTable.bytesPrefix, id)
    let bytes = try table.read(key, position: id.ordinal) { (reader) throws(ByteError) in
      [UInt8](try reader.counted())
    }
    guard let bytes else {
      throw .damaged(family: table.family.name, position: id.ordinal, .malformed("the row: its bytes are missing"))
    }
    return (entry, bytes)
  }

  /// Messages and observations by reason and device; reads every row, not the bytes.
  package func counts() throws(JournalError) -> [QuarantineCount] {
    var found: [QuarantineCount.Place: QuarantineCount] = [:]
    try scan(from: nil) { entry in
      let place = QuarantineCount.Place(reason: entry.reason, tenant: entry.tenant, device: entry.device)
      found[place, default: QuarantineCount(place: place)].add(entry)
      return true
    }
    return found.values.sorted { $0.place < $1.place }
  }

  private func entry(_ id: QuarantineID) throws(JournalError) -> QuarantineEntry? {
    let key = QuarantineTable.key(QuarantineTable.entryPrefix, id)
    return try table.read(key, position: id.ordinal) { (reader) throws(ByteError) in
      try QuarantineTable.entry(id, &reader)
    }
  }

  private func scan(from start: QuarantineID?, _ visit: (QuarantineEntry) -> Bool) throws(JournalError) {
    let prefix = QuarantineTable.entryPrefix
    let lower = start.map { QuarantineTable.key(prefix, $0) } ?? [prefix]
    try table.scan(lower: lower, upper: [prefix + 1]) { (key, value) throws(JournalError) in
      let id = try QuarantineTable.id(table, key)
      return visit(
        try table.open(value, position: id.ordinal) { (reader) throws(ByteError) in
          try QuarantineTable.entry(id, &reader)
        })
    }
  }

  private static func entry(_ id: QuarantineID, _ reader: inout ByteReader) throws(ByteError) -> QuarantineEntry? {
    guard let reason = QuarantineReason(rawValue: try reader.countedString()) else { return nil }
    return QuarantineEntry(
      id: id, reason: reason, tenant: try reader.countedString(), device: try reader.countedString(),
      topic: try reader.countedString(), contentType: try reader.countedString(),
      observations: try reader.count(limit: .max), size: try reader.count(limit: .max),
      digest: [UInt8](try reader.counted()), isResubmitted: try reader.byte() == 1)
  }

  private static func key(_ prefix: UInt8, _ id: QuarantineID) -> [UInt8] {
    var key = KeyBuilder()
    key.append(prefix)
    key.append(id.receivedMs)
    key.append(id.ordinal)
    return key.bytes
  }

  private static func id(_ table: Table, _ key: UnsafeRawBufferPointer) throws(JournalError) -> QuarantineID {
    try table.parse(key) { (reader) throws(KeyError) in
      QuarantineID(receivedMs: try reader.int64(), ordinal: try reader.uint64())
    }
  }
}

/// How much of one device is in quarantine for one reason.
package struct QuarantineCount: Hashable, Sendable {
  package struct Place: Hashable, Comparable, Sendable {
    package var reason: QuarantineReason
    package var tenant: String
    package var device: String
    package static func < (a: Place, b: Place) -> Bool {
      (a.reason.rawValue, a.tenant, a.device) < (b.reason.rawValue, b.tenant, b.device)
    }
  }
  package var place: Place
  package var items = 0
  package var observations = 0

  fileprivate mutating func add(_ entry: QuarantineEntry) {
    items += 1
    observations = observations.addingReportingOverflow(entry.observations).partialValue
  }
}
