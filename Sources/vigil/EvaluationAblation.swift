import Pipeline
import ReportPages
import Service
import Statistics
import VitalModel

/// What suppression stages are worth: the same recording without one of them at a time.
struct EvaluationAblation {
  private let source: any EvaluationSource
  private let labels: LabelSet
  private let onlyRule: String?

  /// - Parameters:
  ///   - source: stages already off stay off.
  ///   - onlyRule: the one rule whose alerts count; nil: all.
  init(_ source: any EvaluationSource, labels: LabelSet, onlyRule: String?) {
    self.source = source
    self.labels = labels
    self.onlyRule = onlyRule
  }

  /// One replay for each stage that held something, in the order stages come. Rules on trial are no stage to be judged so:
  /// they tell nobody for another reason.
  ///
  /// - Parameter held: ledger rows by stage and rule, of the replay with all stages.
  func effects(
    _ held: [SuppressionStage: [String: Int]], _ convention: EvaluationConvention
  ) throws(CommandFailure) -> [StageEffect] {
    var effects: [StageEffect] = []
    for stage in SuppressionStage.allCases where stage != .shadow {
      let rows = (held[stage] ?? [:]).filter { onlyRule == nil || $0.key == onlyRule }.values.reduce(0, +)
      guard rows > 0 else { continue }
      let count = DetectionCount(try replay(without: stage), convention)
      effects.append(
        StageEffect(
          stage: stage.rawValue, heldRows: rows, alerts: count.alerts, detected: count.detected,
          burden: count.burden ?? 0, sensitivity: count.sensitivity))
    }
    return effects
  }

  /// The key `ablation` of the document of `--json`.
  static func write(_ effects: [StageEffect], to out: inout JSONText) {
    out.array("ablation") { list in
      for effect in effects {
        list.object {
          $0.field("stage", effect.stage)
          $0.field("held", effect.heldRows)
          $0.field("alerts", effect.alerts)
          $0.field("detected", effect.detected)
          $0.field("alerts_per_patient_day", effect.burden)
          $0.field("sensitivity", effect.sensitivity)
        }
      }
    }
  }

  private func replay(without stage: SuppressionStage) throws(CommandFailure) -> EvaluationInput {
    let recorder = EvaluationRecorder(options: source.session, onlyRule: onlyRule)
    _ = try source.replay(without: stage, into: recorder)
    return recorder.input(labels: labels, dataDigest: "", rulesVersion: "").input
  }
}
