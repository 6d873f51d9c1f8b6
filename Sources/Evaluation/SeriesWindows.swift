import VitalModel

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

/// What evaluation keeps of one series: recent good samples in event-time order, one state per window, the values of the
/// features rules read, staleness.
///
/// Sums are exact (integers over grid steps), so a window's value is the same whatever order its samples came in: after a
/// late insertion windows are built anew from the samples. Owned by one thread; memory is freed by ``free()``, which the
/// owner calls once.
package struct SeriesWindows {
  /// At most this many samples are kept a series (1 Hz over two hours); beyond it the oldest go and ``truncated`` counts.
  package static let entriesMax = 8192

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
  /// When rules that ask for missing samples are to be looked at again.
  package var absenceDue: Int64 = .max
  /// Features whose value changed since they were last judged, one bit each; the last bit stands for all beyond 63.
  package var changed: UInt64 = .max
  /// What was taken of ``changed`` for the message numbered ``takenFor``; not part of the state.
  package var taken: UInt64 = 0
  package var takenFor: UInt64 = 0

  var log = SampleLog()
  var windows: UnsafeMutablePointer<WindowState>
  package let windowCount: Int
  /// One value a feature of the code's plan, canonical units, NaN unknown; valid for ``computedAt``.
  var values: UnsafeMutablePointer<Double>
  let valueCount: Int
  var computedAt: Int64 = .min
  var trimmedAt: Int64 = .min
  var isOutdated = true
  /// The newest value at the last ``refresh(now:plan:)``: where a window is empty it stands in for the window.
  var seenValue: Int32 = 0

  package init(series: UInt32, device: UInt32, code: Int, source: UInt16, plan: PlanLayout.CodePlan) {
    self.series = series
    self.device = device
    self.code = code
    self.source = source
    windowCount = plan.windows.count
    windows = .allocate(capacity: max(1, windowCount))
    for index in 0..<windowCount { (windows + index).initialize(to: WindowState(plan.windows[index])) }
    valueCount = plan.features.count
    values = .allocate(capacity: max(1, valueCount))
    values.initialize(repeating: .nan, count: max(1, valueCount))
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
    absenceDue = other.absenceDue
  }

  package mutating func free() {
    log.free()
    for index in 0..<windowCount { windows[index].free() }
    windows.deallocate()
    values.deallocate()
  }

  /// Bytes held outside the struct.
  package var heapBytes: Int {
    var bytes = log.heapBytes + max(1, windowCount) * MemoryLayout<WindowState>.stride + max(1, valueCount) * 8
    for index in 0..<windowCount { bytes += windows[index].heapBytes }
    return bytes
  }

  // MARK: Kept samples

  package var sampleCount: Int { log.count }

  /// Everything kept, oldest first.
  package var samples: KeptSamples { KeptSamples(log: log, index: log.first, time: log.firstTime) }

  /// The samples anything still needs. Older ones go when room is short: whether they are still there depends on the log's
  /// history, so nothing that is written down may show them.
  package func neededSamples(plan: PlanLayout.CodePlan) -> KeptSamples {
    var kept = samples
    while kept.index < log.end, !isNeeded(kept.index, time: kept.time, plan) { _ = kept.next() }
    return kept
  }

  @inline(__always)
  private func isNeeded(_ index: Int, time: Int64, _ plan: PlanLayout.CodePlan) -> Bool {
    time > lastTime - plan.retention || log.end - index <= plan.keptCount
  }

  // MARK: Insertion

  /// A lone value at time 0, for a score computed outside the engine; nil: none.
  mutating func standAlone(at value: Int32?, plan: PlanLayout.CodePlan) {
    lastTime = value == nil ? .min : 0
    lastValue = value ?? 0
    isOutdated = true
    guard windowCount > 0 else { return }
    log.removeAll()
    if let value { log.append(time: 0, value: value, mark: SampleLog.mark(.absent, SampleStatus.ok.rawValue)) }
    rebuild(now: lastTime, plan: plan)
  }

  /// Puts one usable sample in its place; amortised O(1) in order, O(kept) when late.
  package mutating func insert(
    time sampleTime: Int64, value: Int32, quality: SampleQuality, status: SampleStatus, plan: PlanLayout.CodePlan
  ) -> Insertion {
    let mark = SampleLog.mark(quality, status.rawValue)
    isOutdated = true
    if sampleTime > lastTime {
      noteInterval(sampleTime)
      makeRoom(before: sampleTime, plan: plan)
      log.append(time: sampleTime, value: value, mark: mark)
      lastTime = sampleTime
      lastValue = value
      for index in 0..<windowCount { takeNewest(windows + index, plan.windows[index], plan) }
      return .newest
    }
    let isKept = !log.isEmpty && isInsideKept(sampleTime, plan)
    let insertion = isKept ? insertLate(time: sampleTime, value: value, mark: mark, plan: plan) : .tooOld
    guard insertion != .replaced else { return insertion }
    var isInPane = false
    for index in 0..<windowCount {
      guard let panes = windows[index].panes else { continue }
      panes.pointee.add(value, at: sampleTime)
      isInPane = true
    }
    return insertion == .tooOld && isInPane ? .late : insertion
  }

  private func isInsideKept(_ time: Int64, _ plan: PlanLayout.CodePlan) -> Bool {
    if time > lastTime - plan.retention { return true }
    guard plan.keptCount > 0 else { return false }
    // Inside the newest so many samples, however much more is still kept.
    return log.count <= plan.keptCount || time > timeOf(log.end - plan.keptCount)
  }

  /// Puts back one kept sample during restoration, oldest first; ``finishRestoring(plan:)`` ends it.
  ///
  /// - Precondition: times ascend.
  package mutating func restore(time sampleTime: Int64, value: Int32, quality: SampleQuality, status: UInt8) {
    if !log.isEmpty, sampleTime - log.lastTime > SampleLog.gapMax { log.removeAll() }
    if log.isFull { log.grow(atMost: .max) }
    log.append(time: sampleTime, value: value, mark: SampleLog.mark(quality, status))
  }

  /// Builds every window anew over the restored samples as of the newest.
  package mutating func finishRestoring(plan: PlanLayout.CodePlan) {
    rebuild(now: log.isEmpty ? .min : log.lastTime, plan: plan)
  }

  private mutating func noteInterval(_ sampleTime: Int64) {
    if count > 0 {
      let interval = Int32(clamping: sampleTime - lastTime)
      intervals = (intervals.1, intervals.2, intervals.3, intervals.4, interval)
    }
    if count < .max { count += 1 }
  }

  private mutating func makeRoom(before sampleTime: Int64, plan: PlanLayout.CodePlan) {
    if !log.isEmpty, sampleTime - log.lastTime > SampleLog.gapMax {
      log.removeAll()
      for index in 0..<windowCount { windows[index].clear(at: log.end) }
    }
    guard log.isFull else { return }
    let oldest = sampleTime - plan.retention
    while !log.isEmpty, log.firstTime <= oldest, log.count >= plan.keptCount { dropOldest(plan) }
    guard log.isFull else { return }
    if log.capacity < SeriesWindows.entriesMax {
      log.grow(atMost: SeriesWindows.entriesMax)
    } else {
      truncated &+= 1
      dropOldest(plan)
    }
  }

  private mutating func dropOldest(_ plan: PlanLayout.CodePlan) {
    for index in 0..<windowCount {
      let window = windows + index
      if window.pointee.start == log.first, window.pointee.count > 0 {
        window.pointee.dropFirst(log, window: plan.windows[index], standing: plan.registryStaleness)
      } else if window.pointee.stop == log.first {
        // Empty and at the front: it moves with the log.
        window.pointee.start = log.first + 1
        window.pointee.stop = log.first + 1
      }
    }
    log.dropFirst()
  }

  private mutating func insertLate(
    time: Int64, value: Int32, mark: UInt32, plan: PlanLayout.CodePlan
  ) -> Insertion {
    // The first sample later than this one.
    var position = log.end
    var laterTime = log.lastTime
    while position > log.first, laterTime > time {
      position -= 1
      if position > log.first { laterTime -= log.gap(position) }
    }
    // `laterTime` is now the time of the sample before `position`, if there is one.
    if position > log.first, laterTime == time {
      let old = log.value(position - 1)
      log.replace(position - 1, value: value, mark: mark)
      if time == lastTime { lastValue = value }
      for index in 0..<windowCount {
        windows[index].panes?.pointee.remove(old, at: time)
        windows[index].panes?.pointee.add(value, at: time)
      }
      rebuild(now: max(trimmedAt, lastTime), plan: plan)
      return .replaced
    }
    if log.isFull {
      // Nothing that is kept makes way for what would be the oldest.
      if position == log.first, log.capacity >= SeriesWindows.entriesMax { return .tooOld }
      let kept = log.end - position
      makeRoom(before: lastTime, plan: plan)
      position = log.end - kept
      if position < log.first { return .tooOld }
    }
    if position == log.first, log.firstTime - time > SampleLog.gapMax { return .tooOld }
    log.insert(at: position, time: time, before: laterTime, value: value, mark: mark)
    rebuild(now: max(trimmedAt, lastTime), plan: plan)
    return .late
  }

  // MARK: Silence

  /// How long without a usable sample until the series is stale (SEMANTICS B7), milliseconds.
  package func staleness(registry: Int64) -> Int64 {
    max(registry, 3 * (cadence > 0 ? cadence : observedInterval))
  }

  /// Median of the last five intervals, 0 before there are any.
  package var observedInterval: Int64 {
    // Sorted in place: this is asked at every staleness deadline, and an array would be an allocation.
    var five: InlineArray<5, Int32> = [intervals.0, intervals.1, intervals.2, intervals.3, intervals.4]
    var unknown = 0
    for index in 0..<5 {
      if five[index] <= 0 { unknown += 1 }
      var place = index
      while place > 0, five[place - 1] > five[place] {
        five.swapAt(place - 1, place)
        place -= 1
      }
    }
    return unknown == 5 ? 0 : Int64(five[unknown + (5 - unknown) / 2])
  }

  /// Whether a missing signal means something: its rhythm is known, declared or seen five times. Nobody is called to a
  /// lone spot measurement that was not repeated.
  package var hasRhythm: Bool { cadence > 0 || UInt64(count) + UInt64(doubtfulCount) >= 5 }
}
