import KeyValueStore

/// Brings a store of an earlier format to this program's, in place.
///
/// Each step may be cut off anywhere and run again: what it adds is added before, and the format's number rises with the
/// last write of the step, together with an audit entry. There is no way back but a backup made before.
///
/// - From 1 to 2: the families `states`, `rollups` and `keys` come into being at the opening; chunks of the codec of format
///   1 stay as they are and are read as before. A program of format 1 would not know the chunks written from now on, so it
///   must refuse the store.
enum StoreUpgrade {
  /// - Throws: `.store`; the store then has the format it had, and the next opening tries again.
  static func run(
    from format: UInt32, journal: Journal, audit: AuditTable, _ store: Store
  ) throws(JournalError) {
    // The room asks no clock: the newest entry says when the store was last written.
    let time = try journal.lastHeader()?.ingestTimes.upperBound ?? 0
    for next in (format + 1)...VigilStore.formatVersion {
      let batch = WriteBatch(for: store)
      let meta = try storing { () throws(StoreError) in try store.family("meta") }
      VigilStore.put(format: next, meta, in: batch)
      let entry = AuditEntry(
        time: time, actor: "vigil", action: "store.upgrade", subject: "store", detail: "format \(next - 1) to \(next)")
      try audit.record(entry, with: batch, sync: true)
    }
  }
}
