import AlertJournal
import Foundation
import Pipeline
import TestSupport
import Testing
import VitalModel

@testable import Service

/// A store of two patients with known alerts and what people said of them: a journal, and what its replay gave, through
/// the writers the service uses.
///
/// Patient p-017 falls to 89 % twenty times (nobody acts on it) and to 84 % four times (one is acted on); p-018 falls to
/// 84 % three times, each acted on. Limit 90 %, one rule.
struct FeedbackStore {
  /// 2026-11-16T00:00:00Z, a Monday.
  static let start: Int64 = 1_794_787_200_000
  /// From one fall to the next, and the length of a fall, milliseconds.
  static let every: Int64 = 2_700_000
  static let fall: Int64 = 300_000
  private static let step: Int64 = 10_000

  let folder: TemporaryDirectory
  var path: String { folder.file("store") }

  /// Values of the falls, in order, and the class each alert was given.
  static let noisy: [(value: Int, judgement: AcknowledgementClass?)] =
    (0..<20).map { (89, $0 < 2 ? nil : .isFalse) } + (0..<4).map { (84, $0 == 0 ? .actionable : .notRelevant) }
  static let ill: [(value: Int, judgement: AcknowledgementClass?)] = (0..<3).map { _ in (84, .actionable) }

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
    let store = try VigilStore.open(path: folder.file("store"))
    defer { store.close() }
    let directory = Directory(registry: try files.registry())
    try writeJournal(store, directory, RuleDeployment(files: files, set: nil), try files.registry())
    try EffectsWriter(store: store, shard: 0).write(try effects(store, directory, files.plan(set: nil)))
  }

  // MARK: The journal

  private func writeJournal(
    _ store: VigilStore, _ directory: Directory, _ deployment: RuleDeployment, _ registry: VitalRegistry
  ) throws {
    let samples = try samples(directory, registry)
    var encoder = JournalBatchEncoder()
    for entry in directory.takePending() { encoder.append(entry) }
    let roster = try Roster(patients: [
      RosterPatient(id: "p-017", unit: "ward-7", bed: "1"), RosterPatient(id: "p-018", unit: "ward-7", bed: "2"),
    ])
    let options = JournaledOptions(clock: "stream", identity: "device", lateness: 30_000)
    let texts: [(JournalTextKind, [UInt8])] = [
      (.options, Array(try JSONEncoder().encode(options))), (.rules, deployment.journaled),
      (.roster, Array(roster.canonicalJSON.utf8)),
    ]
    var position: UInt64 = 0
    func next(_ slot: Slot) -> Slot {
      position += 1
      var slot = slot
      slot.payload = position
      return slot
    }
    for (kind, bytes) in texts {
      var slot = Slot()
      slot.kind = .payload
      (slot.patient, slot.ingestTime) = (.max, Self.start)
      try encoder.append(next(slot), kind: kind, text: bytes)
    }
    for sample in samples { encoder.append(next(sample)) }
    let batch = store.makeBatch()
    try store.journal.append(encoder.finish(partitions: 1), to: batch)
    try store.write(batch, sync: false)
  }

  private func samples(_ directory: Directory, _ registry: VitalRegistry) throws -> [Slot] {
    let code = try #require(registry.code("spo2"))
    var slots: [Slot] = []
    for (patient, device, falls) in [("p-017", "d-1", Self.noisy), ("p-018", "d-2", Self.ill)] {
      var slot = Slot()
      slot.kind = .sample
      slot.flags = [.endOfMessage]
      slot.code = code
      slot.device = directory.device(tenant: "demo", device: device)
      slot.patient = directory.patient(tenant: "demo", patient: patient)
      slot.series = directory.series(patient: slot.patient, code: code, device: slot.device, source: 0)
      for offset in stride(from: 0, to: Int64(falls.count) * Self.every, by: Int(Self.step)) {
        let (index, into) = (Int(offset / Self.every), offset % Self.every)
        slot.eventTime = Self.start + offset
        slot.ingestTime = slot.eventTime
        slot.value = DecimalValue(mantissa: (600_000..<600_000 + Self.fall) ~= into ? Int64(falls[index].value) : 97)
        slots.append(slot)
      }
    }
    return slots.sorted { ($0.eventTime, $0.patient) < ($1.eventTime, $1.patient) }
  }

  // MARK: What people did

  /// What a replay of the journal gives, with an answer after half a minute and a class after a whole one.
  private func effects(_ store: VigilStore, _ directory: Directory, _ plan: RulePlan) throws -> Effects {
    var effects = Effects()
    var told: [UInt32: Int] = [:]
    let replay = JournalReplay(
      plan: plan, directory: directory,
      options: JournalReplay.Options(engine: EngineOptions(clock: .stream, recordsEvidence: false)),
      onTransition: { transition in
        var transition = transition
        guard transition.document.phase == .start else {
          transition.document.sequence += 2
          effects.output.transitions.append(transition)
          return
        }
        let falls = directory.patientKey(transition.patient)?.patient == "p-017" ? Self.noisy : Self.ill
        let index = told[transition.patient, default: 0]
        told[transition.patient] = index + 1
        effects.output.transitions.append(transition)
        effects.output.transitions += Self.answers(to: transition, falls[index].judgement)
      }, onLedger: { effects.output.ledger.append($0) })
    try store.journal.read(from: 1) { replay.take($0) }
    _ = replay.finish(seconds: 1)
    return effects
  }

  private static func answers(to start: Transition, _ judgement: AcknowledgementClass?) -> [Transition] {
    var accepted = start
    accepted.document.sequence = 2
    accepted.document.phase = .update
    accepted.document.detectedTime += 30_000
    accepted.document.responsibility = .accepted
    accepted.document.responder = "u-1"
    var acknowledged = accepted
    acknowledged.document.sequence = 3
    acknowledged.document.detectedTime += 30_000
    if let judgement {
      acknowledged.document.acknowledgement = Acknowledgement(
        by: "u-1", kind: judgement, time: acknowledged.document.detectedTime)
    }
    return [accepted, acknowledged]
  }
}
