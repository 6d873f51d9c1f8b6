import CMosquitto
import Glibc

/// What a publisher has in flight, shared by its callers and the library's thread.
///
/// Lock order: a caller holds this lock while it calls the library, whose thread takes it from callbacks while holding
/// the library's callback lock; publishing with a running library thread takes no callback lock, so they cannot block
/// each other.
final class PublishFlight: @unchecked Sendable {
  // @unchecked: every stored `var` is read and written under `lock`.
  private let lock: UnsafeMutablePointer<pthread_mutex_t>
  private let changed: UnsafeMutablePointer<pthread_cond_t>
  private let window: Int

  private var isConnected = false
  private var isClosed = false
  private var failure: PublisherError?
  private var loggedError: String?
  private var acknowledgedLater: Set<Int32> = []
  private var unwritten: Set<Int32> = []
  private var rejectedCount = 0
  private var rejectedReason = ""

  init(window: Int) {
    self.window = window
    lock = .allocate(capacity: 1)
    changed = .allocate(capacity: 1)
    pthread_mutex_init(lock, nil)
    var attributes = pthread_condattr_t()
    pthread_condattr_init(&attributes)
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
    pthread_cond_init(changed, &attributes)
    pthread_condattr_destroy(&attributes)
  }

  deinit {
    pthread_cond_destroy(changed)
    pthread_mutex_destroy(lock)
    changed.deallocate()
    lock.deallocate()
  }

  var outstanding: Int { locked { count } }

  private var count: Int { acknowledgedLater.count + unwritten.count }

  // MARK: - Callers

  func waitUntilConnected(_ timeout: Duration) throws(PublisherError) {
    pthread_mutex_lock(lock)
    defer { pthread_mutex_unlock(lock) }
    guard wait(timeout, until: { isConnected || failure != nil }) else {
      throw loggedError.map { .connect("tls: \(Library.tlsText($0))") } ?? .timedOut(outstanding: 0)
    }
    if let failure { throw failure }
  }

  func send(qos: UInt8, _ publish: (inout Int32) -> Int32) throws(PublisherError) {
    pthread_mutex_lock(lock)
    defer { pthread_mutex_unlock(lock) }
    while count >= window, !isClosed { pthread_cond_wait(changed, lock) }
    guard !isClosed else { throw .closed }
    var mid: Int32 = 0
    let code = publish(&mid)
    switch code {
    case MOSQ_ERR_SUCCESS.code: break
    case MOSQ_ERR_NO_CONN.code:
      // With QoS 1 the library keeps the message and sends it after the reconnect.
      guard qos > 0 else { throw .notConnected }
    default: throw .invalid(Library.failure(code, system: errno))
    }
    if qos > 0 { acknowledgedLater.insert(mid) } else { unwritten.insert(mid) }
  }

  func waitUntilEmpty(_ timeout: Duration) throws(PublisherError) {
    pthread_mutex_lock(lock)
    defer { pthread_mutex_unlock(lock) }
    guard wait(timeout, until: { count == 0 || isClosed }) else { throw .timedOut(outstanding: count) }
    guard count == 0 else { throw .closed }
    guard rejectedCount == 0 else {
      defer { rejectedCount = 0 }
      throw .rejected(count: rejectedCount, reason: rejectedReason)
    }
  }

  /// False when it was closed before.
  func markClosed() -> Bool {
    locked {
      defer { isClosed = true }
      pthread_cond_broadcast(changed)
      return !isClosed
    }
  }

  // MARK: - The library's thread

  func connected(_ code: Int32) {
    locked {
      if code == 0 { isConnected = true } else { failure = .refused(Library.refusal(code)) }
      pthread_cond_broadcast(changed)
    }
  }

  func disconnected(_ code: Int32) {
    locked {
      // What had QoS 0 and was not written is dropped by the library without a callback.
      unwritten.removeAll()
      if !isConnected, failure == nil, code != 0 {
        failure = .connect(loggedError.map { "tls: \(Library.tlsText($0))" } ?? Library.failure(code, system: 0))
      }
      pthread_cond_broadcast(changed)
    }
  }

  func acknowledged(_ mid: Int32, _ code: Int32) {
    locked {
      if acknowledgedLater.remove(mid) == nil { unwritten.remove(mid) }
      if code >= 0x80 {
        rejectedCount += 1
        rejectedReason = Library.reason(code)
      }
      pthread_cond_broadcast(changed)
    }
  }

  func logged(_ line: String) {
    locked { if loggedError == nil { loggedError = line } }
  }

  // MARK: - Lock

  private func locked<Result>(_ body: () -> Result) -> Result {
    pthread_mutex_lock(lock)
    defer { pthread_mutex_unlock(lock) }
    return body()
  }

  /// Waits with the lock held. False when time ran out first.
  private func wait(_ timeout: Duration, until condition: () -> Bool) -> Bool {
    let deadline = monotonicNanoseconds() + timeout.nanoseconds
    var limit = timespec(tv_sec: Int(deadline / 1_000_000_000), tv_nsec: Int(deadline % 1_000_000_000))
    while !condition() {
      if pthread_cond_timedwait(changed, lock, &limit) == ETIMEDOUT { return condition() }
    }
    return true
  }
}
