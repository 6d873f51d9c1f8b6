import AlertJournal
import Configuration
import Delivery
import Instrumentation
import Synchronization
import VitalModel
import WebhookFormats

/// What delivery leaves behind for `/metrics`.
final class DeliveryFigures: Sendable {
  let deadLetters = Atomic<Int>(0)
  /// High alerts told as undelivered that no receiver has taken since.
  let unreached = Mutex<Set<String>>([])
  /// Receivers noted as parked in the store.
  let parked = Mutex<Set<String>>([])
}

/// Who is told when somebody cannot be told.
extension OutboxKeeper {
  func tellUndelivered(_ item: OutboxItem, attempts: Int) {
    meters.undelivered.add(1)
    tellOthers(
      than: item.receiver, rule: "delivery-failed", title: "High alert not delivered",
      message: "a high alert has not reached \(item.receiver) after \(attempts) attempts; look at the bedside",
      alertID: item.alertID)
    log.error(
      "delivery", "high alert not delivered",
      ["receiver": LogValue(item.receiver), "attempts": LogValue(attempts), "alert": LogValue(item.alertID)])
    noteUnreached(item)
  }

  /// The last route of a high alert has failed when no receiver has taken any of its transitions.
  private func noteUnreached(_ item: OutboxItem) {
    let isTaken = (try? store.alerts.deliveries(alertID: item.alertID))?.contains(where: \.isDelivered) ?? false
    guard !isTaken else { return }
    figures.unreached.withLock { _ = $0.insert(item.alertID) }
    guard !othersMayListen(than: item.receiver) else { return }
    log.error(
      "delivery", "a high alert reaches nobody: look at the bedside and repair a receiver",
      ["receiver": LogValue(item.receiver), "alert": LogValue(item.alertID)])
  }

  /// Whether another receiver is configured that is not known to fail.
  private func othersMayListen(than receiver: String) -> Bool {
    let known = current?.snapshot().receivers.map(\.state) ?? []
    return routing.receiverNames.contains { name in
      name != receiver && known.first { $0.name == name }?.condition ?? .healthy == .healthy
    }
  }

  func tellParked(_ receiver: String) {
    tellOthers(
      than: receiver, rule: "receiver-parked", title: "Receiver gone",
      message: "receiver \(receiver) refuses every webhook and is probed only; alerts wait in the outbox",
      alertID: receiver)
    log.error("delivery", "receiver parked", ["receiver": LogValue(receiver)])
    figures.parked.withLock { _ = $0.insert(receiver) }
    do throws(JournalError) {
      try store.outbox.noteParked(receiver: receiver, atMs: clock.wallMilliseconds())
    } catch {
      log.error("delivery", "parking could not be recorded", ["reason": LogValue(error.description)])
    }
  }

  /// Somebody has it: the alert, or every alert of a digest, is out; and its receiver is not gone.
  func noteTaken(_ item: OutboxItem) {
    if figures.unreached.withLock({ !$0.isEmpty }) {
      let members = item.type == DigestMaker.type ? (try? store.outbox.members(of: item.outboxKey)) ?? [] : []
      figures.unreached.withLock { unreached in
        unreached.remove(item.alertID)
        unreached.subtract(members)
      }
    }
    guard figures.parked.withLock({ $0.remove(item.receiver) }) != nil else { return }
    do throws(JournalError) {
      try store.outbox.noteTaken(receiver: item.receiver)
    } catch {
      log.error("delivery", "the end of parking could not be recorded", ["reason": LogValue(error.description)])
    }
  }

  /// A receiver that keeps an alert's last state must not hear an older one after a newer: it would open again what has
  /// ended. Others are owed every transition.
  func dropOvertaken(_ keys: [UInt64], receiver: String) {
    guard routing.receivers(named: [receiver]).first?.format.keepsLastState == true else { return }
    do throws(JournalError) {
      for key in keys { _ = try store.outbox.remove(key, atMs: clock.wallMilliseconds()) }
      current?.withdraw(receiver: receiver, outboxKeys: keys)
    } catch {
      log.limited(
        .warning, every: 60, "delivery", "an overtaken webhook could not be taken out of the outbox",
        ["reason": LogValue(error.description)])
    }
  }

  /// A technical alert from memory to every receiver but the one concerned.
  func tellOthers(than receiver: String, rule: String, title: String, message: String, alertID: String) {
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
    let id = OutboxItem.webhookID(alertID: document.alertID, sequence: 1)
    for receiver in routing.receivers(named: receivers) {
      // About no vital, so no registry is needed to name one.
      let encoded = Webhooks.encoder(receiver, VitalRegistry([])).encode(
        Webhook(type: .opened, webhookID: id, receiver: receiver.name, timestampMs: now, alerts: [document]))
      _ = worker.sendNow(
        to: [receiver.name], webhookID: id, type: WebhookType.opened.rawValue, body: encoded.body,
        contentType: encoded.contentType, headers: encoded.headers.map { OutboxItem.Header($0.name, $0.value) },
        createdMs: now, attemptsMax: 20)
    }
  }

  /// Figures read when `/metrics` is asked for.
  func registerGauges() {
    let registry = meters.registry
    let figures = figures
    registry.gauge(
      "vigil_unreachable_high_alerts", "High alerts told as undelivered that no receiver has taken since."
    ) { Double(figures.unreached.withLock { $0.count }) }
    registry.gauge("vigil_dead_letters", "Webhooks given up on and not replayed.") {
      Double(figures.deadLetters.load(ordering: .relaxed))
    }
    registry.gauge("vigil_outbox_owed", "Webhooks the delivery thread holds and has not delivered.") { [weak self] in
      Double(self?.current?.snapshot().receivers.reduce(0) { $0 + $1.state.outstanding } ?? 0)
    }
    registry.gauge("vigil_receivers_failing", "Receivers that keep failing and are probed.") { [weak self] in
      Double(self?.current?.snapshot().receivers.count { $0.state.condition == .failing } ?? 0)
    }
    registry.gauge("vigil_receivers_parked", "Receivers that are gone and are probed now and then.") { [weak self] in
      Double(self?.current?.snapshot().receivers.count { $0.state.condition == .parked } ?? 0)
    }
  }
}
