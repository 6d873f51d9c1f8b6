import AlertJournal
import Configuration
import Delivery
import Digests
import Instrumentation
import RingBufferModule
import Synchronization
import VitalModel

/// What a receiver answered a webhook with.
enum WebhookAnswer: Equatable {
  /// Nothing, or something that is no answer.
  case none
  /// Meant as one, and not one.
  case malformed
  case accept(Bool, by: String)

  /// Longest answer, bytes.
  static let bytesMax = 4096

  /// Reads `{"accept":true,"by":"u-1"}`: one flat JSON object, these two keys and no others.
  init(_ body: [UInt8]) {
    guard let first = body.first(where: { ![9, 10, 13, 32].contains($0) }), first == UInt8(ascii: "{") else {
      self = .none
      return
    }
    guard let object = FlatJSON(body, limit: WebhookAnswer.bytesMax) else {
      self = .malformed
      return
    }
    guard object.has("accept") else {
      self = .none
      return
    }
    guard object.unknownKey(besides: ["accept", "by"]) == nil, let accept = object.truth("accept"),
      let by = object.text("by"), !by.isEmpty
    else {
      self = .malformed
      return
    }
    self = .accept(accept, by: by)
  }
}

/// Takes what receivers answer webhooks with off the delivery thread and makes actions of it (SEMANTICS E6).
///
/// An attempt is recorded as delivered only once what it was answered is durable: after a crash between both the webhook
/// goes out again under its id, and the mark of the first answer keeps a second one from counting.
final class AnswerDesk: @unchecked Sendable {
  // Unchecked: the service outlives the desk, which it stops; what waits is behind a lock.

  /// Answers waiting at most; beyond it an answer is lost and counted, as its receiver is not to be trusted.
  static let waitingMax = 1000

  private struct Waiting {
    var item: OutboxItem
    var isAccepted: Bool
    var by: String
    var record: @Sendable () -> Void
  }

  private unowned let service: VigilService
  private let waiting = Mutex<[Waiting]>([])
  private let doorbell = Doorbell()
  private let isStopping = Atomic<Bool>(false)
  private var thread: DedicatedThread?

  init(_ service: VigilService) throws(StartFailure) {
    self.service = service
    thread = DedicatedThread { [self] in run() }
    guard thread != nil else { throw .unavailable("no thread to be had") }
  }

  /// Takes up the answer to a webhook; called on the delivery thread, returns at once.
  ///
  /// - Parameter record: called when the attempt may be recorded as delivered.
  /// - Returns: false where nothing is to be waited for: the caller records the attempt.
  func take(_ body: [UInt8], to item: OutboxItem, record: @escaping @Sendable () -> Void) -> Bool {
    let answer = WebhookAnswer(body)
    guard answer != .none else { return false }
    guard service.routing.rights.mayAnswer(item.receiver) else { return count("not_allowed", item) }
    guard case .accept(let isAccepted, let by) = answer else { return count("malformed", item) }
    guard service.routing.rights.isKnownUser(by) else { return count("unknown_user", item) }
    let isTaken = waiting.withLock { waiting in
      guard waiting.count < AnswerDesk.waitingMax else { return false }
      waiting.append(Waiting(item: item, isAccepted: isAccepted, by: by, record: record))
      return true
    }
    guard isTaken else { return count("overflow", item) }
    doorbell.ring()
    return true
  }

  /// Ends the thread once nothing waits.
  func stop() {
    isStopping.store(true, ordering: .releasing)
    doorbell.ring()
    thread?.join()
  }

  private func run() {
    while true {
      let seen = doorbell.count
      let isLast = isStopping.load(ordering: .acquiring)
      let list = waiting.withLock { waiting in
        defer { waiting.removeAll() }
        return waiting
      }
      for answer in list { act(answer) }
      if list.isEmpty {
        if isLast { return }
        doorbell.wait(after: seen, timeoutNanoseconds: 1_000_000_000)
      }
    }
  }

  private func act(_ answer: Waiting) {
    let item = answer.item
    let verb = answer.isAccepted ? ActionRequest.Verb.accept : .reject
    let mark = ActionMark(
      kind: .token, digest: sha256("answer\n\(item.receiver)\n\(item.webhookID)"),
      expires: service.settings.clock.wallMilliseconds() + service.configuration.withLock { $0.retain.journal })
    do throws(ActionRefusal) {
      guard try asked(item) else {
        _ = count("not_asked", item)
        answer.record()
        return
      }
      switch try service.claim(mark) {
      case .done: _ = count("repeated", item)
      case .underWay: return
      case .free:
        _ = try service.act(ActionRequest(verb, alert: item.alertID, by: answer.by), mark: mark)
        _ = count(verb.rawValue, item)
      }
    } catch {
      // Not known to be durable: the row stays, and a start sends the webhook again.
      guard error.reason != .unavailable else {
        _ = count("unavailable", item)
        return
      }
      _ = count("refused", item)
    }
    answer.record()
  }

  /// Whether the transition a webhook told of called for an answer.
  private func asked(_ item: OutboxItem) throws(ActionRefusal) -> Bool {
    do throws(JournalError) {
      let transitions = try service.store.alerts.transitions(alertID: item.alertID)
      // An unknown alert is refused by name where it is looked up to be answered.
      guard let told = transitions.first(where: { $0.sequence == item.sequence }) else { return transitions.isEmpty }
      return AlertDocument(json: told.document)?.asksForAnswer ?? false
    } catch {
      throw ActionRefusal(.unavailable, "the alert cannot be read: \(error.description)")
    }
  }

  private func count(_ outcome: String, _ item: OutboxItem) -> Bool {
    service.noteAnswer(outcome, receiver: item.receiver)
    return false
  }
}
