import AlertJournal
import Configuration
import Instrumentation
import Pipeline
import Synchronization
import VitalModel

/// What people do about alerts while the service runs: checked, journaled, and answered once durable.
extension VigilService {
  /// How long a caller waits for the disk, milliseconds of real time.
  static let actionWait = 5000
  /// Claims at once; far more than connections there can be.
  static let claimsMax = 10_000

  /// Takes an action.
  ///
  /// - Parameters:
  ///   - mark: left in the same write; the caller has claimed it.
  /// - Returns: its journal position, once it is durable.
  /// - Throws: `.unavailable` where that is not known in time: the action may have been taken.
  package func act(_ request: ActionRequest, mark: ActionMark? = nil) throws(ActionRefusal) -> ActionReceipt {
    let checked: CheckedAction
    do throws(ActionRefusal) {
      checked = try check.checked(request)
    } catch {
      if let mark { release(mark) }
      throw error
    }
    var own = mark
    own?.made = checked.action.silence?.id ?? ""
    let ticket = ActionTicket()
    sequencer.send(.action(checked, own, ticket))
    guard let position = sequencer.wait(for: ticket, milliseconds: VigilService.actionWait) else {
      // The claim stays: a repetition must not be taken beside it.
      throw ActionRefusal(
        .unavailable, "the action could not be stored in time; look whether it was taken before asking again")
    }
    if let mark { release(mark) }
    meters.actions.with(checked.action.word).add(1)
    log.info("service", "action taken", ["action": LogValue(checked.action.word), "position": LogValue(position)])
    return ActionReceipt(position: position, silence: checked.action.silence)
  }

  private var check: ActionCheck {
    ActionCheck(
      store: store, directory: directory, tenant: configuration.withLock { $0.tenant },
      rules: { [self] in (try? rules.withLock { $0 }.plan().rules) ?? [] },
      now: settings.clock.wallMilliseconds())
  }

  // MARK: Once only

  enum Claim {
    /// The caller may act, and nobody else with the same mark until it has.
    case free
    case underWay
    case done(ActionMark)
  }

  /// Whether what carries this mark may be done; `.free` holds it for the caller.
  func claim(_ mark: ActionMark) throws(ActionRefusal) -> Claim {
    let isFree = claims.withLock { claims -> Bool? in
      guard claims.count < VigilService.claimsMax else { return nil }
      return claims.insert(mark.digest).inserted
    }
    guard let isFree else { throw ActionRefusal(.unavailable, "too much is under way; try again later") }
    // Read while held: who acts meanwhile has written its mark before it lets go.
    let found: ActionMark?
    do throws(JournalError) {
      found = try store.actions.mark(mark.kind, mark.digest)
    } catch {
      if isFree { release(mark) }
      throw ActionRefusal(.unavailable, "the marks cannot be read: \(error.description)")
    }
    if let found {
      release(mark)
      return .done(found)
    }
    return isFree ? .free : .underWay
  }

  func release(_ mark: ActionMark) { claims.withLock { _ = $0.remove(mark.digest) } }

  // MARK: Counting

  /// One answer from outside, whatever became of it; only the receiver is named.
  func noteAnswer(_ outcome: String, receiver: String?) {
    meters.answers.with(outcome).add(1)
    guard !ActionRequest.Verb.allCases.contains(where: { $0.rawValue == outcome }) else { return }
    log.limited(
      .warning, every: 5, "service", "answer not taken",
      ["outcome": LogValue(outcome), "receiver": LogValue(receiver ?? "unknown")])
  }
}
