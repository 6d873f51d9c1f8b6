import AlertJournal
import Configuration
import Delivery
import Instrumentation
import Synchronization
import VitalModel

/// Between the durable outbox and the delivery thread: offers rows, records attempts, raises what cannot be delivered.
///
/// Its calls as ``DeliveryJournal`` come from the delivery thread and are short; what takes longer waits for
/// ``upkeep()`` on the monitor's thread.
final class OutboxKeeper: DeliveryJournal, OutboxDelivery {
  let store: VigilStore
  let routing: Routing
  let meters: ServiceMeters
  let log: Log
  let clock: any ServiceClock
  let digests: DigestMaker
  let figures = DeliveryFigures()
  private let worker = Mutex<DeliveryWorker?>(nil)
  private let answers = Mutex<AnswerDesk?>(nil)
  private let needsOffer = Atomic<Bool>(false)
  /// Receivers that are back and wait for their digest, with the keys that were under way then.
  let digestsDue = Mutex<[String: Set<UInt64>]>([:])
  /// When the outbox was last searched for what nobody will take, milliseconds since 1970.
  let lastBurial = Atomic<Int64>(.min)
  private let heartbeatSetting = Mutex<VigilConfiguration.Heartbeat?>(nil)
  /// The newest heartbeat owed to a receiver.
  private let newestHeartbeat = Mutex<[String: UInt64]>([:])

  /// - Parameter encode: how a digest is written; nil: in its receiver's format.
  init(
    store: VigilStore, routing: Routing, meters: ServiceMeters, log: Log, clock: any ServiceClock,
    encode: DigestEncoder? = nil
  ) {
    self.store = store
    self.routing = routing
    self.meters = meters
    self.log = log
    self.clock = clock
    digests = DigestMaker(
      store: store,
      encode: encode ?? { request in
        routing.receivers(named: [request.receiver]).first.map { Webhooks.digest(request, to: $0) }
      },
      closesAlerts: { routing.receivers(named: [$0]).first?.format.digestClosesAlerts ?? true })
    registerGauges()
  }

  func attach(_ worker: DeliveryWorker?) { self.worker.withLock { $0 = worker } }
  func attach(answers desk: AnswerDesk?) { answers.withLock { $0 = desk } }
  var current: DeliveryWorker? { worker.withLock { $0 } }

  /// Who gets the heartbeat, and how often; replaced by a reload.
  var heartbeat: VigilConfiguration.Heartbeat? {
    get { heartbeatSetting.withLock { $0 } }
    set { heartbeatSetting.withLock { $0 = newValue } }
  }

  // MARK: To delivery

  func offer(_ items: [OutboxItem]) {
    guard !items.isEmpty, let worker = current else { return }
    _ = worker.enqueue(items)
    for item in items where item.type == Canary.type { dropOlderHeartbeat(than: item) }
  }

  /// A heartbeat says that all is well now: one that could not be delivered before the next says nothing, and must not
  /// speak for a later moment.
  private func dropOlderHeartbeat(than item: OutboxItem) {
    let older = newestHeartbeat.withLock { $0.updateValue(item.outboxKey, forKey: item.receiver) }
    guard let older, older != item.outboxKey else { return }
    do throws(JournalError) {
      guard try store.outbox.remove(older, atMs: clock.wallMilliseconds()) else { return }
      current?.withdraw(receiver: item.receiver, outboxKeys: [older])
    } catch {
      log.limited(
        .warning, every: 60, "delivery", "an old heartbeat could not be taken out of the outbox",
        ["reason": LogValue(error.description)])
    }
  }

  /// Offers everything the outbox holds: at start, and when there is room again. Held items are ignored by delivery.
  func offerAll() {
    do throws(JournalError) {
      var active: [String: Bool] = [:]
      var items: [OutboxItem] = []
      for row in try store.outbox.all() {
        let isActive: Bool
        if let known = active[row.row.alertID] {
          isActive = known
        } else {
          isActive = try store.alerts.newest(alertID: row.row.alertID)?.state == .active
          active[row.row.alertID] = isActive
        }
        items.append(Webhooks.item(row, stillActive: isActive))
      }
      offer(items)
    } catch {
      log.error("delivery", "outbox could not be read", ["reason": LogValue(error.description)])
    }
  }

  /// Called by the monitor about once a second.
  func upkeep() {
    makeDigestsDue()
    if needsOffer.exchange(false, ordering: .relaxed) { offerAll() }
    buryWhatNobodyTakes(now: clock.wallMilliseconds())
  }

  // MARK: DeliveryJournal, on the delivery thread

  func attempted(_ reports: [AttemptReport]) {
    for report in reports {
      let outcome = report.isDelivered ? "delivered" : "failed"
      meters.deliveries.with(report.item.receiver, outcome).add(1)
      guard report.item.keeping == .outbox else { continue }
      if report.isDelivered { noteTaken(report.item) }
      if !report.answer.isEmpty, report.isDelivered, let desk = answers.withLock({ $0 }),
        desk.take(report.answer, to: report.item, record: { [self] in record(report) })
      {
        continue
      }
      record(report)
      if report.isGivenUp { buryRefused(report.item) }
    }
  }

  private func record(_ report: AttemptReport) {
    let (status, detail) = OutboxKeeper.describe(report.result)
    do throws(JournalError) {
      _ = try store.outbox.recordAttempt(
        report.item.outboxKey, timeMs: report.startedMs, status: status, isDelivered: report.isDelivered,
        isFinal: report.isDelivered, detail: detail)
    } catch {
      log.limited(
        .error, every: 5, "delivery", "attempt could not be recorded; a restart may deliver again",
        ["reason": LogValue(error.description)])
    }
    if !report.isDelivered {
      log.limited(
        .warning, every: 5, "delivery", "webhook not delivered",
        ["receiver": LogValue(report.item.receiver), "status": LogValue(status), "detail": LogValue(detail)])
    }
  }

  private static func describe(_ result: AttemptResult) -> (status: Int, detail: String) {
    switch result {
    case .delivered(let status): (status, "")
    case .refused(let status, _): (status, "")
    case .broken(let failure): (0, failure.rawValue)
    }
  }

  func noticed(_ notice: DeliveryNotice) {
    switch notice {
    case .undelivered(let item, let attempts): tellUndelivered(item, attempts: attempts)
    case .parked(let receiver, _): tellParked(receiver)
    case .breakerOpened(let receiver):
      log.warning("delivery", "receiver keeps failing; probing it", ["receiver": LogValue(receiver)])
    case .recovered(let receiver): log.info("delivery", "receiver recovered", ["receiver": LogValue(receiver)])
    case .digestDue(let receiver, let underWay): digestsDue.withLock { $0[receiver] = Set(underWay) }
    case .overtook(let receiver, let keys): dropOvertaken(keys, receiver: receiver)
    case .noSuchReceiver(let item):
      log.limited(
        .warning, every: 60, "delivery", "outbox row for a receiver that is no longer configured",
        ["receiver": LogValue(item.receiver)])
    }
  }

  func roomAvailable() { needsOffer.store(true, ordering: .relaxed) }
}
