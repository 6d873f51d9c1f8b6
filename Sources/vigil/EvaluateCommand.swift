import Digests
import Foundation
import Recordings
import ReportPages
import Service
import Statistics
import VitalModel
import YAMLText

/// `vigil evaluate`: what rules would have found, missed and cost, against labels and against chance.
enum EvaluateCommand {
  static let command = Command(
    name: "evaluate", summary: "hold a recording's alerts against labels of what really happened, and against chance",
    example: "vigil evaluate vitals.csv.zst --labels labels.csv --label sepsis_onset --lead 12h --grace 3h",
    flags: [
      Flag("--labels", "FILE", "labels.csv: patient_id,onset_time_s[,end_time_s],label"),
      Flag("--label", "NAME,...", repeats: true, "kinds that are events (needed if there are several)"),
      Flag("--negative", "NAME,...", repeats: true, "kinds that mark moments at which an alert would be wrong"),
      Flag("--censor", "NAME,...", repeats: true, "kinds that mark stretches nobody can judge"),
      Flag("--lead", "12h", "how long before an onset an alert counts"),
      Flag("--grace", "0s", "how long after it an alert still counts"),
      Flag("--through-end", "let alerts count until the event's end plus the grace"),
      Flag("--neutral-inside", "alerts inside an event, but too late to count, are neither true nor false"),
      Flag("--useful-lead", "0s", "the lead that leaves time to act"),
      Flag("--min-event", "0s", "leave out events known to be shorter"),
      Flag("--merge-gap", "0s", "events with less between them are one"),
      Flag("--window", "1h", "length of the windows of the window table, at least 1m"),
      Flag("--windows", "event|match", "windows are positive where the event, or where an alert would count"),
      Flag("--rule", "ID", "only alerts of this rule"),
      Flag(
        "--curve", "NAME=from:to:step", repeats: true,
        "that rule by itself under these values too: curves on the page and in the JSON"),
      Flag("--by", "patient|hour", "one more table"),
      Flag("--seed", "1", "of resampling, rotation and the draw of controls"),
      Flag("--resamples", "2000", "of the bootstrap, 1000 to 100000"),
      Flag("--json", "FILE", "everything as one JSON object (`-`: standard output, instead of the tables)"),
      Flag("--report", "FILE.html", "everything with drawings as one self-contained page"),
      Flag("--report-ids", "name patients on the page as the recording does (default: they are numbered)"),
      Flag("--ablate", "replay once more without each suppression stage that held something"),
    ] + ReplayCommand.command.flags.filter { inputFlags.contains($0.name) },
    positional: "INPUT...", run: run)

  /// Options it shares with `replay`.
  static let inputFlags: Set = [
    "--rules", "--set", "--from", "--to", "--patients", "--events", "--roster", "-c", "--alerting", "--without",
    "--epoch", "--device", "--map", "--columns", "--tenant", "--threads", "--master-key",
  ]

  @Sendable
  static func run(_ arguments: Arguments) throws(CommandFailure) -> Int32 {
    try arguments.expectPositional(1...1000, "evaluate INPUT... --labels FILE [OPTIONS]")
    let by = try arguments.value("--by", as: "patient or hour") { ["patient", "hour"].contains($0) ? $0 : nil }
    let options = try options(arguments)
    let target = arguments.value("--report")
    if arguments.has("--report-ids"), target == nil {
      throw CommandFailure(ExitCode.usage, "evaluate: `--report-ids` is for the page of `--report FILE`")
    }
    let isStore = arguments.positional.count == 1 && StoreReplay.isStore(arguments.positional[0])
    try EvaluationCurve.check(arguments, isStore: isStore)
    try OutputCheck.run(
      "evaluate", arguments, writing: ["--json", "--report"], reading: OutputCheck.read + ["--rules"],
      inputs: arguments.positional)
    let source: any EvaluationSource
    if isStore { source = try StoredSource(arguments) } else { source = try RecordedSource(arguments) }
    let rule = try rule(arguments, source.plan)
    let labels = try labels(arguments, epoch: try arguments.time("--epoch") ?? RecordingOptions().epoch)
    let recorder = EvaluationRecorder(options: source.session, onlyRule: rule)
    let summary = try source.replay(without: nil, into: recorder)
    let digest = try source.digest(labels: arguments.value("--labels") ?? "")
    let (input, names) = recorder.input(labels: labels, dataDigest: digest, rulesVersion: source.plan.version)
    let report = EvaluationReport(input, options)
    var stages: [StageEffect]?
    if arguments.has("--ablate") {
      stages = try EvaluationAblation(source, labels: labels, onlyRule: rule)
        .effects(summary.suppressedByStage, options.convention)
    }
    var curve: SettingCurve?
    if arguments.has("--curve"), let source = source as? RecordedSource {
      curve = try EvaluationCurve.points(source, arguments, labels: labels, options)
    }
    if let target {
      let page = EvaluationPageMaker(source: source, arguments: arguments)
      try page.write(report, input, names, points: curve?.points ?? [], stages: stages ?? [], to: target)
    }
    try write(report, names, by: by, stages: stages, curve, arguments)
    return ExitCode.ok
  }

  private static func write(
    _ report: EvaluationReport, _ names: [String], by: String?, stages: [StageEffect]?, _ curve: SettingCurve?,
    _ arguments: Arguments
  ) throws(CommandFailure) {
    let target = arguments.value("--json")
    if let target {
      var out = JSONText()
      report.write(to: &out, name: { names[$0] }, curve: curve) { out in
        if let stages { EvaluationAblation.write(stages, to: &out) }
      }
      if target == "-" {
        printLine(out.text)
        return
      }
      try OutputFile.write(out.bytes + [10], to: target)
    }
    printLine(EvaluationText(report, by: by, stages: stages, curve: curve, name: { names[$0] }).text)
  }

  // MARK: Options

  static func options(_ arguments: Arguments) throws(CommandFailure) -> EvaluationOptions {
    var options = EvaluationOptions()
    var convention = EvaluationConvention()
    convention.lead = try arguments.duration("--lead") ?? convention.lead
    convention.grace = try arguments.duration("--grace") ?? convention.grace
    convention.closing = arguments.has("--through-end") ? .end : .onset
    convention.isNeutralInside = arguments.has("--neutral-inside")
    convention.usefulLead = try arguments.duration("--useful-lead") ?? convention.usefulLead
    let window = try arguments.value("--window", as: "a duration from 1m on") { text in
      DurationText.parse(text).flatMap { $0 >= EvaluationConvention.windowMin ? $0 : nil }
    }
    convention.window = window ?? convention.window
    let truth = try arguments.value("--windows", as: "event or match") {
      EvaluationConvention.WindowTruth(rawValue: $0)
    }
    convention.windowTruth = truth ?? convention.windowTruth
    options.convention = convention
    options.seed = try arguments.value("--seed", as: "a whole number from 0 on") { UInt64($0) } ?? options.seed
    options.resamples =
      try arguments.int("--resamples", in: EvaluationOptions.resamplesMin...100_000) ?? options.resamples
    return options
  }

  private static func rule(_ arguments: Arguments, _ plan: RulePlan) throws(CommandFailure) -> String? {
    guard let id = arguments.value("--rule") else { return nil }
    let known = plan.rules.map(\.id)
    guard known.contains(id) else {
      let hint = Suggestion.nearest(id, among: known).map { ", did you mean `\($0)`?" } ?? ""
      throw CommandFailure(ExitCode.usage, "no rule `\(id)` among those in use\(hint)")
    }
    return id
  }

  static func labels(
    _ arguments: Arguments, epoch: Int64, for command: String = "evaluate"
  ) throws(CommandFailure) -> LabelSet {
    guard let path = arguments.value("--labels") else {
      throw CommandFailure(ExitCode.usage, "\(command): `--labels FILE` is missing: what really happened")
    }
    guard let text = try? String(contentsOfFile: path, encoding: .utf8) else {
      throw CommandFailure(ExitCode.usage, "\(path): cannot be read as text")
    }
    var selection = LabelSelection()
    selection.labels = arguments.list("--label")
    selection.negative = arguments.list("--negative")
    selection.censor = arguments.list("--censor")
    selection.lengthMin = try arguments.duration("--min-event") ?? 0
    selection.mergeGap = try arguments.duration("--merge-gap") ?? 0
    do throws(LabelProblem) {
      return try LabelSet(LabelTable(text, file: path, epoch: epoch), selection)
    } catch {
      throw CommandFailure(ExitCode.failed, error.description)
    }
  }

  /// Over the bytes of all files, in the order given, the labels last.
  ///
  /// - Parameter start: bytes before those of the files.
  static func digest(_ paths: [String], after start: [UInt8] = []) throws(CommandFailure) -> String {
    var digest = Sha256()
    digest.update(start)
    for path in paths {
      guard let file = FileHandle(forReadingAtPath: path) else {
        throw CommandFailure(ExitCode.failed, "\(path): cannot be read again")
      }
      defer { try? file.close() }
      do {
        while let bytes = try file.read(upToCount: 1 << 20), !bytes.isEmpty { digest.update([UInt8](bytes)) }
      } catch {
        throw CommandFailure(ExitCode.failed, "\(path): cannot be read again")
      }
    }
    return "sha256:" + hex(digest.finalize())
  }
}
