import VitalModel
import YAMLText

/// Everything `vigil.yaml` says (CONTRACT section 3), read and checked. The one job of this room is to turn the texts
/// people write (configuration, registry, roster, column maps) into values, or into all their mistakes at once. It opens
/// no file, reads no environment and never keeps a secret where printing could show it.
package struct VigilConfiguration: Hashable, Sendable {
  package enum Profile: String, Sendable, CaseIterable { case development, production }

  /// Where a device's patient comes from.
  package enum Identity: String, Sendable, CaseIterable {
    case roster
    /// The device id is the patient id.
    case device
    /// The message names the patient.
    case payload
  }

  package enum ClockMode: String, Sendable, CaseIterable { case wall, stream }

  package enum MQTTVersion: String, Sendable, CaseIterable {
    case five = "5"
    case threeOneOne = "3.1.1"
  }

  package enum LogLevel: String, Sendable, CaseIterable { case debug, info, warning, error }

  package enum TopicFormat: String, Sendable, CaseIterable {
    /// Native JSON or SenML, told apart by shape.
    case json
    /// One bare number.
    case number
  }

  package struct Broker: Hashable, Sendable {
    package var url = BrokerAddress(address: NetworkAddress(host: "127.0.0.1", port: 1883), usesTLS: false)
    package var clientID = "vigil"
    package var version = MQTTVersion.five
    package var username: String?
    package var password: Secret?
    /// Paths, as written.
    package var ca: String?
    package var certificate: String?
    package var key: String?
    package var filters = ["vigil/v1/+/+/+"]
    /// How long the broker keeps what we have not acknowledged, milliseconds.
    package var sessionExpiry: Int64 = 604_800_000

    package init() {}
  }

  /// A topic layout of someone else's devices.
  package struct TopicMapping: Hashable, Sendable {
    package var filter: String
    /// A name, or `$n`: what the n-th wildcard of the filter stood for.
    package var tenant: String
    package var device: String
    /// Registry key, for ``TopicFormat/number``.
    package var code: String?
    package var format: TopicFormat

    package init(filter: String, tenant: String, device: String, code: String?, format: TopicFormat) {
      self.filter = filter
      self.tenant = tenant
      self.device = device
      self.code = code
      self.format = format
    }
  }

  package struct Receiver: Hashable, Sendable {
    package var name: String
    package var url: WebhookURL
    /// The shape of what it is sent.
    package var format: WebhookFormat
    /// Signing keys (`whsec_...`), the current one first, two during rotation; with `pagerduty` the routing key; none with
    /// `slack` and `teams`.
    package var secrets: [Secret] = []
    package var payload = WebhookPayload.thin
    /// The agreement under which whole documents may be sent.
    package var agreement: String?
    /// Whether the address may be inside a private network.
    package var allowPrivate = false
    /// Certificates to trust instead of the system's, and our own with its key: paths of PEM files, as written.
    package var authority: String?
    package var certificate: String?
    package var key: String?
    /// The proxy it is reached through; nil: none.
    package var proxy: String?
    /// Whether its answers may accept alerts in a known user's name (SEMANTICS E6).
    package var mayAccept = false

    package init(name: String, url: WebhookURL, format: WebhookFormat = .standard) {
      self.name = name
      self.url = url
      self.format = format
    }
  }

  /// Every list that is not empty must hold the alert's value.
  package struct RouteMatch: Hashable, Sendable {
    package var priorities: [Priority] = []
    package var kinds: [AlertKind] = []
    package var units: [String] = []
    package var rules: [String] = []
    package var tenants: [String] = []

    package init() {}

    /// Takes every alert.
    package var isCatchAll: Bool {
      priorities.isEmpty && kinds.isEmpty && units.isEmpty && rules.isEmpty && tenants.isEmpty
    }

    /// Takes every high alert, whatever else it takes.
    package var takesEveryHighAlert: Bool {
      (priorities.isEmpty || priorities.contains(.high)) && kinds.isEmpty && units.isEmpty && rules.isEmpty
        && tenants.isEmpty
    }

    package func accepts(_ alert: AlertDocument) -> Bool {
      (priorities.isEmpty || priorities.contains(alert.priority))
        && (kinds.isEmpty || kinds.contains(alert.kind))
        && (units.isEmpty || alert.locationUnit.map(units.contains) == true)
        && (rules.isEmpty || rules.contains(alert.ruleID))
        && (tenants.isEmpty || tenants.contains(alert.tenant))
    }
  }

  package struct Route: Hashable, Sendable {
    package var match: RouteMatch
    /// Names of receivers, all of them told.
    package var receivers: [String]

    package init(match: RouteMatch = RouteMatch(), receivers: [String]) {
      self.match = match
      self.receivers = receivers
    }
  }

  /// How long things are kept, milliseconds.
  package struct Retention: Hashable, Sendable {
    package var chunks: Int64 = 730 * 86_400_000
    /// Nil: as long as chunks.
    package var rollups: Int64?
    /// Values that a correction replaced; nil: as long as chunks.
    package var superseded: Int64?
    package var journal: Int64 = 7 * 86_400_000
    package var ledger: Int64 = 365 * 86_400_000
    /// Nil: as long as the ledger.
    package var quarantine: Int64?
    /// What was delivered and not to be sent again; nil: as long as the journal.
    package var outboxMarks: Int64?
    /// The journal is trimmed to about this many bytes, whatever its age; nil: by age only.
    package var journalBytes: UInt64?
    /// Other lengths for what is one tenant's.
    package var tenants: [String: Tenant] = [:]

    package init() {}

    /// What may differ for one tenant; nil: as for all.
    package struct Tenant: Hashable, Sendable {
      package var chunks: Int64?
      package var rollups: Int64?
      package var superseded: Int64?
      package var ledger: Int64?

      package init() {}
    }

    /// How long each class of one tenant's data is kept.
    package func lengths(tenant: String) -> (chunks: Int64, rollups: Int64, superseded: Int64, ledger: Int64) {
      let own = tenants[tenant] ?? Tenant()
      let chunks = own.chunks ?? chunks
      return (
        chunks, own.rollups ?? rollups ?? chunks, min(chunks, own.superseded ?? superseded ?? chunks),
        own.ledger ?? ledger
      )
    }
  }

  package struct Heartbeat: Hashable, Sendable {
    package var receiver: String
    /// Milliseconds.
    package var every: Int64

    package init(receiver: String, every: Int64 = 60_000) {
      self.receiver = receiver
      self.every = every
    }
  }

  package var profile = Profile.development
  /// For topics that name none.
  package var tenant = "demo"
  package var identity = Identity.roster
  /// Path of the roster, as written; nil: none.
  package var roster: String?
  package var clock = ClockMode.wall
  package var brokers = [Broker()]
  package var topics: [TopicMapping] = []
  package var rulesPath = "Rules"
  package var ruleSet = "adult-ward"
  package var storePath = "var/vigil"
  /// The key the store is encrypted under; nil: it is not encrypted.
  package var masterKey: MasterKeyReference?
  package var retain = Retention()
  /// What the store may use for its block cache and write buffers, bytes.
  package var storeMemory = 160 << 20
  /// The backup set the log is archived into, as written; nil: not archived.
  package var archive: String?
  /// Share of the store's disk, 0 to 1: less free room than this is told; 0: never.
  package var freeWarn = 0.1
  /// The longest an entry waits for its commit, milliseconds.
  package var commitInterval: Int64 = 2
  /// Entries of one commit at most.
  package var commitMax = 4096
  package var receivers: [Receiver] = []
  /// In order; every route that matches is told. Without `routes` every alert goes to every receiver.
  package var routes: [Route] = []
  package var heartbeat: Heartbeat?
  package var api = API()
  /// How alerts behave; journaled by the service.
  package var alerting = AlertingSettings()
  /// Who is told at a time.
  package var onCall = OnCall()
  package var listen = NetworkAddress(host: "127.0.0.1", port: 8080)
  package var logLevel = LogLevel.info
  /// Evaluator threads; nil: as many as the machine has use for.
  package var shards: Int?
  /// How far behind the clock a sample may lie and still page, milliseconds (SEMANTICS B5).
  package var lateness: Int64 = 30_000
  /// What can be used and is probably not meant: hours in which an escalation finds nobody.
  package var warnings: [TextProblem] = []

  /// The safe defaults.
  package init() {}

  /// Every filter a broker is asked for: its own, and those of ``topics``.
  package func subscriptions(of broker: Broker) -> [String] {
    broker.filters + topics.map(\.filter).filter { !broker.filters.contains($0) }
  }

  /// Reads and checks a configuration.
  ///
  /// - Parameter registry: refuses topic codes it does not know; nil: not checked.
  /// - Throws: every problem at once.
  package static func parse(
    _ text: String, file: String, secrets: SecretSources, registry: VitalRegistry? = nil
  ) throws(TextProblems) -> VigilConfiguration {
    let (configuration, problems) = read(text, file: file, secrets: secrets, registry: registry)
    if !problems.isEmpty { throw TextProblems(problems) }
    return configuration
  }

  /// Every problem of a configuration, in the order of their places; empty if it can be used.
  package static func check(
    _ text: String, file: String, secrets: SecretSources, registry: VitalRegistry? = nil
  ) -> [TextProblem] {
    read(text, file: file, secrets: secrets, registry: registry).problems
  }

  private static func read(
    _ text: String, file: String, secrets: SecretSources, registry: VitalRegistry?
  ) -> (configuration: VigilConfiguration, problems: [TextProblem]) {
    do throws(TextProblem) {
      let root = try YAMLDocument.parse(text, file: file)
      var reader = ConfigurationReader(file: file, secrets: secrets, registry: registry)
      reader.read(root)
      return (reader.configuration, reader.problems.sorted)
    } catch {
      return (VigilConfiguration(), [error])
    }
  }
}
