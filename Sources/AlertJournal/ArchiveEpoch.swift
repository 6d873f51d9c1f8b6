import Glibc
import KeyValueStore

/// One history of a store's log in a backup set. A store that lost its end gives the numbers of the lost changes to others:
/// what it writes from then on goes to an epoch of its own, so that two histories are never applied after each other.
///
/// The first lies in `journal/IDENTITY`, each later one in `journal/IDENTITY/epoch-N`, with the time it began in `began`.
struct ArchiveEpoch: Hashable, Sendable {
  /// Counts from 1.
  var number: Int
  var folder: String
  /// Milliseconds since 1970; `.min` for the first.
  var began: Int64
  /// Last journal position of the store then; nil when not known.
  var position: UInt64?

  private static let prefix = "epoch-"

  /// All of one store, oldest first; the first is there even if nothing is in it.
  ///
  /// - Parameter root: `journal/IDENTITY`.
  static func all(in root: String) throws(BackupError) -> [ArchiveEpoch] {
    var found = [ArchiveEpoch(number: 1, folder: root, began: .min)]
    for name in try BackupFiles.names(root) where name.hasPrefix(prefix) {
      guard let number = Int(name.dropFirst(prefix.count)), number > 1 else { continue }
      let mark = root + "/" + name + "/began"
      // Cut off while it was begun: nothing is in it.
      guard BackupFiles.exists(mark) else { continue }
      let text = String(decoding: try BackupFiles.read(mark, limit: 64), as: UTF8.self)
      let words = text.split(whereSeparator: \.isWhitespace)
      guard let began = words.first.flatMap({ Int64($0) }) else {
        throw .damaged(path: mark, "it holds no time; write the milliseconds since 1970 when this history began")
      }
      let position = words.count > 1 ? UInt64(words[1]) : nil
      found.append(ArchiveEpoch(number: number, folder: root + "/" + name, began: began, position: position))
    }
    return found.sorted { $0.number < $1.number }
  }

  /// Begins the next one; it is there for good once this returns.
  ///
  /// - Parameter position: last journal position of the store; nil when it went on meanwhile.
  static func begin(
    after last: ArchiveEpoch, in root: String, position: UInt64?, now: Int64
  ) throws(BackupError) -> ArchiveEpoch {
    let digits = String(last.number + 1)
    let folder = root + "/" + prefix + String(repeating: "0", count: max(0, 6 - digits.count)) + digits
    try BackupFiles.makeFolder(folder)
    try BackupFiles.write(
      Array("\(now) \(position.map(String.init) ?? "none")\n".utf8), to: folder + "/began", in: folder)
    try BackupFiles.syncFolder(root)
    return ArchiveEpoch(number: last.number + 1, folder: folder, began: now, position: position)
  }

  /// The history a backup belongs to; nil when the archive has none that goes on from it.
  ///
  /// By its time; but a backup made after the store lost its end, and before the archive saw that, is of the next one if that
  /// begins right behind it. Its journal position tells: none is given out twice.
  static func holding(_ facts: BackupFacts, in root: String) throws(BackupError) -> ArchiveEpoch? {
    let epochs = try all(in: root)
    guard let place = epochs.lastIndex(where: { $0.began <= facts.time }) else { return nil }
    if place + 1 < epochs.count, epochs[place + 1].position == facts.position {
      let next = epochs[place + 1]
      if try LogArchive.segments(in: next.folder).first?.first == facts.sequence + 1 { return next }
    }
    return try epochs[place].agrees(with: facts) ? epochs[place] : nil
  }

  /// Whether the log around a backup's place is the one the backed up store wrote, as far as it is still there.
  private func agrees(with facts: BackupFacts) throws(BackupError) -> Bool {
    let segments = try LogArchive.segments(in: folder)
    guard let near = segments.lastIndex(where: { $0.first <= facts.sequence }) else { return true }
    var agrees = true
    // Last journal position logged up to the backup's place, once the log is known to reach there.
    var position: UInt64?
    var isReached = false
    for segment in segments[near...] {
      let end = try segment.read { (frame) throws(BackupError) in
        let last = frame.logged.next - 1
        if last >= facts.sequence { isReached = true }
        if frame.logged.sequence <= facts.sequence, last > facts.sequence { agrees = false }
        guard let note = frame.note else { return agrees }
        if last <= facts.sequence {
          position = note.last
          return true
        }
        if note.last <= facts.position { agrees = false }
        return false
      }
      guard end != nil, agrees else { break }
    }
    if isReached, let position, position != facts.position { agrees = false }
    return agrees
  }
}

/// A place behind which the archived log cannot be reached by applying it to a backup made before: kept in the archive until
/// a backup past it exists.
struct ArchiveGap: Hashable, Sendable {
  /// First change that is archived behind it.
  var sequence: UInt64
  /// When it was found, milliseconds since 1970.
  var time: Int64

  private static func path(_ root: String) -> String { root + "/gap" }

  static func read(in root: String) throws(BackupError) -> ArchiveGap? {
    guard BackupFiles.exists(path(root)) else { return nil }
    let text = String(decoding: try BackupFiles.read(path(root), limit: 128), as: UTF8.self)
    let words = text.split(whereSeparator: \.isWhitespace)
    guard words.count == 2, let sequence = UInt64(words[0]), let time = Int64(words[1]) else {
      // Unreadable, it still says that a backup is needed: any made from now on will do.
      return ArchiveGap(sequence: 0, time: BackupFiles.facts(path(root)).map { $0.modified / 1_000_000 } ?? 0)
    }
    return ArchiveGap(sequence: sequence, time: time)
  }

  func write(in root: String) throws(BackupError) {
    try BackupFiles.write(Array("\(sequence) \(time)\n".utf8), to: ArchiveGap.path(root), in: root)
  }

  static func remove(in root: String) { unlink(path(root)) }

  /// Whether a backup of the same store lies past it.
  func isPassed(by facts: BackupFacts) -> Bool { facts.time >= time && facts.sequence + 1 >= sequence }
}
