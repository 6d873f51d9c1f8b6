import VitalModel

/// What one receiver is owed and in what order: a pure state machine, one per receiver, none waiting for another.
///
/// ```
/// blocked ──► ready ──► in flight ──► (gone: delivered)
///    ▲          ▲            │ failed
///    └──────────┴─ waiting ◄─┤
///               ▲            │ failed while parked
///               └─── held ◄──┘
/// ```
/// blocked: an older item of the same alert comes first; waiting: tried again at its own time; held: only when the
/// receiver recovers or by a probe.
struct ReceiverLane {
  enum State: Equatable {
    case blocked
    case ready
    case inFlight
    case waiting(untilMs: Int64)
    case held
  }

  /// The order of sending: memory-only items, then active alerts, then ended ones; within each by urgency, then by age.
  struct Rank: Comparable {
    let group: UInt8
    let outboxKey: UInt64

    /// Whether it is of an alert that has ended.
    var isOfEnded: Bool { group >= 5 }

    static func < (a: Rank, b: Rank) -> Bool { a.group != b.group ? a.group < b.group : a.outboxKey < b.outboxKey }
  }

  /// A moment at which one item needs a look.
  struct Due: Comparable {
    let atMs: Int64
    let outboxKey: UInt64

    static func < (a: Due, b: Due) -> Bool { a.atMs != b.atMs ? a.atMs < b.atMs : a.outboxKey < b.outboxKey }
  }

  struct Entry {
    let item: OutboxItem
    var state: State
    /// Failed attempts, those before this process included.
    var attempts: Int
    /// The item's own priority, or that of a more urgent newer item of the same alert that has to wait for it.
    var urgency: Priority
    /// Whether the alert still held when its newest item was written.
    var stillActive: Bool
    var undeliveredTold = false
    /// Refusals of its body in a row.
    var refusals = 0
    /// Failures that came with an answer: the item itself may be at fault.
    var answeredFailures = 0
    /// Its row is gone from the outbox while it was under way: not tried again, whatever comes of it.
    var isWithdrawn = false

    var isHigh: Bool { urgency == .high }

    var rank: Rank {
      if case .memory = item.keeping { return Rank(group: 0, outboxKey: item.outboxKey) }
      return Rank(group: (stillActive ? 1 : 5) + Priority.high.rawValue - urgency.rawValue, outboxKey: item.outboxKey)
    }
  }

  let name: String
  var maxInFlight: Int
  /// No longer configured: nothing new is begun; kept until what is under way has ended.
  private(set) var isRetired = false
  var health = ReceiverHealth()
  var entries: [UInt64: Entry] = [:]
  /// The keys owed per alert, by sequence.
  var chains: [String: [UInt64]] = [:]
  // Heaps keep stale nodes; a node counts only while it matches its entry's state.
  var readyHigh = MinHeap<Rank>()
  var readyOther = MinHeap<Rank>()
  var waiting = MinHeap<Due>()
  var watched = MinHeap<Due>()
  private(set) var inFlight = 0
  private(set) var inFlightOther = 0
  /// Ended alerts wait until then for the digest that is being made of them; nil: nobody makes one.
  var digestUntilMs: Int64?
  private(set) var notices: [DeliveryNotice] = []

  init(name: String, maxInFlight: Int) {
    self.name = name
    self.maxInFlight = maxInFlight
  }

  /// A slow receiver full of lesser items must still have a slot for a high one.
  var maxInFlightOther: Int { maxInFlight < 2 ? maxInFlight : maxInFlight - max(1, maxInFlight / 4) }

  mutating func takeNotices() -> [DeliveryNotice] {
    defer { notices.removeAll(keepingCapacity: true) }
    return notices
  }

  // MARK: accepting

  /// Takes an item in. Returns false when the lane already holds it.
  mutating func accept(_ item: OutboxItem, nowMs: Int64) -> Bool {
    guard entries[item.outboxKey] == nil else { return false }
    let entry = Entry(
      item: item, state: .blocked, attempts: item.priorAttempts, urgency: item.priority,
      stillActive: item.stillActive)
    let older = place(item)
    lend(entry, to: older)
    entries[item.outboxKey] = entry
    if item.priority == .high {
      watched.push(Due(atMs: nowMs + RetryPolicy.undeliveredAfterMs, outboxKey: item.outboxKey))
    }
    if !mustWait(entry) { makeReady(item.outboxKey) }
    return true
  }

  /// Puts the key into its alert's chain by sequence; returns the keys before it.
  private mutating func place(_ item: OutboxItem) -> [UInt64] {
    var chain = chains[item.alertID] ?? []
    let index = chain.firstIndex { entries[$0].map { $0.item.sequence > item.sequence } ?? false } ?? chain.count
    let older = Array(chain[..<index])
    chain.insert(item.outboxKey, at: index)
    chains[item.alertID] = chain
    return older
  }

  /// Older items of the alert take over the urgency of a more urgent newer one, which has to wait for them, and learn
  /// from it whether the alert still holds.
  private mutating func lend(_ newer: Entry, to older: [UInt64]) {
    for key in older {
      guard var entry = entries[key] else { continue }
      let before = entry.rank
      entry.urgency = max(entry.urgency, newer.urgency)
      entry.stillActive = newer.item.stillActive
      entries[key] = entry
      if entry.state == .ready, entry.rank != before { makeReady(key) }
    }
  }

  /// Whether an older item of the same alert has to go first: one never tried, or one just being tried again that is
  /// no less urgent. An older one that has failed and is backing off may be overtaken.
  func mustWait(_ entry: Entry) -> Bool {
    for key in chains[entry.item.alertID] ?? [] where key != entry.item.outboxKey {
      guard let older = entries[key], older.item.sequence < entry.item.sequence else { continue }
      if older.attempts == 0 { return true }
      let underWay = older.state == .inFlight || older.state == .ready
      if underWay, older.item.priority >= entry.item.priority { return true }
    }
    return false
  }

  mutating func makeReady(_ key: UInt64) {
    guard let rank = entries[key]?.rank, let isHigh = entries[key]?.isHigh else { return }
    entries[key]?.state = .ready
    if isHigh { readyHigh.push(rank) } else { readyOther.push(rank) }
  }

  mutating func block(_ key: UInt64) { entries[key]?.state = .blocked }

  // MARK: attempts

  mutating func begin(_ key: UInt64) -> Entry? {
    guard let entry = entries[key] else { return nil }
    entries[key]?.state = .inFlight
    inFlight += 1
    if entry.item.priority != .high { inFlightOther += 1 }
    return entry
  }

  /// Books the result of an attempt. Returns nil for a key that is not in flight here.
  mutating func finish(
    _ key: UInt64, _ result: AttemptResult, nowMs: Int64, using generator: inout JitterGenerator
  ) -> AttemptDisposition? {
    guard let entry = entries[key], entry.state == .inFlight else { return nil }
    inFlight -= 1
    if entry.item.priority != .high { inFlightOther -= 1 }
    defer { unblock(entry.item.alertID) }
    guard !result.isDelivered else {
      tellOvertaken(by: entry)
      remove(key)
      if let change = health.succeeded() {
        told(change)
        releaseAll()
        if change == .recovered { askForDigest(nowMs: nowMs) }
      }
      return .done
    }
    let change = health.failed(result, nowMs: nowMs, using: &generator)
    entries[key]?.attempts += 1
    entries[key]?.refusals = result.refusesBody ? entry.refusals + 1 : 0
    if case .refused = result { entries[key]?.answeredFailures += 1 }
    if isSpent(key) || isRetired || entry.isWithdrawn {
      if isRetired, entry.item.keeping == .outbox { notices.append(.noSuchReceiver(item: entry.item)) }
      remove(key)
      told(change)
      return .released
    }
    if isRefusedForGood(key) {
      remove(key)
      told(change)
      return .givenUp
    }
    let atMs = backOff(key, nowMs: nowMs, using: &generator)
    told(change)
    return .retry(atMs: atMs)
  }

  private mutating func tellOvertaken(by entry: Entry) {
    guard entry.item.keeping == .outbox else { return }
    let older = (chains[entry.item.alertID] ?? []).filter { key in
      guard let older = entries[key], older.state != .inFlight else { return false }
      return older.item.sequence < entry.item.sequence
    }
    if !older.isEmpty { notices.append(.overtook(receiver: name, outboxKeys: older)) }
  }

  private func isRefusedForGood(_ key: UInt64) -> Bool {
    guard let entry = entries[key], entry.item.keeping == .outbox else { return false }
    let most =
      entry.item.priority == .high ? RetryPolicy.refusalsToGiveUpHigh : RetryPolicy.refusalsToGiveUpOther
    return entry.refusals >= most
  }

  private func isSpent(_ key: UInt64) -> Bool {
    guard let entry = entries[key], case .memory(let attemptsMax) = entry.item.keeping else { return false }
    return entry.attempts >= attemptsMax
  }

  private mutating func backOff(_ key: UInt64, nowMs: Int64, using generator: inout JitterGenerator) -> Int64 {
    guard let entry = entries[key] else { return nowMs }
    if entry.attempts >= RetryPolicy.undeliveredAttempts || health.phase == .parked { tellUndelivered(key) }
    if health.phase == .parked {
      entries[key]?.state = .held
      return health.probeAtMs
    }
    let delay = RetryPolicy.delayMs(entry.urgency, attempts: entry.attempts, using: &generator)
    let atMs = max(nowMs + delay, health.pauseUntilMs(high: entry.isHigh))
    entries[key]?.state = .waiting(untilMs: atMs)
    waiting.push(Due(atMs: atMs, outboxKey: key))
    return atMs
  }

  private mutating func told(_ change: ReceiverHealth.Change?) {
    switch change {
    case .parked(let status):
      notices.append(.parked(receiver: name, status: status))
      holdTried()
    case .opened: notices.append(.breakerOpened(receiver: name))
    case .recovered: notices.append(.recovered(receiver: name))
    case .resumed, nil: break
    }
  }

  /// A parked receiver gets each high item once, at once; what it has already refused waits for a probe.
  private mutating func holdTried() {
    for key in entries.keys.sorted() {
      guard let entry = entries[key], entry.attempts > 0 else { continue }
      switch entry.state {
      case .ready, .waiting:
        entries[key]?.state = .held
        tellUndelivered(key)
        unblock(entry.item.alertID)
      case .blocked, .inFlight, .held: continue
      }
    }
  }

  /// Makes everything that waited due: the receiver is back.
  private mutating func releaseAll() {
    for (key, entry) in entries {
      switch entry.state {
      case .waiting, .held: makeReady(key)
      case .blocked, .ready, .inFlight: continue
      }
    }
  }

  /// A person says the receiver is well again: forgets its failures and tries everything at once, what has ended
  /// meanwhile in one digest.
  mutating func retryNow(nowMs: Int64) {
    let wasAway = health.phase != .closed
    health = ReceiverHealth()
    releaseAll()
    if wasAway { askForDigest(nowMs: nowMs) }
  }

  /// The receiver is back: what has ended meanwhile is told in one piece, for which somebody must write it.
  private mutating func askForDigest(nowMs: Int64) {
    let owed = entries.values.filter { $0.item.keeping == .outbox && !$0.stillActive }
    guard owed.contains(where: { $0.state != .inFlight }) else { return }
    digestUntilMs = nowMs + RetryPolicy.digestWaitMs
    let underWay = entries.values.lazy.filter { $0.state == .inFlight }.map(\.item.outboxKey).sorted()
    notices.append(.digestDue(receiver: name, underWay: underWay))
  }

  /// The digest is made, or will not be: ended alerts still held go like others again.
  mutating func endDigest() { digestUntilMs = nil }

  /// Lets go of items whose rows have left the outbox. Those under way end once more and are then forgotten.
  ///
  /// - Returns: how many are held no longer.
  mutating func withdraw(_ keys: [UInt64]) -> Int {
    var count = 0
    for key in keys {
      guard let entry = entries[key] else { continue }
      if entry.state == .inFlight {
        entries[key]?.isWithdrawn = true
        continue
      }
      remove(key)
      unblock(entry.item.alertID)
      count += 1
    }
    return count
  }

  mutating func tellUndelivered(_ key: UInt64) {
    guard let entry = entries[key], entry.item.priority == .high, !entry.undeliveredTold else { return }
    entries[key]?.undeliveredTold = true
    notices.append(.undelivered(item: entry.item, attempts: entry.attempts))
  }

  private mutating func remove(_ key: UInt64) {
    guard let entry = entries.removeValue(forKey: key) else { return }
    let left = (chains[entry.item.alertID] ?? []).filter { $0 != key }
    chains[entry.item.alertID] = left.isEmpty ? nil : left
  }

  private mutating func unblock(_ alertID: String) {
    for key in chains[alertID] ?? [] {
      guard let entry = entries[key] else { continue }
      if entry.state == .blocked, !mustWait(entry) { makeReady(key) }
      // All newer ones wait for the first that was never tried.
      if entry.attempts == 0 { return }
    }
  }

  /// The receiver is no longer configured: lets go of everything not under way, telling of each outbox row.
  mutating func retire() -> [OutboxItem] {
    isRetired = true
    var released: [OutboxItem] = []
    for key in entries.keys.sorted() {
      guard let entry = entries[key], entry.state != .inFlight else { continue }
      remove(key)
      released.append(entry.item)
      if entry.item.keeping == .outbox { notices.append(.noSuchReceiver(item: entry.item)) }
    }
    return released
  }

  /// The receiver is configured again before its last attempt ended.
  mutating func revive(maxInFlight: Int) {
    isRetired = false
    self.maxInFlight = maxInFlight
  }
}
