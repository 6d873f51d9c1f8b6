import HTTPAPI
import Synchronization

/// Lets so many questions for observations be answered at once that their pages never take the memory or the processor from
/// what comes in; others are told to ask again.
final class ObservationGate: Sendable {
  /// Pages made at once. One of the greatest size takes some 100 MB as JSON, by reckoning: its rows, its text and the
  /// server's copy of it.
  static let pagesMax = 4

  private let underWay = Mutex(0)
  private let limit: Int

  init(limit: Int = pagesMax) { self.limit = limit }

  /// Runs `answer` if there is room.
  func pass(_ answer: () -> HTTPResponse) -> HTTPResponse {
    let isFree = underWay.withLock { count in
      guard count < limit else { return false }
      count += 1
      return true
    }
    guard isFree else {
      var busy = HTTPResponse.problem(
        503, "busy", detail: "\(limit) other requests for stored samples are being answered; ask again in a second")
      busy.headers.append(("Retry-After", "1"))
      return busy
    }
    defer { underWay.withLock { $0 -= 1 } }
    return answer()
  }
}
