import AlertJournal
import Foundation
import Pipeline
import TestSupport
import Testing
import VitalModel

@testable import Service

/// A store of eight patients with known alerts and what people said of them: a journal with their answers, and what its
/// replay gave, through the writers the service uses.
///
/// Patient p-017 falls to 89 % twenty times (nobody acts on it) and to 84 % four times (one is acted on); p-018 falls to
/// 84 % three times, each acted on; six others once each. Limit 90 %, one rule.
struct FeedbackStore {
  /// 2026-11-16T00:00:00Z, a Monday.
  static let start: Int64 = 1_794_787_200_000
  /// From one fall to the next, and the length of a fall, milliseconds.
  static let every: Int64 = 2_700_000
  static let fall: Int64 = 300_000
  private static let step: Int64 = 10_000

  let folder: TemporaryDirectory
  var path: String { folder.file("store") }

  /// One fall, and what people did about its alert.
  struct Fall {
    var value: Int64
    var isAccepted = true
    var judgement: AcknowledgementClass?
  }

  /// Patient, unit and falls in order.
  static let ward: [(patient: String, unit: String, falls: [Fall])] = [
    (
      "p-017", "ward-7",
      (0..<20).map { Fall(value: 89, judgement: $0 < 2 ? nil : .isFalse) }
        + (0..<4).map { Fall(value: 84, judgement: $0 == 0 ? .actionable : .notRelevant) }
    ),
    ("p-018", "ward-7", (0..<3).map { _ in Fall(value: 84, judgement: .actionable) }),
    ("p-021", "ward-7", [Fall(value: 87, judgement: .actionable)]),
    ("p-022", "ward-7", [Fall(value: 87, judgement: .isFalse)]),
    ("p-023", "ward-7", [Fall(value: 87, isAccepted: false)]),
    ("p-024", "ward-8", [Fall(value: 87, judgement: .actionable)]),
    ("p-025", "ward-8", [Fall(value: 87, isAccepted: false)]),
    ("p-026", "ward-8", [Fall(value: 87, isAccepted: false)]),
  ]

  private static let rule = """
    rule: low
    title: Low saturation
    source: a test
    rationale: a test
    priority: medium
    parameters:
      limit: { default: 90, min: 80, max: 95, unit: "%" }
    when: median(spo2, 10s) < $limit
    for: 15s
    max_hold: 60s
    clear: { when: "median(spo2, 10s) >= $limit + 2", for: 30s }
    bypass: last(spo2) < 70
    message: "SpO2 {value} % (limit {limit})"

    """

  init() throws {
    folder = try TemporaryDirectory("feedback")
    try FileManager.default.createDirectory(
      atPath: folder.file("rules/adult"), withIntermediateDirectories: true)
    try FileManager.default.copyItem(
      atPath: RepositoryRoot.path + "/Rules/vitals.yaml", toPath: folder.file("rules/vitals.yaml"))
    _ = try folder.write(Self.rule, to: "rules/adult/low.yaml")
    let files = try RuleFiles.read(folder.file("rules"))
    let registry = try files.registry()
    let directory = Directory(registry: registry)
    let plan = try files.plan(set: nil)
    var entries = try texts(RuleDeployment(files: files, set: nil)) + samples(directory, registry)
    // What people answer is known once there are alerts; that they answer changes no alert's id.
    let told = FeedbackStore.replay(entries, plan, directory).output.transitions
    entries += FeedbackStore.answers(to: told, directory)
    entries.sort { ($0.slot.eventTime, $0.rank) < ($1.slot.eventTime, $1.rank) }
    for index in entries.indices { entries[index].slot.payload = UInt64(index) + 1 }
    let store = try VigilStore.open(path: folder.file("store"))
    defer { store.close() }
    try write(entries, directory.takePending(), to: store)
    try EffectsWriter(store: store, shard: 0).write(FeedbackStore.replay(entries, plan, directory))
  }

  // MARK: The journal

  private struct Entry {
    var slot: Slot
    /// nil: a sample.
    var text: (kind: JournalTextKind, bytes: [UInt8])?
    /// Order at one time.
    var rank: Int

    var record: JournalRecord { text.map { .text(slot, $0.kind, $0.bytes) } ?? .slot(slot) }
  }

  private func texts(_ deployment: RuleDeployment) throws -> [Entry] {
    let roster = try Roster(patients: Self.ward.map { RosterPatient(id: $0.patient, unit: $0.unit) })
    let options = JournaledOptions(clock: "stream", identity: "device", lateness: 30_000)
    let texts: [(JournalTextKind, [UInt8])] = [
      (.options, Array(try JSONEncoder().encode(options))), (.rules, deployment.journaled),
      (.roster, Array(roster.canonicalJSON.utf8)),
    ]
    return texts.enumerated().map { index, text in
      var slot = Slot()
      slot.kind = .payload
      (slot.eventTime, slot.ingestTime) = (Self.start, Self.start)
      return Entry(slot: slot, text: (kind: text.0, bytes: text.1), rank: index - texts.count)
    }
  }

  private func samples(_ directory: Directory, _ registry: VitalRegistry) throws -> [Entry] {
    let code = try #require(registry.code("spo2"))
    var entries: [Entry] = []
    for (patient, _, falls) in Self.ward {
      var slot = Slot()
      slot.kind = .sample
      slot.flags = [.endOfMessage]
      slot.code = code
      slot.device = directory.device(tenant: "demo", device: "d-" + patient)
      slot.patient = directory.patient(tenant: "demo", patient: patient)
      slot.series = directory.series(patient: slot.patient, code: code, device: slot.device, source: 0)
      for offset in stride(from: 0, to: Int64(falls.count) * Self.every, by: Int(Self.step)) {
        let (index, into) = (Int(offset / Self.every), offset % Self.every)
        slot.eventTime = Self.start + offset
        slot.ingestTime = slot.eventTime
        let value = (600_000..<600_000 + Self.fall) ~= into ? falls[index].value : 97
        slot.value = DecimalValue(mantissa: value)
        entries.append(Entry(slot: slot, rank: Int(slot.patient)))
      }
    }
    return entries
  }

  private func write(_ entries: [Entry], _ names: [DirectoryEntry], to store: VigilStore) throws {
    var encoder = JournalBatchEncoder()
    for name in names { encoder.append(name) }
    for entry in entries {
      if let text = entry.text {
        try encoder.append(entry.slot, kind: text.kind, text: text.bytes)
      } else {
        encoder.append(entry.slot)
      }
    }
    let batch = store.makeBatch()
    try store.journal.append(encoder.finish(partitions: 1), to: batch)
    try store.write(batch, sync: false)
  }

  private static func replay(_ entries: [Entry], _ plan: RulePlan, _ directory: Directory) -> Effects {
    var effects = Effects()
    let replay = JournalReplay(
      plan: plan, directory: directory,
      options: JournalReplay.Options(engine: EngineOptions(clock: .stream, recordsEvidence: false)),
      onTransition: { effects.output.transitions.append($0) }, onLedger: { effects.output.ledger.append($0) })
    let ordered = entries.sorted { ($0.slot.eventTime, $0.rank) < ($1.slot.eventTime, $1.rank) }
    for (index, entry) in ordered.enumerated() {
      var entry = entry
      entry.slot.payload = UInt64(index) + 1
      replay.take(entry.record)
    }
    _ = replay.finish(seconds: 1)
    return effects
  }

  /// 25 s to take it on, 55 s to say what it was worth: at samples, as nothing moves a patient's own clock between them
  /// (SEMANTICS B1).
  private static func answers(to told: [Transition], _ directory: Directory) -> [Entry] {
    var entries: [Entry] = []
    for transition in told where transition.document.phase == .start {
      let id = transition.document.alertID
      let place = Int((transition.document.detectedTime - start) / every)
      guard let falls = ward.first(where: { $0.patient == transition.document.patient })?.falls, place < falls.count,
        falls[place].isAccepted
      else { continue }
      func answer(_ action: AlertAction, after seconds: Int64) {
        var slot = Slot()
        slot.kind = .payload
        slot.patient = transition.patient
        slot.eventTime = transition.document.detectedTime + seconds * 1000
        slot.ingestTime = slot.eventTime
        entries.append(Entry(slot: slot, text: (kind: .action, bytes: StoredAction(action).bytes), rank: 1000))
      }
      answer(.accept(alertID: id, by: "u-1"), after: 25)
      guard let judgement = falls[place].judgement else { continue }
      let time = transition.document.detectedTime + 55_000
      answer(.acknowledge(alertID: id, Acknowledgement(by: "u-1", kind: judgement, time: time)), after: 55)
    }
    return entries
  }
}
