import VitalModel
import YAMLText

extension ExpressionChecker {
  /// A week: the longest window (DESIGN section 3: memory is bounded).
  static let windowMax: Int64 = 604_800_000
  /// The most samples a window by count holds.
  static let samplesMax = 8192
  /// Steps of a hopping window: each is a pane of memory (DESIGN section 3: memory is bounded).
  static let panesMax: Int64 = 2048

  mutating func aggregate(
    _ aggregate: Aggregate, _ arguments: [Expression.Argument], _ column: Int
  ) throws(ExpressionProblem) -> (Feature, ValueType) {
    let name = aggregate.kind.rawValue
    var rest = arguments[...]
    var code: VitalCode?
    var origin: String?
    if !eachSeries {
      guard let first = rest.popFirst(), case .name(let word)? = ExpressionChecker.expression(first)?.content else {
        throw ExpressionProblem(column, "`\(name)` needs a vital first, as in `\(aggregate.example)`")
      }
      (code, origin) = try vitalOfSource(word, first.column)
      if origin != nil, aggregate.kind == .source {
        throw ExpressionProblem(first.column, "`source` asks for the source: `\(word)` names it already")
      }
    }
    if eachSeries, !aggregate.windows.isEmpty {
      throw ExpressionProblem(column, "`\(name)` cannot be used with `each: series`")
    }
    var feature = Feature(kind: aggregate.kind, code: code, source: origin)
    if aggregate.numbersFirst { feature.arguments = try numbers(aggregate, code, &rest, column) }
    if !aggregate.windows.isEmpty {
      guard let next = rest.popFirst(), case .window(let shape, let place) = next else {
        throw ExpressionProblem(column, "`\(name)` needs a window, as in `\(aggregate.example)`")
      }
      try check(shape, aggregate, place)
      feature.window = shape
    }
    if !aggregate.numbersFirst { feature.arguments = try numbers(aggregate, code, &rest, column) }
    if aggregate.kind == .status { feature.status = try status(rest.popFirst(), column) }
    if aggregate.kind == .source { feature.source = try source(rest.popFirst(), code, column) }
    guard rest.isEmpty else { throw ExpressionProblem(column, "`\(name)` has too many arguments") }
    return (feature, type(aggregate, code))
  }

  private func type(_ aggregate: Aggregate, _ code: VitalCode?) -> ValueType {
    let unit = code.map { self.unit(of: $0) }
    func ending(_ text: String, _ form: Quantity.Form) -> ValueType {
      guard let unit else { return .plain }
      return .quantity(Quantity(text: unit.text + text, vital: unit.vital, form: form))
    }
    switch aggregate.result {
    case .vital: return unit.map { .quantity($0) } ?? .plain
    case .difference: return unit.map { .quantity($0.asDifference) } ?? .plain
    case .perMinute: return ending("/min", .perMinute)
    case .minutes: return ending(".min", .minutes)
    case .duration: return .duration
    case .one: return .quantity(.one)
    case .truth: return .truth
    }
  }

  // MARK: Windows

  private func check(_ shape: WindowShape, _ aggregate: Aggregate, _ column: Int) throws(ExpressionProblem) {
    let name = aggregate.kind.rawValue
    if let form = shape.form, !aggregate.windows.contains(form) {
      throw ExpressionProblem(column, "`\(name)` takes a plain duration, as in `\(aggregate.example)`")
    }
    switch shape {
    case .none: break
    case .sliding(let length): try checkLength(length, column)
    case .hopping(let length, let every):
      try checkLength(length, column)
      guard every > 0, length % every == 0 else {
        let (window, hop) = (DurationText.format(length), DurationText.format(every))
        throw ExpressionProblem(column, "a window of \(window) cannot step every \(hop): the step must divide it")
      }
      guard length / every <= ExpressionChecker.panesMax else {
        let (window, hop) = (DurationText.format(length), DurationText.format(every))
        throw ExpressionProblem(
          column,
          "a window of \(window) every \(hop) has \(length / every) steps, at most \(ExpressionChecker.panesMax) are possible"
        )
      }
    case .samples(let count):
      guard count >= 1, count <= ExpressionChecker.samplesMax else {
        throw ExpressionProblem(
          column, "a window by count holds 1 to \(ExpressionChecker.samplesMax) samples, not \(count)")
      }
      guard count >= aggregate.leastSamples else {
        throw ExpressionProblem(
          column, "`\(name)` needs at least \(aggregate.leastSamples) samples: with \(count) it is never known")
      }
    case .sinceOnset:
      guard place.mayReadEpisode else {
        throw ExpressionProblem(
          column, "`since onset` is unknown until the alert has begun: use it in `clear` or `raise`")
      }
    case .session(let gap): try checkLength(gap, column)
    }
  }

  private func checkLength(_ length: Int64, _ column: Int) throws(ExpressionProblem) {
    guard length > 0, length <= ExpressionChecker.windowMax else {
      throw ExpressionProblem(column, "a window must be longer than 0 and at most 7d")
    }
  }

  // MARK: Numbers

  private mutating func numbers(
    _ aggregate: Aggregate, _ code: VitalCode?, _ rest: inout ArraySlice<Expression.Argument>, _ column: Int
  ) throws(ExpressionProblem) -> [FeatureArgument] {
    // What adapts has a floor and a ceiling of its own.
    if aggregate.kind == .baseline, place == .adapt, rest.isEmpty, let code {
      return [registry[code].rejectBelow, registry[code].rejectAbove].map { .constant($0.double) }
    }
    var list: [FeatureArgument] = []
    var constants: [Double?] = []
    for number in aggregate.numbers {
      guard let next = rest.popFirst(), let tree = ExpressionChecker.expression(next) else {
        let article = aggregate.numbers.count == 1 ? "a \(number.word)" : "a floor and a ceiling"
        throw ExpressionProblem(
          column, "`\(aggregate.kind.rawValue)` needs \(article), as in `\(aggregate.example)`")
      }
      let (argument, value) = try self.number(number, tree, code)
      list.append(argument)
      constants.append(value)
    }
    if constants.count == 2, let floor = constants[0], let ceiling = constants[1], floor >= ceiling {
      throw ExpressionProblem(
        column, "the floor \(NumberText.plain(floor)) is not below the ceiling \(NumberText.plain(ceiling))")
    }
    return list
  }

  /// - Returns: the argument and its number with the parameters' defaults.
  private mutating func number(
    _ number: Aggregate.Number, _ tree: Expression, _ code: VitalCode?
  ) throws(ExpressionProblem) -> (FeatureArgument, Double?) {
    var expected = code.map { unit(of: $0) } ?? .one
    if number == .leastSpread { expected = expected.asDifference }
    if number == .share { expected = .one }
    let checked = try check(tree, expected: .quantity(expected))
    guard checked.isConstant else {
      throw ExpressionProblem(tree.column, "a \(number.word) is a number or a parameter, nothing measured")
    }
    switch checked.type {
    case .quantity(let quantity) where !quantity.fits(expected, registry):
      throw ExpressionProblem(tree.column, "different units: `\(quantity.text)` and `\(expected.text)`")
    case .duration where expected.text != "ms":
      throw ExpressionProblem(tree.column, "different units: a duration and `\(expected.text)`")
    default: break
    }
    if case .parameter(let index) = checked.content {
      for (value, note) in ParameterValues.possible(parameters[index]) {
        try checkRange(value, number, code, tree.column, note)
      }
      return (.parameter(index), parameters[index].value.double)
    }
    guard let value = checked.constant([]) else {
      throw ExpressionProblem(tree.column, "a \(number.word) is one number or one parameter")
    }
    try checkRange(value, number, code, tree.column, "")
    return (.constant(value), value)
  }

  private func checkRange(
    _ value: Double, _ number: Aggregate.Number, _ code: VitalCode?, _ column: Int, _ note: String
  ) throws(ExpressionProblem) {
    switch number {
    case .share:
      guard value >= 0, value <= 1 else {
        throw ExpressionProblem(column, "a share is from 0 to 1, not \(NumberText.plain(value))\(note)")
      }
    case .leastSpread:
      guard value > 0 else { throw ExpressionProblem(column, "a least spread is above 0\(note)") }
    case .limit, .floor, .ceiling:
      guard let vital = code.map({ registry[$0] }) else { return }
      guard value >= vital.rejectBelow.double, value <= vital.rejectAbove.double else {
        throw ExpressionProblem(
          column,
          "impossible \(number.word) \(NumberText.plain(value))\(note): \(vital.key) lies between \(vital.rejectBelow) and "
            + "\(vital.rejectAbove) \(vital.unit)")
      }
    }
  }

  // MARK: Words

  private func word(_ argument: Expression.Argument?) -> (text: String, column: Int)? {
    guard let argument, case .name(let text)? = ExpressionChecker.expression(argument)?.content else { return nil }
    return (text, argument.column)
  }

  private func status(_ argument: Expression.Argument?, _ column: Int) throws(ExpressionProblem) -> SampleStatus {
    let words = SampleStatus.allCases.map(\.text)
    let found = word(argument)
    if let found, let status = SampleStatus(text: found.text) { return status }
    throw ExpressionProblem(
      column, "`status` needs one of \(words.joined(separator: ", "))",
      suggestion: found.flatMap { Suggestion.nearest($0.text, among: words) })
  }

  /// Any source may send; one that is nearly a known one is a slip.
  private func source(
    _ argument: Expression.Argument?, _ code: VitalCode?, _ column: Int
  ) throws(ExpressionProblem) -> String {
    guard let found = word(argument) else {
      throw ExpressionProblem(column, "`source` needs a source, as in `source(hr, ecg)`")
    }
    let known = code.map { registry[$0].sources } ?? registry.vitals.flatMap(\.sources)
    if !known.contains(found.text), let near = Suggestion.nearest(found.text, among: Set(known)) {
      throw ExpressionProblem(found.column, "unknown source `\(found.text)`", suggestion: near)
    }
    return found.text
  }
}

/// The values a parameter can take, for checks that must hold for every patient.
enum ParameterValues {
  /// Default, cases, lowest and highest, each with a note for messages (empty for the default).
  static func possible(_ parameter: RuleParameter) -> [(value: Double, note: String)] {
    var list: [(Double, String)] = [(parameter.value.double, "")]
    func add(_ value: DecimalValue?) {
      guard let value, !list.contains(where: { $0.0 == value.double }) else { return }
      let isDuration = parameter.unit == "ms" && value.exponent == 0
      let text = isDuration ? NumberText.duration(value.double) : value.description
      list.append((value.double, " with `\(parameter.name)` at \(text)"))
    }
    for one in parameter.cases { add(one.value) }
    add(parameter.lowest)
    add(parameter.highest)
    return list
  }
}

enum NumberText {
  /// A number without needless zeros: 90, 0.25.
  static func plain(_ value: Double) -> String {
    if value == value.rounded(), Swift.abs(value) < 1e15 { return String(Int64(value)) }
    return "\(value)"
  }

  /// Milliseconds as a duration, where they are a whole number of at most 100 years; arithmetic may leave that.
  static func milliseconds(_ value: Double) -> Int64? {
    Swift.abs(value) <= 3_155_760_000_000 ? Int64(exactly: value) : nil
  }

  static func duration(_ value: Double) -> String {
    milliseconds(value).map { DurationText.format($0) } ?? "\(plain(value)) ms"
  }
}
