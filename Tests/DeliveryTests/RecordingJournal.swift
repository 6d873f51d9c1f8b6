import Synchronization

@testable import Delivery

/// Keeps what delivery reports, and lets a test wait for it.
final class RecordingJournal: DeliveryJournal {
  struct Record {
    var reports: [AttemptReport] = []
    var notices: [DeliveryNotice] = []
    var roomCalls = 0

    var delivered: [AttemptReport] { reports.filter(\.isDelivered) }
  }

  private struct Waiter {
    let isMet: @Sendable (Record) -> Bool
    let continuation: CheckedContinuation<Record, Never>
  }

  private let state = Mutex((record: Record(), waiters: [Waiter]()))

  func attempted(_ reports: [AttemptReport]) { change { $0.reports += reports } }
  func noticed(_ notice: DeliveryNotice) { change { $0.notices.append(notice) } }
  func roomAvailable() { change { $0.roomCalls += 1 } }

  var record: Record { state.withLock { $0.record } }

  /// Returns what was reported once `isMet` holds for it.
  func wait(until isMet: @escaping @Sendable (Record) -> Bool) async -> Record {
    await withCheckedContinuation { continuation in
      state.withLock { state in
        if isMet(state.record) {
          continuation.resume(returning: state.record)
        } else {
          state.waiters.append(Waiter(isMet: isMet, continuation: continuation))
        }
      }
    }
  }

  private func change(_ body: (inout Record) -> Void) {
    state.withLock { state in
      body(&state.record)
      let record = state.record
      state.waiters.removeAll { waiter in
        guard waiter.isMet(record) else { return false }
        waiter.continuation.resume(returning: record)
        return true
      }
    }
  }
}
