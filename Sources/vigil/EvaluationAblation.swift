import Pipeline
import ReportPages
import Service
import Statistics
import VitalModel

/// What suppression stages are worth: the same recording without one of them at a time.
struct EvaluationAblation {
  private let inputs: RecordingInputs
  private let arguments: Arguments
  private let options: ReplaySession.Options
  private let labels: LabelSet
  private let onlyRule: String?

  /// - Parameters:
  ///   - options: of the replay with all stages; stages already off stay off.
  ///   - onlyRule: the one rule whose alerts count; nil: all.
  init(
    _ inputs: RecordingInputs, _ arguments: Arguments, _ options: ReplaySession.Options, labels: LabelSet,
    onlyRule: String?
  ) {
    self.inputs = inputs
    self.arguments = arguments
    self.options = options
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

  private func replay(without stage: SuppressionStage) throws(CommandFailure) -> EvaluationInput {
    var options = options
    options.engine.without.insert(stage)
    let recorder = EvaluationRecorder(options: options, onlyRule: onlyRule)
    let session = ReplaySession(plan: inputs.plan, options: options) {
      if case .told(let transition) = $0 { recorder.take(transition) }
    }
    try ReplayCommand.feed(session, inputs, arguments) { row, names in recorder.note(row, names: names) }
    _ = session.finish(seconds: 0)
    return recorder.input(labels: labels, dataDigest: "", rulesVersion: "").input
  }
}
