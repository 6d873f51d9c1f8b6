/// The rooms of Vigil: who may import what. The same table, in words, is `docs/ARCHITECTURE.md`.
///
/// Imports go down, never up and never sideways. A room that is not in here does not pass.
enum HouseMap {
  /// Rooms by layer, 0 first.
  static let layers: [[String]] = [
    ["VitalModel", "Instrumentation", "RingBufferModule", "YAMLText", "Compression", "Digests"],
    [
      "RuleLanguage", "Configuration", "Decoding", "Evaluation", "Suppression", "ChunkCoding", "Simulation",
      "Statistics", "WebhookFormats", "TabularFormats",
    ],
    ["Pipeline", "KeyValueStore", "ReportPages"],
    ["MQTTIngress", "SeriesStore", "AlertJournal", "Delivery", "HTTPAPI", "Recordings", "RuleTesting"],
    ["Service"],
    ["vigil"],
  ]

  /// Each C door and the one room that opens it.
  static let doors: [String: String] = [
    "CMosquitto": "MQTTIngress", "CRocksDB": "KeyValueStore", "CZstd": "Compression", "CZlib": "Compression",
    "CFYAML": "YAMLText", "COpenSSL": "Digests", "CSystemd": "Service", "CCurl": "Delivery",
    "CMicrohttpd": "HTTPAPI", "CSimdjson": "Decoding", "CPlatform": "RingBufferModule",
    "CRename": "AlertJournal",
  ]

  /// Debian packages of doors that are plain C targets and so have no `apt` entry in Package.swift.
  static let packagesOfLinkedLibraries = [
    "curl": "libcurl4-openssl-dev", "microhttpd": "libmicrohttpd-dev", "simdjson": "libsimdjson-dev",
    "stdc++": "libstdc++-12-dev",
  ]

  /// Doors that tests and benchmarks may open beside the room: to make by hand what it must read, or what it is measured
  /// beside.
  static let doorsOfTests: [String: Set<String>] = ["CompressionTests": ["CZlib"], "VigilBenchmarks": ["CZstd"]]

  /// Modules of the toolchain any room may use.
  static let toolchain: Set<String> = ["Glibc", "Synchronization"]

  /// Rooms that may use Foundation: cold paths, none of them once a sample.
  static let foundationRooms: Set<String> = ["VitalModel", "Configuration", "RuleLanguage", "Service", "vigil"]

  /// Rooms below layer 3 that may call the system for time, files or memory of the process, and why.
  static let systemRooms: [String: String] = [
    "Instrumentation": "it is the clock and the log that others are handed",
    "RingBufferModule": "a wait is bounded by a clock",
    "Compression": "a byte source reads a file",
    "Digests": "random bytes for secrets come from the system",
    "KeyValueStore": "it is the disk",
  ]

  static let rooms = layers.flatMap { $0 }

  static func layer(of room: String) -> Int? { layers.firstIndex { $0.contains(room) } }
}
