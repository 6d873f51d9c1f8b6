import Foundation
import RuleLanguage
import Testing
import VitalModel

/// Rules that judge device alarms (SEMANTICS C5).
@Suite struct CheckTests {
  private static let rule = """
    rule: vtach-check
    title: Checked
    source: test
    parameters:
      limit: { default: 100, min: 80, max: 140, unit: /min }
    checks:
      events: [vtach, MDC_EVT_ECG_V_TACHY]
      supported: max(hr@ecg, 10s) > $limit + 40
      unsupported: max(pr@art, 10s) < $limit and not missing(pr@art, 5s)
    """

  @Test("C5: a check is a rule of its own kind: live, judged once a patient, opening nothing")
  func read() throws {
    let rule = try #require(try RuleTexts.plan(CheckTests.rule).rules.first)
    #expect(rule.mode == .live && rule.scope == .patient && !rule.holdLast && rule.when.instructions.isEmpty)
    #expect(rule.check?.events == ["vtach", "mdc_evt_ecg_v_tachy"])
    #expect(rule.features.map(\.origin) == ["ecg", "art", "art"])
    #expect(rule.check?.unsupported.text == "max(pr@art, 10s) < $limit and not missing(pr@art, 5s)")
  }

  @Test(
    "C1: whatever a check says is part of its version",
    arguments: [
      ("[vtach, MDC_EVT_ECG_V_TACHY]", "[vtach]"), ("hr@ecg,", "hr@ecg2,"), ("hr@ecg,", "hr,"),
      ("$limit + 40", "$limit + 50"), ("pr@art, 10s", "pr@art, 11s"), ("default: 100", "default: 110"),
    ])
  func version(from: String, to: String) throws {
    let other = CheckTests.rule.replacingOccurrences(of: from, with: to)
    #expect(other != CheckTests.rule)
    let versions = try [CheckTests.rule, other].map { try RuleTexts.plan($0).rules.first?.version }
    #expect(versions[0] != versions[1])
  }

  @Test("C1: comments and layout are not")
  func layout() throws {
    let other = CheckTests.rule.replacingOccurrences(of: "events: [vtach", with: "events: [ VTACH")
      .replacingOccurrences(of: "title", with: "# x\ntitle")
    let versions = try [CheckTests.rule, other].map { try RuleTexts.plan($0).rules.first?.version }
    #expect(versions[0] == versions[1])
  }

  @Test("the shipped checks are in the adult intensive care set, live, and name every kind of the recordings")
  func shipped() throws {
    let plan = try RuleLibrary.plan(
      sources: RuleTexts.sources(), set: "adult-icu", registry: RuleTexts.shippedRegistry, directory: "Rules")
    let checks = plan.rules.filter { $0.check != nil }
    #expect(checks.allSatisfy { $0.mode == .live })
    let kinds = ["asystole", "bradycardia", "tachycardia", "vfib", "vtach"]
    #expect(checks.compactMap { $0.check?.events.first }.sorted() == kinds)
    // Rules of rhythm that alert stay in shadow until a named person approves.
    for id in ["asystole", "bradycardia-extreme", "tachycardia-extreme", "vtach", "vfib"] {
      #expect(plan.rules.first { $0.id == id }?.mode == .shadow)
    }
  }
}
