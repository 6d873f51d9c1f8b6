import ChunkCoding
import VitalModel

/// When a group is sealed.
package struct SealPolicy: Hashable, Sendable {
  /// Rows of a chunk, 1...65,536.
  package var rowsMax = 600
  /// Longest stretch of event time in one chunk, ms. Readers rely on it, so it is part of the format.
  package static let spanMax: Int64 = 6 * 3_600_000
  /// Ingest time after which a group is sealed however few rows it has, ms.
  package var openMax: Int64 = 600_000
  /// Spreads sealing over time by device: a device's first chunk has between half and all of `rowsMax` rows, and
  /// `openMax` grows by up to a quarter. Otherwise devices that start together seal together ever after.
  package var isStaggered = true

  package init() {}

  /// Between 0 and 1 by device, evenly spread (Fibonacci hashing).
  func fraction(_ device: UInt32) -> Double { Double(device &* 0x9E37_79B1) / 4_294_967_296 }

  func rowsMax(device: UInt32, isFirst: Bool) -> Int {
    guard isStaggered, isFirst else { return max(1, rowsMax) }
    return max(1, rowsMax - Int(Double(rowsMax / 2) * fraction(device)))
  }

  func openMax(device: UInt32) -> Int64 {
    isStaggered ? openMax + Int64(Double(openMax / 4) * fraction(device)) : openMax
  }
}

/// Groups that are still growing, and those that are full and wait to be sealed.
struct OpenChunks: Sendable {
  struct Entry: Sendable {
    var log: RowLog
    /// The lowest position not yet taken in: lower ones are sealed or already here.
    var nextPosition: UInt64
    var rowsMax: Int
    /// Set when rows lie further apart than a chunk may span: sealing cuts them into several.
    var isDue = false
  }

  let policy: SealPolicy
  /// Positions below are sealed for every group.
  private(set) var sealFloor: UInt64 = 0
  /// Last sealed position of the groups where that lies at or above the floor.
  private(set) var sealed: [SeriesGroup: UInt64] = [:]
  private(set) var entries: [Entry] = []
  private var index: [SeriesGroup: Int] = [:]
  private var free: [Int] = []
  /// Full logs in the order they filled up. A group's are older than its open one.
  private(set) var waiting: [RowLog] = []
  /// Groups whose waiting logs could not be sealed, and how many logs that is.
  private(set) var stuck: Set<SeriesGroup> = []
  private(set) var stuckLogs = 0
  /// One past the highest position seen.
  private(set) var nextPosition: UInt64 = 0
  /// Slots skipped because they were sealed before.
  private(set) var skipped = 0
  private var recent = SeriesGroup(patient: .max, device: .max)
  private var recentIndex = -1

  init(policy: SealPolicy) { self.policy = policy }

  mutating func restore(floor: UInt64, sealed: [SeriesGroup: UInt64]) {
    self = OpenChunks(policy: policy)
    nextPosition = floor
    sealFloor = floor
    self.sealed = sealed
  }

  // MARK: Appending

  /// Takes in a sample; other slots and those sealed before only move the position on.
  mutating func append(_ slot: Slot, position: UInt64) {
    if position >= nextPosition { nextPosition = position + 1 }
    guard slot.kindRaw == SlotKind.sample.rawValue else { return }
    let at = entryIndex(SeriesGroup(patient: slot.patient, device: slot.device))
    guard position >= entries[at].nextPosition else {
      skipped += 1
      return
    }
    let column = ChunkColumn(code: slot.code, unit: slot.unit, source: slot.source)
    if entries[at].log.rowCount >= entries[at].rowsMax, entries[at].log.beginsRow(column, time: slot.eventTime) {
      close(at)
    } else if entries[at].log.columnCount == ChunkLimits.columnsMax, entries[at].log.isFull(for: column) {
      close(at)
    }
    entries[at].log.append(slot, position: position)
    entries[at].nextPosition = position + 1
    let span = entries[at].log.newestTime.subtractingReportingOverflow(entries[at].log.earliestTime)
    if span.overflow || span.partialValue > SealPolicy.spanMax { entries[at].isDue = true }
  }

  private mutating func entryIndex(_ group: SeriesGroup) -> Int {
    if recentIndex >= 0, group == recent { return recentIndex }
    let at: Int
    if let known = index[group] {
      at = known
    } else {
      let entry = Entry(
        log: RowLog(patient: group.patient, device: group.device),
        nextPosition: sealed[group].map { $0 + 1 } ?? sealFloor,
        rowsMax: policy.rowsMax(device: group.device, isFirst: sealed[group] == nil))
      if let reused = free.popLast() {
        entries[reused] = entry
        at = reused
      } else {
        entries.append(entry)
        at = entries.count - 1
      }
      index[group] = at
    }
    recent = group
    recentIndex = at
    return at
  }

  private mutating func close(_ at: Int) {
    let device = entries[at].log.device
    waiting.append(entries[at].log)
    if !stuck.isEmpty, stuck.contains(entries[at].log.group) { stuckLogs += 1 }
    entries[at].log = RowLog(patient: entries[at].log.patient, device: device)
    entries[at].rowsMax = policy.rowsMax(device: device, isFirst: false)
    entries[at].isDue = false
  }

  // MARK: Sealing

  /// Moves groups to `waiting` that are full, too wide, or have been open for too long at `now`; all of them if asked.
  mutating func closeDue(now: Int64, all: Bool) {
    for at in entries.indices where !entries[at].log.isEmpty {
      let age = now.subtractingReportingOverflow(entries[at].log.openedAt)
      let isOld = age.overflow || age.partialValue > policy.openMax(device: entries[at].log.device)
      if all || entries[at].isDue || isOld { close(at) }
    }
  }

  /// Whether a log waits that can be tried.
  var hasWork: Bool { waiting.count > stuckLogs }

  /// The waiting logs to be sealed next, oldest first. O(waiting) while a group is stuck.
  func next(_ limit: Int) -> [RowLog] {
    if stuck.isEmpty { return Array(waiting.prefix(limit)) }
    return Array(waiting.lazy.filter { !stuck.contains($0.group) }.prefix(limit))
  }

  /// Leaves a group's waiting logs alone until `releaseStuck`.
  mutating func leave(_ group: SeriesGroup) {
    guard stuck.insert(group).inserted else { return }
    stuckLogs += waiting.count { $0.group == group }
  }

  mutating func releaseStuck() {
    stuck = []
    stuckLogs = 0
  }

  /// The lowest position needed once these waiting logs are sealed.
  func floor(without names: Set<RowLog.Name>) -> UInt64 {
    var floor = nextPosition
    for log in waiting where names.isEmpty || !names.contains(log.name) { floor = min(floor, log.firstPosition) }
    for entry in entries where !entry.log.isEmpty { floor = min(floor, entry.log.firstPosition) }
    return floor
  }

  /// Forgets waiting logs, whose chunks are stored, and groups of which nothing is left in memory.
  mutating func forget(_ names: Set<RowLog.Name>, floor: UInt64) {
    var groups: Set<SeriesGroup> = []
    for log in waiting where names.contains(log.name) {
      sealed[log.group] = log.lastPosition
      groups.insert(log.group)
    }
    waiting.removeAll { names.contains($0.name) }
    let busy = Set(waiting.lazy.map(\.group))
    for group in groups where !busy.contains(group) {
      guard let at = index[group], entries[at].log.isEmpty else { continue }
      index[group] = nil
      free.append(at)
      if recentIndex == at { recentIndex = -1 }
    }
    sealFloor = floor
    sealed = sealed.filter { $0.value >= floor }
  }

  // MARK: Looking

  /// Logs of a group, oldest first. O(waiting).
  func logs(_ group: SeriesGroup) -> [RowLog] {
    var logs = waiting.filter { $0.patient == group.patient && $0.device == group.device }
    if let at = index[group], !entries[at].log.isEmpty { logs.append(entries[at].log) }
    return logs
  }

  /// Groups with rows in memory, ascending.
  var groups: [SeriesGroup] {
    var groups = Set(waiting.map { SeriesGroup(patient: $0.patient, device: $0.device) })
    for (group, at) in index where !entries[at].log.isEmpty { groups.insert(group) }
    return groups.sorted()
  }

  /// Rows, cells and about how many bytes they take. O(groups).
  var totals: (logs: Int, rows: Int, cells: Int, bytes: Int) {
    var totals = (logs: 0, rows: 0, cells: 0, bytes: 0)
    func add(_ log: RowLog) {
      totals.logs += 1
      totals.rows += log.rowCount
      totals.cells += log.cellCount
      totals.bytes += log.byteCount
    }
    for log in waiting { add(log) }
    for entry in entries where !entry.log.isEmpty { add(entry.log) }
    return totals
  }
}

extension RowLog {
  /// Tells a log from all others: a group's positions ascend.
  struct Name: Hashable {
    let group: SeriesGroup
    let firstPosition: UInt64
  }

  var group: SeriesGroup { SeriesGroup(patient: patient, device: device) }
  var name: Name { Name(group: group, firstPosition: firstPosition) }
}
