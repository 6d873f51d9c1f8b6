import VitalModel

/// What a condition asks about, reduced to what decides its truth.
enum BranchVariable: Hashable {
  /// Any aggregate that equals the vital while it is steady (newest value, mean, median ...).
  case level(VitalCode)
  case feature(Feature)
  case score(Int, ScoreField)
  case component(Int, Int)
  case attribute(PatientAttribute)
  /// A sum, ratio or comparison of several inputs, taken as one thing.
  case composite([Instruction])
}

/// The logic of a condition over variables, with the parameters filled in.
indirect enum BranchFormula {
  case fixed(Bool)
  /// A variable that is true (1) or false (0).
  case truth(Int)
  case compare(Instruction, Int, Double)
  case not(BranchFormula)
  case and(BranchFormula, BranchFormula)
  case or(BranchFormula, BranchFormula)
  case atLeast(Int, [BranchFormula])

  func holds(_ values: [Double]) -> Bool {
    switch self {
    case .fixed(let value): value
    case .truth(let index): values[index] != 0
    case .compare(let instruction, let index, let limit): BranchFormula.compare(instruction, values[index], limit)
    case .not(let inner): !inner.holds(values)
    case .and(let a, let b): a.holds(values) && b.holds(values)
    case .or(let a, let b): a.holds(values) || b.holds(values)
    case .atLeast(let needed, let members): members.reduce(0) { $0 + ($1.holds(values) ? 1 : 0) } >= needed
    }
  }

  static func compare(_ instruction: Instruction, _ a: Double, _ b: Double) -> Bool {
    switch instruction {
    case .less: a < b
    case .lessOrEqual: a <= b
    case .greater: a > b
    case .greaterOrEqual: a >= b
    case .equal: a == b
    default: a != b
    }
  }
}

/// Turns checked conditions into formulas over one shared list of variables, and tries every case that matters.
///
/// Each variable is tried at every limit it is compared with, between neighbouring limits and beyond them, inside what
/// the registry lets it be. So what holds in all of these cases holds always.
struct BranchCases {
  let rule: RuleDefinition
  let registry: VitalRegistry
  let scores: [ScoreDefinition]
  /// Values of ``RuleDefinition/parameters``.
  let parameters: [Double]
  /// Whether aggregates of one vital count as one variable: true for a signal that does not move.
  let isSteady: Bool

  private(set) var variables: [BranchVariable] = []
  private var limits: [Set<Double>] = []
  private var truths: Set<Int> = []

  /// Cases beyond this are not tried, and nothing is said.
  static let countMax = 4000

  init(
    rule: RuleDefinition, registry: VitalRegistry, scores: [ScoreDefinition], parameters: [Double], isSteady: Bool
  ) {
    self.rule = rule
    self.registry = registry
    self.scores = scores
    self.parameters = parameters
    self.isSteady = isSteady
  }

  // MARK: Formulas

  mutating func formula(_ tree: CheckedExpression) -> BranchFormula {
    switch tree.content {
    case .unary(.not, let inner): return .not(formula(inner))
    case .binary(.and, let left, let right): return .and(formula(left), formula(right))
    case .binary(.or, let left, let right): return .or(formula(left), formula(right))
    case .binary(let instruction, let left, let right) where instruction.isComparison:
      return comparison(instruction, left, right)
    case .atLeast(let needed, let members):
      var list: [BranchFormula] = []
      for member in members { list.append(formula(member)) }
      return .atLeast(needed, list)
    default:
      let index = self.index(of: variable(tree))
      truths.insert(index)
      return .truth(index)
    }
  }

  private mutating func comparison(
    _ instruction: Instruction, _ left: CheckedExpression, _ right: CheckedExpression
  ) -> BranchFormula {
    switch (left.constant(parameters), right.constant(parameters)) {
    case (.some(let a), .some(let b)): return .fixed(BranchFormula.compare(instruction, a, b))
    case (nil, .some(let limit)): return compare(instruction, left, limit)
    case (.some(let limit), nil): return compare(instruction.mirrored, right, limit)
    case (nil, nil):
      let index = self.index(of: .composite(left.instructions + right.instructions + [instruction]))
      truths.insert(index)
      return .truth(index)
    }
  }

  /// Constants added to the variable go over to the limit.
  private mutating func compare(_ instruction: Instruction, _ tree: CheckedExpression, _ limit: Double) -> BranchFormula
  {
    if case .binary(let step, let left, let right) = tree.content, step == .add || step == .subtract {
      if let constant = right.constant(parameters) {
        return compare(instruction, left, step == .add ? limit - constant : limit + constant)
      }
      if let constant = left.constant(parameters) {
        return step == .add
          ? compare(instruction, right, limit - constant) : compare(instruction.mirrored, right, constant - limit)
      }
    }
    let index = self.index(of: variable(tree))
    limits[index].insert(limit)
    return .compare(instruction, index, limit)
  }

  private func variable(_ tree: CheckedExpression) -> BranchVariable {
    switch tree.content {
    case .feature(let index):
      let feature = rule.features[index]
      if isSteady, feature.kind.isLevel, let code = feature.code { return .level(code) }
      return .feature(feature)
    case .score(let index, let field): return .score(index, field)
    case .component(let index, let component): return .component(index, component)
    case .attribute(let attribute): return .attribute(attribute)
    default: return .composite(tree.instructions)
    }
  }

  private mutating func index(of variable: BranchVariable) -> Int {
    if let index = variables.firstIndex(of: variable) { return index }
    variables.append(variable)
    limits.append([])
    return variables.count - 1
  }

  // MARK: Cases

  /// Calls `body` with every case until it says true.
  ///
  /// - Returns: the values of the case it said true to; nil if to none or if there are too many cases.
  func first(where body: ([Double]) -> Bool) -> [Double]? {
    let choices = variables.indices.map { values(of: $0) }
    var count = 1
    for choice in choices {
      count *= choice.count
      if count > BranchCases.countMax { return nil }
    }
    var counter = [Int](repeating: 0, count: choices.count)
    for _ in 0..<count {
      let values = counter.indices.map { choices[$0][counter[$0]] }
      if body(values) { return values }
      for position in counter.indices {
        counter[position] += 1
        if counter[position] < choices[position].count { break }
        counter[position] = 0
      }
    }
    return nil
  }

  /// Whether every case can be tried.
  var isComplete: Bool {
    var count = 1
    for index in variables.indices {
      count *= values(of: index).count
      if count > BranchCases.countMax { return false }
    }
    return true
  }

  private func values(of index: Int) -> [Double] {
    if truths.contains(index) { return [0, 1] }
    let bounds = bounds(of: variables[index])
    let sorted = limits[index].sorted()
    guard let least = sorted.first, let greatest = sorted.last else { return [bounds.low ?? 0] }
    let isWhole = isWhole(variables[index])
    var points: [Double] = [least - 1]
    for (position, limit) in sorted.enumerated() {
      points.append(limit)
      if isWhole {
        points += [limit - 1, limit + 1]
      } else if position + 1 < sorted.count {
        points.append((limit + sorted[position + 1]) / 2)
      }
    }
    points.append(greatest + 1)
    points += [bounds.low, bounds.high].compactMap { $0 }
    let inside = Set(points).filter { $0 >= bounds.low ?? -.infinity && $0 <= bounds.high ?? .infinity }
    return inside.isEmpty ? [bounds.low ?? 0] : inside.sorted()
  }

  private func isWhole(_ variable: BranchVariable) -> Bool {
    switch variable {
    case .score, .component, .attribute: true
    case .feature(let feature): [.count, .countAbove, .countBelow, .crossings].contains(feature.kind)
    default: false
    }
  }

  /// What the registry and the definitions of the aggregates let a variable be.
  func bounds(of variable: BranchVariable) -> (low: Double?, high: Double?) {
    switch variable {
    case .level(let code): return (registry[code].rejectBelow.double, registry[code].rejectAbove.double)
    case .feature(let feature): return bounds(of: feature)
    case .score(let index, .missing): return (0, Double(scores[index].components.count { $0.absent == nil }))
    case .score(let index, .singleMax): return (0, scores[index].components.map(highest).max() ?? 0)
    case .score(let index, .total): return (0, scores[index].components.map(highest).reduce(0, +))
    case .component(let index, let component): return (0, highest(scores[index].components[component]))
    case .attribute(.age): return (0, 130)
    case .attribute(.ageMonths): return (0, 1560)
    case .attribute: return (0, 1)
    case .composite(let code): return code.last == .absolute ? (0, nil) : (nil, nil)
    }
  }

  private func highest(_ component: ScoreComponent) -> Double {
    Double(component.pointsMax)
  }

  private func bounds(of feature: Feature) -> (low: Double?, high: Double?) {
    let vital = feature.code.map { registry[$0] }
    let low = vital?.rejectBelow.double
    let high = vital?.rejectAbove.double
    let spread = high.flatMap { high in low.map { high - $0 } }
    var length: Double?
    var most: Double?
    switch feature.window {
    case .sliding(let window), .hopping(let window, _): length = Double(window)
    case .samples(let count): most = Double(count)
    case .sinceOnset: length = Double(WindowShape.sinceOnsetMax)
    default: break
    }
    switch feature.kind {
    case .last, .first, .newest, .mean, .median, .quantile, .min, .max, .ewma, .baseline: return (low, high)
    case .range: return (0, spread)
    case .stddev: return (0, spread.map { $0 / 2 })
    case .delta: return (spread.map { -$0 }, spread)
    case .timeBelow, .timeAbove: return (0, length)
    case .fractionBelow, .fractionAbove: return (0, 1)
    case .count, .countBelow, .countAbove: return (0, most)
    case .crossings: return (0, most.map { $0 - 1 })
    case .areaBelow, .areaAbove, .irregularity, .age: return (0, nil)
    case .sum, .rate, .slope, .deviation: return (nil, nil)
    case .missing, .stale, .status, .source: return (0, 1)
    }
  }
}

extension FeatureKind {
  /// Whether it equals the vital while that is steady.
  var isLevel: Bool {
    switch self {
    case .last, .first, .newest, .mean, .median, .quantile, .min, .max, .ewma: true
    default: false
    }
  }
}
