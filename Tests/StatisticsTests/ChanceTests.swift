import Testing
import VitalModel

@testable import Statistics

/// SEMANTICS F2: beside every sensitivity what chance alone would reach.
@Suite struct ChanceTests {
  @Test func turningAStayKeepsItsAlerts() {
    var sampler = Resampler(seed: 11)
    for _ in 0..<200 {
      let stay = stay(1 + sampler.index(below: 50))
      let offsets = (0..<sampler.index(below: 12)).map { _ in Int64(sampler.index(below: Int(stay.length))) }.sorted()
      let steps = sampler.index(below: Rotation.steps(stay))
      let turned = Rotation.turned(offsets[...], by: steps, of: stay)
      #expect(turned.count == offsets.count)
      #expect(turned.allSatisfy { 0 <= $0 && $0 < stay.length } && turned == turned.sorted())
      // The rest of the way round gives back what was.
      let back = Rotation.turned(turned[...], by: Rotation.steps(stay) - steps, of: stay)
      #expect(back == offsets)
    }
  }

  @Test func rotatedSensitivityIsTheShareOfHoursThatCount() throws {
    // 100 patients of 24 hours, onset at hour 18, one alert each at hour 0: 4 of 24 turns count.
    var convention = EvaluationConvention()
    convention.lead = 3 * hour
    let ward = cohort(
      (0..<100).map { _ in stay(24) }, (0..<100).map { CohortEvent(patient: $0, onset: epoch + 18 * hour) })
    let alerts = (0..<100).map { EvaluatedAlert(patient: $0, time: epoch) }
    let rotation = try #require(report(ward, alerts, convention).total.chance.rotation)
    #expect(rotation.count >= 200 && abs(rotation.mean - 4.0 / 24) < 0.01)
    #expect(rotation.low < rotation.mean && rotation.mean < rotation.high && rotation.asGood == 1)
    // Alerts where they belong do better than any rotation.
    let right = (0..<100).map { EvaluatedAlert(patient: $0, time: epoch + 16 * hour) }
    let found = try #require(report(ward, right, convention).total.chance.rotation)
    #expect(found.asGood == 1.0 / Double(found.count + 1))
  }

  /// Against every set of hours and every mixture of two.
  @Test func noOtherClockIsBetter() {
    for seed in 0..<60 as Range<UInt64> {
      var sampler = Resampler(seed: seed)
      let stays = (0..<5).map { _ in stay(1 + sampler.index(below: 8)) }
      let events = stays.indices.flatMap { patient -> [CohortEvent] in
        (0..<sampler.index(below: 3)).map { _ in
          let place = sampler.index(below: Int(stays[patient].length / hour))
          return CohortEvent(patient: patient, onset: epoch + Int64(place) * hour)
        }
      }
      let ward = cohort(stays, events)
      guard !ward.events.isEmpty else { continue }
      var convention = EvaluationConvention()
      convention.lead = Int64(sampler.index(below: 4)) * hour
      convention.grace = Int64(sampler.index(below: 2)) * hour
      let points = subsets(ward, convention)
      for alerts in [0, 1, 3, 6, 10, 40] {
        let policy = ClockPolicy(
          ward, events: Array(ward.events.indices), members: Array(stays.indices), alerts: alerts, convention)
        let best = hull(points, at: Double(alerts)) / Double(ward.events.count)
        #expect(abs((policy?.sensitivity ?? -1) - best) < 1e-9, "seed \(seed), \(alerts) alerts")
        let spent = (policy?.times ?? []).reduce(0) { sum, time in sum + stays.count { $0.length > time } }
        #expect(spent <= alerts, "seed \(seed), \(alerts) alerts")
      }
    }
  }

  private func subsets(_ ward: EvaluationCohort, _ convention: EvaluationConvention) -> [(cost: Double, found: Double)]
  {
    (0..<256).map { mask in
      let hours = (0..<8).filter { mask & (1 << $0) != 0 }.map { Int64($0) * hour }
      let cost = hours.reduce(0) { sum, time in sum + ward.stays.count { $0.length > time } }
      let found = ward.events.count { event in
        let stay = ward.stays[event.patient]
        let target = convention.target(event, in: stay)
        return hours.contains { target.first <= $0 && $0 <= target.last && $0 < stay.length }
      }
      return (Double(cost), Double(found))
    }
  }

  private func hull(_ points: [(cost: Double, found: Double)], at budget: Double) -> Double {
    var best = 0.0
    for low in points where low.cost <= budget {
      best = max(best, low.found)
      for high in points where high.cost > budget {
        best = max(best, low.found + (budget - low.cost) / (high.cost - low.cost) * (high.found - low.found))
      }
    }
    return best
  }

  @Test func aClockHasNoMarginAndAnAlertOfItsOwnHas() throws {
    // 400 patients, events in 100 of them, always between hours 10 and 20; a clock that rings at hour 12 finds many of them.
    var sampler = Resampler(seed: 3)
    let stays = (0..<400).map { _ in stay(24 + sampler.index(below: 24)) }
    let events = (0..<100).map {
      CohortEvent(patient: 4 * $0, onset: epoch + Int64(10 + sampler.index(below: 11)) * hour)
    }
    var convention = EvaluationConvention()
    convention.lead = 6 * hour
    convention.grace = hour
    let ward = cohort(stays, events)
    let clock = (0..<400).map { EvaluatedAlert(patient: $0, time: epoch + 12 * hour) }
    let chance = report(ward, clock, convention).total
    #expect((chance.events.sensitivity?.value ?? 0) > 0.5)
    #expect(chance.chance.controls == 2000 && chance.chance.matched == 100 && chance.chance.unmatched == 0)
    #expect(chance.chance.margin?.value == 0, "a clock rings for controls alike")
    #expect((chance.chance.clock?.sensitivity ?? 0) >= (chance.events.sensitivity?.value ?? 1))
    // Alerts only where an event follows: no control has one.
    let oracle = events.map { EvaluatedAlert(patient: $0.patient, time: $0.onset - hour) }
    let best = report(ward, oracle, convention).total.chance
    #expect(best.controlRate == 0 && best.margin?.value == 1)
    // A coin per hour: its margin is about nothing, and its interval says so.
    let coin = (0..<400).flatMap { patient in
      (0..<24).filter { _ in sampler.index(below: 12) == 0 }.map {
        EvaluatedAlert(patient: patient, time: epoch + Int64($0) * hour)
      }
    }
    let margin = try #require(report(ward, coin, convention).total.chance.margin)
    let interval = try #require(margin.interval)
    #expect(interval.contains(0) && abs(margin.value) < 0.1)
    #expect(interval.method == .patientBootstrapCorrected && interval.upper - interval.lower > 0.1)
  }

  @Test func controlsAreStillThereAndHaveNoEvent() {
    let ward = RandomWard(seed: 5)
    let events = Array(ward.cohort.events.indices)
    let matched = MatchedControls(ward.cohort, events: events, ward.convention, seed: 9) { $0 % 7 > 0 }
    #expect(matched.cases.count + matched.unmatched == events.count && matched.cases.count > 5)
    for item in matched.cases {
      let event = ward.cohort.events[item.event]
      let own = matched.controls[item.controls].map { Int($0) }
      #expect(Set(own).count == own.count && own.count <= 20 && !own.isEmpty)
      for control in own {
        #expect(!ward.cohort.hasEvent[control] && control % 7 > 0)
        #expect(ward.cohort.stays[control].length > event.onset - epoch)
      }
    }
    let again = MatchedControls(ward.cohort, events: events, ward.convention, seed: 9) { $0 % 7 > 0 }
    #expect(again.controls == matched.controls)
    let other = MatchedControls(ward.cohort, events: events, ward.convention, seed: 10) { $0 % 7 > 0 }
    #expect(other.controls != matched.controls)
  }

  /// Leaving a patient out is counting that one not at all.
  @Test func leavingOutIsWeightZero() {
    let ward = RandomWard(seed: 8, patients: 25, burden: 8)
    let alerts = AlertColumn(ward.alerts.sorted { ($0.patient, $0.time) < ($1.patient, $1.time) }, ward.cohort)
    let matched = MatchedControls(
      ward.cohort, events: Array(ward.cohort.events.indices), ward.convention, seed: 1
    ) { _ in true }
    let margin = MatchedMargin(matched, isDetected: { $0 % 2 == 0 }, alerts: alerts, patients: 25)
    func value(_ weights: [Double]) -> Double? { weights.withUnsafeBufferPointer { margin.value($0) } }
    let all = [Double](repeating: 1, count: 25)
    #expect(abs((value(all) ?? -9) - (margin.margin ?? 9)) < 1e-12)
    let plain = (0..<25).map { patient -> Double in
      var weights = all
      weights[patient] = 0
      return value(weights) ?? -9
    }
    let fast = margin.leavingOut()
    #expect(fast.count == 25)
    for (a, b) in zip(plain, fast) { #expect(abs(a - b) < 1e-12) }
  }

  @Test func gapsAreNotHoursOfAStay() {
    let watch = PatientWatch(
      patient: 0, unit: nil, spans: [epoch..<epoch + 10 * hour, epoch + 50 * hour..<epoch + 60 * hour])
    let stay = WatchedStay(watch, interval: hour)
    #expect(stay.length == 20 * hour && stay.days == 20.0 / 24)
    let places: [(Int64, Int64)] = [
      (-1, -1), (0, 0), (9, 9), (10, 10), (30, 10), (50, 10), (55, 15), (60, 20), (61, 21),
    ]
    for (at, offset) in places { #expect(stay.offset(of: epoch + at * hour) == offset * hour, "hour \(at)") }
  }
}
