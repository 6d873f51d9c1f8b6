import AlertJournal
import Digests
import Pipeline
import Service
import VitalModel

/// A store as `vigil replay STORE` plays it: with its own rules, rosters and answers unless others are given.
final class StoredSource: EvaluationSource {
  let paths: [String]
  let plan: RulePlan
  let session: ReplaySession.Options
  private let access: StoreAccess
  private let arguments: Arguments
  private let options: JournalReplay.Options
  private var seen = ""

  var registry: VitalRegistry { access.registry }

  init(_ arguments: Arguments) throws(CommandFailure) {
    for flag in ["--events", "--device", "--map", "--columns"] where arguments.has(flag) {
      throw CommandFailure(
        ExitCode.usage, "evaluate: `\(flag)` is for recordings; `vigil export` makes one of a store")
    }
    access = try StoreAccess(path: arguments.positional[0], arguments)
    self.arguments = arguments
    paths = [access.path]
    let given = try StoreReplay.givenRules(arguments, access)
    if let given { plan = given.plan } else { plan = try StoreReplay.journaledPlan(access) }
    var options = try StoreReplay.options(arguments, access, plan: given?.plan)
    options.alerting = try ReplayCommand.alerting(arguments)
    options.patients = try StoredSource.ofOneTenant(options.patients, arguments.value("--tenant"), access)
    self.options = options
    var session = ReplaySession.Options()
    session.from = options.from
    session.to = options.to
    if let given = options.roster { session.roster = given } else { session.roster = try StoredSource.roster(access) }
    self.session = session
    if try !StoreReplay.isWhole(access) {
      printError(
        "vigil: the journal's beginning has been trimmed: stored samples are judged, without device alarms and answers")
    }
  }

  /// Labels name patients without a tenant: of two patients of one name, only one can be meant.
  private static func ofOneTenant(
    _ patients: Set<UInt32>?, _ tenant: String?, _ access: StoreAccess
  ) throws(CommandFailure) -> Set<UInt32>? {
    let all = patients ?? Set(0..<UInt32(access.directory.counts.patients))
    let kept = all.filter { tenant == nil || access.directory.patientKey($0)?.tenant == tenant }
    if let tenant, kept.isEmpty {
      throw CommandFailure(ExitCode.usage, "\(access.path): no patient of tenant `\(tenant)`")
    }
    guard Set(kept.compactMap { access.directory.patientKey($0)?.patient }).count == kept.count else {
      throw CommandFailure(
        ExitCode.usage, "\(access.path): tenants have patients of the same name: choose one with --tenant")
    }
    return kept.count == access.directory.counts.patients ? nil : kept
  }

  /// The newest roster: it says who belongs to which group.
  private static func roster(_ access: StoreAccess) throws(CommandFailure) -> Roster? {
    try access.reading { try access.store.registry.latestText(.roster) }
      .flatMap { try? Roster(canonicalJSON: String(decoding: $0.bytes, as: UTF8.self)) }
  }

  private func name(_ patient: UInt32) -> String { access.directory.patientKey(patient)?.patient ?? "" }

  private func isWanted(_ sample: Slot) -> Bool {
    sample.patient != .max && (options.patients?.contains(sample.patient) ?? true)
      && (options.from.map { $0 <= sample.eventTime } ?? true) && (options.to.map { sample.eventTime < $0 } ?? true)
  }

  func replay(
    without stage: SuppressionStage?, into recorder: EvaluationRecorder
  ) throws(CommandFailure) -> ReplaySession.Summary {
    var options = options
    if let stage { options.engine.without.insert(stage) }
    let replay = JournalReplay(
      plan: plan, directory: access.directory, options: options, onTransition: { recorder.take($0) },
      onLedger: { _ in })
    var digest = SampleDigest(access)
    try StoreReplay.feed(replay, access, arguments, options) { sample in
      guard isWanted(sample) else { return }
      recorder.note(sample, name: name)
      digest.add(sample)
    }
    seen = digest.finish()
    if let refused = replay.refusedRules { printError("vigil: rules kept as they were: \(refused)") }
    return replay.finish(seconds: 0)
  }

  func draw(_ recorder: TraceRecorder) throws(CommandFailure) {
    // Nothing is to be judged: only the samples are asked for.
    var options = options
    options.plan = RulePlan(registry: registry, rules: [], scores: [], version: "")
    let replay = JournalReplay(
      plan: plan, directory: access.directory, options: options, onTransition: { _ in }, onLedger: { _ in })
    try StoreReplay.feed(replay, access, arguments, options) { sample in
      if isWanted(sample) { recorder.note(sample, name: name) }
    }
  }

  func digest(labels: String) throws(CommandFailure) -> String {
    try EvaluateCommand.digest([labels], after: Array(seen.utf8))
  }
}

/// Over samples in the order they are replayed: whose, what, when and how much. Where a store keeps them does not matter.
private struct SampleDigest: ~Copyable {
  private var digest = Sha256()
  private var bytes: [UInt8] = []
  private var patients: [UInt32: [UInt8]] = [:]
  private let access: StoreAccess

  init(_ access: StoreAccess) { self.access = access }

  mutating func add(_ sample: Slot) {
    if patients[sample.patient] == nil {
      patients[sample.patient] = Array((access.directory.patientKey(sample.patient)?.patient ?? "").utf8) + [0]
    }
    bytes += patients[sample.patient] ?? []
    bytes += access.registry[sample.code].key.utf8
    withUnsafeBytes(of: (sample.eventTime.littleEndian, sample.value.mantissa.littleEndian)) { bytes += $0 }
    bytes += [UInt8(truncatingIfNeeded: sample.value.exponent), sample.unit, sample.statusRaw]
    guard bytes.count >= 1 << 16 else { return }
    digest.update(bytes)
    bytes.removeAll(keepingCapacity: true)
  }

  consuming func finish() -> String {
    digest.update(bytes)
    return hex(digest.finalize())
  }
}
