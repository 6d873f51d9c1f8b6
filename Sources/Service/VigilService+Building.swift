import AlertJournal
import Configuration
import Decoding
import Delivery
import Instrumentation
import KeyValueStore
import MQTTIngress
import Pipeline
import RingBufferModule
import SeriesStore
import Synchronization
import VitalModel

/// How the parts of the service are put together.
extension VigilService {
  struct Built {
    var rings: [Ring<Slot>]
    var inputs: [Ring<Slot>]
    var lanes: [IngestLane]
    var controlLane: IngestLane
    var sequencer: Sequencer
    var evaluators: [Evaluator]
    var sealer: SealerThread
  }

  static func build(
    _ recovered: RecoveredStore, _ configuration: VigilConfiguration, _ settings: Settings, _ meters: ServiceMeters,
    _ log: Log, _ abandonment: Abandonment, _ doorbell: Doorbell, _ routing: Routing, _ keeper: OutboxKeeper,
    shards: Int
  ) throws -> Built {
    let stages = [
      StageSpec("journal"), StageSpec("evaluate", after: ["journal"]), StageSpec("seal", after: ["journal"]),
    ]
    var rings: [Ring<Slot>] = []
    for _ in 0..<shards { rings.append(try Ring(capacity: Sequencer.shardCapacity, stages: stages)) }
    var inputs: [Ring<Slot>] = []
    // One input a broker, and one for what is resubmitted.
    for _ in 0...configuration.brokers.count {
      inputs.append(try Ring(capacity: IngestLane.capacity, stages: [StageSpec("journal")]))
    }
    let topics = TopicMap(try configuration.topics.map(mapping))
    func lane(_ index: Int, _ name: String) throws -> IngestLane {
      try IngestLane(
        registry: recovered.registry, directory: recovered.directory, ring: inputs[index], doorbell: doorbell,
        clock: settings.clock, identity: IdentityMode(rawValue: configuration.identity.rawValue) ?? .roster,
        topics: topics, abandonment: abandonment, meters: meters.lane(name),
        handOverAfter: configuration.commitInterval)
    }
    var lanes: [IngestLane] = []
    for index in configuration.brokers.indices { lanes.append(try lane(index, "broker-\(index + 1)")) }
    let controlLane = try lane(configuration.brokers.count, "resubmit")
    let vitals = recovered.registry.vitals
    let samples = try Sealer(store: recovered.store.store) { code in
      vitals.indices.contains(Int(code.index)) ? vitals[Int(code.index)].key : nil
    }
    let sealer = try SealerThread(
      sealer: samples, rings: rings, store: recovered.store,
      replayThrough: recovered.nextPosition - 1, clock: settings.clock, meters: meters, log: log,
      abandonment: abandonment)
    let history = try StoredHistory(sealer, rings: rings, abandonment: abandonment)
    recovered.intake.history = history
    let texts = EntryTexts()
    let deadlines = DeadlineBoard(shards: shards)
    let sequencer = Sequencer(
      .init(
        store: recovered.store, directory: recovered.directory, intake: recovered.intake, registry: recovered.registry,
        lanes: try inputs.map { try Sequencer.Lane($0) }, shards: try rings.map { try Sequencer.Shard($0) },
        texts: texts, deadlines: deadlines, doorbell: doorbell, clock: settings.clock, meters: meters, log: log,
        abandonment: abandonment, commitMax: min(configuration.commitMax, 32_768),
        usesWallClock: configuration.clock == .wall),
      nextPosition: recovered.nextPosition, counters: recovered.counters)
    var evaluators: [Evaluator] = []
    for shard in 0..<shards {
      recovered.engines[shard].output = recovered.owed[shard]
      evaluators.append(
        try Evaluator(
          .init(
            store: recovered.store, engine: recovered.engines[shard], directory: recovered.directory, texts: texts,
            deadlines: deadlines, doorbell: doorbell, routing: routing, delivery: keeper, clock: settings.clock,
            meters: meters, log: log, abandonment: abandonment, shard: shard, shards: shards,
            durablePosition: { sequencer.lastPosition.load(ordering: .acquiring) }, heartbeat: { keeper.heartbeat }),
          ring: rings[shard], progress: recovered.progress[shard]))
    }
    registerGauges(meters, recovered: recovered, inputs: inputs, rings: rings, sequencer: sequencer, sealer: sealer)
    return Built(
      rings: rings, inputs: inputs, lanes: lanes, controlLane: controlLane, sequencer: sequencer,
      evaluators: evaluators, sealer: sealer)
  }

  private static func mapping(
    _ mapping: VigilConfiguration.TopicMapping
  ) throws(TopicMapError) -> MQTTIngress.TopicMapping {
    try MQTTIngress.TopicMapping(
      filter: mapping.filter, tenant: mapping.tenant, device: mapping.device, code: mapping.code,
      format: MQTTIngress.TopicFormat(rawValue: mapping.format.rawValue) ?? .json)
  }

  /// Figures read when `/metrics` is asked for.
  private static func registerGauges(
    _ meters: ServiceMeters, recovered: RecoveredStore, inputs: [Ring<Slot>], rings: [Ring<Slot>],
    sequencer: Sequencer, sealer: SealerThread
  ) {
    let registry = meters.registry
    let inputStages = inputs.compactMap { try? $0.observer(of: "journal") }
    let evaluate = rings.compactMap { try? $0.observer(of: "evaluate") }
    let seal = rings.compactMap { try? $0.observer(of: "seal") }
    registry.gauge("vigil_ring_depth_ingest", "Slots between ingest and journal.") {
      Double(inputStages.map(\.depth).max() ?? 0)
    }
    registry.gauge("vigil_ring_depth_evaluate", "Durable entries not evaluated yet: the journal lag.") {
      Double(evaluate.map(\.depth).max() ?? 0)
    }
    registry.gauge("vigil_ring_depth_seal", "Durable entries not sealed or opened in a chunk yet.") {
      Double(seal.map(\.depth).max() ?? 0)
    }
    registry.gauge("vigil_journal_position", "Last durable journal position.") {
      Double(sequencer.lastPosition.load(ordering: .relaxed))
    }
    let directory = recovered.directory
    registry.gauge("vigil_patients", "Patients known.") { Double(directory.counts.patients) }
    registry.gauge("vigil_devices", "Devices known.") { Double(directory.counts.devices) }
    registry.gauge("vigil_series", "Series known: one window set each.") { Double(directory.counts.series) }
    let live = sealer.sealer
    registry.gauge("vigil_open_chunk_rows", "Rows in chunks not sealed yet.") { Double(live.stats.openRows) }
    registry.gauge("vigil_open_chunk_bytes", "Bytes of chunks not sealed yet.") { Double(live.stats.openBytes) }
    let store = recovered.store
    registerStoreGauges(registry, store)
    registry.gauge("vigil_store_bytes", "Live SST bytes of the store.") {
      Double(store.storeBytes)
    }
  }
}

extension VigilService {
  /// Space and writing of each family.
  fileprivate static func registerStoreGauges(_ registry: MetricRegistry, _ store: VigilStore) {
    let chunks = store.families.chunks
    registry.gauge("vigil_rollup_bytes", "Live SST bytes of rollups.") {
      Double((try? store.store.liveFileBytes(store.families.rollups)) ?? 0)
    }
    registry.gauge("vigil_chunk_bytes", "Live SST bytes of chunks.") {
      Double((try? store.store.liveFileBytes(chunks)) ?? 0)
    }
    registry.gauge(
      "vigil_chunk_write_amplification", "Bytes written to chunk files for each byte flushed, since the start."
    ) {
      (try? store.store.writing(chunks))?.amplification ?? 0
    }
  }
}

extension VigilStore {
  /// Bytes of all live table files.
  var storeBytes: UInt64 { (try? store.liveFileBytes()) ?? 0 }
}

/// Arrivals that no broker made.
enum Arrivals {
  static func resubmitted(_ receivedMs: Int64) -> Arrival { Arrival(receivedAt: receivedMs) }
}
