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
  }

  /// A device as it calls itself.
  struct Device: Hashable {
    var tenant: String
    var name: String
  }

  /// What in other rows is the patient's.
  struct Traces {
    var tenant = ""
    var id = ""
    var alerts: Set<String> = []
    /// Devices that measured the patient: tenant and name.
    var devices: Set<Device> = []
    /// Numbers of devices that bear the patient's own id.
    var namesakes: Set<UInt32> = []
    /// What stands in the place of the id.
    var replacement = ""
  }

  let store: VigilStore
  let vault: Vault
  let patient: UInt32
  var traces = Traces()
  var report = Report()
  let progress: (String, Int) -> Void

  private init(_ store: VigilStore, _ vault: Vault, patient: UInt32, progress: @escaping (String, Int) -> Void) {
    self.store = store
    self.vault = vault
    self.patient = patient
    self.progress = progress
    report.patient = patient
  }

  /// Erases a patient of a store nobody else has open.
  ///
  /// - Parameter progress: told what is being gone through, and how far.
  /// - Throws: `.sealed` where the store is not encrypted, the patient is unknown or held; as opening does.
  package static func erase(
    path: String, key: MasterKey, _ order: Order, progress: @escaping (String, Int) -> Void = { _, _ in }
  ) throws(JournalError) -> Report {
    let store = try storing { () throws(StoreError) in try VigilStore.open(path: path, key: key, keepsLog: false) }
    defer { store.close() }
    guard let vault = store.vault else { throw .store(.sealed("the store is not encrypted")) }
    guard try !store.holds.isHeld(order.patient) else {
      throw .store(.sealed("patient #\(order.patient) is held: release it first"))
    }
    let erasure = PatientErasure(store, vault, patient: order.patient, progress: progress)
    guard try erasure.readName() else { throw .store(.sealed("the store has no patient #\(order.patient)")) }
    try erasure.begin(order)
    return try erasure.finish()
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
    return try PatientErasure(store, vault, patient: header.patient, progress: progress).finish()
  }

  // MARK: Steps

  /// The patient's name, which is needed to find it elsewhere; false when there is none, or no more.
  private func readName() throws(JournalError) -> Bool {
    var found: (tenant: String, id: String)?
    try store.registry.eachEntry(.patient) { _, entry in
      if case .patient(patient, let tenant, let id) = entry { found = (tenant, id) }
    }
    guard let found else { return false }
    (traces.tenant, traces.id) = found
    traces.replacement = "erased-\(patient)"
    return true
  }

  /// From here on the store opens for nothing but the rest of it.
  private func begin(_ order: Order) throws(JournalError) {
    let stones = Tombstones(vault: vault)
    let stone = KeyService.Tombstone(
      patient: patient, timeMs: order.timeMs, proof: stones.proof(tenant: traces.tenant, patient: traces.id),
      actor: order.actor, reason: order.reason)
    let batch = store.makeBatch()
    try stones.put(stone, in: batch)
    var header = vault.ring.state.withLock { $0.header }
    header.state = .erasing
    header.patient = patient
    batch.put(store.families.keys, key: KeyRow.header, value: header.value)
    try storing { () throws(StoreError) in try store.write(batch, sync: true) }
    vault.ring.state.withLock { $0.patients[patient] = .erased }
  }

  private func finish() throws(JournalError) -> Report {
    let stone = try Tombstones(vault: vault).all().first { $0.patient == patient }
    guard let stone else { throw .damaged(family: "keys", position: UInt64(patient), .malformed("the tombstone")) }
    (report.timeMs, report.proof) = (stone.timeMs, stone.proof)
    // Gone once the keys are: then only files are left to be dropped.
    if try readName(), traces.id != traces.replacement {
      try readTraces()
      try deleteOwnRows()
      try rewriteJournal()
      try rewriteOthers()
      try destroyKeys(stone)
    }
    try dropFiles()
    var header = vault.ring.state.withLock { $0.header }
    (header.state, header.patient) = (.sealed, 0)
    let batch = store.makeBatch()
    batch.put(store.families.keys, key: KeyRow.header, value: header.value)
    try storing { () throws(StoreError) in try store.write(batch, sync: true) }
    return report
  }

  private func readTraces() throws(JournalError) {
    for transition in try store.alerts.transitions(patient: patient) { traces.alerts.insert(transition.alertID) }
    var numbers: Set<UInt32> = []
    try store.registry.eachEntry(.series) { _, entry in
      if case .series(_, patient, _, let device, _) = entry { numbers.insert(device) }
    }
    try store.registry.eachEntry(.device) { _, entry in
      guard case .device(let number, let tenant, let name) = entry else { return }
      if numbers.contains(number) { traces.devices.insert(Device(tenant: tenant, name: name)) }
      // With `identity: device` the device's id is the patient's.
      if name == traces.id { traces.namesakes.insert(number) }
    }
  }

  /// The one write after which nothing opens the patient's values any more.
  private func destroyKeys(_ stone: KeyService.Tombstone) throws(JournalError) {
    let ring = vault.ring
    let batch = store.makeBatch()
    let family = store.families.keys
    batch.deleteRange(family, start: KeyRow.patient(patient, 0), end: KeyRow.key(KeyRow.patientPrefix, [patient + 1]))
    let newest = ring.state.withLock { $0.storeGeneration }
    batch.deleteRange(family, start: KeyRow.store(0), end: KeyRow.store(newest))
    let name = DirectoryEntry.patient(number: patient, tenant: traces.tenant, patient: traces.replacement)
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
