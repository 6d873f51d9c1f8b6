/// When the device measured: milliseconds since 1970-01-01T00:00:00Z. Windows use event time only.
package struct EventTime: Hashable, Comparable, Sendable, BitwiseCopyable {
  package var milliseconds: Int64
  @inlinable package init(milliseconds: Int64) { self.milliseconds = milliseconds }
  @inlinable package static func < (a: EventTime, b: EventTime) -> Bool { a.milliseconds < b.milliseconds }
}

/// When Vigil received: milliseconds since 1970-01-01T00:00:00Z.
package struct IngestTime: Hashable, Comparable, Sendable, BitwiseCopyable {
  package var milliseconds: Int64
  @inlinable package init(milliseconds: Int64) { self.milliseconds = milliseconds }
  @inlinable package static func < (a: IngestTime, b: IngestTime) -> Bool { a.milliseconds < b.milliseconds }
}

/// RFC 3339 text to milliseconds since 1970 and back, without a calendar library (proleptic Gregorian, UTC).
package enum Timestamp {
  /// The earliest and latest instants accepted from outside: years 1900 to 2200. A clock beyond is broken, and the
  /// bound keeps every later sum of times and durations far from overflow.
  package static let accepted: ClosedRange<Int64> = -2_208_988_800_000...7_258_118_400_000

  /// Days since 1970-01-01 of a civil date (Howard Hinnant, "chrono-compatible low-level date algorithms").
  package static func days(year: Int, month: Int, day: Int) -> Int {
    let y = month <= 2 ? year - 1 : year
    let era = (y >= 0 ? y : y - 399) / 400
    let yearOfEra = y - era * 400
    let dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
    let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
    return era * 146097 + dayOfEra - 719468
  }

  static func civil(days: Int) -> (year: Int, month: Int, day: Int) {
    let z = days + 719468
    let era = (z >= 0 ? z : z - 146096) / 146097
    let dayOfEra = z - era * 146097
    let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36524 - dayOfEra / 146096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let mp = (5 * dayOfYear + 2) / 153
    let month = mp < 10 ? mp + 3 : mp - 9
    return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, dayOfYear - (153 * mp + 2) / 5 + 1)
  }

  static func daysInMonth(_ month: Int, year: Int) -> Int {
    switch month {
    case 2: year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28
    case 4, 6, 9, 11: 30
    default: 31
    }
  }

  /// Milliseconds since 1970 of RFC 3339 text with an offset (`2026-11-20T22:38:00.123Z`); a leap second counts as the
  /// second before it; digits past the millisecond are cut.
  ///
  /// - Returns: nil if the text is not a valid date-time with offset or lies outside ``accepted``.
  package static func parse(_ text: UnsafeRawBufferPointer) -> Int64? {
    guard text.count >= 20 else { return nil }
    func number(_ range: Range<Int>) -> Int? {
      var value = 0
      for index in range {
        let byte = text[index]
        guard byte >= 48, byte <= 57 else { return nil }
        value = value * 10 + Int(byte) - 48
      }
      return value
    }
    func isByte(_ index: Int, _ allowed: Unicode.Scalar...) -> Bool {
      allowed.contains { UInt8(ascii: $0) == text[index] }
    }
    guard let year = number(0..<4), isByte(4, "-"), let month = number(5..<7), isByte(7, "-"),
      let day = number(8..<10), isByte(10, "T", "t", " "), let hour = number(11..<13), isByte(13, ":"),
      let minute = number(14..<16), isByte(16, ":"), let second = number(17..<19),
      (1...12).contains(month), day >= 1, day <= daysInMonth(month, year: year), hour < 24, minute < 60, second <= 60
    else { return nil }
    var index = 19
    var fraction = 0
    if isByte(index, ".") {
      var digits = 0
      index += 1
      while index < text.count, text[index] >= 48, text[index] <= 57 {
        if digits < 3 { fraction = fraction * 10 + Int(text[index]) - 48 }
        digits += 1
        index += 1
      }
      guard digits > 0 else { return nil }
      while digits < 3 {
        fraction *= 10
        digits += 1
      }
    }
    guard index < text.count else { return nil }
    var offsetMinutes = 0
    if isByte(index, "Z", "z") {
      guard index + 1 == text.count else { return nil }
    } else {
      guard isByte(index, "+", "-"), index + 6 == text.count, let oh = number(index + 1..<index + 3),
        isByte(index + 3, ":"), let om = number(index + 4..<index + 6), oh < 24, om < 60
      else { return nil }
      offsetMinutes = (oh * 60 + om) * (text[index] == UInt8(ascii: "-") ? -1 : 1)
    }
    let seconds = days(year: year, month: month, day: day) * 86400 + hour * 3600 + minute * 60 + min(second, 59)
    let result = Int64(seconds - offsetMinutes * 60) * 1000 + Int64(fraction)
    return accepted.contains(result) ? result : nil
  }

  /// As ``parse(_:)-(UnsafeRawBufferPointer)``, from a string.
  package static func parse(_ text: String) -> Int64? {
    var copy = text
    return copy.withUTF8 { parse(UnsafeRawBufferPointer($0)) }
  }

  /// RFC 3339 in UTC with milliseconds, `2026-11-20T22:38:00.123Z`.
  package static func format(_ milliseconds: Int64) -> String {
    let seconds = DecimalFloor.divide(milliseconds, 1000)
    let millis = Int(milliseconds - seconds * 1000)
    let day = DecimalFloor.divide(seconds, 86400)
    let rest = Int(seconds - day * 86400)
    let date = civil(days: Int(day))
    func two(_ n: Int) -> String { n < 10 ? "0\(n)" : "\(n)" }
    func three(_ n: Int) -> String { n < 10 ? "00\(n)" : n < 100 ? "0\(n)" : "\(n)" }
    let year = String(date.year)
    let paddedYear = String(repeating: "0", count: max(0, 4 - year.count)) + year
    return "\(paddedYear)-\(two(date.month))-\(two(date.day))T\(two(rest / 3600)):\(two(rest / 60 % 60)):"
      + "\(two(rest % 60)).\(three(millis))Z"
  }
}

package enum DecimalFloor {
  package static func divide(_ a: Int64, _ b: Int64) -> Int64 {
    let quotient = a / b
    return a % b < 0 ? quotient - 1 : quotient
  }
}

/// A length of time written as in rules and configuration: `250ms`, `15s`, `10m`, `12h`, `7d`, `52w`.
package enum DurationText {
  /// Milliseconds, or nil if the text is not a whole number followed by one of ms, s, m, h, d, w (at most 100 years).
  package static func parse(_ text: some StringProtocol) -> Int64? {
    let digits = text.prefix { $0.isASCII && $0.isNumber }
    guard !digits.isEmpty, let count = Int64(digits), count < 4_000_000_000_000 else { return nil }
    let factor: Int64
    switch text.dropFirst(digits.count) {
    case "ms": factor = 1
    case "s": factor = 1000
    case "m", "min": factor = 60_000
    case "h": factor = 3_600_000
    case "d": factor = 86_400_000
    case "w": factor = 604_800_000
    default: return nil
    }
    let (product, overflow) = count.multipliedReportingOverflow(by: factor)
    return overflow || product > 3_155_760_000_000 ? nil : product
  }

  /// The shortest exact form: 15000 → `15s`.
  package static func format(_ milliseconds: Int64) -> String {
    for (factor, unit) in [(604_800_000, "w"), (86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1000, "s")]
    where milliseconds != 0 && milliseconds % Int64(factor) == 0 {
      return "\(milliseconds / Int64(factor))\(unit)"
    }
    return milliseconds == 0 ? "0s" : "\(milliseconds)ms"
  }
}
