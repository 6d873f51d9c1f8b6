import Compression
import Digests
import KeyValueStore

/// Brings a store and a master key together, or says in one line why they do not fit.
struct VaultOpening {
  let store: Store
  let families: StoreFamilies

  private var table: Table { Table(store: store, family: families.keys) }

  /// The vault of an encrypted store; nil for a store without encryption that is opened without a key.
  ///
  /// - Parameter accepted: states an opening may find the store in: `run` and readers only a whole one.
  func vault(_ master: MasterKey?, accepting accepted: Set<KeyHeader.State> = [.sealed]) throws(StoreError) -> Vault? {
    let header = try asStore { () throws(JournalError) in try KeyHeader.read(table) }
    guard let header else {
      guard let master else { return nil }
      return try firstVault(master)
    }
    guard let master else {
      throw .sealed("the store is encrypted: name its key with `store.master_key`, or `--master-key file:PATH`")
    }
    let cipher = SealingCipher()
    let ring = try KeyRing(store: store, table: table, header: header, master: master.key, cipher: cipher)
    guard accepted.contains(header.state) else {
      switch header.state {
      case .sealing: throw .sealed("its sealing was interrupted: run `vigil keys seal` again to finish it")
      case .erasing:
        throw .sealed("the erasure of patient #\(header.patient) was interrupted: run `vigil keys resume` to finish it")
      case .sealed: throw .sealed("it is sealed already")
      }
    }
    return try Vault(ring: ring)
  }

  /// A store that is being made becomes an encrypted one; one that holds values already is not mixed.
  private func firstVault(_ master: MasterKey) throws(StoreError) -> Vault {
    let isNew = try store.get(families.meta, key: Array("format".utf8)) == nil
    guard isNew, !store.isReadOnly else {
      throw .sealed("the store is not encrypted: stop the service and run `vigil keys seal` once, or leave out the key")
    }
    return try found(master, state: .sealed)
  }

  /// Gives the store its first keys.
  func found(_ master: MasterKey, state: KeyHeader.State) throws(StoreError) -> Vault {
    let cipher = SealingCipher()
    let header = try KeyRing.found(store, table, master: master.key, state: state, cipher: cipher)
    return try Vault(
      ring: KeyRing(store: store, table: table, header: header, master: master.key, cipher: cipher))
  }

  /// Writes the header anew.
  func write(_ header: KeyHeader) throws(StoreError) {
    let batch = WriteBatch(for: store)
    batch.put(families.keys, key: KeyRow.header, value: header.value)
    try store.write(batch, sync: true)
  }
}
