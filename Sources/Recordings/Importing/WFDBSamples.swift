import Compression
import VitalModel

/// How samples stand in a WFDB signal file (PhysioNet, signal(5)).
enum WFDBFormat: Int {
  /// 16 bits, least significant byte first.
  case bits16 = 16
  /// 16 bits, most significant byte first.
  case bits16Swapped = 61
  case bits24 = 24
  case bits32 = 32
  /// 8 bits, offset binary.
  case bits8 = 80
  /// Pairs of 12 bits in three bytes.
  case bits12 = 212

  /// The number that stands for "not measured": the lowest there is.
  var invalid: Int64 {
    switch self {
    case .bits16, .bits16Swapped: -(1 << 15)
    case .bits24: -(1 << 23)
    case .bits32: -(1 << 31)
    case .bits8: -128
    case .bits12: -(1 << 11)
    }
  }
}

/// Samples of one signal file in order, of all its signals in turn.
final class WFDBSamples {
  private let format: WFDBFormat
  private var source: any ByteSource
  private let block = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 16, alignment: 16)
  private var next = 0
  private var end = 0
  /// Of format 212: the second of a pair.
  private var second: Int64?

  init(_ source: any ByteSource, format: WFDBFormat, offset: Int) throws(CompressionError) {
    self.source = source
    self.format = format
    for _ in 0..<offset where try byte() == nil { throw .truncated }
  }

  deinit { block.deallocate() }

  /// Nil at the end of the file, also in the middle of a sample.
  func sample() throws(CompressionError) -> Int64? {
    switch format {
    case .bits16: return try bytes(2).map { Int64(Int16(truncatingIfNeeded: $0)) }
    case .bits16Swapped: return try bytes(2).map { Int64(Int16(truncatingIfNeeded: $0).byteSwapped) }
    case .bits24: return try bytes(3).map { Int64(Int32(truncatingIfNeeded: $0 << 8) >> 8) }
    case .bits32: return try bytes(4).map { Int64(Int32(truncatingIfNeeded: $0)) }
    case .bits8: return try bytes(1).map { Int64($0) - 128 }
    case .bits12: return try pair()
    }
  }

  private func pair() throws(CompressionError) -> Int64? {
    if let second {
      self.second = nil
      return second
    }
    guard let low = try byte(), let middle = try byte() else { return nil }
    // The last sample of an odd number may lack the third byte.
    if let high = try byte() { second = WFDBSamples.signed12(Int64(middle >> 4) << 8 | Int64(high)) }
    return WFDBSamples.signed12(Int64(middle & 15) << 8 | Int64(low))
  }

  private static func signed12(_ value: Int64) -> Int64 { value >= 1 << 11 ? value - 1 << 12 : value }

  /// Least significant first.
  private func bytes(_ count: Int) throws(CompressionError) -> UInt32? {
    var value: UInt32 = 0
    for place in 0..<count {
      guard let byte = try byte() else { return nil }
      value |= UInt32(byte) << UInt32(place * 8)
    }
    return value
  }

  private func byte() throws(CompressionError) -> UInt8? {
    if next == end {
      next = 0
      end = try source.read(into: block)
      if end == 0 { return nil }
    }
    defer { next += 1 }
    return block[next]
  }
}

/// Physical numbers of converter steps.
enum WFDBScale {
  /// (`sample` - `baseline`) / `gain`: exactly where decimals can hold it in nine places, else rounded half up, finer than a tenth of
  /// one step; nil: it cannot be held.
  static func value(_ sample: Int64, baseline: Int64, gain: DecimalValue) -> DecimalValue? {
    let steps = Int128(sample) - Int128(baseline)
    // gain = mantissa x 10^exponent: the quotient is steps x 10^-exponent / mantissa.
    let mantissa = Int128(gain.mantissa)
    guard mantissa > 0 else { return nil }
    for places in 0...9 {
      let (whole, rest) = (steps * Int128(DecimalValue.powerOfTen(places))).quotientAndRemainder(dividingBy: mantissa)
      if rest == 0 { return decimal(whole, exponent: -places - Int(gain.exponent)) }
    }
    var places = 1
    while places < 17, DecimalValue.powerOfTen(places - 1) < gain.mantissa { places += 1 }
    let top = steps * Int128(DecimalValue.powerOfTen(places)) * 2 + mantissa
    var (whole, rest) = top.quotientAndRemainder(dividingBy: mantissa * 2)
    if rest < 0 {
      whole -= 1
      rest += mantissa * 2
    }
    return decimal(whole, exponent: -places - Int(gain.exponent))
  }

  /// Trailing zeros that a positive power would need are written out; whole numbers have no exponent.
  private static func decimal(_ mantissa: Int128, exponent: Int) -> DecimalValue? {
    guard (-18...18).contains(exponent), let small = Int64(exactly: mantissa), abs(small) < 1_000_000_000_000_000_000
    else { return nil }
    let value = DecimalValue(mantissa: small, exponent: Int8(exponent))
    if exponent < 0, let whole = value.scaled(toExponent: 0), DecimalValue(mantissa: whole).isSameNumber(as: value) {
      return DecimalValue(mantissa: whole)
    }
    return value
  }
}
