import Compression
import Digests
import KeyValueStore
import Synchronization

/// Keys of the journal: one an hour, and a new one each time batches turn to another hour, so that every key covers one
/// stretch of positions and goes with them.
extension KeyRing {
  /// A row of an hour's key.
  struct HourRow: Sendable {
    var number: UInt32
    var generation: UInt32
    /// Positions sealed under it: through `last`, or as far as the next key's first where that is not said (`.max`).
    var first: UInt64
    var last: UInt64
    var wrapped: [UInt8]

    var key: [UInt8] { KeyRow.hour(number, generation) }
    var value: [UInt8] {
      SealedValue.seal(capacity: 96) { out in
        out.append(littleEndian: first)
        out.append(littleEndian: last)
        out.append(counted: wrapped)
      }
    }
  }

  /// Hours since 1970 of a batch's lowest ingest time; 0 for what is no batch.
  static func hour(ofBatch value: UnsafeRawBufferPointer) -> UInt32 {
    guard let header = try? JournalBatchHeader(value) else { return 0 }
    return UInt32(clamping: header.ingestTimes.lowerBound / 3_600_000)
  }

  func hourKey(_ hour: UInt32, from position: UInt64, _ state: inout State) throws(StoreError) -> Chosen {
    if !state.isHourRead {
      // What was current before the last stop.
      state.hour = try hourRows().filter { $0.last == .max }.max { $0.first < $1.first }
        .map { CurrentHour(number: $0.number, generation: $0.generation) }
      state.isHourRead = true
    }
    if let current = state.hour, current.number == hour {
      let id = KeyID(keyClass: .hour, number: hour, generation: current.generation)
      if let key = state.keys[id] { return Chosen(id: id, key: key) }
      if let key = try readHourKey(id, state) {
        keep(key, id, &state)
        return Chosen(id: id, key: key)
      }
    }
    let chosen = try makeHourKey(hour, first: position, last: .max, &state)
    state.hour = CurrentHour(number: hour, generation: chosen.id.generation)
    return chosen
  }

  /// A new key of an hour.
  func makeHourKey(_ hour: UInt32, first: UInt64, last: UInt64, _ state: inout State) throws(StoreError) -> Chosen {
    let newest = try hourRows(of: hour).map(\.generation).max() ?? 0
    // Keys made and not written yet count too.
    let made = state.keys.keys.filter { $0.keyClass == .hour && $0.number == hour }.map(\.generation).max() ?? 0
    let generation = max(newest, made) + 1
    let key = try ciphering { () throws(DigestError) in try SecretKey(randomCount: SealingCipher.keyBytes) }
    var row = HourRow(number: hour, generation: generation, first: first, last: last, wrapped: [])
    row.wrapped = try wrap.wrap(key, row: row.key, under: state.master)
    add(row.key, row.value, &state)
    let id = KeyID(keyClass: .hour, number: hour, generation: generation)
    keep(key, id, &state)
    return Chosen(id: id, key: key)
  }

  private func readHourKey(_ id: KeyID, _ state: State) throws(StoreError) -> SecretKey? {
    guard let row = try hourRows(of: id.number).first(where: { $0.generation == id.generation }) else { return nil }
    return try unwrap(row.wrapped, row: row.key, under: state.master)?.key
  }

  /// Rows of all hours, or of one.
  func hourRows(of hour: UInt32? = nil) throws(StoreError) -> [HourRow] {
    var found: [HourRow] = []
    let prefix = hour.map { KeyRow.key(KeyRow.hourPrefix, [$0]) } ?? [KeyRow.hourPrefix]
    try asStore { () throws(JournalError) in
      try table.scan(prefix: prefix) { (key, value) throws(JournalError) in
        let (number, generation) = try table.parse(key) { (reader) throws(KeyError) in
          (try reader.uint32(), try reader.uint32())
        }
        found.append(
          try table.open(value, position: UInt64(number)) { (reader) throws(ByteError) in
            HourRow(
              number: number, generation: generation, first: try reader.littleEndian(),
              last: try reader.littleEndian(), wrapped: [UInt8](try reader.counted()))
          })
        return true
      }
    }
    return found
  }

  /// Destroys the keys of batches that have been dropped from the journal.
  ///
  /// - Parameter first: the first position still there.
  /// - Returns: keys destroyed.
  @discardableResult
  func retireHours(before first: UInt64) throws(StoreError) -> Int {
    let rows = try hourRows().sorted { $0.first < $1.first }
    let open = rows.filter { $0.last == .max }
    var retired: [HourRow] = []
    for row in rows {
      var end = row.last
      if end == .max {
        // The newest one stays: it is in use.
        guard let next = open.first(where: { $0.first > row.first }) else { continue }
        end = next.first - 1
      }
      if end < first { retired.append(row) }
    }
    guard !retired.isEmpty else { return 0 }
    let batch = WriteBatch(for: store)
    for row in retired { batch.delete(table.family, key: row.key) }
    try store.write(batch, sync: false)
    state.withLock { state in
      for row in retired {
        state.keys[KeyID(keyClass: .hour, number: row.number, generation: row.generation)] = nil
      }
    }
    return retired.count
  }
}
