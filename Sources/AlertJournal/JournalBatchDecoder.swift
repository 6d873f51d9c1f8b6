import Compression
import Pipeline
import VitalModel

/// Reads what `JournalBatchEncoder` wrote. Every length is checked against the end; nothing in the bytes traps.
///
/// Owned by one thread: the memory to unpack with is reused.
package struct JournalBatchDecoder {
  private let decompressor: ZstdDecompressor?

  /// A decoder for any number of batches.
  package init() { decompressor = try? ZstdDecompressor() }

  /// Gives the records of one batch in order, slots with their positions in `payload`.
  ///
  /// - Throws: why the batch is unusable. Nothing was given when the checksum does not match; a batch whose checksum
  ///   matches and whose content is malformed may have given some of its records.
  @discardableResult
  package func decode(
    _ bytes: UnsafeRawBufferPointer, _ body: (JournalRecord) -> Void
  ) throws(Damage) -> JournalBatchHeader {
    let header = try JournalBatchHeader.checked(bytes)
    let stored = UnsafeRawBufferPointer(
      rebasing: bytes[JournalBatchHeader.headerBytes..<(bytes.count - 4)])
    guard header.isPacked else {
      guard stored.count == header.bodyBytes else { throw .malformed("the body's size") }
      try read(stored, header, body)
      return header
    }
    let unpacked = try unpack(stored, header.bodyBytes)
    var failure: Damage?
    unpacked.withUnsafeBytes { raw in
      do throws(Damage) { try read(raw, header, body) } catch { failure = error }
    }
    if let failure { throw failure }
    return header
  }

  /// As the pointer form, for an array.
  @discardableResult
  package func decode(_ bytes: [UInt8], _ body: (JournalRecord) -> Void) throws(Damage) -> JournalBatchHeader {
    let result: Result<JournalBatchHeader, Damage> = bytes.withUnsafeBytes { raw in
      do throws(Damage) { return .success(try decode(raw, body)) } catch { return .failure(error) }
    }
    return try result.get()
  }

  private func unpack(_ stored: UnsafeRawBufferPointer, _ size: Int) throws(Damage) -> [UInt8] {
    guard let decompressor else { throw .malformed("the packing: no memory to unpack") }
    do throws(CompressionError) {
      let body = try decompressor.decompress(stored, limit: size)
      if body.count == size { return body }
    } catch {}
    throw .malformed("the packing")
  }

  private func read(
    _ body: UnsafeRawBufferPointer, _ header: JournalBatchHeader, _ give: (JournalRecord) -> Void
  ) throws(Damage) {
    var records = RecordReader(body, first: header.first)
    for _ in 0..<header.records {
      let record: JournalRecord?
      do throws(ByteError) { record = try records.next() } catch { throw .malformed("a record's length") }
      guard let record else { throw .malformed("a record") }
      // Checked before it is given: a position outside the batch would be taken for another batch's.
      guard records.position <= header.last + 1 else { throw .malformed("the number of positions") }
      give(record)
    }
    guard records.position == header.last + 1 else { throw .malformed("the number of positions") }
    guard records.isAtEnd else { throw .malformed("the body's end") }
  }
}

/// Reads the records of an unpacked body.
private struct RecordReader {
  private var reader: ByteReader
  private var slot = Slot()
  /// Position of the next record that takes one.
  private(set) var position: UInt64

  init(_ body: UnsafeRawBufferPointer, first: UInt64) {
    reader = ByteReader(body)
    position = first
  }

  var isAtEnd: Bool { reader.isAtEnd }

  /// The next record; nil where its tag or kind is unknown or a number is out of range.
  mutating func next() throws(ByteError) -> JournalRecord? {
    let tag: UInt16 = try reader.littleEndian()
    switch tag & RecordTag.classMask {
    case RecordTag.slot:
      return try readSlot(tag) ? .slot(slot) : nil
    case RecordTag.directory:
      guard let kind = EntryKind(rawValue: UInt8(truncatingIfNeeded: tag)), tag & 0x3F00 == 0 else { return nil }
      return try readEntry(kind).map { .directory($0) }
    case RecordTag.text:
      guard try readSlot(tag), let kind = JournalTextKind(rawValue: try reader.byte()) else { return nil }
      return .text(slot, kind, [UInt8](try reader.counted()))
    default:
      return nil
    }
  }

  private mutating func readSlot(_ tag: UInt16) throws(ByteError) -> Bool {
    if tag & RecordTag.kind != 0 {
      slot.kindRaw = try reader.byte()
      slot.statusRaw = try reader.byte()
    }
    if tag & RecordTag.flags != 0 { slot.flags = SampleFlags(rawValue: try reader.littleEndian()) }
    if tag & RecordTag.code != 0 { slot.code = VitalCode(index: try reader.littleEndian()) }
    if tag & RecordTag.unit != 0 { slot.unit = try reader.byte() }
    if tag & RecordTag.exponent != 0 { slot.exponent = Int8(bitPattern: try reader.byte()) }
    if tag & RecordTag.device != 0 { slot.device &+= try change() }
    if tag & RecordTag.patient != 0 { slot.patient &+= try change() }
    if tag & RecordTag.series != 0 { slot.series &+= try change() }
    if tag & RecordTag.source != 0 { slot.source = try reader.littleEndian() }
    if tag & RecordTag.quality != 0 { slot.quality = SampleQuality(raw: try reader.littleEndian()) }
    if tag & RecordTag.eventTime != 0 { slot.eventTime &+= try reader.zigzag() }
    if tag & RecordTag.ingestTime != 0 { slot.ingestTime &+= try reader.zigzag() }
    if tag & RecordTag.mantissa != 0 { slot.mantissa = try reader.zigzag() }
    if tag & RecordTag.sequence != 0 { slot.deviceSequence &+= try reader.zigzag() }
    guard position < .max else { return false }
    slot.payload = position
    position += 1
    return true
  }

  /// How far a 32-bit number moves, modulo 2^32.
  private mutating func change() throws(ByteError) -> UInt32 {
    guard let exact = Int32(exactly: try reader.zigzag()) else { throw .varintTooLarge }
    return UInt32(bitPattern: exact)
  }

  private mutating func number<Value: FixedWidthInteger>(_ type: Value.Type) throws(ByteError) -> Value {
    guard let value = Value(exactly: try reader.varint()) else { throw .varintTooLarge }
    return value
  }

  private mutating func readEntry(_ kind: EntryKind) throws(ByteError) -> DirectoryEntry? {
    switch kind {
    case .source:
      return .source(number: try number(UInt16.self), text: try reader.countedString())
    case .device:
      return .device(
        number: try number(UInt32.self), tenant: try reader.countedString(), device: try reader.countedString())
    case .patient:
      return .patient(
        number: try number(UInt32.self), tenant: try reader.countedString(), patient: try reader.countedString())
    case .series:
      return .series(
        number: try number(UInt32.self), patient: try number(UInt32.self),
        code: VitalCode(index: try number(UInt16.self)),
        device: try number(UInt32.self), source: try number(UInt16.self))
    case .clockOffset:
      return .clockOffset(device: try number(UInt32.self), milliseconds: try reader.zigzag())
    }
  }
}
