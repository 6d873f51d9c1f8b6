import Compression
import Digests
import KeyValueStore

/// Keys of tenants, and of their patients under them.
extension KeyRing {
  /// The newest key of a patient, made if there is none; nil once the patient has been erased.
  func patientKey(
    _ number: UInt32, tenant: () -> String, _ state: inout State
  ) throws(StoreError) -> Chosen? {
    if state.patients[number] == nil { state.patients[number] = try readNewest(number, &state) }
    let generation: UInt32
    switch state.patients[number] {
    case .erased: return nil
    case .alive(let newest): generation = newest
    case nil: return try makePatientKey(number, tenant: tenant(), &state)
    }
    let id = KeyID(keyClass: .patient, number: number, generation: generation)
    if let key = state.keys[id] { return Chosen(id: id, key: key) }
    guard let key = try readPatientKey(number, generation, &state) else {
      throw .sealed("the key of patient #\(number) does not open")
    }
    keep(key, id, &state)
    state.patients[number] = .alive(generation: generation)
    return Chosen(id: id, key: key)
  }

  private func readNewest(_ number: UInt32, _ state: inout State) throws(StoreError) -> PatientKey? {
    try asStore { () throws(JournalError) in
      if try table.holds(KeyRow.tombstone(number)) { return .erased }
      var newest: PatientKey?
      try table.scan(prefix: KeyRow.key(KeyRow.patientPrefix, [number]), isReversed: true) {
        (key, _) throws(JournalError) in
        let generation = try table.parse(key, skipping: 5) { (reader) throws(KeyError) in try reader.uint32() }
        newest = .alive(generation: generation)
        return false
      }
      return newest
    }
  }

  private func makePatientKey(_ number: UInt32, tenant: String, _ state: inout State) throws(StoreError) -> Chosen {
    let (tenant, generation, above) = try tenantKey(named: tenant, &state)
    let key = try ciphering { () throws(DigestError) in try SecretKey(randomCount: SealingCipher.keyBytes) }
    let row = KeyRow.patient(number, 1)
    let wrapped = try wrap.wrap(key, row: row, under: above)
    add(row, KeyRing.patientRow(tenant: tenant, generation: generation, wrapped: wrapped), &state)
    let id = KeyID(keyClass: .patient, number: number, generation: 1)
    keep(key, id, &state)
    state.patients[number] = .alive(generation: 1)
    return Chosen(id: id, key: key)
  }

  static func patientRow(tenant: UInt32, generation: UInt32, wrapped: [UInt8]) -> [UInt8] {
    SealedValue.seal(capacity: 80) { out in
      out.append(littleEndian: tenant)
      out.append(littleEndian: generation)
      out.append(counted: wrapped)
    }
  }

  typealias PatientRow = (tenant: UInt32, generation: UInt32, wrapped: [UInt8])

  static func readPatientRow(_ reader: inout ByteReader) throws(ByteError) -> PatientRow {
    (try reader.littleEndian(), try reader.littleEndian(), [UInt8](try reader.counted()))
  }

  func readPatientKey(
    _ number: UInt32, _ generation: UInt32, _ state: inout State
  ) throws(StoreError) -> SecretKey? {
    let row = KeyRow.patient(number, generation)
    let found = try asStore { () throws(JournalError) in
      try table.read(row, position: UInt64(number)) { (reader) throws(ByteError) in
        try KeyRing.readPatientRow(&reader)
      }
    }
    guard let found else { return nil }
    guard let above = try readTenantKey(found.tenant, found.generation, state) else { return nil }
    return try wrap.unwrap(found.wrapped, row: row, under: above.key)?.key
  }

  // MARK: Tenants

  /// Number, generation and key of a tenant, made if there is none of this name.
  private func tenantKey(
    named name: String, _ state: inout State
  ) throws(StoreError) -> (number: UInt32, generation: UInt32, key: SecretKey) {
    let tenants = try readTenants(&state)
    if let (number, tenant) = tenants.first(where: { $0.value.name == name }) {
      if let found = state.pendingTenants[TenantID(number, tenant.newest)] { return (number, tenant.newest, found) }
      guard let found = try readTenantKey(number, tenant.newest, state) else {
        throw .sealed("the key of tenant #\(number) does not open")
      }
      return (number, tenant.newest, found.key)
    }
    let number = (tenants.keys.max() ?? 0) + 1
    let key = try addTenantKey(number, generation: 1, name: name, &state)
    return (number, 1, key)
  }

  /// A new key of a tenant, for what is wrapped from here on.
  func addTenantKey(
    _ number: UInt32, generation: UInt32, name: String, _ state: inout State
  ) throws(StoreError) -> SecretKey {
    let key = try ciphering { () throws(DigestError) in try SecretKey(randomCount: SealingCipher.keyBytes) }
    let row = KeyRow.tenant(number, generation)
    let wrapped = try wrap.wrap(key, extra: Array(name.utf8), row: row, under: state.master)
    add(row, SealedValue.seal { $0.append(counted: wrapped) }, &state)
    state.tenants?[number] = Tenant(name: name, newest: generation)
    state.pendingTenants[TenantID(number, generation)] = key
    return key
  }

  /// All tenants by number, read once.
  func readTenants(_ state: inout State) throws(StoreError) -> [UInt32: Tenant] {
    if let tenants = state.tenants { return tenants }
    var ids: [TenantID] = []
    try asStore { () throws(JournalError) in
      try table.scan(prefix: [KeyRow.tenantPrefix]) { (key, _) throws(JournalError) in
        let (number, generation) = try table.parse(key) { (reader) throws(KeyError) in
          (try reader.uint32(), try reader.uint32())
        }
        ids.append(TenantID(number, generation))
        return true
      }
    }
    var tenants: [UInt32: Tenant] = [:]
    for id in ids {
      guard let found = try readTenantKey(id.number, id.generation, state) else {
        throw .sealed("the key of tenant #\(id.number) does not open")
      }
      tenants[id.number] = Tenant(name: found.name, newest: id.generation)
    }
    state.tenants = tenants
    return tenants
  }

  func readTenantKey(
    _ number: UInt32, _ generation: UInt32, _ state: State
  ) throws(StoreError) -> (key: SecretKey, name: String)? {
    if let key = state.pendingTenants[TenantID(number, generation)] {
      return (key, state.tenants?[number]?.name ?? "")
    }
    let row = KeyRow.tenant(number, generation)
    let wrapped = try asStore { () throws(JournalError) in
      try table.read(row, position: UInt64(number)) { (reader) throws(ByteError) in [UInt8](try reader.counted()) }
    }
    guard let wrapped, let found = try unwrap(wrapped, row: row, under: state.master) else { return nil }
    return (found.key, String(decoding: found.extra, as: UTF8.self))
  }

  /// The tenant in the value of a patient's row in the registry, as `RegistryTable` writes it; empty for any other value.
  static func tenant(inNameRow value: UnsafeRawBufferPointer) -> String {
    guard let body = try? SealedValue.body(of: value) else { return "" }
    var reader = ByteReader(body)
    guard let tenant = try? reader.countedString(), (try? reader.countedString()) != nil, reader.isAtEnd else {
      return ""
    }
    return tenant
  }
}

/// Names one key of a tenant.
struct TenantID: Hashable, Sendable {
  var number: UInt32
  var generation: UInt32
  init(_ number: UInt32, _ generation: UInt32) {
    self.number = number
    self.generation = generation
  }
}
