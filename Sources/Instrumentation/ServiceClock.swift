import Glibc
import Synchronization

/// The only source of time for shells; injected, so that tests decide what time it is.
package protocol ServiceClock: Sendable {
  /// Milliseconds since 1970-01-01T00:00:00Z; may jump either way.
  func wallMilliseconds() -> Int64
  /// Nanoseconds since an arbitrary moment; never goes back.
  func monotonicNanoseconds() -> UInt64
}

/// The kernel's clocks.
package struct SystemClock: ServiceClock {
  package init() {}

  package func wallMilliseconds() -> Int64 {
    let now = read(CLOCK_REALTIME)
    return Int64(now.tv_sec) * 1_000 + Int64(now.tv_nsec) / 1_000_000
  }

  package func monotonicNanoseconds() -> UInt64 {
    let now = read(CLOCK_MONOTONIC)
    return UInt64(now.tv_sec) * 1_000_000_000 + UInt64(now.tv_nsec)
  }

  private func read(_ clock: clockid_t) -> timespec {
    var now = timespec()
    clock_gettime(clock, &now)
    return now
  }
}

/// A clock that stands still until told: for tests.
package final class ManualClock: ServiceClock {
  private struct Times {
    var wallMilliseconds: Int64
    var monotonicNanoseconds: UInt64
  }

  private let times: Mutex<Times>

  /// Starts at the given wall time, in milliseconds since 1970, with the monotonic clock at `monotonicNanoseconds`.
  package init(wallMilliseconds: Int64 = 1_767_225_600_000, monotonicNanoseconds: UInt64 = 1_000_000_000) {
    times = Mutex(Times(wallMilliseconds: wallMilliseconds, monotonicNanoseconds: monotonicNanoseconds))
  }

  package func wallMilliseconds() -> Int64 { times.withLock { $0.wallMilliseconds } }

  package func monotonicNanoseconds() -> UInt64 { times.withLock { $0.monotonicNanoseconds } }

  /// Moves both clocks forward together.
  package func advance(milliseconds: Int64) {
    precondition(milliseconds >= 0, "time goes forward")
    times.withLock {
      $0.wallMilliseconds += milliseconds
      $0.monotonicNanoseconds += UInt64(milliseconds) * 1_000_000
    }
  }

  /// Sets the wall clock alone, as a time server would.
  package func setWall(milliseconds: Int64) { times.withLock { $0.wallMilliseconds = milliseconds } }
}

/// RFC 3339 text in UTC with milliseconds, such as `2026-01-01T00:00:00.000Z`, for years 0...9999.
package func timestampText(milliseconds: Int64) -> String {
  let (whole, rest) = Int(milliseconds).quotientAndRemainder(dividingBy: 86_400_000)
  let days = rest < 0 ? whole - 1 : whole
  let inDay = rest < 0 ? rest + 86_400_000 : rest
  // Civil date from days, in the proleptic Gregorian calendar: years start in March so that a leap day comes last.
  let shifted = days + 719_468
  let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
  let dayOfEra = shifted - era * 146_097
  let yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
  let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
  let marchMonth = (5 * dayOfYear + 2) / 153
  let day = dayOfYear - (153 * marchMonth + 2) / 5 + 1
  let month = marchMonth < 10 ? marchMonth + 3 : marchMonth - 9
  let year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
  let date = "\(padded(year, 4))-\(padded(month, 2))-\(padded(day, 2))"
  let time = "\(padded(inDay / 3_600_000, 2)):\(padded(inDay / 60_000 % 60, 2)):\(padded(inDay / 1_000 % 60, 2))"
  return "\(date)T\(time).\(padded(inDay % 1_000, 3))Z"
}

private func padded(_ number: Int, _ width: Int) -> String {
  let digits = String(number)
  return String(repeating: "0", count: max(0, width - digits.count)) + digits
}
