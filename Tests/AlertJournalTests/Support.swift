import Compression
import Foundation
import KeyValueStore
import Testing
import VitalModel

@testable import AlertJournal
import Pipeline

/// A folder of this test's own; gone with the value.
final class Folder {
  let path: String

  init() throws {
    path = FileManager.default.temporaryDirectory.appendingPathComponent("vigil-journal-\(UUID().uuidString)").path
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
  }
  deinit { try? FileManager.default.removeItem(atPath: path) }

  func entry(_ name: String) -> String { path + "/" + name }
}

/// SplitMix64 (Steele, Lea, Flood 2014): the same numbers from the same seed.
struct SplitMix64: RandomNumberGenerator {
  var state: UInt64
  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }
  mutating func bytes(_ count: Int) -> [UInt8] { (0..<count).map { _ in UInt8(truncatingIfNeeded: next()) } }
  mutating func one(in count: Int) -> Bool { next() % UInt64(count) == 0 }
  /// Any number, with the ends of the range and small numbers as likely as all others.
  mutating func integer<Value: FixedWidthInteger>(_ type: Value.Type = Value.self) -> Value {
    switch next() % 4 {
    case 0: Value(truncatingIfNeeded: next())
    case 1: [Value.min, .max, 0, 1, .max - 1][Int(next() % 5)]
    default: Value(truncatingIfNeeded: next() % 100)
    }
  }
}

/// A store in a folder of its own.
struct OpenStore {
  let folder: Folder
  var store: VigilStore
  var path: String { folder.entry("store") }

  init() throws {
    folder = try Folder()
    store = try VigilStore.open(path: folder.entry("store"))
  }

  /// As after a stop and a start.
  mutating func restart() throws {
    store.close()
    store = try VigilStore.open(path: path)
  }

  func append(_ slots: [Slot], entries: [DirectoryEntry] = []) throws {
    try OpenStore.append(slots, entries: entries, to: store)
  }

  static func append(_ slots: [Slot], entries: [DirectoryEntry] = [], to store: VigilStore) throws {
    var encoder = JournalBatchEncoder()
    for entry in entries { encoder.append(entry) }
    for slot in slots { encoder.append(slot) }
    let batch = store.makeBatch()
    try store.journal.append(encoder.finish(partitions: 1), to: batch)
    try store.write(batch, sync: false)
  }

  /// Changes the stored bytes under a key.
  func overwrite(_ family: Family, _ key: [UInt8], with value: [UInt8]) throws {
    let batch = store.makeBatch()
    batch.put(family, key: key, value: value)
    try store.write(batch, sync: false)
  }
}

/// Samples of one patient at one a second, from a position on.
func samples(_ positions: ClosedRange<UInt64>, ingestMs: Int64? = nil) -> [Slot] {
  positions.map { position in
    var slot = Slot()
    slot.kind = .sample
    slot.flags = [.endOfMessage, .hasSequence]
    slot.code = VitalCode(index: UInt16(position % 4))
    (slot.device, slot.patient, slot.series) = (3, 7, UInt32(position % 4))
    slot.eventTime = 1_795_000_000_000 + Int64(position) * 1000
    slot.ingestTime = ingestMs ?? slot.eventTime + 120
    slot.value = DecimalValue(mantissa: 970 + Int64(position % 7), exponent: -1)
    slot.deviceSequence = Int64(position)
    slot.payload = position
    return slot
  }
}

func same(_ a: Slot, _ b: Slot) -> Bool {
  withUnsafeBytes(of: a) { a in withUnsafeBytes(of: b) { b in a.elementsEqual(b) } }
}

func positions(_ journal: Journal, from start: UInt64, upTo end: UInt64? = nil) throws -> [UInt64] {
  var found: [UInt64] = []
  try journal.read(from: start, upTo: end) { record in
    if case .slot(let slot) = record { found.append(slot.payload) }
  }
  return found
}

func transition(
  _ alertID: String, _ sequence: Int = 1, patient: UInt32 = 7, detected: Int64 = 1000, phase: AlertPhase = .start,
  evidence: String? = #"{"samples":[]}"#
) -> Transition {
  var document = AlertDocument()
  document.alertID = alertID
  document.sequence = sequence
  document.phase = phase
  document.state = phase == .end ? .inactive : .active
  document.priority = .high
  document.onsetTime = detected - 500
  document.detectedTime = detected
  return Transition(
    position: UInt64(detected), patient: patient, document: document, evidence: evidence, isNotified: true)
}

func ledgerRow(position: UInt64, patient: UInt32, detected: Int64, message: String = "") -> LedgerRow {
  var document = AlertDocument()
  document.detectedTime = detected
  document.message = message
  return LedgerRow(position: position, patient: patient, document: document)
}

func outboxRow(_ webhookID: String, receiver: String = "ward", alertID: String = "a1") -> OutboxRow {
  OutboxRow(
    receiver: receiver, webhookID: webhookID, alertID: alertID, sequence: 1, type: "alert", priority: .high,
    createdMs: 1000, body: Array("{}".utf8))
}

extension JournalBatchHeader {
  init(_ bytes: ArraySlice<UInt8>) throws(Damage) {
    let result: Result<JournalBatchHeader, Damage> = bytes.withUnsafeBytes { raw in
      do throws(Damage) { return .success(try JournalBatchHeader(raw)) } catch { return .failure(error) }
    }
    self = try result.get()
  }
}

/// Gives changed bytes the checksum that belongs to them.
func reseal(_ bytes: inout [UInt8]) {
  bytes.removeLast(4)
  var sum = ByteWriter()
  sum.append(littleEndian: Checksums.crc32c(bytes))
  bytes += sum.bytes
}
