import CRocksDB

/// Changes to one store that happen together or not at all, in the order given.
///
/// Not for use from two threads at once. Clear and fill it again rather than making a new one: the memory is kept.
package final class WriteBatch {
  let store: Store
  let batch: OpaquePointer
  /// Why a change could not be taken: such a batch is never written.
  private(set) var failure: StoreError?
  /// Whether a value in it has passed the store's guard.
  private(set) var isGuarded = false

  /// An empty batch for one store.
  package init(for store: Store) {
    self.store = store
    batch = rocksdb_writebatch_create()
  }

  deinit { rocksdb_writebatch_destroy(batch) }

  /// Changes taken since the last `clear`.
  package var count: Int { Int(rocksdb_writebatch_count(batch)) }

  /// Whether no change has been taken.
  package var isEmpty: Bool { count == 0 }

  /// Bytes the batch will add to the log: 12 when empty.
  package var byteSize: Int {
    var size = 0
    _ = rocksdb_writebatch_data(batch, &size)
    return size
  }

  /// Sets the value under a key.
  package func put(_ family: Family, key: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer) {
    guard let guardian = store.guardian(family) else { return putAsKept(family, key: key, value: value) }
    isGuarded = true
    do throws(StoreError) {
      let sealed = try guardian.seal(value, family: family.name, key: key)
      sealed.withUnsafeBytes { putAsKept(family, key: key, value: $0) }
    } catch {
      failure = error
    }
  }

  /// Sets the bytes kept under a key, which the guard does not see: for copying rows, and for guards themselves.
  package func putAsKept(_ family: Family, key: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer) {
    record(family) { rocksdb_writebatch_put_cf(batch, $0, key.chars, key.count, value.chars, value.count) }
  }

  /// Sets the value under a key.
  package func put(_ family: Family, key: [UInt8], value: [UInt8]) {
    key.withUnsafeBytes { key in value.withUnsafeBytes { value in put(family, key: key, value: value) } }
  }

  /// Removes a key; absent keys are no error.
  package func delete(_ family: Family, key: UnsafeRawBufferPointer) {
    record(family) { rocksdb_writebatch_delete_cf(batch, $0, key.chars, key.count) }
  }

  /// Removes a key; absent keys are no error.
  package func delete(_ family: Family, key: [UInt8]) { key.withUnsafeBytes { delete(family, key: $0) } }

  /// Removes all keys in `start..<end`. An empty or reversed range removes nothing.
  package func deleteRange(_ family: Family, start: UnsafeRawBufferPointer, end: UnsafeRawBufferPointer) {
    // RocksDB refuses the whole batch for a reversed range.
    guard start.lexicographicallyPrecedes(end) else { return }
    record(family) { rocksdb_writebatch_delete_range_cf(batch, $0, start.chars, start.count, end.chars, end.count) }
  }

  /// Removes all keys in `start..<end`. An empty or reversed range removes nothing.
  package func deleteRange(_ family: Family, start: [UInt8], end: [UInt8]) {
    start.withUnsafeBytes { start in end.withUnsafeBytes { end in deleteRange(family, start: start, end: end) } }
  }

  /// Leaves a note that travels in the log with the changes and is no row: ``LoggedBatch/notes`` reads it. A batch of
  /// notes alone is empty.
  package func note(_ bytes: [UInt8]) {
    bytes.withUnsafeBytes { rocksdb_writebatch_put_log_data(batch, $0.chars, $0.count) }
  }

  /// Forgets all changes and keeps the memory.
  package func clear() {
    rocksdb_writebatch_clear(batch)
    failure = nil
    isGuarded = false
  }

  private func record(_ family: Family, _ change: (OpaquePointer) -> Void) {
    do throws(StoreError) {
      try store.withSession { change($0.handles[family.index]) }
    } catch {
      failure = error
    }
  }
}
