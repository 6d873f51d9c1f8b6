import Compression
import VitalModel

/// The fixed front of a journal batch; all numbers little-endian.
///
/// ```
///  0 version u8 = 1 | 1 packing u8: 0 plain, 1 zstd | 2 zero u16 | 4 records u32
///  8 first position u64          | 16 last position u64
/// 24 lowest ingest time i64 ms   | 32 highest ingest time i64 ms
/// 40 partitions u64, bit p: partition p has a record
/// 48 body bytes unpacked u32     | 52 body … | last 4: CRC-32C of all before
/// ```
package struct JournalBatchHeader: Hashable, Sendable {
  /// Records of all kinds, directory entries included.
  package var records: Int
  /// Positions in the batch are all of `first...last`.
  package var first: UInt64
  package var last: UInt64
  /// Ingest times of the slots, milliseconds since 1970.
  package var ingestTimes: ClosedRange<Int64>
  /// Bit p: partition p has a record here.
  package var partitions: UInt64
  var isPacked: Bool
  var bodyBytes: Int

  static let version: UInt8 = 1
  static let headerBytes = 52
  /// Header and checksum.
  static let frameBytes = 56
  /// An unpacked body is never larger: checked before memory is taken.
  static let bodyBytesMax = 64 << 20

  /// Reads the front of a batch; `bytes` may be the front alone. The checksum is not looked at.
  package init(_ bytes: UnsafeRawBufferPointer) throws(Damage) {
    guard bytes.count >= JournalBatchHeader.headerBytes else { throw .tooShort(bytes: bytes.count) }
    func number<Value: FixedWidthInteger & BitwiseCopyable>(_ offset: Int, _ type: Value.Type) -> Value {
      Value(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: type))
    }
    guard bytes[0] == JournalBatchHeader.version else { throw .laterVersion(bytes[0]) }
    guard bytes[1] <= 1, bytes[2] == 0, bytes[3] == 0 else { throw .malformed("the packing") }
    isPacked = bytes[1] == 1
    records = Int(number(4, UInt32.self))
    first = number(8, UInt64.self)
    last = number(16, UInt64.self)
    guard first >= 1, first <= last, last < .max, last - first < UInt64(records) else {
      throw .malformed("the range of positions")
    }
    let (low, high) = (number(24, Int64.self), number(32, Int64.self))
    guard low <= high else { throw .malformed("the range of ingest times") }
    ingestTimes = low...high
    partitions = number(40, UInt64.self)
    bodyBytes = Int(number(48, UInt32.self))
    // Every record takes at least the two bytes of its tag.
    guard bodyBytes <= JournalBatchHeader.bodyBytesMax, bodyBytes / 2 >= records else {
      throw .malformed("the body's size")
    }
  }

  /// Checks the checksum, then reads the front.
  static func checked(_ bytes: UnsafeRawBufferPointer) throws(Damage) -> JournalBatchHeader {
    guard bytes.count >= frameBytes else { throw .tooShort(bytes: bytes.count) }
    let end = bytes.count - 4
    let stored = UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: end, as: UInt32.self))
    guard Checksums.crc32c(UnsafeRawBufferPointer(rebasing: bytes[..<end])) == stored else { throw .checksum }
    return try JournalBatchHeader(bytes)
  }
}

/// Tag of a record in a batch's body: two bits of class above fourteen bits that say which fields of the slot differ from
/// the slot before it. A directory entry has its kind in the low bits instead.
enum RecordTag {
  static let classMask: UInt16 = 0xC000
  static let slot: UInt16 = 0x0000
  static let directory: UInt16 = 0x4000
  static let text: UInt16 = 0x8000

  static let kind: UInt16 = 1 << 0
  static let flags: UInt16 = 1 << 1
  static let code: UInt16 = 1 << 2
  static let unit: UInt16 = 1 << 3
  static let exponent: UInt16 = 1 << 4
  static let device: UInt16 = 1 << 5
  static let patient: UInt16 = 1 << 6
  static let series: UInt16 = 1 << 7
  static let source: UInt16 = 1 << 8
  static let quality: UInt16 = 1 << 9
  static let eventTime: UInt16 = 1 << 10
  static let ingestTime: UInt16 = 1 << 11
  static let mantissa: UInt16 = 1 << 12
  static let sequence: UInt16 = 1 << 13

  /// Bytes of the longest slot: tag 2, kind and status 2, flags 2, code 2, unit 1, exponent 1, three numbers of 5, source
  /// 2, quality 2, four varints of 10.
  static let slotBytesMax = 69
}

/// Kinds of directory entries, in journal bodies and in keys of the registry.
enum EntryKind: UInt8, CaseIterable {
  case source = 1
  case device = 2
  case patient = 3
  case series = 4
  case clockOffset = 5
}
