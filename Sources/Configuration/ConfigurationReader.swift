import VitalModel
import YAMLText

/// Reads the tree of `vigil.yaml` section by section.
struct ConfigurationReader {
  static let keys = [
    "profile", "tenant", "identity", "roster", "clock", "brokers", "topics", "rules", "store", "journal", "receivers",
    "routes", "heartbeat", "http", "log", "engine", "people", "roles", "schedules", "alerting", "api",
  ]
  let secretSources: SecretSources
  let registry: VitalRegistry?
  var problems: Problems
  /// What can be used and is probably not meant.
  var warnings: Problems
  var configuration = VigilConfiguration()
  /// Where each thing that production looks at was written.
  var places = ConfigurationPlaces()

  init(file: String, secrets: SecretSources, registry: VitalRegistry?) {
    secretSources = secrets
    self.registry = registry
    problems = Problems(file: file)
    warnings = Problems(file: file)
  }

  mutating func read(_ root: YAMLNode) {
    guard let top = YAMLMapping(root, of: "configuration", keys: Self.keys, &problems) else { return }
    places.root = top.place(of: "profile")
    places.identity = top.place(of: "identity")
    places.http = top.place(of: "http")
    places.routes = top.place(of: "routes")
    if let profile = top.word("profile", VigilConfiguration.Profile.self, &problems) { configuration.profile = profile }
    if let identity = top.word("identity", VigilConfiguration.Identity.self, &problems) {
      configuration.identity = identity
    }
    if let clock = top.word("clock", VigilConfiguration.ClockMode.self, &problems) { configuration.clock = clock }
    if let tenant = top.read("tenant", as: "a name without spaces, `/`, `+` or `#`", &problems, RosterValue.identifier)
    {
      configuration.tenant = tenant
    }
    configuration.roster = top.string("roster", &problems)
    brokers(top)
    for node in top.list("topics", &problems) ?? [] { topic(node) }
    rules(top)
    store(top)
    for node in top.list("receivers", &problems) ?? [] { receiver(node) }
    routes(top)
    heartbeat(top)
    alerting(top)
    process(top)
    api(top)
    checkAnswers()
    checkProfile()
    advise()
    configuration.warnings = warnings.sorted
  }

  // MARK: Devices

  private mutating func brokers(_ top: YAMLMapping) {
    guard let list = top.list("brokers", &problems) else { return }
    if list.isEmpty { problems.add(top.place(of: "brokers"), "`brokers` needs at least one broker") }
    configuration.brokers = []
    var clients: Set<String> = []
    for node in list {
      let keys = [
        "url", "client_id", "version", "username", "password", "ca", "certificate", "key", "filters", "session_expiry",
      ]
      guard let entry = YAMLMapping(node, of: "broker", keys: keys, &problems) else { continue }
      let broker = broker(entry)
      if !clients.insert("\(broker.url) \(broker.clientID)").inserted {
        problems.add(
          entry.place(of: "client_id"), "client id `\(broker.clientID)` is used twice at the same broker")
      }
      configuration.brokers.append(broker)
      places.brokers.append(entry.place(of: "url"))
    }
  }

  private mutating func broker(_ entry: YAMLMapping) -> VigilConfiguration.Broker {
    var broker = VigilConfiguration.Broker()
    let urlForm = "mqtt://host:port or mqtts://host:port, without user or password"
    if let url = entry.requiredRead("url", as: urlForm, &problems, BrokerAddress.init) { broker.url = url }
    let clientForm = "1 to 128 characters without spaces"
    if let id = entry.read("client_id", as: clientForm, &problems, RosterValue.identifier) { broker.clientID = id }
    if let version = entry.word("version", VigilConfiguration.MQTTVersion.self, &problems) { broker.version = version }
    broker.username = entry.string("username", &problems)
    broker.password = entry.secret("password", from: secretSources, &problems)
    if entry.has("password"), !entry.has("username") {
      problems.add(entry.place(of: "password"), "`password` needs `username`")
    }
    broker.ca = entry.string("ca", &problems)
    broker.certificate = entry.string("certificate", &problems)
    broker.key = entry.string("key", &problems)
    if entry.has("certificate") != entry.has("key") {
      problems.add(entry.place(of: entry.has("key") ? "key" : "certificate"), "`certificate` and `key` go together")
    }
    for key in ["ca", "certificate", "key"] where entry.has(key) && !broker.url.usesTLS {
      problems.add(entry.place(of: key), "`\(key)` needs an mqtts:// address")
    }
    if let nodes = entry.list("filters", orSingle: true, &problems) {
      broker.filters = nodes.compactMap { node in
        YAMLMapping.parsed(node, of: "filters", as: "an MQTT topic filter", &problems, Self.topicFilter)
      }
      if nodes.isEmpty { problems.add(entry.place(of: "filters"), "`filters` needs at least one filter") }
    }
    if let expiry = entry.value("session_expiry", &problems) {
      let range: ClosedRange<Int64> = 60_000...31_536_000_000
      broker.sessionExpiry =
        YAMLMapping.duration(expiry, of: "session_expiry", in: range, &problems) ?? broker.sessionExpiry
    }
    return broker
  }

  private mutating func topic(_ node: YAMLNode) {
    let keys = ["filter", "tenant", "device", "code", "format"]
    guard let entry = YAMLMapping(node, of: "topic mapping", keys: keys, &problems) else { return }
    let filter = entry.requiredRead("filter", as: "an MQTT topic filter", &problems, Self.topicFilter)
    let wildcards = (filter ?? "").split(separator: "/").filter { $0 == "+" || $0 == "#" }.count
    let nameForm = "a name, or $1 to $\(max(1, wildcards)) for a wildcard of the filter"
    let name: (String) -> String? = { text in
      guard text.hasPrefix("$") else { return RosterValue.identifier(text) }
      return Int(text.dropFirst()).flatMap { (1...max(1, wildcards)).contains($0) && wildcards > 0 ? text : nil }
    }
    let tenant = entry.read("tenant", as: nameForm, &problems, name) ?? configuration.tenant
    let device = entry.requiredRead("device", as: nameForm, &problems, name)
    let format = entry.word("format", VigilConfiguration.TopicFormat.self, &problems) ?? .json
    var code = entry.string("code", &problems)
    if format == .number, !entry.has("code") { problems.add(node, "topic mapping needs `code` with `format: number`") }
    if let given = code, let registry {
      if let known = registry.code(given) {
        code = registry[known].key
      } else {
        problems.add(
          entry.value("code", &problems) ?? node, "no vital sign is called `\(given)`",
          suggestion: Suggestion.nearest(given, among: registry.vitals.map(\.key)))
      }
    }
    guard let filter, let device else { return }
    configuration.topics.append(
      VigilConfiguration.TopicMapping(filter: filter, tenant: tenant, device: device, code: code, format: format))
  }

  /// A filter MQTT allows: `+` and `#` stand for whole levels, `#` for the last.
  private static func topicFilter(_ text: String) -> String? {
    var levels = text.split(separator: "/", omittingEmptySubsequences: false)
    if levels.first == "$share" {
      guard levels.count >= 3, !levels[1].isEmpty, !levels[1].contains("+"), !levels[1].contains("#") else {
        return nil
      }
      levels.removeFirst(2)
    }
    guard !text.isEmpty, text.utf8.count <= 1024, levels != [""] else { return nil }
    for (index, level) in levels.enumerated() {
      if level.contains("#"), level != "#" || index != levels.count - 1 { return nil }
      if level.contains("+"), level != "+" { return nil }
    }
    return text
  }

  // MARK: Rules, store, process

  private mutating func rules(_ top: YAMLMapping) {
    guard let entry = top.mapping("rules", keys: ["path", "set"], &problems) else { return }
    if let path = entry.string("path", &problems) { configuration.rulesPath = path }
    if let set = entry.string("set", &problems) { configuration.ruleSet = set }
  }

  private mutating func store(_ top: YAMLMapping) {
    let keys = ["path", "master_key", "memory", "retain", "archive", "free_warn"]
    if let entry = top.mapping("store", keys: keys, &problems) {
      if let path = entry.string("path", &problems) { configuration.storePath = path }
      if let archive = entry.string("archive", &problems) { configuration.archive = archive }
      if let share = entry.read("free_warn", as: "a share of the disk from 0% to 90%", &problems, Self.share) {
        configuration.freeWarn = share
      }
      if let node = entry.value("master_key", &problems) {
        configuration.masterKey = node.scalar.flatMap(MasterKeyReference.init)
        if configuration.masterKey == nil {
          problems.add(
            node, "`master_key` must be env:NAME, file:PATH or command:/PATH WORDS: a key is never written here")
        }
      }
      if let memory = entry.bytes("memory", in: 32 << 20...(1 << 40), &problems) { configuration.storeMemory = memory }
      retention(entry)
    }
    guard let journal = top.mapping("journal", keys: ["commit_interval", "commit_max"], &problems) else { return }
    if let interval = journal.duration("commit_interval", in: 1...1000, &problems) {
      configuration.commitInterval = interval
    }
    if let count = journal.int("commit_max", in: 1...1_000_000, &problems) { configuration.commitMax = count }
  }

  /// `10%` as 0.1.
  private static func share(_ text: String) -> Double? {
    guard text.hasSuffix("%"), let percent = Double(text.dropLast()), (0...90).contains(percent) else { return nil }
    return percent / 100
  }

  private mutating func process(_ top: YAMLMapping) {
    if let http = top.mapping("http", keys: ["listen"], &problems) {
      places.http = http.place(of: "listen")
      if let listen = http.read("listen", as: "host:port", &problems, { NetworkAddress($0, allowsAnyPort: true) }) {
        configuration.listen = listen
      }
    }
    if let log = top.mapping("log", keys: ["level"], &problems),
      let level = log.word("level", VigilConfiguration.LogLevel.self, &problems)
    {
      configuration.logLevel = level
    }
    guard let engine = top.mapping("engine", keys: ["shards", "lateness"], &problems) else { return }
    configuration.shards = engine.int("shards", in: 1...8, &problems)
    if let lateness = engine.duration("lateness", in: 0...86_400_000, &problems) { configuration.lateness = lateness }
  }

  // MARK: Alerts out

  private mutating func routes(_ top: YAMLMapping) {
    guard let list = top.list("routes", &problems) else {
      if !configuration.receivers.isEmpty {
        configuration.routes = [VigilConfiguration.Route(receivers: configuration.receivers.map(\.name))]
      }
      return
    }
    for node in list {
      guard let entry = YAMLMapping(node, of: "route", keys: ["match", "to"], &problems) else { continue }
      var match = VigilConfiguration.RouteMatch()
      if let fields = entry.mapping("match", keys: ["priority", "kind", "unit", "rule", "tenant"], &problems) {
        match = self.match(fields)
      }
      var names: [String] = []
      if !entry.has("to") { problems.add(node, "route needs `to`") }
      for target in entry.list("to", orSingle: true, &problems) ?? [] {
        guard let name = receiverName(target, of: "to") else { continue }
        if !names.contains(name) { names.append(name) }
      }
      configuration.routes.append(VigilConfiguration.Route(match: match, receivers: names))
    }
  }

  private mutating func match(_ fields: YAMLMapping) -> VigilConfiguration.RouteMatch {
    var match = VigilConfiguration.RouteMatch()
    let priorities = Priority.allCases.reversed().map { ($0.text, $0) }
    for node in fields.list("priority", orSingle: true, &problems) ?? [] {
      if let priority = YAMLMapping.word(node, of: "priority", priorities, &problems) {
        match.priorities.append(priority)
      }
    }
    let kinds = AlertKind.allCases.map { ($0.rawValue, $0) }
    for node in fields.list("kind", orSingle: true, &problems) ?? [] {
      if let kind = YAMLMapping.word(node, of: "kind", kinds, &problems) { match.kinds.append(kind) }
    }
    match.units = fields.strings("unit", orSingle: true, &problems) ?? []
    match.rules = fields.strings("rule", orSingle: true, &problems) ?? []
    match.tenants = fields.strings("tenant", orSingle: true, &problems) ?? []
    // An empty list would match everything while it reads like nothing.
    for entry in fields.entries where entry.value.elements?.isEmpty == true {
      problems.add(entry.key, "`\(entry.key.scalar ?? "")` is an empty list: leave the key out to match everything")
    }
    return match
  }

  private mutating func receiverName(_ node: YAMLNode, of key: String) -> String? {
    guard let name = YAMLMapping.text(node, of: key, &problems) else { return nil }
    guard places.receivers[name] != nil else {
      problems.add(
        node, "no receiver is called `\(name)`", suggestion: Suggestion.nearest(name, among: places.receivers.keys))
      return nil
    }
    return name
  }

  private mutating func heartbeat(_ top: YAMLMapping) {
    guard let entry = top.mapping("heartbeat", keys: ["receiver", "every"], &problems),
      let node = entry.requiredValue("receiver", &problems)
    else { return }
    let every = entry.duration("every", in: 1000...3_600_000, &problems)
    guard let name = receiverName(node, of: "receiver") else { return }
    if let format = configuration.receivers.first(where: { $0.name == name })?.format, !format.hasHeartbeat {
      let able = WebhookFormat.allCases.filter(\.hasHeartbeat).map(\.rawValue).joined(separator: " or ")
      problems.add(node, "`format: \(format.rawValue)` has no form of a heartbeat: use a receiver with format \(able)")
    }
    configuration.heartbeat = VigilConfiguration.Heartbeat(receiver: name, every: every ?? 60_000)
  }

  private mutating func alerting(_ top: YAMLMapping) {
    var people = PeopleReader(receivers: places.receivers)
    people.read(top, &problems)
    var alerting = AlertingReader()
    if let section = top.mapping("alerting", keys: AlertingReader.keys, &problems) {
      alerting.read(section, &problems)
    }
    CoverCheck(people: people, alerting: alerting).run(&problems, warnings: &warnings)
    configuration.onCall = people.onCall
    configuration.alerting = alerting.settings
  }
}
