import AlertJournal
import Digests
import Foundation
import HTTPAPI
import Instrumentation
import Synchronization
import VitalModel

/// `/v1/alerts` and `/v1/silences`: what is active, and what people do about it. `GET` changes nothing.
struct AlertPages: Sendable {
  /// Longest body of a request, and longest idempotency key, bytes.
  static let bodyMax = 16_384
  static let keyMax = 255
  /// Alerts and silences listed at most.
  static let listMax = 10_000

  // Unowned: the service stops the server before it goes.
  private unowned let service: VigilService

  /// Adds the routes.
  static func add(to router: inout HTTPRouter, _ service: VigilService) {
    let pages = AlertPages(service: service)
    router.add("GET", "/v1/alerts") { pages.guarded($0) { pages.list($0) } }
    router.add("GET", "/v1/alerts/{id}") { pages.guarded($0) { pages.show($0) } }
    router.add("GET", "/v1/alerts/{id}/explanation") { pages.guarded($0) { pages.explanation($0) } }
    for verb in ActionRequest.Verb.allCases where verb.isAboutAlert {
      router.add("POST", "/v1/alerts/{id}/\(verb.rawValue)") { pages.guarded($0) { pages.answer($0, verb) } }
    }
    router.add("GET", "/v1/silences") { pages.guarded($0) { pages.silences($0) } }
    router.add("POST", "/v1/silences") { pages.guarded($0) { pages.addSilence($0) } }
    router.add("DELETE", "/v1/silences/{id}") { pages.guarded($0) { pages.endSilence($0) } }
  }

  private func guarded(_ request: HTTPRequest, _ answer: (HTTPRequest) -> HTTPResponse) -> HTTPResponse {
    if let refusal = APIAccess.refusal(request, service.configuration.withLock { $0 }) { return refusal }
    return answer(request)
  }

  // MARK: Looking

  private func list(_ request: HTTPRequest) -> HTTPResponse {
    let state = request.query("state")
    guard let limit = AlertPages.limit(request) else {
      return .problem(422, "bad limit", detail: "limit must be a whole number from 1 to \(AlertPages.listMax)")
    }
    guard state.map({ AlertState(rawValue: $0) != nil }) ?? true else {
      return .problem(422, "bad state", detail: "state must be one of active, latched, inactive")
    }
    do throws(JournalError) {
      let found = try AlertListing.alerts(service.store, state: state.flatMap(AlertState.init), limit: limit)
      var out = JSONText()
      out.object { out in
        out.array("alerts") { out in for alert in found { out.rawElement(alert.document) } }
      }
      return .json(out.bytes)
    } catch {
      return .problem(503, "not readable", detail: error.description)
    }
  }

  private func show(_ request: HTTPRequest) -> HTTPResponse {
    do throws(JournalError) {
      let id = request.parameters["id"] ?? ""
      guard id.utf8.count <= ActionCheck.nameMax, let newest = try service.store.alerts.newest(alertID: id) else {
        return .problem(404, "no such alert")
      }
      return .json(Array(newest.document.utf8))
    } catch {
      return .problem(503, "not readable", detail: error.description)
    }
  }

  /// Every transition with the facts it rests on, and each try to deliver it: as `vigil explain --json` reads them.
  private func explanation(_ request: HTTPRequest) -> HTTPResponse {
    do throws(JournalError) {
      let id = request.parameters["id"] ?? ""
      guard id.utf8.count <= ActionCheck.nameMax else { return .problem(404, "no such alert") }
      let transitions = try service.store.alerts.transitions(alertID: id)
      guard !transitions.isEmpty else { return .problem(404, "no such alert") }
      let deliveries = try service.store.alerts.deliveries(alertID: id)
      var out = JSONText()
      out.object { out in
        out.field("alert_id", id)
        out.array("transitions") { out in
          for transition in transitions {
            out.object {
              $0.raw("document", transition.document)
              $0.raw("evidence", transition.evidence)
              $0.field("notified", transition.isNotified)
            }
          }
        }
        out.array("deliveries") { out in for attempt in deliveries { attempt.write(to: &out, isDetailed: false) } }
      }
      return .json(out.bytes)
    } catch {
      return .problem(503, "not readable", detail: error.description)
    }
  }

  private func silences(_ request: HTTPRequest) -> HTTPResponse {
    let state = request.query("state") ?? "active"
    guard let limit = AlertPages.limit(request), ["active", "all"].contains(state) else {
      return .problem(422, "bad query", detail: "state is active or all, limit 1 to \(AlertPages.listMax)")
    }
    let now = service.settings.clock.wallMilliseconds()
    do throws(JournalError) {
      let found = try AlertListing.silences(service.store, isAll: state == "all", now: now, limit: limit)
      var out = JSONText()
      out.object { out in
        out.array("silences") { out in
          for row in found { out.rawElement(AlertListing.json(row, service.directory, now: now)) }
        }
      }
      return .json(out.bytes)
    } catch {
      return .problem(503, "not readable", detail: error.description)
    }
  }

  private static func limit(_ request: HTTPRequest) -> Int? {
    guard let text = request.query("limit") else { return 1000 }
    return Int(text).flatMap { (1...listMax).contains($0) ? $0 : nil }
  }

  // MARK: Acting

  private func answer(_ request: HTTPRequest, _ verb: ActionRequest.Verb) -> HTTPResponse {
    var keys = ["by"]
    if verb == .acknowledge { keys += ["class", "note"] }
    if verb == .resolve { keys.append("reason") }
    return acting(request, keys) { fields in
      var action = ActionRequest(verb, alert: request.parameters["id"] ?? "", by: fields.text("by") ?? "")
      (action.kind, action.note, action.reason) = (fields.text("class"), fields.text("note"), fields.text("reason"))
      return .success(action)
    }
  }

  private func addSilence(_ request: HTTPRequest) -> HTTPResponse {
    acting(request, ["patient", "tenant", "rule", "kind", "for", "by", "reason"]) { fields in
      var action = ActionRequest(.silence, by: fields.text("by") ?? "")
      (action.patient, action.tenant) = (fields.text("patient"), fields.text("tenant"))
      (action.rule, action.alerts, action.reason) = (fields.text("rule"), fields.text("kind"), fields.text("reason"))
      action.duration = fields.text("for").flatMap { DurationText.parse($0) }
      if fields.has("for"), action.duration == nil {
        return .failure(ActionRefusal(.wrong, "`for` must be a duration such as 10m"))
      }
      return .success(action)
    }
  }

  private func endSilence(_ request: HTTPRequest) -> HTTPResponse {
    var action = ActionRequest(.endSilence, by: request.query("by") ?? "")
    action.silence = request.parameters["id"]
    do throws(ActionRefusal) {
      return AlertPages.receipt(try service.act(action), isRepeated: false)
    } catch {
      return AlertPages.problem(error)
    }
  }

  /// Reads the body, and acts once for each idempotency key.
  private func acting(
    _ request: HTTPRequest, _ keys: [String], _ make: (FlatJSON) -> Result<ActionRequest, ActionRefusal>
  ) -> HTTPResponse {
    if let refusal = APIAccess.bodyRefusal(request) { return refusal }
    guard let fields = FlatJSON(request.body, limit: AlertPages.bodyMax) else {
      return .problem(400, "bad body", detail: "the body must be one flat JSON object of at most 16 KiB")
    }
    if let key = fields.unknownKey(besides: keys) {
      let hint = keys.joined(separator: ", ")
      return .problem(422, "unknown key", detail: "`\(key.prefix(40))` is not among: \(hint)")
    }
    if let key = fields.notText(keys) { return .problem(422, "bad value", detail: "`\(key)` must be text") }
    do throws(ActionRefusal) {
      let action = try make(fields).get()
      guard let key = request.header("idempotency-key") else {
        return AlertPages.receipt(try service.act(action), isRepeated: false)
      }
      return try once(action, key, request)
    } catch {
      return AlertPages.problem(error)
    }
  }

  private func once(
    _ action: ActionRequest, _ key: String, _ request: HTTPRequest
  ) throws(ActionRefusal) -> HTTPResponse {
    guard (1...AlertPages.keyMax).contains(key.utf8.count) else {
      return .problem(400, "bad key", detail: "Idempotency-Key must have 1 to \(AlertPages.keyMax) bytes")
    }
    let mark = ActionMark.request(
      key: key, at: request.method + " " + request.path, body: request.body, made: "",
      expires: service.settings.clock.wallMilliseconds() + ActionMark.requestLifetime)
    switch try service.claim(mark) {
    case .underWay:
      return .problem(409, "under way", detail: "a request with this Idempotency-Key is being answered; ask again")
    case .done(let earlier):
      guard earlier.request == mark.request else {
        return .problem(422, "key used", detail: "this Idempotency-Key came with another body before")
      }
      var silence: Silence?
      if !earlier.made.isEmpty { silence = (try? service.store.actions.silence(earlier.made))?.silence }
      return AlertPages.receipt(ActionReceipt(position: earlier.position, silence: silence), isRepeated: true)
    case .free: return AlertPages.receipt(try service.act(action, mark: mark), isRepeated: false)
    }
  }

  // MARK: Words

  static func receipt(_ receipt: ActionReceipt, isRepeated: Bool) -> HTTPResponse {
    var answer = HTTPResponse.json(Array(receipt.json.utf8), status: receipt.silence == nil ? 200 : 201)
    if let silence = receipt.silence { answer.headers.append(("Location", "/v1/silences/\(silence.id)")) }
    if isRepeated { answer.headers.append(("Idempotency-Replayed", "true")) }
    return answer
  }

  static func problem(_ refusal: ActionRefusal) -> HTTPResponse {
    switch refusal.reason {
    case .unknown: .problem(404, "not found", detail: refusal.line)
    case .ended: .problem(409, "over already", detail: refusal.line)
    case .wrong: .problem(422, "not accepted", detail: refusal.line)
    case .unavailable: .problem(503, "not known to be stored", detail: refusal.line)
    }
  }
}

extension ActionReceipt {
  /// As commands and the API answer.
  package var json: String {
    var out = JSONText()
    out.object {
      $0.field("ok", true)
      $0.field("position", Int(clamping: position))
      if let silence {
        $0.field("silence", silence.id)
        $0.field("until", Timestamp.format(silence.until))
      }
    }
    return out.text
  }
}
