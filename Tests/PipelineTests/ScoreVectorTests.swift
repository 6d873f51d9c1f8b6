import Evaluation
import Foundation
import RuleLanguage
import Testing
import VitalModel

@testable import Pipeline

/// The shipped charts, through the engine and through the calculator: both must say the same.
enum ShippedScores {
  static let all: [ScoreDefinition] =
    (try? RuleLibrary.scores(sources: Shipped.sources, registry: Shipped.registry)) ?? []

  static func score(_ id: String) throws -> ScoreDefinition {
    try #require(all.first { $0.id == id }, "no score \(id)")
  }

  /// `hr=70 temp=34.9 consciousness=4` through an engine that has only this chart.
  static func engine(_ id: String, _ text: String, patient: RosterPatient? = nil) throws -> ScoreState {
    let plan = RulePlan(registry: Shipped.registry, rules: [], scores: [try score(id)], version: "")
    let roster = try patient.map { try Roster(patients: [$0]) }
    let strip = Strip(PlanLayout(plan: plan), roster: roster).feed("0: \(text)")
    return try #require(strip.engine.patients.first).pointee.scores[0]
  }

  static func calculator(_ id: String, _ text: String, flags: Set<String> = [], months: Int? = nil) throws -> ScoreState
  {
    var values: [VitalCode: Int64] = [:]
    for pair in text.split(separator: " ") {
      let halves = pair.split(separator: "=")
      let code = try #require(Shipped.registry.code(String(halves[0])))
      let value = try #require(DecimalValue(halves[1]))
      let grid = try #require(Shipped.registry[code].gridValue(value, unitIndex: 0) as Int64?)
      values[code] = grid
    }
    return ScoreCalculator(try score(id), registry: Shipped.registry)
      .evaluate(values, .init(flags: flags, ageMonths: months))
  }

  static func points(_ state: ScoreState, _ id: String) throws -> [Int] {
    try score(id).components.indices.map { Int(state.points[$0]) }
  }

  static func trigger(_ state: ScoreState, _ id: String) throws -> String? {
    try score(id).trigger(total: Int(state.total), single: Int(state.singleMax), isComplete: state.isComplete)?.name
  }
}

/// CLINICAL 2.2 to 2.4: every reference vector.
@Suite struct ScoreVectorTests {
  /// One row of CLINICAL: inputs, sub-scores in the order of the chart, total, class.
  struct Vector: Sendable, CustomTestStringConvertible {
    var score: String
    var inputs: String
    var parts: [Int]
    var trigger: String?
    var months: Int?
    var testDescription: String { "\(score) \(inputs)" }

    init(_ score: String, _ inputs: String, _ parts: [Int], _ trigger: String?, months: Int? = nil) {
      self.score = score
      self.inputs = inputs
      self.parts = parts
      self.trigger = trigger
      self.months = months
    }
  }

  private static func check(_ vector: Vector) throws {
    let fraction = vector.months.map { RosterPatient(id: "p1", age: DecimalValue("\(Double($0) / 12)")) }
    let states = [
      try ShippedScores.engine(vector.score, vector.inputs, patient: fraction),
      try ShippedScores.calculator(vector.score, vector.inputs, months: vector.months),
    ]
    for state in states {
      #expect(try ShippedScores.points(state, vector.score) == vector.parts)
      #expect(Int(state.total) == vector.parts.filter { $0 > 0 }.reduce(0, +))
      #expect(try ShippedScores.trigger(state, vector.score) == vector.trigger)
    }
  }

  static let mews = [
    Vector("mews", "sbp=120 hr=70 resp=12 temp=37.0 consciousness=0", [0, 0, 0, 0, 0], "negative"),
    Vector("mews", "sbp=70 hr=40 resp=8 temp=34.9 consciousness=4", [3, 2, 2, 2, 3], "positive"),
    Vector("mews", "sbp=71 hr=41 resp=9 temp=35.0 consciousness=2", [2, 1, 0, 0, 1], "negative"),
    Vector("mews", "sbp=100 hr=110 resp=20 temp=38.4 consciousness=3", [1, 1, 1, 0, 2], "positive"),
    Vector("mews", "sbp=200 hr=130 resp=30 temp=38.5 consciousness=0", [2, 3, 3, 2, 0], "positive"),
    Vector("mews", "sbp=80 hr=111 resp=21 temp=38.5 consciousness=2", [2, 2, 2, 2, 1], "positive"),
    Vector("mews", "sbp=199 hr=129 resp=29 temp=38.4 consciousness=0", [0, 2, 2, 0, 0], "negative"),
  ]

  @Test("2.2: MEWS", arguments: mews)
  func modifiedEarlyWarning(vector: Vector) throws { try ScoreVectorTests.check(vector) }

  static let small = [
    Vector("qsofa", "resp=22 sbp=100 consciousness=0", [1, 1, 0], "positive"),
    Vector("qsofa", "resp=21 sbp=101 consciousness=1", [0, 0, 1], "negative"),
    Vector("sirs", "temp=38.0 hr=90 resp=20 wbc=12", [0, 0, 0, 0], "negative"),
    Vector("sirs", "temp=38.1 hr=91 resp=20 wbc=12", [1, 1, 0, 0], "positive"),
    Vector("sirs", "temp=35.9 hr=70 resp=21 wbc=3.9", [1, 0, 1, 1], "positive"),
    Vector("sirs", "temp=36.0 hr=70 resp=20 wbc=4.0", [0, 0, 0, 0], "negative"),
    // The worse of two known ones counts, the known one where the other is not.
    Vector("sirs", "temp=37 hr=70 resp=14 paco2=31.9 wbc=8 wbc_bands=11", [0, 0, 1, 1], "positive"),
    Vector("sirs", "temp=37 hr=70 paco2=32.0 wbc_bands=10", [0, 0, 0, 0], "negative"),
    Vector("shock_index", "hr=118 sbp=86", [2], "strong"),
    Vector("shock_index", "hr=60 sbp=120", [0], "normal"),
    Vector("shock_index", "hr=90 sbp=100", [1], "alert"),
    Vector("shock_index", "hr=100 sbp=100", [2], "strong"),
    Vector("modified_shock_index", "hr=118 map=62", [1], "alert"),
    Vector("modified_shock_index", "hr=70 map=100", [0], "normal"),
    Vector("modified_shock_index", "hr=130 map=100", [0], "normal"),
    Vector("sipa", "hr=123 sbp=100", [1], "positive", months: 71),
    Vector("sipa", "hr=122 sbp=100", [0], "negative", months: 71),
    Vector("sipa", "hr=101 sbp=100", [1], "positive", months: 100),
    Vector("sipa", "hr=91 sbp=100", [1], "positive", months: 160),
    Vector("sipa", "hr=150 sbp=100", [-1], nil, months: 204),
  ]

  @Test("2.3: qSOFA, SIRS, shock index and its relatives", arguments: small)
  func smallScores(vector: Vector) throws { try ScoreVectorTests.check(vector) }

  @Test("2.3: 118 over 86 is 1.37, 118 over 62 is 1.90, and a pressure of 0 has no index")
  func ratios() throws {
    #expect(try ShippedScores.calculator("shock_index", "hr=118 sbp=86").inputs[0] == 137)
    #expect(try ShippedScores.calculator("modified_shock_index", "hr=118 map=62").inputs[0] == 190)
    // Half up: 9/8 = 1.125 is 1.13, 89.5/100 does not occur, 179/200 = 0.895 is 0.90 and alerts.
    #expect(try ShippedScores.calculator("shock_index", "hr=90 sbp=80").inputs[0] == 113)
    #expect(try ShippedScores.calculator("shock_index", "hr=179 sbp=200").points[0] == 1)
    let zero = try ShippedScores.calculator("shock_index", "hr=100 sbp=0")
    #expect(zero.points[0] == -1 && zero.missingCount == 1)
  }

  @Test("2.3: 4.3 kPa is 32.25 mmHg and not below 32: the unit matters at the edge")
  func kilopascals() throws {
    let code = try #require(Shipped.registry.code("paco2"))
    let unit = try #require(Shipped.registry[code].units.firstIndex { $0.unit == "kPa" })
    func points(_ text: String) throws -> Int8 {
      let number = try #require(DecimalValue(text))
      let grid = try #require(Shipped.registry[code].gridValue(number, unitIndex: unit))
      return ScoreCalculator(try ShippedScores.score("sirs"), registry: Shipped.registry).evaluate([code: grid]).points[
        2]
    }
    #expect(try points("4.3") == 0)
    #expect(try points("4.25") == 1)
  }

  // HR, RR, SBP, SpO2, oxygen, capillary refill, effort.
  static let pews = [
    Vector(
      "bedside_pews", "hr=105 resp=30 sbp=100 spo2=98 o2_flow=0 capillary_refill=1 respiratory_effort=0",
      [0, 0, 0, 0, 0, 0, 0], "negative", months: 24),
    Vector(
      "bedside_pews", "hr=150 resp=41 sbp=100 spo2=94 o2_flow=1 capillary_refill=1 respiratory_effort=1",
      [2, 1, 0, 1, 2, 0, 1], "negative", months: 24),
    Vector(
      "bedside_pews", "hr=190 resp=91 sbp=45 spo2=90 fio2=50 capillary_refill=3 respiratory_effort=3",
      [4, 4, 4, 2, 4, 4, 4], "positive", months: 1),
    Vector(
      "bedside_pews", "hr=60 resp=17 sbp=130 spo2=91 o2_flow=0 capillary_refill=2 respiratory_effort=0",
      [1, 1, 1, 1, 0, 0, 0], "negative", months: 13 * 12),
    Vector(
      "bedside_pews", "hr=149 resp=40 sbp=91 spo2=95 fio2=21 capillary_refill=2 respiratory_effort=2",
      [2, 1, 0, 0, 0, 0, 2], "negative", months: 5 * 12),
  ]

  @Test("2.4: Bedside PEWS", arguments: pews)
  func bedside(vector: Vector) throws { try ScoreVectorTests.check(vector) }

  /// CLINICAL 2.4 once more, as "this bad or worse": points 1, 2 and 4 from these highs up and these lows down.
  private static func pewsTable(_ row: Int, _ band: Int) -> (highs: [Int], lows: [Int]) {
    let highs = [
      [[150, 180, 190], [150, 170, 180], [120, 150, 170], [110, 130, 150], [100, 120, 140]],
      [[61, 81, 91], [51, 71, 81], [41, 61, 71], [31, 41, 51], [17, 23, 30]],
      [[80, 100, 130], [100, 120, 150], [110, 125, 160], [120, 140, 170], [130, 150, 190]],
    ]
    let lows = [
      [[110, 90, 80], [100, 80, 70], [90, 70, 60], [70, 60, 50], [60, 50, 40]],
      [[29, 19, 15], [24, 19, 15], [19, 15, 12], [19, 14, 10], [11, 10, 9]],
      [[60, 50, 45], [80, 70, 60], [90, 75, 65], [90, 80, 70], [100, 85, 75]],
    ]
    return (highs[row][band], lows[row][band])
  }

  @Test("2.4: every value at either end of every age band scores as the table read a second time says")
  func bedsideSweep() throws {
    let calculator = ScoreCalculator(try ShippedScores.score("bedside_pews"), registry: Shipped.registry)
    let keys = ["hr", "resp", "sbp"]
    for months in [0, 2, 3, 11, 12, 59, 60, 155, 156, 215] {
      let band = months < 3 ? 0 : months < 12 ? 1 : months < 60 ? 2 : months < 156 ? 3 : 4
      for (row, key) in keys.enumerated() {
        let code = try #require(Shipped.registry.code(key))
        let table = ScoreVectorTests.pewsTable(row, band)
        for value in 1...200 {
          var expected = 0
          for (index, points) in [1, 2, 4].enumerated()
          where value >= table.highs[index] || value <= table.lows[index] { expected = points }
          let found = Int(calculator.evaluate([code: Int64(value)], .init(ageMonths: months)).points[row])
          if found != expected { Issue.record("\(key) \(value) at \(months) months: \(found), not \(expected)") }
        }
      }
    }
  }

  @Test("C3: an unknown age makes the components that depend on it missing, never a guess")
  func unknownAge() throws {
    let state = try ShippedScores.engine("bedside_pews", "hr=105 resp=30 sbp=100 spo2=98 o2_flow=0")
    #expect(try ShippedScores.points(state, "bedside_pews") == [-1, -1, -1, 0, 0, -1, -1])
    #expect(try ShippedScores.trigger(state, "bedside_pews") == nil)
  }

  @Test("every shipped chart says its range, its classes and its source, and has a name rules can use")
  func shippedCharts() throws {
    #expect(
      ShippedScores.all.map(\.id) == [
        "bedside_pews", "mews", "modified_shock_index", "news2", "qsofa", "shock_index", "sipa", "sirs",
      ])
    let most = ShippedScores.all.map { score in score.components.reduce(0) { $0 + $1.pointsMax } }
    #expect(most == [26, 14, 1, 20, 3, 2, 1, 4])
    for score in ShippedScores.all {
      #expect(
        !score.source.isEmpty && score.triggers.last?.isLowest == true && score.triggers.count >= 2, "\(score.id)")
    }
  }

  @Test("a plan keeps the scores its rules use, and their places are right")
  func planKeepsUsedScores() throws {
    let rule = TestRules.news.replacingOccurrences(of: "news2()", with: "sirs()")
    func layout(_ limit: Int) throws -> PlanLayout {
      try Shipped.layout(
        TestRules.low + "\n" + rule.replacingOccurrences(of: "default: 5", with: "default: \(limit)"))
    }
    #expect(try layout(4).plan.scores.map(\.id) == ["sirs"])
    #expect(Strip(try layout(4)).feed("0: hr=120 temp=39 resp=30").transitions == [])
    #expect(Strip(try layout(3)).feed("0: hr=120 temp=39 resp=30").transitions == ["0 start news medium"])
    #expect(try Shipped.layout(TestRules.low).plan.scores.isEmpty)
  }
}
