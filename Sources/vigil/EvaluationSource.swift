import Pipeline
import Recordings
import Service
import VitalModel

/// What `vigil evaluate` judges: recordings or a store, replayed as often as needed.
protocol EvaluationSource {
  /// Files or the store, as they were named.
  var paths: [String] { get }
  var plan: RulePlan { get }
  /// Of the samples a drawing is given.
  var registry: VitalRegistry { get }
  /// Bounds, patients and roster of what is judged.
  var session: ReplaySession.Options { get }

  /// Plays everything through the engine.
  ///
  /// - Parameter stage: switched off beside those already off.
  func replay(
    without stage: SuppressionStage?, into recorder: EvaluationRecorder
  ) throws(CommandFailure) -> ReplaySession.Summary

  /// Shows every sample to what draws some of them.
  func draw(_ recorder: TraceRecorder) throws(CommandFailure)

  /// Over what was replayed, and the labels. After a replay.
  func digest(labels: String) throws(CommandFailure) -> String
}

/// Recordings as they are given to `vigil replay`.
struct RecordedSource: EvaluationSource {
  let inputs: RecordingInputs
  let arguments: Arguments
  let session: ReplaySession.Options

  var paths: [String] { inputs.paths }
  var plan: RulePlan { inputs.plan }
  var registry: VitalRegistry { inputs.registry }

  func replay(
    without stage: SuppressionStage?, into recorder: EvaluationRecorder
  ) throws(CommandFailure) -> ReplaySession.Summary {
    var options = session
    if let stage { options.engine.without.insert(stage) }
    let session = ReplaySession(plan: plan, options: options) {
      if case .told(let transition) = $0 { recorder.take(transition) }
    }
    try ReplayCommand.feed(session, inputs, arguments) { row, names in recorder.note(row, names: names) }
    return session.finish(seconds: 0)
  }

  func draw(_ recorder: TraceRecorder) throws(CommandFailure) {
    let reader = inputs.reader { _ in }
    try inputs.forEach(reader) { row in
      recorder.note(row, names: reader.names)
      return true
    }
  }

  func digest(labels: String) throws(CommandFailure) -> String {
    try EvaluateCommand.digest(paths + [labels])
  }
}

extension RecordedSource {
  init(_ arguments: Arguments) throws(CommandFailure) {
    inputs = try RecordingInputs(arguments)
    self.arguments = arguments
    session = try ReplayCommand.options(arguments, inputs.registry, rules: inputs.plan.rules)
  }
}
