import VitalModel

/// Order statistics.
package enum Quantile {
  /// The smallest value with at least this share (above 0, at most 1) of all at or below it: always one that was seen.
  ///
  /// - Returns: nil where there is none.
  package static func nearestRank<Value: Comparable>(_ share: Double, of sorted: [Value]) -> Value? {
    guard !sorted.isEmpty else { return nil }
    let rank = Int((share * Double(sorted.count)).rounded(.up))
    return sorted[min(sorted.count, max(1, rank)) - 1]
  }
}

/// A week of ISO 8601: Monday to Sunday in UTC, in the year its Thursday lies in.
package struct ISOWeek: Hashable, Comparable, Sendable {
  package var year: Int
  package var week: Int
  /// Days since 1970-01-01 of its Monday.
  package var firstDay: Int

  /// The week of an instant, milliseconds since 1970.
  package init(of time: Int64) {
    let day = Int(DecimalFloor.divide(time, 86_400_000))
    // 1970-01-01 was a Thursday.
    firstDay = Int(DecimalFloor.divide(Int64(day) + 3, 7)) * 7 - 3
    let thursday = firstDay + 3
    // Never too late a year to begin the search with.
    var year = 1970 + Int(DecimalFloor.divide(Int64(thursday), thursday < 0 ? 365 : 366))
    while Timestamp.days(year: year + 1, month: 1, day: 1) <= thursday { year += 1 }
    self.year = year
    week = (thursday - Timestamp.days(year: year, month: 1, day: 1)) / 7 + 1
  }

  /// Its first and the instant after its last, milliseconds.
  package var range: Range<Int64> {
    let start = Int64(firstDay) * 86_400_000
    return start..<start + 7 * 86_400_000
  }

  /// As ISO 8601 writes it: `2026-W47`.
  package var text: String { "\(year)-W\(week < 10 ? "0" : "")\(week)" }

  package static func < (a: ISOWeek, b: ISOWeek) -> Bool { a.firstDay < b.firstDay }
}
