import Compression
import KeyValueStore
import Pipeline
import VitalModel

/// One candidate that was not told, as stored.
package struct StoredLedgerRow: Hashable, Sendable {
  package var detectedTime: Int64
  package var position: UInt64
  package var patient: UInt32
  /// Counts the rows of one patient at one time and position, from 0.
  package var ordinal: UInt32
  /// The document with the stage that held it, JSON.
  package var document: String

  package init(detectedTime: Int64, position: UInt64, patient: UInt32, ordinal: UInt32, document: String) {
    self.detectedTime = detectedTime
    self.position = position
    self.patient = patient
    self.ordinal = ordinal
    self.document = document
  }
}

/// Every candidate that was not told, with the stage that held it, by time.
package struct LedgerTable: Sendable {
  let table: Table

  /// Puts rows into a write; the same rows again change nothing.
  ///
  /// - Precondition: all rows of one patient and position come in one call, as the engine made them.
  func put(_ rows: [LedgerRow], in batch: WriteBatch) {
    struct Place: Hashable {
      var time: Int64
      var position: UInt64
      var patient: UInt32
    }
    var ordinals: [Place: UInt32] = [:]
    for row in rows {
      let place = Place(time: row.document.detectedTime, position: row.position, patient: row.patient)
      let ordinal = ordinals[place, default: 0]
      ordinals[place] = ordinal + 1
      var key = KeyBuilder()
      key.append(place.time)
      key.append(place.position)
      key.append(place.patient)
      key.append(ordinal)
      let json = row.document.json
      batch.put(
        table.family, key: key.bytes,
        value: SealedValue.seal(capacity: json.utf8.count + 10) { $0.append(counted: json) })
    }
  }

  /// Rows detected in `start..<end` (milliseconds), of one patient or all, oldest first or newest first.
  package func list(
    from start: Int64 = .min, to end: Int64 = .max, patient: UInt32? = nil, limit: Int, newestFirst: Bool = false
  ) throws(JournalError) -> [StoredLedgerRow] {
    var found: [StoredLedgerRow] = []
    guard limit > 0, start < end else { return found }
    let (lower, upper) = (LedgerTable.key(start), LedgerTable.key(end))
    try table.scan(lower: lower, upper: upper, isReversed: newestFirst) { (key, value) throws(JournalError) in
      var row = try table.parse(key, skipping: 0) { (reader) throws(KeyError) in
        StoredLedgerRow(
          detectedTime: try reader.int64(), position: try reader.uint64(), patient: try reader.uint32(),
          ordinal: try reader.uint32(), document: "")
      }
      guard patient == nil || row.patient == patient else { return true }
      row.document = try table.open(value, position: row.position) { (reader) throws(ByteError) in
        try reader.countedString()
      }
      found.append(row)
      return found.count < limit
    }
    return found
  }

  /// Lends the document of every row detected in `start..<end` (milliseconds), oldest first, without holding them all.
  package func forEach(
    from start: Int64 = .min, to end: Int64 = .max, _ body: (String) -> Void
  ) throws(JournalError) {
    guard start < end else { return }
    try table.scan(lower: LedgerTable.key(start), upper: LedgerTable.key(end)) { (_, value) throws(JournalError) in
      body(try table.open(value, position: 0) { (reader) throws(ByteError) in try reader.countedString() })
      return true
    }
  }

  /// Number of rows; reads all keys.
  package func count() throws(JournalError) -> Int {
    var count = 0
    try table.scan { (_, _) throws(JournalError) in
      count += 1
      return true
    }
    return count
  }

  /// Rows one trimming drops at most.
  static let trimmedMax = 100_000

  /// Drops rows detected before the time their patient's are kept from.
  ///
  /// - Parameters:
  ///   - newest: no row detected at or after it is looked at, ms.
  ///   - cutoff: by patient number, ms; nil: rows of this patient stay, whatever their age.
  /// - Returns: rows dropped; more may be due at ``trimmedMax``.
  package func trim(before newest: Int64, in batch: WriteBatch, cutoff: (UInt32) -> Int64?) throws(JournalError) -> Int
  {
    let iterator = try storing { () throws(StoreError) in
      try table.store.iterator(table.family, upper: LedgerTable.key(newest))
    }
    defer { iterator.close() }
    var old: [[UInt8]] = []
    var isUnbroken = true
    var isAt = try storing { () throws(StoreError) in try iterator.seekToFirst() }
    while isAt, old.count < LedgerTable.trimmedMax {
      let (time, patient) = try table.parse(iterator.key, skipping: 0) { (reader) throws(KeyError) in
        let time = try reader.int64()
        _ = try reader.uint64()
        let patient = try reader.uint32()
        _ = try reader.uint32()
        return (time, patient)
      }
      if let cutoff = cutoff(patient), time < cutoff {
        old.append(Array(iterator.key))
      } else {
        isUnbroken = false
      }
      isAt = try storing { () throws(StoreError) in try iterator.next() }
    }
    // A range deletion slows later reads of the range: only for many rows.
    if isUnbroken, old.count >= 32, let last = old.last {
      batch.deleteRange(table.family, start: [], end: last + [0])
    } else {
      for key in old { batch.delete(table.family, key: key) }
    }
    return old.count
  }

  private static func key(_ time: Int64) -> [UInt8] {
    var key = KeyBuilder()
    key.append(time)
    return key.bytes
  }
}
