import VitalModel

/// One sample inside a window: 12 bytes.
package struct WindowEntry: BitwiseCopyable {
  /// Milliseconds after the series' base time.
  package var offset: UInt32
  /// Grid steps of the vital's resolution.
  package var value: Int32
  package var quality: SampleQuality
  package var status: UInt8
  package var marks: UInt8
}

/// The running state of one window over a series' entries: `(now - length, now]`.
package struct WindowState {
  /// Absolute index of the first entry inside.
  var start: Int = 0
  var sum: Int64 = 0
  /// Values inside, ascending; nil where no aggregate needs order.
  var sorted: UnsafeMutablePointer<Int32>?
  var sortedCount: Int32 = 0
  var sortedCapacity: Int32 = 0
}

/// How a sample went into its series.
package enum Insertion: Sendable {
  /// Newest of its series.
  case newest
  /// Older than the newest but inside what is kept: windows were recomputed.
  case late
  /// Took the place of a sample of the same time (a correction).
  case replaced
  /// Older than anything a window still needs.
  case tooOld
}

/// What evaluation keeps of one series: recent good samples in event-time order, one state per window, staleness.
///
/// Sums are exact (64-bit integers over grid steps), so a window's value is the same whatever order its samples came in:
/// after every late insertion windows are recomputed from the entries. Owned by one thread; memory is freed by
/// ``free()``, which the owner calls once.
package struct SeriesWindows {
  /// At most this many samples are kept a series (1 Hz over two hours); beyond it the oldest go and ``truncated`` counts.
  package static let entriesMax = 8192
  /// Oldest to newest entry at most, milliseconds: offsets fit 32 bits with room for a late sample before the first.
  package static let spanMax = Int64(UInt32.max / 2)

  package var series: UInt32
  package var device: UInt32
  package var code: Int
  package var source: UInt16
  /// Position of the source in the vital's preference; lower is better.
  package var rank: UInt8 = 255
  package var isStale = false
  package var lastStatus: SampleStatus = .ok
  package var lastQuality = SampleQuality.absent
  /// Event time of the newest observation, usable or not.
  package var newestTime: Int64 = .min
  /// Event time and grid value of the newest usable observation.
  package var lastTime: Int64 = .min
  package var lastValue: Int32 = 0
  /// Usable observations so far, saturating.
  package var count: UInt32 = 0
  /// Observations too doubtful to judge so far, saturating.
  package var doubtfulCount: UInt32 = 0
  /// When the newest usable observation came in, engine time: silence is measured from here, so that neither a slow
  /// device clock nor a back-log looks like silence.
  package var heardAt: Int64 = .min
  /// Oversized bursts that pushed samples out of a window early.
  package var truncated: UInt32 = 0
  /// Declared cadence of the assignment, milliseconds; 0 unknown.
  package var cadence: Int64 = 0
  /// The last five intervals between usable observations, milliseconds.
  package var intervals: (Int32, Int32, Int32, Int32, Int32) = (0, 0, 0, 0, 0)
  /// When staleness is to be looked at again.
  package var staleDue: Int64 = .max

  var baseTime: Int64 = 0
  var entries: UnsafeMutablePointer<WindowEntry>
  var capacity: Int
  /// Absolute indices; slot = index & (capacity - 1).
  var first = 0
  var end = 0
  var windows: UnsafeMutablePointer<WindowState>
  let windowCount: Int

  package init(series: UInt32, device: UInt32, code: Int, source: UInt16, plan: PlanLayout.CodePlan) {
    self.series = series
    self.device = device
    self.code = code
    self.source = source
    capacity = 16
    entries = .allocate(capacity: 16)
    windowCount = plan.windows.count
    windows = .allocate(capacity: max(1, windowCount))
    for index in 0..<windowCount {
      var state = WindowState()
      if plan.windows[index].isOrdered {
        state.sorted = .allocate(capacity: 16)
        state.sortedCapacity = 16
      }
      (windows + index).initialize(to: state)
    }
  }

  /// A series with the standing of another and no samples yet: for windows laid out anew.
  package init(copyingHead other: SeriesWindows, plan: PlanLayout.CodePlan) {
    self.init(series: other.series, device: other.device, code: other.code, source: other.source, plan: plan)
    rank = other.rank
    isStale = other.isStale
    lastStatus = other.lastStatus
    lastQuality = other.lastQuality
    newestTime = other.newestTime
    lastTime = other.lastTime
    lastValue = other.lastValue
    count = other.count
    doubtfulCount = other.doubtfulCount
    heardAt = other.heardAt
    truncated = other.truncated
    cadence = other.cadence
    intervals = other.intervals
    staleDue = other.staleDue
  }

  package mutating func free() {
    entries.deallocate()
    for index in 0..<windowCount { windows[index].sorted?.deallocate() }
    windows.deallocate()
  }

  /// Bytes held outside the struct.
  package var heapBytes: Int {
    var bytes = capacity * MemoryLayout<WindowEntry>.stride + max(1, windowCount) * MemoryLayout<WindowState>.stride
    for index in 0..<windowCount { bytes += Int(windows[index].sortedCapacity) * 4 }
    return bytes
  }

  @inline(__always)
  func slot(_ index: Int) -> UnsafeMutablePointer<WindowEntry> { entries + (index & (capacity - 1)) }

  @inline(__always)
  func time(_ index: Int) -> Int64 { baseTime + Int64(slot(index).pointee.offset) }

  package var entryCount: Int { end - first }

  /// Position for ``entry(_:)`` of the oldest entry anything still needs. Older ones go when room is short: whether they
  /// are still there depends on the buffer's history, so nothing that is written down may show them.
  package func firstNeeded(plan: PlanLayout.CodePlan) -> Int {
    guard end > first else { return 0 }
    var low = first
    var high = end
    while low < high {
      let middle = (low + high) / 2
      if time(middle) <= lastTime - plan.retention { low = middle + 1 } else { high = middle }
    }
    return low - first
  }

  /// The entry `index` places after the oldest kept: (event time, grid value, quality, status).
  package func entry(_ index: Int) -> (time: Int64, value: Int32, quality: SampleQuality, status: UInt8) {
    let entry = slot(first + index).pointee
    return (baseTime + Int64(entry.offset), entry.value, entry.quality, entry.status)
  }

  /// Puts one usable sample in its place; amortised O(1) in order, O(kept) when late.
  package mutating func insert(
    time sampleTime: Int64, value: Int32, quality: SampleQuality, status: SampleStatus, plan: PlanLayout.CodePlan
  ) -> Insertion {
    if end == first {
      baseTime = sampleTime
      first = 0
      end = 0
      for index in 0..<windowCount {
        windows[index].start = 0
        windows[index].sum = 0
        windows[index].sortedCount = 0
      }
    }
    let entry = WindowEntry(offset: 0, value: value, quality: quality, status: status.rawValue, marks: 0)
    if sampleTime > lastTime {
      noteInterval(sampleTime)
      lastTime = sampleTime
      lastValue = value
      append(entry, time: sampleTime, retention: plan.retention)
      for index in 0..<windowCount { add(value, to: windows + index) }
      trim(now: sampleTime, plan: plan)
      return .newest
    }
    guard sampleTime > lastTime - plan.retention else { return .tooOld }
    if sampleTime < baseTime {
      let shift = UInt32(baseTime - sampleTime)
      for index in first..<end { slot(index).pointee.offset += shift }
      baseTime = sampleTime
    }
    return insertLate(entry, time: sampleTime, plan: plan)
  }

  /// Puts back one kept entry during restoration, oldest first; ``finishRestoring(plan:)`` ends it.
  ///
  /// - Precondition: times do not descend and span at most ``spanMax``.
  package mutating func restore(time entryTime: Int64, value: Int32, quality: SampleQuality, status: UInt8) {
    if end == first { baseTime = entryTime }
    let entry = WindowEntry(offset: 0, value: value, quality: quality, status: status, marks: 0)
    append(entry, time: entryTime, retention: .max / 4)
  }

  /// Recomputes every window over the restored entries as of the newest.
  package mutating func finishRestoring(plan: PlanLayout.CodePlan) {
    if end > first { recomputeWindows(now: time(end - 1), plan: plan) }
  }

  private mutating func noteInterval(_ sampleTime: Int64) {
    if count > 0 {
      let interval = Int32(clamping: sampleTime - lastTime)
      intervals = (intervals.1, intervals.2, intervals.3, intervals.4, interval)
    }
    if count < .max { count += 1 }
  }

  private mutating func append(_ entry: WindowEntry, time: Int64, retention: Int64) {
    if time - baseTime > SeriesWindows.spanMax { rebase(keeping: time - retention, newest: time) }
    if end - first == capacity { makeRoom(now: time, retention: retention) }
    var placed = entry
    placed.offset = UInt32(time - baseTime)
    slot(end).pointee = placed
    end += 1
  }

  /// Moves the base time forward, so that offsets stay small however long the series lasts.
  private mutating func rebase(keeping oldest: Int64, newest: Int64) {
    while first < end, time(first) < oldest { dropOldest() }
    guard first < end else {
      baseTime = newest
      return
    }
    let shift = slot(first).pointee.offset
    for index in first..<end { slot(index).pointee.offset -= shift }
    baseTime += Int64(shift)
  }

  private mutating func makeRoom(now: Int64, retention: Int64) {
    while first < end, time(first) <= now - retention { dropOldest() }
    if end - first < capacity { return }
    if capacity < SeriesWindows.entriesMax {
      let grown = UnsafeMutablePointer<WindowEntry>.allocate(capacity: capacity * 2)
      for index in first..<end { (grown + (index & (capacity * 2 - 1))).initialize(to: slot(index).pointee) }
      entries.deallocate()
      entries = grown
      capacity *= 2
    } else {
      truncated &+= 1
      dropOldest()
    }
  }

  private mutating func dropOldest() {
    for index in 0..<windowCount where windows[index].start == first { removeFirst(of: windows + index) }
    first += 1
  }

  private mutating func insertLate(_ entry: WindowEntry, time: Int64, plan: PlanLayout.CodePlan) -> Insertion {
    var position = end
    while position > first, self.time(position - 1) > time { position -= 1 }
    if position > first, self.time(position - 1) == time {
      let offset = slot(position - 1).pointee.offset
      slot(position - 1).pointee = entry
      slot(position - 1).pointee.offset = offset
      if time == lastTime { lastValue = entry.value }
      recomputeWindows(now: lastTime, plan: plan)
      return .replaced
    }
    if end - first == capacity {
      // Nothing that is kept makes way for what would be the oldest.
      if position == first, capacity >= SeriesWindows.entriesMax,
        self.time(first) > lastTime - plan.retention
      {
        return .tooOld
      }
      let kept = end - position
      makeRoom(now: lastTime, retention: plan.retention)
      position = end - kept
      if position < first { return .tooOld }
    }
    var index = end
    while index > position {
      slot(index).pointee = slot(index - 1).pointee
      index -= 1
    }
    var placed = entry
    placed.offset = UInt32(time - baseTime)
    slot(position).pointee = placed
    end += 1
    recomputeWindows(now: lastTime, plan: plan)
    return .late
  }

  /// Every window from scratch at `now`: the plain form the running one must equal.
  private mutating func recomputeWindows(now: Int64, plan: PlanLayout.CodePlan) {
    for index in 0..<windowCount {
      let window = windows + index
      window.pointee.sum = 0
      window.pointee.sortedCount = 0
      var start = end
      while start > first, time(start - 1) > now - plan.windows[index].length { start -= 1 }
      window.pointee.start = start
      for position in start..<end { add(slot(position).pointee.value, to: window) }
    }
  }

  /// Lets go of what has left each window by `now`.
  @inline(__always)
  package mutating func trim(now: Int64, plan: PlanLayout.CodePlan) {
    for index in 0..<windowCount {
      let window = windows + index
      let limit = now - plan.windows[index].length
      while window.pointee.start < end, time(window.pointee.start) <= limit { removeFirst(of: window) }
    }
  }

  @inline(__always)
  private func add(_ value: Int32, to window: UnsafeMutablePointer<WindowState>) {
    window.pointee.sum += Int64(value)
    guard let sorted = window.pointee.sorted else { return }
    if window.pointee.sortedCount == window.pointee.sortedCapacity { grow(window) }
    let base = window.pointee.sorted ?? sorted
    let count = Int(window.pointee.sortedCount)
    let position = lowerBound(base, count, value)
    (base + position + 1).update(from: base + position, count: count - position)
    base[position] = value
    window.pointee.sortedCount += 1
  }

  private func grow(_ window: UnsafeMutablePointer<WindowState>) {
    guard let old = window.pointee.sorted else { return }
    let capacity = Int(window.pointee.sortedCapacity) * 2
    let grown = UnsafeMutablePointer<Int32>.allocate(capacity: capacity)
    grown.initialize(from: old, count: Int(window.pointee.sortedCount))
    old.deallocate()
    window.pointee.sorted = grown
    window.pointee.sortedCapacity = Int32(capacity)
  }

  @inline(__always)
  private func removeFirst(of window: UnsafeMutablePointer<WindowState>) {
    let value = slot(window.pointee.start).pointee.value
    window.pointee.start += 1
    window.pointee.sum -= Int64(value)
    guard let base = window.pointee.sorted else { return }
    let count = Int(window.pointee.sortedCount)
    let position = lowerBound(base, count, value)
    (base + position).update(from: base + position + 1, count: count - position - 1)
    window.pointee.sortedCount -= 1
  }

  @inline(__always)
  private func lowerBound(_ base: UnsafeMutablePointer<Int32>, _ count: Int, _ value: Int32) -> Int {
    var low = 0
    var high = count
    while low < high {
      let middle = (low + high) / 2
      if base[middle] < value { low = middle + 1 } else { high = middle }
    }
    return low
  }

  /// A window's aggregate in grid steps at `now`; NaN where it is empty. The caller has called ``trim(now:plan:)``.
  package func aggregate(_ kind: FeatureKind, window index: Int) -> Double {
    let window = windows[index]
    let count = end - window.start
    if kind == .count { return Double(count) }
    if count == 0 { return .nan }
    switch kind {
    case .mean: return Double(window.sum) / Double(count)
    case .median, .min, .max, .range:
      guard let sorted = window.sorted else { return .nan }
      let n = Int(window.sortedCount)
      if kind == .min { return Double(sorted[0]) }
      if kind == .max { return Double(sorted[n - 1]) }
      if kind == .range { return Double(sorted[n - 1]) - Double(sorted[0]) }
      return n % 2 == 1 ? Double(sorted[n / 2]) : (Double(sorted[n / 2 - 1]) + Double(sorted[n / 2])) / 2
    case .delta: return Double(slot(end - 1).pointee.value) - Double(slot(window.start).pointee.value)
    default: return .nan
    }
  }

  /// How long without a usable sample until the series is stale (SEMANTICS B7), milliseconds.
  package func staleness(registry: Int64) -> Int64 {
    max(registry, 3 * (cadence > 0 ? cadence : observedInterval))
  }

  /// Median of the last five intervals, 0 before there are any.
  package var observedInterval: Int64 {
    var five = [intervals.0, intervals.1, intervals.2, intervals.3, intervals.4].filter { $0 > 0 }
    five.sort()
    return five.isEmpty ? 0 : Int64(five[five.count / 2])
  }

  /// Whether a missing signal means something: its rhythm is known, declared or seen five times. Nobody is called to a
  /// lone spot measurement that was not repeated.
  package var hasRhythm: Bool { cadence > 0 || UInt64(count) + UInt64(doubtfulCount) >= 5 }
}
