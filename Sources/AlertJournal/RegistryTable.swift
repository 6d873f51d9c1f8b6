import Compression
import KeyValueStore
import Pipeline
import VitalModel

/// What a restart needs without the whole journal: names behind numbers, texts in force and counters.
///
/// Written in the same batch as the journal records it comes from.
package struct RegistryTable: Sendable {
  let table: Table

  /// First byte of a key: 1...5 as `EntryKind`.
  private static let textPrefix: UInt8 = 0x10
  private static let countersKey: [UInt8] = [0x20]

  // MARK: Directory

  /// Fills a directory with all entries, in the order it needs.
  ///
  /// - Throws: `.damaged`; an entry that does not fit those before it too.
  package func restore(into directory: Directory) throws(JournalError) {
    for kind in EntryKind.allCases {
      try table.scan(prefix: [kind.rawValue]) { (key, value) throws(JournalError) in
        let number = try number(ofKey: key, kind)
        let entry: DirectoryEntry = try table.open(value, position: number) { (reader) throws(ByteError) in
          try RegistryTable.entry(kind, number, &reader)
        }
        guard directory.restore(entry) else {
          throw .damaged(family: table.family.name, position: number, .malformed("the number, which leaves a gap"))
        }
        return true
      }
    }
  }

  /// Gives all entries of one kind, by rising number.
  ///
  /// - Parameter onDamage: told of each that does not read, which is then stepped over; nil: the first one ends it.
  func eachEntry(
    _ kind: EntryKind, onDamage: ((JournalError) -> Void)? = nil, _ body: (UInt64, DirectoryEntry) -> Void
  ) throws(JournalError) {
    try table.scan(prefix: [kind.rawValue]) { (key, value) throws(JournalError) in
      do throws(JournalError) {
        let number = try number(ofKey: key, kind)
        body(
          number,
          try table.open(value, position: number) { (reader) throws(ByteError) in
            try RegistryTable.entry(kind, number, &reader)
          })
      } catch {
        guard let onDamage else { throw error }
        onDamage(error)
      }
      return true
    }
  }

  /// Numbers of the patients of an id, with their tenants; of one tenant or all.
  ///
  /// Names that do not read are stepped over.
  package func patients(
    named id: String, tenant: String? = nil
  ) throws(JournalError) -> [(number: UInt32, tenant: String)] {
    var found: [(number: UInt32, tenant: String)] = []
    try eachEntry(.patient, onDamage: { _ in }) { _, entry in
      guard case .patient(let number, let owner, let name) = entry, name == id, tenant ?? owner == owner else { return }
      found.append((number, owner))
    }
    return found
  }

  private func number(ofKey key: UnsafeRawBufferPointer, _ kind: EntryKind) throws(JournalError) -> UInt64 {
    try table.parse(key) { (reader) throws(KeyError) in
      kind == .source ? UInt64(try reader.uint16()) : UInt64(try reader.uint32())
    }
  }

  static func entry(
    _ kind: EntryKind, _ number: UInt64, _ reader: inout ByteReader
  ) throws(ByteError) -> DirectoryEntry? {
    let short = UInt32(truncatingIfNeeded: number)
    switch kind {
    case .source: return .source(number: UInt16(truncatingIfNeeded: number), text: try reader.countedString())
    case .device:
      return .device(number: short, tenant: try reader.countedString(), device: try reader.countedString())
    case .patient:
      return .patient(number: short, tenant: try reader.countedString(), patient: try reader.countedString())
    case .series:
      return .series(
        number: short, patient: try reader.littleEndian(), code: VitalCode(index: try reader.littleEndian()),
        device: try reader.littleEndian(), source: try reader.littleEndian())
    case .clockOffset: return .clockOffset(device: short, milliseconds: try reader.littleEndian())
    }
  }

  static func key(_ entry: DirectoryEntry) -> [UInt8] {
    var key = KeyBuilder()
    switch entry {
    case .source(let number, _):
      key.append(EntryKind.source.rawValue)
      key.append(number)
    case .device(let number, _, _):
      key.append(EntryKind.device.rawValue)
      key.append(number)
    case .patient(let number, _, _):
      key.append(EntryKind.patient.rawValue)
      key.append(number)
    case .series(let number, _, _, _, _):
      key.append(EntryKind.series.rawValue)
      key.append(number)
    case .clockOffset(let device, _):
      key.append(EntryKind.clockOffset.rawValue)
      key.append(device)
    }
    return key.bytes
  }

  static func value(_ entry: DirectoryEntry) -> [UInt8] {
    SealedValue.seal { out in
      switch entry {
      case .source(_, let text): out.append(counted: text)
      case .device(_, let tenant, let name), .patient(_, let tenant, let name):
        out.append(counted: tenant)
        out.append(counted: name)
      case .series(_, let patient, let code, let device, let source):
        out.append(littleEndian: patient)
        out.append(littleEndian: code.index)
        out.append(littleEndian: device)
        out.append(littleEndian: source)
      case .clockOffset(_, let milliseconds): out.append(littleEndian: milliseconds)
      }
    }
  }

  // MARK: Texts

  /// The newest roster, rule set or options text at or before a position; nil when there is none.
  package func latestText(
    _ kind: JournalTextKind, atOrBefore position: UInt64 = .max
  ) throws(JournalError) -> JournaledText? {
    var found: JournaledText?
    let lower = RegistryTable.textKey(kind, 0)
    let upper = keyAfterPrefix([RegistryTable.textPrefix, kind.rawValue])
    let end = position == .max ? upper : RegistryTable.textKey(kind, position + 1)
    try table.scan(lower: lower, upper: end, isReversed: true) { (key, value) throws(JournalError) in
      found = try text(kind, key, value)
      return false
    }
    return found
  }

  /// All kept texts of a kind, oldest first.
  package func texts(_ kind: JournalTextKind) throws(JournalError) -> [JournaledText] {
    var found: [JournaledText] = []
    try table.scan(prefix: [RegistryTable.textPrefix, kind.rawValue]) { (key, value) throws(JournalError) in
      found.append(try text(kind, key, value))
      return true
    }
    return found
  }

  /// All kept rosters that read, oldest first.
  func readableRosters() throws(JournalError) -> [Roster] {
    var found: [Roster] = []
    try table.scan(prefix: [RegistryTable.textPrefix, JournalTextKind.roster.rawValue]) {
      (key, value) throws(JournalError) in
      let bytes = (try? text(.roster, key, value))?.bytes
      if let bytes, let roster = try? Roster(canonicalJSON: String(decoding: bytes, as: UTF8.self)) {
        found.append(roster)
      }
      return true
    }
    return found
  }

  /// Deployments of rules that stay listed and can be gone back to, however old.
  package static let rulesKeptMax = 100

  /// Drops texts that no position from `floor` on was judged by: all but the newest at or before it, and those after. Of
  /// rules the newest `rulesKept` stay in any case.
  package func trimTexts(
    keepFrom floor: UInt64, rulesKept: Int = RegistryTable.rulesKeptMax, in batch: WriteBatch
  ) throws(JournalError) {
    for kind in JournalTextKind.allCases where kind.isKeptInRegistry {
      guard let kept = try latestText(kind, atOrBefore: floor) else { continue }
      let first = kind == .rules ? min(kept.position, try oldestRules(of: rulesKept)) : kept.position
      batch.deleteRange(table.family, start: RegistryTable.textKey(kind, 0), end: RegistryTable.textKey(kind, first))
    }
  }

  /// Position of the last of so many rule sets, counted from the newest.
  private func oldestRules(of kept: Int) throws(JournalError) -> UInt64 {
    var oldest = UInt64.max
    var count = 0
    let (lower, upper) = (RegistryTable.textKey(.rules, 0), RegistryTable.textKey(.rules, .max))
    try table.scan(lower: lower, upper: upper, isReversed: true) { (key, _) throws(JournalError) in
      oldest = try table.parse(key, skipping: 2) { (reader) throws(KeyError) in try reader.uint64() }
      count += 1
      return count < kept
    }
    return oldest
  }

  private func text(
    _ kind: JournalTextKind, _ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer
  ) throws(JournalError) -> JournaledText {
    let position = try table.parse(key, skipping: 2) { (reader) throws(KeyError) in try reader.uint64() }
    let bytes = try table.open(value, position: position) { (reader) throws(ByteError) in
      [UInt8](try reader.counted())
    }
    return JournaledText(kind: kind, position: position, bytes: bytes)
  }

  static func textKey(_ kind: JournalTextKind, _ position: UInt64) -> [UInt8] {
    var key = KeyBuilder()
    key.append(textPrefix)
    key.append(kind.rawValue)
    key.append(position)
    return key.bytes
  }

  static func textValue(_ bytes: [UInt8]) -> [UInt8] {
    SealedValue.seal(capacity: bytes.count + 10) { $0.append(counted: bytes) }
  }

  // MARK: Counters

  /// Puts the counters as they are after a journal batch into that batch's write.
  package func put(_ counters: JournalCounters, in batch: WriteBatch) {
    batch.put(
      table.family, key: RegistryTable.countersKey, value: SealedValue.seal(capacity: 320) { counters.write(&$0) })
  }

  /// The counters as last written; all zero when they never were.
  package func counters() throws(JournalError) -> JournalCounters {
    try table.read(RegistryTable.countersKey, position: 0) { (reader) throws(ByteError) in
      try JournalCounters(&reader)
    } ?? JournalCounters()
  }
}

/// How many of what has come in over the life of the store (SEMANTICS A7).
package struct JournalCounters: Hashable, Sendable {
  /// Observations received, whatever became of them.
  package var received: UInt64 = 0
  /// Observations journaled.
  package var stored: UInt64 = 0
  /// Observations known already.
  package var duplicates: UInt64 = 0
  /// Observations quarantined, by position in `QuarantineReason.allCases`.
  private var quarantinedByReason = Array(repeating: UInt64(0), count: QuarantineReason.allCases.count)

  package init() {}

  /// Observations quarantined for one reason.
  package subscript(reason: QuarantineReason) -> UInt64 {
    get { quarantinedByReason[JournalCounters.place(reason)] }
    set { quarantinedByReason[JournalCounters.place(reason)] = newValue }
  }

  /// Observations quarantined for any reason.
  package var quarantined: UInt64 { quarantinedByReason.reduce(0, &+) }

  private static let places = Dictionary(
    uniqueKeysWithValues: QuarantineReason.allCases.enumerated().map { ($1, $0) })
  private static func place(_ reason: QuarantineReason) -> Int { places[reason] ?? 0 }

  fileprivate func write(_ out: inout ByteWriter) {
    for value in [received, stored, duplicates] { out.append(varint: value) }
    let present = QuarantineReason.allCases.filter { self[$0] > 0 }
    out.append(varint: UInt64(present.count))
    for reason in present {
      // By name, so that reasons may come and go between versions.
      out.append(counted: reason.rawValue)
      out.append(varint: self[reason])
    }
  }

  fileprivate init(_ reader: inout ByteReader) throws(ByteError) {
    received = try reader.varint()
    stored = try reader.varint()
    duplicates = try reader.varint()
    for _ in 0..<(try reader.count(limit: 1000)) {
      let name = try reader.countedString()
      let value = try reader.varint()
      if let reason = QuarantineReason(rawValue: name) { self[reason] = value }
    }
  }
}
