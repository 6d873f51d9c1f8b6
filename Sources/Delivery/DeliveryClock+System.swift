import Glibc

extension DeliveryClock {
  /// The machine's clocks; steady time includes time asleep.
  package static let system = DeliveryClock(
    steadyMs: { milliseconds(CLOCK_BOOTTIME) }, wallMs: { milliseconds(CLOCK_REALTIME) })

  private static func milliseconds(_ clock: clockid_t) -> Int64 {
    var now = timespec()
    clock_gettime(clock, &now)
    return Int64(now.tv_sec) * 1000 + Int64(now.tv_nsec) / 1_000_000
  }
}
