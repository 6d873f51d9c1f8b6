extension RuleDefinition {
  /// Whether the value its alerts show is the vital sign itself, measured or averaged, and not a spread, a change, a rate
  /// or a count of it: only then may it be passed on as an observation of that vital.
  package var showsMeasuredValue: Bool {
    switch scope {
    case .everySeries: return false
    case .series:
      guard let kind = features.first(where: { !$0.kind.isTruth })?.kind else { return false }
      // Rules on lengths of time show the newest value.
      return kind.isOfTime || kind.isMeasuredValue
    case .patient:
      guard score == nil, firstComparedVital != nil, case .feature(let index) = firstComparison?.left.instructions.first
      else { return false }
      return features[index].kind.isMeasuredValue
    }
  }
}

extension FeatureKind {
  /// Whether its number is a value of the vital, or an average of such.
  package var isMeasuredValue: Bool {
    switch self {
    case .last, .first, .newest, .mean, .median, .quantile, .min, .max, .ewma: true
    default: false
    }
  }
}
