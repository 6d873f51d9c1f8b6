import Compression
import KeyValueStore
import Synchronization

/// Makes an encrypted store of one that is not: every value and every text in a key is written anew, sealed, and the files
/// that held them in clear are dropped. While nothing else has the store.
package enum StoreSealing {
  /// Families in the order they are sealed: names first, as they say which tenant a patient is in.
  static let families = [
    "registry", "journal", "state", "alerts", "ledger", "outbox", "quarantine", "audit", "states", "chunks", "rollups",
  ]
  /// Bytes of values rewritten in one write.
  private static let batchBytes = 4 << 20

  /// What was done.
  package struct Report: Hashable, Sendable {
    /// Rows rewritten.
    package var rows = 0
    /// Rows among them whose keys do not follow their family's format: their values are sealed, their keys stay as they are.
    package var strangeKeys = 0
    /// Files of `STORE/damaged` sealed.
    package var damagedFiles = 0
  }

  /// Ended half way, the same call takes it up again; until it is done nothing else opens the store.
  ///
  /// - Parameter progress: told how many rows have been looked at.
  /// - Throws: `.sealed` for a store that is encrypted already, and as opening does.
  package static func seal(
    path: String, key: MasterKey, progress: (Int) -> Void = { _ in }
  ) throws(StoreError) -> Report {
    var options = StoreFamilies.options
    options.createIfMissing = false
    let store = try Store.open(path: path, families: StoreFamilies.sealedSpecs, options: options)
    defer { store.close() }
    // Kept log is in the clear too. An archive of it goes on behind the next backup.
    LogArchive.dropKept(storePath: path)
    let families = try StoreFamilies(of: store)
    let opening = VaultOpening(store: store, families: families)
    let vault: Vault
    if try store.get(families.keys, key: KeyRow.header) == nil {
      vault = try opening.found(key, state: .sealing)
    } else if let found = try opening.vault(key, accepting: [.sealing]) {
      vault = found
    } else {
      throw .sealed("the store has no header of its keys")
    }
    var seen = 0
    var report = Report()
    for name in StoreSealing.families {
      try seal(try store.family(name), store, vault, &report) {
        seen += 1
        progress(seen)
      }
    }
    report.damagedFiles = try DamagedFiles(store: path, vault: vault).sealAll(in: store)
    // Only when no file holds a value in clear any more is the store an encrypted one.
    try store.flush()
    for name in StoreSealing.families { try store.compactRange(try store.family(name), rewriteAll: true) }
    // The list of files names the first and last key of each; a new opening begins a new list.
    try store.reopen()
    var header = vault.ring.state.withLock { $0.header }
    header.state = .sealed
    try opening.write(header)
    return report
  }

  private static func seal(
    _ family: Family, _ store: Store, _ vault: Vault, _ report: inout Report, _ step: () -> Void
  ) throws(StoreError) {
    let plain = Table(store: store, family: family)
    let iterator = try store.iterator(family)
    defer { iterator.close() }
    let batch = WriteBatch(for: store)
    var isAt = try iterator.seekToFirst()
    while isAt {
      step()
      let (key, value) = (iterator.key, iterator.keptValue)
      // What a sealing that was interrupted has done opens already, under the key it stands under now.
      let isSealed = Envelope.read(value) != nil && (try? vault.open(value, family: family.name, key: key)) != nil
      if !isSealed {
        var sealedKey = [UInt8](key)
        do throws(JournalError) {
          sealedKey = try SealedKeys(table: plain, vault: vault).key(for: key)
        } catch {
          guard case .damaged = error else { throw error.asStoreError }
          report.strangeKeys += 1
        }
        let sealed = try lendingBytes(sealedKey) { (raw) throws(StoreError) in
          try vault.seal(value, family: family.name, key: raw)
        }
        batch.delete(family, key: key)
        batch.put(family, key: sealedKey, value: sealed)
        report.rows += 1
        if batch.byteSize >= batchBytes { try write(batch, store, vault) }
      }
      isAt = try iterator.next()
    }
    try write(batch, store, vault)
  }

  private static func write(_ batch: WriteBatch, _ store: Store, _ vault: Vault) throws(StoreError) {
    guard !batch.isEmpty else { return }
    try vault.ring.writePending()
    try store.write(batch, sync: false)
    batch.clear()
  }
}

/// Keys of rows as they are in an encrypted store, from those of one that is not.
struct SealedKeys {
  /// Without vault: it reads texts as they are.
  let table: Table
  let vault: Vault

  func key(for key: UnsafeRawBufferPointer) throws(JournalError) -> [UInt8] {
    let sealed = Table(store: table.store, family: table.family, vault: vault)
    switch (table.family.name, key.first) {
    case ("alerts", 0x01): return try rebuilt(key, sealed, [.integers(5), .text, .integers(4)])
    case ("alerts", 0x02): return try rebuilt(key, sealed, [.integers(1), .text])
    case ("alerts", 0x03): return try rebuilt(key, sealed, [.integers(13), .text, .integers(4)])
    case ("alerts", 0x04):
      return try rebuilt(key, sealed, [.integers(1), .text, .integers(4), .text, .integers(12)])
    case ("alerts", 0x05): return try rebuilt(key, sealed, [.integers(5), .text])
    case ("outbox", 0x02): return try rebuilt(key, sealed, [.integers(1), .text, .text])
    case ("outbox", 0x03): return try rebuilt(key, sealed, [.integers(9), .text, .text])
    case ("outbox", 0x06): return try rebuilt(key, sealed, [.integers(1), .text])
    case ("registry", ActionTable.silencePrefix), ("registry", ActionTable.endPrefix):
      let id = try ActionTable(table: table).id(ofKey: key)
      return try ActionTable(table: sealed).key(key[0], id)
    default: return [UInt8](key)
    }
  }

  private enum Part {
    case integers(Int)
    case text
  }

  private func rebuilt(
    _ key: UnsafeRawBufferPointer, _ sealed: Table, _ parts: [Part]
  ) throws(JournalError) -> [UInt8] {
    try table.parse(key, skipping: 0) { (reader) throws(KeyError) in
      var out = KeyBuilder()
      for part in parts {
        switch part {
        case .integers(let count): for _ in 0..<count { out.append(try reader.uint8()) }
        case .text: try sealed.append(try table.text(&reader), to: &out)
        }
      }
      return out.bytes
    }
  }
}
