import Testing
import VitalModel

@testable import Statistics

/// Suggestions are found by replay, stay inside bounds, and never cost an alert somebody acted on.
@Suite struct SettingSearchTests {
  private func rule(
    limit: String = "90", lowest: String? = "80", highest: String? = "95", below: Bool = true, hold: Bool = false
  ) -> RuleDefinition {
    var rule = RuleDefinition()
    rule.id = "spo2-low"
    rule.parameters = [
      RuleParameter(
        name: "limit", value: DecimalValue(limit) ?? DecimalValue(mantissa: 0),
        lowest: lowest.flatMap { DecimalValue($0) },
        highest: highest.flatMap { DecimalValue($0) }, unit: "%",
        cases: [ParameterCase(flag: "spo2-scale-2", value: DecimalValue(mantissa: 88))])
    ]
    rule.when = Program(instructions: [.feature(0), .parameter(0), below ? .less : .greater], text: "")
    if hold {
      rule.parameters.append(
        RuleParameter(
          name: "hold", value: DecimalValue(mantissa: 15_000), lowest: DecimalValue(mantissa: 0),
          highest: DecimalValue(mantissa: 60_000), unit: "ms"))
      rule.holdParameter = 1
    }
    return rule
  }

  private func plan(_ rule: RuleDefinition) -> RulePlan {
    RulePlan(registry: VitalRegistry([]), rules: [rule], scores: [], version: "1")
  }

  private func steps(_ rule: RuleDefinition, current: String = "90") -> [String] {
    QuieterSteps.all(rule) { _ in DecimalValue(current) ?? DecimalValue(mantissa: 0) }.flatMap(\.values).map(
      \.description)
  }

  @Test func stepsGoTowardsTheQuieterBoundAndNeverBeyondIt() {
    #expect(steps(rule()) == ["88", "86", "84", "82", "80"])
    #expect(steps(rule(), current: "81") == ["80"])
    #expect(steps(rule(), current: "80").isEmpty)
    // Already beyond the bound on that side: nothing across it is tried.
    #expect(steps(rule(), current: "79").isEmpty)
    #expect(steps(rule(below: false), current: "90") == ["91", "92", "93", "94", "95"])
    #expect(steps(rule(lowest: "37.0", highest: "39.5", below: false), current: "38.0") == ["38.5", "39.0", "39.5"])
    #expect(steps(rule(lowest: "40", highest: "137", below: false), current: "120") == ["125", "130", "135"])
    #expect(steps(rule(lowest: nil)).isEmpty)
    #expect(
      QuieterSteps.all(rule(hold: true)) { rule(hold: true).parameters[$0].value }.map(\.isHold) == [false, true])
  }

  /// A patient whose alerts lie at given depths: a limit of `v` keeps those deeper than it.
  private struct Ward {
    /// Saturation each alert fell to, with what people said of it.
    var alerts: [(Int, AcknowledgementClass?)]
    var outcomes: [AlertOutcome] {
      alerts.enumerated().map { index, alert in
        outcome("a\(index)", patient: 1, at: Double(index), as: alert.1)
      }
    }

    func replay(_ settings: [UInt32: ParameterSetting], _ patients: Set<UInt32>) -> [ReplayedAlert] {
      let limit = settings[1]?.value.double ?? 90
      return zip(alerts, outcomes).filter { Double($0.0.0) < limit }.map { alert, outcome in
        // A lower limit is reached five seconds a point later, under an id of its own.
        let later = Int64(90 - limit) * 5000
        return ReplayedAlert(
          alertID: later == 0 ? outcome.alertID : "trial-\(outcome.alertID)", patient: 1, rules: ["spo2-low"],
          start: outcome.start + later, end: outcome.end)
      }
    }
  }

  private func search(_ ward: Ward, _ rule: RuleDefinition, flags: Set<String> = []) throws -> SettingSearch.Findings {
    let search = SettingSearch(outcomes: ward.outcomes, plan: plan(rule), range: monday..<monday + 7 * day) { _ in
      PatientFacts(tenant: "demo", patient: "p", flags: flags, isListed: true)
    }
    return try search.run(ward.replay)
  }

  @Test func theFirstStepThatRemovesHalfIsSuggested() throws {
    // 31 that fell to 89 or 88, nine deeper ones; one of the deep ones was acted on, two were never judged.
    var alerts: [(Int, AcknowledgementClass?)] = (0..<31).map { (88 + $0 % 2, $0 == 0 ? nil : .isFalse) }
    alerts += (0..<9).map { (84, $0 == 0 ? .actionable : $0 == 1 ? nil : .notRelevant) }
    let findings = try search(Ward(alerts: alerts), rule())
    let found = try #require(findings.suggestions.first)
    #expect(findings.suggestions.count == 1 && findings.replays == 2 && findings.tried == 1)
    #expect(findings.stored == 40 && findings.reproduced == 40)
    #expect(found.from.description == "90" && found.to.description == "88")
    #expect(found.removed == 31 && found.alerts == 40 && found.labelled == 38 && found.removedLabelled == 30)
    #expect(found.removedActionable == 0 && found.actionable == 1 && found.actionableDelay == 10_000)
    #expect(found.allBefore == 40 && found.allAfter == 9)
    #expect(try search(Ward(alerts: alerts), rule()).suggestions == findings.suggestions)
  }

  @Test func whatWouldRemoveAnActionableAlertIsNotSuggested() throws {
    var alerts: [(Int, AcknowledgementClass?)] = (0..<20).map { _ in (89, .isFalse) }
    alerts[3].1 = .actionable
    let findings = try search(Ward(alerts: alerts), rule())
    #expect(findings.suggestions.isEmpty && findings.refused == 1 && findings.replays == 2)
  }

  @Test func aStepBeforeTheOneThatCostsStays() throws {
    // 88 removes six of twenty; 86 would remove the one acted on.
    var alerts: [(Int, AcknowledgementClass?)] = (0..<6).map { _ in (89, .isFalse) }
    alerts += (0..<14).map { (86, $0 == 0 ? .actionable : .isFalse) }
    let findings = try search(Ward(alerts: alerts), rule())
    #expect(findings.suggestions.map(\.to.description) == ["88"])
    #expect(findings.suggestions.first?.removed == 6 && findings.refused == 0)
  }

  @Test func tooFewLabelsOrTooManyActionableSuggestNothing() throws {
    let few: [(Int, AcknowledgementClass?)] = (0..<20).map { (89, $0 < 7 ? .isFalse : nil) }
    #expect(try search(Ward(alerts: few), rule()).tried == 0)
    let worth: [(Int, AcknowledgementClass?)] = (0..<20).map { (89, $0 < 3 ? .actionable : .isFalse) }
    #expect(try search(Ward(alerts: worth), rule()).replays == 0)
  }

  @Test func itStartsFromWhatIsInForceForThePatient() throws {
    let alerts: [(Int, AcknowledgementClass?)] = (0..<10).map { _ in (85, .isFalse) }
    let findings = try search(Ward(alerts: alerts), rule(), flags: ["spo2-scale-2"])
    #expect(findings.suggestions.map(\.from.description) == ["88"])
    #expect(findings.suggestions.map(\.to.description) == ["84"])
  }

  /// An alert the replay does not raise again is no evidence either way.
  @Test func onlyReproducedAlertsCount() throws {
    var ward = Ward(alerts: (0..<12).map { _ in (89, .isFalse) })
    ward.alerts[11].0 = 95
    let findings = try search(ward, rule())
    #expect(findings.stored == 12 && findings.reproduced == 11)
    #expect(findings.suggestions.first?.alerts == 11)
  }
}
