import Compression
import KeyValueStore

/// One batch of the archived log; all numbers little-endian.
///
/// ```
///  0 bytes of the batch u32 | 4 CRC-32C of all after u32 | 8 sequence u64 | 16 changes u32 | 20 journals u32: 0 or 1
/// 24 last position u64      | 32 lowest ingest time i64 ms | 40 highest ingest time i64 ms | 48 batch …
/// ```
struct ArchiveFrame: Sendable {
  var logged: LoggedBatch
  /// What it journals; nil: nothing.
  var note: JournalNote?

  static let headBytes = 48
  /// A batch is never larger: checked before memory is taken.
  static let batchBytesMax = 1 << 30

  var bytes: [UInt8] {
    var out = ByteWriter(capacity: ArchiveFrame.headBytes + logged.bytes.count)
    out.append(littleEndian: UInt32(logged.bytes.count))
    var body = ByteWriter(capacity: ArchiveFrame.headBytes + logged.bytes.count)
    body.append(littleEndian: logged.sequence)
    body.append(littleEndian: logged.changes)
    body.append(littleEndian: UInt32(note == nil ? 0 : 1))
    body.append(littleEndian: note?.last ?? 0)
    body.append(littleEndian: note?.ingestTimes.lowerBound ?? 0)
    body.append(littleEndian: note?.ingestTimes.upperBound ?? 0)
    body.append(raw: logged.bytes)
    out.append(littleEndian: Checksums.crc32c(body.bytes))
    out.append(raw: body.bytes)
    return out.bytes
  }

  init(_ logged: LoggedBatch) {
    self.logged = logged
    note = JournalNote(in: logged)
  }

  /// Reads the frame at `offset` of a segment; nil when none is there whole.
  init?(_ bytes: UnsafeRawBufferPointer, at offset: Int) {
    guard bytes.count - offset >= ArchiveFrame.headBytes else { return nil }
    func number<Value: FixedWidthInteger & BitwiseCopyable>(_ at: Int, _ type: Value.Type) -> Value {
      Value(littleEndian: bytes.loadUnaligned(fromByteOffset: offset + at, as: type))
    }
    let size = Int(number(0, UInt32.self))
    let end = offset + ArchiveFrame.headBytes + size
    guard size <= ArchiveFrame.batchBytesMax, end <= bytes.count else { return nil }
    let checked = UnsafeRawBufferPointer(rebasing: bytes[(offset + 8)..<end])
    guard Checksums.crc32c(checked) == number(4, UInt32.self) else { return nil }
    logged = LoggedBatch(
      sequence: number(8, UInt64.self), changes: number(16, UInt32.self),
      bytes: [UInt8](bytes[(offset + ArchiveFrame.headBytes)..<end]))
    guard logged.changes > 0 else { return nil }
    note = JournalNote(in: logged)
  }

  var byteCount: Int { ArchiveFrame.headBytes + logged.bytes.count }
}

/// One file of the archived log: `vigillog`, version u8 = 1, seven zero bytes, then frames whose sequence numbers follow
/// each other. Its name is the sequence number of its first change. A frame cut short at its end was never reported as
/// archived, and the next file begins with it.
struct ArchiveSegment: Sendable {
  var first: UInt64
  var path: String

  static let magic = Array("vigillog".utf8) + [1, 0, 0, 0, 0, 0, 0, 0]
  /// A segment is closed once it is this large: what can be dropped, and what is read at once.
  static let bytesMax = 16 << 20

  static func name(_ first: UInt64) -> String {
    let digits = String(first)
    return String(repeating: "0", count: max(0, 20 - digits.count)) + digits + ".log"
  }

  /// How far a segment could be read.
  struct Ending: Hashable, Sendable {
    /// The sequence number after its last whole frame.
    var next: UInt64
    /// Whole frames lie behind bytes that are none: it is not an end cut short.
    var isDamaged = false
  }

  /// Gives its frames in order until `body` returns false.
  ///
  /// - Returns: nil when `body` ended the reading.
  func read(_ body: (ArchiveFrame) throws(BackupError) -> Bool) throws(BackupError) -> Ending? {
    let bytes = try BackupFiles.read(path, limit: ArchiveFrame.batchBytesMax + ArchiveSegment.bytesMax * 2)
    guard bytes.starts(with: ArchiveSegment.magic) else {
      // Shorter than that, it was cut short in its first moment.
      return Ending(next: first, isDamaged: bytes.count >= ArchiveSegment.magic.count)
    }
    var offset = ArchiveSegment.magic.count
    var next = first
    while offset < bytes.count {
      guard let frame = bytes.withUnsafeBytes({ ArchiveFrame($0, at: offset) }), frame.logged.sequence == next else {
        return Ending(next: next, isDamaged: ArchiveSegment.hasFrame(bytes, behind: offset, from: next))
      }
      guard try body(frame) else { return nil }
      next = frame.logged.next
      offset += frame.byteCount
    }
    return Ending(next: next)
  }

  /// Whether a whole frame of a later change lies anywhere behind an offset.
  private static func hasFrame(_ bytes: [UInt8], behind offset: Int, from sequence: UInt64) -> Bool {
    bytes.withUnsafeBytes { bytes in
      var place = offset
      while bytes.count - place >= ArchiveFrame.headBytes {
        let found = UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: place + 8, as: UInt64.self))
        // A number near the one wanted is rare enough to read on.
        if found >= sequence, found - sequence < 1 << 32, ArchiveFrame(bytes, at: place) != nil { return true }
        place += 1
      }
      return false
    }
  }
}
