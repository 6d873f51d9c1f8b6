import Instrumentation
import VitalModel

/// Every counter of the running service, by the names `/metrics` shows.
package struct ServiceMeters: Sendable {
  package let registry: MetricRegistry
  let messages: CounterFamily
  let bytes: CounterFamily
  let fullWaits: CounterFamily
  let samples: Counter
  let stored: Counter
  let duplicates: Counter
  let quarantined: CounterFamily
  let quarantinedByDevice: CounterFamily
  let corrections: Counter
  let commits: Counter
  let commitSeconds: Histogram
  let batchEntries: Histogram
  let commitFailures: Counter
  let clockEntries: Counter
  let alerts: CounterFamily
  let suppressed: CounterFamily
  let transitions: Counter
  let acknowledgements: CounterFamily
  let timeToAccept: HistogramFamily
  let realarms: Counter
  let escalations: CounterFamily
  let deliveries: CounterFamily
  let undelivered: Counter
  let deadLetters: CounterFamily
  let unrouted: Counter
  let unreached: Counter
  let effectsFailures: Counter
  let checkpoints: Counter
  let chunks: Counter
  let chunksMerged: Counter
  let daysRolledUp: Counter
  let retained: CounterFamily
  let reloads: CounterFamily
  let stalls: Counter
  let actions: CounterFamily
  let answers: CounterFamily

  package init(_ registry: MetricRegistry = MetricRegistry()) {
    self.registry = registry
    messages = registry.counterFamily(
      "vigil_ingest_messages_total", "MQTT messages taken in.", labels: ["lane"])
    bytes = registry.counterFamily("vigil_ingest_bytes_total", "Payload bytes taken in.", labels: ["lane"])
    fullWaits = registry.counterFamily(
      "vigil_ingest_full_waits_total", "Times ingest waited for room in its ring.", labels: ["lane"])
    samples = registry.counter("vigil_samples_total", "Observations of known codes that came in.")
    stored = registry.counter("vigil_samples_stored_total", "Observations stored.")
    duplicates = registry.counter("vigil_samples_duplicate_total", "Exact duplicates ignored.")
    quarantined = registry.counterFamily(
      "vigil_quarantined_total", "Observations in quarantine.", labels: ["reason"])
    quarantinedByDevice = registry.counterFamily(
      "vigil_quarantined_by_device_total", "Observations in quarantine by device.", labels: ["device", "reason"],
      cardinality: 256)
    corrections = registry.counter("vigil_samples_corrected_total", "Corrections of earlier values.")
    commits = registry.counter("vigil_journal_commits_total", "Synced journal batches.")
    commitSeconds = registry.histogram(
      "vigil_journal_commit_seconds", "Time of one synced journal write.", .latencySeconds)
    batchEntries = registry.histogram("vigil_journal_batch_entries", "Entries in one journal batch.", .batchSizes)
    commitFailures = registry.counter("vigil_journal_commit_failures_total", "Journal writes that failed.")
    clockEntries = registry.counter("vigil_journal_clock_entries_total", "Clock entries written for due deadlines.")
    alerts = registry.counterFamily("vigil_alerts_total", "Alerts started.", labels: ["rule", "priority"])
    suppressed = registry.counterFamily(
      "vigil_suppressed_total", "Candidates not told, by rule and stage.", labels: ["rule", "stage"], cardinality: 256)
    transitions = registry.counter("vigil_alert_transitions_total", "Transitions of alerts.")
    acknowledgements = registry.counterFamily(
      "vigil_acknowledgements_total", "Acknowledgements of alerts, by rule and class; none: seen, not judged.",
      labels: ["rule", "class"], cardinality: 256)
    timeToAccept = registry.histogramFamily(
      "vigil_time_to_accept_seconds", "Time from an alert's start until somebody first took it on.", .answerSeconds,
      labels: ["priority"])
    realarms = registry.counter(
      "vigil_realarms_total", "Alerts told again because they were, still or again, true.")
    escalations = registry.counterFamily(
      "vigil_escalations_total", "Steps of escalation ladders told, by level.", labels: ["level"])
    deliveries = registry.counterFamily(
      "vigil_delivery_attempts_total", "Webhook attempts.", labels: ["receiver", "outcome"])
    undelivered = registry.counter(
      "vigil_undelivered_total", "High alerts reported as undelivered to their receiver.")
    deadLetters = registry.counterFamily(
      "vigil_dead_letters_total", "Webhooks given up on.", labels: ["receiver", "reason"])
    unrouted = registry.counter("vigil_unrouted_total", "Transitions no route accepts.")
    unreached = registry.counter(
      "vigil_escalations_unreached_total", "Escalations for a name behind which nobody was on duty; told by the routes."
    )
    effectsFailures = registry.counter("vigil_effects_write_failures_total", "Failed writes of alerts and state.")
    checkpoints = registry.counter("vigil_checkpoints_total", "Patient states stored.")
    chunks = registry.counter("vigil_chunks_sealed_total", "Chunks sealed.")
    chunksMerged = registry.counter("vigil_chunks_merged_total", "Small or late chunks that went into larger ones.")
    daysRolledUp = registry.counter("vigil_rollups_made_total", "Days of a patient and device rolled up.")
    retained = registry.counterFamily(
      "vigil_retention_deleted_total", "What retention deleted, by class of data.", labels: ["class"])
    reloads = registry.counterFamily("vigil_reloads_total", "Reloads of rules and configuration.", labels: ["outcome"])
    stalls = registry.counter("vigil_commit_stalls_total", "Times commits stalled for five seconds.")
    actions = registry.counterFamily(
      "vigil_actions_total", "What people did about alerts, journaled.", labels: ["action"])
    answers = registry.counterFamily(
      "vigil_answers_total", "Answers of receivers, in webhooks and by callback.", labels: ["outcome"])
    ProcessStatistics.register(in: registry)
  }

  func lane(_ name: String) -> LaneMeters {
    LaneMeters(messages: messages.with(name), bytes: bytes.with(name), fullWaits: fullWaits.with(name))
  }
}
