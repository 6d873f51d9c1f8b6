import Evaluation
import TestSupport
import Testing
import VitalModel

/// A plan over one vital `x` (resolution 1), with the windows asked for.
func testLayout(_ features: [Feature], resolution: Int = 0) -> PlanLayout {
  let vital = VitalDefinition(
    key: "x", title: "x", unit: "1", units: [UnitConversion(unit: "1")],
    rejectBelow: DecimalValue(mantissa: -1000), rejectAbove: DecimalValue(mantissa: 1000),
    resolutionExponent: resolution, staleness: 60_000)
  var rule = RuleDefinition()
  rule.id = "r"
  rule.scope = .series(VitalCode(index: 0))
  rule.features = features
  rule.when = Program(instructions: [.constant(0)], text: "0")
  let registry = VitalRegistry([vital])
  return PlanLayout(plan: RulePlan(registry: registry, rules: [rule], scores: [], version: "t"))
}

private let code = VitalCode(index: 0)
private let kinds: [FeatureKind] = [.mean, .median, .min, .max, .count, .range, .delta]

/// The plain form: every aggregate from the list of what arrived.
private func naive(_ kind: FeatureKind, _ samples: [Int64: Int32], now: Int64, window: Int64) -> Double {
  let inside = samples.filter { $0.key > now - window && $0.key <= now }.sorted { $0.key < $1.key }.map(\.value)
  if kind == .count { return Double(inside.count) }
  guard !inside.isEmpty else { return .nan }
  let sorted = inside.sorted()
  switch kind {
  case .mean: return Double(inside.reduce(0) { $0 + Int64($1) }) / Double(inside.count)
  case .median:
    let n = sorted.count
    return n % 2 == 1 ? Double(sorted[n / 2]) : (Double(sorted[n / 2 - 1]) + Double(sorted[n / 2])) / 2
  case .min: return Double(sorted[0])
  case .max: return Double(sorted[sorted.count - 1])
  case .range: return Double(sorted[sorted.count - 1]) - Double(sorted[0])
  case .delta: return Double(inside[inside.count - 1]) - Double(inside[0])
  default: return .nan
  }
}

private func isSame(_ a: Double, _ b: Double) -> Bool { a == b || (a.isNaN && b.isNaN) }

@Suite struct SeriesWindowsTests {
  @Test("B4: windows under random out-of-order insertion equal the in-order result", arguments: 0..<8)
  func windowsEqualTheNaive(seed: Int) {
    var generator = SeededGenerator(seed: UInt64(seed))
    let lengths: [Int64] = [1000, 60_000, 300_000]
    let layout = testLayout(
      lengths.flatMap { length in kinds.map { Feature(kind: $0, code: code, window: .sliding(length)) } })
    let plan = layout.codes[0]
    var series = SeriesWindows(series: 0, device: 0, code: 0, source: 0, plan: plan)
    defer { series.free() }
    var samples: [Int64: Int32] = [:]
    var clock: Int64 = 1_767_225_600_000
    var newest = Int64.min
    var now = Int64.min
    for _ in 0..<120 {
      // Gaps now and then, bursts of late samples, corrections of old times.
      clock +=
        Int.random(in: 0..<50, using: &generator) == 0
        ? Int64.random(in: 0...400_000, using: &generator) : Int64.random(in: 0...2500, using: &generator)
      let late =
        Int.random(in: 0..<4, using: &generator) == 0 ? Int64.random(in: 0...400_000, using: &generator) : 0
      var time = clock - late
      if late > 0, let known = samples.keys.sorted().randomElement(using: &generator), Bool.random(using: &generator) {
        time = known
      }
      let value = Int32.random(in: -50...50, using: &generator)
      let isKept = newest == .min || time > newest - plan.retention
      let insertion = series.insert(time: time, value: value, quality: .absent, status: .ok, plan: plan)
      #expect((insertion == .tooOld) == !isKept)
      if isKept { samples[time] = value }
      newest = max(newest, time)
      now = max(now, newest + Int64.random(in: 0...3000, using: &generator))
      series.trim(now: now, plan: plan)
      for (index, window) in plan.windows.enumerated() {
        for kind in kinds {
          let found = series.aggregate(kind, window: index)
          #expect(isSame(found, naive(kind, samples, now: now, window: window.length)), "\(kind) \(window.length)")
        }
      }
      #expect(series.lastTime == newest)
      #expect(series.lastValue == samples[newest])
    }
  }

  @Test("B4: windows continue identically after they are restored", arguments: 0..<20)
  func restoredWindows(seed: Int) {
    var generator = SeededGenerator(seed: UInt64(seed))
    let layout = testLayout(kinds.map { Feature(kind: $0, code: code, window: .sliding(60_000)) })
    let plan = layout.codes[0]
    var series = SeriesWindows(series: 0, device: 0, code: 0, source: 0, plan: plan)
    defer { series.free() }
    var time: Int64 = 1_767_225_600_000
    for _ in 0..<Int.random(in: 1...200, using: &generator) {
      time += Int64.random(in: 1...5000, using: &generator)
      _ = series.insert(
        time: time, value: Int32.random(in: 0...100, using: &generator), quality: .absent, status: .ok, plan: plan)
    }
    var copy = SeriesWindows(copyingHead: series, plan: plan)
    defer { copy.free() }
    for index in series.firstNeeded(plan: plan)..<series.entryCount {
      let entry = series.entry(index)
      copy.restore(time: entry.time, value: entry.value, quality: entry.quality, status: entry.status)
    }
    copy.finishRestoring(plan: plan)
    for _ in 0..<300 {
      time += Int64.random(in: -3000...5000, using: &generator)
      let value = Int32.random(in: 0...100, using: &generator)
      let a = series.insert(time: time, value: value, quality: .absent, status: .ok, plan: plan)
      let b = copy.insert(time: time, value: value, quality: .absent, status: .ok, plan: plan)
      #expect(a == b)
      let now = series.lastTime
      series.trim(now: now, plan: plan)
      copy.trim(now: now, plan: plan)
      for kind in kinds { #expect(isSame(series.aggregate(kind, window: 0), copy.aggregate(kind, window: 0))) }
      #expect(series.entryCount - series.firstNeeded(plan: plan) == copy.entryCount - copy.firstNeeded(plan: plan))
    }
  }

  @Test("a series that lasts for years keeps its offsets small")
  func rebases() {
    let layout = testLayout([Feature(kind: .mean, code: code, window: .sliding(604_800_000))])
    let plan = layout.codes[0]
    var series = SeriesWindows(series: 0, device: 0, code: 0, source: 0, plan: plan)
    defer { series.free() }
    var time: Int64 = 1_767_225_600_000
    for step in 0..<2000 {
      time += 86_400_000
      #expect(series.insert(time: time, value: Int32(step), quality: .absent, status: .ok, plan: plan) == .newest)
      #expect(series.aggregate(.count, window: 0) == Double(min(7, step + 1)))
      #expect(series.entry(series.entryCount - 1).time == time)
    }
    _ = series.insert(time: time + 400 * 86_400_000, value: 5, quality: .absent, status: .ok, plan: plan)
    #expect(series.aggregate(.mean, window: 0) == 5)
  }

  @Test("memory is bounded: a burst beyond the limit pushes the oldest out and is counted")
  func bounded() {
    let layout = testLayout([Feature(kind: .count, code: code, window: .sliding(604_800_000))])
    let plan = layout.codes[0]
    var series = SeriesWindows(series: 0, device: 0, code: 0, source: 0, plan: plan)
    defer { series.free() }
    let start: Int64 = 1_767_225_600_000
    for step in 0..<10_000 {
      _ = series.insert(time: start + Int64(step) * 10, value: 1, quality: .absent, status: .ok, plan: plan)
    }
    #expect(series.entryCount == SeriesWindows.entriesMax)
    #expect(series.aggregate(.count, window: 0) == Double(SeriesWindows.entriesMax))
    #expect(series.truncated == UInt32(10_000 - SeriesWindows.entriesMax))
    #expect(series.insert(time: start, value: 1, quality: .absent, status: .ok, plan: plan) == .tooOld)
    #expect(series.entryCount == SeriesWindows.entriesMax)
  }

  @Test("B7: staleness is the registry's, three times the declared cadence, or three times the observed interval")
  func staleness() {
    let layout = testLayout([])
    let plan = layout.codes[0]
    var series = SeriesWindows(series: 0, device: 0, code: 0, source: 0, plan: plan)
    defer { series.free() }
    #expect(series.staleness(registry: 60_000) == 60_000)
    for (step, at) in [0, 1000, 41_000, 81_000, 121_000, 161_000, 162_000].enumerated() {
      _ = series.insert(
        time: 1_767_225_600_000 + Int64(at), value: Int32(step), quality: .absent, status: .ok, plan: plan)
    }
    // Median of the last five intervals: one odd interval says nothing.
    #expect(series.observedInterval == 40_000)
    #expect(series.staleness(registry: 60_000) == 120_000)
    series.cadence = 10_000
    #expect(series.staleness(registry: 60_000) == 60_000)
    series.cadence = 30_000
    #expect(series.staleness(registry: 60_000) == 90_000)
  }
}
