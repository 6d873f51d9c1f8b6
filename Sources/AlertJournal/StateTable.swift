import Compression
import KeyValueStore
import Pipeline

/// Checkpoint of one patient's evaluator state; only the engine knows what the bytes mean.
package struct PatientCheckpoint: Hashable, Sendable {
  package var patient: UInt32
  /// Journal entries through this one are in it.
  package var position: UInt64
  package var bytes: [UInt8]
  package init(patient: UInt32, position: UInt64, bytes: [UInt8]) {
    self.patient = patient
    self.position = position
    self.bytes = bytes
  }
}

/// How far one evaluator shard has come.
package struct ShardProgress: Hashable, Sendable {
  /// By partition: outputs at or below this position are written. 0 for partitions of other shards.
  package var applied: [UInt64]
  /// Every patient's checkpoint covers the journal through this position.
  package var floor: UInt64

  /// - Precondition: one position a partition.
  package init(applied: [UInt64] = Array(repeating: 0, count: partitionCount), floor: UInt64 = 0) {
    precondition(applied.count == partitionCount, "one position a partition")
    self.applied = applied
    self.floor = floor
  }
}

/// Checkpoints of patients and progress of shards.
package struct StateTable: Sendable {
  let table: Table

  private static let patientPrefix: UInt8 = 0x01
  private static let shardPrefix: UInt8 = 0x02

  /// Gives every patient's checkpoint, by rising number.
  ///
  /// - Parameter onDamage: told of each damaged one, which is then left out: its patient is rebuilt from the journal as
  ///   far as that reaches. When nil the first one ends the reading.
  package func load(
    onDamage: ((JournalError) -> Void)? = nil, _ body: (PatientCheckpoint) -> Void
  ) throws(JournalError) {
    try table.scan(prefix: [StateTable.patientPrefix]) { (key, value) throws(JournalError) in
      let patient = try table.parse(key) { (reader) throws(KeyError) in try reader.uint32() }
      do throws(JournalError) {
        body(
          try table.open(value, position: UInt64(patient)) { (reader) throws(ByteError) in
            PatientCheckpoint(
              patient: patient, position: try reader.littleEndian(), bytes: [UInt8](try reader.counted()))
          })
      } catch {
        guard let onDamage else { throw error }
        onDamage(error)
      }
      return true
    }
  }

  /// Progress of every shard on record, by shard.
  package func progress() throws(JournalError) -> [UInt8: ShardProgress] {
    var found: [UInt8: ShardProgress] = [:]
    try table.scan(prefix: [StateTable.shardPrefix]) { (key, value) throws(JournalError) in
      let shard = try table.parse(key) { (reader) throws(KeyError) in try reader.uint8() }
      found[shard] = try table.open(value, position: UInt64(shard)) { (reader) throws(ByteError) in
        let floor: UInt64 = try reader.littleEndian()
        guard try reader.byte() == UInt8(partitionCount) else { return nil }
        var progress = ShardProgress(floor: floor)
        for partition in 0..<partitionCount { progress.applied[partition] = try reader.littleEndian() }
        return progress
      }
      return true
    }
    return found
  }

  /// Puts a patient's checkpoint into a write.
  package func put(_ checkpoint: PatientCheckpoint, in batch: WriteBatch) {
    var key = KeyBuilder()
    key.append(StateTable.patientPrefix)
    key.append(checkpoint.patient)
    let value = SealedValue.seal(capacity: checkpoint.bytes.count + 18) { out in
      out.append(littleEndian: checkpoint.position)
      out.append(counted: checkpoint.bytes)
    }
    batch.put(table.family, key: key.bytes, value: value)
  }

  /// Puts a shard's progress into a write.
  package func put(_ progress: ShardProgress, shard: UInt8, in batch: WriteBatch) {
    let value = SealedValue.seal(capacity: 9 + 8 * partitionCount) { out in
      out.append(littleEndian: progress.floor)
      out.append(UInt8(partitionCount))
      for position in progress.applied { out.append(littleEndian: position) }
    }
    batch.put(table.family, key: [StateTable.shardPrefix, shard], value: value)
  }

  /// Gives each of `shards` shards the progress a recovery found, and forgets all others, so that a shard no longer run
  /// does not hold back the floor.
  package func adopt(_ plan: RecoveryPlan, shards: Int, in batch: WriteBatch) {
    precondition((1...partitionCount).contains(shards), "from one shard to one a partition")
    batch.deleteRange(table.family, start: [StateTable.shardPrefix], end: [StateTable.shardPrefix + 1])
    for shard in 0..<shards {
      put(ShardProgress(applied: plan.applied, floor: plan.floor), shard: UInt8(shard), in: batch)
    }
  }
}
