import Compression
import Digests
import KeyValueStore
import Synchronization

/// The keys of one open store: read when first needed, made when a new patient, tenant or hour wants one.
///
/// May be used from any thread. Locks in this order: `writing`, then `state`; nothing is sealed or opened under either but
/// other keys.
final class KeyRing: Sendable {
  /// Names one key.
  struct KeyID: Hashable, Sendable {
    var keyClass: KeyClass
    var number: UInt32
    var generation: UInt32
  }

  /// A key for sealing with.
  struct Chosen: Sendable {
    var id: KeyID
    var key: SecretKey
  }

  struct Tenant: Sendable {
    var name: String
    var newest: UInt32
  }

  enum PatientKey: Sendable {
    case alive(generation: UInt32)
    /// Destroyed for good; what still comes under this number belongs to nobody.
    case erased
  }

  /// The hour journal batches are sealed under now.
  struct CurrentHour: Sendable {
    var number: UInt32
    var generation: UInt32
  }

  struct State: Sendable {
    var master: SecretKey
    var header: KeyHeader
    var keys: [KeyID: SecretKey] = [:]
    var storeGeneration: UInt32 = 0
    /// Values sealed under the store's newest key at most, and so many before the row on disk must say more.
    var seals: UInt64 = 0
    var reserved: UInt64 = 0
    var tenants: [UInt32: Tenant]?
    /// Keys of tenants made by this process: few, and their rows may not be on disk yet.
    var pendingTenants: [TenantID: SecretKey] = [:]
    var patients: [UInt32: PatientKey] = [:]
    var hour: CurrentHour?
    var isHourRead = false
    /// Rows of keys in use that are not on disk yet.
    var pending: [(key: [UInt8], value: [UInt8])] = []
  }

  /// Keys of patients and hours kept in memory at most: 64 bytes each and their place.
  static let cachedMax = 100_000
  /// NIST SP 800-38D allows 2^32 random nonces a key; the store's key is replaced long before.
  static let sealsMax: UInt64 = 1 << 31
  /// So many seals are noted on disk at a time: at most this many are counted without having happened at each start.
  static let sealsReserved: UInt64 = 1 << 24

  // Unowned: the store owns the guard, and the guard this.
  unowned let store: Store
  let table: Table
  let cipher: SealingCipher
  let wrap: KeyWrap
  let names: NameCipher
  /// What proves that a name is a tombstone's, and is of no other use.
  let proofKey: [UInt8]
  let state: Mutex<State>
  private let hasPending = Atomic<Bool>(false)
  let writing = Mutex(())

  /// The ring of a store that has a header.
  ///
  /// - Throws: `.sealed` when the master key is another one.
  init(store: Store, table: Table, header: KeyHeader, master: SecretKey, cipher: SealingCipher) throws(StoreError) {
    self.store = store
    self.table = table
    self.cipher = cipher
    wrap = KeyWrap(cipher: cipher, storeID: header.storeID)
    let found = try wrap.unwrap(header.names, keyBytes: NameCipher.keyBytes, row: KeyRow.header, under: master)
    guard let found else { throw .sealed("the master key is not the one this store is encrypted under") }
    names = try ciphering { () throws(DigestError) in try NameCipher(key: found.key) }
    proofKey = found.key.withBytes { hmacSHA256(key: Array("vigil tombstone".utf8), $0) }
    var state = State(master: master, header: header)
    try KeyRing.readStoreKeys(table, wrap, &state)
    self.state = Mutex(state)
  }

  /// Gives a store its first keys and returns its header; written with `sync`.
  static func found(
    _ store: Store, _ table: Table, master: SecretKey, state: KeyHeader.State, cipher: SealingCipher
  ) throws(StoreError) -> KeyHeader {
    let storeID = try ciphering { () throws(DigestError) in try secureRandomBytes(count: 16) }
    let names = try ciphering { () throws(DigestError) in try SecretKey(randomCount: NameCipher.keyBytes) }
    let first = try ciphering { () throws(DigestError) in try SecretKey(randomCount: SealingCipher.keyBytes) }
    let wrap = KeyWrap(cipher: cipher, storeID: storeID)
    let header = KeyHeader(
      state: state, storeID: storeID, names: try wrap.wrap(names, row: KeyRow.header, under: master))
    let batch = WriteBatch(for: store)
    batch.put(table.family, key: KeyRow.header, value: header.value)
    let row = KeyRow.store(1)
    batch.put(
      table.family, key: row,
      value: storeRow(reserved: 0, wrapped: try wrap.wrap(first, row: row, under: master)))
    try store.write(batch, sync: true)
    return header
  }

  // MARK: The store's own key

  static func storeRow(reserved: UInt64, wrapped: [UInt8]) -> [UInt8] {
    SealedValue.seal(capacity: 80) { out in
      out.append(littleEndian: reserved)
      out.append(counted: wrapped)
    }
  }

  /// A row of the store's key as it stands on disk.
  static func readStoreRow(_ reader: inout ByteReader) throws(ByteError) -> (reserved: UInt64, wrapped: [UInt8]) {
    (try reader.littleEndian(), [UInt8](try reader.counted()))
  }

  private static func readStoreKeys(_ table: Table, _ wrap: KeyWrap, _ state: inout State) throws(StoreError) {
    var found = state
    try asStore { () throws(JournalError) in
      try table.scan(prefix: [KeyRow.storePrefix]) { (key, value) throws(JournalError) in
        let generation = try table.parse(key) { (reader) throws(KeyError) in try reader.uint32() }
        let row = try table.open(value, position: UInt64(generation)) { (reader) throws(ByteError) in
          try readStoreRow(&reader)
        }
        let unwrapped = try storing { () throws(StoreError) in
          try wrap.unwrap(row.wrapped, row: [UInt8](key), under: found.master)
        }
        guard let unwrapped else {
          throw .damaged(family: table.family.name, position: UInt64(generation), .malformed("the store's key"))
        }
        found.keys[KeyID(keyClass: .store, number: 0, generation: generation)] = unwrapped.key
        found.storeGeneration = generation
        (found.seals, found.reserved) = (row.reserved, row.reserved)
        return true
      }
    }
    guard found.storeGeneration > 0 else { throw .sealed("the store's key is missing") }
    state = found
  }

  private func storeKey(_ state: inout State) throws(StoreError) -> Chosen {
    state.seals += 1
    if state.seals > KeyRing.sealsMax { try renewStoreKey(&state) }
    let id = KeyID(keyClass: .store, number: 0, generation: state.storeGeneration)
    guard let key = state.keys[id] else { throw .sealed("the store's key is missing") }
    if state.seals > state.reserved {
      state.reserved = state.seals + KeyRing.sealsReserved
      let row = KeyRow.store(state.storeGeneration)
      let wrapped = try wrap.wrap(key, row: row, under: state.master)
      add(row, KeyRing.storeRow(reserved: state.reserved, wrapped: wrapped), &state)
    }
    return Chosen(id: id, key: key)
  }

  /// A new generation of the store's key, for all values sealed from here on.
  func renewStoreKey(_ state: inout State) throws(StoreError) {
    let key = try ciphering { () throws(DigestError) in try SecretKey(randomCount: SealingCipher.keyBytes) }
    state.storeGeneration += 1
    (state.seals, state.reserved) = (1, KeyRing.sealsReserved)
    let row = KeyRow.store(state.storeGeneration)
    let wrapped = try wrap.wrap(key, row: row, under: state.master)
    add(row, KeyRing.storeRow(reserved: state.reserved, wrapped: wrapped), &state)
    state.keys[KeyID(keyClass: .store, number: 0, generation: state.storeGeneration)] = key
  }

  // MARK: Choosing and finding

  /// The key to seal a value with.
  func sealing(_ place: KeyPlace, _ value: UnsafeRawBufferPointer) throws(StoreError) -> Chosen {
    try locked { (state) throws(StoreError) in
      switch place {
      case .store: return try storeKey(&state)
      case .journal(let position): return try hourKey(KeyRing.hour(ofBatch: value), from: position, &state)
      case .patient(let number):
        // The name's own row says whose tenant the patient is in; it is written before anything else of the patient.
        let own = try patientKey(number, tenant: { KeyRing.tenant(inNameRow: value) }, &state)
        if let own { return own }
        return try storeKey(&state)
      }
    }
  }

  /// The key of a sealed value; nil when there is none any more.
  func opening(_ id: KeyID) throws(StoreError) -> SecretKey? {
    try locked { (state) throws(StoreError) in
      if let key = state.keys[id] { return key }
      let found: SecretKey?
      switch id.keyClass {
      case .store: found = try readWrapped(KeyRow.store(id.generation), under: state.master)
      case .hour: found = try readWrapped(KeyRow.hour(id.number, id.generation), under: state.master)
      case .patient: found = try readPatientKey(id.number, id.generation, &state)
      }
      if let found { keep(found, id, &state) }
      return found
    }
  }

  /// As the last counted field of a row, whatever stands before it: 8 bytes in a row of the store's key, 16 in an hour's.
  private func readWrapped(_ row: [UInt8], under above: SecretKey) throws(StoreError) -> SecretKey? {
    let skipped = row.first == KeyRow.hourPrefix ? 16 : 8
    let wrapped = try asStore { () throws(JournalError) in
      try table.read(row, position: 0) { (reader) throws(ByteError) in
        try reader.skip(skipped)
        return [UInt8](try reader.counted())
      }
    }
    guard let wrapped else { return nil }
    return try unwrap(wrapped, row: row, under: above)?.key
  }

  /// A key under the master key; nil when it is damaged.
  ///
  /// - Throws: `.sealed` when the master key has been changed since this was opened.
  func unwrap(
    _ wrapped: [UInt8], row: [UInt8], under master: SecretKey
  ) throws(StoreError) -> (key: SecretKey, extra: [UInt8])? {
    if let found = try wrap.unwrap(wrapped, row: row, under: master) { return found }
    let header = try asStore { () throws(JournalError) in try KeyHeader.read(table) }
    guard let header,
      try wrap.unwrap(header.names, keyBytes: NameCipher.keyBytes, row: KeyRow.header, under: master) == nil
    else { return nil }
    throw .sealed("the master key was changed while this was open: open it again with the new one")
  }

  func keep(_ key: SecretKey, _ id: KeyID, _ state: inout State) {
    // A key whose row is not on disk yet must not be forgotten.
    if state.keys.count >= KeyRing.cachedMax, !hasPending.load(ordering: .relaxed) {
      state.keys = state.keys.filter { $0.key.keyClass == .store }
      state.patients.removeAll()
    }
    state.keys[id] = key
  }

  // MARK: Rows to be written

  /// Adds a row that must be on disk before any value under its key.
  func add(_ key: [UInt8], _ value: [UInt8], _ state: inout State) {
    state.pending.append((key, value))
    hasPending.store(true, ordering: .releasing)
  }

  /// Writes the rows of keys that values about to be written may need: with `sync`, as a lost key loses its values.
  func writePending() throws(StoreError) {
    guard hasPending.load(ordering: .acquiring) else { return }
    guard !store.isReadOnly else { throw .readOnly }
    let result: Result<Void, StoreError> = writing.withLock { _ in
      Result { () throws(StoreError) in try writePendingNow() }
    }
    try result.get()
  }

  /// - Precondition: the caller holds `writing`.
  func writePendingNow() throws(StoreError) {
    let rows = state.withLock { state in
      defer { state.pending.removeAll() }
      return state.pending
    }
    guard !rows.isEmpty else { return }
    let batch = WriteBatch(for: store)
    for row in rows { batch.put(table.family, key: row.key, value: row.value) }
    do throws(StoreError) {
      try store.write(batch, sync: true)
    } catch {
      state.withLock { $0.pending.insert(contentsOf: rows, at: 0) }
      throw error
    }
    state.withLock { if $0.pending.isEmpty { hasPending.store(false, ordering: .releasing) } }
  }

  func locked<Value: Sendable>(_ body: (inout State) throws(StoreError) -> Value) throws(StoreError) -> Value {
    let result: Result<Value, StoreError> = state.withLock { state in
      do throws(StoreError) { return .success(try body(&state)) } catch { return .failure(error) }
    }
    return try result.get()
  }
}

/// Runs calls of the tables and gives their errors the store's type.
func asStore<Value>(_ body: () throws(JournalError) -> Value) throws(StoreError) -> Value {
  do throws(JournalError) { return try body() } catch { throw error.asStoreError }
}
