import Compression
import Digests
import Glibc
import KeyValueStore
import Pipeline
import Synchronization
import VitalModel

/// Forgets one patient for good: the keys of the patient's values are destroyed, what others' values say of the patient is
/// written anew without it under new keys, and the files that held any of it are dropped.
///
/// Nothing else has the store meanwhile. Every step may be done again: ended half way, ``resume(path:key:progress:)`` takes
/// it up, and until then nothing else opens the store. Positions of the journal stay: an entry of the patient becomes one
/// that says nothing.
package final class PatientErasure {
  /// Whom to erase, and on whose word.
  package struct Order: Hashable, Sendable {
    package var patient: UInt32
    package var actor: String
    package var reason: String
    /// Milliseconds since 1970.
    package var timeMs: Int64
    package init(patient: UInt32, actor: String, reason: String, timeMs: Int64) {
      self.patient = patient
      self.actor = actor
      self.reason = reason
      self.timeMs = timeMs
    }
  }

  /// What was done.
  package struct Report: Hashable, Sendable {
    package var patient: UInt32 = 0
    package var proof: [UInt8] = []
    package var timeMs: Int64 = 0
    package var rowsDeleted = 0
    package var rowsRewritten = 0
    package var journalHours = 0
    package var journalBatches = 0
    package var journalEntries = 0
    /// Digests to receivers that named the patient beside others, taken back whole.
    package var digestsWithdrawn = 0
    /// Rows that do not read, in families that are shared: they are as they were, and what of them was under the store's old
    /// key opens no more.
    package var rowsUnreadable = 0
    /// Batches of the journal that do not read; the keys of their hours are gone.
    package var batchesUndecodable = 0
    /// Refused messages of the patient's devices that stay, as somebody who is held may own them.
    package var quarantineSpared = 0
    /// Files of `STORE/damaged` that were the patient's, or open under no key that is left.
    package var damagedFilesRemoved = 0
    /// Folders beside the store that may hold the patient: what repairs left.
    package var leftovers: [String] = []
  }

  let store: VigilStore
  let vault: Vault
  let patient: UInt32
  var traces = Traces()
  var report = Report()
  let progress: (String, Int) -> Void
  /// Rows changed in one write.
  var rowsAtOnce = 1000
  /// Whether another process began it.
  private(set) var isResumed = false

  private init(_ store: VigilStore, _ vault: Vault, patient: UInt32, progress: @escaping (String, Int) -> Void) {
    self.store = store
    self.vault = vault
    self.patient = patient
    self.progress = progress
    report.patient = patient
  }

  /// Erases a patient of a store nobody else has open.
  ///
  /// Everything that will be gone through is read before it begins: a store with damaged files is refused as it is.
  ///
  /// - Parameters:
  ///   - rowsAtOnce: rows changed in one write.
  ///   - progress: told what is being gone through, and how far.
  /// - Throws: `.sealed` where the store is not encrypted, the patient is unknown or held, or the reason says the patient's
  ///   id; as opening does.
  package static func erase(
    path: String, key: MasterKey, _ order: Order, rowsAtOnce: Int = 1000,
    progress: @escaping (String, Int) -> Void = { _, _ in }
  ) throws(JournalError) -> Report {
    let store = try storing { () throws(StoreError) in try VigilStore.open(path: path, key: key, keepsLog: false) }
    defer { store.close() }
    guard let vault = store.vault else { throw .store(.sealed("the store is not encrypted")) }
    guard try !store.holds.isHeld(order.patient) else {
      throw .store(.sealed("patient #\(order.patient) is held: release it first"))
    }
    let erasure = PatientErasure(store, vault, patient: order.patient, progress: progress)
    erasure.rowsAtOnce = rowsAtOnce
    guard let name = try erasure.readName() else {
      throw .store(.sealed("the store has no patient #\(order.patient)"))
    }
    guard name.id != erasure.replacement else {
      throw .store(.sealed("patient #\(order.patient) was erased before"))
    }
    guard !order.reason.lowercased().contains(name.id.lowercased()) else {
      throw .store(.sealed("the reason holds the patient's id, which would outlive the erasure"))
    }
    (erasure.traces.tenant, erasure.traces.id) = name
    try erasure.findTraces()
    try erasure.readThrough()
    return try erasure.finish(try erasure.begin(order))
  }

  /// Takes up an erasure that was interrupted; nil: there is none.
  package static func resume(
    path: String, key: MasterKey, progress: @escaping (String, Int) -> Void = { _, _ in }
  ) throws(JournalError) -> Report? {
    let store = try storing { () throws(StoreError) in
      try VigilStore.open(path: path, key: key, keepsLog: false, accepting: [.sealed, .erasing])
    }
    defer { store.close() }
    guard let vault = store.vault else { throw .store(.sealed("the store is not encrypted")) }
    let header = vault.ring.state.withLock { $0.header }
    guard header.state == .erasing else { return nil }
    let erasure = PatientErasure(store, vault, patient: header.patient, progress: progress)
    erasure.isResumed = true
    if let stone = try erasure.readTraces() { return try erasure.finish(stone) }
    let stone = try Tombstones(vault: vault).all(onDamage: { _ in }).first { $0.patient == header.patient }
    guard let stone else {
      throw .damaged(family: "keys", position: UInt64(header.patient), .malformed("the tombstone"))
    }
    guard let name = try erasure.readName(), name.id != erasure.replacement else {
      // The keys are gone, and the traces with them: only files are left to be dropped.
      return try erasure.end(stone)
    }
    (erasure.traces.tenant, erasure.traces.id) = name
    try erasure.findTraces()
    return try erasure.finish(stone)
  }

  // MARK: Steps

  /// The patient's name, which is needed to find it elsewhere; nil when there is no such patient.
  private func readName() throws(JournalError) -> (tenant: String, id: String)? {
    let key = [EntryKind.patient.rawValue] + bigEndian(patient)
    return try store.registry.table.read(key, position: UInt64(patient)) { (reader) throws(ByteError) in
      (try reader.countedString(), try reader.countedString())
    }
  }

  /// From here on the store opens for nothing but the rest of it, and for repairs.
  private func begin(_ order: Order) throws(JournalError) -> KeyService.Tombstone {
    let stones = Tombstones(vault: vault)
    let stone = KeyService.Tombstone(
      patient: patient, timeMs: order.timeMs, proof: stones.proof(tenant: traces.tenant, patient: traces.id),
      actor: order.actor, reason: order.reason)
    let batch = store.makeBatch()
    try stones.put(stone, in: batch)
    try putTraces(stone, in: batch)
    var header = vault.ring.state.withLock { $0.header }
    header.state = .erasing
    header.patient = patient
    batch.put(store.families.keys, key: KeyRow.header, value: header.value)
    try storing { () throws(StoreError) in try store.write(batch, sync: true) }
    vault.ring.state.withLock { $0.patients[patient] = .erased }
    return stone
  }

  private func finish(_ stone: KeyService.Tombstone) throws(JournalError) -> Report {
    report.digestsWithdrawn = traces.withdrawn
    report.quarantineSpared = traces.spared
    try deleteOwnRows()
    try rewriteJournal()
    try rewriteOthers(stone)
    try cleanDamagedFiles()
    try destroyKeys(stone)
    return try end(stone)
  }

  private func end(_ stone: KeyService.Tombstone) throws(JournalError) -> Report {
    (report.timeMs, report.proof) = (stone.timeMs, stone.proof)
    try dropFiles()
    var header = vault.ring.state.withLock { $0.header }
    (header.state, header.patient) = (.sealed, 0)
    let batch = store.makeBatch()
    batch.put(store.families.keys, key: KeyRow.header, value: header.value)
    try storing { () throws(StoreError) in try store.write(batch, sync: true) }
    report.leftovers = try PatientErasure.leftovers(beside: store.path)
    return report
  }

  /// The one write after which nothing opens the patient's values any more.
  private func destroyKeys(_ stone: KeyService.Tombstone) throws(JournalError) {
    let ring = vault.ring
    let batch = store.makeBatch()
    let family = store.families.keys
    batch.deleteRange(family, start: KeyRow.patient(patient, 0), end: KeyRow.key(KeyRow.patientPrefix, [patient + 1]))
    batch.delete(family, key: KeyRow.traces(patient))
    let newest = ring.state.withLock { $0.storeGeneration }
    batch.deleteRange(family, start: KeyRow.store(0), end: KeyRow.store(newest))
    let name = DirectoryEntry.patient(number: patient, tenant: traces.tenant, patient: replacement)
    batch.put(store.families.registry, key: RegistryTable.key(name), value: RegistryTable.value(name))
    let detail =
      "\(report.rowsDeleted) rows deleted, \(report.rowsRewritten) rewritten, \(report.journalEntries) journal entries "
      + "emptied in \(report.journalHours) hours; proof \(hex(stone.proof))"
    try store.audit.record(
      AuditEntry(
        time: stone.timeMs, actor: stone.actor, action: "keys.erase", subject: "patient #\(patient)", detail: detail,
        reason: stone.reason), with: batch, sync: true)
    ring.forget(patient: patient, storeGenerationsBefore: newest)
  }

  /// Rewrites the files that may still hold bytes of what was deleted, and empties the log into files.
  private func dropFiles() throws(JournalError) {
    progress("compacting", 0)
    try storing { () throws(StoreError) in
      let store = store.store
      let families = self.store.families
      try store.flush()
      let (lower, upper) = (bigEndian(patient), bigEndian(patient + 1))
      for family in [families.chunks, families.rollups] {
        try store.compactRange(family, lower: lower, upper: upper, rewriteAll: true)
      }
      for family in [
        families.keys, families.registry, families.journal, families.alerts, families.ledger, families.state,
        families.outbox, families.quarantine, families.audit,
      ] { try store.compactRange(family, rewriteAll: true) }
      try store.flush()
      // The list of files names the first and last key of each; a new opening begins a new list.
      try store.reopen()
      // Logs kept for an archive that had not taken them yet: it will find a gap, and needs a backup made after this.
      do throws(BackupError) {
        for name in try BackupFiles.names(store.path + "/archive") where name.hasSuffix(".log") {
          unlink(store.path + "/archive/" + name)
        }
      } catch {
        throw StoreError.io(error.description)
      }
    }
  }
}

/// Four bytes, most significant first.
func bigEndian(_ number: UInt32) -> [UInt8] { withUnsafeBytes(of: number.bigEndian) { [UInt8]($0) } }

extension KeyRing {
  /// Forgets keys whose rows have been deleted.
  func forget(patient: UInt32, storeGenerationsBefore newest: UInt32) {
    state.withLock { state in
      state.patients[patient] = .erased
      state.keys = state.keys.filter { id, _ in
        !(id.keyClass == .patient && id.number == patient) && !(id.keyClass == .store && id.generation < newest)
      }
    }
    cipher.forgetKeys()
  }
}
