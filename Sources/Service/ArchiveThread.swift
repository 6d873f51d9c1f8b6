import AlertJournal
import Instrumentation
import Synchronization
import VitalModel

/// Copies the store's log into the backup set that `store.archive` names, every two seconds, on a thread of its own.
///
/// It never holds up a commit: what it has not copied waits in the store's log.
final class ArchiveThread: @unchecked Sendable {
  // Unchecked: the archive belongs to the thread that calls `run()`; the rest is constant or atomic.

  private let archive: LogArchive
  private let clock: any ServiceClock
  private let log: Log
  private let notify: @Sendable (_ title: String, _ message: String) -> Void
  private let isStopping = Atomic<Bool>(false)
  /// When everything written so far was last in the archive, milliseconds since 1970.
  private let caughtUpAt: Atomic<Int64>
  private let bytes = Atomic<Int>(0)
  private let failures = Atomic<Int>(0)
  private var lastNotice = Int64.min

  static let intervalMs = 2000
  /// Farther behind than this is told to everybody.
  static let lagMax: Int64 = 60_000

  /// - Parameter notify: tells people of trouble; called at most once in ten minutes.
  /// - Throws: `.inUse` when another service archives there; `.file`.
  init(
    _ store: VigilStore, set: BackupSet, clock: any ServiceClock, registry: MetricRegistry, log: Log,
    notify: @escaping @Sendable (_ title: String, _ message: String) -> Void
  ) throws(BackupError) {
    archive = try LogArchive(store, set: set)
    self.clock = clock
    self.log = log
    self.notify = notify
    caughtUpAt = Atomic(clock.wallMilliseconds())
    registry.gauge("vigil_archive_lag_seconds", "Age of the oldest change that is not in the archive yet.") {
      [clock] in
      Double(max(0, clock.wallMilliseconds() - self.caughtUpAt.load(ordering: .relaxed))) / 1000
    }
    registry.counter("vigil_archive_bytes_total", "Bytes of log archived.") {
      Double(self.bytes.load(ordering: .relaxed))
    }
    registry.counter("vigil_archive_failures_total", "Times the archive could not be written.") {
      Double(self.failures.load(ordering: .relaxed))
    }
  }

  /// The thread's body; a last step follows once `stop` was called.
  func run() {
    while !isStopping.load(ordering: .acquiring) {
      step()
      for _ in 0..<20 where !isStopping.load(ordering: .acquiring) { Pause.milliseconds(ArchiveThread.intervalMs / 20) }
    }
    step()
  }

  /// Ends the thread after one more step: call it once nothing is written any more.
  func stop() { isStopping.store(true, ordering: .releasing) }

  private func step() {
    let began = clock.wallMilliseconds()
    do throws(BackupError) {
      let step = try archive.step(now: began)
      caughtUpAt.store(began, ordering: .relaxed)
      bytes.add(step.bytes, ordering: .relaxed)
      if step.hasGap {
        failures.add(1, ordering: .relaxed)
        tell(
          began, "The archive has a gap",
          "the log of changes was gone before it was archived: run `vigil backup` now; moments between the last backup and it cannot be restored"
        )
      }
    } catch {
      failures.add(1, ordering: .relaxed)
      log.limited(
        .error, every: 30, "archive", "the archive could not be written; trying again",
        ["reason": LogValue(error.description)])
      guard began - caughtUpAt.load(ordering: .relaxed) >= ArchiveThread.lagMax else { return }
      tell(began, "The archive stands still", "changes of the last minute are in no archive: \(error.description)")
    }
  }

  private func tell(_ now: Int64, _ title: String, _ message: String) {
    guard lastNotice == .min || now - lastNotice >= 600_000 else { return }
    lastNotice = now
    log.error("archive", "changes are missing from the archive", ["what": LogValue(message)])
    notify(title, message)
  }
}
