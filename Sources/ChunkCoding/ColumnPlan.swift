import VitalModel

/// What an encoder finds out about one column before it codes it.
struct ColumnPlan {
  /// How mantissas and exponents become the coded numbers.
  enum Scale: Equatable {
    /// Every cell has the exponent of the header's figures; the numbers are the mantissas.
    case uniform
    /// The numbers are in the exponent of the header's figures; a cell's own is the smallest without a zero at the end of
    /// its digits, and at most `ceiling`, 0...-7. So 82.5, 94.67, 116 are written by most programs.
    case stripped(ceiling: Int8)
    /// The numbers are in the smallest exponent; the cells' own exponents are among the marks.
    case scaled
    /// The numbers are the mantissas, which have no common exponent in 64 bits; the exponents are among the marks.
    case bare

    /// Whether the cells' exponents stand among the marks.
    var listsExponents: Bool { self == .scaled || self == .bare }
    /// Whether it takes the header's figures to know the exponents.
    var needsFigures: Bool { !listsExponents }
  }

  var scale = Scale.uniform
  var figures: ColumnFigures?
  /// Index into `divisors`.
  var divisor = 0
  var frame = ColumnFrame()
  /// Mean |difference| in 1/16, by the predictor chosen; counted at 2^20 a cell at most.
  var unrest = 0

  /// A column's numbers are divided by one of these where all are multiples of it.
  static let divisors: [Int64] = [1, 2, 5, 10, 25, 50, 100, 1000]

  /// Looks through a column and fills `values` with its numbers, divided.
  init(_ cells: [ChunkCell], _ values: UnsafeMutablePointer<Int64>) {
    cells.withUnsafeBufferPointer { scale($0, values) }
    divide(values, count: cells.count)
    choosePredictor(values, count: cells.count)
  }

  /// The same for numbers that have no figures.
  init(dividing values: UnsafeMutablePointer<Int64>, count: Int) {
    divide(values, count: count)
    choosePredictor(values, count: count)
  }

  private mutating func scale(_ cells: UnsafeBufferPointer<ChunkCell>, _ values: UnsafeMutablePointer<Int64>) {
    let exponent = cells[0].exponent
    var isUniform = (-18...18).contains(exponent)
    for index in cells.indices {
      values[index] = cells[index].mantissa
      isUniform = isUniform && cells[index].exponent == exponent
    }
    if isUniform {
      figures = ColumnFigures(values, count: cells.count, exponent: exponent)
      if figures != nil { return }
    } else {
      figures = ColumnFigures(Array(cells))
    }
    let smallest = cells.reduce(exponent) { min($0, $1.exponent) }
    scale = .scaled
    for index in cells.indices {
      guard let number = scaledExactly(cells[index], to: smallest) else {
        scale = .bare
        break
      }
      values[index] = number
    }
    if scale == .bare {
      for index in cells.indices { values[index] = cells[index].mantissa }
    } else if figures != nil, let ceiling = ColumnPlan.ceiling(of: cells) {
      scale = .stripped(ceiling: ceiling)
    }
  }

  /// The largest exponent, if every smaller one is due to its digits.
  private static func ceiling(of cells: UnsafeBufferPointer<ChunkCell>) -> Int8? {
    let ceiling = cells.reduce(Int8.min) { max($0, $1.exponent) }
    guard (-7...0).contains(ceiling) else { return nil }
    return cells.allSatisfy { $0.exponent == ceiling || $0.mantissa % 10 != 0 } ? ceiling : nil
  }

  /// Takes the zeros off the end of a number's digits.
  static func stripped(_ number: Int64, exponent: Int8, ceiling: Int8) -> DecimalValue {
    var value = DecimalValue(mantissa: number, exponent: exponent)
    while value.exponent < ceiling {
      let (quotient, rest) = value.mantissa.quotientAndRemainder(dividingBy: 10)
      if rest != 0 { break }
      value.mantissa = quotient
      value.exponent += 1
    }
    return value
  }

  /// Divides by the largest of the divisors that leaves no rest anywhere.
  private mutating func divide(_ values: UnsafeMutablePointer<Int64>, count: Int) {
    var common: UInt64 = 0
    for index in 0..<count {
      var rest = values[index].magnitude
      if common != 0, rest % common == 0 { continue }
      while rest != 0 { (common, rest) = (rest, common % rest) }
      if common == 1 { break }
    }
    guard common > 1 else { return }
    divisor = ColumnPlan.divisors.indices.last { common % ColumnPlan.divisors[$0].magnitude == 0 } ?? 0
    guard divisor > 0 else { return }
    let number = ColumnPlan.divisors[divisor]
    for index in 0..<count { values[index] /= number }
  }

  /// The predictor with the least sum of |difference|, if it beats holding by a tenth.
  private mutating func choosePredictor(_ values: UnsafeMutablePointer<Int64>, count: Int) {
    var sums = SIMD4<UInt64>()
    var trend: Int64 = 0
    for index in 1..<max(1, count) {
      let step = values[index] &- values[index - 1]
      sums &+= SIMD4(
        min((step).magnitude, 1 << 20), min((step &- trend / 2).magnitude, 1 << 20),
        min((step &- trend).magnitude, 1 << 20), 0)
      trend = step
    }
    var best = 0
    for predictor in 1..<3 where sums[predictor] < sums[best] * 9 / 10 { best = predictor }
    frame.predictor = Predictor.allCases[best]
    unrest = Int(sums[best] * 16) / count
    frame.bound(figures, divisor: ColumnPlan.divisors[divisor])
  }
}

extension ColumnFrame {
  /// Takes over the range of the header's figures.
  ///
  /// - Returns: false where the figures are no multiples of the divisor.
  @discardableResult
  mutating func bound(_ figures: ColumnFigures?, divisor: Int64) -> Bool {
    guard let figures else { return true }
    guard figures.min % divisor == 0, figures.max % divisor == 0, figures.first % divisor == 0,
      figures.last % divisor == 0
    else { return false }
    (low, high) = (figures.min / divisor, figures.max / divisor)
    isBounded = low >= -ColumnFrame.boundMax && high <= ColumnFrame.boundMax
    return true
  }
}

extension ColumnFigures {
  /// Figures of numbers in one exponent; nil where the sum does not fit.
  init?(_ values: UnsafeMutablePointer<Int64>, count: Int, exponent: Int8) {
    self.init(exponent: exponent, min: values[0], max: values[0], sum: 0, first: values[0], last: values[count - 1])
    for index in 0..<count {
      let value = values[index]
      let (total, overflow) = sum.addingReportingOverflow(value)
      if overflow { return nil }
      sum = total
      if value < min { min = value }
      if value > max { max = value }
    }
  }
}
