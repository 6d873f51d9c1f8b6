import Foundation
import RuleLanguage
import Testing
import VitalModel
import YAMLText

/// The keys that hold alerts back: what they give, and what SEMANTICS D3 refuses.
@Suite struct HoldTests {
  private static let technical = """
    ---
    rule: probe-off
    title: Probe off
    kind: technical
    source: test
    priority: low
    each: series
    when: status(lead-off)
    message: "off"
    """

  private static let everything = """
    quality:
      min: 0.5
      gate: [perfusion_index >= 0.3, abs(hr - pr) <= 10]
    confirm: "hr > 100 or resp > 20"
    inhibited_by: [probe-off]
    inhibited_in: [off-ward, procedure]
    inhibit_max: 20m
    smart_delay: { halves_at: 4 }
    worsening: 5
    flap: { count: 3, within: 1h, quiet: 10m }
    escalate: [{ after: 60s, to: charge-nurse }, { after: 3m, to: rapid-response }]
    latch: true
    renew: 8h
    adapt: { limit: { to: "baseline(spo2, 8h) - 4", floor: 85, ceiling: 92 } }
    """

  private func rule(_ add: String = everything, more: String = technical) throws -> RuleDefinition {
    let plan = try RuleTexts.plan(RuleTexts.good + "\n" + add + "\n" + more)
    return try #require(plan.rules.first { $0.id == "low" })
  }

  /// What a check of the good rule with these keys says.
  private func problems(_ add: String, _ replacing: String = "", _ by: String = "") throws -> [String] {
    try RuleTexts.problems(replacing, by, add: add + "\n" + HoldTests.technical)
  }

  @Test("every key fills its field")
  func fields() throws {
    let rule = try rule()
    #expect(rule.minimumQuality == 0.5)
    #expect(rule.gates.map(\.text) == ["perfusion_index >= 0.3", "abs(hr - pr) <= 10"])
    #expect(rule.confirm?.text == "hr > 100 or resp > 20")
    #expect(rule.inhibitedBy == ["probe-off"] && rule.inhibitedIn == ["off-ward", "procedure"])
    #expect(rule.inhibitMax == 1_200_000)
    #expect(rule.halvesAt == DecimalValue(mantissa: 4) && rule.worseningStep == DecimalValue(mantissa: 5))
    #expect(rule.flap == FlapSettings(count: 3, within: 3_600_000, quiet: 600_000))
    #expect(
      rule.escalation == [
        EscalationStep(after: 60_000, to: "charge-nurse"), EscalationStep(after: 180_000, to: "rapid-response"),
      ])
    #expect(rule.latches == true)
    #expect(rule.renew == 28_800_000)
    #expect(rule.adaptations.map(\.parameter) == [0])
    #expect(rule.adaptations[0].floor.double == 85 && rule.adaptations[0].ceiling.double == 92)
    let follows = rule.features.first { $0.kind == .baseline }
    #expect(follows?.window == .sliding(28_800_000))
    #expect(follows?.arguments == [.constant(1), .constant(100)], "between everything the vital may be")
  }

  @Test("a rule without these keys has none of it, and keeps its version's text")
  func absent() throws {
    let rule = try rule("")
    #expect(rule.gates.isEmpty && rule.confirm == nil && !rule.isInhibited && rule.halvesAt == nil)
    #expect(rule.flap == nil && rule.escalation.isEmpty && rule.latches == nil && rule.minimumQuality == nil)
    #expect(rule.holdTexts.isEmpty)
    for word in ["gate", "inhibit", "halves", "flap", "quality", "renew"] {
      #expect(!rule.canonicalText.contains(word))
    }
  }

  @Test("what holds an alert does not make the rule be judged on more samples")
  func judged() throws {
    let plain = try rule("")
    let rule = try rule()
    #expect(rule.judgedCodes == plain.judgedCodes)
    #expect(rule.scope == plain.scope)
    #expect(Array(rule.features.prefix(plain.features.count)) == plain.features)
  }

  @Test("each key is part of the version", arguments: everything.split(separator: "\n").map(String.init))
  func version(line: String) throws {
    guard !line.hasPrefix(" "), !line.hasPrefix("quality") else { return }
    // `inhibit_max` needs something it bounds.
    let key = line.hasPrefix("inhibit_max") ? "inhibited_in: [procedure]\n" + line : line
    let base = line.hasPrefix("inhibit_max") ? "inhibited_in: [procedure]" : ""
    #expect(try rule(key).version != rule(base).version)
  }

  @Test("`false` takes flapping, smart delay and worsening away")
  func switchedOff() throws {
    let rule = try rule("flap: false\nsmart_delay: false\nworsening: false\nlatch: false")
    #expect(rule.flap == .never && rule.halvesAt == nil && rule.worseningStep == nil && rule.latches == false)
  }

  @Test(
    "an alert is made anew every hour to once a week, or never",
    arguments: [
      ("renew: 59m", "`renew` is a duration of 1h to 7d, or 0s for never, not `59m`"),
      ("renew: 8d", "`renew` is a duration of 1h to 7d, or 0s for never, not `8d`"),
      ("renew: 8", "`renew` must be a duration such as `15s`, not `8`"),
      ("renew: $hold", "`renew` is a duration of 1h to 7d, or 0s for never, not `15s`"),
      ("renew: $again", "unknown parameter `$again`"), ("renew: 0s", ""), ("renew: 1h", ""), ("renew: 7d", ""),
    ])
  func renewal(key: String, says: String) throws {
    let found = try problems(key)
    #expect(found.count == (says.isEmpty ? 0 : 1) && found.allSatisfy { $0.hasSuffix(says) }, "\(found)")
  }

  @Test("a parameter says how often, with `0s` for never among its values")
  func renewalParameter() throws {
    let text = RuleTexts.good.replacingOccurrences(
      of: "  hold:", with: "  again: { default: 8h, min: 0s, max: 24h }\n  hold:")
    let rule = try #require(try RuleTexts.plan(text + "\nrenew: $again").rules.first)
    #expect(rule.renew == 28_800_000)
    let never = try RuleTexts.plan(
      text.replacingOccurrences(of: "default: 8h", with: "default: 0s") + "\nrenew: $again")
    #expect(never.rules.first?.renew == 0)
  }

  @Test("a score rule may wait by a parameter that starts at none, with `max_hold` and a bypass; its margin is another")
  func scorePolicy() throws {
    func rule(_ bypass: String) -> String {
      """
      rule: fitted
      title: Fitted
      source: test
      priority: medium
      parameters:
        limit: { default: 5, min: 3, max: 15, unit: "{score}" }
        margin: { default: 1, min: 0, max: 4, unit: "{score}" }
        hold: { default: 0s, min: 0s, max: 3h }
        again: { default: 8h, min: 0s, max: 48h }
        quiet: { default: 4h, min: 0s, max: 24h }
      when: news2().total >= $limit
      for: $hold
      max_hold: 6h
      \(bypass)
      clear: news2().total < $limit - $margin
      refractory: $quiet
      renew: $again
      message: "NEWS2 {total}"
      """
    }
    let plan = try RuleTexts.plan(rule("bypass: news2().total >= $limit + 4"))
    #expect(plan.rules.map(\.holdParameter) == [2])
    #expect(throws: TextProblems.self) { try RuleTexts.plan(rule("")) }
  }

  @Test("a template gives them, the rule's own win")
  func template() throws {
    let template = "template: held\ninhibited_in: [off-ward]\nflap: { count: 5 }\nlatch: true\n---\n"
    let text = template + RuleTexts.good + "\nextends: held\nlatch: false"
    let rule = try #require(try RuleTexts.plan(text).rules.first)
    #expect(rule.inhibitedIn == ["off-ward"] && rule.flap?.count == 5 && rule.latches == false)
  }

  @Test("a set gives ward matters in place of the rule's own; its mistakes have its places")
  func ofSet() throws {
    func plan(_ entry: String) throws -> RulePlan {
      try RuleTexts.plan(
        RuleTexts.good + "\n" + HoldTests.everything + "\n" + HoldTests.technical, set: "s",
        more: [RuleSource(path: "sets/s.yaml", text: "set: s\nrules:\n  - { rule: low, \(entry) }")])
    }
    let rule = try plan("inhibited_in: [], escalate: { after: 2m, to: doctor }, worsening: 3, inhibit_max: 5m").rules[0]
    #expect(rule.inhibitedIn.isEmpty && rule.worseningStep?.double == 3 && rule.inhibitMax == 300_000)
    #expect(rule.escalation == [EscalationStep(after: 120_000, to: "doctor")])
    #expect(rule.inhibitedBy == ["probe-off"], "what the set does not say stays")
    #expect(throws: TextProblems.self) { try plan("confirm: hr > 90") }
    do {
      _ = try plan("inhibited_by: [probe-of]")
      Issue.record("an unknown inhibitor is accepted")
    } catch let problems as TextProblems {
      #expect(
        problems.description
          == "Rules/sets/s.yaml:3:33: no rule `probe-of` that could hold an alert (in rule `low`); did you mean `probe-off`?"
      )
    }
  }

  // MARK: SEMANTICS D3

  @Test("SEMANTICS D3: a score inhibiting a vital's alert is refused")
  func scoreInhibits() throws {
    let score = """
      ---
      rule: news
      title: News
      source: test
      priority: medium
      when: news2().total >= 5
      message: "n"
      """
    #expect(
      try RuleTexts.problems(add: "inhibited_by: [news]\n" + score)
        == ["Rules/r.yaml:15:16: `news` reads a score: a score may not hold back the alert of a vital"])
    #expect(
      try problems("confirm: news2().total >= 5")
        == ["Rules/r.yaml:15:1: a score may not hold back an alert: confirm by a vital"])
    #expect(
      try problems("quality: { gate: news2().total >= 1 }")
        == ["Rules/r.yaml:15:1: a gate is about the signal: a score may not hold back an alert"])
  }

  @Test(
    "SEMANTICS D3: only technical rules that exist inhibit, and not in a circle",
    arguments: [
      ("inhibited_by: [probe-of]", "15:16: no rule `probe-of` that could hold an alert; did you mean `probe-off`?"),
      ("inhibited_by: low", "15:15: `low` cannot hold its own alert"),
      ("inhibited_in: [admitted]", "15:16: `admitted` is every patient of the ward: the alert would always be held"),
      ("inhibited_in: [off-ward]\ninhibit_max: 13h", "16:14: `inhibit_max` must be a duration of 1s to 12h, not `13h`"),
      ("inhibit_max: 5m", "15:1: `inhibit_max` without `inhibited_by` or `inhibited_in` bounds nothing"),
    ])
  func inhibitors(key: String, says: String) throws {
    #expect(try problems(key) == ["Rules/r.yaml:" + says])
  }

  @Test("SEMANTICS D3: a physiological rule inhibits nothing")
  func physiologicalInhibits() throws {
    let other = RuleTexts.good.replacingOccurrences(of: "rule: low", with: "rule: other")
    #expect(
      try RuleTexts.problems(add: "inhibited_by: [other]\n---\n" + other)
        == ["Rules/r.yaml:15:16: `other` is physiological: only a technical rule may hold back an alert"])
  }

  @Test("SEMANTICS D3: inhibition in a circle is refused")
  func circle() throws {
    let one = HoldTests.technical + "\ninhibited_by: [probe-two]"
    let two =
      HoldTests.technical.replacingOccurrences(of: "probe-off", with: "probe-two") + "\ninhibited_by: [probe-off]"
    #expect(
      try RuleTexts.problems(add: one + "\n" + two) == [
        "Rules/r.yaml:24:16: inhibition in a circle: probe-off by probe-two by probe-off",
        "Rules/r.yaml:34:16: inhibition in a circle: probe-two by probe-off by probe-two",
      ])
  }

  @Test("what the engine raises by itself may inhibit")
  func builtIn() throws {
    #expect(try problems("inhibited_by: [device-offline, clock-skew]").isEmpty)
  }

  @Test(
    "SEMANTICS D3: a technical condition ending an active alert is refused",
    arguments: ["stale(spo2)", "missing(spo2, 60s)", "status(spo2, lead-off)", "age(spo2) > 60s"])
  func technicalEnd(condition: String) throws {
    let found = try RuleTexts.problems("median(spo2, 10s) >= $limit + 2", "\(condition) or spo2 >= $limit + 2")
    #expect(found.count == 1 && found[0].hasSuffix("may not end an active alert: a lost signal is no recovery"))
  }

  @Test("SEMANTICS D3: a confirmation lowering the priority is refused")
  func confirmationLowers() throws {
    #expect(
      try problems("confirm: { when: hr > 100, priority: low }") == [
        "Rules/r.yaml:15:10: `confirm` is one condition: a confirmation may not lower the priority or change anything else"
      ])
  }

  @Test("SEMANTICS D3: missing confirmers count as confirmed, so a lost signal may not deny")
  func lostConfirmer() throws {
    #expect(
      try problems("confirm: hr > 100 and not stale(hr)") == [
        "Rules/r.yaml:15:10: a lost signal (`stale`) must confirm: a second sign nobody can see may not hold an alert back"
      ])
    #expect(try problems("confirm: hr > 100 or stale(hr)").isEmpty)
  }

  @Test(
    "SEMANTICS D3: a delay without bypass and max_hold is refused",
    arguments: [
      ("quality: { gate: perfusion_index >= 0.3 }", "quality", "a gate"),
      ("quality: { min: 0.6 }", "quality", "a least quality"),
      ("confirm: hr > 100", "confirm", "a confirmation"),
    ])
  func unboundedDelay(key: String, name: String, word: String) throws {
    var text = RuleTexts.good.replacingOccurrences(of: "for: $hold\nmax_hold: 60s\n", with: "")
    text = text.replacingOccurrences(of: "  hold: { default: 15s, min: 0s, max: 60s }\n", with: "")
    func found(_ text: String) -> [String] {
      do {
        _ = try RuleTexts.plan(text + "\n" + key)
        return []
      } catch let problems as TextProblems {
        return problems.all.map(\.message)
      } catch {
        return ["\(error)"]
      }
    }
    #expect(found(text) == ["\(word) holds alerts back: it needs `max_hold`, the longest it may"])
    text += "\nmax_hold: 60s"
    #expect(found(text).isEmpty)
    let open = text.replacingOccurrences(of: "bypass: last(spo2) < $limit - 10\n", with: "")
    #expect(found(open) == ["\(word) that delays an alert of medium priority needs a `bypass` limit that acts at once"])
    #expect(found(open.replacingOccurrences(of: "priority: medium", with: "priority: low")).isEmpty)
  }

  @Test("an urgent alert is inhibited only where a bypass limit passes it")
  func inhibitedWithoutBypass() throws {
    var text = RuleTexts.good.replacingOccurrences(of: "for: $hold\nmax_hold: 60s\n", with: "")
    text = text.replacingOccurrences(of: "  hold: { default: 15s, min: 0s, max: 60s }\n", with: "")
    text = text.replacingOccurrences(of: "bypass: last(spo2) < $limit - 10\n", with: "") + "\ninhibited_in: [off-ward]"
    #expect(throws: TextProblems.self) { try RuleTexts.plan(text) }
    _ = try RuleTexts.plan(text.replacingOccurrences(of: "priority: medium", with: "priority: low"))
  }

  // MARK: Numbers

  @Test(
    "what cannot be is refused with its place",
    arguments: [
      ("worsening: 0", "15:12: `worsening` must be a number above 0, or false, not `0`"),
      ("worsening: -5", "15:12: `worsening` must be a number above 0, or false, not `-5`"),
      ("smart_delay: { halves_at: 0 }", "15:27: `halves_at` must be a number above 0, not `0`"),
      ("flap: true", "15:7: `flap` must be `{ count, within, quiet }` or false, not `true`"),
      ("flap: { count: 1 }", "15:16: `count` must be a whole number from 2 to 100, not `1`"),
      ("quality: { min: 40 }", "15:17: `min` must be a number from 0 to 1, not `40`"),
      ("quality: {}", "15:1: `quality` needs `min` or `gate`"),
      ("quality: { gat: hr > 1 }", "15:12: unknown key `gat` in quality; did you mean `gate`?"),
      (
        "quality: { gate: perfusion_idex >= 0.3 }",
        "15:18: unknown vital `perfusion_idex`; did you mean `perfusion_index`?"
      ),
      (
        "escalate: { after: 0s, to: doctor }",
        "15:20: `after` must be a duration longer than 0 such as `60s`, not `0s`"
      ),
      ("escalate: [{ after: 3m }]", "15:12: a step of `escalate` needs `to`"),
      (
        "adapt: { limt: { to: spo2, floor: 85, ceiling: 92 } }",
        "15:10: the rule has no parameter `limt` to adapt; did you mean `limit`?"
      ),
      (
        "adapt: { hold: { to: spo2, floor: 85, ceiling: 92 } }",
        "15:10: `hold` is a duration: only limits adapt to a patient"
      ),
      (
        "adapt: { limit: { to: spo2, floor: 79, ceiling: 92 } }",
        "15:29: the floor 79 is below the minimum of `limit`, 80"
      ),
      (
        "adapt: { limit: { to: spo2, floor: 85, ceiling: 96 } }",
        "15:40: the ceiling 96 is above the maximum of `limit`, 95"
      ),
      ("adapt: { limit: { to: spo2, floor: 92, ceiling: 85 } }", "15:29: the floor 92 is not below the ceiling 85"),
      ("adapt: { limit: { to: $limit - spo2 + spo2, floor: 85, ceiling: 92 } }", "15:23: `limit` cannot follow itself"),
      (
        "adapt: { limit: { to: 90, floor: 85, ceiling: 92 } }",
        "15:23: `limit` would follow nothing measured: a constant belongs into `default`"
      ),
      ("adapt: { limit: { to: hr, floor: 85, ceiling: 92 } }", "15:23: different units: `/min` and `%`"),
    ])
  func mistakes(key: String, says: String) throws {
    #expect(try problems(key) == ["Rules/r.yaml:" + says])
  }

  @Test("smart delay and worsening need a depth, smart delay something to shorten")
  func depth() throws {
    var text = RuleTexts.good.replacingOccurrences(of: "for: $hold\nmax_hold: 60s\n", with: "")
    text = text.replacingOccurrences(of: "  hold: { default: 15s, min: 0s, max: 60s }\n", with: "")
    do {
      _ = try RuleTexts.plan(text + "\nsmart_delay: { halves_at: 4 }")
      Issue.record("a smart delay of nothing is accepted")
    } catch let problems as TextProblems {
      #expect(problems.all.map(\.message) == ["`smart_delay` without `for` shortens nothing"])
    }
    let found = try RuleTexts.problems(
      "when: median(spo2, 10s) < $limit", "when: spo2 < hr and spo2 < $limit", add: "worsening: 5")
    #expect(
      found.contains { $0.contains("`worsening` needs a depth") } || found.contains { $0.contains("different units") })
  }

  @Test("a gate or confirmation that decides nothing is refused")
  func idle() throws {
    #expect(
      try problems("confirm: median(spo2, 10s) < $limit + 1") == [
        "Rules/r.yaml:15:10: `confirm` always holds where `when` does, so it would hold nothing"
      ])
    #expect(
      try problems("quality: { gate: 'median(spo2, 10s) >= 96' }") == [
        "Rules/r.yaml:15:19: `gate` never holds where `when` does: every alert would wait for `max_hold`"
      ])
  }

  // MARK: Flags and disguises

  private static let flags = RuleSource(
    path: "flags.yaml",
    text: "flags:\n  palliative: comfort care\n  copd: lungs\n  procedure: hands on\n  spo2-scale-2: target")

  @Test(
    "a misspelt flag is refused where the directory lists flags",
    arguments: [
      ("applies: { unless: [paliative] }", "15:21"), ("applies: { only: cop }", "15:18"),
      ("inhibited_in: [procedur]", "15:16"), ("raise: flag(cpd) -> high", "15:13"),
    ])
  func misspeltFlag(key: String, place: String) throws {
    let found = try RuleTexts.problems(add: key, more: [HoldTests.flags])
    #expect(
      found.count == 1 && found[0].hasPrefix("Rules/r.yaml:\(place): ") && found[0].contains("did you mean"), "\(found)"
    )
    #expect(try RuleTexts.problems(add: key).isEmpty, "no list, no check")
  }

  @Test("a flag of a parameter's case is checked too, and known ones pass")
  func flagOfCase() throws {
    let found = try RuleTexts.problems(
      #"unit: "%" }"#, #"unit: "%", when: [{ flag: cpod, value: 88 }] }"#, more: [HoldTests.flags])
    #expect(found.map { $0.contains("unknown flag `cpod`") } == [true])
    #expect(
      try RuleTexts.problems(
        add: "applies: { unless: [palliative] }\ninhibited_in: [procedure, off-ward]", more: [HoldTests.flags]
      )
      .isEmpty)
  }

  @Test("a technical rule with a physiological limit is refused")
  func disguised() throws {
    func found(_ when: String) throws -> [String] {
      let text = HoldTests.technical.replacingOccurrences(
        of: "each: series\nwhen: status(lead-off)", with: "when: \(when)")
      return try RuleTexts.problems(add: text)
    }
    for when in ["spo2 < 85", "median(hr, 10s) + 3 > 130", "time_below(spo2, 85, 5m) > 1m", "stale(hr) and pr > 130"] {
      let found = try found(when)
      #expect(found.count == 1 && found[0].contains("a technical rule with a limit on"), "\(when): \(found)")
    }
    for when in ["battery < 10", "abs(hr - pr) > 15", "range(hr, 5m) <= 0", "perfusion_index < 0.3", "stale(spo2)"] {
      #expect(try found(when).isEmpty, "\(when)")
    }
  }
}
