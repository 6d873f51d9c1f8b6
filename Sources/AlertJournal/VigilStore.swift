/// Room `AlertJournal`: the durable, ordered record of every input and of everything derived from it that must change
/// together. Only this room knows the byte formats of the families it writes (docs/formats). It never judges a sample,
/// never sends anything, asks no clock for the time and starts no thread; what it reads back it checks, and damage is an
/// error that names the family and the place, never a trap and never patient data.
import Compression
import KeyValueStore

/// The column families of a store; `chunks` and `rollups` are written by another room.
package struct StoreFamilies: Sendable {
  package let journal: Family
  package let chunks: Family
  package let state: Family
  package let alerts: Family
  package let ledger: Family
  package let outbox: Family
  package let registry: Family
  package let quarantine: Family
  package let audit: Family
  package let states: Family
  package let rollups: Family
  package let keys: Family
  package let meta: Family

  init(of store: Store) throws(StoreError) {
    journal = try store.family("journal")
    chunks = try store.family("chunks")
    state = try store.family("state")
    alerts = try store.family("alerts")
    ledger = try store.family("ledger")
    outbox = try store.family("outbox")
    registry = try store.family("registry")
    quarantine = try store.family("quarantine")
    audit = try store.family("audit")
    states = try store.family("states")
    rollups = try store.family("rollups")
    keys = try store.family("keys")
    meta = try store.family("meta")
  }

  /// Layouts. At most two write buffers a family are in memory: with the block cache about 150 MiB at the very most.
  static let specs: [FamilySpec] = [
    // Batches come packed.
    FamilySpec("journal", compression: .none, blockBytes: 64 << 10, writeBufferBytes: 16 << 20),
    // Chunks come packed too; single look-ups by series and time.
    FamilySpec("chunks", compression: .none, writeBufferBytes: 8 << 20, bloomBitsPerKey: 10),
    FamilySpec("state", compression: .zstd(level: 1), writeBufferBytes: 8 << 20, bloomBitsPerKey: 10),
    // Documents resemble each other so much that a dictionary a file beats packing each for itself.
    FamilySpec(
      "alerts", compression: .zstdDictionary(level: 3, dictionaryBytes: 16 << 10), writeBufferBytes: 4 << 20,
      bloomBitsPerKey: 10),
    FamilySpec(
      "ledger", compression: .zstdDictionary(level: 3, dictionaryBytes: 16 << 10), writeBufferBytes: 4 << 20),
    FamilySpec("outbox", compression: .zstd(level: 1), writeBufferBytes: 2 << 20, bloomBitsPerKey: 10),
    FamilySpec("registry", compression: .zstd(level: 3), writeBufferBytes: 2 << 20),
    FamilySpec("quarantine", compression: .zstd(level: 3), writeBufferBytes: 4 << 20),
    FamilySpec("audit", compression: .zstd(level: 3), writeBufferBytes: 1 << 20),
    // Start states of the chunk codec, by set; immutable.
    FamilySpec("states", compression: .none, writeBufferBytes: 64 << 10),
    // Counts, means and extremes of stretches of chunks; packed by their own coding.
    FamilySpec("rollups", compression: .none, writeBufferBytes: 4 << 20, bloomBitsPerKey: 10),
    // Wrapped keys, each sealed under the key above it: never guarded twice.
    FamilySpec("keys", compression: .none, writeBufferBytes: 1 << 20, isGuarded: false),
    FamilySpec("meta", compression: .none, writeBufferBytes: 64 << 10, isGuarded: false),
  ]

  static var options: StoreOptions {
    var options = StoreOptions()
    options.blockCacheBytes = 32 << 20
    // Bounds the log to read at a start.
    options.walBytesMax = 128 << 20
    return options
  }
}

/// An open store with its tables. May be used from any thread; what one thread must own says so.
package final class VigilStore: Sendable {
  /// The format this program writes, and the newest it reads.
  package static let formatVersion: UInt32 = 1

  /// The store beneath, for rooms with families of their own.
  package let store: Store
  package let families: StoreFamilies
  package let journal: Journal
  package let registry: RegistryTable
  package let state: StateTable
  package let alerts: AlertTable
  package let ledger: LedgerTable
  package let outbox: OutboxTable
  package let quarantine: QuarantineTable
  package let actions: ActionTable
  package let audit: AuditTable

  /// Opens a store for reading and writing, making it and what it lacks if needed; the folder above must exist.
  ///
  /// - Throws: `.inUse`, `.noSpace`, `.io`; `.formatTooNew`, naming both versions; `.corruption`.
  package static func open(path: String) throws(StoreError) -> VigilStore {
    let store = try Store.open(path: path, families: StoreFamilies.specs, options: StoreFamilies.options)
    do throws(StoreError) {
      return try VigilStore(store)
    } catch {
      store.close()
      throw error
    }
  }

  /// Opens a store for reading, beside its writer or without one; `scratch` is a folder of this reader's own.
  ///
  /// - Throws: as `open`, and `.notFound`, `.busy`.
  package static func openReadOnly(path: String, scratch: String) throws(StoreError) -> VigilStore {
    let store = try Store.openReadOnlySecondary(
      path: path, scratch: scratch, families: StoreFamilies.specs, options: StoreFamilies.options)
    do throws(StoreError) {
      return try VigilStore(store)
    } catch {
      store.close()
      throw error
    }
  }

  private init(_ store: Store) throws(StoreError) {
    let families = try StoreFamilies(of: store)
    try Self.checkFormat(store, families.meta)
    self.store = store
    self.families = families
    journal = Journal(table: Table(store: store, family: families.journal), registry: families.registry)
    registry = RegistryTable(table: Table(store: store, family: families.registry))
    state = StateTable(table: Table(store: store, family: families.state))
    alerts = AlertTable(table: Table(store: store, family: families.alerts))
    ledger = LedgerTable(table: Table(store: store, family: families.ledger))
    actions = ActionTable(table: Table(store: store, family: families.registry))
    audit = AuditTable(table: Table(store: store, family: families.audit))
    do throws(JournalError) {
      outbox = try OutboxTable(table: Table(store: store, family: families.outbox), alerts: alerts)
      quarantine = try QuarantineTable(table: Table(store: store, family: families.quarantine))
      if !store.isReadOnly { try alerts.indexActive() }
    } catch {
      throw error.asStoreError
    }
  }

  /// Where the store lives.
  package var path: String { store.path }
  /// An empty batch for this store.
  package func makeBatch() -> WriteBatch { WriteBatch(for: store) }
  /// Writes all of a batch or nothing of it; with `sync` it survives a power cut once this returns.
  package func write(_ batch: WriteBatch, sync: Bool) throws(StoreError) { try store.write(batch, sync: sync) }
  /// Closes the store for good.
  package func close() { store.close() }

  private static let formatKey = Array("format".utf8)

  private static func checkFormat(_ store: Store, _ meta: Family) throws(StoreError) {
    let table = Table(store: store, family: meta)
    let found: UInt32?
    do throws(JournalError) {
      found = try table.read(formatKey, position: 0) { (reader) throws(ByteError) in
        try reader.littleEndian(UInt32.self)
      }
    } catch {
      throw error.asStoreError
    }
    if let found {
      guard found <= formatVersion else {
        throw .formatTooNew("store format \(found), and this program knows formats up to \(formatVersion)")
      }
      return
    }
    guard !store.isReadOnly else { throw .corruption("the store names no format version") }
    let batch = WriteBatch(for: store)
    batch.put(meta, key: formatKey, value: SealedValue.seal { $0.append(littleEndian: formatVersion) })
    try store.write(batch, sync: true)
  }
}
