import KeyValueStore
import Pipeline

/// What evaluating a range of the journal led to: written whole or not at all.
package struct Effects: Sendable {
  package var output = EngineOutput()
  package var checkpoints: [PatientCheckpoint] = []
  package var progress = ShardProgress()
  package var outbox: [OutboxRow] = []

  package init() {}

  /// Forgets everything but the progress and keeps the memory.
  package mutating func removeAll() {
    output.removeAll()
    checkpoints.removeAll(keepingCapacity: true)
    outbox.removeAll(keepingCapacity: true)
  }
}

/// Writes effects of one shard, each as one batch. Owned by the shard's thread; shards may write beside each other.
///
/// The same effects written again, as after a crash they are derived again, change nothing.
package final class EffectsWriter {
  private let store: VigilStore
  private let shard: UInt8
  private let batch: WriteBatch

  /// A writer for one shard, `0..<partitionCount`.
  package init(store: VigilStore, shard: Int) {
    precondition((0..<partitionCount).contains(shard), "shards count from 0 to one a partition")
    self.store = store
    self.shard = UInt8(shard)
    batch = store.makeBatch()
  }

  /// Writes transitions, ledger rows, checkpoints, progress and outbox rows in one batch.
  ///
  /// - Parameter sync: not needed where the journal they come from is synced: they can be derived from it again.
  /// - Returns: the outbox rows that were new, with their orders.
  /// - Throws: `.store` when nothing was written (see `StoreError` and `Store.reopen()`); `.tooLong` for an id beyond
  ///   65,535 bytes.
  @discardableResult
  package func write(_ effects: Effects, sync: Bool = false) throws(JournalError) -> [QueuedRow] {
    batch.clear()
    let queued = try append(effects, to: batch)
    try storing { () throws(StoreError) in try store.write(batch, sync: sync) }
    return queued
  }

  /// Puts effects into a caller's write.
  func append(_ effects: Effects, to batch: WriteBatch) throws(JournalError) -> [QueuedRow] {
    for transition in effects.output.transitions { try store.alerts.put(transition, in: batch) }
    store.ledger.put(effects.output.ledger, in: batch)
    for checkpoint in effects.checkpoints { store.state.put(checkpoint, in: batch) }
    let queued = try store.outbox.put(effects.outbox, in: batch)
    store.state.put(effects.progress, shard: shard, in: batch)
    return queued
  }
}
