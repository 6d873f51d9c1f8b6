/// A decimal number exactly as it was received: `mantissa` x 10^`exponent`, trailing zeros kept.
///
/// Never rounded: what cannot be held (more than 18 significant digits, exponent outside -18...18) is refused by the
/// parser, and the caller quarantines the observation.
package struct DecimalValue: Hashable, Sendable, BitwiseCopyable {
  /// The digits with their sign, |mantissa| < 10^18.
  package var mantissa: Int64
  /// The power of ten, -18...18; negative for digits behind the point.
  package var exponent: Int8

  @inlinable
  package init(mantissa: Int64, exponent: Int8 = 0) {
    self.mantissa = mantissa
    self.exponent = exponent
  }

  /// Powers of ten 10^0...10^18.
  @usableFromInline
  static let powers: [Int64] = (0...18).map { n in (0..<n).reduce(Int64(1)) { product, _ in product * 10 } }

  /// 10^`n` for 0...18.
  @inlinable
  package static func powerOfTen(_ n: Int) -> Int64 { powers[n] }

  /// Parses a JSON number's text (`-12.50`, `1e2`).
  ///
  /// - Returns: nil if the text is not a JSON number or cannot be held exactly.
  package init?(ascii text: UnsafeRawBufferPointer) {
    var index = 0
    let count = text.count
    var negative = false
    if index < count, text[index] == UInt8(ascii: "-") {
      negative = true
      index += 1
    }
    var digits = 0
    var mantissa: Int64 = 0
    var scale = 0
    func digit(_ byte: UInt8) -> Int64? { byte >= 48 && byte <= 57 ? Int64(byte) - 48 : nil }
    let start = index
    while index < count, let value = digit(text[index]) {
      if mantissa != 0 || value != 0 { digits += 1 }
      if digits > 18 { return nil }
      mantissa = mantissa * 10 + value
      index += 1
    }
    let whole = index - start
    if whole == 0 || (whole > 1 && text[start] == 48) { return nil }
    if index < count, text[index] == UInt8(ascii: ".") {
      index += 1
      let fraction = index
      while index < count, let value = digit(text[index]) {
        if mantissa != 0 || value != 0 { digits += 1 }
        scale += 1
        if digits > 18 || scale > 18 { return nil }
        mantissa = mantissa * 10 + value
        index += 1
      }
      if index == fraction { return nil }
    }
    var power = -scale
    if index < count, text[index] | 32 == UInt8(ascii: "e") {
      index += 1
      var minus = false
      if index < count, text[index] == UInt8(ascii: "+") || text[index] == UInt8(ascii: "-") {
        minus = text[index] == UInt8(ascii: "-")
        index += 1
      }
      let exponentStart = index
      var exponent = 0
      while index < count, let value = digit(text[index]) {
        exponent = min(exponent * 10 + Int(value), 1000)
        index += 1
      }
      if index == exponentStart { return nil }
      power += minus ? -exponent : exponent
    }
    guard index == count, power >= -18, power <= 18 else { return nil }
    self.init(mantissa: negative ? -mantissa : mantissa, exponent: Int8(power))
  }

  /// Parses text as ``init(ascii:)`` does.
  package init?(_ text: some StringProtocol) {
    let bytes = Array(text.utf8)
    guard let value = bytes.withUnsafeBytes({ DecimalValue(ascii: $0) }) else { return nil }
    self = value
  }

  /// The nearest double; exact division by a power of ten, so that it equals the literal of the same digits.
  @inlinable
  package var double: Double {
    exponent < 0
      ? Double(mantissa) / Double(DecimalValue.powerOfTen(Int(-exponent)))
      : Double(mantissa) * Double(DecimalValue.powerOfTen(Int(exponent)))
  }

  /// The value in units of 10^`targetExponent`, rounded half-up (ties away from zero for negatives towards +infinity).
  ///
  /// - Returns: nil on overflow.
  package func scaled(toExponent target: Int) -> Int64? {
    let shift = Int(exponent) - target
    if shift >= 0 {
      guard shift <= 18 else { return mantissa == 0 ? 0 : nil }
      let (product, overflow) = mantissa.multipliedReportingOverflow(by: DecimalValue.powerOfTen(shift))
      return overflow ? nil : product
    }
    guard -shift <= 18 else { return 0 }
    return DecimalValue.divideHalfUp(mantissa, DecimalValue.powerOfTen(-shift))
  }

  /// floor(a/b + 1/2) for b > 0: the rounding rule of the early-warning charts (round half up).
  @inlinable
  package static func divideHalfUp(_ a: Int64, _ b: Int64) -> Int64 {
    var quotient = a / b
    var remainder = a % b
    if remainder < 0 {
      quotient -= 1
      remainder += b
    }
    return remainder >= b - remainder ? quotient + 1 : quotient
  }

  /// Whether two decimals are the same number, whatever their trailing zeros.
  package func isSameNumber(as other: DecimalValue) -> Bool {
    if self == other { return true }
    if mantissa == 0 || other.mantissa == 0 { return mantissa == other.mantissa }
    return normalized == other.normalized
  }

  /// The same number without trailing zeros.
  package var normalized: DecimalValue {
    if mantissa == 0 { return DecimalValue(mantissa: 0) }
    var value = self
    while value.mantissa % 10 == 0, value.exponent < 18 {
      value.mantissa /= 10
      value.exponent += 1
    }
    return value
  }
}

extension DecimalValue: CustomStringConvertible {
  /// The digits as received, in plain notation (`72.0` stays `72.0`; a positive exponent is written out).
  package var description: String {
    if exponent >= 0 {
      return exponent == 0 || mantissa == 0
        ? String(mantissa) : String(mantissa) + String(repeating: "0", count: Int(exponent))
    }
    let places = Int(-exponent)
    var digits = String(mantissa.magnitude)
    if digits.count <= places { digits = String(repeating: "0", count: places - digits.count + 1) + digits }
    let point = digits.index(digits.endIndex, offsetBy: -places)
    return (mantissa < 0 ? "-" : "") + digits[..<point] + "." + digits[point...]
  }
}
