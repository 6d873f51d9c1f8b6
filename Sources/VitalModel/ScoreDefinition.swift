/// One column of bands of a score component: the points of the first band whose upper end is not below the value.
package struct ScoreBands: Hashable, Sendable {
  package struct Band: Hashable, Sendable {
    /// Inclusive, in grid steps.
    package var upTo: Int64
    package var points: Int
    package init(upTo: Int64, points: Int) {
      self.upTo = upTo
      self.points = points
    }
  }

  /// Ascending; the last one's upper end is `Int64.max`, so that no value falls between bands.
  package var bands: [Band]
  package init(bands: [Band]) { self.bands = bands }

  /// Linear search: a chart has at most seven bands.
  package func points(_ grid: Int64) -> Int {
    for band in bands where grid <= band.upTo { return band.points }
    return bands.last?.points ?? 0
  }

  var text: String { bands.map { "\($0.upTo)=\($0.points)" }.joined(separator: ",") }
}

/// Another column of a chart's row, for patients and circumstances it is meant for.
package struct ScoreVariant: Hashable, Sendable {
  /// Only patients known to carry this flag.
  package var flag: String?
  /// Only while oxygen is given, or only while it is not; nil: either.
  package var onOxygen: Bool?
  /// Only from this many completed months (included) to this many (excluded); an unknown age fits no such column.
  package var monthsFrom: Int?
  package var monthsBelow: Int?
  package var bands: ScoreBands

  package init(
    flag: String? = nil, onOxygen: Bool? = nil, monthsFrom: Int? = nil, monthsBelow: Int? = nil, bands: ScoreBands
  ) {
    self.flag = flag
    self.onOxygen = onOxygen
    self.monthsFrom = monthsFrom
    self.monthsBelow = monthsBelow
    self.bands = bands
  }

  package var asksAge: Bool { monthsFrom != nil || monthsBelow != nil }

  var text: String {
    let age = asksAge ? "/\(monthsFrom.map(String.init) ?? "-")..<\(monthsBelow.map(String.init) ?? "-")" : ""
    return "\(flag ?? "any")/\(onOxygen.map(String.init) ?? "any")\(age):\(bands.text)"
  }
}

/// Where one row of a chart gets its number from.
package enum ScoreInput: Hashable, Sendable {
  /// The first of these vitals that is current (`hr`, else `pr`).
  case preferred([VitalCode])
  /// Each vital has bands of its own; the known one with most points counts, the first of equals.
  case worst([(code: VitalCode, bands: ScoreBands)])
  /// The first over the second, each the first of its vitals that is current; in hundredths, rounded half up. Unknown
  /// where the divisor is 0.
  case ratio([VitalCode], [VitalCode])
  /// Whether the patient breathes oxygen: any flow, or a fraction above room air (20.9 to 21 %, CLINICAL 1.1). Its bands
  /// are of 0 (no) and 1 (yes).
  case oxygen([VitalCode])
  /// What an expression gives: a window's mean, a change, a ratio, an age.
  case expression(ScoreExpression)

  /// Decimal places of the grid ``ratio(_:_:)`` is banded on.
  package static let ratioExponent = -2

  /// Every vital it may read, without duplicates.
  package var codes: [VitalCode] {
    let all: [VitalCode] =
      switch self {
      case .preferred(let codes), .oxygen(let codes): codes
      case .worst(let inputs): inputs.map(\.code)
      case .ratio(let top, let bottom): top + bottom
      case .expression(let expression): expression.codes
      }
    return all.reduce(into: []) { if !$0.contains($1) { $0.append($1) } }
  }

  package static func == (a: ScoreInput, b: ScoreInput) -> Bool {
    switch (a, b) {
    case (.preferred(let x), .preferred(let y)), (.oxygen(let x), .oxygen(let y)): x == y
    case (.worst(let x), .worst(let y)): x.elementsEqual(y) { $0.code == $1.code && $0.bands == $1.bands }
    case (.ratio(let x, let u), .ratio(let y, let v)): x == y && u == v
    case (.expression(let x), .expression(let y)): x == y
    default: false
    }
  }

  package func hash(into hasher: inout Hasher) { hasher.combine(codes) }
}

/// One row of a score chart.
package struct ScoreComponent: Hashable, Sendable {
  package var name: String
  package var input: ScoreInput
  /// Continuous sources are read as the median of this many milliseconds (SEMANTICS C4); 0: always the newest value.
  package var medianWindow: Int64
  /// The column in force where no variant is; nil: the component is then unknown. Not used by ``ScoreInput/worst(_:)``.
  package var bands: ScoreBands?
  /// Other columns: the first that fits.
  package var variants: [ScoreVariant]
  /// Points while it is unknown, never measured or stale; it then is neither missing nor lost. nil: it is missing.
  package var absent: Int?

  package init(
    name: String, input: ScoreInput, medianWindow: Int64 = 0, bands: ScoreBands?, variants: [ScoreVariant] = [],
    absent: Int? = nil
  ) {
    self.name = name
    self.input = input
    self.medianWindow = medianWindow
    self.bands = bands
    self.variants = variants
    self.absent = absent
  }

  /// The vitals that may supply it, preferred first.
  package var codes: [VitalCode] { input.codes }

  package var isOxygen: Bool {
    if case .oxygen = input { true } else { false }
  }

  package var expression: ScoreExpression? {
    if case .expression(let expression) = input { expression } else { nil }
  }

  /// Decimal places of a number that is no input of its own, as a power of ten; nil: it is judged by a vital as measured.
  package var valueExponent: Int? {
    switch input {
    case .ratio: ScoreInput.ratioExponent
    case .expression(let expression): expression.exponent
    case .preferred, .worst, .oxygen: nil
    }
  }

  /// The most points any of its columns gives.
  package var pointsMax: Int {
    var columns = [bands].compactMap { $0 } + variants.map(\.bands)
    if case .worst(let inputs) = input { columns = inputs.map(\.bands) }
    return max(columns.flatMap(\.bands).map(\.points).max() ?? 0, absent ?? 0)
  }
}

/// A class of standing in a score, such as `medium`: reached by the total or by one component alone.
package struct ScoreTrigger: Hashable, Sendable {
  package var name: String
  /// From this total; nil: not by the total.
  package var total: Int?
  /// From this many points of any one component; nil: not by one.
  package var single: Int?

  package init(name: String, total: Int? = nil, single: Int? = nil) {
    self.name = name
    self.total = total
    self.single = single
  }

  /// Whether everybody is at least in this class.
  package var isLowest: Bool { total == nil && single == nil }

  package func isReached(total: Int, single: Int) -> Bool {
    isLowest || self.total.map { total >= $0 } ?? false || self.single.map { single >= $0 } ?? false
  }
}

/// An early-warning score as a table (CLINICAL section 2).
package struct ScoreDefinition: Hashable, Sendable {
  package var id: String
  package var title: String
  package var source: String
  package var components: [ScoreComponent]
  /// Highest class first; the last is ``ScoreTrigger/isLowest``. Empty: the score has no classes.
  package var triggers: [ScoreTrigger]

  /// A chart has at most this many rows.
  package static let componentsMax = 12

  package init(
    id: String, title: String, source: String, components: [ScoreComponent], triggers: [ScoreTrigger] = []
  ) {
    self.id = id
    self.title = title
    self.source = source
    self.components = components
    self.triggers = triggers
  }

  /// The highest class reached. An incomplete score's points are a lower bound: they can reach a class, but never show
  /// that the patient is only in the lowest (CLINICAL 2.1).
  package func trigger(total: Int, single: Int, isComplete: Bool) -> ScoreTrigger? {
    guard let reached = triggers.first(where: { $0.isReached(total: total, single: single) }) else { return nil }
    return isComplete || !reached.isLowest ? reached : nil
  }

  /// Every vital any row may read, without duplicates, in the order of the chart.
  package var codes: [VitalCode] {
    components.flatMap(\.codes).reduce(into: []) { if !$0.contains($1) { $0.append($1) } }
  }

  /// The first component that newest values are not enough for; nil: a row of single numbers is enough.
  package var needsHistory: ScoreComponent? { components.first { $0.expression?.needsHistory == true } }

  /// Whether some column or expression asks how old the patient is.
  package var asksAge: Bool {
    components.contains { $0.variants.contains(where: \.asksAge) || $0.expression?.asksAge == true }
  }

  /// Flags its columns ask for.
  package var flags: [String] { components.flatMap(\.variants).compactMap(\.flag) }

  /// Every number of the chart in one fixed order: what versions of rules that use it hash. Classes are left out; no rule
  /// reads them.
  package func canonicalText(registry: VitalRegistry) -> String {
    func keys(_ codes: [VitalCode]) -> String { codes.map { registry[$0].key }.joined(separator: "|") }
    let rows = components.map { component in
      let input =
        switch component.input {
        case .preferred(let codes): keys(codes)
        case .worst(let inputs):
          "worst " + inputs.map { "\(registry[$0.code].key):\($0.bands.text)" }.joined(separator: " ")
        case .ratio(let top, let bottom): "\(keys(top))/\(keys(bottom))"
        case .oxygen(let codes): "oxygen \(keys(codes))"
        case .expression(let expression): "value \(expression.canonicalText) in 1e\(expression.exponent)"
        }
      // Only where it is given: charts without it keep their versions.
      let absent = component.absent.map { " absent \($0)" } ?? ""
      return "\(component.name) \(input) \(component.medianWindow) \(component.bands?.text ?? "-") "
        + component.variants.map(\.text).joined(separator: " ") + absent
    }
    return "score \(id)\n" + rows.joined(separator: "\n")
  }
}

extension RulePlan {
  /// The plan without the scores none of its rules uses: each would cost memory for every patient.
  package var keepingUsedScores: RulePlan {
    let used = scores.indices.filter { index in
      rules.contains { rule in
        rule.score == index || rule.programs.contains { $0.instructions.contains { $0.score == index } }
      }
    }
    var places: [Int: Int] = [:]
    for (place, index) in used.enumerated() { places[index] = place }
    var plan = self
    plan.scores = used.map { scores[$0] }
    for index in plan.rules.indices { plan.rules[index].renumberScores(places) }
    return plan
  }
}

extension Instruction {
  /// Position of the score it reads, nil if it reads none.
  package var score: Int? {
    switch self {
    case .score(let index, _), .scoreComponent(let index, _): index
    default: nil
    }
  }
}

extension RuleDefinition {
  /// Every program of the rule.
  package var programs: [Program] {
    [applies, when, clear, bypass, bypassLimit, confirm, check?.supported, check?.unsupported].compactMap { $0 }
      + raises.map(\.when) + gates + adaptations.map(\.to)
  }

  /// Changes every program of the rule in place.
  package mutating func changePrograms(_ change: (inout Program) -> Void) {
    func changed(_ program: Program) -> Program {
      var copy = program
      change(&copy)
      return copy
    }
    applies = applies.map(changed)
    when = changed(when)
    clear = clear.map(changed)
    bypass = bypass.map(changed)
    bypassLimit = bypassLimit.map(changed)
    for index in raises.indices { change(&raises[index].when) }
    for index in gates.indices { change(&gates[index]) }
    confirm = confirm.map(changed)
    for index in adaptations.indices { change(&adaptations[index].to) }
    if let old = check {
      check?.supported = changed(old.supported)
      check?.unsupported = changed(old.unsupported)
    }
  }

  /// Flags the rule's conditions, parameters and inhibition ask for.
  package var flags: Set<String> {
    var flags = Set(parameters.flatMap(\.cases).map(\.flag))
    flags.formUnion(inhibitedIn.filter { AdmissionState(rawValue: $0) == nil })
    for case .attribute(.flag(let flag)) in programs.flatMap(\.instructions) { flags.insert(flag) }
    return flags
  }

  fileprivate mutating func renumberScores(_ places: [Int: Int]) {
    func renumbered(_ program: Program) -> Program {
      var program = program
      program.instructions = program.instructions.map { instruction in
        switch instruction {
        case .score(let index, let field): .score(places[index] ?? index, field)
        case .scoreComponent(let index, let component): .scoreComponent(places[index] ?? index, component)
        default: instruction
        }
      }
      return program
    }
    score = score.flatMap { places[$0] }
    changePrograms { $0 = renumbered($0) }
  }
}
