import ChunkCoding
import Digests
import VitalModel

/// Samples for the chunk codec to learn from, cut into rows as the sealer cuts them.
///
/// One person in five is held out: never learned from, so that what was learned can be checked on people it has not seen.
package final class CodecLessons {
  /// Rows of a chunk.
  package static let rowsMax = 600
  /// Samples held out at most; more would not make the check better.
  package static let heldOutMax = 2_000_000
  /// What a set must save on the people held out, as a share of the bytes with the set in use, to be worth its place.
  package static let savingMin = 0.01

  /// What one set makes of the people held out.
  package struct Check: Hashable, Sendable {
    package var samples = 0
    /// With the set in use, and with the new one.
    package var bytesBefore = 0
    package var bytesAfter = 0

    /// Share of the bytes saved; negative where the new set is worse.
    package var saving: Double {
      bytesBefore == 0 ? 0 : 1 - Double(bytesAfter) / Double(bytesBefore)
    }
  }

  package private(set) var samples = 0
  package private(set) var heldOutSamples = 0
  package private(set) var people = 0
  private let trainer: StatesTrainer?
  private var heldOut: [(rows: ChunkRows, source: Int)] = []
  private var sources: [[String]] = []
  private var logs: [UInt64: (log: RowLog, isHeldOut: Bool)] = [:]
  private var known: Set<UInt32> = []
  private var heldPeople: Set<UInt32> = []
  private var position: UInt64 = 0

  /// - Parameter learns: false where only the people held out are wanted, for a check.
  package init(learns: Bool = true) { trainer = learns ? StatesTrainer() : nil }

  /// Whether a person is held out: the same one in every recording and store.
  package static func isHeldOut(_ patient: String) -> Bool {
    stableHash64(patient) % 5 == 0
  }

  /// Another recording or store begins.
  ///
  /// - Parameter keys: registry keys by code, as its slots number them.
  package func begin(keys: [String]) throws {
    try end()
    sources.append(keys)
    known = []
    heldPeople = []
  }

  /// Takes in one sample; positions are counted here.
  package func add(_ slot: Slot, patient name: @autoclosure () -> String) throws {
    if known.insert(slot.patient).inserted {
      people += 1
      if CodecLessons.isHeldOut(name()) { heldPeople.insert(slot.patient) }
    }
    let isHeldOut = heldPeople.contains(slot.patient)
    guard isHeldOut ? heldOutSamples < CodecLessons.heldOutMax : trainer != nil else { return }
    let group = UInt64(slot.patient) << 32 | UInt64(slot.device)
    var entry = logs[group] ?? (RowLog(patient: slot.patient, device: slot.device), isHeldOut)
    // Nil while it is changed here: the log's memory has then one owner and is not copied.
    logs[group] = nil
    let column = ChunkColumn(code: slot.code, unit: slot.unit, source: slot.source)
    if entry.log.rowCount >= CodecLessons.rowsMax && entry.log.beginsRow(column, time: slot.eventTime)
      || entry.log.isFull(for: column)
    {
      try take(entry.log, isHeldOut)
      entry.log = RowLog(patient: slot.patient, device: slot.device)
    }
    position += 1
    entry.log.append(slot, position: position)
    logs[group] = entry
  }

  /// The recording or store is at its end.
  package func end() throws {
    for group in logs.keys.sorted() {
      if let entry = logs[group] { try take(entry.log, entry.isHeldOut) }
    }
    logs = [:]
  }

  private func take(_ log: RowLog, _ isHeldOut: Bool) throws {
    guard let keys = sources.last else { return }
    for rows in log.rows().split(spanMax: UInt64(SealPolicy.spanMax)) {
      if isHeldOut {
        heldOut.append((rows, sources.count - 1))
        heldOutSamples += rows.cellCount
      } else {
        try learn(rows, keys: keys)
      }
    }
  }

  /// Learns from a chunk of nobody who could be held out.
  package func learn(_ rows: ChunkRows, keys: [String]) throws {
    try trainer?.add(rows: rows) { CodecLessons.key($0, keys) }
    samples += rows.cellCount
  }

  private static func key(_ code: VitalCode, _ keys: [String]) -> String? {
    Int(code.index) < keys.count ? keys[Int(code.index)] : nil
  }

  /// What was learned.
  ///
  /// - Parameter keepsValues: see `StatesTrainer.finish`; false for lessons of the simulator.
  /// - Returns: nil where it was to learn nothing.
  package func finish(id: UInt32, keepsValues: Bool = true) throws -> StartStates? {
    try end()
    return try trainer?.finish(id: id, keepsValues: keepsValues)
  }

  /// Packs the people held out with both sets.
  package func check(_ states: StartStates, against before: StartStates) throws -> Check {
    try end()
    var check = Check()
    for (source, keys) in sources.enumerated() {
      let names = { (code: VitalCode) in CodecLessons.key(code, keys) }
      let old = try ModelledCodec(states: before, names: names)
      let new = try ModelledCodec(states: states, names: names)
      for entry in heldOut where entry.source == source {
        check.samples += entry.rows.cellCount
        check.bytesBefore += try old.encode(entry.rows).count
        check.bytesAfter += try new.encode(entry.rows).count
      }
    }
    return check
  }
}
