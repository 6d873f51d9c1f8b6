import Foundation
import Pipeline
import Recordings
import Service
import Statistics
import VitalModel

/// `vigil tune`: which setting of rules finds most for what it costs, chosen on some patients and judged on others.
enum TuneCommand {
  static let command = Command(
    name: "tune", summary: "search a recording for the settings of rules that find most for what they cost",
    example:
      "vigil tune vitals.csv.zst --labels labels.csv --rule spo2-low --sweep limit=85:95:1,hold=0s:60s:5s "
      + "--budget 0.5/patient-day --write-rule tuned.yaml",
    flags: [
      Flag("--rule", "ID,...", repeats: true, "the rules to tune; their alerts alone count"),
      Flag(
        "--sweep", "NAME=from:to:step,...", repeats: true,
        "parameters, times (for, refractory, ...) or bounds (adapt.limit.floor), or NAME=a|b|c; several rules: RULE.NAME"
      ),
      Flag(
        "--search", "grid|random|halving", "all settings, some of them, or all on few patients and the best on more"),
      Flag("--trials", "200", "settings of a random search"),
      Flag("--objective", "NAME", "least-burden, greatest-margin, fbeta, cost, utility or net-benefit"),
      Flag("--target-sensitivity", "0.9", "of least-burden: what the lower bound of sensitivity must reach"),
      Flag("--budget", "0.5/patient-day", "of greatest-margin: the most alerts there may be"),
      Flag("--beta", "2", "of fbeta"),
      Flag("--cost-ratio", "5", "of cost: false alerts a missed event is worth"),
      Flag("--threshold", "0.1", "of net-benefit"),
      Flag("--folds", "5", "parts the patients are split into; each is judged by what the others chose"),
      Flag("--fold-by", "COLUMN", "split by a column of the roster (unit, sex, age) instead"),
      Flag("--holdout", "0.2", "share of the patients nobody looks at until the end"),
      Flag("--write-rule", "FILE", "the rules with the chosen setting, as a file that runs by itself"),
    ] + ScoreFitCommand.flags + EvaluateCommand.command.flags.filter { !othersFlags.contains($0.name) },
    positional: "INPUT...", run: run)

  /// Options of `evaluate` that mean something else here, or nothing.
  private static let othersFlags: Set = ["--rule", "--by", "--ablate", "--master-key", "--curve"]

  @Sendable
  static func run(_ arguments: Arguments) throws(CommandFailure) -> Int32 {
    try OutputCheck.run(
      "tune", arguments, writing: ["--json", "--report", "--write-rule", "--write-score"],
      reading: OutputCheck.read + ["--rules"], inputs: arguments.positional)
    if arguments.has("--fit-score") { return try ScoreFitCommand.run(arguments) }
    for flag in ScoreFitCommand.flags.map(\.name) where arguments.has(flag) {
      throw CommandFailure(ExitCode.usage, "tune: `\(flag)` is for `--fit-score`")
    }
    try arguments.expectPositional(
      1...1000, "tune INPUT... --labels FILE --rule ID --sweep NAME=from:to:step [OPTIONS]")
    if arguments.positional.count == 1, StoreReplay.isStore(arguments.positional[0]) {
      throw CommandFailure(
        ExitCode.usage, "\(arguments.positional[0]) is a store: `vigil export` it to a recording and tune on that")
    }
    let (files, set) = try RecordingInputs.rules(arguments)
    let sweep: SweepRules
    do throws(RuleFiles.Failure) {
      sweep = try SweepRules(files: files, set: set)
    } catch {
      throw CommandFailure(ExitCode.badConfiguration, error.description)
    }
    let spec = try TuneSpec(arguments, sweep)
    let options = try TuneOptions(arguments, cores: ProcessInfo.processInfo.activeProcessorCount)
    let inputs = try RecordingInputs(
      arguments, files: files, plan: sweep.plan, setName: set ?? "all", paths: arguments.positional)
    var session = try ReplayCommand.options(arguments, inputs.registry, rules: sweep.plan.rules)
    if spec.isAdaptive, !session.engine.alerting.isAdaptive {
      session.engine.alerting.isAdaptive = true
      printError("vigil: adaptive limits are switched on for this search; so must they be wherever the rule is to run")
    }
    let trial = TuneTrial(
      spec: spec, sweep: sweep, options: options, evaluation: try EvaluateCommand.options(arguments), session: session,
      labels: try EvaluateCommand.labels(arguments, epoch: inputs.options.epoch, for: "tune")
    ) { taker throws(CommandFailure) in try ReplayCommand.feed(taker, inputs, arguments) }
    var input = try trial.run()
    input.dataDigest = try EvaluateCommand.digest(inputs.paths + [arguments.value("--labels") ?? ""])
    let report = TuningReport(input)
    let setting = spec.setting(input.positions[report.choice.final.position])
    let judged = try trial.judged(setting, input)
    let rule = TunedRuleFile(report, sweep, setting, files)
    if let path = arguments.value("--report") {
      let maker = EvaluationPageMaker(
        source: RecordedSource(inputs: inputs, arguments: arguments, session: session), arguments: arguments)
      try TunePage(report, judged, rule: report.choice.final.meetsTarget ? try rule.text() : "").write(to: path, maker)
    }
    try show(report, judged.report, arguments)
    if let path = arguments.value("--write-rule") { try rule.write(to: path) }
    return ExitCode.ok
  }

  private static func show(
    _ report: TuningReport, _ evaluation: EvaluationReport, _ arguments: Arguments
  ) throws(CommandFailure) {
    if let target = arguments.value("--json") {
      var out = JSONText()
      report.write(to: &out, evaluation: evaluation)
      if target == "-" {
        printLine(out.text)
        return
      }
      try OutputFile.write(out.bytes + [10], to: target)
    }
    printLine(TuneText(report, evaluation).text)
  }
}
