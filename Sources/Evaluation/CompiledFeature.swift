import VitalModel

/// A feature as a rule reads it.
package struct CompiledFeature: Sendable, BitwiseCopyable {
  package var kind: FeatureKind
  /// Vital number; -1: the series at hand.
  package var code: Int
  /// Position among the code's features, computed once a message; -1: computed when asked for.
  package var cached: Int
  package var shape: SeriesFeature
  package var status: SampleStatus
  /// Length asked for, milliseconds: of a window, or of the silence.
  package var length: Int64
  /// Parameters the numbers come from; -1: they are constant.
  package var firstParameter: Int
  package var secondParameter: Int
  /// Since onset of the rule that reads it.
  package var isSinceOnset: Bool
  /// Position in the registry's sources of the vital; -1 none.
  package var sourceRank: Int
  /// Position in them of the source whose series it reads; -1: the series at hand, or the preferred one.
  package var origin: Int

  init(_ feature: Feature, rule: RuleDefinition, number: Int, drafts: inout [CodeDraft], registry: VitalRegistry) {
    // A check is asked when a device alarms, never by a sample or a deadline: nothing is computed ahead for it.
    self.init(feature, rule: number, isForSamples: rule.check == nil, drafts: &drafts, registry: registry)
    guard kind == .age, rule.check == nil, let vital = feature.code else { return }
    let index = Int(vital.index)
    // An age grows without a sample: looked at again when it reaches or passes a number the rule knows.
    for case .constant(let age) in rule.programs.flatMap(\.instructions) where age >= 1 && age < 604_800_000 {
      drafts[index].absences.formUnion([Int64(age), Int64(age) + 1])
    }
    for parameter in rule.parameters where parameter.value.double >= 1 && parameter.value.double < 604_800_000 {
      drafts[index].absences.formUnion([Int64(parameter.value.double), Int64(parameter.value.double) + 1])
    }
  }

  /// A feature by itself, of a rule or of a score's component.
  ///
  /// - Parameter rule: the rule's number; -1: a score.
  init(
    _ feature: Feature, rule number: Int, isForSamples: Bool, drafts: inout [CodeDraft], registry: VitalRegistry
  ) {
    kind = feature.kind
    code = feature.code.map { Int($0.index) } ?? -1
    status = feature.status ?? .ok
    cached = -1
    firstParameter = -1
    secondParameter = -1
    isSinceOnset = feature.window == .sinceOnset
    length =
      switch feature.window {
      case .sliding(let length), .hopping(let length, _), .session(let length): length
      case .sinceOnset: WindowShape.sinceOnsetMax
      case .none, .samples: 0
      }
    let source = feature.code.flatMap { code in feature.source.flatMap { registry[code].sources.firstIndex(of: $0) } }
    sourceRank = source ?? -1
    origin = feature.origin == nil ? -1 : sourceRank
    var draft = SeriesFeatureDraft(kind: feature.kind, window: feature.window, rule: isSinceOnset ? number : -1)
    func argument(_ index: Int, _ parameter: inout Int) -> Double {
      guard index < feature.arguments.count else { return 0 }
      switch feature.arguments[index] {
      case .constant(let value): return value
      case .parameter(let position):
        parameter = position
        return 0
      }
    }
    draft.first = argument(0, &firstParameter)
    draft.second = argument(1, &secondParameter)
    shape = SeriesFeature(
      kind: kind, window: -1, first: draft.first, second: draft.second, scale: 1, divides: false, leastCount: 0)
    guard let vital = feature.code else { return }
    let index = Int(vital.index)
    if kind == .missing, isForSamples { drafts[index].absences.insert(length) }
    if kind.isTruth { return }
    let isConstant = firstParameter < 0 && secondParameter < 0 && !isSinceOnset && kind != .age && isForSamples
    if isConstant {
      cached = drafts[index].position(of: draft)
      shape = drafts[index].features[cached]
    } else {
      shape = drafts[index].seriesFeature(draft)
    }
  }

  /// As written, for explanations.
  package func describe(_ registry: VitalRegistry) -> String {
    let vital = code < 0 ? "" : registry.vitals[code].key
    let key = origin < 0 ? vital : vital + "@" + registry.vitals[code].sources[origin]
    switch kind {
    case .status: return "status(\(key.isEmpty ? "" : key + ", ")\(self.status.text))"
    case .source:
      return "source(\(key), \(code < 0 || sourceRank < 0 ? "?" : registry.vitals[code].sources[sourceRank]))"
    case .stale, .last, .age: return "\(kind.rawValue)(\(key))"
    default:
      let limit = kind.argumentCount > 0 && firstParameter < 0 ? ", \(CompiledFeature.text(shape.first))" : ""
      return "\(kind.rawValue)(\(key)\(limit), \(windowText))"
    }
  }

  /// A limit as written: whole numbers without a point.
  private static func text(_ number: Double) -> String {
    number == number.rounded() && abs(number) < 1e15 ? "\(Int64(number))" : "\(number)"
  }

  private var windowText: String {
    if isSinceOnset { return "since onset" }
    return length > 0 ? DurationText.format(length) : "samples"
  }
}

/// A feature of a vital on its way into a plan.
struct SeriesFeatureDraft: Equatable {
  var kind: FeatureKind
  var window: WindowShape = .none
  var first = 0.0
  var second = 0.0
  var rule = -1
  /// For scores: with fewer samples than this in the window the newest value stands, and the value stays in grid steps.
  var leastCount: Int32 = 0
  var isGrid = false

  /// What a score judges a vital by (SEMANTICS C4): the median of a continuous source, three samples or more in the
  /// window; the newest value of a spot one.
  static func scoreInput(median: Int64) -> SeriesFeatureDraft {
    median > 0
      ? SeriesFeatureDraft(kind: .median, window: .sliding(median), leastCount: 3, isGrid: true)
      : SeriesFeatureDraft(kind: .last, isGrid: true)
  }
}

/// A code's plan while it is being put together.
struct CodeDraft {
  var windows: [PlanLayout.Window] = []
  var features: [SeriesFeature] = []
  var retention = PlanLayout.evidenceSpan
  var keptCount = 0
  var absences: Set<Int64> = []
  var seriesRules: [Int] = []
  var seriesMasks: [UInt64] = []
  var patientRules: [Int] = []
  var patientMasks: [UInt64] = []
  var feeds: [PlanLayout.ScoreFeed] = []
  private var drafts: [SeriesFeatureDraft] = []
  private let exponent: Int

  init(_ vital: VitalDefinition) { exponent = vital.resolutionExponent }

  func place(of draft: SeriesFeatureDraft) -> Int? { drafts.firstIndex(of: draft) }

  mutating func position(of draft: SeriesFeatureDraft) -> Int {
    if let index = drafts.firstIndex(of: draft) { return index }
    drafts.append(draft)
    features.append(seriesFeature(draft))
    return features.count - 1
  }

  mutating func seriesFeature(_ draft: SeriesFeatureDraft) -> SeriesFeature {
    SeriesFeature(
      kind: draft.kind, window: draft.kind.isWindowed ? window(draft) : -1, first: draft.first, second: draft.second,
      scale: draft.isGrid ? 1 : Double(DecimalValue.powerOfTen(abs(exponent))), divides: exponent < 0,
      leastCount: draft.leastCount)
  }

  private mutating func window(_ draft: SeriesFeatureDraft) -> Int {
    var needs = draft.kind.needs
    // A half-life is a length of time: over any other window there are no weights, and the value stays unknown.
    if case .sliding = draft.window {} else { needs.remove(.weighted) }
    var window = PlanLayout.Window(
      kind: .sliding, length: 0, every: 0, samples: 0, rule: draft.rule, needs: needs)
    switch draft.window {
    case .none: return -1
    case .sliding(let length):
      window.length = draft.kind == .ewma ? length * HalfLifeWeight.span : length
      if draft.kind == .ewma { window.every = length }
      retention = max(retention, window.length)
    case .hopping(let length, let every):
      window.kind = draft.kind.isOrderFree && length > PlanLayout.hoppingSpan ? .panes : .hopping
      window.length = length
      window.every = every
      if window.kind == .hopping { retention = max(retention, length + 2 * every) }
    case .samples(let count):
      window.kind = .samples
      window.samples = count
      keptCount = max(keptCount, count)
    case .sinceOnset:
      window.kind = .sinceOnset
      window.length = WindowShape.sinceOnsetMax
      retention = max(retention, window.length)
    case .session(let gap):
      window.kind = .session
      window.length = gap
      retention = max(retention, PlanLayout.sessionSpan)
    }
    if let index = windows.firstIndex(where: { $0.isSame(window) }) {
      windows[index].needs.formUnion(needs)
      return index
    }
    windows.append(window)
    return windows.count - 1
  }
}

extension FeatureKind {
  /// Whether it can be taken from the values alone, whatever order they came in.
  var isOrderFree: Bool {
    switch self {
    case .mean, .median, .quantile, .min, .max, .range, .sum, .count, .stddev, .baseline, .deviation, .countBelow,
      .countAbove:
      true
    default: false
    }
  }

  var needs: PlanLayout.Window.Needs {
    switch self {
    case .median, .quantile, .min, .max, .range, .stddev, .baseline, .deviation, .countBelow, .countAbove: .counted
    case .timeBelow, .timeAbove, .fractionBelow, .fractionAbove, .areaBelow, .areaAbove: [.counted, .held]
    case .slope: .line
    case .irregularity: .successive
    case .ewma: .weighted
    default: []
    }
  }
}
