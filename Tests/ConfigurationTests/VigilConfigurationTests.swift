import Configuration
import Testing
import VitalModel
import YAMLText

/// 24 bytes of base64 behind the prefix of Standard Webhooks.
private let signingKey = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3"

private let sources = SecretSources(
  environment: {
    ["PASSWORD": "pa55", "KEY": signingKey, "OLD_KEY": signingKey, "BAD_KEY": "whsec_short", "EMPTY": "\n"][$0]
  },
  file: { ["key.txt": signingKey + "\n"][$0] })

private func check(_ text: String) throws -> [String] {
  VigilConfiguration.check(text, file: "v.yaml", secrets: sources, registry: try RulesFolder.registry())
    .map(\.description)
}

private func parse(_ text: String) throws -> VigilConfiguration {
  try VigilConfiguration.parse(text, file: "v.yaml", secrets: sources, registry: try RulesFolder.registry())
}

@Suite struct VigilConfigurationTests {
  @Test func emptyFileIsTheDefaults() throws {
    let configuration = try parse("")
    #expect(configuration == VigilConfiguration())
    #expect(configuration.profile == .development)
    #expect(configuration.tenant == "demo")
    #expect(configuration.identity == .roster)
    #expect(configuration.clock == .wall)
    #expect(configuration.brokers.map(\.url.description) == ["mqtt://127.0.0.1:1883"])
    #expect(configuration.brokers[0].filters == ["vigil/v1/+/+/+"])
    #expect(configuration.storePath == "var/vigil")
    #expect(configuration.commitInterval == 2)
    #expect(configuration.commitMax == 4096)
    #expect(configuration.listen.description == "127.0.0.1:8080")
    #expect(DurationText.format(configuration.retain.chunks) == "730d")
    #expect(DurationText.format(configuration.retain.journal) == "1w")
    #expect(DurationText.format(configuration.retain.ledger) == "365d")
    #expect(configuration.lateness == 30_000)
    #expect(configuration.shards == nil)
    #expect(configuration.routes.isEmpty)
  }

  @Test func everyKey() throws {
    let configuration = try parse(
      """
      profile: development
      tenant: north
      identity: device
      roster: roster.yaml
      clock: stream
      brokers:
        - url: mqtts://broker
          client_id: vigil-1
          version: 3.1.1
          username: vigil
          password: env:PASSWORD
          ca: ca.pem
          certificate: client.pem
          key: client.key
          filters: ["$share/vigil/vigil/v1/+/+/+", ward/#]
          session_expiry: 3d
        - { url: "mqtt://[::1]:1884/", version: 5 }
      topics:
        - { filter: "ward/+/mon/+/hr", tenant: ward, device: $2, code: 8867-4, format: number }
        - { filter: "json/+", device: $1 }
      rules: { path: MyRules, set: icu }
      store: { path: /var/lib/vigil, retain: { chunks: 30d, journal: 1d, ledger: 90d } }
      journal: { commit_interval: 10ms, commit_max: 100 }
      receivers:
        - { name: ward-7, url: "https://pager.example/hook?x=1", secret: [env:KEY, file:key.txt], format: standard, payload: full, allow_private: true, agreement: A-1 }
        - { name: desk, url: "http://127.0.0.1:9000/" }
      routes:
        - { match: { priority: [high, medium], unit: ward-7, kind: physiological, rule: [spo2-low], tenant: north }, to: [ward-7, desk] }
        - { to: desk }
      heartbeat: { receiver: desk, every: 30s }
      http: { listen: "[::]:8443" }
      log: { level: debug }
      engine: { shards: 4, lateness: 1m }
      """)
    let first = configuration.brokers[0]
    #expect(first.url.description == "mqtts://broker:8883")
    #expect(first.version == .threeOneOne)
    #expect(first.password?.value == "pa55")
    #expect(first.sessionExpiry == 259_200_000)
    #expect(first.filters == ["$share/vigil/vigil/v1/+/+/+", "ward/#"])
    #expect(configuration.brokers[1].url.description == "mqtt://[::1]:1884")
    #expect(configuration.brokers[1].version == .five)
    #expect(configuration.subscriptions(of: first).suffix(2) == ["ward/+/mon/+/hr", "json/+"])
    #expect(configuration.topics.map(\.code) == ["hr", nil])
    #expect(configuration.topics.map(\.tenant) == ["ward", "north"])
    #expect(configuration.topics.map(\.format) == [.number, .json])
    #expect(configuration.rulesPath == "MyRules")
    #expect(configuration.ruleSet == "icu")
    #expect(configuration.storePath == "/var/lib/vigil")
    #expect(configuration.retain.ledger == 90 * 86_400_000)
    #expect(configuration.commitInterval == 10)
    #expect(configuration.receivers[0].secrets.map(\.value) == [signingKey, signingKey])
    #expect(configuration.receivers[0].payload == .full)
    #expect(configuration.receivers[0].allowPrivate)
    #expect(configuration.receivers[1].payload == .thin)
    #expect(configuration.routes[0].match.priorities == [.high, .medium])
    #expect(configuration.routes[1].match.isCatchAll)
    #expect(configuration.heartbeat == VigilConfiguration.Heartbeat(receiver: "desk", every: 30_000))
    #expect(configuration.listen.description == "[::]:8443")
    #expect(configuration.shards == 4)
    #expect(configuration.lateness == 60_000)
  }

  @Test func retentionByClassAndTenant() throws {
    let day: Int64 = 86_400_000
    let configuration = try parse(
      """
      store:
        memory: 1GiB
        retain:
          chunks: 100d
          rollups: 900d
          superseded: 30d
          journal_bytes: 64MiB
          quarantine: 14d
          outbox_marks: 3d
          tenants:
            research: { chunks: 20d, ledger: 10d }
            archive: { rollups: 50d, superseded: 5d }
      """)
    let retain = configuration.retain
    #expect(configuration.storeMemory == 1 << 30 && retain.journalBytes == 64 << 20)
    #expect(retain.quarantine == 14 * day && retain.outboxMarks == 3 * day)
    #expect(retain.lengths(tenant: "demo") == (100 * day, 900 * day, 30 * day, 365 * day))
    #expect(retain.lengths(tenant: "research") == (20 * day, 900 * day, 20 * day, 10 * day))
    #expect(retain.lengths(tenant: "archive") == (100 * day, 50 * day, 5 * day, 365 * day))
    let plain = VigilConfiguration.Retention()
    #expect(plain.lengths(tenant: "demo") == (730 * day, 730 * day, 730 * day, 365 * day))
  }

  @Test func sizesAsPeopleWriteThem() {
    for (text, bytes) in [("5", 5), ("64KiB", 65_536), ("256MiB", 256 << 20), ("3GiB", 3 << 30), ("2TiB", 2 << 40)] {
      #expect(ByteSize.parse(text) == bytes)
    }
    for text in ["", "MiB", "-1", "1MB", "1.5GiB", "9999999999TiB", "1 GiB"] { #expect(ByteSize.parse(text) == nil) }
    #expect(ByteSize.format(0) == "0B" && ByteSize.format(1023) == "1023B")
    #expect(ByteSize.format(256 << 20) == "256MiB" && ByteSize.format(3 << 29) == "1.5GiB")
  }

  @Test func withoutRoutesEveryReceiverIsTold() throws {
    let configuration = try parse(
      "receivers:\n  - { name: a, url: \"https://a.example\" }\n  - { name: b, url: \"https://b.example\" }\n")
    #expect(configuration.routes == [VigilConfiguration.Route(receivers: ["a", "b"])])
  }

  @Test func routesMatchEveryListThatIsNotEmpty() {
    var alert = AlertDocument()
    alert.priority = .high
    alert.kind = .technical
    alert.locationUnit = "ward-7"
    alert.ruleID = "r"
    alert.tenant = "t"
    var match = VigilConfiguration.RouteMatch()
    #expect(match.accepts(alert))
    match.priorities = [.high]
    match.units = ["ward-7"]
    #expect(match.accepts(alert))
    match.kinds = [.physiological]
    #expect(!match.accepts(alert))
    alert.kind = .physiological
    alert.locationUnit = nil
    #expect(!match.accepts(alert))
  }

  @Test func secretsAreNeverPrinted() throws {
    let configuration = try parse("brokers: [{ url: \"mqtt://localhost\", username: u, password: env:PASSWORD }]")
    var dumped = ""
    dump(configuration, to: &dumped)
    for text in ["\(configuration)", String(reflecting: configuration), dumped] {
      #expect(!text.contains("pa55"))
      #expect(text.contains("env:PASSWORD") || text.contains("PASSWORD"))
    }
    // A literal secret is refused without being repeated.
    let problem = try check("brokers: [{ url: \"mqtt://localhost\", username: u, password: hunter2 }]")
    #expect(problem == ["v.yaml:1:61: `password` must be env:NAME or file:PATH: a secret is never written here"])
  }
}

@Suite struct WrongConfigurationTests {
  @Test(arguments: [
    ("brokerz: []", "1:1: unknown key `brokerz` in configuration; did you mean `brokers`?"),
    ("profile: prod", "1:10: `profile` must be one of development, production, not `prod`"),
    ("clock: wal", "1:8: `clock` must be one of wall, stream, not `wal`; did you mean `wall`?"),
    ("identity: [roster]", "1:11: `identity` must be one of roster, device, payload, not a list"),
    ("tenant:", "1:1: `tenant` in configuration has no value"),
    ("tenant: a/b", "1:9: `tenant` must be a name without spaces, `/`, `+` or `#`, not `a/b`"),
    ("brokers: []", "1:1: `brokers` needs at least one broker"),
    ("brokers: [{ client_id: x }]", "1:11: broker needs `url`"),
    (
      "brokers: [{ url: \"http://b\" }]",
      "1:18: `url` must be mqtt://host:port or mqtts://host:port, without user or password, not `http://b`"
    ),
    (
      "brokers: [{ url: \"mqtt://b:0\" }]",
      "1:18: `url` must be mqtt://host:port or mqtts://host:port, without user or password, not `mqtt://b:0`"
    ),
    (
      "brokers: [{ url: \"mqtt://b\", version: 4 }]",
      "1:39: `version` must be one of 5, 3.1.1, not `4`; did you mean `5`?"
    ),
    ("brokers: [{ url: \"mqtt://b\", ca: x }]", "1:30: `ca` needs an mqtts:// address"),
    ("brokers: [{ url: \"mqtts://b\", key: x }]", "1:31: `certificate` and `key` go together"),
    ("brokers: [{ url: \"mqtt://b\", filters: a/#/b }]", "1:39: `filters` must be an MQTT topic filter, not `a/#/b`"),
    ("brokers: [{ url: \"mqtt://b\", filters: [a/b+] }]", "1:40: `filters` must be an MQTT topic filter, not `a/b+`"),
    ("brokers: [{ url: \"mqtt://b\", password: env:PASSWORD }]", "1:30: `password` needs `username`"),
    (
      "brokers: [{ url: \"mqtt://b\", username: u, password: env:NOPE }]",
      "1:53: `password`: env:NOPE is not set"
    ),
    (
      "brokers: [{ url: \"mqtt://b\", username: u, password: env:EMPTY }]",
      "1:53: `password`: env:EMPTY is empty"
    ),
    (
      "brokers: [{ url: \"mqtt://b\" }, { url: \"mqtt://b\" }]",
      "1:32: client id `vigil` is used twice at the same broker"
    ),
    (
      "topics: [{ filter: a/+, device: $2, code: hr, format: number }]",
      "1:33: `device` must be a name, or $1 to $1 for a wildcard of the filter, not `$2`"
    ),
    ("topics: [{ filter: a/+, device: $1, format: number }]", "1:10: topic mapping needs `code` with `format: number`"),
    ("topics: [{ filter: a/+, device: $1, code: hrr }]", "1:43: no vital sign is called `hrr`; did you mean `hr`?"),
    ("rules: Rules", "1:8: rules must be a mapping (`key: value` lines), not text"),
    (
      "store: { retain: { journal: 7 } }",
      "1:29: `journal` must be a duration such as 250ms, 15s, 10m, 12h or 7d from 1h to 36525d, not `7`"
    ),
    (
      "store: { memory: 1MiB }",
      "1:18: `memory` must be a size such as 256MiB from 32MiB to 1TiB, not `1MiB`"
    ),
    (
      "store: { retain: { tenants: { a: { journal: 1d } } } }",
      "1:36: unknown key `journal` in tenant a"
    ),
    (
      "store: { master_key: s3cret }",
      "1:22: `master_key` must be env:NAME, file:PATH or command:/PATH WORDS: a key is never written here"
    ),
    (
      "store: { master_key: \"command:kms key-7\" }",
      "1:22: `master_key` must be env:NAME, file:PATH or command:/PATH WORDS: a key is never written here"
    ),
    ("journal: { commit_max: 0 }", "1:24: `commit_max` must be a whole number from 1 to 1000000, not `0`"),
    ("http: { listen: 8080 }", "1:17: `listen` must be host:port, not `8080`"),
    ("log: { level: warn }", "1:15: `level` must be one of debug, info, warning, error, not `warn`"),
    ("engine: { shards: 65 }", "1:19: `shards` must be a whole number from 1 to 8, not `65`"),
    ("heartbeat: { receiver: x }", "1:24: no receiver is called `x`"),
    ("routes: [{ to: a }]", "1:16: no receiver is called `a`"),
    ("routes: [{ match: {} }]", "1:10: route needs `to`"),
    ("a: 1\na: 2", "2:1: key `a` is given twice, first at line 1"),
  ])
  func oneMistake(_ text: String, _ expected: String) throws {
    #expect(try check(text) == ["v.yaml:" + expected])
  }

  @Test(arguments: [
    (
      "format: standart",
      "27: `format` must be one of standard, cloudevents, alertmanager, pagerduty, slack, teams, fhir, not `standart`; "
        + "did you mean `standard`?"
    ),
    ("payload: fat", "28: `payload` must be one of full, thin, not `fat`"),
    ("secret: env:NOPE", "27: `secret`: env:NOPE is not set"),
    ("secret: file:nope", "27: `secret`: file:nope cannot be read"),
    ("secret: env:BAD_KEY", "27: `secret`: env:BAD_KEY is not `whsec_` and base64 of 24 to 64 bytes"),
    ("secret: whsec_abc", "27: `secret` must be env:NAME or file:PATH: a secret is never written here"),
    ("allow_private: yes", "34: `allow_private` must be true or false, not `yes`"),
    ("name: w", "19: key `name` is given twice, first at line 1"),
    ("retries: 3", "19: unknown key `retries` in receiver"),
  ])
  func oneMistakeOfAReceiver(_ line: String, _ expected: String) throws {
    let text = "receivers: [{ name: w, url: https://a.example, \(line) }]"
    // The place is counted from where the line begins in the text.
    let start = "receivers: [{ name: w, url: https://a.example, ".count
    let parts = expected.split(separator: ":", maxSplits: 1)
    let column = try #require(Int(parts[0])) - 19 + start + 1
    #expect(try check(text) == ["v.yaml:1:\(column):" + parts[1]])
  }

  @Test(arguments: [
    "ftp://a.example", "https://", "https://user:pw@a.example/", "https://a.example/#x", "https://a b.example",
    "https://a.example:99999/", "https://[zz]/", "https://a.example/é",
  ])
  func wrongWebhookAddresses(_ url: String) throws {
    #expect(
      try check("receivers: [{ name: w, url: \"\(url)\" }]") == [
        "v.yaml:1:29: `url` must be https://host/path (or http://), without user or password, not `\(url)`"
      ])
  }

  @Test func routesNameReceiversNearly() throws {
    let text = """
      receivers: [{ name: ward-7, url: "https://a.example" }, { name: ward-7, url: "https://b.example" }]
      routes:
        - { match: { priority: [hihg], unit: [] }, to: [ward-8] }
        - to: [ward-7]
          mach: {}
      """
    #expect(
      try check(text) == [
        "v.yaml:1:59: receiver `ward-7` is given twice, first at line 1",
        "v.yaml:3:27: `priority` must be one of high, medium, low, info, not `hihg`; did you mean `high`?",
        "v.yaml:3:34: `unit` is an empty list: leave the key out to match everything",
        "v.yaml:3:51: no receiver is called `ward-8`; did you mean `ward-7`?",
        "v.yaml:5:5: unknown key `mach` in route; did you mean `match`?",
      ])
  }
}

@Suite struct ProductionProfileTests {
  private let encryption = "production needs `store.master_key`: patient data is not kept in the clear"

  @Test func everythingProductionRefuses() throws {
    let text = """
      profile: production
      identity: payload
      brokers: [{ url: "mqtt://broker.example" }, { url: "mqtt://localhost" }]
      receivers:
        - { name: a, url: "http://a.example", payload: full }
      routes:
        - { match: { priority: high }, to: a }
      http: { listen: "0.0.0.0:8080" }
      """
    #expect(
      try check(text) == [
        "v.yaml:1:1: \(encryption)",
        "v.yaml:1:1: production needs `heartbeat`, or nobody hears that Vigil has stopped",
        "v.yaml:2:1: `identity: payload` is refused in production: use a roster",
        "v.yaml:3:13: mqtt://broker.example:1883 is refused in production: mqtt:// leaves the machine in the clear, "
          + "use mqtts://",
        "v.yaml:5:16: receiver `a` is refused in production: http:// leaves the machine in the clear",
        "v.yaml:5:16: receiver `a` needs `secret` in production",
        "v.yaml:5:16: receiver `a` needs `agreement` for `payload: full` in production",
        "v.yaml:6:1: production needs a catch-all route, one without `match`",
        "v.yaml:6:1: production needs a second route for high priority, to another receiver: two routes that take every "
          + "high alert",
        "v.yaml:8:9: listening on 0.0.0.0:8080 is refused in production: plain HTTP stays on loopback",
      ])
  }

  @Test(arguments: ["env:KEY", "file:master.key", "command:/usr/bin/kms decrypt key-7"])
  func withAllElseInOrderTheKeyRemains(_ key: String) throws {
    let rest = """
      profile: production
      brokers: [{ url: "mqtts://broker.example" }]
      receivers:
        - { name: a, url: "https://a.example", secret: env:KEY }
        - { name: b, url: "https://b.example", secret: env:KEY, payload: full, agreement: A-1 }
      routes:
        - { match: { priority: high }, to: a }
        - { to: b }
      heartbeat: { receiver: b }
      """
    #expect(try check(rest) == ["v.yaml:1:1: \(encryption)"])
    #expect(try check("store: { master_key: \"\(key)\" }\n" + rest) == [])
    #expect(MasterKeyReference(key)?.description == key)
  }
}
