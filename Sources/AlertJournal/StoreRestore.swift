import Glibc
import KeyValueStore

/// Makes a store again from a backup set: a backup, and the archived log behind it up to a moment.
///
/// The new store is what the old one would have been had it lost power at that moment: every table in step, and what was
/// already delivered marked so. It never overwrites a store.
package struct StoreRestore: Sendable {
  package let set: BackupSet
  /// Where the archived log is when not in the set.
  package let archive: BackupSet

  package init(_ set: BackupSet, archive: BackupSet? = nil) {
    self.set = set
    self.archive = archive ?? set
  }

  /// What was restored.
  package struct Outcome: Hashable, Sendable {
    package var backup: BackupFacts
    /// Batches of the archived log applied.
    package var batches = 0
    /// Last journal position, 0 when there is none, and ingest time of the newest entry.
    package var position: UInt64
    package var ingestTime: Int64?
    /// Whether the restored store's values are encrypted: what it says itself, whatever the manifest does.
    package var isSealed = false
    /// Why it ends before the moment asked for; nil when it does not.
    package var shortfall: Shortfall?
  }

  /// Why no later moment could be reached.
  package enum Shortfall: Hashable, Sendable {
    /// The archived log ends here, with nothing behind.
    case end
    /// Changes between are in no archive.
    case gap(from: UInt64, to: UInt64)
    /// The archived log is damaged from this change on, and more had been archived.
    case damage(from: UInt64)
    /// The archive holds another history of the store than the one the backup is of.
    case otherHistory
  }

  /// The backup to begin with: the newest at or before a moment, ingest time in milliseconds; the newest at all when nil.
  ///
  /// Where a set has backups of several stores, it is of the one that with its archived log comes closest to the moment.
  package func backup(atOrBefore time: Int64?) throws(BackupError) -> BackupManifest {
    let listing = try set.listing()
    guard let newest = listing.backups.last else {
      throw listing.damaged.first
        ?? .absent("\(set.path): no backup here; name the folder `vigil backup` wrote to")
    }
    guard let time else { return newest }
    var newestOf: [String: BackupManifest] = [:]
    for backup in listing.backups where (backup.facts.ingestTime ?? .min) <= time {
      newestOf[backup.facts.identity] = backup
    }
    let candidates = newestOf.values.sorted { $0.facts.number < $1.facts.number }
    guard let first = candidates.first else {
      throw .absent(
        "\(set.path): every backup here is of a later moment; the oldest that can be reached is that of backup "
          + "\(listing.backups[0].facts.number) (`backups.json` has the times)")
    }
    guard candidates.count > 1 else { return first }
    var best = (backup: first, reach: try reach(first.facts, to: time))
    for backup in candidates.dropFirst() {
      let reach = try reach(backup.facts, to: time)
      if reach >= best.reach { best = (backup, reach) }
    }
    return best.backup
  }

  /// Ingest time of the newest journal batch at or before a moment that a backup and its archived log hold.
  private func reach(_ facts: BackupFacts, to time: Int64) throws(BackupError) -> Int64 {
    var reached = facts.ingestTime ?? .min
    guard let epoch = try ArchiveEpoch.holding(facts, in: archive.journal(facts.identity)) else { return reached }
    _ = try LogArchive.read(folder: epoch.folder, from: facts.sequence + 1) { (frame) throws(BackupError) in
      guard let note = frame.note else { return true }
      guard note.ingestTimes.upperBound <= time else { return false }
      reached = note.ingestTimes.upperBound
      return true
    }
    return reached
  }

  /// Restores into a folder that must not exist.
  ///
  /// - Parameters:
  ///   - time: ingest time in milliseconds: the last journal batch at or before it is in; nil: everything there is.
  ///   - progress: told of bytes copied.
  ///   - finish: opens the new store where it is being made, for what is to be in it from the first; what it throws ends the
  ///     restore.
  /// - Throws: `.exists`, `.absent`, `.damaged`, `.file`, `.store`; nothing is then left behind.
  package func restore(
    _ backup: BackupManifest, to time: Int64?, store path: String, _ progress: (Int) -> Void = { _ in },
    finish: (_ folder: String, Outcome) throws -> Void = { _, _ in }
  ) throws(BackupError) -> Outcome {
    let partial = path + ".partial"
    guard !BackupFiles.exists(path) else { throw .exists(path: path) }
    guard backup.facts.format <= VigilStore.formatVersion else {
      throw .store(
        .init(
          StoreError.formatTooNew(
            "store format \(backup.facts.format), and this program knows formats up to \(VigilStore.formatVersion)")))
    }
    BackupFiles.removeTree(partial)
    try BackupFiles.makeFolder(partial)
    do throws(BackupError) {
      try copy(backup, to: partial, progress)
      let outcome = try apply(backup, to: time, partial)
      try backing { try finish(partial, outcome) }
      try sync(partial)
      guard rename(partial, path) == 0 else { throw BackupFiles.failure(path) }
      let parent = path.lastIndex(of: "/").map { String(path[..<$0]) } ?? "."
      try BackupFiles.syncFolder(parent.isEmpty ? "/" : parent)
      return outcome
    } catch {
      BackupFiles.removeTree(partial)
      throw error
    }
  }

  private func copy(
    _ backup: BackupManifest, to folder: String, _ progress: (Int) -> Void
  ) throws(BackupError) {
    // A name of its own: what the restored store writes is another history.
    for file in backup.files where file.name != "IDENTITY" {
      if let slash = file.name.lastIndex(of: "/") { try BackupFiles.makeFolder(folder + "/" + file.name[..<slash]) }
      let source = set.files + "/" + file.digest
      let passage = try BackupFiles.pass(source, to: folder + "/" + file.name, progress)
      guard passage.digest == file.digest else {
        throw .damaged(path: source, "it is no longer what backup \(backup.facts.number) copied; use an older backup")
      }
    }
  }

  private func apply(_ backup: BackupManifest, to time: Int64?, _ folder: String) throws(BackupError) -> Outcome {
    var outcome = Outcome(backup: backup.facts, position: backup.facts.position, ingestTime: backup.facts.ingestTime)
    let store = try backing {
      try Store.open(
        path: folder, families: backup.facts.isSealed ? StoreFamilies.sealedSpecs : StoreFamilies.specs,
        options: StoreFamilies.options)
    }
    defer { store.close() }
    outcome.isSealed = try backing {
      try KeyHeader.read(Table(store: store, family: try store.family("keys"))) != nil
    }
    let from = try backing { try store.latestSequence() } + 1
    if let epoch = try ArchiveEpoch.holding(backup.facts, in: archive.journal(backup.facts.identity)) {
      let end = try LogArchive.read(folder: epoch.folder, from: from) { (frame) throws(BackupError) in
        if let note = frame.note {
          if let time, note.ingestTimes.upperBound > time { return false }
          (outcome.position, outcome.ingestTime) = (note.last, note.ingestTimes.upperBound)
        }
        try backing { try store.apply(frame.logged) }
        outcome.batches += 1
        return true
      }
      outcome.shortfall = end.flatMap { shortfall($0, outcome, time) }
    } else {
      outcome.shortfall = .otherHistory
    }
    try backing {
      try store.syncLog()
      try store.flush()
    }
    var marker = CommitMarker(storePath: folder)
    guard marker.write(outcome.position) else { throw BackupFiles.failure(folder) }
    return outcome
  }

  private func shortfall(_ end: ArchiveEnd, _ outcome: Outcome, _ time: Int64?) -> Shortfall? {
    if let time, (outcome.ingestTime ?? .min) >= time { return nil }
    if let behind = end.behindGap { return .gap(from: end.next, to: behind) }
    if end.isDamaged { return .damage(from: end.next) }
    return time == nil ? nil : .end
  }

  private func sync(_ folder: String) throws(BackupError) {
    for name in try BackupFiles.files(below: folder) {
      let path = folder + "/" + name
      let descriptor = open(path, O_RDONLY | O_CLOEXEC)
      guard descriptor >= 0 else { throw BackupFiles.failure(path) }
      defer { close(descriptor) }
      guard fsync(descriptor) == 0 else { throw BackupFiles.failure(path) }
    }
    try BackupFiles.syncFolder(folder)
  }
}
