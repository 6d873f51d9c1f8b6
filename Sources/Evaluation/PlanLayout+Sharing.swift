import VitalModel

extension PlanLayout {
  /// Whether rules of both plans may be judged over the windows of one of them: every window, feature and score is the same,
  /// and rules stand at the same places. Two settings of a limit or a hold share; two lengths of a window do not, and
  /// windows since an onset belong to one rule's episodes.
  package func sharesWindows(with other: PlanLayout) -> Bool {
    plan.rules.count == other.plan.rules.count && plan.scores == other.plan.scores && flags == other.flags
      && plan.minimumQuality == other.plan.minimumQuality && Array(staleRules) == Array(other.staleRules)
      && Array(statusRules) == Array(other.statusRules) && Array(raisingRules) == Array(other.raisingRules)
      && plan.registry.vitals.count == other.plan.registry.vitals.count
      && zip(plan.registry.vitals, other.plan.registry.vitals).allSatisfy { $0.canonicalText == $1.canonicalText }
      && zip(codes, other.codes).allSatisfy { PlanLayout.isSame($0, $1) }
  }

  private static func isSame(_ a: CodePlan, _ b: CodePlan) -> Bool {
    a.windows.elementsEqual(b.windows) { $0 == $1 && $0.kind != .sinceOnset }
      && a.features.elementsEqual(b.features, by: SeriesFeature.isSame)
      && a.retention == b.retention && a.keptCount == b.keptCount && a.absences.elementsEqual(b.absences)
      && a.seriesRules.elementsEqual(b.seriesRules) && a.patientRules.elementsEqual(b.patientRules)
      && a.seriesMasks.elementsEqual(b.seriesMasks) && a.patientMasks.elementsEqual(b.patientMasks)
  }
}

extension SeriesFeature {
  fileprivate static func isSame(_ a: SeriesFeature, _ b: SeriesFeature) -> Bool {
    a.kind == b.kind && a.window == b.window && a.first == b.first && a.second == b.second && a.scale == b.scale
      && a.divides == b.divides && a.leastCount == b.leastCount
  }
}
