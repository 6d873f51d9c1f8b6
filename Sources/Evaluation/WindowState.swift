import VitalModel

/// Sums over one window that only some aggregates need; exact 128-bit integers, so that adding and removing in any order
/// gives the same value to the last bit.
struct WindowSums: BitwiseCopyable {
  /// Of event time, of its square, of event time times value: for the least-squares line.
  var time: Int128 = 0
  var timeSquared: Int128 = 0
  var timeValue: Int128 = 0
  /// Of squared differences between successive samples.
  var successive: Int128 = 0
  /// Of weights, and of weights times values, relative to ``reference``.
  var weight: Int128 = 0
  var weighted: Int128 = 0
  /// Half-life number the weights are relative to.
  var reference: Int64 = .min
}

/// The running state of one window over a series' samples: what is inside is `start..<stop` of the log.
package struct WindowState: BitwiseCopyable {
  /// Absolute indices; `stop` is the log's end but for hopping windows.
  var start = 0
  var stop = 0
  /// Event times at `start` and `stop - 1`; meaningless while empty.
  var startTime: Int64 = 0
  var stopTime: Int64 = 0
  /// Exact sum of the values inside, grid steps.
  var sum: Int64 = 0
  var counted: CountedValues
  var sums: UnsafeMutablePointer<WindowSums>?
  var panes: UnsafeMutablePointer<PaneRing>?
  /// Since onset: where the episode began; `.max`: none. Hopping: the end it stands at.
  var anchor: Int64 = .max

  init(_ window: PlanLayout.Window) {
    counted = CountedValues(isHeld: window.needs.contains(.held))
    if !window.needs.isDisjoint(with: [.line, .successive, .weighted]) {
      sums = .allocate(capacity: 1)
      sums?.initialize(to: WindowSums())
    }
    if window.kind == .panes {
      panes = .allocate(capacity: 1)
      panes?.initialize(to: PaneRing(window))
    }
  }

  func free() {
    counted.free()
    sums?.deallocate()
    panes?.pointee.free()
    panes?.deallocate()
  }

  var heapBytes: Int {
    counted.heapBytes + (sums == nil ? 0 : MemoryLayout<WindowSums>.stride)
      + (panes.map { MemoryLayout<PaneRing>.stride + $0.pointee.heapBytes } ?? 0)
  }

  var count: Int { stop - start }

  mutating func clear(at index: Int) {
    start = index
    stop = index
    sum = 0
    counted.removeAll()
    sums?.pointee = WindowSums()
  }

  // MARK: One sample in, one out

  /// Takes in the sample at `stop`, whose event time is `time`.
  @inline(__always)
  mutating func takeNext(_ log: SampleLog, time: Int64, window: PlanLayout.Window, standing: Int64) {
    let value = log.value(stop)
    if stop == start { startTime = time }
    sum += Int64(value)
    if window.needs.contains(.counted) {
      if window.needs.contains(.held), stop > start {
        counted.hold(log.value(stop - 1), min(time - stopTime, standing))
      }
      counted.add(value)
    }
    if let sums { add(value, time: time, log, to: sums, window) }
    stop += 1
    stopTime = time
  }

  private func add(
    _ value: Int32, time: Int64, _ log: SampleLog, to sums: UnsafeMutablePointer<WindowSums>,
    _ window: PlanLayout.Window
  ) {
    if window.needs.contains(.line) {
      sums.pointee.time += Int128(time)
      sums.pointee.timeSquared += Int128(time) * Int128(time)
      sums.pointee.timeValue += Int128(time) * Int128(value)
    }
    if window.needs.contains(.successive), stop > start {
      let step = Int128(value) - Int128(log.value(stop - 1))
      sums.pointee.successive += step * step
    }
    if window.needs.contains(.weighted), sums.pointee.reference != .min {
      let weight = HalfLifeWeight.weight(time, halfLife: window.every, reference: sums.pointee.reference)
      sums.pointee.weight += Int128(weight)
      sums.pointee.weighted += Int128(weight) * Int128(value)
    }
  }

  /// Lets go of the sample at `start`.
  @inline(__always)
  mutating func dropFirst(_ log: SampleLog, window: PlanLayout.Window, standing: Int64) {
    let value = log.value(start)
    let isAlone = start + 1 == stop
    sum -= Int64(value)
    if window.needs.contains(.counted) {
      if window.needs.contains(.held), !isAlone { counted.hold(value, -min(log.gap(start + 1), standing)) }
      counted.remove(value)
    }
    if let sums { remove(value, isAlone: isAlone, log, from: sums, window) }
    start += 1
    if start < stop { startTime += log.gap(start) }
  }

  private func remove(
    _ value: Int32, isAlone: Bool, _ log: SampleLog, from sums: UnsafeMutablePointer<WindowSums>,
    _ window: PlanLayout.Window
  ) {
    if window.needs.contains(.line) {
      sums.pointee.time -= Int128(startTime)
      sums.pointee.timeSquared -= Int128(startTime) * Int128(startTime)
      sums.pointee.timeValue -= Int128(startTime) * Int128(value)
    }
    if window.needs.contains(.successive), !isAlone {
      let step = Int128(log.value(start + 1)) - Int128(value)
      sums.pointee.successive -= step * step
    }
    if window.needs.contains(.weighted), sums.pointee.reference != .min {
      let weight = HalfLifeWeight.weight(startTime, halfLife: window.every, reference: sums.pointee.reference)
      sums.pointee.weight -= Int128(weight)
      sums.pointee.weighted -= Int128(weight) * Int128(value)
    }
  }

  /// Weights relative to another half-life: once a half-life, over what is inside.
  mutating func reweigh(_ log: SampleLog, window: PlanLayout.Window, reference: Int64) {
    guard let sums, sums.pointee.reference != reference else { return }
    sums.pointee.reference = reference
    sums.pointee.weight = 0
    sums.pointee.weighted = 0
    var time = startTime
    for index in start..<stop {
      if index > start { time += log.gap(index) }
      let weight = HalfLifeWeight.weight(time, halfLife: window.every, reference: reference)
      sums.pointee.weight += Int128(weight)
      sums.pointee.weighted += Int128(weight) * Int128(log.value(index))
    }
  }
}

/// Integer weights that double with every half-life: the same on every machine, whatever order samples come in.
enum HalfLifeWeight {
  /// Half-lives that count: what is older weighs less than 1/256.
  static let span: Int64 = 8

  /// The half-life number weights are relative to while the newest sample is at `newest`.
  static func reference(newest: Int64, halfLife: Int64) -> Int64 { DecimalFloor.divide(newest, halfLife) - span }

  /// 2^20 x 2^((time - reference x halfLife) / halfLife), rounded down; 0 for times before the reference.
  static func weight(_ time: Int64, halfLife: Int64, reference: Int64) -> Int64 {
    let number = DecimalFloor.divide(time, halfLife)
    let whole = number - reference
    guard whole >= 0 else { return 0 }
    let part = Double(time - number * halfLife) / Double(halfLife)
    return Int64(power(part) * 1_048_576) << min(whole, 20)
  }

  /// 2^x for x in [0, 1): Taylor series of e^(x ln 2), plain IEEE operations in a fixed order.
  private static func power(_ x: Double) -> Double {
    let y = x * 0.693_147_180_559_945_3
    var term = 1.0
    var sum = 1.0
    for step in 1...16 {
      term = term * y / Double(step)
      sum += term
    }
    return sum
  }
}
