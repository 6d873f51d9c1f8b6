import Foundation
import VitalModel

/// The local time of one zone: shifts are written in it. Asks no clock; every instant is handed in.
///
/// Zones are those of the IANA database that the toolchain's Foundation carries, by their region/city names, and `UTC`.
package struct WallClock: Hashable, Sendable {
  /// Which of two instants a local time stands for where it comes twice.
  package enum Edge: Sendable {
    /// A shift that begins inside a repeated hour begins the first time.
    case begin
    /// A shift that ends inside a repeated hour ends the last time.
    case end
  }

  /// The zone's name, as written.
  package let zone: String
  private let timeZone: TimeZone

  /// - Returns: nil for a name the database does not have; abbreviations and fixed offsets know no daylight saving and
  ///   are refused too.
  package init?(_ zone: String) {
    guard zone == "UTC" || zone.contains("/"), let timeZone = TimeZone(identifier: zone) else { return nil }
    self.zone = zone
    self.timeZone = timeZone
  }

  /// Names to suggest.
  static var zones: [String] { TimeZone.knownTimeZoneIdentifiers + ["UTC"] }

  /// The local calendar date, days since 1970-01-01, at an instant in milliseconds since 1970.
  package func day(at time: Int64) -> Int {
    let second = DecimalFloor.divide(time, 1000)
    return Int(DecimalFloor.divide(second + offset(at: second), 86_400))
  }

  /// The instant, milliseconds since 1970, of so many minutes after local midnight of a date by the clock on the wall.
  ///
  /// A time the clock skips is the first instant after the skip; of one it shows twice `edge` says which.
  ///
  /// - Parameters:
  ///   - day: days since 1970-01-01.
  ///   - minute: 0...1440; 1440 is the next midnight.
  package func instant(day: Int, minute: Int, _ edge: Edge) -> Int64 {
    let written = Int64(day) * 86_400 + Int64(minute) * 60
    // No zone is a day away from UTC, and no two changes are within two days: these are the only offsets in question.
    let candidates = [offset(at: written - 86_400), offset(at: written + 86_400)].map { (offset: $0, at: written - $0) }
    let shown = candidates.filter { offset(at: $0.at) == $0.offset }.map(\.at)
    let second = (edge == .begin ? shown.min() : shown.max()) ?? changeBetween(candidates.map(\.at))
    return second * 1000
  }

  /// Seconds east of UTC at an instant in seconds since 1970.
  private func offset(at second: Int64) -> Int64 {
    Int64(timeZone.secondsFromGMT(for: Date(timeIntervalSince1970: Double(second))))
  }

  /// The first second of the new offset, between two instants of which only the later has it. O(log of their distance).
  private func changeBetween(_ instants: [Int64]) -> Int64 {
    guard var low = instants.min(), var high = instants.max() else { return 0 }
    let old = offset(at: low)
    while high - low > 1 {
      let middle = low + (high - low) / 2
      if offset(at: middle) == old { low = middle } else { high = middle }
    }
    return high
  }
}
