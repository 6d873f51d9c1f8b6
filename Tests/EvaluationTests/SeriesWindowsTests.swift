import Evaluation
import TestSupport
import Testing
import VitalModel

/// A plan over one vital `x`, with the features asked for. `x` stands for a minute at most.
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
private let origin: Int64 = 1_767_225_600_000

/// Every aggregate with the numbers it takes, and every window.
private let kinds: [(FeatureKind, [FeatureArgument])] = FeatureKind.allCases.filter(\.isWindowed).filter { !$0.isTruth }
  .map { kind in
    switch kind {
    case .quantile: (kind, [.constant(0.9)])
    case .baseline: (kind, [.constant(-20), .constant(30)])
    case .deviation: (kind, [.constant(2)])
    default: (kind, kind.argumentCount == 1 ? [.constant(3)] : [])
    }
  }
private let shapes: [WindowShape] = [
  .sliding(1000), .sliding(60_000), .sliding(300_000), .hopping(length: 60_000, every: 20_000),
  .hopping(length: 60_000, every: 60_000), .samples(1), .samples(25), .session(gap: 5000),
]
private let features = shapes.flatMap { shape in
  kinds.map { Feature(kind: $0.0, code: code, window: shape, arguments: $0.1) }
}

private func isClose(_ a: Double, _ b: Double) -> Bool {
  a == b || (a.isNaN && b.isNaN) || abs(a - b) <= 1e-9 * max(1, abs(b))
}

/// Follows a series and what the plain form says about it.
private struct Twin {
  let plan: PlanLayout.CodePlan
  var series: SeriesWindows
  var plain = PlainSeries(standing: 60_000)

  init(_ layout: PlanLayout) {
    plan = layout.codes[0]
    series = SeriesWindows(series: 0, device: 0, code: 0, source: 0, plan: plan)
  }

  mutating func insert(_ time: Int64, _ value: Int32) -> Insertion {
    let insertion = series.insert(time: time, value: value, quality: .absent, status: .ok, plan: plan)
    if insertion != .tooOld { plain.samples[time] = value }
    return insertion
  }

  mutating func check(now: Int64, _ features: [Feature]) {
    series.refresh(now: now, plan: plan)
    for (index, feature) in features.enumerated() {
      let found = series.featureValue(index)
      let wanted = plain.value(feature, now: now)
      #expect(isClose(found, wanted), "\(feature.kind) \(feature.window): \(found), plain \(wanted)")
    }
  }
}

@Suite struct SeriesWindowsTests {
  @Test(
    "B4: every aggregate over every window under random out-of-order insertion equals the in-order result",
    arguments: 0..<4)
  func windowsEqualTheNaive(seed: Int) {
    var generator = SeededGenerator(seed: UInt64(seed))
    let layout = testLayout(features)
    var twin = Twin(layout)
    defer { twin.series.free() }
    var clock = origin + Int64(seed) * 777
    var newest = Int64.min
    var now = Int64.min
    let spread: ClosedRange<Int32> = seed % 2 == 0 ? -50...50 : -900...900
    for _ in 0..<150 {
      // Gaps now and then, bursts of late samples, corrections of old times.
      clock +=
        Int.random(in: 0..<40, using: &generator) == 0
        ? Int64.random(in: 0...100_000, using: &generator) : Int64.random(in: 1...2500, using: &generator)
      let late =
        Int.random(in: 0..<4, using: &generator) == 0 ? Int64.random(in: 0...30_000, using: &generator) : 0
      var time = clock - late
      if late > 0, Bool.random(using: &generator),
        let known = twin.plain.samples.keys.filter({ $0 > newest - 30_000 }).sorted().randomElement(using: &generator)
      {
        time = known
      }
      let insertion = twin.insert(time, Int32.random(in: spread, using: &generator))
      #expect(insertion != .tooOld)
      newest = max(newest, time)
      now = max(now, newest + Int64.random(in: 0...3000, using: &generator))
      twin.check(now: now, features)
      #expect(twin.series.lastTime == newest)
      #expect(twin.series.lastValue == twin.plain.samples[newest])
    }
  }

  @Test("a window asked for an earlier now gives that instant's value")
  func earlierNow() {
    let layout = testLayout(features)
    var twin = Twin(layout)
    defer { twin.series.free() }
    for step in 0..<50 { _ = twin.insert(origin + Int64(step) * 1000, Int32(step % 7)) }
    twin.check(now: origin + 49_000, features)
    twin.check(now: origin + 240_000, features)
    twin.check(now: origin + 49_500, features)
  }

  @Test("B4: windows continue identically after they are restored", arguments: 0..<6)
  func restoredWindows(seed: Int) {
    var generator = SeededGenerator(seed: UInt64(seed))
    let layout = testLayout(features)
    let plan = layout.codes[0]
    var series = SeriesWindows(series: 0, device: 0, code: 0, source: 0, plan: plan)
    defer { series.free() }
    var time = origin
    for _ in 0..<Int.random(in: 1...200, using: &generator) {
      time += Int64.random(in: 1...5000, using: &generator)
      _ = series.insert(
        time: time, value: Int32.random(in: 0...100, using: &generator), quality: .absent, status: .ok, plan: plan)
    }
    var copy = SeriesWindows(copyingHead: series, plan: plan)
    defer { copy.free() }
    for entry in series.neededSamples(plan: plan) {
      copy.restore(time: entry.time, value: entry.value, quality: entry.quality, status: entry.status)
    }
    copy.finishRestoring(plan: plan)
    for window in plan.windows.indices {
      for record in series.paneRecords(window: window) {
        copy.restorePane(window: window, number: record.number, value: record.value, count: record.count)
      }
    }
    for _ in 0..<200 {
      time += Int64.random(in: -3000...5000, using: &generator)
      let value = Int32.random(in: 0...100, using: &generator)
      let a = series.insert(time: time, value: value, quality: .absent, status: .ok, plan: plan)
      let b = copy.insert(time: time, value: value, quality: .absent, status: .ok, plan: plan)
      #expect(a == b)
      let now = series.lastTime
      series.refresh(now: now, plan: plan)
      copy.refresh(now: now, plan: plan)
      for index in features.indices {
        let values = (series.featureValue(index), copy.featureValue(index))
        #expect(values.0.bitPattern == values.1.bitPattern || (values.0.isNaN && values.1.isNaN))
      }
      #expect(series.neededSamples(plan: plan).count == copy.neededSamples(plan: plan).count)
    }
  }

  @Test("quality and sensor state of kept samples survive late insertion and growth", arguments: 0..<6)
  func keptMarks(seed: Int) {
    var generator = SeededGenerator(seed: UInt64(seed))
    let layout = testLayout([Feature(kind: .mean, code: code, window: .sliding(3_600_000))])
    let plan = layout.codes[0]
    var series = SeriesWindows(series: 0, device: 0, code: 0, source: 0, plan: plan)
    defer { series.free() }
    var expected: [Int64: (Int32, UInt16, UInt8)] = [:]
    for step in 0..<300 {
      let time = origin + Int64(step) * 1000 + (step % 5 == 0 ? -4500 : 0)
      let value = step > 150 ? Int32.random(in: -1000...1000, using: &generator) : Int32(step % 90)
      let quality = step > 80 ? UInt16.random(in: 0...10_000, using: &generator) : 9000
      _ = series.insert(
        time: time, value: value, quality: SampleQuality(raw: quality), status: step % 3 == 0 ? .lowBattery : .ok,
        plan: plan)
      expected[time] = (value, quality, (step % 3 == 0 ? SampleStatus.lowBattery : .ok).rawValue)
    }
    let kept = Array(series.samples)
    #expect(kept.map(\.time) == expected.keys.sorted())
    for sample in kept {
      let wanted = expected[sample.time]
      #expect(sample.value == wanted?.0 && sample.quality.raw == wanted?.1 && sample.status == wanted?.2)
    }
  }

  @Test("a series that lasts for years stays small, and a gap of months empties it")
  func yearsLong() {
    let layout = testLayout([
      Feature(kind: .mean, code: code, window: .sliding(604_800_000)),
      Feature(kind: .count, code: code, window: .sliding(604_800_000)),
      Feature(kind: .median, code: code, window: .samples(3)),
    ])
    var twin = Twin(layout)
    defer { twin.series.free() }
    var time = origin
    for step in 0..<2000 {
      time += 86_400_000
      #expect(twin.insert(time, Int32(step)) == .newest)
      twin.series.refresh(now: time, plan: twin.plan)
      #expect(twin.series.featureValue(1) == Double(min(7, step + 1)))
      #expect(twin.series.heapBytes < 2000)
    }
    _ = twin.insert(time + 400 * 86_400_000, 5)
    twin.series.refresh(now: time + 400 * 86_400_000, plan: twin.plan)
    #expect(twin.series.featureValue(0) == 5)
  }

  @Test("memory is bounded: a burst beyond the limit pushes the oldest out and is counted")
  func bounded() {
    let layout = testLayout([Feature(kind: .count, code: code, window: .sliding(604_800_000))])
    let plan = layout.codes[0]
    var series = SeriesWindows(series: 0, device: 0, code: 0, source: 0, plan: plan)
    defer { series.free() }
    for step in 0..<12_000 {
      _ = series.insert(time: origin + Int64(step) * 10, value: 1, quality: .absent, status: .ok, plan: plan)
    }
    series.refresh(now: series.lastTime, plan: plan)
    #expect(series.sampleCount == SeriesWindows.entriesMax)
    #expect(series.featureValue(0) == Double(series.sampleCount))
    #expect(series.truncated == UInt32(12_000 - series.sampleCount))
    #expect(series.insert(time: origin, value: 1, quality: .absent, status: .ok, plan: plan) == .tooOld)
  }

  @Test("a late sample inside the newest five counts, however much more is still kept")
  func lateAmongTheNewest() {
    let layout = testLayout([
      Feature(kind: .min, code: code, window: .samples(5)), Feature(kind: .mean, code: code, window: .sliding(1000)),
    ])
    var twin = Twin(layout)
    defer { twin.series.free() }
    for step in 0..<7 { _ = twin.insert(origin + Int64(step) * 600_000, 95) }
    #expect(twin.insert(origin + 3_300_000, 80) == .late)
    twin.series.refresh(now: origin + 3_600_000, plan: twin.plan)
    #expect(twin.series.featureValue(0) == 80)
    #expect(twin.insert(origin + 1000, 70) == .tooOld)
  }

  @Test("a five-minute median of a bedside series takes three bytes a sample and eight a distinct value")
  func smallSeries() {
    let layout = testLayout([Feature(kind: .median, code: code, window: .sliding(300_000))])
    var twin = Twin(layout)
    defer { twin.series.free() }
    for step in 0..<4000 { _ = twin.insert(origin + Int64(step) * 1000, 80 + Int32(step % 11)) }
    twin.series.refresh(now: twin.series.lastTime, plan: twin.plan)
    #expect(twin.series.heapBytes < 304 * 3 + 24 * 8 + 200)
  }

  @Test("a week at 1 Hz: hopping sums are exact against plain integers, over panes that keep no samples")
  func weekOfPanes() {
    let features = [
      Feature(kind: .mean, code: code, window: .hopping(length: 86_400_000, every: 3_600_000)),
      Feature(kind: .stddev, code: code, window: .hopping(length: 86_400_000, every: 3_600_000)),
      Feature(kind: .median, code: code, window: .hopping(length: 86_400_000, every: 3_600_000)),
      Feature(kind: .mean, code: code, window: .sliding(3_600_000)),
      Feature(kind: .slope, code: code, window: .sliding(3_600_000)),
    ]
    let layout = testLayout(features, resolution: -1)
    var twin = Twin(layout)
    defer { twin.series.free() }
    var values: [Int32] = []
    let start = origin / 86_400_000 * 86_400_000
    for step in 0..<(7 * 86_400) {
      let value = Int32((step &* 7919) % 101) - 50 + Int32(step / 86_400) * 10
      values.append(value)
      _ = twin.series.insert(
        time: start + Int64(step) * 1000, value: value, quality: .absent, status: .ok, plan: twin.plan)
    }
    twin.series.refresh(now: start + 7 * 86_400_000, plan: twin.plan)
    let day = values.suffix(86_400)
    let sum = day.reduce(Int128(0)) { $0 + Int128($1) }
    let squares = day.reduce(Int128(0)) { $0 + Int128($1) * Int128($1) }
    let variance = Double(Int128(86_400) * squares - sum * sum) / (86_400.0 * 86_400.0)
    #expect(twin.series.featureValue(0) == Double(sum) / 86_400 / 10)
    #expect(twin.series.featureValue(1) == variance.squareRoot() / 10)
    let sorted = day.sorted()
    #expect(twin.series.featureValue(2) == (Double(sorted[43_199]) + Double(sorted[43_200])) / 2 / 10)
    #expect(twin.series.heapBytes < 60_000)
    let hour = values.suffix(3599)
    #expect(twin.series.featureValue(3) == Double(hour.reduce(Int128(0)) { $0 + Int128($1) }) / 3599 / 10)
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
