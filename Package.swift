// swift-tools-version: 6.2
// Vigil: one binary, rooms as targets. Imports go down the table in docs/ARCHITECTURE.md, never up and never sideways;
// Tests/HouseTests holds that map.
import PackageDescription

/// A room: a library target with its own tests beside it.
func room(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
  .target(name: name, dependencies: dependencies)
}

func tests(_ room: String, _ dependencies: [Target.Dependency] = []) -> Target {
  .testTarget(name: "\(room)Tests", dependencies: [.init(stringLiteral: room)] + dependencies)
}

/// A door to a C library installed from Deploy/packages.txt.
func door(_ name: String, pkgConfig: String, apt: String) -> Target {
  .systemLibrary(name: name, path: "Sources/\(name)", pkgConfig: pkgConfig, providers: [.apt([apt])])
}

let package = Package(
  name: "vigil",
  products: [.executable(name: "vigil", targets: ["vigil"])],
  targets: [
    // C doors, each imported by one room only.
    door("CMosquitto", pkgConfig: "libmosquitto", apt: "libmosquitto-dev"),
    door("CRocksDB", pkgConfig: "rocksdb", apt: "librocksdb-dev"),
    door("CZstd", pkgConfig: "libzstd", apt: "libzstd-dev"),
    door("CZlib", pkgConfig: "zlib", apt: "zlib1g-dev"),
    door("CFYAML", pkgConfig: "libfyaml", apt: "libfyaml-dev"),
    door("COpenSSL", pkgConfig: "libcrypto", apt: "libssl-dev"),
    door("CSystemd", pkgConfig: "libsystemd", apt: "libsystemd-dev"),
    .target(name: "CCurl", linkerSettings: [.linkedLibrary("curl")]),
    .target(name: "CMicrohttpd", linkerSettings: [.linkedLibrary("microhttpd")]),
    .target(name: "CSimdjson", linkerSettings: [.linkedLibrary("simdjson"), .linkedLibrary("stdc++")]),
    .target(name: "CPlatform"),
    .target(name: "CRename"),

    // Layer 0: words and plain tools that hold nothing but values.
    room("VitalModel"),
    room("Instrumentation"),
    room("RingBufferModule", ["CPlatform"]),
    room("YAMLText", ["CFYAML"]),
    room("Compression", ["CZstd", "CZlib"]),
    room("Digests", ["COpenSSL"]),

    // Layer 1: pure.
    room("RuleLanguage", ["VitalModel", "YAMLText", "Digests"]),
    room("Configuration", ["VitalModel", "YAMLText"]),
    room("Decoding", ["VitalModel", "CSimdjson"]),
    room("Evaluation", ["VitalModel"]),
    room("Suppression", ["VitalModel"]),
    room("ChunkCoding", ["VitalModel", "Compression", "Digests"]),
    room("Simulation", ["VitalModel"]),
    room("Statistics", ["VitalModel"]),
    room("WebhookFormats", ["VitalModel"]),
    room("TabularFormats", ["VitalModel"]),

    // Layer 2: joints.
    room("Pipeline", ["VitalModel", "Evaluation", "Suppression", "Digests", "Compression"]),
    room("KeyValueStore", ["CRocksDB"]),
    room("ReportPages", ["VitalModel", "Statistics"]),

    // Layer 3: shells.
    room("MQTTIngress", ["VitalModel", "Instrumentation", "CMosquitto"]),
    room("SeriesStore", ["VitalModel", "ChunkCoding", "Compression", "KeyValueStore", "Digests"]),
    room("AlertJournal", ["VitalModel", "Pipeline", "KeyValueStore", "Compression", "Digests", "CRename"]),
    room("Delivery", ["VitalModel", "Instrumentation", "Digests", "CCurl"]),
    room("HTTPAPI", ["Instrumentation", "CMicrohttpd"]),
    room("Recordings", ["VitalModel", "Compression", "Decoding"]),
    room("RuleTesting", ["VitalModel", "YAMLText", "RuleLanguage", "Evaluation", "Pipeline"]),

    // Layer 4: the program.
    room(
      "Service",
      [
        "VitalModel", "Instrumentation", "RingBufferModule", "RuleLanguage", "Configuration", "Decoding", "Pipeline",
        "KeyValueStore", "MQTTIngress", "SeriesStore", "ChunkCoding", "AlertJournal", "Delivery", "HTTPAPI",
        "Recordings",
        "Simulation", "Statistics", "Digests", "Compression", "Evaluation", "YAMLText", "WebhookFormats",
        "TabularFormats", "ReportPages", "CSystemd",
      ]),
    .executableTarget(
      name: "vigil",
      dependencies: [
        "Service", "VitalModel", "Configuration", "YAMLText", "Pipeline", "Recordings", "Simulation", "Delivery",
        "HTTPAPI", "MQTTIngress", "Instrumentation", "AlertJournal", "SeriesStore", "ChunkCoding", "KeyValueStore",
        "Decoding", "RuleLanguage", "Digests", "Evaluation", "Compression", "RuleTesting", "WebhookFormats",
        "Statistics", "TabularFormats", "ReportPages",
      ]),
    .executableTarget(
      name: "VigilBenchmarks",
      dependencies: [
        "RingBufferModule", "Decoding", "VitalModel", "ChunkCoding", "SeriesStore", "KeyValueStore", "Service",
        "MQTTIngress", "HTTPAPI", "Configuration", "Evaluation", "Pipeline", "RuleLanguage", "Recordings",
        "Suppression", "AlertJournal", "Simulation", "Compression", "Instrumentation",
        "CAllocationCount", "CZstd",
      ],
      path: "Benchmarks/VigilBenchmarks"),
    .target(name: "CAllocationCount", path: "Benchmarks/CAllocationCount"),

    .target(name: "TestSupport", path: "Tests/TestSupport"),
    tests("VitalModel"),
    tests("Instrumentation"),
    .testTarget(
      name: "RingBufferModuleTests", dependencies: ["RingBufferModule"], exclude: ["ring.pml"]),
    tests("YAMLText"),
    tests("Compression"),
    tests("Digests"),
    .testTarget(
      name: "RuleLanguageTests",
      dependencies: ["RuleLanguage", "VitalModel", "Configuration", "TestSupport", "YAMLText"],
      exclude: ["Golden", "Wrong"]),
    tests("Configuration", ["VitalModel"]),
    tests("Decoding", ["VitalModel"]),
    tests("Evaluation", ["VitalModel", "TestSupport"]),
    .testTarget(
      name: "SuppressionTests", dependencies: ["Suppression", "VitalModel", "TestSupport"], exclude: ["Golden"]),
    tests("ChunkCoding", ["VitalModel", "Simulation"]),
    tests("Simulation", ["VitalModel"]),
    tests("Statistics", ["VitalModel"]),
    tests("WebhookFormats", ["VitalModel"]),
    .testTarget(
      name: "TabularFormatsTests", dependencies: ["TabularFormats", "VitalModel", "TestSupport"], exclude: ["Golden"]),
    tests(
      "Pipeline",
      ["VitalModel", "RuleLanguage", "Evaluation", "Suppression", "Configuration", "TestSupport", "YAMLText"]),
    tests("KeyValueStore", ["TestSupport"]),
    tests("ReportPages", ["VitalModel", "Statistics"]),
    tests("MQTTIngress", ["VitalModel", "Instrumentation", "TestSupport"]),
    tests("SeriesStore", ["VitalModel", "ChunkCoding", "Compression", "KeyValueStore", "TestSupport"]),
    tests("AlertJournal", ["VitalModel", "KeyValueStore", "TestSupport"]),
    tests("Delivery", ["VitalModel", "Instrumentation", "HTTPAPI", "TestSupport"]),
    tests("HTTPAPI", ["Instrumentation", "TestSupport"]),
    tests("Recordings", ["VitalModel", "Statistics", "Simulation", "TabularFormats", "TestSupport"]),
    tests("RuleTesting", ["VitalModel", "YAMLText", "RuleLanguage"]),
    .testTarget(
      name: "ServiceTests",
      dependencies: [
        "Service",
        "VitalModel", "Instrumentation", "Configuration", "Decoding", "Pipeline", "KeyValueStore", "SeriesStore",
        "AlertJournal", "MQTTIngress", "Delivery", "HTTPAPI", "Recordings", "TestSupport",
        "Digests", "RuleLanguage", "Statistics", "WebhookFormats", "TabularFormats", "ChunkCoding", "ReportPages",
        "Compression",
      ],
      exclude: ["Fixtures"]),
    .testTarget(name: "HouseTests", dependencies: ["TestSupport"]),
  ],
  swiftLanguageModes: [.v6],
  cxxLanguageStandard: .cxx17
)

let doors: Set = [
  "CMosquitto", "CRocksDB", "CZstd", "CZlib", "CFYAML", "COpenSSL", "CSystemd", "CCurl", "CMicrohttpd", "CSimdjson",
  "CPlatform", "CRename", "CAllocationCount",
]
for target in package.targets where !doors.contains(target.name) {
  target.swiftSettings = [
    .treatAllWarnings(as: .error),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
  ]
}

// One room with its tests and what it stands on: for the thread sanitizer, which takes minutes over all rooms, and for
// work on that room alone.
if let only = Context.environment["VIGIL_ONLY_ROOM"] {
  let targets = Dictionary(uniqueKeysWithValues: package.targets.map { ($0.name, $0) })
  var kept: Set<String> = []
  var wanted = [only, only + "Tests"]
  while let name = wanted.popLast() {
    guard let target = targets[name], kept.insert(name).inserted else { continue }
    for dependency in target.dependencies {
      if case .byNameItem(let name, _) = dependency { wanted.append(name) }
    }
  }
  package.products = []
  package.targets.removeAll { !kept.contains($0.name) }
}
