import Testing
import VitalModel

@testable import Delivery

@Suite("Signatures, bodies, addresses, routes")
struct WordsTests {
  private let text = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
  private let id = "msg_p5jXN8AQM9LWM0D4loKWxJek"
  private let body = Array("{\"test\": 2432232314}".utf8)

  @Test("the published Standard Webhooks example signs as published")
  func vector() throws {
    let secret = try WebhookSecret(text)
    let signature = Signature.sign(id: id, timestamp: 1_614_265_330, body: body, secret: secret)
    #expect(signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=")
  }

  @Test("both secrets of a rotation are accepted, a third is not")
  func rotation() throws {
    let old = try WebhookSecret(text)
    let new = try WebhookSecret(try WebhookSecret.generate())
    let other = try WebhookSecret(try WebhookSecret.generate())
    let header = Signature.header(id: id, timestamp: 1_000, body: body, secrets: [new, old])
    #expect(header.split(separator: " ").count == 2)
    func verify(_ secret: WebhookSecret, now: Int64 = 1_000, _ body: [UInt8]) throws(Signature.Refusal) {
      try Signature.verify(
        id: id, timestamp: "1000", signatures: header, body: body, secrets: [secret], nowSeconds: now)
    }
    try verify(old, body)
    try verify(new, body)
    try verify(new, now: 1_300, body)
    #expect(throws: Signature.Refusal.noMatch) { try verify(other, body) }
    #expect(throws: Signature.Refusal.noMatch) { try verify(old, body + [32]) }
    #expect(throws: Signature.Refusal.timestampOutsideTolerance) { try verify(old, now: 1_301, body) }
    #expect(throws: Signature.Refusal.timestampOutsideTolerance) { try verify(old, now: 699, body) }
  }

  @Test("addresses written out are judged like those of sockets, and what cannot be read is not public")
  func writtenAddresses() {
    for text in ["8.8.8.8", "2001:4860:4860::8888", "::ffff:8.8.8.8"] { #expect(AddressGuard.isPublic(text: text)) }
    for text in [
      "10.1.2.3", "127.0.0.1", "169.254.169.254", "100.64.0.1", "192.168.1.1", "172.31.0.1", "0.0.0.0", "::1", "::",
      "fe80::1", "fc00::1", "::ffff:10.0.0.1", "::ffff:127.0.0.1", "64:ff9b::a00:1", "", "unix", "8.8.8.8 ",
    ] { #expect(!AddressGuard.isPublic(text: text), "\(text)") }
  }

  @Test("behind a proxy a private address is refused where the URL names it; names are the proxy's to judge")
  func privateBehindProxy() throws {
    func make(_ host: String, allowPrivate: Bool = false) throws(ReceiverError) -> Receiver {
      try Receiver(
        name: "a", url: "https://\(host)/", secrets: [WebhookSecret(text)], allowPrivate: allowPrivate,
        proxy: "http://proxy.example:3128")
    }
    for host in ["127.0.0.1", "localhost", "a.localhost.", "[::1]", "[::ffff:10.0.0.1]", "0x7f.1", "2130706433"] {
      #expect(throws: ReceiverError.privateBehindProxy, "\(host)") { try make(host) }
    }
    #expect(try make("pager.example").proxy == "http://proxy.example:3128")
    #expect(try make("10.0.0.1", allowPrivate: true).allowPrivate)
  }

  @Test("half a client certificate, and a proxy that is none, are refused")
  func transportSettings() throws {
    let secrets = [try WebhookSecret(text)]
    #expect(throws: ReceiverError.halfCertificate) {
      try Receiver(name: "a", url: "https://a.example/", secrets: secrets, certificate: "c.pem")
    }
    #expect(throws: ReceiverError.halfCertificate) {
      try Receiver(name: "a", url: "https://a.example/", secrets: secrets, key: "c.key")
    }
    for proxy in ["ftp://p.example", "http://user:word@p.example", "p", ""] {
      #expect(throws: ReceiverError.badProxy, "\(proxy)") {
        try Receiver(name: "a", url: "https://a.example/", secrets: secrets, proxy: proxy)
      }
    }
  }

  @Test("a timestamp that is no number is refused", arguments: ["", "-1", "+5", "1e3", "99999999999999999999", "1 "])
  func badTimestamp(stamp: String) throws {
    let secret = try WebhookSecret(text)
    #expect(throws: Signature.Refusal.malformedTimestamp) {
      try Signature.verify(id: id, timestamp: stamp, signatures: "", body: [], secrets: [secret], nowSeconds: 0)
    }
  }

  @Test("secrets that are too short, too long or not base64 are refused, and none is ever printed")
  func secrets() throws {
    for bad in ["", "whsec_", "whsec_AAAA", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_%%%%"] {
      #expect(throws: ReceiverError.badSecret) { try WebhookSecret(bad) }
    }
    let secret = try WebhookSecret(text)
    var dumped = ""
    dump(secret, to: &dumped)
    #expect(!"\(secret) \(String(reflecting: secret)) \(dumped)".contains("MfKQ"))
    #expect(!dumped.contains("49"))
  }

  @Test("a routing key is the first field of the body that is sent, and is never printed")
  func routingKeys() throws {
    let text = "0123456789abcdef0123456789ABCDEF"
    let key = try RoutingKey(text)
    let sent = key.completing(Array(#"{"event_action":"trigger"}"#.utf8))
    #expect(String(decoding: sent, as: UTF8.self) == #"{"routing_key":"\#(text)","event_action":"trigger"}"#)
    var dumped = ""
    dump(key, to: &dumped)
    #expect(!"\(key) \(String(reflecting: key)) \(dumped)".contains("0123"))
    for bad in ["", "short", text + "0", "0123456789abcdef0123456789ABCDE\""] {
      #expect(throws: ReceiverError.badRoutingKey) { try RoutingKey(bad) }
    }
  }

  @Test("private addresses are told from public ones")
  func addresses() {
    func v4(_ a: UInt32, _ b: UInt32, _ c: UInt32, _ d: UInt32) -> UInt32 { a << 24 | b << 16 | c << 8 | d }
    let inside = [
      v4(127, 0, 0, 1), v4(10, 1, 2, 3), v4(172, 16, 0, 1), v4(172, 31, 255, 255), v4(192, 168, 1, 1),
      v4(169, 254, 169, 254), v4(100, 64, 0, 1), v4(0, 0, 0, 0), v4(224, 0, 0, 1), v4(255, 255, 255, 255),
    ]
    for address in inside { #expect(!AddressGuard.isPublic(v4: address)) }
    for address in [v4(8, 8, 8, 8), v4(172, 32, 0, 1), v4(100, 128, 0, 1), v4(93, 184, 216, 34)] {
      #expect(AddressGuard.isPublic(v4: address))
    }
    func v6(_ words: UInt16...) -> [UInt8] { words.flatMap { [UInt8($0 >> 8), UInt8($0 & 255)] } }
    let insideV6 = [
      v6(0, 0, 0, 0, 0, 0, 0, 1), v6(0, 0, 0, 0, 0, 0, 0, 0), v6(0xFE80, 0, 0, 0, 0, 0, 0, 1),
      v6(0xFD00, 0, 0, 0, 0, 0, 0, 1), v6(0xFF02, 0, 0, 0, 0, 0, 0, 1), v6(0, 0, 0, 0, 0, 0xFFFF, 0x7F00, 1),
      v6(0x64, 0xFF9B, 0, 0, 0, 0, 0x0A00, 1), v6(0x2002, 0x7F00, 1, 0, 0, 0, 0, 1),
      v6(0x2001, 0xDB8, 0, 0, 0, 0, 0, 1), v6(0, 0, 0, 0, 0, 0, 0x7F00, 1),
    ]
    for address in insideV6 { #expect(!AddressGuard.isPublic(v6: address)) }
    #expect(AddressGuard.isPublic(v6: v6(0x2606, 0x4700, 0, 0, 0, 0, 0, 0x1111)))
    #expect(AddressGuard.isPublic(v6: v6(0, 0, 0, 0, 0, 0xFFFF, 0x0808, 0x0808)))
  }

  @Test("receivers with an unusable URL or settings are refused")
  func receivers() throws {
    let secret = try WebhookSecret(text)
    for url in ["", "pager", "ftp://x/", "https://", "file:///etc/passwd", "https://u:p@x.example/"] {
      #expect(throws: ReceiverError.badURL) { try Receiver(name: "r", url: url, secrets: [secret]) }
    }
    #expect(throws: ReceiverError.secretCount(0)) { try Receiver(name: "r", url: "https://x.example/", secrets: []) }
    #expect(throws: ReceiverError.self) {
      try Receiver(name: "r", url: "https://x.example/", secrets: [secret], maxInFlight: 0)
    }
  }
}
