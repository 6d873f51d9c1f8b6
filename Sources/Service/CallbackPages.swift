import AlertJournal
import Digests
import HTTPAPI
import Instrumentation
import VitalModel

/// `/v1/callbacks/TOKEN`: one receiver's leave to answer one alert, once. `GET` shows what the link is and changes nothing:
/// scanners of mail and chat open every link they see.
struct CallbackPages: Sendable {
  private static let keys = ["action", "by", "class", "note"]
  private static let verbs: [ActionRequest.Verb] = [.accept, .reject, .acknowledge]

  // Unowned: the service stops the server before it goes.
  private unowned let service: VigilService

  /// Adds the routes. The token is the authority: no other is asked for.
  static func add(to router: inout HTTPRouter, _ service: VigilService) {
    let pages = CallbackPages(service: service)
    router.add("GET", "/v1/callbacks/{token}") { pages.show($0) }
    router.add("POST", "/v1/callbacks/{token}") { pages.answer($0) }
  }

  private func show(_ request: HTTPRequest) -> HTTPResponse {
    do throws(Refusal) {
      let (token, _) = try open(request)
      return .text(
        """
        Vigil: a link to answer one alert, once.

        alert    \(token.alertID)
        for      \(token.receiver)
        until    \(Timestamp.format(token.expires))

        Opening this page has changed nothing. To answer, POST to this address, as application/json:
        {"action":"accept","by":"USER"}      or reject, or acknowledge with class and note

        """)
    } catch {
      return error.response
    }
  }

  private func answer(_ request: HTTPRequest) -> HTTPResponse {
    do throws(Refusal) {
      let (token, mark) = try open(request)
      let action = try action(request, token)
      return try take(action, token, mark)
    } catch {
      service.noteAnswer(error.outcome, receiver: error.receiver)
      return error.response
    }
  }

  /// Why a callback is not taken: its word in the counter, whose it was, and the answer.
  private struct Refusal: Error {
    var outcome: String
    var receiver: String?
    var response: HTTPResponse

    init(_ outcome: String, _ receiver: String?, _ status: Int, _ title: String, _ detail: String) {
      self.outcome = outcome
      self.receiver = receiver
      response = .problem(status, title, detail: detail)
    }
  }

  private func open(_ request: HTTPRequest) throws(Refusal) -> (CallbackToken, ActionMark) {
    let text = request.parameters["token"] ?? ""
    let token: CallbackToken
    do throws(CallbackToken.Refusal) {
      token = try service.routing.rights.open(text, now: service.settings.clock.wallMilliseconds())
    } catch {
      switch error {
      case .forged: throw Refusal("forged", nil, 403, "not valid", "this link was not made here, or not for you")
      case .expired: throw Refusal("expired", nil, 410, "expired", "this link is too old; answer the alert elsewhere")
      }
    }
    let mark = ActionMark(kind: .token, digest: sha256("callback\n" + text), expires: token.expires)
    let used: ActionMark?
    do throws(JournalError) {
      used = try service.store.actions.mark(.token, mark.digest)
    } catch {
      throw Refusal("unavailable", token.receiver, 503, "not readable", error.description)
    }
    guard used == nil else { throw CallbackPages.used(token) }
    return (token, mark)
  }

  private static func used(_ token: CallbackToken) -> Refusal {
    Refusal("used", token.receiver, 410, "used", "this link has been used; it answers once")
  }

  private func action(_ request: HTTPRequest, _ token: CallbackToken) throws(Refusal) -> ActionRequest {
    let receiver = token.receiver
    if let response = APIAccess.bodyRefusal(request) {
      var refusal = Refusal("malformed", receiver, 415, "", "")
      refusal.response = response
      throw refusal
    }
    guard let fields = FlatJSON(request.body, limit: WebhookAnswer.bytesMax) else {
      throw Refusal("malformed", receiver, 400, "bad body", "the body must be one flat JSON object of at most 4 KiB")
    }
    guard fields.unknownKey(besides: CallbackPages.keys) == nil, fields.notText(CallbackPages.keys) == nil,
      let verb = CallbackPages.verbs.first(where: { $0.rawValue == fields.text("action") })
    else {
      throw Refusal(
        "malformed", receiver, 422, "bad body", "action is accept, reject or acknowledge; further: by, class, note")
    }
    let by = fields.text("by") ?? ""
    guard service.routing.rights.isKnownUser(by) else {
      throw Refusal("unknown_user", receiver, 403, "unknown user", "`by` must be one of the people Vigil knows")
    }
    var action = ActionRequest(verb, alert: token.alertID, by: by)
    if verb == .acknowledge { (action.kind, action.note) = (fields.text("class"), fields.text("note")) }
    return action
  }

  private func take(
    _ action: ActionRequest, _ token: CallbackToken, _ mark: ActionMark
  ) throws(Refusal) -> HTTPResponse {
    let receipt: ActionReceipt?
    do throws(ActionRefusal) {
      if case .free = try service.claim(mark) {
        receipt = try service.act(action, mark: mark)
      } else {
        receipt = nil
      }
    } catch {
      var refusal = Refusal(
        error.reason == .unavailable ? "unavailable" : "refused", token.receiver, 503, "", error.line)
      refusal.response = AlertPages.problem(error)
      throw refusal
    }
    guard let receipt else { throw CallbackPages.used(token) }
    service.noteAnswer(action.verb.rawValue, receiver: token.receiver)
    return AlertPages.receipt(receipt, isRepeated: false)
  }
}
