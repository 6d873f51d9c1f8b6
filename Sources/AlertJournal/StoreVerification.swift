import KeyValueStore
import Pipeline
import VitalModel

/// What is wrong at one place of a store. Texts hold no patient data.
package struct StoreFinding: Hashable, Sendable {
  package enum Kind: String, Sendable, CaseIterable {
    /// Bytes on disk are not those written: rows between two keys cannot be read.
    case block
    /// One row cannot be used.
    case row
    /// Positions are missing from the journal, at its beginning or within, or are there twice.
    case gap
    /// Something is named that is not there.
    case reference
    /// The audit chain does not hold.
    case audit
    /// The journal's end was lost.
    case end
  }

  package var kind: Kind
  package var family: String
  /// The row's key; empty where it is about none.
  package var key: [UInt8]
  package var what: String
  /// Whether the row can be put aside without harm to the others.
  package var canBePutAside: Bool
}

/// What reading a whole store through found.
package struct StoreVerdict: Hashable, Sendable {
  package struct Counts: Hashable, Sendable {
    package var rows = 0
    /// As kept, keys included.
    package var bytes: UInt64 = 0
  }

  /// By family.
  package var families: [String: Counts] = [:]
  package var journalBatches = 0
  package var journalEntries: UInt64 = 0
  /// First and last journal position; nil when the journal is empty.
  package var positions: ClosedRange<UInt64>?
  package var auditEntries: UInt64 = 0
  /// Digest of the newest audit entry, hexadecimal.
  package var auditHead = ""
  /// The last committed position kept beside the store; nil when there is none.
  package var committed: UInt64?
  /// At most ``StoreVerification/findingsMax``.
  package var findings: [StoreFinding] = []
  /// All of them.
  package var findingCount = 0

  package var isSound: Bool { findingCount == 0 }

  package mutating func add(_ finding: StoreFinding) {
    findingCount += 1
    if findings.count < StoreVerification.findingsMax { findings.append(finding) }
  }
}

/// Reads a whole store and holds everything in it against everything else: checksums of blocks, frames and contents of
/// values, journal positions, the audit chain, and that what is referred to exists.
///
/// Works on a store open for writing and on a reader beside a running service; it changes nothing. For one run, on one
/// thread.
package final class StoreVerification {
  /// What other rooms keep in a store and they alone can judge: why a row of theirs cannot be used, nil when it can.
  package typealias Judge = (
    _ family: String, _ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer, _ numbers: Numbers
  ) -> String?

  /// How many patients and devices the registry knows: numbers below exist.
  package struct Numbers: Hashable, Sendable {
    package var patients: UInt32 = 0
    package var devices: UInt32 = 0
    package var series: UInt32 = 0
  }

  /// Findings told one by one.
  package static let findingsMax = 1000

  private let store: VigilStore
  private let committed: UInt64?
  private let sealFloor: UInt64?
  private let judge: Judge
  private let progress: (Int) -> Void
  private var verdict = StoreVerdict()
  private var numbers = Numbers()

  /// - Parameters:
  ///   - committed: ``CommitMarker/read(storePath:)`` from before the store was opened: a running service moves it on.
  ///   - sealFloor: samples at and above this position may be in the journal alone; nil when not known.
  ///   - progress: told of bytes read, keys included.
  package init(
    _ store: VigilStore, committed: UInt64?, sealFloor: UInt64? = nil, judge: @escaping Judge = { _, _, _, _ in nil },
    progress: @escaping (Int) -> Void = { _ in }
  ) {
    self.store = store
    self.committed = committed
    self.sealFloor = sealFloor
    self.judge = judge
    self.progress = progress
  }

  /// - Throws: `.store` when reading fails for another reason than damage.
  package func run() throws(JournalError) -> StoreVerdict {
    try checkRegistry()
    try checkJournal()
    let framed = [
      store.families.state, store.families.alerts, store.families.ledger, store.families.outbox,
      store.families.quarantine, store.families.audit, store.families.meta,
    ]
    for family in framed { try walk(family) { key, value in self.frame(family, key, value) } }
    for family in [store.families.chunks, store.families.rollups, store.families.states, store.families.keys] {
      try walk(family) { key, value in
        if let what = self.judge(family.name, key, value, self.numbers) { self.addRow(family, key, what) }
      }
    }
    try checkAlerts()
    try checkOutbox()
    try checkAudit()
    try checkEnds()
    return verdict
  }

  // MARK: Walking

  private func walk(
    _ family: Family,
    _ visit: (UnsafeRawBufferPointer, UnsafeRawBufferPointer) -> Void
  ) throws(JournalError) {
    var counts = StoreVerdict.Counts()
    let stretches = try storing { () throws(StoreError) in
      try store.store.readThrough(family) { iterator in
        let bytes = iterator.key.count + iterator.keptValue.count
        counts.rows += 1
        counts.bytes += UInt64(bytes)
        self.progress(bytes)
        do throws(StoreError) {
          visit(iterator.key, try iterator.value)
        } catch {
          self.addRow(family, iterator.key, error.description)
        }
      }
    }
    verdict.families[family.name] = counts
    for stretch in stretches {
      verdict.add(
        StoreFinding(
          kind: .block, family: family.name, key: stretch.after ?? [], what: stretch.reason, canBePutAside: false))
    }
  }

  private func addRow(_ family: Family, _ key: UnsafeRawBufferPointer, _ what: String) {
    verdict.add(
      StoreFinding(
        kind: .row, family: family.name, key: [UInt8](key), what: what,
        canBePutAside: StoreVerification.spared.contains(family.name)))
  }

  /// Families that do without one of their rows: the others are rebuilt from the journal, or stand for themselves.
  private static let spared: Set = [
    "chunks", "rollups", "journal", "state", "alerts", "ledger", "outbox", "quarantine",
  ]

  /// The newest version of any table's values.
  private static let newestVersion: UInt8 = 2

  private func frame(_ family: Family, _ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) {
    do throws(Damage) {
      _ = try SealedValue.body(of: value, newest: StoreVerification.newestVersion)
    } catch {
      addRow(family, key, error.description)
    }
  }

  // MARK: Registry

  private func checkRegistry() throws(JournalError) {
    let family = store.families.registry
    try walk(family) { key, value in self.frame(family, key, value) }
    let directory = Directory(registry: VitalRegistry([]))
    do throws(JournalError) {
      try store.registry.restore(into: directory)
    } catch {
      if case .store(let error) = error, case .corruption = error {} else { addReference(family, error.description) }
    }
    let counts = directory.counts
    numbers = Numbers(
      patients: UInt32(counts.patients), devices: UInt32(counts.devices), series: UInt32(counts.series))
    for number in 0..<numbers.series {
      guard let series = directory.seriesKey(number) else { continue }
      if series.patient >= numbers.patients || series.device >= numbers.devices {
        addReference(family, "series \(number) names a patient or device that is not registered")
      }
    }
  }

  private func addReference(_ family: Family, _ what: String, key: [UInt8] = []) {
    verdict.add(StoreFinding(kind: .reference, family: family.name, key: key, what: what, canBePutAside: false))
  }

  // MARK: Journal

  private func checkJournal() throws(JournalError) {
    let family = store.families.journal
    let decoder = JournalBatchDecoder()
    var expected: UInt64?
    try walk(family) { key, value in
      guard key.count == 8 else { return self.addRow(family, key, Damage.key.description) }
      let first = UInt64(bigEndian: key.loadUnaligned(as: UInt64.self))
      if let expected, first > expected { self.addGap(expected...(first - 1), "are missing") }
      if let expected, first < expected { self.addGap(first...(expected - 1), "are there twice") }
      var strangers = 0
      do throws(Damage) {
        let header = try decoder.decode(value) { record in
          if case .slot(let slot) = record, !self.numbers.know(slot) { strangers += 1 }
        }
        guard header.first == first else { throw .key }
        self.verdict.journalBatches += 1
        self.verdict.journalEntries += header.last - header.first + 1
        self.verdict.positions = (self.verdict.positions?.lowerBound ?? first)...header.last
        expected = header.last + 1
      } catch {
        // Its own row says that it is missing: how far it went is not known.
        self.addRow(family, key, error.description)
        expected = nil
      }
      if strangers > 0 {
        self.addReference(
          family, "\(strangers) entries name a patient, device or series that is not registered", key: [UInt8](key))
      }
    }
  }

  private func addGap(_ positions: ClosedRange<UInt64>, _ what: String) {
    addJournal(.gap, "positions \(positions.lowerBound) to \(positions.upperBound) \(what)")
  }

  private func addJournal(_ kind: StoreFinding.Kind, _ what: String) {
    verdict.add(StoreFinding(kind: kind, family: "journal", key: [], what: what, canBePutAside: false))
  }

  // MARK: Alerts, outbox, audit, end

  private func checkAlerts() throws(JournalError) {
    try stepping { () throws(JournalError) in
      try store.alerts.eachTransition { transition in
        guard transition.patient >= self.numbers.patients, transition.patient != .max else { return }
        self.addReference(
          self.store.families.alerts, "a transition names patient \(transition.patient), not registered")
      }
      // That each entry of the index by time leads to its transition.
      try store.alerts.forEachInTime { _ in true }
    }
  }

  private func checkOutbox() throws(JournalError) {
    try stepping { () throws(JournalError) in
      try store.outbox.forEach { (row) throws(JournalError) in
        guard try !self.store.outbox.isKnown(receiver: row.row.receiver, webhookID: row.row.webhookID) else { return }
        self.addReference(
          self.store.families.outbox, "row \(row.order) is not in the index: its webhook could be sent twice")
      }
    }
  }

  private func checkAudit() throws(JournalError) {
    var found: AuditTable.Verdict?
    try stepping { () throws(JournalError) in found = try store.audit.verify() }
    guard let found else { return }
    verdict.auditEntries = found.entries
    verdict.auditHead = StoreVerification.hexadecimal(found.head)
    guard let broken = found.brokenAt else { return }
    verdict.add(
      StoreFinding(
        kind: .audit, family: "audit", key: [], what: "entry \(broken) does not follow the one before it",
        canBePutAside: false))
  }

  /// Damage that a walk has told already ends a check, and is not told twice.
  private func stepping(_ check: () throws(JournalError) -> Void) throws(JournalError) {
    do throws(JournalError) {
      try check()
    } catch {
      switch error {
      case .damaged(let family, _, let damage):
        if verdict.isSound {
          verdict.add(
            StoreFinding(
              kind: .reference, family: family, key: [], what: damage.description, canBePutAside: false))
        }
      case .store(.corruption), .store(.sealed): break
      case .store, .tooLong: throw error
      }
    }
  }

  /// That the journal reaches from what evaluation and sealing still need to what was durable.
  private func checkEnds() throws(JournalError) {
    verdict.committed = committed
    var warnings: [RecoveryWarning]?
    try stepping { () throws(JournalError) in
      warnings = try Recovery.plan(store, committed: committed ?? 0).warnings
    }
    let last = verdict.positions?.upperBound ?? 0
    if warnings == nil, let committed, committed > last {
      warnings = [.journalEndsEarly(last: last, committed: committed)]
    }
    for warning in warnings ?? [] {
      if case .journalBeginsLate = warning {
        addJournal(.gap, warning.description)
      } else {
        addJournal(.end, warning.description)
      }
    }
    guard let first = verdict.positions?.lowerBound, let sealFloor, first > max(1, sealFloor) else { return }
    addJournal(
      .gap,
      "the journal begins at position \(first), but samples from position \(max(1, sealFloor)) on are in no chunk yet")
  }

  static func hexadecimal(_ bytes: [UInt8]) -> String {
    bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
  }
}

extension StoreVerification.Numbers {
  /// Whether everything a journal entry names is registered; `.max` names nobody.
  func know(_ slot: Slot) -> Bool {
    guard slot.patient == .max || slot.patient < patients else { return false }
    guard slot.kind == .sample else { return true }
    return slot.device < devices && slot.series < series
  }
}
