import Testing

@testable import Statistics

@Suite struct AgreementTests {
  /// Fleiss 1971 in the form of ten subjects, fourteen raters, five categories that textbooks carry: kappa 0.210.
  static let fleissTable = [
    [0, 0, 0, 0, 14], [0, 2, 6, 4, 2], [0, 0, 3, 5, 6], [0, 3, 9, 2, 0], [2, 2, 8, 1, 1], [7, 7, 0, 0, 0],
    [3, 2, 6, 3, 0], [2, 5, 3, 2, 2], [6, 5, 2, 1, 0], [0, 2, 2, 3, 7],
  ]

  func isClose(_ value: Double?, _ expected: Double, _ tolerance: Double = 1e-9) -> Bool {
    value.map { abs($0 - expected) < tolerance } ?? false
  }

  @Test func fleissAgreesWithTheWorkedExample() {
    #expect(isClose(Agreement.fleiss(votes: AgreementTests.fleissTable), 0.20993070442195522))
  }

  @Test func cohenAgreesWithWorkedExamples() {
    // Observed 0.7, expected 0.5; observed 0.6, expected 0.54 and 0.46.
    #expect(isClose(Agreement.cohen([20, 5, 10, 15]), 0.4))
    #expect(isClose(Agreement.cohen([45, 15, 25, 15]), 0.06 / 0.46))
    #expect(isClose(Agreement.cohen([25, 35, 5, 35]), 0.14 / 0.54))
  }

  @Test func perfectOppositeAndMeaninglessAgreement() {
    #expect(Agreement.cohen([3, 0, 0, 4]) == 1)
    #expect(Agreement.cohen([0, 3, 3, 0]) == -1)
    #expect(Agreement.cohen([7, 0, 0, 0]) == nil)
    #expect(Agreement.cohen([0, 0, 0, 0]) == nil)
    #expect(Agreement.fleiss(votes: [[3, 0], [0, 3]]) == 1)
    #expect(Agreement.fleiss(votes: [[3, 0], [3, 0]]) == nil)
    #expect(Agreement.fleiss(votes: []) == nil)
  }

  /// For two raters and equal margins, Fleiss' kappa and Cohen's are the same.
  @Test func bothKappasMeetWhereMarginsAreEqual() {
    let votes =
      Array(repeating: [2, 0], count: 20) + Array(repeating: [1, 1], count: 14) + Array(repeating: [0, 2], count: 15)
    #expect(isClose(Agreement.fleiss(votes: votes), Agreement.cohen([20, 7, 7, 15]) ?? 9))
  }

  /// By hand from the formula for the table 20, 5, 10, 15: variance (0.2944 - 0.01) ÷ (50 x 0.25) with
  /// diagonal 0.4 x (1 - 1.1 x 0.6)² + 0.3 x (1 - 0.9 x 0.6)² and beside it 0.36 x (0.1 x 0.9² ... ).
  @Test func theStandardErrorFollowsItsFormula() {
    let diagonal = 0.4 * 0.34 * 0.34 + 0.3 * 0.46 * 0.46
    let beside = 0.36 * (0.1 * (0.6 + 0.5) * (0.6 + 0.5) + 0.2 * (0.4 + 0.5) * (0.4 + 0.5))
    let variance = (diagonal + beside - 0.01) / (50 * 0.25)
    #expect(isClose(Agreement.cohenStandardError([20, 5, 10, 15]), variance.squareRoot()))
  }

  func items() -> [JudgedItem] {
    (0..<40).map { number in
      JudgedItem(
        patient: number / 4, categories: [number % 3 == 0 ? 1 : 0, number % 7 == 0 ? 1 : 0, number == 5 ? nil : 0])
    }
  }

  @Test func figuresRestOnWhatBothOrAllJudged() throws {
    let pair = try #require(Agreement.cohen(items(), (0, 2), categories: 2, seed: 1))
    #expect((pair.items, pair.patients) == (39, 10))
    let all = try #require(Agreement.fleiss(items(), categories: 2, seed: 1))
    #expect((all.items, all.patients) == (39, 10))
    #expect(Agreement.cohen([JudgedItem(patient: 0, categories: [0, nil])], (0, 1), categories: 2, seed: 1) == nil)
  }

  @Test func intervalsHoldTheEstimateAndRepeatWithTheSeed() throws {
    let figure = try #require(Agreement.cohen(items(), (0, 1), categories: 2, seed: 3))
    let interval = try #require(figure.interval)
    #expect(interval.contains(try #require(figure.kappa)))
    #expect(interval.method == .patientBootstrap)
    #expect(interval.lower < interval.upper)
    #expect(Agreement.cohen(items(), (0, 1), categories: 2, seed: 3) == figure)
    let one = items().map { JudgedItem(patient: 0, categories: $0.categories) }
    #expect(Agreement.cohen(one, (0, 1), categories: 2, seed: 3)?.interval == nil)
  }

  // MARK: Adjudication

  @Test func theMajorityDecidesAndATieIsUnsure() {
    #expect(AlertVerdict.majority([.isTrue, .isTrue, .isFalse]) == .isTrue)
    #expect(AlertVerdict.majority([.isTrue, .isFalse]) == .unsure)
    #expect(AlertVerdict.majority([.notRelevant]) == .notRelevant)
    #expect(AlertVerdict.majority([]) == nil)
  }

  @Test func verdictsAreReadAsPeopleWriteThem() {
    #expect(AlertVerdict(text: "Actionable") == .isTrue)
    #expect(AlertVerdict(text: "TRUE") == .isTrue)
    #expect(AlertVerdict(text: "not relevant") == .notRelevant)
    #expect(AlertVerdict(text: "not_relevant") == .notRelevant)
    #expect(AlertVerdict(text: "maybe") == nil)
  }

  @Test func decisionsNameTheirVotes() {
    func verdict(_ alert: String, _ reviewer: String, _ verdict: AlertVerdict) -> ReviewedVerdict {
      ReviewedVerdict(alertID: alert, reviewer: reviewer, verdict: verdict)
    }
    let adjudication = Adjudication(
      [
        verdict("b", "x", .isTrue), verdict("b", "y", .isFalse), verdict("a", "x", .isTrue), verdict("a", "y", .isTrue),
        verdict("c", "y", .unsure), verdict("a", "z", .isFalse),
      ], seed: 1, patient: { $0 == "a" ? 0 : 1 })
    #expect(adjudication.reviewers == ["x", "y", "z"])
    #expect(adjudication.decisions.map(\.verdict) == [.isTrue, .unsure, .unsure])
    #expect(adjudication.decisions.map(\.isTie) == [false, true, false])
    #expect(adjudication.decisions.map(\.agreeing) == [2, 0, 1])
    #expect(adjudication.pairs.map { "\($0.first)\($0.second) \($0.figure.items)" } == ["xy 2", "xz 1", "yz 1"])
    #expect(adjudication.all?.items == 1)
  }
}
