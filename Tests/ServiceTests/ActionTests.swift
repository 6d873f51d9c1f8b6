import AlertJournal
import Delivery
import Foundation
import HTTPAPI
import Pipeline
import Synchronization
import TestSupport
import Testing
import VitalModel

@testable import Service

extension Ward {
  /// A ward with one rule, two known users and a receiver whose answers count.
  static func withAnswers(_ lines: [String] = []) throws -> Ward {
    let ward = try Ward.withOneRule()
    ward.options.receivers = [
      "  - { name: pager, url: \"\(ward.inbox.url)\", secret: \"file:\(ward.folder.file("secret"))\", payload: thin, "
        + "allow_private: true, may_accept: true }"
    ]
    ward.options.to = "[hook, pager]"
    ward.options.lines = ["people: [{ id: u-1, receivers: [pager] }, { id: u-2, receivers: [hook] }]"] + lines
    return ward
  }

  /// The id of an alert of a device, raised now.
  func alert(_ device: String) throws -> String {
    try send(device, "spo2", "79", at: now)
    try flush()
    var found: ToldAlert?
    guard
      eventually({
        // Not `told`, which takes one receiver's webhook for the other's.
        found = inbox.requests.first { $0.rule == "low" && $0.phase == "start" && $0.patient == device }
        return found != nil
      }), let found
    else { throw SupportError.timedOut("alert of \(device)") }
    return found.alertID
  }

  /// Every action in the journal, with the slot that carries it.
  func actions() throws -> [(slot: Slot, action: AlertAction)] {
    var found: [(slot: Slot, action: AlertAction)] = []
    try running.store.journal.read(from: 1) { record in
      guard case .text(let slot, .action, let bytes) = record else { return }
      if let action = StoredAction.action(journaled: bytes) { found.append((slot, action)) }
    }
    return found
  }

  /// One request to the service's own pages, and the whole answer.
  func ask(_ method: String, _ path: String, _ headers: [String] = [], _ body: String = "") throws -> String {
    let port = try #require(UInt16(try running.httpAddress.split(separator: ":").last ?? ""))
    var all = ["Host: 127.0.0.1:\(port)", "Content-Type: application/json"] + headers
    if body.isEmpty, method != "GET" { all.append("Content-Length: 0") }
    let head = (["\(method) \(path) HTTP/1.1", "Connection: close"] + all).joined(separator: "\r\n")
    let length = body.isEmpty ? "" : "\r\nContent-Length: \(body.utf8.count)"
    return RawClient.exchange(port, head + length + "\r\n\r\n" + body)
  }

  func answered(_ outcome: String) -> Int { metric("vigil_answers_total{outcome=\"\(outcome)\"}") }
}

@Suite struct ActionTests {
  @Test("B8: an action is one entry of the alert's patient, a start does not repeat it, a replay meets it")
  func journaledOnce() throws {
    let program = try CommandProgram("actions-replay")
    let ward = try Ward.withAnswers()
    try ward.start()
    let alerts = try [ward.alert("d-1"), ward.alert("d-2")]
    let first = try ward.running.act(ActionRequest(.accept, alert: alerts[0], by: "u-1"))
    let second = try ward.running.act(ActionRequest(.acknowledge, alert: alerts[1], by: "u-2"))
    #expect(second.position > first.position)
    let found = try ward.actions()
    #expect(found.map(\.slot.payload) == [first.position, second.position])
    #expect(found.first?.action == .accept(alertID: alerts[0], by: "u-1"))
    let directory = try ward.running.directory
    #expect(found.map { directory.patientKey($0.slot.patient)?.patient } == ["d-1", "d-2"])
    #expect(found.allSatisfy { $0.slot.device == .max && $0.slot.eventTime > 0 })
    #expect(eventually { ward.isIdle })
    #expect(ward.metric("vigil_actions_total{action=\"accept\"}") == 1)
    func document(_ alert: String) throws -> [String: Any] {
      commandJSON(try ward.running.store.alerts.newest(alertID: alert)?.document ?? "")
    }
    func responder() throws -> String? {
      (try document(alerts[0])["responsibility"] as? [String: Any])?["by"] as? String
    }
    #expect(eventually { (try? responder()) == "u-1" })
    #expect((try document(alerts[1])["acknowledgement"] as? [String: Any])?["by"] as? String == "u-2")
    #expect(eventually { ward.metric("vigil_acknowledgements_total{rule=\"low\",class=\"none\"}") == 1 })
    let waits = ["medium", "high"].map { ward.metric("vigil_time_to_accept_seconds_count{priority=\"\($0)\"}") }
    #expect(waits.reduce(0, +) == 1)
    #expect(throws: ActionRefusal.self) { try ward.running.act(ActionRequest(.accept, alert: "a-none", by: "u-1")) }
    ward.stop()
    #expect(!ward.log.has("u-1") && !ward.log.has("d-1"))
    // As a kill leaves it: the journal is synced, what evaluation wrote behind it is not there.
    try ward.forgetEffects()
    try ward.start()
    #expect(try ward.actions().count == 2)
    #expect(eventually { ward.isIdle && (try? responder()) == "u-1" })
    let told = try ward.running.store.alerts.list(limit: 1000).map(\.document).sorted()
    ward.stop()
    let store = ward.folder.file("store")
    let plain = try program.run(["replay", store, "--alerts", program.folder.file("alerts")])
    #expect(plain.status == .code(0) && !plain.stderr.contains("ignored"), "\(plain.stderr)")
    #expect(try program.lines("alerts").sorted() == told)
    let other = try program.run(["replay", store, "--rules", ward.options.rules, "--alerts", "/dev/null"])
    #expect(other.stderr.contains("ignored under the rules given: 2 answers and silences"), "\(other.stderr)")
  }

  @Test("E8: actions go through the running service, or into its store when nothing runs")
  func commands() throws {
    let program = try CommandProgram("actions-cli")
    let ward = try Ward.withAnswers()
    try ward.start()
    let alert = try ward.alert("d-1")
    let store = ["--store", ward.folder.file("store")]
    let by = ["--by", "u-1"]
    func run(_ words: [String], code: Int32 = 0) throws -> CommandProgram.Outcome {
      let outcome = try program.run(words + store)
      #expect(outcome.status == .code(code), "\(words) \(outcome.stdout)\(outcome.stderr)")
      return outcome
    }
    #expect(try run(["alert", "list"]).stdout.contains(alert))
    let seen = try run(["alert", "acknowledge", alert, "--class", "actionable", "--note", "x", "--json"] + by)
    #expect(commandJSON(seen.stdout)["position"] as? Int == Int(try #require(try ward.actions().last).slot.payload))
    let silence = ["silence", "add", "--patient", "d-1", "--rule", "low", "--reason", "physiotherapy"] + by
    #expect(try run(silence + ["--for", "3h"], code: 2).stderr.contains("at most 2h"))
    let muted = commandJSON(try run(silence + ["--for", "2h", "--json"]).stdout)["silence"] as? String ?? ""
    ward.stop()

    let listed = commandJSON(try run(["silence", "list", "--json"]).stdout)
    #expect(listed["id"] as? String == muted && listed["in_force"] as? Bool == true)
    #expect(listed["rule"] as? String == "low" && listed["by"] as? String == "u-1")
    _ = try run(["silence", "end", muted] + by)
    #expect(try run(["silence", "end", muted] + by, code: 1).stderr.contains("over already"))
    #expect(try run(["alert", "resolve", alert, "--reason", "moved to theatre"] + by).stdout.contains("journaled"))
    try ward.start()
    #expect(try ward.actions().map(\.action.word) == ["acknowledge", "silence", "end-silence", "resolve"])
    #expect(!ward.log.has("recovery warning") && eventually { ward.isIdle })
    // The service goes on behind what was journaled without it.
    let after = try ward.alert("d-2")
    let last = try ward.actions().last?.slot.payload ?? 0
    #expect(try ward.running.act(ActionRequest(.reject, alert: after, by: "u-2")).position > last)
  }

  @Test("a request under an idempotency key is done once, also over a kill before its answer")
  func exactlyOnce() throws {
    let ward = try Ward.withAnswers()
    try ward.start()
    let alert = try ward.alert("d-1")
    let path = "/v1/alerts/\(alert)/accept"
    let body = #"{"by":"u-1"}"#
    // Journaled, and killed before anybody was answered.
    let mark = ActionMark.request(
      key: "k-1", at: "POST " + path, body: Array(body.utf8), made: "", expires: ward.now + 60_000)
    guard case .free = try ward.running.claim(mark) else { throw SupportError.child("claimed") }
    let position = try ward.running.act(ActionRequest(.accept, alert: alert, by: "u-1"), mark: mark).position
    try ward.restart()
    let key = ["Idempotency-Key: k-1"]
    let again = try ward.ask("POST", path, key, body)
    #expect(again.httpStatus == 200 && again.contains("Idempotency-Replayed: true"), "\(again)")
    #expect(commandJSON(again.httpBody)["position"] as? Int == Int(position))
    #expect(try ward.actions().count == 1)
    #expect(try ward.ask("POST", path, key, #"{"by":"u-2"}"#).httpStatus == 422)
    // A claim that is held is no leave to do it again.
    let held = ActionMark.request(key: "k-2", at: "POST " + path, body: Array(body.utf8), made: "", expires: ward.now)
    guard case .free = try ward.running.claim(held) else { throw SupportError.child("claimed") }
    #expect(try ward.ask("POST", path, ["Idempotency-Key: k-2"], body).httpStatus == 409)
    try ward.running.release(held)
    let muted = #"{"patient":"d-1","kind":"technical","for":"5m","by":"u-1","reason":"x-ray"}"#
    let made = try (0..<2).map { _ in try ward.ask("POST", "/v1/silences", ["Idempotency-Key: k-3"], muted) }
    #expect(made.allSatisfy { $0.httpStatus == 201 })
    let ids = made.map { commandJSON($0.httpBody)["silence"] as? String }
    #expect(ids[0] == ids[1] && ids[0] != nil)
    #expect(try ward.actions().map(\.action.word) == ["accept", "silence"])
  }

  @Test("the API answers in problem documents, and GET changes nothing")
  func pages() throws {
    let ward = try Ward.withAnswers()
    try ward.start()
    let alert = try ward.alert("d-1")
    let before = try ward.running.sequencer.lastPosition.load(ordering: .acquiring)
    let list = commandJSON(try ward.ask("GET", "/v1/alerts").httpBody)["alerts"] as? [[String: Any]] ?? []
    #expect(list.map { $0["alert_id"] as? String } == [alert])
    #expect(commandJSON(try ward.ask("GET", "/v1/alerts/\(alert)").httpBody)["patient"] as? String == "d-1")
    #expect(try ward.ask("GET", "/v1/alerts?state=inactive").httpBody == #"{"alerts":[]}"#)
    for (method, path, body, status) in [
      ("GET", "/v1/alerts/a-none", "", 404), ("GET", "/v1/alerts?state=open", "", 422),
      ("GET", "/v1/alerts?limit=0", "", 422), ("GET", "/v1/alerts/\(alert)/accept", "", 405),
      ("POST", "/v1/alerts/a-none/accept", #"{"by":"u-1"}"#, 404),
      ("POST", "/v1/alerts/\(alert)/accept", "", 400), ("POST", "/v1/alerts/\(alert)/accept", "[]", 400),
      ("POST", "/v1/alerts/\(alert)/accept", #"{"by":"u-1","class":"false"}"#, 422),
      ("POST", "/v1/alerts/\(alert)/accept", #"{"by":7}"#, 422), ("POST", "/v1/alerts/\(alert)/accept", "{}", 422),
      ("POST", "/v1/silences", #"{"patient":"d-1","rule":"low","for":"3h","by":"u-1","reason":"x"}"#, 422),
      ("DELETE", "/v1/silences/s-none?by=u-1", "", 404),
    ] {
      let answer = try ward.ask(method, path, [], body)
      #expect(answer.httpStatus == status && answer.contains("application/problem+json"), "\(method) \(path) \(answer)")
      #expect(commandJSON(answer.httpBody)["status"] as? Int == status)
    }
    #expect(try ward.running.sequencer.lastPosition.load(ordering: .acquiring) == before)
    let seen = try ward.ask(
      "POST", "/v1/alerts/\(alert)/acknowledge", [], #"{"class":"false","note":"cuff","by":"u-1"}"#)
    #expect(seen.httpStatus == 200)
    let made = try ward.ask(
      "POST", "/v1/silences", [], #"{"patient":"d-1","rule":"low","for":"2h","by":"u-1","reason":"x"}"#)
    let id = commandJSON(made.httpBody)["silence"] as? String ?? ""
    #expect(made.httpStatus == 201 && made.contains("Location: /v1/silences/\(id)"))
    let silences = commandJSON(try ward.ask("GET", "/v1/silences").httpBody)["silences"] as? [[String: Any]] ?? []
    #expect(silences.map { $0["id"] as? String } == [id] && silences[0]["in_force"] as? Bool == true)
    #expect(try ward.ask("DELETE", "/v1/silences/\(id)").httpStatus == 422)
    #expect(try ward.ask("DELETE", "/v1/silences/\(id)?by=u-2").httpStatus == 200)
    #expect(try ward.ask("DELETE", "/v1/silences/\(id)?by=u-2").httpStatus == 409)
    #expect(try ward.ask("GET", "/v1/silences").httpBody == #"{"silences":[]}"#)
    #expect(try ward.actions().map(\.action.word) == ["acknowledge", "silence", "end-silence"])
  }
}

/// Webhooks whose attempts were recorded as delivered.
private final class RecordedAttempts: Sendable {
  private let webhooks = Mutex<[String]>([])
  func note(_ webhook: String) { webhooks.withLock { $0.append(webhook) } }
  var all: [String] { webhooks.withLock { $0 } }
}

@Suite struct InboundAnswerTests {
  /// Hands an answer over as the delivery thread does; whether the attempt waits for it.
  private func take(
    _ answer: String, of receiver: String, _ alert: String, webhook: String, _ ward: Ward, _ recorded: RecordedAttempts
  ) throws -> Bool {
    let item = OutboxItem(
      outboxKey: 1, receiver: receiver, webhookID: webhook, alertID: alert, sequence: 1, type: "alert.opened",
      priority: .medium, createdMs: 0, body: [])
    let desk = try #require(try ward.running.answers)
    return desk.take(Array(answer.utf8), to: item) { recorded.note(webhook) }
  }

  @Test("E6: only a receiver marked may_accept, naming a known user, accepts in its answer; once a webhook")
  func webhookAnswers() throws {
    let ward = try Ward.withAnswers()
    try ward.start()
    let alert = try ward.alert("d-1")
    let recorded = RecordedAttempts()
    let (yes, no) = (#"{"accept":true,"by":"u-1"}"#, #"{"accept":false,"by":"u-2"}"#)
    func take(_ answer: String, of receiver: String = "pager", _ alert: String, _ webhook: String) throws -> Bool {
      try self.take(answer, of: receiver, alert, webhook: webhook, ward, recorded)
    }
    for (receiver, answer, outcome) in [
      ("hook", yes, "not_allowed"), ("pager", #"{"accept":true,"by":"u-9"}"#, "unknown_user"),
      ("pager", #"{"accept":1,"by":"u-1"}"#, "malformed"),
    ] {
      #expect(try !take(answer, of: receiver, alert, "w-1"))
      #expect(ward.answered(outcome) == 1, "\(outcome)")
    }
    #expect(try !take("thank you", alert, "w-1"))
    #expect(try take(yes, "a-none", "w-2"))
    #expect(eventually { ward.answered("refused") == 1 })
    #expect(try ward.actions().isEmpty)
    #expect(try take(yes, alert, "w-3") && take(yes, alert, "w-3") && take(no, alert, "w-4"))
    #expect(eventually { ward.answered("reject") == 1 && ward.answered("repeated") == 1 })
    #expect(
      try ward.actions().map(\.action) == [.accept(alertID: alert, by: "u-1"), .reject(alertID: alert, by: "u-2")])
    // The attempt counts as delivered only now that its answer is durable.
    #expect(eventually { recorded.all == ["w-2", "w-3", "w-3", "w-4"] })
    try ward.restart()
    #expect(try take(yes, alert, "w-3"))
    #expect(eventually { ward.answered("repeated") == 1 })
    #expect(try ward.actions().count == 2)
    ward.stop()
    #expect(!ward.log.has("u-9") && !ward.log.has("u-1"))
  }

  @Test("E6: what a receiver answers a webhook with becomes the alert's state, and its row leaves the outbox")
  func answerOnTheWire() throws {
    var router = HTTPRouter()
    router.add("POST", "/") { _ in .json(Array(#"{"accept":true,"by":"u-2"}"#.utf8)) }
    let pager = try HTTPServer(.init(), router: router)
    defer { pager.stop() }
    let ward = try Ward.withAnswers()
    ward.options.receivers = ward.options.receivers.map {
      $0.replacingOccurrences(of: ward.inbox.url, with: "http://\(pager.address)/")
    }
    try ward.start()
    let alert = try ward.alert("d-1")
    #expect(eventually { ward.answered("accept") >= 1 })
    #expect(try ward.actions().first?.action == .accept(alertID: alert, by: "u-2"))
    // The receiver is told of the acceptance and accepts that too: nobody asked, so it ends there.
    #expect(eventually { ward.answered("not_asked") >= 1 })
    #expect(eventually { (try? ward.running.store.outbox.count()) == 0 && ward.isIdle })
    let document = commandJSON(try ward.running.store.alerts.newest(alertID: alert)?.document ?? "")
    #expect((document["responsibility"] as? [String: Any])?["state"] as? String == "accepted")
    #expect(try ward.actions().count == 1)
  }

  @Test("E6: a callback answers one alert once, until it expires; GET and anything forged change nothing")
  func callbacks() throws {
    let ward = try Ward.withAnswers(["api: { public_url: \"https://vigil.example/base/\" }"])
    try ward.start()
    func link(_ alert: String) throws -> String {
      var found = ""
      #expect(
        eventually {
          found = ward.inbox.requests.first { $0.alertID == alert && !$0.callback.isEmpty }?.callback ?? ""
          return !found.isEmpty
        })
      #expect(ward.inbox.requests.allSatisfy { $0.rule.isEmpty || $0.callback.isEmpty }, "only the pager may answer")
      let start = "https://vigil.example/base"
      #expect(found.hasPrefix(start + "/v1/callbacks/"))
      return String(found.dropFirst(start.count))
    }
    let alert = try ward.alert("d-1")
    let path = try link(alert)
    let late = try link(try ward.alert("d-2"))
    let yes = #"{"action":"accept","by":"u-1"}"#
    let page = try ward.ask("GET", path)
    #expect(page.httpStatus == 200 && page.contains("text/plain") && page.contains(alert) && !page.contains("d-1\n"))
    for (path, body, status) in [
      (path, #"{"action":"accept","by":"u-9"}"#, 403), (path, #"{"action":"resolve","by":"u-1"}"#, 422),
      (path, #"{"action":"accept","by":"u-1","x":1}"#, 422), (path, "nonsense", 400), (path + "A", yes, 403),
      ("/v1/callbacks/x", yes, 403), (String(path.dropLast(3)) + "AAA", yes, 403),
      // The rest of the API is not for those who only hold a link.
      ("/v1/alerts/\(alert)/accept", #"{"by":"u-1"}"#, 403),
    ] {
      let answer = try ward.ask("POST", path, [], body)
      #expect(answer.httpStatus == status && answer.contains("application/problem+json"), "\(answer)")
    }
    var generator = SeededGenerator(seed: 14)
    let alphabet = Array("abcXYZ019-_")
    for _ in 0..<30 {
      let noise = (0..<60).map { _ in alphabet[Int.random(in: 0..<alphabet.count, using: &generator)] }
      #expect(try ward.ask("POST", "/v1/callbacks/" + String(noise), [], yes).httpStatus == 403)
    }
    #expect(try ward.actions().isEmpty)
    #expect(try ward.ask("POST", path, [], yes).httpStatus == 200)
    #expect(try ward.ask("POST", path, [], yes).httpStatus == 410)
    #expect(try ward.ask("GET", path).httpStatus == 410)
    try ward.restart()
    #expect(try ward.ask("POST", path, [], yes).httpStatus == 410)
    #expect(try ward.actions().map(\.action) == [.accept(alertID: alert, by: "u-1")])
    ward.clock.advance(milliseconds: 3_600_001)
    #expect(try ward.ask("POST", late, [], yes).httpStatus == 410)
    #expect(ward.answered("used") == 1 && ward.answered("expired") == 1)
    #expect(try ward.actions().count == 1)
  }
}
