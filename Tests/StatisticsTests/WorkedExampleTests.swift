import Testing
import VitalModel

@testable import Statistics

/// CLINICAL.md 4.1: one patient, 24 h; events 10:00-10:20 and 15:00-15:05; six alerts; lead 30 min, grace 5 min.
@Suite struct WorkedExampleTests {
  private func minute(_ text: String) -> Int64 {
    let parts = text.split(separator: ":").compactMap { Int64($0) }
    return epoch + (parts[0] * 60 + parts[1]) * 60_000
  }

  private func result(
    _ change: (inout EvaluationConvention) -> Void, negatives: [String] = [], censored: [(Int, Int64, Int64)] = []
  ) -> EvaluationReport {
    var convention = EvaluationConvention()
    convention.lead = 30 * 60_000
    convention.grace = 5 * 60_000
    convention.usefulLead = 10 * 60_000
    change(&convention)
    let ward = cohort(
      [stay(24)],
      [
        CohortEvent(patient: 0, onset: minute("10:00"), end: minute("10:20")),
        CohortEvent(patient: 0, onset: minute("15:00"), end: minute("15:05")),
      ], negatives: negatives.map { CohortEvent(patient: 0, onset: minute($0)) }, censored: censored)
    let alerts = ["09:40", "09:55", "10:15", "12:00", "15:07", "20:00"].map {
      EvaluatedAlert(patient: 0, time: minute($0))
    }
    return report(ward, alerts, convention)
  }

  @Test func throughTheEndOfAnEvent() throws {
    let row = result { $0.closing = .end }.total
    #expect(row.events.count == 2 && row.events.detected == 2 && row.events.sensitivity?.value == 1)
    #expect(row.alerts.count == 6 && row.alerts.credited == 2 && row.alerts.repeats == 2 && row.alerts.isFalse == 2)
    #expect(row.alerts.perPatientDay?.value == 6 && row.alerts.falsePerPatientDay?.value == 2)
    #expect(row.alerts.predictiveValue?.value == 4.0 / 6 && row.alerts.predictiveValueOnce?.value == 0.5)
    #expect(row.alerts.numberNeeded?.value == 1.5)
    let lead = try #require(row.lead)
    // +20 and −7 minutes.
    #expect(lead.p25 == -420_000 && lead.p75 == 1_200_000 && lead.median.value == -420_000)
    #expect(lead.usefulShare?.value == 0.5)
    #expect(row.chance.beforeOnset?.value == 0.5)
    #expect(row.scores.f1?.value == Double(4) / 6)
    // One patient alone: nothing is resampled, and the one yes of one is all that is known.
    #expect(row.alerts.perPatientDay?.intervals.isEmpty == true)
    #expect(row.events.sensitivity?.interval == Proportion.clopperPearson(1, of: 1))
  }

  @Test func untilTheOnsetWithNeutralRepeatsInside() {
    let row = result { $0.isNeutralInside = true }.total
    #expect(row.events.detected == 1 && row.events.sensitivity?.value == 0.5)
    #expect(row.alerts.isFalse == 3 && row.alerts.neutral == 1 && row.alerts.credited == 1 && row.alerts.repeats == 1)
    // Without the pardon 10:15 is false too.
    #expect(result { _ in }.total.alerts.isFalse == 4)
  }

  @Test func windowsOfAnHour() throws {
    let windows = result { _ in }.total.windows
    #expect(windows.truePositives == 2 && windows.falsePositives == 3)
    #expect(windows.falseNegatives == 0 && windows.trueNegatives == 19)
    #expect(windows.sensitivity?.value == 1 && windows.predictiveValue?.value == 0.4)
    #expect(abs((windows.specificity?.value ?? 0) - 19.0 / 22) < 1e-12)
    let wilson = Proportion.wilson(19, of: 22)
    #expect(abs(wilson.lower - 0.6667) < 5e-5 && abs(wilson.upper - 0.9525) < 5e-5)
    // By the hours in which an alert would count, 9 is one of them.
    let match = result { $0.windowTruth = .match }.total.windows
    #expect(match.truePositives == 3 && match.falsePositives == 2 && match.falseNegatives == 1)
    #expect(match.trueNegatives == 18)
  }

  @Test func conventionsAreNamed() {
    #expect(result { $0.closing = .end }.options.convention.words.contains("5m after its end"))
    let words = result { $0.isNeutralInside = true }.options.convention.words
    #expect(
      words.contains("30m before its onset and 5m after its onset") && words.contains("too late for it are neutral"))
  }

  @Test func censoredStretchesAreNeitherTrueNorFalse() {
    let row = result(
      { $0.closing = .end }, censored: [(0, minute("11:30"), minute("12:30")), (0, minute("09:50"), minute("09:56"))]
    ).total
    // 12:00 is in one; 09:55 counts for its event all the same; both stay in the burden.
    #expect(row.alerts.censored == 1 && row.alerts.isFalse == 1 && row.alerts.repeats == 2)
    #expect(row.alerts.perPatientDay?.value == 6)
    // Windows 9, 11 and 12 are left out.
    #expect(row.windows.censored == 3 && row.windows.falsePositives == 1 && row.windows.trueNegatives == 18)
    // An event in one is left out and counted.
    let hidden = result({ _ in }, censored: [(0, minute("09:50"), minute("10:30"))])
    #expect(hidden.exclusions.inCensored == 1 && hidden.total.events.count == 1)
  }

  @Test func falseMomentsMakeTheScoreOf2015() {
    // Two events found and missed under the second convention; of three false moments one is alerted.
    let row = result({ $0.isNeutralInside = true }, negatives: ["12:10", "04:00", "23:00"]).total
    #expect(row.scores.isOverMoments && row.scores.negatives == 3 && row.scores.negativesAlerted == 1)
    #expect(row.scores.cinc2015?.value == Double(300) / 9)
    // Without such moments the windows stand in: 2 and 19 right, 3 false.
    #expect(result { _ in }.total.scores.cinc2015?.value == 87.5)
  }

  @Test func oneAlertCreditsOneEvent() {
    var convention = EvaluationConvention()
    convention.lead = 2 * hour
    let events = [10, 11].map { CohortEvent(patient: 0, onset: epoch + $0 * hour) }
    let single = [EvaluatedAlert(patient: 0, time: epoch + 9 * hour + 1)]
    #expect(report(cohort([stay(24)], events), single, convention).total.events.detected == 1)
    let two = single + [EvaluatedAlert(patient: 0, time: epoch + 10 * hour)]
    let row = report(cohort([stay(24)], events), two, convention).total
    #expect(row.events.detected == 2 && row.alerts.repeats == 0)
  }

  /// As many events as can be are detected: against every way to assign alerts to events.
  @Test func noOtherAssignmentDetectsMore() {
    for seed in 0..<300 as Range<UInt64> {
      var sampler = Resampler(seed: seed)
      let times = (0..<sampler.index(below: 7)).map { _ in Int64(sampler.index(below: 30)) }.sorted()
      let targets = (0..<sampler.index(below: 6)).map { _ -> EventMatching.Target in
        let first = Int64(sampler.index(below: 30))
        let last = first + Int64(sampler.index(below: 9))
        return EventMatching.Target(onset: last, first: first, last: last, end: last)
      }
      let found = EventMatching(times, targets)
      #expect(found.detected == most(times, targets[...]), "seed \(seed)")
      #expect(found.worth.count { $0 == .credited } == found.detected, "seed \(seed)")
      for (target, position) in zip(targets, found.creditedAlert) where position >= 0 {
        #expect(target.first <= times[position] && times[position] <= target.last, "seed \(seed)")
      }
    }
  }

  private func most(_ times: [Int64], _ targets: ArraySlice<EventMatching.Target>) -> Int {
    guard let target = targets.first else { return 0 }
    var best = most(times, targets.dropFirst())
    for (index, time) in times.enumerated() where target.first <= time && time <= target.last {
      var rest = times
      rest.remove(at: index)
      best = max(best, 1 + most(rest, targets.dropFirst()))
    }
    return best
  }
}
