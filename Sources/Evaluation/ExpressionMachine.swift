import VitalModel

/// One operation of a compiled program: 16 bytes, no references.
struct Operation: BitwiseCopyable, Sendable {
  enum Code: UInt8 {
    case constant, selectByFlag, selectBySetting, feature, scoreTotal, scoreSingleMax, scoreMissing, age, flag
    case add, subtract, multiply, divide, negate, absolute
    case less, lessOrEqual, greater, greaterOrEqual, equal, notEqual
    case and, or, not
  }
  var code: UInt8
  var index: Int32
  var constant: Double
}

/// A program with parameters folded in and names resolved.
// `@unchecked`: the table belongs to the layout and is never written after it was made.
package struct CompiledProgram: @unchecked Sendable, BitwiseCopyable {
  let operations: PlanLayout.Table<Operation>

  /// - Parameter rule: position of the rule in the plan, for what is set for a patient.
  init(_ program: Program, rule: Int, parameters: [RuleParameter], flags: [String], memory: TableMemory) {
    operations = memory.table(
      program.instructions.flatMap { instruction -> [Operation] in
        if case .parameter(let index) = instruction {
          let setting = Operation(
            code: Operation.Code.selectBySetting.rawValue, index: Int32(index), constant: Double(rule))
          return CompiledProgram.parameter(parameters[index], flags) + [setting]
        }
        return [CompiledProgram.operation(instruction, flags)]
      })
  }

  /// The value, then a replacement for each flag; the first case comes last, so that it wins.
  private static func parameter(_ parameter: RuleParameter, _ flags: [String]) -> [Operation] {
    let value = Operation(code: Operation.Code.constant.rawValue, index: 0, constant: parameter.value.double)
    return [value]
      + parameter.cases.reversed().map { other in
        Operation(
          code: Operation.Code.selectByFlag.rawValue, index: Int32(flags.firstIndex(of: other.flag) ?? 64),
          constant: other.value.double)
      }
  }

  private static func operation(_ instruction: Instruction, _ flags: [String]) -> Operation {
    func plain(_ code: Operation.Code, _ index: Int = 0) -> Operation {
      Operation(code: code.rawValue, index: Int32(index), constant: 0)
    }
    switch instruction {
    case .constant(let value): return Operation(code: Operation.Code.constant.rawValue, index: 0, constant: value)
    case .parameter: return Operation(code: Operation.Code.constant.rawValue, index: 0, constant: .nan)
    case .feature(let index): return plain(.feature, index)
    case .score(let index, .total): return plain(.scoreTotal, index)
    case .score(let index, .singleMax): return plain(.scoreSingleMax, index)
    case .score(let index, .missing): return plain(.scoreMissing, index)
    case .attribute(.age): return plain(.age)
    case .attribute(.ageMonths), .attribute(.unit), .scoreComponent, .atLeast:
      return Operation(code: Operation.Code.constant.rawValue, index: 0, constant: .nan)
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
    package var holdLast: Bool
    /// In a clear condition a score with a component gone stale is unknown: it must not seem to improve.
    package var forClear = false
    /// Stands in for the values of series ``overridden``: an unusable sample being checked against the bypass limit.
    package var override: Double = .nan
    package var overridden = -1

    package init(now: Int64, subject: Int, holdLast: Bool) {
      self.now = now
      self.subject = subject
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
      case .selectByFlag:
        // An unlisted patient's flags are unknown: the ordinary value holds.
        if view.flagBits & (1 << UInt64(operation.index)) != 0 { stack[top - 1] = operation.constant }
      case .selectBySetting:
        guard view.settingCount > 0 else { continue }
        let value = view.setting(rule: Int(operation.constant), parameter: Int(operation.index), now: reading.now)
        if !value.isNaN { stack[top - 1] = value }
      case .feature:
        push(feature(features[Int(operation.index)], view: view, layout: layout, reading: reading), &top)
      case .scoreTotal, .scoreSingleMax, .scoreMissing:
        push(score(view.scores + Int(operation.index), code, reading), &top)
      case .age: push(view.age, &top)
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
    var position = reading.subject
    if position < 0 || (feature.code >= 0 && view.series[position].code != feature.code) {
      guard feature.code >= 0 else { return .nan }
      position = Int(view.preferred[feature.code])
    }
    if position < 0 { return feature.kind == .stale ? 1 : .nan }
    let series = view.series + position
    if position == reading.overridden, feature.kind.isOfOneValue { return reading.override }
    switch feature.kind {
    case .stale: return series.pointee.isStale ? 1 : 0
    case .status: return series.pointee.lastStatus == feature.status ? 1 : 0
    case .last:
      return series.pointee.isStale || series.pointee.lastTime == .min
        ? .nan : feature.canonical(Double(series.pointee.lastValue))
    default:
      series.pointee.trim(now: reading.now, plan: layout.codes[series.pointee.code])
      let aggregate = series.pointee.aggregate(feature.kind, window: feature.window)
      if feature.kind == .count { return aggregate }
      if !aggregate.isNaN { return feature.canonical(aggregate) }
      guard reading.holdLast, !series.pointee.isStale, series.pointee.lastTime != .min,
        feature.kind != .delta, feature.kind != .range
      else { return .nan }
      return feature.canonical(Double(series.pointee.lastValue))
    }
  }
}

extension FeatureKind {
  /// Whether the window must keep its values sorted.
  var needsOrder: Bool { self == .median || self == .min || self == .max || self == .range }
  /// Whether it says what the vital is like, so that a single value could stand for it.
  var isOfOneValue: Bool { self == .last || self == .mean || self == .median || self == .min || self == .max }
}
