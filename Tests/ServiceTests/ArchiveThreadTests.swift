import AlertJournal
import Foundation
import Instrumentation
import Synchronization
import TestSupport
import Testing
import VitalModel

@testable import Service

/// What the service's archive tells, round by round, with a clock moved by hand.
@Suite struct ArchiveThreadTests {
  private final class Told: Sendable {
    private let titles = Mutex<[String]>([])
    func add(_ title: String) { titles.withLock { $0.append(title) } }
    var all: [String] { titles.withLock { $0 } }
  }

  private func thread(
    _ store: VigilStore, _ set: String, _ clock: HandClock, _ registry: MetricRegistry, _ told: Told
  ) -> ArchiveThread {
    ArchiveThread(
      store, set: BackupSet(set), clock: clock, registry: registry, log: Log(level: .error, clock: clock) { _ in }
    ) { title, _ in told.add(title) }
  }

  private func audit(_ store: VigilStore, _ time: Int64) throws {
    try store.audit.record(
      AuditEntry(time: time, actor: "vigil", action: "backup.create", subject: "s"), sync: true)
  }

  private func needsBackup(_ registry: MetricRegistry) -> Bool {
    registry.render().contains("\nvigil_archive_needs_backup 1\n")
  }

  @Test func aFolderThatCannotBeReachedIsToldAndTriedAgain() throws {
    let folder = try TemporaryDirectory("archive")
    let (clock, registry, told) = (HandClock(), MetricRegistry(), Told())
    let store = try VigilStore.open(path: folder.file("store"), keepsLog: true)
    defer { store.close() }
    // A file where the folder should be.
    let set = folder.file("set")
    #expect(FileManager.default.createFile(atPath: set, contents: nil))
    let thread = thread(store, set, clock, registry, told)
    thread.step()
    #expect(told.all.isEmpty)
    clock.set(HandClock.start + 61_000)
    thread.step()
    thread.step()
    #expect(told.all == ["The archive stands still"])
    try FileManager.default.removeItem(atPath: set)
    thread.step()
    #expect(needsBackup(registry), "nothing can be restored from log alone")
    #expect(told.all.count == 1)
  }

  @Test func aGapIsToldBesideAStandstillAndAgainUntilABackupPastIt() throws {
    let folder = try TemporaryDirectory("archive")
    let (clock, told) = (HandClock(), Told())
    let set = folder.file("set")
    var store = try VigilStore.open(path: folder.file("store"), keepsLog: true)
    for time in 1...3 { try audit(store, Int64(time)) }
    func backup() throws {
      let checkpoint = try StoreCheckpoint.make(of: store, now: clock.wallMilliseconds())
      defer { checkpoint.remove() }
      _ = try BackupSet(set).add(checkpoint)
    }
    try backup()
    store.close()
    try FileManager.default.copyItem(atPath: folder.file("store"), toPath: folder.file("copy"))
    store = try VigilStore.open(path: folder.file("store"), keepsLog: true)
    for time in 4...9 { try audit(store, Int64(time)) }
    thread(store, set, clock, MetricRegistry(), told).step()
    #expect(told.all.isEmpty)
    store.close()
    // The store loses its end.
    try FileManager.default.removeItem(atPath: folder.file("store"))
    try FileManager.default.moveItem(atPath: folder.file("copy"), toPath: folder.file("store"))
    store = try VigilStore.open(path: folder.file("store"), keepsLog: true)
    defer { store.close() }
    clock.set(HandClock.start + 1000)
    let registry = MetricRegistry()
    let second = thread(store, set, clock, registry, told)
    second.step()
    #expect(told.all == ["The archive has a gap"] && needsBackup(registry))
    clock.advance(hours: 1)
    second.step()
    #expect(told.all.count == 2)
    try backup()
    clock.advance(hours: 2)
    second.step()
    #expect(told.all.count == 2 && !needsBackup(registry))
  }
}
