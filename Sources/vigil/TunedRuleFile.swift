import Foundation
import RuleLanguage
import Service
import Statistics
import VitalModel
import YAMLText

/// Tuned rules as a file that runs by itself, with where their numbers come from.
struct TunedRuleFile: FigureWords {
  private let report: TuningReport
  private let sweep: SweepRules
  private let setting: SweepSetting
  /// The rules it was tuned from.
  private let files: RuleFiles

  init(_ report: TuningReport, _ sweep: SweepRules, _ setting: SweepSetting, _ files: RuleFiles) {
    self.report = report
    self.sweep = sweep
    self.setting = setting
    self.files = files
  }

  /// Writes the file and reads it back as any rule file is read.
  func write(to path: String) throws(CommandFailure) {
    if let shortfall = report.shortfall {
      throw CommandFailure(
        ExitCode.failed, "tune: \(path) is not written: \(shortfall) (sought: \(report.input.objective.words))")
    }
    try OutputFile.write(try text(), to: path, for: .everyone)
    do throws(RuleFiles.Failure) {
      let defaults = files.directory.isEmpty ? "Rules" : files.directory
      _ = try RuleFiles.read(path, defaults: defaults).plan(set: nil)
    } catch {
      throw CommandFailure(ExitCode.failed, "tune: what was written does not load: \(error.description)")
    }
  }

  /// The whole file.
  func text() throws(CommandFailure) -> String {
    do throws(SweepProblem) {
      let rules = try sweep.text(of: report.input.rules, setting, source: source)
      let used = try sweep.world(of: report.input.rules, setting).plan.scores.map(\.id)
      return head + ([rules] + charts(used)).joined(separator: "---\n")
    } catch {
      throw CommandFailure(ExitCode.failed, "tune: the rule cannot be written: \(error.description)")
    }
  }

  /// Charts that stand in the rule files themselves; those of the folder `scores` every rule file finds.
  private func charts(_ used: [String]) -> [String] {
    files.sources.filter { source in
      !["scores/", "sets/", "maps/"].contains { source.path.hasPrefix($0) }
    }.flatMap { source in
      (try? YAMLDocument.parseAll(source.text, file: source.path)) ?? []
    }.filter { node in
      node["rule"] == nil && node["score"]?.scalar.map(used.contains) == true
    }.map { YAMLWriter.text($0) }
  }

  private var head: String {
    let values = report.points[report.choice.final.position].name
    return """
      # Written by vigil tune: \(values).
      # It runs alone: vigil evaluate RECORDING --labels LABELS --rules THIS-FILE --rule \(report.input.rules.joined(separator: ","))
      # (without --rule the engine's own technical alerts count too).
      # The rule's own tests belong to its former numbers and are left out. A clinical owner must approve it before use.

      """
  }

  /// Where the numbers come from, in one line.
  private var source: String {
    let input = report.input
    let figures = report.crossValidated
    var parts = [
      "tuned on \(input.dataDigest), seed \(input.seed), \(input.objective.words)",
      "an event counts as found from \(DurationText.format(input.cohort.convention.lead)) before its onset to "
        + "\(DurationText.format(input.cohort.convention.grace)) after it",
      "cross-validated over \(input.foldWords): sensitivity "
        + "\(interval(figures.sensitivity, share)), \(interval(figures.burden, number)) alerts per patient-day, margin over "
        + "matched controls \(interval(figures.margin, signed))",
    ]
    if let heldOut = report.heldOut {
      parts.append(
        "held out and judged once (\(heldOut.sums.patients) patients, \(input.heldOutDigest)): sensitivity "
          + "\(interval(heldOut.sensitivity, share)), \(interval(heldOut.burden, number)) alerts per patient-day")
    }
    return parts.joined(separator: "; ")
  }
}
