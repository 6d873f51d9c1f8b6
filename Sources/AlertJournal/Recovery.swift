import Pipeline

/// What a start should say aloud.
package enum RecoveryWarning: Hashable, Sendable {
  /// The journal ends before a position that was durable: its end has been lost, by damage or by a disk that does not
  /// keep what it says it has synced.
  case journalEndsEarly(last: UInt64, committed: UInt64)
  /// Evaluation had come further than the journal now reaches.
  case journalEndsBeforeState(last: UInt64, applied: UInt64)
  /// The journal begins after the position evaluation must go on from.
  case journalBeginsLate(first: UInt64, needed: UInt64)
}

extension RecoveryWarning: CustomStringConvertible {
  package var description: String {
    switch self {
    case .journalEndsEarly(let last, let committed):
      "the journal ends at position \(last), but position \(committed) was durable: \(committed - last) entries are lost"
    case .journalEndsBeforeState(let last, let applied):
      "the journal ends at position \(last), but evaluation had come to \(applied)"
    case .journalBeginsLate(let first, let needed):
      "the journal begins at position \(first), but evaluation must go on from \(needed)"
    }
  }
}

/// From where to evaluate again after a start, and what of the output is known already.
package struct RecoveryPlan: Hashable, Sendable {
  /// Every patient's checkpoint covers the journal through this position.
  package var floor: UInt64
  /// First position to apply again, to the patients whose checkpoint does not cover it.
  package var replayFrom: UInt64
  /// Last position in the journal; 0 when it is empty.
  package var lastPosition: UInt64
  /// Ingest time of the newest entry, milliseconds; nil when the journal is empty.
  package var lastIngestMs: Int64?
  /// The position the next new entry gets: past everything ever given out, so that no position means two things.
  package var nextPosition: UInt64
  /// By partition: outputs at or below this position are written.
  package var applied: [UInt64]
  package var warnings: [RecoveryWarning]

  /// Whether an output of this partition and position has been written, and so is discarded when derived again.
  package func isApplied(_ position: UInt64, partition: Int) -> Bool { position <= applied[partition] }
}

/// Reads how far everything had come.
package enum Recovery {
  /// - Parameter committed: the last position known to be durable; nil: as the file beside the store says now.
  /// - Throws: `.damaged` when the newest journal batch or a shard's progress is unusable.
  package static func plan(_ store: VigilStore, committed: UInt64? = nil) throws(JournalError) -> RecoveryPlan {
    let progress = try store.state.progress().values
    let newest = try store.journal.lastHeader()
    let first = try store.journal.firstPosition()
    let marker = committed ?? CommitMarker.read(storePath: store.path) ?? 0
    let last = newest?.last ?? 0
    var applied = Array(repeating: UInt64(0), count: partitionCount)
    for shard in progress {
      for partition in 0..<partitionCount { applied[partition] = max(applied[partition], shard.applied[partition]) }
    }
    let floor = progress.map(\.floor).min() ?? 0
    let appliedMost = applied.max() ?? 0
    var plan = RecoveryPlan(
      floor: floor, replayFrom: floor &+ 1, lastPosition: last, lastIngestMs: newest?.ingestTimes.upperBound,
      nextPosition: max(last, marker, appliedMost, floor) &+ 1, applied: applied, warnings: [])
    if last < marker { plan.warnings.append(.journalEndsEarly(last: last, committed: marker)) }
    if last < appliedMost { plan.warnings.append(.journalEndsBeforeState(last: last, applied: appliedMost)) }
    if let first, first > plan.replayFrom {
      plan.warnings.append(.journalBeginsLate(first: first, needed: plan.replayFrom))
    }
    return plan
  }
}
