/// What stands between a store's users and its files: turns values into what is kept on disk and back.
///
/// Every value of a guarded family passes it: `seal` when it is put into a batch, `open` when it is read. Keys of rows do
/// not. Called from any thread, several at a time.
package protocol ValueGuard: Sendable {
  /// The bytes to keep for a value under a key.
  ///
  /// - Throws: `.sealed` when it cannot; the batch is then refused as a whole.
  func seal(
    _ value: UnsafeRawBufferPointer, family: String, key: UnsafeRawBufferPointer
  ) throws(StoreError) -> [UInt8]

  /// The value behind kept bytes.
  ///
  /// - Throws: `.sealed` when they are not what `seal` made for this family and key, or cannot be opened.
  func open(
    _ kept: UnsafeRawBufferPointer, family: String, key: UnsafeRawBufferPointer
  ) throws(StoreError) -> [UInt8]

  /// Called before each write to the store, by the thread that writes: what the sealed values need in order to be opened
  /// again is written now, or the write does not happen. Its own writes to unguarded families do not call it again.
  func willWrite(to store: Store) throws(StoreError)
}

/// A place for the guard that is set once: an atomic reference wants a class.
final class GuardBox: Sendable {
  let guardian: any ValueGuard
  init(_ guardian: any ValueGuard) { self.guardian = guardian }
}
