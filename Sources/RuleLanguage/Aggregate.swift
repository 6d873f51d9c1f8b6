import VitalModel

/// One aggregate as the checker knows it and the reference prints it.
struct Aggregate {
  /// A number beside the vital and the window.
  enum Number {
    /// In the vital's unit and inside its reject range.
    case limit, floor, ceiling
    /// A distance in the vital's unit, above 0.
    case leastSpread
    /// 0 to 1.
    case share

    var word: String {
      switch self {
      case .limit: "limit"
      case .floor: "floor"
      case .ceiling: "ceiling"
      case .leastSpread: "least spread"
      case .share: "share"
      }
    }
  }
  enum Result {
    case vital, difference, perMinute, minutes, duration, one, truth

    var text: String {
      switch self {
      case .vital: "the vital's unit"
      case .difference: "the vital's unit"
      case .perMinute: "the vital's unit /min"
      case .minutes: "the vital's unit .min"
      case .duration: "duration"
      case .one: "1"
      case .truth: "condition"
      }
    }
  }
  enum WindowForm: String, CaseIterable {
    case sliding = "`5m`"
    case hopping = "`5m every 1m`"
    case tumbling = "`tumbling 5m`"
    case samples = "`10 samples`"
    case sinceOnset = "`since onset`"
    case session = "`session 30m`"
  }

  var kind: FeatureKind
  /// In the order written.
  var numbers: [Number]
  /// Whether the numbers stand between the vital and the window.
  var numbersFirst: Bool
  var result: Result
  var windows: Set<WindowForm>
  /// Fewer samples than this give no result.
  var leastSamples: Int
  var meaning: String

  private init(
    _ kind: FeatureKind, _ result: Result, _ meaning: String, numbers: [Number] = [], numbersFirst: Bool = true,
    windows: Set<WindowForm> = Set(WindowForm.allCases), leastSamples: Int = 1
  ) {
    self.kind = kind
    self.numbers = numbers
    self.numbersFirst = numbersFirst
    self.result = result
    self.windows = windows
    self.leastSamples = leastSamples
    self.meaning = meaning
  }

  /// How it is written, for the reference.
  var form: String {
    let numbers = numbers.map { $0.word.uppercased().split(separator: " ").joined(separator: "_") }
    var parts = ["VITAL"]
    if numbersFirst { parts += numbers }
    if !windows.isEmpty { parts.append(windows == [.sliding] ? "DURATION" : "WINDOW") }
    if !numbersFirst { parts += numbers }
    if kind == .status { parts.append("STATE") }
    if kind == .source { parts.append("SOURCE") }
    return "\(kind.rawValue)(\(parts.joined(separator: ", ")))"
  }

  /// One example that checks, for messages: `median(spo2, 10s)`.
  var example: String {
    var parts = ["spo2"]
    let numbers = numbers.map { number in
      switch number {
      case .limit: "88"
      case .floor: "85"
      case .ceiling: "100"
      case .leastSpread: "1"
      case .share: "0.9"
      }
    }
    if numbersFirst { parts += numbers }
    if !windows.isEmpty { parts.append(kind == .baseline || kind == .deviation ? "4h" : "10s") }
    if !numbersFirst { parts += numbers }
    if kind == .status { parts.append("lead-off") }
    if kind == .source { parts.append("pleth") }
    return "\(kind.rawValue)(\(parts.joined(separator: ", ")))"
  }

  static func of(_ kind: FeatureKind) -> Aggregate { table[kind] ?? Aggregate(kind, .vital, "") }

  static let all: [Aggregate] = [
    Aggregate(.last, .vital, "newest value; unknown once stale", windows: []),
    Aggregate(.first, .vital, "oldest value in the window"),
    Aggregate(.newest, .vital, "newest value in the window, however old: it does not go stale"),
    Aggregate(.mean, .vital, "arithmetic mean"),
    Aggregate(.median, .vital, "middle value; mean of the two middle ones"),
    Aggregate(
      .quantile, .vital, "value below which that share of the samples lies (linear between neighbours, type 7)",
      numbers: [.share]),
    Aggregate(.min, .vital, "lowest value"),
    Aggregate(.max, .vital, "highest value"),
    Aggregate(.range, .difference, "highest minus lowest value"),
    Aggregate(.sum, .vital, "sum of the values"),
    Aggregate(.count, .one, "samples in the window"),
    Aggregate(.stddev, .difference, "population standard deviation"),
    Aggregate(.delta, .difference, "newest minus oldest value", leastSamples: 2),
    Aggregate(.rate, .perMinute, "`delta` over the minutes between the two", leastSamples: 2),
    Aggregate(.slope, .perMinute, "slope of the least-squares line", leastSamples: 2),
    Aggregate(
      .ewma, .vital, "exponentially weighted mean over eight half-lives; the duration is one half-life",
      windows: [.sliding]),
    Aggregate(.timeBelow, .duration, "time spent below the limit", numbers: [.limit]),
    Aggregate(.timeAbove, .duration, "time spent above the limit", numbers: [.limit]),
    Aggregate(.fractionBelow, .one, "share of the known time spent below the limit", numbers: [.limit]),
    Aggregate(.fractionAbove, .one, "share of the known time spent above the limit", numbers: [.limit]),
    Aggregate(.areaBelow, .minutes, "depth below the limit times minutes: the burden", numbers: [.limit]),
    Aggregate(.areaAbove, .minutes, "height above the limit times minutes: the burden", numbers: [.limit]),
    Aggregate(.countBelow, .one, "samples below the limit", numbers: [.limit]),
    Aggregate(.countAbove, .one, "samples above the limit", numbers: [.limit]),
    Aggregate(
      .crossings, .one, "how often successive samples lie on different sides of the limit", numbers: [.limit],
      leastSamples: 2),
    Aggregate(
      .irregularity, .one,
      "root mean square of successive differences over the mean (Dash 2009, Ann Biomed Eng 37:1701)", leastSamples: 2),
    Aggregate(
      .baseline, .vital, "the patient's own median, kept between floor and ceiling", numbers: [.floor, .ceiling],
      numbersFirst: false),
    Aggregate(
      .deviation, .one,
      "distance of the newest value from that median in robust standard deviations (1.4826 x median absolute deviation, "
        + "at least the spread)", numbers: [.leastSpread], numbersFirst: false),
    Aggregate(.age, .duration, "time since the newest sample", windows: []),
    Aggregate(.missing, .truth, "no usable sample for that long; never unknown", windows: [.sliding]),
    Aggregate(.stale, .truth, "the series is stale; never unknown", windows: []),
    Aggregate(.status, .truth, "the newest observation carried that sensor state", windows: []),
    Aggregate(.source, .truth, "the newest observation came from that source", windows: []),
  ]

  private static let table = Dictionary(uniqueKeysWithValues: all.map { ($0.kind, $0) })
}

extension WindowShape {
  /// The form it was written in; nil for no window.
  var form: Aggregate.WindowForm? {
    switch self {
    case .none: nil
    case .sliding: .sliding
    case .hopping(let length, let every): length == every ? .tumbling : .hopping
    case .samples: .samples
    case .sinceOnset: .sinceOnset
    case .session: .session
    }
  }

  /// As a rule writes it.
  var ruleText: String {
    switch self {
    case .none: ""
    case .sliding(let length): DurationText.format(length)
    case .hopping(let length, let every):
      length == every
        ? "tumbling \(DurationText.format(length))"
        : "\(DurationText.format(length)) every \(DurationText.format(every))"
    case .samples(let count): "\(count) samples"
    case .sinceOnset: "since onset"
    case .session(let gap): "session \(DurationText.format(gap))"
    }
  }
}
