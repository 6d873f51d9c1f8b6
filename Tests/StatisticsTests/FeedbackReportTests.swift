import Testing
import VitalModel

@testable import Statistics

/// 2026-11-16T00:00:00Z, a Monday.
let monday: Int64 = 1_794_787_200_000
let hour: Int64 = 3_600_000
let day: Int64 = 86_400_000

func outcome(
  _ id: String, patient: UInt32, rule: String = "spo2-low", unit: String? = "ward-7", at hours: Double,
  as judgement: AcknowledgementClass? = nil, lasting minutes: Int64 = 10
) -> AlertOutcome {
  let start = monday + Int64(hours * Double(hour))
  var outcome = AlertOutcome(
    alertID: id, patient: patient, rule: rule, ruleVersion: "sha256:0123456789", unit: unit, start: start,
    end: start + minutes * 60_000)
  outcome.judgement = judgement
  if judgement != nil { outcome.acknowledgedAt = start + 120_000 }
  return outcome
}

@Suite struct FeedbackReportTests {
  private func ward() -> FeedbackInput {
    var outcomes: [AlertOutcome] = []
    // Patient 1: eight alerts, none worth it. Patient 2: two, both were. Patient 3: one nobody looked at, in another week.
    for index in 0..<8 {
      outcomes.append(outcome("a\(index)", patient: 1, at: Double(index), as: index < 6 ? .isFalse : .notRelevant))
    }
    outcomes.append(outcome("b0", patient: 2, at: 13, as: .actionable))
    outcomes.append(outcome("b1", patient: 2, rule: "hr-high", at: 14, as: .actionable))
    outcomes.append(outcome("c0", patient: 3, unit: "ward-8", at: 7 * 24 + 1))
    outcomes[8].acceptedAt = outcomes[8].start + 30_000
    outcomes[9].acceptedAt = outcomes[9].start + 90_000
    outcomes[9].realarms = 1
    outcomes[9].escalations = 2
    outcomes[9].notified = 4
    let watches = [
      PatientWatch(patient: 1, unit: "ward-7", spans: [monday..<monday + day]),
      PatientWatch(patient: 2, unit: "ward-7", spans: [monday..<monday + day]),
      PatientWatch(patient: 3, unit: "ward-8", spans: [monday + 7 * day..<monday + 9 * day]),
      PatientWatch(patient: 4, unit: "ward-8", spans: [monday..<monday + day]),
    ]
    let held = [
      HeldCount(stage: .refractory, rule: "spo2-low", count: 3), HeldCount(stage: .quality, rule: "spo2-low", count: 2),
    ]
    return FeedbackInput(
      outcomes: outcomes, watches: watches, watchSource: .samples, held: held, range: monday..<monday + 10 * day)
  }

  @Test func figuresAreThoseOfTheWard() throws {
    let report = FeedbackReport(ward())
    #expect(report.patients == 4 && report.patientDays == 5)
    #expect(report.total.alerts == 11 && report.total.patients == 3)
    #expect(report.total.labelled == 10 && report.total.actionable == 2)
    #expect(report.total.isFalse == 6 && report.total.notRelevant == 2)
    #expect(abs(report.total.unlabelledShare - 1.0 / 11) < 1e-12)
    #expect(report.total.notifications == 14 && report.total.realarms == 1 && report.total.escalations == 2)
    let value = try #require(report.total.predictiveValue)
    #expect(value.value == 0.2 && value.patients == 2)
    #expect(report.total.burden?.value == 11.0 / 5)
    #expect(report.total.burden?.patients == 4)
    #expect(report.held.map(\.stage) == [.quality, .refractory])
  }

  @Test func rowsAreByRuleUnitWeekAndPatient() throws {
    let report = FeedbackReport(ward())
    #expect(report.rules.map(\.alerts) == [1, 10])
    let low = report.rules[1]
    #expect(low.predictiveValue?.value == 1.0 / 9 && low.predictiveValue?.interval?.method == .patientBootstrap)
    let high = report.rules[0]
    #expect(high.predictiveValue?.value == 1 && high.predictiveValue?.interval?.method == .clopperPearson)
    #expect(report.units.map(\.key) == [.unit("ward-7"), .unit("ward-8")])
    #expect(report.units.map(\.patientDays) == [2, 3])
    #expect(report.units[1].predictiveValue == nil && report.units[1].unlabelledShare == 1)
    #expect(report.weeks.map(\.alerts) == [10, 1])
    #expect(report.weeks.map(\.patientDays) == [3, 2])
    #expect(report.byPatient.map(\.key) == [.patient(1), .patient(2), .patient(3)])
  }

  @Test func aTenthOfThePatientsIsRoundedUp() {
    let spread = FeedbackReport(ward()).concentration
    #expect(spread.patients == 4 && spread.top == 1)
    #expect(spread.ranks.map(\.alerts) == [8, 2, 1])
    #expect(abs(spread.topShare - 8.0 / 11) < 1e-12)
    #expect(spread.ranks.last?.cumulative == 1)
  }

  @Test func shiftsCountTheWatchedOnesToo() throws {
    let shifts = FeedbackReport(ward()).shifts
    #expect(shifts.map(\.unit) == ["ward-7", "ward-8"])
    // Ward 7: one day of two shifts. Ward 8: patient 4's day and patient 3's two days.
    #expect(shifts.map(\.shifts) == [2, 6])
    #expect(shifts[0].perShift == 5 && shifts[0].busiest == 8 && shifts[0].busiestStart == monday)
    // 10 alerts in 2 patient-days are 2.5 a patient and shift: 10 a nurse with four.
    #expect(shifts[0].perNurse == 10)
    var options = FeedbackOptions()
    options.shift = 8 * hour
    #expect(FeedbackReport(ward(), options).shifts.map(\.shifts) == [3, 9])
  }

  @Test func waitsSayHowManyTheyRestOn() throws {
    let report = FeedbackReport(ward())
    let all = try #require(report.accept.first)
    #expect(all.priority == nil && all.alerts == 11 && all.answered == 2)
    #expect(all.median == 30_000 && all.p90 == 90_000)
    #expect(report.acknowledge.first?.answered == 10 && report.acknowledge.first?.median == 120_000)
    #expect(report.accept.map(\.priority) == [nil, .medium])
  }

  @Test func equalInputIsEqualJSONAndNamesNobodyUnasked() {
    func json(_ name: ((UInt32) -> String)? = nil) -> String {
      var out = JSONText()
      FeedbackReport(ward()).write(to: &out, name: name)
      return out.text
    }
    #expect(json() == json())
    #expect(!json().contains("somebody"))
    #expect(!json().contains("by_patient"))
    let named = json { "somebody-\($0)" }
    #expect(named.contains(#""by_patient":[{"patient":"somebody-1","alerts":8"#))
    #expect(json().contains(#""ppv_interval":{"lower":"#) && json().contains(#""method":"patient-bootstrap""#))
  }

  @Test func nothingStoredIsNoFigureAndNoTrap() {
    let report = FeedbackReport(
      FeedbackInput(outcomes: [], watches: [], watchSource: .alerts, held: [], range: monday..<monday))
    #expect(report.total.alerts == 0 && report.total.burden == nil && report.total.predictiveValue == nil)
    #expect(report.rules.isEmpty && report.concentration.ranks.isEmpty && report.concentration.topShare == 0)
  }

  @Test func staysEndWithADayWithoutSamples() {
    let stays = PatientWatch.stays([
      (first: monday, last: monday + 9 * hour, rows: 10),
      (first: monday + 20 * hour, last: monday + 20 * hour, rows: 1),
      (first: monday + 60 * hour, last: monday + 61 * hour, rows: 61),
    ])
    // 20 h of eleven rows are two-hour steps; an hour of 61 rows minutes.
    #expect(stays == [monday..<monday + 22 * hour, monday + 60 * hour..<monday + 61 * hour + 60_000])
    let overlapping = PatientWatch(patient: 1, unit: nil, spans: [5..<9, 0..<6, 20..<30])
    #expect(overlapping.spans == [0..<9, 20..<30])
  }

  @Test func weeksAreThoseOfISO8601() {
    func week(_ text: String) -> String { Timestamp.parse(text).map { ISOWeek(of: $0).text } ?? "" }
    #expect(week("2026-11-20T22:38:00Z") == "2026-W47")
    #expect(week("2026-01-01T00:00:00Z") == "2026-W01")
    #expect(week("2027-01-01T00:00:00Z") == "2026-W53")
    #expect(week("2024-12-30T00:00:00Z") == "2025-W01")
    #expect(week("2023-01-01T23:59:59Z") == "2022-W52")
    #expect(week("1969-12-28T00:00:00Z") == "1969-W52")
    #expect(week("1970-01-01T00:00:00Z") == "1970-W01")
    #expect(ISOWeek(of: monday).range == monday..<monday + 7 * day)
  }
}
