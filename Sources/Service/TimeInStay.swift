import VitalModel

/// What tells how long a patient has been there, or how often somebody measured, and not how the patient is: a score fitted
/// on it is a clock, which finds events and helps nobody (SEMANTICS F3).
enum TimeInStay {
  /// The longest window of an input, milliseconds: it is filled after a day, and the same for everybody from then on.
  static let windowMax: Int64 = 86_400_000
  /// The most samples of a window that is counted in them: a day of hourly charting.
  static let samplesMax = 24

  /// Why an input may not look at this; nil: it may.
  static func reason(_ feature: Feature) -> String? {
    switch feature.kind {
    case .count, .countBelow, .countAbove, .crossings:
      return "`\(feature.kind.rawValue)` tells how often something was measured, which encodes time in stay"
    case .sum, .areaBelow, .areaAbove:
      return "`\(feature.kind.rawValue)` grows with every sample, which encodes time in stay: use a mean or a fraction"
    case .timeBelow, .timeAbove:
      return "`\(feature.kind.rawValue)` grows with the time watched, which encodes time in stay: use "
        + "`fraction_\(feature.kind == .timeBelow ? "below" : "above")`"
    case .age, .missing, .stale:
      return "`\(feature.kind.rawValue)` tells when something was measured, not what, which encodes time in stay"
    default: return window(feature)
    }
  }

  private static func window(_ feature: Feature) -> String? {
    switch feature.window {
    case .none: return nil
    case .sliding(let length), .hopping(let length, _):
      guard length > windowMax else { return nil }
      return feature.kind == .first
        ? "`first` over more than 24h is the first value of the stay, which encodes time in stay"
        : "a window of more than 24h encodes time in stay"
    case .samples(let count):
      return count > samplesMax ? "a window of more than \(samplesMax) samples encodes time in stay" : nil
    case .sinceOnset, .session:
      return "a window without a fixed length encodes time in stay"
    }
  }
}
