import Foundation
import Evaluation
import Testing
import VitalModel

@testable import Pipeline

/// What one plan hands over to the next: windows, holds, episodes and alerts, with versions of one id side by side.
@Suite struct RuleSuccessionTests {
  private static let median = """
    rule: fast
    title: Fast
    source: test
    priority: medium
    parameters:
      limit: { default: 120, min: 80, max: 200, unit: "/min" }
    when: median(hr, 5m) > $limit
    for: 30s
    max_hold: 60s
    clear: { when: "median(hr, 5m) <= $limit", for: 10s }
    bypass: last(hr) > $limit + 60
    message: "{value} {duration}"
    """

  private func layout(_ texts: String..., change: (inout RulePlan) -> Void = { _ in }) throws -> PlanLayout {
    var plan = try Shipped.layout(texts.joined(separator: "\n---\n")).plan
    change(&plan)
    return PlanLayout(plan: plan)
  }

  /// The rule as it is and a second version of it with another limit.
  private func sideBySide(_ variant: String, limit: Int, units: [String] = []) throws -> PlanLayout {
    let other = TestRules.low.replacingOccurrences(of: "default: 90", with: "default: \(limit)")
    var second = try Shipped.layout(other).plan.rules[0]
    second.variant = variant
    second.mode = variant == RuleDefinition.trialVariant ? .shadow : .live
    return try layout(TestRules.low) { plan in
      if let unit = units.first {
        second.applies = Program(instructions: [.attribute(.unit(unit))], text: "unit")
        plan.rules[0].applies = Program(instructions: [.attribute(.unit(unit)), .not], text: "not unit")
      }
      plan.rules.append(second)
    }
  }

  private func roster() throws -> Roster {
    var inside = RosterPatient(id: "p1")
    inside.unit = "ward-7"
    return try Roster(patients: [inside, RosterPatient(id: "p2")])
  }

  @Test("a five-minute median and a pending hold go on through a deploy: the same alert as without one")
  func windowsAndHoldsSurvive() throws {
    let head = "0..299: hr=100\n300..459: hr=150"
    let tail = "460..520: hr=150"
    let plain = Strip(try layout(RuleSuccessionTests.median)).feed(head).feed(tail)
    #expect(plain.transitions.count == 1, "\(plain.transitions)")
    for second in [440, 459] {
      let strip = Strip(try layout(RuleSuccessionTests.median))
      strip.feed("0..299: hr=100\n300..\(second): hr=150")
      var entry = Slot()
      entry.kind = .payload
      entry.payload = 1
      entry.ingestTime = Strip.origin
      strip.engine.adoptPlan(try layout(RuleSuccessionTests.median, TestRules.low), at: entry)
      strip.feed("\(second + 1)..520: hr=150")
      #expect(strip.documents.map(\.json) == plain.documents.map(\.json))
    }
    // At this second the median had only begun to be high: the hold was pending when the rules changed.
    #expect(Strip(try layout(RuleSuccessionTests.median)).feed("0..299: hr=100\n300..455: hr=150").transitions.isEmpty)
  }

  @Test("a canary takes over pending holds and open alerts of its patients, and gives them back")
  func canaryTakesOver() throws {
    let strip = Strip(try layout(TestRules.low), roster: try roster())
    strip.feed("0..10: p1.spo2=85\n0..10: p2.spo2=85")
    strip.engine.adoptPlan(try sideBySide(RuleDefinition.canaryVariant, limit: 92, units: ["ward-7"]))
    strip.feed("11..20: p1.spo2=85\n11..20: p2.spo2=85")
    #expect(strip.transitions == ["15 start low medium", "15 start low medium"])
    let versions = Dictionary(uniqueKeysWithValues: strip.documents.map { ($0.patient, $0.ruleVersion) })
    #expect(versions["p1"] != versions["p2"])
    #expect(strip.documents.allSatisfy { $0.onsetTime == Strip.origin })
    strip.engine.adoptPlan(try layout(TestRules.low))
    strip.feed("21..40: p1.spo2=97\n21..40: p2.spo2=97")
    #expect(Array(strip.transitions.dropFirst(2)) == ["31 end low medium", "31 end low medium"])
    #expect(Set(strip.documents.map(\.alertID)).count == 2)
    for end in strip.documents.dropFirst(2) { #expect(end.ruleVersion == versions[end.patient]) }
  }

  @Test("a trial sees what it would do beside the rule in force, and nobody is told")
  func trialBeside() throws {
    let strip = Strip(try sideBySide(RuleDefinition.trialVariant, limit: 94)).feed("0..20: spo2=92\n21..50: spo2=97")
    #expect(strip.transitions.isEmpty)
    #expect(strip.ledger == ["15 shadow low"])
    // It goes away without a word, and back in force the rule keeps its own standing.
    let other = Strip(try sideBySide(RuleDefinition.trialVariant, limit: 94)).feed("0..10: spo2=85")
    other.engine.adoptPlan(try layout(TestRules.low))
    other.feed("11..16: spo2=85")
    #expect(other.transitions == ["15 start low medium"])
  }

  @Test("a new rule that comes off trial tells what still holds, once")
  func offTrial() throws {
    func shadowed(_ variant: String) throws -> PlanLayout {
      try layout(TestRules.low) { plan in
        plan.rules[0].mode = .shadow
        plan.rules[0].variant = variant
      }
    }
    for variant in ["", RuleDefinition.trialVariant] {
      let strip = Strip(try shadowed(variant)).feed("0..20: spo2=85")
      #expect(strip.transitions.isEmpty && strip.ledger == ["15 shadow low"])
      strip.engine.adoptPlan(try layout(TestRules.low))
      #expect(strip.transitions == ["20 start low medium"], "\(variant)")
      #expect(strip.documents[0].onsetTime == Strip.origin)
      strip.feed("21..40: spo2=97")
      #expect(strip.transitions.count == 2)
    }
    let over = Strip(try shadowed("")).feed("0..20: spo2=85\n21..50: spo2=97")
    over.engine.adoptPlan(try layout(TestRules.low))
    #expect(over.transitions.isEmpty)
  }

  @Test("of two alerts of one id the patient keeps the one people know when the versions become one")
  func versionsBecomeOne() throws {
    let strip = Strip(try sideBySide(RuleDefinition.canaryVariant, limit: 92, units: ["ward-7"]), roster: try roster())
    strip.feed("0..20: p1.spo2=85")
    let start = try #require(strip.documents.first)
    strip.engine.adoptPlan(try layout(TestRules.low))
    strip.engine.adoptPlan(try sideBySide(RuleDefinition.canaryVariant, limit: 94, units: ["ward-9"]))
    strip.feed("21..60: p1.spo2=97")
    #expect(strip.transitions == ["15 start low medium", "31 end low medium"])
    #expect(strip.documents.last?.alertID == start.alertID && strip.documents.last?.ruleVersion == start.ruleVersion)
  }

  @Test("a patient moved during a canary has one alert, and a pending hold goes on under the other version")
  func movedPatients() throws {
    func roster(_ unit: String) throws -> Roster {
      var patient = RosterPatient(id: "p1")
      patient.unit = unit
      return try Roster(patients: [patient])
    }
    let layout = try sideBySide(RuleDefinition.canaryVariant, limit: 92, units: ["ward-7"])
    for (from, to) in [("ward-7", "ward-8"), ("ward-8", "ward-7")] {
      let open = Strip(layout, roster: try roster(from)).feed("0..20: spo2=85")
      open.engine.adoptRoster(open.directory.adopt(try roster(to)))
      open.feed("21..40: spo2=85\n41..60: spo2=97")
      #expect(open.transitions == ["15 start low medium", "51 end low medium"], "\(from)")
      #expect(Set(open.documents.map(\.alertID)).count == 1)
      let pending = Strip(layout, roster: try roster(from)).feed("0..10: spo2=85")
      pending.engine.adoptRoster(pending.directory.adopt(try roster(to)))
      pending.feed("11..20: spo2=85")
      #expect(pending.transitions == ["15 start low medium"], "\(from)")
      let version = layout.plan.rules.first { ($0.variant.isEmpty) == (to == "ward-8") }?.version
      #expect(pending.documents.first?.ruleVersion == version)
    }
  }
}
