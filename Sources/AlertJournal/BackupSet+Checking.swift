import Glibc

extension BackupSet {
  /// Digests of files read so far, so that a file that many backups share is read once.
  package typealias Read = [String: BackupRead]

  /// What reading one file of the set found: its digest and size; nil when it cannot be read.
  package struct BackupRead: Hashable, Sendable {
    var digest: String?
    var bytes: UInt64
  }

  /// Reads every file of a backup and compares it with its digest.
  ///
  /// - Parameter read: what was read for other backups; given from one call to the next.
  /// - Returns: files that are missing or not as they were written.
  package func verify(
    _ backup: BackupManifest, _ read: inout Read, _ progress: (Int) -> Void = { _ in }
  ) -> [BackupFile] {
    var bad: [BackupFile] = []
    for file in backup.files {
      let found: BackupRead
      if let known = read[file.digest] {
        found = known
      } else {
        let passage = try? BackupFiles.pass(files + "/" + file.digest, to: nil, progress)
        found = BackupRead(digest: passage?.digest, bytes: passage?.bytes ?? 0)
        read[file.digest] = found
      }
      if found.digest != file.digest || found.bytes != file.bytes { bad.append(file) }
    }
    return bad
  }

  /// Puts damaged files and manifests aside, so that the next backup copies the files again if the store still has them, and
  /// old backups can be dropped again.
  ///
  /// - Parameter bad: what ``verify(_:_:_:)`` found.
  /// - Returns: where they are now.
  /// - Throws: `.inUse` while a backup is being made; `.file`.
  package func putAside(_ bad: [BackupFile]) throws(BackupError) -> [String] {
    let lock = try BackupLock(path)
    defer { withExtendedLifetime(lock) {} }
    let listing = try listing()
    var moved: [String] = []
    try BackupFiles.makeFolder(damaged)
    for digest in Set(bad.map(\.digest)).sorted() {
      let file = files + "/" + digest
      guard BackupFiles.exists(file) else { continue }
      // A backup made meanwhile has copied it again.
      if (try? BackupFiles.pass(file, to: nil))?.digest == digest { continue }
      moved.append(try move(file, digest))
    }
    for error in listing.damaged {
      guard case .damaged(let manifest, _) = error, let name = manifest.split(separator: "/").last else { continue }
      moved.append(try move(manifest, String(name)))
    }
    for number in listing.missing {
      // Whoever took it away has been asked: it holds up nothing any more.
      try BackupFiles.write([], to: damaged + "/" + BackupSet.manifestName(number), in: damaged)
      moved.append(damaged + "/" + BackupSet.manifestName(number))
    }
    for folder in [damaged, files, manifests] { try BackupFiles.syncFolder(folder) }
    return moved
  }

  private func move(_ from: String, _ name: String) throws(BackupError) -> String {
    let target = damaged + "/" + name
    guard rename(from, target) == 0 else { throw BackupFiles.failure(target) }
    return target
  }

  // MARK: Archived log

  /// A place where the archived log of a store does not go on.
  package struct ArchiveFinding: Hashable, Sendable {
    package enum Kind: String, Sendable {
      /// Changes were never archived.
      case gap
      /// Bytes are not what was written.
      case damage
    }
    package var kind: Kind
    /// Of the store.
    package var identity: String
    /// First change that is not there, and the one the log goes on with; nil when it does not.
    package var from: UInt64
    package var to: UInt64?
    /// A backup made behind it: only moments between the backups around it cannot be restored.
    package var isPassed: Bool
  }

  /// Archived log of one store.
  package struct ArchiveVerdict: Hashable, Sendable {
    package var identity: String
    package var batches = 0
    package var bytes = 0
    package var findings: [ArchiveFinding] = []
    /// Damage, or a gap that no backup has passed yet.
    package var isSound: Bool { findings.allSatisfy { $0.kind == .gap && $0.isPassed } }
  }

  /// Reads all archived log of a set, frame by frame.
  ///
  /// - Throws: `.file` when a folder cannot be listed or a file not read.
  package func verifyArchive(_ progress: (Int) -> Void = { _ in }) throws(BackupError) -> [ArchiveVerdict] {
    var verdicts: [ArchiveVerdict] = []
    let facts = try backups().map(\.facts)
    for identity in try BackupFiles.names(path + "/journal") {
      var verdict = ArchiveVerdict(identity: identity)
      let root = journal(identity)
      let epochs = try ArchiveEpoch.all(in: root)
      var own: [(facts: BackupFacts, epoch: Int?)] = []
      for one in facts where one.identity == identity {
        own.append((one, try ArchiveEpoch.holding(one, in: root)?.number))
      }
      for epoch in epochs {
        let backups = own.filter { $0.epoch == epoch.number }.map(\.facts.sequence)
        try verify(epoch, backups, own.contains { ($0.epoch ?? 0) > epoch.number }, &verdict, progress)
      }
      verdicts.append(verdict)
    }
    return verdicts
  }

  private func verify(
    _ epoch: ArchiveEpoch, _ backups: [UInt64], _ isPast: Bool, _ verdict: inout ArchiveVerdict,
    _ progress: (Int) -> Void
  ) throws(BackupError) {
    func add(_ kind: ArchiveFinding.Kind, _ from: UInt64, _ to: UInt64?) {
      let isPassed = isPast || to.map { to in backups.contains { $0 + 1 >= to } } ?? false
      verdict.findings.append(
        ArchiveFinding(kind: kind, identity: verdict.identity, from: from, to: to, isPassed: isPassed))
    }
    let segments = try LogArchive.segments(in: epoch.folder)
    var next: UInt64?
    for (index, segment) in segments.enumerated() {
      let follows = index + 1 < segments.count ? segments[index + 1].first : nil
      if let from = next ?? backups.min().map({ $0 + 1 }), from < segment.first { add(.gap, from, segment.first) }
      let ending = try segment.read { (frame) throws(BackupError) in
        verdict.batches += 1
        verdict.bytes += frame.byteCount
        progress(frame.byteCount)
        return true
      }
      guard let ending else { continue }
      next = max(next ?? 0, ending.next)
      // What the next file begins with again was not lost.
      if ending.isDamaged, follows.map({ $0 > ending.next }) ?? true {
        add(.damage, ending.next, follows)
        next = follows ?? next
      }
    }
  }
}
