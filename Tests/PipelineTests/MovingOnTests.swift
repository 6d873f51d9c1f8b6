import Evaluation
import Testing
import VitalModel

/// What is judged only when something changed must miss nothing that changed.
@Suite struct MovingOnTests {
  private func rule(_ body: String) -> String {
    "rule: r\ntitle: R\nsource: test\nmessage: x\n" + body
  }

  @Test("a signal whose times lag the patient's clock is judged by its newest value")
  func laggingSeries() throws {
    let text = rule("priority: medium\nwhen: median(hr, 10s) > 120\nclear: { when: \"median(hr, 10s) <= 110\" }\n")
    let strip = try Strip(rules: text)
    strip.feed("0..60: resp@b=16")
    for second in 61...120 {
      strip.feed("\(second): resp@b=16")
      strip.feed("\(second - 20): hr@a=\(second < 81 ? 80 : 190)")
    }
    #expect(strip.transitions.first?.hasSuffix("start r medium") == true)
  }

  @Test("a score follows the median of an input that has no new sample")
  func slidingInputs() throws {
    let text = rule(
      "priority: low\nwhen: news2().total >= 3\nclear: { when: \"news2().total < 3\", for: 5m }\n")
    let strip = try Strip(rules: text)
    strip.feed("0..150: hr=80 resp=16").feed("151..298: hr=140 resp=16").feed("299..340: resp=16")
    #expect(strip.transitions == ["303 start r low"])
  }

  @Test("D3, B7: windows of a lost signal empty, and that ends nothing")
  func lostSignalEndsNothing() throws {
    for clear in ["time_below(spo2, 90, 5m) <= 100s", "count_below(spo2, 90, 5m) <= 10", "mean(spo2, 5m) >= 92"] {
      let text = rule("priority: medium\nwhen: last(spo2) < 90\nclear: { when: \"\(clear)\" }\n")
      let strip = try Strip(rules: text)
      strip.feed("0..300: spo2=80 hr=70").feed("301..1500: spo2=80!lead-off hr=70")
      #expect(strip.transitions.filter { $0.contains("end") } == [], "\(clear)")
    }
  }

  @Test("an age and a low count come true in silence")
  func silenceIsHeard() throws {
    for when in ["age(hr) > 90s", "missing(hr, 90s)", "stale(hr)", "count(hr, 1m) < 5"] {
      let text = rule("kind: technical\npriority: low\nwhen: \(when)\nclear: { when: \"last(hr) > 0\" }\n")
      let strip = try Strip(rules: text)
      strip.feed("0..30: hr=70 pr=70").feed("31..300: pr=70")
      #expect(strip.transitions.contains { $0.contains("start r low") }, "\(when)")
    }
  }

  @Test("since onset and the highest of several raises")
  func raises() throws {
    let since = rule(
      "priority: low\nwhen: last(spo2) < 90\nclear: { when: \"last(spo2) >= 92\" }\n"
        + "raise: time_below(spo2, 90, since onset) >= 2m -> high\n")
    #expect(
      try Strip(rules: since).feed("0..20: spo2=97").feed("21..200: spo2=85").transitions
        == ["21 start r low", "141 escalate r high"])
    let two = rule(
      "priority: low\nwhen: last(spo2) < 90\nclear: { when: \"last(spo2) >= 92\" }\n"
        + "raise: [{ when: hr > 100, to: medium }, { when: hr > 140, to: high }]\n")
    #expect(try Strip(rules: two).feed("0..20: spo2=85 hr=160").transitions == ["0 start r high"])
  }
}
