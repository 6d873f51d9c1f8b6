import Foundation
import TestSupport
import Testing

@testable import Service

/// A file system of 96 MiB in memory; gone with the value.
private final class SmallDisk {
  let path: String
  /// Held, so that the folder goes only once nothing is mounted in it.
  private let folder: TemporaryDirectory

  /// Nil when this process may not mount.
  init?() throws {
    folder = try TemporaryDirectory("disk")
    path = folder.file("disk")
    mkdir(path, 0o700)
    guard mount("tmpfs", path, "tmpfs", 0, "size=96m") == 0 else { return nil }
  }

  deinit { umount2(path, Int32(MNT_DETACH)) }

  var ballast: String { path + "/ballast" }

  /// Leaves no room at all.
  func fill() throws {
    let descriptor = open(ballast, O_WRONLY | O_CREAT | O_APPEND, 0o600)
    guard descriptor >= 0 else { throw SupportError.system("open", errno) }
    defer { close(descriptor) }
    let block = [UInt8](repeating: 1, count: 4096)
    while write(descriptor, block, block.count) > 0 {}
    guard errno == ENOSPC else { throw SupportError.system("write", errno) }
  }

  static let mayMount = (try? SmallDisk()) != nil
}

@Suite(.enabled(if: SmallDisk.mayMount, "needs the right to mount a small tmpfs")) struct FaultDiskTests {
  @Test func aFullDiskStopsAcknowledgementsAndIsToldAndHealsByItself() throws {
    let disk = try #require(try SmallDisk())
    let ward = try Ward()
    ward.options.store = disk.path + "/store"
    try ward.start()
    let base = ward.now - 25_000
    var sent = 0
    func sendSome(_ count: Int) throws {
      for _ in 0..<count {
        try ward.send("d-\(sent % 8)", "hr", "72", at: base + Int64(sent), seq: sent)
        sent += 1
      }
      try ward.flush()
    }
    try sendSome(200)
    _ = try ward.settle(200)
    try disk.fill()
    let waves = try useUp(disk, ward, after: sent)
    #expect(eventually { ward.metric("vigil_journal_commit_failures_total") > 0 })
    #expect(eventually { ward.log.has("commit failed; nothing is acknowledged until the disk takes it") })
    let acknowledged = ward.acknowledged
    let position = ward.metric("vigil_journal_position")
    try sendSome(100)
    ward.clock.advance(milliseconds: 6000)
    #expect(eventually { ward.inbox.opened("monitoring-degraded").count == 1 }, "\(ward.inbox.requests)")
    let told = try #require(ward.inbox.opened("monitoring-degraded").first)
    #expect(told.kind == "technical" && told.priority == "high" && told.message.contains("watch the bedside"))
    #expect(ward.log.has("monitoring degraded: commits have stalled"))
    let watch = try #require(try ward.running.watch)
    #expect(watch.unreadyReasons().contains("commits have stalled"))
    #expect(ward.acknowledged == acknowledged)
    #expect(ward.metric("vigil_journal_position") == position)

    try FileManager.default.removeItem(atPath: disk.ballast)
    #expect(eventually { ward.books.stored == sent && ward.isIdle }, "\(ward.books) of \(sent)")
    #expect(ward.log.has("disk takes writes again"))
    #expect(eventually { ward.log.has("commits go on again") })
    #expect(ward.books.isBalanced)
    #expect(eventually { ward.acknowledged == sent + waves }, "\(ward.acknowledged) of \(sent + waves)")
    #expect(try ward.storedSamples() == sent)
    withExtendedLifetime(disk) {}
  }

  @Test func aFullDiskDoesNotKeepTheServiceFromStopping() throws {
    let disk = try #require(try SmallDisk())
    let ward = try Ward()
    ward.options.store = disk.path + "/store"
    try ward.start()
    try disk.fill()
    _ = try useUp(disk, ward, after: 0)
    #expect(eventually { ward.metric("vigil_journal_commit_failures_total") > 0 })
    let acknowledged = ward.acknowledged
    try ward.send("d-1", "hr", "72", at: ward.now)
    try ward.flush()
    ward.clock.advance(milliseconds: 6000)
    ward.stop()
    #expect(ward.log.has("stopping without the disk"))
    #expect(ward.acknowledged == acknowledged)
    try FileManager.default.removeItem(atPath: disk.ballast)
    try ward.start()
    #expect(eventually { ward.books.stored == 1 })
    #expect(try ward.storedSamples() == 1)
    withExtendedLifetime(disk) {}
  }

  /// Publishes until nothing more is stored; returns how many messages that took.
  ///
  /// The log keeps the room it had reserved: wave forms that do not compress use it up. Opened again, the store deletes
  /// old logs: the room that gives is taken too.
  private func useUp(_ disk: SmallDisk, _ ward: Ward, after sent: Int) throws -> Int {
    var random = SeededGenerator(printing: 96, for: "disk full")
    for waves in 1...300 {
      let wave = (0..<(64 << 10)).map { _ in UInt64.random(in: 0 ... .max, using: &random) }
      try ward.publish("vigil/v1/demo/d-1/wave", wave.withUnsafeBytes { Array($0) })
      try ward.flush()
      let failures = ward.metric("vigil_journal_commit_failures_total")
      let isStored = eventually {
        try? disk.fill()
        return ward.acknowledged == sent + waves || ward.metric("vigil_journal_commit_failures_total") >= failures + 5
      }
      #expect(isStored)
      if ward.acknowledged < sent + waves { return waves }
    }
    throw SupportError.timedOut("a full disk")
  }
}
