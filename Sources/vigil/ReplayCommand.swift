import Configuration
import Evaluation
import Foundation
import Pipeline
import Recordings
import Service
import VitalModel
import YAMLText

/// `vigil replay`: a recording through the live engine.
enum ReplayCommand {
  static let command = Command(
    name: "replay", summary: "run a recording through the same engine the live service uses",
    example: "vigil replay vitals.csv.zst --set adult-ward --alerts alerts.jsonl --json",
    flags: [
      Flag("--rules", "DIR|FILE", "rule directory, or one rule file (default Rules)"),
      Flag("--set", "NAME", "rule set (default adult-ward; every rule with one rule file)"),
      Flag("--from", "T", "first event time, RFC 3339"), Flag("--to", "T", "end of event times, not included"),
      Flag("--received-by", "T", "of a store: only what it had received by then, as a restore to that time has it"),
      Flag("--patients", "ID,...", repeats: true, "only these patients"),
      Flag("--speed", "max|N", "as fast as possible, or N times real time, patients merged by time"),
      Flag("--threads", "N", "evaluate on N threads (default: every processor); the result is the same"),
      Flag("--mqtt", "URL", "publish to a broker instead of evaluating here"),
      Flag("--events", "FILE", "events.csv with the devices' own alarms"),
      Flag("--roster", "FILE", "roster.yaml or a patients.csv: ages and flags"),
      StoreAccess.masterKeyFlag,
      Flag("-c", "FILE", "take the alerting settings of this configuration (default: the built-in ones)"),
      Flag("--alerting", "FILE", "take the alerting settings of this file: the keys of the section `alerting`"),
      Flag("--alerts", "FILE", "write alert documents here instead of standard output"),
      Flag("--suppressed", "FILE", "write what was not told, with the reason"),
      Flag("--without", "STAGE,...", repeats: true, "switch suppression stages off"),
      Flag("--stage-report", "say how many each suppression stage held, by rule"),
      Flag("--ablate", "what each suppression stage is worth: the replay once more without each that held something"),
      Flag("--compare", "RULES", "which alerts another rule directory, rule file or set gains, loses or moves"),
      Flag("--compare-set", "NAME", "set of the other rule directory (default that of --set)"),
      Flag("--resume", "FILE", "keep progress here; after an interruption the same command goes on from it"),
      Flag("--resume-rows", "N", "note progress every N rows (default 100000, and 20 s apart)"),
      Flag("--epoch", "T", "what relative time_s counts from (default 2020-01-01T00:00:00Z)"),
      Flag("--device", "ID", "device of a wide CSV (default its patient_id)"),
      Flag("--map", "COLUMN=KEY[:UNIT]", repeats: true, "meaning of a column with a name of its own"),
      Flag("--columns", "NAME", "column map of Rules/maps (default: the one named like the file's folder)"),
      Flag("--tenant", "NAME", "tenant of the alerts (default demo)"),
      Flag("--json", "the summary as one JSON object in the last line"),
    ], positional: "INPUT...", run: run)

  @Sendable
  static func run(_ arguments: Arguments) throws(CommandFailure) -> Int32 {
    try arguments.expectPositional(1...1000, "replay INPUT... [OPTIONS]")
    for (flag, owner) in [("--compare-set", "--compare"), ("--resume-rows", "--resume")]
    where arguments.has(flag) && !arguments.has(owner) {
      throw CommandFailure(ExitCode.usage, "replay: `\(flag)` says nothing without `\(owner)`")
    }
    if arguments.positional.count == 1, StoreReplay.isStore(arguments.positional[0]) {
      return try StoreReplay.run(arguments)
    }
    if arguments.has("--received-by") {
      throw CommandFailure(
        ExitCode.usage, "replay: `--received-by` is for a store, whose journal knows when it received")
    }
    try OutputCheck.run(
      "replay", arguments, writing: ["--alerts", "--suppressed", "--resume"],
      reading: OutputCheck.read + ["--rules", "--compare"], inputs: arguments.positional)
    if let other = arguments.value("--compare") { return try compare(other, arguments) }
    if arguments.has("--ablate") { return try ablate(arguments) }
    let inputs = try RecordingInputs(arguments)
    if let broker = arguments.value("--mqtt") { return try Playback.publish(inputs, to: broker, arguments) }
    var options = try options(arguments, inputs.registry, rules: inputs.plan.rules)
    options.wanted = arguments.has("--suppressed") ? [.told, .held, .lines] : [.told, .lines]
    let resume = try ReplayResume(
      arguments, inputs, threads: options.joinsPatients ? 1 : options.threads)
    let outputs = try ReplayOutputs(arguments, goingOnFrom: resume?.found, resume)
    let session = ReplaySession(plan: inputs.plan, options: options) { outputs.write($0) }
    if let found = resume?.found {
      guard session.resume(from: found) else {
        throw CommandFailure(
          ExitCode.failed, "replay: the system has no thread to give; try again, or with --threads 1")
      }
      printError("vigil: going on after \(found.entries) rows")
    }
    let clock = ContinuousClock()
    let start = clock.now
    try feed(session, inputs, arguments) { _, _ in resume?.note(session, outputs) }
    if session.hasFailedToResume || session.isCatchingUp {
      throw CommandFailure(
        ExitCode.failed, "replay: cannot go on from \(arguments.value("--resume") ?? ""): remove it to begin anew")
    }
    var summary = session.finish(seconds: (clock.now - start) / .seconds(1))
    summary.showsStages = arguments.has("--stage-report")
    try outputs.close()
    resume?.remove()
    printSummary(summary, arguments, ruleSet: inputs.setName)
    return ExitCode.ok
  }

  static func options(
    _ arguments: Arguments, _ registry: VitalRegistry, rules: [RuleDefinition]? = nil
  ) throws(CommandFailure) -> ReplaySession.Options {
    var options = ReplaySession.Options()
    options.from = try arguments.time("--from")
    options.to = try arguments.time("--to")
    options.patients = Set(arguments.list("--patients"))
    options.tenant = arguments.value("--tenant") ?? "demo"
    options.threads = try threads(arguments)
    options.engine.without = try stages(arguments)
    options.engine.alerting = try alerting(arguments) ?? options.engine.alerting
    if let path = arguments.value("--roster") {
      guard let text = try? String(contentsOfFile: path, encoding: .utf8) else {
        throw CommandFailure(ExitCode.usage, "\(path): cannot be read")
      }
      do throws(TextProblems) {
        options.roster = try RosterFile.parseAny(
          text, file: path, registry: registry, rules: rules, isOfOneSet: false)
      } catch {
        throw CommandFailure(ExitCode.badConfiguration, error.description)
      }
    }
    return options
  }

  /// How many threads evaluate: where the replay keeps time, more than one would only hold alerts back.
  static func threads(_ arguments: Arguments) throws(CommandFailure) -> Int {
    let asked = try arguments.int("--threads", in: 1...RowFanThreads.limit)
    return (try speed(arguments)) > 0 ? 1 : asked ?? RowFanThreads.usual
  }

  /// Times real time; 0: as fast as possible.
  static func speed(_ arguments: Arguments) throws(CommandFailure) -> Double {
    try arguments.value("--speed", as: "`max` or a number of times real time") { text -> Double? in
      text == "max" ? 0 : Double(text).flatMap { $0 > 0 && $0 <= 1_000_000 ? $0 : nil }
    } ?? 0
  }

  /// Alerting settings given on the command line; nil: none.
  static func alerting(_ arguments: Arguments) throws(CommandFailure) -> AlertingSettings? {
    guard let path = arguments.value("--alerting") ?? arguments.value("-c") else { return nil }
    if arguments.has("--alerting"), arguments.has("-c") {
      throw CommandFailure(ExitCode.usage, "replay: give either `-c` or `--alerting`")
    }
    guard let text = try? String(contentsOfFile: path, encoding: .utf8) else {
      throw CommandFailure(ExitCode.usage, "\(path): cannot be read")
    }
    do throws(TextProblems) {
      return try AlertingFile.parse(text, file: path, isConfiguration: arguments.has("-c"))
    } catch {
      throw CommandFailure(ExitCode.badConfiguration, error.description)
    }
  }

  static func stages(_ arguments: Arguments) throws(CommandFailure) -> Set<SuppressionStage> {
    var stages: Set<SuppressionStage> = []
    for name in arguments.list("--without") {
      guard let stage = SuppressionStage(rawValue: name) else {
        let known = SuppressionStage.allCases.map(\.rawValue)
        let hint = Suggestion.nearest(name, among: known).map { ", did you mean `\($0)`?" } ?? ""
        throw CommandFailure(ExitCode.usage, "unknown stage `\(name)`\(hint) (\(known.joined(separator: " ")))")
      }
      stages.insert(stage)
    }
    return stages
  }

  /// Grouped, ordered recordings stream through; others are put in order first (SEMANTICS B8).
  ///
  /// - Parameter note: sees every row before the session does.
  static func feed(
    _ session: some RowTaker, _ inputs: RecordingInputs, _ arguments: Arguments,
    note: (RecordedRow, RecordingNames) -> Void = { _, _ in }
  ) throws(CommandFailure) {
    let speed = try speed(arguments)
    let events = try inputs.events()
    let isInOrder = try inputs.isInOrder()
    let mustSort = speed > 0 || !events.isEmpty || !isInOrder
    let progress = ProgressBar(total: inputs.totalBytes, label: "replaying")
    defer { progress.finish() }
    guard mustSort else {
      let reader = inputs.reader { session.note($0) }
      try inputs.forEach(reader) { row in
        note(row, reader.names)
        session.take(row, names: reader.names)
        return true
      }
      inputs.warn(reader, patients: arguments.list("--patients"))
      return
    }
    let reader = inputs.reader { session.note($0) }
    let sorter = RecordingSorter(names: reader.names)
    try inputs.forEach(reader) { row in
      sorter.add(row)
    }
    inputs.warn(reader, patients: arguments.list("--patients"))
    var pacer = Pacer(speed: speed)
    var next = 0
    try inputs.forEach(sorter) { row in
      while next < events.count, events[next].time <= row.time {
        session.take(events[next], names: reader.names)
        next += 1
      }
      pacer.wait(for: row.time)
      note(row, reader.names)
      session.take(row, names: reader.names)
      return true
    }
    while next < events.count {
      session.take(events[next], names: reader.names)
      next += 1
    }
  }

  static func printSummary(_ summary: ReplaySession.Summary, _ arguments: Arguments, ruleSet: String) {
    if arguments.has("--json") {
      printLine(summary.json)
      return
    }
    let rate = summary.seconds > 0 ? Int(Double(summary.samples) / summary.seconds) : 0
    printError(
      "\(summary.patients) patients, \(summary.samples) samples (\(summary.stored) stored, \(summary.quarantined) "
        + "quarantined, \(summary.duplicates) duplicates) in \(String(format: "%.2f", summary.seconds)) s (\(rate)/s)")
    printError(
      "\(summary.alerts) alerts (\(summary.notifications) notifications), \(summary.suppressed) suppressed with rule set \(ruleSet)"
    )
    for (rule, count) in summary.alertsByRule.sorted(by: { ($1.value, $0.key) < ($0.value, $1.key) }) {
      printError("  \(rule): \(count)")
    }
    if summary.showsStages { printStages(summary) }
  }

  /// One line a stage, the rules it held most first.
  private static func printStages(_ summary: ReplaySession.Summary) {
    printError("held by stage (vigil replay --without STAGE shows what a stage is worth):")
    for stage in SuppressionStage.allCases {
      let held = summary.suppressedByStage[stage] ?? [:]
      let total = held.values.reduce(0, +)
      let rules = held.sorted { ($1.value, $0.key) < ($0.value, $1.key) }.prefix(4).map { "\($0.key) \($0.value)" }
      let name = stage.rawValue.padding(toLength: 14, withPad: " ", startingAt: 0)
      printError(
        "  \(name)\(total)"
          + (rules.isEmpty ? "" : "  (" + rules.joined(separator: ", ") + (held.count > 4 ? ", ..." : "") + ")"))
    }
  }
}
