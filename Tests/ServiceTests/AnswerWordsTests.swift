import Configuration
import Digests
import HTTPAPI
import TestSupport
import Testing
import VitalModel

@testable import Service

/// Actions as journaled: the bytes are a format.
@Suite struct StoredActionTests {
  private static let judged = Acknowledgement(by: "u-1", kind: .notRelevant, note: "probe/cuff", time: 5)
  private static let muted = Silence(
    id: "s-1", matcher: .rule("low"), author: "u-1", reason: "physio", from: 5, until: 65)
  private static let technical = Silence(
    id: "s-2", matcher: .kind(.technical), author: "u-1", reason: "x-ray", from: 5, until: 65)

  static let golden: [(AlertAction, String)] = [
    (.accept(alertID: "a-1", by: "u-1"), #"{"action":"accept","by":"u-1","id":"a-1","v":1}"#),
    (.reject(alertID: "a-1", by: "u-1"), #"{"action":"reject","by":"u-1","id":"a-1","v":1}"#),
    (
      .acknowledge(alertID: "a-1", judged),
      #"{"action":"acknowledge","by":"u-1","class":"not-relevant","id":"a-1","note":"probe/cuff","time":5,"v":1}"#
    ),
    (
      .acknowledge(alertID: "a-1", Acknowledgement(by: "u-1", time: 5)),
      #"{"action":"acknowledge","by":"u-1","id":"a-1","time":5,"v":1}"#
    ),
    (
      .resolve(alertID: "a-1", by: "u-1", reason: "moved"),
      #"{"action":"resolve","by":"u-1","id":"a-1","reason":"moved","v":1}"#
    ),
    (
      .silence(muted),
      #"{"action":"silence","by":"u-1","from":5,"id":"s-1","reason":"physio","rule":"low","until":65,"v":1}"#
    ),
    (
      .silence(technical),
      #"{"action":"silence","by":"u-1","from":5,"id":"s-2","kind":"technical","reason":"x-ray","until":65,"v":1}"#
    ),
    (.endSilence(id: "s-1", by: "u-2"), #"{"action":"end-silence","by":"u-2","id":"s-1","v":1}"#),
  ]

  @Test("B8: every action is journaled under stable keys and read back equal", arguments: golden.indices)
  func bytesAreStable(_ index: Int) {
    let (action, text) = StoredActionTests.golden[index]
    #expect(String(decoding: StoredAction(action).bytes, as: UTF8.self) == text)
    #expect(StoredAction.action(journaled: Array(text.utf8)) == action)
  }

  @Test func whatIsDamagedOrLaterIsNoAction() {
    for text in [
      "", "{}", "[]", #"{"action":"accept","by":"u-1","id":"a-1","v":2}"#,
      #"{"action":"acknowledge","by":"u-1","id":"a-1","v":1}"#,
      #"{"action":"acknowledge","by":"u-1","class":"perhaps","id":"a-1","time":5,"v":1}"#,
      #"{"action":"silence","by":"u-1","from":5,"id":"s-1","reason":"x","until":65,"v":1}"#,
      #"{"action":"silence","by":"u","from":5,"id":"s","reason":"x","rule":"r","kind":"technical","until":6,"v":1}"#,
      #"{"action":"dance","by":"u-1","id":"a-1","v":1}"#,
    ] {
      #expect(StoredAction.action(journaled: Array(text.utf8)) == nil, "\(text)")
    }
    var generator = SeededGenerator(seed: 11)
    for (action, text) in StoredActionTests.golden {
      for _ in 0..<60 {
        var bytes = Array(text.utf8)
        bytes[Int.random(in: 0..<bytes.count, using: &generator)] = UInt8.random(in: 0...255, using: &generator)
        if let found = StoredAction.action(journaled: bytes) { #expect(found.word == action.word) }
      }
    }
  }
}

/// Links to answer with: what is not exactly as made here is nothing.
@Suite struct CallbackTokenTests {
  private static let secret = Array("0123456789abcdef01234567".utf8)
  private static let key = CallbackToken.key(secret: secret, receiver: "pager")
  private static let token = CallbackToken(
    alertID: "a-5f1c", sequence: 3, receiver: "pager", expires: 1000, nonce: [1, 2, 3, 4, 5, 6, 7, 8])

  private func open(_ text: String, now: Int64 = 999) throws -> CallbackToken {
    try CallbackToken.open(text, now: now) { $0 == "pager" ? [[9, 9], CallbackTokenTests.key] : [] }
  }

  @Test("E6: a token opens for its receiver, under any key in force, until its time")
  func opens() throws {
    let text = try #require(CallbackTokenTests.token.text(key: CallbackTokenTests.key))
    #expect(try open(text) == CallbackTokenTests.token)
    #expect(
      text.utf8.allSatisfy { ($0 | 32 >= 97 && $0 | 32 <= 122) || (48...57).contains($0) || [45, 95].contains($0) })
    #expect(throws: CallbackToken.Refusal.expired) { try open(text, now: 1000) }
    #expect(throws: CallbackToken.Refusal.forged) { try CallbackToken.open(text, now: 0) { _ in [] } }
    // The same secret at another receiver is another key.
    let other = CallbackToken.key(secret: CallbackTokenTests.secret, receiver: "mail")
    #expect(throws: CallbackToken.Refusal.forged) { try CallbackToken.open(text, now: 0) { _ in [other] } }
    #expect(CallbackTokenTests.key != other && CallbackTokenTests.key.count == 32)
  }

  @Test("E6: a token changed in any bit is forged, and random bytes never open")
  func tampering() throws {
    let text = try #require(CallbackTokenTests.token.text(key: CallbackTokenTests.key))
    let all = try #require(bytes(base64URL: text))
    for index in 0..<all.count * 8 {
      var changed = all
      changed[index / 8] ^= 1 << UInt8(index % 8)
      #expect(throws: CallbackToken.Refusal.forged) { try open(base64URL(changed)) }
    }
    for count in 0..<all.count {
      #expect(throws: CallbackToken.Refusal.forged) { try open(base64URL(Array(all.prefix(count)))) }
    }
    var generator = SeededGenerator(seed: 12)
    for _ in 0..<2000 {
      let noise = (0..<Int.random(in: 0...120, using: &generator)).map { _ in
        UInt8.random(in: 0...255, using: &generator)
      }
      #expect(throws: CallbackToken.Refusal.forged) { try open(base64URL(noise)) }
      #expect(throws: CallbackToken.Refusal.forged) { try open(String(decoding: noise, as: UTF8.self)) }
    }
  }

  @Test func idsThatDoNotFitGiveNoToken() {
    var token = CallbackTokenTests.token
    token.alertID = String(repeating: "a", count: 256)
    #expect(token.text(key: CallbackTokenTests.key) == nil)
  }
}

/// What receivers answer webhooks with.
@Suite struct WebhookAnswerTests {
  private func answer(_ text: String) -> WebhookAnswer { WebhookAnswer(Array(text.utf8)) }

  @Test("E6: an answer is exactly one flat object with accept and by")
  func strict() {
    #expect(answer(#"{"accept":true,"by":"u-1"}"#) == .accept(true, by: "u-1"))
    #expect(answer(" \n{\"by\":\"u-1\",\"accept\":false}\n") == .accept(false, by: "u-1"))
    for text in ["", "ok", "<html>", "[]", "{}", #"{"status":"ok"}"#, "null", "true"] { #expect(answer(text) == .none) }
    for text in [
      #"{"accept":1,"by":"u-1"}"#, #"{"accept":"true","by":"u-1"}"#, #"{"accept":true}"#, #"{"accept":true,"by":""}"#,
      #"{"accept":true,"by":7}"#, #"{"accept":true,"by":"u-1","note":"x"}"#, #"{"accept":null,"by":"u-1"}"#,
      #"{"accept":true,"by":{"id":"u-1"}}"#, #"{"accept":true,"by":"u-1"#, "{",
      "{\"accept\":true,\"by\":\"" + String(repeating: "u", count: 4096) + "\"}",
    ] {
      #expect(answer(text) == .malformed, "\(text.prefix(60))")
    }
    #expect(answer(String(repeating: "{", count: 4000)) == .malformed)
  }

  @Test func randomBytesAreNeverAnAnswer() {
    var generator = SeededGenerator(seed: 13)
    let seed = Array(#"{"accept":true,"by":"u-1"}"#.utf8)
    for round in 0..<2000 {
      var noise = (0..<Int.random(in: 0...80, using: &generator)).map { _ in
        UInt8.random(in: 0...255, using: &generator)
      }
      if round % 2 == 0 { noise = Array("{\"accept\":".utf8) + noise }
      if case .accept = WebhookAnswer(noise) { Issue.record("\(noise)") }
      var changed = seed
      changed[Int.random(in: 0..<changed.count, using: &generator)] = UInt8.random(in: 0...255, using: &generator)
      // Whatever it becomes, it names one user and never turns a no into a yes by a number or text.
      if case .accept(let isAccepted, let by) = WebhookAnswer(changed) { #expect(isAccepted && by.utf8.count == 3) }
    }
  }
}

@Suite struct APIAccessTests {
  private func refusal(_ headers: [(String, String)], _ change: (inout VigilConfiguration) -> Void = { _ in }) -> Int? {
    var configuration = VigilConfiguration()
    change(&configuration)
    let request = HTTPRequest(method: "GET", path: "/v1/alerts", headers: headers.map { (name: $0.0, value: $0.1) })
    return APIAccess.refusal(request, configuration)?.status
  }

  private func withToken(_ configuration: inout VigilConfiguration) {
    configuration.api.token = Secret(reference: .environment("T"), value: "0123456789abcdef")
  }

  @Test func onlyThisMachineIsServedWithoutAToken() {
    for host in ["127.0.0.1:8080", "localhost", "LOCALHOST:80", "[::1]:8080", "127.0.0.1"] {
      #expect(refusal([("host", host)]) == nil, "\(host)")
    }
    for host in ["vigil.example", "evil.example:8080", "", "127.0.0.1.evil.example", "[2001:db8::1]:80", "::1x"] {
      #expect(refusal([("host", host)]) == 403, "\(host)")
    }
    #expect(refusal([("host", "127.0.0.1")]) { $0.listen.host = "0.0.0.0" } == 403)
    // A public address means that a proxy stands in front: loopback then says nothing of who asks.
    #expect(refusal([("host", "127.0.0.1")]) { $0.api.publicURL = WebhookURL("https://v.example") } == 403)
  }

  @Test func aTokenIsAskedForOnceThereIsOne() {
    #expect(refusal([("host", "127.0.0.1")], withToken) == 401)
    #expect(refusal([("authorization", "Bearer 0123456789abcdef")], withToken) == nil)
    #expect(refusal([("authorization", "bearer  0123456789abcdef")], withToken) == nil)
    for wrong in ["Bearer 0123456789abcdeX", "Bearer", "0123456789abcdef", "Basic 0123456789abcdef", "Bearer a b"] {
      #expect(refusal([("authorization", wrong)], withToken) == 401, "\(wrong)")
    }
  }
}
