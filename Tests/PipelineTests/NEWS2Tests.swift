import Evaluation
import Testing
import VitalModel

@testable import Pipeline

/// CLINICAL 2.1: NEWS2 through the shipped chart and the engine's own score state.
@Suite struct NEWS2Tests {
  struct Vector: Sendable {
    var id: String
    var resp: Int, spo2: Int, scale: Int
    var isOnOxygen: Bool
    var sbp: Int, pulse: Int
    var consciousness: String, temperature: String
    var parts: [Int]
    var total: Int
    var trigger: String

    init(
      _ id: String, _ resp: Int, _ spo2: Int, _ scale: Int, _ isOnOxygen: Bool, _ sbp: Int, _ pulse: Int,
      _ consciousness: String, _ temperature: String, _ parts: [Int], _ total: Int, _ trigger: String
    ) {
      self.id = id
      self.resp = resp
      self.spo2 = spo2
      self.scale = scale
      self.isOnOxygen = isOnOxygen
      self.sbp = sbp
      self.pulse = pulse
      self.consciousness = consciousness
      self.temperature = temperature
      self.parts = parts
      self.total = total
      self.trigger = trigger
    }
  }

  static let vectors = [
    Vector("V01", 16, 97, 1, false, 120, 70, "A", "37.0", [0, 0, 0, 0, 0, 0, 0], 0, "low"),
    Vector("V02", 8, 97, 1, false, 120, 70, "A", "37.0", [3, 0, 0, 0, 0, 0, 0], 3, "low-medium"),
    Vector("V03", 9, 97, 1, false, 120, 70, "A", "37.0", [1, 0, 0, 0, 0, 0, 0], 1, "low"),
    Vector("V04", 24, 96, 1, false, 111, 90, "A", "38.0", [2, 0, 0, 0, 0, 0, 0], 2, "low"),
    Vector("V05", 25, 91, 1, true, 90, 131, "V", "35.0", [3, 3, 2, 3, 3, 3, 3], 20, "high"),
    Vector("V06", 21, 95, 1, true, 110, 91, "A", "38.1", [2, 1, 2, 1, 1, 0, 1], 8, "high"),
    Vector("V07", 18, 92, 2, false, 125, 80, "A", "36.8", [0, 0, 0, 0, 0, 0, 0], 0, "low"),
    Vector("V08", 18, 93, 2, false, 125, 80, "A", "36.8", [0, 0, 0, 0, 0, 0, 0], 0, "low"),
    Vector("V09", 18, 93, 2, true, 125, 80, "A", "36.8", [0, 1, 2, 0, 0, 0, 0], 3, "low"),
    Vector("V10", 18, 95, 2, true, 125, 80, "A", "36.8", [0, 2, 2, 0, 0, 0, 0], 4, "low"),
    Vector("V11", 18, 97, 2, true, 125, 80, "A", "36.8", [0, 3, 2, 0, 0, 0, 0], 5, "medium"),
    Vector("V12", 20, 83, 2, true, 100, 110, "A", "36.0", [0, 3, 2, 2, 1, 0, 1], 9, "high"),
    Vector("V13", 20, 88, 2, true, 220, 40, "A", "39.1", [0, 0, 2, 3, 3, 0, 2], 10, "high"),
    Vector("V14", 22, 93, 1, false, 98, 112, "A", "38.4", [2, 2, 0, 2, 2, 0, 1], 9, "high"),
    Vector("V15", 12, 96, 1, false, 219, 51, "C", "36.1", [0, 0, 0, 0, 0, 3, 0], 3, "low-medium"),
    Vector("V16", 11, 94, 1, false, 101, 50, "A", "36.0", [1, 1, 0, 1, 1, 0, 1], 5, "medium"),
    Vector("V17", 20, 92, 1, false, 91, 111, "A", "39.0", [0, 2, 0, 2, 2, 0, 1], 7, "high"),
    Vector("V18", 8, 83, 2, true, 90, 40, "U", "35.0", [3, 3, 2, 3, 3, 3, 3], 20, "high"),
    Vector("V19", 25, 91, 1, true, 220, 131, "P", "35.0", [3, 3, 2, 3, 3, 3, 3], 20, "high"),
    Vector("V20", 12, 96, 1, false, 111, 51, "A", "36.1", [0, 0, 0, 0, 0, 0, 0], 0, "low"),
    Vector("V21", 20, 97, 1, false, 219, 90, "A", "38.0", [0, 0, 0, 0, 0, 0, 0], 0, "low"),
    Vector("V22", 15, 86, 2, false, 130, 75, "A", "37.0", [0, 1, 0, 0, 0, 0, 0], 1, "low"),
    Vector("V23", 15, 85, 2, false, 130, 75, "A", "37.0", [0, 2, 0, 0, 0, 0, 0], 2, "low"),
    Vector("V24", 15, 87, 2, true, 130, 75, "A", "37.0", [0, 1, 2, 0, 0, 0, 0], 3, "low"),
    Vector("V25", 22, 94, 1, true, 105, 85, "A", "37.0", [2, 1, 2, 1, 0, 0, 0], 6, "medium"),
    Vector("V26", 15, 85, 2, true, 95, 100, "A", "36.5", [0, 2, 2, 2, 1, 0, 0], 7, "high"),
    Vector("V27", 28, 90, 1, true, 88, 115, "V", "35.0", [3, 3, 2, 3, 2, 3, 3], 19, "high"),
  ]

  private static func strip(scale: Int) throws -> Strip {
    let flags = scale == 2 ? ["spo2-scale-2"] : []
    return Strip(try Shipped.ward(), roster: try Roster(patients: [RosterPatient(id: "p1", flags: flags)]))
  }

  private static func score(_ strip: Strip) throws -> ScoreState {
    let index = try #require(strip.layout.plan.scores.firstIndex { $0.id == "news2" })
    return try #require(strip.engine.patients.first).pointee.scores[index]
  }

  @Test("C4: the 27 NEWS2 reference vectors", arguments: vectors)
  func referenceVector(vector: Vector) throws {
    let strip = try NEWS2Tests.strip(scale: vector.scale)
    let letter = try #require(["A", "C", "V", "P", "U"].firstIndex(of: vector.consciousness))
    strip.feed(
      """
      0: resp=\(vector.resp) spo2=\(vector.spo2) o2_flow=\(vector.isOnOxygen ? 2 : 0) sbp=\(vector.sbp) \
      hr=\(vector.pulse) consciousness=\(letter) temp=\(vector.temperature)
      """)
    let score = try NEWS2Tests.score(strip)
    #expect((0..<7).map { Int(score.points[$0]) } == vector.parts)
    #expect(Int(score.total) == vector.total)
    #expect(Int(score.singleMax) == vector.parts.max())
    #expect(score.isComplete)
    let definition = try #require(strip.layout.plan.scores.first { $0.id == "news2" })
    let trigger = definition.trigger(total: Int(score.total), single: Int(score.singleMax), isComplete: true)?.name
    #expect(trigger == vector.trigger)
  }

  @Test("there are 27 vectors, V01 to V27")
  func vectorsAreComplete() {
    #expect(NEWS2Tests.vectors.map(\.id) == (1...27).map { $0 < 10 ? "V0\($0)" : "V\($0)" })
  }

  /// The chart once more, written the other way round: which values give 3, 2 and 1 point.
  private static func points(_ row: String, _ value: Int) -> Int {
    func bands(_ three: [ClosedRange<Int>], _ two: [ClosedRange<Int>], _ one: [ClosedRange<Int>]) -> Int {
      three.contains { $0.contains(value) }
        ? 3 : two.contains { $0.contains(value) } ? 2 : one.contains { $0.contains(value) } ? 1 : 0
    }
    switch row {
    case "resp": return bands([0...8, 25...999], [21...24], [9...11])
    case "scale 1": return bands([0...91], [92...93], [94...95])
    case "scale 2 oxygen": return bands([0...83, 97...100], [84...85, 95...96], [86...87, 93...94])
    case "scale 2 air": return bands([0...83], [84...85], [86...87])
    case "sbp": return bands([0...90, 220...999], [91...100], [101...110])
    case "hr": return bands([0...40, 131...999], [111...130], [41...50, 91...110])
    case "consciousness": return bands([1...4], [], [])
    case "temp": return bands([0...350], [391...999], [351...360, 381...390])
    default: return -1
    }
  }

  @Test("C4: every value of every parameter scores as a second, independent chart says")
  func sweep() throws {
    func check(_ row: String, component: Int, scale: Int, _ values: ClosedRange<Int>, _ text: (Int) -> String) throws {
      let strip = try NEWS2Tests.strip(scale: scale)
      // Ten minutes apart: each value is alone in its median.
      for (step, value) in values.enumerated() {
        strip.feed("\(step * 600): \(text(value))")
        let found = Int(try NEWS2Tests.score(strip).points[component])
        #expect(found == NEWS2Tests.points(row, value), "\(row) \(value)")
      }
    }
    try check("resp", component: 0, scale: 1, 0...80) { "resp=\($0)" }
    try check("scale 1", component: 1, scale: 1, 50...100) { "spo2=\($0) o2_flow=0" }
    try check("scale 1", component: 1, scale: 1, 50...100) { "spo2=\($0) o2_flow=4" }
    try check("scale 2 air", component: 1, scale: 2, 50...100) { "spo2=\($0) o2_flow=0" }
    try check("scale 2 oxygen", component: 1, scale: 2, 50...100) { "spo2=\($0) fio2=28" }
    try check("sbp", component: 3, scale: 1, 40...260) { "sbp=\($0)" }
    try check("hr", component: 4, scale: 1, 20...200) { "hr=\($0)" }
    try check("consciousness", component: 5, scale: 1, 0...4) { "consciousness=\($0)" }
    try check("temp", component: 6, scale: 1, 300...430) { "temp=\($0 / 10).\($0 % 10)" }
  }

  @Test("A5: values between the chart's bands are rounded half up first")
  func between() throws {
    func points(_ component: Int, _ text: String) throws -> Int {
      Int(try NEWS2Tests.score(try NEWS2Tests.strip(scale: 1).feed("0: \(text)")).points[component])
    }
    #expect(try points(1, "spo2=91.4") == 3)
    #expect(try points(1, "spo2=91.5") == 2)
    #expect(try points(0, "resp=8.4") == 3)
    #expect(try points(0, "resp=8.5") == 1)
    #expect(try points(6, "temp=36.05") == 0)
    #expect(try points(6, "temp=36.04") == 1)
    #expect(try points(6, "temp=38.04") == 0)
    #expect(try points(6, "temp=38.05") == 1)
  }

  @Test("C4: continuous sources count as five-minute medians, the newest value of spot ones")
  func medians() throws {
    let strip = try NEWS2Tests.strip(scale: 1).feed("0: hr=70 sbp=120\n1: hr=70 sbp=85\n2: hr=140")
    let score = try NEWS2Tests.score(strip)
    #expect(score.points[4] == 0)
    #expect(score.points[3] == 3)
    // Half a step between two middle values rounds up: 90 and 91 make 91.
    let half = try NEWS2Tests.strip(scale: 1).feed("0: hr=90\n1: hr=90\n2: hr=91\n3: hr=91")
    #expect(try NEWS2Tests.score(half).points[4] == 1)
  }

  @Test("C4: what is missing is named, never an imputed zero")
  func missing() throws {
    let strip = try NEWS2Tests.strip(scale: 1).feed("0: hr=70")
    let score = try NEWS2Tests.score(strip)
    #expect(score.missingCount == 6 && score.knownCount == 1 && !score.isComplete)
    #expect((0..<7).map { Int(score.points[$0]) } == [-1, -1, -1, -1, 0, -1, -1])
    let nothing = try NEWS2Tests.strip(scale: 1).feed("0: weight=70")
    #expect(try NEWS2Tests.score(nothing).total == 0)
  }
}
