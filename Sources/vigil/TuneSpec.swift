import RuleLanguage
import Service
import Statistics
import VitalModel
import YAMLText

/// What `vigil tune` is to try: rules, and the values of what may be set of them.
struct TuneSpec {
  let rules: [String]
  let grid: TuningGrid
  /// The value each axis has in the rules as they are.
  let today: [DecimalValue]

  /// Settings a grid made of the rules' own bounds may have.
  private static let unaskedMax = 2000
  /// Values of each parameter in it.
  private static let unaskedValues = 11

  init(_ arguments: Arguments, _ sweep: SweepRules) throws(CommandFailure) {
    let rules = arguments.list("--rule")
    guard !rules.isEmpty else {
      throw CommandFailure(ExitCode.usage, "tune: `--rule ID[,ID]` is missing: the rules to tune")
    }
    try self.init(rules: rules, parts: arguments.list("--sweep"), of: "--sweep", sweep)
  }

  /// - Parameters:
  ///   - rules: ids.
  ///   - parts: `NAME=values` each; none: every parameter over its own bounds.
  ///   - flag: the option they were given to.
  init(rules: [String], parts: [String], of flag: String, _ sweep: SweepRules) throws(CommandFailure) {
    self.rules = rules
    var quantities: [String: [SweepQuantity]] = [:]
    for id in rules {
      guard let own = sweep.names(of: id) else {
        throw TuneSpec.unknown("rule", id, among: sweep.plan.rules.map(\.id), "among those in use")
      }
      guard quantities.updateValue(own, forKey: id) == nil else {
        throw CommandFailure(ExitCode.usage, "tune: rule `\(id)` is named twice")
      }
    }
    var axes: [TuningAxis] = []
    for part in parts {
      let axis = try TuneSpec.axis(part, flag, rules, quantities)
      guard !axes.contains(where: { $0.rule == axis.rule && $0.name == axis.name }) else {
        throw CommandFailure(ExitCode.usage, "`\(flag)` names `\(axis.label)` twice")
      }
      axes.append(axis)
    }
    if parts.isEmpty { axes = try TuneSpec.unasked(rules, quantities) }
    guard let grid = TuningGrid(axes) else {
      throw CommandFailure(
        ExitCode.usage, "`\(flag)` makes more than \(TuningGrid.settingsMax) settings: use larger steps")
    }
    self.grid = grid
    today = axes.compactMap { axis in
      quantities[axis.rule]?.first { $0.name == axis.name }?.value.normalized
    }
  }

  /// Whether it sets bounds of limits that follow the patient: of no effect unless such limits are switched on.
  var isAdaptive: Bool { grid.axes.contains { AdaptedBound($0.name) != nil } }

  /// A place of the grid as the sweep takes it.
  func setting(_ position: Int) -> SweepSetting {
    var values: [SweepName: DecimalValue] = [:]
    for (axis, value) in zip(grid.axes, grid.values(position)) {
      values[SweepName(rule: axis.rule, name: axis.name)] = value
    }
    return SweepSetting(values)
  }

  private static func unknown(
    _ what: String, _ name: String, among known: [String], _ place: String
  ) -> CommandFailure {
    let hint = Suggestion.nearest(name, among: known).map { ", did you mean `\($0)`?" } ?? ""
    return CommandFailure(ExitCode.usage, "no \(what) `\(name)` \(place)\(hint)")
  }

  /// `NAME=from:to:step` or `NAME=a|b|c`; with several rules `RULE.NAME=...`.
  private static func axis(
    _ part: String, _ flag: String, _ rules: [String], _ quantities: [String: [SweepQuantity]]
  ) throws(CommandFailure) -> TuningAxis {
    let sides = part.split(separator: "=", maxSplits: 1).map(String.init)
    guard sides.count == 2 else {
      throw CommandFailure(ExitCode.usage, "`\(flag)` must be NAME=from:to:step or NAME=a|b|c, not `\(part)`")
    }
    let (rule, name) = try place(sides[0], flag, rules)
    let own = quantities[rule] ?? []
    guard let quantity = own.first(where: { $0.name == name }) else {
      let hint = Suggestion.nearest(name, among: own.map(\.name)).map { ", did you mean `\($0)`?" } ?? ""
      throw CommandFailure(
        ExitCode.usage,
        "`\(rule)` has nothing called `\(name)`\(hint) (may be set: \(own.map(\.name).joined(separator: " ")))")
    }
    let values = try values(sides[1], of: "\(flag) \(sides[0])", quantity)
    for value in values {
      let text = quantity.isDuration ? DurationText.format(Int64(value.double)) : value.description
      if let lowest = quantity.lowest, value.double < lowest.double {
        throw CommandFailure(
          ExitCode.usage, "`\(sides[0])` \(text) is below the rule's own minimum \(bound(lowest, quantity))")
      }
      if let highest = quantity.highest, value.double > highest.double {
        throw CommandFailure(
          ExitCode.usage, "`\(sides[0])` \(text) is above the rule's own maximum \(bound(highest, quantity))")
      }
    }
    return TuningAxis(
      rule: rule, name: name, label: label(rule, name, rules), values: values, isDuration: quantity.isDuration)
  }

  private static func label(_ rule: String, _ name: String, _ rules: [String]) -> String {
    rules.count > 1 ? "\(rule).\(name)" : name
  }

  private static func bound(_ value: DecimalValue, _ quantity: SweepQuantity) -> String {
    quantity.isDuration ? DurationText.format(Int64(value.double)) : value.normalized.description
  }

  private static func place(
    _ text: String, _ flag: String, _ rules: [String]
  ) throws(CommandFailure) -> (rule: String, name: String) {
    let words = text.split(separator: ".", maxSplits: 1).map(String.init)
    if words.count == 2, rules.contains(words[0]) || words[0] != "adapt" {
      guard rules.contains(words[0]) else { throw unknown("rule", words[0], among: rules, "in `--rule`") }
      return (words[0], words[1])
    }
    guard rules.count == 1 else {
      throw CommandFailure(ExitCode.usage, "`\(flag) \(text)`: with several rules write `\(rules[0]).\(text)`")
    }
    return (rules[0], text)
  }

  private static func values(
    _ text: String, of name: String, _ quantity: SweepQuantity
  ) throws(CommandFailure) -> [DecimalValue] {
    func wrong(_ reason: String) -> CommandFailure {
      CommandFailure(ExitCode.usage, "`\(name)=\(text)`: \(reason)")
    }
    let found: (values: [DecimalValue], isDuration: Bool)
    do throws(TuningAxis.Mistake) {
      found = try TuningAxis.values(text)
    } catch {
      switch error {
      case .notANumber(let part): throw wrong("`\(part)` is neither a number nor a duration such as `15s`")
      case .mixed: throw wrong("numbers and durations cannot be mixed")
      case .badRange: throw wrong("a range is from:to:step, the end not below the begin and the step above zero")
      case .tooMany: throw wrong("more than \(TuningAxis.valuesMax) values: use a larger step")
      case .twice(let part): throw wrong("`\(part)` is there twice")
      }
    }
    let isNothing = found.values.allSatisfy { $0.mantissa == 0 }
    guard found.isDuration == quantity.isDuration || isNothing else {
      throw wrong(quantity.isDuration ? "it is a duration: write `0s:60s:5s`" : "it is a number without a unit of time")
    }
    return found.values
  }

  /// Every parameter of the rules over its own bounds, where that is few settings.
  private static func unasked(
    _ rules: [String], _ quantities: [String: [SweepQuantity]]
  ) throws(CommandFailure) -> [TuningAxis] {
    var axes: [TuningAxis] = []
    for rule in rules {
      for quantity in quantities[rule] ?? [] where !quantity.isKey {
        guard let lowest = quantity.lowest, let highest = quantity.highest else { continue }
        let spread = TuningAxis.spread(from: lowest, to: highest, count: unaskedValues)
        let values = quantity.isDuration ? spread.compactMap(wholeSeconds) : spread
        axes.append(
          TuningAxis(
            rule: rule, name: quantity.name, label: label(rule, quantity.name, rules),
            values: values.reduce(into: []) { if $0.last != $1 { $0.append($1) } }, isDuration: quantity.isDuration))
      }
    }
    let offer = axes.map { axis in
      let (first, last) = (axis.values.first.map(axis.text) ?? "", axis.values.last.map(axis.text) ?? "")
      return "\(axis.label) \(first) to \(last)"
    }
    guard !axes.isEmpty else {
      throw CommandFailure(
        ExitCode.usage, "tune: no parameter of these rules has bounds: say what to try, as in `--sweep for=0s:60s:5s`")
    }
    guard let grid = TuningGrid(axes), grid.count <= unaskedMax else {
      throw CommandFailure(
        ExitCode.usage,
        "tune: `--sweep NAME=from:to:step` is missing; all of it at once is too much: \(offer.joined(separator: ", "))")
    }
    return axes
  }

  /// Of milliseconds.
  private static func wholeSeconds(_ value: DecimalValue) -> DecimalValue? {
    value.scaled(toExponent: 3).map { DecimalValue(mantissa: $0, exponent: 3).normalized }
  }
}
