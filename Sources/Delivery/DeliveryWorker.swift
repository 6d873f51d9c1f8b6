import CCurl
import Glibc
import Synchronization
import VitalModel

/// Takes durable outbox rows out of the house as signed webhooks, from a thread of its own.
///
/// Never here: deciding who is told what, reading or writing the store, dropping an outbox item. A row handed over is
/// either delivered and reported, or still owed; a crash at any point repeats a webhook at most under its own id.
package final class DeliveryWorker: Sendable {
  /// Why delivery could not start.
  package enum StartError: Error, Equatable {
    /// libcurl could not be set up.
    case libraryFailed
    /// The thread could not be started: the error number.
    case threadFailed(Int32)
  }

  private let inbox: DeliveryInbox
  private let thread: Mutex<pthread_t?>

  /// Starts the delivery thread.
  ///
  /// - Parameters:
  ///   - journal: told of every attempt, on the delivery thread; kept until the thread ends.
  ///   - owedMax: the most items held at once for one receiver; high ones may exceed it by a quarter. Beyond, `enqueue`
  ///     refuses.
  ///   - seed: of the retry jitter.
  package init(
    receivers: [Receiver], journal: any DeliveryJournal, clock: DeliveryClock = .system, owedMax: Int = 10_000,
    seed: UInt64 = .random(in: 0 ... .max)
  ) throws(StartError) {
    guard Self.libraryIsReady, let inbox = DeliveryInbox(owedMax: max(1, owedMax)) else { throw .libraryFailed }
    self.inbox = inbox
    let body = DeliveryThreadBody(
      inbox: inbox, journal: journal, clock: clock, receivers: receivers, seed: seed)
    var id = pthread_t()
    let context = Unmanaged.passRetained(body)
    let rc = pthread_create(&id, nil, runDeliveryThread, context.toOpaque())
    guard rc == 0 else {
      context.release()
      thread = Mutex(nil)
      throw .threadFailed(rc)
    }
    thread = Mutex(id)
  }

  deinit { stop(graceMs: 0) }

  /// Hands over items to be sent at once. An item already held is ignored, so the outbox may be offered again whole.
  /// From any thread.
  ///
  /// - Returns: how many were refused because too many are owed or delivery has stopped; their rows stay in the
  ///   outbox, and `DeliveryJournal.roomAvailable` says when to offer them again.
  package func enqueue(_ items: [OutboxItem]) -> Int { inbox.offer(items) }

  /// Sends from memory, without the outbox: for "monitoring degraded" and the heartbeat. From any thread.
  ///
  /// - Parameters:
  ///   - receivers: names; each gets it once.
  ///   - contentType: what the body is.
  ///   - attemptsMax: given up after this many attempts, with high priority's retry times.
  /// - Returns: false when any was refused for want of room.
  package func sendNow(
    to receivers: [String], webhookID: String, type: String, body: [UInt8], contentType: String = "application/json",
    headers: [OutboxItem.Header] = [], createdMs: Int64, attemptsMax: Int = 3
  ) -> Bool {
    let items = receivers.map { name in
      OutboxItem(
        outboxKey: inbox.memoryKey(), receiver: name, webhookID: webhookID, alertID: webhookID, sequence: 0, type: type,
        priority: .high, createdMs: createdMs, body: body, contentType: contentType, headers: headers,
        keeping: .memory(attemptsMax: max(1, attemptsMax)))
    }
    return inbox.offer(items) == 0
  }

  /// Lets go of items whose rows have left the outbox: overtaken, or given up. One under way ends once more and is then
  /// forgotten. From any thread.
  package func withdraw(receiver: String, outboxKeys: [UInt64]) {
    inbox.orderWithdrawal(receiver: receiver, keys: outboxKeys, isDigested: false)
  }

  /// The answer to `DeliveryNotice.digestDue`: what the digest covers is let go of, the digest is sent, and ended
  /// alerts that are in no digest go by themselves. From any thread.
  ///
  /// - Returns: how many of `digests` were refused, as from `enqueue`.
  @discardableResult
  package func digested(receiver: String, covered: [UInt64], digests: [OutboxItem]) -> Int {
    let refused = inbox.offer(digests)
    inbox.orderWithdrawal(receiver: receiver, keys: covered, isDigested: true)
    return refused
  }

  /// Puts a new set of receivers in force; see `DeliverySchedule.replaceReceivers`. From any thread.
  package func replaceReceivers(_ receivers: [Receiver]) { inbox.order(receivers: receivers) }

  /// Tries everything owed to a receiver at once and unparks it: for the person who has repaired it. Unknown names are
  /// ignored. From any thread.
  package func retryNow(receiver: String) { inbox.orderRetry(receiver) }

  /// Counts and states, at most about a second old. From any thread.
  package func snapshot() -> DeliverySnapshot { inbox.snapshot }

  /// Begins nothing more, lets attempts under way end for up to `graceMs`, and joins the thread. What was not
  /// delivered is still in the outbox. Safe to call twice.
  package func stop(graceMs: Int64) {
    inbox.orderStop(withinMs: max(0, graceMs))
    let id = thread.withLock { id in
      defer { id = nil }
      return id
    }
    guard let id else { return }
    // Called from a journal callback there is no one to wait for: the thread ends by itself.
    if pthread_equal(id, pthread_self()) != 0 { pthread_detach(id) } else { pthread_join(id, nil) }
  }

  /// libcurl's process-wide set-up, done once.
  private static let libraryIsReady = curl_global_init(Int(CURL_GLOBAL_DEFAULT)) == CURLE_OK
}

/// What the new thread is given.
private final class DeliveryThreadBody {
  let inbox: DeliveryInbox
  let journal: any DeliveryJournal
  let clock: DeliveryClock
  let receivers: [Receiver]
  let seed: UInt64

  init(
    inbox: DeliveryInbox, journal: any DeliveryJournal, clock: DeliveryClock, receivers: [Receiver], seed: UInt64
  ) {
    self.inbox = inbox
    self.journal = journal
    self.clock = clock
    self.receivers = receivers
    self.seed = seed
  }
}

/// The thread's entry point.
private func runDeliveryThread(_ context: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
  guard let context else { return nil }
  let body = Unmanaged<DeliveryThreadBody>.fromOpaque(context).takeRetainedValue()
  // Signals are for the main thread; and a TLS connection closed by the receiver raises SIGPIPE here, which libcurl
  // does not mask when CURLOPT_NOSIGNAL is set.
  var all = sigset_t()
  sigfillset(&all)
  pthread_sigmask(SIG_BLOCK, &all, nil)
  let loop = DeliveryLoop(
    inbox: body.inbox, journal: body.journal, clock: body.clock, receivers: body.receivers, seed: body.seed)
  loop.run()
  return nil
}
