import CCurl
import Glibc

/// The delivery thread's own state and cycle: take orders, let the schedule decide, move bytes, report.
final class DeliveryLoop {
  private let inbox: DeliveryInbox
  private let journal: any DeliveryJournal
  private let clock: DeliveryClock
  private var receivers: [String: Receiver]
  private var schedule: DeliverySchedule
  private var running: [UnsafeMutableRawPointer: WebhookTransfer] = [:]
  /// Handles not in use, per receiver; at most `maxInFlight` each.
  private var idle: [String: [WebhookTransfer]] = [:]
  private var counts: [String: DeliverySnapshot.Line] = [:]
  private var totals = DeliverySnapshot()
  private var publishedAtMs = Int64.min
  private var changedSincePublish = true
  private var stopAtMs: Int64?

  init(
    inbox: DeliveryInbox, journal: any DeliveryJournal, clock: DeliveryClock, receivers: [Receiver], seed: UInt64
  ) {
    self.inbox = inbox
    self.journal = journal
    self.clock = clock
    self.receivers = Dictionary(receivers.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
    schedule = DeliverySchedule(receivers: receivers.map { ($0.name, $0.maxInFlight) }, seed: seed)
  }

  /// Runs until told to stop and everything under way has ended or its time is over.
  func run() {
    while true {
      takeOrders()
      if stopAtMs == nil { beginAttempts() }
      var stillRunning: Int32 = 0
      curl_multi_perform(inbox.multi, &stillRunning)
      let finished = finishAttempts()
      tellNotices()
      if let stopAtMs, running.isEmpty || clock.steadyMs() >= stopAtMs { break }
      // What has finished may have made room or unblocked the next item: look again before sleeping.
      if !finished { sleep() }
    }
    abandonRunning()
    publish(nowMs: clock.steadyMs())
  }

  private func takeOrders() {
    let orders = inbox.take()
    if let within = orders.stopWithinMs, stopAtMs == nil { stopAtMs = clock.steadyMs() + within }
    if let receivers = orders.receivers { replace(receivers) }
    for name in orders.retries where schedule.retryNow(receiver: name, nowMs: clock.steadyMs()) {
      changedSincePublish = true
    }
    let nowMs = orders.items.isEmpty ? 0 : clock.steadyMs()
    for item in orders.items where !schedule.accept(item, nowMs: nowMs) { settle(item.receiver, 1) }
    // After what came in: it may be withdrawn already.
    for (receiver, keys) in orders.withdrawn {
      settle(receiver, schedule.withdraw(receiver: receiver, outboxKeys: keys))
    }
    for receiver in orders.digested { schedule.digested(receiver: receiver) }
    if !orders.items.isEmpty || !orders.withdrawn.isEmpty || !orders.digested.isEmpty { changedSincePublish = true }
  }

  private func replace(_ list: [Receiver]) {
    receivers = Dictionary(list.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
    // Handles carry their receiver's settings; those under way end with the old ones.
    idle.removeAll()
    counts = counts.filter { receivers[$0.key] != nil }
    for item in schedule.replaceReceivers(list.map { ($0.name, $0.maxInFlight) }) { settle(item.receiver, 1) }
    changedSincePublish = true
  }

  // MARK: attempts

  private func beginAttempts() {
    for attempt in schedule.step(nowMs: clock.steadyMs()) { begin(attempt) }
  }

  private func begin(_ attempt: DeliverySchedule.Attempt) {
    guard let receiver = receivers[attempt.item.receiver], let transfer = handle(for: receiver),
      transfer.load(attempt, wallMs: clock.wallMs()),
      curl_multi_add_handle(inbox.multi, transfer.easy) == CURLM_OK
    else {
      // Out of memory or handles: a failed attempt like any other, so that it is retried and seen.
      report([book(attempt, .broken(.other), startedMs: clock.wallMs(), latencyMicros: 0, answer: [])])
      return
    }
    running[transfer.easy] = transfer
  }

  private func handle(for receiver: Receiver) -> WebhookTransfer? {
    while let transfer = idle[receiver.name]?.popLast() {
      if transfer.receiver == receiver { return transfer }
    }
    return WebhookTransfer(receiver: receiver)
  }

  /// Returns whether any attempt ended.
  private func finishAttempts() -> Bool {
    var reports: [AttemptReport] = []
    var code = CURLE_OK
    while let easy = vigil_curl_multi_next_done(inbox.multi, &code) {
      curl_multi_remove_handle(inbox.multi, easy)
      guard let transfer = running.removeValue(forKey: easy), let attempt = transfer.attempt else { continue }
      let result = transfer.result(code)
      reports.append(
        book(
          attempt, result, startedMs: transfer.startedWallMs, latencyMicros: transfer.latencyMicros,
          answer: result.isDelivered ? transfer.answer : []))
      counts[attempt.item.receiver]?.connections += UInt64(max(0, transfer.connections))
      transfer.unload()
      if receivers[transfer.receiver.name] == transfer.receiver {
        idle[transfer.receiver.name, default: []].append(transfer)
      }
    }
    report(reports)
    return !reports.isEmpty
  }

  private func book(
    _ attempt: DeliverySchedule.Attempt, _ result: AttemptResult, startedMs: Int64, latencyMicros: Int64,
    answer: [UInt8]
  ) -> AttemptReport {
    let nowMs = clock.steadyMs()
    let disposition = schedule.finish(
      receiver: attempt.item.receiver, outboxKey: attempt.item.outboxKey, result: result, nowMs: nowMs)
    count(attempt.item, result, disposition, latencyMicros: latencyMicros)
    var nextMs: Int64?
    switch disposition {
    case .retry(let atMs): nextMs = clock.wallMs() + (atMs - nowMs)
    case .done, .released, .givenUp: settle(attempt.item.receiver, 1)
    case nil: break
    }
    return AttemptReport(
      item: attempt.item, number: attempt.number, result: result, startedMs: startedMs,
      latencyMicros: latencyMicros, nextAttemptMs: nextMs, answer: answer, isGivenUp: disposition == .givenUp)
  }

  private func count(
    _ item: OutboxItem, _ result: AttemptResult, _ disposition: AttemptDisposition?, latencyMicros: Int64
  ) {
    changedSincePublish = true
    if disposition == .released, item.keeping != .outbox { totals.abandoned += 1 }
    if disposition == .givenUp { totals.givenUp += 1 }
    let state = ReceiverState(
      name: item.receiver, condition: .healthy, outstanding: 0, inFlight: 0, failuresInRow: 0, oldestCreatedMs: nil)
    var line = counts[item.receiver] ?? DeliverySnapshot.Line(state: state)
    if result.isDelivered { line.delivered += 1 } else { line.failed += 1 }
    let bounds = DeliverySnapshot.latencyBoundsMicros
    line.latencyCounts[bounds.firstIndex { latencyMicros <= $0 } ?? bounds.count] += 1
    line.latencySumMicros += UInt64(max(0, latencyMicros))
    counts[item.receiver] = line
  }

  // MARK: reporting

  private func report(_ reports: [AttemptReport]) {
    if !reports.isEmpty { journal.attempted(reports) }
  }

  private func tellNotices() {
    for notice in schedule.takeNotices() {
      if case .undelivered = notice { totals.undelivered += 1 }
      changedSincePublish = true
      journal.noticed(notice)
    }
  }

  private func settle(_ receiver: String, _ count: Int) {
    if inbox.settled(receiver, count) { journal.roomAvailable() }
  }

  private func publish(nowMs: Int64) {
    var snapshot = totals
    snapshot.receivers = schedule.receiverStates.map { state in
      var line = counts[state.name] ?? DeliverySnapshot.Line(state: state)
      line.state = state
      return line
    }
    inbox.publish(snapshot)
    publishedAtMs = nowMs
    changedSincePublish = false
  }

  // MARK: waiting

  /// Sleeps until a socket, the bell or the schedule has something to do; never longer than a minute.
  private func sleep() {
    let nowMs = clock.steadyMs()
    if changedSincePublish, nowMs >= publishedAtMs + 1_000 { publish(nowMs: nowMs) }
    var wakeMs = nowMs + 60_000
    if changedSincePublish { wakeMs = min(wakeMs, publishedAtMs + 1_000) }
    if let stopAtMs {
      wakeMs = min(wakeMs, stopAtMs)
    } else if let due = schedule.nextWakeMs(nowMs: nowMs) {
      wakeMs = min(wakeMs, due)
    }
    let timeout = Int32(clamping: max(0, wakeMs - nowMs))
    curl_multi_poll(inbox.multi, nil, 0, timeout, nil)
  }

  /// The grace is over: cut what is still under way. Nothing is reported; the rows are still in the outbox.
  private func abandonRunning() {
    for (easy, _) in running { curl_multi_remove_handle(inbox.multi, easy) }
    running.removeAll()
    idle.removeAll()
  }
}
