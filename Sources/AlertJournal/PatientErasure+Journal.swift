import Digests
import KeyValueStore
import Pipeline
import Synchronization
import VitalModel

/// The journal without the patient: every batch of an hour in which the patient appears is sealed anew under a new key of
/// that hour, and the old one is destroyed.
extension PatientErasure {
  struct Hour {
    var first = UInt64.max
    var last: UInt64 = 0
    var isConcerned = false
  }

  /// A row of the journal.
  private struct Row {
    var position: UInt64
    /// Whose key it is under; nil where that cannot be told.
    var hour: UInt32?
    /// Nil where it does not open.
    var value: [UInt8]?
  }

  func rewriteJournal() throws(JournalError) {
    var hours = try hours("journal")
    try markHalfDone(&hours)
    for (number, hour) in hours.filter(\.value.isConcerned).sorted(by: { $0.value.first < $1.value.first }) {
      let chosen = try storing { () throws(StoreError) in
        try vault.ring.exclusively { (state) throws(StoreError) in
          let chosen = try vault.ring.makeHourKey(number, first: hour.first, last: hour.last, &state)
          // The next batch of this hour begins a key of its own.
          state.hour = nil
          state.isHourRead = true
          return chosen
        }
      }
      try storing { () throws(StoreError) in try vault.ring.writePending() }
      try rewrite(number, through: hour, with: chosen)
      try destroyKeys(of: number, but: chosen.id.generation)
      report.journalHours += 1
    }
  }

  /// All hours of the journal. Concerned are those that have a batch with anything of the patient in it, and those with a
  /// batch that does not read: nobody knows what is in it.
  ///
  /// - Parameter step: what progress calls it.
  func hours(_ step: String) throws(JournalError) -> [UInt32: Hour] {
    var hours: [UInt32: Hour] = [:]
    report.batchesUndecodable = 0
    let decoder = JournalBatchDecoder()
    var seen = 0
    var before: UInt32?
    var isAfterDamage = false
    try eachRow(from: nil) { row in
      seen += 1
      self.progress(step, seen)
      var isOwn = false
      let header = row.value.flatMap { value in
        try? decoder.decode(value) { if !isOwn, self.changed($0) != nil { isOwn = true } }
      }
      if header == nil {
        self.report.batchesUndecodable += 1
        // Damage may lie in the number of its hour: then it is under the key of the hour before or after.
        if let before { hours[before]?.isConcerned = true }
      }
      if let number = row.hour {
        var hour = hours[number] ?? Hour()
        hour.first = min(hour.first, row.position)
        hour.last = max(hour.last, header?.last ?? row.position)
        if isOwn || header == nil || isAfterDamage { hour.isConcerned = true }
        hours[number] = hour
        before = number
      }
      isAfterDamage = header == nil
    }
    return hours
  }

  /// Hours that an erasure ended half way in: the old key may still be there, and batches under it that are not the
  /// patient's and have not been sealed anew.
  private func markHalfDone(_ hours: inout [UInt32: Hour]) throws(JournalError) {
    guard isResumed else { return }
    let rows = try storing { () throws(StoreError) in try vault.ring.hourRows() }
    for (number, keys) in Dictionary(grouping: rows, by: \.number)
    where keys.count > 1 && keys.contains(where: { $0.last != .max }) {
      hours[number]?.isConcerned = true
    }
  }

  private func eachRow(from start: UInt64?, _ visit: (Row) throws(JournalError) -> Void) throws(JournalError) {
    let lower = start.map { Journal.key($0) }
    let iterator = try storing { () throws(StoreError) in
      try store.store.iterator(store.families.journal, lower: lower)
    }
    defer { iterator.close() }
    var isAt = try storing { () throws(StoreError) in try iterator.seekToFirst() }
    while isAt {
      let key = iterator.key
      var row = Row(
        position: key.count == 8 ? UInt64(bigEndian: key.loadUnaligned(as: UInt64.self)) : 0, hour: nil, value: nil)
      if let envelope = Envelope.read(iterator.keptValue)?.envelope, envelope.keyClass == .hour {
        row.hour = envelope.number
      }
      do throws(StoreError) {
        row.value = [UInt8](try iterator.value)
      } catch {
        guard case .sealed = error else { throw .store(error) }
      }
      try visit(row)
      isAt = try storing { () throws(StoreError) in try iterator.next() }
    }
  }

  private func rewrite(_ number: UInt32, through hour: Hour, with chosen: KeyRing.Chosen) throws(JournalError) {
    let batch = store.makeBatch()
    let decoder = JournalBatchDecoder()
    var encoder = JournalBatchEncoder()
    try eachRow(from: hour.first) { (row) throws(JournalError) in
      guard row.hour == number, row.position <= hour.last, let bytes = row.value else { return }
      var records: [JournalRecord] = []
      var count = 0
      let header = try? decoder.decode(bytes) { record in
        let changed = self.changed(record)
        if changed != nil { count += 1 }
        records.append(changed ?? record)
      }
      // What does not read stays under the key that goes.
      guard let header else { return }
      var value = bytes
      if count > 0 {
        for record in records { try encoder.append(record) }
        value = encoder.finish(partitions: header.partitions).bytes
      }
      try self.put(value, position: header.first, with: chosen, batch)
      self.report.journalBatches += 1
      self.report.journalEntries += count
    }
    try write(batch)
  }

  private func put(
    _ value: [UInt8], position: UInt64, with chosen: KeyRing.Chosen, _ batch: WriteBatch
  ) throws(JournalError) {
    let family = store.families.journal
    let key = Journal.key(position)
    let sealed = try storing { () throws(StoreError) in
      try lendingBytes(value) { (value) throws(StoreError) in
        try lendingBytes(key) { (key) throws(StoreError) in
          try vault.seal(value, family: family.name, key: key, with: chosen)
        }
      }
    }
    key.withUnsafeBytes { key in
      sealed.withUnsafeBytes { batch.putAsKept(family, key: key, value: $0) }
    }
    if batch.byteSize >= 4 << 20 { try write(batch) }
  }

  private func destroyKeys(of hour: UInt32, but generation: UInt32) throws(JournalError) {
    let batch = store.makeBatch()
    let family = store.families.keys
    batch.deleteRange(family, start: KeyRow.hour(hour, 0), end: KeyRow.hour(hour, generation))
    try storing { () throws(StoreError) in try store.write(batch, sync: true) }
    vault.ring.forget(hour: hour, generationsBefore: generation)
  }

  /// What stands in the place of a record; nil where it has nothing of the patient.
  func changed(_ record: JournalRecord) -> JournalRecord? {
    switch record {
    case .slot(let slot): return slot.patient == patient ? .slot(PatientErasure.empty(slot)) : nil
    case .text(let slot, let kind, let bytes):
      if slot.patient == patient { return .slot(PatientErasure.empty(slot)) }
      guard kind == .roster, let text = roster(without: bytes) else { return nil }
      return .text(slot, kind, text)
    case .directory(.patient(patient, let tenant, let name)):
      guard name != replacement else { return nil }
      return .directory(.patient(number: patient, tenant: tenant, patient: replacement))
    case .directory(.device(let number, let tenant, _)):
      guard traces.namesakes.contains(number) else { return nil }
      return .directory(.device(number: number, tenant: tenant, device: replacement))
    case .directory: return nil
    }
  }

  /// An entry that says nothing but its place and when it came: the engine notes both and does no more.
  static func empty(_ slot: Slot) -> Slot {
    var empty = Slot()
    empty.kind = .payload
    empty.ingestTime = slot.ingestTime
    empty.payload = slot.payload
    return empty
  }
}

extension KeyRing {
  /// Forgets keys whose rows have been deleted.
  func forget(hour: UInt32, generationsBefore generation: UInt32) {
    state.withLock { state in
      state.keys = state.keys.filter { id, _ in
        !(id.keyClass == .hour && id.number == hour && id.generation < generation)
      }
    }
    cipher.forgetKeys()
  }
}
