import Glibc

/// A line of progress on a terminal for what takes longer than two seconds; silent otherwise.
final class ProgressBar {
  private let start = ContinuousClock.now
  private let label: String
  private let isTerminal = isatty(STDERR_FILENO) == 1
  private var shown = false
  private var last = ContinuousClock.now

  init(total: Int, label: String) { self.label = label }

  /// Shows how many items are done, at most five times a second.
  func advance(to count: Int) {
    let now = ContinuousClock.now
    guard isTerminal, now - start > .seconds(2), now - last > .milliseconds(200) else { return }
    last = now
    shown = true
    write("\r\(label): \(count)  ", to: STDERR_FILENO)
  }

  func finish() { if shown { write("\r\u{1B}[K", to: STDERR_FILENO) } }
}

/// Holds playback to a multiple of real time.
struct Pacer {
  let speed: Double
  private var firstTime: Int64?
  private let start = ContinuousClock.now

  /// - Parameter speed: times real time; 0: never waits.
  init(speed: Double) { self.speed = speed }

  /// Sleeps until the recording's clock may read `time` (milliseconds).
  mutating func wait(for time: Int64) {
    guard speed > 0 else { return }
    guard let firstTime else {
      self.firstTime = time
      return
    }
    let due = start + .milliseconds(Int64(Double(time - firstTime) / speed))
    let left = due - ContinuousClock.now
    guard left > .zero else { return }
    usleep(UInt32(clamping: left.components.seconds * 1_000_000 + left.components.attoseconds / 1_000_000_000_000))
  }
}
