/// What an expression reads from one series (or, in rules with several inputs, from the preferred series of a code).
///
/// Definitions, for samples `v1...vn` at `t1...tn` inside the window, in canonical units; each sample stands until the
/// next one, the newest until now, none longer than its vital's staleness:
package enum FeatureKind: String, Sendable, CaseIterable, BitwiseCopyable {
  /// The newest value, unknown once stale. `first`: the oldest in the window.
  case last, first
  /// The newest value in the window, however old: it does not go stale.
  case newest
  /// Arithmetic mean, middle value (mean of the two middle ones), `q`-quantile (linear between neighbours, type 7).
  case mean, median, quantile
  case min, max, range, sum, count
  /// Population standard deviation.
  case stddev
  /// `vn - v1`; and that over the minutes between them.
  case delta, rate
  /// Slope of the least-squares line, per minute.
  case slope
  /// Exponentially weighted mean over the last eight half-lives; the window is one half-life.
  case ewma
  /// Milliseconds below or above a limit; that over the time any sample stood; depth times minutes beyond it.
  case timeBelow = "time_below"
  case timeAbove = "time_above"
  case fractionBelow = "fraction_below"
  case fractionAbove = "fraction_above"
  case areaBelow = "area_below"
  case areaAbove = "area_above"
  /// Samples below or above a limit.
  case countBelow = "count_below"
  case countAbove = "count_above"
  /// How often successive samples lie on different sides of a limit (at the limit counts as above).
  case crossings
  /// Root mean square of successive differences over the mean (Dash 2009, Ann Biomed Eng 37:1701).
  case irregularity
  /// The patient's own median, kept between a floor and a ceiling.
  case baseline
  /// Distance of the newest value from that median in robust standard deviations (1.4826 x median absolute deviation, at
  /// least the given spread).
  case deviation
  /// Milliseconds since the newest sample.
  case age
  /// Whether there was no usable sample for the window's length; never unknown.
  case missing
  /// Whether the series is stale: true or false, never unknown.
  case stale
  /// Whether the newest observation carried the sensor state in ``Feature/status``.
  case status
  /// Whether the newest observation came from the source in ``Feature/source``.
  case source

  /// Whether the aggregate needs a window.
  package var isWindowed: Bool {
    switch self {
    case .last, .age, .stale, .status, .source: false
    default: true
    }
  }
  /// Whether it is a condition rather than a number.
  package var isTruth: Bool { self == .stale || self == .status || self == .missing || self == .source }
  /// Whether its number lies on the vital's own grid and carries its unit.
  package var isOfGrid: Bool {
    switch self {
    case .last, .first, .newest, .mean, .median, .quantile, .min, .max, .range, .sum, .stddev, .delta, .ewma, .baseline:
      true
    default: false
    }
  }
  /// Whether it is a length of time, milliseconds.
  package var isOfTime: Bool { self == .timeBelow || self == .timeAbove || self == .age }
  /// How many numbers follow the vital and the window.
  package var argumentCount: Int {
    switch self {
    case .quantile, .deviation, .timeBelow, .timeAbove, .fractionBelow, .fractionAbove, .areaBelow, .areaAbove,
      .countBelow, .countAbove, .crossings:
      1
    case .baseline: 2
    default: 0
    }
  }
}

/// Which samples an aggregate looks at.
package enum WindowShape: Hashable, Sendable {
  case none
  /// `(now - length, now]`, milliseconds.
  case sliding(Int64)
  /// The last whole `[start, end)` of `length` whose end is a multiple of `every` since the epoch; tumbling where both are
  /// equal. `every` divides `length`.
  case hopping(length: Int64, every: Int64)
  /// The newest so many samples.
  case samples(Int)
  /// From the onset of the rule's episode to now, at most ``sinceOnsetMax``; unknown while there is none.
  case sinceOnset
  /// From the last gap longer than this; unknown once the gap since the newest sample is longer.
  case session(gap: Int64)

  /// One hour: how far `since onset` reaches back.
  package static let sinceOnsetMax: Int64 = 3_600_000
}

/// A number an aggregate takes beside its window: a limit in the vital's canonical unit, or a share for quantiles.
package enum FeatureArgument: Hashable, Sendable {
  case constant(Double)
  /// Position in ``RuleDefinition/parameters``.
  case parameter(Int)
}

/// One input of a rule. Equal features are computed once for all rules.
package struct Feature: Hashable, Sendable {
  package var kind: FeatureKind
  /// nil: the series the rule is being evaluated for (rules with `each: series`).
  package var code: VitalCode?
  /// ``WindowShape/none`` where ``FeatureKind/isWindowed`` is false.
  package var window: WindowShape
  /// ``FeatureKind/argumentCount`` numbers.
  package var arguments: [FeatureArgument]
  package var status: SampleStatus?
  package var source: String?

  /// Whose series it reads, where a check names it (`hr@ecg2`); nil: the series at hand, or the preferred one.
  package var origin: String? { kind == .source ? nil : source }

  package init(
    kind: FeatureKind, code: VitalCode?, window: WindowShape = .none, arguments: [FeatureArgument] = [],
    status: SampleStatus? = nil, source: String? = nil
  ) {
    self.kind = kind
    self.code = code
    self.window = window
    self.arguments = arguments
    self.status = status
    self.source = source
  }
}
