import Digests
import Foundation
import KeyValueStore
import Pipeline
import Testing
import VitalModel

@testable import AlertJournal

@Suite struct BackupTests {
  @Test(arguments: [1, 2]) func anyMomentIsRestoredAsItWas(seed: UInt64) throws {
    let written = try WrittenStore(seed: seed)
    var archive: LogArchive? = try LogArchive(written.store, set: written.set)
    _ = try archive?.step(now: written.now)
    try written.write(20)
    try written.backup()
    let first = written.now
    for _ in 0..<12 {
      try written.write(Int(written.random.next() % 30))
      switch written.random.next() % 6 {
      case 0: try written.backup()
      case 1: try written.store.store.flush()
      case 2:
        // The service is killed: what it had not archived is archived by the next one.
        archive = nil
        try written.restart()
        archive = try LogArchive(written.store, set: written.set)
      default: break
      }
      #expect(try archive?.step(now: written.now).hasGap == false)
    }
    for round in 0..<6 {
      let time = first + Int64(written.random.next() % UInt64(written.now - first + 2000))
      let (outcome, digest) = try written.restored(to: time, "restored-\(round)")
      #expect(digest == written.digest(at: time), "seed \(seed), to \(time)")
      #expect((outcome.ingestTime ?? .min) <= time, "seed \(seed)")
      #expect((outcome.shortfall == .end) == (time > written.now), "seed \(seed), \(time) of \(written.now)")
    }
    let (_, latest) = try written.restored(to: nil, "latest")
    #expect(latest == written.writes.last?.digest, "seed \(seed)")
  }

  @Test func backupsShareFilesAndOldOnesGo() throws {
    let written = try WrittenStore(seed: 4)
    try written.write(60)
    let first = try written.backup()
    try written.write(5)
    let second = try written.backup()
    #expect(second.backup.facts.number == 2)
    #expect(second.filesNew < second.backup.files.count)
    #expect(second.backup.facts.position == written.position)
    #expect(try written.set.backups() == [first.backup, second.backup])
    var read: BackupSet.Read = [:]
    var seen = 0
    for backup in try written.set.backups() { #expect(written.set.verify(backup, &read) { seen += $0 }.isEmpty) }
    // What they share is read once.
    #expect(UInt64(seen) == first.backup.byteCount + second.bytesNew)

    try written.write(5)
    let third = try written.backup(keep: 2)
    #expect(third.purged == [1])
    #expect(try written.set.backups().map(\.facts.number) == [2, 3])
    let used = Set(try written.set.backups().flatMap { $0.files.map(\.digest) })
    #expect(try Set(BackupFiles.names(written.set.files)) == used)
    let index = try String(contentsOfFile: written.set.path + "/backups.json", encoding: .utf8)
    #expect(index.contains(#""number":2"#) && index.contains(#""number":3"#) && !index.contains(#""number":1"#))
    #expect(!BackupFiles.exists(written.store.path + "/checkpoint"))
    // What is still being copied is left alone.
    let copying = try StoreCheckpoint.lock(storePath: written.store.path)
    let checkpoint = try StoreCheckpoint.make(of: written.store, now: 1)
    #expect(throws: BackupError.inUse(path: written.store.path)) {
      try StoreCheckpoint.lock(storePath: written.store.path)
    }
    StoreCheckpoint.removeLeftover(storePath: written.store.path)
    #expect(BackupFiles.exists(checkpoint.path))
    withExtendedLifetime(copying) { checkpoint.remove() }
    let (_, digest) = try written.restored(to: nil, "third")
    #expect(digest == written.writes.last?.digest)
  }

  @Test func aBackupInBetweenMakesNoGapForOlderOnes() throws {
    let written = try WrittenStore(seed: 11)
    var archive: LogArchive? = try LogArchive(written.store, set: written.set)
    try written.write(10)
    let first = try written.backup()
    try written.write(10)
    _ = try archive?.step(now: written.now)
    archive = nil
    try written.write(10)
    try written.backup()
    try written.restart()
    archive = try LogArchive(written.store, set: written.set)
    try written.write(10)
    #expect(try archive?.step(now: written.now).hasGap == false)
    let outcome = try StoreRestore(written.set).restore(
      first.backup, to: nil, store: written.folder.entry("from-first"))
    #expect(outcome.position == written.position && outcome.shortfall == nil)
  }

  @Test func aStoreNoLongerArchivedKeepsNoLog() throws {
    let written = try WrittenStore(seed: 10)
    try written.write(20)
    try written.store.store.flush()
    try written.write(20)
    try written.restart()
    let kept = written.store.path + "/archive"
    #expect(try !BackupFiles.names(kept).isEmpty)
    written.store.close()
    written.store = try VigilStore.open(path: written.store.path, keepsLog: false)
    #expect(try BackupFiles.names(kept).isEmpty)
  }

  @Test func whatAnInterruptedBackupLeftIsReplaced() throws {
    let written = try WrittenStore(seed: 5)
    try written.write(30)
    _ = try StoreCheckpoint.make(of: written.store, now: 1)
    try BackupFiles.makeFolder(written.set.files)
    try BackupFiles.write([1, 2, 3], to: written.set.files + "/incoming", in: written.set.files)
    try written.write(30)
    let made = try written.backup()
    #expect(try Set(BackupFiles.names(written.set.files)) == Set(made.backup.files.map(\.digest)))
    let (_, digest) = try written.restored(to: nil, "restored")
    #expect(digest == written.writes.last?.digest)
  }

  @Test func damageInABackupIsFoundAndNeverRestored() throws {
    let written = try WrittenStore(seed: 6)
    try written.write(30)
    let made = try written.backup()
    let file = try #require(made.backup.files.first { $0.name.hasSuffix(".sst") })
    let path = written.set.files + "/" + file.digest
    var bytes = try BackupFiles.read(path)
    bytes[bytes.count / 2] ^= 1
    try BackupFiles.write(bytes, to: path, in: written.set.files)
    var read: BackupSet.Read = [:]
    #expect(written.set.verify(made.backup, &read).map(\.name) == [file.name])
    let target = written.folder.entry("restored")
    #expect {
      try StoreRestore(written.set).restore(made.backup, to: nil, store: target)
    } throws: { error in
      if case .damaged? = error as? BackupError { return true }
      return false
    }
    #expect(!BackupFiles.exists(target) && !BackupFiles.exists(target + ".partial"))
    // A manifest is held against its own digest.
    let manifest = written.set.manifests + "/000001.backup"
    for offset in stride(from: 0, to: try BackupFiles.read(manifest).count, by: 7) {
      var changed = try BackupFiles.read(manifest)
      changed[offset] ^= 2
      #expect(BackupManifest(changed) == nil)
    }
  }

  @Test func aRestoreNeverOverwrites() throws {
    let written = try WrittenStore(seed: 7)
    try written.write(10)
    let made = try written.backup()
    #expect(throws: BackupError.exists(path: written.store.path)) {
      try StoreRestore(written.set).restore(made.backup, to: nil, store: written.store.path)
    }
    #expect {
      try StoreRestore(written.set).backup(atOrBefore: 5)
    } throws: { error in
      if case .absent? = error as? BackupError { return true }
      return false
    }
  }

  @Test func aTornEndOfTheArchiveIsWrittenAgainAndAGapIsSaid() throws {
    let written = try WrittenStore(seed: 8)
    var archive: LogArchive? = try LogArchive(written.store, set: written.set)
    try written.write(10)
    try written.backup()
    try written.write(20)
    _ = try archive?.step(now: written.now)
    archive = nil
    let folder = written.set.journal(try #require(written.store.store.identity))
    let segment = try #require(try LogArchive.segments(in: folder).last)
    let bytes = try BackupFiles.read(segment.path)
    try BackupFiles.write(Array(bytes.dropLast(9)), to: segment.path, in: folder)
    archive = try LogArchive(written.store, set: written.set)
    try written.write(5)
    #expect(try archive?.step(now: written.now).hasGap == false)
    #expect(try written.restored(to: nil, "whole").1 == written.writes.last?.digest)

    // A segment lost: everything before it can be restored, and what is missing is said.
    try BackupFiles.write(Array(bytes.prefix(bytes.count / 2)), to: segment.path, in: folder)
    let (outcome, digest) = try written.restored(to: written.now, "short")
    guard case .gap? = outcome.shortfall else {
      Issue.record("no gap: \(String(describing: outcome.shortfall))")
      return
    }
    #expect(written.writes.contains { $0.digest == digest })
    #expect(throws: BackupError.inUse(path: folder)) { try LogArchive(written.store, set: written.set) }
  }

  @Test func hostileSegmentsAreReadToTheirLastWholeFrame() throws {
    let written = try WrittenStore(seed: 9)
    let archive = try LogArchive(written.store, set: written.set)
    _ = try archive.step(now: 0)
    try written.write(30)
    let step = try archive.step(now: written.now)
    #expect(step.batches == 30)
    let folder = written.set.journal(try #require(written.store.store.identity))
    let segment = try #require(try LogArchive.segments(in: folder).last)
    let whole = try BackupFiles.read(segment.path)
    for _ in 0..<100 {
      var bytes = whole
      bytes[Int(written.random.next() % UInt64(bytes.count))] ^= UInt8(truncatingIfNeeded: written.random.next() | 1)
      try BackupFiles.write(bytes, to: segment.path, in: folder)
      var count = 0
      _ = try? segment.read { (_) throws(BackupError) in
        count += 1
        return true
      }
      #expect(count < 30)
    }
  }
}
