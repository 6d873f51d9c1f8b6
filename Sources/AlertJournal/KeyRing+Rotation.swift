import Compression
import Digests
import KeyValueStore
import Synchronization

/// New keys above old values: nothing but wrapped keys is written anew, while everything else goes on.
extension KeyRing {
  /// Wraps every key that stands under the master key under another one, in one synced write.
  ///
  /// - Returns: keys wrapped anew.
  func rotateMaster(to new: SecretKey) throws(StoreError) -> Int {
    try exclusively { (state) throws(StoreError) in
      let old = state.master
      let batch = WriteBatch(for: store)
      var count = 1
      func rewrapped(_ wrapped: [UInt8], _ row: [UInt8], keyBytes: Int = SealingCipher.keyBytes)
        throws(StoreError) -> [UInt8]
      {
        guard let found = try wrap.unwrap(wrapped, keyBytes: keyBytes, row: row, under: old) else {
          throw .sealed("a key does not open: nothing has been changed")
        }
        count += 1
        return try wrap.wrap(found.key, extra: found.extra, row: row, under: new)
      }
      var header = state.header
      header.names = try rewrapped(header.names, KeyRow.header, keyBytes: NameCipher.keyBytes)
      batch.put(table.family, key: KeyRow.header, value: header.value)
      for (key, row) in try storeRows() {
        let value = KeyRing.storeRow(reserved: row.reserved, wrapped: try rewrapped(row.wrapped, key))
        batch.put(table.family, key: key, value: value)
      }
      for (key, wrapped) in try tenantRows() {
        let again = try rewrapped(wrapped, key)
        batch.put(table.family, key: key, value: SealedValue.seal { $0.append(counted: again) })
      }
      for var row in try hourRows() {
        row.wrapped = try rewrapped(row.wrapped, row.key)
        batch.put(table.family, key: row.key, value: row.value)
      }
      try store.write(batch, sync: true)
      state.master = new
      state.header = header
      return count - 1
    }
  }

  /// Patients wrapped anew in one write.
  private static let patientsAtOnce = 5000

  /// Gives a tenant a new key and wraps its patients' keys under it; the old one is destroyed.
  ///
  /// Ended half way, it is begun again: both keys stay until no patient is left under the old one.
  ///
  /// - Returns: keys wrapped anew; nil when there is no tenant of this name.
  func rotateTenant(_ name: String) throws(StoreError) -> Int? {
    let found = try exclusively { (state) throws(StoreError) -> TenantID? in
      guard let (number, tenant) = try readTenants(&state).first(where: { $0.value.name == name }) else { return nil }
      _ = try addTenantKey(number, generation: tenant.newest + 1, name: name, &state)
      return TenantID(number, tenant.newest + 1)
    }
    guard let id = found else { return nil }
    try writePending()
    var count = 0
    var from: [UInt8]? = [KeyRow.patientPrefix]
    while let start = from {
      let (wrapped, next) = try exclusively { (state) throws(StoreError) in
        try rewrapPatients(of: id, from: start, &state)
      }
      count += wrapped
      from = next
    }
    let batch = WriteBatch(for: store)
    batch.deleteRange(table.family, start: KeyRow.tenant(id.number, 0), end: KeyRow.tenant(id.number, id.generation))
    try store.write(batch, sync: true)
    return count
  }

  private func rewrapPatients(
    of id: TenantID, from start: [UInt8], _ state: inout State
  ) throws(StoreError) -> (count: Int, next: [UInt8]?) {
    guard let above = try readTenantKey(id.number, id.generation, state)?.key else {
      throw .sealed("the tenant's new key is missing")
    }
    var rows: [(key: [UInt8], row: PatientRow)] = []
    var next: [UInt8]?
    try asStore { () throws(JournalError) in
      try table.scan(lower: start, upper: [KeyRow.patientPrefix + 1]) { (key, value) throws(JournalError) in
        guard rows.count < KeyRing.patientsAtOnce else {
          next = [UInt8](key)
          return false
        }
        let row = try table.open(value, position: 0) { (reader) throws(ByteError) in
          try KeyRing.readPatientRow(&reader)
        }
        if row.tenant == id.number, row.generation != id.generation { rows.append(([UInt8](key), row)) }
        return true
      }
    }
    let batch = WriteBatch(for: store)
    for (key, row) in rows {
      guard let old = try readTenantKey(row.tenant, row.generation, state)?.key,
        let found = try wrap.unwrap(row.wrapped, row: key, under: old)
      else { throw .sealed("a patient's key does not open: the tenant keeps both its keys") }
      let wrapped = try wrap.wrap(found.key, row: key, under: above)
      batch.put(
        table.family, key: key,
        value: KeyRing.patientRow(tenant: id.number, generation: id.generation, wrapped: wrapped))
    }
    if !rows.isEmpty { try store.write(batch, sync: true) }
    return (rows.count, next)
  }

  // MARK: Rows

  private typealias StoreRow = (reserved: UInt64, wrapped: [UInt8])

  private func storeRows() throws(StoreError) -> [(key: [UInt8], row: StoreRow)] {
    var rows: [(key: [UInt8], row: StoreRow)] = []
    try asStore { () throws(JournalError) in
      try table.scan(prefix: [KeyRow.storePrefix]) { (key, value) throws(JournalError) in
        let row = try table.open(value, position: 0) { (reader) throws(ByteError) in
          try KeyRing.readStoreRow(&reader)
        }
        rows.append(([UInt8](key), row))
        return true
      }
    }
    return rows
  }

  private func tenantRows() throws(StoreError) -> [(key: [UInt8], wrapped: [UInt8])] {
    var rows: [(key: [UInt8], wrapped: [UInt8])] = []
    try asStore { () throws(JournalError) in
      try table.scan(prefix: [KeyRow.tenantPrefix]) { (key, value) throws(JournalError) in
        let wrapped = try table.open(value, position: 0) { (reader) throws(ByteError) in
          [UInt8](try reader.counted())
        }
        rows.append(([UInt8](key), wrapped))
        return true
      }
    }
    return rows
  }

  /// Runs a change while nobody chooses or makes keys, with every row of a key on disk.
  func exclusively<Value: Sendable>(_ body: (inout State) throws(StoreError) -> Value) throws(StoreError) -> Value {
    let result: Result<Value, StoreError> = writing.withLock { _ in
      do throws(StoreError) {
        return .success(
          try locked { (state) throws(StoreError) in
            let batch = WriteBatch(for: store)
            for row in state.pending { batch.put(table.family, key: row.key, value: row.value) }
            // The mark that rows are pending may stay: the next look finds none.
            if !state.pending.isEmpty { try store.write(batch, sync: true) }
            state.pending.removeAll()
            return try body(&state)
          })
      } catch {
        return .failure(error)
      }
    }
    return try result.get()
  }
}
