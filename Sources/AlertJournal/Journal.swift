import Compression
import KeyValueStore
import Pipeline
import VitalModel

/// The ordered record of every input, in batches under their first position.
package struct Journal: Sendable {
  let table: Table
  let registry: Family
  var vault: Vault?

  /// What ``trim(olderThan:maxBytes:keepFrom:)`` did.
  package struct Trimmed: Hashable, Sendable {
    package var batches = 0
    package var bytes: UInt64 = 0
    /// More could go: call again.
    package var isPartial = false
    /// First position left; nil when none is.
    package var firstPosition: UInt64?
  }

  // MARK: Writing

  /// Puts a batch, with the directory entries and texts in it, into a write.
  package func append(_ encoded: EncodedBatch, to batch: WriteBatch) throws(JournalError) {
    batch.put(table.family, key: Journal.key(encoded.header.first), value: encoded.bytes)
    batch.note(JournalNote(encoded.header).bytes)
    for entry in encoded.entries {
      batch.put(registry, key: RegistryTable.key(entry), value: RegistryTable.value(entry))
    }
    for text in encoded.texts {
      batch.put(
        registry, key: RegistryTable.textKey(text.kind, text.position), value: RegistryTable.textValue(text.bytes))
    }
  }

  // MARK: Reading

  /// Gives the records from a position on, in order, through `end` (the last there is when nil).
  ///
  /// Directory entries take no position: all those of a batch that reaches into the range are given.
  ///
  /// - Parameter onDamage: told of each damaged batch and each gap, which are then stepped over; when nil the first one
  ///   ends the reading with the same error.
  /// - Throws: `.damaged` with the first position of the damaged batch or gap; `.store`.
  package func read(
    from start: UInt64, upTo end: UInt64? = nil, onDamage: ((JournalError) -> Void)? = nil,
    _ body: (JournalRecord) -> Void
  ) throws(JournalError) {
    let decoder = JournalBatchDecoder()
    let last = end ?? .max
    try readBatches(from: start, upTo: end, onDamage: onDamage) { (bytes, _) throws(Damage) in
      try decoder.decode(bytes) { record in
        switch record {
        case .slot(let slot), .text(let slot, _, _):
          if slot.payload >= start, slot.payload <= last { body(record) }
        case .directory: body(record)
        }
      }
    }
  }

  /// Gives the batches that reach into `start...end` as stored, with their headers.
  package func readBatches(
    from start: UInt64, upTo end: UInt64? = nil, onDamage: ((JournalError) -> Void)? = nil,
    _ body: (UnsafeRawBufferPointer, JournalBatchHeader) throws(Damage) -> Void
  ) throws(JournalError) {
    var expected: UInt64?
    let upper = end.flatMap { $0 == .max ? nil : Journal.key($0 + 1) }
    try table.scan(lower: try keyOfBatch(holding: start), upper: upper) { (rawKey, value) throws(JournalError) in
      let first = try position(rawKey)
      if let expected, expected < first {
        try report(expected, .missing(through: first - 1), onDamage)
      }
      do throws(Damage) {
        let header = try JournalBatchHeader.checked(value)
        guard header.first == first else { throw .key }
        expected = header.last + 1
        if header.last >= start { try body(value, header) }
      } catch {
        // How far the damaged batch went is not known: the next one begins anew.
        expected = nil
        try report(first, error, onDamage)
      }
      return true
    }
  }

  private func report(
    _ position: UInt64, _ damage: Damage, _ onDamage: ((JournalError) -> Void)?
  ) throws(JournalError) {
    let error = JournalError.damaged(family: table.family.name, position: position, damage)
    guard let onDamage else { throw error }
    onDamage(error)
  }

  /// Key of the last batch that begins at or before a position; nil when all begin after it.
  private func keyOfBatch(holding position: UInt64) throws(JournalError) -> [UInt8]? {
    try storing { () throws(StoreError) in
      let iterator = try table.store.iterator(table.family)
      defer { iterator.close() }
      return try iterator.seekForPrevious(Journal.key(position)) ? [UInt8](iterator.key) : nil
    }
  }

  /// First position there is; nil when the journal is empty.
  package func firstPosition() throws(JournalError) -> UInt64? {
    var found: UInt64?
    try table.scan { (key, _) throws(JournalError) in
      found = try position(key)
      return false
    }
    return found
  }

  /// Last position there is; nil when the journal is empty.
  ///
  /// - Throws: `.damaged` when the last batch is.
  package func lastPosition() throws(JournalError) -> UInt64? { try lastHeader()?.last }

  /// Header of the newest batch; nil when the journal is empty.
  package func lastHeader() throws(JournalError) -> JournalBatchHeader? {
    var found: JournalBatchHeader?
    try table.scan(isReversed: true) { (key, value) throws(JournalError) in
      let first = try position(key)
      do throws(Damage) {
        found = try JournalBatchHeader.checked(value)
      } catch {
        throw .damaged(family: table.family.name, position: first, error)
      }
      return false
    }
    return found
  }

  /// Last position of the batches wholly received by a time, milliseconds: where a restore to that time ends. 0 when even
  /// the first came later.
  package func lastPosition(receivedBy time: Int64) throws(JournalError) -> UInt64 {
    var last: UInt64 = 0
    try readBatches(from: 0, onDamage: { _ in }) { (_, header) throws(Damage) in
      if header.ingestTimes.upperBound <= time { last = max(last, header.last) }
    }
    return last
  }

  // MARK: Size and retention

  /// About how many bytes of files the batches take; what is only in the log yet is not counted, nor what has been
  /// trimmed and waits to be dropped.
  package func byteSize() throws(JournalError) -> UInt64 {
    guard let first = try firstPosition() else { return 0 }
    return try storing { () throws(StoreError) in
      try table.store.approximateBytes(table.family, lower: Journal.key(first), upper: Journal.key(.max))
    }
  }

  /// Batches looked at in one call of ``trim(olderThan:maxBytes:keepFrom:)``.
  static let trimmedBatchesMax = 100_000

  /// Drops whole batches from the front: those wholly received before `ingestMs`, and then as many as bring the files to
  /// `maxBytes`; never one that reaches to `floor` or beyond, and never the newest.
  ///
  /// A damaged batch in front goes with its neighbours once one behind it may go.
  package func trim(
    olderThan ingestMs: Int64, maxBytes: UInt64? = nil, keepFrom floor: UInt64
  ) throws(JournalError) -> Trimmed {
    var excess: UInt64 = 0
    if let maxBytes {
      let size = try byteSize()
      excess = size > maxBytes ? size - maxBytes : 0
    }
    // The newest batch stays: it says where the journal ends.
    let newest = try lastBatchPosition() ?? 0
    var result = Trimmed()
    var seen = 0
    var pending: UInt64 = 0
    var boundary: UInt64?
    try table.scan { (rawKey, value) throws(JournalError) in
      guard seen < Journal.trimmedBatchesMax else {
        result.isPartial = true
        return false
      }
      guard try position(rawKey) < newest else { return false }
      seen += 1
      pending += UInt64(value.count)
      guard let header = try? JournalBatchHeader(value) else { return true }
      let isOwed = header.ingestTimes.upperBound < ingestMs || result.bytes < excess
      guard header.last < floor, isOwed else { return false }
      result.batches = seen
      result.bytes += pending
      pending = 0
      boundary = header.last
      return true
    }
    if let boundary { try drop(through: min(boundary, newest - 1)) }
    result.firstPosition = try firstPosition()
    if boundary != nil, let vault, let first = result.firstPosition {
      // What was dropped cannot be read again from any copy.
      _ = try storing { () throws(StoreError) in try vault.ring.retireHours(before: first) }
    }
    return result
  }

  private func lastBatchPosition() throws(JournalError) -> UInt64? {
    var found: UInt64?
    try table.scan(isReversed: true) { (key, _) throws(JournalError) in
      found = try position(key)
      return false
    }
    return found
  }

  private func drop(through boundary: UInt64) throws(JournalError) {
    let (from, to) = (Journal.key(0), Journal.key(boundary + 1))
    try storing { () throws(StoreError) in
      let batch = WriteBatch(for: table.store)
      batch.deleteRange(table.family, start: from, end: to)
      try table.store.write(batch, sync: false)
      try table.store.deleteFilesInRange(table.family, lower: from, upper: to)
    }
  }

  // MARK: Keys

  static func key(_ position: UInt64) -> [UInt8] { withUnsafeBytes(of: position.bigEndian) { [UInt8]($0) } }

  private func position(_ key: UnsafeRawBufferPointer) throws(JournalError) -> UInt64 {
    try table.parse(key, skipping: 0) { (reader) throws(KeyError) in try reader.uint64() }
  }
}
