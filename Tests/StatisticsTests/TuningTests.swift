import Testing
import VitalModel

@testable import Statistics

/// A ward in which every second patient has an event on the hour 20 of 40, and settings of which it is known what they find.
private struct TunedWard {
  let cohort: EvaluationCohort
  let names: [String]
  var convention = EvaluationConvention()

  init(patients: Int = 60, groups: [SubgroupColumn] = []) {
    let stays = (0..<patients).map { _ in stay(40) }
    let events = stride(from: 0, to: patients, by: 2).map { CohortEvent(patient: $0, onset: epoch + 20 * hour) }
    cohort = StatisticsTests.cohort(stays, events, groups: groups)
    names = (0..<patients).map { "p\($0)" }
    convention.lead = 6 * hour
  }

  func folds(_ count: Int = 5, holdout: Double = 0) -> PatientFolds {
    PatientFolds(patients: names, hasEvent: cohort.hasEvent, count: count, seed: 1, holdout: holdout)
  }

  func tuning(_ folds: PatientFolds? = nil) -> TuningCohort {
    TuningCohort(cohort, folds: folds ?? self.folds(), convention: convention, seed: 1)
  }

  /// Alerts that find the events of the first `found` patients with one, and `wrong` false ones of every patient.
  func alerts(found: Int, wrong: Int) -> [EvaluatedAlert] {
    let events = cohort.events.prefix(found).map { EvaluatedAlert(patient: $0.patient, time: $0.onset - hour) }
    let noise = names.indices.flatMap { patient in
      (0..<wrong).map { EvaluatedAlert(patient: patient, time: epoch + Int64(25 + $0) * hour) }
    }
    return events + noise
  }
}

@Suite struct PatientFoldTests {
  @Test func everyPatientIsInOneFoldAndTheOrderDoesNotMatter() {
    let names = (0..<103).map { "patient \($0)" }
    let hasEvent = names.indices.map { $0 % 7 == 0 }
    let folds = PatientFolds(patients: names, hasEvent: hasEvent, count: 5, seed: 3, holdout: 0.2)
    let turned = PatientFolds(
      patients: names.reversed(), hasEvent: hasEvent.reversed(), count: 5, seed: 3, holdout: 0.2)
    #expect(Array(turned.fold.reversed()) == folds.fold)
    for fold in 0..<5 {
      let (own, others) = (folds.members(of: fold), folds.training(without: fold))
      #expect(zip(own, others).allSatisfy { !($0 && $1) })
      #expect(zip(others, folds.heldOutMask).allSatisfy { !($0 && $1) })
      #expect((2...3).contains(zip(own, hasEvent).count { $0 && $1 }), "events are dealt out evenly")
      #expect((16...17).contains(own.count { $0 }))
    }
    #expect(folds.heldOutMask.count { $0 } == 21)
    #expect(zip(folds.heldOutMask, hasEvent).count { $0 && $1 } == 3)
    #expect(PatientFolds(patients: names, hasEvent: hasEvent, count: 5, seed: 4).fold != folds.fold)
  }

  @Test func aColumnSplitsBySite() {
    let folds = PatientFolds(
      patients: ["a", "b", "c", "d"], hasEvent: [true, false, false, false], groups: ["west", nil, "east", "west"],
      seed: 1)
    #expect(folds.names == ["east", "unknown", "west"])
    #expect(folds.fold == [2, 1, 0, 2])
  }

  @Test func aSmallerShareIsInsideALargerOne() {
    let ward = TunedWard()
    let folds = ward.folds(3, holdout: 0.1)
    let shares = [1.0 / 9, 1.0 / 3, 1].map { folds.nested($0) }
    for (small, large) in zip(shares, shares.dropFirst()) {
      #expect(zip(small, large).allSatisfy { !$0 || $1 })
      #expect(small.count { $0 } < large.count { $0 })
    }
    #expect(shares[2] == folds.all)
    // A share of every fold, with events and without.
    #expect(zip(shares[0], ward.cohort.hasEvent).count { $0 && $1 } >= 3)
  }
}

@Suite struct SettingTallyTests {
  /// The counts a setting is chosen by are those `evaluate` prints of the same alerts.
  @Test func countsAreThoseOfAnEvaluation() throws {
    for seed in 1...3 {
      let ward = RandomWard(seed: UInt64(seed), patients: 40)
      let report = report(ward.cohort, ward.alerts, ward.convention)
      let names = ward.cohort.stays.indices.map { "\($0)" }
      let folds = PatientFolds(patients: names, hasEvent: ward.cohort.hasEvent, count: 2, seed: 1)
      let cohort = TuningCohort(ward.cohort, folds: folds, convention: ward.convention, seed: 1)
      let tally = cohort.tally(ward.alerts.reversed())
      let sums = TuningMask(cohort, folds.all).sums(tally, of: cohort)
      let total = report.total
      #expect(sums.patients == total.patients && sums.patientDays == total.patientDays)
      #expect(sums.events == total.events.count && sums.detected == total.events.detected)
      #expect(sums.alerts == total.alerts.count && sums.falseAlerts == total.alerts.isFalse)
      #expect(sums.trueAlerts == total.alerts.credited + total.alerts.repeats)
      #expect(sums.sensitivityBefore == total.chance.beforeOnset?.value)
      #expect(sums.windows.truePositives == total.windows.truePositives)
      #expect(sums.windows.falsePositives == total.windows.falsePositives)
      #expect(sums.windows.falseNegatives == total.windows.falseNegatives)
      #expect(sums.windows.trueNegatives == total.windows.trueNegatives)
      let figures = TuningFigures.all([tally], of: cohort, among: folds.all, resamples: 1000, seed: 1)[0]
      #expect(figures.burden == total.alerts.perPatientDay)
      #expect(figures.sensitivity == total.events.sensitivity)
      #expect(figures.predictiveValue == total.alerts.predictiveValue)
      func value(_ objective: TuningObjective) -> Double { objective.value(sums) ?? .nan }
      #expect(abs(value(.fBeta(2)) - (try #require(total.scores.f2)).value) < 1e-12)
      #expect(abs(value(.utility) - (try #require(total.scores.utility2019)).value) < 1e-12)
      let benefit = try #require(total.windows.netBenefit.first { $0.threshold == 0.1 })
      #expect(abs(value(.netBenefit(threshold: 0.1)) - benefit.figure.value) < 1e-12)
    }
  }

  @Test func controlsAreOfTheSameFold() {
    let ward = TunedWard()
    let cohort = ward.tuning(ward.folds(3, holdout: 0.2))
    #expect(!cohort.matched.cases.isEmpty)
    for item in cohort.matched.cases {
      for place in item.controls {
        #expect(cohort.folds.fold[Int(cohort.matched.controls[place])] == cohort.folds.fold[item.patient])
      }
    }
  }

  /// Worked out by hand: 30 events, 24 found; controls alert in the same hours under one setting only.
  @Test func marginIsSensitivityLessThatOfControls() {
    let ward = TunedWard()
    let cohort = ward.tuning()
    let mask = TuningMask(cohort, cohort.folds.all)
    let quiet = mask.sums(cohort.tally(ward.alerts(found: 24, wrong: 0)), of: cohort)
    #expect(quiet.margin == 0.8 && quiet.controlRate == 0)
    let everybody = ward.names.indices.map { EvaluatedAlert(patient: $0, time: epoch + 19 * hour) }
    let loud = mask.sums(cohort.tally(everybody), of: cohort)
    #expect(loud.sensitivity == 1 && loud.margin == 0 && loud.controlRate == 1 && !loud.isMarginEmpty)
    let silent = mask.sums(cohort.tally([]), of: cohort)
    #expect(silent.margin == 0 && silent.isMarginEmpty && silent.matched == 30 && silent.unmatched == 0)
  }
}

@Suite struct NestedChoiceTests {
  private let ward = TunedWard()

  private func choice(
    _ settings: [(found: Int, wrong: Int)], _ objective: TuningObjective, candidates: [[Int]]? = nil
  ) -> NestedChoice {
    let cohort = ward.tuning()
    return NestedChoice(
      cohort, settings.map { cohort.tally(ward.alerts(found: $0.found, wrong: $0.wrong)) }, objective: objective,
      candidates: candidates, resamples: 300, seed: 1)
  }

  @Test func theLeastBurdenThatIsSureToFindEnough() {
    // 21 of 30 is 0.7, but nobody can be sure of 0.6 with so few.
    let settings = [(30, 3), (27, 2), (21, 1), (6, 0)]
    let objective = TuningObjective.leastBurden(sensitivity: 0.6)
    let chosen = choice(settings, objective)
    #expect(chosen.final.position == 1 && chosen.final.meetsTarget)
    #expect(chosen.folds.allSatisfy { [1, 2].contains($0.choice.position) && $0.choice.meetsTarget })
    #expect(choice(settings, .leastBurden(sensitivity: 0.3)).final.position == 2)
    // Every event found: the exact bound of 30 of 30 is 0.884.
    #expect(choice(settings, .leastBurden(sensitivity: 0.88)).final.position == 0)
    let none = choice(settings, .leastBurden(sensitivity: 0.95)).final
    #expect(none.position == 0 && !none.meetsTarget && abs(none.miss - (0.95 - 0.884)) < 0.001)
  }

  @Test func theGreatestMarginABudgetAllows() {
    // Burdens, of 100 patient-days: 60 x wrong + found.
    let settings = [(30, 3), (27, 1), (24, 0), (6, 0)]
    #expect(choice(settings, .greatestMargin(burden: 0.5)).final.position == 2)
    #expect(choice(settings, .greatestMargin(burden: 5)).final.position == 0)
    let none = choice(settings, .greatestMargin(burden: 0.01)).final
    #expect(none.position == 3 && !none.meetsTarget)
    #expect(abs(none.miss - (6.0 / 100 - 0.01)) < 1e-12)
  }

  @Test func otherObjectives() {
    let settings = [(30, 3), (27, 1), (24, 0), (6, 0)]
    #expect(choice(settings, .fBeta(1)).final.position == 2)
    // A missed event costs 5 false alerts: 30 + 0 against 15 + 60.
    #expect(choice(settings, .cost(ratio: 5)).final.position == 2)
    // Costing 100: 600 against 360 against 180.
    #expect(choice(settings, .cost(ratio: 100)).final.position == 0)
    #expect(choice(settings, .netBenefit(threshold: 0.5)).final.meetsTarget)
  }

  /// Everybody has an event at the same hour: nobody is a control, and no margin is reached.
  @Test func whatHasNoValueReachesNothing() {
    let stays = (0..<20).map { _ in stay(40) }
    let events = (0..<20).map { CohortEvent(patient: $0, onset: epoch + 20 * hour) }
    let cohort = StatisticsTests.cohort(stays, events)
    let folds = PatientFolds(patients: (0..<20).map { "p\($0)" }, hasEvent: cohort.hasEvent, count: 2, seed: 1)
    let tuning = TuningCohort(cohort, folds: folds, convention: ward.convention, seed: 1)
    let tallies = [0, 20].map { found in
      tuning.tally(cohort.events.prefix(found).map { EvaluatedAlert(patient: $0.patient, time: $0.onset - hour) })
    }
    #expect(tuning.eventsWithControls(among: folds.all) == 0)
    let chosen = NestedChoice(tuning, tallies, objective: .greatestMargin(burden: 9), resamples: 300, seed: 1).final
    #expect(!chosen.meetsTarget && chosen.value == nil && chosen.miss == .infinity)
    let found = NestedChoice(tuning, tallies, objective: .fBeta(1), resamples: 300, seed: 1).final
    #expect(found.meetsTarget && found.position == 1)
  }

  @Test func equalsAreSettledByBurdenThenOrder() {
    #expect(choice([(24, 1), (24, 0), (24, 0)], .greatestMargin(burden: 9)).final.position == 1)
  }

  /// What is pooled of a fold is what the others chose, and labels of a fold change nothing of what is chosen for it.
  @Test func aFoldIsJudgedByWhatTheOthersChose() {
    let cohort = ward.tuning()
    let tallies = [(30, 3), (27, 2), (21, 1), (6, 0)].map { cohort.tally(ward.alerts(found: $0.0, wrong: $0.1)) }
    let own = (0..<5).map { [$0 % 4] }
    let chosen = NestedChoice(
      cohort, tallies, objective: .fBeta(1), candidates: own, final: [3], seed: 1)
    #expect(chosen.folds.map(\.choice.position) == [0, 1, 2, 3, 0] && chosen.final.position == 3)
    for fold in 0..<5 {
      let mask = TuningMask(cohort, cohort.folds.members(of: fold))
      #expect(mask.sums(chosen.pooled, of: cohort) == mask.sums(tallies[fold % 4], of: cohort))
    }
    let whole = TuningMask(cohort, cohort.folds.all).sums(chosen.pooled, of: cohort)
    let parts = (0..<5).map { TuningMask(cohort, cohort.folds.members(of: $0)).sums(chosen.pooled, of: cohort) }
    #expect(whole.alerts == parts.reduce(0) { $0 + $1.alerts })
    #expect(whole.detected == parts.reduce(0) { $0 + $1.detected })
  }

  @Test func alertsOfAFoldDoNotChangeWhatIsChosenForIt() {
    let cohort = ward.tuning()
    let settings = [(30, 3), (27, 2), (21, 1), (6, 0)].map { ward.alerts(found: $0.0, wrong: $0.1) }
    for fold in 0..<5 {
      let before = NestedChoice(
        cohort, settings.map { cohort.tally($0) }, objective: .fBeta(1), seed: 1)
      let without = settings.map { alerts in
        cohort.tally(alerts.filter { cohort.folds.fold[$0.patient] != fold })
      }
      let after = NestedChoice(cohort, without, objective: .fBeta(1), seed: 1)
      #expect(before.folds[fold] == after.folds[fold])
    }
  }
}

@Suite struct TuningFigureTests {
  /// The same alerts but for ten events: the interval of the difference is that of those ten alone.
  @Test func differencesArePairedByPatient() throws {
    let ward = TunedWard()
    let cohort = ward.tuning()
    let (a, b) = (cohort.tally(ward.alerts(found: 25, wrong: 2)), cohort.tally(ward.alerts(found: 15, wrong: 2)))
    let all = cohort.folds.all
    let difference = TuningDifference.between(a, b, of: cohort, among: all, resamples: 1000, seed: 1)
    let sensitivity = try #require(difference.sensitivity)
    #expect(abs(sensitivity.value - 1.0 / 3) < 1e-12)
    #expect(abs((try #require(difference.burden)).value - 0.1) < 1e-12, "ten alerts more in 100 patient-days")
    #expect(abs((try #require(difference.margin)).value - 1.0 / 3) < 1e-12)
    let interval = try #require(sensitivity.interval(.patientBootstrap))
    #expect(interval.lower > 0.1 && interval.upper < 0.6)
    let same = TuningDifference.between(a, a, of: cohort, among: all, resamples: 1000, seed: 1)
    let none = try #require(same.margin?.interval(.patientBootstrap))
    #expect(same.margin?.value == 0 && none.lower == 0 && none.upper == 0)
  }

  @Test func heldOutPatientsAreInNoOtherFigure() {
    let ward = TunedWard()
    let cohort = ward.tuning(ward.folds(3, holdout: 0.3))
    let tally = cohort.tally(ward.alerts(found: 30, wrong: 1))
    let (seen, hidden) = (cohort.folds.all, cohort.folds.heldOutMask)
    let figures = [seen, hidden].map {
      TuningFigures.all([tally], of: cohort, among: $0, resamples: 1000, seed: 1)[0].sums
    }
    #expect(figures[0].patients == 42 && figures[1].patients == 18)
    #expect(figures[0].alerts == 21 + 42 && figures[1].alerts == 9 + 18)
    #expect(NestedChoice(cohort, [tally], objective: .utility, seed: 1).pooled.patients.count == 42)
  }

  @Test func theFrontIsWhatNothingBeats() {
    let points: [(Double, Double?)] = [(2, 0.8), (1, 0.5), (1, 0.6), (3, 0.7), (0.5, nil), (3, 0.9), (2, 0.8)]
    #expect(TuningFront.positions(points.map { (burden: $0.0, value: $0.1) }) == [2, 0, 5])
    #expect(TuningFront.thinned(Array(0..<100), to: 3) == [0, 49, 99])
  }

  @Test func aReportHoldsItTogether() throws {
    let sex = SubgroupColumn(name: "sex", values: (0..<60).map { $0 < 30 ? "female" : "male" })
    let ward = TunedWard(groups: [sex])
    let cohort = ward.tuning(ward.folds(3, holdout: 0.2))
    let values = (0..<4).map { DecimalValue(mantissa: Int64(85 + $0)) }
    let axis = TuningAxis(rule: "r", name: "limit", label: "limit", values: values, isDuration: false)
    let grid = try #require(TuningGrid([axis]))
    let tallies = [(6, 0), (24, 0), (27, 1), (30, 3)].map { cohort.tally(ward.alerts(found: $0.0, wrong: $0.1)) }
    var input = TuningInput(
      cohort: cohort, grid: grid, positions: [0, 1, 2, 3], tallies: tallies, today: tallies[2],
      objective: .greatestMargin(burden: 0.5))
    input.resamples = 1000
    input.todayValues = [values[2]]
    let report = TuningReport(input)
    #expect(report.choice.final.position == 1)
    #expect(report.points.map(\.isChosen) == [false, true, false, false])
    #expect(report.points.map(\.isToday) == [false, false, true, false])
    #expect(report.pointsWithToday.count == 4)
    input.todayValues = [DecimalValue(mantissa: 99)]
    #expect(TuningReport(input).pointsWithToday.map(\.isToday) == [false, false, false, false, true])
    input.todayValues = [values[2]]
    #expect(report.frontOfSensitivity == [0, 1, 2, 3])
    #expect(report.points[1].name == "limit 86")
    #expect(report.heldOut?.sums.patients == 12 && report.crossValidated.sums.patients == 48)
    #expect(report.groups.map(\.value) == ["female", "male"])
    #expect(report.flatness?.within == 1)
    #expect((try #require(report.difference.burden)).value < 0)
    var out = JSONText()
    report.write(to: &out, evaluation: nil)
    var again = JSONText()
    TuningReport(input).write(to: &again, evaluation: nil)
    #expect(out.text == again.text)
    #expect(out.text.contains("\"alerts\":["))
  }
}
