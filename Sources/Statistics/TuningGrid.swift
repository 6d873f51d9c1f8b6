import VitalModel

/// One number that is tried at several values.
package struct TuningAxis: Hashable, Sendable {
  package var rule: String
  /// A parameter, or a key such as `for`.
  package var name: String
  /// As people write it: `limit`, with several rules `spo2-low.limit`.
  package var label: String
  /// Distinct, in the order given; durations in milliseconds.
  package var values: [DecimalValue]
  package var isDuration: Bool

  package init(rule: String, name: String, label: String, values: [DecimalValue], isDuration: Bool) {
    self.rule = rule
    self.name = name
    self.label = label
    self.values = values
    self.isDuration = isDuration
  }

  package func text(_ value: DecimalValue) -> String {
    isDuration ? DurationText.format(Int64(value.double)) : value.normalized.description
  }

  /// A mistake in the values of a sweep: the part that is wrong, and why.
  package enum Mistake: Error, Hashable, Sendable {
    /// Neither a number nor a duration.
    case notANumber(String)
    /// Numbers and durations beside each other.
    case mixed
    /// `from:to:step` needs three parts, a step above zero and an end not before its begin.
    case badRange
    case tooMany
    case twice(String)
  }

  /// Values of one axis may be at most so many.
  package static let valuesMax = 10_000

  /// `85:95:1` or `85|88|90`, in exact decimals; durations as `0s:60s:5s`. The end of a range is among its values only where
  /// a step meets it.
  package static func values(_ text: String) throws(Mistake) -> (values: [DecimalValue], isDuration: Bool) {
    let isRange = text.contains(":")
    let parts = text.split(separator: isRange ? ":" : "|", omittingEmptySubsequences: false).map(String.init)
    var numbers: [DecimalValue] = []
    var kinds: Set<Bool> = []
    for part in parts {
      if let number = DecimalValue(part) {
        numbers.append(number.normalized)
        // Nothing is nothing in any unit.
        if number.mantissa != 0 { kinds.insert(false) }
      } else if let duration = DurationText.parse(part) {
        numbers.append(DecimalValue(mantissa: duration).normalized)
        kinds.insert(true)
      } else {
        throw .notANumber(part)
      }
    }
    guard kinds.count <= 1 else { throw .mixed }
    let isDuration = kinds.first ?? false
    guard isRange else {
      var seen: Set<DecimalValue> = []
      for (number, part) in zip(numbers, parts) where !seen.insert(number).inserted { throw .twice(part) }
      guard numbers.count <= valuesMax else { throw .tooMany }
      return (numbers, isDuration)
    }
    guard numbers.count == 3 else { throw .badRange }
    return (try range(from: numbers[0], to: numbers[1], step: numbers[2]), isDuration)
  }

  private static func range(
    from: DecimalValue, to: DecimalValue, step: DecimalValue
  ) throws(Mistake) -> [DecimalValue] {
    let exponent = min(from.exponent, to.exponent, step.exponent)
    func whole(_ value: DecimalValue) -> Int64? {
      let digits = Int(value.exponent) - Int(exponent)
      guard digits <= 18 else { return nil }
      let (result, overflow) = value.mantissa.multipliedReportingOverflow(by: DecimalValue.powerOfTen(digits))
      return overflow || abs(result) > 1_000_000_000_000_000 ? nil : result
    }
    guard let first = whole(from), let last = whole(to), let width = whole(step), width > 0, first <= last else {
      throw .badRange
    }
    guard (last - first) / width < Int64(valuesMax) else { throw .tooMany }
    return stride(from: first, through: last, by: Int64.Stride(width)).map {
      DecimalValue(mantissa: $0, exponent: exponent).normalized
    }
  }

  /// So many values from a lowest to a highest, spread evenly and rounded to the digits of those two and one more.
  package static func spread(from low: DecimalValue, to high: DecimalValue, count: Int) -> [DecimalValue] {
    let exponent = max(-18, min(low.exponent, high.exponent, 0) - 1)
    var values: [DecimalValue] = []
    for step in 0..<max(2, count) {
      let share = Double(step) / Double(max(1, count - 1))
      let value = low.double + (high.double - low.double) * share
      let scaled = (value * Double(DecimalValue.powerOfTen(Int(-exponent)))).rounded()
      guard abs(scaled) < 1e15 else { continue }
      let rounded = DecimalValue(mantissa: Int64(scaled), exponent: exponent).normalized
      if values.last != rounded { values.append(rounded) }
    }
    return values
  }
}

/// Every combination of some axes' values, by number: the first axis changes slowest.
package struct TuningGrid: Hashable, Sendable {
  /// Settings a grid may have.
  package static let settingsMax = 100_000

  package let axes: [TuningAxis]
  package let count: Int

  /// - Returns: nil beyond ``settingsMax``, or where an axis has no value.
  package init?(_ axes: [TuningAxis]) {
    var count = 1
    for axis in axes {
      let (product, overflow) = count.multipliedReportingOverflow(by: axis.values.count)
      guard !overflow, product <= TuningGrid.settingsMax, product > 0 else { return nil }
      count = product
    }
    self.axes = axes
    self.count = count
  }

  /// One value per axis.
  package func values(_ position: Int) -> [DecimalValue] {
    var rest = position
    var values: [DecimalValue] = []
    for axis in axes.reversed() {
      values.append(axis.values[rest % axis.values.count])
      rest /= axis.values.count
    }
    return values.reversed()
  }

  /// As a person would write it.
  package func texts(_ position: Int) -> [(name: String, value: String)] {
    zip(axes, values(position)).map { ($0.label, $0.text($1)) }
  }

  /// So many different settings, each as likely as any other (Floyd 1987), in the grid's order.
  package func sample(_ trials: Int, seed: UInt64) -> [Int] {
    guard trials < count else { return Array(0..<count) }
    var sampler = Resampler(seed: seed, purpose: .settings)
    var chosen: Set<Int> = []
    for last in (count - trials)..<count {
      let candidate = sampler.index(below: last + 1)
      if !chosen.insert(candidate).inserted { chosen.insert(last) }
    }
    return chosen.sorted()
  }
}
