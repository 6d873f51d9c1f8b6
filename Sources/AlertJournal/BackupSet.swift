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

  private func manifestPath(_ number: Int) -> String {
    let digits = String(number)
    return manifests + "/" + String(repeating: "0", count: max(0, 6 - digits.count)) + digits + ".backup"
  }

  // MARK: Reading

  /// All backups, oldest first.
  ///
  /// - Throws: `.damaged` for a manifest that is not as it was written.
  package func backups() throws(BackupError) -> [BackupManifest] {
    var found: [BackupManifest] = []
    for name in BackupFiles.names(manifests) where name.hasSuffix(".backup") {
      let path = manifests + "/" + name
      guard let manifest = BackupManifest(try BackupFiles.read(path)) else {
        throw .damaged(path: path, "its lines do not match the digest at its end")
      }
      found.append(manifest)
    }
    return found.sorted { $0.facts.number < $1.facts.number }
  }

  /// Reads every file of a backup and compares it with its digest.
  ///
  /// - Returns: names of files that are missing or not as they were written.
  package func verify(_ backup: BackupManifest, _ progress: (Int) -> Void = { _ in }) -> [String] {
    backup.files.filter { file in
      let passage = try? BackupFiles.pass(files + "/" + file.digest, to: nil, progress)
      return passage?.digest != file.digest || passage?.bytes != file.bytes
    }.map(\.name)
  }

  // MARK: Making

  /// What making a backup did.
  package struct Made: Hashable, Sendable {
    package var backup: BackupManifest
    /// Files and bytes copied; the others are shared with earlier backups.
    package var filesNew = 0
    package var bytesNew: UInt64 = 0
    /// Numbers of older backups that went.
    package var purged: [Int] = []
  }

  /// Adds a backup of a checkpoint. Until its last step the set is as it was before.
  ///
  /// - Parameters:
  ///   - keep: backups that stay, the newest ones; nil: all.
  ///   - progress: told of bytes looked at, about the checkpoint's size in all.
  /// - Throws: `.inUse`, `.file`, `.damaged`.
  package func add(
    _ checkpoint: StoreCheckpoint, keep: Int? = nil, _ progress: (Int) -> Void = { _ in }
  ) throws(BackupError) -> Made {
    for folder in [path, manifests, files] { try BackupFiles.makeFolder(folder) }
    let lock = try BackupLock(path)
    defer { withExtendedLifetime(lock) {} }
    let earlier = try backups()
    var known: [BackupFile: String] = [:]
    for backup in earlier where backup.facts.identity == checkpoint.facts.identity {
      for file in backup.files where file.name.hasSuffix(".sst") { known[file.unnamed] = file.digest }
    }
    var facts = checkpoint.facts
    facts.number = (earlier.last?.facts.number ?? 0) + 1
    var made = Made(backup: BackupManifest(facts: facts, files: []))
    for name in BackupFiles.files(below: checkpoint.path) where !name.hasSuffix("LOCK") {
      let file = try add(checkpoint.path, name, known, &made, progress)
      made.backup.files.append(file)
    }
    try BackupFiles.syncFolder(files)
    try BackupFiles.write(Array(made.backup.text.utf8), to: manifestPath(facts.number), in: manifests)
    var kept = earlier + [made.backup]
    if let keep {
      for backup in kept.dropLast(max(1, keep)) {
        unlink(manifestPath(backup.facts.number))
        made.purged.append(backup.facts.number)
      }
      kept = kept.suffix(max(1, keep))
    }
    try BackupFiles.syncFolder(manifests)
    try BackupFiles.write(Array(index(kept).utf8), to: path + "/backups.json", in: path)
    dropUnused(kept)
    return made
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
    if BackupFiles.facts(target)?.bytes == passage.bytes {
      unlink(temporary)
      return file
    }
    guard rename(temporary, target) == 0 else { throw BackupFiles.failure(target) }
    made.filesNew += 1
    made.bytesNew += passage.bytes
    return file
  }

  /// Drops files no kept backup has, and archived log that no kept backup needs.
  private func dropUnused(_ kept: [BackupManifest]) {
    let used = Set(kept.flatMap { $0.files.map(\.digest) })
    for name in BackupFiles.names(files) where !used.contains(name) { unlink(files + "/" + name) }
    for identity in BackupFiles.names(path + "/journal") {
      let own = kept.filter { $0.facts.identity == identity }.map(\.facts.sequence)
      let segments = LogArchive.segments(in: journal(identity))
      // A store without a kept backup has no beginning to apply its log to; one that has just begun has no backup yet.
      guard let needed = own.min() else {
        if segments.last.map({ isOlder($0.path, than: kept.first) }) ?? true {
          BackupFiles.removeTree(journal(identity))
        }
        continue
      }
      for (segment, next) in zip(segments, segments.dropFirst()) where next.first <= needed + 1 {
        unlink(segment.path)
      }
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
