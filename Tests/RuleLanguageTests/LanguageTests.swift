import Foundation
import Testing
import VitalModel

@testable import RuleLanguage

/// Expressions checked by themselves, without a rule around them.
@Suite struct LanguageTests {
  static let parameters = [
    RuleParameter(
      name: "limit", value: DecimalValue(mantissa: 90), lowest: DecimalValue(mantissa: 80),
      highest: DecimalValue(mantissa: 95), unit: "%"),
    RuleParameter(name: "long", value: DecimalValue(mantissa: 120_000), lowest: nil, highest: nil, unit: "ms"),
  ]

  static func checked(_ text: String) throws -> CheckedExpression {
    var checker = try checker()
    return try checker.condition(text, .when)
  }

  private static func checker() throws -> ExpressionChecker {
    let registry = RuleTexts.shippedRegistry
    let scores = try RuleLibrary.scores(
      sources: [RuleSource(path: "scores/news2.yaml", text: RuleTexts.shipped("scores/news2.yaml"))],
      registry: registry)
    return ExpressionChecker(
      registry: registry, scores: scores, parameters: LanguageTests.parameters,
      parameterTypes: [.quantity(Quantity(text: "%")), .duration], eachSeries: false)
  }

  /// What an expression reads, and its program; the message with its column if it is refused.
  private func read(_ text: String, _ place: ExpressionChecker.Place = .when) throws -> String {
    var checker = try LanguageTests.checker()
    do throws(ExpressionProblem) {
      let checked = try checker.condition(text, place)
      let rule = RuleDefinition()
      var copy = rule
      copy.parameters = LanguageTests.parameters
      copy.features = checker.features
      return RuleText.text(
        Program(instructions: checked.instructions, text: text), copy, checker.registry, checker.scores)
    } catch {
      let hint = error.suggestion.map { "; did you mean `\($0)`?" } ?? ""
      return "\(error.column + 1): \(error.message)\(hint)"
    }
  }

  @Test(
    "aggregates, windows, arguments and combinations become programs",
    arguments: [
      ("median(spo2, 10s) < $limit", "median(spo2, 10s) $limit less"),
      ("mean(hr, 5m every 1m) > 100", "mean(hr, 5m every 1m) 100.0 greater"),
      ("mean(hr, tumbling 5m) > 100", "mean(hr, tumbling 5m) 100.0 greater"),
      ("mean(hr, 10 samples) > 100", "mean(hr, 10 samples) 100.0 greater"),
      ("mean(hr, session 30m) > 100", "mean(hr, session 30m) 100.0 greater"),
      ("quantile(spo2, 0.1, 1h) < 88", "quantile(spo2, 0.1, 1h) 88.0 less"),
      ("time_below(spo2, $limit, 10m) > 2m", "time_below(spo2, $limit, 10m) 120000.0 greater"),
      ("time_below(spo2, 88, 10m) > $long", "time_below(spo2, 88, 10m) $long greater"),
      ("fraction_above(hr, 100, 1h) > 20 [%]", "fraction_above(hr, 100, 1h) 0.2 greater"),
      ("area_below(spo2, 90 [%], 1h) > 20", "area_below(spo2, 90, 1h) 20.0 greater"),
      ("count_above(hr, 130, 20 samples) >= 10", "count_above(hr, 130, 20 samples) 10.0 greaterOrEqual"),
      ("crossings(hr, 100, 10m) > 6", "crossings(hr, 100, 10m) 6.0 greater"),
      ("irregularity(rr_interval, 64 samples) > 0.1", "irregularity(rr_interval, 64 samples) 0.1 greater"),
      ("hr > 1.3 * baseline(hr, 4h, 40, 120)", "last(hr) 1.3 baseline(hr, 4h, 40, 120) multiply greater"),
      ("deviation(resp, 4h, 1) > 3", "deviation(resp, 4h, 1) 3.0 greater"),
      ("ewma(hr, 2m) > 120", "ewma(hr, 2m) 120.0 greater"),
      ("age(spo2) > 5m", "age(spo2) 300000.0 greater"),
      ("missing(spo2, 5m)", "missing(spo2, 5m)"),
      ("not stale(spo2) and status(spo2, lead-off)", "stale(spo2) not status(spo2, lead-off) and"),
      ("source(hr, ecg) and hr == 0", "source(hr, ecg) last(hr) 0.0 equal and"),
      ("rr_interval > 3s", "last(rr_interval) 3000.0 greater"),
      ("any(hr > 130, hr < 40, spo2 < 85)", "last(hr) 130.0 greater last(hr) 40.0 less or last(spo2) 85.0 less or"),
      ("all(hr > 130, spo2 < 85)", "last(hr) 130.0 greater last(spo2) 85.0 less and"),
      (
        "2 of (hr > 130, resp > 24, spo2 < 85)",
        "last(hr) 130.0 greater last(resp) 24.0 greater last(spo2) 85.0 less 2 of 3"
      ),
      (
        "any(resp > 24, resp < 8, 110 < hr) within 5m",
        "max(resp, 5m) 24.0 greater min(resp, 5m) 8.0 less or max(hr, 5m) 110.0 greater or"
      ),
      ("last(spo2) <= $limit - 10 within 2m", "min(spo2, 2m) $limit 10.0 subtract lessOrEqual"),
      (
        "consciousness != A within 1h",
        "min(consciousness, 1h) 0.0 notEqual max(consciousness, 1h) 0.0 notEqual or"
      ),
      ("consciousness == V or consciousness > V", "last(consciousness) 2.0 equal last(consciousness) 2.0 greater or"),
      ("age_months >= 3 and age < 12", "age_months 3.0 greaterOrEqual age 12.0 less and"),
      ("unit(ward-7b) and not flag(copd)", "unit(ward-7b) flag(copd) not and"),
      ("news2().respiration == 3", "news2.respiration 3.0 equal"),
      // A value is converted as samples are: 3.9 mmol/L is 70 mg/dL on the grid.
      ("glucose < 3.9 [mmol/L]", "last(glucose) 70.0 less"),
      ("3.9 [mmol/L] > glucose", "70.0 last(glucose) greater"),
      ("temp > 100.4 [[degF]]", "last(temp) 38.0 greater"),
      ("delta(temp, 1h) >= 1.8 [[degF]]", "delta(temp, 1h) 1.0 greaterOrEqual"),
      ("rate(glucose, 15m) < -1 [mmol/L/min]", "rate(glucose, 15m) 18.0156 negate less"),
      ("hr / sbp > 0.9", "last(hr) last(sbp) divide 0.9 greater"),
      ("abs(hr - pr) > 15", "last(hr) last(pr) subtract absolute 15.0 greater"),
      ("sbp < 90 [mm[Hg]]", "last(sbp) 90.0 less"),
    ])
  func programs(text: String, program: String) throws {
    #expect(try read(text) == program)
  }

  @Test("since onset is known in clear and raise only")
  func sinceOnset() throws {
    #expect(try read("max(hr, since onset) < 100", .clear) == "max(hr, since onset) 100.0 less")
    #expect(try read("max(hr, since onset) > 150", .raise) == "max(hr, since onset) 150.0 greater")
    for place in [ExpressionChecker.Place.when, .bypass] {
      #expect(
        try read("max(hr, since onset) > 150", place)
          == "9: `since onset` is unknown until the alert has begun: use it in `clear` or `raise`")
    }
  }

  @Test(
    "what cannot be is refused with its place",
    arguments: [
      ("mean(hr, 5m every 2m) > 1", "10: a window of 5m cannot step every 2m: the step must divide it"),
      ("mean(hr, 5m evry 1m) > 1", "13: expected `,` or `)`; did you mean `every`?"),
      ("mean(hr, 0 samples) > 1", "10: a window by count holds 1 to 8192 samples, not 0"),
      ("mean(hr, 8193 samples) > 1", "10: a window by count holds 1 to 8192 samples, not 8193"),
      ("delta(hr, 1 samples) > 1", "11: `delta` needs at least 2 samples: with 1 it is never known"),
      ("mean(hr, session 8d) > 1", "10: a window must be longer than 0 and at most 7d"),
      ("ewma(hr, tumbling 5m) > 1", "10: `ewma` takes a plain duration, as in `ewma(spo2, 10s)`"),
      ("quantile(hr, 90, 5m) > 1", "14: a share is from 0 to 1, not 90"),
      ("time_below(spo2, 188, 5m) > 1m", "18: impossible limit 188: spo2 lies between 1 and 100 %"),
      (
        "time_below(spo2, 88, 5m) > 90", "26: a duration and a bare number: write the number as a duration, as in `30s`"
      ),
      ("time_below(spo2, hr, 5m) > 1m", "18: a limit is a number or a parameter, nothing measured"),
      ("baseline(hr, 4h, 120, 40) > 1", "1: the floor 120 is not below the ceiling 40"),
      ("baseline(hr, 4h) > 1", "1: `baseline` needs a floor and a ceiling, as in `baseline(spo2, 4h, 85, 100)`"),
      ("time_below(spo2, 5m) > 1m", "1: `time_below` needs a limit, as in `time_below(spo2, 88, 10s)`"),
      ("deviation(hr, 4h, 0) > 3", "19: a least spread is above 0"),
      ("sbp < 12 [kPaa]", "7: `kPaa` is no unit of sbp (mm[Hg]); did you mean `kPa`?"),
      ("hr < 90 [%]", "6: `%` is no unit of hr (/min)"),
      ("hr < $limit", "4: different units: `/min` and `%`"),
      ("rate(hr, 5m) > $limit", "14: different units: `/min/min` and `%`"),
      ("consciousness != Q", "18: `Q` is none of A, C, V, P, U"),
      ("source(hr, ecgg)", "12: unknown source `ecgg`; did you mean `ecg`?"),
      (
        "status(hr, lead-of)",
        "1: `status` needs one of ok, lead-off, artifact, searching, calibrating, low-battery; did you mean `lead-off`?"
      ),
      ("3 of (hr > 1, hr < 5)", "1: `3 of` 2 conditions: the number must be from 1 to 2"),
      ("any(hr > 1)", "1: `any` needs at least two conditions"),
      (
        "hr > 1 and median(hr, 5m) < 3 within 5m",
        "31: `within` takes newest values compared with constants, joined by any or `or`: else name a window, as in `max(hr, 5m) > 110`"
      ),
      (
        "hr == 3 within 5m",
        "9: `within` takes newest values compared with constants, joined by any or `or`: else name a window, as in `max(hr, 5m) > 110`"
      ),
      ("news2() > 3", "1: `news2()` needs a field, as in `news2().total`"),
      ("hr > 3 [", "8: a unit is written in brackets behind its number, as in `3.9 [mmol/L]`"),
      ("hr > 90 än 3", "9: unexpected character `ä`"),
      ("max(hr, since beginning) > 3", "15: expected `onset` after `since`"),
      ("age > age_months", "5: different units: `a` and `mo`"),
    ])
  func refusals(text: String, says: String) throws {
    #expect(try read(text) == says)
  }

  @Test("raise, applies, for and units are read as written")
  func ruleParts() throws {
    let text =
      RuleTexts.good + """

        raise:
          - any(resp > 24, resp < 8, hr > 110) within 5m -> high
          - { when: "max(spo2, since onset) < 80", to: high }
        applies: { age: ">=3mo <12mo", unless: [palliative], units: [ward-7, icu] }
        """
    let rule = try RuleTexts.plan(text).rules[0]
    #expect(rule.raises.map(\.to) == [.high, .high])
    #expect(rule.raises[0].when.text == "any(resp > 24, resp < 8, hr > 110) within 5m")
    #expect(rule.holdParameter == 1 && rule.hold == 15_000)
    #expect(
      rule.applies?.instructions == [
        .attribute(.ageMonths), .constant(3), .greaterOrEqual, .attribute(.ageMonths), .constant(12), .less, .and,
        .attribute(.flag("palliative")), .not, .and, .attribute(.unit("ward-7")), .attribute(.unit("icu")), .or, .and,
      ])
    #expect(rule.applies?.text == "age >=3mo and age <12mo and not palliative and unit ward-7 or icu")
  }
}
