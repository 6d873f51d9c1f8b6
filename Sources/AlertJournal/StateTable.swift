import Compression
import KeyValueStore
import Pipeline

/// Checkpoint of one patient's evaluator state; only the engine knows what the bytes mean.
package struct PatientCheckpoint: Hashable, Sendable {
  package var patient: UInt32
  /// Journal entries through this one are in it.
  package var position: UInt64
  /// Position of the rules it was made under: its bytes can be read with these only. 0: those of the first start.
  package var rules: UInt64
  package var bytes: [UInt8]
  package init(patient: UInt32, position: UInt64, rules: UInt64 = 0, bytes: [UInt8]) {
    self.patient = patient
    self.position = position
    self.rules = rules
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

  /// Checkpoints of stores made before rules had a place in the key.
  private static let oldPatientPrefix: UInt8 = 0x01
  private static let shardPrefix: UInt8 = 0x02
  private static let patientPrefix: UInt8 = 0x03

  /// Gives the checkpoint of every patient that was made under the rules of this position, by rising number.
  ///
  /// - Parameter onDamage: told of each damaged one, which is then left out: its patient is rebuilt from the journal as
  ///   far as that reaches. When nil the first one ends the reading.
  package func load(
    rules: UInt64 = 0, onDamage: ((JournalError) -> Void)? = nil, _ body: (PatientCheckpoint) -> Void
  ) throws(JournalError) {
    try table.scan(prefix: StateTable.rulesKey(rules)) { (key, value) throws(JournalError) in
      let patient = try table.parse(key, skipping: 9) { (reader) throws(KeyError) in try reader.uint32() }
      do throws(JournalError) {
        body(
          try table.open(value, position: UInt64(patient)) { (reader) throws(ByteError) in
            PatientCheckpoint(
              patient: patient, position: try reader.littleEndian(), rules: rules, bytes: [UInt8](try reader.counted()))
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
    key.append(checkpoint.rules)
    key.append(checkpoint.patient)
    let value = SealedValue.seal(capacity: checkpoint.bytes.count + 18) { out in
      out.append(littleEndian: checkpoint.position)
      out.append(counted: checkpoint.bytes)
    }
    batch.put(table.family, key: key.bytes, value: value)
  }

  /// Forgets checkpoints made under rules older than these: once every shard's floor has passed the change of rules.
  package func forget(rulesBefore position: UInt64, in batch: WriteBatch) {
    guard position > 0 else { return }
    batch.deleteRange(table.family, start: StateTable.rulesKey(0), end: StateTable.rulesKey(position))
  }

  /// Gives checkpoints without a place for rules in their key the one of the rules in force at the floor.
  package func moveOld(toRules rules: UInt64, in batch: WriteBatch) throws(JournalError) {
    try table.scan(prefix: [StateTable.oldPatientPrefix]) { (key, value) throws(JournalError) in
      let patient = try table.parse(key) { (reader) throws(KeyError) in try reader.uint32() }
      var new = KeyBuilder()
      new.append(StateTable.patientPrefix)
      new.append(rules)
      new.append(patient)
      batch.put(table.family, key: new.bytes, value: [UInt8](value))
      return true
    }
    batch.deleteRange(table.family, start: [StateTable.oldPatientPrefix], end: [StateTable.oldPatientPrefix + 1])
  }

  private static func rulesKey(_ rules: UInt64) -> [UInt8] {
    var key = KeyBuilder()
    key.append(patientPrefix)
    key.append(rules)
    return key.bytes
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
