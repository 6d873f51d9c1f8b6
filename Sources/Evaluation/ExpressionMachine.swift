import VitalModel

/// One operation of a compiled program: 16 bytes, no references.
struct Operation: BitwiseCopyable, Sendable {
  enum Code: UInt8 {
    case constant, parameter, feature, scoreTotal, scoreSingleMax, scoreMissing, scoreComponent
    case age, ageMonths, flag, unit
    case add, subtract, multiply, divide, negate, absolute
    case less, lessOrEqual, greater, greaterOrEqual, equal, notEqual
    case and, or, not, atLeast
  }
  var code: UInt8
  var index: Int32
  var constant: Double
}

/// A program with names resolved; what a parameter is for a patient is looked up when it runs.
// `@unchecked`: the table belongs to the layout and is never written after it was made.
package struct CompiledProgram: @unchecked Sendable, BitwiseCopyable {
  let operations: PlanLayout.Table<Operation>

  init(_ program: Program, flags: [String], memory: TableMemory) {
    operations = memory.table(program.instructions.map { CompiledProgram.operation($0, flags) })
  }

  private static func operation(_ instruction: Instruction, _ flags: [String]) -> Operation {
    func plain(_ code: Operation.Code, _ index: Int = 0) -> Operation {
      Operation(code: code.rawValue, index: Int32(index), constant: 0)
    }
    switch instruction {
    case .constant(let value): return Operation(code: Operation.Code.constant.rawValue, index: 0, constant: value)
    case .parameter(let index): return plain(.parameter, index)
    case .feature(let index): return plain(.feature, index)
    case .score(let index, .total): return plain(.scoreTotal, index)
    case .score(let index, .singleMax): return plain(.scoreSingleMax, index)
    case .score(let index, .missing): return plain(.scoreMissing, index)
    case .attribute(.age): return plain(.age)
    case .attribute(.ageMonths): return plain(.ageMonths)
    case .attribute(.unit(let unit)): return plain(.unit, flags.firstIndex(of: PlanLayout.unitFlag(unit)) ?? 64)
    case .scoreComponent(let index, let component):
      return Operation(code: Operation.Code.scoreComponent.rawValue, index: Int32(index), constant: Double(component))
    case .atLeast(let needed, let count):
      return Operation(code: Operation.Code.atLeast.rawValue, index: Int32(needed), constant: Double(count))
    case .attribute(.flag(let flag)): return plain(.flag, flags.firstIndex(of: flag) ?? 64)
    case .add: return plain(.add)
    case .subtract: return plain(.subtract)
    case .multiply: return plain(.multiply)
    case .divide: return plain(.divide)
    case .negate: return plain(.negate)
    case .absolute: return plain(.absolute)
    case .less: return plain(.less)
    case .lessOrEqual: return plain(.lessOrEqual)
    case .greater: return plain(.greater)
    case .greaterOrEqual: return plain(.greaterOrEqual)
    case .equal: return plain(.equal)
    case .notEqual: return plain(.notEqual)
    case .and: return plain(.and)
    case .or: return plain(.or)
    case .not: return plain(.not)
    }
  }
}

/// What an expression may look at while it runs: pointers into one patient's state, valid during one call.
package struct PatientView: BitwiseCopyable {
  package var series: UnsafeMutablePointer<SeriesWindows>
  package var seriesCount: Int
  /// By vital number: position of the preferred series, -1 where there is none.
  package var preferred: UnsafeMutablePointer<Int16>
  package var scores: UnsafeMutablePointer<ScoreState>
  /// Completed years and completed months; NaN unknown.
  package var age: Double
  package var ageMonths: Double
  /// Parameters set for this patient.
  package var settings: UnsafePointer<CompiledSetting>?
  package var settingCount: Int
  package var flagBits: UInt64
  /// Whether the roster lists the patient: an unlisted patient's flags are unknown, not false.
  package var flagsKnown: Bool

  package init(
    series: UnsafeMutablePointer<SeriesWindows>, seriesCount: Int, preferred: UnsafeMutablePointer<Int16>,
    scores: UnsafeMutablePointer<ScoreState>, age: Double, flagBits: UInt64, flagsKnown: Bool,
    ageMonths: Double = .nan, settings: UnsafePointer<CompiledSetting>? = nil, settingCount: Int = 0
  ) {
    self.series = series
    self.seriesCount = seriesCount
    self.preferred = preferred
    self.scores = scores
    self.age = age
    self.ageMonths = ageMonths
    self.settings = settings
    self.settingCount = settingCount
    self.flagBits = flagBits
    self.flagsKnown = flagsKnown
  }

  /// The series a feature of a named vital reads where none is at hand: that of its source, or the preferred one; -1 where
  /// there is none.
  package func position(of feature: CompiledFeature) -> Int {
    guard feature.code >= 0 else { return -1 }
    return feature.origin < 0
      ? Int(preferred[feature.code]) : position(ofCode: feature.code, source: feature.origin)
  }

  /// The series of a vital from one source: a fresh one first, then the one seen first; -1 where there is none.
  ///
  /// - Parameter source: its position among the registry's sources of the vital.
  private func position(ofCode code: Int, source: Int) -> Int {
    var best = -1
    for index in 0..<seriesCount where series[index].code == code && Int(series[index].rank) == source {
      if best >= 0 {
        if series[index].isStale != series[best].isStale {
          if series[index].isStale { continue }
        } else if series[index].series > series[best].series {
          continue
        }
      }
      best = index
    }
    return best
  }
}

/// Truth with "unknown" as its third value (Kleene): unknown never fires and never clears.
package enum Truth: UInt8, Sendable {
  case no, yes, unknown

  @inlinable
  package init(_ number: Double) { self = number.isNaN ? .unknown : number == 0 ? .no : .yes }
}

/// Runs compiled programs on a stack of its own: no allocation a call. One machine a thread.
package final class ExpressionMachine {
  private let stack: UnsafeMutablePointer<Double>
  /// Deepest stack a checked program can need.
  package static let depthMax = 256

  package init() { stack = .allocate(capacity: ExpressionMachine.depthMax + 1) }
  deinit { stack.deallocate() }

  /// How one run differs from another.
  package struct Reading: BitwiseCopyable {
    /// Evaluation time, event-time milliseconds.
    package var now: Int64
    /// Position of the series at hand, -1 for rules judged once a patient.
    package var subject: Int
    /// The rule whose program runs: whose parameters it reads.
    package var rule: Int
    /// Where the rule's running episode began; `.max`: there is none.
    package var onset: Int64 = .max
    package var holdLast: Bool
    /// In a clear condition a score with a component gone stale is unknown: it must not seem to improve.
    package var forClear = false
    /// Stands in for the values of series ``overridden``: an unusable sample being checked against the bypass limit.
    package var override: Double = .nan
    package var overridden = -1

    package init(now: Int64, subject: Int, rule: Int, holdLast: Bool) {
      self.now = now
      self.subject = subject
      self.rule = rule
      self.holdLast = holdLast
    }
  }

  package func truth(
    _ program: CompiledProgram, features: PlanLayout.Table<CompiledFeature>, view: PatientView, layout: PlanLayout,
    reading: Reading
  ) -> Truth {
    Truth(value(program, features: features, view: view, layout: layout, reading: reading))
  }

  /// - Returns: the program's number; NaN is unknown.
  package func value(
    _ program: CompiledProgram, features: PlanLayout.Table<CompiledFeature>, view: PatientView, layout: PlanLayout,
    reading: Reading
  ) -> Double {
    var top = 0
    for operation in program.operations {
      guard let code = Operation.Code(rawValue: operation.code) else { return .nan }
      switch code {
      case .constant: push(operation.constant, &top)
      case .parameter:
        push(
          ExpressionMachine.parameter(
            layout.rules[reading.rule].parameters[Int(operation.index)], Int(operation.index), view, reading), &top)
      case .feature:
        guard let base = features.baseAddress else { return .nan }
        push(feature(at: base + Int(operation.index), view: view, layout: layout, reading: reading), &top)
      case .scoreTotal, .scoreSingleMax, .scoreMissing:
        push(score(view.scores + Int(operation.index), code, reading), &top)
      case .scoreComponent:
        push(component(view.scores + Int(operation.index), Int(operation.constant), reading), &top)
      case .age: push(view.age, &top)
      case .ageMonths: push(view.ageMonths, &top)
      case .unit: push(view.flagBits & (1 << UInt64(operation.index)) != 0 ? 1 : 0, &top)
      case .atLeast: tally(needed: Int(operation.index), of: Int(operation.constant), &top)
      case .flag:
        let isSet = view.flagBits & (1 << UInt64(operation.index)) != 0
        push(isSet ? 1 : view.flagsKnown ? 0 : .nan, &top)
      case .negate: stack[top - 1] = -stack[top - 1]
      case .absolute: stack[top - 1] = abs(stack[top - 1])
      case .not: stack[top - 1] = stack[top - 1].isNaN ? .nan : stack[top - 1] == 0 ? 1 : 0
      default:
        top -= 1
        stack[top - 1] = ExpressionMachine.binary(code, stack[top - 1], stack[top])
      }
    }
    return top == 1 ? stack[0] : .nan
  }

  /// Kleene: yes once enough hold, no once too few can, unknown between.
  private func tally(needed: Int, of count: Int, _ top: inout Int) {
    var yes = 0
    var unknown = 0
    for offset in 0..<count {
      let value = stack[top - 1 - offset]
      if value.isNaN { unknown += 1 } else if value != 0 { yes += 1 }
    }
    top -= count
    push(yes >= needed ? 1 : yes + unknown < needed ? 0 : .nan, &top)
  }

  private func component(
    _ state: UnsafeMutablePointer<ScoreState>, _ index: Int, _ reading: Reading
  ) -> Double {
    let points = state.pointee.points[index]
    return points < 0 ? .nan : Double(points)
  }

  @inline(__always)
  private func push(_ value: Double, _ top: inout Int) {
    precondition(top < ExpressionMachine.depthMax)
    stack[top] = value
    top += 1
  }

  @inline(__always)
  private static func binary(_ code: Operation.Code, _ a: Double, _ b: Double) -> Double {
    switch code {
    case .and: return a == 0 || b == 0 ? 0 : a.isNaN || b.isNaN ? .nan : 1
    case .or: return (a != 0 && !a.isNaN) || (b != 0 && !b.isNaN) ? 1 : a.isNaN || b.isNaN ? .nan : 0
    default: break
    }
    if a.isNaN || b.isNaN { return .nan }
    switch code {
    case .add: return a + b
    case .subtract: return a - b
    case .multiply: return a * b
    case .divide: return b == 0 ? .nan : a / b
    case .less: return a < b ? 1 : 0
    case .lessOrEqual: return a <= b ? 1 : 0
    case .greater: return a > b ? 1 : 0
    case .greaterOrEqual: return a >= b ? 1 : 0
    case .equal: return a == b ? 1 : 0
    case .notEqual: return a != b ? 1 : 0
    default: return .nan
    }
  }

  private func score(_ state: UnsafeMutablePointer<ScoreState>, _ code: Operation.Code, _ reading: Reading) -> Double {
    if code == .scoreMissing { return Double(state.pointee.missingCount) }
    if state.pointee.knownCount == 0 { return .nan }
    if reading.forClear && state.pointee.hasLostComponent { return .nan }
    return code == .scoreTotal ? Double(state.pointee.total) : Double(state.pointee.singleMax)
  }

  /// One feature's value in canonical units at the reading's time; NaN unknown.
  package func feature(
    _ feature: CompiledFeature, view: PatientView, layout: PlanLayout, reading: Reading
  ) -> Double {
    withUnsafePointer(to: feature) { self.feature(at: $0, view: view, layout: layout, reading: reading) }
  }

  private func feature(
    at place: UnsafePointer<CompiledFeature>, view: PatientView, layout: PlanLayout, reading: Reading
  ) -> Double {
    var position = reading.subject
    if position < 0 || (place.pointee.code >= 0 && view.series[position].code != place.pointee.code) {
      guard place.pointee.code >= 0 else { return .nan }
      position = view.position(of: place.pointee)
    }
    if position < 0 { return place.pointee.kind.ofNoSeries }
    let series = view.series + position
    if position == reading.overridden, place.pointee.kind.isOfOneValue { return reading.override }
    switch place.pointee.kind {
    case .stale: return series.pointee.isStale ? 1 : 0
    case .status: return series.pointee.lastStatus == place.pointee.status ? 1 : 0
    case .source: return Int(series.pointee.rank) == place.pointee.sourceRank ? 1 : 0
    case .missing:
      // By when it was heard, as staleness is: neither a slow device clock nor a back-log looks like silence.
      return series.pointee.lastTime == .min || reading.now - series.pointee.heardAt >= place.pointee.length ? 1 : 0
    case .last:
      return series.pointee.isStale || series.pointee.lastTime == .min
        ? .nan : place.pointee.shape.canonical(Double(series.pointee.lastValue))
    default: break
    }
    // Windows of a lost signal empty by themselves: that is no recovery (SEMANTICS B7, D3).
    if reading.forClear, series.pointee.isStale, place.pointee.kind.isWindowed { return .nan }
    let plan = layout.codes[series.pointee.code]
    series.pointee.refresh(now: reading.now, plan: plan)
    let value =
      place.pointee.cached >= 0
      ? series.pointee.values[place.pointee.cached]
      : asked(place.pointee, of: series, view: view, layout: layout, reading: reading)
    if !value.isNaN { return value }
    // What is asked for by its age does not stand longer than that.
    guard reading.holdLast, !series.pointee.isStale, series.pointee.lastTime != .min, place.pointee.kind.isOfOneValue,
      place.pointee.kind != .newest
    else { return .nan }
    return place.pointee.shape.canonical(Double(series.pointee.lastValue))
  }

  /// A feature whose numbers come from parameters, or that looks back to the rule's own onset.
  private func asked(
    _ feature: CompiledFeature, of series: UnsafeMutablePointer<SeriesWindows>, view: PatientView, layout: PlanLayout,
    reading: Reading
  ) -> Double {
    var shape = feature.shape
    if feature.firstParameter >= 0 {
      shape.first = ExpressionMachine.parameter(
        layout.rules[reading.rule].parameters[feature.firstParameter], feature.firstParameter, view, reading)
    }
    if feature.secondParameter >= 0 {
      shape.second = ExpressionMachine.parameter(
        layout.rules[reading.rule].parameters[feature.secondParameter], feature.secondParameter, view, reading)
    }
    if shape.first.isNaN || shape.second.isNaN { return .nan }
    let plan = layout.codes[series.pointee.code]
    if feature.isSinceOnset {
      series.pointee.setOnset(reading.onset, window: shape.window, now: reading.now, plan: plan)
      if reading.onset == .max { return .nan }
    }
    return series.pointee.value(shape, now: reading.now, plan: plan)
  }

  /// A parameter's value for the patient at hand: what a person set for them, else the case of a flag they carry, else the
  /// rule's own. An unlisted patient's flags are unknown: the ordinary value holds.
  @inline(__always)
  package static func parameter(
    _ parameter: CompiledParameter, _ index: Int, _ view: PatientView, _ reading: Reading
  ) -> Double {
    if view.settingCount > 0 {
      let set = view.setting(rule: reading.rule, parameter: index, now: reading.now)
      if !set.isNaN { return set }
    }
    for other in parameter.cases where view.flagBits & other.flagBit != 0 { return other.value }
    return parameter.value
  }
}

/// A parameter with its values for patients who carry a flag.
// `@unchecked`: the table belongs to the layout and is never written after it was made.
package struct CompiledParameter: @unchecked Sendable, BitwiseCopyable {
  struct Case: BitwiseCopyable {
    var flagBit: UInt64
    var value: Double
  }
  let value: Double
  let cases: PlanLayout.Table<Case>

  init(_ parameter: RuleParameter, flags: [String], memory: TableMemory) {
    value = parameter.value.double
    cases = memory.table(
      parameter.cases.map { other in
        Case(flagBit: flags.firstIndex(of: other.flag).map { 1 << UInt64($0) } ?? 0, value: other.value.double)
      })
  }
}

extension FeatureKind {
  /// What it is where the patient has no series of the vital: silent, none counted, else unknown.
  var ofNoSeries: Double {
    switch self {
    case .stale, .missing: 1
    case .count, .countBelow, .countAbove, .crossings: 0
    default: .nan
    }
  }

  /// Whether it says what the vital is like, so that a single value could stand for it.
  var isOfOneValue: Bool {
    switch self {
    case .last, .first, .newest, .mean, .median, .quantile, .min, .max, .ewma: true
    default: false
    }
  }
}
