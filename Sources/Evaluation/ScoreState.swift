import VitalModel

/// One patient's standing in one early-warning score: points per component, or why there are none.
package struct ScoreState: BitwiseCopyable {
  package static let componentsMax = ScoreDefinition.componentsMax
  /// Points by component; -1 unknown.
  package var points: InlineArray<12, Int8> = .init(repeating: -1)
  /// Grid value each component was judged by; hundredths for ratios.
  package var inputs: InlineArray<12, Int32> = .init(repeating: 0)
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
  package mutating func update(_ score: CompiledScore, view: PatientView, layout: PlanLayout, now: Int64) -> Bool {
    var changed = false
    let oxygen = score.oxygen < 0 ? nil : ScoreState.onOxygen(score.components[score.oxygen], view: view)
    for index in 0..<score.components.count {
      let component = score.components[index]
      let found = ScoreState.judge(component, oxygen: oxygen, view: view, layout: layout, now: now)
      if let found {
        lost &= ~(1 << UInt16(index))
        inputs[index] = Int32(clamping: found.grid)
      } else if points[index] >= 0 {
        lost |= 1 << UInt16(index)
      }
      let points = found.map { Int8(clamping: $0.points) } ?? -1
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
    _ score: CompiledScore, view: PatientView, layout: PlanLayout, now: Int64
  ) -> [Int64] {
    let oxygen = score.oxygen < 0 ? nil : onOxygen(score.components[score.oxygen], view: view)
    return score.components.map { component in
      if let found = judge(component, oxygen: oxygen, view: view, layout: layout, now: now) { return found.time }
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

  /// What one component was judged by: its number on the component's grid and that number's event time.
  private struct Finding {
    var points: Int
    var grid: Int64
    var time: Int64
  }

  private static func judge(
    _ component: CompiledScore.Component, oxygen: Finding?, view: PatientView, layout: PlanLayout, now: Int64
  ) -> Finding? {
    switch component.kind {
    case .oxygen:
      guard let oxygen, let column = column(component, view: view, onOxygen: oxygen.grid == 1) else { return nil }
      return Finding(points: column.points(oxygen.grid), grid: oxygen.grid, time: oxygen.time)
    case .preferred:
      guard let column = column(component, view: view, onOxygen: oxygen?.grid == 1),
        let found = first(component.inputs[...], component, view: view, layout: layout, now: now)
      else { return nil }
      return Finding(points: column.points(found.grid), grid: found.grid, time: found.time)
    case .ratio:
      let split = component.dividendCount
      guard let column = column(component, view: view, onOxygen: oxygen?.grid == 1),
        let top = first(component.inputs[..<split], component, view: view, layout: layout, now: now),
        let bottom = first(component.inputs[split...], component, view: view, layout: layout, now: now),
        let ratio = ratio(top.grid, bottom.grid, component)
      else { return nil }
      // As old as the older of the two.
      return Finding(points: column.points(ratio), grid: ratio, time: min(top.time, bottom.time))
    case .worst:
      var worst: Finding?
      for input in component.inputs {
        guard let found = value(of: input, view: view, layout: layout, now: now) else { continue }
        let points = input.bands.points(found.grid)
        if points > worst?.points ?? -1 { worst = Finding(points: points, grid: found.grid, time: found.time) }
      }
      return worst
    }
  }

  /// The chart column in force: the first variant that fits, else the ordinary one; nil where there is none.
  private static func column(
    _ component: CompiledScore.Component, view: PatientView, onOxygen: Bool
  ) -> CompiledScore.Bands? {
    for variant in component.variants
    where view.flagBits & variant.flagBit == variant.flagBit && (!variant.asksOxygen || variant.onOxygen == onOxygen)
      // An unknown age is in no range.
      && (!variant.asksAge || (variant.monthsFrom <= view.ageMonths && view.ageMonths < variant.monthsBelow))
    {
      return variant.bands
    }
    return component.bands.isEmpty ? nil : component.bands
  }

  /// Hundredths, rounded half up; nil for a divisor of 0.
  private static func ratio(_ top: Int64, _ bottom: Int64, _ component: CompiledScore.Component) -> Int64? {
    let dividend = Int128(top) * Int128(component.dividendScale)
    let divisor = Int128(bottom) * Int128(component.divisorScale)
    guard divisor > 0, dividend >= 0 else { return nil }
    return Int64(exactly: (2 * dividend + divisor) / (2 * divisor))
  }

  /// Whether the patient breathes oxygen: any flow above 0, or a fraction above 21 % (room air 20.9...21, CLINICAL
  /// 1.1): 1 or 0, with the time of what says so; nil if nothing does.
  private static func onOxygen(_ component: CompiledScore.Component, view: PatientView) -> Finding? {
    var answer: Finding?
    for input in component.inputs {
      guard let position = fresh(input.code, view) else { continue }
      let time = view.series[position].lastTime
      if Int64(view.series[position].lastValue) > input.airUpTo { return Finding(points: 0, grid: 1, time: time) }
      if answer == nil { answer = Finding(points: 0, grid: 0, time: time) }
    }
    return answer
  }

  @inline(__always)
  private static func fresh(_ code: Int, _ view: PatientView) -> Int? {
    let position = Int(view.preferred[code])
    guard position >= 0, !view.series[position].isStale, view.series[position].lastTime != .min else { return nil }
    return position
  }

  private static func first(
    _ inputs: Slice<PlanLayout.Table<CompiledScore.Input>>, _ component: CompiledScore.Component, view: PatientView,
    layout: PlanLayout, now: Int64
  ) -> (grid: Int64, time: Int64)? {
    for input in inputs {
      if let found = value(of: input, view: view, layout: layout, now: now) { return found }
    }
    return nil
  }

  /// A vital's value on its grid: the median of continuous sources (three samples or more in the window), the newest value
  /// of spot ones, rounded half up before banding (CLINICAL 2.1); nil if there is none that is current.
  private static func value(
    of input: CompiledScore.Input, view: PatientView, layout: PlanLayout, now: Int64
  ) -> (grid: Int64, time: Int64)? {
    guard let position = fresh(input.code, view) else { return nil }
    let series = view.series + position
    let time = series.pointee.lastTime
    series.pointee.refresh(now: now, plan: layout.codes[series.pointee.code])
    let value = series.pointee.featureValue(input.feature)
    return value.isNaN ? nil : (Int64((value + 0.5).rounded(.down)), time)
  }
}
