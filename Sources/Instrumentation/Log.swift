import Glibc
import Synchronization

/// How much a line matters.
package enum LogLevel: Int, Sendable, Comparable, CaseIterable {
  case debug, info, warning, error

  package static func < (left: LogLevel, right: LogLevel) -> Bool { left.rawValue < right.rawValue }

  /// The word in configuration and in the line.
  package var name: String {
    switch self {
    case .debug: "debug"
    case .info: "info"
    case .warning: "warning"
    case .error: "error"
    }
  }

  /// The level called `name`, or nil.
  package init?(name: String) {
    guard let level = Self.allCases.first(where: { $0.name == name }) else { return nil }
    self = level
  }
}

/// The value of one field of a line. Never a patient's name, a payload or free text from outside; never a secret.
package enum LogValue: Sendable, Hashable, ExpressibleByStringLiteral, ExpressibleByIntegerLiteral,
  ExpressibleByFloatLiteral, ExpressibleByBooleanLiteral, ExpressibleByStringInterpolation
{
  case string(String)
  case int(Int64)
  case double(Double)
  case bool(Bool)

  package init(stringLiteral value: String) { self = .string(value) }
  package init(integerLiteral value: Int64) { self = .int(value) }
  package init(floatLiteral value: Double) { self = .double(value) }
  package init(booleanLiteral value: Bool) { self = .bool(value) }
  package init(_ value: some BinaryInteger) { self = .int(Int64(clamping: value)) }
  package init(_ value: String) { self = .string(value) }
}

package typealias LogFields = KeyValuePairs<StaticString, LogValue>

/// Log lines: one JSON object a line, written in one piece, at most `lineBytesMax` bytes.
///
/// Lines are for people and cold paths; what happens per sample is counted, not logged. The message and the keys are
/// compiled in, so that only values can come from outside, and callers keep personal data out of those.
package final class Log: Sendable {
  /// A write to a pipe of this size or less is never torn by another writer.
  package static let lineBytesMax = 4_096
  /// Distinct limited messages remembered; further ones share one place.
  static let limitedMax = 256

  private struct Limited {
    var level: LogLevel
    var room: StaticString
    var message: StaticString
    var lastNanoseconds: UInt64
    var suppressed: Int
  }

  private let minimum: Atomic<Int>
  private let clock: any ServiceClock
  private let sink: @Sendable ([UInt8]) -> Void
  private let limits = Mutex<[String: Limited]>([:])

  /// Writes lines of `level` and above to `sink`, by default standard error. `sink` gets a whole line with its newline,
  /// on the caller's thread.
  package init(
    level: LogLevel = .info, clock: any ServiceClock = SystemClock(),
    sink: @escaping @Sendable ([UInt8]) -> Void = writeToStandardError
  ) {
    minimum = Atomic(level.rawValue)
    self.clock = clock
    self.sink = sink
  }

  /// The lowest level that is written; may change while running.
  package var level: LogLevel {
    get { LogLevel(rawValue: minimum.load(ordering: .relaxed)) ?? .info }
    set { minimum.store(newValue.rawValue, ordering: .relaxed) }
  }

  package func debug(_ room: StaticString, _ message: StaticString, _ fields: LogFields = [:]) {
    write(.debug, room, message, fields)
  }

  package func info(_ room: StaticString, _ message: StaticString, _ fields: LogFields = [:]) {
    write(.info, room, message, fields)
  }

  package func warning(_ room: StaticString, _ message: StaticString, _ fields: LogFields = [:]) {
    write(.warning, room, message, fields)
  }

  package func error(_ room: StaticString, _ message: StaticString, _ fields: LogFields = [:]) {
    write(.error, room, message, fields)
  }

  /// Writes one line, if its level is written at all.
  package func write(
    _ level: LogLevel, _ room: StaticString, _ message: StaticString, _ fields: LogFields = [:]
  ) {
    guard level >= self.level else { return }
    emit(level, room, message, fields, suppressed: 0)
  }

  /// Writes the first line of this room and message at once and then at most one every `seconds`, with the number of
  /// lines left out since as `suppressed`.
  package func limited(
    _ level: LogLevel, every seconds: Int, _ room: StaticString, _ message: StaticString, _ fields: LogFields = [:]
  ) {
    guard level >= self.level else { return }
    let now = clock.monotonicNanoseconds()
    let suppressed: Int? = limits.withLock { limits in
      var key = "\(room)\u{0}\(message)"
      if limits[key] == nil, limits.count >= Self.limitedMax { key = "" }
      guard var known = limits[key] else {
        limits[key] = Limited(level: level, room: room, message: message, lastNanoseconds: now, suppressed: 0)
        return 0
      }
      // A sum, not a difference: another thread may have read the clock later and come here first.
      guard now >= known.lastNanoseconds + UInt64(max(seconds, 0)) * 1_000_000_000 else {
        known.suppressed += 1
        limits[key] = known
        return nil
      }
      let count = known.suppressed
      known.lastNanoseconds = now
      known.suppressed = 0
      limits[key] = known
      return count
    }
    if let suppressed { emit(level, room, message, fields, suppressed: suppressed) }
  }

  /// Writes one line for each limited message that still owes a count; call at shutdown, or now and then.
  package func flushSuppressed() {
    let owed = limits.withLock { limits in
      let owed = limits.filter { $0.value.suppressed > 0 }
      for key in owed.keys { limits[key]?.suppressed = 0 }
      return owed.sorted { $0.key < $1.key }.map(\.value)
    }
    for line in owed { emit(line.level, line.room, line.message, [:], suppressed: line.suppressed) }
  }

  private func emit(
    _ level: LogLevel, _ room: StaticString, _ message: StaticString, _ fields: LogFields, suppressed: Int
  ) {
    var line = LogLine()
    line.append("time", .string(timestampText(milliseconds: clock.wallMilliseconds())))
    line.append("level", .string(level.name))
    line.append("room", .string("\(room)"))
    line.append("message", .string("\(message)"))
    if suppressed > 0 { line.append("suppressed", LogValue(suppressed)) }
    for (key, value) in fields { line.append("\(key)", value) }
    sink(line.finish())
  }
}

/// Writes a whole line to descriptor 2 in one call; a log that cannot be written is given up rather than waited for.
package func writeToStandardError(_ line: [UInt8]) {
  line.withUnsafeBytes { bytes in
    while write(STDERR_FILENO, bytes.baseAddress, bytes.count) == -1, errno == EINTR {}
  }
}
