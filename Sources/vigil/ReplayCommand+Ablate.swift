import Foundation
import Pipeline
import Recordings
import Service
import VitalModel

/// `vigil replay --ablate`: what each suppression stage is worth.
extension ReplayCommand {
  /// Replays that share one reading: bounds memory.
  private static let togetherMax = 4

  static func ablate(_ arguments: Arguments) throws(CommandFailure) -> Int32 {
    for flag in ["--mqtt", "--alerts", "--suppressed", "--stage-report", "--resume"] where arguments.has(flag) {
      throw CommandFailure(ExitCode.usage, "replay: `--ablate` and `\(flag)` do not go together")
    }
    let inputs = try RecordingInputs(arguments)
    var options = try options(arguments, inputs.registry, rules: inputs.plan.rules)
    options.wanted = []
    let stays = StayRecorder(options: options)
    let baseline = ReplaySession(plan: inputs.plan, options: options) { _ in }
    try feed(baseline, inputs, arguments) { stays.note($0, names: $1) }
    var ablation = StageAblation(baseline: baseline.finish(seconds: 0), patientDays: stays.cohort.patientDays)
    let stages = StageAblation.stages(of: ablation.baseline)
    for start in stride(from: 0, to: stages.count, by: togetherMax) {
      let some = stages[start..<min(start + togetherMax, stages.count)]
      let sessions = some.map { stage, _ in
        var less = options
        less.engine.without.insert(stage)
        return ReplaySession(plan: inputs.plan, options: less) { _ in }
      }
      try feed(ReplayGroup(sessions), inputs, arguments)
      for (stage, session) in zip(some, sessions) {
        ablation.rows.append(
          StageAblation.Row(stage: stage.stage, held: stage.held, without: session.finish(seconds: 0)))
      }
    }
    if arguments.has("--json") { printLine(ablation.json) } else { printAblation(ablation) }
    return ExitCode.ok
  }

  private static func printAblation(_ ablation: StageAblation) {
    func rate(_ alerts: Int) -> String { ablation.perPatientDay(alerts).map { String(format: "%.2f", $0) } ?? "-" }
    let base = ablation.baseline
    printLine(
      "\(base.patients) patients, \(String(format: "%.1f", ablation.patientDays)) patient-days: \(base.alerts) alerts, "
        + "\(rate(base.alerts)) a patient-day")
    guard !ablation.rows.isEmpty else { return printLine("no stage held anything") }
    var rows = [["STAGE", "HELD", "ALERTS WITHOUT IT", "MORE", "A PATIENT-DAY"]]
    for row in ablation.rows {
      let more = row.without.alerts - base.alerts
      rows.append([
        row.stage.rawValue, "\(row.held)", "\(row.without.alerts)", (more > 0 ? "+" : "") + "\(more)",
        rate(row.without.alerts),
      ])
    }
    printLine(TextTable.format(rows))
  }
}
