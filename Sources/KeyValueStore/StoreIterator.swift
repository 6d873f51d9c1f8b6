import CRocksDB

/// The store as it was at one moment. Reads through it agree with each other. Released with the object.
///
/// `@unchecked Sendable`: nothing changes after `init` until the last reference goes, and RocksDB allows reads through
/// one snapshot from many threads.
package final class Snapshot: @unchecked Sendable {
  let session: Session
  let readOptions: OpaquePointer
  /// Nil for a secondary reader, whose session never moves and so is a snapshot itself.
  private let snapshot: OpaquePointer?

  init(session: Session, ofWriter: Bool) {
    self.session = session
    snapshot = ofWriter ? rocksdb_create_snapshot(session.database) : nil
    readOptions = rocksdb_readoptions_create()
    apply(to: readOptions)
  }

  /// For an iterator that keeps the snapshot alive and wants options of its own.
  func apply(to options: OpaquePointer) {
    if let snapshot { rocksdb_readoptions_set_snapshot(options, snapshot) }
  }

  deinit {
    rocksdb_readoptions_destroy(readOptions)
    if let snapshot { rocksdb_release_snapshot(session.database, snapshot) }
  }
}

/// A place among the keys of one family, in unsigned byte order, as of the moment the iterator was made.
///
/// Every move says whether it arrived at a key, and throws rather than let damage look like the end. An iterator holds
/// files and memory: call `close()` when done. Not for use from two threads at once.
package final class StoreIterator {
  private var open: Open?
  private let family: Family
  private let guardian: (any ValueGuard)?
  /// The opened value of the key the iterator is at; its memory has one byte at least.
  private var opened: UnsafeRawBufferPointer?

  /// What `close()` lets go of.
  private struct Open {
    let iterator: OpaquePointer
    let options: OpaquePointer
    /// Bound bytes: RocksDB keeps the pointers it is given, so they live as long as the iterator.
    let lower: UnsafeMutableRawBufferPointer?
    let upper: UnsafeMutableRawBufferPointer?
    let session: Session
    let snapshot: Snapshot?
  }

  init(
    session: Session, family: Family, guardian: (any ValueGuard)?, lower: [UInt8]?, upper: [UInt8]?,
    snapshot: Snapshot?, withinPrefix: Bool
  ) {
    self.family = family
    self.guardian = guardian
    let options: OpaquePointer = rocksdb_readoptions_create()
    let lowerBytes = lower.map(Self.kept)
    let upperBytes = upper.map(Self.kept)
    if let lowerBytes {
      let bytes = UnsafeRawBufferPointer(lowerBytes)
      rocksdb_readoptions_set_iterate_lower_bound(options, bytes.chars, lower?.count ?? 0)
    }
    if let upperBytes {
      let bytes = UnsafeRawBufferPointer(upperBytes)
      rocksdb_readoptions_set_iterate_upper_bound(options, bytes.chars, upper?.count ?? 0)
    }
    // Without one of these two, a family with a prefix may skip keys outside the prefix sought.
    if withinPrefix {
      rocksdb_readoptions_set_prefix_same_as_start(options, 1)
    } else {
      rocksdb_readoptions_set_total_order_seek(options, 1)
    }
    snapshot?.apply(to: options)
    open = Open(
      iterator: rocksdb_create_iterator_cf(session.database, options, session.handles[family.index]), options: options,
      lower: lowerBytes, upper: upperBytes, session: session, snapshot: snapshot)
  }

  deinit { close() }

  /// Lets go of files and memory; the iterator is at no key from then on. Closing twice does nothing.
  package func close() {
    forgetOpened()
    guard let open else { return }
    rocksdb_iter_destroy(open.iterator)
    rocksdb_readoptions_destroy(open.options)
    open.lower?.deallocate()
    open.upper?.deallocate()
    self.open = nil
  }

  /// Whether the iterator is at a key.
  package var isValid: Bool {
    guard let open else { return false }
    return rocksdb_iter_valid(open.iterator) != 0
  }

  /// Moves to the first key at or after `key`.
  @discardableResult
  package func seek(_ key: UnsafeRawBufferPointer) throws(StoreError) -> Bool {
    try move { rocksdb_iter_seek($0, key.chars, key.count) }
  }

  /// Moves to the first key at or after `key`.
  @discardableResult
  package func seek(_ key: [UInt8]) throws(StoreError) -> Bool {
    try move { iterator in key.withUnsafeBytes { rocksdb_iter_seek(iterator, $0.chars, $0.count) } }
  }

  /// Moves to the last key at or before `key`.
  @discardableResult
  package func seekForPrevious(_ key: UnsafeRawBufferPointer) throws(StoreError) -> Bool {
    try move { rocksdb_iter_seek_for_prev($0, key.chars, key.count) }
  }

  /// Moves to the last key at or before `key`.
  @discardableResult
  package func seekForPrevious(_ key: [UInt8]) throws(StoreError) -> Bool {
    try move { iterator in key.withUnsafeBytes { rocksdb_iter_seek_for_prev(iterator, $0.chars, $0.count) } }
  }

  /// Moves to the first key within the bounds.
  @discardableResult
  package func seekToFirst() throws(StoreError) -> Bool { try move { rocksdb_iter_seek_to_first($0) } }

  /// Moves to the last key within the bounds.
  @discardableResult
  package func seekToLast() throws(StoreError) -> Bool { try move { rocksdb_iter_seek_to_last($0) } }

  /// Moves to the following key. At no key it stays there.
  @discardableResult
  package func next() throws(StoreError) -> Bool {
    guard isValid else { return false }
    return try move { rocksdb_iter_next($0) }
  }

  /// Moves to the preceding key. At no key it stays there.
  @discardableResult
  package func previous() throws(StoreError) -> Bool {
    guard isValid else { return false }
    return try move { rocksdb_iter_prev($0) }
  }

  /// The key the iterator is at, until the next move or `close()`; empty at no key.
  package var key: UnsafeRawBufferPointer { current(rocksdb_iter_key) }

  /// The value the iterator is at, until the next move or `close()`; empty at no key.
  ///
  /// - Throws: `.sealed` when the store's guard cannot open it.
  package var value: UnsafeRawBufferPointer {
    get throws(StoreError) {
      guard let guardian, isValid else { return keptValue }
      if let opened { return opened }
      let bytes = try guardian.open(keptValue, family: family.name, key: key)
      let memory = UnsafeRawBufferPointer(start: Self.kept(bytes).baseAddress, count: bytes.count)
      opened = memory
      return memory
    }
  }

  /// The bytes on disk behind the value, which the guard does not open.
  package var keptValue: UnsafeRawBufferPointer { current(rocksdb_iter_value) }

  private func forgetOpened() {
    opened?.baseAddress?.deallocate()
    opened = nil
  }

  private func current(
    _ field: (OpaquePointer?, UnsafeMutablePointer<Int>?) -> UnsafePointer<CChar>?
  ) -> UnsafeRawBufferPointer {
    guard let open, rocksdb_iter_valid(open.iterator) != 0 else { return UnsafeRawBufferPointer(start: nil, count: 0) }
    var count = 0
    let start = field(open.iterator, &count)
    return UnsafeRawBufferPointer(start: start, count: count)
  }

  private func move(_ step: (OpaquePointer) -> Void) throws(StoreError) -> Bool {
    guard let open else { throw .closed }
    forgetOpened()
    step(open.iterator)
    if rocksdb_iter_valid(open.iterator) != 0 { return true }
    try checked(path: open.session.path) { rocksdb_iter_get_error(open.iterator, $0) }
    return false
  }

  private static func kept(_ bytes: [UInt8]) -> UnsafeMutableRawBufferPointer {
    // One byte at least, so that an empty bound still has an address.
    let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: max(1, bytes.count), alignment: 1)
    memory.copyBytes(from: bytes)
    return memory
  }
}
