import Compression
import KeyValueStore

/// Patients whose data must not be deleted: neither erased nor dropped by age, until somebody releases them.
package struct HoldTable: Sendable {
  let table: Table

  /// Keeps a patient's data from here on; said again, it changes nothing but the time.
  ///
  /// - Parameter timeMs: milliseconds since 1970.
  package func hold(_ patient: UInt32, atMs timeMs: Int64, in batch: WriteBatch) {
    batch.put(
      table.family, key: KeyRow.hold(patient), value: SealedValue.seal { $0.append(littleEndian: timeMs) })
  }

  /// Ends a hold; none is no error.
  package func release(_ patient: UInt32, in batch: WriteBatch) {
    batch.delete(table.family, key: KeyRow.hold(patient))
  }

  /// Whether a patient is held.
  package func isHeld(_ patient: UInt32) throws(JournalError) -> Bool { try table.holds(KeyRow.hold(patient)) }

  /// Patients held, by the keys of the rows alone.
  func numbers() throws(JournalError) -> Set<UInt32> {
    var found: Set<UInt32> = []
    try table.scan(prefix: [KeyRow.holdPrefix]) { (key, _) throws(JournalError) in
      found.insert(try table.parse(key) { (reader) throws(KeyError) in try reader.uint32() })
      return true
    }
    return found
  }

  /// Patients held, with the time since when (milliseconds).
  package func all() throws(JournalError) -> [UInt32: Int64] {
    var found: [UInt32: Int64] = [:]
    try table.scan(prefix: [KeyRow.holdPrefix]) { (key, value) throws(JournalError) in
      let patient = try table.parse(key) { (reader) throws(KeyError) in try reader.uint32() }
      found[patient] = try table.open(value, position: UInt64(patient)) { (reader) throws(ByteError) in
        try reader.littleEndian(Int64.self)
      }
      return true
    }
    return found
  }
}
