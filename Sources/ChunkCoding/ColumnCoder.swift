import VitalModel

/// Codes what a column says of itself, then its numbers.
enum ColumnCoder {
  /// Codes divisor and predictor. When decoding, `divisor` and `predictor` are ignored.
  @inline(__always)
  private static func plan<Coder: BitCoder>(
    _ coder: inout Coder, _ model: BitModel, divisor: Int, predictor: Int
  ) -> (divisor: Int, predictor: Int) {
    var found = (divisor: 0, predictor: 0)
    let slots = ValueModel.plan
    if model.single(&coder, slots, (divisor != 0).bit) != 0 {
      var path = 1
      for depth in [2, 1, 0] {
        path = path << 1 | Int(model.single(&coder, slots + 8 + path, UInt32(divisor >> depth & 1)))
      }
      found.divisor = path & 7
    }
    if model.single(&coder, slots + 1, (predictor != 0).bit) != 0 {
      found.predictor = 1 + Int(model.single(&coder, slots + 2, (predictor == 2).bit))
    }
    return found
  }

  /// How many numbers the header's figures leave to be coded: the first and the last are theirs, and all of them if they
  /// are equal.
  @inline(__always)
  private static func codedCount(_ figures: ColumnFigures?, count: Int) -> Int {
    guard let figures else { return count - 1 }
    return figures.min == figures.max ? 0 : max(0, count - 2)
  }

  static func encode<Coder: BitCoder>(
    _ coder: inout Coder, model: BitModel, _ plan: ColumnPlan, _ values: UnsafeMutablePointer<Int64>, count: Int
  ) {
    _ = self.plan(&coder, model, divisor: plan.divisor, predictor: plan.frame.predictor.rawValue)
    if plan.figures == nil { codeFirst(&coder, model, &values[0]) }
    ValueCoder.code(
      &coder, model: model, frame: plan.frame, first: values[0], values + 1,
      count: codedCount(plan.figures, count: count))
  }

  /// Fills `values` with the column's numbers, multiplied by the divisor.
  ///
  /// - Returns: false where figures and divisor contradict each other.
  static func decode(
    _ coder: inout RangeDecoder, model: BitModel, _ figures: ColumnFigures?, _ values: UnsafeMutablePointer<Int64>,
    count: Int
  ) -> Bool {
    let found = plan(&coder, model, divisor: 0, predictor: 0)
    let divisor = ColumnPlan.divisors[found.divisor]
    var frame = ColumnFrame()
    frame.predictor = Predictor.allCases[found.predictor]
    guard frame.bound(figures, divisor: divisor) else { return false }
    if let figures {
      values[0] = figures.first / divisor
      values[count - 1] = figures.last / divisor
      if figures.min == figures.max { values.update(repeating: values[0], count: count) }
    } else {
      codeFirst(&coder, model, &values[0])
    }
    let first = values[0]
    ValueCoder.code(
      &coder, model: model, frame: frame, first: first, values + 1, count: codedCount(figures, count: count))
    if divisor != 1 {
      for index in 0..<count { values[index] &*= divisor }
    }
    return true
  }

  @inline(__always)
  private static func codeFirst<Coder: BitCoder>(_ coder: inout Coder, _ model: BitModel, _ value: inout Int64) {
    let coded = UInt64(bitPattern: value << 1 ^ value >> 63)
    // The largest would not fit once 1 is added: it is told apart by a number of its own.
    let number = model.number(
      &coder, lengths: ValueModel.firstLengths, bits: ValueModel.firstBits, Coder.isDecoder ? 0 : coded >> 1)
    let low = model.plain(&coder, coded & 1, bits: 1)
    let whole = number << 1 | low
    value = Int64(bitPattern: whole >> 1) ^ -Int64(bitPattern: whole & 1)
  }
}

/// Codes ingest delays: what each is off the mean of late.
enum DelayCoder {
  static func code<Coder: BitCoder>(
    _ coder: inout Coder, model: BitModel, _ delays: UnsafeMutablePointer<Int64>, count: Int
  ) {
    var residuals = ResidualCoder(model: model)
    var mean: Int64 = 0
    for index in 0..<count {
      let expected = (mean &+ 128) &>> 8
      let residual = residuals.code(&coder, Coder.isDecoder ? 0 : delays[index] &- expected)
      if Coder.isDecoder { delays[index] = expected &+ residual }
      // The first counts fully.
      mean = mean &+ (((delays[index] &<< 8) &- mean) &>> (index == 0 ? 0 : 4))
    }
  }
}

/// Codes the quality of a column's cells like numbers without figures.
enum QualityCoder {
  /// - Parameter values: room for as many numbers as cells.
  static func encode<Coder: BitCoder>(
    _ coder: inout Coder, _ model: BitModel, _ cells: [ChunkCell], _ values: UnsafeMutablePointer<Int64>
  ) {
    for index in cells.indices { values[index] = Int64(cells[index].quality.raw) }
    ColumnCoder.encode(
      &coder, model: model, ColumnPlan(dividing: values, count: cells.count), values, count: cells.count)
  }

  /// - Returns: false where a number is no quality.
  static func decode(
    _ coder: inout RangeDecoder, _ model: BitModel, _ cells: inout [ChunkCell], _ values: UnsafeMutablePointer<Int64>
  ) -> Bool {
    guard ColumnCoder.decode(&coder, model: model, nil, values, count: cells.count) else { return false }
    for index in cells.indices {
      guard let raw = UInt16(exactly: values[index]) else { return false }
      cells[index].quality = SampleQuality(raw: raw)
    }
    return true
  }
}
