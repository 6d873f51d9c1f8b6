import AlertJournal
import Delivery
import Instrumentation
import Synchronization
import VitalModel

/// What becomes of rows that could not be delivered when they were written: digests and dead letters.
extension OutboxKeeper {
  /// A row that has waited this long at the start, or was tried in vain, is a leftover of an outage, milliseconds.
  static let leftoverAge: Int64 = 60_000
  /// Rows this old whose receiver has been parked, or missing from the configuration, that long are given up on.
  static let givenUpAge: Int64 = 24 * 3_600_000
  /// How often they are looked for.
  static let burialInterval: Int64 = 600_000

  // MARK: Starting

  /// Takes up the outbox an earlier run left: old heartbeats go, what has ended becomes a digest, the rest is offered.
  func begin() {
    let now = clock.wallMilliseconds()
    do throws(JournalError) {
      figures.deadLetters.store(try store.outbox.deadLetterCount(), ordering: .relaxed)
      for name in routing.receiverNames where try store.outbox.parkedSince(receiver: name) != nil {
        figures.parked.withLock { _ = $0.insert(name) }
      }
      let rows = try store.outbox.all()
      for row in rows where row.row.type == Canary.type { _ = try store.outbox.remove(row.order, atMs: now) }
      let configured = Set(routing.receiverNames)
      let leftovers = rows.filter { entry in
        configured.contains(entry.row.receiver)
          && (entry.attempts > 0 || entry.row.createdMs < now - OutboxKeeper.leftoverAge)
      }
      for (receiver, owed) in Dictionary(grouping: leftovers, by: \.row.receiver).sorted(by: { $0.key < $1.key }) {
        let made = try digests.make(receiver: receiver, of: owed, now: now)
        tell(made, of: receiver)
      }
    } catch {
      log.error(
        "delivery", "leftovers of the outbox could not be joined; each goes by itself",
        ["reason": LogValue(error.description)])
    }
    offerAll()
  }

  // MARK: Digests

  /// Makes the digests delivery waits for. One that fails is left out: its alerts then go by themselves.
  func makeDigestsDue() {
    let due = digestsDue.withLock { due in
      defer { due.removeAll() }
      return due
    }
    for (receiver, underWay) in due.sorted(by: { $0.key < $1.key }) {
      do throws(JournalError) {
        let rows = try store.outbox.all { $0.row.receiver == receiver && !underWay.contains($0.order) }
        let made = try digests.make(receiver: receiver, of: rows, now: clock.wallMilliseconds())
        tell(made, of: receiver)
        let items = made.digests.map { Webhooks.item($0, stillActive: false) }
        current?.digested(receiver: receiver, covered: made.covered, digests: items)
      } catch {
        log.error(
          "delivery", "no digest could be made; ended alerts go by themselves",
          ["receiver": LogValue(receiver), "reason": LogValue(error.description)])
        current?.digested(receiver: receiver, covered: [], digests: [])
      }
    }
  }

  private func tell(_ made: DigestMaker.Outcome, of receiver: String) {
    guard !made.digests.isEmpty else { return }
    log.info(
      "delivery", "ended alerts joined in a digest",
      [
        "receiver": LogValue(receiver), "webhooks": LogValue(made.covered.count),
        "digests": LogValue(made.digests.count),
      ])
  }

  // MARK: Dead letters

  /// The receiver has refused the body for good.
  func buryRefused(_ item: OutboxItem) {
    bury([item.outboxKey], .refused, receiver: item.receiver)
  }

  /// Gives up on rows whose receiver has been gone for a day, or is no longer configured.
  func buryWhatNobodyTakes(now: Int64) {
    let last = lastBurial.load(ordering: .relaxed)
    guard last == .min || now - last >= OutboxKeeper.burialInterval else { return }
    lastBurial.store(now, ordering: .relaxed)
    do throws(JournalError) {
      let configured = Set(routing.receiverNames)
      var gone: Set<String> = []
      for name in figures.parked.withLock({ $0 }).sorted() {
        let since = try store.outbox.parkedSince(receiver: name)
        if let since, now - since >= OutboxKeeper.givenUpAge { gone.insert(name) }
      }
      let rows = try store.outbox.all { entry in
        entry.row.createdMs <= now - OutboxKeeper.givenUpAge
          && (gone.contains(entry.row.receiver) || !configured.contains(entry.row.receiver))
      }
      for (receiver, owed) in Dictionary(grouping: rows, by: \.row.receiver).sorted(by: { $0.key < $1.key }) {
        bury(owed.map(\.order), configured.contains(receiver) ? .parked : .unconfigured, receiver: receiver)
      }
    } catch {
      log.error("delivery", "outbox could not be searched", ["reason": LogValue(error.description)])
    }
  }

  private func bury(_ orders: [UInt64], _ reason: DeadLetterReason, receiver: String) {
    do throws(JournalError) {
      let moved = try store.outbox.bury(orders, reason, atMs: clock.wallMilliseconds())
      guard !moved.isEmpty else { return }
      current?.withdraw(receiver: receiver, outboxKeys: moved.map(\.order))
      figures.deadLetters.add(moved.count, ordering: .relaxed)
      meters.deadLetters.with(receiver, reason.text).add(moved.count)
      tell(buried: moved, reason, receiver: receiver)
    } catch {
      log.error(
        "delivery", "dead letters could not be put aside; they stay in the outbox",
        ["receiver": LogValue(receiver), "reason": LogValue(error.description)])
    }
  }

  /// High alerts are never given up in silence.
  private func tell(buried: [QueuedRow], _ reason: DeadLetterReason, receiver: String) {
    let high = buried.filter { $0.row.priority == .high }
    log.write(
      high.isEmpty ? .warning : .error, "delivery", "webhooks given up; `vigil deliveries dead` lists them",
      [
        "receiver": LogValue(receiver), "reason": LogValue(reason.text), "webhooks": LogValue(buried.count),
        "high": LogValue(high.count),
      ])
    guard let first = high.first else { return }
    let what = high.count == 1 ? "a high alert" : "\(high.count) webhooks of high alerts"
    tellOthers(
      than: receiver, rule: "delivery-given-up", title: "High alert given up",
      message: "\(what) for \(receiver) will not be tried again (\(reason.text)); look at the bedside",
      alertID: first.row.alertID)
  }

  /// Puts dead letters back among what is owed, and tries their receivers, and one named, at once.
  ///
  /// - Parameters:
  ///   - orders: of dead letters; nil: all of `receiver`, or all.
  ///   - receiver: only its dead letters.
  /// - Returns: how many are owed again.
  func replay(_ orders: [UInt64]?, receiver: String?) throws(JournalError) -> Int {
    let letters = try store.outbox.deadLetters(receiver: receiver).map(\.queued.order)
    let wanted = orders.map(Set.init)
    let moved = try store.outbox.replay(letters.filter { wanted?.contains($0) ?? true })
    figures.deadLetters.subtract(moved.count, ordering: .relaxed)
    var items: [OutboxItem] = []
    for row in moved {
      let newest = try store.alerts.newest(alertID: row.row.alertID)
      items.append(Webhooks.item(row, stillActive: newest?.state == .active))
    }
    offer(items)
    for name in Set(moved.map(\.row.receiver) + [receiver].compactMap { $0 }) { current?.retryNow(receiver: name) }
    return moved.count
  }

  /// Forgets dead letters older than their retention.
  func trimDeadLetters(olderThan timeMs: Int64) throws(JournalError) {
    let count = try store.outbox.trimDeadLetters(olderThan: timeMs)
    figures.deadLetters.subtract(count, ordering: .relaxed)
  }
}
