import VitalModel

/// How windows follow the samples.
extension SeriesWindows {
  /// Takes the sample just appended into one window.
  @inline(__always)
  mutating func takeNewest(
    _ state: UnsafeMutablePointer<WindowState>, _ window: PlanLayout.Window, _ plan: PlanLayout.CodePlan
  ) {
    let standing = plan.registryStaleness
    switch window.kind {
    case .sliding: state.pointee.takeNext(log, time: lastTime, window: window, standing: standing)
    case .samples:
      state.pointee.takeNext(log, time: lastTime, window: window, standing: standing)
      if state.pointee.count > window.samples {
        state.pointee.dropFirst(log, window: window, standing: standing)
      }
    case .session:
      if state.pointee.count > 0, log.gap(log.end - 1) > window.length { state.pointee.clear(at: log.end - 1) }
      state.pointee.takeNext(log, time: lastTime, window: window, standing: standing)
    case .sinceOnset:
      if state.pointee.anchor == .max || lastTime < state.pointee.anchor {
        state.pointee.clear(at: log.end)
      } else {
        state.pointee.takeNext(log, time: lastTime, window: window, standing: standing)
      }
    case .hopping:
      // The newest of its series, yet before an end already passed: that window is whole only with it.
      if state.pointee.anchor != .max, lastTime < state.pointee.anchor { state.pointee.anchor = .max }
    case .panes: state.pointee.panes?.pointee.add(lastValue, at: lastTime)
    }
  }

  /// Brings every window to `now`: what has left goes, whole hops come in.
  @inline(__always)
  package mutating func trim(now: Int64, plan: PlanLayout.CodePlan) {
    if now < trimmedAt { rebuild(now: now, plan: plan) }
    trimmedAt = now
    for index in 0..<windowCount {
      let window = plan.windows[index]
      let state = windows + index
      switch window.kind {
      case .sliding, .sinceOnset:
        let limit = now - window.length
        while state.pointee.count > 0, state.pointee.startTime <= limit {
          state.pointee.dropFirst(log, window: window, standing: plan.registryStaleness)
        }
        if window.needs.contains(.weighted), state.pointee.count > 0 {
          state.pointee.reweigh(
            log, window: window, reference: HalfLifeWeight.reference(newest: lastTime, halfLife: window.every))
        }
      case .hopping: hop(state, window, now: now, plan)
      case .panes: state.pointee.panes?.pointee.merge(now: now)
      case .session:
        while state.pointee.count > 0, state.pointee.startTime <= lastTime - PlanLayout.sessionSpan {
          state.pointee.dropFirst(log, window: window, standing: plan.registryStaleness)
        }
      case .samples: break
      }
    }
  }

  /// Moves a hopping window to the last whole one: what lies before its end comes in, what lies before its start goes.
  private func hop(
    _ state: UnsafeMutablePointer<WindowState>, _ window: PlanLayout.Window, now: Int64, _ plan: PlanLayout.CodePlan
  ) {
    let edge = DecimalFloor.divide(now, window.every) * window.every
    guard edge != state.pointee.anchor else { return }
    state.pointee.anchor = edge
    // Where samples were dropped from the log before a hop took them in, they are past this window too.
    if state.pointee.stop < log.first { state.pointee.clear(at: log.first) }
    if state.pointee.stop < log.end {
      var time =
        state.pointee.count > 0 ? state.pointee.stopTime + log.gap(state.pointee.stop) : timeOf(state.pointee.stop)
      while time < edge {
        state.pointee.takeNext(log, time: time, window: window, standing: plan.registryStaleness)
        if state.pointee.stop == log.end { break }
        time += log.gap(state.pointee.stop)
      }
    }
    while state.pointee.count > 0, state.pointee.startTime < edge - window.length {
      state.pointee.dropFirst(log, window: window, standing: plan.registryStaleness)
    }
  }

  /// Event time of a kept sample: walks back from the newest.
  func timeOf(_ index: Int) -> Int64 {
    var time = log.lastTime
    var at = log.end - 1
    while at > index {
      time -= log.gap(at)
      at -= 1
    }
    return time
  }

  /// Every window from the samples alone as of `now`: the plain form the running one must equal.
  mutating func rebuild(now: Int64, plan: PlanLayout.CodePlan) {
    trimmedAt = now
    isOutdated = true
    for index in 0..<windowCount {
      let window = plan.windows[index]
      let state = windows + index
      if window.kind == .panes { continue }
      if window.kind == .hopping {
        state.pointee.clear(at: log.first)
        state.pointee.anchor = .max
        if now != .min { hop(state, window, now: now, plan) }
        continue
      }
      let (start, time) = firstInside(window, anchor: state.pointee.anchor, now: now)
      state.pointee.clear(at: start)
      var at = time
      for position in start..<log.end {
        if position > start { at += log.gap(position) }
        state.pointee.takeNext(log, time: at, window: window, standing: plan.registryStaleness)
      }
      if window.needs.contains(.weighted), state.pointee.count > 0 {
        let reference = HalfLifeWeight.reference(newest: lastTime, halfLife: window.every)
        state.pointee.reweigh(log, window: window, reference: reference)
      }
    }
  }

  private func firstInside(_ window: PlanLayout.Window, anchor: Int64, now: Int64) -> (index: Int, time: Int64) {
    guard !log.isEmpty else { return (log.end, 0) }
    var index = log.end
    var time = log.lastTime
    var inside = log.lastTime
    while index > log.first {
      let isInside: Bool =
        switch window.kind {
        case .sliding: time > now - window.length
        case .sinceOnset: time >= anchor && time > now - window.length
        case .samples: log.end - index < window.samples
        case .session:
          (index == log.end || inside - time <= window.length) && time > log.lastTime - PlanLayout.sessionSpan
        case .hopping, .panes: false
        }
      guard isInside else { break }
      index -= 1
      inside = time
      if index > log.first { time -= log.gap(index) }
    }
    return (index, inside)
  }

  /// The window since an onset, brought to that onset; `.max`: there is none.
  mutating func setOnset(_ onset: Int64, window index: Int, now: Int64, plan: PlanLayout.CodePlan) {
    let state = windows + index
    guard state.pointee.anchor != onset else { return }
    state.pointee.anchor = onset
    let window = plan.windows[index]
    let (start, time) = firstInside(window, anchor: onset, now: now)
    state.pointee.clear(at: start)
    var at = time
    for position in start..<log.end {
      if position > start { at += log.gap(position) }
      state.pointee.takeNext(log, time: at, window: window, standing: plan.registryStaleness)
    }
  }

  // MARK: Panes kept on disk

  /// What the panes of a window hold, in order; empty where it has none.
  package func paneRecords(window: Int) -> [(number: Int64, value: Int32, count: UInt32)] {
    windows[window].panes?.pointee.records(now: lastTime) ?? []
  }

  package mutating func restorePane(window: Int, number: Int64, value: Int32, count: UInt32) {
    windows[window].panes?.pointee.restore(number: number, value: value, count: count)
  }

  /// The newest usable samples, newest first, at most `count` of them.
  package func newest(_ count: Int) -> [(time: Int64, value: Int32)] {
    var found: [(time: Int64, value: Int32)] = []
    var time = log.lastTime
    var at = log.end - 1
    while at >= log.first, found.count < count {
      found.append((time, log.value(at)))
      time -= log.gap(at)
      at -= 1
    }
    return found
  }
}
