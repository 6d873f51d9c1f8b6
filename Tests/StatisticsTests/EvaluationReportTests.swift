import Foundation
import Testing
import VitalModel

@testable import Statistics

/// A whole report: rows add up, bytes repeat, the document is the one that is promised.
@Suite struct EvaluationReportTests {
  private func json(_ report: EvaluationReport, names: Bool = true) -> String {
    var out = JSONText()
    report.write(to: &out, name: names ? { "somebody-\($0)" } : nil)
    return out.text
  }

  private let rules = [
    EvaluatedRule(id: "spo2-low", version: "sha256:a"), EvaluatedRule(id: "news2", version: "sha256:b"),
  ]

  @Test func equalInputIsEqualBytes() {
    let ward = RandomWard(seed: 21)
    let first = report(ward.cohort, ward.alerts, ward.convention, rules: rules)
    let second = report(ward.cohort, ward.alerts.reversed(), ward.convention, rules: rules)
    #expect(json(first) == json(second))
    let other = report(ward.cohort, ward.alerts, ward.convention, seed: 2, rules: rules)
    #expect(json(first) != json(other))
    #expect(first.total.events.detected == other.total.events.detected)
  }

  @Test func rowsAddUp() throws {
    for seed in 30..<34 as Range<UInt64> {
      var ward = RandomWard(seed: seed)
      let sexes = (0..<ward.cohort.count).map { $0 % 5 == 0 ? nil : $0 % 2 == 0 ? "F" : "M" }
      ward.cohort = cohort(
        ward.cohort.stays, ward.cohort.events, groups: [SubgroupColumn(name: "sex", values: sexes)])
      let report = report(ward.cohort, ward.alerts, ward.convention, rules: rules)
      let total = report.total
      let alerts = total.alerts
      #expect(alerts.count == ward.alerts.count, "seed \(seed)")
      #expect(alerts.credited + alerts.repeats + alerts.isFalse + alerts.neutral + alerts.censored == alerts.count)
      #expect(alerts.credited == total.events.detected)
      #expect(report.rules.map(\.alerts.count).reduce(0, +) == alerts.count)
      #expect(report.priorities.map(\.alerts.count).reduce(0, +) == alerts.count)
      #expect(report.rules.map(\.key) == [.rule(rules[1]), .rule(rules[0])], "by name")
      for rows in [report.rules, report.priorities] {
        for row in rows {
          #expect(row.events.count == total.events.count && row.events.detected <= total.events.detected)
        }
      }
      #expect(report.subgroups.map(\.key).last == .subgroup(column: "sex", value: nil))
      #expect(report.subgroups.map(\.patients).reduce(0, +) == ward.cohort.count)
      #expect(report.subgroups.map(\.events.detected).reduce(0, +) == total.events.detected)
      #expect(report.subgroups.map(\.alerts.isFalse).reduce(0, +) == alerts.isFalse)
      #expect(report.patients.map(\.alerts).reduce(0, +) == alerts.count)
      #expect(report.patients.map(\.detected).reduce(0, +) == total.events.detected)
      #expect(report.patients.count == ward.cohort.count)
      #expect(report.hours.map(\.alerts).reduce(0, +) == alerts.count && report.hours.count == 24)
      #expect(report.hours.map(\.isFalse).reduce(0, +) == alerts.isFalse)
      #expect(report.hours.map(\.events).reduce(0, +) == total.events.count)
      let windows = total.windows
      let hours = ward.cohort.stays.reduce(0) { $0 + Int($1.length / hour) }
      #expect(windows.truePositives + windows.falsePositives + windows.falseNegatives + windows.trueNegatives == hours)
      for figure in [total.events.sensitivity, alerts.perPatientDay, alerts.predictiveValue, total.chance.margin] {
        let figure = try #require(figure)
        for interval in figure.intervals { #expect(interval.contains(figure.value), "seed \(seed) \(interval.method)") }
      }
    }
  }

  @Test func averagesAreOverPatients() throws {
    var convention = EvaluationConvention()
    convention.lead = hour
    // One patient with three false alerts in a day, one with a true one in two days.
    let ward = cohort([stay(24), stay(48)], [CohortEvent(patient: 1, onset: epoch + 40 * hour)])
    let alerts =
      [2, 3, 4].map { EvaluatedAlert(patient: 0, time: epoch + $0 * hour) } + [
        EvaluatedAlert(patient: 1, time: epoch + 40 * hour)
      ]
    let row = report(ward, alerts, convention).total
    #expect(row.alerts.perPatientDay?.value == 4.0 / 3 && row.average.perPatientDay?.value == 1.75)
    #expect(row.alerts.predictiveValue?.value == 0.25 && row.average.predictiveValue?.value == 0.5)
    #expect(row.average.sensitivity?.value == 1)
    let specificity = try #require(row.average.specificity?.value)
    #expect(abs(specificity - 0.9375) < 1e-12)
  }

  /// An alert counts in every hour in which it is open: hours 8 to 17 of 20 with sepsis at 14 are worth 5 of 7.5.
  @Test func utilityIsThatOfOpenAlerts() throws {
    let ward = cohort([stay(20), stay(10)], [CohortEvent(patient: 0, onset: epoch + 14 * hour)])
    let alerts = [
      EvaluatedAlert(patient: 0, time: epoch + 8 * hour, end: epoch + 18 * hour),
      EvaluatedAlert(patient: 1, time: epoch + 4 * hour),
    ]
    let figure = try #require(report(ward, alerts, EvaluationConvention()).total.scores.utility2019)
    #expect(abs(figure.value - 14.95 / 17.5) < 1e-12)
  }

  @Test func theDocumentHasWhatIsPromised() throws {
    let ward = RandomWard(seed: 40)
    let text = json(report(ward.cohort, ward.alerts, ward.convention, rules: rules))
    let whole = try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
    let promised = [
      "convention.words", "convention.lead_s", "events.n", "events.detected", "events.sensitivity.value",
      "events.sensitivity.low", "events.sensitivity.high", "events.sensitivity.method", "alerts.n",
      "alerts.per_patient_day.value", "alerts.per_patient_day.low", "alerts.per_patient_day.high", "alerts.ppv.value",
      "alerts.ppv.method", "lead_time_s.median", "lead_time_s.p25", "lead_time_s.p75", "chance.rotated", "chance.clock",
      "chance.matched.controls", "chance.matched.rate", "chance.matched.margin.value", "chance.matched.margin.low",
      "chance.matched.margin.high", "chance.before_onset", "windows.tp", "windows.fp", "windows.fn", "windows.tn",
      "per_rule", "per_patient", "per_hour", "per_priority", "subgroups", "data_digest", "rules_version", "seed",
      "scores.utility2019",
    ]
    for path in promised {
      var place: Any? = whole
      for key in path.split(separator: ".") { place = (place as? [String: Any])?[String(key)] }
      #expect(place != nil && !(place is NSNull), "\(path)")
    }
    #expect(whole["document"] as? String == "vigil-evaluation" && whole["version"] as? Int == 1)
    #expect((whole["per_patient"] as? [Any])?.count == ward.cohort.count)
    #expect(!json(report(ward.cohort, ward.alerts, ward.convention), names: false).contains("somebody"))
  }

  /// docs/formats/evaluation.md gives the keys in this order.
  @Test func keysComeInTheirOrder() throws {
    let ward = RandomWard(seed: 41, patients: 12)
    let text = json(report(ward.cohort, ward.alerts, ward.convention, rules: rules))
    let keys = [
      "document", "version", "convention", "labels", "patients", "events", "alerts", "lead_time_s", "chance", "windows",
      "scores", "average", "per_rule", "per_priority", "subgroups", "per_hour", "per_patient", "data_digest",
      "rules_version", "seed", "resamples", "confidence",
    ]
    var rest = text[...]
    for key in keys {
      let place = try #require(rest.range(of: "\"\(key)\":"), "\(key)")
      rest = rest[place.upperBound...]
    }
    let whole = try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
    #expect(Set(whole.keys) == Set(keys))
  }

  @Test func nothingToJudgeIsNoFigureAndNoTrap() {
    let empty = report(cohort([], []), [], EvaluationConvention())
    #expect(empty.total.events.sensitivity == nil && empty.total.alerts.perPatientDay == nil)
    #expect(empty.total.chance.clock == nil && empty.total.lead == nil)
    let quiet = report(cohort([stay(24), stay(3)], []), [], EvaluationConvention())
    #expect(quiet.total.alerts.perPatientDay?.interval?.method == .poissonExact)
    #expect(quiet.total.events.sensitivity == nil && quiet.total.chance.margin == nil)
    let missed = report(
      cohort([stay(24), stay(3)], [CohortEvent(patient: 0, onset: epoch + hour)]), [], EvaluationConvention())
    #expect(missed.total.events.sensitivity?.interval == Proportion.clopperPearson(0, of: 1))
    #expect(missed.total.chance.rotation?.mean == 0 && missed.total.alerts.predictiveValue == nil)
    #expect(json(missed).contains("\"lead_time_s\":null"))
  }

  @Test func agesHaveBands() {
    let ages: [Double?] = [0.5, 1, 17.9, 18, 44.9, 45, 79.9, 80, 121, -1, .nan, nil]
    #expect(
      ages.map { SubgroupColumn.ageBand(years: $0) } == [
        "0", "1-11", "12-17", "18-44", "18-44", "45-64", "65-79", "80+", "80+", nil, nil, nil,
      ])
  }
}
