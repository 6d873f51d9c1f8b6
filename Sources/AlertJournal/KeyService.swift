import Compression
import Digests
import KeyValueStore
import Synchronization

/// What people do with the keys of an open store, each thing written to the audit chain.
package struct KeyService: Sendable {
  private let store: VigilStore
  private let vault: Vault

  /// Nil for a store without encryption.
  package init?(_ store: VigilStore) {
    guard let vault = store.vault else { return nil }
    self.store = store
    self.vault = vault
  }

  /// Puts every key under another master key; the one before opens the store no more.
  ///
  /// - Parameter detail: where the new key is kept, for the record.
  /// - Returns: keys wrapped anew.
  package func rotateMaster(
    to new: MasterKey, actor: String, detail: String, atMs timeMs: Int64
  ) throws(JournalError) -> Int {
    let count = try storing { () throws(StoreError) in try vault.ring.rotateMaster(to: new.key) }
    try store.audit.record(
      AuditEntry(
        time: timeMs, actor: actor, action: "keys.rotate", subject: "master", detail: "\(count) keys, \(detail)"))
    try forgetOldRows()
    return count
  }

  /// Gives tenants new keys: of one name, or all.
  ///
  /// - Returns: patients' keys wrapped anew; nil when there is no such tenant.
  package func rotateTenant(_ name: String?, actor: String, atMs timeMs: Int64) throws(JournalError) -> Int? {
    var names: [String] = []
    if let name { names = [name] } else { names = try tenants().map(\.name) }
    var total = 0
    for name in names {
      let count = try storing { () throws(StoreError) in try vault.ring.rotateTenant(name) }
      guard let count else { return nil }
      total += count
      try store.audit.record(
        AuditEntry(
          time: timeMs, actor: actor, action: "keys.rotate", subject: "tenant \(name)",
          detail: "\(count) patients' keys"))
    }
    try forgetOldRows()
    return total
  }

  /// Rows under keys that are no longer valid leave the files as well.
  private func forgetOldRows() throws(JournalError) {
    try storing { () throws(StoreError) in
      try store.store.flush()
      try store.store.compactRange(store.families.keys, rewriteAll: true)
    }
  }

  // MARK: Status

  /// One tenant's key.
  package struct TenantStatus: Hashable, Sendable {
    package var name: String
    package var generation: UInt32
    package var patients: Int
  }

  /// One erased patient.
  package struct Tombstone: Hashable, Sendable {
    /// Directory number.
    package var patient: UInt32
    /// Milliseconds since 1970.
    package var timeMs: Int64
    /// HMAC-SHA256 of tenant and id under a key of this store: shows whether a name given is the erased one's.
    package var proof: [UInt8]
    package var actor: String
    package var reason: String
  }

  /// What stands in the family of keys; no key is in it.
  package struct Status: Hashable, Sendable {
    package var storeGeneration: UInt32 = 0
    package var tenants: [TenantStatus] = []
    package var patients = 0
    package var hours = 0
    package var holds: [UInt32: Int64] = [:]
    package var tombstones: [Tombstone] = []

    package init() {}
  }

  package func status() throws(JournalError) -> Status {
    let ring = vault.ring
    var status = Status()
    status.tenants = try tenants()
    status.patients = status.tenants.reduce(0) { $0 + $1.patients }
    status.hours = try storing { () throws(StoreError) in try ring.hourRows().count }
    status.storeGeneration = ring.state.withLock { $0.storeGeneration }
    status.holds = try store.holds.all()
    status.tombstones = try Tombstones(vault: vault).all()
    return status
  }

  private func tenants() throws(JournalError) -> [TenantStatus] {
    let ring = vault.ring
    var patients: [UInt32: Int] = [:]
    try ring.table.scan(prefix: [KeyRow.patientPrefix]) { (_, value) throws(JournalError) in
      let row = try ring.table.open(value, position: 0) { (reader) throws(ByteError) in
        try KeyRing.readPatientRow(&reader)
      }
      patients[row.tenant, default: 0] += 1
      return true
    }
    let tenants = try storing { () throws(StoreError) in
      try ring.locked { (state) throws(StoreError) in try ring.readTenants(&state) }
    }
    return tenants.sorted { $0.key < $1.key }.map { number, tenant in
      TenantStatus(name: tenant.name, generation: tenant.newest, patients: patients[number] ?? 0)
    }
  }
}

/// What is left of patients that were erased.
struct Tombstones {
  let vault: Vault

  private var table: Table { vault.ring.table }

  /// Shows later that this patient was meant, without saying who it was.
  func proof(tenant: String, patient: String) -> [UInt8] {
    hmacSHA256(key: vault.ring.proofKey, Array((tenant + "\u{1F}" + patient).utf8))
  }

  func put(_ stone: KeyService.Tombstone, in batch: WriteBatch) throws(JournalError) {
    let key = KeyRow.tombstone(stone.patient)
    let plain = SealedValue.seal(capacity: 160) { out in
      out.append(littleEndian: stone.timeMs)
      out.append(counted: stone.proof)
      out.append(counted: stone.actor)
      out.append(counted: stone.reason)
    }
    // The family is not guarded: people's words in it are sealed here.
    let sealed = try storing { () throws(StoreError) in
      try lendingBytes(plain) { (plain) throws(StoreError) in
        try lendingBytes(key) { (key) throws(StoreError) in
          try vault.seal(plain, family: table.family.name, key: key)
        }
      }
    }
    try storing { () throws(StoreError) in try vault.ring.writePending() }
    batch.put(table.family, key: key, value: sealed)
  }

  /// - Parameter onDamage: told of each that does not read, which is then left out; nil: the first one ends it.
  func all(onDamage: ((JournalError) -> Void)? = nil) throws(JournalError) -> [KeyService.Tombstone] {
    var found: [KeyService.Tombstone] = []
    try table.scan(prefix: [KeyRow.tombstonePrefix]) { (key, value) throws(JournalError) in
      do throws(JournalError) {
        found.append(try stone(key, value))
      } catch {
        guard let onDamage else { throw error }
        onDamage(error)
      }
      return true
    }
    return found
  }

  private func stone(
    _ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer
  ) throws(JournalError) -> KeyService.Tombstone {
    let patient = try table.parse(key) { (reader) throws(KeyError) in try reader.uint32() }
    let plain = try storing { () throws(StoreError) in try vault.open(value, family: table.family.name, key: key) }
    return try lending(plain) { (raw) throws(JournalError) in
      try SealedValue.open(raw, family: table.family.name, position: UInt64(patient)) { (reader) throws(ByteError) in
        KeyService.Tombstone(
          patient: patient, timeMs: try reader.littleEndian(), proof: [UInt8](try reader.counted()),
          actor: try reader.countedString(), reason: try reader.countedString())
      }
    }
  }
}
