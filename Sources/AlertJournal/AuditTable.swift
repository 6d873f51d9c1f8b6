import Compression
import Digests
import KeyValueStore
import Synchronization

/// What somebody or the service itself did that must be accountable. Identifiers of persons never stand here: a patient is
/// named by `patient` and its directory number.
package struct AuditEntry: Hashable, Sendable {
  /// Milliseconds since 1970.
  package var time: Int64
  /// A user, or `vigil` for the service itself.
  package var actor: String
  /// Dotted words: `keys.erase`, `retention.chunks`, `backup.create`.
  package var action: String
  /// What it was done to.
  package var subject: String
  /// Figures and circumstances.
  package var detail: String
  /// Why, as given by the actor; empty when nobody was asked.
  package var reason: String

  package init(
    time: Int64, actor: String, action: String, subject: String, detail: String = "", reason: String = ""
  ) {
    self.time = time
    self.actor = actor
    self.action = action
    self.subject = subject
    self.detail = detail
    self.reason = reason
  }
}

/// The tamper-evident record of who did what (docs/formats/audit.md): each entry holds the digest of the one before it, so
/// that none can be changed, taken out or put in between without every later one showing it.
package final class AuditTable: Sendable {
  /// One entry as stored, with its number and the digest that names it.
  package struct Row: Hashable, Sendable {
    /// Counts from 1 without gaps.
    package var number: UInt64
    package var entry: AuditEntry
    /// SHA-256 over number, entry and the digest before.
    package var digest: [UInt8]
  }

  /// What checking the chain found.
  package struct Verdict: Hashable, Sendable {
    package var entries: UInt64 = 0
    /// Number of the first entry that does not fit the one before it; nil when all do.
    package var brokenAt: UInt64?
    /// Digest of the newest entry; kept elsewhere it also proves that none was cut off at the end.
    package var head: [UInt8] = AuditTable.origin
  }

  private struct Tip: Sendable {
    var number: UInt64 = 0
    var digest = AuditTable.origin
  }

  /// What the first entry follows.
  static let origin = [UInt8](repeating: 0, count: 32)

  private let table: Table
  /// The newest entry; held while one is written, so that the chain has one order. Nil until first read.
  private let tip: Mutex<Tip?>

  init(table: Table) {
    self.table = table
    tip = Mutex(nil)
  }

  // MARK: Writing

  /// Appends an entry and writes it, together with the changes it speaks of when given as a batch: both or neither.
  ///
  /// - Throws: `.store`, `.damaged` when the newest entry cannot be read.
  package func record(_ entry: AuditEntry, with changes: WriteBatch? = nil, sync: Bool = true) throws(JournalError) {
    let result: Result<Void, JournalError> = tip.withLock { tip in
      Result { () throws(JournalError) in
        var next = if let tip { tip } else { try newestTip() }
        next.number += 1
        let body = AuditTable.body(entry)
        next.digest = AuditTable.digest(number: next.number, body: body, before: next.digest)
        let batch = changes ?? WriteBatch(for: table.store)
        let digest = next.digest
        batch.put(
          table.family, key: AuditTable.key(next.number),
          value: SealedValue.seal(capacity: body.count + 40) { out in
            out.append(raw: digest)
            out.append(raw: body)
          })
        try storing { () throws(StoreError) in try table.store.write(batch, sync: sync) }
        tip = next
      }
    }
    try result.get()
  }

  private func newestTip() throws(JournalError) -> Tip {
    var newest = Tip()
    try table.scan(isReversed: true) { (key, value) throws(JournalError) in
      let row = try row(key, value)
      newest = Tip(number: row.number, digest: row.digest)
      return false
    }
    return newest
  }

  // MARK: Reading

  /// Lends every entry with a time in `from..<to` (ms), oldest first, until `visit` returns false.
  package func read(from: Int64 = .min, to: Int64 = .max, _ visit: (Row) -> Bool) throws(JournalError) {
    try table.scan { (key, value) throws(JournalError) in
      let row = try row(key, value)
      guard from <= row.entry.time, row.entry.time < to else { return true }
      return visit(row)
    }
  }

  /// Recomputes the chain from its beginning.
  ///
  /// - Throws: `.damaged` for an entry that cannot be read; `.store`.
  package func verify() throws(JournalError) -> Verdict {
    var verdict = Verdict()
    try table.scan { (key, value) throws(JournalError) in
      let row = try row(key, value)
      verdict.entries += 1
      let expected = AuditTable.digest(
        number: verdict.entries, body: AuditTable.body(row.entry), before: verdict.head)
      guard row.number == verdict.entries, row.digest == expected else {
        verdict.brokenAt = row.number
        return false
      }
      verdict.head = row.digest
      return true
    }
    return verdict
  }

  private func row(_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) throws(JournalError) -> Row {
    let number = try table.parse(key, skipping: 0) { (reader) throws(KeyError) in try reader.uint64() }
    return try table.open(value, position: number) { (reader) throws(ByteError) in
      let digest = [UInt8](try reader.raw(32))
      let entry = AuditEntry(
        time: try reader.zigzag(), actor: try reader.countedString(), action: try reader.countedString(),
        subject: try reader.countedString(), detail: try reader.countedString(), reason: try reader.countedString())
      return Row(number: number, entry: entry, digest: digest)
    }
  }

  // MARK: Bytes

  private static func key(_ number: UInt64) -> [UInt8] { withUnsafeBytes(of: number.bigEndian) { [UInt8]($0) } }

  private static func body(_ entry: AuditEntry) -> [UInt8] {
    var out = ByteWriter(capacity: 128)
    out.append(zigzag: entry.time)
    for text in [entry.actor, entry.action, entry.subject, entry.detail, entry.reason] { out.append(counted: text) }
    return out.bytes
  }

  private static func digest(number: UInt64, body: [UInt8], before: [UInt8]) -> [UInt8] {
    var hasher = Sha256()
    hasher.update(before)
    hasher.update(key(number))
    hasher.update(body)
    return hasher.finalize()
  }
}
