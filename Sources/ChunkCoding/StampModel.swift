/// Where things lie in the words of a stamp model, which codes event times and ingest delays.
///
/// A residual is coded as a *width* (bits of its magnitude, in unary), a sign, and the bits below the first, the upper
/// three of them modelled.
enum StampModel {
  static let widths = 24

  /// Whether the next stamp is one period on, by whether the last was; else how many.
  static let step = 0
  static let stepLengths = step + 4
  static let stepBits = stepLengths + 32
  /// Width by the mean width of late and the last width.
  static let widthPair = stepBits + 32 * 8
  static let meanClasses = 8
  /// Width by the mean width of late, finer.
  static let widthMean = widthPair + meanClasses * widths * widths
  static let fineClasses = 48
  /// Width by the last two widths' sum and the last sign.
  static let widthSign = widthMean + fineClasses * widths
  /// Sign by width and last sign.
  static let sign = widthSign + 3 * widths * widths
  /// Bits below the first, by width and sign; the same, by the mean width too.
  static let bits = sign + widths * 3
  static let bitsMean = bits + widths * 2 * 8
  /// The same, by whether the width is less than, equal to or more than the last.
  static let bitsLast = bitsMean + widths * 2 * 8 * meanClasses
  static let slotCount = bitsLast + widths * 2 * 8 * 3
  /// Mixing weights, four each: for every place of the unary width; for every depth of the bits.
  static let widthWeights = slotCount
  static let bitWeights = widthWeights + widths * 4
  static let wordCount = bitWeights + 3 * 4

  /// An untrained model.
  static let fresh: [UInt32] = {
    var words = [UInt32](repeating: BitModel.freshSlot, count: wordCount)
    for index in slotCount..<wordCount { words[index] = index % 4 == slotCount % 4 + 3 ? 0 : 28_000 }
    return words
  }()
}

/// Codes numbers that scatter about a prediction: what a stamp is off its grid line by.
struct ResidualCoder {
  private let model: BitModel
  private var lastWidth = 0
  private var widthBefore = 0
  /// 0: the last was positive, 1: negative, 2: none.
  private var lastSign = 2
  /// Mean width of late, in 1/256.
  private var meanWidth = 0

  /// Residuals must lie within ±2^`bitsMax`.
  static let bitsMax = 44

  @inline(__always)
  init(model: BitModel) { self.model = model }

  @inline(__always)
  mutating func code<Coder: BitCoder>(_ coder: inout Coder, _ residual: Int64) -> Int64 {
    let magnitude = residual.magnitude
    let width = codeWidth(&coder, Coder.isDecoder ? 0 : min(23, 64 &- magnitude.leadingZeroBitCount))
    let order = width < lastWidth ? 0 : width > lastWidth ? 2 : 1
    widthBefore = lastWidth
    lastWidth = width
    let meanClass = self.meanClass
    meanWidth = meanWidth &+ ((width &<< 8 &- meanWidth) &>> 3)
    guard width > 0 else {
      lastSign = 2
      return 0
    }
    let isNegative = model.single(
      &coder, StampModel.sign &+ width &* 3 &+ lastSign, (residual < 0).bit)
    lastSign = Int(isNegative)
    let found =
      width < 23
      ? bits(&coder, magnitude, width: width, sign: Int(isNegative), meanClass: meanClass, order: order)
      : model.plain(&coder, magnitude, bits: ResidualCoder.bitsMax)
    let signed = Int64(bitPattern: found)
    return isNegative != 0 ? 0 &- signed : signed
  }

  @inline(__always)
  private var meanClass: Int { min(7, (meanWidth &+ 96) &>> 8) }

  @inline(__always)
  private func codeWidth<Coder: BitCoder>(_ coder: inout Coder, _ width: Int) -> Int {
    let pair = StampModel.widthPair &+ (meanClass &* StampModel.widths &+ lastWidth) &* StampModel.widths
    let mean = StampModel.widthMean &+ min(StampModel.fineClasses &- 1, (meanWidth &+ 24) &>> 6) &* StampModel.widths
    let signed =
      StampModel.widthSign &+ (lastSign &* StampModel.widths &+ (lastWidth &+ widthBefore) &>> 1) &* StampModel.widths
    var found = 0
    while found < 23 {
      let weights = StampModel.widthWeights &+ found &* 4
      if model.mixed(&coder, (pair &+ found, mean &+ found, signed &+ found), weights: weights, (width > found).bit)
        == 0
      {
        break
      }
      found &+= 1
    }
    return found
  }

  @inline(__always)
  private func bits<Coder: BitCoder>(
    _ coder: inout Coder, _ magnitude: UInt64, width: Int, sign: Int, meanClass: Int, order: Int
  ) -> UInt64 {
    let place = (width &* 2 &+ sign) &* 8
    let slots = StampModel.bits &+ place
    let slotsMean = StampModel.bitsMean &+ meanClass &* (StampModel.widths &* 16) &+ place
    let slotsLast = StampModel.bitsLast &+ order &* (StampModel.widths &* 16) &+ place
    var result: UInt64 = 1
    var left = width &- 1
    var depth = 0
    while left > 0, depth < 3 {
      left &-= 1
      let bit = UInt32(truncatingIfNeeded: magnitude &>> UInt64(left)) & 1
      let slot = Int(result)
      let found = model.mixed(
        &coder, (slots &+ slot, slotsMean &+ slot, slotsLast &+ slot), weights: StampModel.bitWeights &+ depth &* 4, bit
      )
      result = (result &<< 1) | UInt64(found)
      depth &+= 1
    }
    guard left > 0 else { return result }
    return (result &<< UInt64(left)) | model.plain(&coder, magnitude, bits: left)
  }
}
