import Configuration
import Testing
import VitalModel
import YAMLText

private let signingKey = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3"
private let integrationKey = "0123456789abcdef0123456789abcdef"
private let slackAddress = "https://hooks.slack.example/services/T0/B0/secretpart"

private let sources = SecretSources(
  environment: {
    ["KEY": signingKey, "OLD": signingKey, "PD": integrationKey, "SLACK": slackAddress, "ODD": "ftp://x"][$0]
  },
  file: { _ in nil })

private func check(_ text: String) -> [String] {
  VigilConfiguration.check(text, file: "v.yaml", secrets: sources).map(\.description)
}

private func receiver(_ fields: String) throws -> VigilConfiguration.Receiver {
  let text = "receivers: [{ name: w, \(fields) }]"
  return try VigilConfiguration.parse(text, file: "v.yaml", secrets: sources).receivers[0]
}

private func problems(_ fields: String) -> [String] {
  check("receivers: [{ name: w, \(fields) }]").map { line in
    String(line.split(separator: " ", maxSplits: 1).last ?? "")
  }
}

@Suite struct ReceiverTests {
  @Test func everyKeyOfAReceiver() throws {
    let full = try receiver(
      """
      url: https://a.example/x, format: fhir, payload: full, agreement: A-1, secrets: [env:KEY, env:OLD], \
      allow_private: true, ca: ca.pem, certificate: c.pem, key: k.pem, proxy: "http://proxy:3128", may_accept: true
      """)
    #expect(full.format == .fhir && full.payload == .full && full.agreement == "A-1")
    #expect(full.secrets.map(\.reference.description) == ["env:KEY", "env:OLD"])
    #expect(full.authority == "ca.pem" && full.certificate == "c.pem" && full.key == "k.pem")
    #expect(full.proxy == "http://proxy:3128")
    #expect(full.mayAccept && full.allowPrivate)
    let plain = try receiver("url: https://a.example")
    #expect(plain.format == .standard && plain.payload == .thin)
    #expect(plain.proxy == nil && !plain.mayAccept && !plain.allowPrivate)
  }

  @Test(arguments: WebhookFormat.allCases)
  func everyFormatIsTaken(_ format: WebhookFormat) throws {
    #expect(try receiver("url: https://a.example, format: \(format.rawValue)").format == format)
  }

  /// SEMANTICS E6.
  @Test(arguments: ["slack", "teams", "pagerduty"])
  func outsideServicesAreAlwaysThin(_ format: String) {
    #expect(
      problems("url: https://a.example, format: \(format), payload: full") == [
        "`format: \(format)` is always thin: no patient and no value goes to outside services"
      ])
    #expect(
      problems("url: https://a.example, format: \(format), agreement: A-1") == [
        "`agreement` changes nothing: `format: \(format)` is always thin"
      ])
    #expect(
      problems("url: https://a.example, format: \(format), may_accept: true") == [
        "`format: \(format)` answers with no name: nobody can accept through it"
      ])
  }

  @Test func anAgreementAloneSendsNothingMore() throws {
    #expect(try receiver("url: https://a.example, agreement: A-1").payload == .thin)
    #expect(problems("url: https://a.example, agreement: \" \"").first?.hasPrefix("`agreement` must be a name") == true)
  }

  @Test func secretsFitTheFormat() throws {
    let pager = try receiver("url: https://a.example, format: pagerduty, secret: env:PD")
    #expect(pager.secrets.map(\.value) == [integrationKey])
    #expect(
      problems("url: https://a.example, format: pagerduty, secret: env:KEY") == [
        "`secret`: env:KEY is not an integration key of 32 letters and digits"
      ])
    #expect(
      problems("url: https://a.example, secret: env:PD") == [
        "`secret`: env:PD is not `whsec_` and base64 of 24 to 64 bytes"
      ])
    #expect(
      problems("url: https://a.example, format: pagerduty, secrets: [env:PD, env:PD]") == [
        "`secrets` takes one key with `format: pagerduty`"
      ])
    #expect(
      problems("url: https://a.example, secrets: [env:KEY, env:OLD, env:KEY]") == [
        "`secrets` takes one key, or two during rotation"
      ])
    #expect(
      problems("url: https://a.example, secret: env:KEY, secrets: [env:OLD]") == [
        "give `secret` or `secrets`, not both"
      ])
    #expect(
      problems("url: https://a.example, format: slack, secret: env:KEY") == [
        "`format: slack` has no secret but the address: keep that in `url: env:NAME` or `url: file:PATH`"
      ])
  }

  @Test func anAddressThatIsASecretIsNeverPrinted() throws {
    let slack = try receiver("url: env:SLACK, format: slack")
    #expect(slack.url.text == slackAddress && slack.url.usesTLS)
    var dumped = ""
    dump(slack, to: &dumped)
    for text in ["\(slack)", String(reflecting: slack), dumped, "\(slack.url)"] {
      #expect(!text.contains("secretpart"))
      #expect(text.contains("SLACK"))
    }
    #expect(
      problems("url: env:ODD, format: slack") == [
        "`url`: env:ODD is not https://host/path (or http://), without user or password"
      ])
    #expect(problems("url: env:NOPE, format: slack") == ["`url`: env:NOPE is not set"])
  }

  @Test func certificatesAndProxies() {
    #expect(problems("url: https://a.example, certificate: c.pem") == ["`certificate` and `key` go together"])
    #expect(problems("url: http://a.example, ca: c.pem") == ["`ca` needs an https:// address"])
    let form = "`proxy` must be http://host:port (or https://, socks5h://), without user or password, not "
    for wrong in ["proxy:3128", "ftp://p:1", "http://u:pw@p:1", "http://p"] {
      #expect(problems("url: https://a.example, proxy: \"\(wrong)\"") == [form + "`\(wrong)`"])
    }
  }

  @Test func aHeartbeatNeedsAFormatThatHasOne() {
    for format in WebhookFormat.allCases {
      let text = """
        receivers: [{ name: w, url: "https://a.example", format: \(format.rawValue) }]
        heartbeat: { receiver: w }
        """
      let expected =
        "v.yaml:2:24: `format: \(format.rawValue)` has no form of a heartbeat: use a receiver with format "
        + "standard or cloudevents"
      #expect(check(text) == (format.hasHeartbeat ? [] : [expected]))
    }
  }

  /// SEMANTICS E6: two ways out for every high alert, not only for those of one unit.
  @Test(arguments: [
    ("{ match: { priority: high }, to: a }", true), ("{ match: { priority: [high, medium] }, to: a }", true),
    ("{ match: { priority: high, unit: ward-7 }, to: a }", false), ("{ match: { priority: medium }, to: a }", false),
    ("{ match: { priority: high }, to: b }", false),
  ])
  func aSecondRouteTakesEveryHighAlert(_ route: String, _ isEnough: Bool) {
    let text = """
      profile: production
      brokers: [{ url: "mqtts://broker.example" }]
      receivers:
        - { name: a, url: env:SLACK, format: slack }
        - { name: b, url: "https://b.example", secret: env:KEY }
      routes: [\(route), { to: b }]
      heartbeat: { receiver: b }
      """
    let found = check(text).filter { $0.contains("second route") }
    #expect(found.isEmpty == isEnough, "\(check(text))")
    #expect(!check(text).contains { $0.contains("needs `secret`") })
  }

  @Test func productionRefusesFullWithoutAgreement() throws {
    func text(_ profile: String, _ agreement: String) -> String {
      """
      profile: \(profile)
      brokers: [{ url: "mqtts://broker.example" }]
      receivers: [{ name: a, url: "https://a.example", secret: env:KEY, payload: full\(agreement) }]
      """
    }
    let complaint = "v.yaml:3:24: receiver `a` needs `agreement` for `payload: full` in production"
    #expect(check(text("production", "")).contains(complaint))
    #expect(!check(text("production", ", agreement: DPA-7")).contains(complaint))
    #expect(check(text("development", "")).isEmpty)
    func warnings(_ agreement: String) throws -> [String] {
      try VigilConfiguration.parse(text("development", agreement), file: "v.yaml", secrets: sources).warnings
        .map(\.description)
    }
    #expect(
      try warnings("") == [
        "v.yaml:3:24: receiver `a` is sent whole alerts, with patients and values, and no `agreement` is recorded: "
          + "production refuses this"
      ])
    #expect(try warnings(", agreement: DPA-7").isEmpty)
  }
}
