import Testing
import VitalModel

@testable import Statistics

@Suite struct TuningGridTests {
  private func texts(_ text: String) throws -> [String] {
    let (values, isDuration) = try TuningAxis.values(text)
    let axis = TuningAxis(rule: "r", name: "n", label: "n", values: values, isDuration: isDuration)
    return values.map { axis.text($0) }
  }

  @Test func valuesAreExactDecimals() throws {
    #expect(try texts("85:88:1") == ["85", "86", "87", "88"])
    #expect(try texts("0.1:0.5:0.1") == ["0.1", "0.2", "0.3", "0.4", "0.5"])
    #expect(try texts("0s:90s:40s") == ["0s", "40s", "80s"])
    #expect(try texts("0:2m:1m") == ["0s", "1m", "2m"])
    #expect(try texts("-1:1:1") == ["-1", "0", "1"])
    #expect(try texts("90|85|100") == ["90", "85", "100"])
    #expect(try texts("7") == ["7"])
  }

  @Test(arguments: [
    ("85:95", TuningAxis.Mistake.badRange), ("95:85:1", .badRange), ("1:2:0", .badRange), ("a:2:1", .notANumber("a")),
    ("", .notANumber("")), ("1|5s", .mixed), ("1|1.0", .twice("1.0")), ("0:1:0.00001", .tooMany),
    ("1:1e18:1e-18", .badRange),
  ])
  func mistakesAreNamed(_ text: String, _ mistake: TuningAxis.Mistake) {
    #expect(throws: mistake) { try TuningAxis.values(text) }
  }

  @Test func aGridIsEveryCombination() throws {
    func axis(_ name: String, _ text: String) throws -> TuningAxis {
      let (values, isDuration) = try TuningAxis.values(text)
      return TuningAxis(rule: "r", name: name, label: name, values: values, isDuration: isDuration)
    }
    let grid = try #require(TuningGrid([try axis("limit", "88:90:1"), try axis("for", "0s|15s")]))
    #expect(grid.count == 6)
    let all = (0..<6).map { grid.texts($0).map(\.value).joined(separator: " ") }
    #expect(all == ["88 0s", "88 15s", "89 0s", "89 15s", "90 0s", "90 15s"])
    let some = grid.sample(4, seed: 2)
    #expect(Set(some).count == 4 && some == some.sorted() && grid.sample(4, seed: 2) == some)
    #expect(grid.sample(9, seed: 2) == Array(0..<6))
    let long = try axis("a", "1:1000:1")
    #expect(TuningGrid([long, long]) == nil)
  }

  @Test func aRangeIsSpreadOverRoundNumbers() {
    let low = DecimalValue(mantissa: 80)
    let values = TuningAxis.spread(from: low, to: DecimalValue(mantissa: 95), count: 11)
    #expect(values.map(\.double) == [80, 81.5, 83, 84.5, 86, 87.5, 89, 90.5, 92, 93.5, 95])
    #expect(TuningAxis.spread(from: low, to: low, count: 11) == [low.normalized])
  }
}

@Suite struct TuningRungTests {
  /// Settings whose value can be told from any few patients: halving finds what the whole grid finds, with less.
  @Test func halvingFindsTheSameBest() throws {
    let patients = 240
    let stays = (0..<patients).map { _ in stay(40) }
    let events = stride(from: 0, to: patients, by: 2).map { CohortEvent(patient: $0, onset: epoch + 20 * hour) }
    let ward = StatisticsTests.cohort(stays, events)
    let names = (0..<patients).map { "p\($0)" }
    let folds = PatientFolds(patients: names, hasEvent: ward.hasEvent, count: 4, seed: 1)
    var convention = EvaluationConvention()
    convention.lead = 6 * hour
    let cohort = TuningCohort(ward, folds: folds, convention: convention, seed: 1)
    // Setting s tells of hours before onset up to 40 - |s - 30| patients in a hundred, so the best is 30.
    func alerts(_ setting: Int, _ isIn: [Bool]) -> [EvaluatedAlert] {
      ward.events.filter { isIn[$0.patient] && $0.patient * 7 % 100 < 2 * (40 - abs(setting - 30)) }
        .map { EvaluatedAlert(patient: $0.patient, time: $0.onset - hour) }
    }
    let settings = Array(0..<60)
    let plan = TuningRungs(settings: settings.count, events: ward.events.count)
    #expect(plan.shares == [1.0 / 3, 1] && plan.kept == [60, 20])
    var asked: [(settings: Int, patients: Int)] = []
    let outcome = plan.run(settings, cohort, .greatestMargin(burden: 1), seed: 1) { positions, isIn in
      asked.append((positions.count, isIn.count { $0 }))
      return positions.map { cohort.tally(alerts($0, isIn)) }
    }
    let halved = NestedChoice(
      cohort, outcome.tallies, objective: .greatestMargin(burden: 1), candidates: outcome.candidates,
      final: outcome.final, seed: 1)
    let whole = NestedChoice(
      cohort, settings.map { cohort.tally(alerts($0, folds.all)) }, objective: .greatestMargin(burden: 1), seed: 1)
    #expect(outcome.positions[halved.final.position] == whole.final.position && whole.final.position == 30)
    #expect(halved.pooled == whole.pooled)
    #expect(asked[0] == (60, 80) && asked[1].settings < 40 && asked[1].patients == 240)
    #expect(outcome.rungs.map(\.settings) == asked.map(\.settings))
  }

  /// What was held out is judged by the chosen setting's alerts, as after a whole grid.
  @Test func halvingJudgesWhatWasHeldOut() {
    let patients = 300
    let stays = (0..<patients).map { _ in stay(40) }
    let events = stride(from: 0, to: patients, by: 2).map { CohortEvent(patient: $0, onset: epoch + 20 * hour) }
    let ward = StatisticsTests.cohort(stays, events)
    let folds = PatientFolds(
      patients: (0..<patients).map { "p\($0)" }, hasEvent: ward.hasEvent, count: 3, seed: 1, holdout: 0.2)
    var convention = EvaluationConvention()
    convention.lead = 6 * hour
    let cohort = TuningCohort(ward, folds: folds, convention: convention, seed: 1)
    func tally(_ setting: Int, _ isIn: [Bool]) -> SettingTally {
      cohort.tally(
        ward.events.filter { isIn[$0.patient] && $0.patient * 7 % 100 < 2 * (40 - abs(setting - 30)) }
          .map { EvaluatedAlert(patient: $0.patient, time: $0.onset - hour) })
    }
    let plan = TuningRungs(settings: 40, events: ward.events.count { folds.all[$0.patient] })
    let outcome = plan.run(Array(0..<40), cohort, .greatestMargin(burden: 1), seed: 1) { positions, isIn in
      positions.map { tally($0, isIn) }
    }
    #expect(outcome.rungs.count > 1 && outcome.rungs.last?.patients == 240)
    let halved = NestedChoice(
      cohort, outcome.tallies, objective: .greatestMargin(burden: 1), candidates: outcome.candidates,
      final: outcome.final, seed: 1
    ).final.position
    let hidden = TuningMask(cohort, folds.heldOutMask)
    let judged = hidden.sums(outcome.tallies[halved], of: cohort)
    let everybody = folds.fold.map { _ in true }
    #expect(judged == hidden.sums(tally(outcome.positions[halved], everybody), of: cohort))
    #expect(judged.events == 30 && judged.detected > 0)
  }

  @Test func fewSettingsOrEventsAreNotHalved() {
    #expect(TuningRungs(settings: 20, events: 10_000).shares == [1])
    #expect(TuningRungs(settings: 10_000, events: 50).shares == [1])
    #expect(TuningRungs(settings: 100, events: 1_000).shares == [1.0 / 9, 1.0 / 3, 1])
  }
}
