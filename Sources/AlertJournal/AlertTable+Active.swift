import Compression
import KeyValueStore
import Pipeline
import VitalModel

/// The index of alerts that have not ended: one row each, put with the transition that opens it and gone with the one that
/// ends it.
extension AlertTable {
  /// There once the index covers everything; a store made before there was one gets it at its next opening for writing.
  private static let indexedKey: [UInt8] = [0x00]

  func markActive(_ alertID: String, _ patient: UInt32, _ isActive: Bool, in batch: WriteBatch) throws(JournalError) {
    let key = try makeKey { (key) throws(KeyError) in
      key.append(AlertTable.activePrefix)
      key.append(patient)
      try table.append(alertID, to: &key)
    }
    if isActive {
      batch.put(table.family, key: key, value: SealedValue.seal { _ in })
    } else {
      batch.delete(table.family, key: key)
    }
  }

  /// The newest transition of every alert that has not ended, by patient and alert id.
  ///
  /// - Parameter limit: at most so many; a ward has a few a patient.
  package func active(limit: Int = .max) throws(JournalError) -> [StoredTransition] {
    guard limit > 0 else { return [] }
    guard try table.holds(AlertTable.indexedKey) else { return Array(try activeUnindexed().prefix(limit)) }
    var found: [StoredTransition] = []
    try table.scan(prefix: [AlertTable.activePrefix]) { (key, _) throws(JournalError) in
      let alertID = try table.parse(key) { (reader) throws(KeyError) in
        _ = try reader.uint32()
        return try table.text(&reader)
      }
      // The transitions decide: a row of the index only says where to look.
      if let newest = try newest(alertID: alertID), newest.state != .inactive { found.append(newest) }
      return found.count < limit
    }
    return found
  }

  /// By way of all transitions.
  private func activeUnindexed() throws(JournalError) -> [StoredTransition] {
    var found: [StoredTransition] = []
    var last: StoredTransition?
    try eachTransition { transition in
      if let before = last, before.alertID != transition.alertID, before.state != .inactive { found.append(before) }
      last = transition
    }
    if let last, last.state != .inactive { found.append(last) }
    return found
  }

  /// Makes the index of a store that has none.
  func indexActive() throws(JournalError) {
    guard try !table.holds(AlertTable.indexedKey) else { return }
    let batch = WriteBatch(for: table.store)
    for transition in try activeUnindexed() { try markActive(transition.alertID, transition.patient, true, in: batch) }
    batch.put(table.family, key: AlertTable.indexedKey, value: SealedValue.seal { _ in })
    try storing { () throws(StoreError) in try table.store.write(batch, sync: false) }
  }
}
