import CCurl
import Synchronization
import VitalModel

/// What other threads leave for the delivery thread, and the bell that wakes it.
final class DeliveryInbox: Sendable {
  struct Orders {
    var items: [OutboxItem] = []
    var receivers: [Receiver]?
    /// Receivers to try at once; at most one entry each.
    var retries: Set<String> = []
    /// Keys to let go of, per receiver.
    var withdrawn: [(receiver: String, keys: [UInt64])] = []
    /// Receivers whose digest is made or will not be made.
    var digested: Set<String> = []
    /// Set once: how long attempts under way may still take, in milliseconds.
    var stopWithinMs: Int64?
  }

  private struct State {
    var orders = Orders()
    /// Items taken in and not yet delivered or let go, per receiver: one that is away takes no other's room.
    var owed: [String: Int] = [:]
    var refused: UInt64 = 0
    /// Receivers for whom items were refused since room was last called out.
    var short: Set<String> = []
    var nextMemoryKey: UInt64 = 1 << 63
    var snapshot = DeliverySnapshot()
  }

  private let state = Mutex(State())
  private let owedMax: Int
  /// Owned here; everything but `curl_multi_wakeup`, which libcurl allows from any thread, is called by the delivery
  /// thread alone, hence unsafe only in name.
  nonisolated(unsafe) let multi: UnsafeMutableRawPointer

  init?(owedMax: Int) {
    guard let multi = curl_multi_init() else { return nil }
    self.multi = multi
    self.owedMax = owedMax
  }

  deinit { curl_multi_cleanup(multi) }

  /// Takes in what there is room for, for each receiver; high items have a quarter more room than others.
  ///
  /// - Returns: how many were refused.
  func offer(_ items: [OutboxItem]) -> Int {
    let refused = state.withLock { state -> Int in
      guard state.orders.stopWithinMs == nil else { return items.count }
      var refused = 0
      for item in items {
        let room = item.priority == .high ? owedMax + owedMax / 4 : owedMax
        guard state.owed[item.receiver, default: 0] < room else {
          refused += 1
          state.short.insert(item.receiver)
          continue
        }
        state.owed[item.receiver, default: 0] += 1
        state.orders.items.append(item)
      }
      state.refused += UInt64(refused)
      return refused
    }
    if refused < items.count { wake() }
    return refused
  }

  func memoryKey() -> UInt64 {
    state.withLock { state in
      state.nextMemoryKey += 1
      return state.nextMemoryKey
    }
  }

  func order(receivers: [Receiver]) {
    state.withLock { $0.orders.receivers = receivers }
    wake()
  }

  func orderRetry(_ receiver: String) {
    state.withLock { _ = $0.orders.retries.insert(receiver) }
    wake()
  }

  /// Lets go of items, and takes in others, in one go: a digest in place of what it covers.
  func orderWithdrawal(receiver: String, keys: [UInt64], isDigested: Bool) {
    state.withLock { state in
      if !keys.isEmpty { state.orders.withdrawn.append((receiver, keys)) }
      if isDigested { state.orders.digested.insert(receiver) }
    }
    wake()
  }

  func orderStop(withinMs: Int64) {
    state.withLock { $0.orders.stopWithinMs = $0.orders.stopWithinMs ?? withinMs }
    wake()
  }

  var snapshot: DeliverySnapshot {
    state.withLock { state in
      var snapshot = state.snapshot
      snapshot.refusedForRoom = state.refused
      return snapshot
    }
  }

  /// From the delivery thread: everything left here since the last call.
  func take() -> Orders {
    state.withLock { state in
      defer {
        state.orders.items = []
        state.orders.receivers = nil
        state.orders.retries = []
        state.orders.withdrawn = []
        state.orders.digested = []
      }
      return state.orders
    }
  }

  /// From the delivery thread: `count` items of a receiver are owed no longer. Returns whether to call for more.
  func settled(_ receiver: String, _ count: Int) -> Bool {
    guard count > 0 else { return false }
    return state.withLock { state in
      let left = state.owed[receiver, default: 0] - count
      state.owed[receiver] = left > 0 ? left : nil
      guard left <= owedMax / 2 else { return false }
      return state.short.remove(receiver) != nil
    }
  }

  /// From the delivery thread.
  func publish(_ snapshot: DeliverySnapshot) { state.withLock { $0.snapshot = snapshot } }

  private func wake() { curl_multi_wakeup(multi) }
}
