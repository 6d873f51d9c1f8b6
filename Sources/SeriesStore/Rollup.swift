import ChunkCoding
import VitalModel

/// How finely a scan looks.
package enum SeriesResolution: String, Hashable, Sendable, CaseIterable {
  case raw
  case minute = "1m"
  case quarter = "15m"
  case hour = "1h"

  /// Length of a bucket, ms; 0 for raw.
  package var width: Int64 {
    switch self {
    case .raw: 0
    case .minute: 60_000
    case .quarter: 900_000
    case .hour: 3_600_000
    }
  }

  /// The finest resolution that gives at most `points` values a series over `from..<to` ms at one value a second.
  package static func automatic(from: Int64, to: Int64, points: Int = 2000) -> SeriesResolution {
    let (length, overflow) = to.subtractingReportingOverflow(from)
    guard !overflow else { return .hour }
    return allCases.first { length / max(1000, $0.width) <= Int64(points) } ?? .hour
  }
}

/// What one column of a group held in one bucket of event time, values that a correction replaced left out.
///
/// Numbers are in units of 10^`exponent`. Finer than 10^-6 is rounded, half away from zero, so that sums fit.
package struct RollupCell: Hashable, Sendable {
  package var column: ChunkColumn
  package var exponent: Int8
  package var count: Int64
  package var min: Int64
  package var max: Int64
  package var sum: Int64
  /// The value with the greatest event time.
  package var last: Int64

  package var minValue: DecimalValue { DecimalValue(mantissa: min, exponent: exponent) }
  package var maxValue: DecimalValue { DecimalValue(mantissa: max, exponent: exponent) }
  package var lastValue: DecimalValue { DecimalValue(mantissa: last, exponent: exponent) }

  /// The mean of the values.
  package var mean: Double {
    guard count > 0 else { return .nan }
    let mean = Double(sum) / Double(count)
    return exponent < 0
      ? mean / Double(DecimalValue.powerOfTen(Int(-exponent))) : mean * Double(DecimalValue.powerOfTen(Int(exponent)))
  }

  /// The first value of a bucket.
  init(_ column: ChunkColumn, _ value: DecimalValue) {
    self.column = column
    exponent = Swift.min(RollupCell.exponents.upperBound, Swift.max(value.exponent, RollupCell.exponents.lowerBound))
    let number = RollupCell.scaled(value, to: exponent)
    (count, min, max, sum, last) = (1, number, number, number, number)
  }

  init(column: ChunkColumn, exponent: Int8, count: Int64, min: Int64, max: Int64, sum: Int64, last: Int64) {
    self.column = column
    self.exponent = exponent
    (self.count, self.min, self.max, self.sum, self.last) = (count, min, max, sum, last)
  }

  static let exponents: ClosedRange<Int8> = -6...18

  /// A value in units of 10^`exponent`, rounded where it is finer and held to 64 bits where it is larger: no vital sign is.
  static func scaled(_ value: DecimalValue, to exponent: Int8) -> Int64 {
    scaled(value.mantissa, by: Int(value.exponent) - Int(exponent))
  }

  /// `number` times 10^`shift`.
  private static func scaled(_ number: Int64, by shift: Int) -> Int64 {
    if shift == 0 { return number }
    if shift > 0 {
      guard shift <= 18 else { return number == 0 ? 0 : number < 0 ? .min : .max }
      let (product, overflow) = number.multipliedReportingOverflow(by: DecimalValue.powerOfTen(shift))
      return overflow ? (number < 0 ? .min : .max) : product
    }
    guard shift >= -18 else { return 0 }
    let (quotient, rest) = number.quotientAndRemainder(dividingBy: DecimalValue.powerOfTen(-shift))
    let half = DecimalValue.powerOfTen(-shift) / 2
    if rest >= half { return quotient + 1 }
    return rest <= -half ? quotient - 1 : quotient
  }

  /// The same figures in a finer unit.
  mutating func rescale(to finer: Int8) {
    let shift = Int(exponent) - Int(finer)
    guard shift > 0 else { return }
    exponent = finer
    min = RollupCell.scaled(min, by: shift)
    max = RollupCell.scaled(max, by: shift)
    sum = RollupCell.scaled(sum, by: shift)
    last = RollupCell.scaled(last, by: shift)
  }

  /// Takes in a later value.
  mutating func add(_ value: DecimalValue) { add(RollupCell(column, value)) }

  /// Takes in figures of later values of the same column.
  mutating func add(_ later: RollupCell) {
    var later = later
    rescale(to: later.exponent)
    later.rescale(to: exponent)
    count = count.addingClamped(later.count)
    min = Swift.min(min, later.min)
    max = Swift.max(max, later.max)
    sum = sum.addingClamped(later.sum)
    last = later.last
  }

  /// The same figures in the coarsest unit that holds them, but not above 1: equal contents look equal however they came
  /// about.
  var normalised: RollupCell {
    var cell = self
    cell.rescale(to: Swift.min(cell.exponent, 0))
    while cell.exponent < 0,
      cell.min % 10 == 0, cell.max % 10 == 0, cell.sum % 10 == 0, cell.last % 10 == 0
    {
      cell.exponent += 1
      cell.min /= 10
      cell.max /= 10
      cell.sum /= 10
      cell.last /= 10
    }
    return cell
  }

  /// By code, source and unit.
  static func precedes(_ left: RollupCell, _ right: RollupCell) -> Bool { left.rank < right.rank }

  var rank: UInt64 {
    UInt64(column.code.index) << 24 | UInt64(column.source) << 8 | UInt64(column.unit)
  }
}

/// One bucket of one group.
package struct RollupRow: Hashable, Sendable {
  /// Start of the bucket, a multiple of its width since 1970, ms.
  package var time: Int64
  /// By code, source and unit; not empty.
  package var cells: [RollupCell]

  package init(time: Int64, cells: [RollupCell]) {
    self.time = time
    self.cells = cells
  }
}

/// Adds up rows, which come by event time, to buckets.
struct BucketSum {
  let width: Int64
  /// Start of the bucket under way; nil before the first row.
  private(set) var start: Int64?
  private var cells: [RollupCell] = []

  init(width: Int64) { self.width = width }

  /// The bucket of an event time.
  static func start(of time: Int64, width: Int64) -> Int64 {
    let (start, overflow) = time.flooredQuotient(by: width).multipliedReportingOverflow(by: width)
    return overflow ? .min : start
  }

  /// Takes in a row.
  ///
  /// - Returns: the bucket before, when this row begins another.
  mutating func add(_ row: SeriesRow) -> RollupRow? {
    let bucket = BucketSum.start(of: row.time, width: width)
    let done = bucket == start ? nil : finish()
    start = bucket
    for cell in row.cells where !cell.isSuperseded { add(RollupCell(cell.column, cell.cell.value)) }
    return done
  }

  /// Takes in figures of the bucket that begins at `time` or of a part of it.
  mutating func add(_ row: RollupRow) -> RollupRow? {
    let bucket = BucketSum.start(of: row.time, width: width)
    let done = bucket == start ? nil : finish()
    start = bucket
    for cell in row.cells { add(cell) }
    return done
  }

  private mutating func add(_ cell: RollupCell) {
    for index in cells.indices where cells[index].column == cell.column {
      cells[index].add(cell)
      return
    }
    cells.append(cell)
  }

  /// The bucket under way; nil when it is empty.
  mutating func finish() -> RollupRow? {
    defer {
      cells.removeAll(keepingCapacity: true)
      start = nil
    }
    guard let start, !cells.isEmpty else { return nil }
    return RollupRow(time: start, cells: cells.map(\.normalised).sorted(by: RollupCell.precedes))
  }
}
