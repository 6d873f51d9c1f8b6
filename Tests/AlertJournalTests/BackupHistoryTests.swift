import Foundation
import KeyValueStore
import Testing

@testable import AlertJournal

/// Stores that lost their end, and sets in which something is damaged or missing.
@Suite struct BackupHistoryTests {
  private func identity(_ written: WrittenStore) throws -> String { try #require(written.store.store.identity) }

  private func archiveAll(_ written: WrittenStore) throws -> LogArchive.Step {
    try LogArchive(written.store, set: written.set).step(now: written.now)
  }

  // MARK: Histories

  /// After the loss the store writes fewer changes than it had, as many, or more: its numbers are always given twice.
  @Test(arguments: [UInt64(3), 12, 60]) func twoHistoriesAreNeverAppliedAfterEachOther(_ count: UInt64) throws {
    let written = try WrittenStore(seed: count)
    try written.write(10)
    let first = try written.backup()
    try written.copy("copy")
    try written.write(20)
    #expect(try archiveAll(written).hasGap == false)
    let before = written.now
    let lost = try #require(written.writes.last?.digest)
    try written.loseEnd("copy")
    try written.write(Int(count))
    let unseen = try written.backup()
    var archive: LogArchive? = try LogArchive(written.store, set: written.set)
    #expect(try archive?.step(now: written.now + 5).hasGap == true, "seed \(count)")
    #expect(archive?.needsBackup == true)
    try written.write(15)
    #expect(try archive?.step(now: written.now + 5).hasGap == false)
    // A backup made in between goes on in the new history, one made before it in the old.
    #expect(try written.restored(to: nil, "new").1 == written.writes.last?.digest, "seed \(count)")
    let restore = StoreRestore(written.set)
    let path = written.folder.entry("old")
    let outcome = try restore.restore(first.backup, to: before, store: path)
    let old = try VigilStore.open(path: path)
    #expect(try contents(old.store) == lost, "seed \(count)")
    old.close()
    #expect(outcome.shortfall == nil && outcome.backup.identity == unseen.backup.facts.identity)

    // The next service goes on in the new history.
    archive = nil
    try written.restart()
    try written.write(5)
    #expect(try archiveAll(written).hasGap == false, "seed \(count)")
    let root = written.set.journal(try identity(written))
    #expect(try ArchiveEpoch.all(in: root).map(\.number) == [1, 2])
    // What only the old history's backups need goes with them.
    try written.write(5)
    try written.backup(keep: 1)
    #expect(try LogArchive.segments(in: root).isEmpty)
    #expect(try written.restored(to: nil, "last").1 == written.writes.last?.digest)
  }

  @Test func aBackupIsNeededUntilOnePastTheGapExists() throws {
    let written = try WrittenStore(seed: 21)
    try written.write(10)
    var archive: LogArchive? = try LogArchive(written.store, set: written.set)
    #expect(try archive?.step(now: written.now).hasGap == false)
    // No backup to apply the log to.
    #expect(archive?.needsBackup == true)
    archive = nil
    archive = try LogArchive(written.store, set: written.set)
    _ = try archive?.step(now: written.now)
    #expect(archive?.needsBackup == true, "a start does not forget it")
    try written.write(3)
    try written.backup()
    _ = try archive?.step(now: written.now + 60_000)
    #expect(archive?.needsBackup == false)
    #expect(try written.set.verifyArchive().allSatisfy(\.isSound))
  }

  // MARK: Damaged archive

  @Test func damageWithinTheArchiveIsAShortfallAndATornEndIsNone() throws {
    let written = try WrittenStore(seed: 22)
    try written.write(10)
    try written.backup()
    try written.write(30)
    _ = try archiveAll(written)
    let folder = written.set.journal(try identity(written))
    let segment = try #require(try LogArchive.segments(in: folder).last)
    let whole = try BackupFiles.read(segment.path)
    try BackupFiles.write(Array(whole.dropLast(5)), to: segment.path, in: folder)
    #expect(try written.restored(to: nil, "torn").0.shortfall == nil)
    #expect(try written.set.verifyArchive().allSatisfy(\.isSound))
    var changed = whole
    changed[whole.count / 2] ^= 4
    try BackupFiles.write(changed, to: segment.path, in: folder)
    let (outcome, _) = try written.restored(to: nil, "damaged")
    guard case .damage(let from)? = outcome.shortfall else {
      Issue.record("no damage: \(String(describing: outcome.shortfall))")
      return
    }
    let findings = try written.set.verifyArchive().flatMap(\.findings)
    #expect(findings.map(\.kind) == [.damage] && findings.first?.from == from)
  }

  // MARK: Damaged sets

  @Test func aDamagedFileIsCopiedAgain() throws {
    let written = try WrittenStore(seed: 23)
    try written.write(30)
    let first = try written.backup()
    let file = try #require(first.backup.files.first { $0.name.hasSuffix(".sst") })
    let path = written.set.files + "/" + file.digest
    var bytes = try BackupFiles.read(path)
    bytes[bytes.count / 2] ^= 1
    try BackupFiles.write(bytes, to: path, in: written.set.files)
    var read: BackupSet.Read = [:]
    let bad = written.set.verify(first.backup, &read)
    #expect(try written.set.putAside(bad) == [written.set.damaged + "/" + file.digest])
    try written.backup()
    read = [:]
    for backup in try written.set.backups() { #expect(written.set.verify(backup, &read).isEmpty) }
  }

  @Test func aManifestThatCannotBeReadHidesNoOtherAndHoldsUpDroppingOnly() throws {
    let written = try WrittenStore(seed: 24)
    for _ in 0..<3 {
      try written.write(4)
      try written.backup()
    }
    let second = written.set.manifests + "/000002.backup"
    try BackupFiles.write([1, 2, 3], to: second, in: written.set.manifests)
    try written.write(4)
    let made = try written.backup(keep: 1)
    #expect(made.backup.facts.number == 4 && made.purged.isEmpty)
    #expect(made.purgeHeld?.contains("000002.backup") == true)
    #expect(try written.set.backups().map(\.facts.number) == [1, 3, 4])
    #expect(try written.restored(to: nil, "restored").1 == written.writes.last?.digest)
    // One missing between the others is as good a reason not to drop anything.
    unlink(second)
    #expect(try written.set.listing().missing == [2])
    #expect(try written.backup(keep: 1).purged.isEmpty)
    #expect(try written.set.putAside([]).count == 1)
    #expect(try written.backup(keep: 1).purged == [1, 3, 4, 5])
  }

  @Test func aListThatMayLackSomethingIsAnError() throws {
    let folder = try Folder()
    try BackupFiles.write([1], to: folder.entry("file"), in: folder.path)
    #expect(throws: BackupError.self) { try BackupFiles.names(folder.entry("file")) }
    #expect(try BackupFiles.names(folder.entry("absent")).isEmpty)
    let set = BackupSet(folder.entry("set"))
    try BackupFiles.makeFolder(set.path)
    try BackupFiles.write([1], to: set.manifests, in: set.path)
    #expect(throws: BackupError.self) { try set.listing() }
  }

  // MARK: Restores

  @Test func aLegalHoldDoesNotMakeAStoreEncrypted() throws {
    let written = try WrittenStore(seed: 25)
    try written.write(5)
    let batch = written.store.makeBatch()
    batch.put(written.store.families.keys, key: KeyRow.hold(3), value: SealedValue.seal { _ in })
    try written.store.write(batch, sync: true)
    var made = try written.backup()
    #expect(!made.backup.facts.isSealed)
    // A manifest that says otherwise is not believed.
    made.backup.facts.isSealed = true
    let outcome = try StoreRestore(written.set).restore(made.backup, to: nil, store: written.folder.entry("restored"))
    #expect(!outcome.isSealed)
  }

  @Test func theStoreThatReachesClosestIsRestored() throws {
    let written = try WrittenStore(seed: 26)
    try written.write(10)
    try written.backup()
    try written.write(30)
    _ = try archiveAll(written)
    let time = written.now
    // Another store in the same set, with a newer backup that does not reach as far.
    let other = try VigilStore.open(path: written.folder.entry("other"))
    try OpenStore.append(samples(1...3, ingestMs: time - 600_000), to: other)
    let checkpoint = try StoreCheckpoint.make(of: other, now: time)
    _ = try written.set.add(checkpoint)
    checkpoint.remove()
    other.close()
    // Nor does a backup of one store take away the archive another has just begun.
    let third = try VigilStore.open(path: written.folder.entry("third"), keepsLog: true)
    defer { third.close() }
    let begun = try LogArchive(third, set: written.set)
    try written.backup()
    try OpenStore.append(samples(1...3, ingestMs: time), to: third)
    _ = try begun.step(now: time)
    try OpenStore.append(samples(4...5, ingestMs: time), to: third)
    #expect(try begun.step(now: time).batches == 1)
    let restore = StoreRestore(written.set)
    #expect(try restore.backup(atOrBefore: time - 1).facts.identity == identity(written))
    #expect(try restore.backup(atOrBefore: time).facts.number == 3)
  }

  @Test func noStoreIsMadeWhereARepairWasCutOff() throws {
    let folder = try Folder()
    let path = folder.entry("store")
    for name in [".rebuilt", ".damaged-77"] {
      try BackupFiles.makeFolder(path + name)
      #expect(throws: StoreError.self) { try VigilStore.open(path: path) }
      #expect(!BackupFiles.exists(path))
      BackupFiles.removeTree(path + name)
    }
    try BackupFiles.makeFolder(path)
    try BackupFiles.makeFolder(folder.entry("fresh"))
    try BackupFiles.write([1], to: path + "/old", in: path)
    try BackupFiles.exchange(path, with: folder.entry("fresh"), aside: path + ".damaged-1")
    #expect(try BackupFiles.names(folder.path) == ["store", "store.damaged-1"])
    #expect(BackupFiles.exists(path + ".damaged-1/old") && !BackupFiles.exists(path + "/old"))
  }
}
