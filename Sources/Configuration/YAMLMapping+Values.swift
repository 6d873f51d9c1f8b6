import VitalModel
import YAMLText

extension YAMLMapping {
  /// A length of time (`15s`, `12h`) in `range` milliseconds.
  package func duration(
    _ key: String, in range: ClosedRange<Int64> = 0...Int64.max, _ problems: inout Problems
  ) -> Int64? {
    value(key, &problems).flatMap { Self.duration($0, of: key, in: range, &problems) }
  }

  package static func duration(
    _ node: YAMLNode, of key: String, in range: ClosedRange<Int64> = 0...Int64.max, _ problems: inout Problems
  ) -> Int64? {
    var expected = "a duration such as 250ms, 15s, 10m, 12h or 7d"
    if range.lowerBound > 0 || range.upperBound < .max {
      let upper = range.upperBound < .max ? " to \(DurationText.format(range.upperBound))" : " upwards"
      expected += " from \(DurationText.format(range.lowerBound))\(upper)"
    }
    return parsed(node, of: key, as: expected, &problems) { text in
      DurationText.parse(text).flatMap { range.contains($0) ? $0 : nil }
    }
  }

  /// A number, exactly as written.
  package func decimal(_ key: String, _ problems: inout Problems) -> DecimalValue? {
    read(key, as: "a number", &problems) { DecimalValue($0) }
  }

  /// An RFC 3339 time with offset, milliseconds since 1970.
  package func time(_ key: String, _ problems: inout Problems) -> Int64? {
    read(key, as: "a time such as 2026-11-20T22:38:00Z", &problems) { Timestamp.parse($0) }
  }
}
