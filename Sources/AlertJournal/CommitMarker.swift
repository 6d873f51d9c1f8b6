import Compression
import Glibc

/// The last position known to be durable, in a small file beside the store's own: a journal that ends before it has lost
/// its end, which RocksDB does not report.
///
/// Written without sync, at most once a second: it may lag behind the journal and never runs ahead. Owned by the thread
/// that syncs the journal.
package struct CommitMarker {
  private let path: String
  private var written: UInt64 = 0
  private var writtenAtMs = Int64.min

  private static let intervalMs: Int64 = 1000
  private static let magic = Array("vigilmrk".utf8)
  private static let fileBytes = 8 + SealedValue.frameBytes + 8

  /// The marker of a store; nothing is read or written yet.
  package init(storePath: String) { path = CommitMarker.path(storePath) }

  static func path(_ storePath: String) -> String { storePath + "/last-committed" }

  /// Notes that the journal is durable through a position; written when a second has passed since the last time.
  ///
  /// - Parameter nowMs: any clock in milliseconds that does not go back.
  /// - Returns: false when the file could not be written; the journal is not affected.
  @discardableResult
  package mutating func note(_ position: UInt64, nowMs: Int64) -> Bool {
    guard position > written else { return true }
    guard writtenAtMs == .min || nowMs &- writtenAtMs >= CommitMarker.intervalMs else { return true }
    writtenAtMs = nowMs
    return write(position)
  }

  /// Writes a position at once, as at closing.
  @discardableResult
  package mutating func write(_ position: UInt64) -> Bool {
    let temporary = path + ".new"
    let bytes = CommitMarker.magic + SealedValue.seal { $0.append(littleEndian: position) }
    let file = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
    guard file >= 0 else { return false }
    let count = bytes.withUnsafeBytes { Glibc.write(file, $0.baseAddress, $0.count) }
    // Renamed, so that the file is whole in either version.
    guard close(file) == 0, count == bytes.count, rename(temporary, path) == 0 else { return false }
    written = position
    return true
  }

  /// The position on file; nil when there is none, or when the file is not whole.
  package static func read(storePath: String) -> UInt64? {
    let file = open(path(storePath), O_RDONLY | O_CLOEXEC)
    guard file >= 0 else { return nil }
    defer { close(file) }
    var bytes = [UInt8](repeating: 0, count: fileBytes + 1)
    let count = bytes.withUnsafeMutableBytes { Glibc.read(file, $0.baseAddress, $0.count) }
    guard count == fileBytes, bytes.starts(with: magic) else { return nil }
    return bytes.withUnsafeBytes { raw -> UInt64? in
      let value = UnsafeRawBufferPointer(rebasing: raw[magic.count..<fileBytes])
      return try? SealedValue.open(value, family: "last-committed", position: 0) { (reader) throws(ByteError) in
        try reader.littleEndian(UInt64.self)
      }
    }
  }
}
