import AlertJournal
import Instrumentation
import Synchronization
import VitalModel

/// Copies the store's log into the backup set that `store.archive` names, every two seconds, on a thread of its own.
///
/// It never holds up a commit or a start: what it has not copied waits in the store's log, and a folder that cannot be reached
/// is tried again.
final class ArchiveThread: @unchecked Sendable {
  // Unchecked: the archive belongs to the thread that calls `run()`; the rest is constant or atomic.

  private let store: VigilStore
  private let set: BackupSet
  /// Nil until the folder could be opened.
  private var archive: LogArchive?
  private let clock: any ServiceClock
  private let log: Log
  private let notify: @Sendable (_ title: String, _ message: String) -> Void
  private let isStopping = Atomic<Bool>(false)
  /// When everything written so far was last in the archive, milliseconds since 1970.
  private let caughtUpAt: Atomic<Int64>
  private let bytes = Atomic<Int>(0)
  private let failures = Atomic<Int>(0)
  private let needsBackup = Atomic<Bool>(false)
  /// A gap was found since the last backup, not merely no backup yet.
  private var hasGap = false
  private var notices: [Trouble: Int64] = [:]

  /// What is told of, each for itself: the one does not silence the other.
  private enum Trouble: Hashable {
    case stalled, gap

    /// Told again after this many milliseconds if it lasts.
    var interval: Int64 { self == .gap ? 3_600_000 : 600_000 }
  }

  static let intervalMs = 2000
  /// Farther behind than this is told to everybody.
  static let lagMax: Int64 = 60_000

  /// - Parameter notify: tells people of trouble; called at most once in ten minutes for each kind.
  init(
    _ store: VigilStore, set: BackupSet, clock: any ServiceClock, registry: MetricRegistry, log: Log,
    notify: @escaping @Sendable (_ title: String, _ message: String) -> Void
  ) {
    self.store = store
    self.set = set
    self.clock = clock
    self.log = log
    self.notify = notify
    caughtUpAt = Atomic(clock.wallMilliseconds())
    registry.gauge("vigil_archive_lag_seconds", "Age of the oldest change that is not in the archive yet.") {
      [clock] in
      Double(max(0, clock.wallMilliseconds() - self.caughtUpAt.load(ordering: .relaxed))) / 1000
    }
    registry.gauge(
      "vigil_archive_needs_backup", "1 while the archived log begins, or has a gap, after the newest backup."
    ) { self.needsBackup.load(ordering: .relaxed) ? 1 : 0 }
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

  /// One round; apart from the thread for tests.
  func step() {
    let began = clock.wallMilliseconds()
    do throws(BackupError) {
      let archive = try opened()
      let step = try archive.step(now: began)
      caughtUpAt.store(began, ordering: .relaxed)
      bytes.add(step.bytes, ordering: .relaxed)
      if step.hasGap {
        failures.add(1, ordering: .relaxed)
        hasGap = true
      }
      take(archive.needsBackup, began)
    } catch {
      failures.add(1, ordering: .relaxed)
      log.limited(
        .error, every: 30, "archive", "the archive could not be written; trying again",
        ["reason": LogValue(error.description)])
      guard began - caughtUpAt.load(ordering: .relaxed) >= ArchiveThread.lagMax else { return }
      tell(
        .stalled, began, "The archive stands still",
        "changes of the last minute are in no archive: \(error.description)")
    }
  }

  private func opened() throws(BackupError) -> LogArchive {
    if let archive { return archive }
    let archive = try LogArchive(store, set: set)
    self.archive = archive
    return archive
  }

  private func take(_ isNeeded: Bool, _ now: Int64) {
    let was = needsBackup.exchange(isNeeded, ordering: .relaxed)
    guard isNeeded else {
      if was { log.info("archive", "a backup has been made: moments after it can be restored") }
      hasGap = false
      notices[.gap] = nil
      return
    }
    if hasGap {
      tell(
        .gap, now, "The archive has a gap",
        "the archived log does not follow the newest backup: run `vigil backup` now; moments between that backup and the next cannot be restored"
      )
    } else if !was {
      log.warning(
        "archive", "no backup goes with the archived log yet: run `vigil backup`; nothing can be restored before")
    }
  }

  private func tell(_ trouble: Trouble, _ now: Int64, _ title: String, _ message: String) {
    if let last = notices[trouble], now >= last, now - last < trouble.interval { return }
    notices[trouble] = now
    log.error("archive", "changes are missing from the archive", ["what": LogValue(message)])
    notify(title, message)
  }
}
