/// The values inside one window, ascending and each once, with how often it occurs and, where asked, how long it stood.
///
/// What a vital measures in minutes takes a few dozen values on its grid, so this is small whatever the rate, and every
/// order statistic comes from it. Adding and removing cost a binary search and, for a value not there yet, a move of the
/// ones above it; the middle is kept by a cursor that moves by single steps.
struct CountedValues: BitwiseCopyable {
  /// `held` (8 bytes each, if any), `values` (4), `counts` (4).
  private var memory: UnsafeMutableRawPointer?
  private var capacity: Int32 = 0
  /// Distinct values.
  private(set) var distinct: Int32 = 0
  /// All values.
  private(set) var total: Int32 = 0
  /// A position and how many values lie at lower positions: where the last rank was found.
  private var cursor: Int32 = 0
  private var below: Int32 = 0
  private var isHeld = false

  init(isHeld: Bool) { self.isHeld = isHeld }

  func free() { memory?.deallocate() }

  var heapBytes: Int { Int(capacity) * (isHeld ? 16 : 8) }

  private var held: UnsafeMutablePointer<Int64> {
    memory.unsafelyUnwrapped.assumingMemoryBound(to: Int64.self)
  }
  @inline(__always)
  private var values: UnsafeMutablePointer<Int32> {
    (memory.unsafelyUnwrapped + (isHeld ? Int(capacity) * 8 : 0)).assumingMemoryBound(to: Int32.self)
  }
  @inline(__always)
  private var counts: UnsafeMutablePointer<UInt32> {
    (memory.unsafelyUnwrapped + Int(capacity) * (isHeld ? 12 : 4)).assumingMemoryBound(to: UInt32.self)
  }

  mutating func removeAll() {
    distinct = 0
    total = 0
    cursor = 0
    below = 0
  }

  @inline(__always)
  private func position(_ value: Int32) -> Int {
    let values = values
    var low = 0
    var high = Int(distinct)
    while low < high {
      let middle = (low + high) >> 1
      if values[middle] < value { low = middle + 1 } else { high = middle }
    }
    return low
  }

  @inline(__always)
  mutating func add(_ value: Int32, times: UInt32 = 1) {
    if memory == nil { grow() }
    var at = position(value)
    if at == distinct || values[at] != value {
      if distinct == capacity { grow() }
      at = insert(value, at: at)
    }
    counts[at] += times
    total += Int32(times)
    if at < cursor { below += Int32(times) }
  }

  private mutating func insert(_ value: Int32, at: Int) -> Int {
    let rest = Int(distinct) - at
    (values + at + 1).update(from: values + at, count: rest)
    (counts + at + 1).update(from: counts + at, count: rest)
    values[at] = value
    counts[at] = 0
    if isHeld {
      (held + at + 1).update(from: held + at, count: rest)
      held[at] = 0
    }
    distinct += 1
    if at < cursor { cursor += 1 }
    return at
  }

  @inline(__always)
  mutating func remove(_ value: Int32) {
    let at = position(value)
    precondition(at < distinct && values[at] == value)
    counts[at] -= 1
    total -= 1
    if at < cursor { below -= 1 }
    if counts[at] == 0 { close(at) }
  }

  private mutating func close(_ at: Int) {
    let rest = Int(distinct) - at - 1
    (values + at).update(from: values + at + 1, count: rest)
    (counts + at).update(from: counts + at + 1, count: rest)
    if isHeld { (held + at).update(from: held + at + 1, count: rest) }
    distinct -= 1
    if at < cursor { cursor -= 1 }
    if cursor >= distinct { rewind() }
  }

  private mutating func rewind() {
    cursor = 0
    below = 0
  }

  /// A value present stood for some milliseconds more (or fewer).
  mutating func hold(_ value: Int32, _ milliseconds: Int64) {
    let at = position(value)
    precondition(isHeld && at < distinct && values[at] == value)
    held[at] += milliseconds
  }

  private mutating func grow() {
    let wider = capacity + max(4, capacity / 8 * 2)
    let other = UnsafeMutableRawPointer.allocate(byteCount: Int(wider) * (isHeld ? 16 : 8), alignment: 8)
    let count = Int(distinct)
    if memory != nil {
      if isHeld { other.copyMemory(from: held, byteCount: count * 8) }
      (other + (isHeld ? Int(wider) * 8 : 0)).copyMemory(from: values, byteCount: count * 4)
      (other + Int(wider) * (isHeld ? 12 : 4)).copyMemory(from: counts, byteCount: count * 4)
      memory?.deallocate()
    }
    memory = other
    capacity = wider
  }

  // MARK: Asking

  /// - Precondition: not empty.
  var least: Int32 { values[0] }
  var greatest: Int32 { values[Int(distinct) - 1] }

  /// The value of rank `rank` (0: the least) and, without looking again, the one after it.
  ///
  /// - Precondition: `rank < total`.
  @inline(__always)
  mutating func ranked(_ rank: Int32) -> (value: Int32, next: Int32) {
    let counts = counts
    while below > rank {
      cursor -= 1
      below -= Int32(counts[Int(cursor)])
    }
    while below + Int32(counts[Int(cursor)]) <= rank {
      below += Int32(counts[Int(cursor)])
      cursor += 1
    }
    let value = values[Int(cursor)]
    let isLastOfValue = rank + 1 >= below + Int32(counts[Int(cursor)])
    return (value, isLastOfValue && cursor + 1 < distinct ? values[Int(cursor) + 1] : value)
  }

  /// Calls `body` with every value, how often it occurs, and how long it stood (0 where that is not kept).
  @inline(__always)
  func each(_ body: (_ value: Int32, _ count: UInt32, _ held: Int64) -> Void) {
    for at in 0..<Int(distinct) { body(values[at], counts[at], isHeld ? held[at] : 0) }
  }

  /// Median absolute deviation from `centre` in grid steps: walks outward from it.
  ///
  /// - Precondition: not empty.
  func medianDeviation(from centre: Double) -> Double {
    var up = 0
    while up < distinct, Double(values[up]) < centre { up += 1 }
    var down = up - 1
    var seen: Int32 = 0
    var middle = (Double.nan, Double.nan)
    while seen < total {
      let above = up < distinct ? Double(values[up]) - centre : .infinity
      let beneath = down >= 0 ? centre - Double(values[down]) : .infinity
      let distance = min(above, beneath)
      let count = above <= beneath ? counts[up] : counts[down]
      if above <= beneath { up += 1 } else { down -= 1 }
      let after = seen + Int32(count)
      if seen <= (total - 1) / 2, (total - 1) / 2 < after { middle.0 = distance }
      if seen <= total / 2, total / 2 < after { middle.1 = distance }
      seen = after
      if !middle.1.isNaN { break }
    }
    return (middle.0 + middle.1) / 2
  }
}
