import Configuration
import Pipeline
import Recordings
import Statistics
import Testing
import VitalModel

@testable import Service

/// Many settings in one pass (issue 6): each world tells what a replay of its rules alone tells.
@Suite struct SettingSweepTests {
  private static let ward = Result { try SweepRules(files: RuleFiles.read(CommandProgram.rules), set: "adult-ward") }
  private static let charted = Result {
    try SweepRules(files: RuleFiles.read(CommandProgram.rules), set: "adult-charted")
  }

  private static func setting(_ values: [String: [String: DecimalValue]]) -> SweepSetting {
    var all: [SweepName: DecimalValue] = [:]
    for (rule, names) in values { for (name, value) in names { all[SweepName(rule: rule, name: name)] = value } }
    return SweepSetting(all)
  }

  /// What a plain replay tells of the counted rules, as the sweep says it.
  private static func replayed(
    _ world: SweepWorld, _ ward: SweepWard, _ options: ReplaySession.Options
  ) throws -> (alerts: [EvaluatedAlert], notifications: Int) {
    let labels = try SweepWard.labels()
    let recorders = world.counted.map { EvaluationRecorder(options: options, onlyRule: $0) }
    let session = ReplaySession(plan: world.plan, options: options) { output in
      if case .told(let transition) = output { for recorder in recorders { recorder.take(transition) } }
    }
    ward.feed(session) { row, names in for recorder in recorders { recorder.note(row, names: names) } }
    _ = session.finish(seconds: 0)
    let inputs = recorders.map { $0.input(labels: labels, dataDigest: "", rulesVersion: "").input }
    var notifications = 0
    var alerts: [EvaluatedAlert] = []
    for (rule, input) in inputs.enumerated() {
      notifications += input.notifications
      alerts += input.alerts.map { alert in
        var numbered = alert
        numbered.rule = rule
        return numbered
      }
    }
    alerts.sort { ($0.patient, $0.time, $0.rule) < ($1.patient, $1.time, $1.rule) }
    return (alerts, notifications)
  }

  private static func check(
    _ worlds: [SweepWorld], _ ward: SweepWard, _ options: ReplaySession.Options = .init(), threads: Int = 1
  ) throws -> Int {
    let result = SettingSweep(worlds: worlds, options: options, threads: threads).run { ward.feed($0) }
    var told = 0
    for (number, world) in worlds.enumerated() {
      let plain = try replayed(world, ward, options)
      #expect(result.alerts[number] == plain.alerts, "world \(number), seed \(ward.seed)")
      #expect(result.notifications[number] == plain.notifications, "world \(number), seed \(ward.seed)")
      told += plain.alerts.count
    }
    return told
  }

  @Test(arguments: [1, 2, 3] as [UInt64])
  func aWorldTellsWhatAReplayOfItsRulesAloneTells(seed: UInt64) throws {
    let rules = try SettingSweepTests.ward.get()
    let ids = ["spo2-low", "hr-high", "news2-medium", "shock-index"]
    var worlds = [try rules.world(of: ids)]
    for (limit, hold) in [(88, 0), (91, 30_000), (94, 60_000)] as [(Int64, Int64)] {
      worlds.append(
        try rules.world(
          of: ids,
          SettingSweepTests.setting([
            "spo2-low": ["limit": DecimalValue(mantissa: limit), "for": DecimalValue(mantissa: hold)],
            "hr-high": ["limit": DecimalValue(mantissa: 100 + limit - 85), "refractory": DecimalValue(mantissa: hold)],
            "news2-medium": ["renew": DecimalValue(mantissa: hold * 120)],
          ])))
    }
    #expect(try SettingSweepTests.check(worlds, SweepWard(seed: seed, step: 10_000, rows: 150)) > 0)
  }

  @Test func hourlyChartsAreSweptLikeMonitors() throws {
    let rules = try SettingSweepTests.charted.get()
    let worlds = try (0..<5).map { step in
      try rules.world(
        of: ["spo2-low", "news2-medium"],
        SettingSweepTests.setting(["spo2-low": ["limit": DecimalValue(mantissa: 88 + Int64(step))]]))
    }
    #expect(try SettingSweepTests.check(worlds, SweepWard(seed: 5, step: 3_600_000, rows: 80)) > 0)
  }

  @Test func equalWorldsTellTheSameAndHoldNothingOfEachOther() throws {
    let rules = try SettingSweepTests.ward.get()
    let world = try rules.world(of: ["spo2-low", "hr-high", "news2-medium"])
    #expect(
      try SettingSweepTests.check([world, world, world], SweepWard(seed: 11, step: 10_000, rows: 120)) > 0)
  }

  @Test func limitsSetForAPatientAndDeviceAlarmsReachEveryWorld() throws {
    let rules = try SettingSweepTests.ward.get()
    var options = ReplaySession.Options()
    let text = """
      patients: [{ id: p0, flags: [spo2-scale-2] }, { id: p1, age: 12 }, { id: p2, unit: icu }]
      settings:
        - { patient: p2, rule: spo2-low, parameter: limit, value: 86, author: dr, reason: known COPD }
      """
    options.roster = try RosterFile.parse(
      text, file: "roster.yaml", registry: rules.plan.registry, rules: rules.plan.rules)
    let worlds = try ([85, 89, 92] as [Int64]).map { limit in
      try rules.world(
        of: ["spo2-low", "news2-medium"],
        SettingSweepTests.setting(["spo2-low": ["limit": DecimalValue(mantissa: limit)]]))
    }
    let ward = SweepWard(seed: 12, step: 10_000, rows: 120, hasAlarms: true)
    #expect(try SettingSweepTests.check(worlds, ward, options) > 0)
  }

  @Test func passesAndThreadsGiveWhatOneOfEachGives() throws {
    let rules = try SettingSweepTests.ward.get()
    let worlds = try (85...91).map { limit in
      try rules.world(
        of: ["spo2-low"], SettingSweepTests.setting(["spo2-low": ["limit": DecimalValue(mantissa: Int64(limit))]]))
    }
    let ward = SweepWard(seed: 7, step: 10_000, rows: 200)
    let one = SettingSweep(worlds: worlds, options: .init()).run { ward.feed($0) }
    var passes = 0
    let several = SettingSweep(worlds: worlds, options: .init(), worldsAtOnce: 3).run {
      passes += 1
      ward.feed($0)
    }
    #expect(passes == 3 && several.alerts == one.alerts && several.notifications == one.notifications)
    var patientPasses = 0
    let inTurn = SettingSweep(worlds: worlds, options: .init(), threads: 2, statesAtOnce: worlds.count).run {
      patientPasses += 1
      ward.feed($0)
    }
    #expect(patientPasses == one.watched.names.count && inTurn.watched.names == one.watched.names)
    #expect(inTurn.alerts == one.alerts && inTurn.notifications == one.notifications)
    let shared = SettingSweep(worlds: worlds, options: .init(), threads: 2).run { ward.feed($0) }
    #expect(shared.alerts == one.alerts && shared.notifications == one.notifications)
    #expect(several.watched.names == one.watched.names && several.rules == one.rules)
  }

  @Test func whatMayBeSetIsNamedAndBounded() throws {
    let rules = try SettingSweepTests.ward.get()
    let names = try #require(rules.names(of: "spo2-low"))
    #expect(names.contains { $0.name == "limit" && !$0.isKey && $0.lowest != nil && $0.highest != nil })
    #expect(names.contains { $0.name == "refractory" && $0.isKey && $0.isDuration })
    #expect(rules.names(of: "spo2-lo") == nil)
    func problem(_ rule: String, _ name: String, _ value: Int64) -> String {
      do throws(SweepProblem) {
        _ = try rules.world(
          of: ["spo2-low"], SettingSweepTests.setting([rule: [name: DecimalValue(mantissa: value)]]))
        return ""
      } catch {
        return error.description
      }
    }
    #expect(problem("spo2-low", "limit", 20).contains("below its own minimum"))
    #expect(problem("spo2-low", "limitt", 88).contains("did you mean `limit`?"))
    #expect(problem("hr-high", "limit", 120).contains("not among the rules of the sweep"))
    #expect(problem("spo2-low", "refractory", -1).contains("no length of time"))
  }

  @Test func aSettingIsARuleOfItsOwnVersion() throws {
    let rules = try SettingSweepTests.ward.get()
    let plain = try rules.world(of: ["spo2-low"])
    let own = try #require(rules.plan.rules.first { $0.id == "spo2-low" })
    #expect(plain.plan.rules.first { $0.id == "spo2-low" } == own, "without a setting the rule is the set's own")
    let other = try rules.world(
      of: ["spo2-low"],
      SettingSweepTests.setting([
        "spo2-low": ["clear_for": DecimalValue(mantissa: 45_000), "max_hold": DecimalValue(mantissa: 120_000)]
      ]))
    let changed = try #require(other.plan.rules.first { $0.id == "spo2-low" })
    #expect(changed.clearFor == 45_000 && changed.maxHold == 120_000 && changed.version != own.version)
    #expect(other.plan.rules.map(\.id) == plain.plan.rules.map(\.id))
    #expect(
      Set(other.plan.rules.map(\.id))
        == Set(
          ["spo2-low"]
            + own.inhibitedBy.filter { id in
              rules.plan.rules.contains { $0.id == id }
            }))
  }
}

/// A few patients whose vitals wander, with gaps, doubtful values, contradicting pressures and late samples: made from a seed.
struct SweepWard {
  private struct Row {
    var patient: UInt32
    var device: UInt32
    var time: Int64
    var cells: [RecordedCell]
  }

  /// Of somebody who is not in the ward.
  static func labels() throws -> LabelSet {
    let row = LabelRow(line: 1, patient: "nobody", onset: 0, label: "arrest")
    return try LabelSet(LabelTable(file: "labels.csv", rows: [row]), LabelSelection())
  }

  /// Marsaglia's xorshift.
  private struct Chance: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
      state ^= state << 13
      state ^= state >> 7
      state ^= state << 17
      return state
    }
  }

  let seed: UInt64
  private let hasAlarms: Bool
  private var rows: [Row] = []
  private let names = RecordingNames()

  init(seed: UInt64, step: Int64, rows count: Int, patients: Int = 4, hasAlarms: Bool = false) {
    self.seed = seed
    self.hasAlarms = hasAlarms
    var random = Chance(state: seed &* 0x9E37_79B9_7F4A_7C15)
    func chance(_ share: Double) -> Bool { Double.random(in: 0..<1, using: &random) < share }
    guard let registry = try? RuleFiles.read(CommandProgram.rules).registry() else { return }
    let ranges: [(key: String, low: Double, high: Double, pace: Double)] = [
      ("spo2", 82, 99, 1.2), ("hr", 45, 150, 5), ("resp", 8, 30, 1.5), ("sbp", 80, 160, 5), ("dbp", 40, 90, 4),
      ("temp", 35, 40, 0.2),
    ]
    for patient in 0..<patients {
      let number = names.patients.number(of: "p\(patient)")
      let devices = ["m", "w"].map { names.devices.number(of: "\($0)\(patient)") }
      var values = ranges.map { ($0.low + $0.high) / 2 }
      var time: Int64 = 1_600_000_000_000 + Int64(patient) * 1000
      for index in 0..<count {
        time += chance(0.01) ? step * 60 : step
        for place in ranges.indices {
          let pull = (ranges[place].low + ranges[place].high) / 2 - values[place]
          values[place] += Double.random(in: -1...1, using: &random) * ranges[place].pace * 2 + pull * 0.03
        }
        var cells: [RecordedCell] = []
        for (place, range) in ranges.enumerated() where chance(range.key == "temp" ? 0.2 : 0.85) {
          guard let code = registry.code(range.key) else { continue }
          var cell = RecordedCell(
            code: code, unit: 0, value: DecimalValue(mantissa: Int64((values[place] * 10).rounded()), exponent: -1))
          if chance(0.02) { cell.quality = SampleQuality(raw: 2000) }
          cells.append(cell)
        }
        // A diastolic above the systolic.
        if chance(0.01), let place = cells.firstIndex(where: { $0.code == registry.code("dbp") }) {
          cells[place].value = DecimalValue(mantissa: 159)
        }
        guard !cells.isEmpty else { continue }
        let isLate = chance(0.02)
        rows.append(
          Row(
            patient: number, device: devices[index % 17 == 0 ? 1 : 0], time: isLate ? time - step * 2 - 1 : time,
            cells: cells))
      }
    }
  }

  func feed(_ taker: any RowTaker, note: (RecordedRow, RecordingNames) -> Void = { _, _ in }) {
    for (index, row) in rows.enumerated() {
      if hasAlarms, index % 23 == 0 {
        let name = names.patients[row.patient]
        let event = ["procedure", "tachycardia", "cuff-inflating"][index / 46 % 3]
        taker.take(RecordedEvent(patient: name, time: row.time, event: event, starts: index % 46 == 0), names: names)
      }
      row.cells.withUnsafeBufferPointer { cells in
        let row = RecordedRow(
          patient: row.patient, device: row.device, tenant: 0, time: row.time, sequence: RecordedRow.absent,
          ingestTime: RecordedRow.absent, cells: cells)
        note(row, names)
        taker.take(row, names: names)
      }
    }
  }
}
