import Foundation
import Recordings
import Service
import Statistics
import VitalModel
import YAMLText

/// `vigil tune ... --fit-score ID`: an additive whole-point score from data, with the policy of its alerts.
enum ScoreFitCommand {
  static let flags = [
    Flag("--fit-score", "ID", "fit a score from --inputs and tune its alerts with it; ID is the rule's"),
    Flag("--inputs", "FILE", "inputs the score may use (docs/score-fitting.md)"),
    Flag("--items", "8", "items of the score at most, 1 to 12"),
    Flag("--bands", "5", "bands of an item at most, 2 to 9"),
    Flag("--points", "6", "points of a band at most, 1 to 10"),
    Flag(
      "--balance", "0.5", "how much quiet hours are weighed by the hour of the stay, 0 to 1: 1 leaves a clock nothing"),
    Flag("--target-margin", "0.27", "with --target-sensitivity: the policy nearest to, or furthest beyond, both"),
    Flag("--write-score", "FILE", "write the score's chart alone"),
  ]

  /// Budgets a result is given for, alerts per patient-day, beside the one asked for.
  static let budgets = [1.0, 0.5, 0.25]

  static func run(_ arguments: Arguments) throws(CommandFailure) -> Int32 {
    try arguments.expectPositional(
      1...1000, "tune INPUT... --labels FILE --fit-score ID --inputs FILE --budget 0.5/patient-day [OPTIONS]")
    for flag in [
      "--rule", "--sweep", "--search", "--trials", "--objective", "--beta", "--cost-ratio", "--threshold", "--fold-by",
      "--holdout",
    ] where arguments.has(flag) {
      throw CommandFailure(
        ExitCode.usage, "tune: `\(flag)` is not for `--fit-score`, which searches a policy of its own")
    }
    let (files, _) = try RecordingInputs.rules(arguments)
    let inputs = try RecordingInputs(arguments)
    let candidates = try candidates(arguments, inputs.registry)
    let digest = try EvaluateCommand.digest(inputs.paths + [arguments.value("--labels") ?? ""])
    let run = try made(arguments, files, inputs, candidates)
    let result = try run.run()
    var output = ScoreFitOutput(run, result, digest: digest)
    let judged = try output.judged(try EvaluateCommand.options(arguments))
    output.chance = judged.report.total
    if let path = arguments.value("--report") {
      let maker = EvaluationPageMaker(
        source: RecordedSource(inputs: inputs, arguments: arguments, session: run.session), arguments: arguments)
      try ScoreFitPage(run, result, output, judged).write(to: path, maker)
    }
    try write(output, arguments, files)
    return ExitCode.ok
  }

  private static func made(
    _ arguments: Arguments, _ files: RuleFiles, _ inputs: RecordingInputs, _ candidates: ScoreCandidates
  ) throws(CommandFailure) -> ScoreFitRun {
    var options = ScoreFitting.Options()
    options.itemsMax = try arguments.int("--items", in: 1...12) ?? options.itemsMax
    options.bandsMax = try arguments.int("--bands", in: 2...9) ?? options.bandsMax
    options.pointsMax = try arguments.int("--points", in: 1...10) ?? options.pointsMax
    let balance = try arguments.value("--balance", as: "a share from 0 to 1") { text in
      Double(text).flatMap { (0...1).contains($0) ? $0 : nil }
    }
    options.balance = balance ?? options.balance
    let evaluation = try EvaluateCommand.options(arguments)
    let budget = try TuneOptions.budget(arguments) ?? 0.5
    return ScoreFitRun(
      candidates: candidates, id: try id(arguments), options: options, convention: evaluation.convention,
      labels: try EvaluateCommand.labels(arguments, epoch: inputs.options.epoch, for: "tune"),
      session: try ReplayCommand.options(arguments, inputs.registry), files: files, registry: inputs.registry,
      foldCount: try arguments.int("--folds", in: 2...50) ?? 5, seed: evaluation.seed,
      resamples: evaluation.resamples,
      threads: try arguments.int("--threads", in: 1...256) ?? ProcessInfo.processInfo.activeProcessorCount,
      budgets: [budget] + budgets.filter { $0 != budget }, targets: try targets(arguments),
      feed: { taker throws(CommandFailure) in try ReplayCommand.feed(taker, inputs, arguments) },
      report: { printError("vigil: " + $0) })
  }

  private static func id(_ arguments: Arguments) throws(CommandFailure) -> String {
    let expected = "lower-case letters, digits and hyphens, a letter first"
    let id = try arguments.value("--fit-score", as: expected) { text in
      let isPlain = text.utf8.allSatisfy { (97...122).contains($0) || (48...57).contains($0) || $0 == 45 }
      return isPlain && text.utf8.first.map { (97...122).contains($0) } ?? false ? text : nil
    }
    return id ?? ""
  }

  private static func targets(_ arguments: Arguments) throws(CommandFailure) -> ScoreFitChoice.Targets? {
    func share(_ flag: String) throws(CommandFailure) -> Double? {
      try arguments.value(flag, as: "a share from 0 to 1") { text in
        Double(text).flatMap { (0...1).contains($0) ? $0 : nil }
      }
    }
    switch (try share("--target-sensitivity"), try share("--target-margin")) {
    case (nil, nil): return nil
    case (let sensitivity?, let margin?): return ScoreFitChoice.Targets(sensitivity: sensitivity, margin: margin)
    default:
      throw CommandFailure(
        ExitCode.usage, "tune: with `--fit-score` give both `--target-sensitivity` and `--target-margin`, or neither")
    }
  }

  private static func candidates(
    _ arguments: Arguments, _ registry: VitalRegistry
  ) throws(CommandFailure) -> ScoreCandidates {
    guard let path = arguments.value("--inputs") else {
      throw CommandFailure(ExitCode.usage, "tune: `--fit-score` needs `--inputs FILE`: what the score may look at")
    }
    guard let text = try? String(contentsOfFile: path, encoding: .utf8) else {
      throw CommandFailure(ExitCode.usage, "\(path): cannot be read as text")
    }
    do throws(TextProblems) {
      return try ScoreCandidates(text: text, file: path, registry: registry)
    } catch {
      throw CommandFailure(ExitCode.badConfiguration, error.description)
    }
  }

  // MARK: Output

  private static func write(
    _ output: ScoreFitOutput, _ arguments: Arguments, _ files: RuleFiles
  ) throws(CommandFailure) {
    let target = arguments.value("--json")
    if target == "-" {
      printLine(output.json)
    } else {
      if let target { try OutputFile.write(output.json + "\n", to: target) }
      printLine(output.text)
    }
    if let path = arguments.value("--write-score") { try OutputFile.write(output.scoreText, to: path, for: .everyone) }
    if let path = arguments.value("--write-rule") {
      if let shortfall = output.shortfall {
        throw CommandFailure(ExitCode.failed, "tune: \(path) is not written: \(shortfall)")
      }
      try OutputFile.write(output.ruleText, to: path, for: .everyone)
      // What was written must run alone.
      do throws(RuleFiles.Failure) {
        let defaults = files.directory.isEmpty ? "Rules" : files.directory
        _ = try RuleFiles.read(path, defaults: defaults).plan(set: nil)
      } catch {
        throw CommandFailure(ExitCode.failed, "\(path) was written but does not load: \(error.description)")
      }
    }
  }
}
