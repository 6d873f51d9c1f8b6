import VitalModel

/// How one patient's values become the points of a score's components, at one instant.
struct ScoreJudging {
  /// What one component was judged by: its number on the component's grid and that number's event time.
  struct Finding {
    var points: Int
    var grid: Int64
    var time: Int64
  }

  let machine: ExpressionMachine
  let view: PatientView
  let layout: PlanLayout
  /// Event time, milliseconds.
  let now: Int64
  /// Whether oxygen is given (its number is 1), where the score asks and something says so.
  private let oxygen: Finding?

  init(_ score: CompiledScore, machine: ExpressionMachine, view: PatientView, layout: PlanLayout, now: Int64) {
    self.machine = machine
    self.view = view
    self.layout = layout
    self.now = now
    oxygen = score.oxygen < 0 ? nil : ScoreJudging.onOxygen(score.components[score.oxygen], view)
  }

  /// nil: nothing says.
  func finding(_ component: CompiledScore.Component) -> Finding? {
    switch component.kind {
    case .oxygen: return oxygen.flatMap { found(component, grid: $0.grid, time: $0.time) }
    case .preferred: return first(component.inputs[...]).flatMap { found(component, grid: $0.grid, time: $0.time) }
    case .ratio:
      let split = component.dividendCount
      guard let top = first(component.inputs[..<split]), let bottom = first(component.inputs[split...]),
        let ratio = ScoreJudging.ratio(top.grid, bottom.grid, component)
      else { return nil }
      // As old as the older of the two.
      return found(component, grid: ratio, time: min(top.time, bottom.time))
    case .worst:
      var worst: Finding?
      for input in component.inputs {
        guard let found = value(of: input) else { continue }
        let points = input.bands.points(found.grid)
        if points > worst?.points ?? -1 { worst = Finding(points: points, grid: found.grid, time: found.time) }
      }
      return worst
    case .expression:
      guard let program = component.program else { return nil }
      let reading = ExpressionMachine.Reading(now: now, subject: -1, rule: -1, holdLast: true)
      let number = machine.value(program, features: component.features, view: view, layout: layout, reading: reading)
      return ScoreExpression.grid(number, exponent: component.exponent).flatMap {
        found(component, grid: $0, time: oldestInput(component))
      }
    }
  }

  /// Whether windows a component reads are those of a lost signal: they empty by themselves, and what that improves is no
  /// recovery (SEMANTICS B7, D3). Never of one that says what absence counts.
  func isEmptying(_ component: CompiledScore.Component) -> Bool {
    guard component.kind == .expression, component.absent < 0 else { return false }
    for feature in component.features where feature.kind.isWindowed {
      let position = view.position(of: feature)
      if position >= 0, view.series[position].isStale { return true }
    }
    return false
  }

  private func found(_ component: CompiledScore.Component, grid: Int64, time: Int64) -> Finding? {
    column(component).map { Finding(points: $0.points(grid), grid: grid, time: time) }
  }

  /// Event time of the newest sample of the vital that has had none for longest.
  private func oldestInput(_ component: CompiledScore.Component) -> Int64 {
    var oldest = Int64.max
    for input in component.inputs {
      let position = Int(view.preferred[input.code])
      if position >= 0, view.series[position].lastTime != .min { oldest = min(oldest, view.series[position].lastTime) }
    }
    return oldest == .max ? .min : oldest
  }

  /// The chart column in force: the first variant that fits, else the ordinary one; nil where there is none.
  private func column(_ component: CompiledScore.Component) -> CompiledScore.Bands? {
    let onOxygen = oxygen?.grid == 1
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
  private static func onOxygen(_ component: CompiledScore.Component, _ view: PatientView) -> Finding? {
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

  private func first(_ inputs: Slice<PlanLayout.Table<CompiledScore.Input>>) -> (grid: Int64, time: Int64)? {
    for input in inputs {
      if let found = value(of: input) { return found }
    }
    return nil
  }

  /// A vital's value on its grid: the median of continuous sources (three samples or more in the window), the newest value
  /// of spot ones, rounded half up before banding (CLINICAL 2.1); nil if there is none that is current.
  private func value(of input: CompiledScore.Input) -> (grid: Int64, time: Int64)? {
    guard let position = ScoreJudging.fresh(input.code, view) else { return nil }
    let series = view.series + position
    let time = series.pointee.lastTime
    series.pointee.refresh(now: now, plan: layout.codes[series.pointee.code])
    let value = series.pointee.featureValue(input.feature)
    return value.isNaN ? nil : (Int64((value + 0.5).rounded(.down)), time)
  }
}
