import Foundation
import Service
import Statistics
import VitalModel

/// Tuned rules as a file that runs by itself, with where their numbers come from.
struct TunedRuleFile: FigureWords {
  private let report: TuningReport
  private let sweep: SweepRules
  private let setting: SweepSetting

  init(_ report: TuningReport, _ sweep: SweepRules, _ setting: SweepSetting) {
    self.report = report
    self.sweep = sweep
    self.setting = setting
  }

  /// Writes the file and reads it back as any rule file is read.
  ///
  /// - Parameter files: the rules it was tuned from, whose charts it needs beside it.
  func write(to path: String, _ files: RuleFiles) throws(CommandFailure) {
    guard report.choice.final.meetsTarget else {
      throw CommandFailure(
        ExitCode.failed,
        "tune: no setting reaches what was asked (\(report.input.objective.words)): \(path) is not written")
    }
    let text = try text()
    guard FileManager.default.createFile(atPath: path, contents: Data(text.utf8)) else {
      throw CommandFailure(ExitCode.failed, "\(path): cannot be written")
    }
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
      return head + (try sweep.text(of: report.input.rules, setting, source: source))
    } catch {
      throw CommandFailure(ExitCode.failed, "tune: the rule cannot be written: \(error.description)")
    }
  }

  private var head: String {
    let values = report.points[report.choice.final.position].name
    return """
      # Written by vigil tune: \(values).
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
      "cross-validated over \(input.cohort.folds.count) folds by patient: sensitivity "
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
