import Compression
import Digests
import KeyValueStore
import Pipeline
import Synchronization
import VitalModel

/// The rows that are the patient's, and those of others that name the patient.
extension PatientErasure {
  /// Rows changed in one write.
  private static let rowsAtOnce = 1000

  private typealias Row = (key: [UInt8], value: [UInt8])

  func write(_ batch: WriteBatch, atLeast count: Int = 1) throws(JournalError) {
    guard batch.count >= count else { return }
    try storing { () throws(StoreError) in try store.write(batch, sync: false) }
    batch.clear()
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
    try deleteSilences(in: batch)
    try deleteOutbox(in: batch)
    try deleteQuarantine(in: batch)
    try write(batch)
  }

  private func count(_ family: Family, _ lower: [UInt8], _ upper: [UInt8]) throws(JournalError) -> Int {
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
      try write(batch, atLeast: PatientErasure.rowsAtOnce)
    }
  }

  private func deleteAlerts(in batch: WriteBatch) throws(JournalError) {
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
    let named = Set(prefixes)
    let lengths = Set(prefixes.map(\.count))
    try delete(store.families.alerts, in: batch) { key in
      let place = key.withUnsafeBytes { KeyPlace(family: "alerts", key: $0) }
      return place == .patient(patient) || lengths.contains { named.contains(Array(key.prefix($0))) }
    }
  }

  private func deleteSilences(in batch: WriteBatch) throws(JournalError) {
    let actions = store.actions
    for found in try actions.silences(limit: .max) where found.patient == patient {
      for prefix in [ActionTable.silencePrefix, ActionTable.endPrefix] {
        batch.delete(store.families.registry, key: try actions.key(prefix, found.silence.id))
      }
      report.rowsDeleted += 1
    }
  }

  /// Rows and dead letters about the patient's alerts, or whose body names the patient.
  private func deleteOutbox(in batch: WriteBatch) throws(JournalError) {
    let outbox = store.outbox
    let owed = try outbox.all()
    let dead = try outbox.deadLetters().map(\.queued)
    for entry in owed + dead {
      let members = try outbox.members(of: entry.order)
      let isOwn = traces.alerts.contains(entry.row.alertID)
      let names = traces.alerts.isDisjoint(with: members) == false || mentions(entry.row.body)
      guard isOwn || names else { continue }
      if !isOwn { report.digestsWithdrawn += 1 }
      for key in [
        OutboxTable.rowKey(entry.order), OutboxTable.deadKey(entry.order), OutboxTable.membersKey(entry.order),
        try outbox.indexKey(entry.row.receiver, entry.row.webhookID),
      ] { batch.delete(store.families.outbox, key: key) }
      report.rowsDeleted += 1
      try write(batch, atLeast: PatientErasure.rowsAtOnce)
    }
  }

  /// Refused messages of the devices that measured the patient, and any that name the patient.
  private func deleteQuarantine(in batch: WriteBatch) throws(JournalError) {
    let table = store.quarantine
    for entry in try table.list(limit: .max) {
      let place = Device(tenant: entry.tenant, name: entry.device)
      var isOwn = traces.devices.contains(place) || mentions(Array(entry.topic.utf8)) || entry.device == traces.id
      if !isOwn, let bytes = try table.get(entry.id)?.bytes { isOwn = mentions(bytes) }
      guard isOwn else { continue }
      table.delete(entry.id, in: batch)
      report.rowsDeleted += 1
      try write(batch, atLeast: PatientErasure.rowsAtOnce)
    }
  }

  // MARK: What names the patient

  /// Whether bytes hold the id as a text of JSON, or between other signs that end a name.
  func mentions(_ bytes: [UInt8]) -> Bool {
    PatientErasure.places(of: Array(traces.id.utf8), in: bytes).isEmpty == false
  }

  /// The same bytes with another name in the place of the id; nil when the id is not in them.
  func cleaned(_ bytes: [UInt8]) -> [UInt8]? {
    let id = Array(traces.id.utf8)
    let places = PatientErasure.places(of: id, in: bytes)
    guard !places.isEmpty else { return nil }
    var out: [UInt8] = []
    var from = 0
    for place in places {
      out += bytes[from..<place]
      out += Array(traces.replacement.utf8)
      from = place + id.count
    }
    return out + bytes[from...]
  }

  /// Where `id` stands as a whole word: `p-1` is not in `p-12`.
  static func places(of id: [UInt8], in bytes: [UInt8]) -> [Int] {
    guard let head = id.first, bytes.count >= id.count else { return [] }
    func continues(_ byte: UInt8) -> Bool {
      (byte | 32 >= 97 && byte | 32 <= 122) || (48...57).contains(byte) || byte == 45 || byte == 95 || byte >= 128
    }
    var found: [Int] = []
    var place = 0
    while place + id.count <= bytes.count {
      let end = place + id.count
      if bytes[place] == head, bytes[place..<end].elementsEqual(id), place == 0 || !continues(bytes[place - 1]),
        end == bytes.count || !continues(bytes[end])
      {
        found.append(place)
        place = end
      } else {
        place += 1
      }
    }
    return found
  }

  // MARK: Others' rows

  /// Rewrites what names the patient, and everything else under the store's key, under a new one.
  func rewriteOthers() throws(JournalError) {
    try storing { () throws(StoreError) in
      try vault.ring.locked { (state) throws(StoreError) in try vault.ring.renewStoreKey(&state) }
    }
    let newest = vault.ring.state.withLock { $0.storeGeneration }
    for family in [
      store.families.registry, store.families.alerts, store.families.ledger, store.families.outbox,
      store.families.quarantine, store.families.state, store.families.audit, store.families.states,
    ] { try rewrite(family, newest: newest) }
    // Rows of nobody, which are under the store's key too.
    let nobody = bigEndian(.max)
    for family in [store.families.chunks, store.families.rollups] {
      try rewrite(family, newest: newest, lower: nobody)
    }
    try rewriteStones()
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
    let value: [UInt8]
    do throws(StoreError) {
      value = [UInt8](try iterator.value)
    } catch {
      // Damaged before: it stays, unreadable.
      guard case .sealed = error else { throw .store(error) }
      return
    }
    let changed = try rewritten(family, key, value)
    guard isOld || changed != nil else { return }
    batch.put(family, key: key, value: changed ?? value)
    report.rowsRewritten += 1
    try write(batch, atLeast: PatientErasure.rowsAtOnce)
  }

  /// A row's value without the patient; nil when it does not name the patient.
  private func rewritten(_ family: Family, _ key: [UInt8], _ value: [UInt8]) throws(JournalError) -> [UInt8]? {
    switch (family.name, key.first) {
    case ("registry", 0x10):
      let text = try lending(value) { (raw) throws(JournalError) in
        try SealedValue.open(raw, family: family.name, position: 0) { (reader) throws(ByteError) in
          [UInt8](try reader.counted())
        }
      }
      guard key.count > 1, key[1] == JournalTextKind.roster.rawValue else { return nil }
      return roster(without: text).map(RegistryTable.textValue)
    case ("registry", EntryKind.device.rawValue):
      let number = key.withUnsafeBytes { UInt32(bigEndian: $0.loadUnaligned(fromByteOffset: 1, as: UInt32.self)) }
      guard traces.namesakes.contains(number) else { return nil }
      let entry = try lending(value) { (raw) throws(JournalError) in
        try SealedValue.open(raw, family: family.name, position: UInt64(number)) { (reader) throws(ByteError) in
          try RegistryTable.entry(.device, UInt64(number), &reader)
        }
      }
      guard case .device(_, let tenant, _) = entry else { return nil }
      return RegistryTable.value(.device(number: number, tenant: tenant, device: traces.replacement))
    case ("alerts", AlertTable.transitionPrefix): return try AlertTable.value(value) { self.cleaned($0) }
    case ("ledger", _):
      let text = try lending(value) { (raw) throws(JournalError) in
        try SealedValue.open(raw, family: family.name, position: 0) { (reader) throws(ByteError) in
          [UInt8](try reader.counted())
        }
      }
      return cleaned(text).map { text in SealedValue.seal(capacity: text.count + 10) { $0.append(counted: text) } }
    default: return nil
    }
  }

  /// A roster's text without the patient; nil when the patient is not in it.
  func roster(without text: [UInt8]) -> [UInt8]? {
    guard mentions(text) else { return nil }
    guard let roster = try? Roster(canonicalJSON: String(decoding: text, as: UTF8.self)),
      let smaller = try? Roster(
        patients: roster.patients.filter { $0.id != traces.id },
        devices: roster.devices.map { device in
          var device = device
          if device.id == traces.id { device.id = traces.replacement }
          return device
        },
        assignments: roster.assignments.filter { $0.patient != traces.id },
        settings: roster.settings.filter { $0.patient != traces.id })
    else { return cleaned(text) }
    let bytes = Array(smaller.canonicalJSON.utf8)
    return cleaned(bytes) ?? bytes
  }

  /// Words about patients erased before are under the store's key and follow it.
  private func rewriteStones() throws(JournalError) {
    let stones = Tombstones(vault: vault)
    let batch = store.makeBatch()
    for stone in try stones.all() { try stones.put(stone, in: batch) }
    try write(batch)
  }
}

extension AlertTable {
  /// A transition's value with its document and evidence changed; nil when neither was.
  static func value(_ value: [UInt8], _ change: ([UInt8]) -> [UInt8]?) throws(JournalError) -> [UInt8]? {
    let parts = try lending(value) { (raw) throws(JournalError) in
      try SealedValue.open(raw, family: "alerts", position: 0) { (reader) throws(ByteError) in
        let front = [UInt8](try reader.raw(29))
        let document = [UInt8](try reader.counted())
        let evidence = front[28] & 2 != 0 ? [UInt8](try reader.counted()) : nil
        return (front, document, evidence)
      }
    }
    let (document, evidence) = (change(parts.1), parts.2.flatMap(change))
    guard document != nil || evidence != nil else { return nil }
    return SealedValue.seal(capacity: value.count) { out in
      out.append(raw: parts.0)
      out.append(counted: document ?? parts.1)
      if let old = parts.2 { out.append(counted: evidence ?? old) }
    }
  }
}
