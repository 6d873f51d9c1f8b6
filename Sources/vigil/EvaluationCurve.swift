import Foundation
import Pipeline
import Service
import Statistics
import VitalModel

/// `evaluate --curve`: the one rule under several values of its numbers, each by itself, over the same recording.
enum EvaluationCurve {
  static func points(
    _ source: RecordedSource, _ arguments: Arguments, labels: LabelSet, _ options: EvaluationOptions
  ) throws(CommandFailure) -> SettingCurve {
    let (files, set) = try RecordingInputs.rules(arguments)
    let sweep: SweepRules
    do throws(RuleFiles.Failure) {
      sweep = try SweepRules(files: files, set: set)
    } catch {
      throw CommandFailure(ExitCode.badConfiguration, error.description)
    }
    let spec = try TuneSpec(rules: arguments.list("--rule"), parts: arguments.list("--curve"), of: "--curve", sweep)
    guard spec.grid.count <= SettingCurve.settingsMax else {
      throw CommandFailure(
        ExitCode.usage,
        "`--curve` makes \(spec.grid.count) settings, more than \(SettingCurve.settingsMax): use larger steps")
    }
    var worlds: [SweepWorld] = []
    do throws(SweepProblem) {
      for place in 0..<spec.grid.count { worlds.append(try sweep.world(of: spec.rules, spec.setting(place))) }
    } catch {
      throw CommandFailure(ExitCode.usage, "evaluate: \(error.description)")
    }
    var session = source.session
    if spec.isAdaptive { session.engine.alerting.isAdaptive = true }
    let threads = try arguments.int("--threads", in: 1...256) ?? ProcessInfo.processInfo.activeProcessorCount
    let result = try SettingSweep(worlds: worlds, options: session, threads: threads).run {
      taker throws(CommandFailure) in try ReplayCommand.feed(taker, source.inputs, arguments)
    }
    return SettingCurve(
      spec.grid, alerts: result.alerts, cohort: result.watched.cohort(labels: labels), names: result.watched.names,
      options: options)
  }

  /// What `--curve` needs beside it.
  static func check(_ arguments: Arguments, isStore: Bool) throws(CommandFailure) {
    guard arguments.has("--curve") else { return }
    guard !isStore else {
      throw CommandFailure(
        ExitCode.usage, "evaluate: `--curve` is for recordings; `vigil export` makes one of a store")
    }
    guard arguments.has("--rule") else {
      throw CommandFailure(ExitCode.usage, "evaluate: `--curve` needs `--rule ID`: the rule whose numbers it moves")
    }
  }
}
