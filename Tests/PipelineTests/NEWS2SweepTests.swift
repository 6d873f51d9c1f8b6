import Evaluation
import Testing
import VitalModel

/// NEWS2 against a second table, written as plain conditions from the chart of CLINICAL 2.1.
@Suite struct NEWS2SweepTests {
  struct Chart {
    static func respiration(_ v: Int) -> Int {
      if v <= 8 { return 3 }
      if v <= 11 { return 1 }
      if v <= 20 { return 0 }
      if v <= 24 { return 2 }
      return 3
    }
    static func saturation(_ v: Int, scale: Int, onOxygen: Bool) -> Int {
      if scale == 1 {
        if v >= 96 { return 0 }
        if v >= 94 { return 1 }
        if v >= 92 { return 2 }
        return 3
      }
      if v <= 83 { return 3 }
      if v <= 85 { return 2 }
      if v <= 87 { return 1 }
      if v <= 92 { return 0 }
      if !onOxygen { return 0 }
      if v <= 94 { return 1 }
      if v <= 96 { return 2 }
      return 3
    }
    static func systolic(_ v: Int) -> Int {
      if v >= 220 { return 3 }
      if v >= 111 { return 0 }
      if v >= 101 { return 1 }
      if v >= 91 { return 2 }
      return 3
    }
    static func pulse(_ v: Int) -> Int {
      if v <= 40 { return 3 }
      if v <= 50 { return 1 }
      if v <= 90 { return 0 }
      if v <= 110 { return 1 }
      if v <= 130 { return 2 }
      return 3
    }
    static func consciousness(_ v: Int) -> Int { v == 0 ? 0 : 3 }
    /// Tenths of a degree.
    static func temperature(_ v: Int) -> Int {
      if v <= 350 { return 3 }
      if v <= 360 { return 1 }
      if v <= 380 { return 0 }
      if v <= 390 { return 1 }
      return 2
    }
    static func trigger(total: Int, parts: [Int]) -> String {
      if total >= 7 { return "high" }
      if total >= 5 { return "medium" }
      return parts.contains(3) ? "low-medium" : "low"
    }
  }

  private let calculator: ScoreCalculator
  private let score: ScoreDefinition
  private let codes: [VitalCode]

  init() throws {
    score = try ShippedScores.score("news2")
    calculator = ScoreCalculator(score, registry: Shipped.registry)
    codes = try ["resp", "spo2", "o2_flow", "sbp", "hr", "consciousness", "temp"].map {
      try #require(Shipped.registry.code($0))
    }
  }

  private func check(
    resp: Int, spo2: Int, scale: Int, onOxygen: Bool, sbp: Int, pulse: Int, acvpu: Int, temp: Int
  ) {
    let values = [resp, spo2, onOxygen ? 20 : 0, sbp, pulse, acvpu, temp]
    var input: [VitalCode: Int64] = [:]
    for (code, value) in zip(codes, values) { input[code] = Int64(value) }
    let state = calculator.evaluate(input, .init(flags: scale == 2 ? ["spo2-scale-2"] : []))
    let parts = [
      Chart.respiration(resp), Chart.saturation(spo2, scale: scale, onOxygen: onOxygen), onOxygen ? 2 : 0,
      Chart.systolic(sbp), Chart.pulse(pulse), Chart.consciousness(acvpu), Chart.temperature(temp),
    ]
    let total = parts.reduce(0, +)
    let trigger = score.trigger(total: Int(state.total), single: Int(state.singleMax), isComplete: state.isComplete)
    let isSame =
      Int(state.total) == total && state.isComplete && Int(state.singleMax) == parts.max()
      && (0..<7).allSatisfy { Int(state.points[$0]) == parts[$0] }
      && trigger?.name == Chart.trigger(total: total, parts: parts)
    if !isSame {
      Issue.record("\(values) scale \(scale): \((0..<7).map { state.points[$0] }), not \(parts)")
    }
  }

  @Test("2.1: each parameter over its whole integer grid, both scales, air and oxygen")
  func everyValue() {
    for scale in 1...2 {
      for onOxygen in [false, true] {
        func normal(
          resp: Int = 16, spo2: Int = 90, sbp: Int = 120, pulse: Int = 70, acvpu: Int = 0, temp: Int = 370
        ) {
          check(
            resp: resp, spo2: spo2, scale: scale, onOxygen: onOxygen, sbp: sbp, pulse: pulse, acvpu: acvpu, temp: temp)
        }
        for value in 0...150 { normal(resp: value) }
        for value in 1...100 { normal(spo2: value) }
        for value in 10...350 { normal(sbp: value) }
        for value in 1...350 { normal(pulse: value) }
        for value in 0...4 { normal(acvpu: value) }
        for value in 200...460 { normal(temp: value) }
      }
    }
  }

  @Test("2.1: the full product of one value of every band, 135,000 rows")
  func product() {
    var rows = 0
    for resp in [8, 11, 20, 24, 25] {
      for spo2 in [83, 85, 87, 91, 92, 93, 94, 96, 97] {
        for sbp in [90, 100, 110, 219, 220] {
          for pulse in [40, 50, 90, 110, 130, 131] {
            for temp in [350, 360, 380, 390, 391] {
              for acvpu in 0...4 {
                for scale in 1...2 {
                  for onOxygen in [false, true] {
                    check(
                      resp: resp, spo2: spo2, scale: scale, onOxygen: onOxygen, sbp: sbp, pulse: pulse, acvpu: acvpu,
                      temp: temp)
                    rows += 1
                  }
                }
              }
            }
          }
        }
      }
    }
    #expect(rows == 135_000)
  }

  @Test(
    "2.1: non-integer inputs are rounded half up to the chart's resolution, then banded",
    arguments: [
      ("spo2", "91.4", "%", 1, 3), ("spo2", "91.5", "%", 1, 2), ("resp", "8.4", "/min", 0, 3),
      ("resp", "8.5", "/min", 0, 1), ("temp", "36.05", "Cel", 6, 0), ("temp", "36.04", "Cel", 6, 1),
      ("temp", "38.04", "Cel", 6, 0), ("temp", "38.05", "Cel", 6, 1), ("temp", "35.04999", "Cel", 6, 3),
      // Fahrenheit edges: up to 95.0, 95.1 to 96.8, 96.9 to 100.4, 100.5 to 102.2, from 102.3.
      ("temp", "95.0", "[degF]", 6, 3), ("temp", "95.1", "[degF]", 6, 1), ("temp", "96.8", "[degF]", 6, 1),
      ("temp", "96.9", "[degF]", 6, 0), ("temp", "98.6", "[degF]", 6, 0), ("temp", "100.4", "[degF]", 6, 0),
      ("temp", "100.5", "[degF]", 6, 1), ("temp", "102.2", "[degF]", 6, 1), ("temp", "102.3", "[degF]", 6, 2),
      ("spo2", "0.914", "1", 1, 3), ("sbp", "14.6", "kPa", 3, 1), ("sbp", "14.8", "kPa", 3, 0),
    ])
  func rounding(key: String, value: String, unit: String, component: Int, points: Int) throws {
    let code = try #require(Shipped.registry.code(key))
    let vital = Shipped.registry[code]
    let index = try #require(vital.units.firstIndex { $0.unit == unit })
    let number = try #require(DecimalValue(value))
    let grid = try #require(vital.gridValue(number, unitIndex: index))
    #expect(Int(calculator.evaluate([code: grid]).points[component]) == points)
  }

  @Test("2.1: an incomplete score may reach a class by its lower bound, and never shows that all is well")
  func incomplete() throws {
    func trigger(_ text: String) throws -> String? {
      try ShippedScores.trigger(try ShippedScores.calculator("news2", text), "news2")
    }
    #expect(try trigger("resp=25 spo2=91 hr=40") == "high")
    #expect(try trigger("resp=25 spo2=92") == "medium")
    #expect(try trigger("resp=25") == "low-medium")
    #expect(try trigger("resp=16 spo2=97 hr=70") == nil)
    #expect(try trigger("") == nil)
    let state = try ShippedScores.calculator("news2", "resp=25 spo2=91 hr=40")
    #expect(state.total == 9 && state.missingCount == 4 && !state.isComplete)
  }
}
