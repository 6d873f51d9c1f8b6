import VitalModel

/// One patient's standing in one early-warning score: points per component, or why there are none.
package struct ScoreState: BitwiseCopyable {
  package static let componentsMax = ScoreDefinition.componentsMax
  /// Points by component; -1 unknown.
  package var points: InlineArray<12, Int8> = .init(repeating: -1)
  /// Grid value each component was judged by; hundredths for ratios; ``absentInput`` where it has the points of what is
  /// absent.
  package var inputs: InlineArray<12, Int32> = .init(repeating: 0)
  /// Components that had a value once and have none now, or whose windows are emptying because the signal is lost.
  package var lost: UInt16 = 0
  package var knownCount: Int8 = 0
  package var missingCount: Int8 = 0
  /// Sum of the known components: the lower bound where some are missing (CLINICAL 2.1: never an imputed zero).
  package var total: Int16 = 0
  package var singleMax: Int8 = 0

  package init() {}

  /// Stands in ``inputs`` for a component that is unknown and counts as absent.
  package static let absentInput = Int32.min

  package var hasLostComponent: Bool { lost != 0 }
  package var isComplete: Bool { missingCount == 0 }

  /// Judges every component anew.
  ///
  /// - Returns: whether any component's points changed.
  package mutating func update(
    _ score: CompiledScore, machine: ExpressionMachine, view: PatientView, layout: PlanLayout, now: Int64
  ) -> Bool {
    var changed = false
    let judging = ScoreJudging(score, machine: machine, view: view, layout: layout, now: now)
    for index in 0..<score.components.count {
      let component = score.components[index]
      let found = judging.finding(component)
      let bit: UInt16 = 1 << UInt16(index)
      if let found {
        let isEmptying = judging.isEmptying(component)
        if isEmptying != (lost & bit != 0) { changed = true }
        lost = isEmptying ? lost | bit : lost & ~bit
        inputs[index] = max(Int32(clamping: found.grid), ScoreState.absentInput + 1)
      } else if component.absent >= 0 {
        lost &= ~bit
        inputs[index] = ScoreState.absentInput
      } else if points[index] >= 0 {
        lost |= bit
      }
      let points = Int8(clamping: found?.points ?? component.absent)
      if points != self.points[index] {
        self.points[index] = points
        changed = true
      }
    }
    if changed || Int(knownCount + missingCount) != score.components.count { addUp(score.components.count) }
    return changed
  }

  /// Event time of each component's input: of the older of two for a ratio, of the last one where it went missing; `.min`
  /// where there never was one. Not kept: the score is judged anew only when a value changed, and an equal value that came
  /// since confirms it.
  package static func inputTimes(
    _ score: CompiledScore, machine: ExpressionMachine, view: PatientView, layout: PlanLayout, now: Int64
  ) -> [Int64] {
    let judging = ScoreJudging(score, machine: machine, view: view, layout: layout, now: now)
    return score.components.map { component in
      if let found = judging.finding(component) { return found.time }
      return component.inputs.map { input in
        let position = Int(view.preferred[input.code])
        return position < 0 ? .min : view.series[position].lastTime
      }.max() ?? .min
    }
  }

  private mutating func addUp(_ count: Int) {
    total = 0
    singleMax = 0
    knownCount = 0
    missingCount = 0
    for index in 0..<min(count, ScoreState.componentsMax) {
      if points[index] < 0 {
        missingCount += 1
      } else {
        knownCount += 1
        total += Int16(points[index])
        singleMax = max(singleMax, points[index])
      }
    }
  }
}
