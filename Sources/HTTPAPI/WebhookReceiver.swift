import Glibc
import Synchronization

/// One webhook as it arrived at the built-in receiver.
package struct ReceivedWebhook: Sendable {
  /// The `webhook-id` header; empty when missing.
  package let id: String
  /// The `webhook-timestamp` header; empty when missing.
  package let timestamp: String
  /// The `webhook-signature` header; empty when missing.
  package let signature: String
  /// All headers, names in lower case.
  package let headers: [(name: String, value: String)]
  package let path: String
  package let body: [UInt8]
  /// Counts all requests, from 1.
  package var ordinal = 0
  /// Why it was not believed; nil when it was.
  package var refusal: String?
  /// Whether its id had been accepted before.
  package var isDuplicate = false
  /// What it was answered.
  package var status = 0
}

/// The built-in webhook receiver: takes alerts on a port, checks their signatures, knows repeats, and can be told to
/// fail the first requests in a certain way so that a sender's patience can be tried.
///
/// Never here: what an alert means; whoever made it prints or checks.
package final class WebhookReceiver: Sendable {
  /// How to answer one request instead of accepting it.
  package enum Behaviour: Sendable, Equatable {
    /// This status, whatever came.
    case status(Int)
    /// This status with `Retry-After` in seconds.
    case retryAfter(status: Int, seconds: Int)
    /// 302 to another place.
    case redirect(to: String)
    /// Answers as usual, this many milliseconds late.
    case slow(ms: Int)
  }

  /// Counts since the start.
  package struct Counts: Sendable, Equatable {
    package var requests = 0
    /// Believed and new.
    package var accepted = 0
    package var duplicates = 0
    /// Not believed.
    package var refused = 0
    /// Answered by the script.
    package var scripted = 0
  }

  private struct State {
    var counts = Counts()
    var script: ArraySlice<Behaviour>
    var seen: Set<String> = []
    /// The ids of `seen`, oldest first, from `oldest` on in a circle.
    var seenOrder: [String] = []
    var oldest = 0
  }

  private let server: HTTPServer
  private let core: Core

  /// Where it listens.
  package var address: BindAddress { server.address }
  /// The URL to send to.
  package var url: String { "http://\(server.address)/" }
  package var counts: Counts { core.state.withLock { $0.counts } }

  /// Starts listening; every path is taken.
  ///
  /// - Parameters:
  ///   - script: answers to the first requests, one each, in order; later ones are accepted.
  ///   - idsMax: how many accepted ids are remembered; the oldest is forgotten first.
  ///   - verify: why a webhook is not to be believed; nil when it is. Called on server threads.
  ///   - onWebhook: told of every request after its answer is decided, before it is sent. Called on server threads.
  package init(
    bind: BindAddress = .loopback, script: [Behaviour] = [], idsMax: Int = 65_536,
    verify: @escaping @Sendable (ReceivedWebhook) -> String?,
    onWebhook: @escaping @Sendable (ReceivedWebhook) -> Void
  ) throws(HTTPServerError) {
    let core = Core(
      state: State(script: script[...]), idsMax: max(1, idsMax), verify: verify, onWebhook: onWebhook)
    self.core = core
    var router = HTTPRouter()
    router.add("POST", "/**") { core.answer($0) }
    // A thread for each connection: a slow answer holds up nobody else.
    server = try HTTPServer(.init(bind: bind, threads: nil), router: router)
  }

  /// Closes the port; waits for answers under way.
  package func stop() { server.stop() }

  /// What the server's threads work on.
  private final class Core: Sendable {
    let state: Mutex<State>
    private let idsMax: Int
    private let verify: @Sendable (ReceivedWebhook) -> String?
    private let onWebhook: @Sendable (ReceivedWebhook) -> Void

    init(
      state: consuming sending State, idsMax: Int, verify: @escaping @Sendable (ReceivedWebhook) -> String?,
      onWebhook: @escaping @Sendable (ReceivedWebhook) -> Void
    ) {
      self.state = Mutex(state)
      self.idsMax = idsMax
      self.verify = verify
      self.onWebhook = onWebhook
    }

    func answer(_ request: HTTPRequest) -> HTTPResponse {
      var webhook = ReceivedWebhook(
        id: request.header("webhook-id") ?? "", timestamp: request.header("webhook-timestamp") ?? "",
        signature: request.header("webhook-signature") ?? "", headers: request.headers, path: request.path,
        body: request.body)
      webhook.refusal = verify(webhook)
      let behaviour = state.withLock { state -> Behaviour? in
        state.counts.requests += 1
        webhook.ordinal = state.counts.requests
        return state.script.popFirst()
      }
      let response = decide(&webhook, behaviour)
      webhook.status = response.status
      onWebhook(webhook)
      return response
    }

    private func decide(_ webhook: inout ReceivedWebhook, _ behaviour: Behaviour?) -> HTTPResponse {
      if behaviour != nil { state.withLock { $0.counts.scripted += 1 } }
      switch behaviour {
      case .status(let code): return HTTPResponse(status: code)
      case .retryAfter(let code, let seconds):
        return HTTPResponse(status: code, headers: [("Retry-After", String(seconds))])
      case .redirect(let place): return HTTPResponse(status: 302, headers: [("Location", place)])
      case .slow(let ms): usleep(UInt32(clamping: ms * 1000))
      case nil: break
      }
      return accept(&webhook)
    }

    private func accept(_ webhook: inout ReceivedWebhook) -> HTTPResponse {
      guard webhook.refusal == nil else {
        state.withLock { $0.counts.refused += 1 }
        return .problem(401, "signature not accepted")
      }
      let id = webhook.id
      webhook.isDuplicate = state.withLock { state in
        let isNew = remember(id, in: &state)
        if isNew { state.counts.accepted += 1 } else { state.counts.duplicates += 1 }
        return !isNew
      }
      return HTTPResponse(status: 204)
    }

    /// Returns whether the id is new.
    private func remember(_ id: String, in state: inout State) -> Bool {
      guard state.seen.insert(id).inserted else { return false }
      if state.seenOrder.count < idsMax {
        state.seenOrder.append(id)
      } else {
        state.seen.remove(state.seenOrder[state.oldest])
        state.seenOrder[state.oldest] = id
        state.oldest = (state.oldest + 1) % idsMax
      }
      return true
    }
  }
}
