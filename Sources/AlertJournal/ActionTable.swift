import Compression
import KeyValueStore
import VitalModel

/// A silence as stored beside the journal entry that set it.
package struct StoredSilence: Hashable, Sendable {
  package var silence: Silence
  package var patient: UInt32
  /// Journal position of the entry that set it.
  package var position: UInt64
  /// Who took it back before its end, and when (milliseconds); nil: nobody.
  package var endedBy: String?
  package var endedAt: Int64?

  /// Whether it mutes at a time, milliseconds.
  package func isInForce(at time: Int64) -> Bool {
    endedAt == nil && time >= silence.from && time < silence.until
  }
}

/// What an action leaves so that it is not done twice: a request that was answered, or a token that was used.
package struct ActionMark: Hashable, Sendable {
  package enum Kind: UInt8, Sendable, CaseIterable {
    /// A request with an idempotency key.
    case request = 1
    /// A callback token, or an answer to one webhook.
    case token = 2
  }
  package var kind: Kind
  /// SHA-256 of what may be used once.
  package var digest: [UInt8]
  /// When it may be forgotten, milliseconds since 1970.
  package var expires: Int64
  /// SHA-256 of what was asked, to tell a repetition from another request under the same key; empty: not asked.
  package var request: [UInt8]
  /// What was made: a silence's id; empty: nothing.
  package var made: String
  /// Journal position of the action; 0 until it has one.
  package var position: UInt64 = 0

  package init(kind: Kind, digest: [UInt8], expires: Int64, request: [UInt8] = [], made: String = "") {
    self.kind = kind
    self.digest = digest
    self.expires = expires
    self.request = request
    self.made = made
  }
}

/// Silences, and the marks of actions done: in the same write as the journal entries they come from.
package struct ActionTable: Sendable {
  let table: Table

  static let silencePrefix: UInt8 = 0x30
  static let endPrefix: UInt8 = 0x31
  private static let markPrefix: UInt8 = 0x32
  private static let expiryPrefix: UInt8 = 0x33

  // MARK: Writing

  /// Puts what an action leaves into the write of its journal entry.
  ///
  /// - Parameter time: when it was sequenced, milliseconds.
  package func put(
    _ action: AlertAction, patient: UInt32, position: UInt64, time: Int64, mark: ActionMark?, in batch: WriteBatch
  ) throws(JournalError) {
    switch action {
    case .silence(let silence): try put(silence, patient: patient, position: position, in: batch)
    case .endSilence(let id, let by):
      batch.put(
        table.family, key: try self.key(ActionTable.endPrefix, id),
        value: SealedValue.seal { out in
          out.append(littleEndian: time)
          out.append(counted: by)
        })
    case .accept, .reject, .acknowledge, .label, .resolve: break
    }
    if var mark {
      mark.position = position
      put(mark, in: batch)
    }
  }

  private func put(
    _ silence: Silence, patient: UInt32, position: UInt64, in batch: WriteBatch
  ) throws(JournalError) {
    let value = SealedValue.seal(capacity: 160) { out in
      out.append(littleEndian: patient)
      out.append(littleEndian: position)
      switch silence.matcher {
      case .rule(let id):
        out.append(0)
        out.append(counted: id)
      case .kind(let kind):
        out.append(1)
        out.append(counted: kind.rawValue)
      }
      out.append(counted: silence.author)
      out.append(counted: silence.reason)
      out.append(littleEndian: silence.from)
      out.append(littleEndian: silence.until)
    }
    batch.put(table.family, key: try self.key(ActionTable.silencePrefix, silence.id), value: value)
  }

  private func put(_ mark: ActionMark, in batch: WriteBatch) {
    let value = SealedValue.seal(capacity: 128) { out in
      out.append(littleEndian: mark.position)
      out.append(littleEndian: mark.expires)
      out.append(counted: mark.request)
      out.append(counted: mark.made)
    }
    batch.put(table.family, key: ActionTable.markKey(mark.kind, mark.digest), value: value)
    var index = ActionTable.expiryKey(mark.kind, mark.expires)
    index.append(raw: mark.digest)
    batch.put(table.family, key: index.bytes, value: SealedValue.seal { _ in })
  }

  // MARK: Reading

  /// One silence; nil when there is none of this id.
  package func silence(_ id: String) throws(JournalError) -> StoredSilence? {
    guard id.utf8.count <= 200 else { return nil }
    let key = try self.key(ActionTable.silencePrefix, id)
    let found = try table.read(key, position: 0) { (reader) throws(ByteError) in
      try ActionTable.silence(id, &reader)
    }
    return try found.map { (found) throws(JournalError) in try withEnd(found) }
  }

  /// Silences set at `start` (milliseconds) or later, newest first.
  package func silences(from start: Int64 = .min, limit: Int) throws(JournalError) -> [StoredSilence] {
    var found: [StoredSilence] = []
    guard limit > 0 else { return found }
    // Ids begin with the time they were given, so that their order is that of setting.
    try table.scan(prefix: [ActionTable.silencePrefix], isReversed: true) { (key, value) throws(JournalError) in
      let id = try self.id(ofKey: key)
      let row = try table.open(value, position: 0) { (reader) throws(ByteError) in
        try ActionTable.silence(id, &reader)
      }
      guard row.silence.from >= start else { return false }
      found.append(try withEnd(row))
      return found.count < limit
    }
    return found
  }

  /// All silences that read, without their ends.
  func readableSilences() throws(JournalError) -> [StoredSilence] {
    var found: [StoredSilence] = []
    try table.scan(prefix: [ActionTable.silencePrefix]) { (key, value) throws(JournalError) in
      guard let id = try? self.id(ofKey: key) else { return true }
      let row = try? table.open(value, position: 0) { (reader) throws(ByteError) in
        try ActionTable.silence(id, &reader)
      }
      if let row { found.append(row) }
      return true
    }
    return found
  }

  /// The mark of something done; nil: it was not, or the mark is forgotten.
  package func mark(_ kind: ActionMark.Kind, _ digest: [UInt8]) throws(JournalError) -> ActionMark? {
    try table.read(ActionTable.markKey(kind, digest), position: 0) { (reader) throws(ByteError) in
      let position: UInt64 = try reader.littleEndian()
      let expires: Int64 = try reader.littleEndian()
      var mark = ActionMark(
        kind: kind, digest: digest, expires: expires, request: [UInt8](try reader.counted()),
        made: try reader.countedString())
      mark.position = position
      return mark
    }
  }

  /// Number of marks of a kind; reads them all.
  package func markCount(_ kind: ActionMark.Kind) throws(JournalError) -> Int {
    var count = 0
    try table.scan(prefix: [ActionTable.expiryPrefix, kind.rawValue]) { (_, _) throws(JournalError) in
      count += 1
      return true
    }
    return count
  }

  private func withEnd(_ row: StoredSilence) throws(JournalError) -> StoredSilence {
    var row = row
    let key = try self.key(ActionTable.endPrefix, row.silence.id)
    let end = try table.read(key, position: 0) { (reader) throws(ByteError) in
      (time: try reader.littleEndian(Int64.self), by: try reader.countedString())
    }
    row.endedAt = end?.time
    row.endedBy = end?.by
    return row
  }

  // MARK: Retention

  /// Requests with a key that are remembered at most.
  package static let requestsMax = 10_000

  /// Forgets marks that have expired, the oldest requests beyond so many, and silences over before a time, milliseconds.
  package func trim(
    now: Int64, silencesOver: Int64, requestsKept: Int = ActionTable.requestsMax, in batch: WriteBatch
  ) throws(JournalError) {
    for kind in ActionMark.Kind.allCases {
      var surplus = kind == .request ? try markCount(kind) - requestsKept : 0
      try table.scan(prefix: [ActionTable.expiryPrefix, kind.rawValue]) { (key, _) throws(JournalError) in
        let (expires, digest) = try table.parse(key, skipping: 2) { (reader) throws(KeyError) in
          (try reader.int64(), Array(reader.rest()))
        }
        guard expires <= now || surplus > 0 else { return false }
        surplus -= 1
        batch.delete(table.family, key: key)
        batch.delete(table.family, key: ActionTable.markKey(kind, digest))
        return true
      }
    }
    try table.scan(prefix: [ActionTable.silencePrefix]) { (key, value) throws(JournalError) in
      let id = try self.id(ofKey: key)
      let row = try table.open(value, position: 0) { (reader) throws(ByteError) in
        try ActionTable.silence(id, &reader)
      }
      guard row.silence.until < silencesOver else { return false }
      batch.delete(table.family, key: key)
      batch.delete(table.family, key: try self.key(ActionTable.endPrefix, id))
      return true
    }
  }

  // MARK: Keys and values

  private static func silence(_ id: String, _ reader: inout ByteReader) throws(ByteError) -> StoredSilence? {
    let patient: UInt32 = try reader.littleEndian()
    let position: UInt64 = try reader.littleEndian()
    let isKind = try reader.byte()
    let name = try reader.countedString()
    let matcher: Silence.Matcher
    switch isKind {
    case 0: matcher = .rule(name)
    case 1:
      guard let kind = AlertKind(rawValue: name) else { return nil }
      matcher = .kind(kind)
    default: return nil
    }
    let silence = Silence(
      id: id, matcher: matcher, author: try reader.countedString(), reason: try reader.countedString(),
      from: try reader.littleEndian(), until: try reader.littleEndian())
    return StoredSilence(silence: silence, patient: patient, position: position)
  }

  /// Key of a silence's row, or of its end's.
  func key(_ prefix: UInt8, _ id: String) throws(JournalError) -> [UInt8] {
    try makeKey { (key) throws(KeyError) in
      key.append(prefix)
      // A sealed id says nothing of its time any more: it goes in front, so that keys stay in that order.
      if table.vault != nil { key.append(ActionTable.time(inID: id)) }
      try table.append(id, to: &key)
    }
  }

  func id(ofKey key: UnsafeRawBufferPointer) throws(JournalError) -> String {
    try table.parse(key) { (reader) throws(KeyError) in
      if table.vault != nil { _ = try reader.uint64() }
      return try table.text(&reader)
    }
  }

  /// Milliseconds in an id, `s-` and 12 hexadecimal digits at its front; 0 in any other.
  private static func time(inID id: String) -> UInt64 {
    guard id.hasPrefix("s-") else { return 0 }
    return UInt64(id.dropFirst(2).prefix(12), radix: 16) ?? 0
  }

  private static func markKey(_ kind: ActionMark.Kind, _ digest: [UInt8]) -> [UInt8] {
    var key = KeyBuilder()
    key.append(markPrefix)
    key.append(kind.rawValue)
    key.append(raw: digest)
    return key.bytes
  }

  private static func expiryKey(_ kind: ActionMark.Kind, _ expires: Int64) -> KeyBuilder {
    var key = KeyBuilder()
    key.append(expiryPrefix)
    key.append(kind.rawValue)
    key.append(expires)
    return key
  }
}
