import Glibc
import VitalModel

/// A folder of numbered backups that share files, and of the archived log between them:
///
/// ```
/// backups.json            what there is, for people and programs
/// backups/000001.backup   one backup: facts and files
/// files/SHA256            the files, each once however many backups have it
/// journal/IDENTITY/N.log  the archived log of one store, from change N on
/// ```
package struct BackupSet: Sendable {
  package let path: String

  package init(_ path: String) { self.path = path }

  var manifests: String { path + "/backups" }
  var files: String { path + "/files" }
  /// Where the archived log of a store lies.
  package func journal(_ identity: String) -> String { path + "/journal/" + identity }

  /// Where damaged files and manifests are put, so that the next backup copies them again.
  var damaged: String { path + "/damaged" }

  static func manifestName(_ number: Int) -> String {
    let digits = String(number)
    return String(repeating: "0", count: max(0, 6 - digits.count)) + digits + ".backup"
  }

  private func manifestPath(_ number: Int) -> String { manifests + "/" + BackupSet.manifestName(number) }

  // MARK: Reading

  /// What there is, and what should be.
  package struct Listing: Sendable {
    /// Those that can be read, oldest first.
    package var backups: [BackupManifest] = []
    /// Manifests that cannot, with the reason.
    package var damaged: [BackupError] = []
    /// Numbers between the others of which there is no manifest.
    package var missing: [Int] = []
    /// The highest number ever given that can be told.
    var numberMax = 0

    /// Nothing may be dropped while it is not known what is still wanted.
    package var isComplete: Bool { damaged.isEmpty && missing.isEmpty }
  }

  /// All backups; one that cannot be read does not hide the others.
  ///
  /// - Throws: `.file` when the folder cannot be listed.
  package func listing() throws(BackupError) -> Listing {
    var listing = Listing()
    var numbers: Set<Int> = []
    for name in try BackupFiles.names(manifests) where name.hasSuffix(".backup") {
      let path = manifests + "/" + name
      let number = Int(name.dropLast(7))
      if let number { numbers.insert(number) }
      do throws(BackupError) {
        guard let manifest = BackupManifest(try BackupFiles.read(path)), manifest.facts.number == number else {
          throw .damaged(path: path, "its lines do not match the digest at its end")
        }
        listing.backups.append(manifest)
      } catch {
        listing.damaged.append(error)
      }
    }
    listing.backups.sort { $0.facts.number < $1.facts.number }
    // One put aside is known to be gone.
    let aside = Set(try BackupFiles.names(damaged).compactMap { $0.hasSuffix(".backup") ? Int($0.dropLast(7)) : nil })
    if let first = numbers.min(), let last = numbers.max() {
      listing.missing = last - first < 1_000_000 ? (first...last).filter { !numbers.union(aside).contains($0) } : []
    }
    listing.numberMax = numbers.union(aside).max() ?? 0
    return listing
  }

  /// All backups that can be read, oldest first.
  package func backups() throws(BackupError) -> [BackupManifest] { try listing().backups }

  // MARK: Making

  /// What making a backup did.
  package struct Made: Hashable, Sendable {
    package var backup: BackupManifest
    /// Files and bytes copied; the others are shared with earlier backups.
    package var filesNew = 0
    package var bytesNew: UInt64 = 0
    /// Numbers of older backups that went.
    package var purged: [Int] = []
    /// Why nothing was dropped although `keep` would have it; nil when nothing stood against it.
    package var purgeHeld: String?
  }

  /// Adds a backup of a checkpoint. Until its last step the set is as it was before.
  ///
  /// - Parameters:
  ///   - keep: backups that stay, the newest ones; nil: all. Nothing is dropped while a manifest is damaged or missing.
  ///   - progress: told of bytes looked at, about the checkpoint's size in all.
  /// - Throws: `.inUse`, `.file`, `.damaged`.
  package func add(
    _ checkpoint: StoreCheckpoint, keep: Int? = nil, _ progress: (Int) -> Void = { _ in }
  ) throws(BackupError) -> Made {
    for folder in [path, manifests, files] { try BackupFiles.makeFolder(folder) }
    let lock = try BackupLock(path)
    defer { withExtendedLifetime(lock) {} }
    let listing = try listing()
    let earlier = listing.backups
    var known: [BackupFile: String] = [:]
    for backup in earlier where backup.facts.identity == checkpoint.facts.identity {
      for file in backup.files where file.name.hasSuffix(".sst") { known[file.unnamed] = file.digest }
    }
    var facts = checkpoint.facts
    facts.number = listing.numberMax + 1
    var made = Made(backup: BackupManifest(facts: facts, files: []))
    for name in try BackupFiles.files(below: checkpoint.path) where !name.hasSuffix("LOCK") {
      let file = try add(checkpoint.path, name, known, &made, progress)
      made.backup.files.append(file)
    }
    try BackupFiles.syncFolder(files)
    let manifest = manifestPath(facts.number)
    guard !BackupFiles.exists(manifest) else { throw .exists(path: manifest) }
    try BackupFiles.write(Array(made.backup.text.utf8), to: manifest, in: manifests)
    var kept = earlier + [made.backup]
    made.purgeHeld = held(listing)
    if let keep, made.purgeHeld == nil {
      for backup in kept.dropLast(max(1, keep)) {
        unlink(manifestPath(backup.facts.number))
        made.purged.append(backup.facts.number)
      }
      kept = kept.suffix(max(1, keep))
    }
    try BackupFiles.syncFolder(manifests)
    try BackupFiles.write(Array(index(kept).utf8), to: path + "/backups.json", in: path)
    if made.purgeHeld == nil { try dropUnused(kept) }
    return made
  }

  private func held(_ listing: Listing) -> String? {
    guard !listing.isComplete else { return nil }
    let what =
      listing.damaged.first?.description
      ?? "\(manifests)/\(BackupSet.manifestName(listing.missing.first ?? 0)): missing"
    return "\(what); nothing is dropped before `vigil verify --backup \(path) --repair` has put it aside"
  }

  private func add(
    _ folder: String, _ name: String, _ known: [BackupFile: String], _ made: inout Made, _ progress: (Int) -> Void
  ) throws(BackupError) -> BackupFile {
    let source = folder + "/" + name
    guard let facts = BackupFiles.facts(source) else { throw BackupFiles.failure(source) }
    var file = BackupFile(digest: "", bytes: facts.bytes, modified: facts.modified, name: name)
    // A table file never changes: same store, name, size and time are the same bytes.
    if let digest = known[file], BackupFiles.facts(files + "/" + digest)?.bytes == facts.bytes {
      file.digest = digest
      progress(Int(clamping: facts.bytes))
      return file
    }
    let temporary = files + "/incoming"
    let passage = try BackupFiles.pass(source, to: temporary, progress)
    (file.digest, file.bytes) = (passage.digest, passage.bytes)
    let target = files + "/" + passage.digest
    let isThere = BackupFiles.facts(target)?.bytes == passage.bytes
    // Over what is there: that may have been damaged since, and this was just read.
    guard rename(temporary, target) == 0 else { throw BackupFiles.failure(target) }
    guard !isThere else { return file }
    made.filesNew += 1
    made.bytesNew += passage.bytes
    return file
  }

  /// Drops files no kept backup has, and archived log that no kept backup needs.
  private func dropUnused(_ kept: [BackupManifest]) throws(BackupError) {
    let used = Set(kept.flatMap { $0.files.map(\.digest) })
    for name in try BackupFiles.names(files) where !used.contains(name) { unlink(files + "/" + name) }
    for identity in try BackupFiles.names(path + "/journal") {
      let own = kept.map(\.facts).filter { $0.identity == identity }
      let epochs = try ArchiveEpoch.all(in: journal(identity))
      // A store without a kept backup has no beginning to apply its log to; one that has just begun has no backup yet.
      guard !own.isEmpty else {
        let newest = try epochs.last.flatMap { (epoch) throws(BackupError) in
          try LogArchive.segments(in: epoch.folder).last
        }
        // One that is being written is not old, whatever is in it.
        if newest.map({ isOlder($0.path, than: kept.first) }) ?? true, (try? BackupLock(journal(identity))) != nil {
          BackupFiles.removeTree(journal(identity))
        }
        continue
      }
      for (place, epoch) in epochs.enumerated() {
        try dropUnused(epoch, own, end: place + 1 < epochs.count ? epochs[place + 1].began : nil)
      }
    }
  }

  /// - Parameter end: when the next history began, nil for the last: a backup made before may still go on from this one.
  private func dropUnused(_ epoch: ArchiveEpoch, _ own: [BackupFacts], end: Int64?) throws(BackupError) {
    let segments = try LogArchive.segments(in: epoch.folder)
    let needed = own.filter { backup in end.map { backup.time < $0 } ?? true }.map(\.sequence).min()
    if let needed {
      for (segment, next) in zip(segments, segments.dropFirst()) where next.first <= needed + 1 {
        unlink(segment.path)
      }
    } else {
      for segment in segments { unlink(segment.path) }
      if epoch.number > 1 { BackupFiles.removeTree(epoch.folder) }
    }
  }

  private func isOlder(_ path: String, than backup: BackupManifest?) -> Bool {
    guard let backup, let facts = BackupFiles.facts(path) else { return false }
    return facts.modified / 1_000_000 < backup.facts.time
  }

  private func index(_ backups: [BackupManifest]) -> String {
    var seen: Set<String> = []
    var out = JSONText()
    out.object { out in
      out.field("format", 1)
      out.array("backups") { out in
        for backup in backups {
          let shared = backup.files.filter { seen.contains($0.digest) }
          seen.formUnion(backup.files.map(\.digest))
          var one = JSONText()
          one.object { $0.append(backup, shared: shared) }
          out.rawElement(one.text)
        }
      }
    }
    return out.text + "\n"
  }
}

extension BackupFile {
  /// All but the digest: what tells whether a table file is known.
  fileprivate var unnamed: BackupFile {
    var copy = self
    copy.digest = ""
    return copy
  }
}

extension JSONText {
  /// The facts of a backup, as `backups.json` and `vigil backup --json` show them.
  package mutating func append(_ backup: BackupManifest, shared: [BackupFile]) {
    field("number", backup.facts.number)
    field("time", Timestamp.format(backup.facts.time))
    field("last_position", Int(clamping: backup.facts.position))
    field("last_ingest_time", backup.facts.ingestTime.map(Timestamp.format))
    field("sequence", Int(clamping: backup.facts.sequence))
    field("store_format", Int(backup.facts.format))
    field("sealed", backup.facts.isSealed)
    field("identity", backup.facts.identity)
    field("files", backup.files.count)
    field("bytes", Int(clamping: backup.byteCount))
    field("files_shared", shared.count)
    field("bytes_shared", Int(clamping: shared.reduce(0) { $0 + $1.bytes }))
  }
}
