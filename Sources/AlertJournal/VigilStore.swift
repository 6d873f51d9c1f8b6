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

  /// Layouts. The sizes of write buffers are shares of what ``StoreMemory`` has for them.
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

  /// As ``specs``, for values that come sealed, and packed before that.
  static let sealedSpecs: [FamilySpec] = specs.map { spec in
    guard spec.isGuarded else { return spec }
    var sealed = spec
    sealed.compression = .none
    return sealed
  }

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
  package static let formatVersion: UInt32 = 2

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
  package let holds: HoldTable
  /// Nil in a store without encryption.
  let vault: Vault?

  /// Opens a store for reading and writing, making it and what it lacks if needed; the folder above must exist.
  ///
  /// A store of an earlier format is brought to this one, see ``StoreUpgrade``.
  ///
  /// - Parameters:
  ///   - key: the master key of an encrypted store; a store made now is encrypted if there is one.
  ///   - memory: what blocks read back and write buffers may take.
  ///   - keepsLog: whether the log of changes stays readable for a ``LogArchive``; nil: as the store's archive, if it has
  ///     one, needs it.
  /// - Throws: `.inUse`, `.noSpace`, `.io`; `.formatTooNew`, naming both versions; `.corruption`; `.sealed` where key and
  ///   store do not go together.
  package static func open(
    path: String, key: MasterKey? = nil, memory: StoreMemory = StoreMemory(), keepsLog: Bool? = nil
  ) throws(StoreError) -> VigilStore {
    try open(path: path, key: key, memory: memory, keepsLog: keepsLog, accepting: [.sealed])
  }

  /// Opens a store for putting damaged rows aside: also one with an erasure under way, which `vigil keys resume` finishes then.
  ///
  /// - Throws: as `open`.
  package static func openForRepair(path: String, key: MasterKey? = nil) throws(StoreError) -> VigilStore {
    try open(path: path, key: key, accepting: [.sealed, .erasing])
  }

  static func open(
    path: String, key: MasterKey?, memory: StoreMemory = StoreMemory(), keepsLog: Bool? = nil,
    accepting states: Set<KeyHeader.State>
  ) throws(StoreError) -> VigilStore {
    let store = try openStore(path: path, isSealed: key != nil, memory: memory, keepsLog: keepsLog)
    do throws(StoreError) {
      return try VigilStore(store, key: key, accepting: states)
    } catch {
      store.close()
      throw error
    }
  }

  /// Opens a store for reading, beside its writer or without one; `scratch` is a folder of this reader's own.
  ///
  /// - Parameter isForRepair: also with an erasure under way.
  /// - Throws: as `open`, and `.notFound`, `.busy`.
  package static func openReadOnly(
    path: String, scratch: String, key: MasterKey? = nil, isForRepair: Bool = false
  ) throws(StoreError) -> VigilStore {
    let store = try Store.openReadOnlySecondary(
      path: path, scratch: scratch, families: key == nil ? StoreFamilies.specs : StoreFamilies.sealedSpecs,
      options: StoreFamilies.options)
    do throws(StoreError) {
      return try VigilStore(store, key: key, accepting: isForRepair ? [.sealed, .erasing] : [.sealed])
    } catch {
      store.close()
      throw error
    }
  }

  static func openStore(
    path: String, isSealed: Bool, memory: StoreMemory = StoreMemory(), keepsLog: Bool? = nil
  ) throws(StoreError) -> Store {
    var options = StoreFamilies.options
    options.blockCacheBytes = memory.cacheBytes
    options.logKeptMiB = keepsLog ?? LogArchive.isKept(storePath: path) ? LogArchive.logKeptMiB : 0
    let specs = isSealed ? StoreFamilies.sealedSpecs : StoreFamilies.specs
    // A new store in the place of one that a repair took away would look like one without patients.
    if let left = BackupFiles.leftovers(beside: path).first {
      throw .io(
        "\(path) is missing, and \(left) lies beside it; put a store back there by renaming, or choose another path")
    }
    let store = try Store.open(path: path, families: memory.sized(specs), options: options)
    if options.logKeptMiB == 0 { LogArchive.dropKept(storePath: path) }
    return store
  }

  private init(
    _ store: Store, key: MasterKey?, accepting states: Set<KeyHeader.State> = [.sealed]
  ) throws(StoreError) {
    let found = try Self.checkFormat(store, try store.family("meta"))
    let families = try StoreFamilies(of: store)
    // Before the format is written: only a store without one is new, and becomes an encrypted one.
    let vault = try VaultOpening(store: store, families: families).vault(key, accepting: states)
    if let vault { store.use(vault) }
    let format: UInt32
    if let found { format = found } else { format = try Self.writeFormat(store, families.meta) }
    self.store = store
    self.families = families
    self.vault = vault
    func table(_ family: Family) -> Table { Table(store: store, family: family, vault: vault) }
    journal = Journal(table: table(families.journal), registry: families.registry, vault: vault)
    registry = RegistryTable(table: table(families.registry))
    state = StateTable(table: table(families.state))
    alerts = AlertTable(table: table(families.alerts))
    ledger = LedgerTable(table: table(families.ledger))
    actions = ActionTable(table: table(families.registry))
    audit = AuditTable(table: table(families.audit))
    holds = HoldTable(table: table(families.keys))
    do throws(JournalError) {
      outbox = try OutboxTable(table: table(families.outbox), alerts: alerts)
      quarantine = try QuarantineTable(table: table(families.quarantine))
      if format < VigilStore.formatVersion { try StoreUpgrade.run(from: format, journal: journal, audit: audit, store) }
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

  static let formatKey = Array("format".utf8)

  /// Whether values are encrypted at rest.
  package var isEncrypted: Bool { vault != nil }

  /// The format the store has; nil for a new store.
  private static func checkFormat(_ store: Store, _ meta: Family) throws(StoreError) -> UInt32? {
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
      guard found == formatVersion || !store.isReadOnly else {
        throw .formatTooOld("store format \(found); `vigil run` brings it to format \(formatVersion) at its next start")
      }
      return found
    }
    guard !store.isReadOnly else { throw .corruption("the store names no format version") }
    return nil
  }

  /// Gives a new store the newest format.
  private static func writeFormat(_ store: Store, _ meta: Family) throws(StoreError) -> UInt32 {
    let batch = WriteBatch(for: store)
    put(format: formatVersion, meta, in: batch)
    try store.write(batch, sync: true)
    return formatVersion
  }

  static func put(format: UInt32, _ meta: Family, in batch: WriteBatch) {
    batch.put(meta, key: formatKey, value: SealedValue.seal { $0.append(littleEndian: format) })
  }
}
