import AlertJournal
import Delivery
import Instrumentation
import Synchronization
import VitalModel

/// Between the durable outbox and the delivery thread: offers rows, records attempts, raises what cannot be delivered.
final class OutboxKeeper: DeliveryJournal, OutboxDelivery {
  private let store: VigilStore
  private let routing: Routing
  private let meters: ServiceMeters
  private let log: Log
  private let clock: any ServiceClock
  private let worker = Mutex<DeliveryWorker?>(nil)
  private let answers = Mutex<AnswerDesk?>(nil)
  private let needsOffer = Atomic<Bool>(false)

  init(store: VigilStore, routing: Routing, meters: ServiceMeters, log: Log, clock: any ServiceClock) {
    self.store = store
    self.routing = routing
    self.meters = meters
    self.log = log
    self.clock = clock
  }

  func attach(_ worker: DeliveryWorker?) { self.worker.withLock { $0 = worker } }
  func attach(answers desk: AnswerDesk?) { answers.withLock { $0 = desk } }
  private var current: DeliveryWorker? { worker.withLock { $0 } }

  // MARK: To delivery

  func offer(_ items: [OutboxItem]) {
    guard !items.isEmpty, let worker = current else { return }
    if worker.enqueue(items) > 0 { needsOffer.store(true, ordering: .relaxed) }
  }

  /// Offers everything the outbox holds: at start, and when there is room again. Held items are ignored by delivery.
  func offerAll() {
    do throws(JournalError) {
      let rows = try store.outbox.all()
      var items: [OutboxItem] = []
      items.reserveCapacity(rows.count)
      for row in rows {
        let newest = try store.alerts.newest(alertID: row.row.alertID)
        items.append(Webhooks.item(row, stillActive: newest?.state == .active))
      }
      offer(items)
    } catch {
      log.error("delivery", "outbox could not be read", ["reason": LogValue(error.description)])
    }
  }

  /// Called by the monitor about once a second.
  func upkeep() {
    if needsOffer.exchange(false, ordering: .relaxed) { offerAll() }
  }

  // MARK: DeliveryJournal, on the delivery thread

  func attempted(_ reports: [AttemptReport]) {
    for report in reports {
      let outcome = report.isDelivered ? "delivered" : "failed"
      meters.deliveries.with(report.item.receiver, outcome).add(1)
      guard report.item.keeping == .outbox else { continue }
      if !report.answer.isEmpty, report.isDelivered, let desk = answers.withLock({ $0 }),
        desk.take(report.answer, to: report.item, record: { [self] in record(report) })
      {
        continue
      }
      record(report)
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
    case .undelivered(let item, let attempts):
      meters.undelivered.add(1)
      tellOthers(
        than: item.receiver, rule: "delivery-failed", title: "High alert not delivered",
        message: "a high alert has not reached \(item.receiver) after \(attempts) attempts; look at the bedside",
        alertID: item.alertID)
      log.error(
        "delivery", "high alert not delivered",
        ["receiver": LogValue(item.receiver), "attempts": LogValue(attempts), "alert": LogValue(item.alertID)])
    case .parked(let receiver, _):
      tellOthers(
        than: receiver, rule: "receiver-parked", title: "Receiver gone",
        message: "receiver \(receiver) refuses every webhook and is probed only; alerts wait in the outbox",
        alertID: receiver)
      log.error("delivery", "receiver parked", ["receiver": LogValue(receiver)])
    case .breakerOpened(let receiver):
      log.warning("delivery", "receiver keeps failing; probing it", ["receiver": LogValue(receiver)])
    case .recovered(let receiver): log.info("delivery", "receiver recovered", ["receiver": LogValue(receiver)])
    case .noSuchReceiver(let item):
      log.limited(
        .warning, every: 60, "delivery", "outbox row for a receiver that is no longer configured",
        ["receiver": LogValue(item.receiver)])
    }
  }

  /// A technical alert from memory to every receiver but the one concerned.
  private func tellOthers(than receiver: String, rule: String, title: String, message: String, alertID: String) {
    let others = routing.receiverNames.filter { $0 != receiver }
    guard !others.isEmpty else { return }
    sendTechnical(
      to: others, rule: rule, title: title, message: message, subject: receiver + "/" + alertID,
      now: clock.wallMilliseconds())
  }

  /// A technical alert of the service itself, from memory: it needs no store (SEMANTICS E5).
  func sendTechnical(to receivers: [String], rule: String, title: String, message: String, subject: String, now: Int64)
  {
    guard let worker = current, !receivers.isEmpty else { return }
    let document = ServiceAlert.document(rule: rule, title: title, message: message, subject: subject, now: now)
    let body = WebhookBody.standard(type: "alert.opened", timestampMs: now, data: Array(document.json.utf8))
    let id = OutboxItem.webhookID(alertID: document.alertID, sequence: 1)
    _ = worker.sendNow(
      to: receivers, webhookID: id, type: "alert.opened", body: body, createdMs: now, attemptsMax: 20)
  }

  func roomAvailable() { needsOffer.store(true, ordering: .relaxed) }
}
