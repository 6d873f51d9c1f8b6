import Digests
import KeyValueStore
import Pipeline
import Synchronization
import VitalModel

/// The journal without the patient: every batch of an hour in which the patient appears is sealed anew under a new key of
/// that hour, and the old one is destroyed.
extension PatientErasure {
  private struct Hour {
    var first = UInt64.max
    var last: UInt64 = 0
    var isConcerned = false
  }

  func rewriteJournal() throws(JournalError) {
    let concerned = try concernedHours()
    for (number, hour) in concerned.sorted(by: { $0.value.first < $1.value.first }) {
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

  /// Hours that have a batch with anything of the patient in it.
  private func concernedHours() throws(JournalError) -> [UInt32: Hour] {
    var hours: [UInt32: Hour] = [:]
    let decoder = JournalBatchDecoder()
    var seen = 0
    try store.journal.readBatches(from: 0, onDamage: { _ in }) { (bytes, header) throws(Damage) in
      seen += 1
      progress("journal", seen)
      var hour = hours[KeyRing.hour(ofBatch: bytes)] ?? Hour()
      hour.first = min(hour.first, header.first)
      hour.last = max(hour.last, header.last)
      if !hour.isConcerned {
        var isConcerned = false
        try decoder.decode(bytes) { if self.changed($0) != nil { isConcerned = true } }
        hour.isConcerned = isConcerned
      }
      hours[KeyRing.hour(ofBatch: bytes)] = hour
    }
    return hours.filter { $0.value.isConcerned }
  }

  private func rewrite(_ number: UInt32, through hour: Hour, with chosen: KeyRing.Chosen) throws(JournalError) {
    let batch = store.makeBatch()
    var failure: JournalError?
    let decoder = JournalBatchDecoder()
    var encoder = JournalBatchEncoder()
    try store.journal.readBatches(from: hour.first, upTo: hour.last, onDamage: { _ in }) {
      (bytes, header) throws(Damage) in
      guard KeyRing.hour(ofBatch: bytes) == number, failure == nil else { return }
      var records: [JournalRecord] = []
      var count = 0
      try decoder.decode(bytes) { record in
        let changed = self.changed(record)
        if changed != nil { count += 1 }
        records.append(changed ?? record)
      }
      do throws(JournalError) {
        let value: [UInt8]
        if count == 0 {
          value = [UInt8](bytes)
        } else {
          for record in records { try encoder.append(record) }
          value = encoder.finish(partitions: header.partitions).bytes
        }
        try put(value, position: header.first, with: chosen, batch)
        report.journalBatches += 1
        report.journalEntries += count
      } catch {
        failure = error
      }
    }
    if let failure { throw failure }
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
  private func changed(_ record: JournalRecord) -> JournalRecord? {
    switch record {
    case .slot(let slot): return slot.patient == patient ? .slot(PatientErasure.empty(slot)) : nil
    case .text(let slot, let kind, let bytes):
      if slot.patient == patient { return .slot(PatientErasure.empty(slot)) }
      guard kind == .roster, let text = roster(without: bytes) else { return nil }
      return .text(slot, kind, text)
    case .directory(.patient(patient, let tenant, let name)):
      guard name != traces.replacement else { return nil }
      return .directory(.patient(number: patient, tenant: tenant, patient: traces.replacement))
    case .directory(.device(let number, let tenant, _)):
      guard traces.namesakes.contains(number) else { return nil }
      return .directory(.device(number: number, tenant: tenant, device: traces.replacement))
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
