import Glibc
import Instrumentation
import Synchronization
import VitalModel

/// How much room the store's disk has, and when that is worth an alert: at `store.free_warn`, and again at a third of it.
///
/// Owned by the monitor's thread; the figures may be read from any.
final class DiskWatch: Sendable {
  /// Free bytes and the share of the disk they are.
  struct Room: Equatable, Sendable {
    var bytes: UInt64
    /// In 0...1.
    var share: Double

    /// - Returns: nil when the system does not say.
    static func of(_ path: String) -> Room? {
      var status = statvfs()
      guard statvfs(path, &status) == 0, status.f_blocks > 0 else { return nil }
      return Room(
        bytes: UInt64(status.f_bavail) &* UInt64(status.f_frsize),
        share: Double(status.f_bavail) / Double(status.f_blocks))
    }
  }

  enum Level: Int, Sendable, Comparable {
    case fine, low, nearlyFull
    static func < (left: Level, right: Level) -> Bool { left.rawValue < right.rawValue }
  }

  private let bytes = Atomic<UInt64>(0)
  private let permille = Atomic<Int>(1000)
  private let state = Mutex<(level: Level, toldAt: Int64)>((.fine, .min))

  static let checkInterval: Int64 = 10_000
  /// Said again while it lasts, milliseconds.
  static let repeatInterval: Int64 = 3_600_000

  init(_ registry: MetricRegistry) {
    registry.gauge("vigil_store_free_bytes", "Bytes free on the store's disk.") {
      Double(self.bytes.load(ordering: .relaxed))
    }
    registry.gauge("vigil_store_free_ratio", "Share of the store's disk that is free, 0 to 1.") {
      Double(self.permille.load(ordering: .relaxed)) / 1000
    }
  }

  /// Takes in how much room there is.
  ///
  /// - Parameter warn: share of the disk below which it is low; 0: never.
  /// - Returns: what is to be told now; nil: nothing. A level is left only with a tenth more room than it begins with, so
  ///   that it does not flutter.
  func note(_ room: Room, warn: Double, now: Int64) -> Level? {
    bytes.store(room.bytes, ordering: .relaxed)
    permille.store(Int((room.share * 1000).rounded()), ordering: .relaxed)
    return state.withLock { state in
      func level(_ share: Double) -> Level { share < warn / 3 ? .nearlyFull : share < warn ? .low : .fine }
      let reached = max(level(room.share), min(state.level, level(room.share / 1.1)))
      let isRepeat = reached > .fine && state.toldAt != .min && now - state.toldAt >= DiskWatch.repeatInterval
      guard reached > state.level || isRepeat else {
        if reached < state.level { state = (reached, state.toldAt) }
        return nil
      }
      state = (reached, now)
      return reached
    }
  }
}
