import Testing
import VitalModel

@testable import Simulation

/// Every good value of one key with the second it was measured.
func course(_ ward: Ward, seconds: Int) -> [String: [(second: Int64, value: Double)]] {
  var ward = ward
  var result: [String: [(second: Int64, value: Double)]] = [:]
  for _ in 0..<seconds {
    for message in ward.next() {
      guard case .vitals(let observations) = message.content else { continue }
      for observation in observations {
        if let quality = observation.quality, quality.double < 0.6 { continue }
        guard case .number(let value) = observation.value else { continue }
        result[observation.key, default: []].append(((message.time - wardStart) / 1000, value.double))
      }
    }
  }
  return result
}

@Suite struct ScenarioTests {
  struct Limit: Sendable {
    var kind: ScenarioKind
    var key: String
    var below: Double?
    var above: Double?
    func broken(_ value: Double) -> Bool { below.map { value < $0 } ?? above.map { value > $0 } ?? false }
  }

  static let limits = [
    Limit(kind: .sepsis, key: "hr", above: 130), Limit(kind: .sepsis, key: "resp", above: 25),
    Limit(kind: .sepsis, key: "temp", above: 39), Limit(kind: .sepsis, key: "sbp", below: 90),
    Limit(kind: .sepsis, key: "spo2", below: 90), Limit(kind: .opioidDepression, key: "resp", below: 8),
    Limit(kind: .opioidDepression, key: "spo2", below: 85), Limit(kind: .heartFailure, key: "spo2", below: 94),
    Limit(kind: .hypoglycaemia, key: "glucose", below: 54), Limit(kind: .atrialFibrillation, key: "hr", above: 130),
    Limit(kind: .haemorrhage, key: "hr", above: 130), Limit(kind: .haemorrhage, key: "sbp", below: 90),
    Limit(kind: .haemorrhage, key: "perfusion_index", below: 0.6),
  ]

  @Test(arguments: limits) func crossesItsLimitNearItsLabel(_ limit: Limit) throws {
    let pace = limit.kind == .heartFailure ? 600.0 : 20.0
    let start: Int64 = 120
    for seed in 1...4 as ClosedRange<UInt64> {
      let ward = makeWard(
        [ScenarioPlan(patient: 0, kind: limit.kind, start: start)], seed: seed, pace: pace, spotPace: 60)
      let label = try #require(ward.labels.first)
      let values = try #require(course(ward, seconds: Int(label.end) + 20)[limit.key])
      let first = try #require(values.first { limit.broken($0.value) }, "\(limit.kind) never breaks \(limit.key)")
      let early = (label.onset - start) / 2
      #expect(first.second >= label.onset - early, "\(limit.kind) \(limit.key) at \(first.second), \(label)")
      #expect(first.second <= label.end)
    }
  }

  @Test func weightRisesByMoreThanTwoKilograms() throws {
    let ward = makeWard([ScenarioPlan(patient: 0, kind: .heartFailure, start: 60)], pace: 600, spotPace: 600)
    let label = try #require(ward.labels.first)
    let weights = try #require(course(ward, seconds: Int(label.end))["weight"]).map(\.value)
    #expect(weights.last! - weights.first! > 2)
    #expect(weights.count > 5)
  }

  @Test func deteriorationShowsBeforeTheLimit() throws {
    let ward = makeWard([ScenarioPlan(patient: 0, kind: .opioidDepression, start: 100)])
    let label = try #require(ward.labels.first)
    let rates = try #require(course(ward, seconds: Int(label.onset) + 600)["resp"])
    func mean(_ range: Range<Int64>) -> Double {
      let values = rates.filter { range.contains($0.second) }.map(\.value)
      return values.reduce(0, +) / Double(values.count)
    }
    #expect(mean(0..<100) > mean(500..<600) + 1)
    #expect(mean(500..<600) > mean(900..<1000) + 3)
  }

  @Test func fibrillationScattersBeats() throws {
    let ward = makeWard([ScenarioPlan(patient: 0, kind: .atrialFibrillation, start: 300)])
    let beats = try #require(course(ward, seconds: 600)["rr_interval"])
    func spread(_ values: [Double]) -> Double { values.max()! - values.min()! }
    #expect(spread(beats.filter { $0.second < 300 }.map(\.value)) < 250)
    #expect(spread(beats.filter { $0.second > 330 }.map(\.value)) > 300)
  }

  @Test func monitorSoundsItsOwnAlarm() {
    var ward = makeWard([ScenarioPlan(patient: 0, kind: .atrialFibrillation, start: 30)])
    let events = (0..<600).flatMap { _ in ward.next() }.compactMap { message -> SimulatedEvent? in
      if case .event(let event) = message.content { event } else { nil }
    }
    #expect(events.first?.event == "tachycardia")
    #expect(events.first?.starts == true)
  }

  @Test func probeOffSaysLeadOff() throws {
    var ward = makeWard([ScenarioPlan(patient: 0, kind: .probeOff, start: 50)])
    let label = try #require(ward.labels.first)
    #expect((label.onset, label.end) == (50, 650))
    for second in 0..<700 as Range<Int64> {
      for message in ward.next() {
        guard case .vitals(let observations) = message.content else { continue }
        for observation in observations where observation.key == "spo2" {
          #expect((observation.status == .leadOff) == (label.onset..<label.end).contains(second))
        }
      }
    }
  }

  @Test func flatBatteryTakesTheMonitorOffline() throws {
    var ward = makeWard([ScenarioPlan(patient: 0, kind: .flatBattery, start: 10)], pace: 60)
    var statuses: [Bool] = []
    var low = false
    for _ in 0..<300 {
      for message in ward.next() where message.device == "mon-001" {
        switch message.content {
        case .status(let online): statuses.append(online)
        case .vitals(let observations): if observations.contains(where: { $0.status == .lowBattery }) { low = true }
        case .event: break
        }
      }
    }
    #expect(statuses == [true, false, true])
    #expect(low)
  }

  @Test func wrongClockIsOffSteadily() {
    var ward = makeWard([ScenarioPlan(patient: 0, kind: .clockSkew, start: 10)])
    var offsets: Set<Int64> = []
    for second in 0..<60 {
      for message in ward.next() where message.device == "mon-001" {
        if second < 10 {
          #expect(message.time == message.sentAt)
        } else {
          offsets.insert(message.time - message.sentAt)
        }
      }
    }
    #expect(offsets.count == 1)
    #expect(abs(offsets.first ?? 0) >= 300_000)
  }

  @Test func backlogArrivesInABurstAndComplete() {
    var ward = makeWard([ScenarioPlan(patient: 0, kind: .backfill, start: 10)])
    var perSecond: [Int] = []
    var measured: [Int64] = []
    for _ in 0..<520 {
      let messages = ward.next().filter { $0.device == "mon-001" && $0.channel == "vitals" }
      perSecond.append(messages.count)
      measured += messages.map { ($0.time - wardStart) / 1000 }
    }
    #expect(perSecond[10..<490].allSatisfy { $0 == 0 })
    // The first burst holds the status message too.
    #expect(perSecond[490] == Backlog.burst)
    #expect(measured == Array(0..<520))
  }

  /// A demonstration of one minute: however fast the pace, a breach lasts longer than rules wait.
  @Test func fastCoursesHoldLongEnough() throws {
    for kind in ScenarioKind.allCases {
      let ward = makeWard([ScenarioPlan(patient: 0, kind: kind, start: 5)], pace: 10_000)
      let label = try #require(ward.labels.first)
      #expect(label.onset <= 60)
      #expect(label.end - label.onset >= 40)
    }
  }
}
