import Testing
import VitalModel

/// Which rules show the vital itself: only their values may be passed on as observations.
@Suite struct MeasuredValueTests {
  private func rule(_ kinds: [FeatureKind], scope: RuleScope) -> RuleDefinition {
    var rule = RuleDefinition()
    rule.scope = scope
    rule.features = kinds.map { Feature(kind: $0, code: VitalCode(index: 0)) }
    return rule
  }

  @Test func aRuleOnOneVitalShowsItsFirstNumber() {
    let one = RuleScope.series(VitalCode(index: 0))
    for kind in FeatureKind.allCases where !kind.isTruth {
      let isMeasured = kind.isMeasuredValue || kind.isOfTime
      #expect(rule([kind], scope: one).showsMeasuredValue == isMeasured, "\(kind)")
    }
    #expect(rule([.stale, .median], scope: one).showsMeasuredValue)
    #expect(!rule([.slope, .median], scope: one).showsMeasuredValue)
    #expect(!rule([.stale], scope: one).showsMeasuredValue)
  }

  @Test func aRuleOnSeveralVitalsOnlyWhereItsFirstComparisonIsOfOne() {
    var rule = rule([.median, .delta], scope: .patient)
    rule.when = Program(instructions: [.feature(0), .constant(30), .greater], text: "")
    #expect(rule.showsMeasuredValue)
    rule.when = Program(instructions: [.feature(1), .constant(30), .greater], text: "")
    #expect(!rule.showsMeasuredValue)
    rule.when = Program(instructions: [.feature(0), .feature(1), .divide, .constant(1), .greater], text: "")
    #expect(!rule.showsMeasuredValue)
    #expect(!self.rule([.median], scope: .everySeries).showsMeasuredValue)
  }
}
