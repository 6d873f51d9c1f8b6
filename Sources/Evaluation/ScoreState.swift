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
  package mutating func update(_ score: CompiledScore, view: PatientView, layout: PlanLayout, now: Int64) -> Bool {
    var changed = false
    let oxygen = ScoreState.onOxygen(score, view: view)
    for index in 0..<score.components.count {
      let component = score.components[index]
      let input = ScoreState.input(component, view: view, layout: layout, now: now)
      var points = -1
      if component.isOxygen {
        points = oxygen.map { component.bands.points($0 ? 1 : 0) } ?? -1
        if points >= 0 { inputs[index] = oxygen == true ? 1 : 0 }
      } else if let input {
        points = ScoreState.bands(component, view: view, onOxygen: oxygen ?? false).points(input.grid)
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
    _ component: CompiledScore.Component, view: PatientView, onOxygen: Bool
  ) -> CompiledScore.Bands {
    for variant in component.variants
    where view.flagBits & variant.flagBit != 0 && (!variant.asksOxygen || variant.onOxygen == onOxygen) {
      return variant.bands
    }
    return component.bands
  }

  /// Whether the patient breathes oxygen: any flow above 0, or a fraction above 21 % (room air 20.9...21, CLINICAL
  /// 1.1); nil if nothing says so.
  private static func onOxygen(_ score: CompiledScore, view: PatientView) -> Bool? {
    guard score.oxygen >= 0 else { return nil }
    var answer: Bool?
    for input in score.components[score.oxygen].inputs {
      guard let position = fresh(input.code, view) else { continue }
      if Int64(view.series[position].lastValue) > input.airUpTo { return true }
      answer = false
    }
    return answer
  }

  @inline(__always)
  private static func fresh(_ code: Int, _ view: PatientView) -> Int? {
    let position = Int(view.preferred[code])
    guard position >= 0, !view.series[position].isStale, view.series[position].lastTime != .min else { return nil }
    return position
  }

  /// A component's value on the chart's grid: the median of continuous sources (three samples or more in the window),
  /// the newest value of spot ones, rounded half up before banding (CLINICAL 2.1).
  private static func input(
    _ component: CompiledScore.Component, view: PatientView, layout: PlanLayout, now: Int64
  ) -> (grid: Int64, time: Int64)? {
    for input in component.inputs {
      guard let position = fresh(input.code, view) else { continue }
      let series = view.series + position
      let time = series.pointee.lastTime
      if input.window >= 0 {
        series.pointee.trim(now: now, plan: layout.codes[series.pointee.code])
        if series.pointee.aggregate(.count, window: input.window, now: now, plan: layout.codes[series.pointee.code])
          >= 3
        {
          let median = series.pointee.aggregate(
            .median, window: input.window, now: now, plan: layout.codes[series.pointee.code])
          return (Int64((median + 0.5).rounded(.down)), time)
        }
      }
      return (Int64(series.pointee.lastValue), time)
    }
    return nil
  }
}

/// A score's chart as flat tables.
// `@unchecked`: the tables belong to the layout and are never written after they were made.
package struct CompiledScore: @unchecked Sendable, BitwiseCopyable {
  struct Band: BitwiseCopyable {
    var upTo: Int64
    var points: Int
  }

  struct Bands: BitwiseCopyable {
    var table: PlanLayout.Table<Band>

    /// As ``VitalModel/ScoreBands/points(_:)``.
    func points(_ grid: Int64) -> Int {
      for band in table where grid <= band.upTo { return band.points }
      return table.last?.points ?? 0
    }
  }

  struct Variant: BitwiseCopyable {
    var flagBit: UInt64
    var asksOxygen: Bool
    var onOxygen: Bool
    var bands: Bands
  }

  struct Input: BitwiseCopyable {
    var code: Int
    /// Position of the median's window among the vital's, -1: the newest value.
    var window: Int
    /// Grid value up to which it is room air; only for oxygen.
    var airUpTo: Int64
  }

  struct Component: BitwiseCopyable {
    var inputs: PlanLayout.Table<Input>
    var bands: Bands
    var variants: PlanLayout.Table<Variant>
    var isOxygen: Bool
  }

  let components: PlanLayout.Table<Component>
  /// The component that says whether oxygen is given, -1: none.
  let oxygen: Int

  init(
    _ score: ScoreDefinition, windows: [[PlanLayout.Window]], flags: [String], registry: VitalRegistry,
    memory: TableMemory
  ) {
    func bands(_ bands: ScoreBands) -> Bands {
      Bands(table: memory.table(bands.bands.map { Band(upTo: $0.upTo, points: $0.points) }))
    }
    let known = score.components.prefix(ScoreState.componentsMax)
    components = memory.table(
      known.map { component in
        let inputs = component.codes.map { code in
          let window =
            component.medianWindow > 0
            ? windows[Int(code.index)].firstIndex { $0.isSlidingMedian(component.medianWindow) } ?? -1 : -1
          let vital = registry[code]
          let air = vital.unit == "%" ? DecimalValue(mantissa: 21).scaled(toExponent: vital.resolutionExponent) ?? 0 : 0
          return Input(code: Int(code.index), window: window, airUpTo: air)
        }
        let variants = component.variants.map { variant in
          Variant(
            flagBit: flags.firstIndex(of: variant.flag).map { 1 << UInt64($0) } ?? 0,
            asksOxygen: variant.onOxygen != nil, onOxygen: variant.onOxygen ?? false, bands: bands(variant.bands))
        }
        return Component(
          inputs: memory.table(inputs), bands: bands(component.bands), variants: memory.table(variants),
          isOxygen: component.isOxygen)
      })
    oxygen = known.firstIndex { $0.isOxygen } ?? -1
  }
}
