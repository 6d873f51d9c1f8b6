/// Room `KeyValueStore`: atomic batches of keys and values over named column families, on RocksDB. It keeps bytes and
/// knows no meaning: no vital signs, no alerts, no key layouts of its own, no clock, no retention rules, no retries. What
/// is written with `sync` is on disk when the call returns, or the call throws. The only importer of RocksDB.
import CRocksDB
import Synchronization

/// A column family of one store, as found by `Store.family(_:)`. Meaningless in another store.
package struct Family: Hashable, Sendable {
  package let name: String
  let index: Int
  /// Whether its values pass the store's guard.
  let isGuarded: Bool
}

/// An open store. Every call may be made from any thread, beside every other.
package final class Store: Sendable {
  /// Where the store lives.
  package let path: String
  private let families: [FamilySpec]
  private let options: StoreOptions
  /// The secondary instance's own folder; nil for the writer.
  private let scratch: String?
  private let state: Mutex<State>
  private let guardBox = AtomicLazyReference<GuardBox>()

  private enum State {
    case open(Session)
    /// Between the two halves of `reopen()`, or after its second half failed.
    case interrupted
    case closed
  }

  private init(path: String, families: [FamilySpec], options: StoreOptions, scratch: String?) throws(StoreError) {
    let session = try Self.session(path: path, families: families, options: options, scratch: scratch)
    self.path = path
    // A secondary reader stays with the families it found, so that `Family.index` means the same after catching up.
    self.families = scratch == nil ? families : families.filter { session.names.contains($0.name) }
    self.options = options
    self.scratch = scratch
    state = Mutex(.open(session))
  }

  /// Opens a store for reading and writing, creating missing families (and, unless told otherwise, the store; the folder
  /// above `path` must exist). Families on disk that are not named stay untouched.
  ///
  /// - Throws: `.inUse` when another process has it open, `.notFound`, `.corruption`, `.formatTooNew`, `.noSpace`, `.io`.
  package static func open(
    path: String, families: [FamilySpec], options: StoreOptions = StoreOptions()
  ) throws(StoreError) -> Store {
    try Store(path: path, families: families, options: options, scratch: nil)
  }

  /// Opens a store for reading while another process may be writing it, or while nobody does.
  ///
  /// What the writer had put in its log by now is visible, flushed or not, and stands still until `catchUp()`. `scratch`
  /// is a folder of this reader's own, created if missing. Families the writer has not created yet are `.unknownFamily`.
  ///
  /// - Throws: `.notFound`, `.corruption`, `.formatTooNew`, `.io`; `.busy` when the writer changed its files during each
  ///   of several attempts: try again later.
  package static func openReadOnlySecondary(
    path: String, scratch: String, families: [FamilySpec], options: StoreOptions = StoreOptions()
  ) throws(StoreError) -> Store {
    try Store(path: path, families: families, options: options, scratch: scratch)
  }

  /// Whether this is a secondary reader, whose every write throws `.readOnly`.
  package var isReadOnly: Bool { scratch != nil }

  /// The family of this name.
  /// - Throws: `.unknownFamily`, `.closed`.
  package func family(_ name: String) throws(StoreError) -> Family {
    try withSession { (session) throws(StoreError) in
      guard let index = session.names.firstIndex(of: name) else { throw .unknownFamily(name) }
      let isGuarded = families.first { $0.name == name }?.isGuarded ?? true
      return Family(name: name, index: index, isGuarded: isGuarded)
    }
  }

  /// Sets the guard that all values of guarded families pass from now on; once, before anything else is read or written.
  package func use(_ guardian: any ValueGuard) {
    let box = GuardBox(guardian)
    precondition(guardBox.storeIfNil(box) === box, "a store has one guard for its life")
  }

  /// Opens a copy made by ``checkpoint(to:)`` for reading, behind the same guard; `scratch` as for a secondary.
  package func openCheckpoint(_ path: String, scratch: String) throws(StoreError) -> Store {
    let copy = try Store(path: path, families: families, options: options, scratch: scratch)
    if let guardian = guardBox.load()?.guardian { copy.use(guardian) }
    return copy
  }

  /// The guard of a family's values; nil where they are kept as they are.
  func guardian(_ family: Family) -> (any ValueGuard)? { family.isGuarded ? guardBox.load()?.guardian : nil }

  /// Names of all open families, in no promised order.
  package func familyNames() throws(StoreError) -> [String] { try withSession { $0.names } }

  // MARK: Writing

  /// Writes all of a batch or nothing of it. With `sync` the batch survives a power cut once this returns.
  ///
  /// - Throws: `.noSpace` or `.io`: the batch does not show, and further writes fail until `reopen()`. When it was the
  ///   sync that failed the batch may be in the log and show after all then, whole; so write it again unchanged. `.closed`
  ///   also when the store was closed while the batch was being filled. `.sealed` when the guard refused a value.
  package func write(_ batch: WriteBatch, sync: Bool) throws(StoreError) {
    precondition(batch.store === self, "a batch belongs to the store it was made by")
    if batch.isGuarded { try guardBox.load()?.guardian.willWrite(to: self) }
    try writing { (session) throws(StoreError) in
      if let failure = batch.failure { throw failure }
      try checked(path: path) { status in
        rocksdb_write(session.database, sync ? session.syncedWrite : session.unsyncedWrite, batch.batch, status)
      }
    }
  }

  // MARK: Reading

  /// A copy of the value under a key; nil when there is none.
  package func get(_ family: Family, key: UnsafeRawBufferPointer, snapshot: Snapshot? = nil) throws(StoreError)
    -> [UInt8]?
  {
    try withValue(family, key: key, snapshot: snapshot) { $0.map { [UInt8]($0) } }
  }

  /// A copy of the value under a key; nil when there is none.
  package func get(_ family: Family, key: [UInt8], snapshot: Snapshot? = nil) throws(StoreError) -> [UInt8]? {
    try withValue(family, key: key, snapshot: snapshot) { $0.map { [UInt8]($0) } }
  }

  /// Lends the value under a key, without a copy, for the length of `body`; nil when there is none.
  package func withValue<Value>(
    _ family: Family, key: UnsafeRawBufferPointer, snapshot: Snapshot? = nil,
    _ body: (UnsafeRawBufferPointer?) -> Value
  ) throws(StoreError) -> Value {
    try withSession(of: snapshot) { (session) throws(StoreError) in
      let pinned = try checked(path: path) { status in
        rocksdb_get_pinned_cf(
          session.database, snapshot?.readOptions ?? session.readOptions, session.handles[family.index], key.chars,
          key.count, status)
      }
      defer { if let pinned { rocksdb_pinnableslice_destroy(pinned) } }
      var count = 0
      guard let pinned, let start = rocksdb_pinnableslice_value(pinned, &count) else { return body(nil) }
      let kept = UnsafeRawBufferPointer(start: start, count: count)
      if let guardian = guardian(family) {
        let opened = try guardian.open(kept, family: family.name, key: key)
        return opened.withUnsafeBytes { body($0) }
      }
      return withExtendedLifetime(snapshot) { body(kept) }
    }
  }

  /// Lends the value under a key, without a copy, for the length of `body`; nil when there is none.
  package func withValue<Value>(
    _ family: Family, key: [UInt8], snapshot: Snapshot? = nil, _ body: (UnsafeRawBufferPointer?) -> Value
  ) throws(StoreError) -> Value {
    try borrowing(key) { (raw) throws(StoreError) in
      try withValue(family, key: raw, snapshot: snapshot, body)
    }
  }

  /// The store as it is now, for reads that must agree with each other. It holds back the dropping of old values: keep it
  /// short.
  package func snapshot() throws(StoreError) -> Snapshot {
    try withSession { Snapshot(session: $0, ofWriter: !isReadOnly) }
  }

  /// An iterator over keys in `lower..<upper` (either end open when nil), positioned nowhere: seek first.
  ///
  /// - Parameter withinPrefix: stays within the family's `prefixBytes` of the key sought, which lets the filter skip
  ///   files. The caller must not rely on keys beyond that prefix, nor on `seekToLast`.
  package func iterator(
    _ family: Family, lower: [UInt8]? = nil, upper: [UInt8]? = nil, snapshot: Snapshot? = nil,
    withinPrefix: Bool = false
  ) throws(StoreError) -> StoreIterator {
    try withSession(of: snapshot) {
      StoreIterator(
        session: $0, family: family, guardian: guardian(family), lower: lower, upper: upper, snapshot: snapshot,
        withinPrefix: withinPrefix)
    }
  }

  // MARK: Life

  /// Takes in what the writer has written since; iterators and snapshots made before keep what they saw.
  ///
  /// This opens the directory anew and costs about as much as the first opening: reading the log that is not yet in
  /// files. RocksDB's own catching up is cheaper and wrong: after the writer flushes, it goes on serving the older value
  /// it had replayed from the log (facebook/rocksdb issues 14444 and 15051; also seen with 7.8.3).
  ///
  /// - Throws: as `openReadOnlySecondary`; the reader then keeps what it has, and may try again.
  package func catchUp() throws(StoreError) {
    precondition(isReadOnly, "only a secondary reader catches up")
    let session = try Self.session(path: path, families: families, options: options, scratch: scratch)
    replace(with: session)
  }

  /// Closes the store and opens it again with the same settings.
  ///
  /// The way out after `.noSpace` or `.io` from a write: RocksDB then refuses all writes, and its C interface has no
  /// call to resume. Everything written before is kept. Meanwhile calls from other threads throw `.closed`. `Family`
  /// values and batches stay valid; clear a batch before filling it again.
  ///
  /// - Throws: `.inUse` while an iterator, a snapshot or another thread's call still holds the old opening; any error of
  ///   `open`. The store then stays interrupted, and `reopen()` may be called again. `.closed` after `close()`.
  ///   `.readOnly` for a secondary reader, which catches up instead.
  package func reopen() throws(StoreError) {
    guard !isReadOnly else { throw .readOnly }
    guard leave(for: .interrupted) else { throw .closed }
    let session = try Self.session(path: path, families: families, options: options, scratch: scratch)
    replace(with: session)
  }

  /// Closes the store for good; closing twice does nothing.
  ///
  /// The directory is free for another process once the last iterator, snapshot and running call has gone too.
  package func close() { _ = leave(for: .closed) }

  /// Lets go of the open session, which closes the database when nobody else holds it; false when closed for good before.
  private func leave(for next: State) -> Bool {
    // The old state goes out of scope after the lock is free: closing a database may take long.
    let old = state.withLock { state in
      let old = state
      if case .closed = old { return old }
      state = next
      return old
    }
    if case .closed = old { return false }
    return true
  }

  private func replace(with session: Session) {
    // As in `leave(for:)`, the old session goes after the lock is free.
    _ = state.withLock { state in
      let old = state
      if case .closed = old { return old }
      state = .open(session)
      return old
    }
  }

  private static func session(
    path: String, families: [FamilySpec], options: StoreOptions, scratch: String?
  ) throws(StoreError) -> Session {
    guard let scratch else { return try .primary(path: path, families: families, options: options) }
    return try .secondary(path: path, scratch: scratch, families: families, options: options)
  }

  // MARK: Access for the room

  /// Runs `body` with the open session, which stays open until `body` returns.
  func withSession<Value>(_ body: (Session) throws(StoreError) -> Value) throws(StoreError) -> Value {
    let held: Session? = state.withLock { if case .open(let session) = $0 { session } else { nil } }
    guard let held else { throw .closed }
    return try body(held)
  }

  /// As `withSession`, with the session a snapshot was made of when there is one: it may be older than the open one.
  private func withSession<Value>(
    of snapshot: Snapshot?, _ body: (Session) throws(StoreError) -> Value
  ) throws(StoreError) -> Value {
    guard let snapshot else { return try withSession(body) }
    return try body(snapshot.session)
  }

  /// As `withSession`, for calls that change the store.
  func writing<Value>(_ body: (Session) throws(StoreError) -> Value) throws(StoreError) -> Value {
    guard !isReadOnly else { throw .readOnly }
    return try withSession(body)
  }
}

/// Lends an array's bytes to a body with a typed error, which `withUnsafeBytes` alone would make untyped.
func borrowing<Value>(
  _ bytes: [UInt8], _ body: (UnsafeRawBufferPointer) throws(StoreError) -> Value
) throws(StoreError) -> Value {
  let result: Result<Value, StoreError> = bytes.withUnsafeBytes { raw in
    do throws(StoreError) { return .success(try body(raw)) } catch { return .failure(error) }
  }
  return try result.get()
}
