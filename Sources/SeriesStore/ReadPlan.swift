import ChunkCoding
import KeyValueStore
import VitalModel

/// How far each group is sealed: what a reader must add from the journal.
package struct ReadPlan: Sendable {
  /// Below this position every sample of every group is in a sealed chunk.
  package let sealFloor: UInt64
  let sealed: [SeriesGroup: UInt64]

  /// The last sealed position of a group, nil when it has none at or above the floor: everything from the floor on is
  /// then unsealed.
  package func sealedPosition(patient: UInt32, device: UInt32) -> UInt64? {
    sealed[SeriesGroup(patient: patient, device: device)]
  }

  /// Whether the sample at this position is in a sealed chunk.
  package func isSealed(patient: UInt32, device: UInt32, position: UInt64) -> Bool {
    if position < sealFloor { return true }
    guard let last = sealedPosition(patient: patient, device: device) else { return false }
    return position <= last
  }

  /// The first journal position that is still needed: to be sealed from the seal floor on, and for states beyond the one
  /// they reflect.
  package func journalFloor(statesReflect position: UInt64) -> UInt64 {
    min(sealFloor, position == .max ? .max : position + 1)
  }

  init(store: Store, family: Family, snapshot: Snapshot?) throws(SeriesError) {
    let value = try storing { () throws(StoreError) in
      try store.get(family, key: StateKey.floor, snapshot: snapshot)
    }
    sealFloor = try value.map { value throws(SeriesError) in try ReadPlan.position(value) } ?? 0
    let iterator = try storing { () throws(StoreError) in
      try store.iterator(
        family, lower: StateKey.sealedPrefix, upper: keyAfterPrefix(StateKey.sealedPrefix), snapshot: snapshot)
    }
    defer { iterator.close() }
    var sealed: [SeriesGroup: UInt64] = [:]
    var isAt = try storing { () throws(StoreError) in try iterator.seekToFirst() }
    while isAt {
      let value = try storing { () throws(StoreError) in try iterator.value }
      sealed[try StateKey.group(iterator.key)] = try ReadPlan.position(Array(value))
      isAt = try storing { () throws(StoreError) in try iterator.next() }
    }
    self.sealed = sealed
  }

  private static func position(_ value: [UInt8]) throws(SeriesError) -> UInt64 {
    let result: Result<UInt64, ChunkError> = value.withUnsafeBytes { raw in
      Result { () throws(ChunkError) in try PositionRecord.decode(raw) }
    }
    return try decoding { () throws(ChunkError) in try result.get() }
  }
}

/// Samples that are in no sealed chunk, by group: of the journal, or of a ``Sealer``'s memory.
package struct SeriesTail: Sendable {
  private var open: OpenChunks

  /// An empty tail, to be filled from the journal.
  package init() {
    var policy = SealPolicy()
    policy.rowsMax = ChunkLimits.rowsMax / 64
    policy.isStaggered = false
    open = OpenChunks(policy: policy)
  }

  init(open: OpenChunks) { self.open = open }

  /// Takes in a journal slot from the plan's seal floor on, in order; what is sealed and what is no sample is skipped.
  package mutating func append(_ slot: Slot, position: UInt64, plan: ReadPlan) {
    guard !plan.isSealed(patient: slot.patient, device: slot.device, position: position) else { return }
    open.append(slot, position: position)
  }

  /// Groups with rows here, ascending.
  package var groups: [SeriesGroup] { open.groups }

  /// Rows of a group that the plan does not say are sealed, oldest log first.
  func rows(_ group: SeriesGroup, plan: ReadPlan) -> [ChunkRows] {
    open.logs(group).compactMap { log in
      plan.isSealed(patient: group.patient, device: group.device, position: log.lastPosition) ? nil : log.rows()
    }
  }
}
