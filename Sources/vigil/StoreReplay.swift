import AlertJournal
import ChunkCoding
import Configuration
import Foundation
import Pipeline
import SeriesStore
import Service
import VitalModel

/// `vigil replay STORE`: the journal of a store through the engine again, or its chunks where the journal's beginning is
/// gone.
enum StoreReplay {
  /// Recordings are files; a store is a directory.
  static func isStore(_ path: String) -> Bool {
    var isDirectory: ObjCBool = false
    return FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory) && isDirectory.boolValue
  }

  static func run(_ arguments: Arguments) throws(CommandFailure) -> Int32 {
    let recordedOnly = [
      "--mqtt", "--events", "--epoch", "--device", "--map", "--columns", "--ablate", "--compare", "--resume",
    ]
    for flag in recordedOnly where arguments.has(flag) {
      throw CommandFailure(ExitCode.usage, "replay: `\(flag)` is for recordings; `vigil export` makes one of a store")
    }
    try OutputCheck.run(
      "replay", arguments, writing: ["--alerts", "--suppressed"], reading: OutputCheck.read + ["--rules"],
      inputs: arguments.positional)
    let access = try StoreAccess(path: arguments.positional[0], arguments)
    let given = try givenRules(arguments, access)
    let isWhole = try isWhole(access)
    if !isWhole, arguments.has("--received-by") {
      throw CommandFailure(
        ExitCode.failed, "\(access.path): the journal's beginning has been trimmed; `--received-by` needs all of it")
    }
    var options = try options(arguments, access, plan: given?.plan)
    options.alerting = try ReplayCommand.alerting(arguments)
    if options.roster != nil { printError("vigil: the roster given replaces the journaled rosters") }
    if options.alerting != nil {
      printError("vigil: the alerting settings given replace the journaled ones; acknowledgements may no longer fit")
    }
    let plan: RulePlan
    if let given { plan = given.plan } else { plan = try journaledPlan(access) }
    let outputs = try ReplayOutputs(arguments)
    let replay = JournalReplay(
      plan: plan, directory: access.directory, options: options, onTransition: { outputs.write($0.document) },
      onLedger: { outputs.writeHeld($0.document) })
    let start = ContinuousClock.now
    if !isWhole {
      printError(
        "vigil: the journal's beginning has been trimmed: replaying stored samples in order of event time, "
          + "each patient on its own clock; device alarms and control entries are not among them")
    }
    try feed(replay, access, arguments, options)
    if let refused = replay.refusedRules { printError("vigil: rules kept as they were: \(refused)") }
    if replay.ignoredActions > 0 {
      printError("vigil: ignored under the rules given: \(replay.ignoredActions) answers and silences of the journal")
    }
    let elapsed = ContinuousClock.now - start
    let seconds = Double(elapsed.components.seconds) + Double(elapsed.components.attoseconds) * 1e-18
    var summary = replay.finish(seconds: seconds)
    summary.showsStages = arguments.has("--stage-report")
    try outputs.close()
    ReplayCommand.printSummary(summary, arguments, ruleSet: given?.name ?? access.journaledRules?.set ?? "all")
    return ExitCode.ok
  }

  /// Whether the journal reaches back to the store's beginning.
  static func isWhole(_ access: StoreAccess) throws(CommandFailure) -> Bool {
    try access.reading { try access.store.journal.firstPosition().map { $0 <= 1 } ?? true }
  }

  /// - Parameter plan: stays in force in place of the journaled rules.
  static func options(
    _ arguments: Arguments, _ access: StoreAccess, plan: RulePlan?
  ) throws(CommandFailure) -> JournalReplay.Options {
    let engine = try engineOptions(arguments, access, isWhole: try isWhole(access))
    var options = JournalReplay.Options(engine: engine)
    options.from = try arguments.time("--from")
    options.to = try arguments.time("--to")
    options.patients = try access.patients(arguments.list("--patients"))
    options.plan = plan
    options.roster = try ReplayCommand.options(arguments, access.registry, rules: plan?.rules).roster
    return options
  }

  /// The whole journal, or the chunks where its beginning is gone.
  ///
  /// - Parameter note: sees every sample before the replay does.
  static func feed(
    _ replay: JournalReplay, _ access: StoreAccess, _ arguments: Arguments, _ options: JournalReplay.Options,
    note: (Slot) -> Void = { _ in }
  ) throws(CommandFailure) {
    if try isWhole(access) {
      try feedJournal(replay, access, arguments, note)
    } else {
      try feedChunks(replay, access, options, note)
    }
  }

  private static func engineOptions(
    _ arguments: Arguments, _ access: StoreAccess, isWhole: Bool
  ) throws(CommandFailure) -> EngineOptions {
    let text = try access.reading { try access.store.registry.latestText(.options) }
    var engine =
      text.flatMap { JournalReplay.engineOptions(journaled: $0.bytes) } ?? EngineOptions(recordsEvidence: false)
    if !isWhole { engine.clock = .stream }
    engine.without = try ReplayCommand.stages(arguments)
    return engine
  }

  /// Rules given on the command line, in force instead of the journaled ones; nil: none given.
  static func givenRules(
    _ arguments: Arguments, _ access: StoreAccess
  ) throws(CommandFailure) -> (plan: RulePlan, name: String)? {
    guard arguments.has("--rules") || arguments.has("--set") else { return nil }
    let path = arguments.value("--rules") ?? "Rules"
    let isFile = path.hasSuffix(".yaml") || path.hasSuffix(".yml")
    let set = arguments.value("--set") ?? (isFile ? nil : "adult-ward")
    let plan: RulePlan
    do throws(RuleFiles.Failure) {
      plan = try RuleFiles.read(path).plan(set: set)
    } catch {
      throw CommandFailure(ExitCode.badConfiguration, error.description)
    }
    let old = access.registry.vitals.map(\.key)
    guard Array(plan.registry.vitals.map(\.key).prefix(old.count)) == old else {
      throw CommandFailure(
        ExitCode.badConfiguration, "\(path): vitals.yaml lists vitals in another order than the store does")
    }
    printError("vigil: the rules given replace the journaled rule changes; acknowledgements are ignored")
    return (plan, set ?? "all")
  }

  /// The rules journaled last: in force until the replayed journal brings others.
  static func journaledPlan(_ access: StoreAccess) throws(CommandFailure) -> RulePlan {
    guard let deployment = access.journaledRules else {
      throw CommandFailure(ExitCode.failed, "\(access.path): the store holds no rules yet; give some with --rules")
    }
    do throws(RuleFiles.Failure) {
      return try deployment.plan()
    } catch {
      throw CommandFailure(ExitCode.badConfiguration, "rules journaled in the store: \(error.description)")
    }
  }

  // MARK: Feeding

  private static func feedJournal(
    _ replay: JournalReplay, _ access: StoreAccess, _ arguments: Arguments, _ note: (Slot) -> Void
  ) throws(CommandFailure) {
    let speed = try arguments.value("--speed", as: "`max` or a number of times real time") { text -> Double? in
      text == "max" ? 0 : Double(text).flatMap { $0 > 0 && $0 <= 1_000_000 ? $0 : nil }
    }
    var pacer = Pacer(speed: speed ?? 0)
    let progress = ProgressBar(total: 0, label: "journal entries")
    defer { progress.finish() }
    var count = 0
    var end: UInt64?
    if let time = try arguments.time("--received-by") {
      end = try access.reading { try access.store.journal.lastPosition(receivedBy: time) }
    }
    if end == 0 { return }
    try access.reading {
      try access.store.journal.read(
        from: 1, upTo: end, onDamage: { printError("vigil: \($0.description); stepped over") }
      ) {
        count += 1
        if count % 65_536 == 0 { progress.advance(to: count) }
        if case .slot(let slot) = $0 {
          pacer.wait(for: slot.ingestTime)
          if slot.kind == .sample { note(slot) }
        }
        replay.take($0)
      }
    }
  }

  private static func feedChunks(
    _ replay: JournalReplay, _ access: StoreAccess, _ options: JournalReplay.Options, _ note: (Slot) -> Void
  ) throws(CommandFailure) {
    let series = try StoredSeries(access)
    let progress = ProgressBar(total: 0, label: "patients replayed")
    defer { progress.finish() }
    try access.reading {
      if let roster = try access.store.registry.latestText(.roster) { replay.adoptRoster(journaled: roster.bytes) }
      if let alerting = try access.store.registry.latestText(.alerting) {
        replay.adoptAlerting(journaled: alerting.bytes)
      }
      let groups = Dictionary(grouping: try series.groups(), by: \.patient)
      for (count, patient) in groups.keys.sorted().enumerated() {
        guard options.patients?.contains(patient) ?? true else { continue }
        let devices = groups[patient, default: []].sorted {
          access.directory.deviceName($0.device) < access.directory.deviceName($1.device)
        }
        var rows = try PatientRows(devices, series, from: options.from, to: options.to)
        while let (device, row) = try rows.next() { take(row, patient, device, replay, access.directory, note) }
        progress.advance(to: count + 1)
      }
    }
  }

  private static func take(
    _ row: SeriesRow, _ patient: UInt32, _ device: UInt32, _ replay: JournalReplay, _ directory: Directory,
    _ note: (Slot) -> Void
  ) {
    for (index, cell) in row.cells.enumerated() {
      var slot = Slot()
      slot.kind = .sample
      slot.statusRaw = cell.cell.statusRaw
      slot.flags = cell.cell.flags.subtracting(.endOfMessage)
      if index == row.cells.count - 1 { slot.flags.insert(.endOfMessage) }
      slot.code = cell.column.code
      slot.unit = cell.column.unit
      slot.value = cell.cell.value
      slot.device = device
      slot.patient = patient
      slot.source = cell.column.source
      slot.series = directory.series(
        patient: patient, code: cell.column.code, device: device, source: cell.column.source)
      slot.quality = cell.cell.quality
      slot.eventTime = row.time
      slot.ingestTime = cell.cell.ingestTime
      slot.deviceSequence = cell.cell.sequence
      note(slot)
      replay.takeSealed(slot)
    }
  }
}
