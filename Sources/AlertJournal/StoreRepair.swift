import Glibc
import KeyValueStore

/// Makes a damaged store usable again without losing a byte of it. Only on a store that no service runs on.
package enum StoreRepair {
  /// Takes rows that cannot be used out of a store: each goes to a file in `STORE/damaged` first, and leaves an audit entry
  /// with the same write that removes it.
  ///
  /// - Returns: the files' names.
  package static func putAside(
    _ findings: [StoreFinding], of store: VigilStore, actor: String, now: Int64
  ) throws(BackupError) -> [String] {
    try backing {
      var names: [String] = []
      for finding in findings where finding.kind == .row && finding.canBePutAside {
        let family = try store.store.family(finding.family)
        guard let kept = try kept(finding.key, family, store.store) else { continue }
        let name = try DamagedPlace.put(kept, family: finding.family, key: finding.key, store: store.path)
        let batch = store.makeBatch()
        batch.delete(family, key: finding.key)
        let entry = AuditEntry(
          time: now, actor: actor, action: "chunk.quarantine", subject: name,
          detail: "\(kept.count) bytes: \(finding.what)", reason: "verify --repair")
        try store.audit.record(entry, with: batch, sync: true)
        names.append(name)
      }
      return names
    }
  }

  private static func kept(_ key: [UInt8], _ family: Family, _ store: Store) throws -> [UInt8]? {
    let iterator = try store.iterator(family)
    defer { iterator.close() }
    guard try iterator.seek(key), iterator.key.elementsEqual(key) else { return nil }
    return [UInt8](iterator.keptValue)
  }

  /// What copying a store's readable rows did.
  package struct Rebuilt: Hashable, Sendable {
    package var rows = 0
    /// Places where rows could not be read.
    package var holes = 0
    /// The damaged store, whole, for whoever wants to look.
    package var aside = ""
  }

  /// Copies every row that can be read into a new store, puts that in the old one's place and the old one aside, for damage
  /// that no row can be taken out of: blocks of files that are not what was written.
  ///
  /// The values are copied as kept, so no key is needed. What follows has a new log: make a backup afterwards.
  ///
  /// - Parameters:
  ///   - now: names the folder the damaged store goes to, milliseconds since 1970.
  ///   - progress: told of bytes copied.
  /// - Throws: `.store`, `.file`; the store is then as it was.
  package static func rebuild(
    _ path: String, now: Int64, _ progress: (Int) -> Void = { _ in }
  ) throws(BackupError) -> Rebuilt {
    let fresh = path + ".rebuilt"
    BackupFiles.removeTree(fresh)
    var rebuilt = Rebuilt(aside: path + ".damaged-\(now)")
    do throws(BackupError) {
      try copyRows(path, fresh, &rebuilt, progress)
      for name in try BackupFiles.files(below: path) where name == "last-committed" || name.hasPrefix("damaged/") {
        try BackupFiles.makeFolder(fresh + (name.hasPrefix("damaged/") ? DamagedPlace.folder : ""))
        _ = try BackupFiles.pass(path + "/" + name, to: fresh + "/" + name)
      }
      try BackupFiles.syncFolder(fresh)
      try BackupFiles.exchange(path, with: fresh, aside: rebuilt.aside)
      return rebuilt
    } catch {
      BackupFiles.removeTree(fresh)
      throw error
    }
  }

  private static func copyRows(
    _ path: String, _ fresh: String, _ rebuilt: inout Rebuilt, _ progress: (Int) -> Void
  ) throws(BackupError) {
    var counts = rebuilt
    try backing {
      var options = StoreFamilies.options
      options.createIfMissing = false
      let old = try Store.open(path: path, families: StoreFamilies.specs, options: options)
      defer { old.close() }
      let new = try Store.open(path: fresh, families: StoreFamilies.specs, options: StoreFamilies.options)
      defer { new.close() }
      for spec in StoreFamilies.specs {
        let (from, to) = (try old.family(spec.name), try new.family(spec.name))
        let batch = WriteBatch(for: new)
        let stretches = try old.readThrough(from) { (iterator) throws(StoreError) in
          batch.putAsKept(to, key: iterator.key, value: iterator.keptValue)
          counts.rows += 1
          guard batch.byteSize > 1 << 20 else { return }
          progress(batch.byteSize)
          try new.write(batch, sync: false)
          batch.clear()
        }
        counts.holes += stretches.count
        try new.write(batch, sync: false)
      }
      try new.syncLog()
      try new.flush()
    }
    rebuilt = counts
  }
}
