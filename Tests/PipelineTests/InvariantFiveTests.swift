import Evaluation
import Foundation
import TestSupport
import Testing
import VitalModel

@testable import Pipeline

/// DESIGN invariant 5 on generated streams: whatever is switched on or off, set, silenced, answered or inhibited.
@Suite struct InvariantFiveTests {
  private static let rules =
    TestRules.low + """

      quality: { gate: ["perfusion_index >= 0.3"] }
      confirm: hr > 100
      worsening: 4
      inhibited_by: [lead-off]
      inhibited_in: [procedure]
      smart_delay: { halves_at: 4 }
      flap: { count: 2, within: 2h, quiet: 20m }
      ---
      rule: lead-off
      title: Lead off
      kind: technical
      source: test
      priority: low
      each: series
      when: status(lead-off)
      message: "lead off"
      """

  /// One stretch of saturation: where it lies, for how long, with what signal.
  private struct Stretch {
    var value: Int
    var seconds: Int
    var perfusion: Double
    var rate: Int
  }

  private static func options(_ generator: inout SeededGenerator) -> EngineOptions {
    var options = EngineOptions(clock: .stream)
    for stage in SuppressionStage.allCases
    where stage != .retrospective && Int.random(in: 0..<6, using: &generator) == 0 {
      options.without.insert(stage)
    }
    options.alerting.patientBudget = Int.random(in: 0...2, using: &generator)
    options.alerting.groupingWindow = Bool.random(using: &generator) ? 0 : 600_000
    options.alerting.latching = Bool.random(using: &generator) ? [.medium, .high] : []
    if Bool.random(using: &generator) { options.alerting.realarm = [:] }
    return options
  }

  /// Mutes what can be muted: an answer, a silence of the rule or of its kind, a procedure.
  private static func mute(_ strip: Strip, at second: Int, _ generator: inout SeededGenerator) {
    let at = Double(second)
    switch Int.random(in: 0..<6, using: &generator) {
    case 0: strip.alarm(at, "procedure")
    case 1, 2:
      let matcher: Silence.Matcher = Bool.random(using: &generator) ? .rule("low") : .kind(.physiological)
      let from = Strip.origin + Int64(second) * 1000
      let silence = Silence(
        id: "s\(second)", matcher: matcher, author: "u", reason: "r", from: from, until: from + 3_600_000)
      strip.act(at, .silence(silence))
    case 3:
      strip.act(at, .acknowledge(alertID: strip.newestAlert, Acknowledgement(by: "u", kind: .isFalse, time: 0)))
    case 4: strip.act(at, .resolve(alertID: strip.newestAlert, by: "u", reason: "r"))
    default: strip.feed("\(second): spo2@b=97!lead-off")
    }
  }

  /// Seconds at which somebody was told of the rule, with a start or an escalation.
  private static func told(_ strip: Strip) -> Set<Int> {
    let transitions = strip.engine.output.transitions.filter {
      $0.isNotified && $0.document.ruleID == "low" && ($0.document.phase == .start || $0.document.phase == .escalate)
    }
    return Set(transitions.map { Int(($0.document.detectedTime - Strip.origin) / 1000) })
  }

  @Test("invariant 5: a fresh drop beyond the bypass limit is told on its first sample", arguments: 0..<40)
  func bypassIsNeverDelayed(seed: Int) throws {
    var generator = SeededGenerator(seed: UInt64(seed))
    let strip = try Strip(rules: InvariantFiveTests.rules, options: InvariantFiveTests.options(&generator))
    var second = 0
    var drops: [Int] = []
    for _ in 0..<12 {
      let normal = Int.random(in: 20...400, using: &generator)
      let perfusion = Bool.random(using: &generator) ? 0.1 : 2
      strip.feed("\(second)..\(second + normal): spo2=97 perfusion_index=\(perfusion) hr=70")
      second += normal + 1
      InvariantFiveTests.mute(strip, at: second, &generator)
      second += 1
      let shallow = Int.random(in: 0...30, using: &generator)
      if shallow > 0 { strip.feed("\(second)..\(second + shallow): spo2=88 perfusion_index=\(perfusion) hr=70") }
      second += shallow + 1
      drops.append(second)
      let depth = Int.random(in: 60...79, using: &generator)
      strip.feed("\(second)..\(second + 5): spo2=\(depth) perfusion_index=\(perfusion) hr=70")
      second += 6
    }
    let told = InvariantFiveTests.told(strip)
    for drop in drops { #expect(told.contains(drop), "seed \(seed), second \(drop): \(strip.transitions)") }
  }

  @Test(
    "invariant 5: no detection is held beyond max_hold: then it is told, or a stage that mutes says so",
    arguments: 0..<40)
  func detectionIsBounded(seed: Int) throws {
    var generator = SeededGenerator(seed: UInt64(1000 + seed))
    let strip = try Strip(rules: InvariantFiveTests.rules, options: InvariantFiveTests.options(&generator))
    let perfusion = Double.random(in: 0...0.2, using: &generator)
    let value = Int.random(in: 80...89, using: &generator)
    InvariantFiveTests.mute(strip, at: 0, &generator)
    let cap = 60
    strip.feed("1..\(cap + 2): spo2=\(value) perfusion_index=\(perfusion) hr=60")
    let detection: Set<String> = ["quality", "smoothing", "persistence", "confirmation", "hysteresis"]
    let isMuted = strip.engine.output.ledger.contains {
      $0.document.ruleID == "low" && !detection.contains($0.document.suppressed?.stage.rawValue ?? "quality")
    }
    #expect(!InvariantFiveTests.told(strip).isEmpty || isMuted, "seed \(seed): \(strip.transitions) \(strip.ledger)")
  }

  @Test("invariant 5: each further step beyond what was told, or muted, is told on its sample", arguments: 0..<40)
  func worseningIsNeverMuted(seed: Int) throws {
    var generator = SeededGenerator(seed: UInt64(2000 + seed))
    let strip = try Strip(rules: InvariantFiveTests.rules, options: InvariantFiveTests.options(&generator))
    // Long enough to be found whatever gate is shut, then muted, then ever deeper by a step.
    strip.feed("0..90: spo2=89 perfusion_index=2 hr=120")
    InvariantFiveTests.mute(strip, at: 91, &generator)
    var second = 92
    var value = 89
    while value > 82 {
      value -= 4
      // A resolved alert has nobody who knows it: it is muted from where it was resolved.
      strip.feed("\(second): spo2=\(value) perfusion_index=2 hr=120")
      #expect(
        InvariantFiveTests.told(strip).contains(second), "seed \(seed), \(value) at \(second): \(strip.transitions)")
      second += Int.random(in: 1...40, using: &generator)
      if Bool.random(using: &generator) { InvariantFiveTests.mute(strip, at: second, &generator) }
      second += 1
    }
  }
}
