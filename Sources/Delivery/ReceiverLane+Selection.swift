extension ReceiverLane {
  /// The next attempt that may begin now; the caller begins it and asks again until nil.
  mutating func nextAttempt(nowMs: Int64) -> Entry? {
    promoteDue(nowMs: nowMs)
    guard !isRetired, inFlight < maxInFlight else { return nil }
    if health.phase != .closed, inFlight == 0, nowMs >= health.probeAtMs, let key = probeCandidate() {
      return begin(key)
    }
    while let key = popReady(nowMs: nowMs) {
      if let entry = entries[key], mustWait(entry) {
        block(key)
        continue
      }
      return begin(key)
    }
    return nil
  }

  /// When `nextAttempt` or `watch` should be asked again if nothing else happens; nil when only an attempt under way
  /// or a new item can change anything.
  mutating func nextWakeMs(nowMs: Int64) -> Int64? {
    dropStale()
    guard !isRetired, !entries.isEmpty else { return nil }
    var times: [Int64] = []
    if let due = waiting.top { times.append(due.atMs) }
    if let due = watched.top { times.append(due.atMs) }
    if !readyHigh.isEmpty, health.pauseHighUntilMs > nowMs { times.append(health.pauseHighUntilMs) }
    if !readyOther.isEmpty, health.pauseOtherUntilMs > nowMs { times.append(health.pauseOtherUntilMs) }
    if health.phase != .closed, inFlight == 0 { times.append(health.probeAtMs) }
    if let digestUntilMs, !(readyHigh.isEmpty && readyOther.isEmpty) { times.append(max(digestUntilMs, nowMs)) }
    return times.min()
  }

  /// Tells of high items that have been owed too long, whatever they are waiting for, and ends the wait for a digest
  /// nobody made.
  mutating func watch(nowMs: Int64) {
    if let until = digestUntilMs, nowMs >= until { endDigest() }
    while let due = watched.top, due.atMs <= nowMs {
      watched.pop()
      tellUndelivered(due.outboxKey)
    }
  }

  private mutating func promoteDue(nowMs: Int64) {
    while let due = waiting.top, due.atMs <= nowMs {
      waiting.pop()
      if isCurrent(due) { makeReady(due.outboxKey) }
    }
  }

  private mutating func popReady(nowMs: Int64) -> UInt64? {
    dropStale()
    let high = nowMs >= health.pauseHighUntilMs ? withoutEnded(readyHigh.top) : nil
    let otherMayGo =
      health.phase == .closed && nowMs >= health.pauseOtherUntilMs && inFlightOther < maxInFlightOther
    let other = otherMayGo ? withoutEnded(readyOther.top) : nil
    guard let high, mayGo(high, nowMs: nowMs) else {
      return other == nil ? nil : readyOther.pop()?.outboxKey
    }
    if let other, other < high { return readyOther.pop()?.outboxKey }
    readyHigh.pop()
    return high.outboxKey
  }

  /// Whether a high item need not wait: one of an ended alert does for a failing receiver's recovery, and for active
  /// alerts of any priority.
  private func mayGo(_ high: Rank, nowMs: Int64) -> Bool {
    guard high.isOfEnded else { return true }
    guard health.phase == .closed else { return false }
    return nowMs < health.pauseOtherUntilMs || readyOther.top?.isOfEnded ?? true
  }

  /// While a digest is being made nothing of an ended alert goes; all that follow in the order have ended too.
  private func withoutEnded(_ rank: Rank?) -> Rank? { digestUntilMs != nil && rank?.isOfEnded == true ? nil : rank }

  /// What a broken receiver is tried with: the first of each alert only; what it answered to least often before the
  /// others, so that one item a receiver cannot digest does not stand for its health; then active alerts before ended
  /// ones, for the probe may be the first thing that gets through.
  private func probeCandidate() -> UInt64? {
    var best: Entry?
    for chain in chains.values {
      guard let key = chain.first, let entry = entries[key], entry.state != .inFlight else { continue }
      guard let leader = best else {
        best = entry
        continue
      }
      if isBetterProbe(entry, leader) { best = entry }
    }
    return best?.item.outboxKey
  }

  private func isBetterProbe(_ a: Entry, _ b: Entry) -> Bool {
    if a.answeredFailures != b.answeredFailures { return a.answeredFailures < b.answeredFailures }
    if a.stillActive != b.stillActive { return a.stillActive }
    return (a.attempts, a.rank) < (b.attempts, b.rank)
  }

  private func isCurrent(_ due: Due) -> Bool { entries[due.outboxKey]?.state == .waiting(untilMs: due.atMs) }

  private func isCurrent(_ rank: Rank, high: Bool) -> Bool {
    guard let entry = entries[rank.outboxKey] else { return false }
    return entry.state == .ready && entry.rank == rank && entry.isHigh == high
  }

  private mutating func dropStale() {
    while let rank = readyHigh.top, !isCurrent(rank, high: true) { readyHigh.pop() }
    while let rank = readyOther.top, !isCurrent(rank, high: false) { readyOther.pop() }
    while let due = waiting.top, !isCurrent(due) { waiting.pop() }
    while let due = watched.top, entries[due.outboxKey]?.undeliveredTold ?? true { watched.pop() }
  }
}
