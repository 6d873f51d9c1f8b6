import Testing
import VitalModel

@testable import Statistics

/// Which stretches a report draws, and the counts it compares stages by.
@Suite struct TracePicksTests {
  private static let hour: Int64 = 3_600_000

  /// Days of two, events of patients 0, 1 and 2 at 30 h; patient 1 is found, patient 0 had an alert long before.
  private func input(_ alerts: [EvaluatedAlert]) throws -> EvaluationInput {
    let hour = TracePicksTests.hour
    let stays = (0..<8).map { _ in
      WatchedStay(PatientWatch(patient: 0, unit: nil, spans: [0..<48 * hour]), interval: hour)
    }
    let text = "patient_id,onset_time_s,label\n" + (0..<3).map { "\($0),\(30 * 3600),fall\n" }.joined()
    let labels = try LabelSet(LabelTable(text, file: "labels.csv", epoch: 0), LabelSelection())
    let cohort = EvaluationCohort(stays: stays, labels: labels) { Int($0) }
    return EvaluationInput(
      cohort: cohort, alerts: alerts, rules: [EvaluatedRule(id: "loud"), EvaluatedRule(id: "quiet")])
  }

  private var convention: EvaluationConvention {
    var convention = EvaluationConvention()
    convention.lead = 6 * TracePicksTests.hour
    convention.grace = TracePicksTests.hour
    return convention
  }

  private func alert(_ patient: Int, _ hours: Int64, rule: Int = 0) -> EvaluatedAlert {
    EvaluatedAlert(patient: patient, time: hours * TracePicksTests.hour, rule: rule)
  }

  @Test func missedEventsComeWithTheLongestQuietFirst() throws {
    let hour = TracePicksTests.hour
    let picks = TracePicks(try input([alert(0, 10), alert(1, 28)]), convention).picks
    let missed = picks.filter { if case .missed = $0.reason { true } else { false } }
    #expect(missed.map(\.patient) == [2, 0])
    #expect(missed.map(\.reason) == [.missed(quiet: 30 * hour), .missed(quiet: 20 * hour)])
    #expect(missed[0].anchor == 30 * hour && missed[0].onsets == [30 * hour] && missed[0].alerts.isEmpty)
    #expect(missed[0].range == 24 * hour...31 * hour)
  }

  @Test func eachNoisyRuleHasItsNoisiestPatients() throws {
    let hour = TracePicksTests.hour
    // Patient 5 is loud at 2 h and four times from 20 h on; patient 6 twice; 7 once by the other rule.
    let alerts = [2, 20, 21, 22, 23].map { alert(5, $0) } + [4, 40].map { alert(6, $0) } + [alert(7, 9, rule: 1)]
    let picks = TracePicks(try input(alerts + [alert(1, 28)]), convention).picks
    let wrong = picks.filter { if case .falseAlerts = $0.reason { true } else { false } }
    #expect(wrong.map(\.patient) == [5, 7, 6])
    #expect(wrong[0].reason == .falseAlerts(rule: "loud", count: 5) && wrong[0].anchor == 20 * hour)
    #expect(wrong[0].alerts.map(\.time) == [20, 21, 22, 23].map { $0 * hour })
    #expect(wrong[0].alerts.allSatisfy { $0.worth == .false && $0.rule == "loud" })
    #expect(wrong[1].reason == .falseAlerts(rule: "quiet", count: 1))
  }

  @Test func alertsAreNamedByWhatTheyWereWorth() throws {
    let alerts = [alert(1, 25), alert(1, 28), alert(0, 31), alert(0, 34)]
    let picks = TracePicks(try input(alerts), convention).picks
    let second = try #require(picks.first { $0.patient == 0 })
    #expect(second.reason == .falseAlerts(rule: "loud", count: 1))
    #expect(second.alerts.map(\.worth) == [.false])
    #expect(!picks.contains { $0.patient == 1 })
  }

  @Test func picksAreFewAndDoNotDependOnOrder() throws {
    let alerts = (0..<8).flatMap { patient in (0..<5).map { alert(patient, Int64(2 * $0 + patient), rule: patient % 2) }
    }
    let picks = TracePicks(try input(alerts), convention).picks
    #expect(picks.count <= 2 * TracePicks.eachMax)
    #expect(TracePicks(try input(alerts.reversed()), convention).picks == picks)
    #expect(TracePicks(try input([alert(99, 3)]), convention).picks.allSatisfy { $0.patient < 8 })
  }

  @Test func countsAreThoseOfTheReport() throws {
    var options = EvaluationOptions()
    options.convention = convention
    options.resamples = EvaluationOptions.resamplesMin
    let input = try input([alert(0, 10), alert(1, 28), alert(1, 29), alert(2, 31), alert(6, 3)])
    let total = EvaluationReport(input, options).total
    let count = DetectionCount(input, convention)
    #expect(count.events == 3 && count.detected == 2 && count.detected == total.events.detected)
    #expect(count.alerts == 5 && count.patientDays == 16 && count.burden == total.alerts.perPatientDay?.value)
    #expect(count.sensitivity == total.events.sensitivity?.value)
  }

  @Test func theClockLineRisesThroughTheReportsOwnPoint() throws {
    var options = EvaluationOptions()
    options.convention = convention
    options.resamples = EvaluationOptions.resamplesMin
    let input = try input((0..<8).map { alert($0, 3) })
    let clock = try #require(EvaluationReport(input, options).total.chance.clock)
    let curve = ClockPolicy.curve(input.cohort, convention, burdens: [0, 0.125, 0.25, 0.5, 2, -1, .nan])
    #expect(curve.map(\.burden) == [0, 0.125, 0.25, 0.5, 2])
    #expect(curve[3].sensitivity == clock.sensitivity, "eight alerts in sixteen days")
    #expect(curve[0].sensitivity == 0 && curve[4].sensitivity == 1)
    #expect(zip(curve, curve.dropFirst()).allSatisfy { $0.sensitivity <= $1.sensitivity })
    // Without events there is nothing to detect.
    let empty = try LabelSet(
      LabelTable("patient_id,onset_time_s,label\nx,1,fall\n", file: "l.csv", epoch: 0), LabelSelection())
    let cohort = EvaluationCohort(stays: input.cohort.stays, labels: empty) { _ in nil }
    #expect(ClockPolicy.curve(cohort, convention, burdens: [1]).isEmpty)
  }
}
