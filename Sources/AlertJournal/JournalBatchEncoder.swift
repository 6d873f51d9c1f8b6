import Compression
import Pipeline
import VitalModel

/// One batch ready to be stored: its bytes, and what of it the registry keeps as well.
package struct EncodedBatch: Sendable {
  package let bytes: [UInt8]
  package let header: JournalBatchHeader
  /// Directory entries of the batch, in order.
  package let entries: [DirectoryEntry]
  /// Rosters, rules and options of the batch, in order.
  package let texts: [JournaledText]
}

/// A text of the journal and where it took effect.
package struct JournaledText: Hashable, Sendable {
  package let kind: JournalTextKind
  package let position: UInt64
  package let bytes: [UInt8]
  package init(kind: JournalTextKind, position: UInt64, bytes: [UInt8]) {
    self.kind = kind
    self.position = position
    self.bytes = bytes
  }
}

/// Packs journal records into batches, one after another in the same memory.
///
/// Each slot is written as the fields in which it differs from the slot before it; the first differs from an all-default
/// slot. Positions (`payload`) rise by one from record to record, directory entries taking none, so that only the first is
/// stored. Nothing is allocated per slot once the memory has grown to the size of a batch. Owned by one thread.
package struct JournalBatchEncoder: ~Copyable {
  private var memory: UnsafeMutableRawPointer
  private var capacity: Int
  private var length = 0
  private var previous = Slot()
  private var records = 0
  private var first: UInt64 = 0
  private var next: UInt64 = 0
  private var lowestIngest = Int64.max
  private var highestIngest = Int64.min
  private var entries: [DirectoryEntry] = []
  private var texts: [JournaledText] = []
  /// Nil when the library had no memory for it: batches are then stored plain.
  private let compressor: ZstdCompressor?

  /// Longest text of one record, bytes.
  package static let textBytesMax = 32 << 20
  /// Unpacked bytes past which ``isFull`` asks for the batch to be finished.
  package static let bodyBytesFull = 16 << 20
  /// Bodies below this are stored plain: zstd gains nothing on them.
  private static let packedBytesMin = 256

  /// An encoder with an empty batch.
  package init() {
    capacity = 64 << 10
    memory = .allocate(byteCount: capacity, alignment: 16)
    compressor = try? ZstdCompressor(level: 1)
  }

  deinit { memory.deallocate() }

  /// Records so far, directory entries included.
  package var count: Int { records }
  /// Whether there is nothing to store: directory entries alone wait for a record with a position.
  package var isEmpty: Bool { next == first }
  /// Whether the batch must be finished before more is appended.
  package var isFull: Bool { length >= JournalBatchEncoder.bodyBytesFull }
  /// Unpacked bytes so far.
  package var byteCount: Int { length }

  // MARK: Records

  /// Appends a sample, device status, clock or control entry; `payload` is its position.
  ///
  /// - Precondition: the position follows the one before it by one.
  package mutating func append(_ slot: Slot) {
    take(slot)
    reserve(RecordTag.slotBytesMax)
    put(slot, recordClass: RecordTag.slot)
  }

  /// Appends a text with the slot that carries its position, times, device and patient.
  ///
  /// - Throws: `.tooLong` past ``textBytesMax``; the batch is then unchanged.
  package mutating func append(_ slot: Slot, kind: JournalTextKind, text: [UInt8]) throws(JournalError) {
    let limit = JournalBatchEncoder.textBytesMax
    guard text.count <= limit else { throw .tooLong(bytes: text.count, limit: limit) }
    take(slot)
    reserve(RecordTag.slotBytesMax + 16 + text.count)
    put(slot, recordClass: RecordTag.text)
    put(byte: kind.rawValue)
    put(counted: text)
    if kind.isKeptInRegistry { texts.append(JournaledText(kind: kind, position: slot.payload, bytes: text)) }
  }

  /// Appends a directory entry, which takes no position. It must come before the first slot that uses it.
  package mutating func append(_ entry: DirectoryEntry) {
    records += 1
    entries.append(entry)
    switch entry {
    case .source(let number, let text):
      putTag(.source, room: text.utf8.count)
      put(varint: UInt64(number))
      put(counted: text)
    case .device(let number, let tenant, let device):
      putTag(.device, room: tenant.utf8.count + device.utf8.count)
      put(varint: UInt64(number))
      put(counted: tenant)
      put(counted: device)
    case .patient(let number, let tenant, let patient):
      putTag(.patient, room: tenant.utf8.count + patient.utf8.count)
      put(varint: UInt64(number))
      put(counted: tenant)
      put(counted: patient)
    case .series(let number, let patient, let code, let device, let source):
      putTag(.series, room: 0)
      put(varint: UInt64(number))
      put(varint: UInt64(patient))
      put(varint: UInt64(code.index))
      put(varint: UInt64(device))
      put(varint: UInt64(source))
    case .clockOffset(let device, let milliseconds):
      putTag(.clockOffset, room: 0)
      put(varint: UInt64(device))
      put(varint: zigzagEncode(milliseconds))
    }
  }

  /// Appends a record of any kind.
  package mutating func append(_ record: JournalRecord) throws(JournalError) {
    switch record {
    case .slot(let slot): append(slot)
    case .directory(let entry): append(entry)
    case .text(let slot, let kind, let text): try append(slot, kind: kind, text: text)
    }
  }

  // MARK: Batches

  /// Ends the batch and begins an empty one.
  ///
  /// - Parameter partitions: bit p set where partition p has a record in the batch.
  /// - Precondition: at least one record has a position (``isEmpty`` is false).
  package mutating func finish(partitions: UInt64) -> EncodedBatch {
    precondition(!isEmpty, "a batch has a record with a position")
    let body = UnsafeRawBufferPointer(start: memory, count: length)
    let packed = packedBody(body)
    var out = ByteWriter(capacity: JournalBatchHeader.frameBytes + (packed?.count ?? length))
    out.append(JournalBatchHeader.version)
    out.append(packed == nil ? 0 : 1)
    out.append(littleEndian: UInt16(0))
    out.append(littleEndian: UInt32(records))
    out.append(littleEndian: first)
    out.append(littleEndian: next - 1)
    out.append(littleEndian: lowestIngest)
    out.append(littleEndian: highestIngest)
    out.append(littleEndian: partitions)
    out.append(littleEndian: UInt32(length))
    if let packed { out.append(raw: packed) } else { out.append(raw: body) }
    out.append(littleEndian: Checksums.crc32c(out.bytes))
    let header = JournalBatchHeader(
      records: records, first: first, last: next - 1, ingestTimes: lowestIngest...highestIngest,
      partitions: partitions, isPacked: packed != nil, bodyBytes: length)
    let batch = EncodedBatch(bytes: out.bytes, header: header, entries: entries, texts: texts)
    clear()
    return batch
  }

  /// Forgets the batch so far and keeps the memory.
  package mutating func clear() {
    length = 0
    previous = Slot()
    records = 0
    first = 0
    next = 0
    lowestIngest = .max
    highestIngest = .min
    entries.removeAll(keepingCapacity: true)
    texts.removeAll(keepingCapacity: true)
  }

  /// The body as a zstd frame; nil where that is not smaller by a sixteenth.
  private func packedBody(_ body: UnsafeRawBufferPointer) -> [UInt8]? {
    guard body.count >= JournalBatchEncoder.packedBytesMin, let compressor else { return nil }
    guard let packed = try? compressor.compress(body), packed.count < body.count - body.count / 16 else { return nil }
    return packed
  }

  // MARK: Bytes

  private mutating func take(_ slot: Slot) {
    if first == next {
      // Directory entries may have come before.
      first = slot.payload
      next = slot.payload
    }
    precondition(slot.payload == next && next >= 1 && next < .max - 1, "positions of a batch rise by one, from 1")
    next += 1
    records += 1
    lowestIngest = min(lowestIngest, slot.ingestTime)
    highestIngest = max(highestIngest, slot.ingestTime)
  }

  private mutating func reserve(_ bytes: Int) {
    if capacity - length < bytes { grow(bytes) }
  }

  @inline(never) private mutating func grow(_ bytes: Int) {
    precondition(length + bytes <= JournalBatchHeader.bodyBytesMax, "a full batch is finished before more is appended")
    let grown = max(capacity * 2, length + bytes)
    let larger = UnsafeMutableRawPointer.allocate(byteCount: grown, alignment: 16)
    larger.copyMemory(from: memory, byteCount: length)
    memory.deallocate()
    memory = larger
    capacity = grown
  }

  /// Writes the tag and the fields that differ from the slot before.
  private mutating func put(_ slot: Slot, recordClass: UInt16) {
    let old = previous
    previous = slot
    var out = Cursor(place: memory + length + 2)
    var tag = recordClass
    if slot.kindRaw != old.kindRaw || slot.statusRaw != old.statusRaw {
      tag |= RecordTag.kind
      out.put(slot.kindRaw)
      out.put(slot.statusRaw)
    }
    if slot.flags != old.flags {
      tag |= RecordTag.flags
      out.put(slot.flags.rawValue)
    }
    if slot.code != old.code {
      tag |= RecordTag.code
      out.put(slot.code.index)
    }
    if slot.unit != old.unit {
      tag |= RecordTag.unit
      out.put(slot.unit)
    }
    if slot.exponent != old.exponent {
      tag |= RecordTag.exponent
      out.put(UInt8(bitPattern: slot.exponent))
    }
    if slot.device != old.device {
      tag |= RecordTag.device
      out.put(change: slot.device, from: old.device)
    }
    if slot.patient != old.patient {
      tag |= RecordTag.patient
      out.put(change: slot.patient, from: old.patient)
    }
    if slot.series != old.series {
      tag |= RecordTag.series
      out.put(change: slot.series, from: old.series)
    }
    if slot.source != old.source {
      tag |= RecordTag.source
      out.put(slot.source)
    }
    if slot.quality != old.quality {
      tag |= RecordTag.quality
      out.put(slot.quality.raw)
    }
    putNumbers(slot, old, &out, &tag)
    memory.storeBytes(of: tag.littleEndian, toByteOffset: length, as: UInt16.self)
    length = out.place - memory
  }

  @inline(__always)
  private func putNumbers(_ slot: Slot, _ old: Slot, _ out: inout Cursor, _ tag: inout UInt16) {
    if slot.eventTime != old.eventTime {
      tag |= RecordTag.eventTime
      out.put(varint: zigzagEncode(slot.eventTime &- old.eventTime))
    }
    if slot.ingestTime != old.ingestTime {
      tag |= RecordTag.ingestTime
      out.put(varint: zigzagEncode(slot.ingestTime &- old.ingestTime))
    }
    if slot.mantissa != old.mantissa {
      tag |= RecordTag.mantissa
      // Whole, not as a change: the slot before is of another vital more often than not.
      out.put(varint: zigzagEncode(slot.mantissa))
    }
    if slot.deviceSequence != old.deviceSequence {
      tag |= RecordTag.sequence
      out.put(varint: zigzagEncode(slot.deviceSequence &- old.deviceSequence))
    }
  }

  private mutating func putTag(_ kind: EntryKind, room: Int) {
    reserve(64 + room)
    memory.storeBytes(
      of: (RecordTag.directory | UInt16(kind.rawValue)).littleEndian, toByteOffset: length, as: UInt16.self)
    length += 2
  }
  private mutating func put(byte: UInt8) {
    memory.storeBytes(of: byte, toByteOffset: length, as: UInt8.self)
    length += 1
  }
  private mutating func put(varint value: UInt64) {
    var out = Cursor(place: memory + length)
    out.put(varint: value)
    length = out.place - memory
  }
  private mutating func put(counted text: String) { put(counted: Array(text.utf8)) }
  private mutating func put(counted bytes: [UInt8]) {
    put(varint: UInt64(bytes.count))
    bytes.withUnsafeBytes { source in
      if let start = source.baseAddress { (memory + length).copyMemory(from: start, byteCount: source.count) }
    }
    length += bytes.count
  }
}

/// A place in memory that has been reserved.
private struct Cursor {
  var place: UnsafeMutableRawPointer

  @inline(__always) mutating func put(_ value: UInt8) {
    place.storeBytes(of: value, as: UInt8.self)
    place += 1
  }
  @inline(__always) mutating func put(_ value: UInt16) {
    place.storeBytes(of: value.littleEndian, as: UInt16.self)
    place += 2
  }
  @inline(__always) mutating func put(change new: UInt32, from old: UInt32) {
    put(varint: zigzagEncode(Int64(Int32(bitPattern: new &- old))))
  }
  @inline(__always) mutating func put(varint value: UInt64) {
    var rest = value
    while rest >= 0x80 {
      put(UInt8(truncatingIfNeeded: rest) | 0x80)
      rest >>= 7
    }
    put(UInt8(truncatingIfNeeded: rest))
  }
}

extension JournalTextKind {
  /// Texts that a restart needs without reading the journal.
  var isKeptInRegistry: Bool {
    switch self {
    case .roster, .rules, .options, .alerting: true
    case .deviceEvent, .wave, .action: false
    }
  }
}

extension JournalBatchHeader {
  init(
    records: Int, first: UInt64, last: UInt64, ingestTimes: ClosedRange<Int64>, partitions: UInt64, isPacked: Bool,
    bodyBytes: Int
  ) {
    self.records = records
    self.first = first
    self.last = last
    self.ingestTimes = ingestTimes
    self.partitions = partitions
    self.isPacked = isPacked
    self.bodyBytes = bodyBytes
  }
}
