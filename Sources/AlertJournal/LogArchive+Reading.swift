import KeyValueStore

/// How far an archived log could be read.
struct ArchiveEnd: Hashable, Sendable {
  /// The change after the last one read.
  var next: UInt64
  /// Where the log goes on behind a gap; nil when nothing follows.
  var behindGap: UInt64?
  /// Bytes there are not what was written: more had been archived.
  var isDamaged = false
}

extension LogArchive {
  /// Gives archived batches of an epoch from a sequence number on, in order, until `body` returns false.
  ///
  /// - Returns: where the unbroken log ends; nil for an end that `body` chose.
  static func read(
    folder: String, from sequence: UInt64, _ body: (ArchiveFrame) throws(BackupError) -> Bool
  ) throws(BackupError) -> ArchiveEnd? {
    var end = ArchiveEnd(next: sequence)
    let segments = try segments(in: folder)
    for (index, segment) in segments.enumerated() {
      if index + 1 < segments.count, segments[index + 1].first <= end.next { continue }
      guard segment.first <= end.next else {
        end.behindGap = segment.first
        return end
      }
      var isBroken = false
      let ending = try segment.read { (frame) throws(BackupError) in
        guard frame.logged.next > end.next else { return true }
        // A batch is applied whole or not at all.
        guard frame.logged.sequence == end.next else {
          isBroken = true
          return false
        }
        guard try body(frame) else { return false }
        end.next = frame.logged.next
        return true
      }
      if isBroken {
        end.isDamaged = true
        return end
      }
      guard let ending else { return nil }
      end.isDamaged = ending.isDamaged && ending.next <= end.next
    }
    return end
  }
}
