import VitalModel

/// One patient's standing in one early-warning score: points per component, or why there are none.
package struct ScoreState: BitwiseCopyable {
  /// Points by component; -1 unknown. A chart has at most 12 rows.
  package static let componentsMax = 12
  package var points: InlineArray<12, Int8> = .init(repeating: -1)
  /// Grid value each component was judged by.
  package var inputs: InlineArray<12, Int32> = .init(repeating: 0)
  /// Event time of each component's newest input.
  package var times: InlineArray<12, Int64> = .init(repeating: .min)
  /// Components that had a value once and have none now.
  package var lost: UInt16 = 0
  package var knownCount: Int8 = 0
  package var missingCount: Int8 = 0
  /// Sum of the known components: the lower bound where some are missing (CLINICAL 2.1: never an imputed zero).
  package var total: Int16 = 0
  package var singleMax: Int8 = 0

  package init() {}

  package var hasLostComponent: Bool { lost != 0 }
  package var isComplete: Bool { missingCount == 0 }

  /// Judges every component anew.
  ///
  /// - Returns: whether any component's points changed.
  package mutating func update(
    _ score: ScoreDefinition, view: PatientView, layout: PlanLayout, now: Int64
  ) -> Bool {
    var changed = false
    let oxygen = ScoreState.onOxygen(score, view: view, layout: layout, now: now)
    for (index, component) in score.components.enumerated() where index < ScoreState.componentsMax {
      let input = ScoreState.input(component, view: view, layout: layout, now: now)
      var points = -1
      if component.isOxygen {
        points = oxygen.map { $0 ? component.bands.points(1) : component.bands.points(0) } ?? -1
        if points >= 0 { inputs[index] = oxygen == true ? 1 : 0 }
      } else if let input {
        points = ScoreState.bands(component, view: view, layout: layout, onOxygen: oxygen).points(input.grid)
        inputs[index] = Int32(clamping: input.grid)
      }
      if let input { times[index] = input.time }
      if points < 0, self.points[index] >= 0 { lost |= 1 << UInt16(index) }
      if points >= 0 { lost &= ~(1 << UInt16(index)) }
      if Int8(clamping: points) != self.points[index] {
        self.points[index] = Int8(clamping: points)
        changed = true
      }
    }
    if changed || Int(knownCount + missingCount) != score.components.count { addUp(score.components.count) }
    return changed
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

  /// The chart column in force: the first variant whose flag the patient carries and whose oxygen condition holds.
  private static func bands(
    _ component: ScoreComponent, view: PatientView, layout: PlanLayout, onOxygen: Bool?
  ) -> ScoreBands {
    for variant in component.variants {
      guard let bit = layout.flags.firstIndex(of: variant.flag), view.flagBits & (1 << UInt64(bit)) != 0 else {
        continue
      }
      if variant.onOxygen == nil || variant.onOxygen == (onOxygen ?? false) { return variant.bands }
    }
    return component.bands
  }

  /// Whether the patient breathes oxygen: any flow above 0, or a fraction above 21 % (room air 20.9...21, CLINICAL
  /// 1.1); nil if nothing says so.
  private static func onOxygen(
    _ score: ScoreDefinition, view: PatientView, layout: PlanLayout, now: Int64
  ) -> Bool? {
    guard let component = score.components.first(where: \.isOxygen) else { return nil }
    var answer: Bool?
    for code in component.codes {
      guard let position = fresh(code, view) else { continue }
      let vital = layout.plan.registry[code]
      let value = vital.decimal(grid: Int64(view.series[position].lastValue)).double
      let uses = vital.unit == "%" ? value > 21 : value > 0
      if uses { return true }
      answer = false
    }
    return answer
  }

  private static func fresh(_ code: VitalCode, _ view: PatientView) -> Int? {
    let position = Int(view.preferred[Int(code.index)])
    guard position >= 0, !view.series[position].isStale, view.series[position].lastTime != .min else { return nil }
    return position
  }

  /// A component's value on the chart's grid: the median of continuous sources (three samples or more in the window),
  /// the newest value of spot ones, rounded half up before banding (CLINICAL 2.1).
  private static func input(
    _ component: ScoreComponent, view: PatientView, layout: PlanLayout, now: Int64
  ) -> (grid: Int64, time: Int64)? {
    for code in component.codes {
      guard let position = fresh(code, view) else { continue }
      let series = view.series + position
      let plan = layout.codes[series.pointee.code]
      let time = series.pointee.lastTime
      if component.medianWindow > 0,
        let window = plan.windows.firstIndex(where: { $0.length == component.medianWindow && $0.isOrdered })
      {
        series.pointee.trim(now: now, plan: plan)
        if series.pointee.aggregate(.count, window: window) >= 3 {
          let median = series.pointee.aggregate(.median, window: window)
          return (Int64((median + 0.5).rounded(.down)), time)
        }
      }
      return (Int64(series.pointee.lastValue), time)
    }
    return nil
  }
}
