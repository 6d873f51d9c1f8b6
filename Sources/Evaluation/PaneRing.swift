import VitalModel

/// Panes of a hopping window: the values of each `every` of event time, counted. For windows so long that their samples are
/// not kept; only aggregates that do not look at order can be taken over them.
package struct PaneRing: BitwiseCopyable {
  struct Pane: BitwiseCopyable {
    /// Pane number: event time divided by `every`; `.min`: empty.
    var number: Int64 = .min
    var values = CountedValues(isHeld: false)
  }

  /// The panes of one window, the one being filled, and one more for samples that come late.
  private let panes: UnsafeMutablePointer<Pane>
  private let size: Int
  private let every: Int64
  private let inWindow: Int64
  /// The panes inside the window, merged; for the window that ends with pane `mergedUpTo - 1`.
  private(set) var merged = CountedValues(isHeld: false)
  private var mergedUpTo: Int64 = .min
  private var isMergedCurrent = false

  init(_ window: PlanLayout.Window) {
    every = window.every
    inWindow = window.length / window.every
    size = Int(inWindow) + 2
    panes = .allocate(capacity: size)
    panes.initialize(repeating: Pane(), count: size)
  }

  func free() {
    for index in 0..<size { panes[index].values.free() }
    panes.deallocate()
    merged.free()
  }

  var heapBytes: Int {
    (0..<size).reduce(size * MemoryLayout<Pane>.stride + merged.heapBytes) { $0 + panes[$1].values.heapBytes }
  }

  private func place(_ number: Int64) -> Int {
    let rest = number % Int64(size)
    return Int(rest < 0 ? rest + Int64(size) : rest)
  }

  /// Adds a value; one older than any pane kept is ignored.
  mutating func add(_ value: Int32, at time: Int64, times: UInt32 = 1) {
    let number = DecimalFloor.divide(time, every)
    let index = place(number)
    if panes[index].number != number {
      guard panes[index].number < number else { return }
      panes[index].number = number
      panes[index].values.removeAll()
    }
    panes[index].values.add(value, times: times)
    if number < mergedUpTo { isMergedCurrent = false }
  }

  /// Takes back a value added at this time, for a correction.
  mutating func remove(_ value: Int32, at time: Int64) {
    let number = DecimalFloor.divide(time, every)
    let index = place(number)
    guard panes[index].number == number else { return }
    var isThere = false
    panes[index].values.each { kept, _, _ in if kept == value { isThere = true } }
    guard isThere else { return }
    panes[index].values.remove(value)
    if number < mergedUpTo { isMergedCurrent = false }
  }

  /// Brings ``merged`` to the window that is whole at `now`.
  mutating func merge(now: Int64) {
    let upTo = DecimalFloor.divide(now, every)
    guard upTo != mergedUpTo || !isMergedCurrent else { return }
    mergedUpTo = upTo
    isMergedCurrent = true
    merged.removeAll()
    for number in (upTo - inWindow)..<upTo {
      let index = place(number)
      guard panes[index].number == number else { continue }
      let values = panes[index].values
      var target = merged
      values.each { value, count, _ in target.add(value, times: count) }
      merged = target
    }
  }

  /// Every value kept that a window ending at or after `now` can need: pane number, value, how often; in order.
  func records(now: Int64) -> [(number: Int64, value: Int32, count: UInt32)] {
    let newest = DecimalFloor.divide(now, every)
    var found: [(number: Int64, value: Int32, count: UInt32)] = []
    guard now != .min else { return [] }
    for number in (newest - inWindow)...newest {
      let index = place(number)
      guard panes[index].number == number else { continue }
      panes[index].values.each { value, count, _ in found.append((number, value, count)) }
    }
    return found
  }

  mutating func restore(number: Int64, value: Int32, count: UInt32) {
    let (time, overflow) = number.multipliedReportingOverflow(by: every)
    // What no device can have sent is not taken from disk either.
    let held = panes[place(number)].values.total
    if !overflow, Int64(held) + Int64(count) < 100_000_000 { add(value, at: time, times: count) }
  }
}
