import Compression
import Digests
import KeyValueStore
import Pipeline
import Synchronization
import VitalModel

/// The rows that are the patient's, and those of others that name the patient.
extension PatientErasure {
  func write(_ batch: WriteBatch, atLeast count: Int = 1) throws(JournalError) {
    guard batch.count >= count else { return }
    try storing { () throws(StoreError) in try store.write(batch, sync: false) }
    batch.clear()
    progress("rows", report.rowsDeleted + report.rowsRewritten)
  }

  // MARK: The patient's own

  func deleteOwnRows() throws(JournalError) {
    let batch = store.makeBatch()
    let (start, end) = (bigEndian(patient), bigEndian(patient + 1))
    for family in [store.families.chunks, store.families.rollups] {
      report.rowsDeleted += try count(family, start, end)
      batch.deleteRange(family, start: start, end: end)
    }
    try deleteAlerts(in: batch)
    try delete(store.families.ledger, in: batch) { key in key.count >= 20 && Array(key[16..<20]) == start }
    try delete(store.families.state, in: batch) { key in
      let raw = key.withUnsafeBytes { KeyPlace(family: "state", key: $0) }
      return raw == .patient(patient)
    }
    try deleteTraced(in: batch)
    try write(batch)
  }

  private func count(_ family: Family, _ lower: [UInt8]?, _ upper: [UInt8]?) throws(JournalError) -> Int {
    try storing { () throws(StoreError) in
      let iterator = try store.store.iterator(family, lower: lower, upper: upper)
      defer { iterator.close() }
      var count = 0
      var isAt = try iterator.seekToFirst()
      while isAt {
        count += 1
        isAt = try iterator.next()
      }
      return count
    }
  }

  /// Deletes rows by their keys alone.
  private func delete(
    _ family: Family, in batch: WriteBatch, where isWanted: ([UInt8]) -> Bool
  ) throws(JournalError) {
    var keys: [[UInt8]] = []
    try storing { () throws(StoreError) in
      let iterator = try store.store.iterator(family)
      defer { iterator.close() }
      var isAt = try iterator.seekToFirst()
      while isAt {
        let key = [UInt8](iterator.key)
        if isWanted(key) { keys.append(key) }
        isAt = try iterator.next()
      }
    }
    for key in keys {
      batch.delete(family, key: key)
      report.rowsDeleted += 1
      try write(batch, atLeast: rowsAtOnce)
    }
  }

  /// Fronts of the keys that name an alert of the patient and not the patient.
  func alertPrefixes() throws(JournalError) -> [[UInt8]] {
    let alerts = store.alerts
    var prefixes: [[UInt8]] = []
    for id in traces.alerts {
      prefixes.append(try alerts.patientKey(id))
      prefixes.append(
        try makeKey { (key) throws(KeyError) in
          key.append(AlertTable.deliveryPrefix)
          try alerts.table.append(id, to: &key)
        })
    }
    return prefixes
  }

  private func deleteAlerts(in batch: WriteBatch) throws(JournalError) {
    let prefixes = try alertPrefixes()
    let named = Set(prefixes)
    let lengths = Set(prefixes.map(\.count))
    try delete(store.families.alerts, in: batch) { key in
      let place = key.withUnsafeBytes { KeyPlace(family: "alerts", key: $0) }
      return place == .patient(patient) || lengths.contains { named.contains(Array(key.prefix($0))) }
    }
  }

  /// Rows whose keys do not say whose they are: silences, what receivers are owed, refused messages.
  private func deleteTraced(in batch: WriteBatch) throws(JournalError) {
    for id in traces.silences.sorted() {
      for prefix in [ActionTable.silencePrefix, ActionTable.endPrefix] {
        batch.delete(store.families.registry, key: try store.actions.key(prefix, id))
      }
      report.rowsDeleted += 1
      try write(batch, atLeast: rowsAtOnce)
    }
    for row in traces.owed.sorted(by: { $0.order < $1.order }) {
      for key in [
        OutboxTable.rowKey(row.order), OutboxTable.deadKey(row.order), OutboxTable.membersKey(row.order),
        try store.outbox.indexKey(row.receiver, row.webhookID),
      ] { batch.delete(store.families.outbox, key: key) }
      report.rowsDeleted += 1
      try write(batch, atLeast: rowsAtOnce)
    }
    for id in traces.quarantined.sorted(by: { $0.ordinal < $1.ordinal }) {
      store.quarantine.delete(id, in: batch)
      report.rowsDeleted += 1
      try write(batch, atLeast: rowsAtOnce)
    }
  }

  // MARK: Others' rows

  /// Families whose rows of others may name the patient, or are under the store's key.
  private var sharedFamilies: [Family] {
    let families = store.families
    return [
      families.registry, families.alerts, families.ledger, families.outbox, families.quarantine, families.state,
      families.audit, families.states,
    ]
  }

  /// Reads what will be gone through, so that files that do not read are known before anything is changed.
  func readThrough() throws(JournalError) {
    _ = try storing { () throws(StoreError) in try vault.ring.hourRows() }
    _ = try hours("reading")
    for family in sharedFamilies + [store.families.keys, store.families.chunks, store.families.rollups] {
      _ = try count(family, nil, nil)
    }
  }

  /// Rewrites what names the patient, and everything else under the store's key, under a new one.
  func rewriteOthers(_ stone: KeyService.Tombstone) throws(JournalError) {
    try storing { () throws(StoreError) in
      try vault.ring.locked { (state) throws(StoreError) in try vault.ring.renewStoreKey(&state) }
    }
    let newest = vault.ring.state.withLock { $0.storeGeneration }
    for family in sharedFamilies { try rewrite(family, newest: newest) }
    // Rows of nobody, which are under the store's key too.
    let nobody = bigEndian(.max)
    for family in [store.families.chunks, store.families.rollups] {
      try rewrite(family, newest: newest, lower: nobody)
    }
    try rewriteStones(stone)
  }

  private func rewrite(_ family: Family, newest: UInt32, lower: [UInt8]? = nil) throws(JournalError) {
    let batch = store.makeBatch()
    let iterator = try storing { () throws(StoreError) in try store.store.iterator(family, lower: lower) }
    defer { iterator.close() }
    var seen = 0
    var isAt = try storing { () throws(StoreError) in try iterator.seekToFirst() }
    while isAt {
      seen += 1
      progress(family.name, seen)
      if let envelope = Envelope.read(iterator.keptValue)?.envelope {
        try rewrite(family, iterator, envelope, newest: newest, batch)
      } else {
        report.rowsUnreadable += 1
      }
      isAt = try storing { () throws(StoreError) in try iterator.next() }
    }
    try write(batch)
  }

  private func rewrite(
    _ family: Family, _ iterator: StoreIterator, _ envelope: Envelope, newest: UInt32, _ batch: WriteBatch
  ) throws(JournalError) {
    let isOld = envelope.keyClass == .store && envelope.generation < newest
    guard isOld || family.name == "alerts" || family.name == "ledger" else { return }
    let key = [UInt8](iterator.key)
    // What does not read was damaged before: it stays as it is, and where it was under the store's old key, that goes.
    let value: [UInt8]
    do throws(StoreError) {
      value = [UInt8](try iterator.value)
    } catch {
      guard case .sealed = error else { throw .store(error) }
      report.rowsUnreadable += 1
      return
    }
    let changed: [UInt8]?
    do throws(JournalError) {
      changed = try rewritten(family, key, value)
    } catch {
      guard case .damaged = error else { throw error }
      report.rowsUnreadable += 1
      return
    }
    guard isOld || changed != nil else { return }
    batch.put(family, key: key, value: changed ?? value)
    report.rowsRewritten += 1
    try write(batch, atLeast: rowsAtOnce)
  }

  /// A row's value without the patient; nil when it does not name the patient.
  func rewritten(_ family: Family, _ key: [UInt8], _ value: [UInt8]) throws(JournalError) -> [UInt8]? {
    switch (family.name, key.first) {
    case ("registry", 0x10):
      guard key.count > 1, key[1] == JournalTextKind.roster.rawValue else { return nil }
      return try roster(without: text(family, value)).map(RegistryTable.textValue)
    case ("registry", EntryKind.device.rawValue):
      guard key.count == 5 else { throw .damaged(family: family.name, position: 0, .key) }
      let number = key.withUnsafeBytes { UInt32(bigEndian: $0.loadUnaligned(fromByteOffset: 1, as: UInt32.self)) }
      guard traces.namesakes.contains(number) else { return nil }
      return RegistryTable.value(.device(number: number, tenant: traces.tenant, device: replacement))
    case ("alerts", AlertTable.transitionPrefix):
      return try AlertTable.value(value) { document, evidence in
        (self.cleaned(document), evidence.flatMap { self.cleaned($0, in: PatientErasure.tenant(ofDocument: document)) })
      }
    case ("ledger", _):
      return cleaned(try text(family, value)).map { text in
        SealedValue.seal(capacity: text.count + 10) { $0.append(counted: text) }
      }
    default: return nil
    }
  }

  private func text(_ family: Family, _ value: [UInt8]) throws(JournalError) -> [UInt8] {
    try lending(value) { (raw) throws(JournalError) in
      try SealedValue.open(raw, family: family.name, position: 0) { (reader) throws(ByteError) in
        [UInt8](try reader.counted())
      }
    }
  }

  /// Words about patients erased before are under the store's key and follow it.
  private func rewriteStones(_ own: KeyService.Tombstone) throws(JournalError) {
    let stones = Tombstones(vault: vault)
    let batch = store.makeBatch()
    let others = try stones.all { _ in self.report.rowsUnreadable += 1 }.filter { $0.patient != own.patient }
    for stone in others + [own] { try stones.put(stone, in: batch) }
    try write(batch)
  }
}

extension AlertTable {
  /// A transition's value with its document and evidence changed; nil when neither was.
  static func value(
    _ value: [UInt8], _ change: (_ document: [UInt8], _ evidence: [UInt8]?) -> (document: [UInt8]?, evidence: [UInt8]?)
  ) throws(JournalError) -> [UInt8]? {
    let parts = try lending(value) { (raw) throws(JournalError) in
      try SealedValue.open(raw, family: "alerts", position: 0) { (reader) throws(ByteError) in
        let front = [UInt8](try reader.raw(29))
        let document = [UInt8](try reader.counted())
        let evidence = front[28] & 2 != 0 ? [UInt8](try reader.counted()) : nil
        return (front, document, evidence)
      }
    }
    let (document, evidence) = change(parts.1, parts.2)
    guard document != nil || evidence != nil else { return nil }
    return SealedValue.seal(capacity: value.count) { out in
      out.append(raw: parts.0)
      out.append(counted: document ?? parts.1)
      if let old = parts.2 { out.append(counted: evidence ?? old) }
    }
  }
}
